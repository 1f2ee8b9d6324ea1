"""Appending to an mbox file that other programs read and write too: locked, whole or not at all, and on disk.

Two locks, as mail programs expect both: FILE.lock (`dotlock`; stale after ten minutes by the file system's clock), then
fcntl's. Where the folder lets nobody make a FILE.lock (/var/mail), fcntl's alone has to do.

A write that fails is cut off again. A process that is killed cannot do so: what it was about to write stands in a
journal, octet by octet, and the next one to open the file cuts off a beginning of just that. Anything else behind the
old end is somebody's mail and stays. Everything here blocks: it is called in a thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..files import sync_folder
from .dotlock import MBOX, Locked, dotlock
from .side import MailboxUnavailable, SideUnavailable

TAIL = 2
"""Octets that say whether an empty line ends the file."""


class MboxWriter:
    """One mbox file. journal: where it is noted what is being written, by default beside the file. now: seconds UTC,
    which say how old a lock is; by default a file that is made beside it says them."""

    def __init__(self, path: Path, journal: Path | None = None, now: Callable[[], float] | None = None) -> None:
        self.path = path
        self._now = now or self._dated_now
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
            sync_folder(self.journal.parent)
        except OSError as error:
            new.unlink(missing_ok=True)  # or it would keep the disk full
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
        with self._dotlock():
            fd = self._open()
            try:
                self._fcntl(fd)
                yield fd
            finally:
                os.close(fd)

    @contextmanager
    def _dotlock(self) -> Iterator[None]:
        """FILE.lock, where the folder lets us make one."""
        with ExitStack() as stack:
            try:
                folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, folder)
                stack.enter_context(dotlock(folder, self.path.name, self._now, MBOX))
            except Locked as error:
                raise MailboxUnavailable(f"{self.path}.lock is there: another program uses the mailbox.") from error
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise SideUnavailable(f"{self.path}.lock cannot be made: {error.strerror}.") from error
            yield

    def _dated_now(self) -> float:
        """By the clock that dates files there, which another machine's may be."""
        probe = self.path.with_name(f".{self.path.name}.{os.getpid()}.now")
        probe.write_bytes(b"")
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()

    def _open(self) -> int:
        try:
            made = not self.path.exists()
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if made:
                sync_folder(self.path.parent)
        except OSError as error:
            raise SideUnavailable(f"{self.path} cannot be opened: {error.strerror}.") from error
        return fd

    def _fcntl(self, fd: int) -> None:
        for attempt in range(MBOX.tries):
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise SideUnavailable(f"{self.path} cannot be locked: {error.strerror}.") from error
            if attempt < MBOX.tries - 1:
                time.sleep(MBOX.pause)  # as long as the lock file is waited for, not for ever as F_SETLKW would
        raise MailboxUnavailable(f"{self.path} is locked by another program.")


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
