"""What search keeps of mail that has come: texts of bodies first, then the index; a small step at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from . import bodies, indexes
from .faults import translated

if TYPE_CHECKING:
    from .account import SqliteStore


async def fill(store: SqliteStore) -> int:
    """See `Store.fill_search`."""
    waiting = store.look(bodies.pending)
    if not waiting:
        return await _fill_index(store)
    octets = await bodies.octets_of(store, [stored for _, stored in waiting])
    texts = await asyncio.to_thread(bodies.stored_texts, octets, store.limits)
    filled = [(email, text) for (email, _), text in zip(waiting, texts, strict=True)]
    await store._engine.submit(
        store.account, store._path, bodies.fill, (filled,), store.session, store._user, relaxed=True
    )
    return len(filled)


async def _fill_index(store: SqliteStore) -> int:
    engine = store._engine
    least = engine.index_from
    if least is None or store.look(indexes.waiting, engine.indexes.complete(store.account), least) < least:
        return 0
    engine.check_room(0)  # the reserve is kept for removals
    with translated():
        done, upto = await asyncio.to_thread(
            indexes.fill, store._path, engine.index_path(store.account), engine.locks, least
        )
    engine.indexes.learn(store.account, upto)
    return done
