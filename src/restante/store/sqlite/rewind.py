"""Taking an account back: what it was then is read out of log and history, `store.rewind` plans, one command does it.

What was then follows from what has happened since, newest first:

```
history   create, delete, rename, role, subscribe, acl, flags: what was there before each command
removed   a placement whose number is past `then` was there, if it had come before
placement one whose own number is past `then` has come since, or its flags have changed since
```
When a placement came is not written down once its flags have changed. UIDs are given out in the order of numbers, so
the largest UID known to be older and the smallest known to be younger leave few in doubt; of those the email's own
number, a move's log row, or the saved date decides.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import apsw
import msgspec

from ...mime.decode import decode_header
from ...mime.headers import first, index_fields, split_fields
from ..errors import BeyondHistory, NoSuchRewind
from ..model import Flags, System, UidRanges
from ..rewind import (
    MOST_TOLD,
    Box,
    Compared,
    Kept,
    Plan,
    RewindNote,
    Rewound,
    SinceRow,
    Snapshot,
    ThenRow,
    plan,
    tell,
    without_strangers,
)
from . import acl, mailboxes, stamps
from .account_changes import last_change
from .changes import log_floor
from .flags import change_flags
from .recover import FIELDS
from .transaction import NewPlacement, Write
from .values import ranges_of, typed

Entry = tuple[str, str, bytes]
"""An annotation: user ("" for a shared one), entry, value."""
NOTE, MADE = "rewind", "rewound"
"""Kinds of history rows: a rewind (former: JSON), and placements that it brought (former: its id)."""


class Note(msgspec.Struct, frozen=True):
    """What a rewind's history row holds. at: seconds UTC that it went back to. undid: the one that it undid."""

    at: int
    undid: int | None = None


# The commands ----------------------------------------------------------------------------------------


class Prepared(NamedTuple):
    """A plan, made before the lock is taken. number: the account's counter then."""

    number: int
    past: Compared
    plan: Plan
    told: Rewound


def prepare(db: apsw.Connection, to: int | Snapshot, since: int) -> Prepared:
    """What `rewind` would do, read in the caller's transaction. since: nothing is known from before, seconds UTC."""
    return _prepared(db, _past_of(db, to, since))


def prepare_undoing(db: apsw.Connection, id: int) -> Prepared:
    """What `undo` would do."""
    return _prepared(db, _past_undone(db, id))


def rewind(tx: Write, to: int | Snapshot, since: int, made: Prepared, gone: Collection[str]) -> Rewound:
    """See `Store.rewind`. made: holds if nothing has changed meanwhile; else it is planned anew. gone: persons who get
    no rights back. Raises BeyondHistory, CannotChangeMailbox, TooManyKeywords."""
    return _do(tx, made if _holds(tx.db, made) else _without(prepare(tx.db, to, since), gone), None)


def undo(tx: Write, id: int, made: Prepared, gone: Collection[str]) -> Rewound:
    """See `Store.undo_rewind`. Raises NoSuchRewind."""
    return _do(tx, made if _holds(tx.db, made) else _without(prepare_undoing(tx.db, id), gone), id)


def _without(made: Prepared, gone: Collection[str]) -> Prepared:
    without_strangers(made.plan, made.told, gone)
    return made


def _prepared(db: apsw.Connection, past: Compared) -> Prepared:
    found = plan(past)
    return Prepared(last_change(db), past, found, _told(db, past, found))


def _holds(db: apsw.Connection, made: Prepared) -> bool:
    """Whether the account is as it was, and what comes back has not been reclaimed, which takes no number."""
    wanted = {one.email for one in made.plan.place}
    return last_change(db) == made.number and len(_sizes(db, wanted)) == len(wanted)


def notes(db: apsw.Connection) -> list[RewindNote]:
    found = []
    for modseq, at, former in db.execute("SELECT modseq, at, former FROM history WHERE kind = ? ORDER BY 1", (NOTE,)):
        note = msgspec.json.decode(former, type=Note)
        found.append(RewindNote(modseq, at, note.at, note.undid))
    return found


def note_rewound(tx: Write, id: int, mailbox: int, ranges: UidRanges) -> None:
    tx.remember(MADE, mailbox, ranges, str(id))


def _past_of(db: apsw.Connection, to: int | Snapshot, since: int) -> Compared:
    if isinstance(to, Snapshot):
        return _past_snapshot(db, to)
    return past_at(db, number_at(db, to, since), to)


def _past_undone(db: apsw.Connection, id: int) -> Compared:
    row = db.execute("SELECT at FROM history WHERE modseq = ? AND kind = ?", (id, NOTE)).fetchone()
    if row is None or id - 1 < log_floor(db):
        raise NoSuchRewind(f"There is no rewind {id} that could be undone.", "List them with 'restante rewind --list'.")
    past = past_at(db, id - 1, int(row[0]) - 1)  # what it placed has its own second
    made: dict[int, list[tuple[int, int]]] = {}
    for mailbox, uids in db.execute("SELECT mailbox, uids FROM history WHERE kind = ? AND former = ?", (MADE, str(id))):
        made.setdefault(mailbox, []).extend(map(tuple, msgspec.msgpack.decode(uids)))
    past.made = {mailbox: tuple(ranges) for mailbox, ranges in made.items()}
    created = db.execute("SELECT mailbox FROM history WHERE modseq = ? AND kind = 'create'", (id,))
    past.made_boxes = frozenset(key for (key,) in created)
    past.exact = True
    return past


# What was then ---------------------------------------------------------------------------------------


def number_at(db: apsw.Connection, at: int, since: int) -> int:
    """The number of the last command at this instant or before it. Raises BeyondHistory.

    The clock has the first command of each minute; within a minute, what has a stamp of its own decides.
    """
    low, begun = db.execute("SELECT modseq, at FROM clock WHERE at <= ? ORDER BY modseq DESC LIMIT 1", (at,)).get or (
        None,
        0,
    )
    floor = log_floor(db)
    if low is None or low < floor or at < since:
        earliest = db.execute("SELECT min(at) FROM clock WHERE modseq >= ?", (floor,)).get or 0
        raise BeyondHistory(
            "The store no longer knows what the account was then.", "A backup may: name its --location.",
            earliest=max(earliest, since),
        )  # fmt: skip
    high = db.execute("SELECT min(modseq) FROM clock WHERE modseq > ?", (low,)).get or last_change(db) + 1
    old = db.execute("SELECT key FROM email WHERE modseq <= ? ORDER BY key DESC LIMIT 1", (low,)).get or 0
    where = {"low": low, "high": high, "at": at, "begun": begun, "old": old}
    found = [db.execute(sql, where).get for sql in _STAMPED]
    return max(int(low), *(int(number) for number in found if number is not None), 0)


_UNFLAGGED = "NOT EXISTS (SELECT 1 FROM history h WHERE h.modseq = {0} AND h.kind = 'flags')"
_STAMPED = (
    "SELECT max(modseq) FROM history WHERE modseq > :low AND modseq < :high AND at <= :at",
    "SELECT max(modseq) FROM removed WHERE removed_at BETWEEN :begun AND :at AND modseq > :low AND modseq < :high",
    "SELECT max(e.modseq) FROM email e WHERE e.key > :old AND e.modseq > :low AND e.modseq < :high AND ("
    " EXISTS (SELECT 1 FROM placement p WHERE p.email = e.key AND p.saved <= :at)"
    " OR EXISTS (SELECT 1 FROM removed r WHERE r.email = e.key AND r.saved <= :at))",
    f"SELECT max((SELECT max(p.modseq) {stamps.since('m.key', ':low', below=':high')}"
    f" AND p.saved <= :at AND {_UNFLAGGED.format('p.modseq')})) FROM mailbox m",
    "SELECT max(placed_modseq) FROM removed WHERE modseq > :low AND placed_modseq > :low AND placed_modseq < :high"
    f" AND saved <= :at AND {_UNFLAGGED.format('placed_modseq')}",
)


def past_at(db: apsw.Connection, number: int, at: int) -> Compared:
    """The account after the command `number`, which is not below the log floor. at: when that was, seconds UTC."""
    now = {row[0]: Box(*row) for row in db.execute("SELECT key, id, name, role FROM mailbox")}
    past = Compared(number, at, dict(now), now)
    past.subscribed_now = frozenset(mailboxes.subscriptions(db, ""))
    past.rights_now = acl.lists(db)
    former = _walk_back(db, past)
    reading = _Reading(db, past, former)
    for key in sorted(past.then.keys() | now.keys() | set(reading.gone)):
        reading.mailbox(key)
    return past


def _walk_back(db: apsw.Connection, past: Compared) -> dict[int, dict[int, int]]:
    """Undo the history after the past's number, newest first, on mailboxes and subscriptions; the flag sets that
    placements had then, by mailbox and UID, where they have changed since."""
    then, subscribed = past.then, set(past.subscribed_now)
    rights = {key: dict(listed) for key, listed in past.rights_now.items()}
    former: dict[int, dict[int, int]] = {}
    for kind, key, uids, before in db.execute(_HISTORY, (past.number,)):
        match kind:
            case "flags":
                flags, number = former.setdefault(key, {}), int(before)
                for low, high in msgspec.msgpack.decode(uids):
                    flags.update(dict.fromkeys(range(low, high + 1), number))
            case "create":
                then.pop(key, None)
                rights.pop(key, None)
            case "acl":
                letters, _, identifier = before.partition(" ")
                listed = rights.setdefault(key, {})
                if letters:
                    listed[identifier] = letters
                else:
                    listed.pop(identifier, None)
            case "delete":
                id, role = db.execute("SELECT id, role FROM mailbox_tombstone WHERE key = ?", (key,)).fetchone() or (
                    "",
                    None,
                )
                then[key] = Box(key, id, before, role)
            case "rename" if key in then:
                then[key] = Box(key, then[key].id, before, then[key].role)
            case "role" if key in then:
                then[key] = Box(key, then[key].id, then[key].name, before)
            case "subscribe":
                name, _, user = before[1:].partition("\n")
                if not user:
                    (subscribed.discard if before[0] == "+" else subscribed.add)(name)
    past.subscribed_then = frozenset(subscribed)
    past.rights_then = rights
    return former


_HISTORY = "SELECT kind, mailbox, uids, former FROM history WHERE modseq > ? ORDER BY modseq DESC, part DESC"


class _Touched(NamedTuple):
    """A placement, or one that is gone, that changed after the number. changed: its own last number."""

    uid: int
    email: int
    email_id: str
    email_modseq: int | None
    flagset: int
    changed: int
    saved: int
    here: bool


class _Reading:
    """Sorts what was touched since into what was there then and what came since."""

    def __init__(self, db: apsw.Connection, past: Compared, former: dict[int, dict[int, int]]) -> None:
        self._db = db
        self._past = past
        self._former = former
        self._flags = flag_sets(db)
        self.gone: dict[int, list[_Touched]] = {}
        self._moves: dict[tuple[int, int], tuple[int, int]] = {}
        for mailbox, uid, email, id, created, flagset, changed, saved, to, to_uid in db.execute(_GONE, (past.number,)):
            one = _Touched(uid, email if id else 0, id or "", created, flagset, changed, saved, False)
            self.gone.setdefault(mailbox, []).append(one)
            if to is not None:
                self._moves[mailbox, uid] = (to, to_uid)
        self._moved_in = set(self._moves.values())

    def mailbox(self, key: int) -> None:
        number, past = self._past.number, self._past
        rows: list[tuple[int, int, str, int, int, int, int]] = typed(self._db.execute(_TOUCHED, (key, number)))
        touched = [_Touched(*row, here=True) for row in rows]
        touched += self.gone.get(key, [])
        touched.sort()
        former = self._former.get(key, {})
        was_there = key in past.then
        oldest: int = self._db.execute(_KNOWN_OLD, (key, number)).get or 0
        youngest = next((one.uid for one in touched if one.changed > number and one.uid not in former), 1 << 32)
        for one in touched:
            flags = self._flags[one.flagset]
            if was_there and self._existed(key, one, oldest, youngest):
                then = self._flags[former.get(one.uid, one.flagset)]
                went = None if one.here else self._end(key, one.uid)
                past.rows.append(
                    ThenRow(key, one.uid, one.email, one.email_id, then, flags if one.here else None, went)
                )
            elif one.here:
                new = one.email_modseq is not None and one.email_modseq > number
                past.since.append(SinceRow(key, one.uid, one.email, one.email_id, flags, new))

    def _end(self, mailbox: int, uid: int) -> tuple[int, int] | None:
        """Where moves have taken a placement in the end. UIDs never come back, so there is one."""
        place = self._moves.get((mailbox, uid))
        while place in self._moves:
            place = self._moves[place]
        return place

    def _existed(self, key: int, one: _Touched, oldest: int, youngest: int) -> bool:
        number = self._past.number
        if one.changed <= number or one.uid <= oldest:
            return True
        if one.uid >= youngest or (key, one.uid) in self._moved_in:
            return False
        if one.email_modseq is not None and one.email_modseq > number:
            return False
        return one.saved <= self._past.at


_TOUCHED = """
SELECT p.uid, p.email, e.id, e.modseq, p.flagset, p.modseq, p.saved
""" + stamps.since("?1", "?2", "CROSS JOIN email e ON e.key = p.email")
_GONE = """
SELECT r.mailbox, r.uid, r.email, e.id, e.modseq, r.flagset, r.placed_modseq, r.saved, r.moved_to, r.moved_uid
FROM removed r LEFT JOIN email e ON e.key = r.email WHERE r.modseq > ?
"""
_KNOWN_OLD = """
SELECT max(coalesce((SELECT uid FROM placement WHERE mailbox = ?1 AND modseq <= ?2 ORDER BY uid DESC LIMIT 1), 0),
    coalesce((SELECT max(uid) FROM removed WHERE mailbox = ?1 AND placed_modseq <= ?2), 0))
"""


def flag_sets(db: apsw.Connection) -> dict[int, Flags]:
    """All of them, by number: an account has few."""
    return {
        number: Flags(System(system), frozenset(words.split()))
        for number, system, words in db.execute("SELECT number, system, keywords FROM flagset")
    }


def _past_snapshot(db: apsw.Connection, to: Snapshot) -> Compared:
    """The account as a snapshot has it, against all there is now. Mailboxes are known by MAILBOXID."""
    now = {row[0]: Box(*row) for row in db.execute("SELECT key, id, name, role FROM mailbox")}
    by_id = {box.id: key for key, box in now.items()}
    keys = {box.key: by_id.get(box.id, -number) for number, box in enumerate(to.boxes, 1)}
    past = Compared(0, to.at, {keys[box.key]: Box(keys[box.key], *_rest(box)) for box in to.boxes}, now)
    past.subscribed_then, past.subscribed_now = to.subscribed, frozenset(mailboxes.subscriptions(db, ""))
    past.rights_now, rights, entries = acl.lists(db), dict[int, dict[str, str]](), dict[int, list[Entry]]()
    for box, identifier, letters in to.rights:
        rights.setdefault(keys[box], {})[identifier] = letters
    for box, user, entry, value in to.entries:
        entries.setdefault(keys[box], []).append((user, entry, value))
    past.rights_then, past.entries = rights, entries
    sets, known = flag_sets(db), dict[tuple[int, str], Flags]()
    here: dict[tuple[int, str], list[tuple[int, Flags]]] = {}
    emails: dict[str, int] = {}
    for mailbox, uid, email, id, flagset in db.execute(_PLACED):
        here.setdefault((mailbox, id), []).append((uid, sets[flagset]))
        emails[id] = email
    lacking: list[tuple[int, str, Flags]] = []
    then_ids: set[str] = set()
    for box, id, system, keywords in to.rows:
        flags = known.get((system, keywords))
        if flags is None:
            flags = known[system, keywords] = Flags(System(system), frozenset(keywords.split()))
        then_ids.add(id)
        places = here.get((keys[box], id))
        if places:
            uid, current = places.pop(0)
            if current != flags:
                past.rows.append(ThenRow(keys[box], uid, emails[id], id, flags, current))
        else:
            lacking.append((keys[box], id, flags))
    gone = [id for _, id, _ in lacking if id not in emails]
    emails.update(_emails(db, gone))
    past.rows += [ThenRow(box, uid, emails.get(id, 0), id, flags, None) for uid, (box, id, flags) in enumerate(lacking)]
    for (mailbox, id), places in here.items():
        past.since += [SinceRow(mailbox, uid, emails[id], id, flags, id not in then_ids) for uid, flags in places]
    return past


def _rest(box: Box) -> tuple[str, str, str | None]:
    return box.id, box.name, box.role


def _emails(db: apsw.Connection, ids: Sequence[str]) -> Iterable[tuple[str, int]]:
    """(EMAILID, key) of those whose contents are still kept."""
    found: list[tuple[str, int]] = []
    for at in range(0, len(ids), 10_000):
        some = tuple(ids[at : at + 10_000])
        found += typed(db.execute(_BY_IDS, (apsw.carray(some),)))
    return found


_BY_IDS = "SELECT id, key FROM email WHERE id IN (SELECT value FROM carray(?))"
_PLACED = """
SELECT p.mailbox, p.uid, p.email, e.id, p.flagset FROM placement p CROSS JOIN email e ON e.key = p.email
ORDER BY p.mailbox, p.uid
"""


# Doing it --------------------------------------------------------------------------------------------


def _do(tx: Write, made: Prepared, undid: int | None) -> Rewound:
    _, past, found, told = made
    if found.empty and not (found.lost and not past.number):  # to a snapshot: what is lost here is brought from there
        tx.numbered = False
        return told
    _rename(tx, past, found)
    new = _make(tx, found)
    _give_roles(tx, past, found, new)
    brought = _place(tx, past, found, {**found.homes, **new})
    for (box, flags), uids in found.flags.items():
        change_flags(tx, box, tuple(ranges_of(sorted(uids))), lambda old, flags=flags: flags)  # type: ignore[misc]  # bound now
    for box, uids in found.remove.items():
        tx.remove(box, tuple(ranges_of(sorted(uids))))
    for box in found.drop:
        mailboxes.delete(tx, box, past.now[box].name)
    for name in sorted(found.unsubscribe):
        mailboxes.subscribe(tx, name, False)
    for name in sorted(found.subscribe):
        mailboxes.subscribe(tx, name, True)
    tx.remember(NOTE, None, (), msgspec.json.encode(Note(past.at, undid)).decode())
    for box, uids in brought.items():
        tx.remember(MADE, box, ranges_of(sorted(uids)), str(tx.modseq))
    told.id = tx.modseq
    return told


def _rename(tx: Write, past: Compared, found: Plan) -> None:
    """All at once: two mailboxes may have changed names, and one that is about to go may have the name of another."""
    apart = [(f"\n{key}", key) for key in (*found.names, *found.drop)]  # which no mailbox can be called
    tx.db.executemany("UPDATE mailbox SET name = ? WHERE key = ?", apart)
    for key, name in sorted(found.names.items()):
        mailboxes.give_name(tx, key, past.now[key].name, name)


def _make(tx: Write, found: Plan) -> dict[int, int]:
    """Mailboxes that were deleted since, as new ones of their names: key of then -> of now."""
    made = {box.key: mailboxes.create(tx, box.name, None, None, above=False).key for box in found.make}
    for then, key in made.items():
        acl.replace(tx, key, found.grant[then])  # not what it would have of the one above it
        tx.db.executemany(
            "INSERT INTO annotation (mailbox, user, entry, value, modseq) VALUES (?, ?, ?, ?, ?)",
            [(key, *entry, tx.modseq) for entry in found.enter[then]],
        )
    return made


def _give_roles(tx: Write, past: Compared, found: Plan, made: dict[int, int]) -> None:
    wanted = {**found.roles, **{key: None for key in found.drop if past.now[key].role}}
    tx.db.executemany("UPDATE mailbox SET role = NULL WHERE key = ?", [(key,) for key in wanted])
    wanted |= {made[box.key]: box.role for box in found.make if box.role is not None}
    for key, role in wanted.items():
        taken = role is not None and tx.db.execute("SELECT 1 FROM mailbox WHERE role = ?", (role,)).get is not None
        tx.db.execute(
            "UPDATE mailbox SET role = ?, changed_modseq = ? WHERE key = ?", (None if taken else role, tx.modseq, key)
        )
        before = past.now[key].role if key in past.now else None
        tx.remember("role", key, (), before)


def _place(tx: Write, past: Compared, found: Plan, homes: dict[int, int]) -> dict[int, list[int]]:
    """Messages back into their mailboxes, in the order in which they were there; UIDs of those that were brought back,
    by mailbox: those that were moved back can be moved again."""
    known = _sizes(tx.db, {one.email for one in found.place})
    targets: dict[int, list[tuple[int, int]]] = {}
    for number, one in enumerate(found.place):
        targets.setdefault(homes[one.box], []).append((one.uid, number))
    brought: dict[int, list[int]] = {}
    moved: dict[int, list[tuple[int, int, int]]] = {}
    for target, entries in targets.items():
        placings = [found.place[number] for _, number in sorted(entries)]
        uids = tx.place(
            target, [NewPlacement(one.email, tx.flagset(one.flags), *known[one.email], tx.now) for one in placings]
        )
        for one, uid in zip(placings, uids, strict=True):
            if one.source is None:
                brought.setdefault(target, []).append(uid)
            else:
                moved.setdefault(one.source[0], []).append((one.source[1], target, uid))
    for source, entries_moved in moved.items():
        tx.remove(source, tuple(ranges_of(sorted(uid for uid, _, _ in entries_moved))))
        tx.db.executemany(
            "UPDATE removed SET moved_to = ?, moved_uid = ? WHERE mailbox = ? AND uid = ?",
            [(target, new, source, uid) for uid, target, new in entries_moved],
        )
    emails = sorted({one.email for one in found.place})
    if emails:
        tx.db.execute(_UNDELETED, (past.number, apsw.carray(array("q", emails))))
    return brought


def _sizes(db: apsw.Connection, emails: set[int]) -> dict[int, tuple[int, int]]:
    """Size and INTERNALDATE of emails."""
    if not emails:
        return {}
    rows = db.execute(
        "SELECT key, size, received FROM email WHERE key IN (SELECT value FROM carray(?))",
        (apsw.carray(array("q", sorted(emails))),),
    )
    return {key: (size, received) for key, size, received in rows}


_UNDELETED = """
UPDATE removed SET undeleted = 1 WHERE moved_to IS NULL AND email IN (SELECT value FROM carray(?2)) AND modseq > ?1
"""


def _told(db: apsw.Connection, past: Compared, found: Plan) -> Rewound:
    """The plan by names, the first of what came since with who wrote it."""
    told = tell(past, found)
    back = [one.email for one in found.place if one.source is None]
    sizes = _sizes(db, set(back))
    told.messages, told.octets = len(back), sum(sizes[email][0] for email in back if email in sizes)
    names = {key: found.names.get(key, box.name) for key, box in past.now.items()}
    for row in sorted(found.kept)[:MOST_TOLD]:
        received, size, headers = db.execute(_ABOUT, (row.email,)).fetchone() or (0, 0, b"")
        fields = index_fields(split_fields(headers or b"", FIELDS))
        sender, subject = (decode_header(first(fields, name) or b"") for name in (b"from", b"subject"))
        told.kept.append(Kept(names[row.box], row.uid, row.email_id, received, size, sender, subject))
    return told


_ABOUT = "SELECT e.received, e.size, a.headers FROM email e LEFT JOIN answer a ON a.email = e.key WHERE e.key = ?"
