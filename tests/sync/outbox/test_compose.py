"""What is handed in, and what is made of it."""

from __future__ import annotations

import email
import email.policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.sync.outbox.compose import MOST_FIELDS, BadMessage, Own, Ready, compose, until_dot

NOW = 1_800_000_000.0


def ready(raw: bytes, *recipients: str, **given: Any) -> Ready:
    options: dict[str, Any] = {
        "from_header": not recipients,
        "sender": None,
        "own": lambda author: Own(author or "anna@example.org"),
        "now": NOW,
        "random": lambda n: b"\x01" * n,
    }
    return compose(raw, recipients=recipients, **(options | given))


WHOLE = (
    b"Message-ID: <1@example.org>\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\nFrom: Anna <anna@example.org>\r\n"
    b"To: b@example.com\r\nSubject: x\r\n\r\n.\r\nbody\r\n"
)


def test_a_whole_message_is_not_touched() -> None:
    assert ready(WHOLE) == Ready("anna@example.org", ("b@example.com",), "x", WHOLE)


def test_what_is_missing_is_added_before_what_is_there() -> None:
    made = ready(b"To: b@example.com\nSubject: x\n\nbody\n")
    assert made.message == (
        b"Message-ID: <010101010101010101010101@example.org>\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n"
        b"From: anna@example.org\r\nTo: b@example.com\r\nSubject: x\r\n\r\nbody\r\n"
    )
    assert made.sender == "anna@example.org"


FULL_NAMES = [
    ("Anna", b"From: Anna <a@b.example>"),
    ('A. "Q" B', b'From: "A. \\"Q\\" B" <a@b.example>'),
    ("Jürgen", b"From: =?utf-8?q?J=C3=BCrgen?= <a@b.example>"),
]


@pytest.mark.parametrize(("name", "field"), FULL_NAMES)
def test_the_full_name_stands_in_from(name: str, field: bytes) -> None:
    made = ready(b"To: b@example.com\n\nx", own=lambda _: Own("a@b.example", name))
    assert field in made.message.split(b"\r\n")
    parsed = email.message_from_bytes(made.message, policy=email.policy.default)
    assert parsed["From"].addresses[0].display_name == name


def test_bcc_is_read_and_taken_out() -> None:
    made = ready(b"To: b@example.com\nBcc: c@example.com,\n d@example.com\nCc: E <e@example.com>\nX: y\n\nx\n")
    assert set(made.recipients) == {"b@example.com", "c@example.com", "d@example.com", "e@example.com"}
    assert b"cc:" in made.message.lower()
    assert b"bcc" not in made.message.lower()
    assert b"d@example.com" not in made.message
    assert b"\r\nX: y\r\n\r\nx\r\n" in made.message


def test_bcc_goes_where_recipients_are_named_too() -> None:
    made = ready(b"To: b@example.com\nBcc: c@example.com\n\nx\n", "f@example.com")
    assert made.recipients == ("f@example.com",)
    assert b"Bcc" not in made.message


def test_no_bcc_stands_behind_what_is_read() -> None:
    many = b"".join(b"X-%d: y\n" % number for number in range(MOST_FIELDS - 1))
    assert b"Bcc" not in ready(many + b"Bcc: c@example.com\n\nx\n", "b@example.com").message
    with pytest.raises(BadMessage, match="more than 2000 fields"):
        ready(many + b"X: y\nBcc: c@example.com\n\nx\n", "b@example.com")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (rb'"john doe"@example.com', r'"john doe"@example.com'),
        (rb'"a\"b\\c"@example.com', r'"a\"b\\c"@example.com'),
        (rb'J <"a@b"@example.com>', r'"a@b"@example.com'),
        (rb'"plain.dots"@example.com', r"plain.dots@example.com"),
        (rb"o'brien+tag=x@example.com", r"o'brien+tag=x@example.com"),
        ("ü@bücher.example".encode(), "ü@bücher.example"),
    ],
)
def test_a_local_part_is_quoted_where_it_has_to_be(written: bytes, said: str) -> None:
    assert ready(b"To: " + written + b"\n\nx\n").recipients == (said,)


def test_resent_fields_come_before_the_first_ones() -> None:
    made = ready(b"Resent-To: r@example.com\nResent-Bcc: s@example.com\nTo: b@example.com\n\nx\n")
    assert made.recipients == ("r@example.com", "s@example.com")
    assert b"Resent-Bcc" not in made.message


def test_a_recipient_stands_once() -> None:
    assert ready(b"To: b@example.com, B <b@example.com>\nCc: b@example.com\n\n").recipients == ("b@example.com",)


def test_groups_give_their_members() -> None:
    assert ready(b"To: friends: b@example.com, c@example.com;\n\n").recipients == ("b@example.com", "c@example.com")


def test_the_envelope_sender() -> None:
    assert ready(WHOLE, sender="bounces@example.org").sender == "bounces@example.org"
    assert ready(WHOLE, sender="").sender == ""


def test_text_without_a_header_is_all_body() -> None:
    made = ready(b"just words\nTo: nobody\n", "b@example.com")
    assert made.message.endswith(b"From: anna@example.org\r\n\r\njust words\r\nTo: nobody\r\n")


def test_a_forgotten_empty_line() -> None:
    made = ready(b"Subject: x\nY: z\nwords here\nmore: words\n", "b@example.com")
    assert made.message.endswith(b"Subject: x\r\nY: z\r\n\r\nwords here\r\nmore: words\r\n")
    assert made.subject == "x"


def test_a_header_alone() -> None:
    assert ready(b"To: b@example.com").message.endswith(b"To: b@example.com\r\n\r\n")


def test_the_line_that_mbox_files_begin_with_goes() -> None:
    assert ready(b"From anna Fri Jan 15\n" + WHOLE).message == WHOLE


BAD = [
    (b"Subject: x\n\nx", (), "no recipient"),
    (b"To: undisclosed-recipients:;\n\nx", (), "no recipient"),
    (b"To: b@example.com\n\n\0", (), "NUL"),
    (b"To: b@example.com\nSubject: \xfc\n\nx", (), "no UTF-8"),
    (b"To: root\n\nx", ("root",), '"root" is no address'),
    (b"\n\nx", ("b@example.com\r\nDATA",), "is no address"),
    (b"To: b@example.com, root\n\nx", (), '"root" is no address'),
    (b"To: Doe, John <b@example.com>\n\nx", (), '"Doe" is no address'),
    (b"To: \xff@example.com\n\nx", (), "no UTF-8"),
]


@pytest.mark.parametrize(("raw", "recipients", "words"), BAD)
def test_what_cannot_be_sent_is_refused_at_once(raw: bytes, recipients: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadMessage, match=words):
        ready(raw, *recipients)


def test_the_sender_may_be_refused() -> None:
    with pytest.raises(BadMessage, match=r"sender .* is no address"):
        ready(WHOLE, sender="a b")


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"a\n.\nb\n", b"a\n"),
        (b".\nb", b""),
        (b"a\r\n.\r\nb", b"a\r\n"),
        (b"a\n.", b"a\n"),
        (b"a\n..\nb\n.x", b"a\n..\nb\n.x"),
    ],
)
def test_a_dot_ends_the_input_where_i_was_not_said(raw: bytes, kept: bytes) -> None:
    assert until_dot(raw) == kept


@given(st.binary(max_size=300))
def test_any_octets_are_made_ready_or_refused(raw: bytes) -> None:
    try:
        made = ready(raw, "b@example.com")
    except BadMessage:
        return
    head, _, _ = made.message.partition(b"\r\n\r\n")
    assert head.startswith((b"Message-ID: ", b"Date: ", b"From: ")) or raw
    assert b"\n" not in made.message.replace(b"\r\n", b"")
    assert b"\r" not in made.message.replace(b"\r\n", b"")
    again = ready(made.message, "b@example.com")
    assert again.message == made.message, "made ready twice is made ready once"
