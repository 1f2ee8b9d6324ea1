"""How octets and texts are coded in an account's file. Knows nothing of the file: other processes load it, too."""

from __future__ import annotations

import threading

import zstandard

from ..errors import Damaged

CHUNK = 128 * 1024
"""Octets of each chunk of a message, but for the last."""
RAW, ZSTD = 0, 1
LARGE = 1 << 20
"""Octets above which a message is compressed on the writer's thread, chunk by chunk, while it is filed."""
LEVEL = 1  # level 3 saves 4% more of mail at half the speed
LARGEST_TEXT = 1 << 28  # octets of a text beside a message; mime bounds what is kept long before
SMALLEST = 512  # below it the frame's own octets eat what compression saves

Chunk = tuple[int, bytes]
"""(codec, octets as stored)."""


class _Coders(threading.local):
    """zstandard contexts, one a thread: making one costs more than a small message."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor()


_coders = _Coders()


def encode(data: bytes | memoryview, compress: bool) -> Chunk:
    """One chunk, compressed if that saves at least a tenth."""
    if compress and len(data) >= SMALLEST:
        packed = _coders.compressor.compress(data)
        if len(packed) < len(data) - len(data) // 10:
            return ZSTD, packed
    return RAW, bytes(data)  # itself, where it is bytes


def encode_all(data: bytes, compress: bool) -> tuple[Chunk, ...]:
    """All chunks of a message; at least one."""
    if len(data) <= CHUNK:
        return (encode(data, compress),)
    view = memoryview(data)
    return tuple([encode(view[start : start + CHUNK], compress) for start in range(0, len(view), CHUNK)])


def decode(codec: int, data: bytes, most: int = CHUNK) -> bytes:
    """The octets of one chunk. most: bound on what may come out, since a damaged file is not to be trusted."""
    if codec == RAW:
        return data
    if codec == ZSTD:
        try:
            if zstandard.frame_content_size(data) > most:
                raise zstandard.ZstdError("more octets than a chunk has")
            return _coders.decompressor.decompress(data, max_output_size=most)
        except zstandard.ZstdError as error:
            raise Damaged("A stored message cannot be unpacked.", "Run 'restante doctor'.") from error
    raise Damaged("A stored message has an unknown coding.", "Run 'restante doctor'.")


def encode_text(text: str) -> bytes:
    """Text with a codec octet before it, as search_text keeps it; a lone surrogate becomes "?"."""
    codec, data = encode(text.encode("utf-8", "replace"), True)
    return bytes((codec,)) + data


def decode_text(stored: bytes) -> str:
    """The text of `encode_text`; "" of nothing. Raises Damaged."""
    return decode(stored[0], stored[1:], LARGEST_TEXT).decode("utf-8", "replace") if stored else ""


def octets_of(stored: bytes) -> int:
    """How many octets `decode_text` unpacks of a stored text; those that are there where that cannot be told."""
    if not stored or stored[0] != ZSTD:
        return len(stored)
    try:
        return max(len(stored), zstandard.frame_content_size(memoryview(stored)[1:]))
    except zstandard.ZstdError:
        return len(stored)  # damaged: who decodes it says so


def clean(text: str) -> str:
    """Text that SQLite can hold: a lone surrogate, which UTF-8 cannot write, becomes U+FFFD."""
    if text.isascii():
        return text  # told by a mark on it; almost all is
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
