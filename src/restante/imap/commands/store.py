"""STORE and UID STORE: one change for the whole set, then its answers as rows.

RFC 9051 6.4.6; RFC 3501 6.4.6; RFC 7162 3.1.3 (UNCHANGEDSINCE, MODIFIED); RFC 2180 4.2 (messages that are gone).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, cast

from ...store.model import Column, Flagged, FlagMode, Flags
from ..grammar.commands import Item, Store, StoreMode
from ..grammar.sets import compress, format_ranges
from ..session.state import Answer, BadCommand, Reply
from ..session.view import Spans, View
from .fetch_rows import compile_plan, send
from .writable import require_writable

if TYPE_CHECKING:
    from ..session.session import ImapSession

MODES = {
    StoreMode.REPLACE: FlagMode.REPLACE,
    StoreMode.ADD: FlagMode.ADD,
    StoreMode.REMOVE: FlagMode.REMOVE,
}


async def store(session: ImapSession, command: Store) -> Reply:
    view = session.view
    spans = view.spans(command.sequence)
    require_writable(view)
    flags = flags_of(command.flags)
    if command.unchanged_since is not None:
        session.enable_condstore()
    if not spans:
        return Reply(b"STORE completed.")
    before: dict[int, int] = {}
    if command.silent:
        await session.updates.tell(may_expunge=False)  # what others did so far, or this change would cover it
        before = await _flags_before(session, view, spans)
    flagged = await session.store.store_flags(
        view.mailbox.key, view.ranges(spans), MODES[command.mode], flags, command.unchanged_since
    )
    if command.silent:
        await _answer_silent(session, view, command, flagged, flags, before)
    else:
        await _answer(session, view, command, spans)
    if flagged.modseq:
        view.own.add(flagged.modseq)
    await session.updates.tell(may_expunge=command.uid)
    return _reply(view, command, spans, flagged)


def flags_of(names: tuple[str, ...]) -> Flags:
    """Flags as sent. Raises BadCommand for a system flag that does not exist."""
    try:
        return Flags.of(names)
    except ValueError:
        raise BadCommand("There is no such system flag.") from None


async def _answer(session: ImapSession, view: View, command: Store, spans: Spans) -> None:
    """FETCH responses for every message of the set, whether or not its flags are others than before."""
    items = [Item.FLAGS]
    if session.dialect.condstore:
        items = [Item.UID, Item.FLAGS, Item.MODSEQ]
    elif command.uid or session.dialect.rev2:
        items = [Item.UID, Item.FLAGS]
    await send(session, view, spans, compile_plan(items))


async def _flags_before(session: ImapSession, view: View, spans: Spans) -> dict[int, int]:
    """UID -> flag set number as it stands, to know later whether somebody else changed a message as well."""
    ranges = view.ranges(spans)
    limit = sum(stop - start for start, stop in spans)
    rows = await session.store.rows(view.mailbox.key, ranges, (Column.FLAGS,), limit)
    return dict(cast("list[tuple[int, int]]", rows))  # (uid, flag set number)


async def _answer_silent(
    session: ImapSession, view: View, command: Store, flagged: Flagged, flags: Flags, before: dict[int, int]
) -> None:
    """Nothing but MODSEQ, which a CONDSTORE-aware client needs also here (RFC 7162 3.1.3).

    A message that somebody else changed in between is answered in full.
    """
    if not len(flagged.changed):
        return
    table = await session.flags()
    changed = view_spans(view, flagged.changed)
    rows = await session.store.rows(view.mailbox.key, view.ranges(changed), (Column.FLAGS,), len(flagged.changed))
    after = dict(cast("list[tuple[int, int]]", rows))  # (uid, flag set number)
    expected: dict[int, Flags] = {}
    others = array("I")
    for uid, number in after.items():
        old = before.get(uid)
        if old is None:
            others.append(uid)
            continue
        if old not in expected:
            expected[old] = applied(table[old], command.mode, flags)
        if not same(expected[old], table[number]):
            others.append(uid)
    await _send_modseqs(session, view, flagged, command)
    if others:
        await _answer(session, view, command, view_spans(view, others))


async def _send_modseqs(session: ImapSession, view: View, flagged: Flagged, command: Store) -> None:
    if not session.dialect.condstore:
        return
    plan = compile_plan((Item.UID, Item.MODSEQ))
    await send(session, view, view_spans(view, flagged.changed), plan)


def view_spans(view: View, uids: array[int]) -> Spans:
    """Positions of ascending UIDs in the view."""
    spans: Spans = []
    for low, high in compress(uids):
        start, stop = view.uids.span(low, high)
        if start < stop:
            spans.append((start, stop))
    return spans


def applied(old: Flags, mode: StoreMode, flags: Flags) -> Flags:
    """What `old` becomes by one STORE."""
    if mode is StoreMode.REPLACE:
        return flags
    lower = {name.lower() for name in flags.keywords}
    if mode is StoreMode.ADD:
        have = {name.lower() for name in old.keywords}
        more = frozenset(name for name in flags.keywords if name.lower() not in have)
        return Flags(old.system | flags.system, old.keywords | more)
    kept = frozenset(name for name in old.keywords if name.lower() not in lower)
    return Flags(old.system & ~flags.system, kept)


def same(one: Flags, other: Flags) -> bool:
    """Equal, keywords without regard to case."""
    return one.system == other.system and {k.lower() for k in one.keywords} == {k.lower() for k in other.keywords}


def _reply(view: View, command: Store, spans: Spans, flagged: Flagged) -> Reply:
    code = b""
    if len(flagged.refused):
        refused = flagged.refused if command.uid else view.numbers(flagged.refused)
        code = b"MODIFIED " + format_ranges(compress(refused))
        return Reply(b"Some messages were changed meanwhile.", code)
    if view.holds_gone(spans) and not command.uid and not command.silent:
        return Reply(b"Some of the messages are no longer there.", b"EXPUNGEISSUED", Answer.NO)
    return Reply(b"STORE completed.")
