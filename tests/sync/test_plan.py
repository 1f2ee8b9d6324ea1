"""The planner's parts alone: mailbox lists, matching, the brake. Pure values in, steps out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.sync.base import Half, Known, Pair, Row
from restante.sync.model import Place
from restante.sync.outline import MBSYNC_OCTETS
from restante.sync.plan.mailboxes import MailboxPlan, merge
from restante.sync.plan.match import Candidates, Matches, Trust, altered, match
from restante.sync.plan.messages import MessagePlan, Rules, decide
from restante.sync.settings import End

ONE, TWO = End.ONE, End.TWO


def place(name: str, id_: str | None = None, validity: str = "1") -> Place:
    return Place(name, validity, "s", id_)


def pair(key: int, name: str, ids: bool = True) -> Pair:
    known = [Known(name, f"{side}{key}" if ids else None, "1") for side in "xy"]
    return Pair(key, known[0], known[1])


def plan(pairs: list[Pair], one: list[Place], two: list[Place]) -> MailboxPlan:
    return merge(pairs, {ONE: one, TWO: two}, lambda name: True, {}, {})


def played(names: list[str], steps: MailboxPlan, end: End) -> list[str]:
    """The names after these renames, each of which has to be possible."""
    names = list(names)
    for step in steps.renames:
        if step.end is end:
            assert step.old in names
            assert step.new not in names
            assert not step.new.startswith(step.old + "/")
            below = step.old + "/"
            names = [
                step.new + name[len(step.old) :] if name == step.old or name.startswith(below) else name
                for name in names
            ]
    return sorted(names)


# Mailboxes ------------------------------------------------------------------------------------------


def test_children_go_with_their_parent_in_one_step() -> None:
    pairs = [pair(1, "P"), pair(2, "P/c")]
    found = plan(pairs, [place("Q", "x1"), place("Q/c", "x2")], [place("P", "y1"), place("P/c", "y2")])
    assert [(step.end, step.old, step.new) for step in found.renames] == [(TWO, "P", "Q")]


def test_what_vanished_over_there_goes_with_its_parent_and_not_back() -> None:
    pairs = [pair(1, "P"), pair(2, "P/c"), pair(3, "P/d")]
    one = [place("Q", "x1"), place("Q/d", "x3")]
    found = plan(pairs, one, [place("P", "y1"), place("P/c", "y2"), place("P/d", "y3")])
    assert [(step.end, step.old, step.new) for step in found.renames] == [(TWO, "P", "Q")]
    assert [joint.goal for joint in found.joints] == ["Q", "Q/c", "Q/d"]
    one.append(place("Q/c", "x9"))  # another one has that name over there
    found = plan(pairs, one, [place("P", "y1"), place("P/c", "y2"), place("P/d", "y3")])
    assert played(["P", "P/c", "P/d"], found, TWO) == ["P/c", "Q", "Q/d"]


@pytest.mark.parametrize(
    ("one", "two", "goals"),
    [
        (["Q", "Q/c"], ["P", "P/d"], ["Q", "Q/d"]),
        (["P", "P/d"], ["Q", "Q/c"], ["Q", "Q/d"]),
        (["Q", "Q/c"], ["P", "X"], ["Q", "X"]),
        (["Q", "Q/d"], ["P", "P/e"], ["Q", "Q/d"]),
        (["Q", "X/c"], ["P", "P/d"], ["Q", "X/c"]),
        (["Q", "Q/c"], ["R", "R/d"], ["Q", "Q/d"]),
        (["P", "R/P/c"], ["Q", "Q/d"], ["Q", "R/P/c"]),
    ],
)
def test_a_child_keeps_its_own_new_name_below_its_parent_s(one: list[str], two: list[str], goals: list[str]) -> None:
    """The parent is renamed on one side, the child on the other."""
    pairs = [pair(1, "P"), pair(2, "P/c")]
    there = {"x": one, "y": two}
    sides = [[place(name, f"{side}{number}") for number, name in enumerate(there[side], 1)] for side in "xy"]
    found = plan(pairs, *sides)
    assert [joint.goal for joint in found.joints] == goals
    assert played(one, found, ONE) == sorted(goals)
    assert played(two, found, TWO) == sorted(goals)


def test_what_is_made_below_a_mailbox_that_is_renamed_over_there_is_made_below_its_new_name() -> None:
    found = plan([pair(1, "P")], [place("Q", "x1")], [place("P", "y1"), place("P/new", "y9"), place("P/new/er", "y8")])
    assert [joint.goal for joint in found.joints] == ["Q", "Q/new", "Q/new/er"]
    assert [(step.end, step.old, step.new) for step in found.renames] == [(TWO, "P", "Q")]


@pytest.mark.parametrize(
    ("one", "two", "goals"),
    [
        ([place("N"), place("N/o", "x1")], [place("O", "y1"), place("B", "y2")], ["N/o", "B", "N"]),
        ([place("N"), place("N/m"), place("N/m/o", "x1")], [place("O", "y1"), place("B", "y2")],
         ["N/m/o", "B", "N", "N/m"]),
        ([place("O", "x1")], [place("N"), place("N/o", "y1"), place("B", "y2")], ["N/o", "B", "N"]),
        ([place("N"), place("N/o", "x1")], [place("O", "y1"), place("N", "y2")], ["N~2/o", "N", "N~2"]),
    ],
)  # fmt: skip
def test_what_is_put_below_a_mailbox_that_was_made_for_it_goes_there(
    one: list[Place], two: list[Place], goals: list[str]
) -> None:
    found = plan([pair(1, "O"), pair(2, "B")], [*one, place("B", "x2")], two)
    assert [joint.goal for joint in found.joints] == goals


def test_two_that_are_each_to_be_below_the_other_stay_where_they_were_put() -> None:
    found = plan(
        [pair(1, "P"), pair(2, "Q")], [place("P", "x1"), place("P/Q", "x2")], [place("Q/P", "y1"), place("Q", "y2")]
    )
    assert [joint.goal for joint in found.joints] == ["Q/P", "P/Q"]


def test_a_renaming_across_three_levels_keeps_every_part() -> None:
    pairs = [pair(1, "R"), pair(2, "R/P"), pair(3, "R/P/c")]
    one = [place("S", "x1"), place("S/P", "x2"), place("S/P/c", "x3")]
    found = plan(pairs, one, [place("R", "y1"), place("R/Q", "y2"), place("R/Q/d", "y3")])
    assert [joint.goal for joint in found.joints] == ["S", "S/Q", "S/Q/d"]


def test_names_are_exchanged_by_a_third() -> None:
    pairs = [pair(1, "A"), pair(2, "B")]
    found = plan(pairs, [place("B", "x1"), place("A", "x2")], [place("A", "y1"), place("B", "y2")])
    assert len(found.renames) == 3
    assert played(["A", "B"], found, TWO) == ["A", "B"]


def test_a_parent_and_its_child_change_places() -> None:
    pairs = [pair(1, "A"), pair(2, "A/C")]
    found = plan(pairs, [place("A/C", "x1"), place("A", "x2")], [place("A", "y1"), place("A/C", "y2")])
    assert played(["A", "A/C"], found, TWO) == ["A", "A/C"]


@given(st.permutations(["A", "A/B", "A/B/C", "D", "D/E", "F"]), st.permutations(["A", "A/B", "A/B/C", "D", "D/E", "F"]))
def test_any_exchange_of_names_is_a_list_of_possible_renames(before: list[str], after: list[str]) -> None:
    pairs = [pair(number, name) for number, name in enumerate(before, 1)]
    one = [place(name, f"x{number}") for number, name in enumerate(after, 1)]
    two = [place(name, f"y{number}") for number, name in enumerate(before, 1)]
    found = plan(pairs, one, two)
    assert played(before, found, TWO) == sorted(after)


def test_what_is_made_twice_is_one_and_what_is_gone_twice_is_none() -> None:
    found = plan([pair(1, "Gone")], [place("New", "x9")], [place("New", "y9")])
    assert found.gone == [1]
    assert [(joint.one is not None, joint.two is not None) for joint in found.joints] == [(True, True)]
    assert not found.creates


def test_a_mailbox_that_vanished_is_not_made_again_by_itself() -> None:
    found = plan([pair(1, "A")], [place("A", "x1")], [])
    assert not found.creates
    assert found.joints[0].vanished(TWO)


# Matching -------------------------------------------------------------------------------------------


def columns(*rows: tuple[object, ...]) -> Candidates:
    found = Candidates()
    for row in rows:
        found.add(*row)  # type: ignore[arg-type]  # tuples of the method's arguments
    return found


M = b"m"
CASES = [
    # left, right, pairs, doubts on the left and right
    ("email", [(1, 5, 0, b"a", ("e",))], [(2, 6, 1, b"b", ("e",))], [(0, 0)], 0),
    ("all-equal", [(1, 5, 7, M)], [(1, 5, 7, M)], [(0, 0)], 0),
    ("other-mark", [(1, 5, 7, M)], [(1, 5, 7, b"n")], [], 0),
    ("size-and-date-differ", [(1, 5, 7, M)], [(1, 6, 8, M)], [], 0),
    ("date-differs", [(1, 5, 7, M)], [(1, 5, 8, M)], [], 2),
    ("size-differs", [(1, 5, 7, M)], [(1, 6, 7, M)], [], 2),
    ("size-unknown", [(1, 5, 7, M)], [(1, None, 7, M)], [], 2),
    ("two-alike", [(1, 5, 7, M), (1, 5, 7, M)], [(1, 5, 7, M)], [], 3),
    ("two-told-apart-by-date", [(1, 5, 7, M), (1, 5, 8, M)], [(1, 5, 8, M), (1, 5, 7, M)], [(0, 1), (1, 0)], 0),
    ("tried-date-agrees", [(1, 5, 7, M, (), None, Trust.TRIED)], [(1, 9, 7, M)], [(0, 0)], 0),
    ("tried-nothing-agrees", [(1, 5, 7, M, (), None, Trust.TRIED)], [(1, 9, 8, M)], [], 0),
    ("sent-altered", [(1, 5, 7, M, (), None, Trust.SENT)], [(1, 9, 8, M)], [(0, 0)], 0),
]


@pytest.mark.parametrize(
    ("left", "right", "pairs", "doubts"), [one[1:] for one in CASES], ids=[one[0] for one in CASES]
)
def test_what_is_the_same(
    left: list[tuple[object, ...]], right: list[tuple[object, ...]], pairs: list[tuple[int, int]], doubts: int
) -> None:
    found = match(columns(*left), columns(*right))
    assert sorted(found.pairs) == pairs
    assert len(found.left) + len(found.right) == doubts
    assert sorted(match(columns(*left), columns(*right), final=True).pairs) == pairs


def test_octets_decide_and_the_same_mailbox_comes_first() -> None:
    left = columns((1, 5, 7, M, (), b"x"), (2, 5, 7, M, (), b"x"), (3, 5, 7, M, (), b"y"))
    right = columns((2, 5, 7, M, (), b"x"), (9, 5, 7, M, (), b"x"), (9, 5, 7, M, (), b"z"))
    assert sorted(match(left, right).pairs) == [(0, 1), (1, 0)]


def test_what_is_new_in_a_mailbox_is_first_what_was_sent_there_and_elsewhere_what_went() -> None:
    sent, gone = (1, 5, 7, M, (), b"x", Trust.SENT), (1, 5, 7, M, (), b"x")
    for rows in ([gone, sent], [sent, gone]):
        there = (1, 5, 7, M, (), b"x")
        assert match(columns(*rows), columns(there)).pairs == [(rows.index(sent), 0)]
    elsewhere = (2, 5, 7, M, (), b"x")
    assert match(columns(gone, sent), columns(elsewhere)).pairs == [(0, 0)]
    assert sorted(match(columns(gone, sent), columns(elsewhere, there)).pairs) == [(0, 0), (1, 1)]
    tried = (1, 5, 7, M, (), b"x", Trust.TRIED)  # perhaps it never came: then what went is there again
    assert match(columns(gone, tried), columns(there)).pairs == [(0, 0)]


MESSAGES = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.sampled_from([5, 6, None]),
        st.integers(7, 8),
        st.sampled_from([b"m", b"n"]),
        st.sampled_from([(), ("e",), ("f",)]),
        st.sampled_from([b"x", b"y", None]),
    ),
    max_size=8,
)


class Counted(int):
    """A size that counts what is reckoned with it."""

    done = 0

    def __add__(self, other: int) -> int:
        Counted.done += 1
        return int(self) + other

    def __sub__(self, other: int) -> int:
        Counted.done += 1
        return int(self) - other


def test_what_mbsync_altered_is_looked_for_once_a_message() -> None:
    """Also where thousands are alike: mail without a header has one mark."""
    left, right = Candidates(), Candidates()
    for number in range(300):
        left.add(1, Counted(100), number, b"m")
        right.add(1, Counted(100 + MBSYNC_OCTETS), 1000 + number, b"m")
    left.add(1, Counted(100), 1, b"other")
    left.add(1, Counted(101), 1, b"m")
    right.add(1, None, 1, b"m")
    Counted.done = 0
    assert altered(left, right, Matches([(0, 299)])) == ([*range(1, 300)], [*range(299)])
    assert Counted.done < 5 * 300, "some for each message, whatever their number"


def test_only_where_nul_was_seen_are_equal_sizes_looked_at_again() -> None:
    left, right = Candidates(), Candidates()
    for _ in range(3):
        left.add(1, 100, 1, b"m", (), b"a")
        right.add(1, 100, 2, b"m", (), b"b")
    assert altered(left, right, Matches()) == ([], [])
    right.nuls.add(1)
    assert altered(left, right, Matches()) == ([0, 1, 2], [1])


@given(MESSAGES, MESSAGES)
def test_each_is_paired_at_most_once_and_never_against_its_octets(
    left: list[tuple[object, ...]], right: list[tuple[object, ...]]
) -> None:
    a, b = columns(*left), columns(*right)
    for final in (False, True):
        pairs = match(a, b, final=final).pairs
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
        for i, j in pairs:
            if not set(a.emails[i]) & set(b.emails[j]):
                assert a.marks[i] == b.marks[j]
                assert a.sizes[i] == b.sizes[j] or a.received[i] == b.received[j] or a.digests[i] == b.digests[j]


# Messages -------------------------------------------------------------------------------------------


def row(one: Half, two: Half) -> Row:
    return Row(1, 1, one, two)


F = frozenset({"\\Flagged"})
S = frozenset({"\\Seen"})
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("one", "two", "rules", "expected"),
    [
        (Half(1, NONE, gone=True), Half(1, NONE, gone=True), Rules(), "drop"),
        (Half(1, NONE, gone=True), Half(1, NONE), Rules(), "remove TWO"),
        (Half(1, NONE, gone=True), Half(1, NONE, F), Rules(), "add ONE"),
        (Half(1, NONE, gone=True), Half(1, NONE, F), Rules(removal_wins=True), "remove TWO"),
        (Half(1, NONE, gone=True), Half(1, NONE, frozenset({"\\Deleted"})), Rules(), "remove TWO"),
        (Half(1, NONE, gone=True), Half(1, NONE, found=(2, 5)), Rules(), "add ONE"),
        (Half(1, NONE, found=(2, 5)), Half(1, NONE), Rules(), "move TWO to 2"),
        (Half(1, NONE), Half(1, NONE, found=(3, 5)), Rules(), "move ONE to 3"),
        (Half(1, NONE, found=(2, 5)), Half(1, NONE, found=(3, 5)), Rules(), "move TWO to 2"),
        (Half(1, NONE, found=(2, 5)), Half(1, NONE, found=(2, 6)), Rules(), "record"),
        (Half(1, NONE), Half(None, NONE), Rules(), "add TWO"),
        (Half(1, NONE), Half(None, NONE), Rules(waiting={1}), "nothing"),
        (Half(1, NONE), Half(None, NONE), Rules(missing={(1, TWO)}), "later"),
        (Half(1, NONE, F), Half(1, NONE, S), Rules(), "flags"),
    ],
)
def test_what_becomes_of_a_message(one: Half, two: Half, rules: Rules, expected: str) -> None:
    steps = MessagePlan()
    decide(row(one, two), rules, steps)
    said = (
        ["drop"] * len(steps.drops)
        + [f"remove {end.name}" for _, end in steps.removes]
        + [f"add {end.name}" for (_, end), additions in steps.adds.items() if len(additions)]
        + [f"move {end.name} to {target}" for end, _, target in steps.moves]
        + ["flags"] * len(steps.flags)
        + ["later"] * bool(steps.unsettled)
        + ["record"] * len(steps.record)
    )
    assert said == ([] if expected == "nothing" else [expected])


SETS = st.frozensets(st.sampled_from(["\\Seen", "\\Flagged", "$Work"]))


@given(SETS, SETS, SETS)
def test_flags_of_both_become_the_same_and_every_change_counts(
    base: frozenset[str], one: frozenset[str], two: frozenset[str]
) -> None:
    steps = MessagePlan()
    decide(row(Half(1, base, one), Half(1, base, two)), Rules(), steps)
    (step,) = steps.flags[1]
    assert step.after[ONE] == step.after[TWO] == (one & two) | (one - base) | (two - base)
    for end, seen in ((ONE, one), (TWO, two)):
        assert (seen | step.add[end]) - step.remove[end] == step.after[end]
        assert not step.add[end] & seen
        assert step.remove[end] <= seen
