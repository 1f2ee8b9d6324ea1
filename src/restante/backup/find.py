"""Finding messages in snapshots: who wrote, to whom, when, the subject, the message-id.

Segments carry those texts beside them, so nothing is read of the messages, and each segment is looked at once however
many snapshots share it. The words are those of `restante search`, as far as the texts say; bodies are not kept apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..mime.fold import fold
from ..query.language import (
    All,
    And,
    Contains,
    Dated,
    Field,
    HeaderContains,
    Instant,
    Larger,
    Not,
    Or,
    Order,
    Query,
    Smaller,
)  # fmt: skip
from ..store.directory import fold_address
from .crypto import VERIFY
from .errors import BackupRefusal, Corrupt, NoRepository
from .objects import AccountData, CatalogueData, MailboxData, SegmentData
from .repository import Repository, Snapshot
from .segments import Placed, gone_of, read_catalogue, read_placed
from .walk import Walk

Texts = tuple[str, str, str, str]
"""(senders, recipients, subject, message-id), folded."""
Test = Callable[[Placed, Texts], bool]


class CannotFind(BackupRefusal):
    """The words ask for what is not kept in a form that can be searched."""

    code = "CANNOT-FIND"


@dataclass(frozen=True, slots=True)
class Found:
    """A message, and the snapshots (ids, oldest first) in which it is in this mailbox."""

    address: str
    mailbox: str
    uid: int
    email_id: str
    digest: bytes
    received: int
    size: int
    snapshots: tuple[str, ...]


def compile_query(query: Query) -> Test:
    """What decides whether a message is meant. Raises CannotFind."""
    match query:
        case All():
            return lambda row, texts: True
        case And(operands):
            tests = [compile_query(each) for each in operands]
            return lambda row, texts: all(test(row, texts) for test in tests)
        case Or(operands):
            tests = [compile_query(each) for each in operands]
            return lambda row, texts: any(test(row, texts) for test in tests)
        case Not(operand):
            test = compile_query(operand)
            return lambda row, texts: not test(row, texts)
        case Larger(octets):
            return lambda row, texts: row.size > octets
        case Smaller(octets):
            return lambda row, texts: row.size < octets
        case Contains(field, text):
            return _contains(field, fold(text), text.lower())
        case HeaderContains(name, text) if name.lower() == "message-id":
            needle = text.lower()
            return lambda row, texts: needle in texts[3].lower()
        case Dated(Instant.RECEIVED, order, day):
            return _dated(order, int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()))
    raise CannotFind(
        "Backups are searched by sender, recipient, subject, message-id, date and size.",
        "Write from:, to:, subject:, header:Message-ID=, before:, on:, since:, larger:, smaller:, or a word of those.",
    )


def _contains(field: Field, needle: str, plain: str) -> Test:
    match field:
        case Field.FROM:
            return lambda row, texts: needle in texts[0]
        case Field.TO | Field.CC:
            return lambda row, texts: needle in texts[1]
        case Field.SUBJECT:
            return lambda row, texts: needle in texts[2]
        case Field.TEXT:
            return lambda row, texts: (
                needle in texts[0] or needle in texts[1] or needle in texts[2] or plain in texts[3].lower()
                or plain == row.email_id
            )  # fmt: skip
    raise CannotFind("Texts of messages are not searched in a backup.", "Search by sender, subject or date.")


def _dated(order: Order, day: int) -> Test:
    match order:
        case Order.BEFORE:
            return lambda row, texts: row.received < day
        case Order.ON:
            return lambda row, texts: day <= row.received < day + 86400
        case Order.SINCE:
            return lambda row, texts: row.received >= day


def find(
    repository: Repository,
    snapshots: Sequence[Snapshot],
    query: Query,
    addresses: Sequence[str] = (),
    mailboxes: Sequence[str] = (),
) -> list[Found]:
    """Messages that are meant, newest first. addresses, mailboxes: none for all. Raises CannotFind; NoRepository for an
    account or a mailbox that no snapshot has: who has mistyped one must not think that the message is gone.

    What cannot be read is complained of by the repository.
    """
    finder = _Finder(repository, compile_query(query))
    wanted = {fold_address(address): address for address in addresses}
    unseen, unnamed = dict(wanted), dict.fromkeys(mailboxes)
    found: dict[tuple[str, str, int, str], tuple[Placed, list[str]]] = {}
    roots: dict[bytes, AccountData | None] = {}
    for snapshot in snapshots:
        walk = Walk(repository)
        for line in walk.lines(snapshot):
            if wanted and fold_address(line.address) not in wanted:
                continue
            unseen.pop(fold_address(line.address), None)
            if line.root not in roots:
                roots[line.root] = finder.read(line.root)
            root = roots[line.root]
            for box in root.mailboxes if root is not None else ():
                if mailboxes and box.name not in mailboxes:
                    continue
                unnamed.pop(box.name, None)
                for row in finder.mailbox(box):
                    key = (line.address, box.name, row.uid, row.email_id)
                    found.setdefault(key, (row, []))[1].append(snapshot.id)
        repository.complaints += [each.error for each in walk.reached.broken]
    if (unseen or unnamed) and not repository.complaints:  # else it may be in what cannot be read
        raise _nowhere(snapshots, list(unseen.values()), list(unnamed))
    hits = [
        Found(address, mailbox, uid, email_id, row.digest, row.received, row.size, tuple(ids))
        for (address, mailbox, uid, email_id), (row, ids) in found.items()
    ]
    return sorted(hits, key=lambda hit: (-hit.received, hit.address, hit.mailbox, hit.uid))


def _nowhere(snapshots: Sequence[Snapshot], addresses: Sequence[str], mailboxes: Sequence[str]) -> NoRepository:
    where = "No snapshot has" if len(snapshots) != 1 else f"The snapshot {snapshots[0].id} does not have"
    what = f"account {addresses[0]}" if addresses else f"mailbox {mailboxes[0]}"
    return NoRepository(f"{where} the {what}.", "See 'restante backup show'.")


class _Finder:
    """One search, which looks at each segment once."""

    def __init__(self, repository: Repository, test: Test) -> None:
        self._repository = repository
        self._test = test
        self._segments: dict[bytes, tuple[list[Placed], list[tuple[int, int]]]] = {}

    def read(self, root: bytes) -> AccountData | None:
        try:
            return self._repository.read(root, AccountData)
        except Corrupt as error:
            self._repository.complaints.append(error)
            return None

    def mailbox(self, box: MailboxData) -> list[Placed]:
        """The mailbox's messages that are meant: those that came by a segment and were not taken by a later one."""
        here: dict[int, Placed] = {}
        for id in box.segments:
            hits, gone = self._segment(id)
            if here:
                here = {uid: row for uid, row in here.items() if not any(low <= uid <= high for low, high in gone)}
            here |= {row.uid: row for row in hits}
        return list(here.values())

    def _segment(self, id: bytes) -> tuple[list[Placed], list[tuple[int, int]]]:
        known = self._segments.get(id)
        if known is None:
            try:
                known = self._read(id)
            except Corrupt as error:
                self._repository.complaints.append(error)
                known = ([], [])
            self._segments[id] = known
        return known

    def _read(self, id: bytes) -> tuple[list[Placed], list[tuple[int, int]]]:
        data = self._repository.read(id, SegmentData)
        gone = gone_of(data)
        rows = read_placed(data)
        if not rows:
            return [], gone
        try:
            texts = read_catalogue(self._repository.read(data.catalogue, CatalogueData))
            if len(texts) != len(rows):
                raise Corrupt("A catalogue of the backup names other messages than its list.", VERIFY)
        except Corrupt as error:
            self._repository.complaints.append(error)
            return [], gone  # of what is not found, it is known all the same what it took away
        return [row for row, each in zip(rows, texts, strict=True) if self._test(row, each)], gone
