"""ENVELOPE, BODY and BODYSTRUCTURE as IMAP text."""

from __future__ import annotations

import pytest

from restante.mime.analyse import analyse
from restante.mime.envelope import envelope
from restante.mime.model import Limits, Part, Trait
from restante.mime.parameters import Parameters
from restante.mime.scan import Entity, scan
from restante.mime.structure import MOST_JOINED, parameter_list, structure
from restante.mime.wire import nstring, string

from .imap_text import check_body, check_envelope, read


def crlf(text: str) -> bytes:
    return text.encode().replace(b"\n", b"\r\n")


STRINGS = [
    ("plain", b"abc", b'"abc"'),
    ("empty", b"", b'""'),
    ("escapes", b'a"b\\c', b'"a\\"b\\\\c"'),
    ("eight-bit", b"\xc3\xa9", b"{2}\r\n\xc3\xa9"),
    ("cr", b"a\rb", b"{3}\r\na\rb"),
    ("nul", b"a\0b", b"{3}\r\na\x80b"),
    ("tab", b"a\tb", b'"a\tb"'),
    ("900", b"x" * 900, b'"' + b"x" * 900 + b'"'),
    ("901", b"x" * 901, b"{901}\r\n" + b"x" * 901),
]


@pytest.mark.parametrize(("value", "expected"), [case[1:] for case in STRINGS], ids=[case[0] for case in STRINGS])
def test_string(value: bytes, expected: bytes) -> None:
    assert string(value) == nstring(value) == expected


def test_absent_is_nil() -> None:
    assert nstring(None) == b"NIL"


RFC9051_8 = crlf(
    """Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev2 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

"""
)


def test_rfc9051_8_envelope() -> None:
    assert analyse(RFC9051_8).envelope == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
        b'"<B27397-0100000@cac.washington.edu>")'
    )


def test_rfc9051_7_5_2_simple_text() -> None:
    body = b"x" * 46 + b"\r\n"
    data = RFC9051_8 + body * 47 + b"y" * (2279 - 47 * 48 - 2) + b"\r\n"
    assert analyse(data).body == b'("text" "plain" ("CHARSET" "US-ASCII") NIL NIL "7bit" 2279 48)'


def test_rfc9051_7_5_2_two_parts() -> None:
    data = crlf(
        """Content-Type: multipart/mixed; boundary=x

--x
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

one

--x
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME="cc.diff"
Content-ID: <960723163407.20117h@cac.washington.edu>
Content-Description: Compiler diff
Content-Transfer-Encoding: BASE64

QUJD

--x--
"""
    )
    assert analyse(data).body == (
        b'(("text" "plain" ("CHARSET" "US-ASCII") NIL NIL "7bit" 5 1)'
        b'("text" "plain" ("CHARSET" "US-ASCII" "NAME" "cc.diff") '
        b'"<960723163407.20117h@cac.washington.edu>" "Compiler diff" "base64" 6 1) "mixed")'
    )


def test_all_extension_data() -> None:
    data = crlf(
        """Content-Type: multipart/mixed; boundary=x
Content-Disposition: inline
Content-Language: en
Content-Location: http://example.com/

--x
Content-Type: image/gif; name="a b.gif"
Content-Transfer-Encoding: base64
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-Disposition: attachment; filename="a\\"b.gif"; size=3
Content-Language: de, fr
Content-Location: a.gif

R0lG
--x--
"""
    )
    assert analyse(data).bodystructure == (
        b'(("image" "gif" ("name" "a b.gif") NIL NIL "base64" 4 "Q2hlY2sgSW50ZWdyaXR5IQ==" '
        b'("attachment" ("filename" "a\\"b.gif" "size" "3")) ("de" "fr") "a.gif") '
        b'"mixed" ("boundary" "x") ("inline" NIL) "en" "http://example.com/")'
    )


def test_nested_message_has_envelope_body_and_lines() -> None:
    data = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: a@b\r\n\r\nhello\r\n"
    addresses = b'((NIL NIL "a" "b"))'
    inside = b'(NIL "in" %b %b %b NIL NIL NIL NIL NIL)' % (addresses, addresses, addresses)
    assert analyse(data).body == (
        b'("message" "rfc822" NIL NIL NIL "7bit" 33 '
        + inside
        + b' ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1) 4)'
    )
    read(analyse(data).bodystructure)


def test_default_charset_is_told_only_where_true() -> None:
    assert b'("charset" "us-ascii")' in analyse(b"\r\nabc").body
    assert b"charset" not in analyse(b"\r\n\xe9").body


@pytest.mark.parametrize(
    "message",
    [
        b"Content-Type: text/calendar\r\nContent-Transfer-Encoding: base64\r\n\r\nTcO8bGxlcg==",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<meta charset=utf-8>=C3=BC",
        b"Content-Type: text/html\r\n\r\n<meta charset=iso-2022-jp>\x1b$B$3\x1b(B",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nM=C3=BCller",
    ],
    ids=["calendar", "html", "html, not encoded", "plain"],
)
def test_rfc2046_4_1_2_no_charset_is_told_that_may_be_another(message: bytes) -> None:
    assert b"us-ascii" not in analyse(message).bodystructure


@pytest.mark.parametrize("written", [b'charset=""', b"charset=", b"Charset*=''", b'charset*0=""'])
def test_an_empty_charset_does_not_come_twice(written: bytes) -> None:
    found = analyse(b"Content-Type: text/plain; format=flowed; " + written + b"\r\n\r\nbody").bodystructure
    assert found.lower().count(b"charset") == 1


def test_parameters_in_pieces_are_joined_up_to_a_bound() -> None:
    """A euro sign of one octet is nine as percent-encoded UTF-8: 64 MB of them would be a gigabyte of answers."""
    part = b"--x\r\nContent-Type: a/b; name*0*=iso-8859-1''" + b"\x80" * (MOST_JOINED // 2) + b"\r\n\r\n\r\n"
    data = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 5
    found = analyse(data).bodystructure
    assert (found.count(b'"name*" '), found.count(b'"name*0*" ')) == (1, 4)
    assert len(found) < len(data) + 9 * MOST_JOINED


def test_nested_envelopes_tell_addresses_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand of them with 64 kB in From would be 400 MB of answers."""
    part = b"--x\r\n\r\nFrom: Ann <ann@example.org>\r\nSubject: told\r\n\r\nbody\r\n"
    data = b"Content-Type: multipart/digest; boundary=x\r\n\r\n" + part * 5
    assert analyse(data).body.count(b'"ann"') == 3 * 5
    monkeypatch.setattr("restante.mime.structure.MOST_NESTED", 200)
    found = analyse(data)
    assert found.body.count(b'"ann"') == 3 * 2
    assert found.body.count(b'"told"') == 5
    assert found.traits & Trait.SIMPLIFIED
    assert not analyse(data.replace(b"From", b"X")).traits & Trait.SIMPLIFIED


def test_rfc9051_7_5_2_empty_and_absent_fields() -> None:
    made = read(analyse(b"Subject:\r\nMessage-ID: \r\nFrom: a@b\r\nSender:\r\nTo:\r\nReply-To: c@d\r\n\r\n").envelope)
    from_list = [[None, None, b"a", b"b"]]
    assert made == [None, b"", from_list, from_list, [[None, None, b"c", b"d"]], None, None, None, None, b""]


def test_values_are_raw_and_unfolded() -> None:
    made = read(analyse(b"Subject: =?utf-8?q?a?=\r\n =?utf-8?q?b?=\r\nDate: x\n\ty\r\n\r\n").envelope)
    assert made[:2] == [b"x\ty", b"=?utf-8?q?a?= =?utf-8?q?b?="]


def test_several_fields_of_one_name_are_one_list() -> None:
    assert read(analyse(b"To: a@b\r\nTo: c@d\r\n\r\n").envelope)[5] == [
        [None, None, b"a", b"b"],
        [None, None, b"c", b"d"],
    ]


def test_eight_bit_and_nul_go_out_as_literals() -> None:
    made = analyse(b"Subject: gr\xc3\xbc\xc3\x9fe\r\nFrom: J\xfcrgen <j@x>\r\nMessage-ID: <a\0b>\r\n\r\n").envelope
    assert b"{7}\r\ngr\xc3\xbc\xc3\x9fe" in made
    assert b"{6}\r\nJ\xfcrgen" in made
    assert b"{5}\r\n<a\x80b>" in made
    check_envelope(read(made))


CONTINUATIONS: list[tuple[str, Parameters, bytes]] = [
    (
        "rfc2231-3",
        (
            (b"access-type", b"URL"),
            (b"URL*0", b"ftp://"),
            (b"URL*1", b"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"),
        ),
        b'("access-type" "URL" "URL" "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar")',
    ),
    (
        "rfc2231-4",
        ((b"title*", b"us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"),),
        b'("title*" "us-ascii\'en-us\'This%20is%20%2A%2A%2Afun%2A%2A%2A")',
    ),
    (
        "rfc2231-4.1",
        (
            (b"title*0*", b"us-ascii'en'This%20is%20even%20more%20"),
            (b"title*1*", b"%2A%2A%2Afun%2A%2A%2A%20"),
            (b"title*2", b"isn't it!"),
        ),
        b'("title*" "us-ascii\'en\'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it%21")',
    ),
    (
        "rfc9051-7.5.2-converted-to-utf-8",
        ((b"foo*0*", b"iso-8859-1''%E9"), (b"foo*1*", b"%E8")),
        b'("foo*" "utf-8\'\'%C3%A9%C3%A8")',
    ),
    ("out-of-order-and-gap", ((b"a*1", b"2"), (b"a*0", b"1"), (b"a*3", b"4")), b'("a" "12")'),
    ("first-piece-missing", ((b"a*1", b"2"), (b"A*2", b"3")), b'("a*1" "2" "A*2" "3")'),
    ("empty-and-in-pieces", ((b"a", b""), (b"a*0", b"1"), (b"a*1", b"2")), b'("a" "" "a" "12")'),
]


@pytest.mark.parametrize(
    ("parameters", "expected"), [case[1:] for case in CONTINUATIONS], ids=[case[0] for case in CONTINUATIONS]
)
def test_rfc2231_pieces_are_joined(parameters: Parameters, expected: bytes) -> None:
    assert parameter_list(parameters) == expected


def test_number_of_parameters_is_bounded() -> None:
    field = b"Content-Type: text/plain" + b"".join(b"; a*%d=x" % n for n in range(50_000))
    found = read(analyse(field + b"\r\n\r\n").body)
    assert found[2] == [b"a", b"x" * Limits().parameters, b"charset", b"us-ascii"]


def test_multipart_without_parts_is_still_legal() -> None:
    entity = Entity(Part(0, 0, 0, "multipart", "mixed"), {}, (), [])
    short, long, _ = structure(b"", entity, Limits())
    check_body(read(short), extended=False)
    check_body(read(long), extended=True)


def test_addresses_past_the_limit_simplify() -> None:
    found = analyse(b"".join(b"To: a%d@b\r\n" % n for n in range(9_000)) + b"\r\n")
    assert Trait.SIMPLIFIED in found.traits
    made = read(found.envelope)
    assert isinstance(made[5], list)
    assert len(made[5]) == Limits().addresses
    shared = envelope(scan(b"From: a@b, c@d\r\nTo: e@f\r\n\r\n", Limits()).root.fields, 2)
    assert not shared.complete
    assert read(shared.wire)[5] is None


@pytest.mark.parametrize(
    "boundary",
    [b"boundary*0=abc; boundary*1=def", b'boundary*1=def; boundary*0="abc"', b"boundary*=us-ascii'en'abc%64ef"],
)
def test_rfc2231_3_a_boundary_in_pieces_is_one(boundary: bytes) -> None:
    found = analyse(
        b"Content-Type: multipart/mixed; %b\r\n\r\n--abcdef\r\n\r\nhi\r\n--abcdef\r\n"
        b"Content-Type: application/pdf\r\n\r\nx\r\n--abcdef--\r\n" % boundary
    )
    assert [(part.type, part.subtype) for part in found.root.children] == [("text", "plain"), ("application", "pdf")]


@pytest.mark.parametrize("charset", [b"charset*0=iso-; charset*1=8859-2", b"charset*=utf-8''iso-8859-2"])
def test_rfc2231_3_a_charset_in_pieces_is_one(charset: bytes) -> None:
    found = analyse(b"Content-Type: text/plain; %b\r\n\r\nza\xbf\xf3\xb3\xe6\r\n" % charset)
    assert found.root.charset == "iso-8859-2"
    assert found.preview == "za\u017c\u00f3\u0142\u0107"
    assert b"us-ascii" not in found.bodystructure


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (b"en, fr (This is a dictionary)", b'("en" "fr")'),
        (b"(x, y (z)) en", b'"en"'),
        (b"mi (Maori), en (not", b'("mi" "en")'),
        (b"(none)", b"NIL"),
    ],
)
def test_rfc3282_2_comments_are_no_languages(field: bytes, told: bytes) -> None:
    found = analyse(b"Content-Language: %b\r\n\r\nx\r\n" % field)
    assert found.bodystructure.endswith(b" NIL NIL %b NIL)" % told)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (b'(c) attachment (d; e=f); (g) filename (h)= "x (1)" (i); size=1', b'"filename" "x (1)" "size" "1"'),
        (b"attachment; filename=report (1).txt (of; two)", b'"filename" "report (1).txt"'),
        (b"attachment; filename=(1) ; size=1", b'"filename" "(1)" "size" "1"'),
        (b'attachment; filename="x" size=1', b'"filename" "x" "size" "1"'),
        (b"attachment; " + b"(" * 5_000 + b"; size=1", b'"size" "1"'),
        (b"attachment; filename=" + b"(" * 2_000 + b")" * 2_000 + b"a; size=1", b'"size" "1"'),
    ],
)
def test_rfc2183_2_a_disposition_may_have_comments(field: bytes, told: bytes) -> None:
    found = analyse(b"Content-Disposition: %b\r\n\r\nx\r\n" % field)
    assert b'("attachment" (' in found.bodystructure
    assert found.bodystructure.endswith(told + b")) NIL NIL)")


@pytest.mark.parametrize("field", [b"filename=x.pdf; size=1", b'filename="x.pdf"; size=1', b"; filename=x.pdf; size=1"])
def test_rfc2183_2_8_parameters_without_a_type_are_those_of_an_attachment(field: bytes) -> None:
    found = analyse(b"Content-Disposition: %b\r\n\r\nx\r\n" % field)
    assert found.bodystructure.endswith(b' NIL ("attachment" ("filename" "x.pdf" "size" "1")) NIL NIL)')


@pytest.mark.parametrize("field", [b'attachment filename="x.pdf"; size=1', b"attachment\tfilename=x.pdf; size=1"])
def test_behind_a_disposition_a_semicolon_may_be_missing(field: bytes) -> None:
    """As behind a content type."""
    found = analyse(b"Content-Disposition: %b\r\n\r\nx\r\n" % field)
    assert found.bodystructure.endswith(b' NIL ("attachment" ("filename" "x.pdf" "size" "1")) NIL NIL)')
