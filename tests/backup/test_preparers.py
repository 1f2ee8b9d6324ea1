"""Restores with processes beside them: the same as without, whatever becomes of those processes."""

from __future__ import annotations

import errno
import logging
import os
import pickle
import subprocess
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from restante.analysts import asking
from restante.analysts.asking import Process
from restante.backup import analysing, parcels, preparers, restore
from restante.backup.crypto import Secrets
from restante.backup.errors import LocationFailed
from restante.backup.folder import Folder
from restante.backup.index import Pack, Spot
from restante.backup.parcels import Parcel, Prepared
from restante.backup.preparing import Opened
from restante.clock import system_random
from restante.mime.model import DEFAULT_LIMITS
from restante.store.model import Flags

from .support import ANN, World, findings, message, play, put, state

MANY = 60


@pytest.fixture(autouse=True)
def in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them, whatever the machine has, and many parcels."""
    monkeypatch.setattr(analysing, "IN_PROCESSES", 1)
    monkeypatch.setattr(analysing, "cores", lambda: 2)
    monkeypatch.setattr(parcels, "MESSAGES", 5)


async def filled(folder: Path) -> World:
    world = World(folder)
    await world.fill()
    for first in range(0, MANY, 20):
        await put(world.ann, "INBOX", *map(message, range(first, first + 20)))
        await world.take()  # packs of few messages each
    await put(world.ann, "Large", b"Subject: pieces\r\n\r\n" + bytes(range(256)) * 1024, flags=Flags.of(["\\Seen"]))
    await put(world.bob, "INBOX", *map(message, range(MANY, MANY + 10)), message(3))
    box = await world.ann.mailbox("INBOX")
    assert box is not None
    copies = await world.ann.create_mailbox("Copies")
    await world.ann.copy(box.key, ((1, 7),), copies.key)
    return world


def asked_of(monkeypatch: pytest.MonkeyPatch) -> tuple[set[int], list[Parcel]]:
    """Processes that are asked, and parcels in the order in which they are wanted: threads may ask in another."""
    processes: set[int] = set()
    wanted: list[Parcel] = []
    ask, cut = preparers._asked, restore._parcels

    def noted(process: Process, parcel: Parcel) -> Prepared:
        processes.add(process._process.pid)
        return ask(process, parcel)

    def listed(*args: Any) -> Iterator[Parcel]:
        for parcel in cut(*args):
            wanted.append(parcel)
            yield parcel

    monkeypatch.setattr(preparers, "_asked", noted)
    monkeypatch.setattr(restore, "_parcels", listed)
    return processes, wanted


def test_what_processes_prepare_is_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes, wanted = asked_of(monkeypatch)

    async def scene() -> None:
        world = await filled(tmp_path)
        before = await state(world.ann)
        done = await world.take()
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert restored.lost == []
        assert restored.messages == MANY + 1 + 7 + 11
        assert await state(engine.account(ANN)) == before
        assert await findings(engine.account(ANN)) == []
        await engine.close()
        await world.engine.close()

    play(scene())
    assert len(processes) == 2
    assert sum(len(parcel.places) for parcel in wanted) == MANY + 1 + 11, "a copy is not read again"
    for parcel in wanted:
        places = [(spot.pack.name, spot.block, spot.offset) for _, spot in parcel.places]
        assert places == sorted(places)
        assert len({name for name, _, _ in places}) == 1
    orders = [parcel.emails[0][0][parcels.ORDER] for parcel in wanted if parcel.mailbox[0] == ANN]
    assert orders == sorted(orders), "packs come in the order of what is in them"


def all_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[], None]) -> None:
    """A restore, before which something is spoilt, brings all back and warns once."""

    async def scene() -> None:
        world = await filled(tmp_path)
        before = await state(world.ann)
        done = await world.take()
        spoil()
        with caplog.at_level(logging.WARNING):
            engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert restored.lost == []
        assert await state(engine.account(ANN)) == before
        await engine.close()
        await world.engine.close()

    play(scene())
    assert [record.name for record in caplog.records].count(asking.__name__) == 1


def test_a_process_that_ends_takes_nothing_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask, count = preparers._asked, [0]

    def killing(process: Process, parcel: Parcel) -> Prepared:
        count[0] += 1
        if count[0] == 4:
            process._process.kill()
            process._process.wait()
        return ask(process, parcel)

    all_comes_back(tmp_path, caplog, lambda: monkeypatch.setattr(preparers, "_asked", killing))
    assert count[0] >= 4


def test_what_is_damaged_is_told_with_each_place(tmp_path: Path) -> None:
    """A pack of mail in which every octet behind its head is another: its messages are lost, all else comes back."""

    async def scene() -> None:
        world = await filled(tmp_path)
        done = await world.take()
        repository = world.repository()
        spot = repository.find(repository.message_id(sha256(message(3)).digest()))
        assert spot is not None
        path = tmp_path / "backup" / "mail" / spot.pack.name[:2] / spot.pack.name
        data = path.read_bytes()
        path.write_bytes(data[:60] + bytes(octet ^ 1 for octet in data[60:]))
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        lost = {(one.address, one.mailbox, one.uid) for one in restored.lost}
        assert {("ann@example.com", "INBOX", 4), ("ann@example.com", "Copies", 4)} <= lost
        assert ("bob@example.com", "INBOX", 11) in lost
        assert len(lost) == 20 + 7 + 1
        assert await findings(engine.account(ANN)) == []
        assert restored.messages == MANY + 1 + 7 + 11 - len(lost)
        await engine.close()
        await world.engine.close()

    play(scene())


def test_a_location_that_fails_in_a_process_fails_the_restore(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        done = await world.take()
        for path in (tmp_path / "backup" / "mail").glob("*/*"):
            path.unlink()
            path.symlink_to(path.name)
        with pytest.raises(LocationFailed, match="symbolic links"):
            await world.give(done.snapshot, tmp_path / "new")
        assert not (tmp_path / "new" / "directory.db").exists()
        await world.engine.close()

    play(scene())


def test_a_machine_that_starts_no_more_processes_prepares_with_those_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started: list[int] = []
    start = subprocess.Popen

    def refusing(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        if started:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        process = start(*args, **kwargs)
        started.append(process.pid)
        return process

    all_comes_back(tmp_path, caplog, lambda: monkeypatch.setattr(subprocess, "Popen", refusing))
    assert len(started) == 1


def spots(blocks: Sequence[int]) -> list[tuple[bytes, Spot]]:
    """A message in each of these blocks of a pack."""
    pack = Pack("ab" * 32, True, 65_536, bytes(8 * (max(blocks) + 1)))
    return [(bytes([at >> 8, at & 255]) * 16, Spot(pack, block, at, 1, b"r")) for at, block in enumerate(blocks)]


@pytest.mark.parametrize(
    ("blocks", "size", "most"),
    [([0] * 100, 3 << 20, 2 * parcels.OCTETS), (range(300), 10, 64 << 20)],
    ids=["recipes-in-one-block", "one-in-each-block"],
)
def test_what_a_parcel_holds_is_bounded(
    blocks: Sequence[int], size: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of messages in pieces a block has only recipes; of one in each block, every block is held whole."""
    monkeypatch.setattr(parcels, "MESSAGES", 1_000)
    places = spots(blocks)
    emails: dict[bytes, list[parcels.EmailOf]] = {
        digest: [(at, f"m{at}", "t", size, 0, None, None)] for at, (digest, _) in enumerate(places)
    }
    made = list(parcels.parcels(("a", 1), places, emails, {}, lambda batch: b""))
    assert [place for parcel in made for place in parcel.places] == places
    for parcel in made:
        assert len(parcel.places) * size <= most
        assert len({spot.block for _, spot in parcel.places}) << 20 <= most
    assert len(made) < len(places)


def test_what_opens_a_sealed_backup_crosses_to_another_process() -> None:
    secrets = Secrets.sealed(bytes(32))
    crossed = pickle.loads(pickle.dumps(Opened(Folder(Path("/x"), system_random), secrets, "id", DEFAULT_LIMITS)))
    assert crossed.secrets == secrets
    assert crossed.secrets.reads
    assert crossed.location.root == Path("/x")
