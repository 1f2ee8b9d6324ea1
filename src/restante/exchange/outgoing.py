"""Reading an account's mail to be written elsewhere: its messages, in batches, and their octets, in groups of bounded
size. Knows the store's interface.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from ..store.interface import Store
from ..store.model import Column, Flags, Mailbox, Provenance

BATCH = 500
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


async def placements(store: Store, mailbox: Mailbox) -> AsyncIterator[list[Placement]]:
    """All messages of a mailbox, in batches, ascending by UID."""
    table = await store.flag_table()
    low = 1
    while rows := await store.rows(mailbox.key, ((low, 0xFFFF_FFFF),), COLUMNS, BATCH):
        uids = [int(str(row[0])) for row in rows]
        span = ((uids[0], uids[-1]),)
        origins = {each.uid: each for each in await store.provenance(mailbox.key, span)}
        # What was removed between the two reads is left out.
        yield [_placement(row, table[_int(row[1])], origins[_int(row[0])]) for row in rows if row[0] in origins]
        low = uids[-1] + 1


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


async def with_octets(store: Store, batch: list[Placement]) -> AsyncIterator[list[tuple[Placement, bytes]]]:
    """Messages with their octets, in groups of bounded size (a larger message alone)."""
    group: list[Placement] = []
    octets = 0
    for each in batch:
        if group and octets + each.size > GROUP_OCTETS:
            yield list(zip(group, await store.read_contents([one.content for one in group]), strict=True))
            group, octets = [], 0
        group.append(each)
        octets += each.size
    if group:
        yield list(zip(group, await store.read_contents([one.content for one in group]), strict=True))
