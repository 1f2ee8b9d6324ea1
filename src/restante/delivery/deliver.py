"""Filing a message: the work behind every door that takes mail in.

For each recipient: trace fields before the octets as they came, one analysis, one commit a target. A recipient
is filed wholly or not at all as its peer sees it, also where it leads to several accounts: `copies` says how.

No mail is dropped for what its header says. Only where it is configured is a redelivery of the same octets to
the same recipient suppressed; it is then logged and listed. Knows directory, store and mime; no protocol.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from functools import partial

import structlog

from ..accounts.address import kept_form
from ..analysts.one import normalised
from ..clock import Clock, SystemClock
from ..config.model import AccountsTable, DeliveryTable
from ..errors import Refusal
from ..mime.model import DEFAULT_LIMITS, Limits
from ..store.directory import fold_address
from ..store.errors import (
    Damaged,
    DiskFull,
    NewerSchema,
    NoSuchAccount,
    NoSuchMailbox,
    OverQuota,
    StoreRefusal,
    cause_of,
)
from ..store.interface import Engine, Store
from ..store.model import INBOX, Identity
from .copies import file_copies
from .interface import DeliveryRefusal, Target, Trace
from .message import LARGE, Ready
from .resolve import Resolver, over_quota, unknown_user
from .trace import check_address, delivered_to, goes_in_circles, trace_header

log = structlog.get_logger("restante.delivery")

AT_ONCE = 16
"""Recipients of a small message filed side by side; commits of one account group, those of others overlap."""

_ENVELOPE_LINE = re.compile(rb"From (?![ \t]*:)[^\r\n]*\r?\n")
"""Not the header field with a space before its colon, which RFC 5322 4.5.2 lets old programs write."""


class StoreDelivery:
    """`delivery.interface.Delivery` over an engine. One object a process serves all sessions."""

    def __init__(
        self,
        engine: Engine,
        config: DeliveryTable,
        accounts: AccountsTable,
        *,
        clock: Clock | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._engine = engine
        self._config = config
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._limits = limits
        self._resolver = Resolver(engine, config, accounts)

    async def resolve(self, address: str, size: int | None = None) -> tuple[Target, ...]:
        """See `Delivery.resolve`."""
        check_address(address, sender=False)
        try:
            return await self._resolver.resolve(address, size)
        except StoreRefusal as refusal:
            raise _mapped(refusal, self._config) from refusal

    async def deliver(
        self, sender: str, recipients: list[tuple[str, tuple[Target, ...]]], data: bytes, trace: Trace
    ) -> list[DeliveryRefusal | None]:
        """See `Delivery.deliver`."""
        try:
            check_address(sender, sender=True)
        except DeliveryRefusal as refusal:
            return [refusal] * len(recipients)
        data = await normalised(data)
        if goes_in_circles(data):
            loop = DeliveryRefusal(554, "5.4.6", "The message has been going round in circles.")
            return [loop] * len(recipients)
        digest = await asyncio.to_thread(_digest, data) if len(data) >= LARGE else _digest(data)
        at_once = 1 if len(data) >= LARGE else AT_ONCE
        wanted: dict[Meant, tuple[str, tuple[Target, ...]]] = {}
        for recipient in recipients:
            wanted.setdefault(_meant(*recipient), recipient)
        once = list(wanted.values())
        results: list[DeliveryRefusal | None] = []
        for start in range(0, len(once), at_once):
            group = once[start : start + at_once]
            if len(group) == 1:
                results.append(await self._recipient(sender, *group[0], data, digest, trace))
            else:
                work = (self._recipient(sender, address, targets, data, digest, trace) for address, targets in group)
                results += await asyncio.gather(*work)
        told = dict(zip(wanted, results, strict=True))
        return [told[_meant(*recipient)] for recipient in recipients]

    async def deliver_local(
        self, sender: str, addresses: Sequence[str], data: bytes, *, by: str, id: str
    ) -> list[DeliveryRefusal | None]:
        """Take a message from a program on this machine (`restante deliver`): resolve, then deliver.

        A mailbox separator line ("From name date") that an MTA's pipe puts first is no part of the message
        and is taken off. by: our host name; id: names this delivery in Received. One result an address.
        """
        separator = _ENVELOPE_LINE.match(data)
        if separator is not None:
            data = data[separator.end() :]
        results: dict[str, DeliveryRefusal | None] = dict.fromkeys(addresses)  # one that is named twice gets it once
        known: list[tuple[str, tuple[Target, ...]]] = []
        for address in results:
            try:
                known.append((address, await self.resolve(address, len(data))))
            except DeliveryRefusal as refusal:
                results[address] = refusal
        filed = await self.deliver(sender, known, data, Trace("", "unix", "local", id, by))
        results |= {address: result for (address, _), result in zip(known, filed, strict=True)}
        return [results[address] for address in addresses]

    async def _recipient(
        self, sender: str, address: str, targets: tuple[Target, ...], data: bytes, digest: bytes, trace: Trace
    ) -> DeliveryRefusal | None:
        """File for one recipient. What goes wrong here is this recipient's alone: a fault of ours is logged
        and answered as temporary, since others of the same message may have been filed already."""
        try:
            await self._file(sender, address, targets, data, digest, trace)
        except DeliveryRefusal as refusal:
            return refusal
        except Refusal as refusal:
            log.warning(
                "delivery refused", id=trace.id, recipient=address, reason=refusal.code, cause=cause_of(refusal)
            )
            return _mapped(refusal, self._config)
        except Exception as error:  # noqa: BLE001 - a job's outer edge: the other recipients' results must be told
            # Not log.exception: what a program's renderer makes of a traceback may show variables, mail among them.
            log.error("delivery failed", id=trace.id, recipient=address, fault=error)
            return DeliveryRefusal(451, "4.3.0", "The message could not be filed now, try again later.")
        return None

    async def _file(
        self, sender: str, address: str, targets: tuple[Target, ...], data: bytes, digest: bytes, trace: Trace
    ) -> None:
        check_address(address, sender=False)
        now = self._clock.now()
        ready = Ready(trace_header(sender, address, trace, now), data, int(now), digest, self._limits)
        if await self._one_commit(address, targets, digest):
            (target,) = targets
            store = self._engine.account(target.account)
            if self._config.suppress_duplicates <= 0:
                await _append(store, target.mailbox, ready)
                return
            # A sender may come again while its first try is still under way, to another worker.
            async with self._engine.directory.deliveries.lock(digest, address):
                if not await self._suppressed(store, target, digest, ready.received, trace):
                    await _append(store, target.mailbox, ready)
        else:
            await file_copies(
                self._engine, address, targets, digest, ready, partial(self._wanted, ready=ready, trace=trace)
            )

    async def _one_commit(self, address: str, targets: tuple[Target, ...], digest: bytes) -> bool:
        """Whether this is a matter of one account alone. Not so where a try for several was cut off and the alias
        leads to fewer now."""
        if len(targets) > 1:
            return False
        if address.lower() == targets[0].address.lower():
            return True
        return await self._engine.directory.deliveries.find(digest, address) is None

    async def _wanted(self, targets: Sequence[Target], *, ready: Ready, trace: Trace) -> list[Target]:
        """See `copies.Wanted`: all are checked before the first is filed. One alone is checked by its own append."""
        if len(targets) > 1:
            for target in targets:
                await self._check(target, ready.size)
        return [
            target
            for target in targets
            if not await self._suppressed(
                self._engine.account(target.account), target, ready.arrival, ready.received, trace
            )
        ]

    async def _check(self, target: Target, size: int) -> None:
        """Raises DeliveryRefusal if the target does not take so many octets: the account may have gone or been
        filled since RCPT."""
        account = await self._engine.directory.account_by_id(target.account)
        if account is None:
            raise unknown_user()
        await self._resolver.check_quota(account, size)

    async def _suppressed(self, store: Store, target: Target, digest: bytes, now: int, trace: Trace) -> bool:
        """Whether this is a redelivery to be suppressed: the same octets before trace fields, to the same
        recipient (the Delivered-To of what is there), within the configured time."""
        window = self._config.suppress_duplicates
        if window <= 0:
            return False
        for email_id, content in await store.find_arrivals(digest, now - int(window)):
            head = await store.read_content(content, 0, 4096)
            # The second line is our own; further down a message may say of itself what it likes.
            if head.split(b"\r\n", 2)[1:2] == [delivered_to(target.original)]:
                await self._engine.directory.log_duplicate(target.account, digest, now, email_id)
                log.info("redelivery suppressed", id=trace.id, account=target.address, email=email_id)
                return True
        return False


async def _append(store: Store, name: str, ready: Ready) -> None:
    """One durable message. A folder that has gone since RCPT sends it to INBOX."""
    message = await ready.message(store, Identity())
    try:
        await store.append_by_name(name, [message])
    except NoSuchMailbox:
        if name == INBOX:
            raise
        await store.append_by_name(INBOX, [await ready.message(store, Identity())])


Meant = tuple[str, tuple[tuple[str, str], ...]]
"""An address in the one form in which it is kept, and accounts with mailboxes: "+A" and "+a" may be two mailboxes."""


def _meant(address: str, targets: Sequence[Target]) -> Meant:
    """Equal for recipients that differ in spelling alone (Ann@Example.org): MTAs ask for each, and people want one."""
    return fold_address(kept_form(address)), tuple((target.account, target.mailbox) for target in targets)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _mapped(refusal: Refusal, config: DeliveryTable) -> DeliveryRefusal:
    """A store's refusal as SMTP says it (RFC 3463 3)."""
    if isinstance(refusal, DeliveryRefusal):
        return refusal
    if isinstance(refusal, OverQuota):
        return over_quota(config)
    if isinstance(refusal, DiskFull):
        return DeliveryRefusal(452, "4.3.1", "There is no room now, try again later.")
    # A damaged or newer file is mended by an operator: the MTA keeps the mail till then, nothing bounces.
    if refusal.temporary or isinstance(refusal, NoSuchAccount | NoSuchMailbox | Damaged | NewerSchema):
        return DeliveryRefusal(451, "4.3.0", "The message could not be filed now, try again later.")
    return DeliveryRefusal(554, "5.3.0", "The message cannot be filed.")
