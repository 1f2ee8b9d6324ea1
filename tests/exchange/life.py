"""An account that has been lived in: whatever IMAP, POP3 and an import can do to one, drawn at random."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from restante.mime.analyse import analyse
from restante.store.interface import Store
from restante.store.model import FlagMode, Flags, Identity, Mailbox, NewMessage, Pop3Delete

NAMES = ("A", "A/B", "A.B", "A_B", "Gelöscht & Co/日本語", "inbox2", "Sent", "x" * 120)
FLAGS = (
    "\\Seen",
    "\\Flagged",
    "\\Answered",
    "\\Deleted",
    "\\Draft",
    "$Forwarded",
    "$Junk",
    *(f"k{n}" for n in range(30)),
)
UIDLS = (None, None, None, "old-uidl", "UID7-1234", "old-uidl.1")
ROLES = ("\\Sent", "\\Trash", "\\Archive", "\\Junk")

Step = Callable[[Store, random.Random], Awaitable[None]]


async def live(store: Store, chance: random.Random, steps: int) -> None:
    """So many random steps. The same seed leads the same life."""
    for _ in range(steps):
        await chance.choice(STEPS)(store, chance)


async def _any(store: Store, chance: random.Random) -> Mailbox:
    boxes = await store.mailboxes()
    return boxes[0] if chance.random() < 0.5 else chance.choice(boxes)


async def _some(store: Store, mailbox: Mailbox, chance: random.Random) -> tuple[tuple[int, int], ...]:
    """One to three of its UIDs."""
    uids = list((await store.snapshot(mailbox.key)).uids.uids)
    return tuple((uid, uid) for uid in sorted(chance.sample(uids, min(len(uids), chance.randint(1, 3)))))


def _octets(chance: random.Random) -> bytes:
    number = chance.randrange(6)
    match chance.randrange(4):
        case 0:
            return chance.randbytes(chance.randrange(200))
        case 1:
            return b"Subject: r\xc3\xa4t %d\r\n\r\nbare\nline\rends\0" % number
        case _:
            head = f"From: a@x.example\r\nSubject: Re: s{number}\r\nMessage-ID: <{chance.random()}@x.example>\r\n"
            return f"{head}References: <root{number}@x.example>\r\n\r\n{'body ' * number}\r\nFrom here\r\n".encode()


async def append(store: Store, chance: random.Random) -> None:
    box, data = await _any(store, chance), _octets(chance)
    flags = Flags.of(chance.sample(FLAGS, chance.randrange(4)))
    identity = Identity(uidl=chance.choice(UIDLS), saved=chance.choice((None, 1_100_000_000)))
    arrival = chance.choice((None, chance.randbytes(32)))
    new = NewMessage(await store.put(data), analyse(data), flags, chance.randrange(1 << 31), arrival, identity)
    await store.append(box.key, [new])


async def copy(store: Store, chance: random.Random) -> None:
    source, target = await _any(store, chance), await _any(store, chance)
    await store.copy(source.key, await _some(store, source, chance), target.key)


async def copy_within_inbox(store: Store, chance: random.Random) -> None:
    inbox = (await store.mailboxes())[0]
    await store.copy(inbox.key, await _some(store, inbox, chance), inbox.key)


async def move(store: Store, chance: random.Random) -> None:
    source, target = await _any(store, chance), await _any(store, chance)
    await store.move(source.key, await _some(store, source, chance), target.key)


async def expunge(store: Store, chance: random.Random) -> None:
    box = await _any(store, chance)
    await store.expunge(box.key, await _some(store, box, chance), deleted_only=False)


async def flag(store: Store, chance: random.Random) -> None:
    box = await _any(store, chance)
    flags = Flags.of(chance.sample(FLAGS, 2))
    await store.store_flags(box.key, await _some(store, box, chance), chance.choice(list(FlagMode)), flags)


async def create(store: Store, chance: random.Random) -> None:
    name = chance.choice(NAMES)
    if await store.mailbox(name) is None:
        await store.create_mailbox(name)


async def delete(store: Store, chance: random.Random) -> None:
    box = chance.choice(await store.mailboxes())
    if box.name != "INBOX" and chance.random() < 0.3:
        await store.delete_mailbox(box.key)


async def give_role(store: Store, chance: random.Random) -> None:
    box, role = await _any(store, chance), chance.choice(ROLES)
    if box.name != "INBOX" and all(each.role != role for each in await store.mailboxes()):
        await store.set_role(box.key, role)


async def subscribe(store: Store, chance: random.Random) -> None:
    name = chance.choice((*(box.name for box in await store.mailboxes()), "Gone/Long ago"))
    await store.subscribe(name, chance.random() < 0.6)


async def select(store: Store, chance: random.Random) -> None:
    await store.claim_recent((await _any(store, chance)).key)


async def pop3(store: Store, chance: random.Random) -> None:
    inbox = (await store.mailboxes())[0]
    fetched, gone = await _some(store, inbox, chance), await _some(store, inbox, chance)
    delete = gone if chance.random() < 0.5 else ()
    how = chance.choice((Pop3Delete.KEEP, Pop3Delete.REMOVE))
    await store.finish_maildrop(delete, how, fetched, mark_seen=chance.random() < 0.5)


STEPS: tuple[Step, ...] = (
    append, append, append, append, copy, copy_within_inbox, copy_within_inbox, move, expunge, expunge, flag, create,
    delete, give_role, subscribe, select, pop3,
)  # fmt: skip
