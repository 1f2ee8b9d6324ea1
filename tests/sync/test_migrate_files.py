"""mbox and .eml files as a side to come from."""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from restante.sync.migrate.files import FilesSide, ReadOnly
from restante.sync.model import Message
from restante.sync.outline import mark
from restante.sync.side import MailboxUnavailable, SideUnavailable

from .memory import Disk
from .test_migrate import PLAIN, Move, text


def mbox(numbers: Sequence[int], status: str = "RO") -> bytes:
    parts = []
    for number in numbers:
        data = text(number).replace(b"\r\n", b"\n").replace(b"\n\n", b"\nStatus: %b\n\n" % status.encode(), 1)
        parts.append(b"From a@b Sat Jan  1 00:00:%02d 2022\n%b\n" % (number % 60, data))
    return b"".join(parts)


async def all_of(side: FilesSide, name: str, uids: Sequence[int]) -> list[Message]:
    return [message async for message in side.fetch(name, uids)]


def test_messages_come_in_order_from_wherever_one_begins(tmp_path: Path) -> None:
    (tmp_path / "list.mbox").write_bytes(mbox(range(10)))

    async def work() -> None:
        side = FilesSide(tmp_path / "list.mbox")
        await side.open()
        assert [place.name for place in await side.places()] == ["INBOX"]
        changes = await side.changes("INBOX", None)
        assert list(changes.uids) == list(range(1, 11))
        assert changes.flags[0] == frozenset({"\\Seen"})
        for uids in ([1, 2, 3], [4, 9], [10], [2], [5, 6, 99]):
            got = await all_of(side, "INBOX", uids)
            assert [each.uid for each in got] == [uid for uid in uids if uid < 99]
            assert [each.data for each in got] == [text(uid - 1) for uid in uids if uid < 99]
        (outline,) = await side.outlines("INBOX", [4])
        assert (outline.size, outline.mark) == (len(text(3)), mark(text(3)))
        with pytest.raises(ReadOnly):
            await side.add("INBOX", [])
        await side.close()

    asyncio.run(work())


def test_a_tree_of_files_is_a_tree_of_mailboxes_also_in_an_archive(tmp_path: Path) -> None:
    tree = tmp_path / "mail"
    (tree / "Work.sbd").mkdir(parents=True)
    (tree / "Inbox").write_bytes(mbox([1, 2]))
    (tree / "Work.sbd" / "2022").write_bytes(mbox([3], status="O"))
    (tree / "one.eml").write_bytes(text(4))
    (tree / "notes.txt").write_bytes(b"nothing")
    with tarfile.open(tmp_path / "mail.tar.gz", "w:gz") as archive:
        archive.add(tree, "mail")

    async def work(path: Path, above: str) -> None:
        side = FilesSide(path)
        await side.open()
        found = {place.name: place.messages for place in await side.places()}
        assert found == ({"INBOX": 3, "Work/2022": 1} if not above else {
            "INBOX": 0, "mail": 1, "mail/Inbox": 2, "mail/Work/2022": 1})  # fmt: skip
        (message,) = await all_of(side, f"{above}Work/2022", [1])
        assert (message.data, message.flags) == (text(3), frozenset())
        assert [each.lost for each in side.passed_over] == [False]
        await side.close()

    asyncio.run(work(tree, ""))
    asyncio.run(work(tmp_path / "mail.tar.gz", "mail/"))


def test_a_file_that_is_changed_while_it_is_read_gives_no_wrong_message(tmp_path: Path) -> None:
    path = tmp_path / "list.mbox"
    path.write_bytes(mbox(range(5)))

    async def work() -> None:
        side = FilesSide(path)
        await side.open()
        path.write_bytes(mbox([7, 8]))
        for uids in ([1], [4]):
            with pytest.raises(MailboxUnavailable, match="changed"):
                await all_of(side, "INBOX", uids)
        await side.close()

    asyncio.run(work())


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SideUnavailable):
        asyncio.run(FilesSide(tmp_path / "nothing").open())


def test_files_that_grew_or_shrank_bring_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "list.mbox"
    move = Move(tmp_path, Disk("s"), Disk("t"))
    for numbers, copied in (([1, 2, 3], 3), ([1, 2, 3, 4], 1), ([2, 4], 0), ([5, 2, 4], 1)):
        path.write_bytes(mbox(numbers))
        report = move.run(PLAIN, source=FilesSide(path))
        assert sum(each.copied for each in report.mailboxes) == copied
        assert report.counts is not None
        assert (report.counts.same, report.counts.damaged) == (len(numbers), 0)
    assert len(move.target.boxes["INBOX"].messages) == 5
