"""Messages made ready to be filed, in whichever process has the time: analysed, hashed, compressed, as rows.

Filing is one thread's work, so all that needs neither lock nor file is done before it. What crosses between processes
is plain tuples, written by `marshal` (both ends are one interpreter's), and of the message nothing but what is stored:
an analysis as objects took longer to be sent and read than a row does to be filed. Loads no SQLite: a process that
prepares starts the sooner.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Sequence
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, NamedTuple

from ...mime.model import Trait
from ...values import Value
from .. import parts
from ..backup import AnswerRow
from .coding import CHUNK, LARGE, clean, encode_all, encode_text

if TYPE_CHECKING:
    from ...mime.model import Analysis, Limits
    from ..model import Blob

MOST_IDS = 100
"""Message-ids of one message that are looked up and linked: Message-ID and the last of References."""

Links = tuple[list[int], int]
"""Hashes of a message's ids, and of its base subject: see `hashes_of`."""


class Answers(NamedTuple):
    """What is kept beside a message. row: its `text_header` is left out, since `header` holds it in its stored form."""

    row: AnswerRow
    header: bytes
    links: Links


def answers_of(analysis: Analysis) -> Answers:
    """What of filing an analysed message needs neither lock nor file."""
    row, links = _row_and_links(analysis)
    return Answers(row, encode_text(row.text_header), links)


def _row_and_links(analysis: Analysis) -> tuple[AnswerRow, Links]:
    keys = analysis.keys
    return row_of(analysis), hashes_of(keys.message_id, keys.references, keys.subject)


def row_of(analysis: Analysis) -> AnswerRow:
    """The row of a message that has been analysed."""
    keys, text, size = analysis.keys, analysis.text, analysis.size
    missing = 2 if analysis.traits & Trait.NO_FINAL_CRLF else 0
    plain = analysis.surrogate_size if analysis.surrogate_size is not None else size + missing
    return AnswerRow(
        analysis.envelope, analysis.bodystructure, analysis.headers, analysis.body, clean(analysis.preview),
        parts.encode(analysis.root), keys.sent, keys.sent_day, clean(keys.subject), int(keys.is_reply),
        clean(keys.sender), clean(keys.recipient), clean(keys.cc), clean(keys.display_from), clean(keys.display_to),
        clean(keys.message_id), clean(" ".join(keys.references)), clean(text.sender), clean(text.recipient),
        clean(text.cc), clean(text.bcc), clean(text.subject), clean(text.header), int(analysis.traits), plain,
        size + missing,
    )  # fmt: skip


def hashes_of(message_id: str, references: Sequence[str], subject: str) -> Links:
    """By which a message is linked to its thread: hashes of its message-ids, and of its base subject."""
    ids = dict.fromkeys((message_id, *references[-MOST_IDS:]))
    return [_hash63(one) for one in ids if one], _hash63(subject)


def _hash63(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


class Preparing(Value, frozen=True):
    """Implements `store.interface.Preparing`. limits: bounds of analysis. compress: as the engine is told."""

    limits: Limits
    compress: bool

    def make(self, messages: Iterable[bytes]) -> bytes:
        """Rows of these messages' octets, and their chunks. Those of a large one are made while it is filed.

        One kind of work for all, then the next: the compressor's tables and the interpreter's drive each other out of
        the processor's cache, which took an eighth of the time.
        """
        from ...mime.analyse import analyse

        octets = [*messages]
        rows = [_row_and_links(analyse(data, self.limits)) for data in octets]
        largest = LARGE if self.compress else CHUNK
        headers = [encode_text(row.text_header) for row, _ in rows]
        chunks = [encode_all(data, self.compress) if len(data) <= largest else None for data in octets]
        digests = [sha256(data).digest() for data in octets]
        return marshal.dumps(
            [
                (digest, pieces, (*row[:_HEADER], "", *row[_HEADER + 1 :]), header, links)
                for digest, pieces, (row, links), header in zip(digests, chunks, rows, headers, strict=True)
            ]
        )

    def read(self, made: bytes, messages: Sequence[bytes]) -> list[tuple[Blob, object]]:
        """What `make` has made of these messages."""
        from ..model import Blob
        from .content import Uncut

        row_from = AnswerRow._make
        return [
            (
                Blob(digest, len(data), chunks if chunks is not None else Uncut(b"", data, self.compress)),
                Answers(row_from(row), header, links),
            )
            for (digest, chunks, row, header, links), data in zip(marshal.loads(made), messages, strict=True)
        ]

    def here(self, messages: Sequence[bytes]) -> list[tuple[Blob, object]]:
        """`make` and `read`, in this process."""
        return self.read(self.make(messages), messages)


_HEADER = AnswerRow._fields.index("text_header")
