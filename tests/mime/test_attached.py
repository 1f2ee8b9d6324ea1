"""Whether a message brings files along, told by its stored BODYSTRUCTURE."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mime.analyse import analyse
from restante.mime.attached import has_attachment

ROOT = b"MIME-Version: 1.0\r\nContent-Type: "


def multi(subtype: str, *parts: str) -> bytes:
    """A multipart of parts, each a header without its empty line."""
    text = "".join(f"\r\n--x\r\n{part}\r\n\r\nAA==\r\n" for part in parts)
    return ROOT + f"multipart/{subtype}; boundary=x\r\n{text}\r\n--x--\r\n".encode()


TEXT = "Content-Type: text/plain"
HTML = "Content-Type: text/html"
PDF = "Content-Type: application/pdf; name=a.pdf"
PNG = "Content-Type: image/png"
SAID = "\r\nContent-Disposition: "
NESTED = "Content-Type: message/rfc822\r\n\r\nSubject: inner"
CASES = [
    ("text alone", b'Subject: x\r\n\r\nsee the "attachment"\r\n', False),
    ("nothing", b"", False),
    ("an empty header", b"\r\n", False),
    ("two forms of a text", multi("alternative", TEXT, HTML), False),
    ("said so", multi("mixed", TEXT, PDF + SAID + "attachment; filename=a.pdf"), True),
    ("in capitals", multi("mixed", TEXT, TEXT + SAID + "ATTACHMENT"), True),
    ("text said to be one", multi("mixed", TEXT, TEXT + SAID + 'attachment; filename="n.txt"'), True),
    ("not said, not text", multi("mixed", TEXT, PDF), True),
    ("of a kind that nobody knows", multi("mixed", TEXT, TEXT + SAID + "form-data"), True),
    ("shown in its place", multi("mixed", TEXT, PNG + SAID + "inline; filename=a.png"), False),
    ("a picture of the page", multi("related", HTML, PNG + "\r\nContent-ID: <a@x>"), False),
    ("beside the page", multi("related", HTML, PNG), True),
    ("a file all by itself", ROOT + b"application/pdf\r\n\r\nx", True),
    ("signed", multi("signed", TEXT, "Content-Type: application/pgp-signature; name=signature.asc"), False),
    ("signed, said", multi("signed", TEXT, "Content-Type: application/pkcs7-signature" + SAID + "attachment"), False),
    ("encrypted", multi("encrypted", "Content-Type: application/pgp-encrypted", PDF), False),
    ("forwarded", multi("mixed", TEXT, NESTED), True),
    ("forwarded inline", multi("mixed", TEXT, "Content-Disposition: inline\r\n" + NESTED), False),
    ("of a digest", multi("digest", NESTED), False),
    ("a bounce", multi("report", TEXT, "Content-Type: message/delivery-status", NESTED), False),
    ("a name with all that hurts", multi("mixed", TEXT, TEXT + SAID + 'attachment; filename="a\\"(b) {3}"'), True),
    ("such a name inline", multi("mixed", TEXT, PNG + SAID + 'inline; filename="(\\"attachment\\" NIL)"'), False),
    ("an 8-bit name", multi("mixed", TEXT, PNG + SAID + 'inline; filename="\u00fc(\\"attachment\\" NIL"'), False),
    ("a description that is a literal", multi("mixed", "Content-Description: " + "(x" * 900 + "\r\n" + PDF), True),
]


@pytest.mark.parametrize(("message", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_counts_as_an_attachment(message: bytes, expected: bool) -> None:
    assert has_attachment(analyse(message).bodystructure) is expected


def test_deep_and_wide_ones_are_read() -> None:
    inner = PDF
    for depth in range(40):
        inner = f"Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n{inner}\r\n--b{depth}--"
    assert has_attachment(analyse(inner.encode()).bodystructure)
    assert not has_attachment(analyse(multi("mixed", *[TEXT] * 900)).bodystructure)


@given(st.integers(0, 400))
def test_one_that_is_cut_off_is_read_as_far_as_it_goes(end: int) -> None:
    whole = analyse(multi("mixed", TEXT, PDF + SAID + "attachment", PNG)).bodystructure
    assert isinstance(has_attachment(whole[:end]), bool)


@given(
    st.lists(st.sampled_from([b"(", b")", b'"', b"\\", b"{2}\r\n", b"NIL", b" ", b"a", b"1", b"\xff"])).map(b"".join)
)
def test_any_octets_are_answered(text: bytes) -> None:
    assert isinstance(has_attachment(text), bool)
