"""A side to come from: mbox files, .eml files, folders and archives of them, as `restante import` reads them.

All is read once when it is opened: what there is, in columns. A message is fetched by reading its file again up to it,
forward from where the last fetch of its mailbox stopped. UIDs are positions, and UIDVALIDITY is made of all that a
mailbox holds: a file that was changed between two runs has other UIDs, and its messages are recognised by content.
"""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ...errors import Refusal
from ...exchange.detect import open_tree
from ...exchange.folder import FolderSource
from ...exchange.incoming import DEFAULT_LARGEST, ExchangeRefusal, Incoming, Item, Skipped
from ...exchange.tree import DiskTree, File, Tree
from ...mime.normalise import normalise_line_ends
from ..model import Added, Changes, FlagChange, Flags, Message, Outline, Place, Spelling
from ..outline import mark
from ..side import MailboxUnavailable, SideUnavailable
from .names import canonical

GROUP_MESSAGES = 100
GROUP_OCTETS = 1 << 20
MARK = 16


class ReadOnly(Refusal):
    """Files are only read."""

    code = "READ-ONLY"


@dataclass(slots=True)
class _Box:
    """A mailbox's messages: UID n stands at n - 1 of each column. files: index of the file; ordinals: its place there
    among the messages that can be read."""

    flags: list[Flags] = field(default_factory=list)
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    received: array[int] = field(default_factory=lambda: array("Q"))
    marks: bytearray = field(default_factory=bytearray)
    files: array[int] = field(default_factory=lambda: array("I"))
    ordinals: array[int] = field(default_factory=lambda: array("I"))
    stream: _Stream | None = None

    @property
    def validity(self) -> str:
        state = hashlib.sha256(self.marks)
        state.update(self.sizes.tobytes())
        state.update(self.received.tobytes())
        return state.hexdigest()[:32]


@dataclass(slots=True)
class _Stream:
    """A file that is being read: its messages from `ordinal` on."""

    file: int
    ordinal: int
    messages: Iterator[Incoming]


class FilesSide:
    """path: an mbox or .eml file, a folder, or an archive. passed_over: what could not be read there, and why."""

    def __init__(self, path: Path, largest: int = DEFAULT_LARGEST) -> None:
        self.title = str(path)
        self.passed_over: list[Skipped] = []
        self._path = path
        self._largest = largest
        self._tree: Tree | None = None
        self._files: list[File] = []
        self._single = False
        self._boxes: dict[str, _Box] = {}
        self._one = asyncio.Lock()
        """Threads do not share an archive."""

    async def open(self) -> None:
        """Read all. Raises SideUnavailable."""
        try:
            await asyncio.to_thread(self._scan)
        except ExchangeRefusal as refusal:
            raise SideUnavailable(refusal.text, refusal.remedy) from refusal

    async def close(self) -> None:
        if self._tree is not None:
            self._tree.close()
            self._tree = None

    def _scan(self) -> None:
        try:
            self._tree = open_tree(self._path)
        except OSError as cause:
            raise SideUnavailable(f"{self._path}: {cause.strerror or 'cannot be read'}.", "Check the path.") from cause
        self._files = list(self._tree.files)
        self._single = isinstance(self._tree, DiskTree) and self._path.is_file()
        self.passed_over = list(self._tree.passed_over)
        spelling = Spelling()
        self._boxes = {"INBOX": _Box()}
        for number in range(len(self._files)):
            ordinal = 0
            for item in self._items(number):
                if isinstance(item, Skipped):
                    self.passed_over.append(item)
                elif isinstance(item, Incoming):
                    data = normalise_line_ends(item.data)
                    box = self._boxes.setdefault(canonical(item.mailbox or "INBOX"), _Box())
                    box.flags.append(spelling.flags(item.flags.wire.decode().split()))
                    box.sizes.append(len(data))
                    box.received.append(max(item.received, 0))
                    box.marks += mark(data)
                    box.files.append(number)
                    box.ordinals.append(ordinal)
                    ordinal += 1

    def _items(self, number: int) -> Iterator[Item]:
        assert self._tree is not None
        return FolderSource(self._tree, [self._files[number]], self._largest, single=self._single).items()

    # What is there ---------------------------------------------------------------------------------

    async def places(self) -> list[Place]:
        names = sorted(self._boxes, key=lambda name: (name != "INBOX", name))
        return [self._place(name, self._boxes[name]) for name in names]

    def _place(self, name: str, box: _Box) -> Place:
        return Place(name, box.validity, box.validity, messages=len(box.flags))

    def _box(self, name: str) -> _Box:
        box = self._boxes.get(name)
        if box is None:
            raise MailboxUnavailable(f"There is no mailbox {name} in {self.title}.")
        return box

    async def changes(self, name: str, since: str | None) -> Changes:
        box = self._box(name)
        return Changes(box.validity, box.validity, True, array("Q", range(1, len(box.flags) + 1)), list(box.flags))

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        box = self._box(name)
        return [
            Outline(uid, box.sizes[at], box.received[at], bytes(box.marks[at * MARK : (at + 1) * MARK]))
            for uid in sorted(uids)
            if 0 <= (at := uid - 1) < len(box.flags)
        ]

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        box = self._box(name)
        wanted = [uid for uid in sorted(uids) if 0 < uid <= len(box.flags)]
        while wanted:
            try:
                async with self._one:
                    group = await asyncio.to_thread(self._group, box, wanted)
            except (OSError, ExchangeRefusal) as cause:
                raise MailboxUnavailable(f"{name} in {self.title} cannot be read any more ({cause}).") from cause
            del wanted[: len(group)]
            for message in group:
                yield message

    def _group(self, box: _Box, wanted: Sequence[int]) -> list[Message]:
        found: list[Message] = []
        octets = 0
        for uid in wanted[:GROUP_MESSAGES]:
            message = self._read(box, uid)
            found.append(message)
            octets += len(message.data)
            if octets >= GROUP_OCTETS:
                break
        return found

    def _read(self, box: _Box, uid: int) -> Message:
        at = uid - 1
        file, ordinal = box.files[at], box.ordinals[at]
        stream = box.stream
        if stream is None or stream.file != file or stream.ordinal > ordinal:
            items = self._items(file)
            stream = box.stream = _Stream(file, 0, (item for item in items if isinstance(item, Incoming)))
        while (item := next(stream.messages, None)) is not None:
            stream.ordinal += 1
            if stream.ordinal > ordinal:
                break
        data = normalise_line_ends(item.data) if item is not None else b""
        if item is None or mark(data) != box.marks[at * MARK : (at + 1) * MARK] or len(data) != box.sizes[at]:
            raise OSError(f"{self._files[file].path} was changed while it was read")
        return Message(uid, data, box.flags[at], box.received[at])

    # What cannot be done ---------------------------------------------------------------------------

    def _refuse(self) -> NoReturn:
        raise ReadOnly(f"{self.title} is only read.", "Copy into a server, a Maildir or a store.")

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        self._refuse()

    async def set_flags(self, name: str, changes: Sequence[FlagChange]) -> None:
        self._refuse()

    async def remove(self, name: str, uids: Sequence[int]) -> None:
        self._refuse()

    async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        self._refuse()

    async def move(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        self._refuse()

    async def create(self, name: str, role: str | None) -> Place:
        self._refuse()

    async def rename(self, name: str, new: str) -> None:
        self._refuse()

    async def delete(self, name: str) -> None:
        self._refuse()

    async def subscribe(self, name: str, subscribed: bool) -> None:
        self._refuse()

    async def set_role(self, name: str, role: str | None) -> bool:
        self._refuse()

    async def wait(self, names: Sequence[str]) -> set[str]:
        self._refuse()
