"""Two users of this machine, for what only Unix rights hold: a keeper, and a mail server's. Needs root."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")

KEEPER, SERVER = 64_201, 64_202
"""Ids that nobody has here; the server's user is in the keeper's group."""

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="root makes other users' processes")


def as_user(user: int, act: Callable[[], T]) -> T:
    """What `act` gives in a process of this user (a fork: all that it imports must be loaded, and no other thread may
    be here, which could hold a lock of OpenSSL's at that moment); its exception is raised here."""
    assert threading.active_count() == 1, threading.enumerate()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.setgroups([KEEPER])
            os.setgid(user)
            os.setuid(user)
            os.umask(0o077)
            try:
                said: tuple[bool, object] = (True, act())
            except BaseException as error:  # noqa: BLE001 - goes over to the parent
                said = (False, error)
            with os.fdopen(writing, "wb") as stream:
                stream.write(pickle.dumps(said))
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        data = stream.read()
    assert os.waitpid(child, 0)[1] == 0, "the child had no answer"
    done, result = pickle.loads(data)
    if not done:
        raise result
    return result  # type: ignore[no-any-return]  # what act gave


def shared_folder() -> Iterator[Path]:
    """A temporary folder that every user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="restante-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def make_kept(root: Path) -> None:
    """As the operator's guide says: install -d ..."""
    root.mkdir()
    os.chown(root, KEEPER, KEEPER)
    root.chmod(0o2750)
    make_incoming(root)


def make_incoming(root: Path) -> None:
    path = root / ".incoming"
    path.mkdir()
    os.chown(path, KEEPER, KEEPER)
    path.chmod(0o3770)
