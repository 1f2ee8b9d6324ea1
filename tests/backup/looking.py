"""What a look at a snapshot shows of an account, to be compared with `support.state` of that instant."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from restante.backup.repository import Snapshot
from restante.clock import system_random
from restante.config.model import Config
from restante.server.logs import make_logger
from restante.server.past_reader import PastReader
from restante.store.model import Column, Provenance
from restante.store.past import PastState

from ..imap.past_world import Direct
from .support import ALL, World

KEEPS = (Column.FLAGS, Column.RECEIVED, Column.SAVED, Column.EMAIL_ID, Column.THREAD_ID, Column.SIZE, Column.CONTENT)


class Looker:
    """Looks at one account's snapshots one after the other, as sessions do: by one file."""

    def __init__(self, world: World, account: str) -> None:
        self._account = account
        log = make_logger("info", "plain", world.clock, io.StringIO())
        folder = world.folder / "look"
        self._reader = PastReader(Config(), folder, world.clock, system_random, log, open=world.repository)
        self._past = Direct(self._reader, Config(), folder, world.clock, log)
        self._past._engine = self._reader._engine

    async def shown(self, snapshot: Snapshot) -> dict[str, object]:
        """By mailbox: numbers, counts, messages with their octets, what POP3 knew."""
        store = await self._past.store(self._account, PastState("", snapshot.name))
        table = await store.flag_table()
        found: dict[str, object] = {}
        for name in [box.name for box in await store.mailboxes()]:
            box = await store.mailbox(name)
            assert box is not None
            table = await store.flag_table()
            rows = await store.rows(box.key, ALL, KEEPS, 1_000_000)
            octets = await store.read_contents([int(str(row[7])) for row in rows])
            assert list((await store.snapshot(box.key)).uids.uids) == [row[0] for row in rows]
            async with store.lent(box.key, ALL) as lent:
                pop3 = {uid: tuple(known) for uid, known in lent.pop3.items() if known != (False, 0, None)}
            found[name] = (
                (box.uidvalidity, box.messages, box.unseen, box.deleted, box.size, box.deleted_size),
                [(row[0], table[int(str(row[1]))], *row[2:7], data) for row, data in zip(rows, octets, strict=True)],
                pop3,
            )
        return found

    async def close(self) -> None:
        self._past._engine = None
        await self._past.close()
        await self._reader.close()


def then(state: Mapping[str, Any]) -> dict[str, object]:
    """The same of what `state` says."""
    found: dict[str, object] = {}
    for name, value in state.items():
        if name == "*":
            continue
        (_, _, _, uidvalidity, *_), counts, rows, provenance, *_ = value
        pop3 = {
            one.uid: (one.hidden, one.suffix, one.retrieved)
            for one in provenance
            if isinstance(one, Provenance) and (one.hidden, one.suffix, one.retrieved) != (False, 0, None)
        }
        found[name] = ((uidvalidity, *counts), rows, pop3)
    return found
