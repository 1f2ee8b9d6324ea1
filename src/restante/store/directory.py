"""The directory: domains, accounts, aliases and credentials, of the whole installation.

Values and the interface an engine implements; the rules (who may log in, what an address means) live in the
accounts and delivery rooms. Addresses are stored as given but found without regard to case, domains in
lower-case A-label or U-label form normalised by `accounts.address`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from ..errors import Refusal
from ..values import Value, field
from .fold import fold_address as fold_address
from .journal import DeliveryJournal
from .quota import Quota


class DirectoryRefusal(Refusal):
    code = "DIRECTORY"


class NotFound(DirectoryRefusal):
    code = "NOT-FOUND"


class Exists(DirectoryRefusal):
    code = "EXISTS"


class Domain(Value, frozen=True):
    """name: normalised. catch_all: address that takes mail for unknown names here, or None.

    scram: accounts of this domain keep a SCRAM verifier when their password is set.
    """

    name: str
    catch_all: str | None = None
    scram: bool = False
    created: int = 0


class AccountSettings(Value, frozen=True):
    """An account's choices. None: the server's configuration decides.

    pop3_delete: "remove", "trash" or "keep". pop3_leave_days: leave on server for N days. pop3_seen: RETR
    sets \\Seen. scram: keep a SCRAM verifier.
    """

    pop3_delete: str | None = None
    pop3_leave_days: int | None = None
    pop3_seen: bool | None = None
    scram: bool | None = None


class Account(Value, frozen=True):
    """id: opaque token, names the store; never changes or comes back. address: local@domain as created.

    quota, quota_messages, quota_mailboxes: octets and counts, None for the configured default, 0 for no limit.
    credential_version: grows with every
    change of any credential or of `enabled`, so that caches of proofs keyed by it are right.
    """

    id: str
    address: str
    domain: str
    enabled: bool
    quota: int | None
    settings: AccountSettings
    demo: bool
    created: int
    credential_version: int
    quota_messages: int | None = None
    quota_mailboxes: int | None = None

    def quota_or(self, default: Quota) -> Quota:
        """The account's limits, `default` standing for those that it does not set."""
        return Quota(
            default.storage if self.quota is None else self.quota,
            default.messages if self.quota_messages is None else self.quota_messages,
            default.mailboxes if self.quota_mailboxes is None else self.quota_mailboxes,
        )


class Alias(Value, frozen=True):
    """address: what mail is sent to. targets: addresses it goes to (here; forwarding elsewhere comes later)."""

    address: str
    targets: tuple[str, ...]
    created: int = 0


class Scram(Value, frozen=True):
    """SCRAM-SHA-256 verifier (RFC 5802 3): never the password. Salt and iterations are the account's."""

    stored_key: bytes
    server_key: bytes


class Opener(Value, frozen=True):
    """What a session remembers of the credential that opened it: enough to tell whether it would open it still.

    created: of two secrets that follow each other under one number no two have the same. expires: as the credential's.
    """

    number: int
    created: int
    expires: int | None = None


class Credential(Value, frozen=True):
    """One way to prove who one is.

    number: names it for revoke. kind: "password" (one an account) or "app". hash: PHC string (Argon2id; for
    an app password, whose 128 random bits need no stretching, "$sha256$" and the hex digest of the secret).
    protocols: those it opens ("imap", "pop3", "submission"), empty for all. scram: verifier where kept.
    expires: seconds UTC from when on it opens nothing any more, None for never.
    """

    number: int
    kind: str
    label: str
    hash: str
    protocols: frozenset[str] = field(default_factory=frozenset)
    scram: Scram | None = None
    created: int = 0
    last_used: int | None = None
    expires: int | None = None

    @property
    def opener(self) -> Opener:
        return Opener(self.number, self.created, self.expires)


class Closures(Value, frozen=True):
    """Accounts that were disabled or removed, or whose sessions may have lost what opened them: a credential was
    removed, or its secret replaced. number: what to ask after the next time.

    accounts: ids, those of accounts that are open again by now among them; None where more happened than is kept,
    so that each account of interest has to be looked at.
    """

    number: int
    accounts: tuple[str, ...] | None


class Login(Value, frozen=True):
    """All that a login needs, in one read. salt, iterations: of every SCRAM verifier of the account."""

    account: Account
    salt: bytes
    iterations: int
    credentials: tuple[Credential, ...]

    def lets_go_on(self, opener: Opener) -> bool:
        """Whether a session that `opener` opened may go on, its expiry left aside."""
        return self.account.enabled and opener in (credential.opener for credential in self.credentials)


class Person(Value, frozen=True):
    """An account with all that the directory has of it, for a backup. next_credential: number of the next one."""

    account: Account
    credentials: tuple[Credential, ...]
    salt: bytes
    iterations: int
    next_credential: int


class Common(Value, frozen=True):
    """What belongs to no account, for a backup. secrets: (name, 32 octets). adopted: (MAILBOXID, account id)."""

    domains: tuple[Domain, ...]
    aliases: tuple[Alias, ...]
    secrets: tuple[tuple[str, bytes], ...]
    adopted: tuple[tuple[str, str], ...]


class Directory(Protocol):
    """Every change is durable when the call returns, and seen by every process at its next read."""

    @property
    def deliveries(self) -> DeliveryJournal:
        """Deliveries to several accounts that are under way."""
        ...

    async def domains(self) -> list[Domain]: ...
    async def domain(self, name: str) -> Domain | None: ...
    async def add_domain(self, domain: Domain) -> None:
        """Raises Exists."""
        ...

    async def update_domain(self, name: str, change: Callable[[Domain], Domain]) -> Domain:
        """Give the domain the catch_all and scram that `change` makes of it as it stands then. Raises NotFound, what
        `change` raises."""
        ...

    async def remove_domain(self, name: str) -> None:
        """Raises NotFound; DirectoryRefusal while accounts or aliases are in it."""
        ...

    async def accounts(self, after: str = "", limit: int = 1000) -> list[Account]:
        """In order of address, those after `after`."""
        ...

    async def account(self, address: str) -> Account | None:
        """By address, without regard to case."""
        ...

    async def account_by_id(self, id: str) -> Account | None: ...

    async def add_account(self, account: Account) -> None:
        """Raises Exists (also where an alias has the address), NotFound for its domain."""
        ...

    async def update_account(
        self,
        id: str,
        *,
        enabled: bool | None = None,
        quota: int | None = None,
        quota_messages: int | None = None,
        quota_mailboxes: int | None = None,
        settings: AccountSettings | Callable[[AccountSettings], AccountSettings] | None = None,
    ) -> None:
        """Change what is given; a negative quota of any kind means the configured default again. settings: all of them,
        or what makes them of those that stand then. Raises NotFound, and what `settings` raises."""
        ...

    async def remove_account(self, id: str) -> None:
        """The account, its credentials, the shares it gives and has; aliases that name it keep doing so.

        Raises NotFound.
        """
        ...

    async def closures(self, after: int | None) -> Closures:
        """Whose sessions may have to end since this number, by whatever process; None: nothing, but the number to
        begin with. Asked each second by every worker: a short read."""
        ...

    async def aliases(self) -> list[Alias]: ...
    async def alias(self, address: str) -> Alias | None: ...
    async def put_alias(self, alias: Alias, check: Callable[[list[Alias]], None] | None = None) -> None:
        """Add or replace. check: is given all aliases as they stand then, and raises what forbids it. Raises Exists
        where an account has the address, NotFound for its domain."""
        ...

    async def remove_alias(self, address: str) -> None:
        """Raises NotFound."""
        ...

    async def login(self, address: str) -> Login | None:
        """Account and credentials by address; one read, well under 0.1 ms when warm."""
        ...

    async def sharing(self, identifiers: Sequence[str], after: str = "", limit: int = 1000) -> list[Account]:
        """Accounts that may grant something to one of these identifiers (store.rights), by address, those after
        `after`. May name one too many, never one too few."""
        ...

    async def shares(self, account: str, identifiers: Sequence[str]) -> bool:
        """Whether the account may grant something to one of these identifiers."""
        ...

    async def shares_of(self, account: str) -> list[str]:
        """Identifiers that the account may grant something to, sorted."""
        ...

    async def note_shares(
        self, account: str, identifiers: Sequence[str], granted: Callable[[], Collection[str]] | None = None
    ) -> None:
        """Keep the index of shares true for these identifiers. Called before a list is changed (without `granted`:
        they are added, so that a crash leaves one too many) and again after it.

        granted: tells which identifiers the account's lists name now; called while no other change of the index
        can happen, so that of two who change lists at once the later one puts right what the earlier left.
        """
        ...

    def has_scram(self) -> bool:
        """Whether any credential keeps a SCRAM verifier: only then is SCRAM worth announcing.

        Asked at each greeting: answers at once, and may lag behind another process by some seconds.
        """
        ...

    async def put_credential(
        self,
        account: str,
        credential: Credential,
        *,
        salt: bytes | None = None,
        iterations: int | None = None,
        if_version: int | None = None,
    ) -> int:
        """Add (number 0) or replace (number given; kind "password" replaces the one there). Its number.

        What replaces a credential has another secret, and sessions that the old one opened may go on no more: `created`
        is moved on by a second where it would be the old one's. With `if_version` it is the same secret kept in another
        way, and they go on.

        salt, iterations: set the account's, when its first SCRAM verifier is made; refused (try again) where
        another verifier has been made with others meanwhile. if_version: only while this is the account's
        credential_version (else DirectoryRefusal). Raises NotFound.
        """
        ...

    async def remove_credential(self, account: str, number: int) -> None:
        """Sessions that it opened may go on no more (`closures`). Raises NotFound."""
        ...

    async def touch_credential(self, account: str, number: int, when: int) -> None:
        """Note the last use; may be written behind, does not change credential_version."""
        ...

    async def smallest_leave_days(self, default: int) -> int:
        """The smallest pop3_leave_days of all enabled accounts, `default` standing for those without; 0 for
        "as soon as read", -1 for never."""
        ...

    async def secret(self, name: str) -> bytes:
        """32 random octets of this installation, made at first use (false salts, for one)."""
        ...

    async def claim_mailbox_id(self, id: str, account: str, origin: str) -> bool:
        """Let `account` use a MAILBOXID that an export of the account `origin` (perhaps of another installation)
        brings along; whether it may. Not while `origin` is an account here and another one, whose mailbox may have
        it, nor where a third account has claimed it. A claim ends with its account."""
        ...

    async def persons(self, after: str = "", limit: int = 256) -> list[Person]:
        """Accounts with their credentials, in order of address, those after `after`: for a backup."""
        ...

    async def common(self) -> Common:
        """What belongs to no account: for a backup."""
        ...

    async def put_person(self, person: Person) -> None:
        """Add an account as a backup has it, credentials included, but for a credential_version that it never had.

        Raises Exists (the address or the id is in use), NotFound for its domain.
        """
        ...

    async def fill(self, common: Common, persons: Sequence[Person]) -> None:
        """Make an empty directory what a backup has, all or none. Raises Exists where it is not empty.

        Which accounts share with whom is not among it: see `note_shares`.
        """
        ...

    async def check(self) -> list[str]:
        """What is wrong with what the directory is kept in, a sentence each; none where it is whole. For `restante
        doctor`. Cost: one read of all."""
        ...

    async def log_duplicate(self, account: str, digest: bytes, when: int, email_id: str) -> None:
        """Note a suppressed redelivery, for `restante status` and logs."""
        ...

    async def duplicates(self, limit: int = 100) -> list[tuple[str, int, str]]:
        """(account id, when, email id) of suppressed redeliveries, newest first."""
        ...
