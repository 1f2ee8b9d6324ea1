"""Taking an account back to an earlier state: what was then and what is now go in, what is to be done comes out. Pure.

```
in its mailbox, flags others     -> flags as of then
gone from its mailbox, and a placement that came since elsewhere  -> moved back
gone, and nowhere else           -> brought back, under a new UID
mailbox renamed or deleted since -> its name again; made again
came since                       -> stays, and is told
list (ACL), annotations          -> of then, where the mailbox is made again; else as now, and changed lists are told
```
A message is known by its EMAILID. A copy that came since counts as moved only where the message is missing from its own
mailbox: so MOVE, and COPY with STORE and EXPUNGE, are undone alike, and a copy that somebody made stays. \\Deleted is
taken off where it was not set then, and never put on, or the next EXPUNGE would remove the message again.

A rewind is undone by going back to the number before its own: what it brought is then removed again (`exact`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .model import INBOX, Flags, System, UidRanges
from .rights import EVERYONE, NEGATIVE

MOST_TOLD = 1_000
"""Messages that came since, as far as they are listed; all are counted."""


@dataclass(frozen=True, slots=True)
class Box:
    """A mailbox. key: the engine's number for it, of one that is gone as well; negative where a snapshot alone knows
    it."""

    key: int
    id: str
    name: str
    role: str | None


class ThenRow(NamedTuple):
    """A message in a mailbox then. email: the engine's number, 0 where its contents are gone. here: its flags now,
    None where that placement is gone. went: where moves have taken it, as far as they are known."""

    box: int
    uid: int
    email: int
    email_id: str
    flags: Flags
    here: Flags | None
    went: tuple[int, int] | None = None


class SinceRow(NamedTuple):
    """A placement that came since. new: so did the message; else it is a copy or was moved here."""

    box: int
    uid: int
    email: int
    email_id: str
    flags: Flags
    new: bool


@dataclass(slots=True)
class Compared:
    """An account at two moments: after the command `number` (at `at`, seconds UTC), and now. then, now: mailboxes by
    key. rows: messages of then whose placement, flags or mailbox may be others now; all else is as it was. since: what
    came. subscribed: names, then and now. made, made_boxes: what the rewind that is undone brought. rights: mailbox ->
    identifier -> letters, then and now. entries: annotations of then (user, entry, value), where they are known."""

    number: int
    at: int
    then: dict[int, Box]
    now: dict[int, Box]
    rows: list[ThenRow] = field(default_factory=list)
    since: list[SinceRow] = field(default_factory=list)
    subscribed_then: frozenset[str] = frozenset()
    subscribed_now: frozenset[str] = frozenset()
    made: Mapping[int, UidRanges] = field(default_factory=dict)
    made_boxes: frozenset[int] = frozenset()
    exact: bool = False
    rights_then: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    rights_now: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    entries: Mapping[int, Sequence[tuple[str, str, bytes]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An account as a backup has it, for when the store's history does not reach so far. boxes: keys are the
    snapshot's own. rows: (box, EMAILID, system bits, keywords joined by a space). subscribed: the owner's. rights:
    (box, identifier, letters). entries: annotations (box, user, entry, value)."""

    at: int
    boxes: tuple[Box, ...]
    rows: Iterable[tuple[int, str, int, str]]
    subscribed: frozenset[str]
    rights: Sequence[tuple[int, str, str]] = ()
    entries: Sequence[tuple[int, str, str, bytes]] = ()


class Placing(NamedTuple):
    """A message that goes back into a mailbox. box, uid: where it was then. source: the placement that it is taken
    from, None where it was removed."""

    box: int
    uid: int
    email: int
    email_id: str
    flags: Flags
    source: tuple[int, int] | None


@dataclass(slots=True)
class Plan:
    """What is to be done. homes: key of then -> of the mailbox that is it now (left out: to be made). names: new names
    by key. blocked: (name it has, name it had) of mailboxes whose name another has now. lost: messages whose contents
    are gone. kept, copies: what came since and stays. remove, drop: placements and mailboxes that an undone rewind
    made. grant, enter: lists and annotations of mailboxes that are made, by key of then. Those of mailboxes that are
    there stay: who was taken off a list since does not come back for the sake of some messages."""

    homes: dict[int, int] = field(default_factory=dict)
    make: list[Box] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    roles: dict[int, str | None] = field(default_factory=dict)
    blocked: list[tuple[str, str]] = field(default_factory=list)
    place: list[Placing] = field(default_factory=list)
    flags: dict[tuple[int, Flags], list[int]] = field(default_factory=dict)
    subscribe: frozenset[str] = frozenset()
    unsubscribe: frozenset[str] = frozenset()
    lost: list[ThenRow] = field(default_factory=list)
    kept: list[SinceRow] = field(default_factory=list)
    copies: int = 0
    remove: dict[int, list[int]] = field(default_factory=dict)
    drop: list[int] = field(default_factory=list)
    grant: dict[int, dict[str, str]] = field(default_factory=dict)
    enter: dict[int, Sequence[tuple[str, str, bytes]]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (
            self.make or self.names or self.roles or self.place or self.flags or self.subscribe or self.unsubscribe
            or self.remove or self.drop
        )  # fmt: skip


def plan(past: Compared) -> Plan:
    """Cost grows with what changed since.

    A mailbox that an undone rewind made goes, and its name is free, unless something is left in it.
    """
    doomed = frozenset(past.made_boxes & past.now.keys())
    while True:
        found = Plan(drop=sorted(doomed))
        _boxes(past, found, doomed)
        staying = _messages(past, found)
        if not staying & doomed:
            break
        doomed -= staying
    found.subscribe = past.subscribed_then - past.subscribed_now
    found.unsubscribe = past.subscribed_now - past.subscribed_then
    return found


def _boxes(past: Compared, found: Plan, doomed: frozenset[int]) -> None:
    """Names first, so that a mailbox that is made again finds its name free or taken for good."""
    now = {key: box for key, box in past.now.items() if key not in doomed}
    wanted = {key: box.name for key, box in past.then.items() if key in now and now[key].name != box.name}
    while True:
        staying = {box.name for key, box in now.items() if key not in wanted}
        blocked = [key for key, name in wanted.items() if name in staying]
        if not blocked:
            break
        for key in blocked:
            found.blocked.append((now[key].name, wanted.pop(key)))
    found.names = wanted
    names = {wanted.get(key, box.name): key for key, box in now.items()}
    for key, box in past.then.items():
        if key in now:
            found.homes[key] = key
        elif box.name in names:
            found.homes[key] = names[box.name]  # another has its name since: it goes there, as undelete does
        else:
            found.make.append(box)
    found.make.sort(key=lambda box: box.name)
    found.grant = {box.key: dict(past.rights_then.get(box.key, {})) for box in found.make}
    found.enter = {box.key: past.entries.get(box.key, ()) for box in found.make}
    _roles(past, found, doomed)


def _roles(past: Compared, found: Plan, doomed: frozenset[int]) -> None:
    """Special uses as of then, of mailboxes that were there; one that a newcomer has by now stays with it."""
    newcomers = {box.role for key, box in past.now.items() if key not in past.then and key not in doomed and box.role}
    for key, box in past.then.items():
        if key in past.now and past.now[key].role != box.role:
            if box.role in newcomers:
                continue
            found.roles[key] = box.role


def _messages(past: Compared, found: Plan) -> set[int]:
    """Mailboxes in which something stays that came since."""
    pool: dict[int, list[SinceRow]] = {}
    for row in past.since:
        if row.email:
            pool.setdefault(row.email, []).append(row)
    lacking: list[ThenRow] = []
    for then in past.rows:
        if then.here is not None:
            _set_flags(found, then.box, then.uid, then.here, then.flags, past.exact)
        elif not _there(then, pool, found, past.exact):
            lacking.append(then)
    lacking.sort(key=lambda then: then.went is None)  # whose way is known takes its own placement
    for then in lacking:
        spare = _spare(then, pool, past.made)
        if spare is not None:
            flags = _wanted(spare.flags, then.flags, past.exact)
            found.place.append(Placing(then.box, then.uid, then.email, then.email_id, flags, spare[:2]))
        elif then.email:
            flags = _wanted(Flags(), then.flags, past.exact)
            found.place.append(Placing(then.box, then.uid, then.email, then.email_id, flags, None))
        else:
            found.lost.append(then)
    staying: set[int] = set()
    for row in (row for left in pool.values() for row in left):
        if _made(row, past.made):
            found.remove.setdefault(row.box, []).append(row.uid)
            continue
        staying.add(row.box)
        if row.new:
            found.kept.append(row)
        else:
            found.copies += 1
    return staying


def _there(then: ThenRow, pool: dict[int, list[SinceRow]], found: Plan, exact: bool) -> bool:
    """Whether the message is in its mailbox all the same: it was moved back, undeleted or restored meanwhile."""
    home = found.homes.get(then.box)
    for number, row in enumerate(pool.get(then.email, ()) if then.email else ()):
        if row.box == home:
            del pool[then.email][number]
            _set_flags(found, row.box, row.uid, row.flags, then.flags, exact)
            return True
    return False


def _spare(then: ThenRow, pool: dict[int, list[SinceRow]], made: Mapping[int, UidRanges]) -> SinceRow | None:
    """A placement of the message that came since, taken out of the pool: the one to which it was moved, or else one
    that an undone rewind did not bring, which would be removed."""
    rows = pool.get(then.email) if then.email else None
    if not rows:
        return None
    best = min(range(len(rows)), key=lambda n: (rows[n][:2] != then.went, _made(rows[n], made)))
    return rows.pop(best)


def _made(row: SinceRow, made: Mapping[int, UidRanges]) -> bool:
    return any(low <= row.uid <= high for low, high in made.get(row.box, ()))


def _set_flags(found: Plan, box: int, uid: int, now: Flags, then: Flags, exact: bool) -> None:
    wanted = _wanted(now, then, exact)
    if wanted != now:
        found.flags.setdefault((box, wanted), []).append(uid)


def _wanted(now: Flags, then: Flags, exact: bool) -> Flags:
    """Flags as of then; \\Deleted only where it is set now as well."""
    if exact or not then.system & System.DELETED or now.system & System.DELETED:
        return then
    return Flags(then.system & ~System.DELETED, then.keywords)


# What is told ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class BoxChange:
    """What a rewind does in a mailbox, by its name afterwards: numbers of messages."""

    mailbox: str
    brought: int = 0
    moved: int = 0
    flagged: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that came since and stays."""

    mailbox: str
    uid: int
    email_id: str
    received: int
    size: int
    sender: str
    subject: str


@dataclass(slots=True)
class Rewound:
    """What a rewind did or would do. id: names it for undoing, 0 where it did nothing. at: the instant that it goes
    back to, seconds UTC. created, renamed (from, to), dropped: mailboxes. blocked: (name it keeps, name it had).
    kept: the first of `came` messages that came since; copies: of older ones, made since. lost: (mailbox, EMAILID) of
    messages whose contents the store has no more. granted: (mailbox, identifier, letters) of lists of mailboxes that
    are made again. rights: (mailbox, identifier, letters then, letters now) of other lists that have changed since, and
    stay. messages, octets: that come back, which count against the quota again."""

    id: int
    at: int
    changes: list[BoxChange] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    blocked: list[tuple[str, str]] = field(default_factory=list)
    roles: list[tuple[str, str | None]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    subscribed: list[str] = field(default_factory=list)
    unsubscribed: list[str] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    came: int = 0
    copies: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)
    empty: bool = False
    granted: list[tuple[str, str, str]] = field(default_factory=list)
    rights: list[tuple[str, str, str, str]] = field(default_factory=list)
    messages: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True)
class RewindNote:
    """A rewind that was done. when: it was; at: what it went back to, seconds UTC. undid: the id of the rewind that it
    undid, None where it was none."""

    id: int
    when: int
    at: int
    undid: int | None


def tell(past: Compared, plan: Plan) -> Rewound:
    """The plan by names, without what is listed of single messages."""
    names = {key: plan.names.get(key, box.name) for key, box in past.now.items()}
    changes: dict[str, BoxChange] = {}

    def change(name: str) -> BoxChange:
        return changes.setdefault(name, BoxChange(name))

    def home(key: int) -> str:
        return names[plan.homes[key]] if key in plan.homes else past.then[key].name

    for one in plan.place:
        if one.source is None:
            change(home(one.box)).brought += 1
        else:
            change(home(one.box)).moved += 1
    for (box, _), uids in plan.flags.items():
        change(names[box]).flagged += len(uids)
    for box, gone in plan.remove.items():
        change(names[box]).removed += len(gone)
    return Rewound(
        0,
        past.at,
        sorted(changes.values(), key=lambda one: (one.mailbox != INBOX, one.mailbox)),
        [box.name for box in plan.make],
        sorted((past.now[key].name, name) for key, name in plan.names.items()),
        sorted(plan.blocked),
        sorted((names[key], role) for key, role in plan.roles.items()),
        [names[key] for key in plan.drop],
        sorted(plan.subscribe),
        sorted(plan.unsubscribe),
        came=len(plan.kept),
        copies=plan.copies,
        lost=[(home(row.box), row.email_id) for row in plan.lost],
        empty=plan.empty,
        granted=[
            (box.name, identifier, letters)
            for box in plan.make
            for identifier, letters in sorted(plan.grant[box.key].items())
        ],
        rights=sorted(_changed_rights(past, names)),
    )


def _changed_rights(past: Compared, names: Mapping[int, str]) -> Iterable[tuple[str, str, str, str]]:
    for key in past.then.keys() & past.now.keys():
        then, now = past.rights_then.get(key, {}), past.rights_now.get(key, {})
        for identifier in then.keys() | now.keys():
            before, after = then.get(identifier, ""), now.get(identifier, "")
            if before != after:
                yield names[key], identifier, before, after


def without_strangers(found: Plan, told: Rewound, gone: Collection[str]) -> None:
    """Take what concerns persons who have no account any more (ids) out of a plan."""
    for key, rights in found.grant.items():
        found.grant[key] = {who: letters for who, letters in rights.items() if who.removeprefix(NEGATIVE) not in gone}
    for key, entries in found.enter.items():
        found.enter[key] = [entry for entry in entries if entry[0] not in gone]
    told.granted = [one for one in told.granted if one[1].removeprefix(NEGATIVE) not in gone]
    told.rights = [one for one in told.rights if one[1].removeprefix(NEGATIVE) not in gone]


def persons(found: Plan, told: Rewound) -> frozenset[str]:
    """Ids of persons whom a plan names: in lists and annotations that mailboxes get back, or that have changed."""
    named = {who.removeprefix(NEGATIVE) for rights in found.grant.values() for who in rights}
    named |= {who.removeprefix(NEGATIVE) for _, who, _, _ in told.rights}
    named |= {user for entries in found.enter.values() for user, _, _ in entries if user}
    return frozenset(named - EVERYONE)
