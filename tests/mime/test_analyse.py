"""Everything at once: any octets, real mail, what has hit other servers."""

from __future__ import annotations

import email
import email.message
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS, Analysis, Limits, Part, Trait
from restante.mime.sections import decode_body
from restante.mime.text import body_text

from .imap_text import check_body, check_envelope, read

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "mail"
MAIL = sorted(SHARED.glob("*/*.eml"))


def check(data: bytes) -> Analysis:
    """All that must hold of any message's analysis."""
    found = analyse(data)
    assert found.size == len(data)
    assert (found.root.header, found.root.end) == (0, len(data))
    check_part(found.root, 0, len(data))
    check_envelope(read(found.envelope))
    check_body(read(found.body), extended=False)
    check_body(read(found.bodystructure), extended=True)
    assert b"\0" not in found.envelope + found.bodystructure + found.headers
    assert found.headers.count(b"\n") == found.headers.count(b"\r\n")
    assert len(found.preview) <= 200
    for text in (
        found.preview,
        found.text.header,
        body_text(data, DEFAULT_LIMITS),
        found.text.subject,
        found.keys.subject,
    ):
        text.encode("utf-8")
    return found


def check_part(part: Part, start: int, end: int) -> None:
    assert start <= part.header <= part.body <= part.end <= end
    assert (part.type + part.subtype + part.encoding).isascii()
    assert (part.type == "multipart") <= bool(part.children)
    before = part.body
    for child in part.children:
        check_part(child, before, part.end)
        before = child.end


TRAITS = [
    (b"A: b\r\n\r\nc\r\n", Trait.NONE),
    (b"A: b\r\n\r\nc", Trait.NO_FINAL_CRLF),
    (b"A: b\n\nc\n", Trait.BARE_LINE_END | Trait.NO_FINAL_CRLF),
    (b"A: b\r\n\r\nc\rd\r\n", Trait.BARE_LINE_END),
    (b"A: b\r\n\r\n\0\r\n", Trait.NUL),
    (b"A: \xc3\xa9\r\n\r\n\r\n", Trait.EIGHT_BIT_HEADER),
    (b"A: b\r\n\r\n\xc3\xa9\r\n", Trait.NONE),
    (b"", Trait.NO_FINAL_CRLF),
]


@pytest.mark.parametrize(("data", "traits"), TRAITS)
def test_traits(data: bytes, traits: Trait) -> None:
    assert check(data).traits == traits


def test_any_buffer_will_do() -> None:
    data = b"Subject: x\r\n\r\nbody\r\n"
    assert analyse(bytearray(data)) == analyse(memoryview(data)) == analyse(data)


PIECES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b" ",
    b"\t",
    b"--",
    b"--b",
    b"--b--",
    b"--c",
    b"From: ",
    b"To: ",
    b"Subject: ",
    b"Date: ",
    b"Message-ID: <",
    b"References: <a@b>",
    b">",
    b"Content-Type: ",
    b"Content-Type: text/html\n",
    b"Content-Type: multipart/mixed; boundary=b\n\n--b\n",
    b'Content-Type: multipart/digest; boundary="c"\n\n--c\n',
    b"Content-Type: message/rfc822\n\n",
    b"Content-Type: message/global\r\n\r\n",
    b"Content-Transfer-Encoding: base64\n",
    b"Content-Transfer-Encoding: quoted-printable\n",
    b"Content-Disposition: attachment; filename",
    b"*0*=",
    b"=",
    b";",
    b'"',
    b"\\",
    b"(",
    b")",
    b"<",
    b"@",
    b",",
    b":",
    b"=?utf-8?q?=C3",
    b"?=",
    b"=?x?b?",
    b"charset=utf-16",
    b"a",
    b"<p>",
    b"{3}",
]


@given(st.binary(max_size=400))
def test_any_octets(data: bytes) -> None:
    check(data)


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_pieces_of_mail(pieces: list[bytes]) -> None:
    check(b"".join(pieces))


NASTY = {
    "100000-address-fields": b"To: a@b\r\n" * 100_000,
    "100000-addresses": b"To: " + b"a <a@b>,\r\n " * 100_000,
    "100000-groups": b"From: " + b"g:a@b;," * 100_000,
    "100000-comments": b"From: " + b"(" * 100_000,
    "giant-field": b"Subject: " + b"x" * 5_000_000,
    "giant-line": b"\r\n" + b"x" * 20_000_000,
    "only-line-ends": b"\n" * 2_000_000,
    "only-cr": b"\r" * 2_000_000,
    "only-blanks": b" " * 2_000_000,
    "blanks-in-a-field": b"Content-Type:" + b" " * 500_000 + b"\r\nFrom:" + b"\t" * 400_000 + b"x\r\n",
    "folds": b"Subject: x\r\n" + b" \r\n" * 300_000,
    "only-nul": b"\0" * 2_000_000,
    "no-colon": b"x" * 2_000_000,
    "parameters": b"Content-Type: text/plain" + b"; a*0*=%41" * 80_000,
    "continuations": b"Content-Type: text/plain" + b"".join(b";a*%d*=%%41" % n for n in range(80_000)),
    "semicolons": b"Content-Type: text/plain" + b";" * 900_000,
    "quotes": b'Content-Type: text/plain; a="' + b'\\"' * 400_000,
    "comments-in-type": b"Content-Type: " + b"(" * 900_000,
    "encoded-words": b"Subject: " + b"=?utf-8?q?=C3?= " * 60_000,
    "encoded-word-beginnings": b"Subject: " + b"=?" * 400_000,
    "encoded-words-not-closed": b"Subject: " + b"=?a?q?" * 150_000,
    "subject-prefixes": b"Subject: " + b"re:[a]" * 150_000,
    "references": b"References: " + b"<a@b>" * 180_000,
    "references-not-closed": b"References: " + b'<"' * 400_000,
    "delimiters": b"Content-Type: multipart/a; boundary=x\n\n" + b"--x\n" * 1_000_000,
    "near-delimiters": b"Content-Type: multipart/a; boundary=x\n\n--x\n" + b"--xy\n" * 1_000_000,
    "delimiters-in-one-line": b"Content-Type: multipart/a; boundary=x\n\n--x\n\n" + b"--x" * 1_000_000,
    "deep-multiparts": b"".join(b"Content-Type: multipart/a; boundary=%d\n\n--%d\n" % (n, n) for n in range(20_000)),
    "deep-equal-boundaries": b"Content-Type: multipart/a; boundary=x\n\n--x\n" * 20_000,
    "deep-messages": b"Content-Type: message/rfc822\n\n" * 50_000,
    "deep-html": b"Content-Type: text/html\n\n" + b"<div>" * 400_000,
    "html-comments": b"Content-Type: text/html\n\n" + b"<!--" * 400_000,
    "html-scripts": b"Content-Type: text/html\n\n" + b"<script>" * 200_000,
    "many-html-parts": b"Content-Type: multipart/a; boundary=x\n\n"
    + (b"--x\nContent-Type: text/html\n\n" + b"<b><p>" * 900) * 900,
    "quoted-printable-blanks": b"Content-Transfer-Encoding: quoted-printable\n\n" + b" " * 2_000_000 + b"x \n",
    "base64-padding": b"Content-Transfer-Encoding: base64\n\n" + b"QQ==" * 400_000,
    "idna-charset": b"Content-Type: text/plain; charset=idna\n\n" + b"a." * 200_000,
    "long-charset": b"Content-Type: text/plain; charset=" + b"a" * 200_000 + b"\n\n\xff",
}


@pytest.mark.parametrize("name", NASTY)
def test_what_has_hit_others(name: str) -> None:
    """Generous bound: each is read within seconds where a quadratic reader takes minutes (CVE-2024-23184)."""
    found = check(NASTY[name])
    assert len(found.envelope) <= 2 * len(NASTY[name]) + 40 * DEFAULT_LIMITS.addresses
    assert count(found.root) <= DEFAULT_LIMITS.parts


def count(part: Part) -> int:
    return 1 + sum(count(child) for child in part.children)


@pytest.mark.skipif(not MAIL, reason="../shared/mail is not here")
@pytest.mark.parametrize("path", MAIL, ids=[f"{path.parent.name}/{path.name}" for path in MAIL])
def test_shared_mail(path: Path) -> None:
    check(path.read_bytes())


@pytest.mark.skipif(not MAIL, reason="../shared/mail is not here")
def test_shared_mail_has_the_parts_that_the_standard_library_sees() -> None:
    compared = 0
    for path in MAIL:
        data = path.read_bytes()
        message = email.message_from_bytes(data)
        if any(part.defects for part in message.walk()) or b"\r" in data.replace(b"\r\n", b""):
            continue
        compared += compare(data, analyse(data).root, message)
    assert compared > 100


def compare(data: bytes, part: Part, theirs: email.message.Message) -> int:
    """Leaves that have the same type and decoded octets in both trees."""
    assert f"{part.type}/{part.subtype}" == theirs.get_content_type()
    payload = theirs.get_payload()
    if part.type == "message" and not part.children:
        return 0  # the standard library looks into message/delivery-status and its like, IMAP does not
    if isinstance(payload, list):
        assert len(part.children) == len(payload)
        return sum(
            compare(data, ours, other)
            for ours, other in zip(part.children, payload, strict=True)
            if isinstance(other, email.message.Message)
        )
    encoding = str(theirs.get("Content-Transfer-Encoding", "7bit"))
    if encoding != encoding.strip():
        return 0  # the standard library then takes the encoding for an unknown one
    octets = decode_body(data[part.body : part.end], part.encoding)
    if octets is None:
        return 0
    expected = theirs.get_payload(decode=True)
    assert isinstance(expected, bytes)
    assert octets.split() == expected.split()
    return 1


ENDS = [b"\r", b"\n", b"\r\n", b"ab", b"\xc3\xa9", b"\x85"]


@given(st.lists(st.sampled_from(ENDS), max_size=9).map(b"".join))
def test_a_bare_line_end_is_found(data: bytes) -> None:
    bare = re.search(rb"(?<!\r)\n|\r(?!\n)", data) is not None
    assert (Trait.BARE_LINE_END in analyse(data).traits) == bare


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n", b"\r\r\n", b"\r\n\n"], ids=repr)
def test_a_bare_line_end_is_found_where_the_pieces_of_a_large_message_meet(end: bytes, before: int) -> None:
    data = b"-" * ((1 << 18) - before) + end + b"-"
    assert (Trait.BARE_LINE_END in analyse(data).traits) == (end != b"\r\n")


def test_parts_with_equal_headers_are_told_alike_whatever_has_been_read_before() -> None:
    """Such headers are read once: what is kept of them depends on nothing but them."""
    header = b"Content-Type: text/html; charset=UTF-8; a=b; c=d\r\nContent-Transfer-Encoding: 8bit\r\n"

    def message(kind: bytes, part: bytes) -> bytes:
        return b"Content-Type: multipart/" + kind + b"; boundary=x\r\n\r\n--x\r\n" + part + b"\r\n--x--\r\n"

    first = analyse(message(b"mixed", header + b"\r\n\xff\r\n"))
    assert analyse(message(b"mixed", header + b"\r\n\xff\r\n")) == first
    few = analyse(message(b"mixed", header + b"\r\nx\r\n"), Limits(parameters=1))
    assert b'("charset" "UTF-8") NIL' in few.body
    assert b'("charset" "UTF-8" "a" "b" "c" "d") NIL' in first.body
    bare = b"Content-ID: <a>\r\n\r\nx\r\n"
    assert [analyse(message(kind, bare)).root.children[0].type for kind in (b"mixed", b"digest", b"mixed")] == [
        "text", "message", "text",
    ]  # fmt: skip
    odd = message(b"mixed", b"Content-Description: \xff\r\n\r\nx\r\n")
    for _ in range(2):
        assert Trait.EIGHT_BIT_HEADER in analyse(odd).traits


def test_little_is_remembered_of_mail_that_never_comes_again() -> None:
    """What is read once for many messages is short, however long a message makes its names."""
    tracemalloc.start()
    try:
        for number in range(60):
            if number == 20:
                before = tracemalloc.get_traced_memory()[0]
            long = b"%d" % number + b"x" * 50_000
            analyse(
                b"From: %b <%b@%b>\r\nSubject: =?utf-8?q?=C3=A9%b?=\r\nDate: 1 Jan 2026 10:00 %b\r\n"
                b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=%b\r\n\r\n"
                b"%b\r\n--b\r\nContent-Type: text/x; %b=a\r\nContent-Transfer-Encoding: %b\r\n\r\n\xff\r\n--b--\r\n"
                % (long, long, long, long, long, long, b"words\r\n" * 200, long, long)
            )
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept < 500_000  # one long name of each message would be four times that
