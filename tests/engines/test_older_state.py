"""An older state put in service gives out nothing that the lost one may have given out, and keeps what clients hold."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from restante.store.interface import Engine, Store
from restante.store.model import Column, FlagMode, Flags, System

from .making import ACCOUNT, ALL, Installation, fill, inbox


def test_a_copied_file_is_made_safe_before_it_is_read(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    path = installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"
    kept = tmp_path / "kept.db"

    async def before(_engine: Engine, store: Store) -> None:
        await fill(store, await inbox(store), 3)

    async def lost(_engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2)
        await store.store_flags(box, ALL, FlagMode.ADD, Flags(System.SEEN))
        after["modseq"] = (await store.snapshot(box)).mailbox.highest_modseq

    async def again(_engine: Engine, store: Store) -> None:
        box = await inbox(store)
        snapshot = await store.snapshot(box)
        assert list(snapshot.uids.uids) == [1, 2, 3]
        assert snapshot.mailbox.uidvalidity == after["uidvalidity"]
        assert snapshot.mailbox.uidnext > 5
        assert snapshot.mailbox.highest_modseq > after["modseq"]
        delta = await store.delta(box, after["modseq"])
        assert not delta.complete, "the client compares UID lists"
        assert [uid for uid, _, _ in delta.changed] == [1, 2, 3], "flags are fetched again"
        ids = [row[1] for row in await store.rows(box, ALL, [Column.EMAIL_ID], 9)]
        assert ids == kept_ids, "and mail is not"
        # making.py files made-up answers, which doctor rightly names
        assert [f async for f in store.doctor(repair=False) if f.code != "answers"] == []
        numbers.append(snapshot.mailbox.highest_modseq)

    after: dict[str, int] = {}
    numbers: list[int] = []
    kept_ids: list[object] = []

    async def note(_engine: Engine, store: Store) -> None:
        box = await inbox(store)
        after["uidvalidity"] = (await store.snapshot(box)).mailbox.uidvalidity
        kept_ids[:] = [row[1] for row in await store.rows(box, ALL, [Column.EMAIL_ID], 9)]

    asyncio.run(installation.play(before))
    asyncio.run(installation.play(note))
    shutil.copy(path, kept)
    asyncio.run(installation.play(lost))
    for beside in path.parent.glob(f"{ACCOUNT}.db*"):
        beside.unlink()
    shutil.copy(kept, path)
    asyncio.run(installation.play(again))
    asyncio.run(installation.play(again))
    assert numbers[0] == numbers[1], "it is done once"


def test_a_file_copied_back_under_a_running_server_has_its_own_uids(tmp_path: Path) -> None:
    """As many messages as before, but others: what the process knew of the lost state tells nothing of this one."""
    installation = Installation("sqlite", tmp_path / "data")
    path = installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 5)
        await engine.leave(ACCOUNT)
        shutil.copy(path, tmp_path / "kept.db")
        await store.expunge(box, ((2, 2),), deleted_only=False)
        await fill(store, box, 1)
        assert list((await store.snapshot(box)).uids.uids) == [1, 3, 4, 5, 6]
        await engine.leave(ACCOUNT)
        for beside in path.parent.glob(f"{ACCOUNT}.db*"):
            beside.unlink()
        shutil.copy(tmp_path / "kept.db", path)
        assert list((await store.snapshot(box)).uids.uids) == [1, 2, 3, 4, 5]

    asyncio.run(installation.play(scene))
