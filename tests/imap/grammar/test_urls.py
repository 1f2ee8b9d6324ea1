"""IMAP URLs of messages. RFC 5092; RFC 4469 appendix A."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.imap.grammar.commands import Body, SectionText
from restante.imap.grammar.errors import BadSyntax
from restante.imap.grammar.limits import ReaderLimits
from restante.imap.grammar.urls import MessageUrl, parse_url, shown_url

from .encode import format_url

LIMITS = ReaderLimits()


def section(
    label: bytes = b"",
    path: tuple[int, ...] = (),
    text: SectionText = SectionText.WHOLE,
    fields: tuple[bytes, ...] = (),
) -> Body:
    return Body(path, text, fields, None, True, b"BODY[%b]" % label)


WHOLE = section()
CASES = [
    pytest.param(
        b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER",
        MessageUrl(None, None, None, "Drafts", 385759045, 20, section(b"HEADER", (), SectionText.HEADER)),
        id="rfc4469-a-1",
    ),
    pytest.param(
        b"/INBOX;UIDVALIDITY=785799047/;UID=113330/;section=1.5.9",
        MessageUrl(None, None, None, "INBOX", 785799047, 113330, section(b"1.5.9", (1, 5, 9))),
        id="rfc4469-a-4",
    ),
    pytest.param(b"/Drafts/;UID=3002", MessageUrl(None, None, None, "Drafts", None, 3002, WHOLE), id="rfc8508-4.2"),
    pytest.param(
        b"imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024",
        MessageUrl("minbari.example.org", None, None, "gray-council", 385759045, 20, WHOLE, (0, 1024)),
        id="rfc5092-9",
    ),
    pytest.param(
        b"imap://john;AUTH=*@minbari.example.org/babylon5/personel;UIDVALIDITY=1/;UID=2/;section=1.2",
        MessageUrl("minbari.example.org", "john", None, "babylon5/personel", 1, 2, section(b"1.2", (1, 2))),
        id="rfc5092-9-auth",
    ),
    pytest.param(
        b"imap://;AUTH=GSSAPI@minbari.example.org/gray-council/;uid=20/;section=1.2",
        MessageUrl("minbari.example.org", None, None, "gray-council", None, 20, section(b"1.2", (1, 2))),
        id="rfc5092-9-nobody",
    ),
    pytest.param(
        b"IMAP://user%40Example.org@[2001:db8::1]:1143/%E5%8F%B0%E5%8C%97/;uid=1/;partial=7",
        MessageUrl("[2001:db8::1]", "user@Example.org", 1143, "台北", None, 1, WHOLE, (7, None)),
        id="utf8-and-ipv6",
    ),
    pytest.param(
        b"//h/%2E%2e/a%20b/;UID=1/;SECTION=2.HEADER.FIELDS%20(To%20%22From%22)",
        MessageUrl(
            "h",
            None,
            None,
            "../a b",
            None,
            1,
            section(b"2.HEADER.FIELDS (To From)", (2,), SectionText.FIELDS, (b"To", b"From")),
        ),
        id="network-path",
    ),
]


@pytest.mark.parametrize(("raw", "url"), CASES)
def test_urls_of_messages(raw: bytes, url: MessageUrl) -> None:
    assert parse_url(raw, LIMITS) == url
    assert parse_url(format_url(url), LIMITS) == url


REFUSED = [
    b"", b"/", b"x", b"/x", b";UID=20", b"x/;UID=20", b"./x/;UID=1", b"../x/;UID=1", b"/../x/;UID=1", b"/a/./b/;UID=1",
    b"//x/;UID=1", b"imap:/x/;UID=1", b"imap://h", b"imap://h/", b"imap://@h/x/;UID=1", b"imap://h//x/;UID=1",
    b"http://h/x/;UID=1", b"imaps://h/x/;UID=1", b"imap://u;AUTH=@h/x/;UID=1", b"imap://h:999999/x/;UID=1",
    b"/x;UID=1", b"/x/;UID=0", b"/x/;UID=*", b"/x/;UID=4294967296", b"/x;UIDVALIDITY=0/;UID=1", b"/x/;UID=1/",
    b"/x/;UID=1/;SECTION=", b"/x/;UID=1/;SECTION=MIME", b"/x/;UID=1/;SECTION=1.X", b"/x/;UID=1/;SECTION=1%5D",
    b"/x/;UID=1/;SECTION=%0D", b"/x/;UID=1/;SECTION=HEADER.FIELDS%20(%0A)", b"/x/;UID=1/;SECTION=1]", b"/%FF/;UID=1",
    b"/x%/;UID=1", b"/x%4/;UID=1", b"/x/;UID=1/;PARTIAL=", b"/x/;UID=1/;PARTIAL=1.0", b"/x/;UID=1/;PARTIAL=-1",
    b"/x/;UID=1/;PARTIAL=0.5/;SECTION=1", b"/x?ALL", b"/x/;UID=1?ALL", b"/x/;UID=1;URLAUTH=anonymous:internal:00",
    # RFC 5092 9 and 9.1: mailboxes, searches, and references of kinds that 7.2 forbids to accept
    b"imap://psicorp.example.org/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/%E5%8F%B0%E5%8C%97", b";section=1.4",
    b"imap://;AUTH=*@minbari.example.org/gray%20council?SUBJECT%20shadows", b"/foo/;UID=20/..", b"/foo",
    b"imap://john;AUTH=*@minbari.example.org/babylon5/personel?charset%20UTF-8%20SUBJECT%20%7B14+%7D%0D%0A%D0%98%D0%B2",
    b"..;UIDVALIDITY=385759045/;UID=20",
    b"/x y/;UID=1", b"/x\0/;UID=1", "/ü/;UID=1".encode(), b"/x/;UID=1\r\n", b"/x/;UID=1\n",
]  # fmt: skip


@pytest.mark.parametrize("raw", REFUSED)
def test_what_names_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(BadSyntax):
        parse_url(raw, LIMITS)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.lists(
    st.sampled_from(["", ".", "..", "a", "ü;&", "%2F"]), min_size=1, max_size=4
).map("/".join).filter(bool)
numbers = st.integers(1, 0xFFFFFFFF)
sections = st.sampled_from([WHOLE, section(b"TEXT", (), SectionText.TEXT), section(b"1.MIME", (1,), SectionText.MIME)])
servers = st.just((None, None, None)) | st.tuples(
    st.sampled_from(["h", "mail.example.org", "[::1]"]), st.none() | names, st.none() | st.integers(0, 65535)
)


@given(servers, names, st.none() | numbers, numbers, sections, st.none() | st.tuples(numbers, st.none() | numbers))
def test_what_is_written_reads_back(
    server: tuple[str | None, str | None, int | None],
    mailbox: str,
    uidvalidity: int | None,
    uid: int,
    part: Body,
    partial: tuple[int, int | None] | None,
) -> None:
    url = MessageUrl(*server, mailbox, uidvalidity, uid, part, partial)
    assert parse_url(format_url(url), LIMITS) == url


pieces = st.sampled_from(
    [b"/", b";", b"UID=", b"1", b"imap:", b"//", b"@", b":", b"%41", b"%", b"a", b";UID=1", b"/;UID=1", b".", b"]",
     b"/;SECTION=1", b";UIDVALIDITY=2", b"/;PARTIAL=0.1", b"\r\n", b"\xff", b"[", b"?", b"=", b"HEADER.FIELDS%20("]
)  # fmt: skip


@given(st.lists(pieces, max_size=14).map(b"".join) | st.binary(max_size=60))
def test_any_octets_are_a_url_or_bad_syntax(raw: bytes) -> None:
    try:
        url = parse_url(raw, LIMITS)
    except BadSyntax:
        return
    assert parse_url(format_url(url), LIMITS) == url


@given(st.binary(max_size=60))
def test_a_url_in_badurl_keeps_to_its_line(raw: bytes) -> None:
    shown = shown_url(raw)
    assert shown
    assert all(0x20 <= octet < 0x7F for octet in shown)
    assert b"]" not in shown


@pytest.mark.parametrize("piece", [b"/", b"%41", b"a/", b";", b"/;", b"@", b":"])
def test_long_urls_cost_linear_time(piece: bytes) -> None:
    def cost(number: int) -> float:
        """Processor time, which other programs of a busy machine do not add to; the least of a few."""
        taken = []
        for _ in range(5):
            start = time.process_time()
            for front in (b"", b"/", b"imap://", b"/x/;UID=1/;SECTION="):
                with pytest.raises(BadSyntax):
                    parse_url(front + piece * number, LIMITS)
            taken.append(time.process_time() - start)
        return min(taken)

    few = cost(5_000)
    assert cost(80_000) < 64 * few + 0.01, "16 times as much, not 256 times"
