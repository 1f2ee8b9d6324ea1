"""Where the tests of this folder keep their files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.sync.settings import CopySettings

from .memory import ALL, Abilities, Disk
from .moving import Move, house
from .programs import RAM, World
from .promises import FREE, ONE, TWO, Make


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """pytest's own; for tests marked `in_memory` a folder in memory, where there is one.

    These tests stop a run after every step: they are about the order of steps. Their fsyncs, tens of thousands, would
    prove nothing on a disk that loses no power, and take most of their time.
    """
    if RAM is None or request.node.get_closest_marker("in_memory") is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=RAM, prefix="restante-test-") as folder:
        yield Path(folder)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(settings: CopySettings = FREE, one: Abilities = ALL, two: Abilities = ALL) -> World:
        return World(tmp_path, {ONE: one, TWO: two}, settings)

    return made


@pytest.fixture
def move(tmp_path: Path) -> Move:
    return Move(tmp_path, house(), Disk("t"))
