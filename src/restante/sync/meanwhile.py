"""Sending while a large message comes: what somebody hands in does not wait until the line is free.

Between the look at a mailbox and what is done about it nobody else may change it through the same side. While a single
message is on its way nothing is done to the copy but that it is added at the end, and for that moment `copy.Held` has a
turn. So this is the time in which the outbox may have the side, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

Reason = Callable[[], Awaitable[object]]


@asynccontextmanager
async def meanwhile(
    send: Callable[[], Awaitable[bool]], reasons: Sequence[Reason], *, at_once: bool
) -> AsyncIterator[None]:
    """For as long as the body runs, `send` whenever one of the reasons comes; at_once: and at its beginning.

    send: whether there is any use in doing it again. At the end of the body what is being sent is sent; a cancellation
    ends that, too. Raises what `send` and the reasons raise, once the body has ended.
    """
    ended = asyncio.Event()
    work = asyncio.ensure_future(_work(send, reasons, ended, at_once))
    try:
        yield
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError):
            work.cancel()
        ended.set()
        await asyncio.gather(work, return_exceptions=True)  # the body's is the failure to be told
        raise
    ended.set()
    await work


async def _work(
    send: Callable[[], Awaitable[bool]], reasons: Sequence[Reason], ended: asyncio.Event, at_once: bool
) -> None:
    useful = not at_once or await send()
    while useful and not ended.is_set() and await _any(reasons, ended):
        useful = await send()


async def _any(reasons: Sequence[Reason], ended: asyncio.Event) -> bool:
    """Wait for a reason, or the end; whether there was a reason, be it with the end: nobody else has heard of it."""
    end = asyncio.ensure_future(ended.wait())
    waits = {asyncio.ensure_future(reason()) for reason in reasons}
    try:
        await asyncio.wait({end, *waits}, return_when=asyncio.FIRST_COMPLETED)
        came = [wait for wait in waits if wait.done()]
        for wait in came:
            wait.result()
        return bool(came)
    finally:
        for wait in (end, *waits):
            wait.cancel()
        await asyncio.gather(end, *waits, return_exceptions=True)
