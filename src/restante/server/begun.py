"""A coroutine that is begun at once, and awaited later.

A task begins with the event loop's next turn, and what it then asks of the loop is done in the one after that. What is
begun here has its wait behind it, as a rule, when the task comes to it: no turn of the loop more, no callback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Awaitable[T], Generic[T]):
    """Runs a coroutine as far as its first wait; the rest when it is awaited, once. What it raises is raised there.

    As far as that it runs in whatever begins it, and may need no task: `asyncio.timeout` does.
    """

    __slots__ = ("_coroutine", "_failed", "_future", "_result", "_waits")

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._future: asyncio.Future[Any] | None = None
        """What it waits for; None for a turn of the loop."""
        self._waits = True
        self._failed: Exception | None = None
        self._result: list[T] = []
        self._go_on()

    def _go_on(self, error: BaseException | None = None) -> None:
        """Run it to its next wait. error: raised where it waits."""
        try:
            self._future = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
        except StopIteration as end:
            self._waits = False
            self._result.append(end.value)
        except Exception as failed:  # noqa: BLE001 - raised where the coroutine is awaited
            self._waits = False
            self._failed = failed

    def __await__(self) -> Generator[Any, Any, T]:
        while self._waits:
            thrown = None
            if self._future is None or not self._future.done():
                try:
                    yield self._future
                except BaseException as error:  # noqa: BLE001 - the coroutine's, which may have something to clean up
                    thrown = error
            self._go_on(thrown)
        if self._failed is not None:
            raise self._failed
        return self._result[0]
