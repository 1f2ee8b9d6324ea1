"""SASLprep: the table of RFC 4013 3, and that preparing twice is preparing once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.sasl.saslprep import BadString, prepare_password, saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        pytest.param("I\u00adX", "IX", id="rfc4013-3-1-soft-hyphen"),
        pytest.param("user", "user", id="rfc4013-3-2-no-transformation"),
        pytest.param("USER", "USER", id="rfc4013-3-3-case-preserved"),
        pytest.param("\u00aa", "a", id="rfc4013-3-4-nfkc"),
        pytest.param("\u2168", "IX", id="rfc4013-3-5-nfkc"),
        pytest.param("a\u00a0b\u3000c", "a b c", id="rfc4013-2.1-spaces"),
        pytest.param("\u0627b"[:1] + "1\u0628", "\u06271\u0628", id="rfc3454-6-right-to-left"),
        pytest.param("\U0001f980", "\U0001f980", id="newer-than-unicode-3.2"),
        pytest.param("", "", id="empty"),
    ],
)
def test_prepared(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\u0007", id="rfc4013-3-6-prohibited"),
        pytest.param("\u06271", id="rfc4013-3-7-bidirectional"),
        pytest.param("a\0b", id="nul"),
        pytest.param("\u0627a\u0628", id="mixed-direction"),
        pytest.param("\ue000", id="private-use"),
        pytest.param("\u202e", id="change-of-direction"),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(BadString):
        saslprep(text)


@given(st.text(max_size=30))
def test_preparing_twice_is_preparing_once(text: str) -> None:
    try:
        once = saslprep(text)
    except BadString:
        return
    assert saslprep(once) == once


@given(st.binary(max_size=40))
def test_any_octets_can_be_compared(raw: bytes) -> None:
    assert isinstance(prepare_password(raw), bytes)
