"""What changed in the whole account after a number: `Store.changes`.

Which mailboxes changed stands in their own rows, of which an account has some dozens: a pass over them is cheaper
than an index that every delivery would have to keep. What became of names, subscriptions and annotations stands in
the history, by number. A name there is the former one; walked from the end, each row tells the name before it.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

import apsw

from ..annotation import ACCOUNT, SPECIAL_USE
from ..changes import AccountChanges, Change, Event
from ..model import Mailbox
from . import mailboxes, stamps
from .values import typed

MOST_EVENTS = 1_000
"""History rows of one answer: who is further behind asks for everything anew."""

MOST_NUMBER = (1 << 63) - 1

Row = tuple[int, str, int | None, str | None]


def last_change(db: apsw.Connection) -> int:
    return int(db.execute("SELECT modseq FROM account").get)


def changes(db: apsw.Connection, since: int, own: Collection[int], user: str, account: str) -> AccountChanges:
    """See `Store.changes`; read in the caller's transaction."""
    newest = last_change(db)
    if newest <= since:
        return AccountChanges(newest, [], [], True)
    changed = [
        (mailbox, not own or _by_others(db, mailbox.key, since, own)) for mailbox in mailboxes.changed(db, since, user)
    ]
    rows: list[Row] = typed(db.execute(_EVENTS, (since, MOST_EVENTS + 1)))
    if len(rows) > MOST_EVENTS:
        return AccountChanges(newest, changed, [], False)
    events = _told(db, rows, [mailbox for mailbox, _ in changed], user, account) if rows else []
    names: frozenset[str] = frozenset()
    if any(event.change in (Change.CREATED, Change.DELETED) for event in events):
        names = frozenset(str(name) for (name,) in db.execute("SELECT name FROM mailbox"))
    return AccountChanges(newest, changed, [event for event in events if event.modseq not in own], True, names)


def _by_others(db: apsw.Connection, key: int, since: int, own: Collection[int]) -> bool:
    """Whether a message of the mailbox was changed or removed by a command that is none of `own`; also where it would
    take long to tell.

    Each stretch of numbers between two own ones is one step into an index, however many messages own ones touched.
    """
    if stamps.are_many(db, key, since):
        return True
    numbers = [since, *sorted(number for number in own if number > since), MOST_NUMBER]
    return any(
        db.execute(sql, (key, low, high)).fetchone() is not None
        for low, high in pairwise(numbers)
        for sql in (_PLACED, _REMOVED)
    )


def _told(db: apsw.Connection, rows: list[Row], changed: list[Mailbox], user: str, account: str) -> list[Event]:
    names: dict[int, str] = {mailbox.key: mailbox.name for mailbox in changed}
    now = dict(names)
    events: list[Event] = []
    for modseq, kind, key, former in reversed(rows):
        event = _event(modseq, kind, key or ACCOUNT, former or "", names, now, user, account)
        if event is not None:
            events.append(event)
    events.reverse()
    return events


def _event(
    modseq: int, kind: str, key: int, former: str, names: dict[int, str], now: dict[int, str], user: str, account: str
) -> Event | None:
    """The event that a history row tells; `names`, as of after it, becomes what it was before. None: not for this
    user, or of a mailbox that is gone."""
    if kind == "subscribe":
        name, _, who = former[1:].partition("\n")
        change = Change.SUBSCRIBED if former[0] == "+" else Change.UNSUBSCRIBED
        return Event(modseq, change, name) if who == user else None
    if kind == "delete":
        names[key] = former
        return Event(modseq, Change.DELETED, former)
    if kind in ("annotation", "role"):
        who, _, entry = former.partition(" ") if kind == "annotation" else (account, "", SPECIAL_USE)
        seen = who in ("", user or account)
        where = "" if key == ACCOUNT else now.get(key)
        return Event(modseq, Change.ANNOTATED, where, entry) if seen and where is not None else None
    named = names.get(key)
    if named is None:
        return None
    if kind == "rename":
        names[key] = former
        return Event(modseq, Change.RENAMED, named, former)
    return Event(modseq, Change.CREATED, named)


_EVENTS = """
SELECT modseq, kind, mailbox, former FROM history WHERE modseq > ?1
AND kind IN ('create', 'delete', 'rename', 'role', 'subscribe', 'annotation') ORDER BY modseq, part LIMIT ?2
"""
_PLACED = f"SELECT 1 {stamps.since('?1', '?2', below='?3')} LIMIT 1"
_REMOVED = "SELECT 1 FROM removed WHERE mailbox = ?1 AND modseq > ?2 AND modseq < ?3 LIMIT 1"
