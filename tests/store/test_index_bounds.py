"""What the search index takes of a message, and of many at once, is bounded: in memory, room and time."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import apsw

from restante.query.language import Contains, Field
from restante.store.interface import Engine, Store
from tests.engines.making import ACCOUNT, ALL, Installation, inbox, new
from tests.engines.test_search_index import findings


def _terms(index: Path) -> int:
    """How many pieces the index knows."""
    db = apsw.Connection(str(index), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        count = 0
        for table in ("words", "pairs"):
            db.execute(f"CREATE VIRTUAL TABLE temp.v USING fts5vocab(main, {table}, 'row')")
            count += int(db.execute("SELECT count(*) FROM v").get)
            db.execute("DROP TABLE temp.v")
        return count
    finally:
        db.close()


async def _filled(store: Store) -> list[int]:
    """Fill until nothing is left; what each step did."""
    done = []
    while some := await store.fill_search():
        done.append(some)
    return done


def test_a_text_of_made_up_characters_is_looked_at_and_not_indexed(tmp_path: Path) -> None:
    """FTS5 holds all pieces of one text in memory at once: 8 million characters without sense took 3.7 GB, and the
    process that fills the index began with them again each time it had been killed for it."""
    installation = Installation("sqlite", tmp_path / "data")
    index = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.index"
    made_up = "".join(map(chr, random.Random(1).choices(range(0x4E00, 0x9FFF), k=400_000)))

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        texts = ["a report", made_up, "another report"]
        for text in texts:
            data = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()
            await store.append(box, [await new(store, data)])
        await _filled(store)
        for needle, found in ((made_up[70_000:70_002], [2]), (made_up[-9:], [2]), ("report", [1, 3]), ("por", [1, 3])):
            for field in (Field.BODY, Field.TEXT):
                assert list(await store.search(box, Contains(field, needle), ALL)) == found
        assert await findings(store, repair=False) == []
        assert _terms(index) < 1_000

    asyncio.run(installation.play(scene, index_from=1))


def test_long_texts_are_indexed_a_few_at_a_time(tmp_path: Path) -> None:
    """A step is for others' turns between: two hundred long texts in one would take minutes."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for word in (b"one", b"two", b"three"):
            await store.append(box, [await new(store, b"Subject: x\r\n\r\n" + b"x" * 3_000_000 + word)])
        assert (await _filled(store))[-2:] == [2, 1]
        assert list(await store.search(box, Contains(Field.BODY, "two"), ALL)) == [2]

    asyncio.run(installation.play(scene, index_from=1))
