"""What a person types, read. `restante search` and every search field that comes later."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.query import language as q
from restante.query.words import KEYS, MOST_WORDS, BadWords, Words, as_typed, parse_words


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
    ("has:attachment", Words(q.HasAttachment(), ())),
    ("-HAS:Attachment", Words(q.Not(q.HasAttachment()), ())),
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
    "since:2024-13-01", "larger:big", "is:nice", "has:fun", "keyword:a(b", "header:=x", "-mailbox:x", "a OR mailbox:x",
    '""', "a " * (MOST_WORDS + 1),
]  # fmt: skip


@pytest.mark.parametrize("typed", REFUSED)
def test_what_cannot_be_read_is_said_in_a_sentence(typed: str) -> None:
    with pytest.raises(BadWords) as caught:
        parse_words(typed)
    assert str(caught.value).endswith(".")


ARGUMENTS = [
    (("two", "words"), "two words"),
    (("two words",), '"two words"'),
    (("from:Ann Bell", "since:2024-01-31"), 'from:"Ann Bell" since:2024-01-31'),
    (("FROM:Ann  Bell ",), 'FROM:"Ann  Bell"'),
    (("subject: hello there",), 'subject:"hello there"'),
    (("-two words",), '-"two words"'),
    (("-from:Ann Bell",), '-from:"Ann Bell"'),
    (("mailbox:Sent Items", "x"), 'mailbox:"Sent Items" x'),
    (("header:X-Spam=yes indeed",), 'header:"X-Spam=yes indeed"'),
    (("see http://x.example", "re: your text: below"), '"see http://x.example" "re: your text: below"'),
    (("this or that",), '"this or that"'),
    # queries typed as a whole stay what they are
    (('from:bob "two words"',), 'from:bob "two words"'),
    (("from:bob since:2024-01-31",), "from:bob since:2024-01-31"),
    (("invoice -draft",), "invoice -draft"),
    (("this OR that",), "this OR that"),
    (("NOT this",), "NOT this"),
    (("since:2024-01-31 invoice",), "since:2024-01-31 invoice"),
    (("is:unread invoice", "x y"), 'is:unread invoice "x y"'),
    (("two\\ words more",), "two\\ words more"),
    (("", " ", "a "), "   a "),
]


@pytest.mark.parametrize(("arguments", "expected"), ARGUMENTS, ids=[expected for _, expected in ARGUMENTS])
def test_what_the_shell_kept_together_is_one_phrase(arguments: tuple[str, ...], expected: str) -> None:
    assert as_typed(arguments) == expected
    parse_words(expected)


def test_an_argument_with_a_key_may_be_words_too() -> None:
    arguments = ("from:ann invitation", "two words", "mailbox:Sent Items", "-from:Ann Bell")
    typed = as_typed(arguments, keyed=False)
    assert typed == 'from:ann invitation "two words" mailbox:"Sent Items" -from:Ann Bell'


@given(st.lists(st.text(alphabet="ab :\t", max_size=12), max_size=5))
def test_arguments_without_anything_of_the_language_are_phrases(arguments: list[str]) -> None:
    """Letters, colons and spaces alone: none is a key, so each argument that says something is one term."""
    said = [argument for argument in arguments if argument.strip()]
    terms = tuple(text(argument.strip()) for argument in said)
    assert parse_words(as_typed(arguments)).query == (
        q.And(terms) if len(terms) > 1 else terms[0] if terms else q.All()
    )


PIECES = st.sampled_from([*' "\\-:a', "OR", "NOT", "is:", "mailbox:", *(f"{key}:" for key in KEYS), "2024-01-31"])


@given(st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=12).map("".join))
def test_anything_typed_is_read_or_refused(typed: str) -> None:
    try:
        found = parse_words(typed)
    except BadWords:
        return
    assert isinstance(found, Words)
