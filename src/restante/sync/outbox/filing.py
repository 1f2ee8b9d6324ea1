"""What a copy gets of a message that was sent, or could not be: the one in Sent, and the report in INBOX.

Both are added to the copy's side, so that the next run carries them to the server. Filing is done once: DOING stands on
disk while it is being added; found so later, the end of the mailbox is looked at before it is added again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace as changed

from ...clock import Clock, Random
from ...errors import Refusal
from ..model import NO_FLAGS, Message
from ..outline import mark
from ..side import MailboxUnavailable, Side
from .entry import Entry, Filing, State
from .returned import returned, uncertain
from .spool import Spool

if TYPE_CHECKING:
    from .sender import Outgoing

SENT = "\\Sent"
LOOK_BACK = 1_000
"""Newest messages of Sent among which one that may have been filed is looked for."""


class NotFiled(Refusal):
    """The copy does not take what belongs into it."""

    code = "NOT-FILED"
    temporary = True


class Desk:
    """Works off entries that need filing or telling."""

    def __init__(self, outgoing: Outgoing, spool: Spool, clock: Clock, random: Random) -> None:
        self._outgoing = outgoing
        self._spool = spool
        self._clock = clock
        self._random = random
        self._sent_mailbox = ""

    async def work(self, side: Side) -> tuple[int, Refusal | None]:
        """(messages told of as refused, why something was left for another run)."""
        told, problem = 0, None
        for entry in self._spool.entries(self._outgoing.name):
            try:
                told += await self._one(side, entry)
            except Refusal as refusal:
                problem = refusal
        return told, problem

    async def _one(self, side: Side, entry: Entry) -> bool:
        told = False
        if entry.sent is not None and entry.filing is not Filing.DONE:
            entry = await self._file(side, entry)
        refused = entry.to_return
        if refused and entry.state is not State.TAKEN:
            report = returned(
                entry, refused, self._spool.message(entry), self._outgoing.server, self._clock.now(), self._random
            )
            await self._tell(side, report)
            entry = changed(entry, returned=entry.returned + tuple(each.address for each in refused))
            self._spool.write(entry)
            told = True
        if entry.state is State.UNCERTAIN and not entry.told:
            question = uncertain(
                entry, self._spool.message(entry), self._outgoing.server, self._clock.now(), self._random
            )
            await self._tell(side, question)
            self._spool.write(changed(entry, told=True))
        if entry.finished:
            self._spool.remove(entry)
        return told

    async def _file(self, side: Side, entry: Entry) -> Entry:
        if self._outgoing.file:
            message = self._spool.message(entry)
            name = self._sent_mailbox = self._sent_mailbox or await sent_mailbox(side, self._outgoing.sent)
            if entry.filing is not Filing.DOING or not await is_there(side, name, message):
                entry = changed(entry, filing=Filing.DOING)
                self._spool.write(entry)
                await _add(side, name, Message(0, message, frozenset({"\\Seen"}), int(entry.sent or entry.created)))
        entry = changed(entry, filing=Filing.DONE)
        self._spool.write(entry)
        return entry

    async def _tell(self, side: Side, report: bytes) -> None:
        await _add(side, "INBOX", Message(0, report, NO_FLAGS, int(self._clock.now())))


async def _add(side: Side, name: str, message: Message) -> None:
    (answer,) = await side.add(name, [message])
    if answer.refused is not None:
        raise NotFiled(f"{side.title} does not take a message into {name}: {answer.refused}")


async def sent_mailbox(side: Side, wanted: str) -> str:
    """The mailbox that sent mail goes to: of the name wanted, else of the special use, else called Sent; made if
    missing."""
    places = [place for place in await side.places() if place.selectable]
    for place in places:
        if (place.name == wanted) if wanted else (place.role == SENT):
            return place.name
    if not wanted:
        for place in places:
            if place.name.lower() == "sent":
                return place.name
    return (await side.create(wanted or "Sent", None if wanted else SENT)).name


async def is_there(side: Side, name: str, message: bytes) -> bool:
    """Whether one of the newest messages is this one."""
    try:
        changes = await side.changes(name, None)
    except MailboxUnavailable:
        return False  # not there yet, so nothing is in it; adding will tell
    known = mark(message)
    for outline in await side.outlines(name, changes.uids[-LOOK_BACK:]):
        if outline.mark == known and outline.size in (None, len(message)):
            return True
    return False
