"""Pieces of a large message on their way: in a folder, so that an interrupted download goes on, or in memory.

A message never changes under its UID and UIDVALIDITY (RFC 9051 2.3.1.1), so what is there of it stays right. A piece is
on disk (fsync) before the next is asked for: what a power failure leaves is the beginning of the message.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from pathlib import Path

from ..side import SideUnavailable

KEEP = 14 * 86_400.0
"""Seconds for which a download that nobody goes on with is kept."""


def key(*parts: object) -> str:
    """A file name for one message: its account, mailbox, UIDVALIDITY and UID."""
    return hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8"), digest_size=16).hexdigest()


def sweep(folder: Path, now: float) -> None:
    """Remove what has been lying in the folder for too long (also `marks`), and the folder where it is empty: as long
    as it is there a run looks whether all is as it was (`unchanged`)."""
    for path in [*folder.glob("*.part"), *folder.glob("*.marks"), *folder.glob("*.new")]:
        if now - path.stat().st_mtime > KEEP:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


class Part:
    """The beginning of one message. folder: None keeps it in memory."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self._path = None if folder is None else folder / f"{name}.part"
        self._pieces: list[bytes] = []
        self.size = 0
        if self._path is not None and self._path.exists():
            self.size = self._path.stat().st_size

    async def add(self, piece: bytes) -> None:
        """Append a piece; once this returns it is kept."""
        if self._path is None:
            self._pieces.append(piece)
        else:
            try:
                await asyncio.to_thread(_append, self._path, piece)
            except OSError as error:
                raise SideUnavailable(
                    f"A download cannot be kept in {self._path.parent} ({error.strerror}).", "Is the disk full?"
                ) from error
        self.size += len(piece)

    async def begins_with(self, first: bytes) -> bool:
        """Whether these octets are the beginning of what is there. They always are, where they are not more; a server
        that gave a UID to another message is not believed."""
        if self.size < len(first):
            return False
        if self._path is None:
            return b"".join(self._pieces).startswith(first)
        try:
            return await asyncio.to_thread(_begin, self._path, len(first)) == first
        except OSError:
            return False  # what cannot be read is of no use: it comes anew

    async def whole(self) -> bytes:
        """All that is there."""
        if self._path is None:
            return b"".join(self._pieces)
        return await asyncio.to_thread(self._path.read_bytes) if self.size else b""

    def drop(self) -> None:
        """It is not needed any more."""
        self._pieces.clear()
        self.size = 0
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _begin(path: Path, octets: int) -> bytes:
    with path.open("rb") as file:
        return file.read(octets)


def _append(path: Path, piece: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        view = memoryview(piece)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
