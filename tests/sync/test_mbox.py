"""An mbox as a side that is read alone: every quoting, flags, dates; a file that changes is read anew."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from restante.exchange.export import format_mbox
from restante.exchange.mbox import quoting_of
from restante.store.model import Flags as StoreFlags
from restante.sync import mbox
from restante.sync.mbox import MboxSide
from restante.sync.model import Message
from restante.sync.outline import mark
from restante.sync.side import MailboxUnavailable, SideUnavailable

T = TypeVar("T")
DATE = b"Mon Jul 27 10:00:00 2026"
BODY = "Subject: {}\r\n\r\nFrom here\r\n>From there\r\n\r\nend\r\n"
STYLES = {
    "mboxrd": (b">From here\n>>From there\n", b""),
    "mboxcl2": (b"From here\n>From there\n", b"Content-Length: 27\n"),
    "mboxcl": (b">From here\n>From there\n", b"Content-Length: 28\n"),
    "mboxo": (b">From here\n>From there\n", b""),
}


def run(path: Path, act: Callable[[MboxSide], Awaitable[T]]) -> T:
    async def go() -> T:
        one = MboxSide(path)
        await one.open()
        try:
            return await act(one)
        finally:
            await one.close()

    return asyncio.run(go())


async def everything(one: MboxSide, name: str = "INBOX") -> list[Message]:
    changes = await one.changes(name, None)
    assert changes.full
    messages = [each async for each in one.fetch(name, changes.uids)]
    assert [(each.uid, each.flags) for each in messages] == list(zip(changes.uids, changes.flags, strict=True))
    for each, outline in zip(messages, await one.outlines(name, changes.uids), strict=True):
        assert (outline.uid, outline.size, outline.mark) == (each.uid, len(each.data), mark(each.data))
        assert outline.received == each.received
    return messages


@pytest.mark.parametrize("style", STYLES)
def test_each_quoting_is_undone(tmp_path: Path, style: str) -> None:
    body, field = STYLES[style]
    text = b"".join(
        b"From a@b.example " + DATE + b"\nSubject: %d\n" % n + field + b"\n" + body + b"\nend\n\n" for n in range(3)
    )
    (tmp_path / "mbox").write_bytes(text)
    found = run(tmp_path / "mbox", everything)
    lost = style in ("mboxo", "mboxcl")  # what its writer had quoted already cannot be told from what it had not
    assert [each.data for each in found] == [
        BODY.format(n).replace(">From", "From" if lost else ">From").encode() for n in range(3)
    ]
    assert {each.received for each in found} == {1785146400}


def test_flags_and_dates_come_along(tmp_path: Path) -> None:
    flags = [StoreFlags.of(["\\Seen", "\\Flagged", "Work"]), StoreFlags.of([])]
    (tmp_path / "mbox").write_bytes(
        b"".join(format_mbox(b"Subject: x\r\n\r\n%d\r\n" % n, each, 1_700_000_000 + n) for n, each in enumerate(flags))
    )
    found = run(tmp_path / "mbox", everything)
    assert [each.flags for each in found] == [{"\\Seen", "\\Flagged", "Work"}, frozenset()]
    assert [each.received for each in found] == [1_700_000_000, 1_700_000_001]
    assert [each.data for each in found] == [b"Subject: x\r\n\r\n0\r\n", b"Subject: x\r\n\r\n1\r\n"]


def test_messages_are_found_in_any_order_and_those_that_are_not_there_left_out(tmp_path: Path) -> None:
    count = 1100
    path = tmp_path / "mbox"
    path.write_bytes(b"".join(format_mbox(b"Subject: %d\r\n\r\nx\r\n" % n, StoreFlags.of([]), 1) for n in range(count)))

    async def act(one: MboxSide) -> None:
        uids = list((await one.changes("INBOX", None)).uids)
        assert len(uids) == count
        some = random.Random(1).sample(uids, 700)
        found = [each.uid async for each in one.fetch("INBOX", [*some, 2**40])]
        assert sorted(found) == sorted(some)
        assert [each.uid for each in await one.outlines("INBOX", [uids[7], 3, uids[2]])] == [uids[2], uids[7]]

    run(path, act)


def test_a_folder_has_a_mailbox_for_each_mbox(tmp_path: Path) -> None:
    (tmp_path / "Mail.sbd").mkdir()
    for name in ("Inbox", "Mail", "Mail.sbd/Deep.mbox"):
        (tmp_path / name).write_bytes(format_mbox(b"Subject: x\r\n\r\n" + name.encode(), StoreFlags.of([]), 1))
    (tmp_path / "Mail.msf").write_text("no mail")

    async def act(one: MboxSide) -> None:
        assert [place.name for place in await one.places()] == ["INBOX", "Mail", "Mail/Deep"]
        assert len(await everything(one, "Mail/Deep")) == 1

    run(tmp_path, act)


def test_a_file_that_changed_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbox, "POLL", 0.01)
    path = tmp_path / "mbox"
    path.write_bytes(format_mbox(b"Subject: 1\r\n\r\n", StoreFlags.of([]), 1))

    async def act(one: MboxSide) -> None:
        before = await one.changes("INBOX", None)
        again = await one.changes("INBOX", before.cursor)
        assert (again.full, list(again.uids)) == (False, [])
        await one.places()
        with path.open("ab") as stream:
            stream.write(format_mbox(b"Subject: 2\r\n\r\n", StoreFlags.of([]), 1))
        async with asyncio.timeout(30):
            assert await one.wait(["INBOX"]) == {"INBOX"}
        after = await one.changes("INBOX", before.cursor)
        assert after.full
        assert after.validity != before.validity
        assert len(after.uids) == 2
        path.unlink()
        with pytest.raises(SideUnavailable):
            await one.places()
        with pytest.raises(MailboxUnavailable):
            await one.changes("INBOX", None)

    run(path, act)


def test_a_file_that_is_written_while_it_is_read_is_left_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mbox"
    path.write_bytes(format_mbox(b"Subject: 1\r\n\r\n", StoreFlags.of([]), 1))

    async def act(one: MboxSide) -> None:
        real = quoting_of

        def written(stream: object) -> object:
            with path.open("ab") as more:
                more.write(b"x")
            return real(stream)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr("restante.sync.mbox.quoting_of", written)
        with pytest.raises(MailboxUnavailable):
            await one.changes("INBOX", None)
        monkeypatch.undo()
        assert len((await one.changes("INBOX", None)).uids) == 1

    run(path, act)


def test_what_is_no_mbox_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("hello\n")
    with pytest.raises(SideUnavailable):
        run(tmp_path / "other", lambda one: one.places())
    (tmp_path / "empty").write_bytes(b"")
    assert run(tmp_path / "empty", everything) == []

    async def act(one: MboxSide) -> None:
        with pytest.raises(SideUnavailable):
            await one.remove("INBOX", [1])
        with pytest.raises(SideUnavailable):
            await one.add("INBOX", [])

    run(tmp_path / "empty", act)
