"""A side on a server that a test has written: what those tests have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from restante.sync.model import Message
from restante.sync.remote import RemoteSide, Settings

from .remote_script import Bare, Script
from .remote_support import secret

T = TypeVar("T")
NONE: frozenset[str] = frozenset()
SEEN = frozenset({"\\Seen"})


def on(
    bare: Bare,
    act: Callable[[RemoteSide, Script], Awaitable[T]],
    settings: Settings | None = None,
    greeting: bytes = b"* OK ready\r\n",
    spool: Path | None = None,
    views: bool = False,
) -> T:
    """Run `act` with a side on that server."""

    async def go() -> T:
        async with asyncio.timeout(60), Script(bare, greeting).running() as script:
            side = RemoteSide(script.address(), secret, settings or Settings(connections=1), spool=spool, views=views)
            try:
                await side.open()
                return await act(side, script)
            finally:
                await side.close()

    return asyncio.run(go())


def message(number: int, *flags: str) -> Message:
    return Message(0, b"Subject: %d\r\n\r\nx\r\n" % number, frozenset(flags), 1_500_000_000)


async def all_of(side: RemoteSide, name: str = "INBOX") -> dict[int, Message]:
    changes = await side.changes(name, None)
    return {one.uid: one async for one in side.fetch(name, list(changes.uids))}
