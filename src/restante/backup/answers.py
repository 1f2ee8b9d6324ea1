"""What was answered for messages at delivery, kept beside them: so that a restore need not analyse them again.

Answers follow from a message's octets and are kept because making them is most of a restore's work. They are optional:
what lacks them, or has those of another analyser, is analysed. An account's root says which objects a segment has: one
for each run of its messages whose UIDs agree above the last nine bits, so that a mailbox whose segments are written
anew has the same objects for what did not change. Of each object that is used, one message is analysed and compared.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from ..mime.model import ANALYSER, Analysis
from ..store.backup import AnswerRow
from .crypto import ID_OCTETS, VERIFY
from .errors import Corrupt, NewerFormat
from .objects import AccountData, AnswersData, SegmentData, column
from .repository import Repository
from .segments import DIGEST

BITS = 9
"""Answers of at most 512 messages are one object: 1.2 MB before compression as a rule."""
MOST = 64 << 10
"""Octets of one message's answers above which it is left to be analysed again: bounds an object to 32 MiB."""
WORTH = 16
"""One message in so many of an object has to be asked for at once: else analysing is cheaper than reading it."""
COMPARED = 512
"""Messages after whose answers one is analysed and compared."""
KEPT = 8
"""Objects kept unpacked."""

_NONE = AnswerRow(
    b"", b"", b"", b"", "", b"", None, None, "", 0, "", "", "", "", "", "", "", "", "", "", "", "", "", 0, 0, 0
)  # fmt: skip

Place = tuple[bytes, int, int]
"""(id of an object, row in it, how many rows it has)."""


def runs(uids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Rows low..high (not included) of ascending UIDs that have their answers in one object."""
    low = 0
    for _, group in groupby(uids, lambda uid: uid >> BITS):
        high = low + sum(1 for _ in group)
        yield low, high
        low = high


def answers_data(rows: Sequence[AnswerRow | None]) -> AnswersData:
    """An object of these rows; one that is not there, or too large, is left out."""
    kept = [row if row is not None and _octets(row) <= MOST else _NONE for row in rows]
    return AnswersData(1, ANALYSER, *zip(*kept, strict=True))


def _octets(row: AnswerRow) -> int:
    return sum([len(each) for each in row if isinstance(each, bytes | str)])


def answers_of(root: AccountData) -> dict[bytes, bytes]:
    """Ids of objects, joined, by the id of the segment whose messages they are of."""
    return dict(root.answers)


def places(data: SegmentData, ids: bytes) -> Iterator[tuple[bytes, Place]]:
    """(SHA-256 of a message, where its answers are) of a segment whose answers have these ids."""
    for number, (low, high) in enumerate(runs(column("I", data.uids))):
        id = ids[number * ID_OCTETS : (number + 1) * ID_OCTETS]
        if len(id) == ID_OCTETS:
            for row in range(low, high):
                yield data.digests[row * DIGEST : (row + 1) * DIGEST], (id, row - low, high - low)


class Answers:
    """Answers of a mailbox's messages. analyse: one message, for comparison. For one thread at a time."""

    def __init__(self, repository: Repository, analyse: Callable[[bytes | memoryview], Analysis]):
        self._repository = repository
        self._analyse = analyse
        self._open: OrderedDict[bytes, list[AnswerRow] | None] = OrderedDict()
        self._uncompared = COMPARED
        self._wrong = False

    def of(self, messages: Sequence[tuple[bytes | memoryview, Place | None]]) -> list[AnswerRow | None]:
        """Of messages (octets, where their answers are): what is known, None where it has to be made."""
        made: list[AnswerRow | None] = [None] * len(messages)
        if self._wrong:
            return made
        wanted: dict[bytes, list[tuple[int, int]]] = {}
        sizes: dict[bytes, int] = {}
        for number, (_, place) in enumerate(messages):
            if place is not None:
                id, at, sizes[id] = place
                wanted.setdefault(id, []).append((number, at))
        for id, some in wanted.items():
            if id not in self._open and len(some) * WORTH < sizes[id]:
                continue
            rows = self._rows(id)
            for number, at in some if rows is not None else ():
                row = rows[at] if rows is not None and at < len(rows) else None
                if row is not None and row.envelope and self._right(row, messages[number][0]):
                    made[number] = row
        return [None] * len(messages) if self._wrong else made

    def _right(self, row: AnswerRow, message: bytes | memoryview) -> bool:
        """Whether answers may be used: those of this message, where it is its turn, are compared."""
        if self._uncompared >= COMPARED and not self._wrong:
            self._uncompared = 0
            made = self._analyse(message)
            self._wrong = (row.envelope, row.bodystructure, row.headers, row.body, row.traits) != (
                made.envelope, made.bodystructure, made.headers, made.body, int(made.traits),
            )  # fmt: skip
        self._uncompared += 1
        return not self._wrong

    def _rows(self, id: bytes) -> list[AnswerRow] | None:
        """An object's rows; None where they cannot be used."""
        if id in self._open:
            self._open.move_to_end(id)
            return self._open[id]
        rows = self._open[id] = self._read(id)
        if len(self._open) > KEPT:
            self._open.popitem(last=False)
        return rows

    def _read(self, id: bytes) -> list[AnswerRow] | None:
        try:
            data = self._repository.read(id, AnswersData)
            return rows_of(data) if data.analyser == ANALYSER else None
        except NewerFormat:
            return None
        except Corrupt as error:
            self._repository.complaints.append(error)
            return None


def rows_of(data: AnswersData) -> list[AnswerRow]:
    """Raises Corrupt where columns do not agree."""
    columns = [getattr(data, name) for name in AnswerRow._fields]
    try:
        return list(map(AnswerRow._make, zip(*columns, strict=True)))
    except ValueError as error:
        raise Corrupt("Answers of the backup cannot be read.", VERIFY) from error
