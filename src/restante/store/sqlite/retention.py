"""What of an account is kept beyond its removal: taken back while the retention lasts, reclaimed behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from ..model import Appended, Recoverable, UidRanges
from . import indexes, sharing, stamps
from .account_file import AccountFile
from .faults import translated

if TYPE_CHECKING:
    from ..rewind import RewindNote, Rewound
    from ..rewind import Snapshot as Then
    from .rewind import Prepared

STILL_READ = 3600.0
"""Seconds after its removal in which a session may still read a message, however short the retention is."""


class Retention(AccountFile):
    """The part of `store.interface.Store` that does so."""

    async def recoverable(self) -> list[Recoverable]:
        from . import recover

        return self._read(recover.recoverable, self._recoverable_since(), int(self._engine.clock.now()))

    def _recoverable_since(self) -> int:
        return int(self._engine.clock.now() - self._engine.settings.retention)

    async def undelete(self, numbers: Sequence[int], mailbox: int | None) -> Appended | None:
        from . import recover

        return await self._write(recover.undelete, numbers, mailbox, self._recoverable_since())

    async def rewind(self, to: int | Then, *, apply: bool) -> Rewound:
        from . import rewind

        engine = self._engine
        self._put_in_service()
        since = int(engine.clock.now() - engine.settings.retention)
        made = await asyncio.to_thread(self.read_apart, rewind.prepare, to, since)
        gone = await self._strangers(made)
        if not apply:
            return made.told
        engine.check_room(0)
        return await sharing.granting(self, made.told, lambda: self._write(rewind.rewind, to, since, made, gone))

    async def _strangers(self, made: Prepared) -> frozenset[str]:
        """Take persons who have no account any more out of a rewind's plan; their ids."""
        from ..rewind import persons, without_strangers

        directory, named = self._engine.directory, persons(made.plan, made.told)
        gone = frozenset([one for one in sorted(named) if await directory.account_by_id(one) is None])
        without_strangers(made.plan, made.told, gone)
        return gone

    async def undo_rewind(self, id: int, *, apply: bool) -> Rewound:
        from . import rewind

        self._put_in_service()
        made = await asyncio.to_thread(self.read_apart, rewind.prepare_undoing, id)
        gone = await self._strangers(made)
        if not apply:
            return made.told
        self._engine.check_room(0)
        return await sharing.granting(self, made.told, lambda: self._write(rewind.undo, id, made, gone))

    async def rewinds(self) -> list[RewindNote]:
        from . import rewind

        return self._read(rewind.notes)

    async def note_rewound(self, id: int, mailbox: int, ranges: UidRanges) -> None:
        from . import rewind

        await self._write(rewind.note_rewound, id, mailbox, ranges)

    def bringing_back(self) -> AbstractAsyncContextManager[None]:
        return self._lock("bring", "Mail is being brought back into this account already.")

    async def reclaim(self, budget: int) -> int:
        from . import recover

        now, settings = self._engine.clock.now(), self._engine.settings
        retention = max(settings.retention, STILL_READ)
        freed = await self._write(recover.reclaim, budget, int(now - retention), int(now - settings.log_retention))
        if freed:
            self._shared.freed = True
        elif self._shared.freed:
            self._shared.freed = False
            with translated():
                path = self._engine.index_path(self.account)
                await asyncio.to_thread(indexes.prune, self._path, path, self._engine.locks)
        if not freed:
            for mailbox in await asyncio.to_thread(self.read_apart, stamps.swollen):
                after = 0
                while after := await self._write(recover.prune_stamps, mailbox, after):
                    pass
        return freed
