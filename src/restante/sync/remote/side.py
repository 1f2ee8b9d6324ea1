"""The side that is an IMAP server. What it can do stands in the modules beside it, loaded when it is first done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ...clock import Clock, Random, SystemClock, system_random
from ..model import Added, Changes, FlagChange, Message, Outline, Place, Withheld
from .account import Account, Heard
from .address import RemoteAddress, Secret, Settings
from .look import look
from .pool import Pool

if TYPE_CHECKING:
    from pathlib import Path

    from ..handed import Handed
    from ..refused import Refusals
    from .watch import Watch


class RemoteSide:
    """One account on an IMAP server, as one side of a copy (`sync.side.Side`).

    secret: gives the password or token. known: the places of the last run: where a mailbox is as it was, its permanent
    id is taken from there instead of being asked for. spool: a folder for downloads that were interrupted; None: they
    begin anew. views: mailboxes that show what others hold (All Mail) are places too. shared: so are mailboxes outside
    the user's own namespace. quirks_on, quirks_off: names of `quirks.Quirk`. refusals: of logins, kept from run to run.
    handed: a connection to the account that is open already, and this side's from now on.
    """

    def __init__(
        self,
        address: RemoteAddress,
        secret: Secret,
        settings: Settings | None = None,
        *,
        known: Iterable[Place] = (),
        spool: Path | None = None,
        views: bool = False,
        shared: bool = False,
        quirks_on: Sequence[str] = (),
        quirks_off: Sequence[str] = (),
        refusals: Refusals | None = None,
        handed: Handed | None = None,
        clock: Clock | None = None,
        random: Random = system_random,
    ) -> None:
        self.title = f"{address.host} as {address.user}"
        self.sign = address.sign
        clock = clock or SystemClock()
        self._pool = Pool(address, secret, settings or Settings(), clock, random, refusals, handed)
        self._account = Account(
            self._pool,
            clock,
            known=known,
            spool=spool,
            views=views,
            shared=shared,
            quirks_on=quirks_on,
            quirks_off=quirks_off,
        )
        self._watch: Watch | None = None

    @property
    def left_out_keywords(self) -> Mapping[str, set[str]]:
        """Keywords that the server does not keep, by mailbox: they were asked for and not set."""
        return self._account.left_out_keywords

    def keeps(self, name: str, keyword: str) -> bool:
        """`side.Keeps`: what was set by STORE, and PERMANENTFLAGS names behind it (RFC 9051 7.1). Of what came with
        APPEND nobody knows: there are servers that take no keyword there."""
        return (name, keyword.lower()) in self._account.kept

    @property
    def moves_by_copying(self) -> bool:
        """`side.MovesByCopying`: a server without MOVE (RFC 6851)."""
        return "MOVE" not in self._pool.offers

    @property
    def left_out_mailboxes(self) -> Mapping[bytes, str]:
        """Names (as sent) of mailboxes that are no places, and why."""
        return self._account.names.left_out

    @property
    def heard(self) -> Heard | None:
        """The last `places` in the server's own words, where a connection did nothing else since its login."""
        return self._account.heard

    @property
    def unreadable(self) -> Mapping[tuple[str, int], Withheld]:
        """`side.Withholds.unreadable`: messages that the server would not give, or that are too large to be taken."""
        return self._account.unreadable

    @property
    def traffic(self) -> tuple[int, int, int]:
        """Octets sent, octets received (as they were on the wire, beneath TLS), and round trips waited for."""
        return self._pool.traffic

    @property
    def capabilities(self) -> frozenset[str]:
        """What the server offers after login and is used where it helps."""
        return self._pool.offers.words

    async def open(self) -> None:
        """Connect and log in. Raises SideUnavailable; LoginRefused, CertificateRefused where that is why."""
        spool = self._account.spool
        left = spool is not None and spool.exists()
        if spool is not None and left:
            from .spool import sweep

            sweep(spool, self._account.clock.now())
        await self._pool.open()
        if left:
            from .marks import give_back

            await give_back(self._account)

    async def close(self) -> None:
        """Say goodbye; also after a failure."""
        if self._watch is not None:
            await self._watch.close()
        await self._pool.close()

    async def places(self) -> list[Place]:
        """`Side.places`."""
        if self._watch is not None:
            self._watch.drain()
        return await look(self._account)

    async def changes(self, name: str, since: str | None) -> Changes:
        """`Side.changes`."""
        from .changes import changes

        return await changes(self._account, name, since)

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        """`Side.outlines`."""
        from .outlines import outlines

        return await outlines(self._account, name, uids)

    async def headers(self, name: str, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        """`side.Headers.headers`."""
        from .outlines import headers

        return await headers(self._account, name, uids)

    def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        """`Side.fetch`. Begun in the order of `uids`: newest first, if they are."""
        from .fetch import fetch

        return fetch(self._account, name, uids)

    async def emails(self, name: str, uids: Sequence[int]) -> Mapping[int, str]:
        """`side.Emails.emails`."""
        from .outlines import emails

        return await emails(self._account, name, uids)

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        """`Side.add`."""
        from .append import add

        return await add(self._account, name, messages)

    async def set_flags(self, name: str, changes: Sequence[FlagChange]) -> None:
        """`Side.set_flags`. What the mailbox does not keep is left out: see `left_out_keywords`."""
        from .modify import set_flags

        await set_flags(self._account, name, changes)

    async def remove(self, name: str, uids: Sequence[int]) -> None:
        """`Side.remove`."""
        from .modify import remove

        await remove(self._account, name, uids)

    async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        """`Side.copy`."""
        from .modify import copy

        return await copy(self._account, name, uids, target)

    async def move(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        """`Side.move`."""
        from .modify import move

        return await move(self._account, name, uids, target)

    async def create(self, name: str, role: str | None) -> Place:
        """`Side.create`."""
        from .mailboxes import create

        return await create(self._account, name, role)

    async def rename(self, name: str, new: str) -> None:
        """`Side.rename`."""
        from .mailboxes import rename

        await rename(self._account, name, new)

    async def delete(self, name: str) -> None:
        """`Side.delete`."""
        from .mailboxes import delete

        await delete(self._account, name)

    async def delete_empty(self, name: str) -> bool:
        """`side.EmptyDeletes.delete_empty`."""
        from .mailboxes import delete_empty

        return await delete_empty(self._account, name)

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """`Side.subscribe`."""
        from .mailboxes import subscribe

        await subscribe(self._account, name, subscribed)

    async def set_role(self, name: str, role: str | None) -> bool:
        """`Side.set_role`."""
        from .mailboxes import set_role

        return await set_role(self._account, name, role)

    async def wait(self, names: Sequence[str]) -> set[str]:
        """`Side.wait`."""
        if self._watch is None:
            from .watch import Watch

            self._watch = Watch(self._account)
        return await self._watch.wait(names)
