"""A store whose file is broken somewhere, as one side of a copy: a message that cannot be read holds up no other."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.local import LocalSide
from restante.sync.settings import CopySettings, Report
from restante.sync.state import State
from tests.crash.vfs import bad_sector

from .memory import Disk, MemorySide
from .sides import NONE, message
from .test_local import ACCOUNT, local, make_account
from .test_local import run as with_side


def file_of(data: Path) -> Path:
    return data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"


def sync(data: Path, disk: Disk, folder: Path, later: float = 0.0) -> Report:
    clock = ManualClock()
    clock.advance(later)

    async def act() -> Report:
        state = State.open(folder / "state.db")
        try:
            return await run(CopySettings(), MemorySide(disk), local(data), state, clock)
        finally:
            state.close()

    return asyncio.run(act())


@pytest.mark.parametrize("unread", [False, True], ids=["broken", "bad sector"])
def test_what_a_store_cannot_give_is_set_aside_and_comes_once_it_can(tmp_path: Path, unread: bool) -> None:
    data, disk = tmp_path / "data", Disk()
    make_account(data)

    async def fill(side: LocalSide) -> None:
        await side.add("INBOX", [message(n, NONE, b"%d " % n * 300) for n in range(60)])

    with_side(data, fill, compress=False)
    file = file_of(data)
    with closing(apsw.Connection(str(file))) as db:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        sql = "SELECT pgoffset, pgsize FROM dbstat WHERE name = 'chunk' AND pagetype = 'leaf' ORDER BY pageno"
        place, size = db.execute(sql).fetchall()[1]
    assert isinstance(place, int)
    assert isinstance(size, int)
    whole = file.read_bytes()
    with bad_sector() as sector:
        if unread:
            sector.at = (str(file), place)
        else:
            write(file, place, b"\xff" * size)
        report = sync(data, disk, tmp_path)
        assert (report.one.added + len(report.aside), report.left_out) == (60, ())
        assert 0 < len(report.aside) < 20
        assert "cannot be read" in report.aside[0].reason
        sector.at = None
        write(file, place, whole[place : place + size])
        report = sync(data, disk, tmp_path, later=3600)  # those are not asked for again at once
        assert report.aside == ()
        assert len(disk.boxes["INBOX"].messages) == 60


def write(file: Path, place: int, octets: bytes) -> None:
    with file.open("r+b") as stream:
        stream.seek(place)
        stream.write(octets)
