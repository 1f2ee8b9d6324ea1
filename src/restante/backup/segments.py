"""Segments of mailboxes: rows of the store as columns, and back. Pure.

A mailbox is what its segments say, one after the other: each takes away what was removed, gives new flags, and adds
what came. No object is made for a message; columns are transposed at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..store.backup import CatalogueRow, PlacedRow
from ..values import Value
from .crypto import VERIFY
from .errors import Corrupt
from .objects import CatalogueData, SegmentData, column, octets

DIGEST = 32

FEW = 16
"""Messages up to which each is cut out of a segment."""

FlagSets = Mapping[int, tuple[int, str]]
"""Number of a flag set in the store -> (system bits, keywords joined by a space)."""


class Placed(NamedTuple):
    """A message of a mailbox as a snapshot has it: a row of the store without what is the store's own.

    digest: SHA-256 of its octets. arrival: the same before trace fields. system, keywords: its flags, keywords joined
    by a space.
    """

    uid: int
    order: int
    email_id: str
    thread_id: str
    digest: bytes
    size: int
    received: int
    saved: int
    arrival: bytes | None
    uidl: str | None
    system: int
    keywords: str


class Changes(Value, frozen=True):
    """What a segment is made of. gone: UIDs, ascending. flagged: (uid, flag set)."""

    placed: Sequence[PlacedRow] = ()
    gone: Sequence[int] = ()
    flagged: Sequence[tuple[int, int]] = ()

    def __len__(self) -> int:
        return len(self.placed) + len(self.gone) + len(self.flagged)


def make_segment(changes: Changes, sets: FlagSets, catalogue: bytes) -> SegmentData:
    """catalogue: id of the object that says who wrote what of `placed`."""
    uids, orders, emails, threads, _, digests, sizes, received, saved, arrivals, uidls, flags = _columns(changes.placed)
    used = sorted({*flags, *(number for _, number in changes.flagged)})
    position = {number: i for i, number in enumerate(used)}
    with_arrival = [row for row, each in enumerate(arrivals) if each is not None]
    with_uidl = [row for row, each in enumerate(uidls) if each is not None]
    return SegmentData(
        _ints(uids),
        _longs(orders),
        "\n".join(emails).encode(),
        "\n".join(threads).encode(),
        b"".join(digests),
        _ints(sizes),
        _longs(received),
        _longs(saved),
        _ints(map(position.__getitem__, flags)),
        _ints(with_arrival),
        b"".join([arrivals[row] for row in with_arrival]),
        _ints(with_uidl),
        "\n".join([uidls[row] for row in with_uidl]).encode(),
        tuple(sets[number] for number in used),
        _ints(_ranges(changes.gone)),
        _ints([uid for uid, _ in changes.flagged]),
        _ints([position[number] for _, number in changes.flagged]),
        catalogue,
    )


def _columns(rows: Sequence[PlacedRow]) -> Sequence[Sequence[Any]]:
    """The columns of rows, each a tuple of one type (Any: they differ)."""
    return list(zip(*rows, strict=True)) if rows else [()] * 12


def _ints(values: Iterable[int]) -> bytes:
    return octets(array("I", values))


def _longs(values: Iterable[int]) -> bytes:
    return octets(array("q", values))


def _ranges(uids: Sequence[int]) -> list[int]:
    """First and last of each range of ascending UIDs, flat."""
    if not uids:
        return []
    bounds = [uids[0]]
    for before, uid in pairwise(uids):
        if uid != before + 1:
            bounds += (before, uid)
    return [*bounds, uids[-1]]


def read_placed(data: SegmentData) -> list[Placed]:
    """What came, ascending by UID. Raises Corrupt."""
    uids, orders, sizes = column("I", data.uids), column("q", data.orders), column("I", data.sizes)
    count = len(uids)
    if not count:
        return []
    try:
        emails, threads = data.email_ids.decode().split("\n"), data.thread_ids.decode().split("\n")
        digests = [data.digests[at : at + DIGEST] for at in range(0, len(data.digests), DIGEST)]
        arrivals: list[bytes | None] = [None] * count
        for number, row in enumerate(column("I", data.arrival_rows)):
            arrivals[row] = data.arrivals[number * DIGEST : (number + 1) * DIGEST]
        uidls: list[str | None] = [None] * count
        for row, uidl in zip(column("I", data.uidl_rows), _lines(data.uidls.decode()), strict=True):
            uidls[row] = uidl
        sets = [data.flag_sets[each] for each in column("I", data.flags)]
        return [
            Placed._make(each)
            for each in zip(
                uids, orders, emails, threads, digests, sizes, column("q", data.received), column("q", data.saved),
                arrivals, uidls, [system for system, _ in sets], [words for _, words in sets],
                strict=True,
            )
        ]  # fmt: skip
    except (ValueError, IndexError) as error:
        raise Corrupt("A list of messages of the backup cannot be read.", VERIFY) from error


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []


def merge(segments: Iterable[SegmentData], only: frozenset[str] | None = None) -> dict[int, Placed]:
    """A mailbox by UID, ascending: what its segments say. only: EMAILIDs of messages that are asked for, None for all;
    segments that have none of them are not taken apart. Raises Corrupt."""
    here: dict[int, Placed] = {}
    for data in segments:
        for low, high in gone_of(data):
            _remove(here, low, high)
        _flag(here, data)
        if only is None:
            here.update([(row.uid, row) for row in read_placed(data)])
        else:
            here.update([(row.uid, row) for row in _read_some(data, only)])
    return here


def _read_some(data: SegmentData, only: frozenset[str]) -> list[Placed]:
    """Those of these EMAILIDs among what came. Few are cut out, since a segment may have twenty thousand rows."""
    wanted = {id.encode() for id in only if id.encode() in data.email_ids}
    if len(wanted) > FEW:
        return [row for row in read_placed(data) if row.email_id in only]
    if not wanted:
        return []
    emails, threads = data.email_ids.split(b"\n"), data.thread_ids.split(b"\n")
    arrivals, uidls = column("I", data.arrival_rows), column("I", data.uidl_rows)
    try:
        found = []
        for row in [row for row, id in enumerate(emails) if id in wanted]:
            arrival = arrivals.index(row) if row in arrivals else None
            uidl = uidls.index(row) if row in uidls else None
            alone = SegmentData(
                data.uids[row * 4 : row * 4 + 4],
                data.orders[row * 8 : row * 8 + 8],
                emails[row],
                threads[row],
                data.digests[row * DIGEST : (row + 1) * DIGEST],
                data.sizes[row * 4 : row * 4 + 4],
                data.received[row * 8 : row * 8 + 8],
                data.saved[row * 8 : row * 8 + 8],
                data.flags[row * 4 : row * 4 + 4],
                b"" if arrival is None else bytes(4),
                b"" if arrival is None else data.arrivals[arrival * DIGEST : (arrival + 1) * DIGEST],
                b"" if uidl is None else bytes(4),
                b"" if uidl is None else data.uidls.split(b"\n")[uidl],
                data.flag_sets, b"", b"", b"", b"",
            )  # fmt: skip
            found += read_placed(alone)
        return found
    except IndexError as error:
        raise Corrupt("A list of messages of the backup cannot be read.", VERIFY) from error


def gone_of(data: SegmentData) -> list[tuple[int, int]]:
    """Ranges of UIDs that were removed. Raises Corrupt."""
    bounds = column("I", data.gone)
    if len(bounds) % 2:
        raise Corrupt("A list of what was removed cannot be read.", VERIFY)
    return list(zip(bounds[::2], bounds[1::2], strict=True))


def _remove(here: dict[int, Placed], low: int, high: int) -> None:
    """At the cost of the range or of the mailbox, whichever is smaller."""
    if high - low >= len(here):
        for uid in [uid for uid in here if low <= uid <= high]:
            del here[uid]
    else:
        for uid in range(low, high + 1):
            here.pop(uid, None)


def _flag(here: dict[int, Placed], data: SegmentData) -> None:
    try:
        for uid, number in zip(column("I", data.flagged), column("I", data.flagged_sets), strict=True):
            row = here.get(uid)
            if row is not None:
                here[uid] = Placed(*row[:10], *data.flag_sets[number])
    except (ValueError, IndexError) as error:
        raise Corrupt("A list of flags of the backup cannot be read.", VERIFY) from error


MOST_TEXT = 300
"""Characters kept of each text by which a message is found."""


def make_catalogue(rows: Sequence[CatalogueRow]) -> CatalogueData:
    """NUL parts the texts, which hold none: it is taken out of them."""
    columns = ["\0".join([text[:MOST_TEXT].replace("\0", "") for text in each]) for each in zip(*rows, strict=True)]
    return CatalogueData(*(columns or [""] * 4))


def read_catalogue(data: CatalogueData) -> list[tuple[str, str, str, str]]:
    """(senders, recipients, subject, message-id), a tuple a message. Raises Corrupt."""
    columns = [text.split("\0") for text in (data.senders, data.recipients, data.subjects, data.message_ids)]
    try:
        return list(zip(*columns, strict=True))
    except ValueError as error:
        raise Corrupt("A catalogue of the backup cannot be read.", VERIFY) from error
