"""`LocalSide`: an account of a store as one side of a copy.

UIDs and change numbers are the store's own. A mailbox's `state` is its highest change number with UIDNEXT and count; a
cursor is UIDVALIDITY and change number, so that "what changed" is an index range of the store's. While nothing else is
asked than what mailboxes there are, no engine is opened (`look`). A server may work on the same account meanwhile:
commands of several processes meet at the store's lock, and each sees what the other did.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...store.errors import NoSuchAccount, RoleTaken, StoreRefusal
from ..model import Added, Changes, FlagChange, Message, Outline, Place, Spelling, Withheld
from ..side import MailboxUnavailable, SideUnavailable

if TYPE_CHECKING:
    from ...store.interface import Store
    from ...store.model import Mailbox, UidRanges
    from ...store.sqlite.glance import Glance, Stamps
    from .filing import Filing
    from .opening import Opened
    from .reading import Reading


class AccountMissing(SideUnavailable):
    """There is no such account: no later run will find it by itself."""

    code = NoSuchAccount.code
    temporary = False


SOON = 400
"""Messages for which the store is opened before the first of them is here (`analysts.pool.EXPECTED`)."""

WHOLE_SIDE = frozenset({"NEWER-SCHEMA", "DISK-FULL", "STORE-FAILED", "BUSY"})
"""Codes of store refusals that no mailbox of the account would escape."""


class LocalSide:
    """Implements `side.Side`.

    look: a glance without an engine, or None. store: opens the store. spelling: shared with the other side. sign: see
    `side.Signed`. stamps: of the files that the last glance looked into, as `look` fills it.
    """

    def __init__(
        self,
        title: str,
        look: Callable[[], Glance | None],
        store: Callable[[], Awaitable[tuple[Opened, Store]]],
        spelling: Spelling | None = None,
        *,
        sign: str | None = None,
        stamps: Stamps | None = None,
    ) -> None:
        self.title = title
        self.sign = sign
        self.stamps = {} if stamps is None else stamps
        self._look = look
        self._open_store = store
        self._spelling = spelling or Spelling()
        self._opening = asyncio.Lock()
        self._opened: Opened | None = None
        self._store: Store | None = None
        self._reading: Reading | None = None
        self._filing: Filing | None = None
        self._opening_soon: asyncio.Task[None] | None = None
        self._glance: Glance | None = None
        self.taken: Glance | None = None
        """What the last `places` was made of, where that was a glance."""
        self._seen = 0
        """The account's change number at the last `places`."""
        self.unreadable: dict[tuple[str, int], Withheld] = {}
        """See `side.Withholds`: messages whose octets cannot be read."""
        self._first: set[int] = set()
        """Mailboxes that held no message before this run, by key."""

    async def open(self) -> None:
        self._glance = self._look()
        if self._glance is None:
            await self._there()

    async def close(self) -> None:
        soon, self._opening_soon = self._opening_soon, None
        if soon is not None:
            soon.cancel()
            await asyncio.gather(soon, return_exceptions=True)
        store, opened, filing = self._store, self._opened, self._filing
        self._store = self._opened = self._filing = self._reading = None
        if filing is not None:
            await filing.close()
        if opened is None or store is None:
            return
        try:
            with _refusals():
                there = {mailbox.key for mailbox in await store.mailboxes()} if self._first else set()
                for key in self._first & there:
                    # Mail programs announce what is Recent; the mail of a first copy did not just come.
                    await store.claim_recent(key)
        finally:
            await opened.engine.close()

    # What is there ---------------------------------------------------------------------------------

    async def places(self) -> list[Place]:
        if self._store is None:
            glance, self._glance = self._glance or self._look(), None
            self.taken = glance
            if glance is not None:
                self._sign_by(glance[0])
                self._seen = glance[1]
                return [
                    Place(name, str(validity), f"{modseq}.{uidnext}.{messages}", id, role, bool(subscribed), messages)
                    for name, id, role, validity, uidnext, modseq, messages, subscribed in glance[2]
                ]
        self.taken = None
        with _refusals():
            store = await self._there()
            self._sign_by(store.account)
            self._seen = await store.last_change()  # before the mailboxes: what comes in between is told again
            if store.own is not None:
                store.own -= {number for number in store.own if number <= self._seen}
            return [_place(mailbox) for mailbox in await store.mailboxes()]

    def _sign_by(self, id: str) -> None:
        """An account that was removed and added again has its address, and is another one."""
        if self.sign is not None and id not in self.sign:
            self.sign += f" ({id})"

    def keeps(self, name: str, keyword: str) -> bool:
        """`side.Keeps`: a store keeps all that it takes."""
        return True

    async def changes(self, name: str, since: str | None) -> Changes:
        with _refusals(name):
            return await (await self._read()).changes(await self._mailbox(name), since)

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        with _refusals(name):
            return await (await self._read()).outlines(await self._mailbox(name), _ranges(uids))

    async def headers(self, name: str, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        """See `side.Headers`."""
        with _refusals(name):
            return await (await self._read()).headers(await self._mailbox(name), _ranges(uids))

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        with _refusals(name):
            reading = await self._read()
            async for message in reading.fetch(await self._mailbox(name), _ranges(uids)):
                yield message

    # Changing messages -----------------------------------------------------------------------------

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        with _refusals(name):
            store, mailbox = await self._there(), await self._mailbox(name)
            filing = self._files(store)
            if mailbox.uidnext == 1 and mailbox.name != "INBOX":
                self._first.add(mailbox.key)
            return await filing.add(mailbox.key, messages)

    def _files(self, store: Store) -> Filing:
        if self._filing is None:
            from .filing import Filing

            assert self._opened is not None
            self._filing = Filing(store, self._opened.limits, self._opened.largest)
        return self._filing

    def coming(self, messages: int) -> None:
        """See `side.Awaits`. Where a glance was enough until now, the store is opened while the first messages are on
        their way."""
        if self._store is not None:
            self._files(self._store).coming(messages)
        elif messages >= SOON and self._opening_soon is None:
            self._opening_soon = asyncio.create_task(self._open_for(messages))

    async def _open_for(self, messages: int) -> None:
        try:
            self._files(await self._there()).coming(messages)
        except SideUnavailable:
            pass  # who adds the first message is told

    def expect(self, messages: Sequence[Message]) -> None:
        """See `side.Expects`."""
        if self._filing is not None:
            self._filing.expect(messages)

    async def prints(self, messages: Sequence[Message]) -> list[tuple[bytes, bytes] | None]:
        """See `side.Prints`."""
        return await self._filing.prints(messages) if self._filing is not None else [None] * len(messages)

    async def set_flags(self, name: str, changes: Sequence[FlagChange]) -> None:
        from ...store.model import FlagMode
        from .keywords import BadKeyword, store_flags

        with _refusals(name):
            store, mailbox = await self._there(), await self._mailbox(name)
            commands = []
            for change in changes:
                ranges = _ranges(change.uids)
                for names, mode in ((change.add, FlagMode.ADD), (change.remove, FlagMode.REMOVE)):
                    if names:
                        try:
                            commands.append((ranges, mode, store_flags(names)))
                        except BadKeyword as bad:
                            raise MailboxUnavailable(str(bad), "Rename the keyword.") from bad
            # Queued together they are one transaction or few, done in their order.
            await asyncio.gather(*(store.store_flags(mailbox.key, *command) for command in commands))

    async def remove(self, name: str, uids: Sequence[int]) -> None:
        with _refusals(name):
            mailbox = await self._mailbox(name)
            await (await self._there()).expunge(mailbox.key, _ranges(uids), deleted_only=False)

    async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        return await self._transfer(name, uids, target, move=False)

    async def move(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        return await self._transfer(name, uids, target, move=True)

    async def _transfer(self, name: str, uids: Sequence[int], target: str, *, move: bool) -> list[int]:
        with _refusals(name):
            store, source = await self._there(), await self._mailbox(name)
        with _refusals(target):
            there = await self._mailbox(target)
            if not uids:
                return []
            command = store.move if move else store.copy
            done = await command(source.key, _ranges(uids), there.key)
            new = dict(zip(done.source, done.target, strict=True))
            return [new.get(uid, 0) for uid in uids]

    # Changing mailboxes ----------------------------------------------------------------------------

    async def create(self, name: str, role: str | None) -> Place:
        """Those above it are not made: what the other side has is asked for one by one."""
        with _refusals(name):
            await (await self._there()).create_mailbox(name, above=False)
            if role is not None:
                await self.set_role(name, role)
            return _place(await self._mailbox(name))

    async def rename(self, name: str, new: str) -> None:
        with _refusals(name):
            mailbox = await self._mailbox(name)
            await (await self._there()).rename_mailbox(mailbox.key, new, mailbox.name)

    async def delete(self, name: str) -> None:
        with _refusals(name):
            mailbox = await self._mailbox(name)
            await (await self._there()).delete_mailbox(mailbox.key, mailbox.name)

    async def subscribe(self, name: str, subscribed: bool) -> None:
        with _refusals(name):
            await (await self._there()).subscribe(name, subscribed)

    async def set_role(self, name: str, role: str | None) -> bool:
        """A role that a mailbox has which never held a message (a new account's) moves; another stays where it is."""
        with _refusals(name):
            store, mailbox = await self._there(), await self._mailbox(name)
            holder = None
            if role is not None:
                holder = next((each for each in await store.mailboxes() if each.role == role), None)
            try:
                if holder is not None and holder.key != mailbox.key and holder.uidnext == 1:
                    await store.set_role(holder.key, None)
                await store.set_role(mailbox.key, role)
            except RoleTaken:
                return False
            return True

    # Watching --------------------------------------------------------------------------------------

    async def wait(self, names: Sequence[str]) -> set[str]:
        with _refusals():
            store = await self._there()
            assert self._opened is not None
            moved = asyncio.Event()
            watch = self._opened.engine.watch(store.account, lambda modseq: moved.set())
            try:
                since = self._seen
                while True:
                    moved.clear()
                    since, changed = await self._changed(store, since, names)
                    if changed:
                        return changed
                    await moved.wait()
            finally:
                watch.close()

    async def _changed(self, store: Store, since: int, names: Sequence[str]) -> tuple[int, set[str]]:
        """The account's change number, and what of `names` somebody else has changed after `since`."""
        from ...store.annotation import SPECIAL_USE
        from ...store.changes import Change

        found = await store.changes(since, store.own or ())
        if not found.complete:
            return found.modseq, {"", *names}
        wanted = set(names)
        changed = {mailbox.name for mailbox, by_others in found.mailboxes if by_others and mailbox.name in wanted}
        if any(
            event.change is not Change.ANNOTATED or (event.name and event.detail == SPECIAL_USE)
            for event in found.events
        ):
            changed.add("")
        return found.modseq, changed

    # The store -------------------------------------------------------------------------------------

    async def _there(self) -> Store:
        """The store, opened when it is first needed. Raises SideUnavailable."""
        if self._store is None:
            async with self._opening:
                if self._store is None:
                    with _refusals():
                        self._opened, store = await self._open_store()
                        store.own = set()
                        self._store = store
                        await store.last_change()  # the file is read: whatever is wrong with it shows here
        return self._store

    async def _read(self) -> Reading:
        if self._reading is None:
            from .reading import Reading

            self._reading = Reading(await self._there(), self._spelling, self.unreadable)
        return self._reading

    async def _mailbox(self, name: str) -> Mailbox:
        found = await (await self._there()).mailbox(name)
        if found is None:
            raise MailboxUnavailable(f"There is no mailbox {name} any more.", "The next run sees what became of it.")
        return found


def _place(mailbox: Mailbox) -> Place:
    state = f"{mailbox.highest_modseq}.{mailbox.uidnext}.{mailbox.messages}"
    return Place(
        mailbox.name, str(mailbox.uidvalidity), state, mailbox.id, mailbox.role, mailbox.subscribed, mailbox.messages
    )


def _ranges(uids: Sequence[int]) -> UidRanges:
    """UIDs in any order as ascending ranges. What is no 32-bit number names no message here."""
    found: list[tuple[int, int]] = []
    low = high = 0
    for uid in sorted(uids):
        if not 0 < uid < 1 << 32:
            continue
        if low and uid <= high + 1:
            high = uid
            continue
        if low:
            found.append((low, high))
        low = high = uid
    if low:
        found.append((low, high))
    return tuple(found)


@contextmanager
def _refusals(mailbox: str = "") -> Iterator[None]:
    """A store's refusals as a side's. mailbox: the one that is left out; "": all of the side is."""
    try:
        yield
    except NoSuchAccount as refusal:
        raise AccountMissing(refusal.text, refusal.remedy) from refusal
    except StoreRefusal as refusal:
        if not mailbox or refusal.code in WHOLE_SIDE:
            raise SideUnavailable(refusal.text, refusal.remedy) from refusal
        raise MailboxUnavailable(f"{mailbox}: {refusal.text}", refusal.remedy) from refusal
