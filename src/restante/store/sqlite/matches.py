"""Searches for flags alone: the UIDs of a large mailbox that have them, kept and led on by what changed.

What an application asks again and again (UNSEEN, UNDELETED, FLAGGED, and how many there are) names the same messages as
before but for a few. Once found by a pass over the array of flag sets, they follow the mailbox: placements that came or
got other flags have a higher change number, removals stand in the log. A set of flags that is new cannot be that of a
placement which has not changed, so that a kept answer stays right as sets are added. For one thread.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Set as AbstractSet
from itertools import chain, compress
from typing import TYPE_CHECKING

import apsw

from ... import runs
from . import stamps
from .changes import CHANGED, Changed, FlagArrays, Lists, log_floor, state_of
from .values import typed

if TYPE_CHECKING:  # a process that does not search need not load it
    from ...query.language import Query
    from .changes import State

    Place = tuple[str, int, Query | None]
    Answer = tuple[State, array[int]]
    """The mailbox's state and what was found in it; not its list, which would take the room where few match."""

MOST_MATCHED = 2_000_000
"""UIDs held by the answers of one process: 8 MB."""

ANSWER_COSTS = 256
"""What an answer costs beside its UIDs, in UIDs: some 1,000 octets for its query and its place."""

MOST_LED_ON = 1_000
"""Changes up to which an answer is led on, in a small mailbox a 32nd of it; after more it is found anew, by a pass over
the flags: 0.03 us a message, where a change that is read takes one."""

NOTHING = array("I")


PASSED_ON_LOOP = 50_000
"""Placements whose flags are passed over on the event loop: 2 ms. More of them on a thread."""

PASSED_AT_ONCE = 20_000
"""Placements that are passed over in one go: nobody else has the interpreter meanwhile."""


class NotPassed(Exception):
    """An answer that takes a pass over so many flags that it is not for the event loop: `answer` makes it on a thread.

    Holds copies, or what never changes.
    """

    def __init__(self, state: State, uids: array[int], flags: array[int], numbers: AbstractSet[int]) -> None:
        self._state, self._uids, self._flags, self._numbers = state, uids, flags, numbers

    def answer(self) -> Answer:
        return self._state, passed_over(self._uids, self._flags, self._numbers)


def passed_over(uids: array[int], flags: array[int], numbers: AbstractSet[int]) -> array[int]:
    """Those UIDs beside which one of these flag sets stands."""
    found = array("I")
    for start in range(0, len(uids), PASSED_AT_ONCE):
        stop = start + PASSED_AT_ONCE
        found.extend(compress(uids[start:stop], map(numbers.__contains__, flags[start:stop])))
    return found


class Matches:
    """The answers, least recently used ones forgotten."""

    def __init__(self, lists: Lists, flags: FlagArrays, most: int = MOST_MATCHED) -> None:
        self._lists = lists
        self._flags = flags
        self._most = most
        self._held = 0
        self._answers: OrderedDict[Place, Answer] = OrderedDict()

    def find(
        self,
        db: apsw.Connection,
        account: str,
        key: int,
        query: Query | None,
        numbers: AbstractSet[int],
        *,
        apart: bool = False,
        passed: Answer | None = None,
    ) -> array[int]:
        """UIDs of the mailbox's messages that have one of these flag sets, ascending; the same array while they are the
        same. Never change it. query: what these sets were found by, in this transaction; None keeps nothing. passed:
        what `NotPassed` came to. Raises NoSuchMailbox; with `apart` NotRead, where all flags are to be read on a
        thread first; without `passed` NotPassed, where they are to be passed over there."""
        snapshot = self._lists.snapshot(db, account, key, "", apart=apart)
        uids, state = snapshot.uids, state_of(snapshot.mailbox)
        if not numbers or not len(uids):
            return NOTHING
        held = self._answers.get((account, key, query)) if query is not None else None
        if held is not None and held[0] == state:
            self._answers.move_to_end((account, key, query))
            return held[1]
        held = passed or held
        found = None
        if held is not None and held[0] == state:
            found = held[1]
        elif held is not None and held[0][0] <= state[0]:
            found = _led_on(db, key, held[0][0], held[1], numbers, min(MOST_LED_ON, len(uids) // 32 + 16))
        if found is None:
            all_uids, flags = self._flags.current(db, account, key, apart=apart)
            if len(all_uids) > PASSED_ON_LOOP and passed is None:
                raise NotPassed(state, all_uids, flags[:], numbers)
            found = passed_over(all_uids, flags, numbers)  # now, also where much has changed since it was passed
        if query is not None:
            self._keep((account, key, query), (state, found))
        return found

    def _keep(self, place: Place, answer: Answer) -> None:
        self._drop(place)
        self._answers[place] = answer
        self._held += len(answer[1]) + ANSWER_COSTS
        while self._held > self._most and len(self._answers) > 1:
            self._drop(next(iter(self._answers)))

    def _drop(self, place: Place) -> None:
        gone = self._answers.pop(place, None)
        if gone is not None:
            self._held -= len(gone[1]) + ANSWER_COSTS

    def forget(self, accounts: AbstractSet[str]) -> None:
        for place in [place for place in self._answers if place[0] in accounts]:
            self._drop(place)


def _led_on(
    db: apsw.Connection, key: int, since: int, found: array[int], numbers: AbstractSet[int], most: int
) -> array[int] | None:
    """An earlier answer brought to now; None after more changes than `most`, or where the log cannot tell how."""
    if since < log_floor(db):
        return None
    if stamps.are_many(db, key, since):
        return None
    rows: Changed = typed(db.execute(CHANGED, (key, since, most + 1)))
    gone = list(chain.from_iterable(db.execute(GONE, (key, since, most + 1))))
    if len(rows) > most or len(gone) > most:
        return None
    less = {uid for uid, number, _ in rows if number not in numbers}
    return runs.changed(found, sorted(less.union(gone)), sorted(uid for uid, number, _ in rows if number in numbers))


GONE = "SELECT uid FROM removed WHERE mailbox = ? AND modseq > ? LIMIT ?"
