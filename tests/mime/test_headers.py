"""Header fields: splitting, unfolding, choosing by name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mime import headers
from restante.mime.headers import (
    CACHED_FIELDS,
    FieldSelector,
    cached_fields,
    header_end,
    index_fields,
    read_header,
    split_fields,
    unfold,
)

HEADER = b"From: a\r\nSUBJECT : one\r\n two\r\nnot a field\r\n\tits rest\r\nX-Odd:3\r\nsubject:four\r\n\r\n"

SELECT = [
    ("rfc9051-6.4.5.1-order-and-case", {b"Subject"}, False, b"SUBJECT : one\r\n two\r\nsubject:four\r\n\r\n"),
    ("rfc9051-6.4.5.1-not", {b"SUBJECT"}, True, b"From: a\r\nX-Odd:3\r\n\r\n"),
    ("none-leaves-the-empty-line", {b"To"}, False, b"\r\n"),
    ("exact-name", {b"X-Od"}, False, b"\r\n"),
]


@pytest.mark.parametrize(("names", "negate", "expected"), [c[1:] for c in SELECT], ids=[c[0] for c in SELECT])
def test_select(names: set[bytes], negate: bool, expected: bytes) -> None:
    assert FieldSelector(frozenset(names), negate).select(HEADER) == expected


def test_line_ends_go_out_as_crlf_and_nul_as_0x80() -> None:
    assert (
        FieldSelector(frozenset({b"to", b"cc"}), False).select(b"To: a\n b\0\nCc: c")
        == b"To: a\r\n b\x80\r\nCc: c\r\n\r\n"
    )


def test_cached_block_answers_like_the_whole_header() -> None:
    header = b"Received: x\nFrom: a\n\tb\nX-None: 1\nTo: c\r\nDate: d\n\nbody"
    selector = FieldSelector(frozenset({b"FROM", b"To"}), negate=False)
    assert selector.cached
    assert selector.fields_cached([cached_fields(header)]) == [selector.fields(header)]
    assert selector.select(cached_fields(header)) == selector.select(header) == b"From: a\r\n\tb\r\nTo: c\r\n\r\n"
    assert not FieldSelector(frozenset({b"received"}), negate=False).cached
    assert not FieldSelector(frozenset({b"from"}), negate=True).cached


def test_cached_fields_are_what_clients_ask_for() -> None:
    thunderbird = (
        b"from to cc bcc subject date message-id priority x-priority references newsgroups in-reply-to content-type "
        b"reply-to"
    )
    mutt = (
        b"date from sender subject to cc message-id references content-type content-description in-reply-to reply-to "
        b"lines list-post x-label"
    )
    assert set((thunderbird + b" " + mutt).split()) <= CACHED_FIELDS
    assert b"received" not in CACHED_FIELDS


def test_field_values_are_unfolded() -> None:
    values = index_fields(split_fields(HEADER, 100))[b"subject"]
    assert [unfold(value) for value in values] == [b"one two", b"four"]


END = [
    (b"A: b\r\n\r\nbody", 8),
    (b"A: b\n\nbody", 6),
    (b"A: b\n\r\nbody", 7),
    (b"\r\nbody", 2),
    (b"\nbody", 1),
    (b"A: b\r\n", -1),
    (b"A: b\r\rbody", -1),
    (b"", -1),
]


@pytest.mark.parametrize(("data", "expected"), END)
def test_header_end(data: bytes, expected: int) -> None:
    assert header_end(data, 0, len(data)) == expected


def test_rfc5322_2_2_3_unfolding_removes_line_ends_only() -> None:
    assert unfold(b"This\r\n is a test\r\n\t x ") == b"This is a test\t x"


@given(st.binary(max_size=200), st.frozensets(st.sampled_from([b"a", b"to", b"x"])))
def test_selections_are_complements(block: bytes, names: frozenset[bytes]) -> None:
    chosen = FieldSelector(names, False).select(block)
    others = FieldSelector(names, True).select(block)
    assert chosen.endswith(b"\r\n")
    assert len(split_fields(chosen, 1_000)) + len(split_fields(others, 1_000)) == len(split_fields(block, 1_000))
    assert b"\0" not in chosen
    assert chosen.count(b"\n") == chosen.count(b"\r\n")


@given(
    st.lists(st.sampled_from([b"a:", b"To", b" : x", b"\n", b"\r\n", b" ", b"\t", b"b:c", b"\0", b"\xff", b":"])).map(
        b"".join
    ),
    st.frozensets(st.sampled_from([b"A", b"to", b"b", b"x.y"]), min_size=1),
)
def test_few_names_choose_what_many_do(block: bytes, names: frozenset[bytes]) -> None:
    many = names | {b"absent-%d" % n for n in range(100)}
    assert FieldSelector(names, False).select(block) == FieldSelector(many, False).select(block)


def test_number_of_fields_is_bounded() -> None:
    assert len(split_fields(b"A:b\n" * 50_000, 10_000)) == 10_000


LINES = [
    b"Subject: a\r\n", b"subject :\tb\n", b" folded\r\n", b"\tfolded \n", b"X-None:\r\r\n", b"no field\r\n",
    b"To: c\0\r", b": d\n", b"Date:", b"\n", b"\r\n", b"\r", b" ", b"Cc: \xc3\xa9\r\n", b"X: \n", b"DATE: e\r\n \r\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(LINES), max_size=12).map(b"".join), st.integers(1, 20))
def test_a_message_s_own_header_read_at_once_is_what_each_reading_gives(block: bytes, most: int) -> None:
    found = read_header(block, most)
    assert found.split == split_fields(block, most)
    assert found.fields == index_fields(found.split)
    assert found.cached == cached_fields(block)


@given(
    st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"b" * 4_090, b"c: d\r\n"]), max_size=9).map(b"".join),
    st.integers(0, 9),
    st.integers(0, 9_000),
)
def test_a_header_ends_at_its_first_empty_line(data: bytes, start: int, length: int) -> None:
    """Near the beginning it is searched for in another way than far from it."""
    stop = min(start + length, len(data))
    found = re.compile(rb"\A\r?\n|\n\r?\n").search(data[start:stop])
    assert header_end(data, start, stop) == (start + found.end() if found else -1)


@pytest.mark.parametrize("end", [b"\n\n", b"\n\r\n"], ids=repr)
def test_a_header_ends_where_the_quick_search_gives_up(end: bytes) -> None:
    for length in range(4_090, 4_100):
        assert header_end(b"a" * length + end + b"b", 0, length + len(end) + 1) == length + len(end)


def test_long_names_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "_finder", None)
    long = b"X-" + b"long" * 300
    assert FieldSelector(frozenset({long, b"to"}), False).select(b"To: a\r\n%b: b\r\n\r\n" % long.lower()) == (
        b"To: a\r\n%b: b\r\n\r\n" % long.lower()
    )
