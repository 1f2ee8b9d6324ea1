"""The one change on the way in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mime.normalise import _PIECE, normalise_line_ends


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\nb\r\n", b"a\nb\r\n"),
        (b"a\rb\n", b"a\rb\r\n"),
        (b"a\rb", b"a\rb"),
        (b"a", b"a"),
        (b"", b""),
        (b"\n", b"\r\n"),
    ],
)
def test_only_a_message_of_bare_lf_changes(data: bytes, expected: bytes) -> None:
    assert normalise_line_ends(data) == expected


@given(st.binary())
def test_twice_is_once(data: bytes) -> None:
    once = normalise_line_ends(data)
    assert normalise_line_ends(once) == once


@pytest.mark.parametrize("size", [_PIECE - 1, _PIECE, _PIECE + 1, 2 * _PIECE, 2 * _PIECE + 3])
def test_a_large_message_is_changed_as_a_small_one(size: int) -> None:
    data = (b"a line\n\n" * (size // 8 + 1))[:size]
    assert normalise_line_ends(data) == data.replace(b"\n", b"\r\n")
