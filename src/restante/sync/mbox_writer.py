"""Appending to an mbox file that other programs read and write too: locked, whole or not at all, and on disk.

Two locks, as mail programs expect both: FILE.lock made exclusively, then fcntl's. A FILE.lock whose owner is gone
(ours, by its process; anybody's, after ten minutes by the file system's clock) is taken away. Where the folder lets
nobody make one (/var/mail), fcntl's alone has to do.

A write that fails is cut off again. A process that is killed cannot do so: what it was about to write stands in a
journal, octet by octet, and the next one to open the file cuts off a beginning of just that. Anything else behind the
old end is somebody's mail and stays. Everything here blocks: it is called in a thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .side import MailboxUnavailable, SideUnavailable

TRIES = 120
PAUSE = 0.25
"""Seconds between two looks at a lock, which tells nobody that it is free."""
STALE = 600
"""Seconds after which a FILE.lock is nobody's."""
TAIL = 2
"""Octets that say whether an empty line ends the file."""


class MboxWriter:
    """One mbox file. journal: where it is noted what is being written, by default beside the file."""

    def __init__(self, path: Path, journal: Path | None = None) -> None:
        self.path = path
        self.journal = journal if journal is not None else path.with_name(f".{path.name}.restante")

    def recover(self) -> None:
        """Cut off what a killed process left unfinished. Cost: one look where there is nothing.

        Raises MailboxUnavailable (locked), SideUnavailable.
        """
        if self.journal.exists():
            with self._locked() as fd:
                self._recover(fd)

    def append(self, texts: Sequence[bytes]) -> list[int]:
        """Append messages, each from its From_ line to its empty line; where each begins. On disk when it returns.

        Raises MailboxUnavailable (locked), SideUnavailable (no room, no permission): then the file is as it was.
        """
        if not texts:
            return []
        with self._locked() as fd:
            self._recover(fd)
            size = os.fstat(fd).st_size
            end = os.pread(fd, TAIL, max(size - TAIL, 0))
            gap = b"" if not size or end == b"\n\n" else b"\n" if end.endswith(b"\n") else b"\n\n"
            starts = []
            at = size + len(gap)
            for text in texts:
                starts.append(at)
                at += len(text)
            data = gap + b"".join(texts)
            self._note(size, data)
            try:
                _write(fd, data)
                os.fsync(fd)
            except OSError as error:
                os.ftruncate(fd, size)
                os.fsync(fd)
                self.journal.unlink()
                raise SideUnavailable(f"{self.path} cannot be written: {error.strerror}.") from error
            self.journal.unlink()
            return starts

    # The journal ---------------------------------------------------------------------------------------

    def _note(self, size: int, data: bytes) -> None:
        """What is about to be written, on disk before the first octet of it."""
        new = self.journal.with_name(self.journal.name + ".new")
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                _write(fd, b"%d\n" % size + data)
                os.fsync(fd)
            finally:
                os.close(fd)
            new.rename(self.journal)
            _sync_folder(self.journal.parent)
        except OSError as error:
            raise SideUnavailable(f"{self.journal} cannot be written: {error.strerror}.") from error

    def _recover(self, fd: int) -> None:
        try:
            number, _, data = self.journal.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return
        size, now = int(number), os.fstat(fd).st_size
        if size < now < size + len(data) and data.startswith(_read(fd, size, now - size)):
            os.ftruncate(fd, size)
            os.fsync(fd)
        self.journal.unlink()

    # Locks ---------------------------------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, open and ours alone; made if missing."""
        dot = self._dotlock()
        try:
            fd = self._open()
            try:
                self._fcntl(fd)
                yield fd
            finally:
                os.close(fd)
        finally:
            if dot is not None:
                dot.unlink(missing_ok=True)

    def _open(self) -> int:
        try:
            made = not self.path.exists()
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if made:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise SideUnavailable(f"{self.path} cannot be opened: {error.strerror}.") from error
        return fd

    def _fcntl(self, fd: int) -> None:
        for attempt in range(TRIES):
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise SideUnavailable(f"{self.path} cannot be locked: {error.strerror}.") from error
            if attempt < TRIES - 1:
                time.sleep(PAUSE)
        raise MailboxUnavailable(f"{self.path} is locked by another program.")

    def _dotlock(self) -> Path | None:
        lock = self.path.with_name(self.path.name + ".lock")
        for _ in range(TRIES):
            try:
                fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:
                if not _take_away(lock):
                    time.sleep(PAUSE)
                continue
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                    return None
                raise SideUnavailable(f"{lock} cannot be made: {error.strerror}.") from error
            try:
                _write(fd, f"{os.getpid()} {socket.gethostname()}\n".encode())
            finally:
                os.close(fd)
            return lock
        raise MailboxUnavailable(f"{lock} is there: another program uses the mailbox.")


def _take_away(lock: Path) -> bool:
    """Take away a lock whose owner is gone; False while it may have one."""
    try:
        seen = lock.stat()
        owner = lock.read_bytes()[:300].split()
        if not _ended(owner) and not _old(lock, seen.st_mtime):
            return False
        # By a name of our own first: between look and removal it may have become somebody else's.
        aside = lock.with_name(f"{lock.name}.{os.getpid()}")
        lock.rename(aside)
        if aside.stat().st_ino != seen.st_ino:
            os.link(aside, lock)
        aside.unlink()
    except FileNotFoundError:
        pass  # gone by itself
    except OSError:
        return False  # not ours to take: waited for like any other
    return True


def _ended(owner: list[bytes]) -> bool:
    """Whether a lock of ours names a process of this machine that is no more."""
    if len(owner) != 2 or not owner[0].isdigit() or owner[1] != socket.gethostname().encode():
        return False
    try:
        os.kill(int(owner[0]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _old(lock: Path, changed: float) -> bool:
    """Whether it is older than STALE, by the clock that dated it."""
    probe = lock.with_name(f"{lock.name}.{os.getpid()}.now")
    probe.write_bytes(b"")
    try:
        return probe.stat().st_mtime - changed > STALE
    finally:
        probe.unlink()


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _read(fd: int, at: int, length: int) -> bytes:
    pieces = []
    while length and (piece := os.pread(fd, length, at)):
        pieces.append(piece)
        at += len(piece)
        length -= len(piece)
    return b"".join(pieces)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
