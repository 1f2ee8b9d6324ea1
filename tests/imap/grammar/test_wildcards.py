"""LIST's wildcards against a slow, plain model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.imap.grammar.response import list_match, list_matcher


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a/b", True),
        ("%", "a", True),
        ("%", "a/b", False),
        ("%/%", "a/b", True),
        ("%/%", "a/b/c", False),
        ("a/*", "a", False),
        ("a*", "a", True),
        ("a/*/d", "a/b/c/d", True),
        ("*%", "a/b", True),
        ("%*%", "a/b", True),
        ("%b", "a/b", False),
        ("a%c/d", "abc/d", True),
        ("", "", True),
        ("", "a", False),
        ("a.b", "axb", False),
        ("(", "(", True),
        ("inbox", "INBOX", True),
        ("InBo%", "INBOX", True),
        ("inbox/%", "INBOX/a", True),
        ("inbox/A", "INBOX/a", False),
        ("inboxes", "INBOXES", False),
        ("Foo", "foo", False),
    ],
)
def test_known_matches(pattern: str, name: str, matches: bool) -> None:
    assert list_match(pattern, name) is matches


@settings(deadline=None)
@given(st.text("ab/%*", max_size=12), st.text("ab/", max_size=12))
def test_agrees_with_a_regular_expression(pattern: str, name: str) -> None:
    plain = "".join({"*": ".*", "%": "[^/]*"}.get(char, re.escape(char)) for char in pattern)
    assert list_match(pattern, name) == (re.fullmatch(plain, name) is not None)


def test_a_pattern_made_to_be_slow_is_not() -> None:
    assert not list_match("*a" * 5_000 + "b", "a" * 10_000)
    assert not list_match("%a" * 5_000 + "b", "a" * 10_000)


@settings(deadline=None)
@given(st.lists(st.text("aIN/%*", max_size=8) | st.just("INBOX/%"), max_size=6), st.text("aIN/", max_size=8))
def test_of_several_patterns_any_matches(patterns: list[str], name: str) -> None:
    for one in (name, "inbox", "inbox/" + name):
        assert list_matcher(patterns)(one) == any(list_match(pattern, one) for pattern in patterns)


def test_many_patterns_are_one_automaton() -> None:
    matches = list_matcher([f"*f*o*l*d*e*r*{number}*z" for number in range(500)])
    assert matches("a folder of number 499 and z")
    assert not any(matches(f"folder number {number} of many") for number in range(2_000))


def test_what_takes_much_memory_is_not_kept() -> None:
    assert list_matcher(("short*",)) is list_matcher(("short*",))
    long = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    assert list_matcher((long + "*",)) is not list_matcher((long + "*",))
