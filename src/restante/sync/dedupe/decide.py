"""Which messages are the same, which of them stays, and what is only reported. Pure.

**The same** are messages whose octets are equal (`Kind.IDENTICAL`), or equal but for trace fields (`Kind.TRACE`,
`trace.TRACE_FIELDS`). Flags and dates make no difference. Messages with one Message-ID and other contents are told
(`Differ`) and left alone.

**Compared** are messages of all mailboxes looked at, but: what lies in a mailbox of sent mail or of drafts only with
what lies there too (what you have sent and what came back to you are two things); and within each mailbox alone where
asked, or where the side has a mailbox of *all* mail (\\All): there mailboxes are labels, and one message is meant to be
in several. For the same reason one email (EMAILID) that lies in several mailboxes was copied there by its owner, and is
no duplicate of itself, unless told otherwise.

**The one that stays** is, of those that are the same, the first by these rules in their order:

1. one that is not marked \\Deleted (what stays must not be what the next expunge removes);
2. one in a mailbox that the person prefers, in the order given;
3. one in a mailbox that somebody made (it was filed there), before an archive, before INBOX, before the rest;
4. the largest: it has the most trace fields;
5. the one with the oldest date; then with the most flags; then that was there first.

It gets the flags of all: except \\Deleted and \\Draft, and of $Junk and $NotJunk the one that would contradict it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from ..model import NO_FLAGS, Flags
from .table import Table

APART = frozenset({"\\Sent", "\\Drafts"})
"""Roles of mailboxes whose messages are compared among themselves alone."""

NOT_MERGED = frozenset({"\\Deleted", "\\Draft"})
CONTRARY = {"$junk": "$notjunk", "$notjunk": "$junk"}


class Kind(Enum):
    """How alike messages are."""

    IDENTICAL = "identical"
    TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be chosen. within: only within each mailbox (so it is wherever mailboxes are labels). copies: one email
    in several mailboxes is a duplicate too. prefer: mailboxes whose messages stay, best first."""

    within: bool = False
    copies: bool = False
    prefer: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Messages that are the same. keep: the one that stays and gets the flags `add`. filed: others that stay, being
    the same email in other mailboxes. move: those that go."""

    kind: Kind
    keep: int
    filed: tuple[int, ...]
    move: tuple[int, ...]
    add: Flags


@dataclass(frozen=True, slots=True)
class Differ:
    """Messages of one Message-ID whose contents are not the same: one of each kind there is."""

    messages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done. octets: of the messages that move, as far as sizes are known."""

    groups: tuple[Group, ...]
    differ: tuple[Differ, ...]
    octets: int

    @property
    def moves(self) -> int:
        return sum(len(group.move) for group in self.groups)


def candidates(table: Table, rules: Rules) -> list[list[int]]:
    """Messages that may be the same: of one realm and mark. What is alone in that is none."""
    realms = _realms(table, rules)
    found: dict[tuple[int, bytes], int | list[int]] = {}
    for at, (box, mark) in enumerate(zip(table.box, table.mark, strict=True)):
        key = (realms[box], mark)
        there = found.setdefault(key, at)
        if isinstance(there, list):
            there.append(at)
        elif there != at:
            found[key] = [there, at]
    return [group for group in found.values() if isinstance(group, list)]


def to_read(table: Table, groups: Iterable[Sequence[int]]) -> list[int]:
    """Messages whose octets decide: one for each digest of a group, where not all have the same known one."""
    wanted = []
    for group in groups:
        digests = {table.digest[at] for at in group}
        if len(digests) == 1 and None not in digests:
            continue
        seen: set[bytes] = set()
        for at in group:
            digest = table.digest[at]
            if digest is None:
                wanted.append(at)
            elif digest not in seen and at not in table.core:
                seen.add(digest)
                wanted.append(at)
    return wanted


def decide(table: Table, groups: Iterable[Sequence[int]], rules: Rules) -> Plan:
    """The plan, once what `to_read` named has been read (what could not be read is left out of it).

    groups: from `candidates`.
    """
    made: list[Group] = []
    cluster: dict[int, int] = {}
    for group in groups:
        for same in _same(table, group):
            for at in same:
                cluster[at] = same[0]
            if len(same) > 1:
                found = _group(table, same, rules)
                if found.move:
                    made.append(found)
    octets = sum(max(table.size[at], 0) for group in made for at in group.move)
    return Plan(tuple(made), tuple(_differing(table, cluster, rules)), octets)


def _realms(table: Table, rules: Rules) -> list[int]:
    """For each mailbox the number of those whose messages are compared with its own."""
    return [at + 1 if rules.within or box.role in APART else 0 for at, box in enumerate(table.boxes)]


def _same(table: Table, group: Sequence[int]) -> list[list[int]]:
    """The group's messages by what they are: equal octets, or equal but for trace fields."""
    core_of = {table.digest[at]: table.core[at] for at in group if at in table.core}
    found: dict[bytes | None, list[int]] = {}
    for at in group:
        digest = table.digest[at]
        if digest is not None:  # None: gone before it could be read
            found.setdefault(core_of.get(digest, digest), []).append(at)
    return list(found.values())


def _group(table: Table, same: Sequence[int], rules: Rules) -> Group:
    boxes = table.boxes

    def order(at: int) -> tuple[int | str, ...]:
        box = boxes[table.box[at]]
        flags = table.flags[at]
        preferred = rules.prefer.index(box.name) if box.name in rules.prefer else len(rules.prefer)
        return (
            int("\\Deleted" in flags), preferred, _rank(box.name, box.role), -table.size[at], table.received[at],
            -len(flags), table.box[at], table.uid[at],
        )  # fmt: skip

    keep, *rest = sorted(same, key=order)
    filed: dict[int, int] = {}
    if not rules.copies and table.email[keep] is not None:
        for at in rest:
            if table.email[at] == table.email[keep] and table.box[at] != table.box[keep]:
                filed.setdefault(table.box[at], at)
    staying = set(filed.values())
    move = tuple(at for at in rest if at not in staying)
    kind = Kind.IDENTICAL if len({table.digest[at] for at in (keep, *move)}) == 1 else Kind.TRACE
    return Group(kind, keep, tuple(filed.values()), move, merged(table, keep, move))


def _rank(name: str, role: str | None) -> int:
    if name == "INBOX":
        return 2
    return {None: 0, "\\Archive": 1}.get(role, 3)


def merged(table: Table, keep: int, move: Iterable[int]) -> Flags:
    """Flags that the one that stays lacks."""
    have = {flag.lower() for flag in table.flags[keep]}
    added: dict[str, str] = {}
    for at in move:
        for flag in sorted(table.flags[at]):
            low = flag.lower()
            if flag not in NOT_MERGED and low not in have and CONTRARY.get(low) not in have:
                have.add(low)
                added[low] = flag
    return frozenset(added.values()) or NO_FLAGS


def _differing(table: Table, cluster: dict[int, int], rules: Rules) -> Iterable[Differ]:
    """Message-IDs with more than one content. cluster: for messages that had candidates, the first that is the same;
    a message that had none is alone in what it is, since the fields of a mark are no trace fields."""
    realms = _realms(table, rules)
    found: dict[tuple[int, bytes], int | list[int]] = {}
    for at, ident in enumerate(table.ident):
        if not ident:
            continue
        key = (realms[table.box[at]], ident)
        there = found.setdefault(key, at)
        if isinstance(there, list):
            there.append(at)
        elif there != at:
            found[key] = [there, at]
    for messages in found.values():
        if isinstance(messages, list):
            kinds = dict.fromkeys(cluster.get(at, at) for at in messages)
            if len(kinds) > 1:
                yield Differ(tuple(kinds))
