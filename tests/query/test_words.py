"""What a person types, read. `restante search` and every search field that comes later."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.query import language as q
from restante.query.words import KEYS, MOST_WORDS, BadWords, Words, parse_words


def text(value: str) -> q.Query:
    return q.Contains(q.Field.TEXT, value)


DAY = date(2024, 1, 31)
READ = [
    ("", Words(q.All(), ())),
    ("word", Words(text("word"), ())),
    ("two words", Words(q.And((text("two"), text("words"))), ())),
    ('"two words"', Words(text("two words"), ())),
    ("from:ann", Words(q.Contains(q.Field.FROM, "ann"), ())),
    ('FROM:"Ann B"', Words(q.Contains(q.Field.FROM, "Ann B"), ())),
    ("http://x.example", Words(text("http://x.example"), ())),
    ('"from:ann"', Words(text("from:ann"), ())),
    ("-spam", Words(q.Not(text("spam")), ())),
    ("NOT spam", Words(q.Not(text("spam")), ())),
    ("NOT -spam", Words(text("spam"), ())),
    ('-subject:"x y"', Words(q.Not(q.Contains(q.Field.SUBJECT, "x y")), ())),
    ('"-spam"', Words(text("-spam"), ())),
    ("a OR b OR c d", Words(q.And((q.Or((text("a"), text("b"), text("c"))), text("d"))), ())),
    ("a OR -b", Words(q.Or((text("a"), q.Not(text("b")))), ())),
    ('"OR"', Words(text("OR"), ())),
    ("or", Words(text("or"), ())),
    ("mailbox:Archive mailbox:INBOX x", Words(text("x"), ("Archive", "INBOX"))),
    ('mailbox:"A b"', Words(q.All(), ("A b",))),
    ("is:unread", Words(q.Not(q.HasFlag("\\Seen")), ())),
    ("-is:unread", Words(q.Not(q.Not(q.HasFlag("\\Seen"))), ())),
    ("keyword:$Junk", Words(q.HasFlag("$Junk"), ())),
    ("before:2024-01-31", Words(q.Dated(q.Instant.RECEIVED, q.Order.BEFORE, DAY), ())),
    ("since:2024-01-31", Words(q.Dated(q.Instant.RECEIVED, q.Order.SINCE, DAY), ())),
    ("on:2024-01-31", Words(q.Dated(q.Instant.RECEIVED, q.Order.ON, DAY), ())),
    ("larger:10M", Words(q.Larger(10_000_000), ())),
    ("smaller:500kB", Words(q.Smaller(500_000), ())),
    ("header:List-Id=example", Words(q.HeaderContains("List-Id", "example"), ())),
    ("header:List-Id", Words(q.HeaderContains("List-Id", ""), ())),
    ('say\\"so', Words(text('say"so'), ())),
    ("a\\ b", Words(text("a b"), ())),
]


@pytest.mark.parametrize(("typed", "expected"), READ, ids=[typed or "nothing" for typed, _ in READ])
def test_words(typed: str, expected: Words) -> None:
    assert parse_words(typed) == expected


REFUSED = [
    "OR a", "a OR", "a OR OR b", "NOT", "NOT OR a", "-", "from:", '"open', "end\\", "before:tomorrow",
    "since:2024-13-01", "larger:big", "is:nice", "keyword:a(b", "header:=x", "-mailbox:x", "a OR mailbox:x", '""',
    "a " * (MOST_WORDS + 1),
]  # fmt: skip


@pytest.mark.parametrize("typed", REFUSED)
def test_what_cannot_be_read_is_said_in_a_sentence(typed: str) -> None:
    with pytest.raises(BadWords) as caught:
        parse_words(typed)
    assert str(caught.value).endswith(".")


PIECES = st.sampled_from([*' "\\-:a', "OR", "NOT", "is:", "mailbox:", *(f"{key}:" for key in KEYS), "2024-01-31"])


@given(st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=12).map("".join))
def test_anything_typed_is_read_or_refused(typed: str) -> None:
    try:
        found = parse_words(typed)
    except BadWords:
        return
    assert isinstance(found, Words)
