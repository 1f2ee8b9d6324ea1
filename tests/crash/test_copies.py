"""One message for three accounts, and everything that can go wrong between their commits.

The directory and each account are files of their own. Whatever call of SQLite's to the disk fails, and at whatever
one the process is killed, the sender's next try, by another process, leaves each account with the message once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import apsw
import pytest

from restante.accounts.admin import Admin
from restante.clock import ManualClock, system_random
from restante.config.model import AccountsTable, Config, DeliveryTable
from restante.delivery import DeliveryRefusal, StoreDelivery, Trace
from restante.store.model import Column
from restante.store.sqlite import deliveries
from restante.store.sqlite.engine import SqliteEngine

from .forks import Forks
from .test_faults import ALL, FAULTS, counted, findings
from .vfs import Call, FaultyDisk, Shelf, faulty_disk

STRIDES = {Call.READ: 4, Call.WRITE: 2, Call.SYNC: 1}
"""Of how many calls of a kind one is made to fail."""

INFO, NAMES = "info@copies.example", ("ann", "bob", "cy")
MESSAGE = b"Subject: for all of us\r\nMessage-ID: <1@copies.example>\r\n\r\n" + b"line\r\n" * 200
TRACE = Trace("mx.example", "192.0.2.1", "LMTP", "c1", "here.example")


def engine_on(data: Path) -> SqliteEngine:
    return SqliteEngine(data, ManualClock(), system_random, reserve=0)


async def deliver(engine: SqliteEngine) -> DeliveryRefusal | None:
    """One try of the sender's. The refusal must be temporary: else the sender would give up."""
    delivery = StoreDelivery(engine, DeliveryTable(), AccountsTable(), clock=engine.clock)
    result: DeliveryRefusal | None
    try:
        targets = await delivery.resolve(INFO, len(MESSAGE))
    except DeliveryRefusal as refusal:
        result = refusal
    else:
        assert len(targets) == len(NAMES)
        [result] = await delivery.deliver("a@mx.example", [(INFO, targets)], MESSAGE, TRACE)
    assert result is None or result.temporary, result
    return result


async def try_once(data: Path) -> bool:
    """A try by a process that knows nothing of those before it; whether all was filed."""
    engine = engine_on(data)
    try:
        return await deliver(engine) is None
    finally:
        await engine.close()


async def counts(data: Path, *, settled: bool = True) -> list[int]:
    """Messages in each INBOX, all of them whole. settled: nothing may be left in the journal."""
    engine = engine_on(data)
    found = []
    for name in NAMES:
        account = await engine.directory.account(f"{name}@copies.example")
        assert account is not None
        store = engine.account(account.id)
        inbox = await store.mailbox("INBOX")
        assert inbox is not None
        rows = await store.rows(inbox.key, ALL, (Column.CONTENT,), 100)
        for octets in await store.read_contents([int(str(row[1])) for row in rows]):
            assert octets.endswith(MESSAGE)
        found.append(len(rows))
    assert not (settled and await engine.directory.deliveries.any_to(INFO))
    await engine.close()
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"

    async def make() -> None:
        engine = engine_on(data)
        admin = Admin(engine, Config(), ManualClock(), system_random)
        await admin.add_domain("copies.example")
        for name in NAMES:
            await admin.add_account(f"{name}@copies.example", mailboxes=False)
        await admin.put_alias(INFO, [f"{name}@copies.example" for name in NAMES])
        await engine.close()

    asyncio.run(make())
    return data


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    with faulty_disk() as found:
        yield found


@pytest.mark.parametrize(("call", "error"), FAULTS)
def test_a_fault_anywhere_and_the_next_try_by_another_process_gives_each_account_one(
    data: Path, tmp_path: Path, disk: FaultyDisk, call: Call, error: type[apsw.Error]
) -> None:
    async def faulty(n: int) -> tuple[bool, bool]:
        engine = engine_on(data)
        await engine.directory.domains()  # opened: what fails is the delivery
        disk.arm(call, n, error)
        filed = await deliver(engine) is None
        disk.heal()
        await engine.close()
        return filed, disk.hit

    refused = 0
    for n in islice(counted(Shelf(data, tmp_path / "kept")), 0, None, STRIDES[call]):
        filed, hit = asyncio.run(faulty(n))
        if not filed:
            refused += 1
            assert asyncio.run(try_once(data))
        assert asyncio.run(counts(data)) == [1, 1, 1], f"{call.value} {n}"
        if not hit:
            break
    assert refused > 5, "too little was made to fail"
    assert asyncio.run(try_once(data))
    assert asyncio.run(counts(data)) == [2, 2, 2], "sent again, it is a message of its own"
    asyncio.run(all_is_whole(data))


async def all_is_whole(data: Path) -> None:
    engine = engine_on(data)
    for account in await engine.directory.accounts():
        assert await findings(engine.account(account.id)) == []
    await engine.close()


KILLED = """
import asyncio, os, signal
from pathlib import Path
from tests.crash import test_copies
from tests.crash.vfs import Call, FaultyDisk

class Killing(FaultyDisk):
    def tick(self, call):
        if call is self._call:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

async def deliver(data, call, n):
    disk = Killing()
    engine = test_copies.engine_on(Path(data))
    await engine.directory.domains()
    disk.arm(Call(call), int(n))
    result = await test_copies.deliver(engine)
    print("filed" if result is None else "refused", flush=True)
    disk.heal()
    await engine.close()

def main(data, call, n):
    asyncio.run(deliver(data, call, n))
"""


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks(KILLED) as found:
        yield found


def killed(forks: Forks, data: Path, call: Call, n: int) -> tuple[bool, str]:
    """A delivery by a process that is killed at its nth such call; whether it came to that, and what it had said."""
    child = forks.start(str(data), call.value, str(n))
    said, errors = child.out.read(), child.errors.read()
    status = child.wait()
    assert status in (0, -signal.SIGKILL), errors
    return status != 0, said


@pytest.mark.crash
@pytest.mark.parametrize(("call", "stride"), [(Call.SYNC, 1), (Call.WRITE, 13)])
def test_kill_anywhere_and_the_next_try_gives_each_account_one(
    data: Path, tmp_path: Path, forks: Forks, call: Call, stride: int
) -> None:
    shelf = Shelf(data, tmp_path / "kept")
    found: set[tuple[int, ...]] = set()
    unanswered = 0
    for n in range(1, 500, stride):
        shelf.put_back()
        came_to_it, said = killed(forks, data, call, n)
        if not came_to_it:
            assert said == "filed\n"
            break
        there = tuple(asyncio.run(counts(data, settled=False)))
        found.add(there)
        if there != (1, 1, 1) or asyncio.run(under_way(data)):
            assert asyncio.run(try_once(data)), f"{call.value} {n}"
        elif not said:
            unanswered += 1  # killed behind the last commit, before its answer: nobody can tell (RFC 1047)
        assert asyncio.run(counts(data)) == [1, 1, 1], f"{call.value} {n}"
    assert (0, 0, 0) in found
    assert any(0 < sum(there) < 3 for there in found), "it was not killed between the commits"
    assert unanswered <= 1
    asyncio.run(all_is_whole(data))


async def under_way(data: Path) -> bool:
    """Whether the journal has a delivery that did not end."""
    engine = engine_on(data)
    found = await engine.directory.deliveries.any_to(INFO)
    await engine.close()
    return found


HALF = """
import asyncio, sys
from pathlib import Path
from restante.store.sqlite.account import SqliteStore
from tests.crash import test_copies

real = SqliteStore.append_once
called = []
first, go_on = asyncio.Event(), asyncio.Event()

async def append_once(self, name, message):
    called.append(self)
    mine = len(called)
    if mine > 1:
        await first.wait()
    if mine == 2:
        print("half", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        go_on.set()
    if mine > 2:
        await go_on.wait()
    result = await real(self, name, message)
    first.set()
    return result

SqliteStore.append_once = append_once
print(asyncio.run(test_copies.try_once(Path(sys.argv[1]))))
"""


@pytest.mark.crash
@pytest.mark.parametrize("killed", [True, False])
def test_two_processes_at_once_do_not_double(data: Path, killed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "WAIT", 0.5)  # what is waited for does not come
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", HALF, str(data)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        assert asyncio.run(counts(data, settled=False)) == [1, 0, 0]
        assert not asyncio.run(try_once(data)), "the same message is being filed: come back later"
        assert asyncio.run(counts(data, settled=False)) == [1, 0, 0]
        if killed:
            process.kill()
        else:
            said, _ = process.communicate("go on\n", timeout=60)
            assert said == "True\n"
    if killed:
        assert asyncio.run(try_once(data))
    assert asyncio.run(counts(data)) == [1, 1, 1]


def test_tries_at_once_in_one_process_file_as_often_as_they_answer(data: Path) -> None:
    async def work() -> int:
        engine = engine_on(data)
        results = await asyncio.gather(*(deliver(engine) for _ in range(6)))
        await engine.close()
        return results.count(None)

    filed = asyncio.run(work())
    assert filed == 6, "one waits for the other"
    assert asyncio.run(counts(data)) == [6, 6, 6]


@pytest.mark.crash
def test_retries_of_a_half_done_one_at_once_by_two_processes_file_as_often_as_they_answer(
    data: Path, tmp_path: Path, forks: Forks
) -> None:
    for n in islice(counted(Shelf(data, tmp_path / "kept")), 2, None):
        killed(forks, data, Call.SYNC, n)
        if 0 < sum(asyncio.run(counts(data, settled=False))) < 3:
            break
    program = "import asyncio, sys\nfrom pathlib import Path\nfrom tests.crash import test_copies\n"
    program += "sys.stdin.readline()\nprint(asyncio.run(test_copies.try_once(Path(sys.argv[1]))))"
    root = Path(__file__).parents[2]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(data)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    filed = sum(process.communicate(timeout=60)[0] == "True\n" for process in processes)
    assert filed >= 1
    assert asyncio.run(counts(data)) == [filed] * 3
