"""A client's commands as octets (RFC 1939, 2449, 2595, 5034).

Nothing that a caller gives can end a line early: an argument with CR, LF or NUL is refused.
"""

from __future__ import annotations

import base64
import hashlib

COMMAND_LIMIT = 255
"""Octets of a command with its end (RFC 2449 4)."""


class BadRequest(ValueError):
    """Not to be said in POP3: a line end or NUL in an argument, or more octets than a line holds."""


def request(verb: bytes, *arguments: bytes) -> bytes:
    """One command. Raises BadRequest."""
    line = b" ".join((verb, *arguments))
    if any(octet in line for octet in (b"\r", b"\n", b"\0")):
        raise BadRequest("a line end or NUL in an argument")
    if len(line) + 2 > COMMAND_LIMIT:
        raise BadRequest(f"a command of more than {COMMAND_LIMIT} octets")
    return line + b"\r\n"


def auth(mechanism: str, initial: bytes | None) -> tuple[bytes, bool]:
    """AUTH, and whether the initial response is in it.

    It is not where the line would be too long: it then answers an empty challenge (RFC 5034 4). One of no octets
    is "=".
    """
    if initial is None:
        return request(b"AUTH", mechanism.encode("ascii")), False
    try:
        return request(b"AUTH", mechanism.encode("ascii"), base64.b64encode(initial) or b"="), True
    except BadRequest:
        return request(b"AUTH", mechanism.encode("ascii")), False


def response(data: bytes) -> bytes:
    """The client's turn in a SASL exchange."""
    return base64.b64encode(data) + b"\r\n"


CANCEL = b"*\r\n"
"""Ends a SASL exchange (RFC 5034 4)."""


def apop(user: bytes, stamp: bytes, password: bytes) -> bytes:
    """APOP (RFC 1939 7). MD5: worth nothing against who can guess passwords, so only for who asks for it."""
    return request(b"APOP", user, hashlib.md5(stamp + password, usedforsecurity=False).hexdigest().encode("ascii"))
