"""directory.db itself: its rights, its versions, and what a file that is not ours meets."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import apsw
import pytest

from restante.clock import ManualClock
from restante.store.directory import Account, AccountSettings, Alias, Closures, Credential, Domain, Scram
from restante.store.errors import Busy, Damaged, DiskFull, NewerSchema, StoreFailed
from restante.store.journal import Begun
from restante.store.sqlite import directory as directory_module
from restante.store.sqlite import directory_closures, directory_credentials, directory_schema
from restante.store.sqlite.directory import SqliteDirectory
from restante.store.sqlite.directory_schema import APPLICATION_ID, MIGRATIONS, NO_ROOM, connect, make_file, prepare


def opened(path: Path, clock: ManualClock | None = None) -> SqliteDirectory:
    return SqliteDirectory(path, clock or ManualClock(), os.urandom)


def make(path: Path) -> None:
    async def main() -> None:
        directory = opened(path)
        await directory.add_domain(Domain("example.org", created=1))
        await directory.close()

    asyncio.run(main())


def test_the_file_and_its_folder_are_for_their_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "directory.db"
    make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "directory.db"
    make(path)
    apsw.Connection(str(path)).pragma("user_version", 99)
    with pytest.raises(NewerSchema, match=r"version 99.*Install the newer Restante"):
        opened(path)
    assert apsw.Connection(str(path)).pragma("user_version") == 99


@pytest.mark.parametrize("sql", ["PRAGMA application_id = 7", "CREATE TABLE notes (text)", "PRAGMA user_version = 1"])
def test_a_strangers_database_is_refused(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "directory.db"
    apsw.Connection(str(path)).execute(sql)
    with pytest.raises(Damaged):
        opened(path)


def test_a_file_of_rubbish_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "directory.db"
    path.write_bytes(b"rubbish " * 1000)
    with pytest.raises(Damaged):
        opened(path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed):
        opened(tmp_path / "file" / "directory.db")


def test_migrations_go_on_from_where_a_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "directory.db"
    make(path)
    later = [*MIGRATIONS, "CREATE TABLE later (a INTEGER) STRICT", "INSERT INTO later VALUES (3)"]
    connection = connect(path, 1000)
    prepare(connection, later)
    prepare(connection, later)  # nothing is done twice
    assert connection.execute("SELECT a FROM later").fetchall() == [(3,)]
    assert connection.pragma("user_version") == len(later)
    assert connection.execute("SELECT name FROM domain").get == "example.org"


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "directory.db"
    make(path)
    connection = connect(path, 1000)
    with pytest.raises(apsw.SQLError):
        prepare(connection, [*MIGRATIONS, "CREATE TABLE later (a INTEGER) STRICT", "NONSENSE"])
    assert connection.pragma("user_version") == len(MIGRATIONS)
    assert not connection.in_transaction
    make_again = opened(path)
    asyncio.run(make_again.close())


def test_many_processes_may_make_the_file_at_once(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, sys\nfrom pathlib import Path\nfrom restante.clock import SystemClock\n"
        "from restante.store.sqlite.directory import SqliteDirectory\n"
        "asyncio.run(SqliteDirectory(Path(sys.argv[1]), SystemClock(), os.urandom).close())\n"
    )
    path = tmp_path / "directory.db"
    started = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(4)]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]


@pytest.mark.parametrize("at", range(1, 5))
def test_a_file_that_another_process_makes_meanwhile_is_ours(tmp_path: Path, at: int) -> None:
    path = tmp_path / "directory.db"
    make_file(path)
    ours, others = connect(path, 1000), connect(path, 1000)
    statements = 0

    def before(_: object, sql: str, values: object) -> bool:
        nonlocal statements
        statements += 1
        if statements == at and not ours.in_transaction:
            prepare(others)
        return True

    ours.exec_trace = before
    prepare(ours)
    assert ours.pragma("application_id") == others.pragma("application_id") == APPLICATION_ID


def test_who_makes_the_file_at_the_same_instant_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite does not, when a file becomes one with a log: a first start failed where its processes met there."""
    path = tmp_path / "directory.db"
    make_file(path)
    ours, others = connect(path, 1000), connect(path, 1000)
    others.execute("BEGIN IMMEDIATE")
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            others.execute("COMMIT")

    monkeypatch.setattr(time, "sleep", wait)
    prepare(ours)
    assert len(waits) == 3
    assert ours.pragma("user_version") == len(MIGRATIONS)
    assert ours.pragma("journal_mode") == "wal"


def test_who_takes_too_long_for_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "directory.db"
    make_file(path)
    others = connect(path, 1000)
    others.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(directory_schema, "PREPARING", 0.01)
    with pytest.raises(Busy):
        opened(path)
    others.execute("COMMIT")
    asyncio.run(opened(path).close())


def test_a_lock_held_too_long_is_busy_and_the_next_try_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_module, "WRITE_WAIT", 50)
    path = tmp_path / "directory.db"

    async def main() -> None:
        directory = opened(path)
        holder = connect(path, 0)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            await directory.add_domain(Domain("example.org"))
        assert await directory.domains() == []  # readers never wait for a writer
        holder.execute("ROLLBACK")
        await directory.add_domain(Domain("example.org"))
        await directory.close()

    asyncio.run(main())


def test_the_login_query_scans_and_sorts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "directory.db"
    make(path)
    connection = connect(path, 1000)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {directory_credentials.LOGIN}", ("x",))]
    assert all(step.startswith("SEARCH") for step in plan), plan


def test_last_uses_are_written_at_most_once_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "directory.db"
    clock = ManualClock()

    async def last_used(reader: apsw.Connection) -> int | None:
        return reader.execute("SELECT last_used FROM credential").get  # type: ignore[no-any-return]  # one column

    async def main() -> None:
        directory = opened(path, clock)
        await directory.add_domain(Domain("example.org"))
        await directory.add_account(
            Account("a", "a@example.org", "example.org", True, None, AccountSettings(), False, 1, 1)
        )
        await directory.put_credential("a", Credential(0, "password", "", "h"))
        reader = connect(path, 1000)
        touches = directory._touches
        await directory.touch_credential("a", 1, 10)
        async with asyncio.timeout(10):
            while touches._timer or touches._task:
                await (touches._task or asyncio.sleep(0))
        assert await last_used(reader) == 10
        await directory.touch_credential("a", 1, 20)
        assert touches._timer is not None
        assert 50 < touches._timer.when() - asyncio.get_running_loop().time() <= 60
        assert await last_used(reader) == 10
        await directory.close()
        assert await last_used(reader) == 20

    asyncio.run(main())


def test_a_last_use_that_cannot_be_written_does_not_fail_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk a server that was told to stop ended with a traceback in each worker."""

    async def full(_change: object) -> None:
        raise DiskFull(*NO_ROOM)

    async def main() -> None:
        directory = opened(tmp_path / "directory.db")
        monkeypatch.setattr(directory._touches, "_write", full)
        await directory.touch_credential("a", 1, 10)
        await directory.close()

    asyncio.run(main())


def test_the_log_of_duplicates_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_module, "DUPLICATES_KEPT", 3)

    async def main() -> None:
        directory = opened(tmp_path / "directory.db")
        for i in range(6):
            await directory.log_duplicate("a", b"d" * 32, i, f"m{i}")
        assert [when for _, when, _ in await directory.duplicates()] == [5, 4, 3]
        await directory.close()

    asyncio.run(main())


def test_the_log_of_closures_is_bounded_and_says_when_it_is_too_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_closures, "KEPT", 3)

    async def main() -> None:
        directory, other = opened(tmp_path / "directory.db"), opened(tmp_path / "directory.db")
        await directory.add_domain(Domain("example.org"))
        for name in "abcdef":
            await directory.add_account(account(name))
        assert await other.closures(None) == Closures(0, ())
        await directory.update_account("a", enabled=False)
        await directory.update_account("a", enabled=False)  # it was already
        await directory.update_account("a", enabled=True)
        await directory.remove_account("b")
        assert await other.closures(0) == Closures(2, ("a", "b"))
        assert await other.closures(1) == Closures(2, ("b",))
        assert await other.closures(2) == Closures(2, ())
        for name in "cdef":
            await directory.remove_account(name)
        assert await other.closures(2) == Closures(6, None)
        assert await other.closures(3) == Closures(6, ("d", "e", "f"))
        assert await other.closures(None) == Closures(6, ())
        await directory.close()
        await other.close()

    asyncio.run(main())


def account(id: str) -> Account:
    return Account(id, f"{id}@example.org", "example.org", True, None, AccountSettings(), False, 1, 1)


OLD_FILES = sorted((Path(__file__).parent / "old").glob("directory-*.sql"))


def test_there_is_an_old_file_of_every_version() -> None:
    assert [int(file.stem.partition("-")[2]) for file in OLD_FILES] == list(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("file", OLD_FILES, ids=lambda file: file.stem)
def test_old_files_are_brought_forward_with_all_they_hold(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "directory.db"
    old = apsw.Connection(str(path))
    old.execute(file.read_text())
    old.close()

    async def main() -> None:
        directory = opened(path)
        login = await directory.login("ann@example.org")
        assert login is not None
        assert login.account == Account(
            "aaaa", "Ann@example.org", "example.org", True, 500, AccountSettings("trash", 3, False, True), False, 12, 3
        )
        first, second = login.credentials
        assert (first.kind, first.scram, first.last_used) == ("password", Scram(b"s" * 32, b"k" * 32), 14)
        assert (second.label, second.protocols, second.scram) == ("phone", frozenset({"imap", "pop3"}), None)
        assert (login.salt, login.iterations) == (b"saltsaltsaltsalt", 4096)
        assert await directory.domains() == [Domain("example.org", "ann@example.org", True, 11)]
        assert await directory.aliases() == [Alias("Team@example.org", ("ann@example.org",), 16)]
        assert await directory.secret("scram-salt") == bytes(range(32))
        assert await directory.duplicates() == [("aaaa", 17, "mxyz")]
        begun = await directory.deliveries.find(b"d" * 32, "info@example.org")
        assert begun == (Begun(bytes(range(16)), frozenset({"aaaa.0"})) if "-2" in file.stem else None)
        assert await directory.shares_of("aaaa") == (["anyone"] if "-2" in file.stem else [])
        assert await directory.claim_mailbox_id("b" + "q" * 26, "aaaa", "elsewhere")
        kept = [None, 99 if "-2" in file.stem else None]
        assert [each.expires for each in login.credentials] == kept
        assert (await directory.closures(0)).number == ("-2" in file.stem)
        await directory.put_credential("aaaa", Credential(0, "app", "new", "h", expires=77))
        again = await directory.login("ann@example.org")
        assert again is not None
        assert [each.expires for each in again.credentials] == [*kept, 77]
        await directory.close()

    asyncio.run(main())
    assert apsw.Connection(str(path)).pragma("user_version") == len(MIGRATIONS)
