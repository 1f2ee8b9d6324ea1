"""The parent of the workers: forks them, restarts those that die, passes signals on, stops them.

    starting -> running -> draining -> stopped
        any worker refuses to start: stopped, with its refusal
        SIGTERM, SIGINT: draining; SIGINT again, or time over: the workers are killed

Beside the workers stands one process that serves nobody (`background`), kept alive by the same rules.

It has no event loop and no thread, so that a fork is safe at any time, and it opens no store: it lives on
when a worker does not. Workers hold one end of a pipe whose other end only the supervisor has, so they drain
and end by themselves should it be killed. Signals that come while a worker is being born are held back until
the worker can hear them.

A process that rests and says that it has grown (`growth`) is replaced, and nobody notices:

    old serves -> successor is born -> successor serves too -> old is told to retire: accepts no more -> ends when
                                                              its last connection has ended by itself
        successor cannot start, or dies: old serves on, and nothing is tried for a while

The listening sockets are the supervisor's, so whoever connects meanwhile is taken by one or the other.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from ..errors import Refusal
from . import life
from .background import channel
from .life import EXIT_FAILED, RETIRE, SIGNALS, Report
from .listeners import Bound, close_all
from .status import socket_path
from .worker import Build, Surroundings

BACKOFF_FIRST = 0.1
BACKOFF_MOST = 30.0
STEADY = 60.0
"""A worker that lived so long is restarted without waiting."""

STARTS = 3
"""Deaths of a worker before its first `ready` after which the server gives up."""

KILL_AFTER = 5.0
"""Seconds past the drain after which a worker is killed."""

PATIENCE = 60.0
"""Seconds after a successor that could not start, before there is another try."""


class WorkerRefused(Refusal):
    """A worker could not start for a reason that a person can mend."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.text, report.remedy)
        self.code = report.code


class WorkerFailed(Refusal):
    """Workers died at their start, or could not be started."""

    code = "WORKER-FAILED"


@dataclass(slots=True, eq=False)
class Child:
    """One process. number: its row of what workers share. pid 0: none just now. report: read end of its pipe, -1
    where there is none. ready: it has served once. background: it serves nobody. replaces: whom it is to succeed."""

    number: int
    pid: int = 0
    ready: bool = False
    report: int = -1
    born: float = 0.0
    deaths: int = 0
    restart_at: float | None = None
    background: bool = False
    replaces: Child | None = None
    housekeeping_in: float = 0.0


Announce = Callable[[bool], None]
"""Called once, when every worker serves; the argument tells whether there are accounts."""


class Supervisor:
    """`run()` returns when all workers have ended."""

    def __init__(self, around: Surroundings, bound: Sequence[Bound], workers: int, build: Build) -> None:
        self._bound = bound
        self._build = build
        self._workers = workers
        self._children = [Child(number) for number in range(workers)]
        self._children.append(Child(2 * workers, background=True))
        self._beside: list[Child] = []  # successors that do not serve yet, and those that have one that does
        self._no_successor_before = 0.0
        send, self._notes = channel()
        self._around = replace(around, background=send)
        self._announced = False
        self._accounts = True
        self._draining = False
        self._kill_at: float | None = None
        self._life_read, self._life_write = os.pipe()
        self._wake_read, self._wake_write = socket.socketpair()
        self._failed: Refusal | None = None

    def run(self, announce: Announce) -> int:
        """Serve until told to stop; the exit status. Raises Refusal if the workers cannot start."""
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        former_fd = signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        former = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
        gc.collect()
        gc.freeze()  # pages of what is loaded now stay shared with the workers
        try:
            self._fork_all()
            while any(child.pid for child in self._all()) or self._waiting():
                self._turn(announce)
        finally:
            self._finish()
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(former_fd)
        if self._failed is not None:
            raise self._failed
        return 0

    # The loop --------------------------------------------------------------------------------------

    def _all(self) -> list[Child]:
        return self._children + self._beside

    def _waiting(self) -> bool:
        return not self._draining and any(child.restart_at is not None for child in self._children)

    def _turn(self, announce: Announce) -> None:
        """Wait for a signal, a report or a time, and act on it."""
        reports = {child.report: child for child in self._all() if child.report >= 0}
        wake = self._wake_read.fileno()
        readable, _, _ = select.select([wake, *reports], [], [], self._time_left())
        for source in readable:
            if source == wake:
                self._signals()
            else:
                self._hear(reports[source])
        self._reap()
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= now and not self._draining:
                self._fork_again(child)
        if self._kill_at is not None and self._kill_at <= now:
            self._kill_at = None
            self._around.log.warning("workers did not end in time and are killed")
            self._signal_all(signal.SIGKILL)
        if not self._announced and not self._draining and all(child.ready for child in self._children):
            self._announced = True
            announce(self._accounts)

    def _time_left(self) -> float | None:
        times = [child.restart_at for child in self._children if child.restart_at is not None and not self._draining]
        if self._kill_at is not None:
            times.append(self._kill_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._wake_read.recv(4096):
                if number == signal.SIGHUP:
                    self._signal_all(signal.SIGHUP)
                elif number == signal.SIGINT and self._draining:
                    self._kill_at = time.monotonic()
                elif number in (signal.SIGINT, signal.SIGTERM):
                    self._drain()

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        if self._failed is None:  # else the refusal is all that a person needs to read
            self._around.log.info("stopping")
        close_all(self._bound, unlink=False)
        self._kill_at = time.monotonic() + self._around.config.server.drain + KILL_AFTER
        self._signal_all(signal.SIGTERM)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._all():
            if child.pid:
                os.kill(child.pid, number)

    # Workers ---------------------------------------------------------------------------------------

    def _hear(self, child: Child) -> None:
        """Read what a process says."""
        data = os.read(child.report, 65_536)
        if not data:  # it has ended: _reap will see it
            os.close(child.report)
            child.report = -1
        for line in data.splitlines():
            report = msgspec.json.decode(line, type=Report)
            if report.grown:
                self._grown(child, report)
            else:
                self._started(child, report)

    def _started(self, child: Child, report: Report) -> None:
        """A process's first report."""
        if report.ready:
            child.ready = True
            self._accounts = self._accounts and report.accounts
            if child.replaces is not None:
                self._succeed(child, child.replaces)
        elif not self._announced:
            self._failed = self._failed or WorkerRefused(report)
            self._drain()
        else:
            self._around.log.error("worker cannot start", reason=f"{report.text} {report.remedy}".strip())

    def _reap(self) -> None:
        for child in self._all():
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._died(child, os.waitstatus_to_exitcode(status))

    # Successors ------------------------------------------------------------------------------------

    def _grown(self, child: Child, report: Report) -> None:
        """A process wants a successor. It gets one where nothing speaks against it now; else it will ask again."""
        if self._draining or not self._announced or child not in self._children or not child.pid:
            return
        number = child.number if child.background else (child.number + self._workers) % (2 * self._workers)
        taken = any(one.replaces is child or (one.number == number and one is not child) for one in self._beside)
        if taken or time.monotonic() < self._no_successor_before:
            return
        self._around.log.info("process has grown and gets a successor", pid=child.pid, grown=report.grown)
        successor = Child(number, background=child.background, replaces=child, housekeeping_in=report.housekeeping_in)
        try:
            self._fork(successor)
        except OSError as error:
            self._around.log.error("successor cannot be started", reason=error.strerror)
            self._no_successor_before = time.monotonic() + PATIENCE
        else:
            self._beside.append(successor)

    def _succeed(self, child: Child, former: Child) -> None:
        """The successor serves: it takes the place, and the former one is told to retire."""
        child.replaces = None
        self._beside.remove(child)
        self._children[self._children.index(former)] = child
        former.restart_at = None
        if former.pid:
            self._beside.append(former)
            os.kill(former.pid, RETIRE)

    def _died(self, child: Child, status: int) -> None:
        pid, child.pid = child.pid, 0
        if child.report >= 0:
            self._hear(child)
        if child.report >= 0:
            os.close(child.report)
            child.report = -1
        if self._around.shared is not None and not child.background:
            self._around.shared.clear(child.number)
        with contextlib.suppress(OSError):  # a disk that has become read-only ends no server; the next start tidies up
            socket_path(self._around.run, pid).unlink(missing_ok=True)
        if child in self._beside:
            self._beside.remove(child)
            if child.replaces is not None:
                self._no_successor_before = time.monotonic() + PATIENCE
            if status != 0:
                what = "process died" if child.replaces is None else "successor died"
                self._around.log.error(what, pid=pid, status=status)
            return
        if self._draining:
            return
        now = time.monotonic()
        child.deaths = 1 if now - child.born >= STEADY else child.deaths + 1
        wait = _backoff(child.deaths)
        what = "background process died" if child.background else "worker died"
        self._around.log.error(what, pid=pid, status=status, restart_in=wait)
        if not self._announced and child.deaths >= STARTS:
            self._failed = WorkerFailed("The server's workers end as soon as they start.", "The log says why.")
            self._drain()
            return
        child.restart_at = now + wait

    def _fork_all(self) -> None:
        """At the start. Raises WorkerFailed where the system has no room for them; those that there are end with us."""
        for child in self._children:
            try:
                self._fork(child)
            except OSError as error:
                text = f"The server's workers cannot be started ({error.strerror})."
                raise WorkerFailed(text, "Are there too many processes, or too few file descriptors?") from error

    def _fork_again(self, child: Child) -> None:
        """In place of one that died. Where the system has no room for it, it is tried again later."""
        try:
            self._fork(child)
        except OSError as error:
            child.deaths += 1
            wait = _backoff(child.deaths)
            child.restart_at = time.monotonic() + wait
            self._around.log.error("process cannot be started", reason=error.strerror, again_in=wait)

    def _fork(self, child: Child) -> None:
        """Raises OSError where the system has no room for another process."""
        read, write = os.pipe()
        _flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
        except OSError:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            os.close(read)
            os.close(write)
            raise
        child.restart_at = None
        child.born = time.monotonic()
        if pid == 0:
            status = EXIT_FAILED
            try:
                self._let_go(read)
                around = replace(self._around, number=child.number, housekeeping_in=child.housekeeping_in)
                status = self._become(child, around, write)
            except BaseException:  # noqa: BLE001 - the process's outer edge: nothing may climb into the parent's code
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(write)
        child.pid, child.report = pid, read
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _become(self, child: Child, around: Surroundings, report: int) -> int:
        """In the new process: what it is for, until its end; its exit status."""
        if child.background:
            close_all(self._bound, unlink=False)
            return life.run(life.keep_house(around, self._build, self._notes, self._life_read, report))
        return life.run(life.serve(around, self._bound, self._build, self._life_read, report))

    def _let_go(self, report: int) -> None:
        """In the worker: close what is the supervisor's."""
        signal.set_wakeup_fd(-1)
        self._wake_read.close()
        self._wake_write.close()
        os.close(self._life_write)
        os.close(report)
        for child in self._all():
            if child.report >= 0:
                os.close(child.report)

    def _finish(self) -> None:
        self._signal_all(signal.SIGKILL)  # none are left unless the loop above failed
        for child in self._all():
            if child.pid:
                os.waitpid(child.pid, 0)
            if child.report >= 0:
                os.close(child.report)
        close_all(self._bound)
        os.close(self._life_read)
        os.close(self._life_write)
        self._wake_read.close()
        self._wake_write.close()
        self._notes.close()
        if self._around.background is not None:
            self._around.background.close()


def _backoff(deaths: int) -> float:
    """Seconds until the next try. deaths: in a row, 1 or more."""
    return min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(deaths - 1, 20))


def _flush() -> None:
    """Write what is buffered, which a fork would write twice. What cannot be written is left where it is."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # a program may be started without one
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
