"""Encoded words, parameters, charsets, transfer encodings."""

from __future__ import annotations

import base64
import binascii
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mime.charsets import codec, decode_charset, guess
from restante.mime.decode import (
    decode_base64,
    decode_header,
    decode_quoted_printable,
    decode_transfer,
    join_parameters,
    parameter_text,
)

WORDS = [
    ("rfc2047-8-1", b"(=?ISO-8859-1?Q?a?=)", "(a)"),
    ("rfc2047-8-2", b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
    ("rfc2047-8-3", b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
    ("rfc2047-8-4", b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
    ("rfc2047-8-6", b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
    ("rfc2047-8-7", b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
    ("rfc2047-8-keith", b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
    ("rfc2047-8-keld", b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
    ("rfc2047-8-andre", b"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
    (
        "rfc2047-8-subject",
        b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
        "If you can read this you understand the example.",
    ),
    ("rfc2047-8-hebrew", b"=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=", "םולש ןב ילטפנ"),
    ("rfc2231-5-language", b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
    ("character-cut-in-two", b"=?utf-8?b?w5w=?= =?utf-8?q?=C3?= =?utf-8?q?=9C?=", "ÜÜ"),
    ("unknown-charset", b"=?x-nothing?q?a=E9?=", "aé"),
    ("unknown-encoding", b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
    ("not-closed", b"=?utf-8?q?abc", "=?utf-8?q?abc"),
    ("blank-in-q", b"=?utf-8?q?a b?=", "a b"),
    ("broken-base64", b"=?utf-8?b?YWJ?= x", "ab x"),
    ("no-gap-between", b"=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
    ("inside-a-word", b"x=?utf-8?q?a?=y", "xay"),
    ("line-end-brought-along", b"=?utf-8?q?a=0D=0AX:_b?=", "a  X: b"),
    ("nul-brought-along", b"=?utf-8?q?a=00b?=", "a b"),
    ("rfc2047-5-each-word-by-itself", b"=?utf-16?b?/v8ATw==?= =?utf-16?b?/v8AawAg?= =?UTF-16?q?=FF=FEa=00?=", "Ok a"),
    ("byte-order-mark-of-utf-8", b"=?utf-8?b?77u/UmU6?= x", "Re: x"),
    ("raw-utf-8", b"gr\xc3\xbc\xc3\x9fe", "grüße"),
    ("raw-western", b"gr\xfc\xdfe", "grüße"),
    ("raw-beside-a-word", b"\xc3\xbc =?utf-8?q?=C3=BC?=", "ü ü"),
    ("iso-2022-jp", b"=?ISO-2022-JP?B?GyRCJCIbKEI=?=", "あ"),
    ("utf-7-is-refused", b"=?utf-7?q?+ADw-script+AD4-?=", "+ADw-script+AD4-"),
]


@pytest.mark.parametrize(("value", "expected"), [case[1:] for case in WORDS], ids=[case[0] for case in WORDS])
def test_decode_header(value: bytes, expected: str) -> None:
    assert decode_header(value) == expected


def test_raw_eight_bit_follows_the_message_charset() -> None:
    raw = "Привет".encode("koi8-r")
    assert decode_header(raw, "koi8-r") == "Привет"


@pytest.mark.parametrize("beside", ["utf-16", "utf-16le", "utf-32", "cp037"])
def test_rfc5322_2_2_raw_eight_bit_beside_a_text_that_is_not_like_ascii(beside: str) -> None:
    assert decode_header(b"caf\xe9s", beside) == "cafés"


PARAMETERS = [
    ("rfc2231-3", ((b"URL*0", b"ftp://"), (b"URL*1", b"x")), b"url", "ftp://x"),
    ("rfc2231-4", ((b"title*", b"us-ascii'en-us'This%20is%20%2A"),), b"title", "This is *"),
    (
        "rfc2231-4.1",
        (
            (b"title*0*", b"us-ascii'en'This%20is%20even%20more%20"),
            (b"title*1*", b"%2Afun%2A%20"),
            (b"title*2", b"isn't it!"),
        ),
        b"title",
        "This is even more *fun* isn't it!",
    ),
    ("utf-8", ((b"filename*", b"UTF-8''%e2%82%ac%20rates"),), b"filename", "€ rates"),
    ("extended-before-plain", ((b"filename", b"x"), (b"filename*", b"utf-8''y")), b"filename", "y"),
    ("encoded-word-in-a-parameter", ((b"name", b"=?utf-8?q?=C3=A9?=.txt"),), b"name", "é.txt"),
    ("no-apostrophes", ((b"name*", b"a%20b"),), b"name", "a b"),
    ("absent", ((b"x", b"y"),), b"name", None),
]


@pytest.mark.parametrize(
    ("parameters", "name", "expected"), [case[1:] for case in PARAMETERS], ids=[case[0] for case in PARAMETERS]
)
def test_parameter_text(parameters: tuple[tuple[bytes, bytes], ...], name: bytes, expected: str | None) -> None:
    assert parameter_text(parameters, name) == expected


@given(st.lists(st.tuples(st.text("ab*0123", min_size=1, max_size=5), st.binary(max_size=5)), max_size=20))
def test_joining_never_grows_the_list(found: list[tuple[str, bytes]]) -> None:
    parameters = tuple((name.encode(), value) for name, value in found)
    assert len(join_parameters(parameters)) <= len(parameters)


LABELS = [
    ("utf-8", "utf-8"),
    ("UTF8", "utf-8"),
    ("ISO-8859-1", "cp1252"),
    ("ks_c_5601-1987", "cp949"),
    ("GB2312", "gb18030"),
    ('"utf-8"', "utf-8"),
    ("windows-1251", "cp1251"),
    ("x-cp1251", "cp1251"),
    ("csWindows1258", "cp1258"),
    ("windows-936", "gb18030"),
    ("csGBK", "gb18030"),
    ("KS_C_5601-1989", "cp949"),
    ("x-euc-kr", "cp949"),
    ("csEUCPkdFmtJapanese", "euc_jp"),
    ("csWindows31J", "cp932"),
    ("Latin-9", "iso8859-15"),
    ("csUTF8", "utf-8"),
    ("utf-7", None),
    ("unicode-1-1-utf-7", None),
    ("idna", None),
    ("punycode", None),
    ("base64", None),
    ("zlib", None),
    ("rot13", None),
    ("unicode_escape", None),
    ("raw_unicode_escape", None),
    ("undefined", None),
    ("mbcs", None),
    ("x-nothing", None),
    ("../../etc", None),
    ("a" * 100_000, None),
    ("ä", None),
    ("a\0b", None),
]


@pytest.mark.parametrize(("label", "expected"), LABELS, ids=[label[:20] for label, _ in LABELS])
def test_codec(label: str, expected: str | None) -> None:
    assert codec(label) == expected


TEXTS = [
    (b"abc", "", "abc"),
    (b"\x93a\x94", "iso-8859-1", "“a”"),
    (b"\x81", "iso-8859-1", "\x81"),
    (b"\xff\xfea\0", "utf-16", "a"),
    (b"a\xffb", "utf-8", "a\ufffdb"),
    (b"\xc3\xa9", "us-ascii", "é"),
    (b"\xe9", "us-ascii", "é"),
    (b'\x1b$B$"\x1b(B', "iso-2022-jp", "あ"),
    (b"~{VPND~}", "hz-gb-2312", "中文"),
]


@pytest.mark.parametrize(("data", "label", "expected"), TEXTS)
def test_decode_charset(data: bytes, label: str, expected: str) -> None:
    assert decode_charset(data, label) == expected


GUESSES = [
    ("Привет, как дела? Сегодня хорошая погода, и мы идём гулять. " * 5, "koi8-r"),
    ("Привет, как дела? Сегодня хорошая погода, и мы идём гулять. " * 5, "cp1251"),
    ("Det är en fin dag på ön, å ä ö", "cp1252"),
    ("Le français est une belle langue, où êtes-vous allés ? " * 5, "cp1252"),
    ("你好，今天天气很好，我们去公园散步。" * 10, "gb18030"),
    ("こんにちは、今日はいい天気ですね。" * 10, "cp932"),
    ("schön", "utf-8"),
]


@pytest.mark.parametrize(("text", "charset"), GUESSES)
def test_guess(text: str, charset: str) -> None:
    data = text.encode(charset)
    assert decode_charset(data, "", guess(data)) == text


@given(st.binary(max_size=100), st.sampled_from(sorted({label for label, _ in LABELS})))
def test_any_octets_become_text_that_utf8_can_write(data: bytes, label: str) -> None:
    decode_charset(data, label).encode("utf-8")


@given(st.binary(max_size=100))
def test_any_header_value_becomes_text(data: bytes) -> None:
    decode_header(b"=?utf-8?b?" + data + b"?= =?x?q?" + data).encode("utf-8")


BASE64 = [
    ("rfc2045-6.8-foreign-octets", b"QU\r\nJ!D\x00", b"ABC"),
    ("padding-missing", b"QUI", b"AB"),
    ("one-left-over", b"QUJDR", b"ABC"),
    ("pieces-joined", b"QQ==QkM=", b"ABC"),
    ("text-behind-the-padding", b"QQ== \r\nlist footer", b"A"),
    ("padding-first", b"=QUJD", b"ABC"),
    ("padding-only", b"====", b""),
    ("empty", b"", b""),
]


@pytest.mark.parametrize(("data", "expected"), [case[1:] for case in BASE64], ids=[case[0] for case in BASE64])
def test_base64(data: bytes, expected: bytes) -> None:
    assert decode_base64(data) == expected


QUOTED = [
    ("rfc2045-6.7-soft-break", b"Now's the time =\r\nfor all", b"Now's the time for all"),
    ("rfc2045-6.7-blanks-before-soft-break", b"a= \t\r\nb", b"ab"),
    ("rfc2045-6.7-trailing-blanks-go", b"a \t\r\nb  ", b"a\r\nb"),
    ("rfc2045-6.7-lower-case", b"=c3=a9", b"\xc3\xa9"),
    ("bad-escape-stays", b"a=XYb=", b"a=XYb"),
    ("rfc2045-6.7-note-2-equals-stay", b"x==y ===z\r\n=a", b"x==y ===z\r\n=a"),
    ("rfc2045-6.7-note-2-before-an-escape", b"a==3D=\r\nb", b"a==b"),
    ("rfc2045-6.7-note-2-a-ruler", b"====\r\nx\r\n", b"===x\r\n"),
    ("a-carriage-return-alone", b"a=\rb\r\nc", b"a=\rb\r\nc"),
]


@given(
    st.lists(st.sampled_from([b"=", b"=", b"\r", b"\n", b"\r\n", b"3D", b"a", b"=41", b"x"]), max_size=14).map(b"".join)
)
def test_quoted_printable_is_read_octet_by_octet(data: bytes) -> None:
    """RFC 2045 6.7 written down: an "=" is an escape, a soft line break, or itself."""
    found, at = b"", 0
    while at < len(data):
        escape = re.compile(rb"=([0-9A-Fa-f]{2})|=(?:\r?\n|\Z)").match(data, at)
        found += data[at : at + 1] if escape is None else bytes.fromhex((escape[1] or b"").decode())
        at = at + 1 if escape is None else escape.end()
    assert decode_quoted_printable(data) == found


def test_twenty_megabytes_of_equals_signs_take_no_room() -> None:
    for data in (b"=" * (20 << 20), b"=\r" * (10 << 20)):
        tracemalloc.start()
        decode_quoted_printable(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8 * len(data)


def test_millions_of_pieces_of_base64_take_no_room() -> None:
    for data in (b"A=" * (1 << 20), b"QQ==" * (1 << 19)):
        tracemalloc.start()
        decode_base64(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * len(data)


@pytest.mark.parametrize(("data", "expected"), [case[1:] for case in QUOTED], ids=[case[0] for case in QUOTED])
def test_quoted_printable(data: bytes, expected: bytes) -> None:
    assert decode_quoted_printable(data) == expected


def test_long_runs_of_blanks_stay_linear() -> None:
    assert decode_quoted_printable(b" " * 3_000_000 + b"x") == b" " * 3_000_000 + b"x"
    assert decode_quoted_printable((b" " * 1_000 + b"x") * 1_000 + b" \n").endswith(b"x\n")


@given(st.binary(max_size=200))
def test_decoding_undoes_encoding(data: bytes) -> None:
    assert decode_transfer(base64.encodebytes(data), "base64") == data
    assert decode_transfer(base64.b64encode(data), "base64") == data
    # As octets, not as text: of that the encoder gives all line ends as the first one is.
    encoded = binascii.b2a_qp(data, quotetabs=True, istext=False)
    assert decode_transfer(encoded, "quoted-printable") == data
    assert decode_transfer(data, "binary") == data
    assert decode_transfer(data, "x-uuencode") is None


@given(st.binary(max_size=200))
def test_decoding_never_fails(data: bytes) -> None:
    decode_base64(data)
    decode_quoted_printable(data)
