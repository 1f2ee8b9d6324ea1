"""Who is it: checking proofs of identity, slowing guessers, remembering proofs.

Owns: what protocol sessions call; `accounts.authenticate` stands behind it and keeps these promises: one Argon2id
computation a core at a time with a bounded queue; unknown accounts cost the same time as wrong passwords;
after a first full check of a password a login costs well under a millisecond (a bounded cache of proofs whose
key holds account, credential version and a keyed digest of the password); failures slow down the (address,
account) pair, not the neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..errors import Refusal
from ..store.directory import Account, Opener


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks, and how. protocol: "imap", "pop3", "submission". address: without port."""

    protocol: str
    address: str
    loopback: bool
    secure: bool
    channel_binding: bytes | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who has proved who he is, and by which of his credentials: a session ends with what opened it."""

    account: Account
    opener: Opener | None = None


class LoginRefused(Refusal):
    """Wrong name or password, wrong protocol for an app password: all look the same to the peer.

    RFC 5530 AUTHENTICATIONFAILED; POP3 [AUTH]. reason: for the log alone. The subclasses are told to nobody but who
    has proved that he holds the right secret.
    """

    code = "AUTHENTICATION-FAILED"
    said = "Authentication failed."
    advice = ""

    def __init__(self, reason: str) -> None:
        super().__init__(self.said, self.advice)
        self.reason = reason


class AuthorizationRefused(LoginRefused):
    """The secret was right, but its holder may not act as whom he asked to (RFC 5530 AUTHORIZATIONFAILED)."""

    code = "AUTHORIZATION-FAILED"
    said = "You may act for yourself alone."


class SecretExpired(LoginRefused):
    """The secret was right until it expired (RFC 5530 EXPIRED)."""

    code = "SECRET-EXPIRED"
    said = "This password has expired."
    advice = "Get a new one."


class AccountDisabled(LoginRefused):
    """The secret was right, the account is disabled (RFC 5530 CONTACTADMIN)."""

    code = "ACCOUNT-DISABLED"
    said = "This account is disabled."
    advice = "Ask the administrator."


class LoginUnavailable(Refusal):
    """The queue of password checks is full, or the directory cannot be read: try later.

    RFC 5530 UNAVAILABLE; POP3 [SYS/TEMP].
    """

    code = "LOGIN-UNAVAILABLE"
    temporary = True


class PrivacyRequired(Refusal):
    """Plain-text authentication without TLS, not on loopback (RFC 5530 PRIVACYREQUIRED)."""

    code = "PRIVACY-REQUIRED"


class TooManyQuestions(Refusal):
    """Somebody asks for one address after the other that is not here (RFC 5530 LIMIT)."""

    code = "TOO-MANY-QUESTIONS"
    temporary = True


class SaslExchange(Protocol):
    """One AUTHENTICATE exchange, whatever the mechanism: feed responses, send challenges, get who it is.

    `step(response)`: response is the client's decoded message (None where there was no initial response).
    Gives a challenge (octets, to be base64-coded by the protocol) while more is needed, and Admitted once
    done. A mechanism whose last server message must reach the client (SCRAM's server-final) sends it as a
    challenge and takes the client's empty answer as the last step. Raises LoginRefused, LoginUnavailable.
    """

    async def step(self, response: bytes | None) -> bytes | Admitted: ...


class Authenticator(Protocol):
    """Checks proofs of identity for every protocol."""

    def mechanisms(self, peer: Peer) -> tuple[str, ...]:
        """SASL names to announce to this peer, strongest first; PLAIN and LOGIN only where plain text is
        allowed (TLS or loopback), -PLUS only with a channel binding."""
        ...

    def plain_allowed(self, peer: Peer) -> bool:
        """Whether LOGIN, USER/PASS, PLAIN may be used (RFC 9051 LOGINDISABLED otherwise)."""
        ...

    def start(self, mechanism: str, peer: Peer) -> SaslExchange:
        """Raises Refusal for a mechanism not announced to this peer."""
        ...

    async def password(self, user: bytes, password: bytes, peer: Peer) -> Admitted:
        """LOGIN and USER/PASS. Raises PrivacyRequired, LoginRefused, LoginUnavailable.

        Waits out the guesser's delay before it raises. Demo accounts are refused to any peer but loopback.
        """
        ...

    async def may_ask(self, account: Account) -> None:
        """Before somebody who is logged in is told whether an address is here: waits while he has asked for many that
        are not. Raises TooManyQuestions."""
        ...

    async def asked_in_vain(self, account: Account) -> None:
        """He has asked for an address that is not here: counts it, and waits before he is told."""
        ...
