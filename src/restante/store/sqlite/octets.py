"""Messages' octets: taken, and given as they were taken, large ones without keeping the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from ..model import Blob
from . import content
from .account_file import AccountFile
from .preparing import Preparing

if TYPE_CHECKING:
    from ...mime.model import Limits

IN_THREAD = 256 * 1024
"""Octets above which hashing and compressing leave the event loop."""


class Octets(AccountFile):
    """The part of `store.interface.Store` that does so."""

    async def read_content(self, content_key: int, offset: int = 0, count: int | None = None) -> bytes:
        if count is not None and count <= IN_THREAD:
            return self._read(content.read, content_key, offset, count)
        size = self._read(content.size_of, content_key) - offset
        wanted = size if count is None else min(count, size)
        if wanted <= IN_THREAD:
            return self._read(content.read, content_key, offset, count)
        pieces = []
        for start in range(offset, offset + wanted, content.CHUNK * 2):
            pieces.append(self._read(content.read, content_key, start, min(content.CHUNK * 2, offset + wanted - start)))
            await asyncio.sleep(0)  # the loop goes on between the pieces of a large message
        return b"".join(pieces)

    async def read_contents(self, contents: Sequence[int]) -> list[bytes]:
        return self.look(content.read_many, contents)

    async def stream_content(self, content_key: int) -> AsyncIterator[bytes]:
        size = self._read(content.size_of, content_key)
        for start in range(0, size, content.CHUNK):
            yield self._read(content.read, content_key, start, content.CHUNK)

    async def put(self, data: bytes | bytearray | memoryview, before: bytes = b"") -> Blob:
        if len(data) <= IN_THREAD:
            return content.take(data, self._engine.settings.compress, before)
        return await asyncio.to_thread(content.take, data, self._engine.settings.compress, before)

    def preparing(self, limits: Limits) -> Preparing:
        return Preparing(limits, self._engine.settings.compress)
