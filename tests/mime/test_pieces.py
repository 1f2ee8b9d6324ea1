"""Transfer encodings undone piece by piece: the same as undone whole, wherever it is cut."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mime.decode import decode_transfer
from restante.mime.pieces import Measuring, NotInPieces, Undoing

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
]


def undone(encoding: str, pieces: list[bytes]) -> bytes | None:
    """What the two passes give; None where the whole is needed."""
    measuring = Measuring(encoding)
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


@pytest.mark.parametrize(("encoding", "data"), CASES)
def test_every_cut_gives_the_same(encoding: str, data: bytes) -> None:
    expected = decode_transfer(data, encoding)
    assert undone(encoding, [data]) == expected
    for at in range(len(data)):
        assert undone(encoding, [data[:at], data[at:]]) == expected
    assert undone(encoding, [data[i : i + 1] for i in range(len(data))]) == expected


def test_joined_pieces_of_base64_need_the_whole() -> None:
    assert decode_transfer(JOINED, "base64") == b"ABC"
    assert undone("base64", [JOINED]) is None


@given(
    st.sampled_from(["base64", "quoted-printable"]),
    st.lists(st.one_of(st.binary(max_size=8), st.text("QUJD= \t\r\n39AF!", max_size=20).map(str.encode)), max_size=8),
)
def test_any_octets_cut_anyhow_give_the_same(encoding: str, pieces: list[bytes]) -> None:
    whole = undone(encoding, pieces)
    if whole is not None:
        assert whole == decode_transfer(b"".join(pieces), encoding)
