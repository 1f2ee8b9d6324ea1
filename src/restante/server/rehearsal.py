"""What a server does once, before it has workers: it pays itself a few visits.

    a store in memory, of its own -> one account -> ROUNDS times: mail in by LMTP, a visit by IMAP, one by POP3 -> gone

Python learns while it runs: functions that were called some ten times are made faster, compiled patterns and tables are
kept. A worker is forked, so what was learnt before is every worker's and its successors', in memory that they share.
Without it the first twenty visits after a start took half as long again (docs/benchmarks.md).

Nothing of the server's own is touched: the store lies in a folder that nobody else may enter, its listeners are Unix
sockets in it. A rehearsal that fails costs the head start alone: that is logged, and the server starts.
Leaves no thread, no event loop and no open file behind, so that a fork is safe. Must not know: the server's data.
"""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop

from ..accounts.admin import Admin
from ..backup.throwaway import throwaway
from ..clock import Clock, Random
from ..config.listen import UnixAddress
from ..config.model import Config
from ..config.paths import make_data, run_directory
from ..errors import Refusal
from ..store.interface import Engine
from ..store.model import INBOX
from .listeners import bind_all
from .logs import Logger, make_logger
from .services import Service
from .worker import Build, Surroundings, Worker

ROUNDS = 10
"""Python 3.11 makes a function faster when it has been called eight times."""

PATIENCE = 5.0
"""Seconds for all of it, which takes a tenth of one."""

IN_MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory: a slow disk would make the start wait for some hundred writes."""

DOMAIN = "rehearsal.invalid"
USER = f"guest@{DOMAIN}"
PASSWORD = "rehearsal"

Script = Sequence[tuple[str, str]]
"""What a client says, and what the line begins with that ends the answer."""


class Unexpected(Refusal):
    """The server said something else than it should have."""

    code = "REHEARSAL"


def rehearse(build: Build, clock: Clock, random: Random, log: Logger) -> None:
    """Serve some visits of our own. To be called where no thread and no event loop runs. Some 80 ms."""
    where = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    try:
        with (
            throwaway(where, random) as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_perform(folder, build, clock, random))
    except (OSError, Refusal) as error:  # a timeout is an OSError
        log.info("no rehearsal, the first visits take longer", reason=str(error) or type(error).__name__)


async def _perform(folder: Path, build: Build, clock: Clock, random: Random) -> None:
    """Raises OSError, TimeoutError too, and Refusal."""
    config = msgspec.convert({"auth": {"argon2_memory": 1 << 20, "argon2_time": 1}}, Config)
    data = make_data(folder / "data")
    around = Surroundings(
        config=config,
        data=data,
        run=run_directory(data),
        clock=clock,
        random=random,
        log=make_logger(config.log.level, config.log.format, clock, io.StringIO()),
        keeper=None,
    )
    sockets = {service: folder / service.value for service in (Service.LMTP, Service.IMAP, Service.POP3)}
    worker = Worker(around, build)
    try:
        assert worker.assembly.engine is not None
        uidvalidity = await _account(worker.assembly.engine, config, clock, random)
        await worker.start(bind_all((service, UnixAddress(str(path))) for service, path in sockets.items()))
        async with asyncio.timeout(PATIENCE):
            for number in range(1, ROUNDS + 1):
                await _play(sockets[Service.LMTP], _delivery(number))
                await _play(sockets[Service.IMAP], _visit(number, uidvalidity))
                await _play(sockets[Service.POP3], _fetch())
    finally:
        await worker.stop(0.0)


async def _account(engine: Engine, config: Config, clock: Clock, random: Random) -> int:
    """Make the account; its INBOX's UIDVALIDITY."""
    admin = Admin(engine, config, clock, random)
    await admin.add_domain(DOMAIN)
    account = await admin.add_account(USER, PASSWORD)
    inbox = await engine.account(account.id).mailbox(INBOX)
    assert inbox is not None
    return inbox.uidvalidity


async def _play(path: Path, script: Script) -> None:
    """One connection. Raises Unexpected."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        for said, answered in script:
            writer.write(said.encode("ascii"))
            while not (line := (await reader.readline()).decode("ascii", "replace")).startswith(answered):
                if not line or line.startswith(("a ", "-ERR")) or (answered[0].isdecimal() and line[0] in "45"):
                    raise Unexpected(f"{said.strip()}: {line.strip() or 'closed'}")
    finally:
        writer.close()
        await writer.wait_closed()


def _message(number: int) -> str:
    """A reply in two parts, of the thread that all of them are."""
    return (
        f"From: Ann Example <ann{number}@{DOMAIN}>\r\nTo: Guest <{USER}>, =?utf-8?q?Z=C3=B6e?= <zoe@{DOMAIN}>\r\n"
        f"Subject: Re: =?utf-8?b?w4RwZmVs?= {number}\r\nDate: Mon, 2 Jan 2023 10:00:{number:02} +0100\r\n"
        f"Message-ID: <{number}@{DOMAIN}>\r\nReferences: <0@{DOMAIN}> <{number - 1}@{DOMAIN}>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        f"=C3=84pfel, {number}\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{number}</p>\r\n--b--\r\n"
    )


def _delivery(number: int) -> Script:
    return (
        ("", "220 "),
        (f"LHLO {DOMAIN}\r\n", "250 "),
        (f"MAIL FROM:<ann@{DOMAIN}>\r\n", "250 "),
        (f"RCPT TO:<{USER}>\r\n", "250 "),
        ("DATA\r\n", "354 "),
        (f"{_message(number)}.\r\n", "250 "),
        ("QUIT\r\n", "221 "),
    )


def _visit(number: int, uidvalidity: int) -> Script:
    """What mail applications ask for, those that compare and those that resynchronise."""
    message, name = _message(-number), f"Round{number}"
    return (
        ("", "* OK"),
        ("a CAPABILITY\r\n", "a OK"),
        (f"a LOGIN {USER} {PASSWORD}\r\n", "a OK"),
        ('a LIST "" *\r\n', "a OK"),
        ("a STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\r\n", "a OK"),
        ("a SELECT INBOX\r\n", "a OK"),
        (f"a APPEND INBOX (\\Seen) {{{len(message)}}}\r\n", "+ "),
        (f"{message}\r\n", "a OK"),
        ("a NOOP\r\n", "a OK"),
        ("a FETCH 1:* (FLAGS)\r\n", "a OK"),
        ("a UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)\r\n", "a OK"),
        ("a FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID REFERENCES)])\r\n", "a OK"),
        ("a UID FETCH * (BODY[])\r\n", "a OK"),
        (f"a STORE 1:* {'+-'[number % 2]}FLAGS (\\Flagged)\r\n", "a OK"),
        ("a UID SEARCH UNSEEN\r\n", "a OK"),
        (f"a CREATE {name}\r\n", "a OK"),
        (f"a COPY * {name}\r\n", "a OK"),
        (f"a MOVE * {name}\r\n", "a OK"),
        ("a ENABLE QRESYNC\r\n", "a OK"),
        (f"a SELECT {name}\r\n", "a OK"),
        ("a STORE * +FLAGS.SILENT (\\Deleted)\r\n", "a OK"),
        ("a EXPUNGE\r\n", "a OK"),
        (f"a SELECT INBOX (QRESYNC ({uidvalidity} 1))\r\n", "a OK"),
        ("a IDLE\r\n", "+ "),
        ("DONE\r\n", "a OK"),
        ("a LOGOUT\r\n", "a OK"),
    )


def _fetch() -> Script:
    return (
        ("", "+OK"),
        (f"USER {USER}\r\n", "+OK"),
        (f"PASS {PASSWORD}\r\n", "+OK"),
        ("STAT\r\n", "+OK"),
        ("UIDL\r\n", "."),
        ("LIST\r\n", "."),
        ("RETR 1\r\n", "."),
        ("QUIT\r\n", "+OK"),
    )
