"""Identities have the form that RFC 8474 lets them have, and are what the library's base32 makes of the same octets."""

from __future__ import annotations

from base64 import b32encode

from hypothesis import given
from hypothesis import strategies as st

from restante.store.sqlite.identity import base32, is_id, new_id


@given(st.binary(min_size=16, max_size=16))
def test_an_identity_is_base32_of_its_128_bits(octets: bytes) -> None:
    assert base32(octets) == b32encode(octets).decode("ascii").rstrip("=").lower()
    assert is_id("m", new_id("m", lambda count: octets[:count]))
