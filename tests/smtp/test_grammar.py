"""SMTP grammar: commands, paths, the end of DATA in any split, chunks, bounds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.smtp.grammar.commands import (
    BadCommand,
    Bdat,
    Body,
    Command,
    Mail,
    Rcpt,
    Simple,
    Verb,
    parse_command,
)
from restante.smtp.grammar.data import ChunkReader, DotReader
from restante.smtp.grammar.path import Path, parse_path
from restante.smtp.grammar.reader import LINE_LIMIT, BadLine, LineReader
from restante.smtp.grammar.replies import multiline, reply

COMMANDS = [
    pytest.param(b"LHLO foo.edu", Simple(Verb.LHLO, "foo.edu"), id="rfc2033-4.1"),
    pytest.param(b"lhlo [192.0.2.1]", Simple(Verb.LHLO, "[192.0.2.1]"), id="rfc5321-4.1.3-literal"),
    pytest.param(b"MAIL FROM:<chris@bar.com>", Mail(Path("chris@bar.com")), id="rfc2033-4.2"),
    pytest.param(b"MAIL FROM:<>", Mail(Path("")), id="rfc5321-4.5.5-null"),
    pytest.param(b"mail from: <a@b.example> size=7", Mail(Path("a@b.example"), 7), id="rfc1870-space-and-case"),
    pytest.param(
        b"MAIL FROM:<ned@ymir.claremont.edu> BODY=8BITMIME",
        Mail(Path("ned@ymir.claremont.edu"), None, Body.EIGHT_BIT),
        id="rfc1652-2",
    ),
    pytest.param("MAIL FROM:<ü@b.example> SMTPUTF8".encode(), Mail(Path("ü@b.example"), utf8=True), id="rfc6531-3.4"),
    pytest.param(b"RCPT TO:<pat@foo.edu>", Rcpt(Path("pat@foo.edu")), id="rfc2033-4.2-rcpt"),
    pytest.param(b"RCPT TO:<@a.example,@b.example:c@d.example>", Rcpt(Path("c@d.example")), id="rfc5321-C-route"),
    pytest.param(b'RCPT TO:<"a > b"@d.example>', Rcpt(Path('"a > b"@d.example')), id="rfc5321-4.1.2-quoted"),
    pytest.param(b"RCPT TO:<Postmaster>", Rcpt(Path("postmaster")), id="rfc5321-4.5.1"),
    pytest.param(b"BDAT 86 LAST", Bdat(86, True), id="rfc3030-4.1"),
    pytest.param(b"BDAT 100000", Bdat(100_000, False), id="rfc3030-4.2"),
    pytest.param(b"VRFY Jones", Simple(Verb.VRFY, "Jones"), id="rfc5321-3.5"),
]

REFUSED = [
    (b"", 500),
    (b"EXPN list", 500),
    (b"LHLO", 501),
    (b"LHLO a b", 501),
    (b"LHLO a\rb", 501),
    (b"DATA now", 501),
    (b"MAIL a@b.example", 501),
    (b"MAIL FROM:a@b.example", 501),
    (b"MAIL FROM:<a b@c.example>", 501),
    (b"MAIL FROM:<a@b.example", 501),
    (b"MAIL FROM:<a@b.example>SIZE=1", 501),
    (b"MAIL FROM:<a@b.example> SIZE=x", 501),
    (b"MAIL FROM:<a@b.example> SIZE=1 SIZE=2", 501),
    (b"MAIL FROM:<a@b.example> BODY=BINARYMIME", 501),
    (b"MAIL FROM:<a@b.example> RET=HDRS", 555),
    ("MAIL FROM:<ü@b.example>".encode(), 550),
    (b"MAIL FROM:<\xff@b.example> SMTPUTF8", 501),
    ("MAIL FROM:<a\u0085@b.example> SMTPUTF8".encode(), 501),
    ("MAIL FROM:<a\u202e@b.example> SMTPUTF8".encode(), 501),
    (b"RCPT TO:<>", 501),
    (b"RCPT TO:<a@b.example> NOTIFY=NEVER", 555),
    (b"RCPT TO:<" + b"a" * 600 + b"@b.example>", 501),
    (b"RCPT TO:<a>@b.example>", 501),
    (b"BDAT", 501),
    (b"BDAT -1", 501),
    (b"BDAT 1 FIRST", 501),
    (b"BDAT 9999999999999", 501),
]


@pytest.mark.parametrize(("line", "command"), COMMANDS)
def test_command_is_read(line: bytes, command: Command) -> None:
    assert parse_command(line) == command


@pytest.mark.parametrize(("line", "code"), REFUSED)
def test_what_is_no_command_is_refused(line: bytes, code: int) -> None:
    command = parse_command(line)
    assert isinstance(command, BadCommand)
    assert command.reply == code


@given(
    st.binary(max_size=80)
    | st.tuples(st.sampled_from([b"MAIL FROM:<", b"RCPT TO:<", b"BDAT ", b"LHLO "]), st.binary(max_size=60)).map(
        b"".join
    )
)
def test_no_line_raises(line: bytes) -> None:
    command = parse_command(line)
    assert isinstance(command, Command | BadCommand)
    if isinstance(command, Mail | Rcpt):
        path = command.sender if isinstance(command, Mail) else command.recipient
        assert not re.search(r"[\x00-\x1f\x7f<]" if '"' not in path.address else r"[\x00-\x1f\x7f]", path.address)


@pytest.mark.parametrize("name", ["'", "%", "*", "|", "`id`", "a;b", "$(x)", "../../x"])
def test_dangerous_names_are_names_alone(name: str) -> None:
    """CVE-2020-7247 and its like: an address may hold what a shell would run; it comes out as it went in or not."""
    found = parse_path(f"<{name}@b.example>".encode())
    assert found is None or found[0].address == f"{name}@b.example"


# Lines ---------------------------------------------------------------------------------------------------------


def read_all(reader: LineReader, data: bytes) -> list[bytes | BadLine]:
    reader.feed(data)
    found = []
    while (line := reader.line()) is not None:
        found.append(line)
    return found


def test_lines_end_with_crlf_alone_and_overlong_ones_are_not_held() -> None:
    assert read_all(LineReader(), b"NOOP\r\nNOOP\nRSET\r\n") == [b"NOOP", BadLine.BARE_LF, b"RSET"]
    reader = LineReader()
    for _ in range(20):
        assert read_all(reader, b"x" * 100_000) == []
        assert len(reader._data) <= LINE_LIMIT
    assert read_all(reader, b"\r\nNOOP\r\n") == [BadLine.OVERLONG, b"NOOP"]
    assert read_all(LineReader(), b"x" * LINE_LIMIT + b"\r\nNOOP\r\n") == [BadLine.OVERLONG, b"NOOP"]


# Data ----------------------------------------------------------------------------------------------------------

TAIL = b"QUIT\r\n"
DATA = [
    pytest.param(b".\r\n", b"", id="empty"),
    pytest.param(b"\r\n.\r\n", b"\r\n", id="one-empty-line"),
    pytest.param(b"a\r\n.\r\n", b"a\r\n", id="rfc5321-4.1.1.4"),
    pytest.param(b"..\r\n.a\r\n..b\r\n.\r\n", b".\r\na\r\n.b\r\n", id="rfc5321-4.5.2"),
    pytest.param(b"a\n.\nMAIL FROM:<x@y>\n.\n\r\n.\r\n", b"a\n.\nMAIL FROM:<x@y>\n.\n\r\n", id="lf-dot-lf"),
    pytest.param(b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n", id="cr-dot-cr"),
    pytest.param(b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", id="lf-dot-crlf"),
    pytest.param(b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n", id="crlf-dot-lf"),
    pytest.param(b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n", id="crlf-dot-cr"),
    pytest.param(b"a\r\r\n.\r\r\n\r\n.\r\n", b"a\r\r\n\r\r\n\r\n", id="cr-crlf-dot-cr-crlf"),
    pytest.param(b"a\0b\r\n\xff\r\n.\r\n", b"a\0b\r\n\xff\r\n", id="nul-and-8-bit"),
]


def read_data(pieces: list[bytes], limit: int = 1000) -> tuple[bytes, bytes]:
    reader = DotReader(limit)
    for i, piece in enumerate(pieces):
        rest = reader.feed(piece)
        if rest is not None:
            return reader.message(), rest + b"".join(pieces[i + 1 :])
    raise AssertionError("no end")


@pytest.mark.parametrize(("wire", "message"), DATA)
def test_data_end_with_crlf_dot_crlf_alone_in_any_split(wire: bytes, message: bytes) -> None:
    whole = wire + TAIL
    assert read_data([whole]) == (message, TAIL)
    for i in range(len(whole)):
        assert read_data([whole[:i], whole[i:]]) == (message, TAIL)
    assert read_data([whole[i : i + 1] for i in range(len(whole))]) == (message, TAIL)


@given(st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"a", b"\r\n.\r\n"])).map(b"".join), st.integers(0, 60))
def test_data_of_any_octets_come_out_as_they_went_in(body: bytes, cut: int) -> None:
    message = body + b"\r\n"
    wire = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n" + TAIL
    assert read_data([wire[:cut], wire[cut:]]) == (message, TAIL)


def test_data_past_the_limit_are_swallowed_unheld_to_their_end() -> None:
    reader = DotReader(1000)
    for _ in range(50):
        assert reader.feed(b"x" * 1000 + b"\r\n") is None
        assert reader._data is not None
        assert len(reader._data.getbuffer()) + len(reader._tail) < 3000
    assert reader.feed(b".\r") is None
    assert reader.feed(b"\n" + TAIL) == TAIL
    assert reader.overflow


def test_many_small_pieces_cost_linear_time() -> None:
    """100,000 pieces: were each looked at with all before it, this would not end."""
    reader = DotReader(1 << 24)
    for _ in range(100_000):
        assert reader.feed(b"0123456789") is None
    assert reader.feed(b"\r\n.\r\n") == b""
    assert len(reader.message()) == 1_000_002


def test_chunks_are_taken_as_they_are_and_bounded() -> None:
    chunks = ChunkReader(10)
    for piece in (b"\r\n.", b"\r\n", b".\n\0"):
        chunks.begin(len(piece))
        chunks.feed(piece[:1])
        assert chunks.left == len(piece) - 1
        chunks.feed(piece[1:])
    assert chunks.message() == b"\r\n.\r\n.\n\0"
    chunks.begin(1_000_000)
    chunks.feed(b"x" * 500_000)
    assert (chunks.overflow, chunks.left, chunks.message()) == (True, 500_000, b"")


# Replies -------------------------------------------------------------------------------------------------------


def test_replies() -> None:
    assert reply(250, "2.1.0", "Sender taken.") == b"250 2.1.0 Sender taken.\r\n"
    assert reply(354, "", "Go on.") == b"354 Go on.\r\n"
    assert multiline(250, ["a", "B C", "D"]) == b"250-a\r\n250-B C\r\n250 D\r\n"


@given(st.text(max_size=1000))
def test_no_text_breaks_out_of_its_reply(text: str) -> None:
    assert re.fullmatch(rb"550 5\.1\.1 [\x20-\x7e]{0,400}\r\n", reply(550, "5.1.1", text))
