"""CONTEXT=SEARCH, CONTEXT=SORT: UPDATE keeps a search's results up to date, CANCELUPDATE ends that.

`keep` begins a context when its search has been answered; from then on the session's updates call `tell_removed`
before removals go out (message numbers are then still the ones that the client knows) and `tell_changed` after
arrivals and flags have. Positions are 0 where results are in mailbox order, which the client keeps itself (RFC 5267
4.3.3); those of SORT are where each result stands. CONTEXT is a hint that asks for nothing here. RFC 5267 4; RFC 5465
7 (items of arriving messages); RFC 7377 2.2.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from ...query.language import Query, Sequence, Uids
from ...query.order import Criterion, SortKey
from ...store.model import Delta
from ..grammar.commands import CancelUpdate, ESearch, Sort
from ..grammar.names import encode_mailbox
from ..grammar.response import esearch_response, quoted
from ..grammar.sets import Range, compress, compress_ordered
from ..session.contexts import SLACK, Context, lasting
from ..session.criteria import resolved
from ..session.ordered import Order, Run, places
from ..session.state import BadCommand, Reply
from ..session.view import NOTHING, Update, View
from .fetch_rows import send_unasked
from .results import SearchLike
from .store import view_spans

if TYPE_CHECKING:
    from ..session.session import ImapSession

UPDATE = "UPDATE"

MOST_UIDS = 1 << 21
"""Results kept for one session, of all contexts but its first: 8 MB."""


def check(view: View, command: SearchLike) -> None:
    """Raises BadCommand where the tag already stands for a search that is kept up to date (RFC 5267 4.3)."""
    if UPDATE in (command.returning or ()) and command.tag in view.contexts:
        raise BadCommand("That tag is in use by a search that is kept up to date.")


def keep(
    session: ImapSession,
    view: View,
    command: SearchLike,
    found: array[int],
    began: float,
    *,
    uid: bool,
    limited: bool,
) -> None:
    """Keep a search up to date that has just been answered with `found`; or tell that it is not (NOUPDATE).

    began: when the search began. limited: it did not look at all messages, so that its results mean nothing later.
    """
    if limited:
        refuse(session, command.tag, b"Not all messages were looked at.")
        return
    keys = command.keys if isinstance(command, Sort) else ()
    if any(key.key is SortKey.RELEVANCY for key in keys):  # scores change with the mailbox
        refuse(session, command.tag, b"Results sorted by relevancy are not kept up to date.")
        return
    held = sum(len(context.results) for context in view.contexts.values())
    if len(view.contexts) >= session.config.contexts or (view.contexts and held + len(found) > MOST_UIDS):
        refuse(session, command.tag, b"Too many searches are kept up to date.")
        return
    query = lasting(command.query, lambda sequence: _named(view, sequence))
    named = isinstance(command, ESearch)
    top = _top(view)
    view.contexts[command.tag] = Context(command.tag, uid, named, query, found, began, top, command.update, keys)


def refuse(session: ImapSession, tag: bytes, text: bytes) -> None:
    """Tell that a search is not kept up to date; all else that it asked for holds (RFC 5267 4.3.1)."""
    session.say(text, b"NOUPDATE " + quoted(tag), b"NO")


def _named(view: View, sequence: Sequence) -> Query:
    return Uids(view.ranges(view.spans(sequence, strict=False)))


def _top(view: View) -> int:
    return view.uids.uids[-1] if len(view.uids) else 0


async def cancel_update(session: ImapSession, command: CancelUpdate) -> Reply:
    """CANCELUPDATE: a tag that stands for none is passed over."""
    view = session.view
    for tag in command.tags:
        view.contexts.pop(tag, None)
    if not view.contexts:
        view.unsettled = NOTHING
    return Reply(b"No further updates.")


def drop_numbered(session: ImapSession) -> None:
    """End the contexts that would be told by message number, which UIDONLY forbids (RFC 9586 3)."""
    view = session.view_or_none
    if view is not None:
        for tag in [tag for tag, context in view.contexts.items() if not context.uid]:
            del view.contexts[tag]
            refuse(session, tag, b"Message numbers are not told any more.")


def due_in(view: View, now: float) -> float | None:
    """Seconds until a context must be looked at for the time that has passed; None where none depends on it."""
    return min((due for context in view.contexts.values() if (due := context.due_in(now)) is not None), default=None)


def tell_removed(session: ImapSession, view: View) -> None:
    """Write REMOVEFROM for results that are removed, whether or not the removal itself may be told yet.

    It stands before EXPUNGE, so that its message numbers are the ones that the client has (RFC 5267 4.3.4).
    """
    if len(view.gone):
        for context in view.contexts.values():
            _write(session, view, context, context.take_out(context.held(view.gone)), [])


async def tell_changed(session: ImapSession, view: View, delta: Delta, update: Update) -> None:
    """Search what may have changed once more, for each context, and write what became of it.

    Where the store refuses midway, all of it stays to be looked at: the view has taken the delta in already.
    """
    looked = array("I", sorted({*(uid for uid, _, _ in delta.changed), *view.unsettled}))
    view.unsettled = looked
    arrived = set(update.arrived) - view.filed
    for context in view.contexts.values():
        now, top = session.clock.now(), _top(view)
        crossing = context.crossing(now)
        mine = await _looked_at(session, view, context, looked, crossing, now)
        await _settle(session, view, context, mine, arrived)
        context.top = top
        if crossing is not None:
            context.looked_at = now
    view.unsettled = NOTHING
    view.filed.clear()


async def _settle(session: ImapSession, view: View, context: Context, mine: array[int], arrived: set[int]) -> None:
    """Search these UIDs for one context and write what became of them. arrived: those that others brought."""
    if len(mine):
        query = resolved(context.query, lambda sequence: _named(view, sequence), Uids(tuple(view.recent)))
        found = await session.selected_store.search(view.mailbox.key, query, tuple(compress(mine)))
        removed, added = context.changed(mine, found)
        runs = context.take_out(removed)
        where: list[tuple[int, int]] = []
        if context.keys and len(added):
            where = await places(_order(session, view, context.keys), context.results, added)
            added = array("I", sorted(uid for _, uid in where))  # without those that are gone since they were found
        new = array("I", [uid for uid in added if uid in arrived]) if context.fetch else NOTHING
        if len(new):
            await send_unasked(session, view, view_spans(view, new), context.fetch)
        _write(session, view, context, runs, context.put_in(added, where))
        await session.flush_if_full()


def _order(session: ImapSession, view: View, keys: tuple[Criterion, ...]) -> Order:
    """The store's order of a few messages."""

    async def order(uids: list[int]) -> array[int]:
        ranges = tuple(compress(sorted(uids)))
        return await session.selected_store.sort(view.mailbox.key, Uids(ranges), keys, ranges)

    return order


async def _looked_at(
    session: ImapSession, view: View, context: Context, looked: array[int], crossing: Query | None, now: float
) -> array[int]:
    """The UIDs that this context must look at: what changed, and what time or a new highest UID has moved. All, where
    the answer to what time has moved came too late to be trusted."""
    more: set[int] = set()
    if crossing is not None:
        more.update(await session.selected_store.search(view.mailbox.key, crossing, view.everything))
        if abs(session.clock.now() - now) > SLACK:
            return view.uids.uids
    top = _top(view)
    if context.starred and top != context.top:
        more |= {context.top, top} - {0}
    return array("I", sorted(more.union(looked))) if more else looked


def _write(session: ImapSession, view: View, context: Context, removed: list[Run], added: list[Run]) -> None:
    """Write one update; nothing where nothing changed."""
    changes = [
        (word, [(position, _set(view, context, uids)) for position, uids in runs])
        for word, runs in ((b"REMOVEFROM", removed), (b"ADDTO", added))
        if runs
    ]
    if changes:
        mailbox, place = None, session.place
        if context.named and place is not None:
            name = place.shown(view.mailbox.name)
            mailbox = encode_mailbox(name, session.dialect.utf8), view.mailbox.uidvalidity
        session.write(esearch_response(context.tag, context.uid, mailbox=mailbox, changes=changes))


def _set(view: View, context: Context, uids: list[int]) -> list[Range]:
    """Results as the client names them, in order."""
    if context.keys:
        return compress_ordered(uids if context.uid else view.numbers_in_order(array("I", uids)))
    return compress(uids) if context.uid else view.number_ranges(array("I", uids))
