"""How large a search index is beside the text that it finds."""

from __future__ import annotations

import asyncio
import random

import apsw

from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS
from restante.mime.text import body_text
from restante.store.interface import Engine, Store
from restante.store.model import Flags, NewMessage

from .making import Installation, inbox

MESSAGES = 400
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def test_an_index_is_at_most_half_as_large_again_as_the_text(installation: Installation) -> None:
    """Of what people write in letters: a vocabulary, the first of it more often than the last."""
    chance = random.Random(4)
    frequent = range(len(LETTERS), 0, -1)
    vocabulary = ["".join(chance.choices(LETTERS, frequent, k=chance.randint(2, 11))) for _ in range(20_000)]

    def word() -> str:
        return vocabulary[int(20_000 ** chance.random()) - 1]

    async def scene(engine: Engine, store: Store) -> None:
        box, text, batch = await inbox(store), 0, []
        for number in range(MESSAGES):
            body = "\r\n".join(" ".join(word() for _ in range(10)) for _ in range(60))
            data = (
                f"From: {word()} <a{number}@example.org>\r\nTo: <b@example.org>\r\nSubject: {word()} {word()}\r\n"
                f"Date: Mon, 2 Jan 2023 10:00:00 +0000\r\nMessage-ID: <{number}@example.org>\r\n"
                f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n"
            ).encode()
            made = analyse(data)
            text += len(made.text.header.encode()) + len(body_text(data, DEFAULT_LIMITS).encode())
            batch.append(NewMessage(await store.put(data), made, Flags(), 1_000_000 + number))
        await store.append(box, batch)
        while await store.fill_search():
            pass
        (path,) = installation.data.glob("accounts/**/*.index")
        with apsw.Connection(str(path)) as db:  # with what is in its log
            size = db.pragma("page_count") * db.pragma("page_size")
        assert text > 500_000
        assert 0 < size <= 1.5 * text, size / text

    asyncio.run(installation.play(scene))
