"""More password checks than can be made: who is told to come back, and when."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.accounts.login import LoginUnavailable
from restante.config.model import AuthTable, Config
from restante.store.errors import Busy

from .world import AFAR, ANN, World, run

FULL = Config(auth=AuthTable(argon2_memory=64 << 10, argon2_time=1, queue=0))


def test_who_is_told_to_come_back_waits_for_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(world: World) -> None:
        checks = [world.auth.password(ANN, b"secret", AFAR) for _ in range(3)]
        await asyncio.gather(*checks, return_exceptions=True)
        assert world.delays == [0.5, 0.5]

        async def busy(address: str) -> None:
            raise Busy("The directory is busy.")

        monkeypatch.setattr(world.directory, "login", busy)
        with pytest.raises(LoginUnavailable):
            await world.auth.password(ANN, b"secret", AFAR)
        assert world.delays == [0.5, 0.5, 0.5]

    run(tmp_path, test, FULL)
