"""An account whose file is broken somewhere, or whose disk has lost a sector: all that can be read comes out."""

from __future__ import annotations

import asyncio
import random
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from restante.exchange.export import Exported, Form, export_mail
from restante.store.interface import Store
from restante.store.model import Column
from tests.crash.vfs import BadSector, bad_sector

from .store import account, load, put

MAIL = [b"Subject: %d\r\n\r\n%b\r\n" % (n, bytes(random.Random(n).choices(b"abcdef ", k=900))) for n in range(200)]


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("table", ["chunk", "email"])
def test_what_cannot_be_read_is_told_and_all_else_is_exported(tmp_path: Path, table: str, form: Form) -> None:
    async def scene(disk: BadSector) -> tuple[Exported, list[int]]:
        async with account(tmp_path / "data") as store:
            for data in MAIL:
                await put(store, "INBOX", data)
        (path,) = (tmp_path / "data" / "accounts").rglob("*.db")
        with closing(apsw.Connection(str(path))) as db:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            sql = "SELECT pgoffset FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno"
            place = db.execute(sql, (table,)).fetchall()[1][0]
        assert isinstance(place, int)
        disk.at = (str(path), place)
        async with account(tmp_path / "data") as store:
            return await export_mail(store, tmp_path / "out", form), await uids(store)

    with bad_sector() as disk:
        done, there = asyncio.run(scene(disk))
    lost = [each.uid for each in done.lost]
    assert 0 < len(lost) < 100
    assert lost == there[lost[0] - 1 : lost[-1]]
    assert done.messages == len(there) - len(lost)

    async def comes_back() -> list[bytes]:
        async with account(tmp_path / "new") as store:
            report = await load(tmp_path / "out", store)
            assert (report.messages, report.skipped) == (done.messages, [])
            box = await store.mailbox(report.mailboxes[0])
            assert box is not None
            return [
                await store.read_content(key)
                for _, key in await store.rows(box.key, ((1, 1000),), (Column.CONTENT,), 1000)
                if isinstance(key, int)
            ]

    whole = [data for uid, data in enumerate(MAIL, 1) if uid not in lost]
    assert [data[-900:] for data in asyncio.run(comes_back())] == [data[-900:] for data in whole]


async def uids(store: Store) -> list[int]:
    box = await store.mailbox("INBOX")
    assert box is not None
    return list((await store.snapshot(box.key)).uids.uids)
