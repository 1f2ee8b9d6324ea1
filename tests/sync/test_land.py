"""A run right behind one that was cut off lets the server finish what it had got."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from restante.sync.engine import land
from restante.sync.model import Added, Message
from restante.sync.settings import Brake, CopySettings, End

from .memory import ALL
from .programs import World

ONE, TWO = End.ONE, End.TWO


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that runs waited."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(land, "asyncio", SimpleNamespace(sleep=sleep))
    return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, {ONE: ALL, TWO: ALL}, CopySettings(brake=Brake(on=False)))
    assert made.sync() is not None
    made.deliver(TWO, "INBOX")
    return made


def behind(world: World, seconds: float) -> None:
    """Let it be so long since the last run wrote."""
    files = (world.folder / "state", world.folder / "state-wal")
    world.clock.set(max(path.stat().st_mtime for path in files if path.exists()) + seconds)


def cut_off(world: World, label: str) -> None:
    """A run that is killed at the first step of that name."""
    at = world.clock.now()
    probe = World(world.folder / "probe", world.abilities, world.settings)
    assert probe.sync() is not None
    probe.deliver(TWO, "INBOX")
    assert probe.sync() is not None
    assert world.sync(kill=probe.steps.labels.index(label) + 1) is None
    assert world.clock.now() == at


@pytest.mark.parametrize(("label", "waited"), [("one: before add INBOX", True), ("two: before fetch INBOX", False)])
def test_a_run_waits_for_messages_that_were_on_their_way(
    world: World, waits: list[float], label: str, waited: bool
) -> None:
    cut_off(world, label)
    behind(world, 4.0)
    assert world.sync() is not None
    assert waits == ([pytest.approx(land.GRACE - 4.0)] if waited else [])
    behind(world, 4.0)
    assert world.sync() is not None
    assert len(waits) == int(waited)
    assert world.content(ONE) == world.content(TWO)


@pytest.mark.parametrize("seconds", [land.GRACE, -3600.0])
def test_nothing_is_waited_for_later_or_where_the_clock_was_put_back(
    world: World, waits: list[float], seconds: float
) -> None:
    cut_off(world, "one: before add INBOX")
    behind(world, seconds)
    assert world.sync() is not None
    assert waits == []


def test_a_message_that_was_refused_is_not_on_its_way(world: World, waits: list[float]) -> None:
    def refuses(_name: str, _message: Message) -> Added:
        return Added(0, "too ugly")

    world.prepare = lambda sides: setattr(sides[ONE], "refuses", refuses)
    report = world.sync()
    assert report is not None
    assert len(report.aside) == 1
    behind(world, 0.5)
    assert world.sync() is not None
    assert waits == []
