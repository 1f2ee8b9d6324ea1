"""An account of a snapshot as the side that a migration comes from: the way back to an IMAP server.

Reading alone. Messages come from the repository as they are asked for, so nothing is made anew here. What stands in the
way of a restore is left out: \\Deleted (the next EXPUNGE would take the message again), and, where mailboxes or
messages are chosen, mailboxes that hold none of them.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

from ..store.model import System
from ..sync.model import Changes, FlagChange, Flags, Message, Outline, Place, Spelling, Withheld
from ..sync.outline import mark_and_ident
from ..sync.side import MailboxUnavailable, Side
from ..sync.unchanging import Unchanging
from .errors import Corrupt
from .groups import groups
from .missing import flags_of
from .objects import AccountData, AccountLine, MailboxData
from .repository import Repository
from .restore import EVERYTHING, Choice, read_mailbox
from .segments import Placed

GROUP_MESSAGES = 200
OUTLINES = 1000
"""Messages of a server asked about at a time."""
Held = Mapping[bytes, list[tuple[str, int | None]]]
"""mark -> (mailbox, size) of each message that has it."""
VIEWS = frozenset({"\\All", "\\Flagged", "\\Important"})


class SnapshotSide(Unchanging):
    """Implements `sync.side.Side`. unreadable: see `side.Withholds`."""

    def __init__(self, repository: Repository, line: AccountLine, choice: Choice = EVERYTHING) -> None:
        self.title = f"{line.address} in the backup"
        self.unreadable: dict[tuple[str, int], Withheld] = {}
        self._repository = repository
        self._line = line
        self._choice = choice
        self._boxes: dict[str, MailboxData] = {}
        self._subscribed: frozenset[str] = frozenset()
        self._rows: dict[str, dict[int, Placed]] = {}
        self._spelling = Spelling()
        self._marks: dict[bytes, tuple[bytes, bytes]] = {}
        self._left: dict[str, set[int]] = {}

    async def open(self) -> None:
        """Raises Corrupt."""
        root = await asyncio.to_thread(self._repository.read, self._line.root, AccountData)
        self._root = root
        self._subscribed = frozenset(name for user, name in root.subscriptions if not user)
        self._boxes = {box.name: box for box in root.mailboxes if self._choice.takes(box)}
        if self._choice.email_ids is not None:
            for name in list(self._boxes):
                with suppress(MailboxUnavailable):  # who works on it is told
                    if not await self._read(name):
                        del self._boxes[name]

    async def close(self) -> None:
        """Nothing is open."""

    async def places(self) -> list[Place]:
        found = [
            Place(
                box.name, str(box.uidvalidity), None, box.id, box.role, box.name in self._subscribed,
                len(self._rows[box.name]) if box.name in self._rows else box.messages,
            )
            for box in self._boxes.values()
        ]  # fmt: skip
        return sorted(found, key=lambda place: (place.name != "INBOX", place.name))

    async def changes(self, name: str, since: str | None) -> Changes:
        left = self._left.get(name, ())
        rows = {uid: row for uid, row in (await self._read(name)).items() if uid not in left}
        return Changes(
            str(self._boxes[name].uidvalidity),
            "",
            True,
            array("Q", rows),
            [self._flags(row) for row in rows.values()],
            emails=[row.email_id for row in rows.values()],
        )

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        """Reads the messages, each once: a snapshot has no headers apart."""
        rows = await self._read(name)
        unknown = [uid for uid in uids if uid in rows and rows[uid].digest not in self._marks]
        async for read, data in self._messages(name, unknown):
            self._marks[read.digest] = mark_and_ident(data)
        return [
            Outline(uid, row.size, row.received, mark, row.email_id, ident)
            for uid in sorted(uids)
            if (row := rows.get(uid)) is not None and row.digest in self._marks
            for mark, ident in (self._marks[row.digest],)
        ]

    async def leave_moved(self, target: Side, names: Mapping[str, str]) -> int:
        """Leave out what `target` has in another mailbox than the snapshot had it: it was moved there since. How many.

        names: mailbox of the snapshot -> of the target. Such a message has a Message-ID, and the same header fields
        and size. Reads the chosen messages, and what the target's are known by.
        """
        here = await _held(target)
        if not here:
            return 0
        then: dict[bytes, set[str]] = {}
        for box in self._root.mailboxes:
            with suppress(MailboxUnavailable):  # whoever wants its messages is told
                for row in (await self._rows_of(box)).values():
                    then.setdefault(row.digest, set()).add(names.get(box.name, box.name))
        for name in self._boxes:
            with suppress(MailboxUnavailable):
                await self._leave_moved(name, names.get(name, name), here, then)
        return sum(map(len, self._left.values()))

    async def _leave_moved(self, name: str, goal: str, here: Held, then: Mapping[bytes, set[str]]) -> None:
        rows = await self._read(name)
        for each in await self.outlines(name, list(rows)):
            there = {box for box, size in here.get(each.mark, ()) if each.ident and size in (None, each.size)}
            if there and goal not in there and not there <= then[rows[each.uid].digest]:
                self._left.setdefault(name, set()).add(each.uid)

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        async for row, data in self._messages(name, uids):
            yield Message(row.uid, data, self._flags(row), row.received, row.email_id, row.thread_id, row.uidl)

    async def _messages(self, name: str, uids: Sequence[int]) -> AsyncIterator[tuple[Placed, bytes]]:
        rows = await self._read(name)
        for group in groups([rows[uid] for uid in uids if uid in rows], GROUP_MESSAGES):
            by_digest: dict[bytes, list[Placed]] = {}
            for row in group:
                by_digest.setdefault(row.digest, []).append(row)
            for digest, data in await asyncio.to_thread(list, self._repository.messages(by_digest)):
                for row in by_digest[digest]:
                    if isinstance(data, Corrupt):
                        self.unreadable[name, row.uid] = Withheld(data.text, temporary=False)
                    else:
                        yield row, data

    async def _read(self, name: str) -> dict[int, Placed]:
        """The mailbox's messages by UID, ascending. Raises MailboxUnavailable."""
        found = self._rows.get(name)
        if found is None:
            box = self._boxes.get(name)
            if box is None:
                raise MailboxUnavailable(f"There was no mailbox {name} then.")
            found = self._rows[name] = await self._rows_of(box)
        return found

    async def _rows_of(self, box: MailboxData) -> dict[int, Placed]:
        try:
            read = await asyncio.to_thread(read_mailbox, self._repository, box, self._choice.email_ids)
        except Corrupt as error:
            raise MailboxUnavailable(f"{box.name}: {error.text}", error.remedy) from error
        return dict(sorted(read.items()))

    def _flags(self, row: Placed) -> Flags:
        flags = flags_of(row)
        names = [name for bit, name in _NAMES if flags.system & bit]
        return self._spelling.flags([*names, *sorted(flags.keywords)])

    # Nothing is changed ----------------------------------------------------------------------------

    def refusal(self) -> tuple[str, str]:
        return "A snapshot is never changed.", ""

    async def set_role(self, name: str, role: str | None) -> bool:
        self._refuse()

    async def wait(self, names: Sequence[str]) -> set[str]:
        self._refuse()


async def _held(side: Side) -> Held:
    """What a server has. Mailboxes that show what others hold are passed over, and those that cannot be read."""
    found: dict[bytes, list[tuple[str, int | None]]] = {}
    for place in await side.places():
        if not place.selectable or place.role in VIEWS:
            continue
        with suppress(MailboxUnavailable):
            uids = (await side.changes(place.name, None)).uids
            for start in range(0, len(uids), OUTLINES):
                for each in await side.outlines(place.name, uids[start : start + OUTLINES]):
                    found.setdefault(each.mark, []).append((place.name, each.size))
    return found


_NAMES = (
    (System.SEEN, "\\Seen"),
    (System.ANSWERED, "\\Answered"),
    (System.FLAGGED, "\\Flagged"),
    (System.DRAFT, "\\Draft"),
)


class Receiver:
    """The server that mail goes back to: `side`, but flags of what is there stay as they are now."""

    def __init__(self, side: Side) -> None:
        self._side = side

    async def set_flags(self, name: str, changes: Sequence[FlagChange]) -> None:
        """Nothing: who restores wants messages, and has perhaps read or answered those that he has."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._side, name)
