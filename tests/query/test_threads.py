"""THREAD's two algorithms: RFC 5256's rules as a table, its text as an oracle, and what must hold of any mail."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.query.ordered_subject import OrderedSubject
from restante.query.references import References
from restante.query.threads import Threads

from . import rfc5256
from .rfc5256 import Letters

Letter = tuple[str, str, str, int]  # message id, references, subject ("Re: " marks a reply), sent


def letters(messages: Sequence[Letter]) -> Letters:
    """UIDs are 1, 2, ..."""
    return Letters(
        range(1, len(messages) + 1),
        [sent for *_, sent in messages],
        [subject.removeprefix("Re: ") for _, _, subject, _ in messages],
        [int(subject.startswith("Re: ")) for _, _, subject, _ in messages],
        [id for id, *_ in messages],
        [listed for _, listed, *_ in messages],
    )


def references(letters: Letters, batch: int = 1_000) -> Threads:
    """Threads of messages that are added so many at a time."""
    made = References()
    for start in range(0, len(letters.uids), batch):
        made.add(*[list(getattr(letters, fact)[start : start + batch]) for fact in Letters.__slots__])
    return made.threads()


def ordered_subject(uids: Sequence[int], sent: Sequence[int], subject: Sequence[str], batch: int = 1_000) -> Threads:
    made = OrderedSubject()
    for start in range(0, len(uids), batch):
        stop = start + batch
        made.add(list(uids[start:stop]), list(sent[start:stop]), list(subject[start:stop]))
    return made.threads()


def shown(found: Threads) -> str:
    return (found.skeleton % tuple(found.uids)).decode()


CASES = [
    (
        "rfc5256-3-1A: chain of references",
        [("a", "", "s", 1), ("b", "a", "Re: s", 2), ("c", "a b", "Re: s", 3)],
        "(1 2 3)",
    ),
    ("rfc5256-3-1A: no Message-ID", [("", "", "", 1), ("", "", "", 2)], "(1)(2)"),
    (
        "rfc5256-3-1A: the first of equal ids has it",
        [("a", "", "", 1), ("a", "", "", 2), ("b", "a", "", 3)],
        "(1 3)(2)",
    ),
    ("rfc5256-3-1A: an existing link stays", [("a", "", "", 1), ("b", "a", "", 2), ("c", "x b", "", 3)], "(1 2 3)"),
    ("rfc5256-3-1A: no loop", [("a", "b", "", 1), ("b", "a", "", 2)], "(2 1)"),
    ("rfc5256-3-1A: ids are case-sensitive", [("a", "", "", 1), ("b", "A", "", 2)], "(1)(2)"),
    ("rfc5256-3-1B: its own word counts", [("c", "a b", "", 3), ("x", "", "", 1), ("b", "x", "", 2)], "(2 3 1)"),
    ("rfc5256-3-1B: no references, no parent", [("c", "a b", "", 3), ("b", "", "", 2), ("a", "", "", 1)], "(3)(2 1)"),
    (
        "rfc5256-3-1A: a link that was cut is made again by the next who names it",
        [("a", "", "", 1), ("c", "a b", "", 3), ("b", "", "", 2), ("d", "a b c", "", 4)],
        "(1 3 2 4)",
    ),
    (
        "rfc5256-3-1A: what a message with a double's id refers to says nothing of the first",
        [("x", "", "", 1), ("a", "", "", 2), ("a", "x", "", 3), ("d", "x a", "", 4)],
        "(1 (2 4)(3))",
    ),
    ("rfc5256-3-3: a dummy with one child goes", [("b", "x", "", 1)], "(1)"),
    ("rfc5256-3-3: siblings of a missing parent", [("b", "x", "", 1), ("c", "x", "", 2)], "((1)(2))"),
    (
        "rfc5256-3-3: children move up to a message",
        [("a", "", "", 1), ("b", "a x", "", 2), ("c", "a x", "", 3)],
        "(1 (2)(3))",
    ),
    ("rfc5256-3-3: not to the root", [("b", "w x", "", 1), ("c", "w y", "", 2), ("d", "w y", "", 3)], "((1)(2)(3))"),
    ("rfc5256-3-4: by date, not by number", [("a", "", "", 2), ("b", "", "", 1)], "(2)(1)"),
    ("rfc5256-3-5B: replies go under the original", [("a", "", "Re: s", 1), ("b", "", "s", 2)], "(2 1)"),
    ("rfc5256-3-5C: equal subjects are siblings", [("a", "", "s", 1), ("b", "", "s", 2)], "((1)(2))"),
    ("rfc5256-3-5C: replies alone are siblings", [("a", "", "Re: s", 1), ("b", "", "Re: s", 2)], "((1)(2))"),
    ("rfc5256-3-5C: a third joins the dummy", [("a", "", "s", 1), ("b", "", "s", 2), ("c", "", "s", 3)], "((1)(2)(3))"),
    (
        "rfc5256-3-5C: two dummies become one",
        [("a", "x", "s", 1), ("b", "x", "s", 4), ("c", "y", "s", 2), ("d", "y", "s", 3)],
        "((1)(3)(4)(2))",
    ),
    (
        "rfc5256-3-5C: a message joins a dummy",
        [("a", "", "s", 1), ("b", "x", "s", 2), ("c", "x", "s", 3)],
        "((1)(2)(3))",
    ),
    ("rfc5256-3-5: empty subjects stay apart", [("a", "", "", 1), ("b", "", "", 2)], "(1)(2)"),
    ("rfc5256-3-6: siblings by date", [("a", "", "", 1), ("b", "a", "", 3), ("c", "a", "", 2)], "(1 (3)(2))"),
    (
        "rfc5256-7.2: a chain that splits",
        [
            ("a", "", "", 1),
            ("b", "a", "", 2),
            ("c", "b", "", 3),
            ("d", "c", "", 4),
            ("e", "b", "", 5),
            ("f", "e", "", 6),
        ],
        "(1 2 (3 4)(5 6))",
    ),
]


@pytest.mark.parametrize(("messages", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_references_by_the_rules(messages: list[Letter], expected: str) -> None:
    for batch in (1, 2, 1_000):
        assert shown(references(letters(messages), batch)) == expected
    assert rfc5256.written(rfc5256.threads(letters(messages)), letters(messages)) == expected


def test_ordered_subject_is_the_shape_of_the_standards_example() -> None:
    """RFC 5256 3: "(196 (197)(198))(199)(200 202)(201)"; threads by the date of their first message."""
    subjects = ["b", "b", "b", "d", "a", "c", "a"]
    found = ordered_subject(range(196, 203), [10, 11, 12, 13, 14, 15, 16], subjects)
    assert shown(found) == "(196 (197)(198))(199)(200 202)(201)"


def test_ordered_subject_goes_by_date_and_then_by_number() -> None:
    assert shown(ordered_subject([1, 2, 3, 4], [9, 5, 5, 1], ["x", "x", "x", ""])) == "(4)(2 (3)(1))"


IDS = st.sampled_from(["a", "b", "c", "d", "e", "f", "x", "y", "z"])
LETTERS = st.lists(
    st.tuples(
        st.one_of(st.just(""), IDS),
        st.lists(IDS, max_size=5, unique=True).map(" ".join),
        st.sampled_from(["", "s", "Re: s", "t", "Re: t"]),
        st.integers(1, 4),
    ),
    max_size=14,
)


@settings(max_examples=1_500)
@given(LETTERS, st.integers(1, 15))
def test_references_is_what_the_standards_text_gives(messages: list[Letter], batch: int) -> None:
    given_ = letters(messages)
    assert shown(references(given_, batch)) == rfc5256.written(rfc5256.threads(given_), given_)


@st.composite
def conversations(draw: st.DrawFn) -> list[Letter]:
    """Replies that repeat and extend the References of what they answer, cut and shuffled as real ones are."""
    made: list[Letter] = []
    for number in range(draw(st.integers(0, 25))):
        id = f"m{number}"
        answers: int = draw(st.integers(0, 4))
        if made and answers:
            to, listed, subject, _ = draw(st.sampled_from(made))
            whole = f"{listed} {to}".strip().split(" ")
            most: int = draw(st.integers(1, 9))
            kept = whole[-most:]
            made.append((id, " ".join(kept), "Re: " + subject.removeprefix("Re: "), draw(st.integers(1, 30))))
        else:
            made.append((id, "", draw(st.sampled_from(["", "s", "t"])), draw(st.integers(1, 30))))
    return list(draw(st.permutations(made))) if draw(st.booleans()) else made


@settings(max_examples=500)
@given(conversations(), st.integers(1, 26))
def test_references_of_conversations_is_what_the_standards_text_gives(messages: list[Letter], batch: int) -> None:
    given_ = letters(messages)
    found = references(given_, batch)
    assert shown(found) == rfc5256.written(rfc5256.threads(given_), given_)
    assert sorted(found.uids) == list(given_.uids)


GRAMMAR = re.compile(rb"\((?:%d(?: %d)*(?: <{2,})?|<{2,})\)")


@given(LETTERS)
def test_every_message_stands_in_the_answer_once_and_the_answer_is_thread_data(messages: list[Letter]) -> None:
    """thread-list = "(" (thread-members / thread-nested) ")", nested ones two or more (RFC 5256 5)."""
    for found in (
        references(letters(messages)),
        ordered_subject(range(1, len(messages) + 1), [m[3] for m in messages], [m[2] for m in messages]),
    ):
        assert sorted(found.uids) == list(range(1, len(messages) + 1))
        assert found.skeleton.count(b"%d") == len(found.uids)
        left, before = found.skeleton, b""
        while left != before:
            before, left = left, GRAMMAR.sub(b"<", left)
        assert left.strip(b"<") == b""


def test_depth_is_no_recursion_and_hostile_chains_are_bounded() -> None:
    count = 20_000
    deep = [(f"m{n}", f"m{n - 1}" if n else "", "", n) for n in range(count)]
    assert references(letters(deep)).skeleton == b"(" + b" ".join([b"%d"] * count) + b")"
    # Newest first, and each link's lower end has children already.
    assert len(references(letters(deep[::-1])).uids) == count
    # A loop that is looked for from the bottom of the chain again and again.
    hostile = deep[: count // 2]
    hostile += [(f"n{n}", f"o{n} m{count // 2 - 1} o{n}", "", n) for n in range(count // 2)]
    assert len(references(letters(hostile)).uids) == count
