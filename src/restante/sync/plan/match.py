"""Which messages are the same: by EMAILID, else by mark, size and date, else by their octets. Pure.

Columns on the left are what is missed (rows of the base whose message is gone, or being added; or new messages of the
other side), on the right what is new. Each is paired at most once. What cannot be decided without reading messages is
given back as doubts; the caller reads their digests and asks again.

Nothing is taken for the same where something speaks against it: messages whose size and date both differ are different,
however much their headers agree (a mailing list's copy and the direct one).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from enum import IntEnum
from typing import TypeVar

from ...values import Record, field
from ..outline import LINE_END, MBSYNC_OCTETS

K = TypeVar("K", str, bytes)


ALTERED = (-MBSYNC_OCTETS, -LINE_END, LINE_END, MBSYNC_OCTETS)
WITH_NUL = (*ALTERED, 0)


class Trust(IntEnum):
    """What is known about a message on the left. NONE: nothing. TRIED: we were adding it, and it may be there. SENT:
    the side said that it took it, so that it is there, perhaps altered."""

    NONE = 0
    TRIED = 1
    SENT = 2


class Candidates(Record):
    """Columns. where: the mailbox. emails: EMAILIDs, any number. size: None if unknown. digest: None if never read.

    nuls: positions of what was read and may be another but for its NUL octets (`outline.has_nul`).
    """

    where: list[int] = field(default_factory=list)
    sizes: list[int | None] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    marks: list[bytes] = field(default_factory=list)
    emails: list[tuple[str, ...]] = field(default_factory=list)
    digests: list[bytes | None] = field(default_factory=list)
    trust: list[Trust] = field(default_factory=list)
    nuls: set[int] = field(default_factory=set)

    def add(
        self,
        where: int,
        size: int | None,
        received: int,
        mark: bytes,
        emails: tuple[str, ...] = (),
        digest: bytes | None = None,
        trust: Trust = Trust.NONE,
    ) -> None:
        self.where.append(where)
        self.sizes.append(size)
        self.received.append(received)
        self.marks.append(mark)
        self.emails.append(emails)
        self.digests.append(digest)
        self.trust.append(trust)

    def only(self, at: Sequence[int]) -> Candidates:
        """Those at these positions, with no digest yet."""
        some = Candidates()
        for i in at:
            some.add(self.where[i], self.sizes[i], self.received[i], self.marks[i], (), None, self.trust[i])
        return some

    def __len__(self) -> int:
        return len(self.where)


class Matches(Record):
    """pairs: (left, right), positions. left, right: positions whose digests would decide."""

    pairs: list[tuple[int, int]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)


def match(left: Candidates, right: Candidates, *, final: bool = False) -> Matches:
    """Pair what is the same. final: digests that lack now will not come: what they would decide is different."""
    found = Matches()
    rest_left, rest_right = _by_email(left, right, found)
    groups: dict[bytes, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for j in rest_right:
        groups[right.marks[j]][1].append(j)
    for i in rest_left:
        if left.marks[i] in groups:
            groups[left.marks[i]][0].append(i)
    for lefts, rights in groups.values():
        if lefts:
            _by_content(left, right, lefts, rights, found, final)
    return found


def altered(left: Candidates, right: Candidates, found: Matches) -> tuple[list[int], list[int]]:
    """Positions, left and right, that a final match has left over and that may be the same but for the field that
    mbsync puts in, or the line end that POP3 does, or NUL that IMAP does not carry: equal marks, and sizes that these
    octets lie between, or that are equal where NUL was seen on the right (all of an equal size were read then). What
    they were before it decides."""
    if len(found.pairs) == min(len(left), len(right)):
        return [], []  # nothing is left over on a side, mostly
    lefts: dict[tuple[bytes, int], list[int]] = defaultdict(list)
    done_left, done_right = {i for i, _ in found.pairs}, {j for _, j in found.pairs}
    for i, size in enumerate(left.sizes):
        if i not in done_left and size is not None:
            lefts[left.marks[i], size].append(i)
    keys: set[tuple[bytes, int]] = set()
    some_right: list[int] = []
    for j, size in enumerate(right.sizes):
        if size is None or j in done_right:
            continue
        same = [
            key for by in (WITH_NUL if j in right.nuls else ALTERED) if (key := (right.marks[j], size + by)) in lefts
        ]
        if same:
            keys.update(same)
            some_right.append(j)
    return sorted(i for key in keys for i in lefts[key]), some_right


def match_emails(left: Candidates, right: Candidates) -> Matches:
    """Pair what has the same EMAILID, and nothing else."""
    found = Matches()
    _by_email(left, right, found)
    return found


def match_digests(left: Candidates, right: Candidates) -> Matches:
    """Pair what has the same mark and the same digest, and nothing else."""
    found = Matches()
    rights: dict[bytes, list[int]] = defaultdict(list)
    for j in range(len(right)):
        rights[right.marks[j]].append(j)
    lefts: dict[bytes, list[int]] = defaultdict(list)
    for i in range(len(left)):
        lefts[left.marks[i]].append(i)
    for mark, some in lefts.items():
        _by_digest(left, right, some, rights.get(mark, []), found)
    return found


def _by_email(left: Candidates, right: Candidates, found: Matches) -> tuple[list[int], list[int]]:
    there = [(j, email) for j, emails in enumerate(right.emails) for email in emails]
    rest = _pair_off(
        [(i, email) for i, emails in enumerate(left.emails) for email in emails], there, left, right, found
    )
    lefts, rights = {i for i, _ in rest[0]}, {j for j, _ in rest[1]}
    return (
        [i for i, emails in enumerate(left.emails) if not emails or i in lefts],
        [j for j, emails in enumerate(right.emails) if not emails or j in rights],
    )


def _pair_off(
    lefts: list[tuple[int, K]],
    rights: list[tuple[int, K]],
    left: Candidates,
    right: Candidates,
    found: Matches,
) -> tuple[list[tuple[int, K]], list[tuple[int, K]]]:
    """Pair positions with equal keys, each once, in order, those in one mailbox first; what is left over.

    What is new in a mailbox is first what the side said that it took there, and not what went from it: of the two one
    lacks for certain, and it is not the one that has just come.
    """
    first = lefts
    if Trust.SENT in left.trust:
        first = sorted(lefts, key=lambda one: left.trust[one[0]] is not Trust.SENT)
    done_left: set[int] = set()
    done_right: set[int] = set()
    for same_mailbox in (True, False):
        there: dict[tuple[K, int], list[int]] = defaultdict(list)
        for j, key in reversed(rights):
            if j not in done_right:
                there[key, right.where[j] if same_mailbox else 0].append(j)
        for i, key in first if same_mailbox else lefts:
            waiting = there.get((key, left.where[i] if same_mailbox else 0))
            while waiting and i not in done_left:
                j = waiting.pop()
                if j not in done_right:
                    done_left.add(i)
                    done_right.add(j)
                    found.pairs.append((i, j))
    return (
        [one for one in lefts if one[0] not in done_left],
        [one for one in rights if one[0] not in done_right],
    )


def _by_content(
    left: Candidates, right: Candidates, lefts: list[int], rights: list[int], found: Matches, final: bool
) -> None:
    """Messages of one mark."""
    lefts, rights = _exact(left, right, lefts, rights, found)
    if len(lefts) == len(rights) == 1:
        i, j = lefts[0], rights[0]
        if left.trust[i] is Trust.SENT or (left.trust[i] is Trust.TRIED and _agree(left, i, right, j)):
            found.pairs.append((i, j))
            return
    sizes = {right.sizes[j] for j in rights}, {left.sizes[i] for i in lefts}
    dates = {right.received[j] for j in rights}, {left.received[i] for i in lefts}
    some_left = [i for i in lefts if _possible(left.sizes[i], sizes[0]) or left.received[i] in dates[0]]
    some_right = [j for j in rights if _possible(right.sizes[j], sizes[1]) or right.received[j] in dates[1]]
    lack_left = [i for i in some_left if left.digests[i] is None]
    lack_right = [j for j in some_right if right.digests[j] is None]
    if (lack_left or lack_right) and not final:
        if some_left and some_right:
            found.left += lack_left
            found.right += lack_right
        return
    lefts, rights = _by_digest(left, right, some_left, some_right, found)
    _sent(left, right, lefts, rights, found)


def _exact(
    left: Candidates, right: Candidates, lefts: list[int], rights: list[int], found: Matches
) -> tuple[list[int], list[int]]:
    """Pair where size and date agree too and there is one of each; what is left over."""
    groups: dict[tuple[int | None, int], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for i in lefts:
        groups[left.sizes[i], left.received[i]][0].append(i)
    for j in rights:
        groups[right.sizes[j], right.received[j]][1].append(j)
    done_left, done_right = set(), set()
    for (size, _), (some, others) in groups.items():
        if size is not None and len(some) == len(others) == 1:
            found.pairs.append((some[0], others[0]))
            done_left.add(some[0])
            done_right.add(others[0])
    return [i for i in lefts if i not in done_left], [j for j in rights if j not in done_right]


def _agree(left: Candidates, i: int, right: Candidates, j: int) -> bool:
    return left.received[i] == right.received[j] or (left.sizes[i] is not None and left.sizes[i] == right.sizes[j])


def _possible(size: int | None, sizes: set[int | None]) -> bool:
    if size is None or None in sizes or size in sizes:
        return True
    # Put there by mbsync: octets decide.
    return size + MBSYNC_OCTETS in sizes or size - MBSYNC_OCTETS in sizes


def _by_digest(
    left: Candidates, right: Candidates, lefts: list[int], rights: list[int], found: Matches
) -> tuple[list[int], list[int]]:
    here = [(i, digest) for i in lefts if (digest := left.digests[i]) is not None]
    there = [(j, digest) for j in rights if (digest := right.digests[j]) is not None]
    before = len(found.pairs)
    _pair_off(here, there, left, right, found)
    done_left = {i for i, _ in found.pairs[before:]}
    done_right = {j for _, j in found.pairs[before:]}
    return [i for i in lefts if i not in done_left], [j for j in rights if j not in done_right]


def _sent(left: Candidates, right: Candidates, lefts: list[int], rights: list[int], found: Matches) -> None:
    """What a side took is there though it altered it: paired where date or size agree, in order."""
    taken: set[int] = set()
    for i in lefts:
        if left.trust[i] is Trust.SENT:
            for j in rights:
                if j not in taken and left.where[i] == right.where[j] and _agree(left, i, right, j):
                    taken.add(j)
                    found.pairs.append((i, j))
                    break
