"""Going through what snapshots name, each object once: for `verify`, `prune` and `find`.

The walk goes on where something cannot be read, and says what.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from . import known, objects
from .crypto import ID_OCTETS, VERIFY
from .errors import Corrupt
from .objects import AccountData, AccountLine, CommonData, Kind, MailboxData, PageData, PersonsData, SegmentData, column
from .repository import Repository, Snapshot
from .segments import DIGEST, gone_of


@dataclass(frozen=True, slots=True)
class Broken:
    """An object that cannot be read, and what of the snapshots it was: "the account a@example.com"."""

    id: bytes
    what: str
    error: Corrupt


@dataclass(slots=True)
class Reached:
    """What snapshots name. objects: ids of metadata. missing: SHA-256 of messages that snapshots themselves say they
    lack."""

    objects: set[bytes] = field(default_factory=set)
    missing: set[bytes] = field(default_factory=set)
    broken: list[Broken] = field(default_factory=list)


class _Segment:
    """A segment's messages, and which of them no mailbox has any more: those that are gone wherever it stands."""

    __slots__ = ("_dead", "_digests", "_uids", "gone")

    def __init__(self, uids: array[int], digests: bytes, gone: list[tuple[int, int]]) -> None:
        if len(digests) != DIGEST * len(uids):
            raise Corrupt("A list of messages of the backup cannot be read.", VERIFY)
        self._uids = uids
        self._digests = digests
        self.gone = gone
        self._dead: set[int] | None = None

    def seen_with(self, later: Sequence[tuple[int, int]]) -> None:
        """It stands in a mailbox whose later segments take these UIDs away."""
        if self._dead is not None and not self._dead:
            return
        dead = {
            row for low, high in later for row in range(bisect_left(self._uids, low), bisect_right(self._uids, high))
        }
        self._dead = dead if self._dead is None else self._dead & dead

    def needed(self) -> Iterator[bytes]:
        """SHA-256 of messages that some mailbox has."""
        dead = self._dead or ()
        for row in range(len(self._uids)):
            if row not in dead:
                yield self._digests[row * DIGEST : (row + 1) * DIGEST]


class Walk:
    """One walk over some snapshots. passed: beginnings of ids, sorted (`known`), of what it passes over, with all that
    is named there."""

    def __init__(self, repository: Repository, passed: bytes = b"") -> None:
        self.repository = repository
        self._passed = passed
        self.reached = Reached()
        self._segments: dict[bytes, _Segment] = {}
        self._lists: set[tuple[bytes, ...]] = set()

    def messages(self) -> Iterator[list[bytes]]:
        """SHA-256 of messages that are in a mailbox of one of the snapshots whose `lists` were gone through, segment by
        segment: some come more than once. Not of those that came by a segment and are gone by a later one of each."""
        for segment in self._segments.values():
            yield list(segment.needed())

    def lists(self, snapshots: Sequence[Snapshot]) -> Reached:
        """Go through all that they name, without the messages themselves: 36 octets for each are held."""
        for snapshot in snapshots:
            for line in self.lines(snapshot):
                root = self.read(line.root, AccountData, f"the account {line.address}")
                if root is not None:
                    self._account(root, line)
        for ids in self._lists:
            later: list[tuple[int, int]] = []
            for id in reversed(ids):
                if (segment := self._segments.get(id)) is not None:
                    segment.seen_with(later)
                    later = later + segment.gone
        return self.reached

    def lines(self, snapshot: Snapshot) -> Iterator[AccountLine]:
        """The accounts of a snapshot whose roots this walk has not been at."""
        self.read(snapshot.data.common, CommonData, "domains and aliases")
        for id in snapshot.data.persons:
            self.read(id, PersonsData, "accounts and their credentials")
        for file in snapshot.data.files:
            self.object(file.id, Kind.FILE, f"the file {file.name}")
        for id in snapshot.data.pages:
            page = self.read(id, PageData, "a list of accounts")
            if page is not None:
                yield from page.accounts

    def _account(self, root: AccountData, line: AccountLine) -> None:
        self.reached.missing.update(root.missing)
        for id in (*root.pop3, *root.hidden, *root.seen):
            self.object(id, Kind.SIDE, f"what POP3 or readers know of {line.address}")
        for box in root.mailboxes:
            self._mailbox(box, line)
        for _, ids in root.answers:
            # Named, not read: what is lost of them is made again.
            self.reached.objects.update(ids[at : at + ID_OCTETS] for at in range(0, len(ids), ID_OCTETS))

    def _mailbox(self, box: MailboxData, line: AccountLine) -> None:
        self._lists.add(box.segments)
        for id in box.segments:
            called = f"messages of {box.name} of {line.address}"
            data = self.read(id, SegmentData, called)
            if data is None:
                continue
            try:
                self._segments[id] = _Segment(column("I", data.uids), data.digests, gone_of(data))
            except Corrupt as error:
                self.reached.broken.append(Broken(id, called, error))
            if data.catalogue:
                self.object(data.catalogue, Kind.CATALOGUE, f"what finds messages of {box.name} of {line.address}")

    def read(self, id: bytes, what: type[objects.S], called: str) -> objects.S | None:
        """An object, None where this walk has been at it, passes over it, or cannot read it, which is noted."""
        data = self.object(id, objects.KINDS[what], called)
        if data is None:
            return None
        try:
            return objects.decode(data, what)
        except Corrupt as error:
            self.reached.broken.append(Broken(id, called, error))
            return None

    def object(self, id: bytes, kind: Kind, called: str) -> bytes | None:
        if id in self.reached.objects:
            return None
        self.reached.objects.add(id)
        if self._passed and known.has(self._passed, id[: known.SHORT], known.SHORT):
            return None
        try:
            return self.repository.get(id, kind)
        except Corrupt as error:
            self.reached.broken.append(Broken(id, called, error))
            return None


@dataclass(frozen=True, slots=True)
class Touched:
    """A message of a snapshot that its octets are missing for. snapshots: ids of those that have it there."""

    address: str
    mailbox: str
    uid: int
    email_id: str
    snapshots: tuple[str, ...]


def messages_touched(repository: Repository, snapshots: Sequence[Snapshot], bad: set[bytes]) -> list[Touched]:
    """Where messages with these SHA-256 are, in which snapshots, by address, mailbox and UID."""
    from .restore import read_mailbox

    found: dict[tuple[str, str, int, str], list[str]] = {}
    boxes: dict[tuple[bytes, ...], list[tuple[int, str]]] = {}
    for snapshot in snapshots:
        walk = Walk(repository)
        for line in walk.lines(snapshot):
            root = walk.read(line.root, AccountData, "")
            for box in root.mailboxes if root is not None else ():
                if box.segments not in boxes:
                    try:
                        rows = read_mailbox(repository, box).values()
                        boxes[box.segments] = [(row.uid, row.email_id) for row in rows if row.digest in bad]
                    except Corrupt:
                        boxes[box.segments] = []  # named by the walk itself
                for uid, email_id in boxes[box.segments]:
                    found.setdefault((line.address, box.name, uid, email_id), []).append(snapshot.id)
    return [Touched(*where, tuple(ids)) for where, ids in sorted(found.items())]
