"""Rights granted to others, in the account's lists and in the directory's index of who shares with whom.

Two files say so, which no commit joins. The index is written before a list and again after it: a crash at any instant
leaves a pair too many there, which costs a look, never one too few, which would hide a mailbox.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..errors import CannotChangeMailbox
from ..model import Finding, FlagMode
from ..rights import EVERYONE, NEGATIVE, AclEntry, Rights
from . import acl, mailboxes
from .account_file import AccountFile
from .faults import translated

if TYPE_CHECKING:
    import apsw

    from ..rewind import Rewound
    from .transaction import Write


class Sharing(AccountFile):
    """The part of `store.interface.Store` that says who else may do what."""

    async def acl(self, mailbox: int) -> list[AclEntry]:
        return self._read(self._acl, mailbox)

    def _acl(self, db: apsw.Connection, mailbox: int) -> list[AclEntry]:
        mailboxes.mailbox_by_key(db, mailbox, self._user)
        return acl.entries(db, mailbox)

    async def set_acl(self, mailbox: int, identifier: str, mode: FlagMode, rights: Rights) -> None:
        await self.change_acl(_set_acl, mailbox, identifier, mode, rights)

    async def change_acl(
        self,
        change: Callable[[Write, int, str, FlagMode, Rights], None],
        mailbox: int,
        identifier: str,
        mode: FlagMode,
        rights: Rights,
    ) -> None:
        """Run `change` between the two notes in the directory that keep its index true."""
        if identifier.removeprefix(NEGATIVE) == self.account:
            raise CannotChangeMailbox("The owner always has all rights.")

        async def work() -> None:
            async with _alone(self):
                if mode is not FlagMode.REMOVE and rights and not identifier.startswith(NEGATIVE):
                    await self._engine.directory.note_shares(self.account, (identifier,))
                try:
                    await self._write(change, mailbox, identifier, mode, rights)
                finally:  # refused, since the mailbox is gone or the right to: what was noted before stands for nothing
                    await _note_shares(self, (identifier,))

        await self._engine.finish(work())

    async def note_shares(self, identifiers: Sequence[str]) -> None:
        """Make the directory's index say what this account's lists say of these identifiers."""

        async def work() -> None:
            async with _alone(self):
                await _note_shares(self, identifiers)

        if identifiers:
            await self._engine.finish(work())

    async def forget_person(self, identifier: str) -> None:
        await self._write(acl.forget, identifier)
        await self.note_shares((identifier,))


async def _note_shares(store: AccountFile, identifiers: Sequence[str]) -> None:
    positive = [one for one in identifiers if not one.startswith(NEGATIVE)]
    if positive:
        await store._engine.directory.note_shares(store.account, positive, lambda: store.read_apart(acl.granted))
        for identifier in positive:
            store._engine.announce_shares(identifier)


@asynccontextmanager
async def _alone(store: AccountFile) -> AsyncIterator[None]:
    """Alone, over all processes, with the account's lists and what the directory says of them: else one process
    could take away the pair that another has noted and not yet granted. Not to be cancelled."""
    with translated():
        path = store._engine.lock_path(store.account, "share")
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await asyncio.to_thread(fcntl.flock, number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


async def granting(store: AccountFile, told: Rewound, change: Callable[[], Awaitable[Rewound]]) -> Rewound:
    """Do what may grant something, as told: the directory knows of it before, and afterwards what is so."""
    granted = sorted({who for _, who, _ in told.granted if not who.startswith(NEGATIVE)})

    async def work() -> Rewound:
        async with _alone(store):
            if granted:
                await store._engine.directory.note_shares(store.account, granted)
            before = store.look(acl.granted)
            done = await change()  # which may have made another plan
            if granted or done.granted or done.created or done.dropped:
                await _note_shares(store, sorted(before.union(granted, store.look(acl.granted))))
            return done

    return await store._engine.finish(work())


async def check(store: Sharing, repair: bool) -> list[Finding]:
    """Compare the account's lists with the directory's index of shares, and with who there is.

    Looked at twice: a list that is just being changed is known to the directory first.
    """
    directory, seen = store._engine.directory, dict[str, str]()
    for look in range(2):
        granted, known = store.look(acl.granted), set(await directory.shares_of(store.account))
        found = dict.fromkeys(granted - known, "grants something to {}, which the directory does not know")
        found |= dict.fromkeys(known - granted, "grants nothing to {}, which the directory says it does")
        seen = found if look == 0 else {one: text for one, text in seen.items() if one in found}
    findings = []
    for identifier, text in sorted(seen.items()):
        if repair:
            await store.note_shares((identifier,))
        findings.append(Finding("share", f"the account {text.format(identifier)}", True, repair))
    for identifier in sorted(store.look(acl.named)):
        if identifier not in EVERYONE and await directory.account_by_id(identifier) is None:
            if repair:
                await store.forget_person(identifier)
            findings.append(Finding("acl-person", f"rights of {identifier}, who has no account", True, repair))
    return findings


def _set_acl(tx: Write, mailbox: int, identifier: str, mode: FlagMode, rights: Rights) -> None:
    """Change one entry of a mailbox's list. Raises NoSuchMailbox."""
    mailboxes.mailbox_by_key(tx.db, mailbox, tx.user)
    acl.set_entry(tx, mailbox, identifier, mode, rights)
