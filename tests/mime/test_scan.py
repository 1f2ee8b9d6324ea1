"""Structure: offsets of entities in whole and in broken messages."""

from __future__ import annotations

import pytest

from restante.mime.model import DEFAULT_LIMITS, Limits, Part
from restante.mime.scan import FEW_FIELDS, MAX_CANDIDATES, MOST_FIELDS, scan


def crlf(text: str) -> bytes:
    return text.encode("ascii").replace(b"\n", b"\r\n")


def shape(part: Part) -> str:
    inside = "".join(f"[{shape(child)}]" for child in part.children)
    return f"{part.type}/{part.subtype}{inside}"


def root(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Part:
    return scan(data, limits).root.part


def bodies(data: bytes) -> list[bytes]:
    return [data[part.body : part.end] for part in leaves(root(data))]


def leaves(part: Part) -> list[Part]:
    return [part] if not part.children else [leaf for child in part.children for leaf in leaves(child)]


RFC2046_5_1_1 = crlf(
    """From: Nathaniel Borenstein <nsb@bellcore.com>
To: Ned Freed <ned@innosoft.com>
Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)
Subject: Sample message
MIME-Version: 1.0
Content-type: multipart/mixed; boundary="simple boundary"

This is the preamble.  It is to be ignored.

--simple boundary

This is implicitly typed plain US-ASCII text.
It does NOT end with a linebreak.
--simple boundary
Content-type: text/plain; charset=us-ascii

This is explicitly typed plain US-ASCII text.
It DOES end with a linebreak.

--simple boundary--

This is the epilogue.  It is also to be ignored.
"""
)


def test_rfc2046_5_1_1_line_end_before_a_delimiter_belongs_to_it() -> None:
    first, second = bodies(RFC2046_5_1_1)
    assert first.endswith(b"with a linebreak.")
    assert second.endswith(b"with a linebreak.\r\n")
    assert [part.lines for part in leaves(root(RFC2046_5_1_1))] == [1, 2]
    assert root(RFC2046_5_1_1).lines == RFC2046_5_1_1.count(b"\n") - 7


RFC2046_5_1_5 = crlf(
    """Subject: Internet Digest, volume 42
Content-Type: multipart/mixed; boundary="---- main boundary ----"

------ main boundary ----

  ...Introductory text or table of contents...

------ main boundary ----
Content-Type: multipart/digest; boundary="---- next message ----"

------ next message ----

From: someone-else
Subject: my opinion

   ...body goes here ...

------ next message ----

From: someone-else-again
Subject: my different opinion

   ... another body goes here ...

------ next message ------

------ main boundary ------
"""
)

SHAPES = [
    ("rfc2046-5.1.1", RFC2046_5_1_1, "multipart/mixed[text/plain][text/plain]"),
    (
        "rfc2046-5.1.5-digest-default",
        RFC2046_5_1_5,
        "multipart/mixed[text/plain][multipart/digest[message/rfc822[text/plain]][message/rfc822[text/plain]]]",
    ),
    ("no-header", b"", "text/plain"),
    ("empty-line-first", b"\r\nhello", "text/plain"),
    ("rfc2045-5.2-malformed-type", b"Content-Type: text\r\n\r\nx", "text/plain"),
    ("type-garbage", b"Content-Type: ;;;==\r\n\r\nx", "text/plain"),
    ("type-with-comment", b"Content-Type: (a) IMAGE (b) / Gif; x=y\r\n\r\nx", "image/gif"),
    ("folded-type", b"Content-Type:\r\n text/html;\r\n\tcharset=x\r\n\r\nx", "text/html"),
    ("first-of-two-types", b"Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\n", "text/html"),
    ("no-boundary", b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\na\r\n--x--\r\n", "text/plain"),
    ("boundary-absent", b"Content-Type: multipart/mixed; boundary=x\r\n\r\nnothing\r\n", "text/plain"),
    ("only-closed", b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n", "text/plain"),
    ("not-closed", b"Content-Type: multipart/a; boundary=x\r\n\r\n--x\r\n\r\na", "multipart/a[text/plain]"),
    ("delimiters-in-a-row", b"Content-Type: multipart/a; boundary=x\n\n--x\n--x\n\n--x--", "multipart/a[text/plain]"),
    (
        "outer-boundary-ends-inner",
        b"Content-Type: multipart/a; boundary=x\n\n--x\nContent-Type: multipart/b; boundary=y\n\n--y\n\none\n"
        b"--x\n\ntwo\n",
        "multipart/a[multipart/b[text/plain]][text/plain]",
    ),
    (
        "equal-boundaries-outer-wins",
        b"Content-Type: multipart/a; boundary=x\n\n--x\nContent-Type: multipart/b; boundary=x\n\n--x\n\none\n--x--\n",
        "multipart/a[text/plain][text/plain]",
    ),
    (
        "boundary-is-a-prefix-of-another",
        b"Content-Type: multipart/a; boundary=x\n\n--x\nContent-Type: multipart/b; boundary=xy\n\n--xy\n\n1\n"
        b"--xy\n\n2\n--x--\n",
        "multipart/a[multipart/b[text/plain][text/plain]]",
    ),
    ("padding", b"Content-Type: multipart/a; boundary=x\n\n--x \t\n\na\n--x-- \t\nz", "multipart/a[text/plain]"),
    ("global", b"Content-Type: message/global\n\nSubject: x\n\ny", "message/global[text/plain]"),
    (
        "rfc822-in-base64",
        b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==",
        "message/rfc822[text/plain]",
    ),
    ("partial", b"Content-Type: message/partial; id=x\n\nSubject: x\n\ny", "message/partial"),
]


@pytest.mark.parametrize(("data", "expected"), [case[1:] for case in SHAPES], ids=[case[0] for case in SHAPES])
def test_shape(data: bytes, expected: str) -> None:
    assert shape(root(data)) == expected


def test_a_part_without_an_empty_line_is_all_header() -> None:
    data = b"Content-Type: multipart/a; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n--x--\r\n"
    part = root(data).children[0]
    assert data[part.header : part.body] == b"Content-Type: text/html"
    assert part.body == part.end


def test_the_empty_line_of_a_part_may_be_the_line_end_before_the_delimiter() -> None:
    data = b"Content-Type: multipart/a; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n--x--\r\n"
    part = root(data).children[0]
    assert data[part.header : part.body] == b"Content-Type: text/html\r\n\r\n"
    assert part.body == part.end


def test_a_part_that_begins_with_content_has_an_empty_header() -> None:
    data = b"Content-Type: multipart/a; boundary=x\n\n--x\nHello world\n\nmore\n--x--\n"
    assert bodies(data) == [b"Hello world\n\nmore"]


WITHOUT_EMPTY_LINE = [
    (b"Subject: a\r\nHello there,\r\nthis is text\r\n", b"Hello there,\r\nthis is text\r\n"),
    (b"Subject: a\n folded\nHello", b"Hello"),
    (b"Hello\r\nthere", b"Hello\r\nthere"),
    (b" Hello\r\n", b" Hello\r\n"),
    (b"Subject: a\r\nand more of it\r\nFrom: a@b\r\n", b""),  # rfc7103-7.2: the header goes on
    (b"Subject: a\r\nand more of it\r\nFrom: a@b\r\nHello\r\n", b"Hello\r\n"),
    (b" and\r\nSubject: a\r\nHello", b"Hello"),
    (b"Subject: a\r\n", b""),
    (b"Subject: a", b""),
    (b"", b""),
    (b"\xff\r\nSubject: a\r\n" * 1_000 + b"Hello", b""),  # strays again and again
]


@pytest.mark.parametrize(
    ("data", "content"), WITHOUT_EMPTY_LINE, ids=[str(case[0][:40]) for case in WITHOUT_EMPTY_LINE]
)
def test_rfc7103_7_2_without_an_empty_line_content_begins_behind_the_last_field(data: bytes, content: bytes) -> None:
    assert bodies(data) == [content]


def test_rfc7103_7_2_so_does_that_of_a_part() -> None:
    data = b"Content-Type: multipart/a; boundary=x\n\n--x\nContent-Type: text/html\nHello\n--x\n\n--x--\n"
    part = root(data).children[0]
    assert shape(part) == "text/html"
    assert data[part.body : part.end] == b"Hello"


def test_where_content_begins_is_looked_for_as_far_as_a_header_is_read() -> None:
    data = b"Subject: a\n" + b"Hello\n" * 100
    assert bodies(data) == [b"Hello\n" * 100]
    assert root(data, Limits(header=600)).body == len(data)


def test_bare_cr_ends_no_line_and_nul_is_an_octet() -> None:
    data = b"Subject: a\rContent-Type: text/html\r\n\r\nb\0\r--x"
    part = root(data)
    assert (part.type, part.subtype, part.lines) == ("text", "plain", 0)
    assert data[part.body : part.end] == b"b\0\r--x"


def test_boundary_in_the_middle_of_a_line_is_content() -> None:
    assert bodies(b"Content-Type: multipart/a; boundary=x\n\n--x\n\na --x\nb\n--xx\n--x--\n") == [b"a --x\nb\n--xx"]


def test_encoding_and_charset_are_lower_case() -> None:
    part = root(b'Content-Type: text/plain; CHARSET="UTF-8"\nContent-Transfer-Encoding:  Base64 (x)\n\n')
    assert (part.charset, part.encoding) == ("utf-8", "base64")


COMMENTED = [
    b"text/plain; charset=us-ascii (Plain text)",  # rfc2045-5.1
    b"text/plain; charset=us-ascii (Plain; x=y (nested \\) text)) ; format=flowed",
    b"text/plain; (which) charset=us-ascii",
    b'text/plain (what) ; (which) (one) charset (is) = (now) "us-ascii" (told)',
    b"(what (else)) text (a) / (b) plain (c) ; charset=us-ascii",
    b"text/plain; x=y charset=no (; charset=us-ascii); charset=us-ascii",
]


@pytest.mark.parametrize("field", COMMENTED, ids=[str(field) for field in COMMENTED])
def test_rfc2045_5_1_comments_may_stand_wherever_a_blank_may(field: bytes) -> None:
    part = root(b"Content-Type: " + field + b"\n\n")
    assert (shape(part), part.charset) == ("text/plain", "us-ascii")


def test_parentheses_are_no_comments_where_they_are_not_closed_or_part_of_a_value() -> None:
    assert root(b"Content-Type: text/plain; charset=us-ascii; x=(\n\n").charset == "us-ascii"
    assert root(b'Content-Type: text/plain; x="(" (; charset=us-ascii\n\n').charset == "us-ascii"
    assert root(b"Content-Type: text/plain; charset=a (b) c\n\n").charset == "a (b) c"


def test_behind_a_quoted_value_a_semicolon_may_be_missing() -> None:
    data = b'Content-Type: multipart/related; type="text/html" boundary="b"\n\n--b\n\nx\n--b--\n'
    assert shape(root(data)) == "multipart/related[text/plain]"


def test_past_the_part_limit_the_rest_is_not_told() -> None:
    data = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\na\n" * 5_000 + b"--x--\n"
    found = scan(data, DEFAULT_LIMITS)
    assert found.simplified
    assert found.parts == DEFAULT_LIMITS.parts
    assert len(found.root.part.children) == DEFAULT_LIMITS.parts - 1


def test_past_the_depth_limit_an_entity_is_a_leaf() -> None:
    data = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(500))
    found = scan(data, DEFAULT_LIMITS)
    part, depth = found.root.part, 0
    while part.children:
        part, depth = part.children[0], depth + 1
    assert found.simplified
    assert depth == DEFAULT_LIMITS.depth
    assert (part.type, part.subtype) == ("application", "octet-stream")


def test_deep_nested_messages_stop_at_the_depth_limit() -> None:
    found = scan(b"Content-Type: message/rfc822\n\n" * 10_000, DEFAULT_LIMITS)
    assert found.simplified
    assert found.parts == DEFAULT_LIMITS.depth + 1


@pytest.mark.parametrize("line", [b"--ax\n", b"--a\n"], ids=["delimiter-like", "delimiters-in-a-row"])
def test_lines_that_end_no_part_are_bounded(line: bytes) -> None:
    data = b"Content-Type: multipart/mixed; boundary=a\n\n--a\n\n" + line * (2 * MAX_CANDIDATES + 1)
    found = scan(data, DEFAULT_LIMITS)
    assert found.simplified
    assert found.candidates == MAX_CANDIDATES + 1


def test_fields_of_all_parts_are_bounded_together() -> None:
    part = b"--x\n" + b"A: b\n" * 150 + b"\nbody\n"
    found = scan(b"Content-Type: multipart/mixed; boundary=x\n\n" + part * 40, Limits(fields=200))
    count = [len(child.fields[b"a"]) for child in found.root.children]
    whole = MOST_FIELDS * 200 // 150
    assert count == [150] * whole + [FEW_FIELDS] * (40 - whole)
    assert found.simplified


def test_a_giant_header_is_read_up_to_its_limit_in_whole_lines() -> None:
    limits = Limits(header=1_000)
    found = scan(b"X: y\n" * 1_000 + b"Content-Type: text/html\n\nbody", limits)
    assert found.simplified
    assert len(found.split) == 200
    assert found.root.part.subtype == "plain"
