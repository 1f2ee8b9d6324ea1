"""A run, or a copy, about some mailboxes alone: which they are, and a clear word where one of them is not."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from ...errors import Refusal
from ...inbox import is_inbox
from ..patterns import fits
from ..settings import BOTH
from .context import Context
from .mailboxes import Places

INBOX = "INBOX"
TOLD = 20
"""Names that a refusal lists."""


class NoSuchMailbox(Refusal):
    """A mailbox that was asked for is on neither side, or is none of the copy's; or none that it names is there."""

    code = "NO-SUCH-MAILBOX"


def names_of(context: Context, places: Places, only: Collection[str]) -> tuple[str, ...]:
    """The names as mailboxes have them (NFC, INBOX in any case). One that the base alone has counts: it is gone on both
    sides, and the run notes that. Raises NoSuchMailbox."""
    there = _there(context, places)
    taken = {name for name in there if context.settings.takes(name)}
    found = []
    for wish in only:
        name = unicodedata.normalize("NFC", wish)
        name = INBOX if is_inbox(name) else name
        if name not in taken:
            raise _refusal(name, there, taken)
        found.append(name)
    return tuple(found)


def check_included(context: Context, places: Places) -> None:
    """Raises NoSuchMailbox where none of the mailboxes that the copy names is there: "nothing had changed" would be
    said of a copy that holds nothing. One of several names may be of a mailbox to come."""
    include = context.settings.include
    there = _there(context, places)
    if any(fits(name, pattern) for pattern in include for name in there):
        return
    raise NoSuchMailbox(
        f"No mailbox on either side is one of those that the copy names: {', '.join(include)}.",
        f"Correct `mailboxes`. There are: {_listed(there)}.",
    )


def _there(context: Context, places: Places) -> set[str]:
    """Names of mailboxes on either side, and of those that the base knows."""
    there = {place.name for end in BOTH for place in places[end] if place.selectable}
    return there | {one.name for pair in context.state.pairs.all() for one in (pair.one, pair.two) if one is not None}


def _listed(names: Collection[str]) -> str:
    found = sorted(names, key=lambda each: (each != INBOX, each))
    return ", ".join(found[:TOLD]) + (f" and {len(found) - TOLD} more" if len(found) > TOLD else "")


def _refusal(name: str, there: Collection[str], taken: Collection[str]) -> NoSuchMailbox:
    if name in there:
        return NoSuchMailbox(
            f'The mailbox "{name}" is left out of this copy.', "See `mailboxes` and `exclude` of the copy."
        )
    import difflib

    close = difflib.get_close_matches(name, sorted(taken), 1)
    hint = f'Did you mean "{close[0]}"? ' if close else ""
    return NoSuchMailbox(f'There is no mailbox "{name}" on either side.', f"{hint}There are: {_listed(taken)}.")
