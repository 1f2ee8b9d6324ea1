"""Transfer encodings undone piece by piece: the same as undone whole, wherever it is cut."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mime.decode import decode_transfer
from restante.mime.model import Part
from restante.mime.pieces import Measuring, NotInPieces, Undoing, is_lines, with_line_ends

JOINED = b"QQ==\r\nQkM=\r\n"
CASES = [
    ("base64", b""),
    ("base64", b"===="),
    ("base64", b"=QUJD"),
    ("base64", b"Q"),
    ("base64", b"QUJDRA==\r\n-- \r\nthis list"),
    ("base64", b"QUJDRA==trailing!"),
    ("base64", b"QU!JD\0RA"),
    ("base64", base64.encodebytes(bytes(range(256)) * 5)),
    ("quoted-printable", b"a=\r\nb=3D \t\r\nc  "),
    ("quoted-printable", b"=\r\r\n==\n=4"),
    ("quoted-printable", quopri.encodestring(bytes(range(256)) * 3)),
    ("base64", base64.encodebytes(b"one\ntwo\r\n\r\r\n\n\rthree\r")),
    ("base64", base64.encodebytes(b"one\n") + b"-- \r\nthis list"),
    ("base64", base64.encodebytes(b"one\ntwo\0\nthree\n")),
    ("quoted-printable", b"one=0Atwo=0D=0A=\r\n=0D\r\n\nthree=0D"),
    ("quoted-printable", b"one=0Atwo=00\r\nthree=0A"),
    ("8bit", b"one\ntwo\r\n\r\r\n\n\rthree\r"),
]


def whole(encoding: str, data: bytes, *, lines: bool) -> bytes:
    """What is to come out."""
    content = decode_transfer(data, encoding) or b""
    return with_line_ends(content) if lines else content


def undone(encoding: str, pieces: list[bytes], *, lines: bool) -> bytes | None:
    """What the two passes give; None where the whole is needed."""
    measuring = Measuring(encoding, lines=lines)
    for piece in pieces:
        measuring.feed(piece)
    try:
        measure = measuring.measure()
    except NotInPieces:
        return None
    undoing = Undoing(encoding, measure)
    content = b"".join([undoing.feed(piece) for piece in pieces]) + undoing.rest()
    assert len(content) == measure.octets, "the length said first is that of what follows"
    return content


@pytest.mark.parametrize("lines", [False, True], ids=["octets", "lines"])
@pytest.mark.parametrize(("encoding", "data"), CASES)
def test_every_cut_gives_the_same(encoding: str, data: bytes, lines: bool) -> None:
    expected = whole(encoding, data, lines=lines)
    assert undone(encoding, [data], lines=lines) == expected
    for at in range(len(data)):
        assert undone(encoding, [data[:at], data[at:]], lines=lines) == expected
    assert undone(encoding, [data[i : i + 1] for i in range(len(data))], lines=lines) == expected


def test_joined_pieces_of_base64_need_the_whole() -> None:
    assert decode_transfer(JOINED, "base64") == b"ABC"
    assert undone("base64", [JOINED], lines=False) is None
    assert undone("base64", [JOINED], lines=True) is None


@given(
    st.sampled_from(["base64", "quoted-printable", "binary"]),
    st.lists(
        st.one_of(st.binary(max_size=8), st.text("QUJD= \t\r\n39AFoKDQ!", max_size=20).map(str.encode)), max_size=8
    ),
    st.booleans(),
)
def test_any_octets_cut_anyhow_give_the_same(encoding: str, pieces: list[bytes], lines: bool) -> None:
    got = undone(encoding, pieces, lines=lines)
    if got is not None:
        assert got == whole(encoding, b"".join(pieces), lines=lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", b""),
        (b"one\ntwo\n", b"one\r\ntwo\r\n"),
        (b"one\r\ntwo\n\n", b"one\r\ntwo\r\n\r\n"),
        (b"\n\r\n\r\r\n\r", b"\r\n\r\n\r\r\n\r"),
        (b"a\0\n\0", b"a\0\n\0"),
    ],
)
def test_rfc9051_7_5_2_a_text_gets_crlf(text: bytes, expected: bytes) -> None:
    assert with_line_ends(text) == expected


@pytest.mark.parametrize(
    ("charset", "expected"),
    [
        ("", True),
        ("us-ascii", True),
        ("utf-8", True),
        ("iso-2022-jp", True),
        ("shift_jis", True),
        ("x-nobody-knows", True),
        ("utf-16", False),
        ("utf-16le", False),
        ("ucs-2", False),
        ("utf-32", False),
        ("cp037", False),
    ],
)
def test_rfc3516_6_what_is_a_text_of_lines(charset: str, expected: bool) -> None:
    assert is_lines(Part(0, 0, 0, type="text", subtype="html", charset=charset)) is expected
    assert not is_lines(Part(0, 0, 0, type="application", subtype="x-sh", charset=charset))
