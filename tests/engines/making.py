"""Messages and engines for the conformance suite. Analyses are made by hand: no engine looks into them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from restante.clock import ManualClock, system_random
from restante.mime.model import Analysis, Part, SearchText, SortKeys, Trait
from restante.store.interface import Engine, Store
from restante.store.model import Flags, Identity, NewMessage
from restante.store.sqlite.engine import SqliteEngine

T = TypeVar("T")
ACCOUNT = "a1b2c3"
Scene = Callable[[Engine, Store], Coroutine[Any, Any, None]]


class Installation:
    """The data of one engine, which several engines (several processes) may open."""

    def __init__(self, name: str, data: Path) -> None:
        self.name = name
        self.data = data
        self.clock = ManualClock()

    def open(self, **options: Any) -> Engine:
        assert self.name == "sqlite"
        options.setdefault("reserve", 0)
        return SqliteEngine(self.data, self.clock, system_random, **options)

    async def play(self, scene: Scene, **options: Any) -> None:
        """Run a scene on a new engine with one account."""
        engine = self.open(**options)
        try:
            await engine.create_account(ACCOUNT)
            await scene(engine, engine.account(ACCOUNT))
        finally:
            await engine.close()


def analysis(data: bytes, *, message_id: str = "", references: tuple[str, ...] = (), subject: str = "") -> Analysis:
    return Analysis(
        size=len(data),
        traits=Trait.NONE if data.endswith(b"\r\n") else Trait.NO_FINAL_CRLF,
        root=Part(0, 10, len(data), children=(Part(1, 2, 3),)),
        envelope=b"(envelope)",
        body=b"(body)",
        bodystructure=b"(bodystructure)",
        headers=b"Subject: x\r\n",
        preview="Gruß",
        keys=SortKeys(1, subject, False, "from", "to", "cc", "From", "To", message_id, references),
        text=SearchText("FROM", "TO", "CC", "BCC", "SUBJECT", "SUBJECT: X"),
    )


async def new(
    store: Store,
    data: bytes = b"Subject: x\r\n\r\nHello\r\n",
    *flags: str,
    received: int = 1_000_000,
    identity: Identity | None = None,
    arrival: bytes | None = None,
    **keys: Any,
) -> NewMessage:
    return NewMessage(
        await store.put(data), analysis(data, **keys), Flags.of(flags), received, arrival, identity or Identity()
    )


async def inbox(store: Store) -> int:
    found = await store.mailbox("INBOX")
    assert found is not None
    return found.key


async def fill(store: Store, mailbox: int, count: int, *flags: str) -> tuple[int, ...]:
    """`count` small messages in one append; their UIDs."""
    messages = [await new(store, b"Subject: %d\r\n\r\n%d\r\n" % (i, i), *flags) for i in range(count)]
    return (await store.append(mailbox, messages)).uids


ALL = ((1, 0xFFFFFFFF),)
