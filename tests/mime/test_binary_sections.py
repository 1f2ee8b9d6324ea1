"""BINARY[...]: content without its transfer encoding."""

from __future__ import annotations

import base64

import pytest

from restante.mime.analyse import analyse
from restante.mime.model import Part
from restante.mime.sections import decode_body, find

PICTURE = bytes(range(256)) * 3
MESSAGE = (
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=\r\nb=3Dc \r\n"
    b"--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: BASE64\r\n\r\n"
    + base64.encodebytes(PICTURE)
    + b"\r\n"
    b"--x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\xff\r\n"
    b"--x\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n"
    b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!Q\r\n"
    b"--x--\r\n"
)
ROOT = analyse(MESSAGE).root

CASES = [((1,), b"ab=c"), ((2,), PICTURE), ((3,), b"\0\xff"), ((5, 1), b"ABC"), ((6,), b"")]


def decoded(data: bytes, part: Part) -> bytes | None:
    return decode_body(data[part.body : part.end], part.encoding)


@pytest.mark.parametrize(("path", "expected"), CASES)
def test_rfc3516_4_2_content_is_decoded(path: tuple[int, ...], expected: bytes) -> None:
    part = find(ROOT, path)
    assert part is not None
    assert decoded(MESSAGE, part) == expected


def test_rfc9051_7_1_unknown_encoding_is_told() -> None:
    part = find(ROOT, (4,))
    assert part is not None
    assert decoded(MESSAGE, part) is None


def test_rfc2045_6_4_a_nested_message_is_what_it_is() -> None:
    part = find(ROOT, (5,))
    assert part is not None
    assert decoded(MESSAGE, part) == b"Content-Transfer-Encoding: base64\r\n\r\nQUJD"


def test_part_one_of_a_message_that_is_no_multipart() -> None:
    data = b"Content-Transfer-Encoding: base64\r\n\r\nQUJD\r\n"
    part = find(analyse(data).root, (1,))
    assert part is not None
    assert decoded(data, part) == b"ABC"
