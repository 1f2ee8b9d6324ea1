"""What a message is recognised by: the mark is the same however a server gives the header back."""

from __future__ import annotations

from restante.sync.outline import digest, mark

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
