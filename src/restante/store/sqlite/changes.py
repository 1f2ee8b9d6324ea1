"""What a mailbox is and what changed in it: `snapshot` and `delta`, each one transaction, both shared.

The UID list of a mailbox is one immutable array a process. It is kept with the state it was read at, and follows
the mailbox by what changed since (removals and newcomers are index ranges) instead of being read again; so flags
that change cost nothing here, and an append one copy. Where somebody asks for the flags of a whole mailbox, an array
of flag set numbers stands beside it and follows it alike.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from itertools import chain

import apsw

from ...runs import ascending
from ..model import Delta, Flagged, Mailbox, Snapshot, UidList, UidRanges
from . import mailboxes, rows, stamps
from .flags import Held
from .values import typed

MOST_UIDS = 8_000_000
"""UIDs held by the lists of one process: 32 MB."""

LIST_COSTS = 128
"""What a list costs beside its UIDs, in UIDs: some 500 octets, so that many small mailboxes keep the bound too."""

MOST_FLAGS = 4_000_000
"""Flag set numbers held by one process: 16 MB."""

FEW_FLAGS = 1_000
"""Placements below which their flags are read, not kept: what an application shows at once."""

MOST_DELTAS = 64
"""Answers of `delta` kept: one for each mailbox that wakes a crowd of IDLE sessions at once."""

SMALL_DELTA = 1_000
"""Largest answer that is kept."""

MOST_BESIDE = 2_000_000
"""UIDs of the lists beside those answers: 8 MB. Each message that comes makes another list."""

MOST_CHANGED = 8_000
"""Placements that are read on the event loop because they changed: 8 ms. After more all flags are read, and what has
changed on a thread."""

MOST_HELD_RANGES, MOST_HELD = 1_000, 100_000
"""Ranges, and messages in them, of which a STORE takes what is held: more are looked at by the thread that writes."""

MOST_GONE = 8_000
"""Removals that are read there so that a list is led on: 7 ms. After more the list is read anew."""

ON_LOOP = 25_000
"""Messages up to which a UID list is read on the event loop: 7 ms. Larger ones are read on a thread, where the caller
can wait for it, which takes a millisecond more."""


ANY_UID = (1 << 32) - 1

Place = tuple[str, int]
"""An account and the key of a mailbox."""

State = tuple[int, int, int]
"""A mailbox's number, UIDNEXT and count of messages: with these the same, its messages and their flags are."""


class NotRead(Exception):
    """The list of a large mailbox, or its flags, are not known here, and are not to be read on the event loop."""


class Lists:
    """The newest UID list of each mailbox, least recently used ones forgotten. For one thread."""

    def __init__(self, most: int = MOST_UIDS) -> None:
        self._most = most
        self._held = 0
        self.on_read: Callable[[str, int, int, UidList, array[int]], None] | None = None
        """Takes (account, mailbox, its number, UIDs, flag set numbers) where a whole list was read."""
        self._lists: OrderedDict[Place, tuple[State, UidList]] = OrderedDict()
        self._of: dict[str, set[int]] = {}  # the same places by account

    def snapshot(self, db: apsw.Connection, account: str, key: int, user: str, *, apart: bool = False) -> Snapshot:
        """The mailbox and its UIDs, read in the caller's transaction. Raises NoSuchMailbox.

        apart: raise NotRead where the list is to be read on a thread first.
        """
        mailbox = mailboxes.mailbox_by_key(db, key, user)
        uids = self.kept(db, account, mailbox) if not apart or self._near(account, mailbox) else None
        if uids is None:
            if apart and mailbox.messages > ON_LOOP:
                self.drop((account, key))  # of no use any more: nobody may take the list for known
                raise NotRead
            uids = self.take(account, mailbox, *rows.uids_and_flags(db, key))
        return Snapshot(mailbox, uids)

    def take(self, account: str, mailbox: Mailbox, read: array[int], flags: array[int]) -> UidList:
        """Keep a list that was read together with its mailbox, in one transaction: the one that is kept, where its
        state is the same."""
        uids = self.known(account, mailbox) or UidList(read)
        if self.on_read is not None and len(uids) >= FEW_FLAGS:
            self.on_read(account, mailbox.key, mailbox.highest_modseq, uids, flags)
        self._keep((account, mailbox.key), state_of(mailbox), uids)
        return uids

    def _near(self, account: str, mailbox: Mailbox) -> bool:
        """Whether following the list that is kept reads less than ON_LOOP new messages, as far as counts tell."""
        held = self._lists.get((account, mailbox.key))
        return held is None or mailbox.messages - len(held[1]) <= ON_LOOP

    def kept(self, db: apsw.Connection, account: str, mailbox: Mailbox) -> UidList | None:
        """The list of a mailbox that was read in this transaction, if following the one that is kept leads there."""
        place, state = (account, mailbox.key), state_of(mailbox)
        held = self._lists.get(place)
        if held is None:
            return None
        if held[0] == state:
            self._lists.move_to_end(place)
            return held[1]
        uids = None
        if held[0][0] <= mailbox.highest_modseq and held[0][1] <= mailbox.uidnext:
            uids = _followed(db, mailbox, held[0], held[1])
        if uids is not None:
            self._keep(place, state, uids)
        return uids

    def known(self, account: str, mailbox: Mailbox) -> UidList | None:
        """The list of a mailbox as it has just been read, where that is the one that is kept."""
        place = (account, mailbox.key)
        held = self._lists.get(place)
        if held is None or held[0] != state_of(mailbox):
            return None
        self._lists.move_to_end(place)
        return held[1]

    def others(self, account: str, keys: AbstractSet[int]) -> set[int]:
        """The mailboxes of this account that have a list and are not among these."""
        return self._of.get(account, set()) - keys

    def drop(self, place: Place) -> None:
        old = self._lists.pop(place, None)
        if old is None:
            return
        self._held -= len(old[1]) + LIST_COSTS
        account, key = place
        of = self._of[account]
        of.discard(key)
        if not of:
            del self._of[account]

    def _keep(self, place: Place, state: State, uids: UidList) -> None:
        self.drop(place)
        self._lists[place] = (state, uids)
        self._of.setdefault(place[0], set()).add(place[1])
        self._held += len(uids) + LIST_COSTS
        while self._held > self._most and len(self._lists) > 1:
            self.drop(next(iter(self._lists)))

    def forget(self, accounts: AbstractSet[str], small: int | None = None) -> set[str]:
        """Let go of these accounts' lists, only those of at most `small` UIDs where that is given; whose stay."""
        stay = set()
        for place in [(account, key) for account in accounts for key in self._of.get(account, ())]:
            if small is not None and len(self._lists[place][1]) > small:
                stay.add(place[0])
            else:
                self.drop(place)
        return stay


class FlagArrays:
    """Flag set numbers of whole mailboxes, in the order of their UID lists. For one thread.

    Made with the UID list of a large mailbox, or when the flags of most of it are asked for; after that only what
    changed since is read, and what this process stored itself is not even that. The arrays are changed in place:
    nobody keeps one across a call.
    """

    def __init__(self, lists: Lists, most: int = MOST_FLAGS) -> None:
        self._lists = lists
        self._most = most
        self._held = 0
        self._arrays: OrderedDict[Place, tuple[int, UidList, array[int]]] = OrderedDict()
        lists.on_read = self._keep

    def columns(
        self, db: apsw.Connection, account: str, key: int, ranges: UidRanges, limit: int, *, apart: bool = False
    ) -> tuple[array[int], array[int]]:
        """UIDs, and beside them flag set numbers, of at most `limit` placements of these ranges, ascending: copies. To
        be called in a transaction. Raises NoSuchMailbox; with `apart` NotRead, where all are to be read on a thread
        first."""
        uids, flags = self._current(db, account, key, apart)
        there, numbers = array("I"), array("I")
        for low, high in ranges:
            start, stop = uids.span(low, high)
            stop = min(stop, start + limit - len(there))
            there += uids.uids[start:stop]
            numbers += flags[start:stop]
            if len(there) >= limit:
                break
        return there, numbers

    def current(
        self, db: apsw.Connection, account: str, key: int, *, apart: bool = False
    ) -> tuple[array[int], array[int]]:
        """UIDs and flag set numbers of all placements. Never change them, nor keep the second. To be called in a
        transaction. Raises as `columns`."""
        uids, flags = self._current(db, account, key, apart)
        return uids.uids, flags

    def _current(self, db: apsw.Connection, account: str, key: int, apart: bool) -> tuple[UidList, array[int]]:
        place = (account, key)
        snapshot = self._lists.snapshot(db, account, key, "", apart=apart)
        uids, modseq = snapshot.uids, snapshot.mailbox.highest_modseq
        held = self._arrays.pop(place, None)
        self._held -= len(held[2]) if held is not None else 0
        flags = None
        if held is not None and held[0] == modseq and held[1] is uids:
            flags = held[2]
        elif held is not None and held[0] <= modseq and held[1].begins(uids):
            flags = _flags_followed(db, key, held, uids)
        if flags is None:
            if apart and len(uids) > ON_LOOP:
                raise NotRead
            flags = array("I", list(chain.from_iterable(db.execute(_ALL_FLAGS, (key,)))))
        self._keep(account, key, modseq, uids, flags)
        return uids, flags

    def held(self, account: str, key: int, ranges: UidRanges) -> Held | None:
        """What is known of these ranges without a look at the file, copied; None where nothing is, or to copy it would
        take others' time."""
        held = self._arrays.get((account, key))
        if held is None or len(ranges) > MOST_HELD_RANGES:
            return None
        modseq, uids, flags = held
        there, numbers = array("I"), array("I")
        for low, high in ranges:
            start, stop = uids.span(low, high)
            if len(there) + stop - start > MOST_HELD:
                return None
            there += uids.uids[start:stop]
            numbers += flags[start:stop]
        return Held(modseq, there, numbers)

    def stored(self, account: str, key: int, flagged: Flagged, ranges: UidRanges | None) -> None:
        """Take in what a command stored, instead of reading it back, where it is known of which messages.

        ranges: those in which it changed every message of the sets that it says, at most `MOST_HELD` messages; None
        where that is not known. Then it has to have left out none from the first to the last of those it changed.
        Cost: 3 ms for 100,000 messages of several sets, 0.1 for as many of one.
        """
        held = self._arrays.get((account, key))
        if held is None or held[0] != flagged.before or flagged.mailbox is None or not flagged.sets:
            return
        _, uids, flags = held
        changed = flagged.changed
        start, stop = uids.span(changed[0], changed[-1])
        now = {old: new for old, new, _ in flagged.sets}
        if stop - start == len(changed) and len(now) == 1:
            flags[start:stop] = array("I", now.values()) * len(changed)
        elif ranges is not None or (stop - start == len(changed) and len(changed) <= MOST_HELD):
            for low, high in ranges or ((changed[0], changed[-1]),):
                start, stop = uids.span(low, high)
                there = flags[start:stop]
                flags[start:stop] = array("I", map(now.get, there, there))
        else:
            return
        self._arrays[account, key] = (flagged.mailbox.highest_modseq, uids, flags)

    def _keep(self, account: str, key: int, modseq: int, uids: UidList, flags: array[int]) -> None:
        """Remember an array that is new or has been brought to now."""
        place = (account, key)
        old = self._arrays.pop(place, None)
        self._held += len(flags) - (len(old[2]) if old is not None else 0)
        self._arrays[place] = (modseq, uids, flags)
        while self._held > self._most and len(self._arrays) > 1:
            _, (_, _, gone) = self._arrays.popitem(last=False)
            self._held -= len(gone)

    def drop(self, place: Place) -> None:
        old = self._arrays.pop(place, None)
        self._held -= len(old[2]) if old is not None else 0

    def forget(self, accounts: AbstractSet[str]) -> None:
        for place in [place for place in self._arrays if place[0] in accounts]:
            self.drop(place)


def _flags_followed(
    db: apsw.Connection, key: int, held: tuple[int, UidList, array[int]], uids: UidList
) -> array[int] | None:
    """Flag set numbers of an earlier state brought to now; None where so many changed that all are read sooner."""
    modseq, _, flags = held
    most = min(len(uids) // 8 + 8, MOST_CHANGED)
    if stamps.are_many(db, key, modseq):
        return None
    changed: Changed = typed(db.execute(CHANGED, (key, modseq, most + 1)))
    if len(changed) > most:
        return None
    flags.extend([0] * (len(uids) - len(flags)))
    for uid, number, _ in changed:
        flags[uids.position(uid)] = number
    return flags


def state_of(mailbox: Mailbox) -> State:
    """What a UID list is right for."""
    return mailbox.highest_modseq, mailbox.uidnext, mailbox.messages


def _followed(db: apsw.Connection, mailbox: Mailbox, state: State, uids: UidList) -> UidList | None:
    """The list of an earlier state brought to now; None where the log cannot tell how."""
    highest, uidnext, count = state
    if highest < log_floor(db):  # removals are forgotten; or the file is an older state, which tells nothing of these
        return None
    if (uidnext, count) == (mailbox.uidnext, mailbox.messages):  # flags changed: none came, so none can have gone
        return uids
    most = min(len(uids) // 4 + 1_000, MOST_GONE)  # after more, which lie in no order, the list is read sooner
    gone = vanished(db, mailbox.key, highest, most)
    if len(gone) > most:
        return None
    new = list(
        chain.from_iterable(
            db.execute("SELECT uid FROM placement WHERE mailbox = ? AND uid >= ? ORDER BY uid", (mailbox.key, uidnext))
        )
    )
    now = uids.without(gone).with_more(new)
    return now if len(now) == mailbox.messages else None


def log_floor(db: apsw.Connection) -> int:
    """The change number from which on the log of removals is complete."""
    return int(db.execute("SELECT log_floor FROM account").get)


def vanished(db: apsw.Connection, key: int, since: int, most: int | None = None) -> array[int]:
    """UIDs removed after `since`, as far as the log goes, ascending. most: where they are more, some, one more than
    that."""
    limit = -1 if most is None else most + 1
    return ascending(array("I", chain.from_iterable(db.execute(_VANISHED, (key, since, limit)))))


_ALL_FLAGS = "SELECT flagset FROM placement WHERE mailbox = ? ORDER BY uid"
_SINCE = stamps.since("?1", "?2")
_VANISHED = "SELECT uid FROM removed WHERE mailbox = ? AND modseq > ? LIMIT ?"
# One statement for all who ask: to compile another form of it costs as much as its answer, as a rule.
CHANGED = f"SELECT p.uid, p.flagset, p.modseq {_SINCE} LIMIT ?3"
_ALL_CHANGED = f"SELECT p.uid, p.flagset, p.modseq {_SINCE} ORDER BY p.uid"


Changed = list[tuple[int, int, int]]
"""(uid, flag set number, mod-sequence), ascending."""


def changed_since(
    db: apsw.Connection, key: int, since: int, most: int | None = None
) -> tuple[Changed, array[int], bool]:
    """What of `Delta` is read: placements changed after `since`, UIDs removed, whether these are all.

    most: raise NotRead where either is more. Without it for a thread: SQLite puts them in order.
    """
    gone, complete = vanished(db, key, since, most), since >= log_floor(db)
    if most is None:
        return typed(db.execute(_ALL_CHANGED, (key, since))), gone, complete
    if stamps.are_many(db, key, since):
        raise NotRead
    changed: Changed = typed(db.execute(CHANGED, (key, since, most + 1)))
    if max(len(changed), len(gone)) > most:
        raise NotRead
    changed.sort()
    return changed, gone, complete


class Deltas:
    """Answers of `delta` that a crowd shares."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._kept: OrderedDict[tuple[str, int, int, int], Delta] = OrderedDict()

    def find(self, account: str, mailbox: Mailbox, since: int) -> Delta | None:
        """The answer about a mailbox as it has just been read, if somebody asked before."""
        kept = self._kept.get((account, mailbox.key, since, mailbox.highest_modseq))
        return kept if kept is not None and kept.mailbox == mailbox else None

    def delta(self, db: apsw.Connection, account: str, key: int, user: str, since: int) -> Delta:
        """What changed after `since`, read in the caller's transaction. Raises NoSuchMailbox, and NotRead where that
        is so much that it is to be read on a thread."""
        mailbox = mailboxes.mailbox_by_key(db, key, user)
        changed, gone, complete = changed_since(db, key, since, MOST_CHANGED)
        delta = Delta(mailbox, changed, gone, complete, self._lists.kept(db, account, mailbox))
        if len(changed) + len(delta.vanished) <= SMALL_DELTA:
            self._kept[account, key, since, mailbox.highest_modseq] = delta
            if len(self._kept) > MOST_DELTAS:
                self._kept.popitem(last=False)
            if delta.uids is not None and len(delta.uids) > MOST_BESIDE // MOST_DELTAS:
                while len(self._kept) > 1 and self._beside() > MOST_BESIDE:
                    self._kept.popitem(last=False)
        return delta

    def _beside(self) -> int:
        """UIDs of the lists that are held with the answers, each list once."""
        lists = [delta.uids for delta in self._kept.values() if delta.uids is not None]
        return sum({id(uids): len(uids) for uids in lists}.values())

    def forget(self, accounts: AbstractSet[str]) -> None:
        for place in [place for place in self._kept if place[0] in accounts]:
            del self._kept[place]
