"""The SASL mechanisms joined to the accounts: `accounts.login.SaslExchange` for each.

Owns: which message of a mechanism leads to which question to the authenticator. The mechanisms themselves are
pure machines in `sasl`; the checks and their order are `accounts.authenticate`'s. Must not know: base64, tags.
"""

from __future__ import annotations

import base64
from typing import Protocol

from ..clock import Random
from ..sasl.errors import Fault, SaslFault
from ..sasl.plain import Claim, LoginServer, parse_plain
from ..sasl.saslprep import BadString, saslprep
from ..sasl.scram import MECHANISM, MECHANISM_PLUS, ClientFirst, Verifier
from ..sasl.scram_server import ScramServer, State, false_salt
from ..store.directory import Directory, Login
from ..store.errors import StoreRefusal
from .attempt import Attempt, acting_as, attempt
from .login import Admitted, LoginRefused, LoginUnavailable, Peer

NONCE_OCTETS = 18
FALSE_SALT_SECRET = "scram-salt"
FALSE_SALT_OCTETS = 16
FALSE_ITERATIONS = 4096
"""As `accounts.admin` gives them to real accounts, or the false ones would stand out."""


class Checks(Protocol):
    """What an exchange asks of the authenticator (see `LocalAuthenticator`)."""

    async def check_password(self, claim: Attempt, password: bytes) -> Admitted: ...
    async def admit(self, claim: Attempt) -> None: ...
    async def look_up(self, claim: Attempt) -> Login | None: ...
    async def accept(self, claim: Attempt, login: Login, number: int) -> Admitted: ...
    async def refused(self, claim: Attempt, reason: str) -> LoginRefused: ...


class PlainExchange:
    """PLAIN: one message."""

    def __init__(self, checks: Checks, peer: Peer) -> None:
        self._checks = checks
        self._peer = peer

    async def step(self, response: bytes | None) -> bytes | Admitted:
        if response is None:
            return b""
        try:
            claim = parse_plain(response)
        except SaslFault as fault:
            raise await self._checks.refused(attempt(b"", "PLAIN", self._peer), fault.fault.value) from fault
        return await _check_claim(self._checks, claim, "PLAIN", self._peer)


class LoginExchange:
    """LOGIN: two questions."""

    def __init__(self, checks: Checks, peer: Peer) -> None:
        self._checks = checks
        self._peer = peer
        self._server = LoginServer()

    async def step(self, response: bytes | None) -> bytes | Admitted:
        try:
            answer = self._server.step(response)
        except SaslFault as fault:
            raise await self._checks.refused(attempt(b"", "LOGIN", self._peer), fault.fault.value) from fault
        if isinstance(answer, Claim):
            return await _check_claim(self._checks, answer, "LOGIN", self._peer)
        return answer


async def _check_claim(checks: Checks, claim: Claim, mechanism: str, peer: Peer) -> Admitted:
    who = acting_as(claim.authzid.decode("utf-8"), attempt(claim.user, mechanism, peer))
    return await checks.check_password(who, claim.password)


class ScramExchange:
    """SCRAM-SHA-256 and -PLUS. A name without verifiers is led to the end by a false salt and no keys."""

    def __init__(self, checks: Checks, directory: Directory, random: Random, peer: Peer, *, plus: bool) -> None:
        nonce = base64.b64encode(random(NONCE_OCTETS)).decode("ascii")
        self._checks = checks
        self._directory = directory
        self._peer = peer
        self._mechanism = MECHANISM_PLUS if plus else MECHANISM
        self._server = ScramServer(plus=plus, binding=peer.channel_binding, nonce=nonce)
        self._who = attempt(b"", self._mechanism, peer)
        self._admitted: Admitted | None = None

    async def step(self, response: bytes | None) -> bytes | Admitted:
        if response is None:
            if self._server.state is State.FIRST:
                return b""
            response = b""
        try:
            if self._server.state is State.FIRST:
                return await self._first(self._server.first(response))
            if self._admitted is not None:
                return await self._end(response)
            return await self._final(response)
        except SaslFault as fault:
            raise await self._checks.refused(self._who, fault.fault.value) from fault

    async def _first(self, first: ClientFirst) -> bytes:
        self._who = await self._meant(first)
        await self._checks.admit(self._who)
        login = await self._checks.look_up(self._who)
        false = await self._false_salt()  # computed for every name: the way is the same
        if login is None or not any(c.scram for c in login.credentials):
            return self._server.challenge(false, FALSE_ITERATIONS)
        return self._server.challenge(login.salt, login.iterations)

    async def _meant(self, first: ClientFirst) -> Attempt:
        """Whose name it is: as it came, as PLAIN takes it, else as SASLprep makes it (RFC 5802 5.1).

        The other way round nobody would come to an address that SASLprep refuses, as one whose name is written from
        right to left and whose domain is not, or changes.
        """
        claim = self._claim(first.user, first)
        try:
            prepared = saslprep(first.user)
        except BadString:
            return claim
        if prepared == first.user or await self._checks.look_up(claim) is not None:
            return claim
        return self._claim(prepared, first)

    def _claim(self, name: str, first: ClientFirst) -> Attempt:
        return acting_as(first.authzid, attempt(name.encode("utf-8"), self._mechanism, self._peer))

    async def _false_salt(self) -> bytes:
        try:
            secret = await self._directory.secret(FALSE_SALT_SECRET)
        except StoreRefusal as error:
            raise LoginUnavailable("The directory cannot be read.", "Try again in a moment.") from error
        return false_salt(secret, self._who.folded, FALSE_SALT_OCTETS)

    async def _final(self, message: bytes) -> bytes:
        login = await self._checks.look_up(self._who)  # anew: the client may have taken minutes
        credentials = login.credentials if login is not None else ()
        kept = [(c, Verifier(c.scram.stored_key, c.scram.server_key)) for c in credentials if c.scram is not None]
        index, server_final = self._server.final(message, [keys for _, keys in kept])
        assert login is not None  # there was a verifier
        self._admitted = await self._checks.accept(self._who, login, kept[index][0].number)
        return server_final

    async def _end(self, response: bytes) -> Admitted:
        """The client has taken the server's signature and has nothing to add (RFC 4422 3.6)."""
        admitted, self._admitted = self._admitted, None
        if response or admitted is None:
            raise SaslFault(Fault.OUT_OF_TURN)
        login = await self._checks.look_up(self._who)
        if login is None or admitted.opener is None or not login.lets_go_on(admitted.opener):
            raise await self._checks.refused(self._who, "closed meanwhile")
        return admitted
