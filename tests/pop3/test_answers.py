"""The client's half of the grammar: answers whole, split at each octet, bounded; commands that cannot be smuggled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.pop3.grammar import requests
from restante.pop3.grammar.answers import (
    LINE_LIMIT,
    AnswerReader,
    AnswerTooLong,
    BadAnswer,
    Challenge,
    Status,
    parse_capabilities,
    parse_sizes,
    parse_status,
    parse_uidls,
    timestamp,
)
from restante.pop3.grammar.stuffing import stuffed

from .harness import as_sent

STATUSES = [
    pytest.param(b"+OK", Status(True), id="rfc1939-3"),
    pytest.param(b"+OK 2 200", Status(True, (), b"2 200"), id="rfc1939-5-stat"),
    pytest.param(b"-ERR no such message", Status(False, (), b"no such message"), id="rfc1939-5-retr"),
    pytest.param(
        b"-ERR [IN-USE] Do you have another POP session running?",
        Status(False, ("IN-USE",), b"Do you have another POP session running?"),
        id="rfc2449-8",
    ),
    pytest.param(b"-ERR [SYS/TEMP]", Status(False, ("SYS", "TEMP")), id="rfc3206-4"),
    pytest.param(b"-ERR [sys/perm/disk] x", Status(False, ("SYS", "PERM", "DISK"), b"x"), id="rfc2449-8-deeper"),
    pytest.param(b"-ERR [UTF8] not here", Status(False, ("UTF8",), b"not here"), id="rfc6856-5"),
    pytest.param(b"-ERR [not closed", Status(False, (), b"[not closed"), id="no-code"),
    pytest.param(b"+ok lower", Status(True, (), b"lower"), id="lower-case"),
    pytest.param(b"+ ", Challenge(b""), id="rfc5034-4-empty"),
    pytest.param(b"+", Challenge(b""), id="no-space"),
    pytest.param(b"+ dGVzdA==", Challenge(b"test"), id="rfc5034-4"),
]


@pytest.mark.parametrize(("line", "expected"), STATUSES)
def test_status_lines_are_read(line: bytes, expected: Status | Challenge) -> None:
    assert parse_status(line) == expected
    for end in (b"\r\n", b"\n"):
        reader = AnswerReader()
        for octet in line + end:
            assert reader.status() is None
            reader.feed(bytes([octet]))
        assert reader.status() == expected
        assert reader.held == 0


@pytest.mark.parametrize(
    "line", [b"", b"OK", b"+OKAY", b"-ERROR", b"* OK", b"+ no base64", b"HTTP/1.1 400 Bad Request"]
)
def test_what_is_no_status_is_refused(line: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_status(line)


def test_what_is_shown_moves_no_cursor() -> None:
    assert parse_status(b"-ERR \x1b[2J" + b"x" * 500) == Status(False, (), b"\x1b[2J" + b"x" * 500)
    shown = Status(False, (), b"\x1b[2J\xff" + b"x" * 500).shown
    assert shown.startswith("?[2J")
    assert len(shown) == 200


BODIES = [
    b"",
    b".\r\n",
    b"a\r\n",
    b".a\r\n..\r\nb\r\n",
    b"a\n.\nb\r\n",
    b"a\r.\rb\r\n",
    b"a\n.\r\nb\r\n",
    b"\r\n.\n\r\n",
]


@pytest.mark.parametrize("body", BODIES)
def test_bodies_come_back_split_anywhere(body: bytes) -> None:
    wire = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    for cut in range(len(wire) + 1):
        reader = AnswerReader()
        reader.feed(wire[:cut])
        if cut < len(wire):
            assert reader.body(100) is None
        reader.feed(wire[cut:] + b"+OK next\r\n")
        assert reader.body(100) == body
        assert reader.status() == Status(True, (), b"next")


@given(st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"x", b"\r\n.")), max_size=6), st.integers(1, 40))
def test_what_was_stuffed_comes_back(messages: list[bytes], piece: int) -> None:
    whole = [as_sent(m) for m in messages]
    wire = b"".join(b"+OK\r\n" + stuffed(m) + b".\r\n" for m in messages)
    reader, found = AnswerReader(), []
    waiting = False
    for at in range(0, len(wire), piece):
        reader.feed(wire[at : at + piece])
        while True:
            if not waiting:
                if reader.status() is None:
                    break
                waiting = True
            body = reader.body(10_000)
            if body is None:
                break
            found.append(body)
            waiting = False
    assert found == whole
    assert reader.held == 0


def test_answers_are_bounded() -> None:
    reader = AnswerReader()
    reader.feed(b"+OK " + b"x" * LINE_LIMIT)
    with pytest.raises(AnswerTooLong):
        reader.status()
    reader = AnswerReader()
    reader.feed(b"x" * 100)
    assert reader.body(100) is None
    reader.feed(b"x")
    with pytest.raises(AnswerTooLong):
        reader.body(100)
    reader = AnswerReader()
    reader.feed(b"x" * 101 + b"\r\n.\r\n")
    with pytest.raises(AnswerTooLong):
        reader.body(100)


def test_what_came_early_can_be_thrown_away() -> None:
    reader = AnswerReader()
    reader.feed(b"+OK begin TLS\r\n+OK injected\r\n")
    assert reader.status() == Status(True, (), b"begin TLS")
    reader.clear()
    assert reader.status() is None
    assert reader.held == 0


def test_listings_are_read() -> None:
    assert parse_sizes(b"1 120\r\n2 200 more\r\n") == {1: 120, 2: 200}
    assert parse_sizes(b"") == {}
    for bad in (b"1 120\r\nnonsense\r\n", b"1 120\r\n1 130\r\n", b"1 -5\r\n", b"1\r\n"):
        with pytest.raises(BadAnswer):
            parse_sizes(bad)
    assert parse_uidls(b"1 whqtswO00WBw418f9t5JxYwZ\r\n2 QhdPYR:00WBw1Ph7x7\r\n") == {
        1: b"whqtswO00WBw418f9t5JxYwZ",
        2: b"QhdPYR:00WBw1Ph7x7",
    }
    assert parse_uidls(b"1 a\r\n2 \r\n3\r\n4 b c\r\n") == {1: b"a"}
    with pytest.raises(BadAnswer):
        parse_uidls(b"1 a\r\n1 b\r\n")


def test_capabilities_are_read() -> None:
    found = parse_capabilities(b"TOP\r\nsasl PLAIN scram-sha-256\r\nLOGIN-DELAY 900 USER\r\n")
    assert found == {"TOP": (), "SASL": ("PLAIN", "SCRAM-SHA-256"), "LOGIN-DELAY": ("900", "USER")}


def test_a_timestamp_is_found() -> None:
    assert timestamp(b"POP3 server ready <1896.697170952@dbc.mtview.ca.us>") == b"<1896.697170952@dbc.mtview.ca.us>"
    assert timestamp(b"ready <no stamp>") is None


def test_commands_hold_one_line() -> None:
    assert requests.request(b"TOP", b"1", b"0") == b"TOP 1 0\r\n"
    for bad in (b"a\rb", b"a\nb", b"a\0b", b"x" * 250):
        with pytest.raises(requests.BadRequest):
            requests.request(b"USER", bad)
    assert requests.request(b"USER", b"x" * 248).endswith(b"x\r\n")


def test_a_long_initial_response_waits_for_its_challenge() -> None:
    assert requests.auth("PLAIN", b"\0tim\0tanstaaftanstaaf") == (b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n", True)
    assert requests.auth("PLAIN", b"") == (b"AUTH PLAIN =\r\n", True)
    assert requests.auth("XOAUTH2", b"x" * 300) == (b"AUTH XOAUTH2\r\n", False)


def test_apop_is_as_the_rfc_shows() -> None:
    sent = requests.apop(b"mrose", b"<1896.697170952@dbc.mtview.ca.us>", b"tanstaaf")
    assert sent == b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"
