"""The model passes the suite that it stands for, with its abilities and without."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.sync.side import Headers, MailboxUnavailable, SideUnavailable

from .memory import ALL, BARE, Abilities, Disk, HeaderlessSide, Killed, MemorySide, Steps
from .sides import SideSuite, message


class TestMemory(SideSuite):
    abilities: Abilities = ALL

    def setup_method(self) -> None:
        self.disks: dict[Path, Disk] = {}

    def make(self, folder: Path) -> MemorySide:
        return MemorySide(self.disks.setdefault(folder, Disk()), self.abilities)


class TestBare(TestMemory):
    abilities = BARE
    ids = state = tells = keywords = roles = emails = False


def test_a_kill_comes_at_each_step() -> None:
    async def run(at: int) -> int:
        disk, steps = Disk(), Steps(at)
        side = MemorySide(disk, steps=steps)
        try:
            await side.open()
            await side.add("INBOX", [message(1), message(2)])
        except Killed:
            return len(disk.boxes["INBOX"].messages)
        return -1

    assert [asyncio.run(run(at)) for at in (1, 2, 3, 4, 5, 6)] == [0, 0, 1, 2, 2, -1]


def test_faults() -> None:
    async def run() -> None:
        side = MemorySide(Disk())
        await side.open()
        side.broken.add("INBOX")
        with pytest.raises(MailboxUnavailable):
            await side.changes("INBOX", None)
        side.down = True
        with pytest.raises(SideUnavailable):
            await side.places()

    asyncio.run(run())


def test_headers_are_an_ability() -> None:
    assert isinstance(MemorySide(Disk()), Headers)
    assert not isinstance(HeaderlessSide(Disk()), Headers)


def test_other_uids_after_renumbering() -> None:
    async def run() -> None:
        disk = Disk()
        disk.deliver("INBOX", b"\r\n")
        side = MemorySide(disk)
        await side.open()
        before = await side.changes("INBOX", None)
        disk.renumber("INBOX")
        after = await side.changes("INBOX", before.cursor)
        assert after.full
        assert after.validity != before.validity
        assert len(after.uids) == 1

    asyncio.run(run())
