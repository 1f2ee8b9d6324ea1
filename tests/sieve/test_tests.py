"""Tests of Sieve as queries, and what they say of messages: RFC 5228 2, 5 and 9, RFC 5233."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from restante.mime.headers import split_fields
from restante.query import language as q
from restante.query.fields import Header, matcher
from restante.sieve.grammar import DEEPEST, BadTest
from restante.sieve.tests import ADDRESS_FIELDS, MOST_PATTERNS, parse_test


def holds(query: q.Query, message: bytes) -> bool:
    """Whether a message satisfies a query such as tests compile to."""
    match query:
        case q.All():
            return True
        case q.And(operands):
            return all(holds(operand, message) for operand in operands)
        case q.Or(operands):
            return any(holds(operand, message) for operand in operands)
        case q.Not(operand):
            return not holds(operand, message)
        case q.Larger(octets):
            return len(message) > octets
        case q.Smaller(octets):
            return len(message) < octets
        case q.HeaderContains(name, ""):
            header = message.partition(b"\r\n\r\n")[0]
            return name.lower() in [found.decode().lower() for found, _ in split_fields(header, 100)]
        case q.FieldMatches():
            return matcher(query)(Header(message))
        case _:
            raise AssertionError(query)


def says(text: str, message: bytes) -> bool:
    return holds(parse_test(text), message)


def mail(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "", "text")).encode()


# RFC 5228 1.2, up to their bodies
A = mail(
    "Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)",
    "From: coyote@desert.example.org",
    "To: roadrunner@acme.example.com",
    "Subject: I have a present for you",
)
B = mail(
    "From: youcouldberich!@reply-by-postal-mail.invalid",
    "Sender: b1ff@de.res.example.com",
    "To: rube@landru.example.com",
    "Date:  Mon, 31 Mar 1997 18:26:10 -0800",
    "Subject: $$$ YOU, TOO, CAN BE A MILLIONAIRE! $$$",
)
CAFFEINE = mail("X-Caffeine: C8H10N4O2")
FAST = mail("Subject: You can MAKE MONEY FAST")
TO_ME, CC_ME = mail("To: me@example.com"), mail("Cc: A <me00@landru.example.com>")
LARGE = mail("A: b") + b"x" * 102_400

TO_OR_CC = 'header :contains ["To", "Cc"] ["me@example.com", "me00@landru.example.com"]'
SPAM = """anyof (NOT address :all :contains
                   ["To", "Cc", "Bcc"] "me@example.com",
                 header :matches "subject"
                   ["*make*money*fast*", "*university*dipl*mas*"])"""

EXAMPLES = [
    ("rfc5228-2.3-hash", "size :over 100k # this is a comment\r\n", LARGE, True),
    ("rfc5228-2.3-bracket", "size :over 100K /* this is a comment\r\nthis is still a comment */", A, False),
    ("rfc5228-2.4.2.1-to", TO_OR_CC, TO_ME, True),
    ("rfc5228-2.4.2.1-cc", TO_OR_CC, CC_ME, True),
    ("rfc5228-2.4.2.1-neither", TO_OR_CC, A, False),
    ("rfc5228-2.4.2.1-exists-one", 'exists "To"', A, True),
    ("rfc5228-2.4.2.1-exists-list", 'exists ["To"]', A, True),
    ("rfc5228-2.4.2.2-blank", 'header "From" "a@b.example"', mail("From   : a@b.example"), True),
    ("rfc5228-2.4.2.2-colon", 'header :contains "From:" ""', A, False),
    ("rfc5228-2.4.2.2-colon-exists", 'exists "From:"', A, False),
    ("rfc5228-2.4.2.2-colon-address", 'address :contains "From:" ""', A, False),
    ("rfc5228-2.4.2.2-one-of", 'header :contains ["From:", "From"] "coyote"', A, True),
    # 2.4.2.4: without encoded-character in effect, which is not to be had here, the string is what it says.
    ("rfc5228-2.4.2.4", 'header :contains "Subject" "$${hex:24 24}"', B, False),
    ("rfc5228-2.5.1-a", 'anyof (not exists ["From", "Date"], header :contains "from" "fool@example.com")', A, False),
    ("rfc5228-2.5.1-no-date", 'anyof (not exists ["From", "Date"], header :contains "from" "x")', FAST, True),
    ("rfc5228-2.7.1-frob", 'header :contains "X" "frob"', mail("X: frobnitzm"), True),
    ("rfc5228-2.7.1-nit", 'header :contains "X" "nit"', mail("X: frobnitzm"), True),
    ("rfc5228-2.7.1-fbm", 'header :contains "X" "fbm"', mail("X: frobnitzm"), False),
    ("rfc5228-2.7.1-is", 'header :is "X" "frobnitzm"', mail("X: frobnitzm"), True),
    ("rfc5228-2.7.1-star", r'header :matches "X" "a\\*c"', mail("X: a*c"), True),
    ("rfc5228-2.7.1-star-only", r'header :matches "X" "a\\*c"', mail("X: abc"), False),
    ("rfc5228-2.7.1-one", r'header :matches "X" "a\\?c"', mail("X: abc"), False),
    ("rfc5228-2.7.1-default-is", 'header "X" "frob"', mail("X: frobnitzm"), False),
    (
        "rfc5228-2.7.3-fast",
        'header :contains :comparator "i;octet" "Subject"\r\n "MAKE MONEY FAST"',
        FAST,
        True,
    ),
    (
        "rfc5228-2.7.3-Fast",
        'header :contains :comparator "i;octet" "Subject" "MAKE MONEY FAST"',
        mail("Subject: You can Make Money Fast"),
        False,
    ),
    ("rfc5228-3.1-a", 'header :contains "from" "coyote"', A, True),
    ("rfc5228-3.1-b", 'header :contains ["subject"] ["$$$"]', B, True),
    ("rfc5228-3.1-b-from", 'header :contains ["From"] ["coyote"]', B, False),
    ("rfc5228-5.1", 'address :is :all "from" "tim@example.com"', mail("From: Tim <tim@example.com>"), True),
    ("rfc5228-5.1-other", 'address :is :all "from" "tim@example.com"', A, False),
    ("rfc5228-5.2-ff", "allof (false, false)", A, False),
    ("rfc5228-5.2-ft", "allof (false, true)", A, False),
    ("rfc5228-5.2-tt", "allof (true,  true)", A, True),
    ("rfc5228-5.3-ff", "anyof (false, false)", A, False),
    ("rfc5228-5.3-ft", "anyof (false, true)", A, True),
    ("rfc5228-5.3-tt", "anyof (true,  true)", A, True),
    ("rfc5228-5.5", 'not exists ["From","Date"]', A, False),
    ("rfc5228-5.5-one-of-them", 'exists ["From","Date"]', mail("From: a"), False),
    ("rfc5228-5.6", "false", A, False),
    ("rfc5228-5.7-is", 'header :is ["X-Caffeine"] [""]', CAFFEINE, False),
    ("rfc5228-5.7-contains", 'header :contains ["X-Caffeine"] [""]', CAFFEINE, True),
    ("rfc5228-5.7-absent", 'header :contains ["X-Caffeine"] [""]', A, False),
    ("rfc5228-5.7-no-cc", 'not header :matches "Cc" "?*"', A, True),
    ("rfc5228-5.7-blank-cc", 'not header :matches "Cc" "?*"', mail("Cc:  "), True),
    ("rfc5228-5.7-cc", 'not header :matches "Cc" "?*"', CC_ME, False),
    ("rfc5228-5.8-not-false", "not false", A, True),
    ("rfc5228-5.8-not-true", "not true", A, False),
    ("rfc5228-5.9-over", "size :over 4000", b"x" * 4_000, False),
    ("rfc5228-5.9-under", "size :under 4000", b"x" * 4_000, False),
    ("rfc5228-5.9-more", "size :over 4000", b"x" * 4_001, True),
    ("rfc5228-5.9-less", "size :under 4000", b"x" * 3_999, True),
    ("rfc5228-5.10", "true", A, True),
    (
        "rfc5228-9-list",
        'header :is "Sender" "owner-ietf-mta-filters@imc.org"',
        mail("Sender: owner-ietf-mta-filters@imc.org"),
        True,
    ),
    ("rfc5228-9-company", 'address :DOMAIN :is ["From", "To"] "example.com"', TO_ME, True),
    ("rfc5228-9-other-domain", 'address :DOMAIN :is ["From", "To"] "example.com"', A, False),
    ("rfc5228-9-not-to-me", SPAM, A, True),
    ("rfc5228-9-to-me", SPAM, TO_ME, False),
    ("rfc5228-9-money", SPAM, mail("To: me@example.com", "Subject: Make much money so fast!"), True),
    # RFC 5233 asks this of the envelope, which is gone; here of the field.
    ("rfc5233-4-user", 'address :user "to" "postmaster"', mail("To: postmaster+x@example.com"), True),
    ("rfc5233-4-user-alone", 'address :user "to" "postmaster"', mail("To: postmaster@example.com"), True),
    ("rfc5233-4-detail", 'address :detail "to" "mta-filters"', mail("To: ken+mta-filters@example.com"), True),
    ("rfc5233-4-detail-other", 'address :detail "to" "foo"', mail("To: ken+mta-filters@example.com"), False),
    ("rfc5233-4-detail-none", 'address :detail :contains "to" ""', mail("To: ken@example.com"), False),
    ("rfc5233-4-detail-empty", 'address :detail "to" ""', mail("To: ken+@example.com"), True),
]


@pytest.mark.parametrize(("text", "message", "expected"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES])
def test_examples_of_the_rfcs(text: str, message: bytes, expected: bool) -> None:
    assert says(text, message) is expected


X = ("x",)
NOTHING = q.Not(q.All())
COMPILED = [
    ('header "x" "a"', q.FieldMatches(X, q.Match.IS, ("a",))),
    ('HEADER :CONTAINS ["x", "Y"] ["a", "b"]', q.FieldMatches(("x", "Y"), q.Match.CONTAINS, ("a", "b"))),
    ('header :comparator "i;unicode-casemap" :matches "x" "a"',
     q.FieldMatches(X, q.Match.MATCHES, ("a",), q.Collation.UNICODE)),
    ('address "From" "a"', q.FieldMatches(("From",), q.Match.IS, ("a",), part=q.Part.ALL)),
    ('address :is :comparator "i;octet" :localpart "to" "a"',
     q.FieldMatches(("to",), q.Match.IS, ("a",), q.Collation.OCTET, q.Part.LOCALPART)),
    ('address :detail :comparator "i;ascii-casemap" :contains "to" "a"',
     q.FieldMatches(("to",), q.Match.CONTAINS, ("a",), q.Collation.ASCII, q.Part.DETAIL)),
    ('header ["x:", "x", "é"] "a"', q.FieldMatches(X, q.Match.IS, ("a",))),
    ('header "x:" "a"', NOTHING),
    ('header "" "a"', NOTHING),
    ('address "to:" "a"', NOTHING),
    ('exists "x"', q.HeaderContains("x", "")),
    ('exists ["x", "Y"]', q.And((q.HeaderContains("x", ""), q.HeaderContains("Y", "")))),
    ('exists "x y"', NOTHING),
    ('exists ["x", "x y"]', q.And((q.HeaderContains("x", ""), NOTHING))),
    ("size :over 1K", q.Larger(1024)),
    ("size :UNDER 0", q.Smaller(0)),
    ("allof (true)", q.And((q.All(),))),
    ("anyof (true, not false)", q.Or((q.All(), q.Not(NOTHING)))),
    ('not exists "x"', q.Not(q.HeaderContains("x", ""))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), COMPILED, ids=[text for text, _ in COMPILED])
def test_tests_are_queries(text: str, expected: q.Query) -> None:
    assert parse_test(text) == expected


def test_tags_stand_in_any_order() -> None:
    for tags in (
        ':comparator "i;octet" :is :user',
        ':is :comparator "i;octet" :user',
        ':user :is :comparator "i;octet"',
    ):
        assert parse_test(f'address {tags} "to" "a"') == q.FieldMatches(
            ("to",), q.Match.IS, ("a",), q.Collation.OCTET, q.Part.USER
        )


def test_patterns_have_so_many_characters_together() -> None:
    half = MOST_PATTERNS // 2
    one = 'header :matches "x" "' + "a" * half + '"'
    parse_test(f"anyof ({one}, {one})")
    with pytest.raises(BadTest, match="more than 10000 characters"):
        parse_test(f'anyof ({one}, {one}, header :matches "x" "?")')
    with pytest.raises(BadTest):
        parse_test('header :matches "x" "' + "\ufdfa" * (MOST_PATTERNS // 17) + '"')  # each folds to 18
    parse_test('header :contains "x" "' + "a" * 3 * half + '"')


def test_the_separator_of_details_is_given() -> None:
    query = parse_test('not address :detail "to" "a"', "-")
    assert query == q.Not(q.FieldMatches(("to",), q.Match.IS, ("a",), part=q.Part.DETAIL, separator="-"))


@pytest.mark.parametrize("name", sorted(ADDRESS_FIELDS))
def test_fields_of_addresses_can_be_asked_for(name: str) -> None:
    assert says(f'address "{name.upper()}" "a@b.example"', mail(f"{name}: a@b.example"))


def test_the_rfc_s_fields_of_addresses_are_among_them() -> None:
    """RFC 5228 5.1."""
    assert {"from", "to", "cc", "bcc", "sender", "resent-from", "resent-to"} <= ADDRESS_FIELDS


REFUSED = [
    ('envelope "from" "a"', 1, 1, "A stored message has no envelope any more; ask for address or header instead."),
    ('not\r\nenvelope :all :is "from" "tim@example.com"', 2, 1, "A stored message has no envelope any more"),
    ("frobnicate", 1, 1, 'There is no test "frobnicate"; there are address, header, exists, size, allof, anyof,'),
    ('require "fileinto"', 1, 1, 'There is no test "require"'),
    ("if true", 1, 1, 'There is no test "if"'),
    ('header :contain "x" "a"', 1, 8, 'header has no tag ":contain".'),
    ('header :all "x" "a"', 1, 8, 'header has no tag ":all".'),
    ('header :over "x" "a"', 1, 8, 'header has no tag ":over".'),
    ('exists :is "x"', 1, 8, 'exists has no tag ":is".'),
    ("size :is 1", 1, 6, 'size has no tag ":is".'),
    ('header :is :is "x" "a"', 1, 12, '":is" stands there twice.'),
    ('header :is :contains "x" "a"', 1, 12, '":is" and ":contains" cannot stand together.'),
    ('address :all :domain "to" "a"', 1, 14, '":all" and ":domain" cannot stand together.'),
    ("size :over :under 1", 1, 12, '":over" and ":under" cannot stand together.'),
    ('header :comparator "i;octet" :comparator "i;octet" "x" "a"', 1, 30, '":comparator" stands there twice.'),
    ('header :comparator "i;klingon" "x" "a"', 1, 20, 'There is no comparator "i;klingon"; there are i;octet,'),
    ('header :comparator "i;ascii-numeric" "x" "1"', 1, 20, 'There is no comparator "i;ascii-numeric"'),
    ('header :comparator "I;OCTET" "x" "1"', 1, 20, 'There is no comparator "I;OCTET"'),
    ('header :comparator ["i;octet"] "x" "a"', 1, 8, 'Behind ":comparator" comes its name, a string.'),
    ('header :comparator :is "x" "a"', 1, 8, 'Behind ":comparator" comes its name, a string.'),
    ("header :comparator", 1, 8, 'Behind ":comparator" comes its name, a string.'),
    ('header "x" :is "a"', 1, 12, '":is" has to stand before the other arguments of header.'),
    ("size 1 :over", 1, 8, '":over" has to stand before the other arguments of size.'),
    ("header", 1, 1, "header wants names of fields and texts."),
    ('header "x"', 1, 1, "header wants names of fields and texts."),
    ('header :comparator "i;octet" "x"', 1, 1, "header wants names of fields and texts."),
    ('header "x" "a" "b"', 1, 16, "header takes names of fields and texts, and no more."),
    ('header "x" 1', 1, 12, "header takes strings, no number."),
    ('header "x" "a" true', 1, 16, "header takes no test behind it."),
    ('header "x" "a" (true)', 1, 17, "header takes no test behind it."),
    ('address "to"', 1, 1, "address wants names of fields and addresses."),
    ('address "subject" "a"', 1, 9, '"subject" is no field of addresses that address knows; ask for header.'),
    ('address ["to", "x"] "a"', 1, 9, '"x" is no field of addresses that address knows; ask for header.'),
    ("exists", 1, 1, "exists wants names of fields."),
    ("exists 1", 1, 8, "exists takes strings, no number."),
    ('exists "a" "b"', 1, 12, "exists takes names of fields, and no more."),
    ("size", 1, 1, "size wants :over or :under and one number; write size :over 100K, for example."),
    ("size 1", 1, 1, "size wants :over or :under and one number"),
    ("size :over", 1, 1, "size wants :over or :under and one number"),
    ('size :over "1"', 1, 1, "size wants :over or :under and one number"),
    ("size :over 1 2", 1, 1, "size wants :over or :under and one number"),
    ("size :over 1 true", 1, 14, "size takes no test behind it."),
    ("allof", 1, 1, "allof wants tests in parentheses, with commas between them."),
    ("anyof true", 1, 1, "anyof wants tests in parentheses, with commas between them."),
    ("allof :is (true)", 1, 7, "allof takes no arguments."),
    ("not", 1, 1, "not wants one test, without parentheses."),
    ("not (true)", 1, 1, "not wants one test, without parentheses."),
    ('not "x" true', 1, 5, "not takes no arguments."),
    ("true 1", 1, 6, "true takes no arguments."),
    ("true :is", 1, 6, "true takes no arguments."),
    ("false true", 1, 7, "false takes no test behind it."),
    ("true;", 1, 5, 'The test ends before ";".'),
    ("allof (true, \r\n nothing)", 2, 2, 'There is no test "nothing"'),
]


@pytest.mark.parametrize(("text", "line", "column", "sentence"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_refused_is_told(text: str, line: int, column: int, sentence: str) -> None:
    with pytest.raises(BadTest) as caught:
        parse_test(text)
    assert str(caught.value).startswith(f"Line {line}, column {column}: {sentence}")


def test_the_error_is_a_value_error() -> None:
    assert issubclass(BadTest, ValueError)


# Properties ----------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=6)
LISTS = st.lists(TEXTS, min_size=1, max_size=3).map(tuple)
FIELD_NAMES = st.from_regex(r"[!-9;-~]{1,8}", fullmatch=True)
HEADERS = st.builds(
    q.FieldMatches,
    st.lists(FIELD_NAMES, min_size=1, max_size=3).map(tuple),
    st.sampled_from(q.Match),
    LISTS,
    st.sampled_from(q.Collation),
)
ADDRESSES = st.builds(
    q.FieldMatches,
    st.lists(st.sampled_from(sorted(ADDRESS_FIELDS)), min_size=1, max_size=3).map(tuple),
    st.sampled_from(q.Match),
    LISTS,
    st.sampled_from(q.Collation),
    st.sampled_from(q.Part),
)
SIZES = st.integers(0, 2**63 - 1)
LEAVES = st.one_of(
    st.just(q.All()),
    HEADERS,
    ADDRESSES,
    SIZES.map(q.Larger),
    SIZES.map(q.Smaller),
    FIELD_NAMES.map(lambda name: q.HeaderContains(name, "")),
)
QUERIES: st.SearchStrategy[q.Query] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(q.Not),
        st.lists(inner, min_size=1, max_size=3).map(lambda operands: q.And(tuple(operands))),
        st.lists(inner, min_size=1, max_size=3).map(lambda operands: q.Or(tuple(operands))),
    ),
    max_leaves=8,
)


def quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def listed(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"


def printed(query: q.Query) -> str:
    match query:
        case q.All():
            return "true"
        case q.Not(operand):
            return f"not {printed(operand)}"
        case q.And(operands) | q.Or(operands):
            name = "allof" if isinstance(query, q.And) else "anyof"
            return f"{name} ({', '.join(map(printed, operands))})"
        case q.Larger(octets):
            return f"size :over {octets}"
        case q.Smaller(octets):
            return f"size :under {octets}"
        case q.HeaderContains(name, ""):
            return f"exists {quoted(name)}"
        case q.FieldMatches(names, how, texts, collation, part):
            test = f"address :{part.value}" if part is not None else "header"
            return f'{test} :{how.value} :comparator "{collation.value}" {listed(names)} {listed(texts)}'
        case _:
            raise AssertionError(query)


@given(QUERIES)
def test_a_printed_query_is_compiled_to_the_same(query: q.Query) -> None:
    assert parse_test(printed(query)) == query


def refusal(text: str) -> str | None:
    """What is said against a text, None where it is a test."""
    try:
        parse_test(text)
    except BadTest as error:
        return str(error)
    return None


WORDS = st.sampled_from([
    *("address", "header", "exists", "size", "allof", "anyof", "not", "true", "false", "envelope", "other", "(", ")"),
    *(":is", ":contains", ":matches", ":all", ":domain", ":user", ":detail", ":over", ":under", ":comparator", ":x"),
    *('"i;octet"', '"i;none"', '"to"', '"to:"', '["x", "y"]', '""', "5", "5K", ",", ";", "[", "]", "# x\r\n", "/* */"),
])  # fmt: skip


@given(st.one_of(st.text(), st.lists(WORDS, max_size=10).map(" ".join)))
@example("not " * 50_000)
@example("allof (" * (DEEPEST + 1))
@example("anyof(not " * 10_000 + "true")
@example('header "x" "\ud800"')
def test_any_text_gives_a_query_or_the_one_error(text: str) -> None:
    told = refusal(text)
    if told is None:
        assert holds(parse_test(text), A) in (True, False)
    else:
        assert re.match(r"Line \d+, column \d+: \S", told)
        assert told.isprintable()
