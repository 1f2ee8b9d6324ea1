"""Waking those who wait for something to move, whatever that was: they look for themselves. One loop, no lock."""

from __future__ import annotations

import asyncio


class Signal:
    """`while not so: await signal.wait()`, and `signal.fire()` whenever it may be so."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Until the next `fire`."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def fire(self) -> None:
        """Wake all who wait."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)
