"""The reader's promises: borders, limits, refused literals, line mode."""

from __future__ import annotations

import tracemalloc

import pytest

from restante.imap.grammar.commands import (
    Append,
    Authenticate,
    Idle,
    Login,
    Noop,
    Search,
    SequenceSet,
    Sort,
    Text,
    Thread,
)
from restante.imap.grammar.reader import Bad, Continue, Line, ReaderLimits, Upload
from restante.query.language import Contains, Field, Not

from .helpers import append, bad, drain, events_of, read, reader

SMALL = ReaderLimits(line=100, line_before_login=50, literal=20, literal_before_login=10, message=1_000, command=1_100)


# Synchronising literals --------------------------------------------------------------------------------


def test_continue_comes_once_for_each_synchronising_literal() -> None:
    made = reader()
    assert events_of(made, [b"a LOGIN {1}\r\n"]) == [Continue()]
    assert events_of(made, [b"u {2}\r\n"]) == [Continue()]
    assert events_of(made, [b"pw\r\n"]) == [Login(b"a", b"u", b"pw")]


def test_non_synchronising_literal_gets_no_continue() -> None:
    assert events_of(reader(), [b"a LOGIN {1+}\r\nu {2+}\r\npw\r\n"]) == [Login(b"a", b"u", b"pw")]


@pytest.mark.parametrize(
    "line",
    [
        b"a NOOP {3}\r\n",
        b"a NOSUCH {3}\r\n",
        b"a LOGIN u p {3}\r\n",
        b"a APPEND {3\r\n",
        b"a LOGIN (x {3}\r\n",
        b"a SEARCH NOSUCHKEY {3}\r\n",
        b"a APPEND x (\\Seen {3}\r\n",
        b'a APPEND x "32-Jan-2000 00:00:00 +0000" {3}\r\n',
        b"a APPEND x ~{3}x {3}\r\n",
        b"a LOGIN ~{3}\r\n",
        b"a FETCH 1 {3}\r\n",
    ],
)
def test_literal_is_not_acknowledged_where_none_can_stand(line: bytes) -> None:
    refusal, after = events_of(reader(), [line + b"b NOOP\r\n"])
    assert isinstance(refusal, Bad)
    assert (refusal.tag, refusal.no, refusal.fatal) == (b"a", False, False)
    assert after == Noop(b"b")


def test_message_over_the_limit_is_toobig_before_it_is_sent() -> None:
    event = bad(b"a APPEND x (\\Seen) {1001}\r\n", limits=SMALL)
    assert event == Bad(b"a", event.text, b"TOOBIG", no=True)
    assert events_of(reader(limits=SMALL), [b"a APPEND x {1000}\r\n"]) == [Continue()]


def test_only_appends_message_may_be_large() -> None:
    assert bad(b"a APPEND {21}\r\n", limits=SMALL).code == b""
    assert bad(b"a SEARCH TEXT {21}\r\n", limits=SMALL).code == b""
    assert events_of(reader(limits=SMALL), [b"a SEARCH TEXT {20}\r\n"]) == [Continue()]


def test_limits_before_login_are_smaller() -> None:
    made = reader(authenticated=False, limits=SMALL)
    assert events_of(made, [b"a LOGIN {10}\r\n"]) == [Continue()]
    assert bad(b"a LOGIN {11}\r\n", authenticated=False, limits=SMALL).tag == b"a"
    assert bad(b"a APPEND x {11}\r\n", authenticated=False, limits=SMALL).tag == b"a"
    assert bad(b"a LOGIN " + b"x" * 50 + b" y\r\n", authenticated=False, limits=SMALL).text == "Line too long"
    assert read(b"a LOGIN " + b"x" * 50 + b" y\r\n", limits=SMALL) == [Login(b"a", b"x" * 50, b"y")]


def test_all_literals_of_a_command_are_bounded_together() -> None:
    limits = ReaderLimits(command=100, literal=40)
    events = read(
        b"a SEARCH" + b" TEXT {40+}\r\n" + b"x" * 40 + b" TEXT {40+}\r\n" + b"x" * 40 + b"\r\n", limits=limits
    )
    assert events == [Bad(b"a", "Command too large")]


# Refused non-synchronising literals ---------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_data_of_a_refused_literal_is_never_a_command(step: int) -> None:
    evil = b"x LOGOUT\r\n" * 50
    data = b"a LOGIN {%d+}\r\n%b {%d+}\r\n%b\r\nb NOOP\r\n" % (len(evil), evil, len(evil), evil)
    made = reader(authenticated=False, limits=SMALL)
    events = events_of(made, [data[i : i + step] for i in range(0, len(data), step)])
    assert events == [Bad(b"a", "Literal too large"), Noop(b"b")]


def test_literal_minus_refuses_and_swallows_more_than_4096_octets() -> None:
    made = reader(literal_plus=False)
    data = b"a APPEND x {%d+}\r\n%b\r\n"
    assert events_of(made, [data % (4096, b"x" * 4096)]) == [append(b"a", "x", (), None, b"x" * 4096)]
    refusal, after = events_of(made, [data % (4097, b"x" * 4097) + b"b NOOP\r\n"])
    assert isinstance(refusal, Bad)
    assert refusal.tag == b"a"
    assert after == Noop(b"b")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (b"APPEND x ", b"TOOBIG"),
        (b"append x (\\Seen) ", b"TOOBIG"),
        (b"APPEND x {1+}\r\ny ", b"TOOBIG"),
        (b"APPEND x CATENATE (TEXT ", b"TOOBIG"),
        (b"REPLACE 1 x ", b"TOOBIG"),
        (b"UID REPLACE 1 x ", b"TOOBIG"),
        (b"SELECT ", b""),
        (b"SEARCH SUBJECT append x ", b""),
    ],
)
def test_rfc7888_5_append_hears_that_its_message_was_too_big(command: bytes, code: bytes) -> None:
    made = reader(literal_plus=False)
    refusal, after = events_of(made, [b"a %b{4097+}\r\n%b\r\nb NOOP\r\n" % (command, b"x" * 4097)])
    assert isinstance(refusal, Bad)
    assert (refusal.code, refusal.no) == (code, False)
    assert after == Noop(b"b")


def test_literal_plus_takes_any_size() -> None:
    data = b"a APPEND x {5000+}\r\n%b\r\n" % (b"x" * 5_000)
    assert events_of(reader(literal_plus=True), [data]) == [append(b"a", "x", (), None, b"x" * 5_000)]


def test_what_cannot_be_swallowed_is_fatal() -> None:
    for authenticated, size in ((True, 2_001), (False, 1_001)):
        made = reader(authenticated=authenticated, limits=SMALL)
        (event,) = events_of(made, [b"a APPEND x {%d+}\r\n" % size, b"b NOOP\r\n"])
        assert isinstance(event, Bad)
        assert event.fatal
        assert event.code == b"TOOBIG"
        assert events_of(made, [b"c NOOP\r\n"]) == []


def test_rfc7889_4_a_message_just_too_large_is_swallowed_and_told_so() -> None:
    made = reader(limits=SMALL)
    assert events_of(made, [b"a APPEND x {2000+}\r\n" + b"b NOOP\r\n" * 250, b"\r\nc NOOP\r\n"]) == [
        Bad(b"a", "Message too large", b"TOOBIG", no=True),
        Noop(b"c"),
    ]


@pytest.mark.parametrize("size", [b"9" * 19, b"9" * 40, b"18446744073709551616", b"9" * 500, b"0" * 9_000 + b"5"])
def test_a_size_beyond_all_integers(size: bytes) -> None:
    assert not bad(b"a APPEND x {" + size + b"}\r\n").fatal
    assert bad(b"a APPEND x {" + size + b"+}\r\n").fatal


def test_digits_beyond_a_line_too_long_are_still_a_literal() -> None:
    assert bad(b"a APPEND x {" + b"0" * 200 + b"5+}\r\n", limits=SMALL).fatal


def test_literal_behind_a_nul_is_swallowed() -> None:
    assert read(b"a LOGIN \0 {8+}\r\nb NOOP\r\n x\r\nc NOOP\r\n") == [
        Bad(b"a", "NUL or bare CR in a command line"),
        Noop(b"c"),
    ]


def test_literal_at_the_end_of_a_line_too_long_is_swallowed() -> None:
    for step in (1, 3, 500):
        data = b"a LOGIN " + b"x" * 120 + b" {8+}\r\nb NOOP\r\n x\r\nc NOOP\r\n"
        made = reader(limits=SMALL)
        assert events_of(made, [data[i : i + step] for i in range(0, len(data), step)]) == [
            Bad(b"a", "Line too long"),
            Noop(b"c"),
        ]


# Lines -------------------------------------------------------------------------------------------------


def test_line_too_long_is_bad_with_its_tag_and_the_next_is_read() -> None:
    assert read(b"tag1 NOOP " + b"(" * 500 + b"\r\nb NOOP\r\n", limits=SMALL) == [
        Bad(b"tag1", "Line too long"),
        Noop(b"b"),
    ]


def test_line_without_end_is_fatal() -> None:
    made = reader(limits=SMALL)
    events = events_of(made, [b"(" * 100] * 20)
    assert events == [Bad(b"*", "Line too long", fatal=True)]


@pytest.mark.parametrize(
    ("line", "tag"),
    [
        (b"\r\n", b"*"),
        (b"a\r\n", b"a"),
        (b"a \r\n", b"a"),
        (b"a  NOOP\r\n", b"a"),
        (b" NOOP\r\n", b"*"),
        (b"(a NOOP\r\n", b"*"),
        (b"a+ NOOP\r\n", b"*"),
        (b"t] NOSUCH\r\n", b"t]"),
        (b"a NOOP x\r\n", b"a"),
        (b"a NOOP \r\n", b"a"),
        (b"a NOOP\r\r\n", b"a"),
        (b"a NO\0OP\r\n", b"a"),
        (b'a LOGIN "x\0y" z\r\n', b"a"),
        (b'a LOGIN "x\xff" z\r\n', b"a"),
        (b"a LOGIN x\xff z\r\n", b"a"),
        (b'a LOGIN "x\\y" z\r\n', b"a"),
        (b'a LOGIN "x z\r\n', b"a"),
        (b"a\xff NOOP\r\n", b"*"),
        (b"x" * 64 + b" NOSUCH\r\n", b"x" * 64),
        (b"x" * 65 + b" NOOP\r\n", b"*"),
        (b"a UID\r\n", b"a"),
        (b"a UID NOOP\r\n", b"a"),
        (b"a UID FETCH\r\n", b"a"),
    ],
)
def test_broken_line_is_bad_with_the_tag_it_had(line: bytes, tag: bytes) -> None:
    event, after = read(line + b"z NOOP\r\n")
    assert isinstance(event, Bad)
    assert (event.tag, event.fatal) == (tag, False)
    assert event.text.isascii()
    assert after == Noop(b"z")


def test_nul_in_a_literal_is_refused_but_in_a_message() -> None:
    assert bad(b"a LOGIN {3+}\r\na\0b {1+}\r\nx\r\n").text == "NUL in a string"
    assert read(b"a APPEND x {3+}\r\na\0b\r\n") == [append(b"a", "x", (), None, b"a\0b")]


def test_eight_bit_quoted_needs_utf8_and_must_be_utf8() -> None:
    line = 'a LOGIN "ü" p\r\n'.encode()
    assert bad(line).tag == b"a"
    assert read(line, utf8=True) == [Login(b"a", "ü".encode(), b"p")]
    assert bad(b'a LOGIN "\xc3" p\r\n', utf8=True).tag == b"a"


@pytest.mark.parametrize("string", ['"é"', "{2+}\r\né"])
@pytest.mark.parametrize(
    "before", ["SEARCH ", "UID SEARCH CHARSET UTF-8 ", "SORT (DATE) UTF-8 ", "THREAD REFERENCES UTF-8 "]
)
def test_strings_of_a_search_are_utf8_also_between_quotes(before: str, string: str) -> None:
    """RFC 9051 6.4.4 (no CHARSET); imapfilter, for one, sends them between quotes without any ENABLE."""
    (found,) = read(f"a {before}NOT SUBJECT {string}\r\n".encode())
    assert isinstance(found, Search | Sort | Thread)
    assert found.query == Not(Contains(Field.SUBJECT, "é"))


def test_a_message_that_waits_says_where_it_goes_and_may_be_refused() -> None:
    made = reader()
    (event,) = events_of(made, [b"a APPEND &U,BTFw- (\\Seen) {70000}\r\n"])
    assert isinstance(event, Continue)
    assert event.upload == Upload(b"a", "台北", 70_000, None)
    made.refuse()
    assert events_of(made, [b"b NOOP\r\n"]) == [Noop(b"b")]
    events = events_of(made, [b"c UID REPLACE 7 x {1}\r\n"])
    assert [event.upload for event in events if isinstance(event, Continue)] == [
        Upload(b"c", "x", 1, SequenceSet(((7, 7),), True))
    ]
    made.refuse()
    events = events_of(made, [b"d APPEND x {2}\r\n", b"ab {3+}\r\nabc CATENATE (URL u TEXT {4}\r\n"])
    uploads = [event.upload for event in events if isinstance(event, Continue)]
    assert uploads == [Upload(b"d", "x", 2, None), Upload(b"d", "x", 9, None)]
    made.refuse()
    (login,) = events_of(made, [b"e LOGIN {2}\r\n"])
    assert isinstance(login, Continue)
    assert login.upload is None


def test_all_messages_of_a_command_are_bounded_together() -> None:
    limits = ReaderLimits(message=1_000, literal=500, command=2_000)
    made = reader(limits=limits)
    assert events_of(made, [b"a APPEND x {900}\r\n" + b"y" * 900 + b" {900}\r\n" + b"y" * 900]) == [Continue()] * 2
    assert events_of(made, [b" {900}\r\n", b"b NOOP\r\n"]) == [
        Bad(b"a", "Messages too large for one command", b"LIMIT", no=True),
        Noop(b"b"),
    ]
    small = b" {100+}\r\n" + b"y" * 100
    (event,) = events_of(made, [b"c APPEND x" + small * 20 + b"\r\n"])
    assert event == Bad(b"c", "Messages too large for one command", b"LIMIT", no=True)
    assert events_of(made, [b"d NOOP\r\n"]) == [Noop(b"d")]


@pytest.mark.parametrize("more", [b" {1+}\r\ny" * 9, b" CATENATE (" + b" ".join([b"URL u"] * 9) + b")"])
def test_messages_of_a_command_are_counted(more: bytes) -> None:
    limits = ReaderLimits(appended=10)
    (event,) = read(b"a APPEND x {1+}\r\ny" + more + b"\r\n", limits=limits)
    assert isinstance(event, Append)
    refused = bad(b"a APPEND x {1+}\r\ny" + more + b" {1+}\r\ny\r\n", limits=limits)
    code = b"LIMIT" if b"CATENATE" in more else b"MESSAGELIMIT 10"  # RFC 9738 3.1
    assert (refused.code, refused.no) == (code, True)


# Line mode, discard -------------------------------------------------------------------------------------


def test_line_mode_gives_raw_lines_as_long_as_it_is_set() -> None:
    made = reader()
    made.feed(b"a AUTHENTICATE PLAIN\r\nAGEAYg==\r\nb IDLE\r\nDONE\r\nc NOOP\r\n")
    assert made.next() == Authenticate(b"a", "PLAIN", None)
    made.line_mode = True
    assert made.next() == Line(b"AGEAYg==")
    made.line_mode = False
    assert made.next() == Idle(b"b")
    made.line_mode = True
    assert made.next() == Line(b"DONE")
    made.line_mode = False
    assert made.next() == Noop(b"c")


def test_line_mode_reads_no_literals_and_keeps_the_limit() -> None:
    made = reader(limits=SMALL)
    made.line_mode = True
    assert events_of(made, [b"x {5+}\r\n", b"\n", b"y" * 101 + b"\r\nok\n"]) == [
        Line(b"x {5+}"),
        Line(b""),
        Bad(b"*", "Line too long"),
        Line(b"ok"),
    ]


def test_discard_forgets_all_that_was_fed() -> None:
    for data in (b"x NOOP\r\ny NOOP\r\n", b"x LOG", b"x LOGIN {5}\r\nab", b"x LOGIN {99999+}\r\nab"):
        made = reader()
        made.feed(b"a STARTTLS\r\n" + data)
        made.next()
        made.discard()
        assert events_of(made, [b"b NOOP\r\n"]) == [Noop(b"b")]


# Memory and time ----------------------------------------------------------------------------------------


def test_a_large_message_is_held_once() -> None:
    size = 8 << 20
    made = reader()
    made.feed(b"a APPEND x {%d}\r\n" % size)
    assert drain(made) == [Continue()]
    chunk = b"x" * 65_536
    tracemalloc.start()
    try:
        for _ in range(size // len(chunk)):
            made.feed(chunk)
            assert made.next() is None
        made.feed(b"\r\n")
        command = made.next()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(command, Append)
    (text,) = command.messages[0].parts
    assert isinstance(text, Text)
    assert len(text.data) == size
    assert peak < size * 1.3


@pytest.mark.parametrize(
    "junk",
    [b"a NOOP ((((((((((", b"a SEARCH OR OR OR OR", b"a SEARCH NOT NOT (((", b'a LIST "" (', b"a UID FETCH 1,2,3,4,"],
)
def test_a_command_that_waits_for_its_end_holds_its_octets_alone(junk: bytes) -> None:
    made = reader()
    made.feed(junk)
    drain(made)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(50_000):
            made.feed(b"(")
            assert made.next() is None
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < 70_000


def test_swallowed_octets_are_not_held() -> None:
    made = reader(literal_plus=False)
    made.feed(b"a APPEND x {8000000+}\r\n")
    tracemalloc.start()
    try:
        for _ in range(100):
            made.feed(b"x" * 80_000)
            assert made.next() is None
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 100_000


def test_a_line_too_long_is_not_held() -> None:
    made = reader()
    tracemalloc.start()
    try:
        for _ in range(900):
            made.feed(b"x" * 1_000)
            assert made.next() is None
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 100_000


def test_literal_flood_in_one_command_is_bounded() -> None:
    made = reader()
    tracemalloc.start()
    try:
        events = events_of(made, [b"a SEARCH" + b" TEXT {2+}\r\nxy" * 5_000, b"\r\n"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [type(event) for event in events] == [Bad]
    assert peak < 2_000_000


def test_many_pipelined_commands_are_all_read() -> None:
    data = b"".join(b"t%d NOOP\r\n" % i for i in range(20_000))
    assert events_of(reader(), [data]) == [Noop(b"t%d" % i) for i in range(20_000)]
