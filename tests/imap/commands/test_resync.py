"""QRESYNC where the removal log is too short, and the client's own pairs. RFC 7162 3.2.5.2, 3.2.6."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.imap.commands import resync
from restante.imap.commands.resync import absent, matched_uid
from restante.imap.grammar.commands import QResync
from restante.imap.session.view import View
from restante.query.language import Sequence
from restante.store.model import FlagMode, Flags, Mailbox, Snapshot, UidList

from ..session.support import World, run


def view_of(*uids: int) -> View:
    box = Mailbox(1, "b1", "INBOX", None, 7, uids[-1] + 10, 5, 0, len(uids), 0, 0, 0, 0, False)
    return View(Snapshot(box, UidList.of(uids)), read_only=False)


def test_absent_parts_of_a_set() -> None:
    view = view_of(3, 4, 9)
    assert absent(view, [(1, 9)]) == [(1, 2), (5, 8)]
    assert absent(view, [(3, 4)]) == []
    assert absent(view, [(10, 12)]) == [(10, 12)]
    assert absent(view, [(4, 5), (8, 10)]) == [(5, 5), (8, 8), (10, 10)]


PAIRS = [
    pytest.param(((1, 1),), ((3, 3),), 3, id="one that matches"),
    pytest.param(((1, 2),), ((3, 3), (8, 8)), 3, id="the second does not"),
    pytest.param(((1, 3),), ((3, 4), (9, 9)), 9, id="all match"),
    pytest.param(((1, 1),), ((4, 4),), 0, id="none"),
    pytest.param(((1, 4294967295),), ((3, 4294967295),), 4, id="long ranges end with the mailbox"),
    pytest.param(((1, 2), (3, 3)), ((3, 4),), 4, id="the sets are not of one length"),
    pytest.param(((2, 3),), ((4, 4), (9, 9)), 9, id="one range beside two"),
    pytest.param(((4, 4),), ((9, 9),), 0, id="there is no such message"),
]


@pytest.mark.parametrize(("numbers", "uids", "expected"), PAIRS)
def test_pairs_that_match(
    numbers: tuple[tuple[int, int], ...], uids: tuple[tuple[int, int], ...], expected: int
) -> None:
    asked = QResync(7, 1, None, Sequence(numbers), Sequence(uids, uid=True))
    assert matched_uid(view_of(3, 4, 9), asked) == expected


def test_pairs_cost_what_is_written_not_what_they_cover() -> None:
    """A line has room for 4,000 ranges over all messages: looked at one by one, a session stopped all others for a
    minute."""
    looked: list[int] = []

    class Counted:
        def __len__(self) -> int:
            return 10_000

        def __getitem__(self, at: int) -> int:
            looked.append(at)
            return at + 1

    view = view_of(1)
    uids: Any = Counted()
    view.uids = UidList(uids)
    written = ((1, 10_000),) * 100
    assert matched_uid(view, QResync(7, 1, None, Sequence(written), Sequence(written, uid=True))) == 10_000
    assert len(looked) < 100 * 20


@given(
    st.lists(st.integers(1, 14), unique=True, min_size=1).map(sorted),
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5)), max_size=4),
    st.lists(st.tuples(st.integers(1, 14), st.integers(0, 5)), max_size=4),
)
def test_pairs_in_runs_match_as_pairs_do(
    there: list[int], numbers: list[tuple[int, int]], uids: list[tuple[int, int]]
) -> None:
    one, other = (tuple((low, low + more) for low, more in some) for some in (numbers, uids))
    best = 0
    each = (chain.from_iterable(range(low, high + 1) for low, high in some) for some in (one, other))
    for number, uid in zip(*each, strict=False):
        if number > len(there) or there[number - 1] != uid:
            break
        best = uid
    asked = QResync(7, 1, None, Sequence(one), Sequence(other, uid=True))
    assert matched_uid(view_of(*there), asked) == best


def test_changed_since_asks_the_store_whatever_was_heard() -> None:
    """Another process's change counts once it is committed: its hint may come later (RFC 7162 3.1.4.1)."""

    async def scenario(world: World) -> None:
        await world.add(b"a", b"b")
        client = await world.client(b"ENABLE CONDSTORE", b"SELECT INBOX")
        told = re.search(rb"HIGHESTMODSEQ (\d+)", await client.ok(b"STATUS INBOX (HIGHESTMODSEQ)"))
        assert told is not None
        client.session.close_watch()
        await world.store.store_flags(1, ((2, 2),), FlagMode.ADD, Flags.of(["$Later"]))
        got = await client.ok(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %b)" % told[1])
        assert re.search(rb"\* 2 FETCH \(UID 2 FLAGS \(\$Later \\Recent\) MODSEQ \(\d+\)\)\r\n", got), got

    run(scenario)


def test_since_0_is_everything() -> None:
    """Beyond the grammar of RFC 7162 7; a BAD here would leave such an application without its mailbox."""

    async def scenario(world: World) -> None:
        await world.add(b"a", b"b", b"c")
        client = await world.client(b"ENABLE QRESYNC", b"SELECT INBOX")
        await client.ok(b"STORE 2 +FLAGS (\\Deleted)")
        await client.ok(b"EXPUNGE")
        got = await client.ok(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0 VANISHED)")
        assert re.findall(rb"\* (VANISHED .*|\d+ FETCH \(UID \d+)", got) == [
            b"VANISHED (EARLIER) 2\r",
            b"1 FETCH (UID 1",
            b"2 FETCH (UID 3",
        ]
        asked = re.search(rb"UIDVALIDITY (\d+)", await client.ok(b"STATUS INBOX (UIDVALIDITY)"))
        assert asked is not None
        got = await client.ok(b"SELECT INBOX (QRESYNC (%b 0))" % asked[1])
        assert re.findall(rb"\* (VANISHED .*|\d+ FETCH \(UID \d+)", got) == [
            b"VANISHED (EARLIER) 2\r",
            b"1 FETCH (UID 1",
            b"2 FETCH (UID 3",
        ]

    run(scenario)


def test_below_the_log_floor_every_absent_uid_is_named() -> None:
    async def scenario(world: World) -> None:
        await world.add(*[b"m"] * 6)
        client = await world.client(b"ENABLE QRESYNC", b"SELECT INBOX")
        match = re.search(rb"HIGHESTMODSEQ (\d+)", await client.ok(b"EXAMINE INBOX"))
        assert match is not None
        since = match[1]
        await client.ok(b"SELECT INBOX")
        await client.ok(b"STORE 2,4 +FLAGS.SILENT (\\Deleted)")
        await client.ok(b"EXPUNGE")
        world.clock.advance(400 * 86400)
        for _ in range(20):  # reclaim works in steps
            await world.store.reclaim(100)
        assert not (await world.store.delta(1, int(since))).complete
        await client.ok(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        got = await client.ok(b"EXPUNGE")
        assert b"* VANISHED 1\r\n" in got
        await client.ok(b"UNSELECT")
        validity = re.search(rb"UIDVALIDITY (\d+)", await client.ok(b"EXAMINE INBOX"))
        assert validity is not None
        got = await client.ok(b"SELECT INBOX (QRESYNC (%b %b 1:100))" % (validity[1], since))
        assert b"* VANISHED (EARLIER) 1:2,4\r\n" in got
        got = await client.ok(b"UID FETCH 3:* (FLAGS) (CHANGEDSINCE %b VANISHED)" % since)
        assert b"* VANISHED (EARLIER) 4\r\n" in got

    run(scenario)


@pytest.mark.parametrize("at_once", [0, 1_000])
def test_much_that_changed_is_told_as_little(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """But on a thread: a million changed messages are half a second's work."""
    monkeypatch.setattr(resync, "COMPARED_AT_ONCE", at_once)
    apart: list[bool] = []
    for name in ("_gone", "changed_rows", "_spans_changed"):
        noted = partial(_noted, apart, getattr(resync, name))
        monkeypatch.setattr(resync, name, noted)

    async def scenario(world: World) -> None:
        await world.add(*[b"m"] * 6)
        client = await world.client(b"ENABLE QRESYNC")
        opened = await client.ok(b"SELECT INBOX")
        validity, since = re.search(rb"UIDVALIDITY (\d+)", opened), re.search(rb"HIGHESTMODSEQ (\d+)", opened)
        assert validity is not None
        assert since is not None
        await client.ok(b"STORE 2,4:5 +FLAGS.SILENT (\\Flagged)")
        await client.ok(b"STORE 6 +FLAGS.SILENT (\\Deleted)")
        await client.ok(b"EXPUNGE")
        await client.ok(b"UNSELECT")
        got = await client.ok(b"SELECT INBOX (QRESYNC (%b %b))" % (validity[1], since[1]))
        assert b"* VANISHED (EARLIER) 6\r\n" in got
        assert re.findall(rb"\* (\d) FETCH \(UID (\d) FLAGS", got) == [(b"2", b"2"), (b"4", b"4"), (b"5", b"5")]
        got = await client.ok(b"FETCH 1:4 (UID FLAGS) (CHANGEDSINCE %b)" % since[1])
        assert re.findall(rb"\* (\d) FETCH \(", got) == [b"2", b"4"]

    run(scenario)
    assert apart == [at_once == 0] * 3


def _noted(apart: list[bool], fn: Callable[..., Any], *given: Any) -> Any:
    apart.append(threading.current_thread() is not threading.main_thread())
    return fn(*given)
