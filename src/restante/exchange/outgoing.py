"""Reading an account's mail to be written elsewhere: its messages, in batches, and their octets, in groups of bounded
size. Where a page of the account's file is broken, or its disk has lost a sector, all that can be read is: who exports
may have no other copy. Knows the store's interface.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from ..store.errors import UNREADABLE
from ..store.interface import Store
from ..store.model import Column, Flags, FlagTable, Mailbox, Provenance

BATCH = 500
TOP = 0xFFFF_FFFF
GROUP_OCTETS = 8 << 20
COLUMNS = (
    Column.FLAGS,
    Column.SIZE,
    Column.RECEIVED,
    Column.SAVED,
    Column.EMAIL_ID,
    Column.THREAD_ID,
    Column.CONTENT,
)


@dataclass(frozen=True, slots=True)
class Placement:
    """One message to write."""

    uid: int
    flags: Flags
    size: int
    received: int
    saved: int
    email_id: str
    thread_id: str
    content: int
    origin: Provenance


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that cannot be read, and why."""

    mailbox: str
    uid: int
    reason: str


async def placements(store: Store, mailbox: Mailbox, lost: list[Unreadable]) -> AsyncIterator[list[Placement]]:
    """All messages of a mailbox, in batches, ascending by UID. lost: is told of those that cannot be read."""
    table = await store.flag_table()
    low = 1
    while True:
        try:
            some = await _read(store, mailbox, table, (low, TOP), BATCH)
        except UNREADABLE:
            uids = [uid for uid in (await store.snapshot(mailbox.key)).uids.uids if uid >= low][:BATCH]
            some = uids, [each async for each in _one_by_one(store, mailbox, table, uids, lost)]
        uids, found = some
        if not uids:
            return
        yield found
        low = uids[-1] + 1


async def _read(
    store: Store, mailbox: Mailbox, table: FlagTable, span: tuple[int, int], most: int
) -> tuple[list[int], list[Placement]]:
    """UIDs of a span, `most` at most, and the messages; what was removed between the two reads is left out."""
    rows = await store.rows(mailbox.key, (span,), COLUMNS, most)
    uids = [_int(row[0]) for row in rows]
    if not uids:
        return [], []
    origins = {each.uid: each for each in await store.provenance(mailbox.key, ((uids[0], uids[-1]),))}
    return uids, [_placement(row, table[_int(row[1])], origins[_int(row[0])]) for row in rows if row[0] in origins]


async def _one_by_one(
    store: Store, mailbox: Mailbox, table: FlagTable, uids: list[int], lost: list[Unreadable]
) -> AsyncIterator[Placement]:
    """Messages of which some cannot be read."""
    for uid in uids:
        try:
            _, found = await _read(store, mailbox, table, (uid, uid), 1)
        except UNREADABLE as error:
            lost.append(Unreadable(mailbox.name, uid, error.text))
            continue
        for each in found:
            yield each


def _placement(row: tuple[object, ...], flags: Flags, origin: Provenance) -> Placement:
    uid, _, size, received, saved, email_id, thread_id, content = row
    return Placement(
        _int(uid),
        flags,
        _int(size),
        _int(received),
        _int(saved),
        _text(email_id),
        _text(thread_id),
        _int(content),
        origin,
    )


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _text(value: object) -> str:
    assert isinstance(value, bytes)
    return value.decode("ascii")


async def with_octets(
    store: Store, mailbox: Mailbox, batch: list[Placement], lost: list[Unreadable]
) -> AsyncIterator[list[tuple[Placement, bytes]]]:
    """Messages with their octets, in groups of bounded size (a larger message alone). lost: as for `placements`."""
    group: list[Placement] = []
    octets = 0
    for each in batch:
        if group and octets + each.size > GROUP_OCTETS:
            yield await _octets(store, mailbox, group, lost)
            group, octets = [], 0
        group.append(each)
        octets += each.size
    if group:
        yield await _octets(store, mailbox, group, lost)


async def _octets(
    store: Store, mailbox: Mailbox, group: list[Placement], lost: list[Unreadable]
) -> list[tuple[Placement, bytes]]:
    """Of a group, those that can be read."""
    try:
        return list(zip(group, await store.read_contents([one.content for one in group]), strict=True))
    except UNREADABLE as error:
        if len(group) == 1:
            lost.append(Unreadable(mailbox.name, group[0].uid, error.text))
            return []
    return [pair for one in group for pair in await _octets(store, mailbox, [one], lost)]
