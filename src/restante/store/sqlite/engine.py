"""All accounts of one installation on SQLite files: the `Engine` interface, and what its stores share.

```
data/directory.db        data/accounts/ab/<id>.db       data/run/hints/   data/run/locks/
```

May be made in any process and without a running loop; nothing is opened before it is needed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import apsw

from ...clock import Clock, Random
from ...mime.model import DEFAULT_LIMITS, Limits
from ..annotation import AnnotationLimits
from ..errors import DiskFull, StoreRefusal
from ..interface import OnChange, Store, Watch
from ..quota import NO_LIMITS, Quota
from ..rights import identifiers_of
from . import migrate
from .account import SqliteStore
from .faults import translated
from .glance import glance_stats
from .handles import Handles
from .hints import GONE, Hints
from .index import discard
from .indexes import BATCH, Filler, Indexes
from .kept import Kept
from .names import DIRECTORY
from .paths import account_file
from .served import forget_closed
from .sessions import Shared
from .transaction import Settings
from .turns import Turns
from .writer import Job, Writers

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from ..backup import Head, Rebuilding
    from ..directory import Directory
    from ..model import AccountStats
    from .directory import SqliteDirectory

T = TypeVar("T")

DEFAULT_ANNOTATIONS = AnnotationLimits()

SWEEP = 5.0
"""Seconds between looks for idle handles, while there are handles."""

LOOK_AT_DISK = 1.0
"""Seconds for which the last figure of free space is believed."""


class SqliteEngine:
    """Implements `store.interface.Engine`.

    data: the folder that holds everything. retention, log_retention: seconds removed contents and removal rows are
    kept. reserve: octets of free disk below which nothing is filed. handles: most accounts open at once in this
    process. keywords, mailboxes: most of them in one account. transfer: see `Settings`. quota_default: limits of
    accounts without their own. analysis: bounds of those who file mail, for the doctor's comparison.
    index_from: emails that wait before they are indexed for search; None: no index is kept. index_after: seconds
    after which this process makes what search keeps of the mail it has filed; None: it does not.
    annotations: most room that they take. filling: this process is soon done, and may file many messages into few
    accounts: each that it writes to may take more memory (8 MiB), and its log more room (up to 32).
    """

    def __init__(
        self,
        data: Path,
        clock: Clock,
        random: Random,
        *,
        retention: float = 14 * 86400.0,
        log_retention: float = 180 * 86400.0,
        reserve: int = 64 << 20,
        handles: int = 128,
        compress: bool = True,
        keywords: int = 500,
        mailboxes: int = 10_000,
        transfer: int = 256 << 20,
        quota_default: Quota = NO_LIMITS,
        analysis: Limits = DEFAULT_LIMITS,
        index_from: int | None = BATCH,
        index_after: float | None = None,
        annotations: AnnotationLimits = DEFAULT_ANNOTATIONS,
        filling: bool = False,
        name: str = "",
    ) -> None:
        self.data = data
        self.clock = clock
        self.random = random
        self.name = name
        self.analysis = analysis
        self.settings = Settings(
            retention, log_retention, reserve, compress, keywords, mailboxes, annotations, transfer
        )
        self.handles = Handles(handles, clock, random, filling)
        self.kept = Kept(clock.monotonic)
        self.locks = data / "run" / "locks"
        self.indexes = Indexes(self.index_path, self.locks, clock.monotonic)
        self.index_from = index_from
        self.filler = Filler(lambda account: self.account(account).fill_search(), index_after)
        self._quota_default = quota_default
        self._hints = Hints(data, self._counter)
        turns = Turns(self.locks / "turns")
        self._writers = Writers(self.handles, turns, clock, random, self.settings, self._hints.announce)
        self._directory: SqliteDirectory | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.Future[int] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begun: set[asyncio.Task[Any]] = set()
        self._free: tuple[float, int] | None = None

    @property
    def directory(self) -> Directory:
        """Domains, accounts, aliases, credentials."""
        if self._directory is None:
            from .directory import SqliteDirectory

            self._directory = SqliteDirectory(self.data / DIRECTORY, self.clock, self.random)
        return self._directory

    def path(self, account: str) -> Path:
        """The account's file. Raises NoSuchAccount where the id cannot be one."""
        return account_file(self.data, account)

    def index_path(self, account: str) -> Path:
        """The account's search index, which may be missing."""
        return self.path(account).with_suffix(".index")

    def account(self, account: str, actor: str | None = None, session: str = "") -> Store:
        if actor is None or actor == account:
            return self.own(account, session)
        from .shared import SharedStore

        return SharedStore(self.own(account, session, actor), actor)

    def own(self, account: str, session: str = "", actor: str | None = None) -> SqliteStore:
        """The account without asking for rights. actor: who acts all the same, for \\Seen and what he writes."""
        return SqliteStore(self, account, actor, self.kept.shared(account), session)

    async def create_account(self, account: str) -> None:
        path = self.path(account)
        now = int(self.clock.now())

        def make() -> None:
            with translated():
                migrate.create(path, account, now, self.random)

        await asyncio.to_thread(make)

    def rebuild(self, account: str, head: Head) -> AbstractAsyncContextManager[Rebuilding]:
        from . import rebuild

        now = int(self.clock.now())
        return rebuild.rebuilding(self.path(account), account, head, self.settings, now, self.random)

    async def delete_account(self, account: str) -> None:
        path = self.path(account)
        self._let_go(account)
        with translated():
            for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
                name.unlink(missing_ok=True)
            discard(self.index_path(account), self.locks)
            forget_closed(path)
        self._hints.announce(account, GONE)

    def _let_go(self, account: str) -> None:
        """Keep nothing of an account that has been removed."""
        self.handles.forget(account)
        self.indexes.forget({account})
        self.kept.forget({account})

    async def sizes(self, account: str) -> AccountStats:
        found = glance_stats(self.data, account)
        if found is not None:
            return found
        try:
            return await self.account(account).stats()
        finally:
            await self.leave(account)

    async def leave(self, account: str) -> None:
        await asyncio.to_thread(self.handles.leave, account)

    async def strays(self) -> list[str]:
        """See `Engine.strays`. Files younger than a minute are left out: their accounts may be on the way."""
        known, page = set[str](), await self.directory.accounts()
        while page:
            known |= {account.id for account in page}
            page = await self.directory.accounts(page[-1].address)
        before = self.clock.now() - 60.0
        found = await asyncio.to_thread(
            lambda: [*self.data.glob("accounts/*/*.db"), *self.data.glob("accounts/*/.*.new")]
        )
        return sorted(
            str(path.relative_to(self.data))
            for path in found
            if path.stem not in known and path.stat().st_mtime < before
        )

    def tend_search(self, account: str) -> None:
        self.filler.note(account)

    def leave_search_to(self, note: Callable[[str], None]) -> None:
        self.filler.leave_to(note)

    @property
    def resting(self) -> bool:
        busy = self._begun or self._sweeping is not None or self.filler.working or self._writers.working
        return not (busy or len(self.handles) or len(self.indexes) or self.kept.large)

    def watch(self, account: str, on_change: OnChange, known: int | None = None) -> Watch:
        return self._hints.watch(account, self.path(account), on_change, known)

    def watch_shares(self, account: str, on_change: Callable[[], None]) -> Watch:
        return self._hints.watch_shares(account, identifiers_of(account), on_change)

    def announce_shares(self, identifier: str) -> None:
        """Who is meant by this identifier may be let in somewhere now, or no more."""
        self._hints.announce_shares(identifier)

    async def close(self) -> None:
        await self.filler.close()
        if self._begun:
            await asyncio.wait(self._begun)
        await asyncio.to_thread(self._writers.close)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self._sweeping is not None:
            await asyncio.wait([self._sweeping])
        self._hints.close()
        self.indexes.tidy(everything=True)
        await asyncio.to_thread(self.handles.sweep, everything=True)
        if self._directory is not None:
            await self._directory.close()

    # For the stores ----------------------------------------------------------------------------------

    def submit(
        self,
        account: str,
        path: Path,
        fn: Callable[..., T],
        args: tuple[object, ...],
        session: str,
        user: str,
        *,
        relaxed: bool = False,
        own: set[int] | None = None,
    ) -> asyncio.Future[T]:
        """Queue `fn(tx, *args)`; the future is done when its group is durable. own: takes the command's number."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._writers.submit(account, path, Job(fn, args, future, loop, session, user, relaxed, own))
        self.keep_tidy()
        return future

    async def quota(self, account: str, shared: Shared) -> Quota:
        """The account's limits as the directory has them now. Cost: one look whether the directory has changed."""
        self.directory  # noqa: B018 - opens the file
        assert self._directory is not None
        version = self._directory.version()
        if shared.quota is None or shared.quota_at != version:
            found = await self._directory.account_by_id(account)
            shared.quota = found.quota_or(self._quota_default) if found is not None else self._quota_default
            shared.quota_at = version
        return shared.quota

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what must not stop half-way, though its caller is cancelled; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        return await asyncio.shield(task)

    def check_room(self, more: int, *, filing: bool = False) -> None:
        """Raises DiskFull where filing `more` octets would touch the reserve kept for removals.

        filing: they are filed now, so whoever asks next finds less: in the second for which a figure is believed, a
        few large messages come to more than the reserve.
        """
        now = self.clock.monotonic()
        if self._free is None or now - self._free[0] >= LOOK_AT_DISK:
            with translated():
                status = os.statvfs(self.data)
            self._free = (now, status.f_bavail * status.f_frsize)
        if self._free[1] - more < self.settings.reserve:
            raise DiskFull("There is no room on the disk for more mail.", "Free some space; removing mail still works.")
        if filing:
            self._free = (self._free[0], self._free[1] - more)

    def lock_path(self, account: str, purpose: str) -> Path:
        """The file whose lock stands for the account's `purpose` over all processes; its folder is there."""
        self.path(account)
        self.locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.locks / f"{account}.{purpose}"

    def _counter(self, account: str) -> int:
        """The account's change counter, for watchers; 0 where it cannot be read now (they ask again).

        GONE where the account has been removed, by whatever process: what is open here of its file is let go, so
        that no session reads on in a file that has no name any more.
        """
        path = self.path(account)
        try:
            if not path.exists():
                self._let_go(account)
                return GONE
            self.keep_tidy()  # a look for a client that only listens may be all that opens the file
            with self.handles.hold(account, path) as handle:
                row = handle.reader.execute("SELECT modseq FROM account").fetchone()
        except (apsw.Error, OSError, StoreRefusal):
            return 0
        return int(row[0]) if row is not None else 0

    def keep_tidy(self) -> None:
        """See that idle handles are closed: one timer a process, and only while something is open."""
        if self._sweeper is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._loop = loop
        self._sweeper = loop.call_later(SWEEP, self._sweep)

    def _sweep(self) -> None:
        assert self._loop is not None
        self.indexes.tidy()
        self._sweeping = self._loop.run_in_executor(None, self.handles.sweep)
        self._sweeping.add_done_callback(self._swept)

    def _swept(self, future: asyncio.Future[int]) -> None:
        self._sweeper = None
        self._sweeping = None
        if future.cancelled():
            return
        closed = self.handles.closed()
        self.indexes.sleep(closed)
        if self.kept.sleep(closed, self.clock.monotonic()) or future.result() or len(self.indexes):
            self.keep_tidy()
