"""Accounts and passwords when the disk fails: refused whole, and the next try works.

As `test_faults`, for what lies in the directory, and for what spans it and an account's file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from restante.accounts.admin import Admin
from restante.clock import ManualClock, system_random
from restante.config.model import Config
from restante.errors import Refusal
from restante.store.sqlite.engine import SqliteEngine

from .test_faults import FAULTS, counted
from .vfs import Call, FaultyDisk, Shelf, faulty_disk

CONFIG = msgspec.convert(
    {"auth": {"argon2_memory": 1 << 16, "argon2_time": 1}, "accounts": {"mailboxes": {"Trash": "\\Trash"}}}, Config
)
ANN, BOB = "ann@fault.example", "bob@fault.example"

Act = Callable[[Admin], Awaitable[object]]
ACTS: dict[str, Act] = {
    "add-domain": lambda admin: admin.add_domain("new.example"),
    "add-account": lambda admin: admin.add_account(BOB, "secret"),
    "set-password": lambda admin: admin.set_password(ANN, "another"),
    "app-password": lambda admin: admin.add_app_password(ANN, "phone"),
    "disable": lambda admin: admin.disable(ANN),
    "alias": lambda admin: admin.put_alias("all@fault.example", [ANN]),
    "remove-account": lambda admin: admin.remove_account(ANN),
}


async def state(engine: SqliteEngine, admin: Admin) -> list[object]:
    """What an operator can see; ids and hashes, drawn at random, left out."""
    found: list[object] = [[domain.name for domain in await admin.domains()]]
    for account in await admin.accounts():
        login = await engine.directory.login(account.address)
        assert login is not None
        kinds = [(credential.kind, credential.label) for credential in login.credentials]
        names = [box.name for box in await engine.account(account.id).mailboxes()]
        found.append((account.address, account.enabled, account.credential_version, kinds, names))
    found.append([(alias.address, alias.targets) for alias in await admin.aliases()])
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"

    async def make() -> None:
        engine = SqliteEngine(data, ManualClock(), system_random, reserve=0)
        admin = Admin(engine, CONFIG, ManualClock(), system_random)
        await admin.add_domain("fault.example")
        await admin.add_account(ANN, "secret")
        await engine.close()

    asyncio.run(make())
    return data


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    with faulty_disk() as found:
        yield found


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("call", "error"), FAULTS)
@pytest.mark.parametrize("name", list(ACTS))
def test_a_fault_refuses_the_change_whole_and_the_next_try_works(
    data: Path, tmp_path: Path, disk: FaultyDisk, name: str, call: Call, error: type[apsw.Error]
) -> None:
    shelf, act = Shelf(data, tmp_path / "kept"), ACTS[name]

    async def attempt(n: int) -> bool:
        engine = SqliteEngine(data, ManualClock(), system_random, reserve=0)
        admin = Admin(engine, CONFIG, ManualClock(), system_random)
        before = await state(engine, admin)
        disk.arm(call, n, error)
        try:
            await act(admin)
            refused = False
        except Refusal:
            refused = True
        disk.heal()
        hit = disk.hit
        now = await state(engine, admin)
        if refused and now == before:  # else all commits had been made (see vfs)
            await act(admin)
        after = await state(engine, admin)
        assert after != before
        finished.append(after)
        assert after == finished[0], f"half done at {call.value} {n}"
        await engine.close()
        files = {path.name for path in (data / "accounts").rglob("*.db")}
        assert len(files) == len(after) - 2, "a file without an account is left"
        return hit

    finished: list[list[object]] = []
    asyncio.run(clean(data, act, finished))
    for n in counted(shelf):
        if not asyncio.run(attempt(n)):
            break
    assert n > 1 or call is Call.READ


async def clean(data: Path, act: Act, finished: list[list[object]]) -> None:
    """How it stands where nothing fails."""
    engine = SqliteEngine(data, ManualClock(), system_random, reserve=0)
    admin = Admin(engine, CONFIG, ManualClock(), system_random)
    await act(admin)
    finished.append(await state(engine, admin))
    await engine.close()
