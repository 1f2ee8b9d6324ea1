"""An account examined from end to end: its file, its search index, what it shares, moves that were cut off."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import apsw

from ..model import Finding
from . import doctor, index, indexes, served, sharing, transfer
from .faults import translated
from .handles import WRITER_WAIT, connect
from .mend import Mender

if TYPE_CHECKING:
    from .account import SqliteStore


async def examine(store: SqliteStore, repair: bool) -> AsyncIterator[Finding]:
    """See `Store.doctor`."""
    engine = store._engine
    note = partial(served.note, store._path)
    mender = Mender(engine.clock, engine.random, engine.settings, note) if repair else None
    with translated():
        db = await asyncio.to_thread(connect, store._path, wait=WRITER_WAIT)
    try:
        # Closed before the connection is, where who asks hears no more: a transaction may be open in them.
        broken = False
        with closing(doctor.check(db, mender, engine.analysis)) as findings:
            while (finding := await _stepped(db, findings)) is not None:
                broken = broken or finding.code == doctor.PAGES
                if finding.code in ("answers", "body-text") and finding.repaired:
                    _discard_index(store)  # a text may be another one now
                yield finding
        if broken:
            return  # what is compared with something else would have to be whole
        wrong = False
        with closing(indexes.check(db, engine.index_path(store.account), engine.locks)) as findings:
            while (finding := await _stepped(db, findings)) is not None:
                wrong = True
                yield dataclasses.replace(finding, repaired=repair)
        if wrong and repair:
            _discard_index(store)  # filled again behind the next mail or search
        for finding in await sharing.check(store, repair):
            yield finding
        if await asyncio.to_thread(_unfinished_moves, store, db):
            text = "a move to another account was cut off, and that account cannot be read to finish it"
            yield Finding("transfer", text, repairable=False)
    finally:
        await asyncio.to_thread(db.close)
        engine.kept.forget_mail({store.account})  # a repair may have changed what a list was made from


def _discard_index(store: SqliteStore) -> None:
    engine = store._engine
    with translated():
        engine.indexes.forget({store.account})
        index.discard(engine.index_path(store.account), engine.locks)
    engine.filler.note(store.account)


def _unfinished_moves(store: SqliteStore, db: apsw.Connection) -> int:
    return transfer.finish_all(db, store._path, store._engine.clock, store._engine.random)


async def _stepped(db: apsw.Connection, findings: Iterator[Finding]) -> Finding | None:
    """The next finding, looked for in a thread. Where nobody waits for it any more (Ctrl-C) the thread is made to let
    go of the connection, which its owner closes, however often it is said."""
    step = asyncio.ensure_future(asyncio.to_thread(_next, findings))
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        while not step.done():  # between two statements nothing is there to be interrupted
            db.interrupt()
            try:
                await asyncio.wait([step], timeout=0.02)
            except asyncio.CancelledError:
                continue  # a second Ctrl-C: the thread is at it still
        step.exception()  # that it was interrupted is no news
        raise


def _next(findings: Iterator[Finding]) -> Finding | None:
    with translated():
        return next(findings, None)
