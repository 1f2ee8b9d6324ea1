"""ESEARCH: one search in several mailboxes, answered a mailbox at a time and by UID.

The selected mailbox is searched as its session sees it, any other as it stands now. A mailbox in which nothing
matches is not spoken of, nor is one that is not there. What one command costs is what as many SEARCHes would: the
event loop goes on between mailboxes, and each answer meets the peer's back-pressure. RFC 7377; RFC 5465 6.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...errors import Refusal
from ...query.language import Query, Recent, Sequence, Uids
from ...store.errors import BadMailboxName, NoSuchMailbox
from ...store.model import SEPARATOR, Mailbox, UidRanges
from ..grammar.commands import ESearch, Source, SourceKind
from ..grammar.names import encode_mailbox
from ..grammar.sets import compress
from ..session.criteria import asks_modseq, nodes, resolved
from ..session.state import BadCommand, Reply, State
from ..session.view import NOTHING, View
from . import contexts, filter_key, limit, results
from .names import mailbox_name
from .search import check, check_fuzzy, in_uids, looked_at

if TYPE_CHECKING:
    from ..session.session import ImapSession

SELECTED = (Source(SourceKind.SELECTED),)


async def esearch(session: ImapSession, command: ESearch) -> Reply:
    check(session, command)
    command = await filter_key.replaced(session, command)
    if results.RELEVANCY in (command.returning or ()):
        check_fuzzy(command.query)
    if asks_modseq(command.query):
        session.enable_condstore()
    _check_sources(session, command)
    began = session.clock.now()
    searched = limited = 0
    last = b""
    mailboxes = await _mailboxes(session, command.sources or SELECTED)
    for mailbox in mailboxes:
        try:
            code = await _search_one(session, command, mailbox, began)
        except NoSuchMailbox:  # deleted since it was listed
            continue
        except Refusal:
            if session.view_or_none is not None and "SAVE" in (command.returning or ()):
                session.view.saved = NOTHING  # RFC 9051 6.4.4.1
            raise
        searched += 1
        if code:
            limited, last = limited + 1, code
        await session.flush_if_full()
        await asyncio.sleep(0)  # others' turn
    if contexts.UPDATE in (command.returning or ()) and session.view.mailbox.key not in {m.key for m in mailboxes}:
        contexts.refuse(session, command.tag, b"Only the selected mailbox can be watched.")  # RFC 7377 2.2
    if limited and searched > 1:  # a UID says nothing where it may be of any mailbox
        last = limit.code(limit.of_commands(session.config))
    return limit.told(session, Reply(b"ESEARCH completed."), last)


def _check_sources(session: ImapSession, command: ESearch) -> None:
    """Raises BadCommand where the selected mailbox is meant and there is none, or SAVE is asked of others."""
    kinds = {source.kind for source in command.sources or SELECTED}
    if SourceKind.SELECTED in kinds and session.state is not State.SELECTED:
        raise BadCommand("No mailbox is selected.")
    if kinds != {SourceKind.SELECTED} and "SAVE" in (command.returning or ()):
        raise BadCommand("Only a search of the selected mailbox can be saved.")
    if contexts.UPDATE in (command.returning or ()):
        if session.state is not State.SELECTED:
            raise BadCommand("UPDATE needs a selected mailbox.")
        contexts.check(session.view, command)


async def _found(
    session: ImapSession, command: ESearch, mailbox: Mailbox, query: Query, within: UidRanges
) -> tuple[array[int], array[int]]:
    """UIDs that match; their scores where RELEVANCY was asked for."""
    if results.RELEVANCY not in (command.returning or ()):
        return await session.store.search(mailbox.key, query, within), NOTHING
    scored = await session.store.scored(mailbox.key, query, within)
    return scored.uids, scored.scores


async def _search_one(session: ImapSession, command: ESearch, mailbox: Mailbox, began: float) -> bytes:
    """Search one mailbox and write what was found; the response code where it was limited."""
    view = session.view_or_none
    own = view is not None and view.mailbox.key == mailbox.key
    if view is None or not own:
        if not mailbox.messages:
            return b""
        view = await _looks_at(session, command.query, mailbox)
    if view is not None:
        query = in_uids(view, command.query if own else _elsewhere(command.query, mailbox))
        within, code = looked_at(view, query, limit.of_commands(session.config))
        found, scores = await _found(session, command, mailbox, query, within)
    else:
        query = resolved(_elsewhere(command.query, mailbox), _no_set, Uids(()))
        found, scores = await _found(session, command, mailbox, query, ((1, mailbox.uidnext - 1),))
        code = b""
    shown = results.shown(found, command)
    if own and view is not None and "SAVE" in (command.returning or ()):
        view.saved = shown
    if len(found) and command.returning != results.SAVE_ALONE:
        modseq = await _modseq(session, command, mailbox, view, shown)
        name = encode_mailbox(mailbox.name, session.dialect.utf8), mailbox.uidvalidity
        session.write(results.esearch(command, found, modseq, compress, uid=True, mailbox=name, scores=scores))
    if own and view is not None and contexts.UPDATE in (command.returning or ()):
        contexts.keep(session, view, command, found, began, uid=True, limited=bool(code))
    return code


async def _looks_at(session: ImapSession, query: Query, mailbox: Mailbox) -> View | None:
    """The messages of a mailbox that is not selected, where sets or the limit ask for them."""
    sets = any(isinstance(node, Sequence) and not node.saved for node in nodes(query))
    if not sets and mailbox.messages <= limit.of_commands(session.config):
        return None
    return View(await session.store.snapshot(mailbox.key), read_only=True)


def _elsewhere(query: Query, mailbox: Mailbox) -> Query:
    """The query as it holds in a mailbox that is not selected: "$" names nothing there, and \\Recent is what no
    session has had yet."""
    if not any(isinstance(node, Recent) or (isinstance(node, Sequence) and node.saved) for node in nodes(query)):
        return query
    recent = Uids(((mailbox.recent_uid + 1, mailbox.uidnext - 1),) if mailbox.recent_uid + 1 < mailbox.uidnext else ())
    return resolved(query, lambda node: Uids(()) if node.saved else node, recent)


def _no_set(_sequence: Sequence) -> Uids:
    raise RuntimeError("a set is looked up in a view")


async def _modseq(
    session: ImapSession, command: ESearch, mailbox: Mailbox, view: View | None, shown: array[int]
) -> int | None:
    """The highest mod-sequence of what is shown, where MODSEQ was asked (RFC 7162 3.1.5)."""
    if not len(shown) or not asks_modseq(command.query):
        return None
    if view is None:
        view = View(await session.store.snapshot(mailbox.key), read_only=True)
    return await results.highest_modseq(session, view, shown)


async def _mailboxes(session: ImapSession, sources: tuple[Source, ...]) -> list[Mailbox]:
    """The mailboxes that the sources name, each once, in the order of LIST."""
    if sources == SELECTED:
        return [session.view.mailbox]
    everything = await session.store.mailboxes()
    wanted = {key for source in sources for key in _named(session, source, everything)}
    return [mailbox for mailbox in everything if mailbox.key in wanted]


def _named(session: ImapSession, source: Source, everything: list[Mailbox]) -> Iterator[int]:
    """Keys of the mailboxes that one source names; names without a mailbox are passed over (RFC 7377 5).

    Delivery may file into any mailbox (plus-addressing), so "inboxes" is "personal" (RFC 5465 6.3).
    """
    if source.kind is SourceKind.SELECTED:
        yield session.view.mailbox.key
        return
    names = set(_canonical(source.mailboxes))
    for mailbox in everything:
        match source.kind:
            case SourceKind.PERSONAL | SourceKind.INBOXES:
                meant = True
            case SourceKind.SUBSCRIBED:
                meant = mailbox.subscribed
            case SourceKind.MAILBOXES:
                meant = mailbox.name in names
            case SourceKind.SUBTREE_ONE:
                meant = mailbox.name in names or mailbox.name.rpartition(SEPARATOR)[0] in names
            case _:
                meant = mailbox.name in names or any(above in names for above in _above(mailbox.name))
        if meant:
            yield mailbox.key


def _canonical(names: tuple[str, ...]) -> Iterator[str]:
    """The names as the store knows them, without those that no mailbox can have."""
    for name in names:
        try:
            yield mailbox_name(name)
        except BadMailboxName:
            continue


def _above(name: str) -> Iterator[str]:
    """Names of the levels above."""
    while SEPARATOR in name:
        name = name.rpartition(SEPARATOR)[0]
        yield name
