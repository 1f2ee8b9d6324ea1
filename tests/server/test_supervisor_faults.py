"""The supervisor where the system gives no process, and on a disk that has become read-only: it goes on."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from restante.config.listen import UnixAddress
from restante.server.life import Report
from restante.server.listeners import Bound, close_all
from restante.server.services import Service
from restante.server.status import StatusSocket, WorkerStatus

from .test_supervisor import supervisor_of


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> NoReturn:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fork)


def test_a_turn_in_which_no_process_can_be_started_is_followed_by_others(tmp_path: Path, no_room: None) -> None:
    log = io.StringIO()
    supervisor = supervisor_of(tmp_path, log)
    child = supervisor._children[0]
    for tries in (1, 2):
        child.restart_at = 0.0
        supervisor._turn(lambda _: None)
        assert child.restart_at > 0.0
        assert log.getvalue().count("process cannot be started") == tries
    supervisor._finish()


def test_a_process_that_has_grown_goes_on_where_there_is_no_room_for_a_successor(tmp_path: Path, no_room: None) -> None:
    log = io.StringIO()
    supervisor = supervisor_of(tmp_path, log)
    supervisor._announced = True
    child = supervisor._children[0]
    child.pid = 999_999
    for _ in range(2):  # it asks again, and is not heard for a while
        supervisor._grown(child, Report(True, grown=1))
        assert supervisor._beside == []
    assert log.getvalue().count("successor cannot be started") == 1
    child.pid = 0
    supervisor._finish()


def test_sockets_that_cannot_be_removed_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(_path: Path, missing_ok: bool = False) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def describe() -> WorkerStatus:
        raise AssertionError("nobody asks")

    async def scene() -> None:
        path = tmp_path / "lmtp"
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        status = StatusSocket(tmp_path, describe)
        await status.open()
        monkeypatch.setattr(Path, "unlink", unlink)
        close_all([Bound(Service.LMTP, UnixAddress(str(path)), listening)])
        assert listening.fileno() == -1
        status.close()

    asyncio.run(scene())
