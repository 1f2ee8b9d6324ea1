"""The side that is an account of a store: the suite of all sides, and what is its own."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.analysts import pool
from restante.analysts.work import Work
from restante.clock import SystemClock, system_random
from restante.machine import cores
from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS
from restante.store.model import Column, ReadyMessage
from restante.store.quota import Quota
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.glance import glance
from restante.sync.local import LocalSide, Opened, open_local
from restante.sync.local.filing import Filing
from restante.sync.local.reading import ODD
from restante.sync.model import Added, FlagChange, Message
from restante.sync.outline import digest, ident, mark
from restante.sync.side import Headers, MailboxUnavailable, Side, SideUnavailable
from restante.testing.server import RestanteServer

from .sides import NONE, SEEN, SideSuite, message, octets

ACCOUNT = "a1b2c3"


def make_account(data: Path) -> None:
    """An account's file with an INBOX. In a thread, since a test's loop may be running."""

    async def make() -> None:
        engine = SqliteEngine(data, SystemClock(), system_random)
        await engine.create_account(ACCOUNT)
        await engine.close()

    if not data.exists():
        data.mkdir()
        maker = threading.Thread(target=lambda: asyncio.run(make()))
        maker.start()
        maker.join()


def local(data: Path, *, largest: int = 1 << 30, **options: Any) -> LocalSide:
    return open_local(
        data,
        ACCOUNT,
        lambda: Opened(SqliteEngine(data, SystemClock(), system_random, **options), DEFAULT_LIMITS, largest),
    )


def run(data: Path, act: Callable[[LocalSide], Awaitable[None]], **options: Any) -> None:
    make_account(data)

    async def go() -> None:
        side = local(data, **options)
        try:
            await side.open()
            await act(side)
        finally:
            await side.close()

    asyncio.run(go())


class TestLocal(SideSuite):
    def make(self, folder: Path) -> Side:
        make_account(folder / "data")
        side = local(folder / "data")
        assert isinstance(side, Headers)
        return side


# What a run costs that finds nothing to do --------------------------------------------------------------


def test_a_look_at_all_mailboxes_loads_no_engine(tmp_path: Path) -> None:
    make_account(tmp_path / "data")
    code = f"""
import asyncio, pathlib, sys
from restante.sync.local import open_local
async def act():
    side = open_local(pathlib.Path({str(tmp_path / "data")!r}), {ACCOUNT!r})
    await side.open()
    print(*[place.name for place in await side.places()])
    await side.close()
asyncio.run(act())
heavy = ("sqlite.engine", "store.model", "store.directory", "mime", "query", "exchange", "zstandard")
print(*[name for name in sys.modules if any(f".{{each}}" in f".{{name}}" for each in heavy)])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["INBOX", ""]


def test_a_glance_says_what_the_store_says(tmp_path: Path) -> None:
    async def act(side: LocalSide) -> None:
        await side.create("Work/Deep", "\\Archive")
        await side.create("Émile", None)
        await side.create("inbox/below", None)
        await side.subscribe("Émile", True)
        await side.add("Work/Deep", [message(n) for n in range(3)])
        await side.remove("Work/Deep", [2])
        opened = await side.places()
        other = local(tmp_path / "data")
        await other.open()
        try:
            assert await other.places() == opened
            assert other._store is None
        finally:
            await other.close()

    run(tmp_path / "data", act)


def test_a_file_put_back_from_a_backup_is_left_to_the_engine(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def first(side: LocalSide) -> None:
        await side.add("INBOX", [message(1)])
        cursors.append((await side.changes("INBOX", None)).cursor)

    async def again(side: LocalSide) -> None:
        assert (await side.changes("INBOX", cursors[0])).full  # what was given out since the copy is not known

    cursors: list[str] = []
    run(data, first)
    (file,) = data.glob("accounts/*/*.db")
    assert glance(data, ACCOUNT) is not None
    shutil.copy(file, tmp_path / "copy")
    for beside in data.glob("accounts/*/*.db*"):
        beside.unlink()
    shutil.copy(tmp_path / "copy", file)
    assert glance(data, ACCOUNT) is None
    run(data, again)
    assert glance(data, ACCOUNT) is not None


def test_what_is_not_there_is_unavailable_and_not_made(tmp_path: Path) -> None:
    async def go(data: Path, account: str) -> None:
        side = open_local(data, account)
        try:
            with pytest.raises(SideUnavailable):
                await side.open()
        finally:
            await side.close()

    asyncio.run(go(tmp_path / "unmounted", "anna@example.org"))
    asyncio.run(go(tmp_path / "unmounted", ACCOUNT))
    assert list(tmp_path.iterdir()) == []
    make_account(tmp_path / "data")
    asyncio.run(go(tmp_path / "data", "nobody"))
    asyncio.run(go(tmp_path / "data", "../a1b2c3"))


def test_an_account_goes_by_its_address(restante_server: RestanteServer) -> None:
    restante_server.add_account("Anna@example.org", "secret")
    restante_server.put("anna@example.org", octets(1))
    data = restante_server.engine.data  # type: ignore[attr-defined]  # of the SQLite engine

    async def go() -> None:
        side = open_local(data, "anna@EXAMPLE.org")
        await side.open()
        try:
            assert (await side.places())[0].messages == 1
            assert side._store is None
            assert [one.data async for one in side.fetch("INBOX", [1])] == [octets(1)]
        finally:
            await side.close()

    asyncio.run(go())


@pytest.mark.parametrize("account", ["J\u00fcrgen@B\u00fccher.example", "j\u00fcrgen@xn--bcher-kva.example."])
def test_an_address_is_found_however_its_domain_is_written(restante_server: RestanteServer, account: str) -> None:
    restante_server.add_account("j\u00fcrgen@b\u00fccher.example", "secret")
    data = restante_server.engine.data  # type: ignore[attr-defined]  # of the SQLite engine

    async def go() -> None:
        side = open_local(data, account)
        await side.open()
        try:
            assert "INBOX" in [place.name for place in await side.places()]
            assert side.sign is not None
            assert side.sign.startswith("the store's j\u00fcrgen@xn--bcher-kva.example (")
        finally:
            await side.close()

    asyncio.run(go())


# Reading ----------------------------------------------------------------------------------------------


LINES = st.lists(
    st.sampled_from(
        [
            b"From: a@b\r\n", b"from : c <c@d>\r\n", b"Subject: one\r\n two\r\n\tthree\r\n", b"Subject: \r\n",
            b"To: x\n", b"TO: a\0b\r\n", b"Date: 1\r\n", b"Message-ID:\r\n <a@b>\r\n", b"Message-ID: <c@d>\r\n",
            b"X: From: e\r\n", b" continued\r\n", b"no field\r\n", b"From: \xff\xfe\r\n", b"Subject: a\rb\r\n",
            b"\r\n", b"\n", b"body\r\n", b"From me Mon\r\n", b"Date : 2\n\t3\n", b" \r\n", b"\t\n", b"To:\r\n",
            b"To: no end",
        ]
    ),
    max_size=9,
)  # fmt: skip


@given(LINES)
def test_cached_fields_have_the_marks_of_the_octets(lines: list[bytes]) -> None:
    data = b"".join(lines)
    made = analyse(data, DEFAULT_LIMITS)
    if not made.traits & ODD:
        assert mark(made.headers) == mark(data)
        assert ident(made.headers) == ident(data)


def test_outlines_have_the_marks_of_the_octets(tmp_path: Path) -> None:
    odd = [
        b"Subject: a\0b\r\nFrom: x\r\n\r\nText\r\n",
        b"Subject: bare\nTo: y\n\nText\nFrom: z\n",
        b"Subject: cr\rin it\r\n\r\n",
        octets(3),
        b"",
    ]

    async def act(side: LocalSide) -> None:
        await side.add("INBOX", [Message(0, data, NONE, 1000 + n) for n, data in enumerate(odd)])
        found = await side.outlines("INBOX", range(1, 100))
        assert [one.mark for one in found] == [mark(data) for data in odd]
        assert [one.ident for one in found] == [ident(data) for data in odd]
        assert [one.digest for one in found] == [digest(data) for data in odd]
        assert [one.size for one in found] == [len(data) for data in odd]
        assert [one.received for one in found] == [1000, 1001, 1002, 1003, 1004]

    run(tmp_path / "data", act)


def test_columns_are_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROWS", "MESSAGES"):
        monkeypatch.setattr(f"restante.sync.local.reading.{name}", 3)
    monkeypatch.setattr("restante.sync.local.reading.OCTETS", 250)

    async def act(side: LocalSide) -> None:
        await side.add("INBOX", [message(n, SEEN if n % 2 else NONE) for n in range(10)])
        everything = await side.changes("INBOX", None)
        assert list(everything.uids) == list(range(1, 11))
        assert everything.flags == [NONE, SEEN] * 5
        outlines = await side.outlines("INBOX", [1, 2, 3, 5, 6, 8, 9, 10, 11])
        assert [one.uid for one in outlines] == [1, 2, 3, 5, 6, 8, 9, 10]
        assert [one.uid async for one in side.fetch("INBOX", [10, 3, 2, 5, 6, 7, 8])] == [2, 3, 5, 6, 7, 8, 10]
        assert len(await side.headers("INBOX", range(1, 11))) == 10
        await side.set_flags("INBOX", [FlagChange(range(1, 8), frozenset({"\\Flagged"}), NONE)])
        changed = await side.changes("INBOX", everything.cursor)
        assert not changed.full
        assert list(changed.uids) == list(range(1, 8))
        assert everything.emails is not None
        assert changed.emails == everything.emails[:7]

    run(tmp_path / "data", act)


# Filing -----------------------------------------------------------------------------------------------


def test_what_cannot_be_kept_is_refused_by_itself(tmp_path: Path) -> None:
    async def act(side: LocalSide) -> None:
        answers = await side.add(
            "INBOX",
            [
                message(1, frozenset({"two words"})),
                message(2),
                Message(0, octets(3, b"x" * 5000), NONE, 1),
                message(4, SEEN),
            ],
        )
        assert [one.uid for one in answers] == [0, 1, 0, 2]
        assert [one.temporary for one in answers] == [False] * 4
        assert "two words" in (answers[0].refused or "")
        assert "4000 octets" in (answers[2].refused or "")
        assert (answers[1].refused, answers[3].refused) == (None, None)
        with pytest.raises(MailboxUnavailable, match="two words"):
            await side.set_flags("INBOX", [FlagChange([1], frozenset({"two words"}), NONE)])

    run(tmp_path / "data", act, largest=4000)


def test_past_the_quota_what_fits_is_taken_and_the_rest_may_be_tried_again(tmp_path: Path) -> None:
    async def act(side: LocalSide) -> None:
        sizes = [100, 5000, 100, 100]
        answers = await side.add("INBOX", [Message(0, octets(n, b"x" * size), NONE, 1) for n, size in enumerate(sizes)])
        assert [bool(one.uid) for one in answers] == [True, False, True, True]
        assert answers[1].temporary
        assert answers[1].refused
        await side.create("Other", None)
        await side.add("INBOX", [Message(0, octets(4, b"x" * 2500), NONE, 1)])
        with pytest.raises(MailboxUnavailable):
            await side.copy("INBOX", [1, 2, 3, 4], "Other")

    run(tmp_path / "data", act, quota_default=Quota(storage=4000))


def test_past_the_keywords_what_has_known_ones_is_taken(tmp_path: Path) -> None:
    async def act(side: LocalSide) -> None:
        answers = await side.add("INBOX", [message(n, frozenset({f"key{n % 3}"})) for n in range(4)])
        assert [one.uid for one in answers] == [1, 2, 0, 3]
        assert answers[2].refused
        with pytest.raises(MailboxUnavailable):
            await side.set_flags("INBOX", [FlagChange([1], frozenset({"another"}), NONE)])

    run(tmp_path / "data", act, keywords=2)


def test_names_that_the_store_refuses_leave_their_mailbox_out(tmp_path: Path) -> None:
    async def act(side: LocalSide) -> None:
        for name in ("x" * 300, "/".join("x" * 60), "a//b", "bell\a"):
            with pytest.raises(MailboxUnavailable):
                await side.create(name, None)
        for name in ("INBOX", "Nowhere"):
            with pytest.raises(MailboxUnavailable):
                await side.delete(name)
        assert [place.name for place in await side.places()] == ["INBOX"]

    run(tmp_path / "data", act)


def test_identities_of_another_restante_are_taken_over_and_no_others(tmp_path: Path) -> None:
    email, thread = "m" + "a2" * 13, "t" + "b3" * 13

    async def act(side: LocalSide) -> None:
        ours = Message(0, octets(1), NONE, 5, email, thread)
        await side.create("Other", None)
        await side.add("INBOX", [ours, Message(0, octets(2), NONE, 5, "M6e99ac275695b8dbe4fae3ff", "T1")])
        await side.add("Other", [ours])
        await side.add("Other", [Message(0, octets(3), NONE, 5, email, thread)])  # other octets: another email
        found = [(one.email, one.thread) async for one in side.fetch("INBOX", [1, 2])]
        assert found[0] == (email, thread)
        assert found[1][0] != "M6e99ac275695b8dbe4fae3ff"
        assert [one.email == email async for one in side.fetch("Other", [1, 2])] == [True, False]

    run(tmp_path / "data", act)


def test_the_uidl_of_an_old_server_stays(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def act(side: LocalSide) -> None:
        await side.add("INBOX", [Message(0, octets(1), NONE, 5, uidl="0000000a4b9c"), Message(0, octets(2), NONE, 5)])

    async def look() -> list[str]:
        engine = SqliteEngine(data, SystemClock(), system_random)
        try:
            return [each.uidl for each in await engine.account(ACCOUNT).maildrop()]
        finally:
            await engine.close()

    run(data, act)
    uidls = asyncio.run(look())
    assert uidls[0] == "0000000a4b9c"
    assert uidls[1].startswith("m")


def test_equal_octets_are_stored_once(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def act(side: LocalSide) -> None:
        await side.create("Other", None)
        large = octets(1, b"".join(b"%d\r\n" % number for number in range(100_000)))
        for name in ("INBOX", "Other", "INBOX"):
            await side.add(name, [Message(0, large, NONE, 5)] * 3)
        assert len({one.digest for one in await side.outlines("INBOX", range(1, 10))}) == 1
        rows = await (await side._there()).rows(1, ((1, 10),), (Column.CONTENT,), 10)
        assert len({content for _, content in rows}) == 1

    run(data, act)


def test_a_first_copy_is_not_announced_as_new_mail(tmp_path: Path) -> None:
    async def fill(side: LocalSide) -> None:
        await side.create("Old", None)
        await side.add("Old", [message(1), message(2)])
        await side.add("INBOX", [message(3)])

    async def more(side: LocalSide) -> None:
        await side.add("Old", [message(4)])
        store = await side._there()
        recent = {box.name: (box.uidnext - 1, box.recent_uid) for box in await store.mailboxes()}
        assert recent == {"INBOX": (1, 0), "Old": (3, 2)}

    run(tmp_path / "data", fill)
    run(tmp_path / "data", more)


def test_a_role_of_a_mailbox_never_used_moves(tmp_path: Path) -> None:
    async def act(side: LocalSide) -> None:
        await side.create("Sent", "\\Sent")
        assert (await side.create("Sent Messages", "\\Sent")).role == "\\Sent"
        await side.add("Sent Messages", [message(1)])
        assert (await side.create("Third", "\\Sent")).role is None
        assert not await side.set_role("Third", "\\Sent")
        assert not await side.set_role("Third", "\\Unknown")

    run(tmp_path / "data", act)


def test_search_is_left_to_others(tmp_path: Path) -> None:
    """The texts of bodies are half of all the work on a message; a copy does not wait for them."""

    async def act(side: LocalSide) -> None:
        await side.add("INBOX", [message(n) for n in range(200)])
        await side.changes("INBOX", None)

    run(tmp_path / "data", act)
    (file,) = (tmp_path / "data").glob("accounts/*/*.db")
    db = apsw.Connection(str(file))
    assert db.execute("SELECT count(*) FROM email").get == 200
    assert db.execute("SELECT count(*) FROM body_text").get == 0
    db.close()
    assert not list((tmp_path / "data").glob("accounts/*/*.index"))


# Analysts ---------------------------------------------------------------------------------------------


def test_a_large_run_is_analysed_by_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MANY", 100)
    here: list[int] = []
    real = pool._here

    def counted(messages: Sequence[bytes], work: Work[Any]) -> list[Any]:
        here.append(len(messages))
        return real(messages, work)

    monkeypatch.setattr(pool, "_here", counted)

    async def act(side: LocalSide) -> None:
        await side.create("Other", None)
        for start in range(0, 1000, 250):
            answers = await side.add("INBOX", [message(n) for n in range(start, start + 250)])
            assert [one.uid for one in answers] == list(range(start + 1, start + 251))
        both = await asyncio.gather(*(side.add(name, [message(n) for n in range(300)]) for name in ("INBOX", "Other")))
        assert [one.uid for one in both[1]] == list(range(1, 301))
        found = [(one.uid, one.data) async for one in side.fetch("INBOX", range(1, 1001))]
        assert found == [(n + 1, octets(n)) for n in range(1000)]
        assert [one.mark for one in await side.outlines("INBOX", [7])] == [mark(octets(6))]

    run(tmp_path / "data", act)
    assert sum(here) <= 250


@pytest.mark.parametrize("number", [pool.EXPECTED - 1, pool.EXPECTED])
def test_analysts_start_before_the_messages_are_there_where_many_are_coming(tmp_path: Path, number: int) -> None:
    async def act(side: LocalSide) -> None:
        await side.changes("INBOX", None)
        side.coming(number)
        assert side._filing is not None
        assert bool(side._filing._analysts._processes._all) == (number >= pool.EXPECTED and cores() > 1)
        side.expect(messages := [message(n) for n in range(300)])
        assert [one.uid for one in await side.add("INBOX", messages)] == list(range(1, 301))
        assert not side._filing._expected, "what was added is kept no longer"

    run(tmp_path / "data", act)


@pytest.mark.parametrize("number", [pool.EXPECTED - 1, pool.EXPECTED])
def test_a_store_that_was_only_glanced_at_is_opened_where_many_are_coming(tmp_path: Path, number: int) -> None:
    async def act(side: LocalSide) -> None:
        await side.places()
        assert side._store is None
        side.coming(number)
        side.coming(number)
        if side._opening_soon is not None:
            await side._opening_soon
        assert (side._filing is not None) == (number >= pool.EXPECTED)
        if side._filing is not None:
            assert bool(side._filing._analysts._processes._all) == (cores() > 1)
        side.expect(messages := [message(n) for n in range(300)])
        assert [one.uid for one in await side.add("INBOX", messages)] == list(range(1, 301))

    run(tmp_path / "data", act)


def test_an_account_that_is_gone_is_told_to_who_adds(tmp_path: Path) -> None:
    async def act(side: LocalSide) -> None:
        await side.places()
        for path in (tmp_path / "data").glob("accounts/*/*"):
            path.unlink()
        side.coming(pool.EXPECTED)
        assert side._opening_soon is not None
        await side._opening_soon
        with pytest.raises(SideUnavailable):
            await side.add("INBOX", [message(1)])

    run(tmp_path / "data", act)


def test_a_copy_given_up_ends_its_analysts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MANY", 1)
    filings = []
    begun, go_on, append = list[int](), asyncio.Event(), Filing._append

    async def appended(self: Filing, mailbox: int, messages: list[ReadyMessage]) -> list[Added]:
        begun.append(len(messages))
        if len(begun) > 1:  # the copy is not over before it is given up
            await go_on.wait()
        return await append(self, mailbox, messages)

    monkeypatch.setattr(Filing, "_append", appended)

    async def act(side: LocalSide) -> None:
        adding = asyncio.create_task(side.add("INBOX", [message(n) for n in range(3000)]))
        other = local(tmp_path / "data")
        await other.open()
        await other.places()
        await other.wait(["INBOX"])
        await other.close()
        assert side._filing is not None
        filings.append(side._filing)
        adding.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await adding

    run(tmp_path / "data", act)
    assert filings[0]._analysts._processes._all or cores() == 1
    assert all(one._process.returncode is not None for one in filings[0]._analysts._processes._all)

    async def look(side: LocalSide) -> None:
        found = [(one.uid, one.data) async for one in side.fetch("INBOX", range(1, 3001))]
        assert found
        assert found == [(n + 1, octets(n)) for n in range(len(found))]

    run(tmp_path / "data", look)


# Together with others ----------------------------------------------------------------------------------


def test_only_what_others_do_ends_a_wait(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def act(side: LocalSide) -> None:
        await side.create("Other", None)
        await side.places()
        await side.add("INBOX", [message(1)])
        await side.set_flags("INBOX", [FlagChange([1], SEEN, NONE)])
        other = local(data)
        await other.open()
        try:
            waiting = asyncio.create_task(side.wait(["INBOX"]))
            await other.add("Other", [message(2)])  # not asked for
            assert not waiting.done()
            await other.add("INBOX", [message(3)])
            async with asyncio.timeout(30):
                assert await waiting == {"INBOX"}
            await side.places()
            for change in (
                lambda: other.create("New", None),
                lambda: other.subscribe("New", True),
                lambda: other.rename("New", "Newer"),
                lambda: other.set_role("Newer", "\\Archive"),
                lambda: other.delete("Newer"),
            ):
                waiting = asyncio.create_task(side.wait(["INBOX"]))
                await change()
                async with asyncio.timeout(30):
                    assert await waiting == {""}
                await side.places()
        finally:
            await other.close()

    run(data, act)


def test_an_account_that_is_removed_ends_a_wait(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def act(side: LocalSide) -> None:
        await side.places()
        waiting = asyncio.create_task(side.wait(["INBOX"]))
        await asyncio.sleep(0)
        engine = SqliteEngine(data, SystemClock(), system_random)
        await engine.delete_account(ACCOUNT)
        await engine.close()
        with pytest.raises(SideUnavailable):
            async with asyncio.timeout(30):
                await waiting

    run(data, act)


ADD = """
import asyncio, pathlib, sys
from restante.sync.local import open_local
from restante.sync.model import Message
async def act():
    side = open_local(pathlib.Path(sys.argv[1]), sys.argv[2])
    await side.open()
    (added,) = await side.add("INBOX", [Message(0, b"Subject: by another process\\r\\n\\r\\n", frozenset(), 5)])
    print(added.uid)
    await side.close()
asyncio.run(act())
"""


def test_a_session_that_idles_hears_of_what_a_copy_brings(
    restante_server: RestanteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restante.store.sqlite.hints.POLL", 3600.0)  # by the copy's word, not by a look at the files
    restante_server.add_account("anna@example.org", "secret")
    data = restante_server.engine.data  # type: ignore[attr-defined]  # of the SQLite engine
    with socket.create_connection((restante_server.host, restante_server.imap), 10) as connection:
        stream = connection.makefile("rb")

        def until(beginning: bytes) -> bytes:
            for line in stream:
                if line.startswith(beginning):
                    return line
            raise AssertionError("the server has closed the connection")

        connection.sendall(b"a LOGIN anna@example.org secret\r\nb SELECT INBOX\r\nc IDLE\r\n")
        until(b"+")
        done = subprocess.run(
            [sys.executable, "-c", ADD, str(data), "anna@example.org"], check=True, capture_output=True, text=True
        )
        assert done.stdout.split() == ["1"]
        until(b"* 1 EXISTS")


def test_server_and_copy_write_at_the_same_time(restante_server: RestanteServer) -> None:
    restante_server.add_account("anna@example.org", "secret")
    data = restante_server.engine.data  # type: ignore[attr-defined]  # of the SQLite engine
    number = 120

    def deliver() -> None:
        for n in range(number):
            restante_server.put("anna@example.org", octets(1000 + n))

    async def copy() -> None:
        side = open_local(data, "anna@example.org")
        await side.open()
        try:
            delivering = asyncio.create_task(asyncio.to_thread(deliver))
            for start in range(0, number, 10):
                answers = await side.add("INBOX", [message(n) for n in range(start, start + 10)])
                assert all(one.uid for one in answers)
                await side.set_flags("INBOX", [FlagChange([one.uid for one in answers], SEEN, NONE)])
            await delivering
        finally:
            await side.close()

    asyncio.run(copy())
    mail = restante_server.mail("anna@example.org")
    assert [one.uid for one in mail] == list(range(1, 2 * number + 1))
    assert {one.data for one in mail if one.flags} == {octets(n) for n in range(number)}
    assert {one.data for one in mail if not one.flags} == {octets(1000 + n) for n in range(number)}
