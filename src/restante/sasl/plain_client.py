"""PLAIN (RFC 4616), the client's only message. Apart from the server's side: it imports nothing."""

from __future__ import annotations


def plain_message(user: str, password: str, authzid: str = "") -> bytes:
    """The client's message. Raises ValueError for a NUL, which PLAIN cannot carry."""
    parts = (authzid, user, password)
    if any("\0" in part for part in parts):
        raise ValueError("PLAIN carries no NUL")
    return "\0".join(parts).encode("utf-8")
