"""Looking at what an account was: its snapshots, a mailbox's rows, messages, for who reads them in place.

Reads only, and only what is asked for. Calls block and are made in threads, as the repository's are. What an account's
owner may see is found by the account's id, which is never given again: whoever gets an address later has another id
and sees nothing of who had it before; an account that got another address keeps what it had.

Must not know: who asks, the files that a session reads (`store.past`).
"""

from __future__ import annotations

from base64 import b32encode
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from operator import itemgetter
from threading import Lock

from ..store.model import UidRanges
from ..store.past import PastBox, PastRow, PastState, Pop3Past
from .errors import Corrupt, LocationFailed, Missing, NoRepository
from .names import KEYS, sha_of
from .objects import AccountData, AccountLine, HiddenData, MailboxData, PageData, Pop3Data, encode
from .repository import Repository, Snapshot
from .restore import read_mailbox
from .run import page_of

PAGES = 256
"""Pages of accounts kept: a night without changes has those of the night before."""
ROOTS = 16
"""Accounts' roots kept."""
WHOLE = 64 << 20
"""Octets of messages kept whole, for who reads a large one in parts."""

LINES = 20_000
"""Answers kept to where an account is in a snapshot."""
AGAIN = 60.0
"""Seconds after which an index that lacks something is read once more."""
LOOK = 10.0
"""Seconds for which the list of snapshots is believed: a listing costs a location across the network some time."""

Zone = Callable[[float], datetime]
"""An instant by the clock that names are made from."""


def local(at: float) -> datetime:
    """By this machine's clock and zone."""
    return datetime.fromtimestamp(at).astimezone()


class Looking:
    """One repository, looked at by many. Safe for several threads. monotonic: seconds by a clock that nobody sets."""

    def __init__(
        self, repository: Repository, zone: Zone = local, monotonic: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._repository = repository
        self._zone = zone
        self._monotonic = monotonic
        self._listed_at: float | None = None
        self._lock = Lock()
        self._names: list[str] | None = None
        self._snapshots: dict[str, Snapshot] = {}
        self._lines: OrderedDict[tuple[str, str], AccountLine | None] = OrderedDict()
        self._renewed_at: float | None = None
        self._pages: OrderedDict[bytes, dict[str, AccountLine]] = OrderedDict()
        self._roots: OrderedDict[bytes, AccountData] = OrderedDict()
        self._messages: OrderedDict[bytes, bytes] = OrderedDict()
        self._kept = 0

    # Snapshots ---------------------------------------------------------------------------------------

    def states(self, account: str) -> list[PastState]:
        """Snapshots that have the account with this id, oldest first. What cannot be read is left out, and complained
        of. Cost: a listing; of each snapshot its file and one page, once. Raises LocationFailed."""
        self._refresh()
        with self._lock:
            snapshots = list(self._snapshots.values())
        having = [each for each in snapshots if self._line(each, account) is not None]
        return [PastState(shown, each.name) for shown, each in zip(self._shown(having), having, strict=True)]

    def _refresh(self) -> None:
        """Take in snapshots that came, let go of those that went."""
        now = self._monotonic()
        if self._listed_at is not None and now - self._listed_at < LOOK:
            return
        names = self._repository.snapshot_names()
        if not names:
            self._reach()
        with self._lock:
            self._listed_at = now
            if names == self._names:
                return
            known = self._snapshots
        found: dict[str, Snapshot] = {}
        for name in names:
            try:
                found[name] = known.get(name) or self._repository.snapshot(name)
            except Missing:
                continue  # removed meanwhile
            except Corrupt as error:
                self._repository.complaints.append(error)
        if self._names is not None:
            self._repository.forget_index()  # it lacks what the new ones brought
        with self._lock:
            self._names, self._snapshots = names, found

    def _shown(self, snapshots: Sequence[Snapshot]) -> list[str]:
        """Names for people, by when the run began. Of several in one minute the later ones bear their id too."""
        found: list[str] = []
        for each in snapshots:
            name = self._zone(each.data.at).strftime("%Y-%m-%d %H:%M")
            found.append(name if name not in found else f"{name} ({each.id})")
        return found

    def _line(self, snapshot: Snapshot, account: str) -> AccountLine | None:
        """The account in a snapshot, None where it is not in it: looked for once, since neither ever changes."""
        key = snapshot.name, account
        with self._lock:
            if key in self._lines:
                self._lines.move_to_end(key)
                return self._lines[key]
        complaints = len(self._repository.complaints)
        line = self._found_line(snapshot, account)
        if line is not None or len(self._repository.complaints) == complaints:
            with self._lock:
                self._lines[key] = line
                if len(self._lines) > LINES:
                    self._lines.popitem(last=False)
        return line

    def _found_line(self, snapshot: Snapshot, account: str) -> AccountLine | None:
        pages = snapshot.data.pages
        if not pages:
            return None
        likely = page_of(account, snapshot.data)
        for number in (likely, *range(likely), *range(likely + 1, len(pages))):
            line = self._page(pages[number]).get(account)
            if line is not None:
                return line
        return None

    def _page(self, id: bytes) -> dict[str, AccountLine]:
        with self._lock:
            page = self._pages.get(id)
            if page is not None:
                self._pages.move_to_end(id)
                return page
        try:
            page = {line.id: line for line in self._repository.read(id, PageData).accounts}
        except Corrupt as error:
            self._repository.complaints.append(error)
            return {}
        with self._lock:
            self._pages[id] = page
            if len(self._pages) > PAGES:
                self._pages.popitem(last=False)
        return page

    # An account then ---------------------------------------------------------------------------------

    def root(self, account: str, state: str) -> AccountData:
        """The account at a snapshot (`PastState.id`). Raises NoRepository where that has it not, Corrupt."""
        self._refresh()
        with self._lock:
            snapshot = self._snapshots.get(state)
        line = self._line(snapshot, account) if snapshot is not None else None
        if line is None:
            raise NoRepository("There is no such snapshot of this account.")
        with self._lock:
            root = self._roots.get(line.root)
            if root is not None:
                self._roots.move_to_end(line.root)
                return root
        root = self._repository.read(line.root, AccountData)
        if root.id != account:
            raise Corrupt("The backup's account is another one than it should be.")
        with self._lock:
            self._roots[line.root] = root
            if len(self._roots) > ROOTS:
                self._roots.popitem(last=False)
        return root

    def boxes(self, root: AccountData, state: str) -> list[PastBox]:
        """The account's mailboxes, in the order of `root.mailboxes`."""
        return [
            PastBox(
                box.name, _mailbox_id(state, root.id, box.id), box.uidvalidity, box.uidnext, box.highest_modseq,
                box.messages, box.octets,
            )
            for box in root.mailboxes
        ]  # fmt: skip

    def rows(self, box: MailboxData) -> list[PastRow]:
        """The mailbox's messages, ascending by UID. Raises Corrupt."""
        return list(read_mailbox(self._repository, box).values())

    def pop3(self, root: AccountData, box: MailboxData, ranges: UidRanges) -> dict[int, Pop3Past]:
        """What POP3 knew of messages, by UID; of most it knew nothing. Raises Corrupt."""
        found: dict[int, Pop3Past] = {}
        for id in root.pop3:
            for mailbox, uid, suffix, retrieved in self._repository.read(id, Pop3Data).rows:
                if mailbox == box.key and _within(uid, ranges):
                    found[uid] = Pop3Past(False, suffix, retrieved)
        orders = {order for id in root.hidden for order in self._repository.read(id, HiddenData).orders}
        if orders:
            for row in read_mailbox(self._repository, box).values():
                if row.order in orders and _within(row.uid, ranges):
                    found[row.uid] = found.get(row.uid, NOTHING)._replace(hidden=True)
        return found

    # Messages ----------------------------------------------------------------------------------------

    def messages(self, digests: Sequence[bytes]) -> Iterator[tuple[bytes, bytes | Corrupt]]:
        """As `Repository.messages`. What is missing is looked for once more by an index that is read anew: `prune` may
        have joined packs meanwhile."""
        missing: list[bytes] = []
        for digest, data in self._repository.messages(digests):
            if isinstance(data, Missing):
                missing.append(digest)
            else:
                yield digest, data
        if missing:
            self._reach()
            self._renew_index()
            yield from self._repository.messages(missing)

    def _reach(self) -> None:
        """Raises LocationFailed where there is nothing of a backup at its location: its disk is not mounted, say. What
        is missing then is not damaged."""
        for _ in self._repository.location.names(KEYS):
            return
        raise LocationFailed("There is no backup at its location any more.", "Is its disk mounted?")

    def _renew_index(self) -> None:
        """Read the index anew where that was not done just now."""
        now = self._monotonic()
        if self._renewed_at is None or now - self._renewed_at >= AGAIN:
            self._renewed_at = now
            self._repository.forget_index()

    def message(self, digest: bytes) -> bytes:
        """A message, kept for a while. Raises Corrupt."""
        with self._lock:
            data = self._messages.get(digest)
            if data is not None:
                self._messages.move_to_end(digest)
                return data
        ((_, found),) = self.messages([digest])
        if isinstance(found, Corrupt):
            raise found
        with self._lock:
            if digest not in self._messages:
                self._messages[digest] = found
                self._kept += len(found)
            while self._kept > WHOLE and len(self._messages) > 1:
                _, gone = self._messages.popitem(last=False)
                self._kept -= len(gone)
        return found


NOTHING = Pop3Past(False, 0, None)


def _within(uid: int, ranges: UidRanges) -> bool:
    at = bisect_right(ranges, uid, key=itemgetter(0))
    return at > 0 and uid <= ranges[at - 1][1]


def state_of(box: MailboxData) -> str:
    """What tells a mailbox's state from any other: equal ones have the same messages, flags and numbers."""
    return sha256(encode(box)).hexdigest()


def _mailbox_id(state: str, account: str, mailbox: str) -> str:
    """A MAILBOXID (RFC 8474 4) of a mailbox at a snapshot: no other's, and always the same."""
    made = sha256("\0".join(["past mailbox", sha_of(state) or state, account, mailbox]).encode()).digest()
    return "b" + b32encode(made[:16])[:26].decode("ascii").lower()
