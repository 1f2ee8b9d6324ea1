"""Change hints: who watches an account hears of its commits, in this process and in every other one.

After a commit the writer calls `announce`: watchers of this process are called on their loop, and a datagram with
account and number goes to the Unix socket of every other process that watches something. A datagram may be lost, so
each second the log file of every watched account is looked at (one stat), and its counter read where it moved.
Nothing here runs while nobody watches.

A hint is worth no error: where a process can have no socket (a full disk, no descriptors left), the look at the files
tells it all, and tries to make one; where it can send none, the others' looks do.

Who waits for others to share something with him watches no account, since it may become any: he is told of the
identifiers that mean him, by hints alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from ..interface import OnChange

POLL = 1.0
"""Seconds between looks at the files of watched accounts."""

READS = 16
"""Accounts opened in one turn of the loop to read their counters."""

SETTLED = 50_000_000
"""Nanoseconds: a file's time stamp younger than this may stand for a change still to come (ticks are 4 ms)."""

COARSEST = 1_100_000_000
"""Nanoseconds by which a time stamp may be older than its change: there are file systems that keep whole seconds."""

LONGEST = 100
"""Octets of a socket's path; the system's limit is about 108."""

GONE = 2**63 - 1
"""Stands for the counter of an account that has been removed: more than any counter."""

_NUMBER = struct.Struct(">Q")
_SHARES = "shares:"
"""Stands before an identifier where an account's id stands otherwise."""


class Watching:
    """One watch; `close` ends it."""

    __slots__ = ("_hints", "account", "on_change")

    def __init__(self, hints: Hints, account: str, on_change: OnChange) -> None:
        self._hints = hints
        self.account = account
        self.on_change = on_change

    def close(self) -> None:
        self._hints.end(self)


class _Watched:
    """A watched account: its watches, the newest number they know, the log file as it was last seen; before it was
    seen, since when changes are to be told (nanoseconds).

    path: None for an identifier, which has neither file nor counter."""

    __slots__ = ("known", "path", "pending", "seen", "since", "watches")

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.watches: set[Watching] = set()
        self.known = 0
        self.pending = False
        self.seen: tuple[int, int] | None = None
        self.since: int | None = None

    def has_moved(self, seen: tuple[int, int] | None) -> bool:
        """Whether the log may have been written to since the last look, or since the watch began."""
        if seen is None:
            return True
        return seen[0] >= self.since - COARSEST if self.since is not None else seen != self.seen


class WatchingShares:
    """Several watches as one."""

    __slots__ = ("_each", "account")

    def __init__(self, account: str, each: list[Watching]) -> None:
        self.account = account
        self._each = each

    def close(self) -> None:
        for one in self._each:
            one.close()


class Hints:
    """The hints of one process. `folder`: where the processes' sockets meet. `read`: the account's counter."""

    def __init__(self, data: Path, read: Callable[[str], int]) -> None:
        self._folder = socket_folder(data)
        self._read = read
        self._watched: dict[str, _Watched] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket: socket.socket | None = None
        self._name: Path | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sender: socket.socket | None = None
        self._peers: list[str] = []
        self._peers_at = -1
        self._lock = threading.Lock()

    # Watching, on the loop ---------------------------------------------------------------------------

    def watch(self, account: str, path: Path, on_change: OnChange, known: int | None = None) -> Watching:
        """Begin a watch; to be called on the event loop. known: see `Engine.watch`."""
        self._listen(asyncio.get_running_loop())
        watching = Watching(self, account, on_change)
        watched = self._watched.get(account)
        if watched is None:
            # The first look comes with the others': a session that is soon over makes none.
            watched = self._watched[account] = _Watched(f"{path}-wal")
            watched.since = _now_ns()
            watched.known = self._read(account) if known is None else known
        watched.watches.add(watching)
        return watching

    def watch_shares(self, account: str, identifiers: Sequence[str], on_change: Callable[[], None]) -> WatchingShares:
        """Be told when an access control list is changed for one of these identifiers, which mean one person."""
        self._listen(asyncio.get_running_loop())
        each = []
        for identifier in identifiers:
            watching = Watching(self, _SHARES + identifier, lambda _: on_change())
            self._watched.setdefault(watching.account, _Watched(None)).watches.add(watching)
            each.append(watching)
        return WatchingShares(account, each)

    def announce_shares(self, identifier: str) -> None:
        """Say that a list has been changed for this identifier. Never blocks."""
        self.announce(_SHARES + identifier, 0)

    def end(self, watching: Watching) -> None:
        watched = self._watched.get(watching.account)
        if watched is None:
            return
        watched.watches.discard(watching)
        if not watched.watches:
            del self._watched[watching.account]
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not loop:
            self._silence()
            self._loop = loop
        if self._socket is None:
            self._open_socket(loop)
        if self._timer is None:
            self._timer = loop.call_later(POLL, self._poll)

    def _open_socket(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make this process's socket, if that can be done now."""
        name = self._folder / f"{os.getpid()}-{os.urandom(4).hex()}"
        try:
            make_folder(self._folder)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError:
            return  # tried again with the next watch or look
        try:
            listener.setblocking(False)
            listener.bind(str(name))
        except OSError:
            listener.close()
            return
        self._socket, self._name = listener, name
        loop.add_reader(listener.fileno(), self._arrived)

    def _arrived(self) -> None:
        """Read what datagrams there are, a bounded number a turn."""
        if self._socket is None:
            return
        for _ in range(256):
            try:
                data = self._socket.recv(512)
            except (BlockingIOError, InterruptedError):
                return
            if len(data) > _NUMBER.size:
                account, modseq = data[_NUMBER.size :].decode("ascii", "replace"), _NUMBER.unpack_from(data)[0]
                if account in self._watched:
                    self._changed(account, self._read(account) if modseq >= GONE else modseq)

    def _changed(self, account: str, modseq: int) -> None:
        """Tell the account's watchers at this turn's end, once whatever the number of hints."""
        watched = self._watched.get(account)
        if watched is None or (watched.path is not None and modseq <= watched.known):
            return
        watched.known = modseq
        if not watched.pending and self._loop is not None:
            watched.pending = True
            self._loop.call_soon(self._tell, account, watched)

    def _tell(self, account: str, watched: _Watched) -> None:
        watched.pending = False
        for watching in tuple(watched.watches):
            if watching in watched.watches:
                watching.on_change(watched.known)

    def _poll(self) -> None:
        if self._loop is None:
            self._timer = None
        else:
            self._timer = self._loop.call_later(POLL, self._poll)
            if self._socket is None:
                self._open_socket(self._loop)
        self._look_at(list(self._watched))

    def _look_at(self, accounts: list[str]) -> None:
        """Look at the accounts' log files. After a few that moved (each may open its account's file: most of a
        millisecond) everything else on the loop has its turn."""
        reads = 0
        while accounts:
            account = accounts.pop()
            watched = self._watched.get(account)
            if watched is None or watched.path is None:
                continue
            seen = _look(watched.path)
            moved, watched.since = watched.has_moved(seen), None
            if not moved:
                watched.seen = seen
                continue
            modseq = self._read(account)
            watched.seen = seen if modseq else None
            self._changed(account, modseq)
            reads += 1
            if reads >= READS and accounts and self._loop is not None:
                self._loop.call_soon(self._look_at, accounts)
                return

    # Announcing, on any thread -----------------------------------------------------------------------

    def announce(self, account: str, modseq: int) -> None:
        """Say that the account's counter is now `modseq`. Never blocks, and never fails: the commit is done, and who
        waits for its answer gets it."""
        loop = self._loop
        if loop is not None and account in self._watched:
            try:
                loop.call_soon_threadsafe(self._changed, account, modseq)
            except RuntimeError:
                pass  # the loop has been closed, and its watchers with it
        with self._lock:
            for peer in self._others():
                self._send(peer, _NUMBER.pack(modseq) + account.encode("ascii"))

    def _others(self) -> list[str]:
        """Sockets of the other processes. The folder is read again when its time stamp moves. One that is somebody
        else's, or a link, is none of ours: what lies there would be written to, and cleared away as dead."""
        try:
            status = os.lstat(self._folder)  # on every commit, and Path's is three times slower
        except OSError:
            return []
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return []
        at = status.st_mtime_ns
        if at != self._peers_at:
            try:
                self._peers = [str(one) for one in self._folder.iterdir() if one != self._name]
            except OSError:
                return self._peers  # no descriptor left: those known so far
            self._peers_at = at if _now_ns() - at > SETTLED else -1
        return self._peers

    def _send(self, peer: str, data: bytes) -> None:
        try:
            if self._sender is None:
                self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._sender.setblocking(False)
            self._sender.sendto(data, peer)
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:  # its process is gone
                with contextlib.suppress(OSError):
                    Path(peer).unlink(missing_ok=True)
            # Anything else (a full buffer, a socket just removed, no descriptor left): the peer's look at the file
            # makes it good.

    def close(self) -> None:
        self._watched.clear()
        self._silence()
        with self._lock:
            if self._sender is not None:
                self._sender.close()
                self._sender = None

    def _silence(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if self._name is not None:
            with contextlib.suppress(OSError):  # who finds it dead clears it away
                self._name.unlink(missing_ok=True)
            self._name = None
        self._loop = None


def socket_folder(data: Path) -> Path:
    """Where the processes that serve `data` have their sockets: beside it, or by a short name where its path is
    too long for a socket."""
    folder = data.absolute() / "run" / "hints"
    if len(os.fsencode(folder)) + 24 <= LONGEST:
        return folder
    name = sha256(os.fsencode(data.resolve())).hexdigest()[:16]
    import tempfile  # brings archives' modules along, which nothing else here needs

    return Path(tempfile.gettempdir()) / f"restante-{os.getuid()}-{name}"


def make_folder(folder: Path) -> None:
    """Make the folder for this user alone. Raises OSError where somebody else has made it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.geteuid() or not folder.is_dir() or folder.is_symlink():
        raise PermissionError(errno.EPERM, "the folder for sockets belongs to somebody else")
    if status.st_mode & 0o077:
        folder.chmod(0o700)


def _look(path: str) -> tuple[int, int] | None:
    """Time stamp and size of the file; None where it is not there, or so fresh that it may change unseen."""
    try:
        status = os.stat(path)  # noqa: PTH116 - for every watched account each second
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size) if _now_ns() - status.st_mtime_ns > SETTLED else None


def _now_ns() -> int:
    """The machine's real time, since file systems stamp with nothing else (a test's clock would not do)."""
    return time.time_ns()
