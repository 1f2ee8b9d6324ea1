"""Getting into a submission server: which mechanism, and its exchange (RFC 4954). Sans-IO: one `Exchange` a login.

A password is proved by SCRAM-SHA-256 where the server has it, else told by PLAIN or LOGIN, which need TLS or a server
that was configured without it. A token goes by OAUTHBEARER, else XOAUTH2. One attempt: a second one with the same
wrong password would only help to lock the account.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Generator

from ...clock import Random
from ...errors import Refusal
from ...sasl.bearer import GIVE_UP, oauthbearer_message, xoauth2_message
from ...sasl.errors import SaslFault
from ...sasl.plain import plain_message
from ...sasl.scram import MECHANISM as SCRAM
from ...sasl.scram_client import ScramClient
from ..secrets import Kind

Exchange = Generator[bytes, bytes, None]
"""Yields responses, the initial one first; is sent what each challenge holds."""

PASSWORDS = (SCRAM, "PLAIN", "LOGIN")
PROOFS = {SCRAM: 2}
"""Challenges after which alone a success may come: the server's proof is in the last."""
AFTER_FAILURE = {"OAUTHBEARER": GIVE_UP, "XOAUTH2": b""}
"""The response to a challenge that says why a token is refused."""
TOKENS = ("OAUTHBEARER", "XOAUTH2")


class LoginRefused(Refusal):
    """The server does not take user and password (or token), or has no way of login that we have."""

    code = "LOGIN-REFUSED"


def choose(kind: Kind, offered: frozenset[str]) -> str:
    """The mechanism to use. Raises LoginRefused."""
    known = TOKENS if kind is Kind.TOKEN else PASSWORDS
    for each in known:
        if each in offered:
            return each
    what = "an access token" if kind is Kind.TOKEN else "a password"
    said = ", ".join(sorted(offered)) or "none"
    raise LoginRefused(f"The server has no way to log in by {what} (it offers: {said[:200]}).")


def begin(mechanism: str, user: str, secret: str, host: str, port: int, random: Random) -> Exchange:
    """The exchange of a mechanism. Raises LoginRefused for a secret that it cannot carry."""
    if mechanism == SCRAM:
        return _scram(user, secret, base64.b64encode(random(18)).decode("ascii"))
    if mechanism == "LOGIN":
        return _login(user, secret)
    messages: dict[str, Callable[[], bytes]] = {
        "PLAIN": lambda: plain_message(user, secret),
        "OAUTHBEARER": lambda: oauthbearer_message(user, secret, host, port),
        "XOAUTH2": lambda: xoauth2_message(user, secret),
    }
    try:
        return _single(messages[mechanism](), AFTER_FAILURE.get(mechanism))
    except ValueError as error:
        raise LoginRefused(f"{mechanism} cannot carry this name or secret.") from error


def challenge(lines: tuple[str, ...]) -> bytes:
    """What a 334 reply holds. Raises LoginRefused for what is no base64."""
    text = lines[0] if lines else ""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise LoginRefused("The server's challenge cannot be read.") from error


def _single(message: bytes, after_failure: bytes | None) -> Exchange:
    yield message
    if after_failure is None:
        raise LoginRefused("The server asks for more than the mechanism has.")
    yield after_failure


def _login(user: str, password: str) -> Exchange:
    # Without an initial response, which not every server takes with LOGIN: the first challenge asks for the name.
    yield b""
    yield user.encode("utf-8")
    yield password.encode("utf-8")


def _scram(user: str, password: str, nonce: str) -> Exchange:
    client = ScramClient(user, password, nonce)
    try:
        first = yield client.first()
        final = yield client.final(first)
        client.verify(final)
    except SaslFault as error:
        raise LoginRefused(f"The server did not prove itself ({error.fault.value}).") from error
    yield b""
