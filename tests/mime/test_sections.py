"""BODY[...]: part numbers and words -> octets."""

from __future__ import annotations

import pytest

from restante.mime.analyse import analyse
from restante.mime.sections import Section, find, locate, span

INNER = (
    b"Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\n3.1\r\n--i\r\n\r\n3.2\r\n--i--\r\n"
)
INNER_4_2 = (
    b"Subject: 4.2\r\nContent-Type: multipart/mixed; boundary=j\r\n\r\n--j\r\n\r\n4.2.1\r\n--j\r\n"
    b"Content-Type: multipart/alternative; boundary=k\r\n\r\n"
    b"--k\r\n\r\n4.2.2.1\r\n--k\r\nContent-Type: text/richtext\r\n\r\n4.2.2.2\r\n--k--\r\n\r\n--j--\r\n"
)
# The example of RFC 9051 6.4.5.1; each leaf's content is its part number.
MESSAGE = (
    b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
    b"--o\r\n\r\n1\r\n"
    b"--o\r\nContent-Type: application/octet-stream\r\n\r\n2\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n"
    b"--o\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
    b"--m\r\nContent-Type: image/gif\r\n\r\n4.1\r\n"
    b"--m\r\nContent-Type: message/rfc822\r\n\r\n" + INNER_4_2 + b"\r\n--m--\r\n\r\n"
    b"--o--\r\n"
)
ROOT = analyse(MESSAGE).root


def octets(path: str, section: Section, data: bytes = MESSAGE) -> bytes | None:
    root = ROOT if data is MESSAGE else analyse(data).root
    found = span(root, tuple(int(number) for number in path.split(".") if number), section)
    return None if found is None else data[found[0] : found[1]]


@pytest.mark.parametrize("number", ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"])
def test_rfc9051_6_4_5_1_each_leaf_by_its_number(number: str) -> None:
    assert octets(number, Section.WHOLE) == number.encode()


WORDS = [
    ("", Section.WHOLE, MESSAGE),
    ("", Section.HEADER, b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"),
    ("", Section.TEXT, MESSAGE[MESSAGE.index(b"--o") :]),
    ("", Section.MIME, None),
    ("1", Section.MIME, b"\r\n"),
    ("1", Section.HEADER, None),
    ("1", Section.TEXT, None),
    ("1.1", Section.WHOLE, None),
    ("0", Section.WHOLE, None),
    ("5", Section.WHOLE, None),
    ("3", Section.WHOLE, INNER),
    ("3", Section.MIME, b"Content-Type: message/rfc822\r\n\r\n"),
    ("3", Section.HEADER, INNER[: INNER.index(b"--i")]),
    ("3", Section.TEXT, INNER[INNER.index(b"--i") :]),
    ("3.3", Section.WHOLE, None),
    ("3.1", Section.HEADER, None),
    ("4", Section.HEADER, None),
    ("4.1", Section.MIME, b"Content-Type: image/gif\r\n\r\n"),
    ("4.2", Section.WHOLE, INNER_4_2),
    ("4.2", Section.HEADER, INNER_4_2[: INNER_4_2.index(b"--j")]),
    ("4.2.2", Section.MIME, b"Content-Type: multipart/alternative; boundary=k\r\n\r\n"),
    ("4.2.2.2.1", Section.WHOLE, None),
]


@pytest.mark.parametrize(("path", "section", "expected"), WORDS, ids=[f"{p}.{s.value}" for p, s, _ in WORDS])
def test_rfc9051_6_4_5_1_words(path: str, section: Section, expected: bytes | None) -> None:
    assert octets(path, section) == expected


PLAIN = b"Subject: x\r\n\r\nbody\r\n"
NESTED = b"Content-Type: message/rfc822\r\n\r\n" + PLAIN
SINGLE = [
    (PLAIN, "1", Section.WHOLE, b"body\r\n"),
    (PLAIN, "1", Section.MIME, b"Subject: x\r\n\r\n"),
    (PLAIN, "1", Section.TEXT, None),
    (PLAIN, "2", Section.WHOLE, None),
    (PLAIN, "1.1", Section.WHOLE, None),
    (NESTED, "1", Section.WHOLE, PLAIN),
    (NESTED, "1", Section.HEADER, b"Subject: x\r\n\r\n"),
    (NESTED, "1.1", Section.WHOLE, b"body\r\n"),
    (NESTED, "1.1.1", Section.WHOLE, None),
    (NESTED, "", Section.TEXT, PLAIN),
]


@pytest.mark.parametrize(("data", "path", "section", "expected"), SINGLE)
def test_messages_that_are_no_multipart(data: bytes, path: str, section: Section, expected: bytes | None) -> None:
    assert octets(path, section, data) == expected


def test_words_as_commands_have_them() -> None:
    header = locate(ROOT, (3,), "HEADER")
    assert header is not None
    assert locate(ROOT, (3,), "HEADER.FIELDS") == locate(ROOT, (3,), "HEADER.FIELDS.NOT") == header
    assert locate(ROOT, (), "") == (0, len(MESSAGE))
    part = find(ROOT, (4, 2))
    assert part is not None
    assert (part.type, part.subtype) == ("message", "rfc822")
