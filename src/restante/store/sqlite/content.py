"""Message octets: cut into chunks, compressed where it pays, read back piece by piece.

Each chunk holds `CHUNK` octets (the last one fewer) and says how it is coded, so that a partial fetch of a large
message reads what it needs. Equal octets are kept once. What `take` made is held in memory until the append that
files it: both become durable with one fsync. A large message is held as the octets that came, and no second time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import apsw

from ..errors import Damaged
from ..model import Blob
from . import bulk
from .coding import CHUNK as CHUNK
from .coding import LARGE as LARGE
from .coding import LARGEST_TEXT as LARGEST_TEXT
from .coding import RAW as RAW
from .coding import Chunk as Chunk
from .coding import decode as decode
from .coding import decode_text as decode_text
from .coding import encode as encode
from .coding import encode_all
from .coding import encode_text as encode_text
from .transaction import Write

NUMBER_BITS = 20
"""A chunk's key is its content's key, then this many bits of its number."""
MOST_CHUNKS = 1 << NUMBER_BITS
TOGETHER = 256 * 1024
"""Octets of chunks from which on they are not inserted by one statement with more."""


@dataclass(frozen=True, slots=True)
class Uncut:
    """Octets of a large message, cut into chunks (and compressed) while they are filed: never held twice."""

    before: bytes
    data: bytes | memoryview
    compress: bool

    def __len__(self) -> int:
        return -(-(len(self.before) + len(self.data)) // CHUNK)

    def __iter__(self) -> Iterator[Chunk]:
        view, start = memoryview(self.data), -len(self.before) % CHUNK
        head = self.before + bytes(view[:start])
        for low in range(0, len(head), CHUNK):
            yield encode(head[low : low + CHUNK], self.compress)
        for low in range(start, len(view), CHUNK):
            yield encode(view[low : low + CHUNK], self.compress)


def take(data: bytes | bytearray | memoryview, compress: bool, before: bytes = b"") -> Blob:
    """Octets (those of `before` first) as a blob that `append` can file.

    Cost: SHA-256 and, but for a large message, compression: about 3 ms a megabyte.
    """
    octets = data if isinstance(data, bytes) else bytes(data)
    if len(octets) > (LARGE if compress else CHUNK):
        digest = sha256(before)
        digest.update(octets)
        return Blob(digest.digest(), len(before) + len(octets), Uncut(before, octets, compress))
    if before:
        octets = before + octets
    return Blob(sha256(octets).digest(), len(octets), encode_all(octets, compress))


def chunks_of(data: bytes | memoryview, compress: bool) -> Iterable[tuple[int, bytes | memoryview]]:
    """A message's chunks, at least one. What is kept as it is, is not copied where it is one."""
    if len(data) > CHUNK:
        return Uncut(b"", data, compress)
    codec, packed = encode(data, compress) if compress else (RAW, data)
    return ((codec, packed),)


New = tuple[Blob, int, int, int]
"""Octets to be filed: blob, traits, sizes for POP3 without and with UTF8."""

Row = tuple[bytes, int, int, int, int, int]
"""(SHA-256, size, chunks, traits, sizes for POP3)."""


def file(tx: Write, new: Sequence[New]) -> list[int]:
    """Keys of the blobs' content rows, made for octets that the account does not hold already.

    Cost: as few statements as there are tables, but for large messages, which are compressed while they are filed.
    """
    places: dict[tuple[bytes, int], int] = {}
    rows: list[Row] = []
    tokens: list[tuple[Chunk, ...] | Uncut] = []
    positions = []
    for blob, traits, pop3_size, pop3_size_utf8 in new:
        at = places.setdefault((blob.digest, blob.size), len(rows))
        if at == len(rows):
            token = blob.token
            if not isinstance(token, tuple | Uncut):
                raise TypeError("this blob was put into another engine")
            rows.append((blob.digest, blob.size, len(token), traits, pop3_size, pop3_size_utf8))
            tokens.append(token)
        positions.append(at)
    keys, made = _file_rows(tx.db, rows)
    chunks = [
        (keys[at] << NUMBER_BITS | number, codec, data)
        for at in made
        if isinstance(token := tokens[at], tuple)
        for number, (codec, data) in enumerate(token)
    ]
    _file_chunks(tx.db, chunks)
    for at in made:
        if isinstance(token := tokens[at], Uncut):
            for number, (codec, data) in enumerate(token):  # one after the other: what is packed may hold as much room
                bulk.insert(tx.db, _INTO_CHUNK, [(keys[at] << NUMBER_BITS | number, codec, data)])
    return [keys[at] for at in positions]


def file_all(
    tx: Write, contents: Sequence[Row], chunks: Iterable[tuple[int, int, int, bytes | memoryview]]
) -> list[int]:
    """Keys of many contents, as `file`, of which no two are the same.

    chunks: (position of the content, number, codec, octets).
    """
    keys, made = _file_rows(tx.db, contents)
    new = frozenset(made)
    _file_chunks(
        tx.db, ((keys[at] << NUMBER_BITS | number, codec, data) for at, number, codec, data in chunks if at in new)
    )
    return keys


def _file_rows(db: apsw.Connection, contents: Sequence[Row]) -> tuple[list[int], list[int]]:
    """Keys of contents, and the positions of those that were not here: their chunks lack. No two are the same."""
    if not contents:
        return [], []  # APSW takes no empty array
    if len(contents) == 1:
        found_here = db.execute("SELECT key, digest, size FROM content WHERE digest = ?", contents[0][:1])
    else:
        found_here = db.execute(_HELD, (apsw.carray(tuple([each[0] for each in contents])),))
    here = {(digest, size): key for key, digest, size in found_here}
    key = bulk.last_key(db, "content")
    keys, made, rows = [], [], []
    for at, each in enumerate(contents):
        found = here.get(each[:2]) if here else None
        if found is None:
            found = key = key + 1
            made.append(at)
            rows.append((key, *each))
        keys.append(found)
    bulk.insert(db, "INSERT INTO content (key, digest, size, chunks, traits, pop3_size, pop3_size_utf8) VALUES", rows)
    return keys, made


def _file_chunks(db: apsw.Connection, rows: Iterable[tuple[int, int, bytes | memoryview]]) -> None:
    """Insert chunks, no more than `TOGETHER` by one statement."""
    some: list[tuple[int, int, bytes | memoryview]] = []
    octets = 0
    for row in rows:
        some.append(row)
        octets += len(row[2])
        if octets >= TOGETHER or len(some) == bulk.AT_ONCE:
            bulk.insert(db, _INTO_CHUNK, some)
            some.clear()
            octets = 0
    bulk.insert(db, _INTO_CHUNK, some)


_INTO_CHUNK = "INSERT INTO chunk (key, codec, data) VALUES"

_HELD = "SELECT c.key, c.digest, c.size FROM carray(?1) s CROSS JOIN content c ON c.digest = s.value"


def read(db: apsw.Connection, content: int, offset: int, count: int | None) -> bytes:
    """Octets offset..offset+count, all from offset when count is None. Raises Damaged where chunks are missing."""
    if offset < 0 or (count is not None and count <= 0):
        return b""
    first = offset // CHUNK
    last = (offset + count - 1) // CHUNK if count is not None else MOST_CHUNKS - 1
    row = db.execute("SELECT size, chunks FROM content WHERE key = ?", (content,)).fetchone()
    if row is None:
        raise Damaged("The message's octets are gone.", "They were removed longer ago than they are kept.")
    size, chunks = row
    if offset >= size:
        return b""
    pieces = [
        decode(codec, data)
        for codec, data in db.execute(
            "SELECT codec, data FROM chunk WHERE key BETWEEN ? AND ? ORDER BY key",
            (content << NUMBER_BITS | first, content << NUMBER_BITS | last),
        )
    ]
    if len(pieces) != min(last, chunks - 1) - first + 1:
        raise Damaged("Some of the message's octets are missing.", "Run 'restante doctor'.")
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    start = offset - first * CHUNK
    stop = len(data) if count is None else start + count
    return data if start == 0 and stop >= len(data) else data[start:stop]


def read_many(db: apsw.Connection, contents: Sequence[int]) -> list[bytes]:
    """Whole octets of several contents, in the order asked, by one query."""
    if not contents:
        return []  # APSW takes no empty array
    found: dict[int, list[bytes]] = {}
    for key, codec, data in db.execute(_READ_MANY, (apsw.carray(array("q", sorted(set(contents)))),)):
        found.setdefault(key, []).append(decode(codec, data))
    try:
        joined = {key: pieces[0] if len(pieces) == 1 else b"".join(pieces) for key, pieces in found.items()}
        return [joined[key] for key in contents]
    except KeyError as error:
        raise Damaged("The octets of a message are gone.", "Run 'restante doctor'.") from error


_READ_MANY = """
SELECT s.value, c.codec, c.data FROM carray(?1) s CROSS JOIN chunk c
ON c.key BETWEEN s.value << 20 AND (s.value << 20) + 1048575
"""


def drop(tx: Write, key: int) -> None:
    """Free a content that no email has any more."""
    tx.db.execute("DELETE FROM chunk WHERE key BETWEEN ? AND ?", (key << NUMBER_BITS, (key + 1 << NUMBER_BITS) - 1))
    tx.db.execute("DELETE FROM content WHERE key = ?", (key,))


def size_of(db: apsw.Connection, content: int) -> int:
    row = db.execute("SELECT size FROM content WHERE key = ?", (content,)).fetchone()
    if row is None:
        raise Damaged("The message's octets are gone.", "They were removed longer ago than they are kept.")
    return int(row[0])
