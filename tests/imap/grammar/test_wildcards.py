"""LIST's wildcards against a slow, plain model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.imap.grammar.response import list_match


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
