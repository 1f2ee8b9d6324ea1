"""Address lists of ENVELOPE."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from restante.mime.addresses import GROUP_END, Address, parse_addresses


def a(name: bytes | None, mailbox: bytes, host: bytes, route: bytes | None = None) -> Address:
    return Address(name, route, mailbox, host)


def group(name: bytes) -> Address:
    return Address(None, None, name, None)


CASES: list[tuple[str, bytes, list[Address]]] = [
    ("rfc5322-A.1.1", b"John Doe <jdoe@machine.example>", [a(b"John Doe", b"jdoe", b"machine.example")]),
    (
        "rfc5322-A.1.2-to",
        b"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
        [a(b"Mary Smith", b"mary", b"x.test"), a(None, b"jdoe", b"example.org"), a(b"Who?", b"one", b"y.test")],
    ),
    (
        "rfc5322-A.1.2-from",
        b'"Joe Q. Public" <john.q.public@example.com>',
        [a(b"Joe Q. Public", b"john.q.public", b"example.com")],
    ),
    (
        "rfc5322-A.1.2-cc",
        b'<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
        [a(None, b"boss", b"nil.test"), a(b'Giant; "Big" Box', b"sysservices", b"example.net")],
    ),
    (
        "rfc5322-A.1.3",
        b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
        [
            group(b"A Group"),
            a(b"Ed Jones", b"c", b"a.test"),
            a(None, b"joe", b"where.test"),
            a(b"John", b"jdoe", b"one.test"),
            GROUP_END,
        ],
    ),
    ("rfc5322-A.1.3-cc", b"Undisclosed recipients:;", [group(b"Undisclosed recipients"), GROUP_END]),
    (
        "rfc5322-A.5",
        b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
        [a(b"Pete", b"pete", b"silly.test")],
    ),
    (
        "rfc5322-A.5-group",
        b"A Group(Some people)\t :Chris Jones <c@(Chris's host.)public.example>,  joe@example.org, "
        b"John <jdoe@one.test> (my dear friend); (the end of the group)",
        [
            group(b"A Group"),
            a(b"Chris Jones", b"c", b"public.example"),
            a(None, b"joe", b"example.org"),
            a(b"John", b"jdoe", b"one.test"),
            GROUP_END,
        ],
    ),
    (
        "rfc5322-A.6.1",
        b"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
        [a(b"Mary Smith", b"mary", b"example.net", b"@node.test"), a(None, b"jdoe", b"test.example")],
    ),
    ("rfc5322-4.4-routes", b"<@a,@b:x@c>", [a(None, b"x", b"c", b"@a,@b")]),
    (
        "rfc5322-A.6.1-from",
        b"Joe Q. Public <john.q.public@example.com>",
        [a(b"Joe Q. Public", b"john.q.public", b"example.com")],
    ),
    ("rfc5322-3.4.1-literal", b"x@[192.0.2.1]", [a(None, b"x", b"[192.0.2.1]")]),
    (
        "rfc5322-3.4.1-comments-between-blanks",
        b"pete (his account) @ silly.test, joe (c) . (d) q @ (x) y . z",
        [a(b"his account", b"pete", b"silly.test"), a(b"x", b"joe.q", b"y.z")],
    ),
    ("comment-as-name", b"joe@example.com (Joe Doe)", [a(b"Joe Doe", b"joe", b"example.com")]),
    ("quoted-local-part", b'"john smith"@x.test', [a(None, b"john smith", b"x.test")]),
    ("encoded-words-stay", b"=?utf-8?q?J=C3=BCrgen?= <j@x>", [a(b"=?utf-8?q?J=C3=BCrgen?=", b"j", b"x")]),
    ("no-host-is-no-group", b"root", [a(None, b"root", b"")]),
    ("two-words-without-host", b"Mail Delivery", [a(None, b"Mail Delivery", b"")]),
    ("null-sender", b"<>", [a(None, b"", b"")]),
    ("angle-not-closed", b"Joe <joe@x.test", [a(b"Joe", b"joe", b"x.test")]),
    ("angle-not-closed-and-more", b"Joe <joe@x, bob@y", [a(b"Joe", b"joe", b"x"), a(None, b"bob", b"y")]),
    (
        "comma-forgotten",
        b'A <a@x> "B" <b@x><c@x> (C), G: <d@x> D <e@x>;',
        [
            a(b"A", b"a", b"x"),
            a(b"B", b"b", b"x"),
            a(b"C", b"c", b"x"),
            group(b"G"),
            a(None, b"d", b"x"),
            a(b"D", b"e", b"x"),
            GROUP_END,
        ],
    ),
    ("rfc7103-7.1.2", b"<<<user2@example.org>>> Joe", [a(b"Joe", b"user2", b"example.org")]),
    ("rfc7103-7.1.4", b"(Testing <fran@example.com>", [a(b"Testing", b"fran", b"example.com")]),
    ("rfc7103-7.1.4-closed", b"Testing) <sam@example.com>", [a(b"Testing)", b"sam", b"example.com")]),
    ("rfc7103-7.1.6", b'"Joe <joe@example.com>', [a(b"Joe", b"joe", b"example.com")]),
    (
        "quote-not-closed-and-more",
        b'a@x, "Joe \\"Doe <joe@y>, (c) b@z',
        [a(None, b"a", b"x"), a(b'Joe "Doe', b"joe", b"y"), a(b"c", b"b", b"z")],
    ),
    (
        "comment-not-closed-and-more",
        b'Foo(bar (the (b) <foo@x>, "B,c" <b@y>, c@z (C)',
        [a(b"Foo bar the", b"foo", b"x"), a(b"B,c", b"b", b"y"), a(b"C", b"c", b"z")],
    ),
    ("comment-not-closed-behind-an-address", b"joe@x (as of <bob@y>", [a(b"as of <bob@y>", b"joe", b"x")]),
    ("quote-not-closed-behind-an-address", b'<joe@x> "as of <bob@y>', [a(b"as of <bob@y>", b"joe", b"x")]),
    ("comment-not-closed-without-address", b"G:; (nobody", [group(b"G"), GROUP_END]),
    ("quote-not-closed-without-address", b'a@b, "Joe', [a(None, b"a", b"b"), a(None, b"Joe", b"")]),
    ("backslash-and-quote-are-no-end", b'"Joe \\" <joe@x>', [a(b'Joe "', b"joe", b"x")]),
    ("group-not-closed", b"G: a@b", [group(b"G"), a(None, b"a", b"b"), GROUP_END]),
    ("semicolon-between", b"a@b; c@d", [a(None, b"a", b"b"), a(None, b"c", b"d")]),
    ("name-with-comma-unquoted", b"Doe, Joe <joe@x>", [a(None, b"Doe", b""), a(b"Joe", b"joe", b"x")]),
    ("words-before-bare", b"Joe joe@x", [a(b"Joe", b"joe", b"x")]),
    ("two-at-signs", b"a@b@c", [a(None, b"a@b", b"c")]),
    ("empty", b"", []),
    ("commas", b" , ,, ", []),
]


@pytest.mark.parametrize(("value", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_parse(value: bytes, expected: list[Address]) -> None:
    assert parse_addresses(value, 100) == (expected, True)


def test_a_hundred_thousand_addresses_are_cut_at_the_limit() -> None:
    for item in (b"a@b,", b"(c) a@b,", b"x:a@b;", b"<a@b>,"):
        found, complete = parse_addresses(item * 100_000, 5_000)
        assert 5_000 <= len(found) <= 5_002
        assert not complete


NASTY = [
    b"(" * 100_000,
    b"<" * 100_000,
    b'"' * 100_001,
    b" " * 1_000_000,
    b"a " * 100_000,
    b"a@" * 100_000,
    b"\\" * 100_001,
    b"(a)" * 100_000,
    b"[" * 100_000,
    b". " * 100_000,
    b"@ " * 100_000,
    b":" * 100_000,
    b"(" * 100_000 + b"a@b",
    b'"[\\]' * 100_000 + b"a@b",
    b'(a) "' + b'\\"(' * 100_000 + b"a@b",
]


@pytest.mark.parametrize("value", NASTY, ids=[value[:3].decode() for value in NASTY])
def test_nasty_lists_end(value: bytes) -> None:
    found, _ = parse_addresses(value, 5_000)
    assert len(found) <= 5_002


@given(st.text(alphabet='ab<>()@,:;"\\. \t[]é', max_size=40), st.one_of(st.just(100), st.integers(0, 5)))
@example("G: a@b, c@d;", 2)
def test_any_list_gives_mailboxes_with_a_host_and_closed_groups(text: str, most: int) -> None:
    found, _ = parse_addresses(text.encode(), most)
    depth = 0
    for address in found:
        if address.host is None:
            depth += 1 if address.mailbox is not None else -1
            assert depth in (0, 1)
        else:
            assert address.mailbox is not None
    assert depth == 0


@given(st.lists(st.sampled_from([case for case in CASES if case[0].startswith("rfc5322-A.1")]), min_size=1, max_size=5))
def test_joined_lists_give_joined_results(cases: list[tuple[str, bytes, list[Address]]]) -> None:
    value = b", ".join(case[1] for case in cases)
    assert parse_addresses(value, 100)[0] == [address for case in cases for address in case[2]]


MARKS = [b":", b";", b",", b"a", b"@", b"<", b">", b" ", b'"', b"("]


@given(st.lists(st.sampled_from(MARKS), max_size=12).map(b"".join))
def test_no_field_gives_more_structures_than_octets_and_one(value: bytes) -> None:
    """`envelope` does not ask about the limit where a field is short."""
    assert len(parse_addresses(value, 1_000)[0]) <= len(value) + 1
