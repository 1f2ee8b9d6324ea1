"""Other programs at work on a Maildir, and what a person would find in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from restante.sync.maildir import MaildirSide
from restante.sync.model import Changes, Flags, Message
from restante.sync.side import Side

T = TypeVar("T")
NONE: Flags = frozenset()
SEEN: Flags = frozenset({"\\Seen"})


def text(number: int) -> bytes:
    """A message with LF line ends."""
    return b"From: a@b.example\nSubject: number %d\nMessage-ID: <%d@x.example>\n\nbody %d\n" % (number, number, number)


def message(number: int, flags: Flags = NONE) -> Message:
    return Message(0, text(number).replace(b"\n", b"\r\n"), flags, 1_600_000_000 + number)


def maildir(path: Path) -> Path:
    """A folder as another program makes it."""
    for sub in ("cur", "new", "tmp"):
        (path / sub).mkdir(parents=True, exist_ok=True)
    return path


def deliver(folder: Path, number: int, letters: str | None = None, data: bytes | None = None) -> Path:
    """A message in new, or with letters in cur."""
    name = f"{1_600_000_000 + number}.M{number}P1.other.example"
    path = folder / "new" / name if letters is None else folder / "cur" / f"{name}:2,{letters}"
    path.write_bytes(text(number) if data is None else data)
    return path


def reflag(path: Path, letters: str) -> Path:
    """What a reader does: the same unique name, in cur, with these letters."""
    return path.rename(path.parent.parent / "cur" / f"{path.name.split(':')[0]}:2,{letters}")


def subjects(folder: Path) -> list[int]:
    """Numbers of the messages that lie in a folder."""
    found = []
    for sub in ("cur", "new"):
        for path in (folder / sub).iterdir():
            line = next(line for line in path.read_bytes().splitlines() if line.startswith(b"Subject: number "))
            found.append(int(line.split()[-1]))
    return sorted(found)


def files(folder: Path) -> list[str]:
    return sorted(f"{sub}/{path.name}" for sub in ("cur", "new", "tmp") for path in (folder / sub).iterdir())


def side(home: Path, **how: Any) -> MaildirSide:
    return MaildirSide(home / "Mail", home / "state" / "index.db", **how)


@asynccontextmanager
async def opened(home: Path, **how: Any) -> Any:
    one = side(home, **how)
    try:
        await one.open()
        yield one
    finally:
        await one.close()


def run(home: Path, act: Callable[[MaildirSide], Awaitable[T]], **how: Any) -> T:
    async def go() -> T:
        async with opened(home, **how) as one:
            return await act(one)

    return asyncio.run(go())


async def everything(one: Side, name: str = "INBOX") -> Changes:
    return await one.changes(name, None)


async def picture(one: Side, name: str = "INBOX") -> dict[bytes, Flags]:
    """Octets -> flags of a mailbox; octets that are there twice fail."""
    changes = await one.changes(name, None)
    flags = dict(zip(changes.uids, changes.flags, strict=True))
    found = {}
    async for each in one.fetch(name, changes.uids):
        assert each.data not in found
        assert each.flags == flags[each.uid]
        found[each.data] = each.flags
    assert len(found) == len(flags)
    return found
