"""A coroutine that is begun before it is awaited: its result, its errors, and who cancels it."""

from __future__ import annotations

import asyncio

import pytest

from restante.server.begun import Begun


async def waits(future: asyncio.Future[int], passed: list[str]) -> int:
    passed.append("begun")
    try:
        found = await future
    except BaseException:
        passed.append("thrown")
        raise
    passed.append("went on")
    return found + 1


def test_what_it_waits_for_is_waited_for() -> None:
    async def scene() -> None:
        future, passed = asyncio.get_running_loop().create_future(), list[str]()
        begun = Begun(waits(future, passed))
        assert passed == ["begun"]
        asyncio.get_running_loop().call_soon(future.set_result, 1)
        assert await begun == 2
        assert passed == ["begun", "went on"]

    asyncio.run(scene())


def test_what_is_there_already_costs_no_turn_of_the_loop() -> None:
    async def scene() -> None:
        future, passed = asyncio.get_running_loop().create_future(), list[str]()
        begun = Begun(waits(future, passed))
        future.set_result(1)
        asyncio.get_running_loop().call_soon(passed.append, "another turn")
        assert await begun == 2
        assert passed == ["begun", "went on"]

    asyncio.run(scene())


def test_it_may_wait_again_and_never() -> None:
    async def twice() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        return "done"

    async def at_once() -> str:
        return "done"

    async def scene() -> None:
        assert await Begun(twice()) == "done"
        assert await Begun(at_once()) == "done"

    asyncio.run(scene())


@pytest.mark.parametrize("late", [False, True])
def test_what_it_raises_is_raised_where_it_is_awaited(late: bool) -> None:
    async def fails(future: asyncio.Future[int]) -> None:
        if late:
            await future
        raise OSError("gone")

    async def scene() -> None:
        future = asyncio.get_running_loop().create_future()
        begun = Begun(fails(future))
        future.set_result(1)
        with pytest.raises(OSError, match="gone"):
            await begun

    asyncio.run(scene())


def test_who_is_cancelled_cancels_it() -> None:
    async def scene() -> None:
        future, passed = asyncio.get_running_loop().create_future(), list[str]()
        begun = Begun(waits(future, passed))

        async def awaits() -> int:
            return await begun

        task = asyncio.create_task(awaits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert passed == ["begun", "thrown"]
        assert future.cancelled()

    asyncio.run(scene())


def test_what_it_makes_of_an_error_is_what_comes_of_it() -> None:
    async def recovers(future: asyncio.Future[int]) -> int:
        try:
            return await future
        except OSError:
            return -1

    async def scene() -> None:
        future = asyncio.get_running_loop().create_future()
        begun = Begun(recovers(future))
        asyncio.get_running_loop().call_soon(future.set_exception, OSError("gone"))
        assert await begun == -1

    asyncio.run(scene())


def test_who_is_cancelled_waits_for_what_it_clears_away() -> None:
    async def clears(future: asyncio.Future[int], passed: list[str]) -> None:
        try:
            await future
        finally:
            await asyncio.sleep(0)
            passed.append("cleared")

    async def scene() -> None:
        future, passed = asyncio.get_running_loop().create_future(), list[str]()
        begun = Begun(clears(future, passed))

        async def awaits() -> None:
            await begun

        task = asyncio.create_task(awaits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert passed == ["cleared"]

    asyncio.run(scene())
