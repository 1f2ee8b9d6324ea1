"""The view against a naive model: whatever happens in the mailbox, the client's own picture stays right.

The model client knows nothing but what it was told: it applies EXPUNGE, EXISTS and FETCH as RFC 9051 says and
must at every moment agree with the view, and with the mailbox once everything has been told.
"""

from __future__ import annotations

from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from restante.imap.session.contexts import Context
from restante.imap.session.state import BadCommand
from restante.imap.session.view import View, merged, without
from restante.query.language import All, Sequence
from restante.store.model import Delta, Flagged, Mailbox, Snapshot, UidList


def mailbox(uidnext: int, modseq: int, messages: int) -> Mailbox:
    return Mailbox(1, "b1", "INBOX", None, 7, uidnext, modseq, 0, messages, 0, 0, 0, 0, False)


class ViewAgainstModel(RuleBasedStateMachine):
    """`there`: uid -> modseq in the mailbox. `client`: what a client knows, a list of UIDs by number."""

    @initialize(count=st.integers(0, 6))
    def begin(self, count: int) -> None:
        self.modseq = 1
        self.uidnext = count + 1
        self.there = dict.fromkeys(range(1, count + 1), 1)
        self.removed: dict[int, int] = {}
        self.floor = 0
        self.view = View(self.snapshot(), read_only=False)
        self.client = list(self.there)
        self.known_changes: dict[int, int] = dict(self.there)

    def snapshot(self) -> Snapshot:
        return Snapshot(mailbox(self.uidnext, self.modseq, len(self.there)), UidList.of(sorted(self.there)))

    @rule(count=st.integers(1, 3))
    def arrive(self, count: int) -> None:
        self.modseq += 1
        for _ in range(count):
            self.there[self.uidnext] = self.modseq
            self.uidnext += 1

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.there:
            self.modseq += 1
            for uid in data.draw(st.sets(st.sampled_from(sorted(self.there)), min_size=1, max_size=3)):
                del self.there[uid]
                self.removed[uid] = self.modseq

    @rule(data=st.data(), own=st.booleans())
    def change(self, data: st.DataObject, own: bool) -> None:
        if self.there:
            self.modseq += 1
            uid = data.draw(st.sampled_from(sorted(self.there)))
            self.there[uid] = self.modseq
            if own and uid in self.client:
                self.view.own.add(self.modseq)
                self.known_changes[uid] = self.modseq

    @rule()
    def forget_log(self) -> None:
        self.floor = self.modseq

    @rule(may_expunge=st.booleans(), shares=st.booleans())
    def tell(self, may_expunge: bool, shares: bool) -> None:
        since = self.view.mailbox.highest_modseq
        complete = since >= self.floor
        now = self.snapshot()
        delta = Delta(
            now.mailbox,
            [(uid, 0, modseq) for uid, modseq in sorted(self.there.items()) if modseq > since],
            array("I", sorted(u for u, m in self.removed.items() if m > since) if complete else []),
            complete,
        )
        present = now.uids if shares or not complete else None
        update = self.view.update(delta, present, may_expunge=may_expunge)
        assert may_expunge or not update.expunged
        for position in reversed(update.expunged):  # told from the end, as EXPUNGE responses
            del self.client[position]
        if update.exists is not None:
            self.client += update.arrived
            self.known_changes.update({uid: self.there[uid] for uid in update.arrived})
            assert update.exists == len(self.client)
        for number, uid, _, modseq in update.changed:
            assert self.client[number - 1] == uid
            self.known_changes[uid] = modseq
        if may_expunge:
            assert self.client == sorted(self.there)
            assert self.view.told_modseq == self.modseq
            assert {u: m for u, m in self.known_changes.items() if u in self.there} == self.there
            if shares and (update.expunged or update.arrived):
                assert self.view.uids is now.uids

    @invariant()
    def client_and_view_agree(self) -> None:
        if hasattr(self, "view"):
            assert list(self.view.uids.uids) == self.client
            assert all(self.view.uids.sequence(uid) for uid in self.view.gone)
            assert list(self.view.gone) == sorted(set(self.view.gone))


ViewAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestViewAgainstModel = ViewAgainstModel.TestCase


SETS = [
    pytest.param(((2, 3),), False, [20, 30], id="numbers"),
    pytest.param(((0, 0),), False, [40], id="star"),
    pytest.param(((3, 0),), False, [30, 40], id="to the last"),
    pytest.param(((4, 4), (1, 1), (1, 2)), False, [10, 20, 40], id="out of order and overlapping"),
    pytest.param(((15, 30),), True, [20, 30], id="uids that are not there"),
    pytest.param(((100, 0),), True, [40], id="rfc9051-6.4.9 n:* holds the last"),
    pytest.param(((0, 0),), True, [40], id="uid star"),
    pytest.param(((500, 600),), True, [], id="uids beyond"),
]


@pytest.mark.parametrize(("ranges", "uid", "expected"), SETS)
def test_sets_name_messages(ranges: tuple[tuple[int, int], ...], uid: bool, expected: list[int]) -> None:
    view = View(Snapshot(mailbox(41, 1, 4), UidList.of([10, 20, 30, 40])), read_only=False)
    spans = view.spans(Sequence(ranges, uid=uid))
    assert [uid for start, stop in spans for uid in view.uids.uids[start:stop]] == expected
    assert view.ranges(spans) == tuple((view.uids.uids[a], view.uids.uids[b - 1]) for a, b in spans)


@pytest.mark.parametrize("ranges", [((5, 5),), ((1, 5),)])
def test_a_number_past_the_end_is_refused(ranges: tuple[tuple[int, int], ...]) -> None:
    view = View(Snapshot(mailbox(41, 1, 4), UidList.of([10, 20, 30, 40])), read_only=False)
    with pytest.raises(BadCommand):
        view.spans(Sequence(ranges))
    assert view.spans(Sequence(ranges), strict=False) == [(0, 4)] * (ranges[0][0] == 1)


def test_star_in_an_empty_mailbox_is_refused_by_number_and_empty_by_uid() -> None:
    view = View(Snapshot(mailbox(41, 1, 0), UidList.of([])), read_only=False)
    with pytest.raises(BadCommand):
        view.spans(Sequence(((1, 0),)))
    assert view.spans(Sequence(((1, 0),), uid=True)) == []


def test_spans_are_merged() -> None:
    assert merged([(5, 7), (0, 2), (2, 3), (6, 6), (6, 9)]) == [(0, 3), (5, 9)]


@given(*[st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=5).map(merged)] * 2)
def test_spans_without_others(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    def members(spans: list[tuple[int, int]]) -> set[int]:
        return {position for start, stop in spans for position in range(start, stop)}

    left = without(one, other)
    assert members(left) == members(one) - members(other)
    assert left == merged(left)


def test_what_contexts_have_not_looked_at_stands_there_once() -> None:
    """Who is told nothing (NOTIFY NONE) may change the same flags for ever."""
    view = View(Snapshot(mailbox(4, 9, 3), UidList.of([1, 2, 3])), read_only=False)
    view.contexts[b"a"] = Context(b"a", True, False, All(), array("I", [1, 2, 3]), 0.0, 3)
    for modseq in range(10, 20):
        changed = array("I", [modseq % 3 + 1, 3])
        view.note_own(Flagged(modseq, changed, array("I"), mailbox(4, modseq, 3), modseq - 1))
    assert view.unsettled == array("I", [1, 2, 3])


stretches = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 90)), max_size=5)


@given(stretches, st.data())
def test_ranges_of_numbers_are_the_numbers(parts: list[tuple[int, int]], data: st.DataObject) -> None:
    """Whether the UIDs found are many or few, in long runs or in none, with gaps between them or not."""
    at = 0
    uids: list[int] = []
    for gap, length in parts:
        at += gap
        uids += range(at, at + length)
        at += length
    view = View(Snapshot(mailbox(at + 1, 1, len(uids)), UidList.of(uids)), read_only=False)
    ends = data.draw(st.lists(st.tuples(st.integers(0, 450), st.integers(0, 450)), max_size=4))
    named = {uid for low, high in ends for uid in range(low, high + 1)}
    step = data.draw(st.sampled_from([1, 1, 2, 30]))
    found = array("I", [uid for uid in uids if uid in named and not uid % step])
    numbers = [number for number, uid in enumerate(uids, 1) if uid in set(found)]
    assert list(view.numbers(found)) == numbers
    told = view.number_ranges(found)
    assert [number for low, high in told for number in range(low, high + 1)] == numbers
    assert all(one[1] + 1 < other[0] for one, other in pairwise(told)), "neighbours are one range"
    assert view.number_ranges(view.uids.uids) == ([(1, len(uids))] if uids else [])
    view.saved = found
    saved = view.spans(Sequence((), saved=True))
    assert [position + 1 for start, stop in saved for position in range(start, stop)] == numbers
    both = view.spans(Sequence(((1, 30), (400, 0)), uid=True, saved=True), strict=False)
    top = uids[-1] if uids else 0
    wanted = {uid for uid in uids if uid <= 30 or min(400, top) <= uid <= max(400, top)} | set(found)
    assert [uids[position] for start, stop in both for position in range(start, stop)] == sorted(wanted)
