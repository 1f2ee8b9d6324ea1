"""The doctor knows what holds of annotations: their mailbox is there, and no number is above the counters."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw

from restante.store.annotation import ACCOUNT as ACCOUNT_ITSELF
from restante.store.interface import Engine, Store
from tests.engines.making import ACCOUNT, Installation, inbox


async def codes(store: Store, *, repair: bool = False) -> list[str]:
    return [finding.code async for finding in store.doctor(repair)]


def test_annotations_are_checked_by_the_doctor(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.annotate(box, {"/shared/comment": b"x"})
        await store.annotate(ACCOUNT_ITSELF, {"/shared/comment": b"x"})
        assert await codes(store) == []
        db = apsw.Connection(str(installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"))
        db.execute("UPDATE annotation SET modseq = 70 WHERE mailbox = ?", (box,))
        db.execute("UPDATE annotation SET modseq = 90 WHERE mailbox = 0")
        assert await codes(store, repair=True) == ["highestmodseq", "modseq"]
        assert await codes(store) == []
        assert await store.last_change() == 91, "the repair's own is above it"
        db.execute("INSERT INTO annotation VALUES (99, '', '/shared/comment', x'00', 5)")
        assert await codes(store) == ["annotation-mailbox"]
        db.close()

    asyncio.run(installation.play(scene))
