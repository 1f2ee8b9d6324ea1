"""A target that is an mbox file: what is fetched goes to its end, and what it holds is read from it.

A message's UID is where it begins and 22 bits of how, so that it names no other message although programs rewrite the
file: a UID at which something else is now is simply gone, and what is new is recognised by its content.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ...exchange.export import format_mbox
from ...exchange.mbox import Quoting, Splitter, is_mbox, lift_flags, quoting_of, unquoted
from ...mime.normalise import crlf_for_lf
from ...store.model import Flags
from ..mbox_writer import MboxWriter
from ..model import NO_FLAGS, Added, Changes, Message, Outline, Place
from ..outline import mark
from ..side import MailboxUnavailable, SideUnavailable

BITS = 22
START = 512
"""Octets of a message's beginning that its UID is made of, at most up to the end of its header."""
TAIL = 1024
"""Octets before the place up to which the file is known, by which it is known again."""
LARGEST = 1 << 30
BATCH = 64


class MboxTarget:
    """The part of `Side` that fetching asks for, over one mbox file; made when the first message comes. journal: the
    writer's, where the file's folder takes none (/var/mail, where people have a file each and may make no other)."""

    def __init__(self, path: Path, journal: Path | None = None) -> None:
        self.title = str(path)
        self._path = path
        self._writer = MboxWriter(path, None if os.access(path.parent, os.W_OK) else journal)
        self._quoting: Quoting | None = None

    async def open(self) -> None:
        """Cut off what a killed run left unfinished. Raises SideUnavailable, also for a file that is no mbox."""
        if not self._path.parent.is_dir():
            raise SideUnavailable(f"{self._path.parent} is no folder.", "Is a disk missing?")
        await asyncio.to_thread(self._writer.recover)
        with self._stream() as stream:
            if stream.read(1) and not is_mbox(_from(stream, 0)):
                raise SideUnavailable(f"{self._path} is no mbox file, so nothing is added to it.", "Name another file.")

    async def close(self) -> None:
        pass

    async def places(self) -> list[Place]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return [Place("INBOX", "mbox", "empty", messages=0)]
        return [Place("INBOX", "mbox", f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}")]

    async def changes(self, name: str, since: str | None) -> Changes:
        """Messages behind what is known, or all where the file is not the one it was. Reads that part of it."""
        return await asyncio.to_thread(self._changes, since or "")

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        """Reads the messages whole: an mbox tells sizes no other way."""
        return await asyncio.to_thread(
            lambda: [Outline(uid, len(data), 0, mark(data)) for uid, data in self._messages(uids)]
        )

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        for at in range(0, len(uids), BATCH):
            for uid, data in await asyncio.to_thread(self._read, uids[at : at + BATCH]):
                yield Message(uid, data, NO_FLAGS, 0)

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        texts = [format_mbox(message.data, Flags.of(message.flags), message.received) for message in messages]
        starts = await asyncio.to_thread(self._writer.append, texts)
        return [Added(_uid(start, text)) for start, text in zip(starts, texts, strict=True)]

    async def create(self, name: str, role: str | None) -> Place:
        raise SideUnavailable(f"{self._path} is one mailbox, INBOX: there is no {name} in it.")

    # Reading -------------------------------------------------------------------------------------------

    @contextmanager
    def _stream(self) -> Iterator[BinaryIO]:
        try:
            with self._path.open("rb") as stream:
                yield stream
        except FileNotFoundError:
            yield io.BytesIO()
        except OSError as error:
            raise MailboxUnavailable(f"{self._path} cannot be read: {error.strerror}.") from error

    def _changes(self, since: str) -> Changes:
        with self._stream() as stream:
            size = stream.seek(0, os.SEEK_END)
            known, _, digest = since.partition(":")
            start = int(known) if known else 0
            full = not since or start > size or _tail(stream, start) != digest
            begin = 0 if full else start
            uids = array("Q")
            try:
                for raw in Splitter(_from(stream, begin), LARGEST).messages():
                    stream.seek(begin + raw.offset)
                    uids.append(_uid(begin + raw.offset, stream.read(START)))
            except ValueError as error:
                raise MailboxUnavailable(f"{self._path} is no mbox file: {error}.") from error
            # What is being appended meanwhile is left to the next look.
            return Changes("mbox", f"{size}:{_tail(stream, size)}", full, uids, [NO_FLAGS] * len(uids))

    def _read(self, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        return list(self._messages(uids))

    def _messages(self, uids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Those of the messages that are still where they were."""
        with self._stream() as stream:
            if self._quoting is None:
                self._quoting = quoting_of(stream)
            for uid in uids:
                start = uid >> BITS
                stream.seek(start)
                if _uid(start, stream.read(START)) != uid:
                    continue
                raw = next(Splitter(_from(stream, start), LARGEST).messages(), None)
                if raw is None or raw.too_large:
                    continue
                data, _ = lift_flags(raw.data)
                yield uid, crlf_for_lf(unquoted(data, self._quoting))


class _Shifted(io.RawIOBase):
    """A stream that begins at an octet of another one."""

    def __init__(self, stream: BinaryIO, start: int) -> None:
        self._stream = stream
        self._start = start
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            offset += self._stream.seek(0, os.SEEK_END) - self._start
        elif whence == os.SEEK_CUR:
            offset += self._at
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # typeshed: WriteableBuffer
        self._stream.seek(self._start + self._at)
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _from(stream: BinaryIO, start: int) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Shifted(stream, start), 1 << 16))


def _tail(stream: BinaryIO, end: int) -> str:
    """Of the octets before this one."""
    start = max(end - TAIL, 0)
    stream.seek(start)
    return hashlib.sha256(stream.read(end - start)).hexdigest()[:32]


def _uid(start: int, text: bytes) -> int:
    beginning = text[:START].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    digest = hashlib.blake2b(beginning, digest_size=4).digest()
    return start << BITS | int.from_bytes(digest) & (1 << BITS) - 1
