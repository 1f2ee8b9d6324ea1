"""Lists changed by several processes at once: the index of shares never lacks a pair."""

from __future__ import annotations

import asyncio
import random

from restante.store.directory import Domain
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode
from restante.store.rights import Rights

from .making import ACCOUNT, Installation

PEOPLE = ("ann", "carol", "anyone")


def test_three_processes_give_and_take_the_same_rights(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await engine.directory.add_domain(Domain("x.org"))
        boxes = [(await store.create_mailbox(name)).key for name in ("A", "B")]
        engines = [engine, installation.open(), installation.open()]
        try:
            await asyncio.gather(*(toggle(one, boxes, random.Random(seed)) for seed, one in enumerate(engines)))
        finally:
            for one in engines[1:]:
                await one.close()
        named = {entry.identifier for box in boxes for entry in await store.acl(box)}
        assert set(await engine.directory.shares_of(ACCOUNT)) == named
        assert [f async for f in store.doctor(False) if f.code == "share"] == []

    async def toggle(engine: Engine, boxes: list[int], chance: random.Random) -> None:
        store = engine.account(ACCOUNT)
        for _ in range(60):
            who, box = chance.choice(PEOPLE), chance.choice(boxes)
            rights = chance.choice([Rights.NONE, Rights.LOOKUP])
            await store.set_acl(box, who, FlagMode.REPLACE, rights)
            before = await store.last_change()
            if who in {entry.identifier for entry in await store.acl(box)}:
                known = await engine.directory.shares(ACCOUNT, (who,))
                assert known or await store.last_change() != before  # else it was taken and given again meanwhile

    asyncio.run(installation.play(scene))
