"""What changed in one mailbox since a cursor: `Side.changes`.

- QRESYNC: one command tells all (RFC 7162 3.2.5).
- CONDSTORE: what was added or flagged since (RFC 7162 3.1.4.1); what is gone, only where the counts say that
  something is.
- neither, no cursor, another UIDVALIDITY: UIDs and flags of all messages.

All of a large mailbox is listed in pages, newest first, where the server can (PARTIAL; RFC 9394 3.3): a connection that
ends in between costs a page, not the list.

A server whose UIDNEXT or HIGHESTMODSEQ is lower than it was may have been restored from an older state: what changed
since, it cannot tell, and all is listed (`Changes.receded`).

A cursor stands for the state in which the mailbox was opened; what comes after that, messages that arrive while the
list is read included, is left for the next time. No answer is believed that has fewer messages than the server says
there are: what is missing from a list would be removed on the other side.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import islice
from operator import lt

from ...imap.grammar.answers import BadAnswer, Data, Status
from ...imap.grammar.answers_fetch import MOST_ROWS, Rows, parse_fetch
from ...imap.grammar.answers_search import clip, count, expand, gaps, parse_esearch, parse_search
from ...imap.grammar.sets import Range, compress
from ...values import Record, Value, field
from ..model import Changes, Flags
from ..side import MailboxUnavailable
from .account import Account
from .command import sets
from .connection import Connection, Selected, Sink
from .errors import Lost, check

_MOST_VANISHED = 1_000_000
"""UIDs named as gone; where there may be more, all that are there are listed instead."""

PAGE = 25_000
"""Messages of a page: about a megabyte."""

_FORM = "1"


class Cursor(Value, frozen=True):
    """modseq: 0 without CONDSTORE. uidnext: above all UIDs of that state. messages: how many there were."""

    validity: int
    modseq: int
    uidnext: int
    messages: int

    def text(self) -> str:
        return f"{_FORM}.{self.validity}.{self.modseq}.{self.uidnext}.{self.messages}"

    @classmethod
    def of(cls, text: str | None) -> Cursor | None:
        """None for none, or one of another form (of a later version, of another kind of side)."""
        parts = (text or "").split(".")
        if len(parts) != 5 or parts[0] != _FORM or not all(part.isdigit() for part in parts):
            return None
        return cls(*map(int, parts[1:]))


class Listing(Record):
    """All messages of a mailbox, as far as they have been listed: of the state `first`. Rows come in pages, the newest
    first, each ascending. high: UIDs up to it lack; None: nothing has been asked yet. ends: of the pages, in rows.
    receded, restored, grown: see `Changes`."""

    first: Selected | None = None
    cursor: str = ""
    rows: Rows = field(default_factory=Rows)
    high: int | None = None
    ends: list[int] = field(default_factory=list)
    receded: bool = False
    restored: bool = False
    grown: bool = False

    def in_order(self) -> Rows:
        """The rows, the page with the lowest UIDs first."""
        if len(self.ends) > 1:
            uids, kinds = self.rows.uids[:], self.rows.kinds[:]
            self.rows.clear()
            for start, end in zip(reversed([0, *self.ends[:-1]]), reversed(self.ends), strict=True):
                self.rows.uids.extend(uids[start:end])
                self.rows.kinds.extend(kinds[start:end])
        return self.rows


async def changes(account: Account, name: str, since: str | None) -> Changes:
    """`Side.changes`."""
    raw = await account.raw(name)
    listing, pages = Listing(), 0
    while True:
        try:
            async with account.pool.borrow(raw) as connection:
                if listing.first is None:
                    found = await _changes(account, connection, name, raw, Cursor.of(since), listing)
                else:
                    found = await _go_on(account, connection, name, raw, listing)
                found.receded, found.restored, found.grown = listing.receded, listing.restored, listing.grown
                return found
        except Lost:
            if len(listing.ends) == pages:  # no page has come since
                raise
            pages = len(listing.ends)


async def _changes(
    account: Account, connection: Connection, name: str, raw: bytes, since: Cursor | None, listing: Listing
) -> Changes:
    rows, offers = Rows(), account.pool.offers
    condstore = "CONDSTORE" in offers
    if since is not None and since.modseq and "QRESYNC" in offers and "QRESYNC" in connection.enabled:
        # Without known UIDs, which would confine the answer to them: new messages are asked for by the same command.
        parameters = b" (QRESYNC (%d %d))" % (since.validity, since.modseq)
        selected = await connection.select(raw, name, False, parameters, rows, _hearer(rows))
        found = None if _receded(selected, since) else _by_qresync(account, selected, rows, since)
    else:
        selected = await connection.select(raw, name, False, b" (CONDSTORE)" if condstore else b"")
        found = None
        if since is not None and since.modseq and condstore and not _receded(selected, since):
            found = await _by_condstore(account, connection, name, selected, rows, since)
    account.validities[name] = selected.validity
    if since is not None and _receded(selected, since):
        listing.receded = True
        listing.restored = 0 < (selected.modseq or 0) < since.modseq and _gives_less(selected, since)
    elif since is not None and selected.validity == since.validity and selected.uidnext is not None:
        listing.grown = since.uidnext < selected.uidnext
    if found is not None and since is not None:
        found = await _came_and_went(account, connection, name, selected, since, found)
    if found is None:
        found = await _all(account, connection, name, selected, listing)
    return found


def _receded(selected: Selected, since: Cursor) -> bool:
    """The mailbox is in a state before the cursor's. UIDNEXT must not fall while UIDVALIDITY stays (RFC 9051 2.3.1.1),
    nor HIGHESTMODSEQ. Each may all the same: Dovecot's HIGHESTMODSEQ where its indexes were lost, and UIDNEXT where it
    is reckoned by what is there. Both at once are a server that was restored."""
    lower = _gives_less(selected, since) or (selected.modseq or 0) < since.modseq
    return selected.validity == since.validity and lower


def _gives_less(selected: Selected, since: Cursor) -> bool:
    return selected.uidnext is not None and selected.uidnext < since.uidnext


def _by_qresync(account: Account, selected: Selected, rows: Rows, since: Cursor) -> Changes | None:
    """None where the server could not tell, or what it told cannot be all."""
    if selected.validity != since.validity or not selected.modseq or selected.limited or selected.uidnext is None:
        return None
    vanished = expand(clip(selected.gone, 1, since.uidnext - 1), _MOST_VANISHED)
    if vanished is None:
        return None
    uids, flags = _columns(account, rows, selected.uidnext)
    new = len(uids) - bisect_left(uids, since.uidnext)
    if not since.messages + new - len(vanished) <= selected.exists <= since.messages + new:
        return None
    return Changes(str(selected.validity), _cursor(selected), False, uids, flags, vanished)


async def _came_and_went(
    account: Account, connection: Connection, name: str, selected: Selected, since: Cursor, found: Changes
) -> Changes | None:
    """With the UIDs given out since that cursor that are gone again: the asker may know them, by having added them.

    Servers need not tell these. All that is new was told, so that a gap is one that has gone; there is seldom any, and
    where there is, the server is asked whether it has them after all (None: then it cannot be believed).
    """
    new = found.uids[bisect_left(found.uids, since.uidnext) :]
    missing = gaps(compress(new), since.uidnext, (selected.uidnext or since.uidnext) - 1)
    numbers = expand(missing, _MOST_VANISHED)
    if numbers is None:
        return None
    if len(numbers):
        for some, ranges in sets(numbers):
            there = await _present(account, connection, name, b"UID " + some)
            if any(clip(there, low, high) for low, high in ranges):
                return None
        found.vanished.extend(numbers)
    return found


async def _by_condstore(
    account: Account, connection: Connection, name: str, selected: Selected, rows: Rows, since: Cursor
) -> Changes | None:
    if selected.validity != since.validity or not selected.modseq or selected.uidnext is None:
        return None
    cursor, exists = _cursor(selected), selected.exists
    if exists:
        await _fetch(connection, name, rows, b" (CHANGEDSINCE %d)" % since.modseq)
    uids, flags = _columns(account, rows, selected.uidnext)
    new = len(uids) - bisect_left(uids, since.uidnext)
    vanished: array[int] | None = array("Q")
    if since.messages + new != exists:
        there = await _present(account, connection, name)
        if count(clip(there, 1, selected.uidnext - 1)) < exists - selected.expunged:
            raise _too_few(name)
        vanished = expand(gaps(there, 1, since.uidnext - 1), _MOST_VANISHED)
    if vanished is None:
        return None
    return Changes(str(selected.validity), cursor, False, uids, flags, vanished)


async def _all(account: Account, connection: Connection, name: str, selected: Selected, listing: Listing) -> Changes:
    cursor, exists, rows = _cursor(selected), selected.exists, listing.rows
    page = min(PAGE, account.pool.offers.message_limit or PAGE)
    if exists > page and "PARTIAL" in account.pool.offers:
        listing.first, listing.cursor = selected, cursor
        await _pages(connection, name, listing, page)
        return _whole(account, name, listing, exists - selected.expunged)
    if exists:
        await _fetch(connection, name, rows)
    uids, flags = _columns(account, rows, selected.uidnext)  # without what came meanwhile, which stands for none
    if len(uids) < exists - selected.expunged:
        raise _too_few(name)
    if not selected.modseq:
        cursor = Cursor(selected.validity, 0, selected.uidnext or 0, len(uids)).text()
    return Changes(str(selected.validity), cursor, True, uids, flags)


async def _go_on(account: Account, connection: Connection, name: str, raw: bytes, listing: Listing) -> Changes:
    """The pages that lack, on another connection. What came or was flagged meanwhile is after the cursor; what went
    makes the list too long, and is told as gone by what follows."""
    first = listing.first
    assert first is not None
    condstore = "CONDSTORE" in account.pool.offers
    selected = await connection.select(raw, name, False, b" (CONDSTORE)" if condstore else b"")
    if selected.validity != first.validity:
        raise MailboxUnavailable(f"The server has numbered the messages of {name} anew.", "The next run sees it.")
    exists = selected.exists
    came = max(0, (selected.uidnext or 0) - (first.uidnext or 0)) if first.uidnext else 0
    await _pages(connection, name, listing, min(PAGE, account.pool.offers.message_limit or PAGE))
    return _whole(account, name, listing, exists - selected.expunged - came)


async def _pages(connection: Connection, name: str, listing: Listing, page: int) -> None:
    """Page after page, each ending below the one before by UID: numbers counted from the end would shift with each
    message that comes or goes. RFC 9394 3.3."""
    rows, selected = listing.rows, connection.selected
    assert selected is not None
    while listing.high is None or listing.high > 0:
        del rows.uids[listing.ends[-1] if listing.ends else 0 :]  # of a page that was cut off
        del rows.kinds[len(rows.uids) :]
        begin, expunged = len(rows.uids), selected.expunged
        top = b"*" if listing.high is None else b"%d" % listing.high
        command = b"UID FETCH 1:%b (FLAGS) (PARTIAL -1:-%d)" % (top, page)
        check(await connection.patiently((command,), _hearer(rows), rows), name)
        new = _page(rows.uids[begin:], listing.high)
        listing.ends.append(len(rows.uids))
        # What the server says besides of other messages is no part of the page: that is as long as was asked.
        listing.high = new[-page:][0] - 1 if new and (len(new) >= page or selected.expunged != expunged) else 0


def _page(uids: array[int], high: int | None) -> Sequence[int]:
    """The UIDs of a page, ascending, each once; as they came, where that is so already."""
    if all(map(lt, uids, islice(uids, 1, None))) and (high is None or not uids or uids[-1] <= high):
        return uids
    return sorted({uid for uid in uids if high is None or uid <= high})


def _whole(account: Account, name: str, listing: Listing, least: int) -> Changes:
    """The list, if it has at least so many messages that were there when the mailbox was opened first."""
    first, rows = listing.first, listing.in_order()
    assert first is not None
    uids, flags = _columns(account, rows, first.uidnext)
    if len(uids) < least:
        raise _too_few(name)
    cursor = listing.cursor
    if not first.modseq:
        cursor = Cursor(first.validity, 0, first.uidnext or 0, len(uids)).text()
    return Changes(str(first.validity), cursor, True, uids, flags)


def _too_few(name: str) -> MailboxUnavailable:
    return MailboxUnavailable(f"The server lists fewer messages of {name} than it says there are.", "Try again later.")


def _cursor(selected: Selected) -> str:
    """The state in which the mailbox was opened. To be taken before anything else is asked."""
    return Cursor(selected.validity, selected.modseq or 0, selected.uidnext or 0, selected.exists).text()


async def _fetch(connection: Connection, name: str, rows: Rows, modifier: bytes = b"") -> None:
    """UIDs and flags of all messages, in as many commands as the server's limit asks for (RFC 9738 3.1)."""
    highest = b"*"
    while True:
        status = await connection.patiently((b"UID FETCH 1:" + highest + b" (FLAGS)" + modifier,), _hearer(rows), rows)
        check(status, name)
        lowest = _reached(status)
        if lowest is None or lowest <= 1 or (highest != b"*" and lowest >= int(highest)):
            return
        highest = b"%d" % (lowest - 1)


def _reached(status: Status) -> int | None:
    """The lowest UID that a limited command has come to (MESSAGELIMIT 1000 23221)."""
    words = status.data.split() if status.code == b"MESSAGELIMIT" else []
    return int(words[1]) if len(words) == 2 and words[1].isdigit() else None


def _hearer(rows: Rows) -> Sink:
    """Takes what was not plain enough for the regular expression."""

    def hear(answer: Data | Status) -> None:
        if isinstance(answer, Data) and answer.word == b"FETCH":
            items = parse_fetch(answer)
            uid, flags = items.get(b"UID"), items.get(b"FLAGS")
            if isinstance(uid, int) and isinstance(flags, bytes):
                rows.add(uid, b"(" + flags + b")")

    return hear


def _columns(account: Account, rows: Rows, uidnext: int | None) -> tuple[array[int], list[Flags]]:
    """The columns, ascending, one row a UID (the last), of UIDs below `uidnext`."""
    sets = [account.flags(raw) for raw in rows.sets]
    uids = rows.uids
    flags = [sets[kind] for kind in rows.kinds]
    if not all(map(lt, uids, islice(uids, 1, None))):
        latest = dict(zip(uids, flags, strict=True))
        uids = array("Q", sorted(latest))
        flags = [latest[uid] for uid in uids]
    if uidnext is not None and uids and uids[-1] >= uidnext:
        end = bisect_left(uids, uidnext)
        return uids[:end], flags[:end]
    return uids, flags


async def _present(account: Account, connection: Connection, name: str, which: bytes = b"ALL") -> list[Range]:
    """Ranges of the UIDs that are there now, of those that the search key names."""
    found: list[Range] = []
    numbers = array("Q")

    def hear(answer: Data | Status) -> None:
        if not isinstance(answer, Data):
            return
        if answer.word == b"ESEARCH":
            found.extend(parse_esearch(answer).ranges or ())
        elif answer.word == b"SEARCH":
            numbers.extend(parse_search(answer))
        if len(found) + len(numbers) > MOST_ROWS:
            raise BadAnswer("The server finds more messages than the limit allows.")

    command = (b"UID SEARCH RETURN (ALL) " if "ESEARCH" in account.pool.offers else b"UID SEARCH ") + which
    status = await connection.patiently((command,), hear)
    check(status, name)
    if status.code == b"MESSAGELIMIT":
        raise MailboxUnavailable(f"The server lists only a part of {name}.")
    found += compress(array("Q", sorted(set(numbers))))
    return sorted(found)
