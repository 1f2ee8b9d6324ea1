"""Header fields against texts: RFC 5228 2.7, 5.1 and 5.7, RFC 5233, and what an index may be asked before."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from unicodedata import combining, normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from restante.mime.addresses import parse_addresses
from restante.mime.analyse import analyse
from restante.mime.decode import decode_header
from restante.mime.fold import fold
from restante.mime.model import Limits
from restante.mime.scan import scan
from restante.mime.text import fallback_charset
from restante.query.fields import Header, Patterns, matcher, needle
from restante.query.language import Collation, FieldMatches, Match, Part

IS, CONTAINS, MATCHES = Match.IS, Match.CONTAINS, Match.MATCHES
OCTET, ASCII, UNICODE = Collation.OCTET, Collation.ASCII, Collation.UNICODE


def header(
    value: bytes, match: Match, text: str, collation: Collation = ASCII, part: Part | None = None, name: str = "x"
) -> bool:
    """Whether a field with this raw value matches."""
    return matcher(FieldMatches((name,), match, (text,), collation, part))(Header(b"X: " + value + b"\r\n\r\n"))


def address(value: bytes, text: str, part: Part = Part.ALL, match: Match = IS, collation: Collation = ASCII) -> bool:
    return header(value, match, text, collation, part)


# Values --------------------------------------------------------------------------------------------------

VALUES = [
    ("is", b"frobnitzm", IS, "frobnitzm", ASCII, True),
    ("is-not-part", b"frobnitzm", IS, "frob", ASCII, False),
    ("contains-frob", b"frobnitzm", CONTAINS, "frob", ASCII, True),
    ("contains-nit", b"frobnitzm", CONTAINS, "nit", ASCII, True),
    ("contains-fbm", b"frobnitzm", CONTAINS, "fbm", ASCII, False),
    ("contains-empty", b"frobnitzm", CONTAINS, "", ASCII, True),
    ("is-empty", b"frobnitzm", IS, "", ASCII, False),
    ("empty-is-empty", b"", IS, "", ASCII, True),
    ("blank-is-empty", b" \t", IS, "", ASCII, True),
    ("empty-contains-empty", b"", CONTAINS, "", ASCII, True),
    ("empty-matches-empty", b"", MATCHES, "", ASCII, True),
    ("empty-matches-star", b"", MATCHES, "*", ASCII, True),
    ("empty-matches-one", b"", MATCHES, "?*", ASCII, False),
    ("matches-whole", b"frobnitzm", MATCHES, "frob", ASCII, False),
    ("matches-stars", b"frobnitzm", MATCHES, "*nit*", ASCII, True),
    ("matches-ones", b"frobnitzm", MATCHES, "?rob?????", ASCII, True),
    ("matches-too-few", b"frobnitzm", MATCHES, "?rob????", ASCII, False),
    ("escaped-star", b"a*c", MATCHES, "a\\*c", ASCII, True),
    ("escaped-star-only", b"abc", MATCHES, "a\\*c", ASCII, False),
    ("escaped-one", b"a?c", MATCHES, "a\\?c", ASCII, True),
    ("escaped-one-only", b"abc", MATCHES, "a\\?c", ASCII, False),
    ("escaped-backslash", b"a\\bc", MATCHES, "a\\\\*", ASCII, True),
    ("escaped-letter", b"abc", MATCHES, "a\\bc", ASCII, True),
    ("backslash-at-end", b"a\\", MATCHES, "a\\", ASCII, True),
    ("no-pattern-elsewhere", b"a*c", IS, "a\\*c", ASCII, False),
    ("brackets-are-plain", b"[a]", MATCHES, "[?]", ASCII, True),
    ("case", b"MAKE money", IS, "make MONEY", ASCII, True),
    ("case-octet", b"MAKE money", IS, "make MONEY", OCTET, False),
    ("case-matches", b"MAKE money", MATCHES, "m*Y", ASCII, True),
    ("case-matches-octet", b"MAKE money", MATCHES, "m*Y", OCTET, False),
    ("case-a-to-z", "Ä".encode(), IS, "ä", ASCII, False),
    ("case-kelvin", "\u212a".encode(), IS, "k", ASCII, False),
    ("case-unicode", "Ä".encode(), IS, "ä", UNICODE, True),
    ("case-kelvin-unicode", "\u212a".encode(), IS, "k", UNICODE, True),
    ("brackets-octet", b"@[`{", IS, "`{@[", ASCII, False),
    ("ends", b"  a b \t ", IS, "a b", ASCII, True),
    ("unfolded", b"a\r\n b\r\n\tc", IS, "a b\tc", ASCII, True),
    ("unfolded-lf", b"a\n b", IS, "a b", ASCII, True),
    ("encoded", b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", IS, "Grüße", OCTET, True),
    ("encoded-latin-1", b"=?iso-8859-1?q?Gr=FC=DFe?= x", CONTAINS, "Grüße x", OCTET, True),
    ("encoded-joined", b"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", IS, "ab", OCTET, True),
    ("encoded-ends", b"=?utf-8?q?_a_?=", IS, "a", OCTET, True),
    ("encoded-nul", b"=?utf-8?q?a=00b?=", CONTAINS, "b", OCTET, True),
    ("encoded-broken", b"=?utf-8?x?a?=", IS, "=?utf-8?x?a?=", OCTET, True),
    ("raw-utf-8", "Grüße".encode(), IS, "Grüße", OCTET, True),
    ("one-character", "é".encode(), MATCHES, "?", OCTET, True),
    ("one-character-ascii", "né".encode(), MATCHES, "n?", ASCII, True),
    ("one-character-astral", "😀".encode(), MATCHES, "?", ASCII, True),
    ("one-letter", "é".encode(), MATCHES, "?", UNICODE, True),
    ("one-letter-apart", "e\u0301".encode(), MATCHES, "?", UNICODE, True),
    ("two-characters", "e\u0301".encode(), MATCHES, "??", ASCII, True),
    ("one-letter-is-one", "é".encode(), MATCHES, "??", UNICODE, False),
    ("one-letter-between", "aéb".encode(), MATCHES, "A?B", UNICODE, True),
    ("mark-is-no-letter", "é".encode(), MATCHES, "e?", UNICODE, False),
    ("mark-alone", "\u0301x".encode(), MATCHES, "?x", UNICODE, True),
    ("one-syllable", "한국".encode(), MATCHES, "??", UNICODE, True),
    ("no-less-than-a-syllable", "한".encode(), MATCHES, "???", UNICODE, False),
    ("lone-vowels", "ㅠㅠ".encode(), MATCHES, "??", UNICODE, True),
    ("kana", "ガード".encode(), MATCHES, "??ド", UNICODE, True),
    ("ligature", "ﬁ".encode(), MATCHES, "F?", UNICODE, True),
    ("sharp-s", "Straße".encode(), MATCHES, "STRA?E", UNICODE, True),
    ("star-unicode", "Grüße".encode(), MATCHES, "gr*SSE", UNICODE, False),
    ("base-letter", "é".encode(), CONTAINS, "e", UNICODE, True),
    ("base-letter-matches", "é".encode(), MATCHES, "*e*", UNICODE, True),
]


@pytest.mark.parametrize(
    ("value", "match", "text", "collation", "expected"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES]
)
def test_values(value: bytes, match: Match, text: str, collation: Collation, expected: bool) -> None:
    assert header(value, match, text, collation) is expected


def test_names_have_no_case_and_any_of_them_will_do() -> None:
    node = FieldMatches(("SUBJECT", "x-other"), IS, ("no", "yes"))
    assert matcher(node)(Header(b"sUbject: yes\r\n\r\n"))
    assert matcher(node)(Header(b"A: b\r\nX-Other : a\r\nX-OTHER: no"))
    assert not matcher(node)(Header(b"Subject2: yes\r\n\r\n"))


@pytest.mark.parametrize("name", ["x:", "x ", "", "ſ", "x\n", "xé", "*"])
def test_a_name_that_no_field_has_matches_nothing(name: str) -> None:
    assert not header(b"a", CONTAINS, "", name=name)
    assert not header(b"a", MATCHES, "*", name=name)


def test_what_is_behind_the_header_is_no_field() -> None:
    assert not matcher(FieldMatches(("x",), CONTAINS, ("",)))(Header(b"A: b\r\n\r\nX: y\r\n"))


def test_a_field_that_is_not_there_matches_nothing() -> None:
    for match in Match:
        assert not matcher(FieldMatches(("x",), match, ("", "*")))(Header(b"Y: a\r\n\r\n"))


def test_no_texts_match_nothing() -> None:
    assert not matcher(FieldMatches(("x",), CONTAINS, ()))(Header(b"X: a\r\n\r\n"))
    assert needle(FieldMatches(("x",), CONTAINS, ())) == ()


def test_undeclared_octets_are_read_in_the_charset_of_the_text() -> None:
    raw = b"X: " + "привет".encode("koi8-r") + b"\r\n"
    matches = matcher(FieldMatches(("x",), IS, ("привет",)))
    assert not matches(Header(raw))
    assert matches(Header(raw + b"Content-Type: text/plain; charset=koi8-r\r\n\r\n"))
    multipart = raw + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    body = b"--b\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n--b--\r\n"
    assert matches(Header(multipart + body))


def test_undeclared_octets_of_addresses_are_read_before_they_are_parsed() -> None:
    """Half of a letter in Shift JIS may be "@"."""
    raw = b"X: \x83@@x.example\r\nContent-Type: text/plain; charset=shift_jis\r\n\r\n"
    assert matcher(FieldMatches(("x",), IS, ("ァ",), part=Part.LOCALPART))(Header(raw))


def test_fields_past_a_limit_are_not_looked_at() -> None:
    matches = matcher(FieldMatches(("x",), IS, ("a",)))
    assert matches(Header(b"X: a\r\nY: b\r\n\r\n", Limits(fields=1)))
    assert not matches(Header(b"Y: b\r\nX: a\r\n\r\n", Limits(fields=1)))


# Addresses -----------------------------------------------------------------------------------------------

ADDRESSES = [
    ("bare", b"tim@example.com", Part.ALL, "tim@example.com", True),
    ("named", b'"x@y" <tim@example.com>', Part.ALL, "tim@example.com", True),
    ("name-is-none", b'"x@y" <tim@example.com>', Part.ALL, "x@y", False),
    ("comment-is-none", b"tim@example.com (x@y)", Part.ALL, "x@y", False),
    ("second", b"a@b, tim@example.com", Part.ALL, "tim@example.com", True),
    ("in-group", b"friends: a@b, Tim <tim@example.com>;", Part.ALL, "tim@example.com", True),
    ("group-name-is-none", b"friends: a@b;", Part.ALL, "friends", False),
    ("behind-group", b"friends: a@b;, tim@example.com", Part.ALL, "tim@example.com", True),
    ("route", b"<@a,@b:tim@example.com>", Part.ALL, "tim@example.com", True),
    ("local", b"tim@example.com", Part.LOCALPART, "tim", True),
    ("domain", b"tim@example.com", Part.DOMAIN, "example.com", True),
    ("domain-not-local", b"tim@example.com", Part.DOMAIN, "tim", False),
    ("domain-literal", b"tim@[127.0.0.1]", Part.DOMAIN, "[127.0.0.1]", True),
    ("user", b"ken+sieve@example.org", Part.USER, "ken", True),
    ("user-without-detail", b"ken@example.org", Part.USER, "ken", True),
    ("detail", b"ken+sieve@example.org", Part.DETAIL, "sieve", True),
    ("detail-first-plus", b"ken+a+b@example.org", Part.DETAIL, "a+b", True),
    ("detail-empty", b"ken+@example.org", Part.DETAIL, "", True),
    ("detail-none", b"ken@example.org", Part.DETAIL, "", False),
    ("detail-other-plus", b"ken@example+org.com", Part.DETAIL, "org", False),
    ("local-has-detail", b"ken+sieve@example.org", Part.LOCALPART, "ken+sieve", True),
    ("quoted", b'"a b"@x.example', Part.LOCALPART, "a b", True),
    ("quoted-needlessly", b'"fred"@x.example', Part.ALL, "fred@x.example", True),
    ("quoted-mark", b'"a\\"b"@x.example', Part.LOCALPART, 'a"b', True),
    ("spaced", b"fred . smith @ example . com", Part.ALL, "fred.smith@example.com", True),
    ("comments-within", b"fred(a).smith (b)@(c)example.(d)com", Part.ALL, "fred.smith@example.com", True),
    ("utf-8", "Jörg <jörg@exämple.com>".encode(), Part.ALL, "jörg@exämple.com", True),
    ("joined-by-comment", b"a@exa(x)mple.com", Part.ALL, "a@example.com", False),
    ("joined-but-stands-in-a-longer-word", b"examples <a@exa(x)mple.com>", Part.ALL, "a@example.com", False),
    ("joined-by-blank", b"<a@exa mple.com>", Part.DOMAIN, "example.com", False),
    ("no-domain-all", b"tim", Part.ALL, "tim", True),
    ("no-domain-local", b"tim", Part.LOCALPART, "tim", False),
    ("no-domain-user", b"tim", Part.USER, "tim", False),
    ("no-domain-domain", b"tim", Part.DOMAIN, "", False),
    ("no-local", b"<@example.com>", Part.DOMAIN, "example.com", False),
    ("double-dot", b"a@x..example", Part.DOMAIN, "x..example", False),
    ("double-dot-all", b"a@x..example", Part.ALL, "a@x..example", True),
    ("double-mark", b"<a@b@example.com>", Part.LOCALPART, "a@b", False),
    ("double-mark-domain", b"<a@b@example.com>", Part.DOMAIN, "example.com", False),
    ("double-dot-local", b"a..b@example.com", Part.LOCALPART, "a..b", False),
    ("quoted-nothing", b'""@example.com', Part.LOCALPART, "", True),
    ("quoted-marks", b'"a@b"@example.com', Part.LOCALPART, "a@b", True),
    ("null-path", b"<>", Part.ALL, "", True),
    ("null-path-domain", b"<>", Part.DOMAIN, "", False),
    ("no-address", b"undisclosed-recipients:;", Part.ALL, "", False),
    ("empty", b"", Part.ALL, "", False),
]


@pytest.mark.parametrize(
    ("value", "part", "text", "expected"), [row[1:] for row in ADDRESSES], ids=[row[0] for row in ADDRESSES]
)
def test_addresses(value: bytes, part: Part, text: str, expected: bool) -> None:
    assert address(value, text, part) is expected


def test_collations_and_matches_look_at_parts() -> None:
    raw = b"Tim <TIM@Example.com>"
    assert address(raw, "tim", Part.LOCALPART)
    assert not address(raw, "tim", Part.LOCALPART, IS, OCTET)
    assert address(raw, "TIM@", Part.ALL, CONTAINS, OCTET)
    assert address(raw, "*.com", Part.DOMAIN, MATCHES)
    assert not address(raw, "*@*", Part.DOMAIN, MATCHES)
    assert address("x@EXÄMPLE.com".encode(), "exämple.com", Part.DOMAIN, IS, UNICODE)


def test_a_long_list_is_looked_through_to_its_end() -> None:
    assert address(b"a@b, " * 20_000 + b"c@d", "c@d")


def test_addresses_that_are_none_cost_no_more_than_others() -> None:
    """Each would match, did its words stand in the field: those are looked for once, not the field read for each."""
    value = b"=?utf-8?q?x?= " * 20_000 + b", a@exa(c)mple.com" * 20_000
    assert not address(value, "example.com", Part.DOMAIN)
    assert address(value + b", a@example.com", "example.com", Part.DOMAIN)


@pytest.mark.parametrize(
    ("separator", "part", "text", "expected"),
    [
        ("-", Part.USER, "ken", True),
        ("-", Part.DETAIL, "a+b", True),
        ("+", Part.DETAIL, "b", True),
        ("", Part.USER, "ken-a+b", True),
        ("", Part.DETAIL, "b", False),
        ("", Part.DETAIL, "", False),
        ("", Part.LOCALPART, "ken-a+b", True),
    ],
)
def test_details_are_divided_as_mail_is_delivered(separator: str, part: Part, text: str, expected: bool) -> None:
    node = FieldMatches(("to",), IS, (text,), part=part, separator=separator)
    assert matcher(node)(Header(b"To: ken-a+b@example.com\r\n\r\n")) == expected


# Patterns ------------------------------------------------------------------------------------------------


class Counted(str):
    """A value that counts the characters that were looked at one by one."""

    looked = 0

    def __iter__(self) -> Iterator[str]:
        for character in str(self):
            self.looked += 1
            yield character


@pytest.mark.parametrize(
    "pattern", ["*a" * 200 + "*b", "*a?" * 200 + "b*b*", "?" * 200 + "*b?*" * 50, "*" * 500 + "?b"]
)
@pytest.mark.parametrize("collation", list(Collation))
def test_no_character_is_looked_at_twice(pattern: str, collation: Collation) -> None:
    letter, last = ("A", "BA") if collation is UNICODE else ("a", "ba")
    value = Counted(letter * 20_000 + last)
    Patterns([pattern], collation).match(value)
    assert 0 < value.looked <= len(value)


def test_a_pattern_whose_literals_are_not_there_looks_at_nothing() -> None:
    value = Counted("a" * 1_000)
    assert not Patterns(["*a*bc*"], OCTET).match(value)
    assert value.looked == 0


def naive(pattern: str, value: str) -> bool:
    """RFC 5228 2.7.1, character by character, every way tried."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(naive(pattern[1:], value[at:]) for at in range(len(value) + 1))
    if pattern[0] == "?":
        return bool(value) and naive(pattern[1:], value[1:])
    if pattern[0] == "\\" and len(pattern) > 1:
        pattern = pattern[1:]
    return value[:1] == pattern[0] and naive(pattern[1:], value[1:])


GLOBS = st.text("ab*?\\A", max_size=10)


@given(st.lists(GLOBS, max_size=4), st.text("ab*?\\A", max_size=8))
def test_patterns_compared_together_match_what_each_of_them_does(patterns: list[str], value: str) -> None:
    together = Patterns(patterns, OCTET).match(value)
    assert together == any(Patterns([pattern], OCTET).match(value) for pattern in patterns)


@given(GLOBS, st.text("ab*?\\A", max_size=10))
def test_patterns_match_what_the_naive_way_finds(pattern: str, value: str) -> None:
    assert Patterns([pattern], OCTET).match(value) == naive(pattern, value)
    assert Patterns([pattern], ASCII).match(value.lower()) == naive(pattern.lower(), value.lower())


@pytest.mark.parametrize(
    "letter",
    [
        "\u0e19\u0e33",
        "\u0e99\u0eb3",
        "\u0995\u09cb",
        "\u0b95\u0bca",
        "\u1026",
        "e\u0301\u0323",
        "\ud55c",
        "\u0939\u093f",
    ],
)
def test_a_question_takes_a_letter_with_what_belongs_to_it(letter: str) -> None:
    assert Patterns(["?"], UNICODE).match(fold(letter))
    assert Patterns(["x?y"], UNICODE).match(fold(f"x{letter}y"))
    assert not Patterns(["??"], UNICODE).match(fold(letter))


def letters(value: str) -> list[str]:
    """Composed letters of a text without case, each with the marks that are left."""
    found: list[str] = []
    for character in normalize("NFC", fold(value)):
        if found and combining(character):
            found[-1] += character
        else:
            found.append(character)
    return found


@given(st.text("aé\u0301한ガﬁß", max_size=6))
def test_questions_count_letters_under_unicode(value: str) -> None:
    count = len(letters(value))
    for questions in range(8):
        assert Patterns(["?" * questions], UNICODE).match(fold(value)) == (questions == count)


SPELLINGS = st.text("eEé\u0301\u0323fﬁi한ᄒ*?", max_size=8)


@given(SPELLINGS, SPELLINGS)
def test_spellings_of_one_text_match_the_same(pattern: str, value: str) -> None:
    found = Patterns([pattern], UNICODE).match(fold(value))
    for form in ("NFC", "NFD", "NFKC"):
        assert header(b"v" + normalize(form, value).encode() + b"v", MATCHES, f"v{pattern}v", UNICODE) == header(
            b"v" + value.encode() + b"v", MATCHES, f"v{pattern}v", UNICODE
        )
    if pattern == value and not re.search(r"[*?]", pattern):
        assert found


@given(st.text("aé\u0301B ", max_size=4), st.text("aé\u0301B ", max_size=8), st.sampled_from(Collation))
def test_contains_is_a_pattern_between_stars(text: str, value: str, collation: Collation) -> None:
    raw = b"v" + value.encode() + b"v"
    assert header(raw, CONTAINS, text, collation) == header(raw, MATCHES, f"*{text}*", collation)


# The index -----------------------------------------------------------------------------------------------

NEEDLES = [
    (IS, "Rabbit", ASCII, None, "RABBIT"),
    (CONTAINS, "Grüße dir", OCTET, None, "GRU\u0308ßE DIR"),
    (CONTAINS, "a caf\u00e9", OCTET, None, "A CAFE"),  # another mark may follow
    (MATCHES, "*make*money*fast*", ASCII, None, "MONEY"),
    (MATCHES, "*\\*\\*\\*?x", ASCII, None, "***"),
    (MATCHES, "*", ASCII, None, None),
    (MATCHES, "?*", ASCII, None, None),
    (IS, "", ASCII, None, None),
    (CONTAINS, "", ASCII, None, None),
    (CONTAINS, "\u0301", ASCII, None, None),
    (IS, "ann.b@example.com", ASCII, Part.ALL, "EXAMPLE"),
    (CONTAINS, '"a b"@x', ASCII, Part.ALL, "A"),
    (MATCHES, "*@*.org", ASCII, Part.ALL, "ORG"),
    (CONTAINS, "@", ASCII, Part.ALL, None),
    (IS, "postmaster", ASCII, Part.LOCALPART, "POSTMASTER"),
]


@pytest.mark.parametrize(("match", "text", "collation", "part", "expected"), NEEDLES)
def test_needles(match: Match, text: str, collation: Collation, part: Part | None, expected: str | None) -> None:
    found = needle(FieldMatches(("x",), match, (text,), collation, part))
    assert found == (None if expected is None else (expected,))


def test_a_needle_for_each_text_or_none_at_all() -> None:
    assert needle(FieldMatches(("x",), CONTAINS, ("ann", "bob"))) == ("ANN", "BOB")
    assert needle(FieldMatches(("x",), CONTAINS, ("ann", ""))) is None


def found_in_index(node: FieldMatches, message: bytes) -> bool:
    """Whether a caller that trusts the index looks at this message."""
    needles = needle(node)
    text = analyse(message).text.header
    return needles is None or any(fold(each) in text for each in needles)


def encoded(text: str, charset: str) -> bytes:
    return b"=?%b?b?%b?=" % (charset.encode(), base64.b64encode(text.encode(charset, "replace")))


LETTERS = st.text('ab Zé\u0301\u0323\u0327αι\u0345ᾳﬁß한ガ.@+\\"(*?', max_size=12)
RAW = st.one_of(
    LETTERS.map(lambda text: text.encode()),
    LETTERS.map(lambda text: encoded(text, "utf-8")),
    LETTERS.map(lambda text: encoded(text, "iso-8859-1")),
    LETTERS.map(lambda text: encoded(text, "koi8-r").replace(b"koi8-r", b"unknown-8bit")),
    st.text("aéж", min_size=1, max_size=4).map(lambda text: text.encode("koi8-r", "replace")),
    st.sampled_from([b" ", b"\r\n ", b"\n\t", b"=?utf-8?b?", b"?=", b"(", b"\t", b"\xff", b"\x00"]),
)
WORDS = st.sampled_from([
    b"ann", b"Bell", b"example", b"com", "jörg".encode(), b'"a b"', b'"a\\"b"', b'"f\\red"', b".", b"@", b",", b";",
    b":", b"<", b">", b"(c)", b" ", b"\r\n ", b"+", b"\\", b"[1.2]", b"=?utf-8?q?ann?=", b"=?utf-8?b?", b"?=",
    b"=?x?q?", b"\xe9", "@".encode("utf-16-be"),
])  # fmt: skip
CHARSETS = st.sampled_from(["", "utf-8", "koi8-r", "shift_jis", "utf-16", "utf-7", "gb18030", "x-unknown"])


@st.composite
def messages(draw: st.DrawFn, values: st.SearchStrategy[bytes]) -> bytes:
    """A message with a field X, and a text in some charset."""
    value = b"".join(draw(st.lists(values, max_size=8)))
    charset = draw(CHARSETS).encode()
    content = b"Content-Type: text/plain; charset=" + charset if charset else b"Y: z"
    body = draw(st.sampled_from([b"", b"text\r\n", b"\xc1\r\n"]))
    if draw(st.booleans()):
        body = b"--b\r\n" + content + b"\r\n\r\n" + body + b"--b--\r\n"
        content = b"Content-Type: multipart/mixed; boundary=b"
    return b"A: b\r\nX: " + value + b"\r\n" + content + b"\r\n\r\n" + body


def values_of(message: bytes, part: Part | None) -> list[str]:
    """What a question about the field X may be about: its text, or addresses and their sides, right or not."""
    scanned = scan(message, Limits())
    (value,) = scanned.own.fields[b"x"]
    if part is None:
        return [decode_header(value, fallback_charset(scanned))]
    addresses = [(each.mailbox or b"", each.host) for each in parse_addresses(value, 100)[0] if each.host is not None]
    sides = [octets for local, domain in addresses for octets in (local, domain, local + b"@" + domain)]
    return [octets.decode("utf-8", "replace") for octets in sides] or ["ann"]


RESPELT: list[Callable[[str], str]] = [str, str.upper, str.swapcase, fold, partial(normalize, "NFC")]


@st.composite
def questions(draw: st.DrawFn, message: bytes, parts: st.SearchStrategy[Part | None]) -> FieldMatches:
    """A question about the field X that has a chance to be answered by yes."""
    part = draw(parts)
    text = draw(st.sampled_from(values_of(message, part)))
    match, collation = draw(st.sampled_from(Match)), draw(st.sampled_from(Collation))
    if match is not IS:
        start = draw(st.integers(0, len(text)))
        text = text[start : draw(st.integers(start, len(text)))]
    if match is MATCHES:
        at = draw(st.integers(0, len(text)))
        text = f"*{text[:at]}{draw(st.sampled_from(['*', '?', '']))}{text[at:]}*"
    return FieldMatches(("x",), match, (draw(st.sampled_from(RESPELT))(text),), collation, part)


def ask(message: bytes, parts: st.SearchStrategy[Part | None]) -> st.SearchStrategy[tuple[bytes, FieldMatches]]:
    return questions(message, parts).map(lambda node: (message, node))


MARKS = "\u0301" * 252
"""So many that the header's text, but not the field's, is folded in pieces, and cut just where they end."""


def about(text: str, match: Match, collation: Collation = ASCII, part: Part | None = None) -> FieldMatches:
    return FieldMatches(("x",), match, (text,), collation, part)


@given(messages(RAW).flatmap(lambda message: ask(message, st.none())))
@example(("X: a\u0301\u0323b\r\n\r\n".encode(), about("a\u0301", CONTAINS)))
@example(("X: a\u0323\u0301\r\n\r\n".encode(), about("a\u0323\u0301", IS)))
@example((f"X: x{MARKS[:251]}\u0345\u0301b\r\n\r\n".encode(), about("ιb", CONTAINS, UNICODE)))
@example((f"X: x{MARKS}\u0323b\r\n\r\n".encode(), about(f"x{MARKS}\u0323b", IS, UNICODE)))
def test_no_message_that_matches_is_left_out(asked: tuple[bytes, FieldMatches]) -> None:
    message, node = asked
    if matcher(node)(Header(message)):
        assert found_in_index(node, message)


@given(messages(WORDS).flatmap(lambda message: ask(message, st.sampled_from(Part))))
@example((b"X: =?utf-8?b?x <ann@example.com> y?=\r\n\r\n", about("ann@example.com", IS, part=Part.ALL)))
@example((b'X: "f\\red"@example.com\r\n\r\n', about("fred", IS, part=Part.LOCALPART)))
@example((b"X: a@exa(c)mple.com\r\n\r\n", about("example", CONTAINS, part=Part.ALL)))
@example((b"X: fred . smith @ example\r\n\r\n", about("fred.smith@example", IS, part=Part.ALL)))
def test_no_address_that_matches_is_left_out(asked: tuple[bytes, FieldMatches]) -> None:
    message, node = asked
    if matcher(node)(Header(message)):
        assert found_in_index(node, message)


@given(st.lists(st.sampled_from(["ann", "Bell", "jörg", "x-1", "[1.2.3.4]"]), min_size=2, max_size=4), st.data())
def test_addresses_as_people_write_them_are_found_by_the_index(words: list[str], data: st.DataObject) -> None:
    *before, domain = words
    whole = f"{'.'.join(word for word in before if word[0] != '[') or 'x'}@{domain}.example"
    if domain[0] == "[":
        whole = whole.removesuffix(".example")
    form = data.draw(st.sampled_from(["{}", "N <{}>", "g: {};", "a@b, {} (c)"]))
    message = b"X: " + form.format(whole).encode() + b"\r\n\r\n"
    node = FieldMatches(("x",), IS, (whole.upper(),), UNICODE, Part.ALL)
    assert matcher(node)(Header(message))
    assert needle(node) is not None
    assert found_in_index(node, message)


@given(st.binary(max_size=60), st.text(max_size=5), st.sampled_from(Match), st.sampled_from([None, *Part]))
def test_any_octets_are_answered(octets: bytes, text: str, match: Match, part: Part | None) -> None:
    message, node = b"X: " + octets, about(text, match, part=part)
    if matcher(node)(Header(message)):
        assert found_in_index(node, message)


def test_folding_keeps_what_stretches_rely_on() -> None:
    """Folding twice is folding once, and Iota alone is a letter that was a mark."""
    for code in range(sys.maxunicode + 1):
        if 0xD800 <= code < 0xE000:
            continue
        folded = fold(chr(code))
        assert fold(folded) == folded
        if combining(chr(code)):
            assert all(combining(each) for each in folded) or folded == "\u0399"
