"""One at a time, and networks take turns: a hundred who wait at one address put nobody elsewhere behind them.

Within a network who came first goes first. What waits is bounded: where there is no more room, it is made by whoever
came last of the network that has most waiting, be it the newcomer himself. Must not know: what the turn is for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .login import LoginUnavailable


class Turns:
    """most: how many may wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._busy = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By network, the one whose turn is next first; none is empty."""

    @asynccontextmanager
    async def turn(self, network: str) -> AsyncIterator[None]:
        """Have the turn. Raises LoginUnavailable where too many wait."""
        if self._busy:
            await self._wait(network)
        self._busy = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, network: str) -> None:
        if sum(map(len, self._waiting.values())) >= self._most:
            self._make_room(network)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(network, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._forget(network, turn)
            elif turn.exception() is None:  # it had just been given the turn
                self._pass_on()
            raise

    def _make_room(self, network: str) -> None:
        """Send away the last of the network that has most waiting. Raises LoginUnavailable where that is this one."""
        refusal = LoginUnavailable("Too many logins at the moment.", "Try again in a few seconds.")
        most = max(self._waiting, key=lambda name: len(self._waiting[name]), default=network)
        if len(self._waiting.get(most, ())) <= len(self._waiting.get(network, ())) + 1:
            raise refusal
        turn = self._waiting[most][-1]
        self._forget(most, turn)
        if not turn.done():
            turn.set_exception(refusal)

    def _pass_on(self) -> None:
        """Give the turn to the first of the network whose turn it is, which then stands behind the others."""
        self._busy = False
        while self._waiting and not self._busy:
            network = next(iter(self._waiting))
            waiting = self._waiting.pop(network)
            turn = waiting.popleft()
            if waiting:
                self._waiting[network] = waiting
            if not turn.done():
                turn.set_result(None)
                self._busy = True

    def _forget(self, network: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(network, deque())
        if turn in waiting:
            waiting.remove(turn)
        if not waiting:
            self._waiting.pop(network, None)
