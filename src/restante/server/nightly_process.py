"""The nightly backup's own process: an `Order` on standard input, a `Night` on standard output.

    background: Nightly --Order--> python -m restante.server.nightly_process --Night--> background

A process, so that hashing and compressing take no interpreter from indexing and housekeeping, and so that it can be
ended at any instant. It ends with its parent: what comes after the order is the end of standard input, which comes
when the parent is gone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from pathlib import Path

import msgspec

from ..backup.access import NOTES, installation_files, location_of, remote_of, secret_of
from ..backup.errors import BackupRefusal
from ..backup.night import night
from ..backup.outcome import Night
from ..backup.repository import Repository
from ..backup.retention import Keep
from ..clock import SystemClock, system_random
from ..errors import Refusal
from .engine import open_engine
from .logs import adopt_logs
from .nightly_state import Order


async def work(order: Order) -> Night:
    """Do what is ordered; refusals are problems of the night."""
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
        engine = open_engine(config, data, clock, system_random)
    except Refusal as refusal:
        return Night(problems=(str(refusal),))
    try:
        keep = Keep(backup.keep_daily, backup.keep_weekly, backup.keep_monthly)
        host = config.server.hostname or socket.gethostname()
        return await night(engine, repository, clock, host, files, keep)
    finally:
        await engine.close()


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
