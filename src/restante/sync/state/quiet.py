"""What both sides must show for there to be nothing to do: read in a few statements, before anything else is loaded."""

from __future__ import annotations

import apsw

Shown = tuple[int, str, str | None, str, str | None, str | None, bool]
"""(side, name, id, validity, state, role, subscribed) of a mailbox."""


def quiet(db: apsw.Connection) -> set[Shown] | None:
    """The mailboxes as both sides showed them when all was done. None where anything is under way, held or set aside,
    where a mailbox is on one side alone or goes by two names, or where a side cannot tell whether one has changed: then
    the sides have to be looked at."""
    if db.execute(_UNDER_WAY).get:
        return None
    found: set[Shown] = set()
    for side, name, id_, validity, state, role, subscribed in db.execute(_PLACES):
        if validity is None or state is None:
            return None
        found.add((side, name, id_, validity, state, role, bool(subscribed)))
    return found


_UNDER_WAY = """
SELECT EXISTS (SELECT 1 FROM renaming) OR EXISTS (SELECT 1 FROM hold) OR EXISTS (SELECT 1 FROM doomed)
    OR EXISTS (SELECT 1 FROM aside)
    OR EXISTS (SELECT 1 FROM message WHERE one IS NULL OR two IS NULL OR odd & 12 != 0)
    OR EXISTS (
        SELECT 1 FROM pair LEFT JOIN place one ON one.pair = pair.key AND one.side = 1
        LEFT JOIN place two ON two.pair = pair.key AND two.side = 2 WHERE one.name IS NOT two.name OR one.name IS NULL
    )
"""
_PLACES = "SELECT side, name, id, validity, state, role, subscribed FROM place"
