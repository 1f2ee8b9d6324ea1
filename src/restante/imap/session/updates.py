"""Telling the client what changed in its selected mailbox, by the rules of its dialect.

Between commands nothing is said, unless NOTIFY asked for it. After each command, and in IDLE, the session brings its
view up to date (`Store.delta`) and writes, in this order: removals (EXPUNGE, or VANISHED after ENABLE QRESYNC or
UIDONLY), arrivals (EXISTS, and RECENT in IMAP4rev1), changed flags (FETCH); before all of it the removals, and after it
everything else that changes the results of a search with UPDATE. Which of these may go out depends on the command just
answered: see `Policy`.

It must not know how any command works. RFC 9051 5.2, 7.5.1; RFC 3501 7.3.2; RFC 7162 3.1, 3.2.4, 3.2.10, 6;
RFC 9586 3.4, 3.6.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING

from ...store.errors import NoPermission, NoSuchMailbox, StoreFault, cause_of
from ...store.model import Delta, FlagTable, UidList
from ..commands import contexts
from ..grammar.commands import Close, Command, ESearch, Fetch, Search, Sort, Store, Thread
from ..grammar.response import joined, vanished
from ..grammar.sets import compress
from . import criteria
from .permanent import tell_access, tell_flags, tell_new_keywords
from .state import AS_EVER, Answer, Reply, SelectedLost
from .view import Changed, Update, View

if TYPE_CHECKING:
    from .session import ImapSession


AT_ONCE = 5_000
"""Responses written before the peer must take them, and others have their turn."""


UPDATED_AT_ONCE = 8_000
"""Changed and removed messages that a view takes in on the event loop: some 5 ms. Of a delta that cannot name what was
removed, messages of the view, which are all looked at."""


class Policy(Enum):
    """What a command allows to be said before its tagged response."""

    ALL = "all"
    """Ask the store, tell everything (NOOP, EXPUNGE, IDLE and whatever may have changed something)."""
    HINTED = "hinted"
    """Tell everything, but ask the store only where a change was noted: commands that only read."""
    WITHHOLD = "withhold"
    """As HINTED, but removals wait: FETCH, STORE and SEARCH by message number."""
    REMOVES = "removes"
    """As ALL, also where NOTIFY wants no events: EXPUNGE and MOVE answer by saying what they removed."""


def always(_command: Command) -> Policy:
    return Policy.ALL


def removals(_command: Command) -> Policy:
    return Policy.REMOVES


def when_hinted(_command: Command) -> Policy:
    return Policy.HINTED


def after_set(command: Command) -> Policy:
    """FETCH and STORE, of which STORE has asked the store itself."""
    uid = isinstance(command, Fetch | Store) and command.uid
    return Policy.HINTED if uid else Policy.WITHHOLD


def after_search(command: Command) -> Policy:
    """SEARCH, SORT and THREAD (RFC 5256 3). With message numbers among its keys UID SEARCH withholds too, and so does
    ESEARCH (RFC 7162 3.2.10.2)."""
    by_uid = isinstance(command, ESearch) or (isinstance(command, Search | Sort | Thread) and command.uid)
    if by_uid and isinstance(command, Search | ESearch | Sort | Thread) and not criteria.names_numbers(command.query):
        return Policy.HINTED
    return Policy.WITHHOLD


def _is_short(view: View, delta: Delta) -> bool:
    """Whether a view takes a delta in at once."""
    removed = len(view.gone) + (len(delta.vanished) if delta.complete else len(view.uids))
    return len(delta.changed) + removed <= UPDATED_AT_ONCE


def _why(view: View) -> bytes:
    """Why not all has been told."""
    return b"Removals are yet to be told." if len(view.gone) else b"NOTIFY withholds changes."


class Updates:
    """Brings one session's view up to date and writes what the client may hear."""

    __slots__ = ("_session",)

    def __init__(self, session: ImapSession) -> None:
        self._session = session

    async def after(self, policy: Policy, reply: Reply) -> Reply:
        """Write updates before a tagged response; the response, with HIGHESTMODSEQ where removals wait, or no longer
        do."""
        session = self._session
        view = session.view
        if not session.told.messages and policy is not Policy.REMOVES:
            # RFC 7162 6: what is not told must lie above what a client with QRESYNC may believe to know.
            return self._held(reply, b"NOTIFY withholds changes.") if session.dialect.qresync else reply
        may_expunge = policy is not Policy.WITHHOLD
        asks = policy in (Policy.ALL, Policy.REMOVES) or session.dirty or (may_expunge and len(view.gone))
        if view.contexts and not asks:
            asks = bool(len(view.unsettled)) or contexts.due_in(view, session.clock.now()) == 0
        # A client with QRESYNC takes the highest MODSEQ it saw as known: a removal below it must not stay untold
        # because a hint was late (RFC 7162 3.2, 6).
        if asks or session.dialect.qresync:
            await self.tell(may_expunge=may_expunge, regardless=policy is Policy.REMOVES)
        if not session.dialect.qresync:
            return reply
        if view.untold:
            return self._held(reply, _why(view))  # RFC 7162 6
        if view.held and not reply.code.startswith(b"HIGHESTMODSEQ"):
            # The last code had the client go back: without another it stays there, and is told all again next time.
            reply = self._with_modseq(reply, b"All changes have been told.")
        view.held = False
        return reply

    def _held(self, reply: Reply, why: bytes) -> Reply:
        self._session.view.held = True
        return self._with_modseq(reply, why)

    def _with_modseq(self, reply: Reply, why: bytes) -> Reply:
        """The reply with the mod-sequence up to which all has been told, or that said before it."""
        code = b"HIGHESTMODSEQ %d" % self._session.view.told_modseq
        if reply.code or reply.answer is not Answer.OK:
            self._session.say(why, code)
            return reply
        return replace(reply, code=code)

    async def before_leaving(self, command: Command) -> None:
        """Tell removals that wait before a command that may leave the mailbox, where NOTIFY told of others meanwhile.

        It lets them be told (RFC 5465 6.1.2), and a client with QRESYNC takes the highest MODSEQ that it has heard for
        known with the next tagged response (RFC 7162 6). CLOSE may tell of none: it says up to where all has been told,
        untagged (RFC 7162 3.2.8), as does every such command where NOTIFY withholds flags."""
        if not self._session.told.at_once:
            return
        if not isinstance(command, Close):
            with suppress(SelectedLost):  # which is no reason to refuse to leave it
                await self.tell(may_expunge=True)
        self.say_told()

    def say_told(self) -> None:
        """Before a tagged response that nothing is told with: up to where all has been told, if something is untold
        behind a MODSEQ that NOTIFY may have told, which a client with QRESYNC would take for known (RFC 7162 6)."""
        session = self._session
        view = session.view_or_none
        if view is not None and view.untold and session.told.at_once and session.dialect.qresync:
            session.say(_why(view), b"HIGHESTMODSEQ %d" % view.told_modseq)

    async def tell(self, *, may_expunge: bool, regardless: bool = False) -> list[Changed]:
        """Read what changed and write it; the messages whose flags were told, ascending. Raises SelectedLost.

        regardless: also where NOTIFY has said that the client wants to hear nothing.
        """
        session = self._session
        view = session.view
        if not session.told.messages and not regardless:
            return []
        session.dirty = False
        try:
            return await self._tell(view, may_expunge)
        except NoSuchMailbox as gone:
            raise SelectedLost(b"The selected mailbox has been deleted.", b"NONEXISTENT") from gone
        except NoPermission as taken:
            raise SelectedLost(b"The selected mailbox may no longer be read.", b"NOPERM") from taken

    async def _tell(self, view: View, may_expunge: bool) -> list[Changed]:
        """Each question to the store may be the one that finds the mailbox gone, or closed to who asks."""
        session = self._session
        delta = await session.selected_store.delta(view.mailbox.key, view.mailbox.highest_modseq)
        if delta.mailbox is view.mailbox and view.is_settled:
            return []  # the very row that was read last: the answer to most questions
        present = await self._shared_list(view, delta)
        if delta.mailbox.rights != view.mailbox.rights:  # RFC 4314 5.1.1
            words = await session.selected_store.keywords(view.mailbox.key)
            tell_flags(session, words, delta.mailbox.rights, read_only=view.read_only)
            if not view.read_only:
                tell_access(session, view.mailbox.rights, delta.mailbox.rights)
        if view.contexts:
            view.note_gone(delta, present)
            contexts.tell_removed(session, view)
        if _is_short(view, delta):
            update = view.update(delta, present, may_expunge=may_expunge, tells_flags=self._tells_flags)
        else:  # the view is this session's alone, which waits
            update = await asyncio.to_thread(
                view.update, delta, present, may_expunge=may_expunge, tells_flags=self._tells_flags
            )
        await self._write(view, update, await session.flags())
        if view.contexts:
            await contexts.tell_changed(session, view, delta, update)
        if session.told.fetch and session.notifications is not None:
            await session.notifications.fetch_new(view, update.arrived, delta)
        return update.changed if self._tells_flags else []

    async def tell_done(self, done: Reply, *, may_expunge: bool = True, regardless: bool = True) -> None:
        """`tell`, within a command that has changed something and is answered by `done` should the mailbox be lost."""
        try:
            await self.tell(may_expunge=may_expunge, regardless=regardless)
        except SelectedLost as lost:
            lost.done = done
            raise

    @property
    def _tells_flags(self) -> bool:
        """Whether changed flags are told. Without messages what is told is told regardless, so all of it."""
        told = self._session.told
        return told.flags or not told.messages

    def due_in(self) -> float | None:
        """Seconds until time alone may change what the client knows; None where it cannot."""
        session = self._session
        view = session.view_or_none
        if view is None or not view.contexts or not session.told.messages:
            return None
        return contexts.due_in(view, session.clock.now())

    async def _shared_list(self, view: View, delta: Delta) -> UidList | None:
        """The process's own list of the mailbox's UIDs, where this view may come to equal it."""
        changes_uids = len(delta.vanished) or delta.mailbox.uidnext != view.mailbox.uidnext
        if delta.complete and not changes_uids:
            return None
        if delta.uids is not None:
            return delta.uids
        return (await self._session.selected_store.snapshot(view.mailbox.key)).uids

    async def _write(self, view: View, update: Update, table: FlagTable) -> None:
        session = self._session
        if len(update.expunged_uids):
            if session.dialect.vanished:
                session.write(vanished(False, compress(update.expunged_uids)))
            else:  # from the end, so that each number is the one told before
                numbers = (position + 1 for position in reversed(update.expunged))
                for start in range(0, len(update.expunged), AT_ONCE):
                    await self._in_turn(start)
                    session.write(b"".join(map(b"* %d EXPUNGE\r\n".__mod__, islice(numbers, AT_ONCE))))
        if update.exists is not None:
            session.write(b"* %d EXISTS\r\n" % update.exists)
            if not session.dialect.rev2:
                await self.claim_recent(view, update.arrived)
                session.write(b"* %d RECENT\r\n" % view.recent_count())
        if update.changed and self._tells_flags:
            await self.tell_flags(view, update.changed, table)
        await session.flush_if_full()

    async def tell_flags(self, view: View, changed: list[Changed], table: FlagTable) -> None:
        """FETCH responses with the flags of these messages."""
        for start in range(0, len(changed), AT_ONCE):
            await self._in_turn(start)
            self._write_flags(view, changed[start : start + AT_ONCE], table)
        await self._session.flush_if_full()

    async def _in_turn(self, said: int) -> None:
        """Before more is said than `said` responses, if any: the peer takes these, and others have a turn."""
        if said:
            await self._session.flush_if_full()
            await asyncio.sleep(0)

    def _write_flags(self, view: View, changed: list[Changed], table: FlagTable) -> None:
        session = self._session
        numbers, uids, flags, modseqs = zip(*changed, strict=True)
        octets = self.flag_octets(view, uids, flags, table)
        columns: list[Sequence[object]] = [numbers, uids, octets]
        if session.dialect.uidonly:
            del columns[0]
            template = b"* %d UIDFETCH (FLAGS (%b)"
        elif session.dialect.condstore or session.dialect.rev2 or session.uid_command or session.told is not AS_EVER:
            template = b"* %d FETCH (UID %d FLAGS (%b)"  # RFC 5465 5.1 for the last
        else:
            del columns[1]
            template = b"* %d FETCH (FLAGS (%b)"
        if session.dialect.condstore:
            columns.append(modseqs)
            template += b" MODSEQ (%d)"
        session.write(joined(template + b")\r\n", columns, len(changed)))

    def flag_octets(self, view: View, uids: Sequence[int], flags: Sequence[int], table: FlagTable) -> list[bytes]:
        """What stands between the parentheses of FLAGS, with \\Recent where this session has it. To be written next:
        the response FLAGS comes before it where there are new keywords. uids: ascending."""
        tell_new_keywords(self._session, view, flags, table)
        octets = list(map(table.wires.__getitem__, flags))
        if self._session.dialect.rev2:
            return octets
        for low, high in view.recent:
            start, stop = bisect_left(uids, low), bisect_right(uids, high)
            if start == stop:
                continue
            some = flags[start:stop]
            recent = {number: b" ".join(filter(None, (table.wires[number], b"\\Recent"))) for number in set(some)}
            octets[start:stop] = map(recent.__getitem__, some)
        return octets

    async def claim_recent(self, view: View, arrived: list[int]) -> None:
        """Make new messages \\Recent in this session, unless another has them, or it may change nothing.

        In a mailbox of somebody else it is noted also where there are none: a reader has his own from his first visit.
        """
        place = self._session.place
        if view.read_only:
            self._recent_for_all(view, arrived)
        elif view.mailbox.recent_uid + 1 < view.mailbox.uidnext or (place is not None and not place.own):
            try:
                view.add_recent(*await self._session.selected_store.claim_recent(view.mailbox.key))
            except StoreFault as fault:
                # A full disk is no reason not to show mail. Where it cannot be known whether this session is the first,
                # messages are recent (RFC 3501 2.3.2): the next one is told so, too.
                self._session.connection.log("recent not noted", reason=fault.code, cause=cause_of(fault))
                self._recent_for_all(view, arrived)

    def _recent_for_all(self, view: View, arrived: list[int]) -> None:
        """Make new messages \\Recent in this session, and leave them so for the next."""
        low = max(view.mailbox.recent_uid + 1, arrived[0]) if arrived else view.mailbox.recent_uid + 1
        view.add_recent(low, view.mailbox.uidnext - 1)
