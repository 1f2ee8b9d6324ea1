"""Emails of an account that is made anew, as rows that have but to be filed: made in whichever process has the time.

Filing is one thread's work. So whatever can be done without the account's file is done before, and comes as octets,
which cross to another process as they are:

```
8 octets length, rows (MessagePack), octets of chunks one behind the other
```
Messages are most of it, so they are copied into it once, and out of it by SQLite alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from ..backup import AnswerRow, RebuiltEmail
from ..errors import Damaged
from . import answers, content
from .preparing import hashes_of


class Ready(msgspec.Struct, array_like=True):
    """Rows of some emails, each email once.

    contents: (SHA-256, size, chunks, traits, sizes for POP3) of each that is among them, once. chunks: (position of the
    content, number, codec, offset and length of its octets behind the rows). emails: (key, id, thread, position of the
    content, size, received, arrival, uidl). links: (hash of a message-id, of the base subject, thread). answers,
    sortkeys, texts: rows of those tables, in the order of `emails`.
    """

    contents: list[tuple[bytes, int, int, int, int, int]]
    chunks: list[tuple[int, int, int, int, int]]
    emails: list[tuple[int, str, str, int, int, int, bytes | None, str | None]]
    links: list[tuple[int, int, str]]
    answers: list[tuple[int, bytes, bytes, bytes, bytes, str, bytes]]
    sortkeys: list[tuple[int, int | None, int | None, str, int, str, str, str, str, str, str, str]]
    texts: list[tuple[int, str, str, str, str, str, bytes]]

    def orders(self) -> list[int]:
        return [each[0] for each in self.emails]

    def without(self, orders: Collection[int]) -> Ready:
        """The same without these emails, and what they alone need. Links stay: each says what another may say."""
        emails = [each for each in self.emails if each[0] not in orders]
        used = {old: new for new, old in enumerate(sorted({each[3] for each in emails}))}
        return Ready(
            [self.contents[old] for old in used],
            [(used[each[0]], *each[1:]) for each in self.chunks if each[0] in used],
            [(*each[:3], used[each[3]], *each[4:]) for each in emails],
            self.links,
            [each for each in self.answers if each[0] not in orders],
            [each for each in self.sortkeys if each[0] not in orders],
            [each for each in self.texts if each[0] not in orders],
        )


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Ready)


def make(batch: Sequence[RebuiltEmail], compress: bool) -> bytes:
    """Rows of emails, each of which is there once. Cost: compression, and some ten microseconds an email beside it."""
    made = Ready([], [], [], [], [], [], [])
    pieces: list[bytes | memoryview] = []
    offset = 0
    places: dict[bytes, int] = {}
    seen: set[int] = set()
    for order, id, thread, received, arrival, uidl, digest, data, known in batch:
        if order in seen:
            continue
        seen.add(order)
        row = known if isinstance(known, AnswerRow) else answers.row_of(known)
        place = places.get(digest)
        if place is None:
            place = places[digest] = len(places)
            number = 0
            for codec, octets in content.chunks_of(data, compress):
                made.chunks.append((place, number, codec, offset, len(octets)))
                pieces.append(octets)
                offset += len(octets)
                number += 1
            made.contents.append((digest, len(data), number, row.traits, row.pop3_size, row.pop3_size_utf8))
        made.emails.append((order, id, thread, place, len(data), received, arrival, uidl))
        if row.message_id or row.refs:
            hashes, subject = hashes_of(row.message_id, row.refs.split(), row.subject)
            made.links += [(each, subject, thread) for each in hashes]
        made.answers.append((order, *row[:6]))
        made.sortkeys.append((order, *row[6:17]))
        made.texts.append((order, *row[17:22], content.encode_text(row.text_header)))
    rows = _encode(made)
    return b"".join([len(rows).to_bytes(8, "little"), rows, *pieces])


def read(octets: bytes) -> tuple[Ready, memoryview]:
    """What `make` has made, and the octets of chunks. Raises Damaged."""
    view = memoryview(octets)
    end = 8 + int.from_bytes(view[:8], "little")
    try:
        return _decoder.decode(view[8:end]), view[end:]
    except msgspec.DecodeError as error:
        raise Damaged("Rows of emails that are brought back cannot be read.") from error
