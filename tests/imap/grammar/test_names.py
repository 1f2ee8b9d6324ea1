"""Mailbox names: both wire forms, strictly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.imap.grammar.errors import BadSyntax
from restante.imap.grammar.names import decode_mailbox, decode_utf7, encode_mailbox, encode_utf7

PAIRS = [
    ("INBOX", b"INBOX"),
    ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 5.1.3
    ("Hi Mom -☺-!", b"Hi Mom -&Jjo--!"),  # the old RFC's example in new clothes
    ("A&B", b"A&-B"),
    ("&&", b"&-&-"),
    ("Entwürfe", b"Entw&APw-rfe"),
    ("ü&ü", b"&APw-&-&APw-"),
    ("😀", b"&2D3eAA-"),
    ("", b""),
]

names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=40)


@pytest.mark.parametrize(("name", "raw"), PAIRS)
def test_known_names(name: str, raw: bytes) -> None:
    assert encode_utf7(name) == raw
    assert decode_utf7(raw) == name


@pytest.mark.parametrize(
    "raw",
    [
        b"&",
        b"&Jjo",
        b"&Jj!-",
        b"&J-",
        b"&AGE-",
        b"&U,BTFx-",
        b"&2D0-",
        b"&3gA-",
        b"&APw-&APw-",
        b"\xff",
        b"a\x01",
        b"&A-",
    ],
)
def test_every_other_spelling_is_refused(raw: bytes) -> None:
    with pytest.raises(BadSyntax):
        decode_utf7(raw)


@settings(deadline=None)
@given(names)
def test_round_trip_in_utf7(name: str) -> None:
    raw = encode_utf7(name)
    assert raw.isascii()
    assert decode_mailbox(raw, False) == name
    assert decode_mailbox(name.encode(), True) == name


@settings(deadline=None)
@given(st.binary(max_size=40) | st.text("&-AaDJ,+zZ9 ", max_size=30).map(str.encode))
def test_one_name_has_one_spelling(raw: bytes) -> None:
    for utf8 in (False, True):
        try:
            name = decode_mailbox(raw, utf8)
        except BadSyntax:
            continue
        assert (name.encode() if utf8 else encode_utf7(name)) == raw


@pytest.mark.parametrize(
    ("name", "utf8", "wire"),
    [
        ("INBOX", False, b"INBOX"),
        ("a b", False, b'"a b"'),
        ('a"b\\', False, b'"a\\"b\\\\"'),
        ("", False, b'""'),
        ("nil", False, b'"nil"'),
        ("a/b]", False, b"a/b]"),
        ("50%*", False, b'"50%*"'),
        ("ü", False, b"&APw-"),
        ("ü", True, '"ü"'.encode()),
        ("A&B", True, b"A&B"),
        ("a\nb", True, b"{3}\r\na\nb"),
    ],
)
def test_names_in_responses(name: str, utf8: bool, wire: bytes) -> None:
    assert encode_mailbox(name, utf8) == wire
