"""Mail in a file that is broken somewhere: what can be read is given, what cannot is told."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any, cast

import apsw
import pytest

from restante.store.errors import StoreFailed
from restante.store.model import Column
from tests.imap.session.support import ACCOUNT, World, put_store, run

LARGE = b"x" * 300_000


def break_message(world: World, uid: int) -> None:
    """Take a message's octets away, as a broken page does."""
    with closing(sqlite3.connect(world.engine.path(ACCOUNT.id))) as db, db:
        db.execute(
            "DELETE FROM chunk WHERE key >> 20 IN (SELECT e.content FROM placement p JOIN email e ON e.key = p.email"
            " WHERE p.uid = ?)",
            (uid,),
        )


def break_page(world: World, table: str) -> None:
    """Spoil a page in the middle of a table, in the file itself."""
    path = world.engine.path(ACCOUNT.id)
    with closing(apsw.Connection(str(path))) as db:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        leaves = list(db.execute("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'", (table,)))
        size = db.pragma("page_size")
    with path.open("r+b") as file:
        file.seek((leaves[len(leaves) // 2][0] - 1) * size)
        file.write(b"\xff" * size)


@pytest.mark.parametrize(
    ("items", "bodies"),
    [
        (b"BODY.PEEK[]", (b"one", b"three", LARGE)),
        (b"(UID BODY.PEEK[])", (b"one", b"three", LARGE)),
        (b"(BODY.PEEK[TEXT])", (b"one", b"three")),
        (b"(BODY.PEEK[HEADER] BODY.PEEK[1])", (b"one", b"three")),
    ],
)
def test_one_damaged_message_keeps_nobody_from_the_others(items: bytes, bodies: tuple[bytes, ...]) -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three", LARGE)
        break_message(world, 2)
        client = await world.client(b"SELECT INBOX")
        got = await client.do(b"FETCH 1:4 " + items)
        assert re.findall(rb"\* (\d+) FETCH", got) == [b"1", b"3", b"4"]
        assert all(body in got for body in bodies)
        assert b"T NO [CORRUPTION] " in got
        assert b"* 2 FETCH (FLAGS" in await client.ok(b"FETCH 2 FLAGS")
        assert b"T NO [CORRUPTION] " in await client.do(b"FETCH 2 " + items)
        assert b"T OK" in await client.do(b"FETCH 3:4 " + items)

    run(scenario)


@pytest.mark.parametrize(
    "ask",
    [
        b"NOTIFY SET (SELECTED (MessageNew (UID BODY.PEEK[]) MessageExpunge))",
        b"UID SEARCH RETURN (UPDATE (UID BODY.PEEK[])) ALL",
    ],
)
def test_a_damaged_message_that_comes_ends_no_session_that_wants_all_that_come(ask: bytes) -> None:
    async def scenario(world: World) -> None:
        other = await world.client(b"CREATE Other")
        await world.add(b"two", mailbox="Other")
        break_message(world, 1)  # before it comes: the session looks at what comes when it likes
        await world.add(b"one")
        client = await world.client(b"SELECT INBOX", ask)
        await other.ok(b"SELECT Other")
        await other.ok(b"COPY 1 INBOX")
        await world.add(b"three")
        got = await client.ok(b"NOOP") + await client.ok(b"NOOP")
        assert re.findall(rb"\* (\d+) FETCH", got) == [b"3"]
        assert b"three" in got
        assert b"T NO [CORRUPTION] " in await client.do(b"FETCH 2 BODY.PEEK[]")

    run(scenario)


def test_a_large_message_whose_header_cannot_be_read_ends_no_session() -> None:
    """It is read in pieces: nothing of its response may have gone out before the first."""

    async def scenario(world: World) -> None:
        await world.add(b"one", LARGE, LARGE, b"four")
        break_message(world, 2)
        client = await world.client(b"SELECT INBOX")
        for items in (b"(FLAGS BODY.PEEK[HEADER])", b"BODY.PEEK[HEADER.FIELDS (X-OTHER)]", b"BODY.PEEK[TEXT]<0.10>"):
            got = await client.do(b"FETCH 1:4 " + items)
            assert re.findall(rb"\* (\d+) FETCH", got) == [b"1", b"3", b"4"]
            assert b"T NO [CORRUPTION] " in got
        await client.ok(b"NOOP")

    run(scenario)


@pytest.mark.parametrize("items", [b"ENVELOPE", b"(UID BODY.PEEK[HEADER])", b"(UID BODYSTRUCTURE FLAGS)"])
def test_a_broken_page_of_answers_hides_the_messages_that_lie_there_alone(items: bytes) -> None:
    async def scenario(world: World) -> None:
        await world.add(*(b"%d" % number for number in range(200)))
        break_page(world, "answer")
        client = await world.client(b"SELECT INBOX")
        for _ in range(2):  # what was left out is not kept as what there is
            got = await client.do(b"FETCH 1:* " + items)
            numbers = [int(number) for number in re.findall(rb"\* (\d+) FETCH", got)]
            assert len(numbers) > 150
            assert numbers == sorted(set(numbers))
            assert {1, 200} <= set(numbers)
            assert b"T NO [CORRUPTION] " in got

    run(scenario)


class BadSector:
    """A store on whose disk the octets of one message, and the answers of another, cannot be read any more."""

    def __init__(self, store: Any, content: int, uid: int) -> None:  # any object with a store's methods
        self._store, self._content, self._uid = store, content, uid

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def rows(
        self, mailbox: int, ranges: Any, columns: Sequence[Column], limit: int, *, removed: bool = False
    ) -> Any:
        if Column.TRAITS in columns and any(low <= self._uid <= high for low, high in ranges):
            raise StoreFailed("The mail store could not be read or written.")
        return await self._store.rows(mailbox, ranges, columns, limit, removed=removed)

    async def read_contents(self, contents: Sequence[int]) -> list[bytes]:
        if self._content in contents:
            raise StoreFailed("The mail store could not be read or written.")
        found: list[bytes] = await self._store.read_contents(contents)
        return found


@pytest.mark.parametrize("items", [b"(UID BODY.PEEK[])", b"BODY.PEEK[HEADER]"])
def test_a_sector_that_cannot_be_read_keeps_nobody_from_the_other_mail(items: bytes) -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three", b"four", b"five")
        client = await world.client(b"SELECT INBOX")
        (row,) = await world.store.rows(client.session.view.mailbox.key, ((2, 2),), (Column.CONTENT,), 1)
        put_store(client, BadSector(world.store, cast("int", row[1]), 4))
        got = await client.do(b"FETCH 1:* " + items)
        assert re.findall(rb"\* (\d+) FETCH", got) == [b"1", b"3", b"5"]
        assert b"T NO [UNAVAILABLE] " in got

    run(scenario)
