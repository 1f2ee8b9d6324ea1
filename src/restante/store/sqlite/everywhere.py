"""Conditions of emails wherever they are placed, as JMAP asks them: in which mailboxes, with which keywords, threads.

A search looks at one mailbox's placements; what these conditions need lies in all of them, and a thread's emails are
found by no index. So each is asked once, by one statement on a thread, before messages are looked at: the emails that
match, ascending. RFC 8621 4.1.1, 4.4.1.
"""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import apsw

from ...query.language import EmailHas, Placed, Query, ThreadHas
from ..errors import NoPermission
from ..model import SYSTEM_NAMES, System
from .flag_sets import leaves

if TYPE_CHECKING:
    from .account import SqliteStore


@dataclass(frozen=True, slots=True)
class Everywhere:
    """What such conditions come to. emails: condition -> those that match it, ascending. upto: the highest email there
    was then; of what came later nothing is known. None: nothing was asked."""

    emails: Mapping[Query, array[int]] = field(default_factory=dict)
    upto: int | None = None


Asked = Placed | EmailHas | ThreadHas


async def emails_everywhere(store: SqliteStore, query: Query) -> Everywhere:
    """What such conditions of a query come to. Cost: a pass over the account for each.

    Raises NoPermission where somebody asks who is not the owner: they tell of mailboxes that he may not read.
    """
    asked = {leaf: None for leaf in leaves(query) if isinstance(leaf, Placed | EmailHas | ThreadHas)}
    if not asked:
        return Everywhere()
    if store.reader:
        raise NoPermission("What lies in all mailboxes is for the account's owner.", "Search a mailbox by itself.")
    return await asyncio.to_thread(store.read_apart, _read, asked)


def _read(db: apsw.Connection, asked: Iterable[Asked]) -> Everywhere:
    sets = [(number, System(system), keywords.lower().split()) for number, system, keywords in db.execute(_SETS)]
    there = f"q.flagset NOT IN ({_numbers(n for n, system, _ in sets if system & System.DELETED)})"

    def having(name: str) -> str:
        """SELECT of the emails that have this flag (`EmailHas`)."""
        folded = name.lower()
        bit = SYSTEM_NAMES.get(folded, System.NONE)
        having_it = f"q.flagset IN ({_numbers(n for n, system, words in sets if system & bit or folded in words)})"
        if bit is System.SEEN:
            return f"SELECT q.email FROM placement AS q WHERE {there} GROUP BY q.email HAVING min({having_it})"
        return f"SELECT q.email FROM placement AS q WHERE {there} AND {having_it}"

    def emails(condition: Asked) -> array[int]:
        values: tuple[str, ...] = ()
        match condition:
            case Placed(mailboxes, elsewhere):
                within = "SELECT m.key FROM mailbox AS m WHERE m.id IN (SELECT value FROM json_each(?1))"
                found = (
                    f"SELECT q.email FROM placement AS q WHERE {there}"
                    f" AND q.mailbox {'NOT IN' if elsewhere else 'IN'} ({within})"
                )
                values = (json.dumps(mailboxes),)
            case EmailHas(name):
                found = having(name)
            case ThreadHas(name, every):
                # Of all that have it none that has it not: what is in no mailbox any more counts for neither.
                some = having(name)
                if every:
                    some = f"SELECT q.email FROM placement AS q WHERE {there} AND q.email NOT IN ({some})"
                found = (
                    f"SELECT e.key FROM email AS e WHERE e.thread {'NOT IN' if every else 'IN'}"
                    f" (SELECT t.thread FROM email AS t WHERE t.key IN ({some}))"
                )
        return array("q", chain.from_iterable(db.execute(f"SELECT DISTINCT * FROM ({found}) ORDER BY 1", values)))

    upto = int(db.execute("SELECT coalesce(max(key), 0) FROM email").get)
    return Everywhere({condition: emails(condition) for condition in asked}, upto)


def _numbers(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


_SETS = "SELECT number, system, keywords FROM flagset"
