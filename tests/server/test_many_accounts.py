"""What many accounts cost while they are idle: no open files, no memory that grows with their number.

The accounts are copies of one made file, so that thousands are made in a second.
"""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from restante.clock import SystemClock, system_random
from restante.imap.session.session import ImapSession
from restante.server.channel import Channel
from restante.store.model import Column
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.hints import POLL
from restante.testing.server import RestanteServer
from tests.engines.making import fill, inbox

from .support import PATIENCE, Client, eventually

ACCOUNTS = 2_000
HANDLES = 32
FEW = 200


def names() -> list[str]:
    return [f"acc{number:05}" for number in range(ACCOUNTS)]


async def make(data: Path) -> None:
    """One account with mail, and copies of its file."""
    engine = SqliteEngine(data, SystemClock(), system_random, reserve=0)
    first, *others = names()
    await engine.create_account(first)
    store = engine.account(first)
    await fill(store, await inbox(store), 20)
    await engine.close()
    original = engine.path(first)
    for name in others:
        engine.path(name).parent.mkdir(parents=True, exist_ok=True)
        os.link(original, engine.path(name))  # read only from here on: one file under all names will do


def resident() -> int:
    """Octets of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def touch(engine: SqliteEngine, some: list[str]) -> None:
    """What a session does in an account: mailboxes, a snapshot, rows, one message."""
    for name in some:
        store = engine.account(name)
        box = (await store.mailboxes())[0]
        snapshot = await store.snapshot(box.key)
        rows = await store.rows(box.key, ((1, 2**32 - 1),), (Column.FLAGS, Column.CONTENT), 1 << 20)
        assert len(rows) == len(snapshot.uids) == 20
        content = rows[0][-1]
        assert isinstance(content, int)
        await store.read_content(content)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count of names is wanted


async def kept(data: Path) -> int:
    """Growth of memory over a time in which hundreds of accounts were open at once, now that none is."""
    engine = SqliteEngine(data, SystemClock(), system_random, reserve=0, handles=ACCOUNTS)
    everybody = names()
    await touch(engine, everybody[:FEW])
    await asyncio.to_thread(engine.handles.sweep, everything=True)
    before = resident()
    await touch(engine, everybody[FEW : 4 * FEW])
    assert len(engine.handles) == 3 * FEW
    await asyncio.to_thread(engine.handles.sweep, everything=True)
    grown = resident() - before
    await engine.close()
    return grown


async def measure(data: Path) -> tuple[int, int, int]:
    """Growth of memory from few to many accounts touched, most files open more than at first, handles at the end."""
    engine = SqliteEngine(data, SystemClock(), system_random, reserve=0, handles=HANDLES)
    everybody = names()
    files = open_files()
    await touch(engine, everybody[:FEW])
    before = resident()
    await touch(engine, everybody[FEW:])
    grown = resident() - before
    assert len(engine.handles) <= HANDLES
    most = open_files() - files
    await asyncio.to_thread(engine.handles.sweep, everything=True)
    left = len(engine.handles)
    await engine.close()
    return grown, most, left


def alone(what: str, data: Path) -> list[int]:
    """A measurement in a process of its own: what other tests left in this one would hide growth, or seem to be it."""
    code = (
        "import asyncio, sys; from pathlib import Path; from tests.server import test_many_accounts as here\n"
        "found = asyncio.run(getattr(here, sys.argv[1])(Path(sys.argv[2])))\n"
        "print(*found if isinstance(found, tuple) else (found,))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, what, str(data)], capture_output=True, text=True, timeout=240, check=True
    )
    return [int(number) for number in done.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux" or not platform.libc_ver()[0], reason="glibc's malloc keeps freed pages")
def test_memory_of_closed_accounts_goes_back_to_the_system(tmp_path: Path) -> None:
    """A morning's logins do not make the process large for good: 600 open accounts took 110 MB."""
    asyncio.run(make(tmp_path))
    (grown,) = alone("kept", tmp_path)
    assert grown < 8 << 20


def test_memory_and_open_files_do_not_grow_with_the_accounts_touched(tmp_path: Path) -> None:
    asyncio.run(make(tmp_path))
    grown, most, left = alone("measure", tmp_path)
    assert left == 0
    assert most <= HANDLES * 4 + 16  # a handle: a reader, perhaps a writer, the log and its index
    # 1,800 accounts more: 4 MB would be 2 kB each, less than one open database by a hundred times.
    assert grown < 4 << 20


def test_an_idle_connection_holds_no_database_handle(tmp_path: Path) -> None:
    with RestanteServer(tmp_path) as server:
        clients = []
        for number in range(8):
            address = f"u{number}@example.com"
            server.add_account(address, "words")
            client = Client(socket.create_connection((server.host, server.imap), PATIENCE))
            clients.append(client)
            client.line()
            for command in (f"a LOGIN {address} words", "b SELECT INBOX"):
                client.send(command.encode() + b"\r\n")
                while not (line := client.line()).startswith(command[:1].encode()):
                    pass
                assert b" OK" in line
            assert client.ask(b"c IDLE").startswith(b"+")
        assert _later(server) == 8
        # The look for idle handles comes by the machine's time, each five seconds; what is idle is told by the clock.
        # Closing writes the log back, which the look for changes takes for one: it opens the file once more.
        eventually(lambda: _later(server) == 0, "handles closed")
        closed = time.monotonic()
        eventually(lambda: time.monotonic() > closed + 2 * POLL and _later(server) == 0, "handles staying closed")
        for number, client in enumerate(clients):
            server.put(f"u{number}@example.com", b"Subject: hello\r\n\r\nHello\r\n")
            assert client.line() == b"* 1 EXISTS"


def _later(server: RestanteServer) -> int:
    """Open handles, and the clock moved on."""
    engine = server.engine
    assert isinstance(engine, SqliteEngine)
    server.clock.advance(5)
    return len(engine.handles)


def test_nothing_of_a_session_waits_for_the_garbage_collector(tmp_path: Path) -> None:
    """Who comes and goes leaves nothing that knows itself: to look for it took longer than to greet him."""

    def there() -> int:
        return sum(isinstance(one, (Channel, ImapSession)) for one in gc.get_objects())

    def visit(end: bytes, before: int | None = None) -> None:
        client = Client(socket.create_connection((server.host, server.imap), PATIENCE))
        client.line()
        client.send(b"a LOGIN ann@example.com words\r\nb SELECT INBOX\r\nc STORE 1 FLAGS ()\r\n")
        while not client.line().startswith(b"c "):
            pass
        assert before is None or there() == before + 2
        client.send(end)
        client.close()
        eventually(lambda: not server.connections, "session ended")

    with RestanteServer(tmp_path) as server:
        server.add_account("ann@example.com", "words")
        gc.collect()
        gc.disable()
        try:
            for _ in range(2):  # timers of the process that a session was the first to need keep that one's connection
                visit(b"d LOGOUT\r\n")
            gc.collect()
            before = there()
            for end in (b"d LOGOUT\r\n", b""):
                visit(end, before)
                eventually(lambda: there() <= before, "all gone")
        finally:
            gc.enable()
