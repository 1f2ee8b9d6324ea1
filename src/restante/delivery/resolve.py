"""What an address means here: accounts, aliases, plus-addressing, the domain's catch-all.

    own address -> alias (followed, at most 10 deep) -> name+Folder -> catch-all -> unknown

One recipient of the envelope becomes one or more targets, each account and mailbox once. A target of an alias
that is unknown or disabled is passed over while others take the mail; over quota and loops refuse the whole
recipient, since leaving out one reader silently would be half a delivery. Over quota waits for the message itself
where one was filed for some of the targets and is to come again: who has it need not have room. Knows the directory
and names of mailboxes; nothing of messages.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from ..accounts.address import Address, BadAddress, normalise_address
from ..config.limits import quota_default
from ..config.model import AccountsTable, DeliveryTable
from ..store.directory import Account, Directory
from ..store.interface import Engine
from ..store.model import INBOX, SEPARATOR
from .interface import DeliveryRefusal, Target

MAX_DEPTH = 10
"""Aliases of aliases."""

MAX_ADDRESSES = 1_000
"""Addresses that one recipient may lead to, all levels together."""


def unknown_user() -> DeliveryRefusal:
    return DeliveryRefusal(550, "5.1.1", "There is no such user here.")


def over_quota(config: DeliveryTable) -> DeliveryRefusal:
    if config.quota_temporary:
        return DeliveryRefusal(452, "4.2.2", "The mailbox is full, try again later.")
    return DeliveryRefusal(552, "5.2.2", "The mailbox is full.")


def alias_loop() -> DeliveryRefusal:
    return DeliveryRefusal(554, "5.4.6", "The address leads back to itself.")


@dataclass(slots=True)
class _Walk:
    """One resolution under way. size: octets that must fit, None where not announced."""

    original: str
    size: int | None
    targets: dict[tuple[str, str], Target] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    refusals: list[DeliveryRefusal] = field(default_factory=list)
    full: DeliveryRefusal | None = None


class Resolver:
    """Answers where mail for an address goes, by what directory and stores say at that moment."""

    def __init__(self, engine: Engine, config: DeliveryTable, accounts: AccountsTable) -> None:
        self._engine = engine
        self._config = config
        self._accounts = accounts

    @property
    def _directory(self) -> Directory:
        return self._engine.directory

    async def resolve(self, address: str, size: int | None) -> tuple[Target, ...]:
        """Targets of one recipient, at least one. Raises DeliveryRefusal as `Delivery.resolve` says.

        Cost: a directory read for each address on the way, one of the store for quotas and folders.
        """
        if address.lower() == "postmaster":  # RFC 5321 4.5.1 without a domain: whoever has postmaster@ one of ours
            return await self._postmaster(address, size)
        try:
            parsed = normalise_address(address)
        except BadAddress as bad:
            raise DeliveryRefusal(550, "5.1.3", "That is no address of a mailbox.") from bad
        walk = _Walk(address, size)
        await self._follow(walk, parsed, "", ())
        return await self._ended(walk)

    async def _ended(self, walk: _Walk) -> tuple[Target, ...]:
        """What a walk has found. Raises DeliveryRefusal where that is nobody, or somebody has no room."""
        if walk.full is not None and not (
            len(walk.targets) > 1 and await self._directory.deliveries.any_to(walk.original)
        ):
            raise walk.full
        if not walk.targets:
            raise walk.refusals[0] if walk.refusals else unknown_user()
        return tuple(walk.targets.values())

    async def _postmaster(self, address: str, size: int | None) -> tuple[Target, ...]:
        for domain in await self._directory.domains():
            walk = _Walk(address, size)
            await self._follow(walk, normalise_address(f"postmaster@{domain.name}"), "", ())
            if walk.targets:
                return await self._ended(walk)
        raise unknown_user()

    async def _follow(self, walk: _Walk, address: Address, folder: str, path: tuple[str, ...]) -> None:
        """Add what `address` leads to. folder: what plus-addressing asked for on the way. path: aliases on it."""
        key = f"{address.local.lower()}@{address.domain}"
        if key in path or len(path) > MAX_DEPTH:
            raise alias_loop()
        if key + "\0" + folder in walk.done:
            return
        walk.done.add(key + "\0" + folder)
        if len(walk.done) > MAX_ADDRESSES:
            raise DeliveryRefusal(554, "5.4.6", "The address leads to too many others.")
        if await self._known(walk, address, folder, (*path, key)):
            return
        base, detail = self._split(address)
        if base is not None and await self._known(walk, base, folder or detail, (*path, key)):
            return
        domain = await self._directory.domain(address.domain)
        if domain is not None and domain.catch_all:
            await self._follow_text(walk, domain.catch_all, folder, (*path, key))
        else:
            walk.refusals.append(unknown_user())

    async def _known(self, walk: _Walk, address: Address, folder: str, path: tuple[str, ...]) -> bool:
        """Whether an account or alias has exactly this address; what it leads to is added."""
        account = await self._directory.account(address.address)
        if account is not None:
            await self._add(walk, account, folder)
            return True
        alias = await self._directory.alias(address.address)
        if alias is None:
            return False
        for target in alias.targets:
            await self._follow_text(walk, target, folder, path)
        return True

    async def _follow_text(self, walk: _Walk, text: str, folder: str, path: tuple[str, ...]) -> None:
        """Follow an address that the directory holds; one that is none leads nowhere."""
        try:
            address = normalise_address(text)
        except BadAddress:
            walk.refusals.append(unknown_user())
        else:
            await self._follow(walk, address, folder, path)

    def _split(self, address: Address) -> tuple[Address | None, str]:
        """The address without its plus part, and that part; (None, "") where there is none."""
        separator = self._config.separator
        name, found, detail = address.local.partition(separator) if separator else ("", "", "")
        if not found or not name or not detail:
            return None, ""
        try:
            return normalise_address(f"{name}@{address.domain}"), detail
        except BadAddress:  # what stands before the separator needs quotes: no such name then
            return None, ""

    async def _add(self, walk: _Walk, account: Account, folder: str) -> None:
        if not account.enabled:
            walk.refusals.append(DeliveryRefusal(550, "5.2.1", "This mailbox takes no mail."))
            return
        try:
            await self.check_quota(account, walk.size or 0)
        except DeliveryRefusal as refusal:
            walk.full = walk.full or refusal
        mailbox = await self._mailbox(account.id, folder) if folder else INBOX
        walk.targets.setdefault((account.id, mailbox), Target(account.id, account.address, mailbox, walk.original))

    async def check_quota(self, account: Account, size: int) -> None:
        """Raises DeliveryRefusal if `size` octets more do not fit (or, with 0, nothing does)."""
        limits = account.quota_or(quota_default(self._accounts))
        if limits.storage or limits.messages:
            # Not `stats`, which counts what can be recovered too: a pass over all that was removed, each recipient.
            boxes = await self._engine.account(account.id).mailboxes()
            used = sum(box.size for box in boxes)
            if limits.storage and (used + size > limits.storage or used >= limits.storage):
                raise over_quota(self._config)
            if limits.messages and sum(box.messages for box in boxes) >= limits.messages:
                raise over_quota(self._config)

    async def _mailbox(self, account: str, folder: str) -> str:
        """The existing mailbox that a plus part names: exactly, else without regard to case; INBOX if none."""
        store = self._engine.account(account)
        name = unicodedata.normalize("NFC", folder)
        wanted = [name] if "." not in name else [name, name.replace(".", SEPARATOR)]
        for one in wanted:
            mailbox = await store.mailbox(one)
            if mailbox is not None:
                return mailbox.name
        folded = [one.casefold() for one in wanted]
        # A mailbox whose own name holds dots is found by its name; the rest by levels.
        by_fold = {mailbox.name.casefold(): mailbox.name for mailbox in reversed(await store.mailboxes())}
        return next((by_fold[one] for one in folded if one in by_fold), INBOX)
