"""A mailbox that goes, or is closed to a session, while that uses it: what is told, and what is answered. RFC 9051
6.3.5, 6.4.1, 7.1; RFC 2180 3."""

from __future__ import annotations

import re
from typing import Any

import pytest

from restante.store.model import Delta
from restante.store.sqlite.account import SqliteStore
from restante.store.sqlite.shared import SharedStore

from .support import World, run
from .test_two_sessions import SHARED, bob_in_box


@pytest.mark.parametrize(
    ("command", "shared"),
    [
        (b"COPY 1:2 INBOX", False),
        (b"UID MOVE 1:2 INBOX", False),
        (b"REPLACE 1 INBOX {15+}\r\nSubject: q\r\n\r\nz", False),
        (b"UID COPY 1:2 INBOX", True),
        (b"MOVE 1:2 INBOX", True),
    ],
)
def test_rfc9051_7_1_no_create_helps_where_the_source_is_gone(command: bytes, shared: bool) -> None:
    async def scenario(world: World) -> None:
        one, two = await bob_in_box(world)
        if not shared:
            two = await world.client(b"SELECT box")
        await one.ok(b"DELETE box")
        got = await two.raw(b"x " + command + b"\r\n", b"never")
        assert b"x NO [NONEXISTENT] " in got
        assert got.endswith(b"* BYE [NONEXISTENT] The selected mailbox has been deleted.\r\n")

    run(scenario)


@pytest.mark.parametrize("shared", [False, True])
def test_rfc5819_2_list_goes_on_without_the_status_of_what_is_deleted_meanwhile(
    monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    kind: type[Any] = SharedStore if shared else SqliteStore
    listing = "mailboxes" if shared else "names"
    read = getattr(kind, listing)

    async def scenario(world: World) -> None:
        one, bob = await bob_in_box(world)
        await bob.ok(b"UNSELECT")
        await world.add(b"new", mailbox="box")

        async def then_deleted(store: Any) -> Any:
            monkeypatch.setattr(kind, listing, read)
            found = await read(store)
            await one.ok(b"DELETE box")
            return found

        asking = bob if shared else await world.client()
        name = SHARED if shared else b"box"
        monkeypatch.setattr(kind, listing, then_deleted)
        got = await asking.ok(b'LIST "" (INBOX %b) RETURN (STATUS (RECENT MESSAGES))' % name)
        assert b'/" INBOX\r\n* STATUS INBOX (' in got
        assert b'/" %b\r\nT OK ' % name in got

    run(scenario)


@pytest.mark.parametrize(
    "command",
    [
        b"EXPUNGE",
        b"UID EXPUNGE 1",
        b"STORE 1 -FLAGS (\\Deleted)",
        b"MOVE 1 INBOX",
        b"REPLACE 1 INBOX {15+}\r\nSubject: q\r\n\r\nz",
    ],
)
@pytest.mark.parametrize("qresync", [False, True])
def test_what_was_done_is_answered_though_the_mailbox_is_lost(
    monkeypatch: pytest.MonkeyPatch, command: bytes, qresync: bool
) -> None:
    """It is deleted behind the command's own change, before the change has been told."""
    delta = SqliteStore.delta

    async def scenario(world: World) -> None:
        one, two = await world.client(b"CREATE box"), await world.client()
        await world.add(b"m1", b"m2", mailbox="box", flags=("\\Deleted",))
        if qresync:
            await two.ok(b"ENABLE QRESYNC")
        await two.ok(b"SELECT box")
        await one.ok(b"SELECT box")
        await one.ok(b"STORE 2 +FLAGS.SILENT (\\Flagged)")  # so that STORE asks for more than its own
        deleted = False

        async def behind(store: SqliteStore, mailbox: int, since: int) -> Delta:
            nonlocal deleted
            if not deleted and (await store.mailboxes())[-1].highest_modseq > before:
                deleted = True
                await store.delete_mailbox(mailbox)
            return await delta(store, mailbox, since)

        before = (await world.store.mailboxes())[-1].highest_modseq
        await one.ok(b"UNSELECT")
        monkeypatch.setattr(SqliteStore, "delta", behind)
        got = await two.raw(b"x " + command + b"\r\n", b"never")
        assert deleted
        assert b"\r\nx OK " in b"\r\n" + got
        assert got.endswith(b"* BYE [NONEXISTENT] The selected mailbox has been deleted.\r\n")

    run(scenario)


def test_deleted_mailbox_ends_the_other_session() -> None:
    async def scenario(world: World) -> None:
        one = await world.client(b"CREATE Box", b"SELECT Box")
        two = await world.client(b"DELETE Box")
        assert b"* BYE [NONEXISTENT]" in await one.do(b"NOOP")
        assert b"T OK" in await two.do(b"NOOP")

    run(scenario)


@pytest.mark.parametrize(
    "waiting", [b"IDLE", b"NOTIFY SET (SELECTED (MessageNew MessageExpunge))"], ids=["idle", "notify"]
)
def test_a_deleted_mailbox_ends_a_session_that_waits(waiting: bytes) -> None:
    """Also between commands (RFC 5465 3.1): it is no fault of ours."""

    async def scenario(world: World) -> None:
        one = await world.client(b"CREATE Box", b"SELECT Box")
        await one.do(waiting)
        await world.client(b"DELETE Box")
        await one.task
        assert b"* BYE [NONEXISTENT] " in one.connection.take()

    run(scenario)


def test_what_is_done_is_said_before_the_session_ends_with_its_mailbox() -> None:
    """A client that hears BYE alone would file the message again."""

    async def scenario(world: World) -> None:
        one = await world.client(b"CREATE Box", b"SELECT Box")
        await world.client(b"DELETE Box")
        one.connection.feed(b"t APPEND INBOX {4+}\r\nabc\n\r\n")
        await one.task
        assert re.fullmatch(
            rb"t OK \[APPENDUID \d+ 1\] APPEND completed.\r\n\* BYE \[NONEXISTENT\] [^\r]+\r\n", one.connection.take()
        )

    run(scenario)


def test_rfc9051_6_4_1_close_leaves_a_mailbox_that_was_deleted_too() -> None:
    async def scenario(world: World) -> None:
        one = await world.client(b"CREATE Box", b"SELECT Box")
        await world.client(b"DELETE Box")
        assert await one.do(b"CLOSE") == b"T OK CLOSE completed.\r\n"
        assert b"T OK" in await one.do(b"SELECT INBOX")

    run(scenario)
