"""STORE and UID STORE: one change for the whole set, then its answers as rows.

RFC 9051 6.4.6; RFC 3501 6.4.6; RFC 7162 3.1.3 (UNCHANGEDSINCE, MODIFIED); RFC 2180 4.2 (messages that are gone);
RFC 9738 3.1.
"""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING

from ...errors import Refusal
from ...store.errors import TooManyKeywords
from ...store.model import Flagged, FlagMode, Flags
from ...store.rights import ALL, Rights
from ..grammar.commands import FetchItem, Item, Store, StoreMode
from ..grammar.sets import compress, format_ranges
from ..session.permanent import SYSTEM, tell_flags
from ..session.state import Answer, BadCommand, Reply
from ..session.view import Changed, Spans, View, count, merged, without
from . import limit
from .fetch_plan import compile_plan, with_uid
from .fetch_rows import send
from .writable import require_writable

if TYPE_CHECKING:
    from ..session.session import ImapSession

MODES = {
    StoreMode.REPLACE: FlagMode.REPLACE,
    StoreMode.ADD: FlagMode.ADD,
    StoreMode.REMOVE: FlagMode.REMOVE,
}


class NoSuchFlag(Refusal):
    """A name with a backslash that is no system flag here. The grammar has it (RFC 9051 9, flag-extension), so it is no
    BAD: "NO - error in flags" (6.3.12), "can't store that data" (6.4.6)."""

    code = "NO-SUCH-FLAG"


async def store(session: ImapSession, command: Store) -> Reply:
    view = session.view
    spans = view.spans(command.sequence)
    require_writable(view)
    flags = flags_of(command.flags)
    if any(name.lower() == "\\recent" for name in command.flags):  # RFC 3501 2.3.2
        raise BadCommand("\\Recent cannot be changed.")
    if command.unchanged_since is not None:
        session.enable_condstore()
    if not spans:
        return Reply(b"STORE completed.")
    spans, limited = limit.cut(view, spans, limit.of_commands(session.config))
    descending = bool(limited)  # RFC 9738 3.1
    told: list[Changed] = []
    if command.silent:
        told = await session.updates.tell(may_expunge=False)  # what others did so far, or this change would cover it
    try:
        flagged = await session.selected_store.store_flags(
            view.mailbox.key, view.ranges(spans), MODES[command.mode], flags, command.unchanged_since
        )
    except TooManyKeywords:
        words = await session.selected_store.keywords(view.mailbox.key)
        tell_flags(session, words, view.mailbox.rights, read_only=False, full=True)
        raise
    alone = view.note_own(flagged)
    silent = command.silent and _reaches_all(view.mailbox.rights, command)
    if flags.keywords and command.mode is not StoreMode.REMOVE:
        await _tell_if_full(session, view)
    if not silent:
        await _answer(session, view, command, spans, descending=descending)
    elif alone and not told:
        _tell_modseqs(session, view, flagged, descending=descending)
    else:
        # Where somebody else changed flags, too, the client cannot work out what they are now: those that it was just
        # told are from before this change, which it may have noted already (RFC 9051 6.4.6: no race is left).
        changed = view_spans(view, flagged.changed)
        known = without(changed, _spans(told)) if alone else []
        _tell_modseqs(session, view, flagged, known, descending=descending)
        await _answer(session, view, command, without(changed, known), descending=descending)
    if silent and command.unchanged_since is not None and len(flagged.changed) < count(spans):
        left = without(_left_as_it_was(view, spans, flagged), _spans(told))
        await _answer(session, view, command, left, descending=descending)
    if not alone or (command.uid and len(view.gone)):
        done = _reply(view, command, spans, flagged)
        await session.updates.tell_done(done, may_expunge=command.uid, regardless=False)
    return limit.told(session, _reply(view, command, spans, flagged), limited)


def _reaches_all(rights: Rights, command: Store) -> bool:
    """Whether the user has the rights to all flags that are meant. The others stay as they were, and STORE succeeds all
    the same (RFC 4314 4): with .SILENT, too, its client must then hear what flags there are."""
    if rights is ALL:  # "is": a microsecond less, for nearly everybody
        return True
    if command.mode is StoreMode.REPLACE:
        return rights & _FLAGS == _FLAGS
    return all(rights & _RIGHTS.get(name.lower(), Rights.WRITE) for name in command.flags)


_RIGHTS = {name.decode("ascii").lower(): right for name, right in SYSTEM}
_FLAGS = Rights.SEEN | Rights.WRITE | Rights.DELETE_MESSAGES


async def _tell_if_full(session: ImapSession, view: View) -> None:
    """Say that no more keywords fit, once the last one has taken its place (RFC 9051 7.1, PERMANENTFLAGS). Of somebody
    else's account only its owner knows."""
    if view.full or session.place is None or not session.place.own:
        return
    words = await session.selected_store.keywords(view.mailbox.key)
    if len(words) >= session.limits.keywords:
        tell_flags(session, words, view.mailbox.rights, read_only=False)


def flags_of(names: tuple[str, ...]) -> Flags:
    """Flags as sent. Raises NoSuchFlag."""
    try:
        return Flags.of(names)
    except ValueError:
        raise NoSuchFlag("There is no such system flag.") from None


async def _answer(session: ImapSession, view: View, command: Store, spans: Spans, *, descending: bool = False) -> None:
    """FETCH responses for every message of the set, whether or not its flags are others than before."""
    items: tuple[FetchItem, ...] = (Item.FLAGS,)
    if session.dialect.condstore:
        items = with_uid(session, Item.FLAGS, Item.MODSEQ)
    elif command.uid or session.dialect.rev2:
        items = with_uid(session, Item.FLAGS)
    await send(session, view, spans, compile_plan(items), descending=descending)


def _left_as_it_was(view: View, spans: Spans, flagged: Flagged) -> Spans:
    """What a conditional STORE has not changed. Its client hears of each message with or without .SILENT: of one that
    was already as wanted, "an untagged FETCH response MUST be sent"; of one that was refused it is told why, so that it
    need not ask (RFC 7162 3.1.3)."""
    there = without(spans, view_spans(view, view.gone))
    return without(there, view_spans(view, flagged.changed))


def _spans(told: list[Changed]) -> Spans:
    """Positions of messages that were told of."""
    return merged((number - 1, number) for number, *_ in told)


def _tell_modseqs(
    session: ImapSession, view: View, flagged: Flagged, spans: Spans | None = None, *, descending: bool
) -> None:
    """What a CONDSTORE-aware client needs of a silent STORE (RFC 7162 3.1.3): the number of this very change, of these
    messages, or of all that it has changed.

    It is not read back: another session's change may have come meanwhile, and its number without its flags would make
    the client take them for known.
    """
    if not session.dialect.condstore:
        return
    if spans is None:
        spans = view_spans(view, flagged.changed)
    named = chain.from_iterable(view.uids.uids[start:stop] for start, stop in spans)
    if session.dialect.uidonly:
        line = b"* %%d UIDFETCH (MODSEQ (%d))\r\n" % flagged.modseq
        lines = list(map(line.__mod__, named))
    else:
        numbers = chain.from_iterable(range(start + 1, stop + 1) for start, stop in spans)
        line = b"* %%d FETCH (UID %%d MODSEQ (%d))\r\n" % flagged.modseq
        lines = list(map(line.__mod__, zip(numbers, named, strict=True)))
    session.write(b"".join(reversed(lines) if descending else lines))


def view_spans(view: View, uids: array[int]) -> Spans:
    """Positions of ascending UIDs in the view."""
    spans: Spans = []
    for low, high in compress(uids):
        start, stop = view.uids.span(low, high)
        if start < stop:
            spans.append((start, stop))
    return spans


def _reply(view: View, command: Store, spans: Spans, flagged: Flagged) -> Reply:
    by_number = not command.uid and not command.sequence.saved  # what is gone is saved no more (RFC 9051 6.4.4.1)
    gone = by_number and not command.silent and view.holds_gone(spans)  # RFC 2180 4.2
    code = b""
    if len(flagged.refused):
        refused = flagged.refused if command.uid else view.numbers(flagged.refused)
        code = b"MODIFIED " + format_ranges(compress(refused))
    if gone:
        return Reply(b"Some of the messages are no longer there.", code or b"EXPUNGEISSUED", Answer.NO)
    return Reply(b"Some messages were changed meanwhile." if code else b"STORE completed.", code)
