"""What the directory says of who shares with whom, where a mailbox is deleted while somebody is let into it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from restante.clock import ManualClock, system_random
from restante.store.directory import Domain
from restante.store.errors import NoSuchMailbox
from restante.store.model import FlagMode
from restante.store.rights import Rights
from restante.store.sqlite.engine import SqliteEngine

BOB = "bobbob"


@pytest.mark.parametrize("first", ["granted", "deleted"])
def test_a_deleted_mailbox_leaves_nothing_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    """Both have begun, in two processes: the list changes behind the deletion's first look, or it is refused."""

    async def main() -> None:
        engines = [SqliteEngine(tmp_path, ManualClock(), system_random, reserve=0) for _ in range(2)]
        await engines[0].directory.add_domain(Domain("x.org"))
        await engines[0].create_account(BOB)
        one, two = (engine.own(BOB) for engine in engines)
        box = (await one.create_mailbox("box")).key
        granting, deleting = (two.set_acl(box, "ann", FlagMode.REPLACE, Rights.LOOKUP), one.delete_mailbox(box, "box"))
        before, store = (granting, one) if first == "granted" else (deleting, two)
        write = store._write

        async def behind(*given: Any) -> Any:
            monkeypatch.setattr(store, "_write", write)
            await before
            return await write(*given)

        monkeypatch.setattr(store, "_write", behind)
        if first == "granted":
            await deleting
        else:
            with pytest.raises(NoSuchMailbox):
                await granting
        assert await engines[0].directory.shares_of(BOB) == []
        assert [finding async for finding in one.doctor(False)] == []
        for engine in engines:
            await engine.close()

    asyncio.run(main())
