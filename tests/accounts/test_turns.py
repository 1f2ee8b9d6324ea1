"""Who waits for a password check: networks take turns, and a flood of one makes room for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from restante.accounts.login import LoginUnavailable
from restante.accounts.turns import Turns

FLOOD, OFFICE, HOME = "192.0.2.1", "2001:db8:0:1::/64", "192.0.2.2"


class Scene:
    """One who has the turn until `end`, and those who wait behind him."""

    def __init__(self, most: int) -> None:
        self.turns = Turns(most)
        self.had: list[str] = []
        self.end = asyncio.Event()

    async def hold(self) -> None:
        async with self.turns.turn("first"):
            await self.end.wait()

    async def have(self, name: str, network: str) -> None:
        async with self.turns.turn(network):
            self.had.append(name)
            await asyncio.sleep(0)

    async def come(self, *who: tuple[str, str]) -> list[asyncio.Task[None]]:
        tasks = [asyncio.ensure_future(self.have(name, network)) for name, network in who]
        await asyncio.sleep(0)
        return tasks


def run(test: Callable[[Scene], Awaitable[None]], most: int = 100) -> None:
    async def main() -> None:
        scene = Scene(most)
        holding = asyncio.ensure_future(scene.hold())
        await asyncio.sleep(0)
        async with asyncio.timeout(30):  # nothing is held for ever
            await test(scene)
            scene.end.set()
            await holding
            await scene.have("last", HOME)

    asyncio.run(main())


def test_networks_take_turns_and_within_one_the_first_goes_first() -> None:
    async def test(scene: Scene) -> None:
        flood = [(f"flood {number}", FLOOD) for number in range(4)]
        tasks = await scene.come(*flood, ("office 0", OFFICE), ("home", HOME), ("office 1", OFFICE))
        scene.end.set()
        await asyncio.gather(*tasks)
        assert scene.had == ["flood 0", "office 0", "home", "flood 1", "office 1", "flood 2", "flood 3"]

    run(test)


def test_where_all_is_full_the_network_with_most_waiting_makes_room() -> None:
    async def test(scene: Scene) -> None:
        flood = await scene.come(*[(f"flood {number}", FLOOD) for number in range(4)])
        (office,) = await scene.come(("office", OFFICE))
        (more,) = await scene.come(("more", FLOOD))
        for sent_away in (flood[3], more):
            with pytest.raises(LoginUnavailable):
                await sent_away
        scene.end.set()
        await asyncio.gather(*flood[:3], office)
        assert scene.had == ["flood 0", "office", "flood 1", "flood 2"]

    run(test, most=4)


def test_who_gives_up_leaves_his_place_to_the_next() -> None:
    async def test(scene: Scene) -> None:
        tasks = await scene.come(("one", FLOOD), ("two", FLOOD), ("three", HOME))
        tasks[0].cancel()
        await asyncio.sleep(0)
        scene.end.set()
        await asyncio.sleep(0)  # the turn has been given on, and not been taken yet
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert scene.had == ["three"]

    run(test)
