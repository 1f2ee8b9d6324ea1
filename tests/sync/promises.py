"""What tests of a run share: two sides in memory, a run over them, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import apsw

from restante.sync.settings import Brake, CopySettings, End, Report

from .memory import ALL
from .programs import World

ONE, TWO = End.ONE, End.TWO
FREE = CopySettings(brake=Brake(on=False))
PLAIN = replace(ALL, emails=False)
Make = Callable[..., World]


def sync(world: World, *, only: tuple[str, ...] = (), dry_run: bool = False) -> Report:
    report = world.sync(only=only, dry_run=dry_run)
    assert report is not None
    return report


def uids(world: World, end: End, name: str = "INBOX") -> list[int]:
    return sorted(world.disks[end].boxes[name].messages)


def same(world: World) -> None:
    assert world.content(ONE) == world.content(TWO)


def numbers(world: World, table: str) -> int:
    """Rows of a table of the state."""
    db = apsw.Connection(str(world.folder / "state"), flags=apsw.SQLITE_OPEN_READONLY)
    count = int(db.execute(f"SELECT count(*) FROM {table}").get)
    db.close()
    return count


def fetched(world: World) -> int:
    return sum(side.fetched for side in world.sides.values())
