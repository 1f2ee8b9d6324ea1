"""SCRAM exchanges between whose messages something happens: the client may take minutes for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from restante.accounts.login import LoginRefused
from restante.sasl.scram_client import ScramClient

from .test_authenticate import SCRAM, refused, scram
from .world import HERE, World, run

ANN = "ann@example.org"


async def changed(world: World) -> None:
    await world.admin.set_password(ANN, "another")


async def disabled(world: World) -> None:
    await world.admin.disable(ANN)


async def removed(world: World) -> None:
    await world.admin.remove_account(ANN)


CLOSED = pytest.mark.parametrize("close", [changed, disabled, removed])


@CLOSED
def test_what_is_closed_before_the_proof_lets_nobody_in(
    tmp_path: Path, close: Callable[[World], Awaitable[None]]
) -> None:
    async def test(world: World) -> None:
        with pytest.raises(LoginRefused):
            await scram(world, peer=HERE, between=lambda: close(world))
        assert "login" not in [event for event, _ in world.log]

    run(tmp_path, test, SCRAM)


@CLOSED
def test_what_is_closed_before_the_last_answer_lets_nobody_in(
    tmp_path: Path, close: Callable[[World], Awaitable[None]]
) -> None:
    async def test(world: World) -> None:
        exchange = world.auth.start("SCRAM-SHA-256", HERE)
        client = ScramClient(ANN, "secret", "nonce")
        challenge = await exchange.step(client.first())
        assert isinstance(challenge, bytes)
        final = await exchange.step(client.final(challenge))
        assert isinstance(final, bytes)
        client.verify(final)
        await close(world)
        assert await refused(exchange.step(b"")) == "closed meanwhile"

    run(tmp_path, test, SCRAM)
