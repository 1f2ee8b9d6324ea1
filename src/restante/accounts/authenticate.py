"""Local accounts behind `accounts.login.Authenticator`: the directory, the checks, and the order they come in.

Owns: the way of one login: may plain text be used, must the peer wait, what does the directory hold now, is the
proof remembered, else one costly check (or, for a name without a password, the pretence of one), and only then
whether the account is enabled, the secret still good, the protocol allowed, the demo account asked for from
loopback. To who does not hold the right secret all refusals look the same and take the same time; who does is told
that it has expired, or whom to ask. The log has every reason. Must not know: protocols' responses, SQL.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from ..clock import Clock, Random
from ..config.model import AuthTable
from ..errors import Refusal
from ..sasl.saslprep import prepare_password
from ..sasl.scram import MECHANISM, MECHANISM_PLUS
from ..store.directory import Account, Credential, Directory, DirectoryRefusal, Login, fold_address
from ..store.errors import StoreRefusal
from .attempt import Attempt, attempt
from .exchanges import LoginExchange, PlainExchange, ScramExchange
from .guesses import GuessTable
from .login import (
    AccountDisabled,
    Admitted,
    AuthorizationRefused,
    LoginRefused,
    LoginUnavailable,
    Peer,
    PrivacyRequired,
    SaslExchange,
    SecretExpired,
    TooManyQuestions,
)
from .passwords import PasswordChecker, is_app_password, is_outdated
from .proofs import ProofCache, ProofTable
from .throttle import Pair, Throttle

Log = Callable[[str, Mapping[str, object]], None]
"""log(event, fields): "login", "login-failed" (with a reason) or "rehash-failed"; account, address, protocol,
mechanism; never a password."""

Sleep = Callable[[float], Awaitable[None]]

MOST_PASSWORD = 1024
"""Octets of a password that is looked at; a longer one is wrong."""


class UnknownMechanism(Refusal):
    """A SASL mechanism that was not announced to this peer."""

    code = "UNKNOWN-MECHANISM"


def _questions(account: Account) -> Pair:
    """What an account's questions are counted under: no network is called so."""
    return "questions", fold_address(account.address)


class LocalAuthenticator:
    """Implements `accounts.login.Authenticator`. One a process; `close` it at the end.

    sleep: how the guesser's delay passes; tests give their own. guesses: the table that all workers share, closed
    with this; secret: random octets that they share, so that a wrong password repeated at another worker is known;
    proofs: the table that they share of right ones.
    """

    def __init__(
        self,
        directory: Directory,
        table: AuthTable,
        clock: Clock,
        random: Random,
        log: Log,
        *,
        sleep: Sleep = asyncio.sleep,
        guesses: GuessTable | None = None,
        secret: bytes = b"",
        proofs: ProofTable | None = None,
    ) -> None:
        self.checker = PasswordChecker(table, random)
        self._directory = directory
        self._table = table
        self._clock = clock
        self._random = random
        self._log = log
        self._sleep = sleep
        self._key = secret or random(32)
        self._throttle = Throttle(clock, table.delay_first, table.delay_most, guesses or GuessTable(random))
        self._proofs = ProofCache(clock, proofs or ProofTable(random, table.cache), table.cache_time)

    def close(self) -> None:
        """Let the checking thread and the table of guesses go."""
        self.checker.close()
        self._throttle.close()

    def plain_allowed(self, peer: Peer) -> bool:
        """On TLS or from this machine."""
        return peer.secure or peer.loopback

    def mechanisms(self, peer: Peer) -> tuple[str, ...]:
        """Strongest first. SCRAM only while somebody keeps a verifier: clients prefer it and then fail."""
        names: list[str] = []
        if self._scram_is_kept():
            names += [MECHANISM_PLUS, MECHANISM] if peer.channel_binding is not None else [MECHANISM]
        if self.plain_allowed(peer):
            names += ["PLAIN", "LOGIN"]
        return tuple(names)

    def _scram_is_kept(self) -> bool:
        try:
            return self._directory.has_scram()
        except StoreRefusal:
            return False  # a greeting goes out all the same; the login will say that the directory fails

    def start(self, mechanism: str, peer: Peer) -> SaslExchange:
        """Raises PrivacyRequired, UnknownMechanism."""
        name = mechanism.upper()
        if name in ("PLAIN", "LOGIN") and not self.plain_allowed(peer):
            raise PrivacyRequired("This needs TLS.", "Turn on TLS in your mail program.")
        if name not in self.mechanisms(peer):
            raise UnknownMechanism("This authentication mechanism is not offered.")
        if name == "PLAIN":
            return PlainExchange(self, peer)
        if name == "LOGIN":
            return LoginExchange(self, peer)
        return ScramExchange(self, self._directory, self._random, peer, plus=name == MECHANISM_PLUS)

    async def password(self, user: bytes, password: bytes, peer: Peer) -> Admitted:
        """Raises PrivacyRequired, LoginRefused after the guesser's delay, LoginUnavailable."""
        if not self.plain_allowed(peer):
            raise PrivacyRequired("This needs TLS.", "Turn on TLS in your mail program.")
        return await self.check_password(attempt(user, "password", peer), password)

    async def check_password(self, claim: Attempt, password: bytes) -> Admitted:
        """Whose account it is, if the password is one of its own. Raises as `password`."""
        await self.admit(claim)
        began = self._clock.monotonic()
        given = password[: MOST_PASSWORD + 1]
        prepared = prepare_password(given)
        try:
            login = await self.look_up(claim)
            number = await self._match(login, prepared, given, claim.pair[0])
        except LoginUnavailable:
            await self._sleep(self._table.delay_first)  # answered at once it would be asked, and logged, without end
            raise
        if login is None or number is None or len(password) > MOST_PASSWORD:
            tried = hmac.digest(self._key, prepared, "sha256")[:8]
            reason = "unknown account" if login is None else "wrong password"
            raise await self.refused(claim, reason, tried, spent=self._clock.monotonic() - began)
        return await self.accept(claim, login, number)

    async def admit(self, claim: Attempt) -> None:
        """Wait the guesser's turn. Raises LoginRefused, unchecked, where too many of his wait."""
        wait = self._throttle.admit(claim.pair)
        if wait is None:
            raise await self.refused(claim, "too many failures")
        if wait:
            await self._sleep(wait)

    async def may_ask(self, account: Account) -> None:
        """Raises TooManyQuestions."""
        wait = self._throttle.admit(_questions(account))
        if wait is None:
            raise TooManyQuestions("You have asked for many addresses that are not here.", "Try again in a minute.")
        if wait:
            await self._sleep(wait)

    async def asked_in_vain(self, account: Account) -> None:
        """Counted for the account, from wherever it asks, in the table that counts wrong passwords."""
        await self._sleep(self._throttle.failed(_questions(account)))

    async def look_up(self, claim: Attempt) -> Login | None:
        """What the directory holds of the name now. Raises LoginUnavailable where it cannot be read."""
        if not claim.address:
            return None
        try:
            return await self._directory.login(claim.address)
        except StoreRefusal as error:
            raise LoginUnavailable("The directory cannot be read.", "Try again in a moment.") from error

    async def _match(self, login: Login | None, password: bytes, given: bytes, network: str) -> int | None:
        """The number of the credential that fits, after one costly check or none. The same cost for every failure.

        password: prepared. given: as it came; where that is something else, both are checked.
        """
        forms = tuple(dict.fromkeys((password, given)))
        if login is None:
            await self._pretend(forms, network)
            return None
        account = login.account
        proof = self._proofs.find(account.id, account.credential_version, password)
        if proof is not None:
            return proof.number
        found = await self._fitting(login.credentials, forms, network)
        if found is None:
            return None
        self._proofs.keep(account.id, account.credential_version, password, found.number)
        if found.kind == "password" and is_outdated(found.hash, self._table):
            await self._rehash(account, found, password, network)
        return found.number

    async def _fitting(
        self, credentials: tuple[Credential, ...], forms: tuple[bytes, ...], network: str
    ) -> Credential | None:
        for credential in credentials:
            if credential.kind == "app" and is_app_password(forms[0], credential.hash):
                return credential
        main = next((c for c in credentials if c.kind == "password"), None)
        if main is None:
            await self._pretend(forms, network)
            return None
        for form in forms:  # most other servers hashed what came
            if await self.checker.verify(form, main.hash, network):
                return main
        if is_outdated(main.hash, self._table):
            await self._pretend(forms, network)  # a cheaper hash must not answer sooner than an unknown name
        return None

    async def _pretend(self, forms: tuple[bytes, ...], network: str) -> None:
        for form in forms:
            await self.checker.pretend(form, network)

    async def _rehash(self, account: Account, credential: Credential, password: bytes, network: str) -> None:
        """Keep the password at today's cost. Not where it was changed meanwhile; a failure waits for the next login."""
        try:
            hash = await self.checker.hash(password, network)
            await self._directory.put_credential(
                account.id, replace(credential, hash=hash), if_version=account.credential_version
            )
        except (LoginUnavailable, DirectoryRefusal, StoreRefusal) as error:
            self._log("rehash-failed", {"account": account.address, "reason": error.text})

    async def accept(self, claim: Attempt, login: Login, number: int) -> Admitted:
        """The proof of credential `number` was right: is it allowed here?

        Raises LoginRefused, or one of its subclasses: here alone, since here alone the secret is known to be right.
        """
        account = login.account
        credential = next(each for each in login.credentials if each.number == number)
        if account.demo and not claim.peer.loopback:  # its password is known to all: it proves nothing
            raise await self.refused(claim, "demo account from elsewhere")
        if credential.expires is not None and credential.expires <= self._clock.now():
            raise await self.refused(claim, "app password expired", kind=SecretExpired)
        if credential.protocols and claim.peer.protocol not in credential.protocols:
            raise await self.refused(claim, "app password for another protocol")
        if not account.enabled:
            raise await self.refused(claim, "account disabled", kind=AccountDisabled)
        if not claim.for_itself:
            raise await self.refused(claim, "acting for another", kind=AuthorizationRefused)
        # Behind the answer: nothing that this login is told, or may do, depends on it.
        asyncio.get_running_loop().call_soon(self._throttle.succeeded, claim.pair)
        await self._directory.touch_credential(account.id, number, int(self._clock.now()))
        self._log("login", claim.fields(account=account.address, credential=number))
        return Admitted(account, credential.opener)

    async def refused(
        self,
        claim: Attempt,
        reason: str,
        tried: bytes = b"",
        *,
        kind: type[LoginRefused] = LoginRefused,
        spent: float = 0.0,
    ) -> LoginRefused:
        """Count and log a failure and wait the delay of its answer; gives what to raise. tried, spent: see Throttle.

        Who held the right secret (the subclasses of LoginRefused) has not guessed: he waits, and is not counted.
        """
        delay = self._throttle.failed(claim.pair, tried, spent) if kind is LoginRefused else self._table.delay_first
        self._log("login-failed", claim.fields(reason=reason))
        await self._sleep(delay)
        return kind(reason)
