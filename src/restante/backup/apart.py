"""A run's blocking work: in a thread where an event loop has others to serve meanwhile, in place where there is none.

A run is written for a loop, and takes whatever engine the store has. A night in which little changed is a process of
its own that nobody waits for but whoever started it, and that reads files by itself (`store.sqlite.aside`): to load
asyncio, and to go from thread to thread, took longer there than the work. Its run is driven by `finish`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` gives, as `asyncio.to_thread`; without a running loop it is just called."""
    asyncio = sys.modules.get("asyncio")  # who has not loaded it runs no loop
    if asyncio is None or asyncio._get_running_loop() is None:
        return work(*args, **kwargs)
    found: T = await asyncio.to_thread(work, *args, **kwargs)
    return found


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end what never waits: nothing in it but `apart`, and what is ready at once. Without a running loop.

    Raises RuntimeError where it does wait.
    """
    try:
        work.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    work.close()
    raise RuntimeError("it waits for an event loop")
