"""Octets in, octets out: APPEND and the body sections of FETCH. RFC 9051 4.3.1, 6.3.12, 6.4.5; RFC 3516."""

from __future__ import annotations

import base64
import quopri
import re
from pathlib import Path

import pytest

from restante.mime.decode import decode_transfer

from ..session.support import SIMPLE, Client, World, run

PICTURE = bytes(range(256)) * 5_000
LITERAL = re.compile(rb"\{(\d+)\}\r\n")

NESTED = b"""From: a@example.org
Subject: outer
Content-Type: multipart/mixed; boundary=b

preamble
--b
Content-Type: text/plain

one
--b
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain

in plain
--c
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

AAEC
--c--
--b
Content-Type: application/x
Content-Transfer-Encoding: x-strange

data
--b--
""".replace(b"\n", b"\r\n")


def literal_of(response: bytes) -> bytes:
    """The octets of the response's first literal."""
    match = LITERAL.search(response)
    assert match is not None, response
    return response[match.end() : match.end() + int(match[1])]


async def append(client: Client, data: bytes, *, before: bytes = b"", tilde: bytes = b"") -> bytes:
    got = await client.do(b"APPEND INBOX %b%b{%d}" % (before, tilde, len(data)))
    if not got.startswith(b"+ "):
        return got
    tag = b"t%d" % client._number
    return (await client.raw(data + b"\r\n", tag)).replace(tag + b" ", b"T ")


def test_append_keeps_flags_date_and_octets() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        message = SIMPLE % (b"appended", b"bare\rCR and a long line " + b"x" * 100_000)
        got = await append(client, message, before=b'(\\Seen $Forwarded) "17-Jul-1996 02:44:25 -0700" ')
        assert re.search(rb"\* 1 EXISTS\r\n\* 1 RECENT\r\nT OK \[APPENDUID \d+ 1\]", got)
        got = await client.ok(b"FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
        assert b"FLAGS (\\Seen $Forwarded \\Recent)" in got
        assert b'INTERNALDATE "17-Jul-1996 09:44:25 +0000"' in got
        assert b"RFC822.SIZE %d " % len(message) in got
        assert literal_of(got) == message

    run(scenario)


def test_append_refusals() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        got = await client.do(b"APPEND Nowhere {3+}\r\nabc")
        assert b"T NO [TRYCREATE]" in got
        # RFC 3502 6.3.11: whatever else is wrong with the message
        assert b"T NO [TRYCREATE]" in await client.do(b"APPEND Nowhere {0+}\r\n")
        assert b"T NO [TRYCREATE]" in await client.do(b"APPEND Nowhere CATENATE (URL /Nowhere/;UID=1)")
        assert b"T NO [TRYCREATE]" in await client.do(b"APPEND Nowhere {15+}\r\nSubject: \xc3\xa9\r\n\r\n")
        assert b"T BAD" in await append(client, b"a\0b")
        assert b"T NO [CANNOT]" in await append(client, b"Subject: x\r\n\r\nx", before=b"(\\Nonsense) ")
        assert b"T NO [TOOBIG]" in await client.do(b"APPEND INBOX {99999999999}")
        assert b"T OK" in await client.do(b"NOOP")

    run(scenario)


def test_nul_goes_out_as_0x80_in_body_and_as_itself_in_binary() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        message = SIMPLE % (b"nul", b"a\0b")
        assert b"T OK" in await append(client, message, tilde=b"~")
        assert literal_of(await client.ok(b"FETCH 1 BODY.PEEK[]")) == message.replace(b"\0", b"\x80")
        assert literal_of(await client.ok(b"FETCH 1 BODY.PEEK[1]")) == b"a\x80b\r\n"
        got = await client.ok(b"FETCH 1 BINARY.PEEK[]")
        assert b"BINARY[] ~{" in got
        assert literal_of(got) == message
        assert literal_of(await client.ok(b"FETCH 1 BINARY.PEEK[1]")) == b"a\0b\r\n"

    run(scenario)


def test_bare_lf_becomes_crlf_once() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        assert b"T OK" in await append(client, b"Subject: x\n\nbody\n")
        assert literal_of(await client.ok(b"FETCH 1 BODY.PEEK[]")) == b"Subject: x\r\n\r\nbody\r\n"

    run(scenario)


SECTIONS = [
    (b"1", b"one"),
    (b"1.MIME", b"Content-Type: text/plain\r\n\r\n"),
    (b"2.HEADER", b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"),
    (b"2.HEADER.FIELDS (SUBJECT)", b"Subject: inner\r\n\r\n"),
    (b"2.HEADER.FIELDS.NOT (SUBJECT)", b"Content-Type: multipart/alternative; boundary=c\r\n\r\n"),
    (b"2.1", b"in plain"),
    (b"2.2", b"AAEC"),
    (b"2.2.MIME", b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
    (b"HEADER", NESTED[: NESTED.index(b"\r\n\r\n") + 4]),
    (b"TEXT", NESTED[NESTED.index(b"\r\n\r\n") + 4 :]),
    (b"HEADER.FIELDS (X-NONE)", b"\r\n"),
    (b"HEADER.FIELDS (SUBJECT)", b"Subject: outer\r\n\r\n"),
    (b"", NESTED),
]


@pytest.mark.parametrize(("section", "expected"), SECTIONS, ids=[s.decode() for s, _ in SECTIONS])
@pytest.mark.parametrize("padding", [0, 200_000], ids=["small", "large"])
def test_sections(section: bytes, expected: bytes, padding: int) -> None:
    async def scenario(world: World) -> None:
        tail = b"x" * padding
        await world.file(NESTED + tail)
        client = await world.client(b"SELECT INBOX")
        whole = expected + tail if section in (b"", b"TEXT") else expected
        assert literal_of(await client.ok(b"FETCH 1 BODY.PEEK[%b]" % section)) == whole
        got = await client.ok(b"FETCH 1 BODY.PEEK[%b]<2.5>" % section)
        assert b"BODY[%b]<2> {" % section in got
        assert literal_of(got) == whole[2:7]
        assert literal_of(await client.ok(b"FETCH 1 BODY.PEEK[%b]<9999999.5>" % section)) == b""

    run(scenario)


def test_binary_decodes_and_says_where_it_cannot() -> None:
    async def scenario(world: World) -> None:
        await world.file(NESTED)
        client = await world.client(b"SELECT INBOX")
        assert literal_of(await client.ok(b"FETCH 1 BINARY.PEEK[2.2]")) == b"\0\1\2"
        assert b"BINARY[2.2] ~{3}" in await client.ok(b"FETCH 1 BINARY.PEEK[2.2]")
        assert b"BINARY.SIZE[2.2] 3)" in await client.ok(b"FETCH 1 BINARY.SIZE[2.2]")
        got = await client.do(b"FETCH 1 (BINARY.PEEK[1] BINARY.PEEK[3])")
        assert b"BINARY[1] {3}\r\none)\r\nT NO [UNKNOWN-CTE]" in got
        assert await client.do(b"FETCH 1 BINARY.SIZE[3]") == (
            b"* 1 FETCH (UID 1)\r\nT NO [UNKNOWN-CTE] Some parts could not be decoded.\r\n"
        )

    run(scenario)


@pytest.mark.parametrize("padding", [b"", b"x" * 1_200_000], ids=["small", "large"])
def test_binary_of_a_nested_message_is_what_it_is(padding: bytes) -> None:
    """A multipart and a message/rfc822 have no encoding to undo (RFC 2045 6.4): there is nothing unknown about it."""

    async def scenario(world: World) -> None:
        message = NESTED.replace(b"in plain", b"in plain" + padding)
        await world.file(message)
        client = await world.client(b"SELECT INBOX")
        start, end = message.index(b"Subject: inner"), message.index(b"\r\n--b\r\nContent-Type: application/x")
        assert literal_of(await client.ok(b"FETCH 1 BINARY.PEEK[2]")) == message[start:end]
        assert literal_of(await client.ok(b"FETCH 1 BINARY.PEEK[2]<5.9>")) == message[start + 5 : start + 14]
        assert b"BINARY.SIZE[2] %d)" % (end - start) in await client.ok(b"FETCH 1 BINARY.SIZE[2]")

    run(scenario)


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        (b"base64", base64.encodebytes(PICTURE).replace(b"\n", b"\r\n")),
        (b"base64", base64.encodebytes(PICTURE[:-1]) + base64.encodebytes(PICTURE)),
        (b"quoted-printable", quopri.encodestring(PICTURE)),
    ],
    ids=["base64", "base64 joined", "quoted-printable"],
)
def test_binary_of_a_large_part(encoding: bytes, encoded: bytes) -> None:
    expected = decode_transfer(encoded, encoding.decode()) or b""
    assert len(expected) > 1 << 20

    async def scenario(world: World) -> None:
        await world.file(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + encoded)
        client = await world.client(b"SELECT INBOX")
        assert literal_of(await client.ok(b"FETCH 1 BINARY.PEEK[1]")) == expected
        assert b"BINARY.SIZE[1] %d)" % len(expected) in await client.ok(b"FETCH 1 BINARY.SIZE[1]")
        for first, count in ((0, 1), (5, 700_000), (600_000, 9), (len(expected) - 3, 10), (len(expected), 5)):
            got = await client.ok(b"FETCH 1 (UID BINARY.PEEK[1]<%d.%d> FLAGS)" % (first, count))
            assert b"BINARY[1]<%d> " % first in got
            assert literal_of(got) == expected[first : first + count]
            assert got.endswith(b")\r\nT OK FETCH completed.\r\n")

    run(scenario)


LINES = b"one\ntwo\r\n\nthree\n"
LINES_SENT = b"one\r\ntwo\r\n\r\nthree\r\n"
UTF_16 = "one\ntwo\n\u0a0a".encode("utf-16-le")


@pytest.mark.parametrize("times", [1, 100_000], ids=["small", "large"])
@pytest.mark.parametrize(
    ("kind", "encoded", "expected"),
    [
        (b"text/plain", b"base64", LINES_SENT),
        (b"text/x-patch; charset=utf-8", b"quoted-printable", LINES_SENT),
        (b"text/html", b"8bit", LINES_SENT),
        (b"application/x-sh", b"base64", LINES),
        (b"text/plain; charset=utf-16le", b"base64", UTF_16),
        (b"text/plain", b"base64", UTF_16),
    ],
)
def test_rfc9051_7_5_2_binary_of_a_text_has_crlf(kind: bytes, encoded: bytes, expected: bytes, times: int) -> None:
    """RFC 3516 6: "textual line-oriented sections are always transmitted using the IMAP4 CRLF line termination"."""
    content = (UTF_16 if expected == UTF_16 else LINES) * times
    if encoded == b"base64":
        body = base64.encodebytes(content).replace(b"\n", b"\r\n")
    elif encoded == b"quoted-printable":
        body = content.replace(b"\r\n", b"\x01").replace(b"\n", b"=0A=\r\n").replace(b"\x01", b"\r\n")
    else:
        body = content
    expected = expected * times

    async def scenario(world: World) -> None:
        await world.file(b"Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n" % (kind, encoded) + body)
        client = await world.client(b"SELECT INBOX")
        assert literal_of(await client.ok(b"FETCH 1 BINARY.PEEK[1]")) == expected
        assert b"BINARY.SIZE[1] %d)" % len(expected) in await client.ok(b"FETCH 1 BINARY.SIZE[1]")
        for first, count in ((0, 4), (4, 9), (len(expected) // 2, 7), (len(expected) - 1, 10), (len(expected), 5)):
            got = literal_of(await client.ok(b"FETCH 1 BINARY.PEEK[1]<%d.%d>" % (first, count)))
            assert got == expected[first : first + count]
        assert literal_of(await client.ok(b"FETCH 1 BODY.PEEK[1]")) == body, "and BODY[1] is as it came"

    run(scenario)


def test_a_large_message_is_streamed_whole() -> None:
    async def scenario(world: World) -> None:
        message = SIMPLE % (b"large", b"0123456789abcdef\r\n" * 300_000)
        await world.file(message)
        await world.file(SIMPLE % (b"small", b"x"))
        client = await world.client(b"SELECT INBOX")
        got = await client.ok(b"FETCH 1:2 (UID BODY.PEEK[])")
        assert literal_of(got) == message
        assert got.count(b"BODY[] {") == 2
        got = await client.ok(b"FETCH 1 BODY.PEEK[]<1000.3000000>")
        assert literal_of(got) == message[1000:3_001_000]

    run(scenario)


def test_rev1_names_of_sections() -> None:
    async def scenario(world: World) -> None:
        await world.file(NESTED)
        client = await world.client(b"SELECT INBOX")
        got = await client.ok(b"FETCH 1 RFC822.HEADER")
        assert b"RFC822.HEADER {" in got
        assert b"\\Seen" not in got
        assert b"(FLAGS (\\Seen \\Recent) RFC822 {" in await client.ok(b"FETCH 1 RFC822")
        assert literal_of(await client.ok(b"FETCH 1 RFC822.TEXT")).startswith(b"preamble")

    run(scenario)


def test_real_mail_comes_back_whole() -> None:
    folder = Path(__file__).resolve().parents[4] / "shared" / "mail"
    files = [path for path in sorted(folder.rglob("*.eml"))[:60] if path.is_file()]
    if not files:
        pytest.skip("../shared/mail is not there")

    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        for number, path in enumerate(files, 1):
            data = path.read_bytes()
            await world.file(data)
            await client.ok(b"NOOP")
            got = await client.ok(b"FETCH %d (RFC822.SIZE BINARY.PEEK[])" % number)
            assert b"RFC822.SIZE %d " % len(data) in got
            match = LITERAL.search(got)
            assert match is not None
            assert got[match.end() : match.end() + int(match[1])] == data, path.name
            await client.ok(b"FETCH %d (ENVELOPE BODY BODYSTRUCTURE)" % number)

    run(scenario)
