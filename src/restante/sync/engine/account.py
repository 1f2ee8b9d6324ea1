"""Whose accounts the two sides are: those that the state was made of, or nothing is done.

A configuration is edited, a host name reused: a copy that met another account would take all it knows for removed and
send it the other one's mail. What a side says of itself (`side.Signed`) is kept in the state and compared at each run.
Where it differs, the same account under another name is known by a mailbox that has kept its permanent id and its
UIDVALIDITY (RFC 8474 4); a UIDVALIDITY alone proves nothing, since many servers begin it with 1.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import Refusal
from ..model import Place
from ..settings import BOTH, End
from ..side import Side, sign_of
from ..state import State

TELLING_ID = 16
"""Characters from which on a mailbox's id is taken to be unique over all servers: some count from 1."""


class OtherAccount(Refusal):
    """A side is not the account that the copy was made of."""

    code = "OTHER-ACCOUNT"


def know_accounts(
    state: State, sides: dict[End, Side], places: dict[End, list[Place]], *, accept: bool = False, note: bool = True
) -> None:
    """Compare both sides with what the state was made of. accept: whatever they are is right from now on. note: write
    down what is new.

    Raises OtherAccount. Cost: one row read.
    """
    known = state.signs()
    changed: dict[End, str] = {}
    for end in BOTH:
        sign = sign_of(sides[end])
        if sign is None or known.get(end) == sign:
            continue
        if end in known and not accept and not _same(state, end, places[end]):
            raise OtherAccount(
                f"The copy was made of {known[end]}, and is now to be one of {sign}. Nothing was done.",
                "If that is the same account by another name, say --same-account, once. For another account make a "
                "copy of its own: restante sync init NAME.",
            )
        changed[end] = sign
    if changed and note:
        with state.transaction():
            state.set_signs(changed)


def _same(state: State, end: End, places: Iterable[Place]) -> bool:
    """Whether a mailbox proves it, or nothing has been copied yet."""
    known = [one for pair in state.pairs.all() if (one := pair.at(end)) is not None]
    ids = {(one.id, one.validity) for one in known if one.id is not None and len(one.id) >= TELLING_ID}
    return not known or any((place.id, place.validity) in ids for place in places)
