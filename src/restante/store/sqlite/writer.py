"""Group commit: the changes that queue for one account in this process share a transaction and its fsync.

```
caller -> queue of the account -> a writer thread takes all that waits
          its turn among processes -> BEGIN IMMEDIATE, what has queued meanwhile joins
          per job: SAVEPOINT, own number, RELEASE or ROLLBACK TO
          COMMIT -> watchers -> futures -> a log that has grown is written back, while who was answered goes on
```

An account runs on one thread at a time; several accounts run beside each other. A job that fails or changes nothing
is undone to its savepoint, and its number goes to the next one. A caller that goes away does not stop its job.
Other processes are met at the file's lock, each in its turn. If COMMIT fails, every job of the group fails with it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from ...clock import Clock, Random
from ..errors import StoreFailed
from .faults import refusal
from .handles import Handle, Handles
from .transaction import Settings, Write
from .turns import Turns

GROUP = 64
"""Most jobs of one transaction: bounds what waits behind one fsync."""

THREADS = 4
"""Accounts that commit at the same time. Where the disk is quick, eight or sixteen only meet at the interpreter's lock
more often; where it is very slow they deliver to many accounts faster, since what waits for it ends together."""

Announce = Callable[[str, int], None]
"""Called after a commit, on the writer's thread, with account and newest number."""


@dataclass(slots=True, eq=False)
class Job:
    """One command on its way. relaxed: visible to all when done, but not worth an fsync. own: the caller's set of
    numbers, to which this command's is added when it is answered."""

    run: Callable[..., Any]  # what it returns goes to the caller untouched
    args: tuple[object, ...]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    session: str
    user: str
    relaxed: bool
    own: set[int] | None = None
    modseq: int = 0
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class Queue:
    path: Path
    jobs: deque[Job] = field(default_factory=deque)
    running: bool = False


class Writers:
    """The writer threads of one process."""

    def __init__(
        self, handles: Handles, turns: Turns, clock: Clock, random: Random, settings: Settings, announce: Announce
    ) -> None:
        self._handles = handles
        self._turns = turns
        self._clock = clock
        self._random = random
        self._settings = settings
        self._announce = announce
        self._condition = threading.Condition()
        self._queues: dict[str, Queue] = {}
        self._ready: deque[str] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0  # threads that wait and that nobody has woken yet
        self._closing = False
        self._several = False  # whether the last group was of more than one
        self._gathered: dict[asyncio.AbstractEventLoop, list[tuple[str, Path, Job]]] = {}

    def submit(self, account: str, path: Path, job: Job) -> None:
        """Queue a job, on its loop. Its future is resolved there once the commit is durable.

        Where several have just been done together, it is handed over when all else that can run now has run, or
        `GROUP` have gathered: messages that came at the same time are one group, and their commit does not begin
        between two of them that are still being made ready. One alone would only wait (15 microseconds).
        """
        with self._condition:
            if self._closing:
                raise StoreFailed("The server is stopping.", "Try again in a moment.")
            gathered = self._gathered.get(job.loop)
            if gathered is not None:
                gathered.append((account, path, job))
                if len(gathered) >= GROUP:
                    self._queue(self._gathered.pop(job.loop))
                return
            if not self._several:
                self._queue([(account, path, job)])
                return
            self._gathered[job.loop] = [(account, path, job)]
        job.loop.call_soon(self._hand_over, job.loop)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Queue what a loop has gathered, unless `close` has done it."""
        with self._condition:
            self._queue(self._gathered.pop(loop, []))

    def _queue(self, gathered: list[tuple[str, Path, Job]]) -> None:
        """With the lock held."""
        for account, path, job in gathered:
            queue = self._queues.get(account)
            if queue is None:
                queue = self._queues[account] = Queue(path)
            queue.jobs.append(job)
            if not queue.running:
                queue.running = True
                self._ready.append(account)
                if not self._wake() and len(self._threads) < THREADS:
                    self._begin()

    def _begin(self) -> None:
        """One thread more for what is ready. With the lock held. Where the system has none to give, those that run come
        to it; where none runs, nothing is queued but one job, which is refused (StoreFailed) and will not be done."""
        thread = threading.Thread(target=self._work, name=f"store-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if self._threads:
                return
            self._queues.clear()
            self._ready.clear()
            raise StoreFailed("The server has no room for another thread.", "Try again in a moment.") from error
        self._threads.append(thread)

    def _wake(self) -> bool:
        """Wake a thread that waits; False where none does. One that was woken and has not run yet is not counted: it
        has its account, and the next one is another thread's. With the lock held."""
        if not self._idle:
            return False
        self._idle -= 1
        self._condition.notify()
        return True

    @property
    def working(self) -> bool:
        """Whether a job is queued or runs."""
        return bool(self._queues or self._gathered)

    def close(self) -> None:
        """Finish what is queued, then end the threads. Blocks."""
        with self._condition:
            self._closing = True
            for loop in list(self._gathered):
                self._queue(self._gathered.pop(loop))
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()
        self._turns.close()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._ready:
                    if self._closing:
                        return
                    self._idle += 1  # `_wake` takes it back
                    self._condition.wait()
                account = self._ready.popleft()
                queue = self._queues[account]
                jobs = [queue.jobs.popleft() for _ in range(min(GROUP, len(queue.jobs)))]
            self._run_group(account, queue, jobs)
            self._several = len(jobs) > 1
            del jobs  # or a waiting thread would hold the last message it filed
            with self._condition:
                if queue.jobs:
                    self._ready.append(account)
                    self._wake()
                else:
                    queue.running = False
                    self._queues.pop(account, None)

    def _join(self, queue: Queue, jobs: list[Job]) -> None:
        """Add to a group what has queued while it waited for another process's transaction."""
        with self._condition:
            while queue.jobs and len(jobs) < GROUP:
                jobs.append(queue.jobs.popleft())

    def _run_group(self, account: str, queue: Queue, jobs: list[Job]) -> None:
        newest = 0
        handle: Handle | None = None
        try:
            handle = self._handles.acquire(account, queue.path, surely=True)
            newest = self._commit(account, handle, queue, jobs)
        except (apsw.Error, OSError) as error:
            _fail(jobs, refusal(error), error)
        except Exception as error:  # noqa: BLE001 - a job's outer edge: whatever it is belongs to the callers
            _fail(jobs, error, None)
        grown = handle is not None and handle.log_has_grown
        if handle is not None and not grown:
            self._handles.release(handle)  # before the answer: who has it finds the account used by nobody
        if any(job.error is not None and isinstance(job.error.__cause__, apsw.ReadOnlyError) for job in jobs):
            # SQLite opens a file that cannot be written to for reading, and says nothing. It stays so for as long as it
            # is open, which is as long as somebody uses the account: the next one opens it anew.
            self._handles.forget(account)
        if newest:
            self._announce(account, newest)
        _resolve(jobs)
        if handle is not None and grown:
            handle.write_back()
            self._handles.release(handle)

    def _commit(self, account: str, handle: Handle, queue: Queue, jobs: list[Job]) -> int:
        """Run the jobs, and those that join them, in one transaction; the newest number given out, 0 if none."""
        db = handle.writer
        relaxed = all(job.relaxed for job in jobs)
        if relaxed:
            db.execute("PRAGMA synchronous = NORMAL")
        try:
            place = self._turns.take(account)
            try:
                db.execute("BEGIN IMMEDIATE")
            finally:
                self._turns.leave(place)
            if not relaxed:
                self._join(queue, jobs)
            row = db.execute("SELECT modseq FROM account").fetchone()
            before = modseq = int(row[0]) if row else 0
            wrote = False
            alone = len(jobs) == 1
            for job in jobs:
                changed, modseq = self._run(handle, db, job, modseq, alone)
                wrote |= changed
            db.execute("COMMIT" if wrote else "ROLLBACK")
        except BaseException:
            handle.interned.clear()
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        finally:
            if relaxed:
                db.execute("PRAGMA synchronous = FULL")
        return modseq if modseq != before else 0

    def _run(self, handle: Handle, db: apsw.Connection, job: Job, last: int, alone: bool) -> tuple[bool, int]:
        """One job, `last` being the number before its own: (it changed rows, last number now).

        alone: the group's only one, which needs no savepoint: the transaction itself is undone.
        """
        now = int(self._clock.now())
        tx = Write(db, handle.interned, last + 1, now, self._random, self._settings, job.session, job.user, handle.note)
        changes = db.total_changes()
        if not alone:
            db.execute("SAVEPOINT job")
        try:
            job.result = job.run(tx, *job.args)
            changed = db.total_changes() != changes
            if changed and tx.numbered:
                tx.finish()
            if not alone:
                db.execute("RELEASE job")
        except Exception as error:  # a job's outer edge: it goes to the caller, the others go on
            if not db.in_transaction:
                raise  # SQLite itself gave up the whole transaction (full disk, I/O): the group is lost
            handle.interned.clear()
            if not alone:
                db.execute("ROLLBACK TO job")
                db.execute("RELEASE job")
            job.result = None
            job.error = error
            if isinstance(error, (apsw.Error, OSError)):
                job.error = refusal(error)
                job.error.__cause__ = error
            return False, last
        if not changed or not tx.numbered:
            return changed, last
        job.modseq = tx.modseq
        return True, tx.modseq


def _fail(jobs: list[Job], error: BaseException, cause: BaseException | None) -> None:
    for job in jobs:
        if job.error is None:
            job.error = error
            job.result = None
    if cause is not None:
        error.__cause__ = cause


def _resolve(jobs: list[Job]) -> None:
    """Hand results to the callers, one call a loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        loops.setdefault(job.loop, []).append(job)
    for loop, mine in loops.items():
        try:
            loop.call_soon_threadsafe(_settle, mine)
        except RuntimeError:
            pass  # the loop has been closed: nobody waits any more, and what was committed stays committed


def _settle(jobs: list[Job]) -> None:
    for job in jobs:
        if job.own is not None and job.modseq and job.error is None:
            job.own.add(job.modseq)
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
