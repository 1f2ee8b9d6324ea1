"""More password checks than can be made: who is told to come back, and when."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from restante.accounts.login import LoginRefused, LoginUnavailable, Peer
from restante.config.model import AuthTable, Config
from restante.store.errors import Busy

from .world import AFAR, ANN, World, run

HOME = replace(AFAR, address="192.0.2.99")
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


def test_a_flood_of_one_address_puts_nobody_elsewhere_behind_it(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        done: list[bytes] = []

        async def login(name: bytes, peer: Peer) -> None:
            try:
                await world.auth.password(name, b"secret", peer)
            except LoginRefused:
                pass
            done.append(name)

        flood = [login(b"nobody%d@example.org" % number, AFAR) for number in range(20)]
        await asyncio.gather(*flood, login(ANN, HOME))
        assert done.index(ANN) <= 2

    run(tmp_path, test)
