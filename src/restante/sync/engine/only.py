"""A run about some mailboxes alone: which they are, and a clear word where one of them is not."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from ...errors import Refusal
from ...inbox import is_inbox
from ..settings import BOTH
from .context import Context
from .mailboxes import Places

INBOX = "INBOX"
TOLD = 20
"""Names that a refusal lists."""


class NoSuchMailbox(Refusal):
    """A mailbox that was asked for is on neither side, or is none of the copy's."""

    code = "NO-SUCH-MAILBOX"


def names_of(context: Context, places: Places, only: Collection[str]) -> tuple[str, ...]:
    """The names as mailboxes have them (NFC, INBOX in any case). One that the base alone has counts: it is gone on both
    sides, and the run notes that. Raises NoSuchMailbox."""
    there = {place.name for end in BOTH for place in places[end] if place.selectable}
    there |= {one.name for pair in context.state.pairs.all() for one in (pair.one, pair.two) if one is not None}
    taken = {name for name in there if context.settings.takes(name)}
    found = []
    for wish in only:
        name = unicodedata.normalize("NFC", wish)
        name = INBOX if is_inbox(name) else name
        if name not in taken:
            raise _refusal(name, there, taken)
        found.append(name)
    return tuple(found)


def _refusal(name: str, there: Collection[str], taken: Collection[str]) -> NoSuchMailbox:
    if name in there:
        return NoSuchMailbox(
            f'The mailbox "{name}" is left out of this copy.', "See `mailboxes` and `exclude` of the copy."
        )
    import difflib

    names = sorted(taken, key=lambda each: (each != INBOX, each))
    close = difflib.get_close_matches(name, names, 1)
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    hint = f'Did you mean "{close[0]}"? ' if close else ""
    return NoSuchMailbox(
        f'There is no mailbox "{name}" on either side.', f"{hint}There are: {', '.join(names[:TOLD])}{more}."
    )
