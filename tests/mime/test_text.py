"""Searchable text and previews."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.mime import html
from restante.mime.analyse import analyse
from restante.mime.decode import decode_header, decode_transfer
from restante.mime.fold import fold
from restante.mime.headers import read_header
from restante.mime.html import MAX_TAGS, html_text
from restante.mime.model import DEFAULT_LIMITS, Limits
from restante.mime.text import MOST_FOLDED, PART_HEADERS, body_text, decoded, header_text
from restante.store.sqlite.coding import LARGEST_TEXT

HTML = [
    ("inline-elements-do-not-break-words", "<p><b>f</b>oo bar", "foo bar"),
    ("blocks-break-lines", "<div>a</div><p>b<br>c</p><ul><li>d<li>e</ul>", "a\nb\nc\nd\ne"),
    ("entities", "a &amp; b &eacute;&#x20AC;&nbsp;c", "a & b é€\xa0c"),
    ("script-and-style", "<style>p{}</style>a<script>var x = '<p>no</p>';</script>b", "ab"),
    ("white-space", "a\n  b\t c", "a b c"),
    ("comments", "a<!-- no -->b", "ab"),
    ("attributes", '<a href="no" title="no">yes</a>', "yes"),
    ("cells", "<table><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
    ("no-tags", "plain", "plain"),
    ("empty", "", ""),
    ("not-closed", "<p>a <b", "a"),
    ("a-less-than-sign", "1 < 2", "1 < 2"),
]


@pytest.mark.parametrize(("source", "expected"), [case[1:] for case in HTML], ids=[case[0] for case in HTML])
def test_html(source: str, expected: str) -> None:
    assert html_text(source) == expected


@pytest.mark.parametrize(("source", "expected"), [case[1:] for case in HTML[:5]], ids=[case[0] for case in HTML[:5]])
def test_html_past_the_tag_limit_reads_alike(source: str, expected: str) -> None:
    assert html_text(source, 0) == expected


@pytest.mark.parametrize("piece", ["<div>", "<", "<p>", "<script>", "</script>", "<!--", "&amp;", "<a b='", "<b><i>"])
def test_giant_html_ends(piece: str) -> None:
    html_text(piece * (MAX_TAGS * 3))
    html_text(piece * (MAX_TAGS // 3))


TAGS = [
    "<",
    ">",
    "<p",
    "</p>",
    "<b>",
    "<script>",
    "</script>",
    "<SCRIPT",
    "<style",
    "<!--",
    "div",
    "x",
    " ",
    "&lt;",
    "/",
]


@given(st.lists(st.sampled_from(TAGS), max_size=20).map("".join), st.integers(1, 9), st.sampled_from([0, MAX_TAGS]))
def test_html_is_read_alike_wherever_it_is_cut(source: str, stretch: int, tags: int) -> None:
    whole = html_text(source, tags)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "_STRETCH", stretch)
        assert html_text(source, tags) == whole


@pytest.mark.parametrize("name", ["_BLOCK", "_TAG"])
def test_no_expression_goes_through_megabytes_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two megabytes of marks, of which each is one to look behind, would hold up everybody for half a second."""
    expression, longest = getattr(html, name), 0

    class Noted:
        def sub(self, by: str, text: str) -> str:
            nonlocal longest
            longest = max(longest, len(text))
            return str(expression.sub(by, text))

    monkeypatch.setattr(html, name, Noted())
    html_text("<p" * (1 << 20))
    assert 0 < longest < 1 << 16


MIXED = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\r\nTo: a@b\r\nTo: c@d\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"X-Long: one\r\n two\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Sch=F6ne  Aus=\r\nsicht\r\n"
    b"--x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+Qm9sPC9iPmQgdGV4dA==\r\n"
    b"--x\r\nContent-Type: application/pdf\r\n"
    b"Content-Disposition: attachment;\r\n filename*=utf-8''Entwurf%20%C3%A4.pdf\r\n"
    b"\r\nsecretcontent\r\n"
    b"--x\r\nContent-Type: image/gif; name=cat.gif\r\n\r\nGIF\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?nested?=\r\nX-Field: deep\r\n\r\ninner body\r\n"
    b"--x--\r\n"
)


def test_search_text_of_a_mixed_message() -> None:
    text = analyse(MIXED).text
    assert text.sender == fold("Jürgen <j@example.com>")
    assert text.recipient == "A@B\nC@D"
    assert text.subject == fold("Grüße")
    assert fold("X-Long: one two") in text.header.split("\n")
    assert fold("Subject: Grüße") in text.header.split("\n")
    body = body_text(MIXED, DEFAULT_LIMITS)
    for expected in (
        "Schöne  Aussicht",
        "Bold text",
        "Entwurf ä.pdf",
        "cat.gif",
        "Subject: nested",
        "X-Field: deep",
        "inner body",
    ):
        assert fold(expected) in body, expected
    assert "SECRETCONTENT" not in body


def test_rfc9051_6_4_4_headers_of_parts_stand_behind_the_text_each_line_once() -> None:
    text, mark, headers = body_text(MIXED, DEFAULT_LIMITS).partition(PART_HEADERS)
    assert mark
    assert "CONTENT-" not in text
    assert headers.split("\n") == [
        "CONTENT-TYPE: TEXT/PLAIN; CHARSET=ISO-8859-1",
        "CONTENT-TRANSFER-ENCODING: QUOTED-PRINTABLE",
        "CONTENT-TYPE: TEXT/HTML",
        "CONTENT-TRANSFER-ENCODING: BASE64",
        "CONTENT-TYPE: APPLICATION/PDF",
        "CONTENT-DISPOSITION: ATTACHMENT; FILENAME*=UTF-8''ENTWURF%20%C3%A4.PDF",
        "CONTENT-TYPE: IMAGE/GIF; NAME=CAT.GIF",
        "CONTENT-TYPE: MESSAGE/RFC822",
    ]


WITHOUT = {
    "plain": (b"Content-Type: text/plain\r\nContent-ID: <a@b>\r\n\r\nhi\r\n", "HI\r\n"),
    "parts-without-headers": (
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x\n\ntwo\n--x--\n",
        "ONE\nTWO",
    ),
    "a-nested-message": (b"Content-Type: message/rfc822\n\nSubject: in\n\nhi", "SUBJECT: IN\nHI"),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize(("data", "text"), WITHOUT.values(), ids=WITHOUT)
def test_the_text_of_a_message_without_part_headers_has_no_mark(data: bytes, text: str) -> None:
    assert body_text(data, DEFAULT_LIMITS) == text


def test_no_folded_text_has_the_mark() -> None:
    every = [fold("".join(map(chr, range(start, start + 0x1000)))) for start in range(0, 0x110000, 0x1000)]
    assert not [start for start, text in enumerate(every) if PART_HEADERS in text]


def test_headers_of_parts_take_what_the_text_leaves() -> None:
    head = b"Content-Type: multipart/mixed; boundary=x\n\n"
    parts = [b"--x\nContent-ID: <%d@x>\n\nword\n" % n for n in range(10_000)]
    few = body_text(head + b"".join(parts), Limits(text=1_000))
    assert PART_HEADERS not in few
    assert few.startswith("WORD\nWORD")
    text, _, headers = body_text(head + b"".join(parts[:100]), Limits(text=1_000)).partition(PART_HEADERS)
    assert text.count("WORD") == 100
    assert len(headers) == 1_000 - 401
    assert headers.startswith("CONTENT-ID: <0@X>\nCONTENT-ID: <1@X>\n")
    _, _, same = body_text(head + parts[0] * 999, DEFAULT_LIMITS).partition(PART_HEADERS)
    assert same == "CONTENT-ID: <0@X>"


def test_preview_collapses_white_space_and_is_short() -> None:
    assert analyse(MIXED).preview == "Schöne Aussicht"
    assert analyse(b"\r\n" + b"word  \r\n" * 500).preview == ("word " * 41)[:200]
    assert analyse(b"Content-Type: text/html\r\n\r\n<p>Hi <b>you</b>").preview == "Hi you"
    assert analyse(b"Content-Type: image/gif\r\n\r\nGIF").preview == ""


def test_preview_ends_with_a_whole_character_where_it_is_cut() -> None:
    data = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + b" " * 3_997 + "Grüße an alle".encode()
    assert analyse(data).preview == "Gr"


def test_preview_takes_an_inline_part_but_no_attachment() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Disposition: attachment; filename=a.txt\n\nlog\n"
        b"--x\nContent-Disposition: inline\n\nletter\n--x--\n"
    )
    assert analyse(data).preview == "letter"


def part(header: str, text: str) -> str:
    return f"--x\nContent-Type: {header}\n\n{text}\n"


def several(subtype: str, *parts: str, boundary: str = "x") -> str:
    inside = "".join(parts).replace("--x", f"--{boundary}")
    return f"Content-Type: multipart/{subtype}; boundary={boundary}\n\n{inside}--{boundary}--\n"


HTML_PART, NOTHING, FOOTER = (
    part("text/html", "<p>letter"),
    part("text/html", "<img>"),
    part("text/plain", "list footer"),
)
ATTACHED = part("text/html\nContent-Disposition: attachment", "<p>file")
SHOWN_FIRST = [
    ("html-before-a-list-footer", several("mixed", HTML_PART, FOOTER), "letter"),
    ("html-before-an-attached-message", several("mixed", HTML_PART, part("message/rfc822", "\nforwarded")), "letter"),
    ("plain-of-alternatives", several("alternative", HTML_PART, part("text/plain", "plain letter")), "plain letter"),
    (
        "plain-of-alternatives-within",
        several(
            "mixed",
            "--x\n" + several("alternative", HTML_PART, part("text/plain", "plain letter"), boundary="y"),
            FOOTER,
        ),
        "plain letter",
    ),
    (
        "html-of-alternatives-where-plain-is-empty",
        several("mixed", "--x\n" + several("alternative", part("text/plain", ""), HTML_PART, boundary="y"), FOOTER),
        "letter",
    ),
    ("html-that-says-nothing", several("mixed", NOTHING, FOOTER, HTML_PART), "list footer"),
    ("one-html-is-read", several("mixed", NOTHING, HTML_PART), ""),
    ("attached-html-is-last", several("mixed", ATTACHED, FOOTER), "list footer"),
    ("attached-html-alone", several("mixed", ATTACHED), "file"),
]


@pytest.mark.parametrize(
    ("message", "shown"), [case[1:] for case in SHOWN_FIRST], ids=[case[0] for case in SHOWN_FIRST]
)
def test_preview_is_of_what_is_shown_first(message: str, shown: str) -> None:
    assert analyse(message.encode()).preview == shown


@pytest.mark.parametrize("kind", ["plain", "html"])
@pytest.mark.parametrize("times", [1, 100])
def test_rfc3629_6_preview_does_not_begin_with_the_byte_order_mark(kind: str, times: int) -> None:
    data = f"Content-Type: text/{kind}; charset=utf-8\r\n\r\n\ufeff" + "Grüße\r\n" * times
    assert analyse(data.encode()).preview.startswith("Grüße")


def test_undeclared_eight_bit_body_is_guessed_and_lends_nothing_to_headers() -> None:
    text = "Привет, как дела? Сегодня хорошая погода, и мы идём гулять. " * 5
    assert fold("погода") in body_text(b"\r\n" + text.encode("koi8-r"), DEFAULT_LIMITS)


def test_raw_header_takes_the_charset_that_the_body_declares() -> None:
    data = "Subject: Привет\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\nx".encode("koi8-r")
    assert analyse(data).text.subject == fold("Привет")


def test_text_is_bounded_when_it_is_folded() -> None:
    """U+FDFA is eighteen characters then."""
    head, limits = b"Content-Type: text/plain; charset=utf-8\r\n\r\n", Limits(text=1_000)
    for character in ("\uac01", "\ufdfa"):
        whole = fold(character * 1_000)
        assert body_text(head + character.encode() * 1_000, limits) == whole[: MOST_FOLDED * 1_000]
    assert len(fold("\uac01" * 1_000)) < MOST_FOLDED * 1_000


def test_text_is_bounded() -> None:
    limits = Limits(text=1_000)
    assert len(body_text(b"\r\n" + b"abc " * 1_000_000, limits)) == 1_000
    many = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\nabcdefghi\n" * 900
    assert len(body_text(many, limits)) <= 1_000 + 112


@pytest.mark.parametrize("count", [1_000, 100_000], ids=["one piece", "pieces"])
def test_text_is_bounded_where_one_character_becomes_many(count: int) -> None:
    """U+FDFA becomes eighteen: 8 million of them, one mail of 25 MB, made a text longer than a store unpacks, and each
    search of its mailbox failed for it."""
    limits = Limits(text=count)
    plain = b"Content-Type: text/plain; charset=utf-8\r\n"
    text = body_text(plain + b"\r\n" + "\ufdfa".encode() * count, limits)
    assert len(text) == MOST_FOLDED * count
    assert text == fold("\ufdfa" * count)[: MOST_FOLDED * count]
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: "
    part = head + "\ufdfa".encode() * (count // 2) + b"\r\n" + plain + b"\r\n" + "\ufdfa".encode() * (count // 2)
    assert len(body_text(part, limits)) == MOST_FOLDED * count + len(PART_HEADERS)
    korean = "\ud55c" * count
    assert body_text(plain + b"\r\n" + korean.encode(), limits) == fold(korean)


def test_whatever_text_is_made_of_a_message_can_be_unpacked() -> None:
    assert MOST_FOLDED * DEFAULT_LIMITS.text * len("\U0010ffff".encode()) <= LARGEST_TEXT


WORDS = [
    b"words of a line ", b"\r\n", b"\n", b"=C3=A9", b"=C3=\r\n=A9", b"=\r\n", b"=E4=BD=A0", "\u00e9".encode(),
    b"\xe9", b"\t\r\n", b"%", b"\\", b"\x1b$B0!\x1b(B", b"~{VP~}", b"d29yZHMg", b"w6k=", b"QQ==", b"\0", b" ", b"\x85",
    b"\xa0", b"x" * 40 + b"\r\n",
]  # fmt: skip
CHARSETS = ["", "us-ascii", "utf-8", "iso-8859-1", "iso-2022-jp", "hz", "utf-16", "cp864", "gb2312", "shift_jis", "x"]


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(WORDS), min_size=40, max_size=120).map(b"".join),
    st.sampled_from(CHARSETS),
    st.sampled_from(["8bit", "quoted-printable", "base64", "x-odd"]),
    st.booleans(),
)
def test_the_preview_read_from_the_first_lines_is_that_of_all(
    body: bytes, charset: str, encoding: str, lines: bool
) -> None:
    check_preview((b"a line to begin with, as most mail has\r\n" * 14 if lines else b"") + body, charset, encoding)


ODD = {
    "ascii-that-another-charset-reads-otherwise": (b"100% sure, says the line\r\n" * 30 + b"\xe1\r\n", "cp864", "8bit"),
    "a-character-cut-by-a-soft-line-break": (
        b"word " * 20 + b"\r\n" * 294 + b"xx=C3=\r\n=A9 and what follows\r\n", "utf-8", "quoted-printable",
    ),
    "padding-that-ends-the-content": (
        b"QQ==\r\n" + base64.encodebytes(b"not read " * 200) + b"-- footer\r\n", "utf-8", "base64",
    ),
    "one-line": (b"words " * 300, "utf-8", "8bit"),
    "letters": (b"a " * 900, "", "7bit"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "charset", "encoding"), ODD.values(), ids=ODD)
def test_the_preview_is_not_read_from_the_first_lines_where_they_do_not_tell(
    body: bytes, charset: str, encoding: str
) -> None:
    check_preview(body, charset, encoding)


def check_preview(body: bytes, charset: str, encoding: str) -> None:
    declared = f"; charset={charset}" if charset else ""
    head = f"Content-Type: text/plain{declared}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    octets = decode_transfer(body[:4_000], encoding)
    fallback = charset if charset != "us-ascii" and not body.isascii() else ""
    text = decoded(body[:4_000] if octets is None else octets, charset, fallback)
    assert analyse(head + body).preview == " ".join(text[:4_000].removeprefix("\ufeff").split())[:200]


VALUES = [
    b"plain words", b"=?utf-8?q?=C3=9F?=", b"=?utf-8?q?e=CC=81=CC=A3?=", b"=?utf-8?q?=CC=81?=",
    b"=?utf-8?b?77yh77yi?= x", b"=?x?=", b"=?utf-8?q?a=0Ab?=", b"=?utf-8?q?" + b"=CC=81=CC=A3" * 40 + b"?=",
    b"=?utf-8?q?=EF=AC=81?=",
    b"=?utf-8?q?a" + b"=CC=A3=CC=81" * 70 + b"?=", "\u00df".encode(),
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from([b"From", b"X-a", b"Subject"]), st.sampled_from(VALUES)), max_size=9))
def test_a_header_folded_field_by_field_is_what_it_is_folded_whole(fields: list[tuple[bytes, bytes]]) -> None:
    """Marks in a row beyond all measure included, which are put in order stretch by stretch."""
    own = read_header(b"".join([name + b": " + value + b"\r\n" for name, value in fields]), 100)
    whole = fold("\n".join([f"{name.decode()}: {decode_header(value)}" for name, value in fields]))
    assert header_text(own, "").header == whole


@given(st.lists(st.sampled_from([" ", "\n", "&#10;", "&#32;", "x", "\xa0", "<p>", "<b>"]), max_size=12).map("".join))
def test_lines_of_html_have_no_blanks_around_them(source: str) -> None:
    broken = " ".join(source.split()).replace("<p>", "\n").replace("<b>", "")
    told = re.sub(r" ?\n[ \n]*", "\n", broken.replace("&#10;", "\n").replace("&#32;", " ")).strip()
    assert html_text(source, 0) == told


REPORT = b"""Content-Type: multipart/report; boundary=b\r
\r
--b\r
\r
It bounced.\r
--b\r
Content-Type: message/delivery-status\r
Content-Transfer-Encoding: quoted-printable\r
\r
Final-Recipient: rfc822; lost@example.org\r
Diagnostic-Code: smtp; 550=20zonk\r
--b\r
Content-Type: message/external-body; access-type=x-none\r
\r
Content-Type: text/plain\r
\r
phantom\r
--b--\r
"""


def test_rfc9051_6_4_4_reports_of_deliveries_are_text() -> None:
    text = body_text(REPORT, DEFAULT_LIMITS)
    assert fold("rfc822; lost@example.org") in text
    assert fold("550 zonk") in text
    assert fold("phantom") not in text.partition(PART_HEADERS)[0]
