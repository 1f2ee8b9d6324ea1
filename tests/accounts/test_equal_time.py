"""How long a failure takes tells nobody whether there is such an account, whatever its hash costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_authenticate import refused
from .world import AFAR, ANN, World, run


def test_an_account_with_a_costly_hash_answers_when_an_unknown_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(world: World) -> None:
        async def verify(password: bytes, hash: str, network: str) -> bool:
            world.clock.advance(0.3)
            return False

        async def pretend(password: bytes, network: str) -> None:
            world.clock.advance(0.03)

        monkeypatch.setattr(world.auth.checker, "verify", verify)
        monkeypatch.setattr(world.auth.checker, "pretend", pretend)

        async def taken(name: bytes, password: bytes) -> float:
            began = world.clock.monotonic()
            await refused(world.auth.password(name, password, AFAR))
            return world.clock.monotonic() - began

        for guess in (b"1", b"1", b"2", b"3", b"4", b"5", b"6"):  # a repeated one, and those that queue
            costly, unknown = await taken(ANN, guess), await taken(b"nobody@example.org", guess)
            assert costly == pytest.approx(unknown), guess

    run(tmp_path, test)
