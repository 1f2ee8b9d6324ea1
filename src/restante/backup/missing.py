"""What of a mailbox of a snapshot is missing from an account now. Pure.

A message is known by its EMAILID. It is there if its mailbox has it (as often as the snapshot's had); it has been moved
if a mailbox has it in which the snapshot did not; only what is neither is missing. What a restore put beside, below
`Restored/`, was not moved there: somebody has looked at it, and now wants it back in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..store.model import Flags, System
from .segments import Placed

BESIDE = "Restored"
"""Above the mailboxes into which mail is restored beside."""

Here = Mapping[str, Mapping[str, list[tuple[int, Flags]]]]
"""EMAILID -> name of a mailbox -> (UID, flags) of each time that it has it."""
Then = Mapping[str, set[str]]
"""EMAILID -> names (as they are now) of the mailboxes in which the snapshot has it."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What would come back. present, moved: how many are there, or elsewhere. flags: UID -> what they were, of those
    present whose flags are others now; \\Deleted is never set."""

    rows: list[Placed] = field(default_factory=list)
    present: int = 0
    moved: int = 0
    flags: dict[int, Flags] = field(default_factory=dict)


def flags_of(row: Placed) -> Flags:
    return Flags(System(row.system), frozenset(row.keywords.split()))


def missing(rows: Iterable[Placed], mailbox: str, here: Here, then: Then) -> Missing:
    """rows: of the mailbox that is called `mailbox` now, ascending by UID."""
    lacking: list[Placed] = []
    flags: dict[int, Flags] = {}
    taken: dict[str, int] = {}
    present = moved = 0
    for row in rows:
        places = here.get(row.email_id, {})
        there, number = places.get(mailbox, ()), taken.get(row.email_id, 0)
        if number < len(there):
            taken[row.email_id] = number + 1
            present += 1
            uid, now = there[number]
            was = flags_of(row)
            if not now.system & System.DELETED:
                was = Flags(was.system & ~System.DELETED, was.keywords)  # or the next EXPUNGE would take it away
            if now != was:
                flags[uid] = was
        elif any(
            name not in then.get(row.email_id, ()) and not name.startswith(f"{BESIDE}/")
            for name in places
            if name != mailbox
        ):
            moved += 1
        else:
            lacking.append(row)
    return Missing(lacking, present, moved, flags)
