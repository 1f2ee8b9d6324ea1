"""A reader's own marks as search conditions: what he has seen, and what he marked since a change number.

Few marks are named by their UIDs, so that a search for them looks at little. More of them are asked for message by
message, by the marks' own key: bound as a list they would have to be read again in each batch of a search, and a
million of them cost half a second each time. RFC 9051 6.4.4, RFC 7162 3.1.5.
"""

from __future__ import annotations

from itertools import chain

import apsw

from .conditions import Sql, uid_condition
from .values import ranges_of

FEW = 1_000
"""Marks up to which they are named."""

SEEN = "EXISTS (SELECT 1 FROM seen AS v WHERE v.mailbox = p.mailbox AND v.uid = p.uid AND v.user = ? AND v.seen = 1)"
TOUCHED = (
    "EXISTS (SELECT 1 FROM seen AS v WHERE v.mailbox = p.mailbox AND v.uid = p.uid AND v.user = ? AND v.modseq >= ?)"
)
FEW_SEEN = "SELECT uid FROM seen WHERE user = ? AND mailbox = ? AND seen = 1 LIMIT ?"
FEW_TOUCHED = "SELECT uid FROM seen WHERE user = ? AND mailbox = ? AND seen IN (0, 1) AND modseq >= ? LIMIT ?"


class Marks:
    """The marks of one reader in one mailbox, while a query is compiled: read once, however often it asks.

    many: whether a condition has been given that looks at each message's mark.
    """

    __slots__ = ("_db", "_known", "_mailbox", "_user", "many")

    def __init__(self, db: apsw.Connection, mailbox: int, user: str) -> None:
        self._db = db
        self._mailbox = mailbox
        self._user = user
        self._known: dict[int | None, Sql] = {}
        self.many = False

    def seen(self) -> Sql:
        """Messages that he has seen."""
        if None not in self._known:
            named = self._named(FEW_SEEN, (self._user, self._mailbox))
            self._known[None] = named if named is not None else self._asked(Sql(SEEN, [self._user]))
        return self._known[None]

    def touched(self, at_least: int) -> Sql:
        """Messages whose mark he changed at or after this number."""
        if at_least not in self._known:
            named = self._named(FEW_TOUCHED, (self._user, self._mailbox, at_least))
            self._known[at_least] = named if named is not None else self._asked(Sql(TOUCHED, [self._user, at_least]))
        return self._known[at_least]

    def _named(self, sql: str, values: tuple[str | int, ...]) -> Sql | None:
        """The condition by UIDs, None where they are more than FEW. Cost: an index range of so many."""
        uids = sorted(chain.from_iterable(self._db.execute(sql, (*values, FEW + 1))))
        return None if len(uids) > FEW else uid_condition(tuple(ranges_of(uids)), self._mailbox)

    def _asked(self, condition: Sql) -> Sql:
        self.many = True
        return condition
