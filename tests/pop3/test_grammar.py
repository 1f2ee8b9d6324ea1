"""POP3 grammar: commands by table, bounds, dot-stuffing and TOP's end, whole and in any split."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.pop3.grammar.commands import BadCommand, Command, Verb, parse_command
from restante.pop3.grammar.reader import COMMAND_LIMIT, SASL_LIMIT, LineReader
from restante.pop3.grammar.responses import Code, challenge, err, ok
from restante.pop3.grammar.stuffing import Stuffer, stuffed
from restante.pop3.grammar.top import TopCutter

from .harness import as_sent, unstuffed

COMMANDS = [
    pytest.param(b"STAT", Command(Verb.STAT), id="rfc1939-5-stat"),
    pytest.param(b"list", Command(Verb.LIST), id="rfc1939-5-list"),
    pytest.param(b"LIST 2", Command(Verb.LIST, 2), id="rfc1939-5-list-2"),
    pytest.param(b"RETR 1", Command(Verb.RETR, 1), id="rfc1939-5-retr"),
    pytest.param(b"DELE 0002", Command(Verb.DELE, 2), id="rfc1939-5-dele"),
    pytest.param(b"TOP 1 10", Command(Verb.TOP, 1, 10), id="rfc1939-7-top"),
    pytest.param(b"TOP 1 0", Command(Verb.TOP, 1, 0), id="rfc1939-7-top-0"),
    pytest.param(b"UIDL 2", Command(Verb.UIDL, 2), id="rfc1939-7-uidl"),
    pytest.param(b"USER mrose", Command(Verb.USER, argument=b"mrose"), id="rfc1939-7-user"),
    pytest.param(b"PASS a b  c ", Command(Verb.PASS, argument=b"a b  c "), id="rfc1939-7-pass-with-spaces"),
    pytest.param(b"AUTH plain dGVzdA==", Command(Verb.AUTH, argument=b"PLAIN", initial=b"test"), id="rfc5034-4"),
    pytest.param(b"AUTH PLAIN =", Command(Verb.AUTH, argument=b"PLAIN", initial=b""), id="rfc5034-4-empty"),
    pytest.param(b"AUTH PLAIN", Command(Verb.AUTH, argument=b"PLAIN"), id="rfc5034-4-none"),
    pytest.param(b"LANG *", Command(Verb.LANG, argument=b"*"), id="rfc6856-3.2"),
]

REFUSED = [
    b"",
    b" STAT",
    b"APOP mrose c4c9334bac560ecc979e58001b3e22fb",
    b"RETR",
    b"RETR 0",
    b"RETR -1",
    b"RETR 1 2",
    b"RETR 99999999999",
    b"RETR \xd9\xa1",
    b"TOP 1",
    b"TOP 1 -1",
    b"LIST x",
    b"STAT 1",
    b"USER",
    b"PASS a\0b",
    b"AUTH",
    b"AUTH PLAIN !!!",
    b"LANG a b",
]


@pytest.mark.parametrize(("line", "command"), COMMANDS)
def test_command_is_read(line: bytes, command: Command) -> None:
    assert parse_command(line) == command


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_no_command_is_refused(line: bytes) -> None:
    assert isinstance(parse_command(line), BadCommand)


@given(
    st.binary(max_size=80)
    | st.sampled_from([v.value for v in Verb]).flatmap(
        lambda v: st.binary(max_size=40).map(lambda tail: v + b" " + tail)
    )
)
def test_no_line_raises(line: bytes) -> None:
    assert isinstance(parse_command(line), Command | BadCommand)


def read_all(reader: LineReader, data: bytes) -> list[Command | BadCommand]:
    reader.feed(data)
    found = []
    while (command := reader.command()) is not None:
        found.append(command)
    return found


def test_line_of_255_octets_is_taken_and_one_of_256_is_not() -> None:
    fits = b"USER " + b"a" * (COMMAND_LIMIT - 7) + b"\r\n"
    assert len(fits) == 255
    assert read_all(LineReader(), fits) == [Command(Verb.USER, argument=b"a" * 248)]
    found = read_all(LineReader(), fits[:-2] + b"a\r\nNOOP\r\n")
    assert isinstance(found[0], BadCommand)
    assert found[1:] == [Command(Verb.NOOP)]


def test_endless_line_is_not_held() -> None:
    reader = LineReader()
    for _ in range(100):
        assert read_all(reader, b"x" * 100_000) == []
        assert len(reader._data) <= COMMAND_LIMIT
    found = read_all(reader, b"tail\r\nNOOP\r\n")
    assert isinstance(found[0], BadCommand)
    assert found[1:] == [Command(Verb.NOOP)]


def test_auth_may_be_longer_than_other_commands() -> None:
    line = b"AUTH PLAIN " + b"QUJD" * 1000 + b"\r\n"
    assert read_all(LineReader(), line) == [Command(Verb.AUTH, argument=b"PLAIN", initial=b"ABC" * 1000)]
    assert isinstance(read_all(LineReader(), b"AUTH PLAIN " + b"QUJD" * SASL_LIMIT + b"\r\n")[0], BadCommand)


SCRIPT = b"USER mrose\r\nPASS x y\r\n\r\nnoop\nLIST 3\r\nRETR 1\r\nBAD\r\nQUIT\r\n"


def test_any_split_gives_the_same_commands() -> None:
    whole = read_all(LineReader(), SCRIPT)
    assert len(whole) == 8
    for i in range(len(SCRIPT)):
        reader = LineReader()
        assert read_all(reader, SCRIPT[:i]) + read_all(reader, SCRIPT[i:]) == whole
    reader = LineReader()
    assert [c for i in range(len(SCRIPT)) for c in read_all(reader, SCRIPT[i : i + 1])] == whole


def test_retr_that_stand_next_are_taken_together_and_nothing_else() -> None:
    reader = LineReader()
    reader.feed(b"RETR 1\r\nretr 2\r\nRETR 03\r\nDELE 1\r\nRETR 4\r\nRETR 5")
    assert reader.command() == Command(Verb.RETR, 1)
    assert reader.more_retr(1) == [2]
    assert reader.more_retr(10) == [3]
    assert reader.command() == Command(Verb.DELE, 1)
    assert reader.more_retr(10) == [4]
    assert reader.command() is None


# Responses -------------------------------------------------------------------------------------------------


def test_response_lines() -> None:
    assert ok() == b"+OK\r\n"
    assert ok(b"[x] y") == b"+OK x] y\r\n"
    assert err(b"no", Code.IN_USE) == b"-ERR [IN-USE] no\r\n"
    assert challenge(b"") == b"+ \r\n"


@given(st.binary(max_size=2000))
def test_no_text_breaks_out_of_its_line(text: bytes) -> None:
    for line in (ok(text), err(text), err(text, Code.SYS_TEMP)):
        assert len(line) <= 512
        assert re.fullmatch(rb"[\x20-\x7e]*\r\n", line)
    assert not err(text).startswith(b"-ERR [")


# Dot-stuffing ----------------------------------------------------------------------------------------------

message_octets = st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"a", b"\0", b"\r\n.", b"\r\n.\r\n"])).map(
    b"".join
)


@given(message_octets)
def test_stuffing_is_undone_exactly(message: bytes) -> None:
    wire = stuffed(message)
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    assert unstuffed(wire) == as_sent(message)


@given(message_octets)
def test_no_message_ends_its_answer_for_clients_that_end_lines_at_lf(message: bytes) -> None:
    lines = stuffed(message).split(b"\n")
    assert b"." not in [line.removesuffix(b"\r") for line in lines]


@given(message_octets, st.integers(0, 40), st.integers(0, 40))
def test_stuffing_by_chunks_is_the_same_in_any_split(message: bytes, a: int, b: int) -> None:
    low, high = sorted((a, b))
    stuffer = Stuffer()
    wire = b"".join(map(stuffer.feed, (message[:low], message[low:high], message[high:]))) + stuffer.finish()
    assert wire == stuffed(message)


def test_stuffing_octet_by_octet() -> None:
    message = b".\r\n..\r\n\r\n.a\n.\r.\r\r\n.\r\na\n.\nb\n.\r\n.a\n.b\n."
    stuffer = Stuffer()
    wire = b"".join(stuffer.feed(message[i : i + 1]) for i in range(len(message))) + stuffer.finish()
    assert wire == stuffed(message) == b"..\r\n...\r\n\r\n..a\n.\r.\r\r\n..\r\na\n..\nb\n..\r\n..a\n.b\n..\r\n"


# TOP -------------------------------------------------------------------------------------------------------

MESSAGE = b"A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\n\r\nfour"
TOPS = [
    pytest.param(MESSAGE, 0, b"A: 1\r\nB: 2\r\n\r\n", id="header-and-empty-line"),
    pytest.param(MESSAGE, 1, b"A: 1\r\nB: 2\r\n\r\none\r\n", id="one-line"),
    pytest.param(MESSAGE, 3, b"A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\n\r\n", id="empty-line-counts"),
    pytest.param(MESSAGE, 4, MESSAGE, id="last-line-without-end"),
    pytest.param(MESSAGE, 9_999_999_999, MESSAGE, id="more-than-there-is"),
    pytest.param(b"\r\nbody\r\n", 0, b"\r\n", id="no-header"),
    pytest.param(b"A: 1\r\n", 3, b"A: 1\r\n", id="no-empty-line"),
    pytest.param(b"A: 1\n\nb\r\nc\r\n", 1, b"A: 1\n\nb\r\n", id="bare-lf-header"),
    pytest.param(b"", 1, b"", id="empty"),
]


@pytest.mark.parametrize(("message", "lines", "expected"), TOPS)
def test_top_ends_where_it_should_in_any_split(message: bytes, lines: int, expected: bytes) -> None:
    for i in range(len(message) + 1):
        cutter = TopCutter(lines)
        assert cutter.feed(message[:i]) + cutter.feed(message[i:]) == expected
    cutter = TopCutter(lines)
    assert b"".join(cutter.feed(message[i : i + 1]) for i in range(len(message))) == expected
