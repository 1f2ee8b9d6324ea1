"""Whatever is derived from a message and kept beside it is compared with the message, and can be made again."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
from contextlib import closing, nullcontext
from pathlib import Path

import apsw
import pytest

from restante.mime.analyse import analyse
from restante.query.language import Contains, Field
from restante.store.interface import Engine, Store
from restante.store.model import Column, FlagMode, Flags, NewMessage, System
from restante.store.sqlite import answers, content
from tests.crash.vfs import BadSector, bad_sector
from tests.engines.making import ACCOUNT, ALL, Installation, inbox

MAIL = [
    b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: Re: plan %d\r\nMessage-ID: <%d@x>\r\n"
    b"Date: Mon, 1 Apr 2024 00:00:00 +0000\r\nReferences: <0@x>\r\n\r\nnumber %d\r\n" % (n, n, n)
    for n in range(1, 5)
]
DERIVED = [
    ("answer", "email"), ("sortkey", "email"), ("search_text", "email"), ("body_text", "email"), ("content", "key")
]  # fmt: skip
KEPT = {"content": {"key", "digest", "size", "chunks"}}


def connection(installation: Installation) -> apsw.Connection:
    return apsw.Connection(str(installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"))


async def codes(store: Store, *, repair: bool = False) -> list[str]:
    return [finding.code async for finding in store.doctor(repair)]


async def filled(store: Store) -> int:
    box = await inbox(store)
    messages = [NewMessage(await store.put(data), analyse(data), Flags(), 1_000_000, None) for data in MAIL]
    await store.append(box, messages)
    while await store.fill_search():
        pass
    return box


def rows(db: apsw.Connection) -> dict[str, list[tuple[object, ...]]]:
    return {table: list(db.execute(f"SELECT * FROM {table} ORDER BY {key}")) for table, key in DERIVED}


def damaged(value: object) -> object:
    """Another value of the same type; octets with one bit turned."""
    if isinstance(value, bytes):
        return bytes((value[0] ^ 1,)) + value[1:] if value else b"x"
    if isinstance(value, int):
        return value + 1
    return 7 if value is None else f"{value}x"


def test_each_derived_value_is_compared_with_the_message_and_made_again(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        await filled(store)
        assert await codes(store) == []
        db = connection(installation)
        whole = rows(db)
        tried = 0
        for table, key in DERIVED:
            for number, (column, *_) in enumerate(db.execute(f"SELECT * FROM {table} LIMIT 1").get_description()):
                if column in KEPT.get(table, {key}):
                    continue
                wrong = damaged(whole[table][1][number])
                if (table, column) == ("sortkey", "is_reply"):
                    wrong = 0
                db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = 2", (wrong,))
                assert await codes(store) == ["body-text" if table == "body_text" else "answers"], (table, column)
                assert len(await codes(store, repair=True)) == 1
                assert await codes(store) == []
                assert rows(db) == whole, (table, column)
                tried += 1
        assert tried == 27
        db.close()

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("table", [table for table, _ in DERIVED[:4]])
def test_a_derived_row_that_is_gone_is_made_again(tmp_path: Path, table: str) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        await filled(store)
        db = connection(installation)
        whole = rows(db)
        db.execute(f"DELETE FROM {table} WHERE email = 3")
        code = "body-text" if table == "body_text" else "answers"
        assert await codes(store) == await codes(store, repair=True) == [code]
        assert await codes(store) == []
        assert rows(db) == whole
        db.close()

    asyncio.run(installation.play(scene))


def test_a_text_that_is_not_due_yet_is_not_missed(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        await filled(store)
        db = connection(installation)
        db.execute("DELETE FROM body_text WHERE email > 2")
        assert await codes(store) == []
        db.close()

    asyncio.run(installation.play(scene))


def test_an_index_of_sqlite_that_lacks_rows_is_made_again(tmp_path: Path) -> None:
    """Two placements change their emails while SQLite does not know of one of its indexes."""
    installation = Installation("sqlite", tmp_path / "data")

    def execute(sql: str, *values: apsw.SQLiteValue) -> list[tuple[apsw.SQLiteValue, ...]]:
        db = connection(installation)  # a connection keeps the schema that it read first
        db.execute("PRAGMA writable_schema = ON")
        found = list(db.execute(sql, values))
        db.close()
        return found

    async def prepare(engine: Engine, store: Store) -> None:
        await filled(store)

    async def scene() -> None:
        engine = installation.open()
        try:
            store = engine.account(ACCOUNT)
            assert set(await codes(store)) == {"index"}
            assert set(await codes(store, repair=True)) == {"index"}
            assert await codes(store) == []
        finally:
            await engine.close()

    asyncio.run(installation.play(prepare))
    (kept,) = execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE name = 'placement_email'")
    execute("DELETE FROM sqlite_schema WHERE name = 'placement_email'")
    execute("UPDATE placement SET email = 3 - email WHERE email < 3")
    execute("INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)", *kept)
    asyncio.run(scene())


BROKEN = [
    ("UPDATE placement SET flagset = 999 WHERE uid < 3", {"flagset"}, {"INBOX": [1, 2, 3, 4]}),
    ("UPDATE placement SET size = 1, received = 7 WHERE uid = 2", {"placement-copy"}, {"INBOX": [1, 2, 3, 4]}),
    (
        "DELETE FROM mailbox WHERE name = 'INBOX'",
        {"placement-mailbox", "inbox"},
        {"INBOX": [], "Recovered": [1, 2, 3, 4]},
    ),
    ("DELETE FROM placement WHERE uid = 2", {"orphan-email"}, {"INBOX": [1, 3, 4], "Recovered": [2]}),
]


@pytest.mark.parametrize(("sql", "expected", "emails"), BROKEN, ids=[sql for sql, _, _ in BROKEN])
def test_no_message_is_lost_where_a_row_of_its_mailbox_or_flags_is(
    tmp_path: Path, sql: str, expected: set[str], emails: dict[str, list[int]]
) -> None:
    """emails: by mailbox, their numbers in MAIL. Counters that are wrong in consequence are found, too."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        await filled(store)
        db = connection(installation)
        number = await store.last_change()
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(sql)
        assert expected <= set(await codes(store))
        assert all([finding.repaired async for finding in store.doctor(True)])
        assert await codes(store) == []
        found = {}
        for box in await store.mailboxes():
            rows = await store.rows(box.key, ALL, (Column.CONTENT,), 100)
            found[box.name] = [MAIL.index(await store.read_content(int(str(content)))) + 1 for _, content in rows]
        assert found == emails
        assert await store.last_change() >= number
        assert len(await store.maildrop()) == len(emails["INBOX"])
        db.close()

    asyncio.run(installation.play(scene))


def test_what_was_removed_can_be_undeleted_though_its_flag_set_is_lost(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await filled(store)
        await store.expunge(box, ((2, 2),), deleted_only=False)
        db = connection(installation)
        db.execute("UPDATE removed SET flagset = 999")
        assert await store.recoverable() == []
        assert await codes(store) == ["removed-flagset"]
        assert await codes(store, repair=True) == ["removed-flagset"]
        assert await codes(store) == []
        (found,) = await store.recoverable()
        assert found.uid == 2
        assert await store.undelete([found.number], None) is not None
        rows = await store.rows(box, ALL, (Column.CONTENT,), 100)
        assert await store.read_content(int(str(rows[-1][1]))) == MAIL[1]
        db.close()

    asyncio.run(installation.play(scene))


def test_an_account_can_be_rewound_though_a_former_flag_set_is_lost(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await filled(store)
        then = int(installation.clock.now()) + 60
        installation.clock.advance(120)
        await store.store_flags(box, ((1, 1),), FlagMode.ADD, Flags(System.FLAGGED))
        db = connection(installation)
        db.execute("UPDATE history SET former = '999' WHERE kind = 'flags'")
        with pytest.raises(KeyError):
            await store.rewind(then, apply=False)
        assert await codes(store) == ["former-flagset"]
        assert await codes(store, repair=True) == ["former-flagset"]
        assert await codes(store) == []
        assert not (await store.rewind(then, apply=True)).empty
        table = await store.flag_table()
        ((_, flags),) = await store.rows(box, ((1, 1),), (Column.FLAGS,), 1)
        assert isinstance(flags, int)
        assert table[flags] == Flags()
        db.close()

    asyncio.run(installation.play(scene))


def test_without_the_accounts_row_a_repair_finds_what_a_look_does(tmp_path: Path) -> None:
    """What is mended by a command has no number to take; what is beside it is made again."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await filled(store)
        await store.expunge(box, ((2, 2),), deleted_only=False)
        db = connection(installation)
        db.execute("DELETE FROM account")
        db.execute("UPDATE removed SET flagset = 999")
        db.execute("UPDATE placement SET flagset = 999 WHERE uid = 1")
        db.execute("UPDATE answer SET envelope = x'2829' WHERE email = 3")
        found = ["account", "flagset", "removed-flagset", "counter", "answers"]
        assert await codes(store) == found
        assert await codes(store, repair=True) == found
        assert await codes(store) == found[:-1]
        db.close()

    asyncio.run(installation.play(scene))


def test_a_doctor_that_is_cut_off_lets_go_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    at_work = threading.Event()

    def without_end(db: apsw.Connection, *_: object) -> bytes:
        at_work.set()
        db.execute("WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n").fetchall()
        return b""

    async def scene(engine: Engine, store: Store) -> None:
        await filled(store)
        monkeypatch.setattr(content, "read", without_end)
        doctor = asyncio.create_task(codes(store, repair=True))
        assert await asyncio.to_thread(at_work.wait, 30)
        doctor.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doctor
        monkeypatch.undo()
        assert await codes(store) == []

    asyncio.run(installation.play(scene))


def test_a_doctor_that_is_told_to_stop_twice_lets_go_of_the_file_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    at_work, go_on = threading.Event(), threading.Event()
    still_open: list[object] = []

    def slow(db: apsw.Connection, *_: object) -> bytes:
        at_work.set()
        go_on.wait(30)  # as an analysis, which nothing interrupts
        still_open.append(db.execute("SELECT 1").get)
        return b""

    async def scene(engine: Engine, store: Store) -> None:
        await filled(store)
        monkeypatch.setattr(content, "read", slow)
        doctor = asyncio.create_task(codes(store))
        assert await asyncio.to_thread(at_work.wait, 30)
        for _ in range(3):
            doctor.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not doctor.done(), "its thread has the connection"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await doctor
        assert still_open == [1]
        monkeypatch.undo()
        assert await codes(store) == []

    asyncio.run(installation.play(scene))


def test_a_doctor_that_is_left_between_two_findings_ends_its_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    noise: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", noise.append)

    async def scene(engine: Engine, store: Store) -> None:
        await filled(store)
        db = connection(installation)
        db.execute("UPDATE mailbox SET messages = 77")
        doctor = store.doctor(True)
        assert (await anext(doctor)).code == "counter"
        await doctor.aclose()  # type: ignore[attr-defined]  # it is a generator
        del doctor
        gc.collect()
        assert noise == []
        assert db.execute("SELECT messages FROM mailbox WHERE name = 'INBOX'").get == 77
        db.close()

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("when", ["octets", "answers", "text"])
def test_a_message_that_is_purged_while_the_doctor_looks_is_nothing_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repair: bool, when: str
) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    gone: list[int] = []

    def purge(email: int) -> None:
        db = connection(installation)
        with db:
            for table, key in DERIVED[:-1]:
                db.execute(f"DELETE FROM {table} WHERE {key} = ?", (email,))
            db.execute("DELETE FROM placement WHERE email = ?", (email,))
            db.execute("DELETE FROM email WHERE key = ?", (email,))
            db.execute("DELETE FROM chunk WHERE key >> 20 = ?", (email,))
            db.execute("DELETE FROM content WHERE key = ?", (email,))
        db.close()
        gone.append(email)

    read_answers, read_octets = answers.read, content.read

    def answers_read(db: apsw.Connection, emails: list[int]) -> object:
        if when == "answers":
            purge(2)
        found = read_answers(db, emails)
        if when == "octets":
            purge(2)
        return found

    def octets_read(db: apsw.Connection, number: int, *rest: object) -> bytes:
        data = read_octets(db, number, 0, None) if number not in gone or when == "octets" else MAIL[number - 1]
        if when == "text" and number == 2:
            purge(2)
        return data

    async def scene(engine: Engine, store: Store) -> None:
        await filled(store)
        if when == "text":
            db = connection(installation)
            db.execute("UPDATE body_text SET body = x'0041' WHERE email = 2")
            db.close()
        monkeypatch.setattr(answers, "read", answers_read)
        monkeypatch.setattr(content, "read", octets_read)
        assert await codes(store, repair=repair) == []
        assert gone == [2]

    asyncio.run(installation.play(scene))


def test_a_mend_takes_no_number_that_was_given_out_before(tmp_path: Path) -> None:
    """The counters are behind, and what is to be mended takes numbers of both."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await filled(store)
        last = await store.last_change()
        db = connection(installation)
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("UPDATE account SET modseq = 1")
        db.execute("UPDATE mailbox SET uidnext = 2, highest_modseq = 1")
        db.execute("UPDATE placement SET flagset = 99 WHERE uid = 1")
        db.execute("UPDATE placement SET mailbox = 999 WHERE uid = 2")
        assert {"modseq", "uidnext", "flagset", "placement-mailbox"} <= set(await codes(store, repair=True))
        assert await codes(store) == []
        numbers = [number for (number,) in db.execute("SELECT modseq FROM placement WHERE flagset <> 99 ORDER BY uid")]
        assert len(numbers) == len(MAIL)
        assert db.execute("SELECT min(modseq) FROM placement WHERE mailbox = ? AND uid = 1", (box,)).get > last
        recovered = "SELECT p.modseq FROM placement p JOIN mailbox m ON m.key = p.mailbox WHERE m.name = 'Recovered'"
        assert db.execute(recovered).get > last
        db.close()

    asyncio.run(installation.play(scene))


def test_a_search_after_a_repair_finds_by_the_right_text(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await filled(store)
        db = connection(installation)
        db.execute("UPDATE body_text SET body = (SELECT body FROM body_text WHERE email = 1) WHERE email = 2")
        query = Contains(Field.BODY, "number 1")
        assert list(await store.search(box, query, ALL)) == [1, 2]
        await codes(store, repair=True)
        assert list(await store.search(box, query, ALL)) == [1]
        db.close()

    asyncio.run(installation.play(scene))


def test_a_text_made_before_it_had_headers_of_parts_is_made_again(tmp_path: Path) -> None:
    """Searched as it is until then."""
    installation = Installation("sqlite", tmp_path / "data")
    data = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-ID: <quince>\r\n\r\nwords\r\n--x--\r\n"

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [NewMessage(await store.put(data), analyse(data), Flags(), 1_000_000, None)])
        while await store.fill_search():
            pass
        db = connection(installation)
        db.execute("UPDATE body_text SET body = ?", (content.encode_text("WORDS"),))
        db.close()

        async def found() -> list[list[int]]:
            queries = (Contains(Field.BODY, "words"), Contains(Field.TEXT, "words"), Contains(Field.TEXT, "quince"))
            return [list(await store.search(box, query, ALL)) for query in queries]

        assert await found() == [[1], [1], []]
        assert await codes(store, repair=True) == ["body-text"]
        assert await found() == [[1], [1], [1]]
        assert await codes(store) == []

    asyncio.run(installation.play(scene))


PAGE = 4096


def page_of(db: apsw.Connection, table: str) -> int:
    """A page in which rows of a table are, and nothing else."""
    sql = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno"
    page = db.execute(sql, (table,)).fetchall()[0][0]
    assert isinstance(page, int)
    return page


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize(
    ("table", "codes"),
    [
        ("chunk", {"content"}),
        ("body_text", {"body-text"}),
        ("answer", {"answers"}),
        ("email", {"email"}),
        ("seen", set()),
    ],
)
@pytest.mark.parametrize("unread", [False, True], ids=["broken", "bad sector"])
def test_all_that_can_be_read_of_a_file_with_a_broken_page_is_checked_and_nothing_mended(
    tmp_path: Path, table: str, codes: set[str], repair: bool, unread: bool
) -> None:
    with bad_sector() if unread else nullcontext() as sector:
        look_at_a_broken_page(tmp_path, table, codes, repair, sector)


def look_at_a_broken_page(tmp_path: Path, table: str, codes: set[str], repair: bool, sector: BadSector | None) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    mail = [b"Subject: %d\r\n\r\n%b\r\n" % (n, bytes(random.Random(n).choices(b"abcdef", k=3000))) for n in range(100)]

    async def scene() -> None:
        engine = installation.open()
        await engine.create_account(ACCOUNT)
        store = engine.account(ACCOUNT)
        messages = [NewMessage(await store.put(data), analyse(data), Flags(), 1_000_000, None) for data in mail]
        await store.append(await inbox(store), messages)
        while await store.fill_search():
            pass
        await engine.close()
        with closing(connection(installation)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            page = page_of(db, table)
        file = installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"
        if sector is None:
            with file.open("r+b") as opened:
                opened.seek((page - 1) * PAGE)
                opened.write(random.Random(1).randbytes(PAGE))
        else:
            sector.at = (str(file), (page - 1) * PAGE)
        before = file.read_bytes()
        engine = installation.open()
        found = [finding async for finding in engine.account(ACCOUNT).doctor(repair)]
        assert {finding.code for finding in found} - {"file"} == {"pages", *codes}
        assert len(found) < 90  # of a hundred messages most are whole
        assert not any(finding.repairable or finding.repaired for finding in found)
        await engine.close()
        assert file.read_bytes() == before

    asyncio.run(scene())
