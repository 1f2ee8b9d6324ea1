"""Messages dropped in the copy's Outbox mailbox -> the spool.

Each message is on disk in the spool (TAKEN) before it is removed from the mailbox, and is sent only after that removal.
What a crash leaves between the two is known again by its octets, so that nothing is taken twice.

A file that is still being written stays for another run, where the side can tell; a moment is waited for its end.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec.structs import replace as changed

from ...smtp.grammar.requests import with_crlf
from ..side import Side, drops_of
from .compose import BadMessage, Ready
from .entry import Entry, Event, Fate, Recipient, State, settled
from .spool import Spool

NOBODY = "nobody@localhost.invalid"
"""Stands for the recipient of a message that has none."""

LOOKS, PAUSE = 20, 0.1
"""How often, and after how many seconds each, it is looked whether a file is whole: copying one takes a moment."""

Prepare = Callable[[bytes], Ready]


class Taking:
    """name: of the copy. outbox: of the mailbox. prepare: makes a message ready, its recipients from the header."""

    def __init__(self, spool: Spool, name: str, outbox: str, prepare: Prepare) -> None:
        self._spool = spool
        self._name = name
        self._outbox = outbox
        self._prepare = prepare

    async def take(self, side: Side) -> int:
        """Take what is there; how many. The mailbox is made where it is missing, so that people find it.

        Raises as the side does, and SpoolUnwritable: what was taken by then stays taken.
        """
        taken = [entry for entry in self._spool.entries(self._name) if entry.state is State.TAKEN]
        place = next((p for p in await side.places() if p.name == self._outbox and p.selectable), None)
        number = 0
        if place is None:
            await side.create(self._outbox, None)
            await side.subscribe(self._outbox, True)
        elif await _gathered(side, place.name) or place.messages != 0:
            changes = await side.changes(place.name, None)
            waiting = [u for u, f in zip(changes.uids, changes.flags, strict=True) if "\\Deleted" not in f]
            known = Counter(entry.origin for entry in taken)
            async for message in side.fetch(place.name, await _whole(side, place.name, waiting)):
                origin = hashlib.sha256(message.data).hexdigest()
                if known[origin]:
                    known[origin] -= 1  # one for one: whoever put the same message there twice wants it sent twice
                else:
                    taken.append(self._keep(message.data, origin))
                    number += 1
                await side.remove(place.name, [message.uid])
        for entry in taken:
            self._spool.write(settled(changed(entry, state=entry.after(Event.REMOVED))))
        return number

    def _keep(self, data: bytes, origin: str) -> Entry:
        """Raises SpoolUnwritable: then it stays where it is."""
        try:
            ready = self._prepare(data)
        except BadMessage as refusal:
            # It comes back like anything that a server refuses.
            nobody = Recipient(address=NOBODY, fate=Fate.REFUSED, said=str(refusal))
            with self._spool.writing():
                return self._spool.add(self._name, "", [nobody], with_crlf(data), origin=origin)
        recipients = [Recipient(address=each) for each in ready.recipients]
        with self._spool.writing():
            return self._spool.add(
                self._name, ready.sender, recipients, ready.message, subject=ready.subject, origin=origin
            )


async def _gathered(side: Side, name: str) -> int:
    """How many files that were put beside the mailbox's messages are among them now."""
    drops = drops_of(side)
    return 0 if drops is None else await drops.gather(name)


async def _whole(side: Side, name: str, uids: Sequence[int]) -> list[int]:
    """Those of these messages that nobody is writing (any more)."""
    drops = drops_of(side)
    if drops is None:
        return list(uids)
    for _ in range(LOOKS):
        written = await drops.unfinished(name, uids)
        if not written:
            break
        await asyncio.sleep(PAUSE)
    return [uid for uid in uids if uid not in written]
