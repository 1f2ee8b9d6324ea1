"""A brief analysis is the whole one, or it has been told soon that the whole one is not brief."""

from __future__ import annotations

import encodings
import time
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.mime.analyse import analyse
from restante.mime.charsets import codec
from restante.mime.model import DEFAULT_LIMITS, Analysis, Lengthy
from restante.mime.scan import (
    BRIEF_CANDIDATES,
    BRIEF_DEPTH,
    BRIEF_HEADERS,
    BRIEF_LINES,
    BRIEF_NAMED,
    BRIEF_PARTS,
    BRIEF_WORDS,
    UNWEIGHED,
)
from restante.mime.text import BRIEF_TAGS

MIXED = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
LONG = b"X-Long: " + b"y" * UNWEIGHED + b"\r\n"


def levels(count: int) -> bytes:
    """A message at so many levels below another."""
    heads = (b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(count))
    return b"".join(heads) + b"\r\nx\r\n"


BOUNDS: dict[str, tuple[Callable[[int], bytes], int]] = {
    "parts": (lambda n: MIXED + b"--x\r\n\r\ny\r\n" * (n - 1), BRIEF_PARTS),
    "depth": (levels, BRIEF_DEPTH),
    "candidates": (lambda n: MIXED + b"--x\r\n\r\n" + b"--xa\r\n" * n, BRIEF_CANDIDATES),
    "delimiters-in-a-row": (lambda n: MIXED + b"--x\r\n" * (n + 1), BRIEF_CANDIDATES),
    "headers": (lambda n: b"X: %b\r\n\r\n" % (b"y" * (n - 7)), BRIEF_HEADERS),
    "headers-of-parts": (
        lambda n: MIXED + b"--x\r\nX: %b\r\n\r\n" % (b"y" * (n - len(MIXED) - 7)),
        BRIEF_HEADERS,
    ),
    "lines": (lambda n: b"X: 0123456789\r\n" * (n - 1) + b"\r\n", BRIEF_LINES),
    "addresses": (lambda n: LONG + b"To: %b\r\nCc: %b\r\n\r\n" % (b"a" * (n - 100), b"b" * 100), BRIEF_NAMED),
    "addresses-nested": (
        lambda n: b"Content-Type: message/rfc822\r\n" + LONG + b"\r\nFrom: %b\r\n\r\n" % (b"a" * n),
        BRIEF_NAMED,
    ),
    "references": (lambda n: LONG + b"References: %b\r\n\r\n" % (b"<" * n), BRIEF_NAMED),
    "tags": (lambda n: b"Content-Type: text/html\r\n\r\n" + b"<div>" * n, BRIEF_TAGS),
    "words": (lambda n: LONG + b"Subject: %b\r\n\r\n" % (b"=?x?q?a?= " * n), BRIEF_WORDS),
}


@pytest.mark.parametrize("what", BOUNDS)
def test_what_is_within_a_bound_is_analysed_and_one_more_is_not(what: str) -> None:
    make, bound = BOUNDS[what]
    data = make(bound)
    assert analyse(data, brief=True) == analyse(data)
    with pytest.raises(Lengthy):
        analyse(make(bound + 1), brief=True)


def test_trace_fields_count_as_the_header_they_become() -> None:
    trace = b"Delivered-To: a@example.org\r\n"
    data = b"X: %b\r\n\r\n" % (b"y" * (BRIEF_HEADERS - 7 - len(trace)))
    assert analyse(data, DEFAULT_LIMITS, trace, brief=True) == analyse(data, DEFAULT_LIMITS, trace)
    with pytest.raises(Lengthy):
        analyse(b"X" + data, DEFAULT_LIMITS, trace, brief=True)


PIECES = st.sampled_from(
    [
        b"To: ", b"Subject: ", b"References: ", b"a ", b"a@b, ", b"<a@b>", b'"', b"(", b"()", b"\\", b"=?x?q?a?= ",
        b"=?utf-8?q?=C3=A4?= ", "é".encode(), b"\xe9", "\u0301".encode(), "\ufdfa".encode(), b"\r\n", b"\n",
        b"\r\n\r\n", b"a:\n", MIXED, b"--x\r\n", b"--xa\r\n", b"Content-Type: message/rfc822\r\n\r\n", b";a=b",
        b"Content-Type: text/html\r\n\r\n", b"<b>", b"<p>", b"&lt;", b"-", b":;", b"=20",
    ]
)  # fmt: skip

ORDINARY = (
    b"From: Somebody <somebody@example.org>\r\nTo: a@example.org\r\nSubject: =?utf-8?q?J=C3=B6rg?=\r\n\r\n"
    + b"A line of text like any other.\r\n" * 250
)
MOST = 600
"""What a brief analysis may cost, or to tell that it is none: as much as so many ordinary messages. Giants of a quarter
of a megabyte come to 4,000; a busy machine moves both."""


def seconds(work: Callable[[], Analysis]) -> float:
    began = time.process_time()
    try:
        work()
    except Lengthy:
        pass
    return time.process_time() - began


def ordinary() -> float:
    return min(seconds(lambda: analyse(ORDINARY)) for _ in range(50))


@given(st.lists(PIECES, max_size=3).map(b"".join), st.lists(PIECES, min_size=1, max_size=2).map(b"".join))
@settings(max_examples=60, deadline=None)
def test_no_message_looks_brief_and_is_not(head: bytes, again_and_again: bytes) -> None:
    data = (head + again_and_again * ((256 << 10) // len(again_and_again)))[: 256 << 10]
    costs = (seconds(lambda: analyse(data, brief=True)) / ordinary() for _ in range(3))
    assert min(costs) < MOST
    try:
        found = analyse(data, brief=True)
    except Lengthy:
        return
    assert found == analyse(data)


def made_up() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"made-up-{number:x}"


def test_a_charset_that_somebody_made_up_is_not_looked_for_nor_remembered() -> None:
    """The library would look into folders for each, and never forget it: a header has room for 60,000."""
    cache: dict[str, object] = encodings._cache
    before = len(cache)
    assert not any(codec(label) for label in islice(made_up(), 1_000))
    assert not any(codec(f"utf{'-.'[n % 2] * n}9") for n in range(20))
    assert {codec(f"Utf{'!-# '[n % 4] * (n + 1)}8 ") for n in range(20)} == {"utf-8"}
    assert len(cache) <= before + 1
