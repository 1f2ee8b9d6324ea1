"""What an administrator does to domains, accounts, aliases and credentials: the rules, and clear refusals.

Owns: which change is allowed, what a new account comes with, how a secret is turned into what is kept. The
command line, the demo and the tests call it; it prints nothing and asks nothing. Must not know: SQL, protocols.

A SCRAM verifier is kept where the configuration, the domain or the account asks for it, and made when a password
is set, since it cannot be made from a hash later.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum

from ..clock import Clock, Random
from ..config.model import Config
from ..errors import Refusal
from ..sasl.saslprep import BadString, saslprep
from ..sasl.scram import verifier
from ..store.directory import (
    Account,
    AccountSettings,
    Alias,
    Credential,
    Domain,
    Exists,
    Login,
    NotFound,
    Scram,
    fold_address,
)
from ..store.errors import StoreRefusal
from ..store.interface import Engine
from ..store.model import INBOX
from ..store.rights import NEGATIVE
from .address import Address, BadAddress, normalise_address, normalise_domain
from .imported_hashes import normal_form
from .passwords import hash_app_password, hash_password, new_app_password

SCRAM_SALT_OCTETS = 16
SCRAM_ITERATIONS = 4096
"""RFC 7677 4's least, which every client accepts. The verifier's real shield is that few keep one."""

MOST_PASSWORD = 1024
MOST_LABEL = 100
PROTOCOLS = frozenset({"imap", "pop3", "submission"})
POP3_DELETES = frozenset({"remove", "trash", "keep"})


class Unchanged(Enum):
    """Stands for "as it is" where None means something."""

    YES = "unchanged"


class BadPassword(Refusal):
    code = "BAD-PASSWORD"


class BadSetting(Refusal):
    code = "BAD-SETTING"


class Admin:
    """Operations on one installation. scram_iterations: for verifiers made from now on."""

    def __init__(
        self,
        engine: Engine,
        config: Config,
        clock: Clock,
        random: Random,
        *,
        scram_iterations: int = SCRAM_ITERATIONS,
    ) -> None:
        self._engine = engine
        self._directory = engine.directory
        self._config = config
        self._clock = clock
        self._random = random
        self._scram_iterations = scram_iterations

    def _now(self) -> int:
        return int(self._clock.now())

    # Domains ---------------------------------------------------------------------------------------

    async def add_domain(self, name: str, *, catch_all: str | None = None, scram: bool = False) -> Domain:
        """catch_all: an address of this installation that takes what nobody else here takes; may be made later.

        Raises BadAddress, Exists, NotFound for the catch-all's domain.
        """
        domain = normalise_domain(name)
        new = Domain(domain, await self._catch_all(catch_all, domain), scram, self._now())
        await self._directory.add_domain(new)
        return new

    async def set_domain(
        self, name: str, *, catch_all: str | Unchanged | None = Unchanged.YES, scram: bool | None = None
    ) -> Domain:
        """Change what is given. catch_all: an address as for `add_domain`, None for no catch-all. scram: whether
        passwords set from now on keep a verifier; verifiers that are there stay until their password is changed.

        Raises BadAddress, NotFound for the domain or the catch-all's.
        """
        domain = await self.domain(name)
        wanted = catch_all if isinstance(catch_all, Unchanged) else await self._catch_all(catch_all, domain.name)

        def change(there: Domain) -> Domain:
            return replace(
                there,
                catch_all=there.catch_all if isinstance(wanted, Unchanged) else wanted,
                scram=there.scram if scram is None else scram,
            )

        return await self._directory.update_domain(domain.name, change)

    async def _catch_all(self, address: str | None, domain: str) -> str | None:
        """The catch-all of `domain`, normalised: in this domain or another of this installation."""
        if address is None:
            return None
        parsed = normalise_address(address)
        if parsed.domain != domain:
            await self._local_domain(parsed.domain)
        return parsed.address

    async def remove_domain(self, name: str) -> None:
        """Raises BadAddress, NotFound, DirectoryRefusal while accounts or aliases are in it."""
        await self._directory.remove_domain(normalise_domain(name))

    async def domain(self, name: str) -> Domain:
        """Raises BadAddress, NotFound."""
        return await self._local_domain(normalise_domain(name))

    async def domains(self) -> list[Domain]:
        """By name."""
        return await self._directory.domains()

    async def _local_domain(self, name: str) -> Domain:
        domain = await self._directory.domain(name)
        if domain is None:
            remedy = f"Add it with 'restante domain add {name}'. What there is: 'restante domain list'."
            raise NotFound(f"There is no domain {name} here.", remedy)
        return domain

    # Accounts --------------------------------------------------------------------------------------

    async def check_new(self, address: str) -> None:
        """Whether an account of this address may be added. Raises BadAddress, Exists, NotFound for the domain."""
        parsed = _new_account(address)
        await self._local_domain(parsed.domain)
        await self._check_free(parsed.address)

    async def add_account(
        self,
        address: str,
        password: str | None = None,
        *,
        hash: str | None = None,
        quota: int | None = None,
        quota_messages: int | None = None,
        quota_mailboxes: int | None = None,
        mailboxes: bool = True,
        demo: bool = False,
        settings: AccountSettings | None = None,
    ) -> Account:
        """Make an account with its store; with `mailboxes`, those of the configuration, subscribed, with their roles.

        The account exists for others once its store is complete. password: None leaves it without one.
        hash: see `set_hash`, instead of a password.
        Raises BadAddress, BadPassword, BadSetting, Exists, NotFound for the domain, and what the store refuses.
        """
        parsed = _new_account(address)
        if password is not None:
            check_password(password)
        if hash is not None:
            check_hash(hash)
        settings = settings or AccountSettings()
        _check_settings(settings)
        for limit in (quota, quota_messages, quota_mailboxes):
            _check_quota(limit)
        await self._local_domain(parsed.domain)
        await self._check_free(parsed.address)
        account = Account(
            self._new_id(),
            parsed.address,
            parsed.domain,
            True,
            quota,
            settings,
            demo,
            self._now(),
            credential_version=1,
            quota_messages=quota_messages,
            quota_mailboxes=quota_mailboxes,
        )
        await self._engine.create_account(account.id)
        try:
            await self._make_mailboxes(account.id, self._config.accounts.mailboxes if mailboxes else {})
            await self._directory.add_account(account)
            if password is not None:
                await self.set_password(account.address, password)
            elif hash is not None:
                await self.set_hash(account.address, hash)
        except Refusal:
            await self._take_back(account)
            raise
        return await self.account(account.address)

    async def _take_back(self, account: Account) -> None:
        """An account that could not be made whole goes again: nobody has used it."""
        try:
            await self._directory.remove_account(account.id)
        except NotFound:
            pass  # it had not come so far
        await self._engine.delete_account(account.id)

    def _new_id(self) -> str:
        """26 base32 letters of 128 random bits: valid as a file's name on every system."""
        return base64.b32encode(self._random(16)).decode("ascii").rstrip("=").lower()

    async def _check_free(self, address: str) -> None:
        if await self._directory.account(address) is not None:
            raise Exists(f"The account {address} is there already.")
        if await self._directory.alias(address) is not None:
            raise Exists(f"{address} is an alias.", "Remove the alias first.")

    async def _make_mailboxes(self, id: str, mailboxes: dict[str, str]) -> None:
        store = self._engine.account(id)
        await store.subscribe(INBOX, True)
        for name, role in mailboxes.items():
            await store.create_mailbox(name, role or None)
            await store.subscribe(name, True)

    async def account(self, address: str) -> Account:
        """Raises BadAddress, NotFound."""
        account = await self._directory.account(normalise_address(address).address)
        if account is None:
            raise NotFound(f"There is no account {address}.", "List them with 'restante account list'.")
        return account

    async def accounts(self) -> list[Account]:
        """All, by address."""
        found: list[Account] = []
        while page := await self._directory.accounts(found[-1].address if found else ""):
            found += page
        return found

    async def enable(self, address: str) -> None:
        await self._directory.update_account((await self.account(address)).id, enabled=True)

    async def disable(self, address: str) -> None:
        """Refuse its logins from now on, and end what is logged in within seconds. Its mail stays."""
        await self._directory.update_account((await self.account(address)).id, enabled=False)

    async def set_quota(
        self,
        address: str,
        quota: int | Unchanged | None,
        messages: int | Unchanged | None = None,
        mailboxes: int | Unchanged | None = None,
    ) -> None:
        """quota, messages, mailboxes: octets and counts, 0 for no limit, None for the configured default.

        They hold from the next command of any session on. Raises BadSetting for a negative one.
        """
        wanted = [
            None if isinstance(limit, Unchanged) else _kept_quota(limit) for limit in (quota, messages, mailboxes)
        ]
        await self._directory.update_account(
            (await self.account(address)).id, quota=wanted[0], quota_messages=wanted[1], quota_mailboxes=wanted[2]
        )

    async def set_settings(
        self, address: str, settings: AccountSettings | Callable[[AccountSettings], AccountSettings]
    ) -> None:
        """settings: all of them, or what makes them of those that stand then. Raises BadSetting."""

        def checked(there: AccountSettings) -> AccountSettings:
            wanted = settings if isinstance(settings, AccountSettings) else settings(there)
            _check_settings(wanted)
            return wanted

        await self._directory.update_account((await self.account(address)).id, settings=checked)

    async def remove_account(self, address: str) -> None:
        """Remove the account and all its mail, for good. First its name, so that nobody comes in meanwhile.

        What others shared with it is taken back from their lists; what a crash leaves there is of no use to anybody,
        since ids do not come back.
        """
        account = await self.account(address)
        owners: list[Account] = []
        while page := await self._directory.sharing((account.id,), owners[-1].address if owners else ""):
            owners += page
        await self._directory.remove_account(account.id)
        await self._engine.delete_account(account.id)
        for owner in owners:
            if owner.id == account.id:
                continue
            try:
                await self._engine.account(owner.id, session="administration").forget_person(account.id)
            except StoreRefusal:
                pass  # his file cannot be written now; what stays in it opens nothing, and doctor names it

    # Aliases ---------------------------------------------------------------------------------------

    async def put_alias(self, address: str, targets: Sequence[str]) -> Alias:
        """Add or replace. targets: addresses of accounts or aliases here.

        Raises BadAddress, BadSetting (no target, the alias itself, aliases that lead back to it, or an address
        elsewhere), NotFound, Exists.
        """
        parsed = normalise_address(address)
        wanted = tuple(dict.fromkeys(normalise_address(target).address for target in targets))
        if not wanted:
            raise BadSetting("An alias needs at least one target.")
        for target in wanted:
            await self._check_target(parsed.address, target)
        alias = Alias(parsed.address, wanted, self._now())
        await self._directory.put_alias(alias, lambda there: _check_circle(alias, there))
        return alias

    async def _check_target(self, alias: str, target: str) -> None:
        if fold_address(alias) == fold_address(target):
            raise BadSetting("An alias cannot be its own target.")
        if await self._directory.account(target) is None and await self._directory.alias(target) is None:
            domain = target.rpartition("@")[2]
            if await self._directory.domain(domain) is None:
                raise BadSetting(
                    f"{target} is an address elsewhere ({domain} is no domain of this installation), and an alias"
                    " leads to accounts and aliases here alone.",
                    "Forwarding to other systems needs an outbound queue, which is not there yet: let the MTA in"
                    " front forward this address.",
                )
            raise NotFound(
                f"There is no account or alias {target} here.", f"Add it with 'restante account add {target}'."
            )

    async def leading_to(self, address: str) -> list[str]:
        """Aliases, and domains by their catch-all, that name an address. Such are left where an account is removed."""
        key = fold_address(normalise_address(address).address)
        aliases = [one.address for one in await self._directory.aliases() if key in map(fold_address, one.targets)]
        domains = await self._directory.domains()
        return aliases + [one.name for one in domains if one.catch_all and fold_address(one.catch_all) == key]

    async def alias(self, address: str) -> Alias:
        """Raises BadAddress, NotFound."""
        wanted = normalise_address(address).address
        alias = await self._directory.alias(wanted)
        if alias is None:
            raise NotFound(f"There is no alias {wanted}.", "List them with 'restante alias list'.")
        return alias

    async def remove_alias(self, address: str) -> None:
        """Raises NotFound."""
        await self._directory.remove_alias(normalise_address(address).address)

    async def aliases(self) -> list[Alias]:
        """By address."""
        return await self._directory.aliases()

    # Credentials -----------------------------------------------------------------------------------

    async def set_password(self, address: str, password: str) -> None:
        """Set the account's one password; a login with it works at once, with the old one no more.

        Raises BadPassword, NotFound. Costs one Argon2id computation, in a thread.
        """
        prepared = check_password(password)
        login = await self._login(address)
        hash = await asyncio.to_thread(hash_password, prepared, self._config.auth, self._random)
        # All else than the password itself may share the salt with it: then the salt stays.
        shared = any(c.scram for c in login.credentials if c.kind != "password")
        await self._put(
            login, Credential(0, "password", "", hash, created=self._now()), prepared, fresh_salt=not shared
        )

    async def set_hash(self, address: str, hash: str) -> None:
        """Set the account's one password by what another server kept of it (`imported_hashes`).

        The next login with it replaces the hash by Argon2id. No SCRAM verifier can be made of it. Raises BadPassword
        for a hash that is not understood, NotFound.
        """
        kept = check_hash(hash)
        login = await self._login(address)
        await self._directory.put_credential(login.account.id, Credential(0, "password", "", kept, created=self._now()))

    async def add_app_password(
        self, address: str, label: str, protocols: Sequence[str] = (), *, expires: int | None = None
    ) -> tuple[Credential, str]:
        """A new app password and its text, which is shown once and not kept. protocols: empty for all.

        expires: seconds UTC from when on it opens nothing, None for never. Raises BadSetting for an unknown protocol,
        a bad label or an instant that has passed, NotFound.
        """
        label = label.strip()
        if not label or len(label) > MOST_LABEL or not label.isprintable():
            raise BadSetting(f"A label has 1 to {MOST_LABEL} printable characters.", 'For example "phone".')
        unknown = sorted(set(protocols) - PROTOCOLS)
        if unknown:
            raise BadSetting(f"There is no protocol {unknown[0]!r}.", f"Known are {', '.join(sorted(PROTOCOLS))}.")
        if expires is not None and expires <= self._now():
            raise BadSetting("The app password would have expired already.", "Give an instant to come.")
        login = await self._login(address)
        text = new_app_password(self._random)
        credential = Credential(
            0, "app", label, hash_app_password(text), frozenset(protocols), created=self._now(), expires=expires
        )
        kept = any(c.scram for c in login.credentials)
        return await self._put(login, credential, text.encode("ascii"), fresh_salt=not kept), text

    async def app_passwords(self, address: str) -> list[Credential]:
        """By number."""
        return [c for c in (await self._login(address)).credentials if c.kind == "app"]

    async def app_password(self, address: str, number: int) -> Credential:
        """Raises NotFound, also where the number is that of the account's password."""
        found = next((each for each in await self.app_passwords(address) if each.number == number), None)
        if found is None:
            remedy = f"List them with 'restante app-password list {address}'."
            raise NotFound(f"{address} has no app password {number}.", remedy)
        return found

    async def revoke_app_password(self, address: str, number: int) -> None:
        """Raises NotFound, as `app_password`."""
        found = await self.app_password(address, number)
        await self._directory.remove_credential((await self.account(address)).id, found.number)

    async def _login(self, address: str) -> Login:
        login = await self._directory.login(normalise_address(address).address)
        if login is None:
            raise NotFound(f"There is no account {address}.", "List them with 'restante account list'.")
        return login

    async def _put(self, login: Login, credential: Credential, secret: bytes, *, fresh_salt: bool) -> Credential:
        """Keep the credential, with a SCRAM verifier of `secret` (prepared) where one is asked for."""
        id, salt, iterations = login.account.id, login.salt, login.iterations
        if not await self._keeps_scram(login.account):
            number = await self._directory.put_credential(id, credential)
            return replace(credential, number=number)
        if fresh_salt or not salt:
            salt, iterations = self._random(SCRAM_SALT_OCTETS), self._scram_iterations
        keys = await asyncio.to_thread(verifier, secret, salt, iterations)
        credential = replace(credential, scram=Scram(keys.stored_key, keys.server_key))
        number = await self._directory.put_credential(id, credential, salt=salt, iterations=iterations)
        return replace(credential, number=number)

    async def _keeps_scram(self, account: Account) -> bool:
        """The account's choice, else its domain's or the installation's."""
        if account.settings.scram is not None:
            return account.settings.scram
        domain = await self._directory.domain(account.domain)
        return self._config.accounts.scram or (domain is not None and domain.scram)


def _check_circle(alias: Alias, there: Sequence[Alias]) -> None:
    """Mail to aliases that lead back to themselves is refused for good: better said now. there: all that are kept."""
    leads = {fold_address(one.address): one.targets for one in there}
    waiting, seen = list(alias.targets), set[str]()
    while waiting:
        target = waiting.pop()
        key = fold_address(target)
        if key == fold_address(alias.address):
            raise BadSetting(
                f"{alias.address} would lead back to itself.", "List what leads where: 'restante alias list'."
            )
        if key not in seen:
            seen.add(key)
            waiting += leads.get(key, ())


def check_password(password: str) -> bytes:
    """The password as it is hashed. Raises BadPassword: empty, too long, control characters (RFC 4013 2.3)."""
    try:
        prepared = saslprep(password).encode("utf-8")
    except (BadString, UnicodeEncodeError) as error:
        raise BadPassword("The password has a character that cannot be typed everywhere.") from error
    if not prepared:
        raise BadPassword("The password is empty.")
    if len(prepared) > MOST_PASSWORD:
        raise BadPassword(f"The password is longer than {MOST_PASSWORD} octets.")
    return prepared


def check_hash(hash: str) -> str:
    """The hash as it is kept. Raises BadPassword."""
    try:
        return normal_form(hash)
    except ValueError as error:
        raise BadPassword(
            f"The hash cannot be used: {error}.",
            "Known are {ARGON2ID}, {BLF-CRYPT}, {SHA512-CRYPT}, {PBKDF2}, {PBKDF2-SHA256}, {SSHA512}, {SSHA256} and"
            " {SSHA}. Quote it, or the shell takes $ out.",
        ) from error


def _new_account(address: str) -> Address:
    """Where it may be that of a new account. Raises BadAddress."""
    parsed = normalise_address(address)
    if parsed.address.startswith(NEGATIVE):
        raise BadAddress(
            "An account's address cannot begin with a minus: lists of rights take it for rights that are withheld.",
            "Give the account another address, and make this one an alias of it.",
        )  # RFC 4314 2
    return parsed


def _check_quota(quota: int | None) -> None:
    if quota is not None and not 0 <= quota < 1 << 63:
        raise BadSetting("A quota is a size, or 0 for no limit.")


def _kept_quota(quota: int | None) -> int:
    """The limit as the directory takes it. Raises BadSetting."""
    _check_quota(quota)
    return -1 if quota is None else quota


def _check_settings(settings: AccountSettings) -> None:
    if settings.pop3_delete is not None and settings.pop3_delete not in POP3_DELETES:
        raise BadSetting(f"pop3_delete is one of {', '.join(sorted(POP3_DELETES))}.")
    if settings.pop3_leave_days is not None and not -1 <= settings.pop3_leave_days <= 36_500:
        raise BadSetting("pop3_leave_days is a number of days, 0 for at once, -1 for never.")
