"""RFC 6858 surrogates."""

from __future__ import annotations

import email
import email.policy
import tracemalloc
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mime.addresses import parse_addresses
from restante.mime.analyse import analyse
from restante.mime.decode import decode_header
from restante.mime.headers import header_end, index_fields, split_fields, unfold
from restante.mime.model import DEFAULT_LIMITS, Trait
from restante.mime.scan import scan
from restante.mime.surrogate import surrogate


def field_values(header: bytes, name: bytes) -> list[bytes]:
    return [unfold(value) for value in index_fields(split_fields(header, 100))[name]]


def shown(header: str) -> bytes:
    data = header.encode() + b"\r\n\r\nbody\r\n"
    made = surrogate(data, analyse(data).root)
    assert made.endswith(b"\r\n\r\nbody\r\n") or made == b"\r\nbody\r\n"
    assert made.isascii()
    return made[: made.index(b"\r\nbody")]


INVALID = b"<invalid@internationalized-address.invalid>"


def test_rfc6858_2_1_an_internationalised_address_becomes_invalid() -> None:
    made = shown("From: Fred Foo <fred@EXÄMPLE.com>, plain@example.com")
    value = field_values(made, b"from")[0]
    assert value.endswith(INVALID + b", <plain@example.com>")
    assert decode_header(value).startswith("Fred Foo fred@EXÄMPLE.com <invalid@")


def test_rfc6858_2_1_a_name_alone_is_encoded() -> None:
    value = field_values(shown("To: Jürgen <j@example.com>"), b"to")[0]
    assert decode_header(value) == "Jürgen <j@example.com>"


@pytest.mark.parametrize(
    "name", ["=?x?q?y?= <boss@example.com>, Joe", "=?utf-8?q?J=C3=B6?=, Inc.", "=?utf-8?q?J._Doe?="]
)
def test_a_name_with_an_encoded_word_becomes_no_other_address(name: str) -> None:
    value = field_values(shown(f'From: "{name}" <joe@example.com>, ü@x'), b"from")[0]
    found, _ = parse_addresses(value, 10)
    assert [one.mailbox for one in found] == [b"joe", b"invalid"]
    assert decode_header(found[0].name or b"") == decode_header(name.encode())


def test_groups_stay_groups() -> None:
    value = field_values(shown("Cc: Größe: a@b, c@ä;, d@e"), b"cc")[0]
    assert decode_header(value).startswith("Größe: <a@b>, c@ä <invalid@")
    assert value.endswith(b";, <d@e>")


def test_return_path_is_replaced() -> None:
    assert field_values(shown("Return-Path: <ü@x>"), b"return-path") == [INVALID]


def test_rfc6858_2_2_parameters_that_cannot_be_shown_go() -> None:
    made = shown("Content-Disposition: attachment; filename=FOÖ; size=3")
    assert made == b'Content-Disposition: attachment;\r\n size="3"\r\n'
    made = shown('Content-Type: text/plain; name="ü"; charset=utf-8')
    assert made == b'Content-Type: text/plain;\r\n charset="utf-8"\r\n'


@pytest.mark.parametrize("text", ["ü" * 100, "a" * 39 + "ü", "a" * 38 + "ü", "🐧" * 50, "日本語 " * 40, "é"])
def test_rfc2047_2_words_are_short_and_cut_between_characters(text: str) -> None:
    value = field_values(shown("Subject: " + text), b"subject")[0]
    words = value.split(b" ")
    assert max(map(len, words)) <= 75
    assert "".join(map(decode_header, words)) == text.strip()


def test_a_giant_field_that_would_have_to_be_encoded_goes() -> None:
    data = b"Subject: \xff" + b"\xe9" * (8 << 20) + b"\r\nTo: a@b\r\n\r\n"
    root = scan(data, DEFAULT_LIMITS).root.part
    tracemalloc.start()
    made = surrogate(data, root)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made == b"To: a@b\r\n\r\n"
    assert peak < 4 * len(data)


def test_rfc6858_2_3_subject_is_encoded() -> None:
    subject = "Grüße, " * 30
    value = field_values(shown("Subject: " + subject), b"subject")[0]
    assert decode_header(value) == subject.strip()


def test_rfc6858_2_4_other_fields_go() -> None:
    assert shown("X-A: ü\r\n fold\r\nX-B: b\r\nMessage-ID: <ü@x>") == b"X-B: b\r\n"


def test_lines_stay_short() -> None:
    made = shown("Subject: " + "日本語" * 200 + "\r\nTo: " + "語" * 100 + " <a@b>")
    assert max(len(line) for line in made.split(b"\r\n")) <= 78


def test_headers_of_parts_and_nested_messages_change_and_contents_stay() -> None:
    data = (
        "Subject: ascii\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npreämble\r\n"
        "--x\r\nContent-Type: text/plain\r\nContent-Description: Ä\r\n\r\nbödy\r\n"
        "--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: Ü\r\n\r\nnested bödy\r\n--x--\r\nepilögue"
    ).encode()
    analysis = analyse(data)
    made = surrogate(data, analysis.root)
    assert Trait.EIGHT_BIT_HEADER in analysis.traits
    assert analysis.surrogate_size == len(made)
    assert (
        made
        == (
            "Subject: ascii\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npreämble\r\n"
            "--x\r\nContent-Type: text/plain\r\n\r\nbödy\r\n"
            "--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?B?w5w=?=\r\n\r\n"
            "nested bödy\r\n--x--\r\nepilögue\r\n"
        ).encode()
    )


def test_a_message_without_eight_bit_fields_is_itself() -> None:
    data = "Subject: x\r\n\r\nbödy".encode()
    assert surrogate(data, analyse(data).root) is data
    assert analyse(data).surrogate_size is None


def test_legacy_octets_are_read_as_western() -> None:
    data = b"Subject: gr\xfc\xdfe\r\n\r\n"
    assert decode_header(field_values(surrogate(data, analyse(data).root), b"subject")[0]) == "grüße"


@given(st.text(min_size=1, max_size=80))
def test_the_standard_library_reads_the_subject_back(text: str) -> None:
    clean = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    message = email.message_from_bytes(shown("Subject: " + clean + "é") + b"\r\n", policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message["subject"] == clean + "é"


@given(
    st.lists(
        st.sampled_from(
            [
                b"To",
                b"Subject",
                b"Content-Type",
                b"X",
                b":",
                b" ",
                b"\r\n",
                b"\xc3\xa9",
                b"\xff",
                b"<",
                b">",
                b"@",
                b'"',
                b"\\",
                b";",
                b"=",
                b"(",
                b"\0",
                b"multipart/mixed; boundary=b",
                b"--b",
            ]
        ),
        max_size=30,
    )
)
def test_any_message_has_a_surrogate_without_eight_bit_fields(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    analysis = analyse(data)
    made = surrogate(data, analysis.root)
    if Trait.EIGHT_BIT_HEADER not in analysis.traits:
        assert made is data
        return
    end = header_end(made, 0, len(made))
    assert made[: end if end >= 0 else len(made)].isascii()
    assert analysis.surrogate_size == len(made)


@pytest.mark.parametrize("piece", [b"\xff", b"\xff,", b"(\xff", b"a\xff@b,", b'"\xff'])
def test_giant_fields_end(piece: bytes) -> None:
    data = b"To: " + piece * 100_000 + b"\r\nSubject: " + piece * 100_000 + b"\r\n\r\n"
    assert surrogate(data, analyse(data).root).endswith(b"\r\n")


def test_content_without_an_empty_line_before_it_is_no_header() -> None:
    """The analysis takes it for content (RFC 7103 7.2); a client that does not must find no 8-bit octets in it."""
    data = b"Subject: \xc3\xa9\r\n\xc3\xa9 and more\r\n"
    analysis = analyse(data)
    made = surrogate(data, analysis.root)
    assert made == b"Subject: =?utf-8?B?w6k=?=\r\n\r\n\xc3\xa9 and more\r\n"
    assert analysis.surrogate_size == len(made)
    alone = b"Subject: \xc3\xa9\r\n"
    assert surrogate(alone, analyse(alone).root) == b"Subject: =?utf-8?B?w6k=?=\r\n"
