"""The search indexes of one engine: open ones for searching, and new mail indexed behind delivery.

Searching happens on the event loop with a few connections kept open. Filling happens on a thread, one account after
the other, in steps of some 10 ms; in a server that is the thread of a process of its own at a low priority, to which
workers name accounts (`Filler.leave_to`). Two processes that fill the same index meet at its lock, and one of them
leaves it to the other. What fails here is tried again by the housekeeping, whose failures are logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import apsw

from ..errors import StoreRefusal
from ..model import Finding
from .candidates import Candidates
from .handles import READER_WAIT, connect
from .index import FILL, AccountUnread, Index, NoIndex, discard, is_damage

T = TypeVar("T")

_log = logging.getLogger(__name__)

MOST = 32
"""Indexes kept open for searching."""

KNOWN = 10_000
"""Accounts of which is remembered how far their indexes go."""

BATCH = 64
"""Emails that wait before they are indexed: together they cost an eighth of what each costs alone (0.9 instead of 7.7
ms of processor time), and a search that scans so many takes a millisecond more. Smaller accounts have no index."""

IDLE = 20.0
"""Seconds without a search after which one is closed."""

TURN = 16
"""Steps for one account, some 64 messages each, before the next one's turn."""

PAUSE = 0.002
"""Seconds between steps: where the process serves too, its sessions are not held up."""

PATIENCE = 6
"""So much longer does the first mail of an account wait than what follows it."""


class Indexes:
    """Indexes open for searching; used on the event loop's thread alone."""

    def __init__(self, path: Callable[[str], Path], locks: Path, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._locks = locks
        self._monotonic = monotonic
        self._open: OrderedDict[str, tuple[Index, float]] = OrderedDict()
        self.known: OrderedDict[str, int] = OrderedDict()
        """How far indexes were complete when last seen: spares opening one where nothing can be done."""

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def reading(self, account: str, db: apsw.Connection) -> Iterator[Candidates]:
        """One state of the account's index, or none at all: never an error of the index's. db: the account's."""
        index, found = self._begun(account, db)
        try:
            yield found
        finally:
            if found.fault is not None:
                self._failed(account, found.fault)
            elif index is not None:
                index.end()

    def _begun(self, account: str, db: apsw.Connection) -> tuple[Index | None, Candidates]:
        """The index, to be ended, and its candidates; None, and none, where there is no index of this state."""
        index: Index | None = None
        try:
            index = self._index(account)
            index.begin()
            found = Candidates(index, index.upto(db))
            self.learn(account, found.upto)
            return index, found
        except apsw.Error as error:
            self._failed(account, error)
        except (NoIndex, OSError):  # not there, or another state's: filling will begin it anew
            self.known.pop(account, None)
            if index is not None:
                index.end()
        return None, Candidates(None, 0)

    def _index(self, account: str) -> Index:
        index, _ = self._open.pop(account, (None, 0.0))
        if index is not None and not index.current:
            index.close()
            index = None
        if index is None:
            index = Index(self._path(account), self._locks)
        self._open[account] = (index, self._monotonic())
        if len(self._open) > MOST:
            _, (old, _) = self._open.popitem(last=False)
            old.close()
        return index

    def _failed(self, account: str, error: apsw.Error) -> None:
        """Let go of an index that cannot be read; remove it where it is damaged, since it can be made again."""
        self.forget({account})
        if is_damage(error):
            _give_up(self._path(account), self._locks, error)

    def learn(self, account: str, upto: int) -> None:
        """Note how far an index is complete."""
        self.known[account] = upto
        self.known.move_to_end(account)
        if len(self.known) > KNOWN:
            self.known.popitem(last=False)

    def complete(self, account: str) -> int:
        """How far its index was complete when last seen; 0 where it is gone: another process may have found it damaged
        and removed it, and has named the account so that it is made again. Cost: a look for the file."""
        upto = self.known.get(account, 0)
        return upto if upto and self._path(account).exists() else 0

    def sleep(self, accounts: AbstractSet[str]) -> None:
        """Note that these accounts' files have been closed: how far their indexes go is soon found out again."""
        for account in accounts - self._open.keys():
            self.known.pop(account, None)

    def forget(self, accounts: AbstractSet[str]) -> None:
        """Let go of these accounts' indexes."""
        for account in accounts:
            self.known.pop(account, None)
            self._close(account)

    def _close(self, account: str) -> None:
        index, _ = self._open.pop(account, (None, 0.0))
        if index is not None:
            index.close()

    def tidy(self, *, everything: bool = False) -> None:
        """Close those that have been idle, or all."""
        before = self._monotonic() - IDLE
        for account, (_, used_at) in list(self._open.items()):
            if everything or used_at <= before:
                self._close(account)


def fill(account: Path, path: Path, locks: Path, least: int, most: int = FILL) -> tuple[int, int]:
    """Index at most `most` further emails whose texts are made, if there are `least` of them: (how many were indexed,
    the email up to which the index is complete). Blocks: for a thread. Nothing is done while another process does it.

    Raises StoreRefusal and apsw.Error.
    """

    def work(db: apsw.Connection, index: Index) -> tuple[int, int]:
        upto = index.ready(db)
        if waiting(db, upto, least) < least:
            return 0, upto
        done = index.fill(db, most)
        index.flush()
        return done, index.upto(db)

    return _tended(account, path, locks, work) or (0, 0)


def prune(account: Path, path: Path, locks: Path) -> None:
    """Take out of an index what the account no longer keeps. Blocks: for a thread. As `fill`."""

    def work(db: apsw.Connection, index: Index) -> None:
        index.prune(db)
        index.flush()

    if path.exists():
        _tended(account, path, locks, work)


def _tended(account: Path, path: Path, locks: Path, work: Callable[[apsw.Connection, Index], T]) -> T | None:
    """What `work` gives with the account and its index open for writing. None where another process writes it, and
    where the index proves damaged, which is then discarded: it is begun anew when asked again."""
    db = connect(account, wait=READER_WAIT)
    try:
        index = Index(path, locks, create=True)
        try:
            return work(db, index)
        finally:
            index.close()
    except (apsw.BusyError, NoIndex):
        return None  # the other one does the work; or the account was replaced just now: next time
    except AccountUnread as unread:
        raise unread.error from None
    except apsw.Error as error:
        if not is_damage(error):
            raise
        _give_up(path, locks, error)
        return None
    finally:
        db.close(True)
        if not account.exists():  # deleted meanwhile
            discard(path, locks)


def _give_up(path: Path, locks: Path, error: apsw.Error) -> None:
    """Remove a damaged index, which is made again; say so, since whose disk forgets should know it."""
    if not isinstance(error, apsw.FormatError):  # of another version: nothing has happened to it
        _log.warning("the search index %s is damaged, and is made again: %s", path.name, error)
    discard(path, locks)


def waiting(db: apsw.Connection, upto: int, most: int) -> int:
    """How many emails above this key have their texts, counted up to `most`. db: the account's."""
    return int(db.execute(_WAITING, (upto, most)).get)


_WAITING = "SELECT count(*) FROM (SELECT 1 FROM body_text WHERE email > ? LIMIT ?)"


def check(db: apsw.Connection, path: Path, locks: Path) -> Generator[Finding, None, None]:
    """What is wrong with an index; nothing where there is none. db: the account's."""
    try:
        opened = Index(path, locks)
    except NoIndex:
        return
    except apsw.Error as error:
        yield Finding("search-index", f"it cannot be opened: {error}", repairable=True)
        return
    try:
        yield from opened.check(db)
    except apsw.Error as error:
        yield Finding("search-index", f"it cannot be read: {error}", repairable=True)
    finally:
        opened.close()


class Filler:
    """Makes what search keeps of new mail, one account after the other, in the order in which they got it.

    fill: does a part of it for one account and says how much, 0 when nothing is left (`Store.fill_search`).
    after: seconds between two looks at an account that gets mail all the time, so that what comes together is made
    together; None switches it off. The first look at one that had none waits `PATIENCE` times as long: opening its
    file costs more than a message or two, which a search makes the texts of itself. An account is looked at once more
    if it was noted shortly before a look, since whoever notes it may do so only now and then
    (`server.background.Notes`, more often than this): its last mail is not left behind.
    """

    def __init__(self, fill: Callable[[str], Awaitable[int]], after: float | None) -> None:
        self._fill_one = fill
        self._after = after
        self._other: Callable[[str], None] | None = None
        # account -> when it is due and when it was last noted, by the loop's clock; the first is due first
        self._new: dict[str, tuple[float, float]] = {}
        self._busy: dict[str, tuple[float, float]] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, account: str) -> None:
        """Mail has been filed, or a search found much that is not indexed."""
        if self._after is None:
            return
        if self._other is not None:
            self._other(account)
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        line = self._busy if account in self._busy else self._new
        due, _ = line.get(account, (now + PATIENCE * self._after, now))
        line[account] = (due, now)
        if self._task is None:
            self._task = loop.create_task(self._run(self._after))
            self._task.add_done_callback(self._ended)

    @property
    def working(self) -> bool:
        """Whether an account has been named that is not done."""
        return self._task is not None

    def leave_to(self, note: Callable[[str], None]) -> None:
        """Tell somebody else instead."""
        self._other = note

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (fault := task.exception()) is not None:
            task.get_loop().call_exception_handler({"message": "filling a search index failed", "exception": fault})

    async def close(self) -> None:
        if self._task is not None:
            task = self._task
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, after: float) -> None:
        loop = asyncio.get_running_loop()
        while lines := [line for line in (self._new, self._busy) if line]:
            line = min(lines, key=_first_due)
            account, (due, last) = next(iter(line.items()))
            now = loop.time()
            if due > now:
                await asyncio.sleep(due - now)  # nothing that is noted meanwhile is due before
                continue
            del line[account]
            left = not await self._fill(account)
            _, noted = self._new.pop(account, (0.0, last))
            if left or noted > last or now - last < after:
                self._busy[account] = (loop.time() + after, noted)

    async def _fill(self, account: str) -> bool:
        """Some steps for one account; whether they did all there was to do. Others have their turn between."""
        for _ in range(TURN):
            try:
                if not await self._fill_one(account):
                    return True
            except StoreRefusal:
                return True  # the disk fails, or the account is gone: housekeeping comes round
            await asyncio.sleep(PAUSE)
        return False


def _first_due(line: dict[str, tuple[float, float]]) -> float:
    return next(iter(line.values()))[0]
