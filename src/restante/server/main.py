"""`restante serve`: from a configuration to running workers, and the lines that a person reads on the way.

Standard output gets one line a listener, then what the person needs next, then `ready`; all else is log.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ..clock import Clock, Random, SystemClock, system_random
from ..config.listen import TcpAddress
from ..config.model import Config
from ..config.paths import (
    FolderRefusal,
    data_directory,
    leave_run_directory,
    lock_file,
    make_data,
    run_directory,
)
from ..errors import Refusal
from ..machine import cores
from ..memory import one_heap
from .descriptors import fitting, raise_limit
from .limits import SharedCounts
from .listeners import Bound, bind_all, close_all, unix_rights, wanted
from .logs import adopt_logs, make_logger
from .rehearsal import rehearse
from .services import Service
from .sockets import is_loopback
from .status import forget_dead
from .supervisor import Supervisor
from .tls import CertificateKeeper, files
from .worker import Build, Surroundings


class AlreadyRunning(Refusal):
    """Another server has the data."""

    code = "ALREADY-RUNNING"


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo account, for the person to type in."""

    user: str
    password: str


def serve(
    config: Config,
    data: Path,
    *,
    config_file: Path | None = None,
    listen: Mapping[str, str | list[str]] | None = None,
    workers: int | None = None,
    prepare: Callable[[], Demo] | None = None,
    out: TextIO | None = None,
    clock: Clock | None = None,
    random: Random = system_random,
    build: Build | None = None,
) -> int:
    """Run the server until it is told to stop; the exit status.

    config_file: where the configuration was read; backups take it along.
    listen: listeners that replace the configuration's, by name. workers: instead of the configured number.
    prepare: called once data and ports are ours and before anybody is served; fills the demo account, and gives
    what is printed for the person. Must be called where no thread and no event loop runs. Raises Refusal
    for a port in use, a folder without rights, a second server, a certificate that cannot be used.
    """
    one_heap()
    stdout = out or sys.stdout
    the_clock = clock or SystemClock()
    make_data(data)
    with _only_server(data, config.server.drain + DYING), _sockets(data) as run:
        certificate, key = files(config.tls, data, config.server.hostname, the_clock)
        keeper = CertificateKeeper(certificate, key)
        bound = bind_all(wanted(config.listen, listen or {}), unix_rights(config.listen))
        try:
            adopt_logs(config.log.level, config.log.format, the_clock)
            demo = prepare() if prepare is not None else None
            count = workers or config.server.workers or cores()
            log = make_logger(config.log.level, config.log.format, the_clock)
            around = Surroundings(
                config=fitting(config, raise_limit(), log),
                data=data,
                run=run,
                clock=the_clock,
                random=random,
                log=log,
                keeper=keeper,
                shared=SharedCounts(2 * count, random(32)),
                config_file=config_file,
            )
            if build is None:
                build = _all_rooms(config, random)
                rehearse(build, the_clock, random, log)
            supervisor = Supervisor(around, bound, count, build)
            return supervisor.run(lambda accounts: _announce(stdout, bound, data, demo, accounts))
        finally:
            close_all(bound)


DYING = 5.0
"""Seconds past the drain that workers may take to end whose supervisor was killed."""

LOOK = 0.05
"""Seconds between two looks whether they have."""


@contextlib.contextmanager
def _only_server(data: Path, patience: float) -> Iterator[None]:
    """Hold the lock that says a server runs on `data`. Workers inherit it: it ends with the last of them.

    patience: seconds for which the workers of a server that was killed are waited for. Raises AlreadyRunning.
    """
    path = lock_file(data)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AlreadyRunning(
            f"The file {path} cannot be opened ({error.strerror}).", "Run the server as the data's owner."
        ) from error
    try:
        end = time.monotonic() + patience
        while not _locked(handle):
            pid = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            if not pid.isdecimal() or _lives(int(pid)):
                raise AlreadyRunning(
                    f"A server (process {pid or 'unknown'}) is running on {data} already.",
                    "Stop it first, or choose another folder with --data DIR.",
                )
            if time.monotonic() > end:
                raise AlreadyRunning(
                    f"Workers of a server that was killed (process {pid}) are still at work on {data}.",
                    "Wait until they have ended, or end them.",
                )
            time.sleep(LOOK)
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError as error:  # the first thing that a server writes
            raise FolderRefusal(
                f"The data folder {data} cannot be written ({error.strerror}).", "Free some space on its disk."
            ) from error
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _sockets(data: Path) -> Iterator[Path]:
    """The folder of our sockets, where those of workers that were killed are taken away. To be called with the lock."""
    run = run_directory(data)
    try:
        forget_dead(run)
        yield run
    finally:
        leave_run_directory(data)


def _locked(handle: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: int) -> bool:
    """Whether there is such a process, and not only its status that nobody has asked for yet."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[:1] != ["Z"]
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or no Linux; or a number that no process has: the file is damaged


def _all_rooms(config: Config, random: Random) -> Build:
    from .assemble import builder  # late: a test of the server alone needs no other room

    return builder(config, random)


def _announce(out: TextIO, bound: Sequence[Bound], data: Path, demo: Demo | None, accounts: bool) -> None:
    for one in bound:
        kind = "mail in, from your MTA" if one.service is Service.LMTP else one.service.security
        print(f"{one.service.value:<6} {one.address!s:<21}  {kind}", file=out)
    if demo is not None:
        for name, value in (("user", demo.user), ("pass", demo.password)):
            print(f"{name:<6} {value}", file=out)
        if any(isinstance(one.address, TcpAddress) and not is_loopback(one.address.host) for one in bound):
            print("The demo account logs in from this machine alone: by 127.0.0.1 or [::1].", file=out)
    elif not accounts:
        where = "" if data == data_directory() else f" --data {shlex.quote(str(data))}"
        print(
            "There is no account yet. Add the first from another terminal:\n"
            f"  restante domain add example.org{where}\n"
            f"  restante account add you@example.org{where}",
            file=out,
        )
    print("ready", file=out, flush=True)
