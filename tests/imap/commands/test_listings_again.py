"""A listing asked for again is answered from what was made of the messages before, and is that of now all the same."""

from __future__ import annotations

import re
import shutil

import pytest

from restante.imap.commands import fetch_rows
from restante.store.model import Column
from restante.store.sqlite.engine import SqliteEngine

from ..people import BOB, people
from ..session.support import ACCOUNT, Client, World, put_store, run
from .test_cost import Counting

WIDE = {Column.ENVELOPE, Column.BODY, Column.BODYSTRUCTURE, Column.HEADERS}
SUBJECT = b"BODY.PEEK[HEADER.FIELDS (SUBJECT)]"
MESSAGE = b"Subject: %b\r\nFrom: <%b@example.org>\r\n\r\n%b\r\n"


@pytest.fixture(autouse=True)
def few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_rows, "KEPT_FROM", 2)


async def filed(world: World, *subjects: bytes) -> None:
    for number, subject in enumerate(subjects):
        await world.file(MESSAGE % (subject, subject, b"x" * number))


async def opened(world: World) -> tuple[Client, Counting]:
    """A new session, and what it asks its store for."""
    client = await world.client(b"SELECT INBOX (CONDSTORE)")
    store = Counting(world.store)
    put_store(client, store)
    return client, store


def reads(store: Counting) -> bool:
    """Whether answers have been read since this was last asked."""
    asked, store.asked = store.asked, []
    return any(name == "rows" and not WIDE.isdisjoint(args[2]) for name, args in asked)


@pytest.mark.parametrize(
    ("listing", "kept"),
    [
        (b"(ENVELOPE)", True),
        (b"(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)", True),
        (b"(FLAGS BODY MODSEQ EMAILID THREADID SAVEDATE)", True),
        (b"(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])", True),
        (b"(ENVELOPE PREVIEW %b)" % SUBJECT, True),
        (b"(ENVELOPE %b<2.6>)" % SUBJECT, False),
        (b"(%b<2.6> %b<0.4>)" % (SUBJECT, SUBJECT), False),
        (b"(ENVELOPE BODY.PEEK[TEXT])", False),
        (b"(FLAGS INTERNALDATE)", False),
    ],
)
def test_it_says_the_same(monkeypatch: pytest.MonkeyPatch, listing: bytes, kept: bool) -> None:
    async def scenario(world: World) -> None:
        await filed(world, b"one", b"two", b"three")
        client, store = await opened(world)
        with monkeypatch.context() as nothing_kept:
            nothing_kept.setattr(fetch_rows, "KEPT_FROM", 1_000)
            plain = await client.ok(b"UID FETCH 1:* " + listing)
        assert plain.count(b" FETCH (UID ") == 3
        for _ in range(2):  # noted, then kept
            assert await client.ok(b"UID FETCH 1:* " + listing) == plain
        reads(store)
        other, others = await opened(world)
        assert await client.ok(b"UID FETCH 1:* " + listing) == plain
        assert await other.ok(b"UID FETCH 1:* " + listing) == plain.replace(b"\\Recent", b"")
        if kept:
            assert not reads(store)
            assert not reads(others)
            assert len(kept_columns(world)) > 0
        else:
            assert not kept_columns(world)

    run(scenario)


def test_what_is_all_kept_asks_for_no_row() -> None:
    async def scenario(world: World) -> None:
        await filed(world, b"one", b"two", b"three")
        client, store = await opened(world)
        first = await client.ok(b"FETCH 1:* (RFC822.SIZE ENVELOPE)")
        assert store.calls["rows"] == 2, "sizes, which bound what is read at once, and what is read"
        assert kept_columns(world) == []
        assert await client.ok(b"FETCH 1:* (RFC822.SIZE ENVELOPE)") == first
        assert store.calls["rows"] == 4
        assert len(kept_columns(world)) == 2
        assert await client.ok(b"FETCH 1:* (RFC822.SIZE ENVELOPE)") == first
        assert store.calls["rows"] == 4

    run(scenario)


def kept_columns(world: World) -> list[object]:
    """What is kept, by place and name."""
    assert isinstance(world.engine, SqliteEngine)
    return [key for key, held in world.engine.kept.made._columns.items() if held.columns is not None]


def test_fields_are_kept_by_what_was_asked_for() -> None:
    async def scenario(world: World) -> None:
        await filed(world, b"one", b"two")
        client = await world.client(b"SELECT INBOX")
        for _ in range(3):
            both = await client.ok(b"FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]")
            assert both.count(b"Subject: ") == both.count(b"From: ") == 2
            assert b"From: " not in await client.ok(b"FETCH 1:* " + SUBJECT)
            assert b"Subject: " not in await client.ok(b"FETCH 1:* BODY.PEEK[HEADER.FIELDS (FROM)]")

    run(scenario)


def test_flags_and_numbers_are_those_of_now() -> None:
    async def scenario(world: World) -> None:
        await filed(world, b"one", b"two", b"three")
        client, store = await opened(world)
        listing = b"FETCH 1:* (FLAGS ENVELOPE)"
        await client.ok(listing)
        await client.ok(listing)
        await client.ok(b"STORE 2 +FLAGS.SILENT (\\Flagged)")
        reads(store)
        flagged = await client.ok(listing)
        assert b'* 2 FETCH (FLAGS (\\Flagged \\Recent) ENVELOPE (NIL "two"' in flagged
        assert not reads(store)
        await filed(world, b"four")
        assert b"* 4 EXISTS" in await client.ok(b"NOOP")
        assert b'* 4 FETCH (FLAGS (\\Recent) ENVELOPE (NIL "four"' in await client.ok(listing)
        await client.ok(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        await client.ok(b"EXPUNGE")
        found = await client.ok(listing)
        assert b'* 1 FETCH (FLAGS (\\Flagged \\Recent) ENVELOPE (NIL "two"' in found
        assert found.count(b"FETCH (") == 3

    run(scenario)


@pytest.mark.parametrize("again", [False, True])
def test_what_another_session_has_removed_is_shown_until_it_is_told(again: bool) -> None:
    async def scenario(world: World) -> None:
        await filed(world, b"one", b"two", b"three")
        client = await world.client(b"SELECT INBOX")
        listing = b"FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE)"
        before = b""
        for _ in range(2 * again):
            before = await client.ok(listing)
        other = await world.client(b"SELECT INBOX", b"STORE 2 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
        after = await client.ok(listing)
        assert b"* 2 FETCH (FLAGS (\\Deleted \\Recent) RFC822.SIZE" in after
        if again:
            assert after.replace(b"\\Deleted ", b"") == before
        assert b"* 2 EXPUNGE" in await client.ok(b"NOOP")
        assert await client.ok(listing) == (await other.ok(listing)).replace(b"FLAGS (", b"FLAGS (\\Recent")

    run(scenario)


@pytest.mark.parametrize(
    "listing", [b"(UID ENVELOPE)", b"(UID RFC822.SIZE ENVELOPE FLAGS)", b"(UID FLAGS)", b"(UID MODSEQ)"]
)
def test_what_an_older_state_has_again_is_not_taken_for_what_is_listed(
    listing: bytes,
) -> None:
    """It has a UID again that was told to be removed: between those that this session knows, and not one of them."""

    async def scenario(world: World) -> None:
        await filed(world, b"one", b"two", b"three")
        path = world.engine.path(ACCOUNT.id)
        world.engine.handles.sweep(everything=True)
        older = path.with_name("older")
        shutil.copyfile(path, older)
        client = await world.client(b"SELECT INBOX", b"STORE 2 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
        world.engine.handles.sweep(everything=True)
        older.replace(path)
        for _ in range(3):
            found = await client.ok(b"FETCH 1:* " + listing)
            assert re.findall(rb"^\* (\d+) FETCH \(UID (\d+)", found, re.MULTILINE)[:2] == [(b"1", b"1"), (b"2", b"3")]
            if b"ENVELOPE" in listing:
                assert b'"two"' not in found
                assert found.index(b'"one"') < found.index(b"(UID 3 ") < found.index(b'"three"')
        # The session cannot go on: it has no number for what is there again.
        assert b"* BYE [UNAVAILABLE] An older state" in await client.do(b"NOOP")
        assert b"* 3 EXISTS" in await (await world.client()).ok(b"SELECT INBOX")

    run(scenario)


def test_a_header_of_which_not_all_is_stored_is_read_though_its_envelope_is_kept() -> None:
    """A message may have more fields than are kept beside it: what is known of its ENVELOPE says nothing of those."""

    async def scenario(world: World) -> None:
        await filed(world, b"one", b"two")
        many = b"".join(b"X-Filler-%d: %b\r\n" % (n, b"y" * 500) for n in range(4_000))
        await world.file(many + MESSAGE % (b"behind", b"many", b"x"))
        client = await world.client(b"SELECT INBOX")
        for _ in range(3):
            await client.ok(b"FETCH 1:* (ENVELOPE)")
            for listing in (b"(ENVELOPE %b)" % SUBJECT, b"(ENVELOPE %b<0.16>)" % SUBJECT):
                assert b"Subject: behind" in await client.ok(b"FETCH 1:* " + listing)

    run(scenario)


def test_of_others_mailboxes_nothing_is_kept() -> None:
    """Each reading asks for the right to it."""

    async def scenario(world: World) -> None:
        await people(world)
        bob = await world.client(b"SETACL Projects ann@example.org lr", user=b"bob")
        ann = await world.client(b'SELECT "%b/Projects"' % BOB.encode(), user=b"ann")
        for _ in range(2):
            assert (await ann.ok(b"FETCH 1:* (ENVELOPE)")).count(b"FETCH (") == 2
        assert not kept_columns(world)
        await bob.ok(b"SELECT Projects")
        await bob.ok(b"FETCH 1:* (ENVELOPE)")
        await bob.ok(b"FETCH 1:* (ENVELOPE)")
        assert len(kept_columns(world)) == 1
        await bob.ok(b'SETACL Projects ann@example.org ""')
        assert b"ENVELOPE" not in await ann.do(b"FETCH 1:* (ENVELOPE)")

    run(scenario)
