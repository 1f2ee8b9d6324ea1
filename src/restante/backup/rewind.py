"""Taking an account back further than its store remembers: a snapshot says what was, the store does what it can, and
what it has no more comes out of the repository.

The store's part is one command (`Store.rewind`); messages are appended behind it, each noted as the rewind's, so that
undoing it removes them too. Cut off between, the account is as of then but for messages that are still missing: run
again, it brings those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

from ..store.interface import Store
from ..store.model import UidRanges
from ..store.rewind import Box, Rewound
from ..store.rewind import Snapshot as Then
from .analysing import Analyser
from .bring import Bringing
from .errors import NoRepository
from .objects import AccountData, AccountLine
from .repository import Repository, Snapshot
from .restore import Choice, Lost, read_mailbox


class NoSnapshot(NoRepository):
    """No snapshot is as old as is asked for."""


@dataclass(slots=True)
class FromSnapshot:
    """What a rewind to a snapshot did or would do. brought: messages out of the repository; octets: theirs; lost: what
    it could not give."""

    told: Rewound
    snapshot: str
    brought: int = 0
    octets: int = 0
    lost: list[Lost] = field(default_factory=list)


def snapshot_before(repository: Repository, at: int) -> Snapshot:
    """The newest snapshot at an instant or before it. Raises NoSnapshot."""
    found = sorted((each for each in repository.snapshots() if each.data.at <= at), key=lambda one: one.data.at)
    if not found:
        raise NoSnapshot("There is no snapshot that old in this backup.", "See 'restante backup list'.")
    return found[-1]


async def rewind_to(
    store: Store, repository: Repository, snapshot: Snapshot, line: AccountLine, pool: Analyser, *, apply: bool
) -> FromSnapshot:
    """Take an account back to what it is in a snapshot. What came since stays.

    Raises Corrupt where the snapshot's account cannot be read: without all its lists nothing is guessed. StoreRefusal
    (a quota, a full disk) may end it between messages out of the repository: run again, it goes on. InUse where mail is
    being brought back into the account already.
    """
    async with store.bringing_back() if apply else nullcontext():
        return await _rewind_to(store, repository, snapshot, line, pool, apply=apply)


async def _rewind_to(
    store: Store, repository: Repository, snapshot: Snapshot, line: AccountLine, pool: Analyser, *, apply: bool
) -> FromSnapshot:
    root = await asyncio.to_thread(repository.read, line.root, AccountData)
    then = await asyncio.to_thread(_then, repository, root)
    done = FromSnapshot(await store.rewind(then, apply=apply), snapshot.id)
    lacking = frozenset(id for _, id in done.told.lost)
    if not lacking:
        return done
    bringing = Bringing(repository, line, store, Choice(email_ids=lacking), pool, dry_run=not apply)
    try:
        brought = await bringing.add_missing()
    finally:
        for mailbox, uids in bringing.done.placed.items():
            await store.note_rewound(done.told.id, mailbox, _ranges(uids))
    done.brought, done.octets, done.lost = brought.messages, brought.octets, brought.lost
    return done


def _then(repository: Repository, root: AccountData) -> Then:
    boxes = tuple(Box(box.key, box.id, box.name, box.role) for box in root.mailboxes)

    def rows() -> Iterator[tuple[int, str, int, str]]:
        for box in root.mailboxes:
            for row in read_mailbox(repository, box).values():
                yield box.key, row.email_id, row.system, row.keywords

    # All of them before the store is asked: its command must not wait for the repository, nor stop half way.
    found = list(rows())
    keys = {box.key for box in root.mailboxes}
    return Then(
        root.at,
        boxes,
        found,
        frozenset(name for user, name in root.subscriptions if not user),
        [each for each in root.acl if each[0] in keys],
        [each for each in root.annotations if each[0] in keys],
    )


def _ranges(uids: list[int]) -> UidRanges:
    return tuple((uid, uid) for uid in sorted(uids))
