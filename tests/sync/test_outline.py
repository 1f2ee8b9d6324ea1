"""What a message is recognised by: the mark is the same however a server gives the header back."""

from __future__ import annotations

import hashlib
import re
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from restante.sync.outline import _end, digest, mark

WHOLE = b"From: A <a@b>\r\nSubject: hello\r\n world\r\nX: y\r\n\r\nFrom: body\r\n"


def test_folding_order_case_and_line_ends_make_no_difference() -> None:
    assert mark(WHOLE) == mark(b"subject: hello world\nFROM:  A <a@b>\n\n")


def test_the_header_ends_at_the_first_empty_line_whatever_line_ends_there_are() -> None:
    wanted = mark(b"To: a\r\n")
    for tail in (b"", b"\r\nFrom: b\r\n", b"\nFrom: b\n", b"\nFrom: b\r\n\r\nTo: c", b"\r\nFrom: b\n\nTo: c"):
        assert mark(b"To: a\r\n" + tail) == mark(b"To: a\n" + tail) == wanted, tail
    assert mark(b"\nTo: a\r\n\r\n") == mark(b"")


def test_the_body_is_not_looked_at() -> None:
    assert mark(WHOLE) == mark(WHOLE.partition(b"\r\n\r\n")[0])
    assert mark(b"\r\nFrom: a") == mark(b"")


def test_each_field_counts() -> None:
    marks = {mark(b"%b: a\r\n\r\n" % name) for name in (b"Message-ID", b"Date", b"From", b"To", b"Subject", b"X")}
    assert len(marks) == 6
    assert mark(b"To: a\r\nTo: b\r\n\r\n") != mark(b"To: b\r\nTo: a\r\n\r\n")


def test_digest_is_of_every_octet() -> None:
    assert digest(WHOLE) != digest(WHOLE + b"\n")


_FIELD = re.compile(rb"^(message-id|date|from|to|subject)[ \t]*:(.*(?:\r?\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)


def as_released(header: bytes) -> bytes:
    """The mark as copies that are there have written it."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in _FIELD.findall(header, 0, _end(header)):
        found.setdefault(name.lower(), []).append(b" ".join(value.split()))
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(found):
        for value in found[name]:
            state.update(name + b":" + value + b"\n")
    return state.digest()


PIECES = [
    b"From",
    b"to",
    b"SUBJECT",
    b"Message-Id",
    b"date",
    b"X-To",
    b":",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n",
    b"a",
    b"\xff",
]


@given(st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_marks_stay_what_they_were(header: bytes) -> None:
    """They are kept in the states of copies, and compared with those that are made later."""
    assert mark(header) == as_released(header)


def test_a_header_of_megabytes_is_read_the_same_way_in_little_memory() -> None:
    lines = b"x\r\n" * 500_000
    tracemalloc.start()
    try:
        assert mark(b"X: y\r\n" + lines + WHOLE) == mark(WHOLE)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
