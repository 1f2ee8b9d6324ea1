"""Fields put in front of a message are read as if they had been joined to it, and large text is read in part."""

from __future__ import annotations

import base64
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS, Limits
from restante.mime.scan import scan
from restante.mime.surrogate import surrogate, surrogate_size
from restante.mime.text import body_text

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "mail"
MAIL = sorted(SHARED.glob("*/*.eml"))

TRACE = (
    b"Return-Path: <a@example.org>\r\nDelivered-To: b@example.org\r\nReceived: from x ([192.0.2.1])\r\n\tby y\r\n",
    "Return-Path: <ü@example.org>\r\nDelivered-To: ß@example.org\r\n".encode(),
)

PIECES = [
    b"Subject: x\r\n", "Subject: ü\r\n".encode(), b"Content-Type: text/plain\r\n", b"\r\n", b"\n", b" folded\r\n", b"x",
    b"Content-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n", b"--b--\r\n", b"\xff\r\n", b"", b"\r", b"\0",
    b"Content-Type: message/rfc822\r\n", b"From: a@b\r\n", "To: ö <x@y>\r\n".encode(), b"no field\r\n", b"\r\n\r\n",
    b"Content-Type: text/plain; charset=iso-8859-15\r\n",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join), st.sampled_from(TRACE))
def test_fields_in_front_are_read_as_joined(data: bytes, before: bytes) -> None:
    assert analyse(data, before=before) == analyse(before + data)


@example(b"Subject: " + b"y" * 300 + b"\r\n\r\nx\r\n", TRACE[0], 200)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join), st.sampled_from(TRACE), st.integers(150, 300))
def test_fields_in_front_count_among_what_is_read_of_a_header(data: bytes, before: bytes, header: int) -> None:
    limits = Limits(header=header)
    assert analyse(data, limits, before) == analyse(before + data, limits)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join), st.sampled_from((b"", *TRACE)))
def test_the_size_of_a_surrogate_is_that_of_the_surrogate(data: bytes, before: bytes) -> None:
    joined = before + data
    expected = len(surrogate(joined, analyse(joined).root))
    assert surrogate_size(data, scan(data, DEFAULT_LIMITS, before).root.part, before) == expected


@pytest.mark.parametrize("before", TRACE, ids=["ascii", "8-bit"])
def test_fields_in_front_of_real_mail(before: bytes) -> None:
    if not MAIL:
        pytest.skip("../shared/mail is not there")
    for path in MAIL[:150]:
        data = path.read_bytes()
        assert analyse(data, before=before) == analyse(before + data), path.name


LIMITS = Limits(text=10_000)
TEXTS = {
    "ascii": ("7bit", "us-ascii", "plain", b"plain words, many of them\r\n"),
    "latin": ("8bit", "utf-8", "plain", "Grüße aus München\r\n".encode()),
    "wide": ("8bit", "utf-8", "plain", "漢字漢字\r\n".encode()),
    "utf-16": ("8bit", "utf-16-le", "plain", "wörter ".encode("utf-16-le")),
    "jis": ("7bit", "iso-2022-jp", "plain", "漢字かな交じり\r\n".encode("iso-2022-jp")),
    "html": ("8bit", "utf-8", "html", "<p>Grüße &amp; mehr</p>\r\n".encode()),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("encoding", ["identity", "base64", "quoted-printable"])
def test_a_large_text_gives_what_all_of_it_would(name: str, encoding: str) -> None:
    """The first characters, to the last one, are those of the whole text."""
    transfer, charset, subtype, line = TEXTS[name]
    text = line * (200_000 // len(line))
    if encoding == "base64":
        transfer, body = "base64", base64.encodebytes(text).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        transfer, body = encoding, b"".join(b"=%02X" % octet for octet in text)
    else:
        body = text
    head = f"Content-Type: text/{subtype}; charset={charset}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n".encode()
    whole = body_text(head + body, Limits(text=10_000_000))
    found = body_text(head + body, LIMITS)
    # A character may be cut in two only where octets ran out: those of jis are ASCII, and cut as such.
    assert whole.startswith(found[:-1] if name == "jis" or encoding == "quoted-printable" else found)
    # Folding makes more of letters; tags are taken off; six octets a character are read, escaped ones have nine.
    assert len(found) >= (4_000 if name in ("jis", "html") else 6_600 if encoding == "quoted-printable" else 10_000)
    assert len(whole) > 20_000


@pytest.mark.parametrize("encoding", [b"7bit", b"base64"])
def test_analysis_of_a_large_message_holds_little_beside_it(encoding: bytes) -> None:
    line = b"0123456789" * 7 + b"\r\n"
    if encoding == b"base64":
        line = base64.encodebytes(line * 57).replace(b"\n", b"\r\n")
    data = b"Subject: x\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + line * ((32 << 20) // len(line))
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        analyse(data, before=TRACE[0])
        body_text(data, DEFAULT_LIMITS)
        peak = tracemalloc.get_traced_memory()[1] - start
    finally:
        tracemalloc.stop()
    assert peak < 48 << 20  # 8 MB of text: encoded, as octets, as text, folded
