"""The side that is an mbox file, or a folder of them: to be read alone (`migrate`, `dedupe`).

An mbox has no names and no numbers: a message is known by where it begins. That holds while nobody writes the file, so
its size and time are the validity, and a file that changed is read anew and matched by content. The four quotings are
told apart and undone by exchange.mbox; line ends become CRLF; Status fields become flags.

A file is gone through once, what is known of its messages is kept in arrays, and octets are read again where they are
asked for.
"""

from __future__ import annotations

import asyncio
import os
from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..exchange.folder import mbox_name
from ..exchange.mbox import Quoting, Splitter, is_mbox, lift, quoting_of
from ..inbox import is_inbox
from ..store import model as store_model
from .maildir.octets import travelling
from .model import Changes, Flags, Message, Outline, Place, Spelling
from .outline import mark
from .side import MailboxUnavailable, SideUnavailable
from .unchanging import Unchanging

INBOX = "INBOX"
LARGEST = 1 << 40
"""No message of a file is left out: who copies has limits of their own."""
GROUP_OCTETS = 4 << 20
GROUP = 500
MARK = 16
POLL = 1.0
"""Seconds between looks of `wait`."""


@dataclass(slots=True)
class _Mailbox:
    """What is known of one file. uids: offsets of From_ lines and one; marks: 16 octets each, one behind the other."""

    path: Path
    stamp: tuple[int, int]
    quoting: Quoting = Quoting.QUOTED
    uids: array[int] = field(default_factory=lambda: array("Q"))
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    received: array[int] = field(default_factory=lambda: array("Q"))
    flags: list[Flags] = field(default_factory=list)
    marks: bytearray = field(default_factory=bytearray)

    @property
    def validity(self) -> str:
        return f"{self.stamp[0]:x}.{self.stamp[1]:x}"


class MboxSide(Unchanging):
    """An mbox file as INBOX (or as the mailbox named), or every mbox below a folder by its path. Nothing is written."""

    def __init__(self, path: Path, *, name: str = INBOX, spelling: Spelling | None = None) -> None:
        self.title = str(path)
        self._path = path
        self._name = name
        self._spelling = spelling or Spelling()
        self._paths: dict[str, Path] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self._known: dict[str, _Mailbox] = {}

    async def open(self) -> None:
        await self.places()

    async def close(self) -> None:
        self._known.clear()

    # What is there ---------------------------------------------------------------------------------

    async def places(self) -> list[Place]:
        """States are sizes and times of the files; messages are counted once they were read."""
        return await asyncio.to_thread(self._places)

    def _places(self) -> list[Place]:
        try:
            self._paths = self._find()
            self._stamps = {name: _stamp(path) for name, path in self._paths.items()}
            found = []
            for name, stamp in self._stamps.items():
                known = self._known.get(name)
                current = known is not None and known.stamp == stamp
                validity = f"{stamp[0]:x}.{stamp[1]:x}"
                found.append(Place(name, validity, validity, messages=len(known.uids) if known and current else None))
        except OSError as cause:
            raise SideUnavailable(f"{self._path} cannot be read ({cause.strerror}).") from cause
        return sorted(found, key=lambda place: (place.name != INBOX, place.name))

    def _find(self) -> dict[str, Path]:
        if not self._path.is_dir():
            with self._path.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size and not is_mbox(stream):
                    raise SideUnavailable(f"{self._path} is no mbox: it does not begin with a From_ line.")
            return {self._name: self._path}
        found: dict[str, Path] = {}
        for path in sorted(self._path.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as stream:
                if not is_mbox(stream):
                    continue
            name = mbox_name(str(path.relative_to(self._path)))
            name = INBOX if is_inbox(name) else name
            unique, number = name, 2
            while unique in found:
                unique, number = f"{name}_{number}", number + 1
            found[unique] = path
        return found

    async def changes(self, name: str, since: str | None) -> Changes:
        known = await self._read(name)
        if since == known.validity:
            return Changes(known.validity, known.validity, False)
        return Changes(known.validity, known.validity, True, array("Q", known.uids), list(known.flags))

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        known = await self._read(name)
        rows = _rows(known, uids)
        return [
            Outline(known.uids[n], known.sizes[n], known.received[n], bytes(known.marks[n * MARK : (n + 1) * MARK]))
            for n in rows
        ]

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        known = await self._read(name)
        group: list[int] = []
        octets = 0
        for n in _rows(known, uids):
            if group and (octets + known.sizes[n] > GROUP_OCTETS or len(group) == GROUP):
                for message in await asyncio.to_thread(_messages, known, group):
                    yield message
                group, octets = [], 0
            group.append(n)
            octets += known.sizes[n]
        for message in await asyncio.to_thread(_messages, known, group):
            yield message

    async def _read(self, name: str) -> _Mailbox:
        path = self._paths.get(name)
        if path is None:
            raise MailboxUnavailable(f"There is no mailbox {name}.")
        try:
            known = self._known.get(name)
            if known is None or known.stamp != await asyncio.to_thread(_stamp, path):
                known = self._known[name] = await asyncio.to_thread(_scan, path, self._spelling)
        except (OSError, ValueError) as cause:
            raise MailboxUnavailable(f"{path} cannot be read ({cause}).") from cause
        return known

    # Nothing is changed ----------------------------------------------------------------------------

    def refusal(self) -> tuple[str, str]:
        return f"The mbox {self.title} is read alone.", "Copy it to a Maildir or a server."

    async def set_role(self, name: str, role: str | None) -> bool:
        return False

    async def wait(self, names: Sequence[str]) -> set[str]:
        """By looks, POLL seconds apart: nobody watches an old file for its speed."""
        before = self._stamps
        while True:
            await self.places()
            found = {name for name in names if self._stamps.get(name) != before.get(name)}
            if self._stamps.keys() != before.keys():
                found.add("")
            if found:
                return found
            await asyncio.sleep(POLL)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _scan(path: Path, spelling: Spelling) -> _Mailbox:
    """Go through a file. Raises ValueError where it is no mbox, or is written at the same time."""
    found = _Mailbox(path, _stamp(path))
    with path.open("rb") as stream:
        found.quoting = quoting_of(stream)
        for raw in Splitter(stream, LARGEST).messages():
            data, flags, received = lift(raw, found.quoting, found.stamp[1] // 10**9)
            found.uids.append(raw.offset + 1)
            found.sizes.append(len(data) + data.count(b"\n") - data.count(b"\r\n"))
            found.received.append(received)
            found.flags.append(_flags(flags, spelling))
            found.marks += mark(data)
    if _stamp(path) != found.stamp:
        raise ValueError("another program is writing it")
    return found


def _flags(flags: store_model.Flags, spelling: Spelling) -> Flags:
    return spelling.flags(flags.wire.decode("ascii").split())


def _rows(known: _Mailbox, uids: Sequence[int]) -> list[int]:
    """Places in the arrays of those of these messages that are there, ascending."""
    places = ((bisect_left(known.uids, uid), uid) for uid in sorted(set(uids)))
    return [n for n, uid in places if n < len(known.uids) and known.uids[n] == uid]


def _messages(known: _Mailbox, rows: Sequence[int]) -> list[Message]:
    found = []
    with known.path.open("rb") as stream:
        splitter = Splitter(stream, LARGEST)
        for n in rows:
            raw = splitter.message_at(known.uids[n] - 1)
            data, _, received = lift(raw, known.quoting, known.stamp[1] // 10**9)
            found.append(Message(known.uids[n], travelling(data, b""), known.flags[n], received))
    if _stamp(known.path) != known.stamp:
        raise MailboxUnavailable(f"{known.path} changed while it was read.", "The next run reads it anew.")
    return found
