"""A word to whoever watches that something was spooled: an empty datagram on a Unix socket in the run folder.

A hint, as everywhere: nobody there, or a full queue, loses nothing, since the spool is looked at with each run.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def socket_path(run: Path, copy: str) -> Path:
    """Where the watcher of a copy listens. run: `config.paths.run_directory`, whose paths are short enough."""
    import hashlib

    return run / f"outbox-{hashlib.sha256(copy.encode()).hexdigest()[:12]}"


def wake(path: Path) -> bool:
    """Say it; whether somebody listens. Never waits."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.setblocking(False)
        try:
            end.sendto(b"", str(path))
        except BlockingIOError:
            return True  # many said it already
        except OSError:
            return False
    return True


@contextmanager
def listening(path: Path, event: asyncio.Event) -> Iterator[None]:
    """Set `event` whenever somebody says it, for as long as this is entered. The loop must run."""
    loop = asyncio.get_running_loop()
    path.unlink(missing_ok=True)  # of a watcher that was killed; one that lives holds the copy's lock
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.setblocking(False)
        end.bind(str(path))
        path.chmod(0o600)

        def heard() -> None:
            try:
                while True:
                    end.recv(1)
            except BlockingIOError:
                event.set()

        loop.add_reader(end, heard)
        try:
            yield
        finally:
            loop.remove_reader(end)
            path.unlink(missing_ok=True)
