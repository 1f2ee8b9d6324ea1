"""A side in memory: the model of what a side does, with abilities that can be switched off and faults put in.

`Disk` is what lasts: mailboxes and messages, changed by other programs through its own methods (`deliver`, `flag`,
`expunge`, ...), which never fail. `MemorySide` is one program's view of it, as `Side` asks: made anew for each run.
`Steps` counts every point at which a kill may come: before and after each call, and between the messages of one.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from restante.sync.model import (
    NO_FLAGS,
    SYSTEM_FLAGS,
    Added,
    Changes,
    FlagChange,
    Flags,
    Message,
    Outline,
    Place,
    Withheld,
)
from restante.sync.outline import ident, mark
from restante.sync.side import MailboxUnavailable, SideUnavailable

INBOX = "INBOX"


class Killed(BaseException):
    """The process ends here. Not an Exception: nothing may catch it and go on."""


@dataclass
class Steps:
    """Where a kill may come. at: the step (from 1) before which it comes, 0: never. taken: steps so far.

    acts: what other programs do meanwhile, by step.
    """

    at: int = 0
    acts: dict[int, Callable[[], None]] = field(default_factory=dict)
    taken: int = 0
    labels: list[str] = field(default_factory=list)

    def __call__(self, label: str) -> None:
        self.taken += 1
        self.labels.append(label)
        act = self.acts.pop(self.taken, None)
        if act is not None:
            act()
        if self.taken == self.at:
            raise Killed(f"at step {self.taken}, {label}")

    def never(self) -> None:
        self.at = 0


@dataclass(frozen=True)
class Abilities:
    """What a side can do. ids: Place.id. emails: EMAILID. state: Place.state. tells: UIDs of what was added, copied,
    moved. sizes: Outline.size. keywords: keeps others than system flags. roles: special uses can be set. log: tells
    what changed since a cursor; else everything, each time. lasting: EMAILIDs stay when others move messages.
    moves: a move is one act; else all are copied, and then removed. lists_emails: EMAILIDs come with changes; else they
    have to be asked for. vouches: says that it keeps keywords."""

    ids: bool = True
    emails: bool = True
    state: bool = True
    tells: bool = True
    sizes: bool = True
    keywords: bool = True
    roles: bool = True
    log: bool = True
    lasting: bool = True
    moves: bool = True
    lists_emails: bool = True
    vouches: bool = True


ALL = Abilities()
BARE = Abilities(ids=False, emails=False, state=False, tells=False, keywords=False, roles=False, log=False, moves=False)
"""A server with RFC 3501 and nothing else."""


def header(data: bytes) -> bytes:
    """What stands before the body, with the empty line."""
    if data.startswith(b"\r\n"):
        return b"\r\n"
    return data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


@dataclass(slots=True)
class Stored:
    data: bytes
    flags: Flags
    received: int
    email: str
    thread: str | None = None


@dataclass
class Box:
    """uid -> message, ascending. changed: uid -> number of its last change. removed: (number, uid)."""

    id: str
    name: str
    validity: int
    role: str | None = None
    subscribed: bool = False
    selectable: bool = True
    uidnext: int = 1
    modseq: int = 1
    messages: dict[int, Stored] = field(default_factory=dict)
    changed: dict[int, int] = field(default_factory=dict)
    removed: list[tuple[int, int]] = field(default_factory=list)

    def put(self, message: Stored) -> int:
        uid = self.uidnext
        self.uidnext += 1
        self.modseq += 1
        self.messages[uid] = message
        self.changed[uid] = self.modseq
        return uid

    def take(self, uid: int) -> Stored:
        self.modseq += 1
        self.removed.append((self.modseq, uid))
        del self.changed[uid]
        return self.messages.pop(uid)

    def flag(self, uid: int, flags: Flags) -> None:
        message = self.messages[uid]
        if flags != message.flags:
            self.modseq += 1
            message.flags = flags
            self.changed[uid] = self.modseq


class Disk:
    """What a side keeps. Its methods are other programs at work: they take effect at once and never fail.

    dropped: messages that were in a mailbox when a side deleted it. lasting: messages keep their EMAILIDs when they are
    moved or numbered anew here; where not, they are files whose names others give.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.count = 0
        self.validity = 1
        self.version = 0
        self.boxes: dict[str, Box] = {}
        self.watchers: set[asyncio.Event] = set()
        self.dropped: list[bytes] = []
        self.lasting = True
        self.create(INBOX)

    def _new(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.prefix}{self.count}"

    def touch(self) -> None:
        self.version += 1
        for event in self.watchers:
            event.set()

    def create(self, name: str, role: str | None = None) -> Box:
        """Make a mailbox, parents too (as names without messages)."""
        parent = name.rpartition("/")[0]
        if parent and parent not in self.boxes:
            self.create(parent).selectable = False
        box = self.boxes.get(name)
        if box is None:
            self.validity += 1
            box = self.boxes[name] = Box(self._new("b"), name, self.validity, role)
        elif not box.selectable:
            self.validity += 1
            box.selectable, box.id, box.validity, box.role = True, self._new("b"), self.validity, role
        self.touch()
        return box

    def rename(self, name: str, new: str) -> None:
        parent = new.rpartition("/")[0]
        if parent and parent not in self.boxes:
            self.create(parent).selectable = False
        for old in [one for one in self.boxes if one == name or one.startswith(name + "/")]:
            box = self.boxes.pop(old)
            box.name = new + old[len(name) :]
            self.boxes[box.name] = box
        self.touch()

    def delete(self, name: str) -> None:
        """A mailbox with children stays as a name; names that lead nowhere go."""
        box = self.boxes.pop(name)
        if any(other.startswith(name + "/") for other in self.boxes):
            self.boxes[name] = Box(box.id, name, box.validity, selectable=False)
        parent = name.rpartition("/")[0]
        while parent and not self.boxes[parent].selectable:
            if any(other.startswith(parent + "/") for other in self.boxes):
                break
            del self.boxes[parent]
            parent = parent.rpartition("/")[0]
        self.touch()

    def renumber(self, name: str) -> None:
        """UIDVALIDITY changes: the same messages, other UIDs, nothing known of what was."""
        box = self.boxes[name]
        self.validity += 1
        box.validity = self.validity
        old = list(box.messages.values())
        box.messages, box.changed, box.removed = {}, {}, []
        box.uidnext = 1 + self.validity % 3
        for message in old:
            self._renamed(message)
            box.put(message)
        self.touch()

    def _renamed(self, message: Stored) -> None:
        if not self.lasting:
            message.email = self._new("m")

    def deliver(
        self, name: str, data: bytes, flags: Flags = NO_FLAGS, received: int = 1_800_000_000, email: str | None = None
    ) -> int:
        uid = self.boxes[name].put(Stored(data, flags, received, email or self._new("m")))
        self.touch()
        return uid

    def flag(self, name: str, uid: int, flags: Flags) -> None:
        self.boxes[name].flag(uid, flags)
        self.touch()

    def expunge(self, name: str, uid: int) -> None:
        self.boxes[name].take(uid)
        self.touch()

    def move(self, name: str, uid: int, target: str) -> int:
        message = self.boxes[name].take(uid)
        self._renamed(message)
        new = self.boxes[target].put(message)
        self.touch()
        return new

    def copy(self, name: str, uid: int, target: str) -> int:
        old = self.boxes[name].messages[uid]
        new = self.boxes[target].put(Stored(old.data, old.flags, old.received, old.email, old.thread))
        self.touch()
        return new


Refuses = Callable[[str, Message], Added | None]


class MemorySide:
    """One program's view of a disk. steps: where kills come. refuses: what becomes of a message that is not taken.

    broken: mailboxes that cannot be used. down: nothing can. calls: names of the methods called, for counting.
    withholds: why a message (by its octets) is not given, where it is not; unreadable: those that were not.
    """

    def __init__(
        self,
        disk: Disk,
        abilities: Abilities = ALL,
        steps: Steps | None = None,
        *,
        title: str = "memory",
        refuses: Refuses | None = None,
    ) -> None:
        self.disk = disk
        self.abilities = abilities
        self.title = title
        self.steps = steps
        self.refuses = refuses
        self.broken: set[str] = set()
        self.down = False
        self.is_open = False
        self.calls: list[str] = []
        self.withholds: Callable[[bytes], Withheld | None] | None = None
        self.unreadable: dict[tuple[str, int], Withheld] = {}
        self.fetched = 0
        self._seen: dict[str, tuple[str, int]] = {}
        self._told: dict[str, int] = {}

    # Where faults come -----------------------------------------------------------------------------

    async def _call(self, label: str, name: str | None = None) -> None:
        if not self.is_open:
            raise AssertionError(f"{label} of a side that is not open")
        self.calls.append(label)
        await asyncio.sleep(0)  # lets other tasks run, as any real call does
        if self.down:
            raise SideUnavailable(f"{self.title} does not answer.")
        self._step(f"before {label} {name or ''}")
        if name in self.broken:
            raise MailboxUnavailable(f"Mailbox {name!r} cannot be used.")

    def _step(self, label: str) -> None:
        if self.steps is not None:
            self.steps(f"{self.title}: {label}")

    def _box(self, name: str) -> Box:
        box = self.disk.boxes.get(name)
        if box is None or not box.selectable:
            raise MailboxUnavailable(f"There is no mailbox {name!r}.")
        return box

    def _numbered(self, name: str) -> Box:
        """A mailbox whose UIDs still mean what they meant when they were told."""
        box = self._box(name)
        if self._told.setdefault(name, box.validity) != box.validity:
            raise MailboxUnavailable(f"The UIDs of {name!r} have begun anew.")
        return box

    def _kept(self, flags: Flags) -> Flags:
        if self.abilities.keywords:
            return flags
        return frozenset(name for name in flags if name.lower() in SYSTEM_FLAGS)

    # What is there ---------------------------------------------------------------------------------

    async def open(self) -> None:
        if self.down:
            raise SideUnavailable(f"{self.title} does not answer.")
        self.is_open = True
        self._step("open")

    async def close(self) -> None:
        self.is_open = False

    def _place(self, box: Box) -> Place:
        return Place(
            box.name,
            str(box.validity),
            f"{box.validity}.{box.modseq}" if self.abilities.state else None,
            box.id if self.abilities.ids else None,
            box.role,
            box.subscribed,
            len(box.messages),
            box.selectable,
        )

    async def places(self) -> list[Place]:
        await self._call("places")
        found = [self._place(box) for box in self.disk.boxes.values()]
        self._seen = self._versions()
        self._told = {box.name: box.validity for box in self.disk.boxes.values()}
        self._step("after places")
        return sorted(found, key=lambda place: (place.name != INBOX, place.name))

    async def changes(self, name: str, since: str | None) -> Changes:
        await self._call("changes", name)
        box = self._box(name)
        self._told[name] = box.validity
        cursor = f"{box.validity}.{box.modseq}"
        validity, _, number = (since or "").partition(".")
        if not self.abilities.log or validity != str(box.validity):
            uids, vanished = array("Q", box.messages), array("Q")
        else:
            after = int(number)
            uids = array("Q", [uid for uid, changed in box.changed.items() if changed > after])
            uids = array("Q", sorted(uids))
            vanished = array("Q", sorted(uid for changed, uid in box.removed if changed > after))
        messages = box.messages
        found = Changes(
            str(box.validity),
            cursor,
            not self.abilities.log or validity != str(box.validity),
            uids,
            [messages[uid].flags for uid in uids],
            vanished,
            [messages[uid].email for uid in uids] if self.abilities.emails and self.abilities.lists_emails else None,
            self.abilities.lasting,
        )
        self._step("after changes")
        return found

    @property
    def moves_by_copying(self) -> bool:
        return not self.abilities.moves

    def keeps(self, name: str, keyword: str) -> bool:
        return self.abilities.keywords and self.abilities.vouches

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        await self._call("outlines", name)
        messages = self._numbered(name).messages
        return [
            Outline(
                uid,
                len(found.data) if self.abilities.sizes else None,
                found.received,
                mark(found.data),
                found.email if self.abilities.emails else None,
                ident(found.data),
            )
            for uid in sorted(uids)
            if (found := messages.get(uid)) is not None
        ]

    async def emails(self, name: str, uids: Sequence[int]) -> dict[int, str]:
        if not self.abilities.emails or not self.abilities.lasting:
            return {}
        await self._call("emails", name)
        messages = self._numbered(name).messages
        return {uid: found.email for uid in uids if (found := messages.get(uid)) is not None}

    async def headers(self, name: str, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        await self._call("headers", name)
        messages = self._numbered(name).messages
        return [(uid, header(found.data)) for uid in sorted(uids) if (found := messages.get(uid)) is not None]

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        await self._call("fetch", name)
        messages = self._numbered(name).messages
        for uid in uids:
            found = messages.get(uid)
            refused = self.withholds(found.data) if found is not None and self.withholds is not None else None
            if refused is not None:
                self.unreadable[name, uid] = refused
            elif found is not None:
                self.fetched += 1
                email = found.email if self.abilities.emails else None
                yield Message(uid, found.data, found.flags, found.received, email, found.thread)

    # Changing messages -----------------------------------------------------------------------------

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        await self._call("add", name)
        box = self._numbered(name)
        answers = []
        for message in messages:
            refused = self.refuses(name, message) if self.refuses is not None else None
            if refused is not None:
                answers.append(refused)
                continue
            email = (message.email if self.abilities.emails else None) or self.disk._new("m")
            uid = box.put(Stored(message.data, self._kept(message.flags), message.received, email, message.thread))
            answers.append(Added(uid if self.abilities.tells else 0))
            self._step("added a message")
        self.disk.touch()
        self._step("after add")
        return answers

    async def set_flags(self, name: str, changes: Sequence[FlagChange]) -> None:
        await self._call("set_flags", name)
        box = self._numbered(name)
        for change in changes:
            for uid in change.uids:
                message = box.messages.get(uid)
                if message is not None:
                    box.flag(uid, self._kept((message.flags - change.remove) | change.add))
            self._step("set flags")
        self.disk.touch()

    async def remove(self, name: str, uids: Sequence[int]) -> None:
        await self._call("remove", name)
        box = self._numbered(name)
        for uid in uids:
            if uid in box.messages:
                box.take(uid)
                self._step("removed a message")
        self.disk.touch()

    async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        await self._call("copy", name)
        return self._carry(name, uids, target, keep=True)

    async def move(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        await self._call("move", name)
        answers = self._carry(name, uids, target, keep=not self.abilities.moves)
        if not self.abilities.moves:
            for uid in uids:
                if (found := self._numbered(name).messages.get(uid)) is not None:
                    self._numbered(name).flag(uid, found.flags | {"\\Deleted"})
            self._step("marked what was copied")
            for uid in uids:
                if uid in (box := self._numbered(name)).messages:
                    box.take(uid)
                self._step("removed what was copied")
            self.disk.touch()
        return answers

    def _carry(self, name: str, uids: Sequence[int], target: str, *, keep: bool) -> list[int]:
        box, other = self._numbered(name), self._numbered(target)
        answers = []
        for uid in uids:
            found = box.messages.get(uid)
            if found is None:
                answers.append(0)
                continue
            new = other.put(Stored(found.data, found.flags, found.received, found.email, found.thread))
            if not keep:
                box.take(uid)
            answers.append(new if self.abilities.tells else 0)
            self._step("carried a message")
        self.disk.touch()
        self._step("after carrying")
        return answers

    # Changing mailboxes ----------------------------------------------------------------------------

    async def create(self, name: str, role: str | None) -> Place:
        await self._call("create", name)
        if (found := self.disk.boxes.get(name)) is not None and found.selectable:
            raise MailboxUnavailable(f"There is a mailbox {name!r} already.")
        box = self.disk.create(name, role if self.abilities.roles else None)
        self._told[name] = box.validity
        self._step("after create")
        return self._place(box)

    async def rename(self, name: str, new: str) -> None:
        await self._call("rename", name)
        if name not in self.disk.boxes:
            raise MailboxUnavailable(f"There is no mailbox {name!r}.")
        if new in self.disk.boxes or new.startswith(name + "/"):
            raise MailboxUnavailable(f"A mailbox cannot be renamed to {new!r}.")
        self.disk.rename(name, new)
        boxes = self.disk.boxes.values()
        self._told |= {box.name: box.validity for box in boxes if box.name == new or box.name.startswith(new + "/")}
        self._step("after rename")

    async def delete(self, name: str) -> None:
        await self._call("delete", name)
        self.disk.dropped += [message.data for message in self._box(name).messages.values()]
        self.disk.delete(name)
        self._step("after delete")

    async def subscribe(self, name: str, subscribed: bool) -> None:
        await self._call("subscribe", name)
        self._box(name).subscribed = subscribed
        self.disk.touch()
        self._step("after subscribe")

    async def set_role(self, name: str, role: str | None) -> bool:
        await self._call("set_role", name)
        box = self._box(name)
        if not self.abilities.roles:
            return False
        box.role = role
        self.disk.touch()
        self._step("after set_role")
        return True

    # Watching --------------------------------------------------------------------------------------

    def _versions(self) -> dict[str, tuple[str, int]]:
        return {name: (f"{box.id} {box.validity}", box.modseq) for name, box in self.disk.boxes.items()}

    async def wait(self, names: Sequence[str]) -> set[str]:
        event = asyncio.Event()
        self.disk.watchers.add(event)
        try:
            while True:
                now = self._versions()
                changed = {name for name in names if now.get(name) != self._seen.get(name)}
                if {name: one[0] for name, one in now.items()} != {name: one[0] for name, one in self._seen.items()}:
                    changed.add("")
                if changed:
                    return changed
                event.clear()
                await event.wait()
                await self._call("wait")
        finally:
            self.disk.watchers.discard(event)


class HeaderlessSide(MemorySide):
    """Reads no headers alone: what asks for them gets the whole message."""

    headers = None  # type: ignore[assignment]  # as if the method were not there
