"""ESEARCH: one search in several mailboxes, answered a mailbox at a time and by UID.

The selected mailbox is searched as its session sees it, any other as it stands now. A mailbox in which nothing
matches is not spoken of, nor is one that is not there. What one command costs is what as many SEARCHes would: the
event loop goes on between mailboxes, and each answer meets the peer's back-pressure. RFC 7377; RFC 5465 6.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import Refusal
from ...query.language import Query, Recent, Sequence, Uids
from ...store.errors import BadMailboxName, NoPermission, NoSuchMailbox
from ...store.interface import ComeTo, Store
from ...store.model import INBOX, SEPARATOR, Mailbox, UidRanges
from ...store.rights import Rights
from ..grammar.commands import ESearch, Source, SourceKind
from ..grammar.names import encode_mailbox
from ..session.criteria import asks_modseq, nodes, resolved
from ..session.places import Place
from ..session.state import BadCommand, Reply, State
from ..session.view import NOTHING, View
from . import contexts, filter_key, limit, results
from .names import mailbox_name
from .search import check, check_fuzzy, come_in, in_uids, looked_at

if TYPE_CHECKING:
    from ..session.session import ImapSession

SELECTED = (Source(SourceKind.SELECTED),)


async def esearch(session: ImapSession, command: ESearch) -> Reply:
    check(session, command)
    try:
        return await _esearch(session, command)
    except Refusal:
        if session.view_or_none is not None and "SAVE" in (command.returning or ()):
            session.view.saved = NOTHING  # RFC 9051 6.4.4.1: NO empties the variable
        raise


async def _esearch(session: ImapSession, command: ESearch) -> Reply:
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
    for done, (place, mailbox) in enumerate(mailboxes):
        if len(mailboxes) > 1:
            session.progress.report(done, len(mailboxes))
        try:
            code = await _search_one(session, command, place, mailbox, began, alone=len(mailboxes) == 1)
        except (NoSuchMailbox, NoPermission):  # deleted, or closed to this user, since it was listed
            continue
        searched += 1
        if code:
            limited, last = limited + 1, code
        await session.flush_if_full()
        await asyncio.sleep(0)  # others' turn
    if contexts.UPDATE in (command.returning or ()) and not any(_is_selected(session, *one) for one in mailboxes):
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
    command: ESearch, store: Store, mailbox: Mailbox, query: Query, within: UidRanges, come_to: ComeTo | None = None
) -> tuple[array[int], array[int]]:
    """UIDs that match; their scores where RELEVANCY was asked for."""
    if results.RELEVANCY not in (command.returning or ()):
        return await store.search(mailbox.key, query, within, come_to=come_to), NOTHING
    scored = await store.scored(mailbox.key, query, within, come_to=come_to)
    return scored.uids, scored.scores


def _is_selected(session: ImapSession, place: Place, mailbox: Mailbox) -> bool:
    """Whether it is the selected mailbox: keys are an account's own."""
    here, view = session.place, session.view_or_none
    return (
        here is not None
        and view is not None
        and (here.store.account, view.mailbox.key) == (place.store.account, mailbox.key)
    )


async def _search_one(
    session: ImapSession, command: ESearch, place: Place, mailbox: Mailbox, began: float, *, alone: bool
) -> bytes:
    """Search one mailbox and write what was found; the response code where it was limited.

    alone: no other is searched, so that its messages tell how far the command has come.
    """
    view, store = session.view_or_none, place.store
    own = _is_selected(session, place, mailbox)
    if view is None or not own:
        if not mailbox.messages:
            return b""
        view = await _looks_at(session, store, command.query, mailbox)
    if view is not None:
        query = in_uids(view, command.query if own else _elsewhere(command.query, mailbox))
        within, code = looked_at(view, query, limit.of_commands(session.config))
        come_to = come_in(session, view) if alone else None
        found, scores = await _found(command, store, mailbox, query, within, come_to)
    else:
        query = resolved(_elsewhere(command.query, mailbox), _no_set, Uids(()))
        found, scores = await _found(command, store, mailbox, query, ((1, mailbox.uidnext - 1),))
        code = b""
    shown = results.shown(found, command)
    if own and view is not None and "SAVE" in (command.returning or ()):
        view.saved = shown
    if len(found) and command.returning != results.SAVE_ALONE:
        modseq = await _modseq(session, command, store, mailbox, view, shown)
        name = encode_mailbox(mailbox.name, session.dialect.utf8), mailbox.uidvalidity
        session.write(results.esearch(command, found, modseq, results.BY_UID, uid=True, mailbox=name, scores=scores))
    results.tell_lost(session, place)
    if own and view is not None and contexts.UPDATE in (command.returning or ()):
        contexts.keep(session, view, command, found, began, uid=True, limited=bool(code))
    return code


async def _looks_at(session: ImapSession, store: Store, query: Query, mailbox: Mailbox) -> View | None:
    """The messages of a mailbox that is not selected, where sets or the limit ask for them."""
    sets = any(isinstance(node, Sequence) and node.ranges for node in nodes(query))
    if not sets and mailbox.messages <= limit.of_commands(session.config):
        return None
    return View(await store.snapshot(mailbox.key), read_only=True)


def _elsewhere(query: Query, mailbox: Mailbox) -> Query:
    """The query as it holds in a mailbox that is not selected: "$" names nothing there, and \\Recent is what no
    session has had yet."""
    if not any(isinstance(node, Recent) or (isinstance(node, Sequence) and node.saved) for node in nodes(query)):
        return query
    recent = Uids(((mailbox.recent_uid + 1, mailbox.uidnext - 1),) if mailbox.recent_uid + 1 < mailbox.uidnext else ())
    return resolved(query, lambda node: replace(node, saved=False) if node.ranges else Uids(()), recent)


def _no_set(_sequence: Sequence) -> Uids:
    raise RuntimeError("a set is looked up in a view")


async def _modseq(
    session: ImapSession, command: ESearch, store: Store, mailbox: Mailbox, view: View | None, shown: array[int]
) -> int | None:
    """The highest mod-sequence of what is shown, where MODSEQ was asked (RFC 7162 3.1.5)."""
    if not len(shown) or not asks_modseq(command.query):
        return None
    if view is None:
        view = View(await store.snapshot(mailbox.key), read_only=True)
    return await results.highest_modseq(session, view, shown, store)


async def _mailboxes(session: ImapSession, sources: tuple[Source, ...]) -> list[tuple[Place, Mailbox]]:
    """The mailboxes that the sources name, under the names that the client knows, each once, in the order of LIST.

    Of others' mailboxes those that may be read (RFC 7377 5 passes over the rest in silence).
    """
    selected = session.place
    if sources == SELECTED and selected is not None:
        return [(selected, replace(session.view.mailbox, name=selected.shown(session.view.mailbox.name)))]
    store = session.own_store
    own = Place(store, INBOX)
    everything = [(own, one) for one in await store.mailboxes()]
    called: dict[str, str] = {}
    if any(source.kind not in OWN for source in sources) or (selected is not None and not selected.own):
        names, subscribed = {one.name for _, one in everything}, set(await store.subscriptions())
        everything += [
            (place, replace(one, subscribed=one.name in subscribed))
            for place, one in await session.places.shared()
            if one.name not in names and one.rights & Rights.READ
        ]
        unlisted, called = await _unlisted(session, sources, everything)
        everything += unlisted
    if selected is not None and not any(_is_selected(session, *one) for one in everything):
        everything.append((selected, replace(session.view.mailbox, name=selected.shown(session.view.mailbox.name))))
    kinds: dict[SourceKind, list[str]] = {}  # each is looked for once, however often a client writes it
    for source in sources:
        kinds.setdefault(source.kind, []).extend(source.mailboxes)
    meant = (Source(kind, tuple(names)) for kind, names in kinds.items())
    wanted = {at for source in meant for at in _named(session, source, everything, called)}
    return [one for at, one in enumerate(everything) if at in wanted]


async def _unlisted(
    session: ImapSession, sources: tuple[Source, ...], everything: list[tuple[Place, Mailbox]]
) -> tuple[list[tuple[Place, Mailbox]], dict[str, str]]:
    """Mailboxes of others that are named, and may be read, though LIST does not show them (RFC 7377 2.2: "l" is needed
    only for those that are not explicitly named). And what those are called that were named in another way (INBOX, or
    an address, in another case), so that each is searched, and once."""
    explicit = (source.mailboxes for source in sources if source.kind is SourceKind.MAILBOXES)
    names = dict.fromkeys(name for some in explicit for name in _canonical(some))
    listed = {one.name for _, one in everything}
    there = {(place.store.account, one.key) for place, one in everything}
    found: list[tuple[Place, Mailbox]] = []
    called: dict[str, str] = {}
    for name in names:
        if name in listed or not name.startswith(session.places.prefix):
            continue
        await asyncio.sleep(0)  # others' turn: a line holds some thousands of names
        try:
            place = await session.places.find(name)
            mailbox = await place.mailbox()
        except (NoSuchMailbox, NoPermission):
            continue
        if mailbox is None or not mailbox.rights & Rights.READ:
            continue
        called[name] = place.shown(mailbox.name)
        if (at := (place.store.account, mailbox.key)) not in there:
            there.add(at)
            found.append((place, replace(mailbox, name=called[name])))
    return found, called


OWN = frozenset({SourceKind.SELECTED, SourceKind.PERSONAL, SourceKind.INBOXES})
"""Sources that name no mailbox of others, unless it is selected."""


def _named(
    session: ImapSession, source: Source, everything: list[tuple[Place, Mailbox]], called: Mapping[str, str]
) -> Iterator[int]:
    """Where in the list the mailboxes stand that one source names; names without one are passed over (RFC 7377 5).
    called: what a name stands for that is none of the list's.

    Delivery may file into any mailbox (plus-addressing), so "inboxes" is "personal" (RFC 5465 6.3).
    """
    names = {called.get(name, name) for name in _canonical(source.mailboxes)}
    compared = session.places.compared
    subtrees = {compared(name) for name in names}
    for at, (place, mailbox) in enumerate(everything):
        match source.kind:
            case SourceKind.SELECTED:
                meant = _is_selected(session, place, mailbox)
            case SourceKind.PERSONAL | SourceKind.INBOXES:
                meant = place.own
            case SourceKind.SUBSCRIBED:
                meant = mailbox.subscribed
            case SourceKind.MAILBOXES:
                meant = mailbox.name in names
            case SourceKind.SUBTREE_ONE:
                name = compared(mailbox.name)
                meant = name in subtrees or name.rpartition(SEPARATOR)[0] in subtrees
            case _:
                name = compared(mailbox.name)
                meant = name in subtrees or any(above in subtrees for above in _above(name))
        if meant:
            yield at


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
