"""What the target holds, brought up to date in the state before anything is downloaded.

Other programs put the same mail there: IMAP used in turn with POP3, another computer, a run that was killed between
storing and writing down. Only mailboxes that changed are looked at, and of them only messages that are new.
"""

from __future__ import annotations

from ..side import MailboxUnavailable
from .state import Pop3State
from .target import Target

CHUNK = 1000
"""Outlines asked for at once."""


async def refresh(target: Target, state: Pop3State, mailbox: str) -> list[str]:
    """Bring the state up to date; mailboxes that could not be looked at, as sentences.

    mailbox: where new mail will go; made if it is missing.

    Cost: one listing where nothing changed; the header of every message at the first meeting.
    """
    places = [place for place in await target.places() if place.selectable]
    if all(place.name != mailbox for place in places):
        places.append(await target.create(mailbox, None))
    known = state.places()
    notes = []
    looked = False
    for place in places:
        before = known.get(place.name)
        same = before is not None and before.validity == place.validity
        if same and before is not None and place.state is not None and before.state == place.state:
            continue
        looked = True
        try:
            await _look(target, state, place.name, place.state, before.cursor if same and before is not None else "")
        except MailboxUnavailable as error:
            notes.append(f"{place.name} could not be looked at: {error.text} What it holds may be downloaded again.")
    state.keep_places(place.name for place in places)
    if looked and state.holds_free():
        state.adopt()
    return notes


async def _look(target: Target, state: Pop3State, name: str, mark: str | None, cursor: str) -> None:
    changes = await target.changes(name, cursor or None)
    key = state.begin_place(name, changes.validity)
    new = state.new_uids(key, changes.uids)
    for at in range(0, len(new), CHUNK):
        state.hold(key, await target.outlines(name, new[at : at + CHUNK]))
    # Written last: a run that ends before asks for the same changes again.
    state.end_place(
        key,
        state=mark,
        cursor=changes.cursor,
        gone=changes.vanished,
        only=changes.uids if changes.full else None,
    )
