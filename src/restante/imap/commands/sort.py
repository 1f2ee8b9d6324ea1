"""SORT, THREAD and their UID forms: the store orders, the view numbers, the grammar writes.

SORT with RETURN is answered by ESEARCH in the order asked. Messages are sorted by stored keys, so the message limit
does not hold for SORT; a mailbox over it is not threaded (RFC 9738 3.3). RFC 5256 3 and 4, RFC 5957, RFC 5267 3,
RFC 7162 3.1.9 and 3.1.10.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from ...query.language import Query
from ...query.threads import NO_THREADS
from ...store.model import UidRanges
from ..grammar.commands import Sort, Thread
from ..grammar.response import sort_response, thread_response
from ..session.criteria import asks_modseq
from ..session.state import Reply
from . import filter_key, limit, results
from .search import come_in, finish, in_uids, run

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def sort(session: ImapSession, command: Sort) -> Reply:
    come_to = come_in(session, session.view)
    scores: dict[int, int] = {}
    asks_scores = results.RELEVANCY in (command.returning or ())

    async def find(mailbox: int, query: Query, within: UidRanges) -> array[int]:
        if asks_scores:
            scored = await session.selected_store.scored(mailbox, query, within, come_to=come_to)
            scores.update(zip(scored.uids, scored.scores, strict=True))
        return await session.selected_store.sort(mailbox, query, command.keys, within, come_to=come_to)

    outcome = await run(session, command, find, limit.UNLIMITED)
    found = outcome.found
    named = results.BY_UID_IN_ORDER if command.uid else results.by_number_in_order(session.view)
    if command.returning is None:
        session.write(sort_response(named.numbers(found), outcome.modseq))
    elif command.returning != results.SAVE_ALONE:
        relevancy = [scores.get(uid, 1) for uid in found] if asks_scores else ()
        session.write(results.esearch(command, found, outcome.modseq, named, uid=command.uid, scores=relevancy))
    return finish(session, outcome, Reply(b"SORT completed."))


async def thread(session: ImapSession, command: Thread) -> Reply:
    view = session.view
    most = limit.of_commands(session.config)
    if len(view.uids) > most:
        return limit.too_many(most)
    command = await filter_key.replaced(session, command)
    if asks_modseq(command.query):
        session.enable_condstore()
    found = NO_THREADS
    if len(view.uids):
        query = in_uids(view, command.query)
        found = await session.selected_store.thread(
            view.mailbox.key, query, command.algorithm, view.everything, come_to=come_in(session, view)
        )
    numbers: array[int] | list[int] = found.uids if command.uid else view.numbers_in_order(found.uids)
    session.write(thread_response(found.skeleton, numbers))
    results.tell_lost(session, session.place)
    return Reply(b"THREAD completed.")
