"""The search index as a file: damaged, wrong, of another state, killed, without room. It costs time, no answer."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from array import array
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from restante.mime.analyse import analyse
from restante.mime.fold import fold
from restante.query.language import And, Contains, Field, Fuzzy, HeaderContains, Not, Or, Uids
from restante.store.errors import Damaged, DiskFull
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode, Identity
from restante.store.rights import parse_rights
from restante.store.sqlite import page_checksums, search
from restante.store.sqlite.account import SqliteStore
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.index import Index, asking, discard
from restante.store.sqlite.indexes import Filler
from tests.engines.making import ACCOUNT, ALL, Installation, inbox, new
from tests.engines.test_search_index import ENGLISH, body, filed, fill, findings


def test_a_damaged_index_costs_a_scan_and_is_made_again(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"

    async def scene(engine: Engine, store: Store) -> None:
        box = await fill(store)
        assert isinstance(engine, SqliteEngine)
        for searched in (True, False):
            for damage in (b"", b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 8_000):
                for beside in (index.with_name(index.name + "-wal"), index.with_name(index.name + "-shm")):
                    beside.unlink(missing_ok=True)
                index.unlink(missing_ok=True)
                index.write_bytes(damage)
                if searched:
                    assert list(await store.search(box, body("number 7"), ALL)) == [7]
                engine.indexes.forget({ACCOUNT})
                await filled(store)
                assert list(await store.search(box, body("number 7"), ALL)) == [7]
                assert await findings(store, repair=False) == []
                assert _indexed(index) == len(ENGLISH)

    asyncio.run(installation.play(scene, index_from=1))


def test_an_index_that_another_process_removed_is_made_again(tmp_path: Path) -> None:
    """One process fills, others search: who finds it damaged removes it, and the filler had seen it complete."""
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"

    async def scene(engine: Engine, store: Store) -> None:
        await fill(store)
        assert isinstance(engine, SqliteEngine)
        discard(index, engine.locks)
        await filled(store)
        assert _indexed(index) == len(ENGLISH)

    asyncio.run(installation.play(scene, index_from=1))


def test_a_bit_that_rots_hides_no_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever it is in the file, and the doctor finds it. The apsw that is locked brings what this needs."""
    assert page_checksums.available()
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"
    chance = random.Random(7)
    texts = ["".join(chance.choices("abcdefghijklmnop ", k=900)) for _ in range(29)]
    words = [text[at : at + 4] for text in texts for at in (100, 500)]

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await fill(store, [("", "", text, False) for text in texts])
        await filled(store)
        wanted = [[uid for uid, text in enumerate(texts, 1) if word in text] for word in words]
        good = index.read_bytes()
        places = [chance.randrange(start, start + 4_096) for start in range(0, len(good), 4_096) for _ in range(2)]
        found_by_doctor = 0
        told: list[str] = []
        for place in places:
            engine.indexes.forget({ACCOUNT})
            discard(index, engine.locks)
            index.write_bytes(good[:place] + bytes([good[place] ^ 1 << chance.randrange(8)]) + good[place + 1 :])
            found_by_doctor += "search-index" in await findings(store, repair=False)
            caplog.clear()
            assert [list(await store.search(box, body(word), ALL)) for word in words] == wanted, place
            told += [record.getMessage() for record in caplog.records]
            assert len(caplog.records) == (not index.exists()), place
        assert found_by_doctor == len(places)
        assert len(told) > len(places) // 2  # the others were not met by these searches
        assert all(line.startswith(f"the search index {index.name} is damaged, and is made again: ") for line in told)

    asyncio.run(installation.play(scene, index_from=1))


@pytest.mark.parametrize("first", [True, False], ids=["with-then-without", "without-then-with"])
def test_an_index_is_made_again_where_its_checksums_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """Another build of apsw may bring no shim: it would write pages without them."""
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        monkeypatch.setattr(page_checksums, "available", lambda: first)
        box = await fill(store)
        assert _reserved(index) == (8 if first else 0)
        engine.indexes.forget({ACCOUNT})
        monkeypatch.setattr(page_checksums, "available", lambda: not first)
        assert list(await store.search(box, body("number 7"), ALL)) == [7]
        await filled(store)
        assert _indexed(index) == len(ENGLISH)
        assert _reserved(index) == (0 if first else 8)
        assert list(await store.search(box, body("number 7"), ALL)) == [7]

    asyncio.run(installation.play(scene, index_from=1))


def _reserved(index: Path) -> int:
    """Octets of each page that are kept for a checksum (the file's format, 1.3.4)."""
    return index.read_bytes()[20]


async def filled(store: Store) -> None:
    """Fill until nothing is left: one call more, since a damaged index is only removed by the first."""
    for _ in range(2):
        while await store.fill_search():
            pass


def _indexed(index: Path) -> int:
    db = apsw.Connection(str(index), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        count = db.execute("SELECT count(*) FROM doc").get
        assert isinstance(count, int)
        return count
    finally:
        db.close()


@pytest.mark.parametrize("meanwhile", ["nothing", "more is indexed", "it is discarded", "it is made anew"])
def test_a_common_word_is_read_from_the_index_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """Others have their turn between them, and what happens to the index there changes no answer."""
    monkeypatch.setattr(search, "_INDEX_PART", 4)
    installation = Installation("sqlite", tmp_path / "data")
    parts: list[int] = []
    emails = Index.emails

    def counted(self: Index, *question: Any) -> array[int]:
        found = emails(self, *question)
        parts.append(len(found))
        return found

    monkeypatch.setattr(Index, "emails", counted)

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await fill(store, ENGLISH[:20])
        await store.append(box, [await filed(store, message) for message in ENGLISH[20:]])
        index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"
        other = installation.open(index_from=1)
        assert isinstance(other, SqliteEngine)

        async def happens() -> None:
            if meanwhile in ("it is discarded", "it is made anew"):
                discard(index, engine.locks)
                other.indexes.forget({ACCOUNT})
            if meanwhile in ("more is indexed", "it is made anew"):
                while await other.account(ACCOUNT).fill_search():
                    pass

        quick, number = body("quick brown"), body("number 2")
        one, ten = HeaderContains("subject", "report 1"), range(10, 20)
        for query, found in (
            (quick, range(1, 30)),
            (And((quick, one)), (1, *ten)),
            (Or((number, one)), (1, 2, *range(10, 30))),
            (And((quick, Not(number))), (1, *range(3, 20))),
            (Fuzzy(body("quick brwn")), range(1, 30)),
        ):
            while meanwhile == "it is discarded" and await store.fill_search():
                pass
            parts.clear()
            hook, begun = search._look_up, list[asyncio.Task[None]]()

            def looked(*given: Any, hook: Any = hook, begun: list[asyncio.Task[None]] = begun) -> bool:
                more: bool = hook(*given)
                if len(parts) > 2 and not begun:
                    begun.append(asyncio.get_running_loop().create_task(happens()))
                return more

            with monkeypatch.context() as patched:
                patched.setattr(search, "_look_up", looked)
                assert list(await store.search(box, query, ALL)) == list(found), query
            assert max(parts) <= 4
            (task,) = begun
            await task  # or it would go on within the next search
        await other.close()

    asyncio.run(installation.play(scene, index_from=1))


def test_two_that_fill_one_index_do_not_wait_for_each_other(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"

    async def scene(engine: Engine, store: Store) -> None:
        box = await fill(store, ENGLISH[:5])
        other = apsw.Connection(str(index))
        other.execute("BEGIN IMMEDIATE")
        await store.append(box, [await filed(store, message) for message in ENGLISH[5:9]])
        while await store.fill_search():
            pass
        assert list(await store.search(box, body("number"), ALL)) == list(range(1, 10))
        other.execute("COMMIT")
        other.close()
        assert _indexed(index) == 5
        await filled(store)
        assert _indexed(index) == 9

    asyncio.run(installation.play(scene, index_from=1))


def test_a_few_messages_are_not_indexed_alone(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"

    async def scene(engine: Engine, store: Store) -> None:
        box = await fill(store, ENGLISH[:9])
        assert not index.exists()
        await store.append(box, [await filed(store, ENGLISH[9])])
        while await store.fill_search():
            pass
        assert _indexed(index) == 10

    asyncio.run(installation.play(scene, index_from=10))


def test_a_search_among_few_messages_asks_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that all messages have would bring them all: the cost must not grow with the mailbox."""
    installation = Installation("sqlite", tmp_path / "data")

    def asked(*_: object) -> None:
        raise AssertionError("asked")

    async def scene(engine: Engine, store: Store) -> None:
        box = await fill(store)
        await filled(store)
        monkeypatch.setattr(SqliteStore, "searching", asked)
        assert list(await store.search(box, body("number 7"), ((5, 9),))) == [7]
        assert list(await store.search(box, And((Uids(((7, 7),)), body("number 7"))), ALL)) == [7]
        with pytest.raises(AssertionError, match="asked"):
            await store.search(box, body("number 7"), ALL)

    asyncio.run(installation.play(scene, index_from=1))


def test_an_index_of_another_state_is_not_used(tmp_path: Path) -> None:
    """A file put back from a copy gives out the same keys again, for other messages."""
    installation = Installation("sqlite", tmp_path / "data")
    folder = tmp_path / "data" / "accounts" / ACCOUNT[:2]
    file = folder / f"{ACCOUNT}.db"

    async def before(engine: Engine, store: Store) -> None:
        await store.append(await inbox(store), [await filed(store, ENGLISH[0])])

    async def after(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, message) for message in ENGLISH[1:3]])
        while await store.fill_search():
            pass

    async def again(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, ("", "", "other words", False))])
        (uid,) = await store.search(box, body("other"), ALL)
        assert uid > 3
        assert list(await store.search(box, body("number 2"), ALL)) == []
        while await store.fill_search():
            pass
        assert await store.search(box, body("other"), ALL) == array("I", [uid])
        assert await findings(store, repair=False) == []

    asyncio.run(installation.play(before))
    copy = file.read_bytes()
    asyncio.run(installation.play(after, index_from=1))
    for name in folder.glob(f"{ACCOUNT}.db*"):
        name.unlink()
    file.write_bytes(copy)
    asyncio.run(installation.play(again, index_from=1))


def test_doctor_finds_an_index_that_is_wrong_and_discards_it(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"

    async def scene(engine: Engine, store: Store) -> None:
        data = [b"Subject: %d\r\n\r\ntext %d\r\n" % (n, n) for n in range(9)]
        made = [await new(store, octets) for octets in data]
        made = [replace(one, analysis=analyse(octets)) for one, octets in zip(made, data, strict=True)]
        await store.append(await inbox(store), made)
        while await store.fill_search():
            pass
        for statement in ("DELETE FROM doc WHERE email = 3", "UPDATE doc SET checksum = 1 WHERE email = 4"):
            db = page_checksums.connect(index)
            db.execute(statement)
            db.close()
            assert await findings(store, repair=False) == ["search-index"]
            assert await findings(store, repair=True) == ["search-index"]
            assert not index.exists()
            assert await findings(store, repair=False) == []
            while await store.fill_search():
                pass

    asyncio.run(installation.play(scene, index_from=1))


def test_doctor_finds_nothing_where_a_filler_goes_on_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"
    ended = 0

    async def scene(engine: Engine, store: Store) -> None:
        await fill(store, ENGLISH[:9])
        end = Index.end

        def with_a_filler(self: Index) -> None:
            nonlocal ended
            ended += 1
            end(self)
            other = page_checksums.connect(index)
            other.execute("UPDATE doc SET checksum = checksum + 1 WHERE email = 9")
            other.close()

        monkeypatch.setattr(Index, "end", with_a_filler)
        assert await findings(store, repair=False) == []
        monkeypatch.undo()
        assert ended == 1

    asyncio.run(installation.play(scene, index_from=1))


def test_an_index_tells_a_phrase_across_a_fold_from_its_words(tmp_path: Path) -> None:
    """A phrase of words that every header has is not looked for in every header."""
    installation = Installation("sqlite", tmp_path / "data")
    subjects = ("about the\r\n\tyear", "what is about the year", "about   the   year", "about a budget for the year")

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        for subject in subjects:
            octets = f"Subject: {subject}\r\n\r\nthe budget\r\n".encode()
            await store.append(box, [replace(await new(store, octets), analysis=analyse(octets))])
        await filled(store)
        question = asking(fold("about the"))
        assert question is not None
        with closing(apsw.Connection(str(engine.path(ACCOUNT)))) as db, engine.indexes.reading(ACCOUNT, db) as index:
            assert index.emails(question, 0, index.upto, 10) == array("q", [1, 2, 3])
        for where in (Field.TEXT, Field.SUBJECT):
            assert list(await store.search(box, Contains(where, "about the"), ALL)) == [1, 2, 3]

    asyncio.run(installation.play(scene, index_from=1))


def test_deleting_an_account_deletes_its_index(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        await fill(store)
        await engine.delete_account(ACCOUNT)
        assert list((tmp_path / "data" / "accounts").rglob(f"{ACCOUNT}*")) == []

    asyncio.run(installation.play(scene, index_from=1))


def test_new_mail_is_indexed_behind_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"
    finished: asyncio.Queue[None] = asyncio.Queue()
    fill = SqliteStore.fill_search

    async def filled(store: SqliteStore) -> int:
        done = await fill(store)
        if not done:
            finished.put_nowait(None)
        return done

    monkeypatch.setattr(SqliteStore, "fill_search", filled)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for first, last in ((0, 20), (20, len(ENGLISH))):
            await store.append(box, [await filed(store, message) for message in ENGLISH[first:last]])
            async with asyncio.timeout(20):
                await finished.get()
                while _indexed(index) < last:  # that was the second look after the mail before
                    await finished.get()
        assert _indexed(index) == len(ENGLISH)

    asyncio.run(installation.play(scene, index_from=1, index_after=0.01))


def test_every_way_in_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []
    monkeypatch.setattr(Filler, "note", lambda _filler, account: noted.append(account))
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        await engine.create_account("bobbob")
        box, bob = await inbox(store), engine.account("bobbob")
        await store.set_acl(box, "bobbob", FlagMode.REPLACE, parse_rights("lrswite"))
        shared = engine.account(ACCOUNT, "bobbob")
        once = replace(await filed(store, ENGLISH[0]), identity=Identity(email_id="m" + "a" * 26))
        assert await store.append_once("INBOX", once) is not None
        await store.append_by_name("INBOX", [await filed(store, ENGLISH[1])])
        await store.replace(box, 1, box, await filed(store, ENGLISH[2]))
        await shared.append(box, [await filed(store, ENGLISH[3])])
        await shared.replace(box, 2, box, await filed(store, ENGLISH[4]))
        assert noted == [ACCOUNT] * 5
        await bob.transfer(shared, box, ALL, await inbox(bob), move=False)
        assert noted[5:] == ["bobbob"]

    asyncio.run(installation.play(scene))


def test_the_reserve_of_the_disk_is_not_for_indexes(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"

    async def before(engine: Engine, store: Store) -> None:
        await store.append(await inbox(store), [await filed(store, message) for message in ENGLISH])

    async def after(engine: Engine, store: Store) -> None:
        assert await store.fill_search() == len(ENGLISH)  # texts, without which a search would make them each time
        with pytest.raises(DiskFull):
            await store.fill_search()
        assert not index.exists()
        assert list(await store.search(await inbox(store), body("number 7"), ALL)) == [7]

    asyncio.run(installation.play(before, index_from=1))
    asyncio.run(installation.play(after, index_from=1, reserve=1 << 62))


FILLING = """
import sys
from pathlib import Path
from typing import Any
from restante.store.sqlite import indexes
steps, (account, index, locks) = int(sys.argv[1]), map(Path, sys.argv[2:])
while indexes.fill(account, index, locks, 1, 1)[0]:
    print("one", flush=True)
    steps -= 1
    if steps < 0:
        sys.stdin.read()  # one more than asked for: where the kill is late something is left for the next
"""


def filled_and_killed(steps: int, *paths: Path) -> None:
    """A process that is killed once it has said that it has done so many steps, while it does another."""
    command = [sys.executable, "-c", FILLING, str(steps), *map(str, paths)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for _ in range(steps):
            assert child.stdout.readline() == b"one\n"
        child.kill()


def test_killed_while_filling_it_goes_on_from_what_it_has(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    file = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"
    index = file.with_suffix(".index")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, message) for message in ENGLISH])
        assert await store.fill_search() == len(ENGLISH)
        for steps in (1, 3, 7):
            await asyncio.to_thread(filled_and_killed, steps, file, index, tmp_path / "locks")
            assert _indexed(index) >= steps
            for number in (1, 5, 29):
                assert number in await store.search(box, body(f"fox number {number}"), ALL)
            assert await findings(store, repair=False) == []

    asyncio.run(installation.play(scene, index_from=None))


def test_threads_that_open_indexes_first_leave_other_files_without_the_shim() -> None:
    program = (
        "import sys, threading, apsw, apsw.sqlite_extra\n"
        "from restante.store.sqlite import page_checksums\n"
        "default, load = apsw.vfs_names()[0], apsw.sqlite_extra.load\n"
        "names, looked, first = apsw.vfs_names, threading.Event(), threading.Thread(target=page_checksums.available)\n"
        "def look():\n"
        "    if threading.current_thread() is second: looked.set()\n"
        "    return names()\n"
        "def slowly(*of):\n"
        "    load(*of)\n"
        "    if threading.current_thread() is second: first.join()\n"
        "    else: second.start(); looked.wait(0.5)  # who has to wait does not look\n"
        "second = threading.Thread(target=page_checksums.available)\n"
        "apsw.vfs_names, apsw.sqlite_extra.load = look, slowly\n"
        "first.start(); first.join(); second.join()\n"
        "sys.exit(names()[0] != default)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_broken_page_of_the_account_s_own_costs_no_index(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    file = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"
    index = file.with_suffix(".index")

    async def before(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, message) for message in ENGLISH[:20]])
        while await store.fill_search():
            pass
        await store.append(box, [await filed(store, message) for message in ENGLISH[20:]])

    async def afterwards(engine: Engine, store: Store) -> None:
        assert await store.fill_search() == len(ENGLISH) - 20  # the texts, by which nothing is read of that page
        with pytest.raises(Damaged):
            await store.fill_search()
        assert _indexed(index) == 20

    asyncio.run(installation.play(before, index_from=1))
    with closing(apsw.Connection(str(file))) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = db.execute("SELECT max(pageno) FROM dbstat WHERE name = 'search_text'").get
        size = db.pragma("page_size")
    with file.open("r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(b"\xff" * size)
    asyncio.run(installation.play(afterwards, index_from=1))
