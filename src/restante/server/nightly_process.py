"""The nightly backup's own process: an `Order` on standard input, a `Night` on standard output.

    background: Nightly --Order--> python -m restante.server.nightly_process --Night--> background

A process, so that hashing and compressing take no interpreter from indexing and housekeeping, and so that it can be
ended at any instant. It ends with its parent: what comes after the order is the end of standard input, which comes
when the parent is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from ..backup.access import NOTES, installation_files, location_of, remote_of, secret_of
from ..backup.drill import Sample, Work, drill
from ..backup.errors import BackupRefusal, NoRepository
from ..backup.night import TOLD, night
from ..backup.outcome import Drilled, Night
from ..backup.repository import Repository
from ..backup.retention import Keep
from ..backup.schedule import drill_due
from ..backup.throwaway import sweep
from ..backup.walked import Walks
from ..clock import Clock, SystemClock, system_random
from ..config.limits import mime_limits
from ..errors import Refusal
from ..store.sqlite.names import DIRECTORY
from .backup_records import note_drill, note_verify, read_drill
from .engine import open_engine
from .logs import adopt_logs
from .mirrors import configured, sources_of
from .nightly_state import Order

if TYPE_CHECKING:
    from ..backup.remotes import Wanted


_log = logging.getLogger(__name__)


async def work(order: Order) -> Night:
    """Do what is ordered; refusals are problems of the night, and so is a disk or a server that does not answer."""
    try:
        return await _work(order)
    except OSError as error:
        _log.exception("the nightly backup came to an end where something could not be read")
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or type(error).__name__
        return Night(problems=(f"The backup came to an end where something could not be read ({what}).",), passing=True)


async def _work(order: Order) -> Night:
    config, data, clock = order.config, Path(order.data), SystemClock()
    backup = config.backup
    try:
        secret = secret_of(backup.passphrase_file, backup.key_file)
        if secret is None:
            raise BackupRefusal(
                "The nightly backup has no key.", "Set backup.key_file or backup.passphrase_file, or backup.schedule"
                ' = "off".',
            )  # fmt: skip
        location = location_of(backup.location, system_random, remote_of(backup))
        repository = await asyncio.to_thread(Repository.open, location, secret, system_random, data / NOTES)
        file = Path(order.config_file) if order.config_file else None
        files = await asyncio.to_thread(installation_files, file, data)
        if not (data / DIRECTORY).is_file():  # an engine would make one, and a snapshot of nobody
            raise NoRepository(f"There is no mail store in {data}.", "Is its disk mounted?")
        engine = open_engine(config, data, clock, system_random)
    except Refusal as refusal:
        # No repository: the disk is not mounted, as a rule. A wrong key stays wrong.
        return Night(problems=(str(refusal),), passing=refusal.temporary or isinstance(refusal, NoRepository))
    try:
        keep = Keep(backup.keep_daily, backup.keep_weekly, backup.keep_monthly)
        host = config.server.hostname or socket.gethostname()
        wanted: Wanted | None = None
        wrong: tuple[str, ...] = ()
        try:
            wanted = configured(config, data)
        except Refusal as refusal:  # of the file of copies: no reason to leave out the server's own accounts
            wrong = (str(refusal),)
        async with sources_of(engine, config, data, wanted, clock, system_random) as found:
            walks = Walks(data / NOTES, repository.id)
            done = await night(found.source, repository, clock, host, files, keep, found.standing, walks)
        if wrong or found.problems:
            done = replace(done, problems=(*wrong, *found.problems, *done.problems), passing=False)
    finally:
        await engine.close()
    try:
        if done.checked is not None:
            await asyncio.to_thread(note_verify, data, backup.location, clock.now(), done.checked)
        return await try_restore(order, repository, clock, done) if done.snapshot else done
    except OSError as error:  # what was done stays done: the night is a bad one, and says why
        text = f"What the night came to cannot be noted in the data folder ({error.strerror})."
        return msgspec.structs.replace(done, problems=(*done.problems, text), passing=False)


async def try_restore(order: Order, repository: Repository, clock: Clock, done: Night) -> Night:
    """The night with what its restore drill came to, where one is due. What an earlier one left is swept."""
    config, data = order.config, Path(order.data)
    await asyncio.to_thread(sweep, data)
    if not repository.reads:
        return done  # sealed: a drill needs the private key, which is elsewhere
    known = await asyncio.to_thread(read_drill, data, config.backup.location)
    if not drill_due(config.backup.drill, known.success if known is not None else None, clock.now()):
        return done
    work = Work(
        data,
        config.store.reserve,
        lambda folder: open_engine(config, folder, clock, system_random),
        mime_limits(config.limits),
    )
    drilled: Drilled | None = None
    reason, passing = "", False
    try:
        snapshot = await asyncio.to_thread(repository.latest)
        if snapshot is None:
            return done  # removed meanwhile
        seed = int.from_bytes(system_random(4), "big")
        drilled = await drill(repository, snapshot, Sample(), work, clock, system_random, seed)
        if not drilled.right:
            reason = f"The restore drill found {drilled.wrong} differences: {' '.join(drilled.differences[:TOLD])}"
    except (Refusal, OSError) as error:
        reason, passing = (
            f"The restore drill could not be done: {error}",
            isinstance(error, Refusal) and error.temporary,
        )
    await asyncio.to_thread(note_drill, data, config.backup.location, clock.now(), drilled, reason)
    if not reason:
        return msgspec.structs.replace(done, drilled=drilled)
    passing = passing and (done.passing or not done.problems)
    return msgspec.structs.replace(done, drilled=drilled, problems=(*done.problems, reason), passing=passing)


def _end_with_the_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def main() -> int:
    line = sys.stdin.buffer.readline()
    if not line:
        return 1  # the parent was stopped before it could say anything
    order = msgspec.json.decode(line, type=Order)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    adopt_logs(order.config.log.level, order.config.log.format, SystemClock())
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(work(order))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
