"""PLAIN (RFC 4616) and LOGIN (never an RFC; as draft-murchison-sasl-login describes it), both sides of PLAIN.

Owns: the messages. The server machines give `Claim`s, which somebody else checks. Must not know: accounts.

LOGIN's states: NAME --user name--> PASSWORD --password--> DONE; an initial response is the user name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .errors import Fault, SaslFault
from .plain_client import plain_message

__all__ = ["Claim", "LoginServer", "LoginState", "parse_plain", "plain_message"]

MOST_OCTETS = 1024
"""Longest name or password taken. RFC 4616 2 sets no bound below what its peers must take (255 octets)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who the peer says it is. authzid: whom it wants to act for, b"" for itself. password never shows in logs."""

    authzid: bytes
    user: bytes
    password: bytes

    def __repr__(self) -> str:
        return f"Claim({self.authzid!r}, {self.user!r}, ...)"


def parse_plain(message: bytes) -> Claim:
    """The claim of PLAIN's only message, [authzid] NUL authcid NUL passwd. Raises SaslFault. RFC 4616 2."""
    if len(message) > 3 * MOST_OCTETS + 2:
        raise SaslFault(Fault.TOO_LONG)
    parts = message.split(b"\0")
    if len(parts) != 3 or not parts[1]:
        raise SaslFault(Fault.INVALID_ENCODING)
    if max(map(len, parts)) > MOST_OCTETS:
        raise SaslFault(Fault.TOO_LONG)
    _check_utf8(parts[0])
    _check_utf8(parts[1])
    return Claim(*parts)


def _check_utf8(text: bytes) -> None:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SaslFault(Fault.INVALID_ENCODING) from error


class LoginState(Enum):
    NAME = "name"
    PASSWORD = "password"
    DONE = "done"


class LoginServer:
    """LOGIN's server side: `step` gives a challenge until it gives the claim."""

    def __init__(self) -> None:
        self.state = LoginState.NAME
        self._user = b""

    def step(self, response: bytes | None) -> bytes | Claim:
        """response: None only at the start, without an initial response. Raises SaslFault."""
        if response is None:
            if self.state is not LoginState.NAME:
                raise SaslFault(Fault.OUT_OF_TURN)
            return b"Username:"
        if len(response) > MOST_OCTETS:
            raise SaslFault(Fault.TOO_LONG)
        if self.state is LoginState.NAME:
            if not response or b"\0" in response:
                raise SaslFault(Fault.INVALID_ENCODING)
            _check_utf8(response)
            self._user, self.state = response, LoginState.PASSWORD
            return b"Password:"
        if self.state is LoginState.PASSWORD:
            if b"\0" in response:
                raise SaslFault(Fault.INVALID_ENCODING)
            self.state = LoginState.DONE
            return Claim(b"", self._user, response)
        raise SaslFault(Fault.OUT_OF_TURN)
