"""Files of every released version open and are whole; newer and foreign ones are refused."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import apsw
import pytest

from restante.store.errors import Damaged, NewerSchema
from restante.store.interface import Engine, Store
from restante.store.model import Column
from restante.store.sqlite import migrate
from restante.store.sqlite.schema import APPLICATION_ID, TABLES, VERSION
from tests.engines.making import ACCOUNT, ALL, Installation, inbox, new

STORED = sorted(Path(__file__).parent.glob("version_*.sql"))


def put_file(data: Path, sql: str) -> Path:
    path = data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"
    path.parent.mkdir(parents=True)
    db = apsw.Connection(str(path))
    db.execute("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")
    db.execute(sql)
    db.close()
    return path


def schema(db: apsw.Connection) -> set[tuple[object, ...]]:
    """What there is, without comments, quotes and white space: ALTER TABLE leaves its own."""
    found = db.execute("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'").fetchall()
    return {(kind, name, re.sub(r"--[^\n]*|[\s\"]", "", str(sql or ""))) for kind, name, sql in found}


def test_every_released_version_is_stored() -> None:
    assert [path.stem for path in STORED] == [f"version_{n}" for n in range(1, VERSION + 1)]
    assert len(migrate.MIGRATIONS) == VERSION - 1


@pytest.mark.parametrize("stored", STORED, ids=lambda path: path.stem)
def test_an_old_file_becomes_the_newest(tmp_path: Path, stored: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    path = put_file(installation.data, stored.read_text(encoding="utf-8"))

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        assert list((await store.snapshot(box)).uids.uids) == [1, 3, 4, 5]
        rows = await store.rows(box, ALL, [Column.CONTENT, Column.EMAIL_ID], 9)
        key = rows[2][1]
        assert isinstance(key, int)
        assert await store.read_content(key) == b"line\r\n" * 200
        assert rows[2][2] == rows[3][2]
        assert await store.keywords() == ["$Work"]
        assert len(await store.recoverable()) == 1
        (uid,) = (await store.append(box, [await new(store)])).uids
        assert uid > 1 << 20  # the file is a copy put in service

    asyncio.run(installation.play(scene))
    fresh = apsw.Connection(":memory:")
    fresh.execute(TABLES)
    assert schema(apsw.Connection(str(path))) == schema(fresh), "the schema changed without a migration"


def test_migrations_run_once_and_together(tmp_path: Path) -> None:
    path = put_file(tmp_path, "CREATE TABLE t (a);")
    db = apsw.Connection(str(path))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;")
    steps = (
        lambda db: db.execute("ALTER TABLE t ADD COLUMN b"),
        lambda db: db.execute("ALTER TABLE t ADD COLUMN c"),
    )
    migrate.check(db, steps)
    migrate.check(db, steps)
    assert db.pragma("user_version") == 3
    assert [row[1] for row in db.execute("PRAGMA table_info(t)")] == ["a", "b", "c"]


def test_a_migration_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = put_file(tmp_path, "CREATE TABLE t (a);")
    db = apsw.Connection(str(path))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;")
    steps = (
        lambda db: db.execute("ALTER TABLE t ADD COLUMN b"),
        lambda db: db.execute("no such statement"),
    )
    with pytest.raises(apsw.SQLError):
        migrate.check(db, steps)
    assert db.pragma("user_version") == 1
    assert [row[1] for row in db.execute("PRAGMA table_info(t)")] == ["a"]


FOREIGN = [
    pytest.param(
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION + 1};", NewerSchema, id="newer"
    ),
    pytest.param(f"PRAGMA user_version = {VERSION};", Damaged, id="no application_id"),
    pytest.param("CREATE TABLE t (a);", Damaged, id="somebody else's"),
    pytest.param(f"PRAGMA application_id = {APPLICATION_ID};", Damaged, id="no version"),
]


@pytest.mark.parametrize(("sql", "error"), FOREIGN)
def test_newer_and_foreign_files_are_refused(tmp_path: Path, sql: str, error: type[Exception]) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    put_file(installation.data, sql)

    async def scene(engine: Engine, store: Store) -> None:
        with pytest.raises(error):
            await store.mailboxes()
        with pytest.raises(error):
            await store.create_mailbox("A")

    asyncio.run(installation.play(scene))


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    path = installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"From nobody\n" * 1000)

    async def scene(engine: Engine, store: Store) -> None:
        with pytest.raises(Damaged):
            await store.mailboxes()
        with pytest.raises(Damaged):
            await store.create_mailbox("A")

    asyncio.run(installation.play(scene))


def test_two_makers_of_one_account_agree(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        await asyncio.gather(*(engine.create_account("twice") for _ in range(8)))
        assert len(await engine.account("twice").mailboxes()) == 1
        folder = installation.data / "accounts" / "tw"
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
        assert folder.stat().st_mode & 0o777 == 0o700
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())

    asyncio.run(installation.play(scene))
