"""OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's, older and as widely spoken): the client's messages.

Both send everything at once. A server that refuses first says why, as JSON in a challenge; it is answered by
`GIVE_UP` or nothing, and only then does the refusal come.
"""

from __future__ import annotations

from .scram import escape_name

GIVE_UP = b"\x01"
"""What OAUTHBEARER answers to a challenge that says why (RFC 7628 3.2.3). XOAUTH2 answers with no octets."""


def oauthbearer_message(user: str, token: str, host: str, port: int) -> bytes:
    """RFC 7628 3.1. Raises ValueError for what would end a value early."""
    _check(user, token, host)
    return f"n,a={escape_name(user)},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01".encode()


def xoauth2_message(user: str, token: str) -> bytes:
    """As Google describes it. Raises ValueError for what would end a value early."""
    _check(user, token)
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


def _check(*values: str) -> None:
    if any("\x01" in value or "\0" in value for value in values):
        raise ValueError("OAUTHBEARER and XOAUTH2 carry no control characters in a value")
