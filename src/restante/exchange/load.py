"""Puts the mail of a source into an account: the one way mail comes in from files, for people and for the demo.

Makes mailboxes and takes over what an old server numbered and named; `filing` analyses and appends the messages. What
cannot be taken is reported with its reason; what can, is. Knows the store's interface and the readers' items, no
format.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..clock import Clock, SystemClock
from ..inbox import is_inbox
from ..mime.model import DEFAULT_LIMITS, Limits
from ..store.annotation import ACCOUNT, SPECIAL_USE
from ..store.errors import (
    BadMailboxName,
    CannotChangeMailbox,
    MailboxExists,
    RoleTaken,
    StoreRefusal,
)
from ..store.interface import Store
from ..store.model import INBOX, Adoption, Column, Mailbox
from .dates import is_instant
from .filing import Filing
from .incoming import ExchangeRefusal, Incoming, Item, Skipped, Source, SourceMailbox

PIECE_ITEMS = 50
PIECE_OCTETS = 1 << 20
"""What is read of a source at once, beside the event loop."""

MOST_ADOPTED = 0xFF00_0000
"""UIDVALIDITY and UIDNEXT that are taken over: an INBOX without UIDs takes no mail any more, an account without
UIDVALIDITYs no mailbox, and a damaged file may say any number."""

Progress = Callable[[int], None]
"""Called with octets of the source that have been dealt with since the last call."""

Claim = Callable[[str, str], Awaitable[bool]]
"""claim(id, account): whether the account may take a MAILBOXID that an export of `account` has
(`Directory.claim_mailbox_id`)."""


@dataclass(slots=True)
class Report:
    """What an import did. present: messages that an earlier run had brought in (with `once`)."""

    mailboxes: list[str] = field(default_factory=list)
    messages: int = 0
    octets: int = 0
    present: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """How many messages, or what may be messages, were not taken."""
        return sum(each.lost for each in self.skipped)


async def import_mail(
    source: Source,
    store: Store,
    mailbox: str | None = None,
    progress: Progress | None = None,
    *,
    once: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    clock: Clock | None = None,
    claim: Claim | None = None,
    report: Report | None = None,
) -> Report:
    """Bring all of `source` into the account.

    mailbox: where the source's own messages go (INBOX when None); its other mailboxes go below it, or keep
    their names. once: a message that an earlier call brought in is left out (identities are derived from
    octets and mailbox), so that the same import may be repeated. UIDs, UIDVALIDITY and identities are kept
    where a mailbox that never held a message takes them, MAILBOXIDs where `claim` allows it too (never if None).
    report: to be filled, for who wants to know how far an import came that is cut off.

    Raises BadMailboxName where `mailbox` cannot be; OverQuota, DiskFull and what else ends all further work; what was
    appended before stays.
    """
    report = report if report is not None else Report()
    told = progress or (lambda octets: None)
    filing = Filing(store, limits, report, told, 0 if once else source.total)
    loader = _Loader(report, store, mailbox, told, once, filing, clock or SystemClock(), claim)
    items = source.items()
    try:
        while True:
            piece, error = await asyncio.to_thread(_piece, items)
            for item in piece:
                await loader.take(item)
            if error is not None:
                await filing.settle()
                raise error
            if not piece:
                break
        await loader.finish()
    finally:
        await filing.close()
    subscribed = source.subscriptions()
    for name in subscribed or ():
        await loader.subscribe(name)
    await loader.unsubscribe(subscribed)
    return report


def _piece(items: Iterator[Item]) -> tuple[list[Item], Exception | None]:
    """The next few items of a source, none at its end; and what went wrong behind them. Blocks."""
    piece: list[Item] = []
    octets = 0
    try:
        for item in items:
            piece.append(item)
            octets += len(item.data) if isinstance(item, Incoming) else 0
            if len(piece) >= PIECE_ITEMS or octets >= PIECE_OCTETS:
                break
    except Exception as error:  # noqa: BLE001 (raised again, once what came before it is filed)
        return piece, error
    return piece, None


class _Loader:
    """The state of one import: which mailbox of the account each of the source's is, and what they had before."""

    def __init__(
        self,
        report: Report,
        store: Store,
        base: str | None,
        progress: Progress,
        once: bool,
        filing: Filing,
        clock: Clock,
        claim: Claim | None,
    ) -> None:
        self.report = report
        self._filing = filing
        self._store = store
        self._base = base
        self._progress = progress
        self._once = once
        self._clock = clock
        self._claim = claim
        self._named: dict[str, Mailbox | None] = {}
        self._adopted: dict[str, int] = {}
        self._completed: set[str] = set()
        """Of adopted mailboxes, those that get new UIDs from here on."""
        self._subscribed: dict[str, bool] = {}
        """Of adopted mailboxes, by their names in the source, where it says so."""
        self._filed: list[int] = []
        """Mailboxes that held no message before, INBOX excepted, and of which it is not known what is recent."""
        self._present: dict[str, set[bytes]] = {}
        self._copies: Counter[bytes] = Counter()

    async def take(self, item: Item) -> None:
        if isinstance(item, Skipped):
            self.report.skipped.append(item)
        elif isinstance(item, SourceMailbox):
            await self._filing.settle()
            if item.name not in self._named:
                self._named[item.name] = await self._open(item)
            elif item.name in self._adopted:  # a second folder of this name (.A.B and A/B): its UIDs are of another one
                await self._complete(item.name)
        else:
            await self._message(item)

    async def finish(self) -> None:
        await self._filing.settle()
        for name, uidnext in self._adopted.items():
            await self._reserve(name, uidnext)
        for key in self._filed:
            await self._store.claim_recent(key)  # mail programs announce what is \Recent; this mail did not just come

    async def subscribe(self, name: str) -> None:
        try:
            await self._store.subscribe(self._target(name), True)
        except BadMailboxName as refusal:
            self.report.skipped.append(Skipped(f"subscription {name!r}", refusal.text, lost=False))

    async def unsubscribe(self, subscribed: list[str] | None) -> None:
        """A mailbox that was exported without a subscription gets none: INBOX and an account's first have one.

        subscribed: what the source's list says, which goes before what the sidecar said.
        """
        for name, was in self._subscribed.items():
            if not (was if subscribed is None else name in subscribed):
                await self._store.subscribe(self._target(name), False)

    def _target(self, name: str) -> str:
        """The account's name for a mailbox of the source."""
        if not name or is_inbox(name):
            return self._base or INBOX
        return f"{self._base}/{name}" if self._base else name

    async def _open(self, wanted: SourceMailbox) -> Mailbox | None:
        """The mailbox to fill, made if it is missing; None where it cannot be (reported, with all its messages)."""
        name = self._target(wanted.name)
        found = await self._store.mailbox(name)
        if found is None:
            try:
                found = await self._create(name, above=wanted.account is None)
            except BadMailboxName as refusal:
                if name == self._base:  # what was asked for cannot be: to read all of a large source first is no use
                    raise
                self.report.skipped.append(Skipped(f"mailbox {name!r}", refusal.text))
                return None
        if wanted.role is not None and found.role != wanted.role:
            await self._give_role(found, wanted.role)
        if found.uidnext == 1 and found.name != INBOX and wanted.recent_uid is None:
            self._filed.append(found.key)
        if wanted.uidvalidity is not None:
            found = await self._adopt(found, wanted, wanted.uidvalidity)
        await self._annotate(found.name, found.key, wanted.entries)
        if self._base is None:  # a whole account came, not a part of one into a folder
            await self._annotate("the account", ACCOUNT, wanted.account_entries)
        self.report.mailboxes.append(found.name)
        return found

    async def _annotate(self, where: str, key: int, entries: Mapping[str, bytes]) -> None:
        """Take annotations over; those that are there already stay."""
        if not entries:
            return
        there = {entry for entry, _ in await self._store.annotation_names(key)}
        for entry, value in entries.items():
            if entry in there or entry == SPECIAL_USE:
                continue
            try:
                await self._store.annotate(key, {entry: value})
            except StoreRefusal as refusal:
                if refusal.temporary:
                    raise
                self.report.skipped.append(Skipped(f"{where}: {entry}", refusal.text, lost=False))

    async def _give_role(self, mailbox: Mailbox, role: str) -> None:
        """The special use that the mailbox had. One that is in use here stays where it is; one that no message was
        ever filed for (the mailboxes of a new account) moves, since clients know the other."""
        if mailbox.role is not None and mailbox.uidnext > 1:
            self.report.skipped.append(Skipped(mailbox.name, f"it is {mailbox.role} here, not {role}", lost=False))
            return
        holder = next((each for each in await self._store.mailboxes() if each.role == role), None)
        try:
            if holder is not None and holder.uidnext == 1:
                await self._store.set_role(holder.key, None)
            await self._store.set_role(mailbox.key, role)
        except RoleTaken:
            self.report.skipped.append(Skipped(mailbox.name, f"another mailbox is {role} already", lost=False))

    async def _create(self, name: str, *, above: bool) -> Mailbox:
        """above: with the levels above. An account that was exported names all that it has."""
        try:
            return await self._store.create_mailbox(name, above=above)
        except MailboxExists:
            found = await self._store.mailbox(name)  # made by another session in between
            if found is None:
                raise
            return found

    async def _adopt(self, found: Mailbox, wanted: SourceMailbox, uidvalidity: int) -> Mailbox:
        """Take the old server's numbers, if this mailbox never held a message."""
        if found.uidnext > 1:
            return found
        if max(uidvalidity, wanted.uidnext or 0) > MOST_ADOPTED:
            reason = "its UIDVALIDITY or UIDNEXT is nearly the last: messages get new UIDs"
            self.report.skipped.append(Skipped(found.name, reason, lost=False))
            return found
        modseq = max(wanted.modseq or 0, int(self._clock.now() * 1_000_000))
        id = None
        if wanted.id and wanted.account and self._claim is not None and await self._claim(wanted.id, wanted.account):
            id = wanted.id
        try:
            found = await self._store.adopt(found.key, Adoption(uidvalidity, modseq, id, wanted.recent_uid or 0))
        except CannotChangeMailbox:
            return found
        self._adopted[wanted.name] = wanted.uidnext or 1
        if wanted.subscribed is not None:
            self._subscribed[wanted.name] = wanted.subscribed
        return found

    async def _complete(self, name: str) -> None:
        """All that has a UID of the old server is filed: newcomers come after all UIDs that it gave out."""
        if name not in self._completed:
            await self._filing.settle()
            await self._reserve(name, self._adopted[name])
            self._completed.add(name)

    async def _reserve(self, name: str, uidnext: int) -> None:
        mailbox = self._named[name]
        if mailbox is not None:
            await self._store.reserve_uids(mailbox.key, uidnext)

    async def _message(self, item: Incoming) -> None:
        mailbox = self._named.get(item.mailbox)
        if mailbox is None:
            self.report.skipped.append(Skipped(item.where, "its mailbox cannot be made"))
            self._progress(len(item.data))
            return
        item = _dated(item)
        if item.mailbox in self._adopted and item.identity.uid is None:
            await self._complete(item.mailbox)
        if item.identity.uid is not None and (item.mailbox not in self._adopted or item.mailbox in self._completed):
            item = replace(item, identity=replace(item.identity, uid=None))
        if self._once:
            email_id = item.identity.email_id or self._derived(item)
            if email_id.encode() in await self._present_in(item.mailbox):
                self.report.present += 1
                self._progress(len(item.data))
                return
            item = replace(item, identity=replace(item.identity, email_id=email_id))
        await self._filing.take(mailbox, item)

    def _derived(self, item: Incoming) -> str:
        """An EMAILID that the same message of the same source gets again: of account, mailbox, octets and copy."""
        seed = b"\0".join((self._store.account.encode(), self._target(item.mailbox).encode(), item.data))
        digest = hashlib.sha256(seed).digest()
        number = self._copies[digest]
        self._copies[digest] += 1
        coded = base64.b32encode(hashlib.sha256(digest + number.to_bytes(4, "big")).digest()[:16])
        return "m" + coded.decode("ascii").rstrip("=").lower()

    async def _present_in(self, name: str) -> set[bytes]:
        """EMAILIDs that stood in the mailbox before this import, read once."""
        mailbox = self._named[name]
        assert mailbox is not None
        if name not in self._present:
            self._present[name] = await _email_ids(self._store, mailbox)
        return self._present[name]


def _dated(item: Incoming) -> Incoming:
    """The message without times that are none: a file, an archive or a sidecar may say what no calendar has, and a
    mailbox with such a message could not be listed."""
    identity = item.identity
    if is_instant(item.received) and is_instant(identity.saved or 0) and is_instant(identity.retrieved or 0):
        return item
    received = item.received if is_instant(item.received) else 0
    saved = identity.saved if is_instant(identity.saved or 0) else None
    retrieved = identity.retrieved if is_instant(identity.retrieved or 0) else None
    return replace(item, received=received, identity=replace(identity, saved=saved, retrieved=retrieved))


async def _email_ids(store: Store, mailbox: Mailbox) -> set[bytes]:
    """EMAILIDs of all messages of a mailbox."""
    found: set[bytes] = set()
    low = 1
    while rows := await store.rows(mailbox.key, ((low, 0xFFFF_FFFF),), (Column.EMAIL_ID,), 10_000):
        for uid, email_id in rows:
            assert isinstance(uid, int)
            assert isinstance(email_id, bytes)
            found.add(email_id)
            low = uid + 1
    return found


__all__ = ["ExchangeRefusal", "Progress", "Report", "import_mail"]
