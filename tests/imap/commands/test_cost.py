"""What commands over many messages cost: store calls, not messages; and what a listening session holds."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections import Counter
from typing import Any

import pytest

from restante.imap.commands import contexts, fetch_body, fetch_rows, watching
from restante.imap.commands.fetch_body import BUDGET, SECTIONS, SELECTED_AT_ONCE, SMALL
from restante.mime import pieces
from restante.mime.analyse import analyse
from restante.mime.decode import decode_quoted_printable
from restante.mime.headers import FieldSelector
from restante.mime.model import Trait
from restante.mime.sections import decode_body
from restante.store import parts
from restante.store.interface import Store
from restante.store.model import Column, Flags, NewMessage

from ..session.support import SIMPLE, World, put_store, run

MANY = 1_200


class Counting:
    """A store that counts the calls it passes on."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: Counter[str] = Counter()
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:  # any method of a store
        method = getattr(self.store, name)

        def counted(*args: object, **kwargs: object) -> object:
            self.calls[name] += 1
            self.asked.append((name, args))
            return method(*args, **kwargs)

        return counted


async def fill(world: World, count: int) -> None:
    box = await world.store.mailbox("INBOX")
    assert box is not None
    data = SIMPLE % (b"many", b"x")
    blob, analysis = await world.store.put(data), analyse(data)
    await world.store.append(box.key, [NewMessage(blob, analysis, Flags(), 1_700_000_000)] * count)


def test_store_calls_do_not_grow_with_messages() -> None:
    async def scenario(world: World) -> None:
        await fill(world, MANY)
        client = await world.client(b"SELECT INBOX")
        store = Counting(world.store)
        put_store(client, store)
        for command, wanted in (
            (b"FETCH 1:* (FLAGS UID)", {"rows": 3}),
            (b"UID FETCH 1:* (ENVELOPE BODY.PEEK[HEADER.FIELDS (FROM)])", {"rows": 4}),
            (b"STORE 1:* +FLAGS (\\Flagged)", {"store_flags": 1, "rows": 3, "delta": 1}),
            (b"STORE 1:* +FLAGS.SILENT (\\Seen)", {"store_flags": 1, "rows": 2, "delta": 2}),
            (b"FETCH 1:* BODY.PEEK[]", {"rows": 3, "read_contents": 3}),
            (b"FETCH 1:* BODY[]", {"rows": 3, "read_contents": 3, "store_flags": 1}),
            (b"UID SEARCH SEEN", {"search": 1}),
            (b"STORE 1:* +FLAGS.SILENT (\\Deleted)", {"store_flags": 1}),
            (b"EXPUNGE", {"expunge": 1}),
        ):
            store.calls.clear()
            await client.ok(command)
            assert all(store.calls[name] <= most for name, most in wanted.items()), (command, store.calls)
            assert store.calls.total() <= 9, (command, store.calls)

    run(scenario)


@pytest.mark.parametrize("removed", [False, True])
def test_what_strangers_make_large_is_asked_for_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch, removed: bool) -> None:
    """500 ENVELOPEs at once would be half a gigabyte where each has a header of a megabyte."""

    async def scenario(world: World) -> None:
        await fill(world, 30)
        data = SIMPLE % (b"large", b"x" * 40_000)
        box = await world.store.mailbox("INBOX")
        assert box is not None
        message = NewMessage(await world.store.put(data), analyse(data), Flags(), 1_700_000_000)
        await world.store.append(box.key, [message] * 5)
        client = await world.client(b"SELECT INBOX")
        if removed:
            await world.store.expunge(box.key, ((2, 2),), deleted_only=False)
        command = b"FETCH 1:* (UID ENVELOPE)"  # which tells of no removal
        plain = await client.ok(command)
        monkeypatch.setattr(fetch_rows, "OCTETS", 90_000)
        store = Counting(world.store)
        put_store(client, store)
        assert await client.ok(command) == plain
        groups = [args[3] for name, args in store.asked if name == "rows" and args[2] != (Column.SIZE,)]
        if removed:
            assert max(groups) <= fetch_rows.UNWEIGHED
        else:
            assert groups == [32, 2, 1]

    run(scenario)


def test_a_search_among_few_messages_looks_at_these_alone() -> None:
    """SQLite would go by one bound of the UIDs, and not always by the narrowest of several."""

    async def scenario(world: World) -> None:
        await fill(world, MANY)
        client = await world.client(b"SELECT INBOX")
        store = Counting(world.store)
        put_store(client, store)
        for command, within in (
            (b"UID SEARCH UID 3:7 SUBJECT many", ((3, 7),)),
            (b"SEARCH 5:* 1:9,1198:* SUBJECT many", ((5, 9), (1198, MANY))),
            (b"UID SORT (DATE) UTF-8 UID 3:7 SUBJECT many", ((3, 7),)),
            (b"UID SEARCH OR UID 3:7 SUBJECT many", ((1, MANY),)),
            (b"UID SEARCH SUBJECT many", ((1, MANY),)),
        ):
            store.asked.clear()
            await client.ok(command)
            asked = [args for name, args in store.asked if name in ("search", "sort")]
            assert len(asked) == 1, command
            assert within in asked[0], (command, asked)

    run(scenario)


def test_headers_and_texts_build_no_part_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes) -> object:
        raise AssertionError("a part tree was built")

    async def scenario(world: World) -> None:
        await world.add(b"one", b"x" * 100_000, b"x" * 2_000_000)
        client = await world.client(b"SELECT INBOX")
        monkeypatch.setattr(parts, "decode", refuse)
        for section in (b"HEADER", b"TEXT", b"TEXT]<0.10", b"HEADER.FIELDS (X-ODD)", b"HEADER.FIELDS.NOT (TO)", b""):
            got = await client.ok(b"FETCH 1:* BODY.PEEK[%b%b" % (section, b">" if b"<" in section else b"]"))
            assert got.count(b" FETCH (BODY[") == 3

    run(scenario)


def test_fields_of_a_long_header_are_chosen_on_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of lines of three octets would hold up everybody for a tenth of a second."""
    here: dict[int, set[bool]] = {}
    select = FieldSelector.select

    def noted(self: FieldSelector, block: bytes) -> bytes:
        main = threading.current_thread() is threading.main_thread()
        here.setdefault(len(block) > SELECTED_AT_ONCE, set()).add(main)
        return select(self, block)

    async def scenario(world: World) -> None:
        await world.file(b"Subject: short\r\nTo: x\r\n\r\nbody\r\n")
        await world.file(b"a:\r\n" * SELECTED_AT_ONCE + b"Subject: long\r\n\r\nbody\r\n")
        await world.file(b"Subject: behind\r\nTo: y\r\n\r\nbody\r\n")
        client = await world.client(b"SELECT INBOX")
        monkeypatch.setattr(FieldSelector, "select", noted)
        got = await client.ok(b"FETCH 1:* BODY.PEEK[HEADER.FIELDS.NOT (A TO)]")
        assert got.count(b" FETCH (BODY[") == 3
        assert (
            got.index(b"Subject: short\r\n\r\n") < got.index(b"Subject: long\r\n\r\n") < got.index(b"Subject: behind")
        )
        assert here == {False: {True}, True: {False}}

    run(scenario)


@pytest.mark.parametrize("item", [b"BINARY.SIZE[1]", b"BINARY.PEEK[1]<0.5>"])
@pytest.mark.parametrize("number", [10, SMALL // 4, BUDGET // 4])
def test_pieces_of_base64_are_joined_on_a_thread(item: bytes, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message of 30 megabytes would hold up everybody for nine seconds."""
    here: list[bool] = []

    def noted(content: bytes, encoding: str) -> bytes | None:
        here.append(threading.current_thread() is threading.main_thread())
        return decode_body(content, encoding)

    async def scenario(world: World) -> None:
        await world.file(b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QQ==" * (number + 1))
        client = await world.client(b"SELECT INBOX")
        monkeypatch.setattr(fetch_body, "decode_body", noted)
        got = await client.ok(b"FETCH 1 " + item)
        assert b"%d" % (number + 1) in got or b"AAAAA" in got
        assert here == [number < SMALL // 4]

    run(scenario)


@pytest.mark.parametrize("item", [b"BINARY.SIZE[1]", b"BINARY.PEEK[1]<0.5>"])
def test_a_large_part_of_one_line_is_undone_on_a_thread(item: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 megabytes in one line of quoted-printable would hold up everybody for two seconds."""
    here: list[bool] = []

    def noted(data: bytes) -> bytes:
        here.append(threading.current_thread() is threading.main_thread())
        return decode_quoted_printable(data)

    async def scenario(world: World) -> None:
        await world.file(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=41" * BUDGET)
        client = await world.client(b"SELECT INBOX")
        monkeypatch.setattr(pieces, "decode_quoted_printable", noted)
        got = await client.ok(b"FETCH 1 " + item)
        assert b"%d" % BUDGET in got or b"AAAAA" in got
        assert here
        assert not any(here)

    run(scenario)


@pytest.mark.parametrize("item", [b"BODY.PEEK[]<%d.1>", b"BODY.PEEK[%d]"])
def test_thousands_of_sections_leave_others_their_turn(item: bytes) -> None:
    """Also where the client reads so fast that the session never waits for it."""

    async def scenario(world: World) -> None:
        await fill(world, 60)
        client = await world.client(b"SELECT INBOX")
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        try:
            got = await client.ok(b"FETCH 1:* (%b)" % b" ".join([item % number for number in range(1, 2_001)]))
        finally:
            task.cancel()
        assert got.count(b" FETCH (") == 60
        assert turns >= 60 * 2_000 // SECTIONS

    run(scenario)


def test_an_unchanged_mailbox_is_one_statement_to_ask() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        store = Counting(world.store)
        put_store(client, store)
        for command, calls in (
            (b"NOOP", {"delta": 1}),
            (b"STORE 1:* +FLAGS (\\Answered)", {}),
            (b"FETCH 1:* FLAGS", {}),
        ):
            store.calls.clear()
            await client.do(command)
            assert store.calls["delta"] <= calls.get("delta", 0), (command, store.calls)

    run(scenario)


def test_a_listening_session_is_small() -> None:
    async def scenario(world: World) -> None:
        await fill(world, MANY)
        for _ in range(2):  # what is loaded and shared at first use
            await (await world.client(b"SELECT INBOX")).idle()
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(40):
                await (await world.client(b"SELECT INBOX")).idle()
            gc.collect()
            each = (tracemalloc.get_traced_memory()[0] - before) / 40
        finally:
            tracemalloc.stop()
        assert each < 20_000  # with the test's own connection and client

    run(scenario)


def test_simplified_messages_answer_header_fields_from_their_octets() -> None:
    async def scenario(world: World) -> None:
        many = b"".join(b"X-Filler-%d: %b\r\n" % (n, b"y" * 500) for n in range(4_000))
        message = many + SIMPLE % (b"late", b"body")
        analysis = analyse(message)
        assert analysis.traits & Trait.SIMPLIFIED
        assert b"Subject" not in analysis.headers  # what is stored cannot answer
        await world.file(message)
        client = await world.client(b"SELECT INBOX")
        assert b"Subject: late\r\n" in await client.ok(b"FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")

    run(scenario)


def test_what_nobody_watches_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that did not use NOTIFY or UPDATE ask the store for nothing that only these want, whatever others do."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nobody has asked for this")

    for name in ("tell_removed", "tell_changed", "due_in", "keep"):
        monkeypatch.setattr(contexts, name, refuse)
    monkeypatch.setattr(watching.Notifications, "__init__", refuse)

    async def scenario(world: World) -> None:
        await fill(world, 20)
        client, other = await world.client(b"SELECT INBOX"), await world.client(b"SELECT INBOX")
        await other.ok(b"CREATE Elsewhere")
        store = Counting(world.store)
        put_store(client, store)
        await client.idle()
        for command in (b"STORE 1:5 +FLAGS (\\Seen)", b"COPY 1:5 Elsewhere", b"STORE 2 +FLAGS (\\Deleted)", b"EXPUNGE"):
            await other.ok(command)
        await client.pushed(b"EXPUNGE")
        await client.raw(b"DONE\r\n", b"t3")
        for command in (b"SEARCH UNSEEN", b"UID SORT (DATE) UTF-8 ALL", b"FETCH 1:* FLAGS", b"NOOP", b"CHECK"):
            await client.ok(command)
        assert store.calls["changes"] == store.calls["last_change"] == store.calls["annotations"] == 0
        assert store.calls["delta"] <= 8

    run(scenario)
