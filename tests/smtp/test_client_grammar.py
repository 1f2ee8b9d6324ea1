"""The client's half of the SMTP grammar: replies in any split, offers, commands that nothing can be put into."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.smtp.grammar.answers import MAX_LINE, MAX_REPLY, BadReply, Offers, Reply, ReplyReader, offers
from restante.smtp.grammar.commands import Body, Mail, Rcpt, Simple, Verb, parse_command
from restante.smtp.grammar.data import DotReader
from restante.smtp.grammar.path import Path
from restante.smtp.grammar.replies import multiline, reply
from restante.smtp.grammar.requests import (
    END,
    BadRequest,
    Content,
    auth,
    auth_response,
    content_of,
    ehlo,
    is_address,
    mail,
    rcpt,
    stuff,
    with_crlf,
)

REPLIES = [
    pytest.param(b"250 OK\r\n", Reply(250, "", ("OK",)), id="rfc5321-4.2"),
    pytest.param(
        b"250-First line\r\n250-Second line\r\n250-234 Text beginning with numbers\r\n250 The last line\r\n",
        Reply(250, "", ("First line", "Second line", "234 Text beginning with numbers", "The last line")),
        id="rfc5321-4.2.1-multiline",
    ),
    pytest.param(b"250\r\n", Reply(250, "", ("",)), id="rfc5321-4.2-code-alone"),
    pytest.param(b"354 \r\n", Reply(354, "", ("",)), id="rfc5321-4.2-no-text"),
    pytest.param(
        b"550-5.1.1 Mailbox \"nosuchuser\"\r\n550 5.1.1 does not exist\r\n",
        Reply(550, "5.1.1", ('Mailbox "nosuchuser"', "does not exist")),
        id="rfc2034-5",
    ),
    pytest.param(b"251 2.1.5 ok\r\n", Reply(251, "2.1.5", ("ok",)), id="rfc2034-5-success"),
    pytest.param(b"550 4.1.1 odd\r\n", Reply(550, "", ("4.1.1 odd",)), id="rfc2034-4-classes-disagree"),
    pytest.param(b"250 ok\n", Reply(250, "", ("ok",)), id="bare-lf"),
    pytest.param(b"550 gr\xfc\xdfe\r\n", Reply(550, "", ("grüße",)), id="iso-8859-1"),
    pytest.param("550 grüße\x1b[2J\r\n".encode(), Reply(550, "", ("grüße?[2J",)), id="control"),
]  # fmt: skip

BAD = [
    b"\r\n",
    b"25 ok\r\n",
    b"150 ok\r\n",
    b"250ok\r\n",
    b"250-a\r\n251 b\r\n",
    b"HTTP/1.1 400\r\n",
    b"x" * (MAX_LINE + 2),
]


def read(*pieces: bytes) -> list[Reply]:
    reader, found = ReplyReader(), []
    for piece in pieces:
        reader.feed(piece)
        while (one := reader.reply()) is not None:
            found.append(one)
    return found


@pytest.mark.parametrize(("raw", "expected"), REPLIES)
def test_replies_are_read_whole_split_and_with_a_tail(raw: bytes, expected: Reply) -> None:
    assert read(raw) == [expected]
    for cut in range(1, len(raw)):
        assert read(raw[:cut], raw[cut:]) == [expected]
    assert read(raw + b"221 Bye") == [expected]
    assert read(raw + raw) == [expected, expected]


@pytest.mark.parametrize("raw", BAD)
def test_what_is_no_reply_ends_the_connection(raw: bytes) -> None:
    with pytest.raises(BadReply):
        read(raw)


def test_an_endless_reply_is_refused() -> None:
    line = b"250-" + b"x" * 1000 + b"\r\n"
    assert read(line * (MAX_REPLY // len(line))) == []
    with pytest.raises(BadReply, match="too many lines"):
        read(line * (MAX_REPLY // 1000 + 2))


def test_octets_ahead_of_tls_are_thrown_away() -> None:
    reader = ReplyReader()
    reader.feed(b"220 go\r\n250-injected\r\n250-x")
    assert reader.reply() == Reply(220, "", ("go",))
    assert reader.reply() is None
    assert reader.clear()
    reader.feed(b"250 mx\r\n")
    assert reader.reply() == Reply(250, "", ("mx",))
    assert not reader.clear()


@given(
    st.integers(200, 599),
    st.sampled_from(["", "2.1.5", "4.2.2", "5.7.26"]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60),
)
def test_what_the_server_writes_the_client_reads(code: int, enhanced: str, text: str) -> None:
    (found,) = read(reply(code, enhanced, text))
    assert found.code == code
    assert " ".join((found.enhanced, *found.lines)).strip() == f"{enhanced} {text}".strip()
    (several,) = read(multiline(code, ["mx.example", text]))
    assert several.lines == ("mx.example", text)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_octets_give_replies_or_badreply(data: bytes, cut: int) -> None:
    try:
        found = read(data[:cut], data[cut:])
    except BadReply:
        return
    assert all(200 <= each.code <= 599 for each in found)


def test_offers() -> None:
    (said,) = read(
        b"250-mx.example.org greets you\r\n250-PIPELINING\r\n250-size 10240000\r\n250-8BITMIME\r\n250-starttls\r\n"
        b"250-AUTH PLAIN LOGIN\r\n250-AUTH=XOAUTH2\r\n250-???\r\n250 ENHANCEDSTATUSCODES\r\n"
    )
    found = offers(said)
    assert found.host == "mx.example.org"
    assert found.size == 10_240_000
    assert found.mechanisms == {"PLAIN", "LOGIN", "XOAUTH2"}
    assert found.has("STARTTLS")
    assert not found.has("SMTPUTF8")
    assert set(found.keywords) == {"PIPELINING", "SIZE", "8BITMIME", "STARTTLS", "AUTH", "ENHANCEDSTATUSCODES"}


@pytest.mark.parametrize("words", [(), ("0",), ("x",), ("9" * 30,), ("²",)])
def test_a_size_that_tells_nothing_is_none(words: tuple[str, ...]) -> None:
    assert Offers("mx", {"SIZE": words}).size == 0


COMMANDS = [
    (ehlo("[192.0.2.1]"), Simple(Verb.EHLO, "[192.0.2.1]")),
    (mail(""), Mail(Path(""))),
    (mail("a@b.example", size=7, eight_bit=True), Mail(Path("a@b.example"), 7, Body.EIGHT_BIT)),
    (mail("ü@b.example", eight_bit=True, utf8=True), Mail(Path("ü@b.example"), None, Body.EIGHT_BIT, True)),
    (rcpt('"a > b"@c.example'), Rcpt(Path('"a > b"@c.example'))),
    (rcpt("ü@b.example", utf8=True), Rcpt(Path("ü@b.example"))),
    (rcpt("postmaster"), Rcpt(Path("postmaster"))),
]


@pytest.mark.parametrize(("written", "expected"), COMMANDS)
def test_what_the_client_writes_the_server_reads(written: bytes, expected: object) -> None:
    assert written.endswith(b"\r\n")
    assert parse_command(written[:-2]) == expected


INJECTIONS = [
    "a@b\r\nDATA", "a@b.example>\r\nRCPT TO:<c@d.example", "a b@c.example", "a@", "<a@b.example>", "@x:a@b.example",
    "a@b.example> SIZE=1", "a" * 600 + "@b.example", "a\ud800@b.example",
]  # fmt: skip


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_address_begins_a_command_of_its_own(text: str) -> None:
    assert not is_address(text)
    for write in (mail, rcpt):
        with pytest.raises(BadRequest):
            write(text, utf8=True)


def test_what_else_cannot_stand_in_a_command() -> None:
    cases: list[tuple[Callable[[str], bytes], str]]
    cases = [(ehlo, "a b"), (ehlo, ""), (rcpt, ""), (auth, "PLA IN"), (mail, "ü@x.example")]
    for write, bad in cases:
        with pytest.raises(BadRequest):
            write(bad)


def test_auth_lines() -> None:
    assert auth("PLAIN", b"\0a\0b") == b"AUTH PLAIN AGEAYg==\r\n"  # RFC 4954 4.1's form
    assert auth("XOAUTH2", b"") == b"AUTH XOAUTH2 =\r\n"
    assert auth("LOGIN") == b"AUTH LOGIN\r\n"
    assert auth_response(b"") == b"\r\n"
    assert auth_response(b"ab") == base64.b64encode(b"ab") + b"\r\n"


CONTENTS = [
    (b"Subject: a\r\n\r\nb\r\n", Content.ASCII),
    (b"Subject: a\r\n\r\n\xc3\xbc\r\n", Content.EIGHT_BIT),
    (b"Subject: a\r\n\r\n\xff\r\n", Content.EIGHT_BIT),
    (b"Subject: \xc3\xbc\r\n\r\nb\r\n", Content.UTF8),
    (b"Subject: \xfc\r\n\r\nb\r\n", Content.UNSENDABLE),
    (b"Subject: a\r\n\r\n\0\r\n", Content.UNSENDABLE),
    (b"Subject: \xc3\xbc\r\n", Content.UTF8),
]


@pytest.mark.parametrize(("message", "expected"), CONTENTS)
def test_what_a_message_needs(message: bytes, expected: Content) -> None:
    assert content_of(message) is expected


def test_line_ends() -> None:
    assert with_crlf(b"a\nb\r\nc\rd\r\r\ne") == b"a\r\nb\r\nc\r\nd\r\ne"
    whole = b"a\r\nb\r\n"
    assert with_crlf(whole) is whole
    for bad in (b"a\nb", b"a\rb", b"\n", b"a\r"):
        with pytest.raises(BadRequest):
            stuff(bad)


@given(st.lists(st.sampled_from([b".", b"..", b"\r\n", b"a", b"\xff", b" "]), max_size=12).map(b"".join))
def test_what_is_stuffed_comes_out_as_it_was(message: bytes) -> None:
    sent = stuff(message)
    assert sent.endswith(b"\r\n")
    reader = DotReader(10_000)
    assert reader.feed(sent + END + b"QUIT\r\n") == b"QUIT\r\n"
    assert reader.message() == (message if message.endswith(b"\r\n") else message + b"\r\n")
    # Nothing within ends the message: a connection lost before END has sent nothing.
    assert DotReader(10_000).feed(sent) is None
