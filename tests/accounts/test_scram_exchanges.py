"""SCRAM exchanges between whose messages something happens (the client may take minutes for each), and names that
SASLprep changes or refuses."""

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


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("\u0639\u0644\u064a@example.org", "\u0639\u0644\u064a@example.org"),  # mixed directions
        ("x\u00b2@example.org", "x\u00b2@example.org"),  # NFKC: x2
        ("x\u00b2@example.org", "X\u00b2@EXAMPLE.ORG"),
        ("bob@example.org", "\uff42ob@example.org"),  # full width
        ("bob@example.org", "b\u00adob@example.org"),  # soft hyphen
    ],
    ids=["right-to-left", "superscript", "superscript-in-capitals", "full-width", "soft-hyphen"],
)
def test_scram_finds_the_name_as_it_is_and_as_saslprep_makes_it(tmp_path: Path, address: str, name: str) -> None:
    async def test(world: World) -> None:
        await world.admin.add_account(address, "secret")
        assert (await scram(world, user=name, peer=HERE)).account.address == address

    run(tmp_path, test, SCRAM)


def test_scram_tells_nothing_of_a_name_that_saslprep_refuses(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        for name in ("bell\7@example.org", "\u0639\u0644\u064a@example.org", "x\u00b2@example.org"):
            assert await refused(scram(world, user=name, peer=HERE)) == "invalid-proof"

    run(tmp_path, test, SCRAM)
