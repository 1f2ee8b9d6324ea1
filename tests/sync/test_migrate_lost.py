"""Moving an account while sides are lost, under kills and edits of any kind; its ledger, and POP3's identities."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.sync.migrate.ledger.book import Book, LedgerRefusal
from restante.sync.migrate.mailbox import BATCH_MESSAGES
from restante.sync.migrate.model import Report, Wishes
from restante.sync.migrate.run import PAUSES, persist
from restante.sync.model import Added, Flags, Message, Place
from restante.sync.side import Side, SideUnavailable

from .memory import ALL, BARE, Abilities, Disk, Killed, MemorySide, Steps
from .moving import NO_EMAILS, NONE, SEEN, Move, everything, text, total

pytestmark = pytest.mark.in_memory


# Faults of a side --------------------------------------------------------------------------------------


def test_a_lost_side_is_waited_for_as_long_as_there_is_progress() -> None:
    waited: list[float] = []
    done = 0
    fates = iter([1, 0, 0, 5, *[0] * len(PAUSES), 0])

    async def attempt() -> Report:
        nonlocal done
        step = next(fates)
        done += step
        raise SideUnavailable("gone.")

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    with pytest.raises(SideUnavailable):
        asyncio.run(persist(attempt, lambda: done, pause, lambda text: None))
    assert waited == [*PAUSES[:3], *PAUSES]


def test_what_will_not_pass_is_not_waited_for() -> None:
    class Refused(SideUnavailable):
        temporary = False

    done = 0

    async def attempt() -> Report:
        nonlocal done
        done += 1
        raise Refused("the password was changed.")

    async def pause(seconds: float) -> None:
        raise AssertionError

    with pytest.raises(Refused):
        asyncio.run(persist(attempt, lambda: done, pause, lambda text: None))


def test_a_full_target_is_not_sent_all_the_rest(move: Move) -> None:
    for number in range(200, 900):
        move.source.deliver("INBOX", text(number))

    def refuses(name: str, message: Message) -> Added | None:
        return Added(0, "over quota", temporary=True) if name == "INBOX" else None

    report = move.run(refuses=refuses)
    assert move.sides[0].fetched <= 2 * BATCH_MESSAGES + 5
    assert report.counts is not None
    assert (report.counts.missing, report.counts.same) == (710, 5)
    assert any("over quota" in each.reason for each in report.aside if each.uid == 0)
    assert total(move.run(), "copied") == 710


def test_a_side_that_never_answered_is_not_waited_for() -> None:
    async def attempt() -> Report:
        raise SideUnavailable("wrong password.")

    async def pause(seconds: float) -> None:
        raise AssertionError

    with pytest.raises(SideUnavailable):
        asyncio.run(persist(attempt, lambda: 0, pause, lambda text: None))


# The ledger --------------------------------------------------------------------------------------------


def test_a_ledger_serves_one_run_and_one_migration(tmp_path: Path) -> None:
    book = Book(tmp_path / "state", "one", "two")
    with pytest.raises(LedgerRefusal, match="Another run"):
        Book(tmp_path / "state", "one", "two")
    book.close()
    with pytest.raises(LedgerRefusal, match="whose target is two"):
        Book(tmp_path / "state", "one", "three")
    (tmp_path / "other").write_bytes(b"From somebody\n" * 1000)
    with pytest.raises(LedgerRefusal, match="no state"):
        Book(tmp_path / "other", "one", "two")


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    book = Book(tmp_path / "state", "one", "two")
    book.db.execute("PRAGMA user_version = 99")
    book.close()
    with pytest.raises(LedgerRefusal, match="version 99"):
        Book(tmp_path / "state", "one", "two")


# POP3 --------------------------------------------------------------------------------------------------


def test_uidls_go_along_and_late_ones_are_told(move: Move) -> None:
    carried: dict[bytes, str | None] = {}

    class Noting:
        def __init__(self, side: MemorySide) -> None:
            self._side = side

        def __getattr__(self, name: str) -> Any:
            return getattr(self._side, name)

        async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
            carried.update({each.data: each.uidl for each in messages})
            return await self._side.add(name, messages)

    async def uidls(side: Side, place: Place) -> Mapping[int, str]:
        assert place.name == "INBOX"
        return {uid: f"old-{uid}" for uid in range(1, 5)}

    move.run(Wishes(only=("Gesendet",)))
    report = move.run(wrap=Noting, uidls=uidls)
    assert carried[text(0)] == "old-1"
    assert carried[text(6)] is None
    assert carried[text(20)] is None
    assert total(report, "uidls") == 4
    assert [line["uidl"] for line in move.lines() if "uidl" in line] == [f"old-{uid}" for uid in range(1, 5)]
    assert total(move.run(uidls=uidls), "uidls_late") == 0
    move.state.unlink()
    assert total(move.run(uidls=uidls), "uidls_late") == 0
    report = move.run(uidls=uidls)
    assert total(report, "uidls_late") == 4
    assert any("UIDL" in note for note in report.notes)


# Anything ----------------------------------------------------------------------------------------------

EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.sampled_from(["INBOX", "A", "B/C"]), st.integers(0, 6)),
        st.tuples(st.just("flag"), st.sampled_from(["INBOX", "A", "B/C"]), st.integers(0, 6)),
        st.tuples(st.just("renumber"), st.sampled_from(["INBOX", "A", "B/C"]), st.integers(0, 1)),
        st.tuples(st.just("run"), st.just(""), st.integers(0, 120)),
        st.tuples(st.just("lose"), st.just(""), st.integers(0, 1)),
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(EDITS, st.sampled_from([ALL, NO_EMAILS, replace(BARE, keywords=True), replace(NO_EMAILS, sizes=False)]))
def test_any_edits_kills_and_lost_states_end_in_the_same_mail(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, str, int]], abilities: Abilities
) -> None:
    move = Move(tmp_path_factory.mktemp("move"), Disk("a-very-long-prefix-"), Disk("t"))
    move.abilities = (abilities, abilities)
    for name in ("A", "B/C"):
        move.source.create(name)
    clock = 1_700_000_000
    for what, name, number in edits:
        box = move.source.boxes.get(name)
        if what == "deliver":
            clock += 1
            move.source.deliver(name, text(number % 4, "x" * (number % 2 + 1)), (NONE, SEEN)[number % 2], clock)
        elif what == "flag" and box is not None and box.messages:
            uid = list(box.messages)[number % len(box.messages)]
            move.source.flag(name, uid, box.messages[uid].flags | {("\\Flagged", "word", "\\Answered")[number % 3]})
        elif what == "renumber":
            disk = move.source if number else move.target
            if name in disk.boxes:
                disk.renumber(name)
        elif what == "lose":
            move.state.unlink(missing_ok=True)
        elif what == "run":
            move.steps = Steps(number)
            try:
                move.run()
            except Killed:
                pass
            move.steps = None
    report = move.run()
    here, there = everything(move.source), everything(move.target)
    for name, messages in here.items():
        assert Counter({data: n for (data, _, _), n in _by_data(messages).items()}) == Counter(
            {data: n for (data, _, _), n in _by_data(there[name]).items()}
        )
    assert report.counts is not None
    assert report.counts.missing == report.counts.content == 0
    assert report.counts.messages == sum(sum(each.values()) for each in here.values())
    assert not move.verify().damaged


def _by_data(messages: Counter[tuple[bytes, Flags, int]]) -> Counter[tuple[bytes, None, None]]:
    found: Counter[tuple[bytes, None, None]] = Counter()
    for (data, _, _), number in messages.items():
        found[data, None, None] += number
    return found
