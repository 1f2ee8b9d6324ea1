"""THREAD: messages and their references -> trees. Pure; RFC 5256 3, both algorithms to the letter.

A mailbox may hold 100,000 messages, so nothing here is an object for each of them: messages are numbers (their
place in the mailbox), links are lists of numbers, and an answer is a skeleton of parentheses with a list of UIDs.

REFERENCES rests on three observations. Siblings are always ordered by sent date, so it is enough to keep each
message's parent and to hand out children in the order of dates, once, at the end. A dummy that has been pruned only
shows as the group of its children, so a real message's parent is the nearest real message above it, or the topmost
dummy. And most messages answer one whose References they repeat and extend by its id: all their links but the last
are known, so one comparison of strings stands for the walk over them.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

_STEPS = 64
"""Steps that the search for loops may take, for each message. Chains that long in which links are made from the
middle are not written by mail programs; past the bound a link is left out, as if it closed a loop."""


class Algorithm(Enum):
    """RFC 5256 3, thread-alg."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"


@dataclass(frozen=True, slots=True)
class Threads:
    """Trees of messages.

    skeleton: the trees as RFC 5256 writes thread-list, each message as %d: b"(%d)(%d %d (%d)(%d))".
    uids: the messages' UIDs in the order in which they stand there. `skeleton % tuple(uids)` is a UID THREAD answer.
    """

    skeleton: bytes
    uids: array[int]


@dataclass(frozen=True, slots=True)
class Letters:
    """The messages to be threaded, one list a fact, in the order of the mailbox.

    sent: seconds UTC. subject: base subject, folded. is_reply: a reply or forward by its subject. message_id:
    normalised, "" for none. references: normalised ids joined by one space.
    """

    uids: Sequence[int]
    sent: Sequence[int]
    subject: Sequence[str]
    is_reply: Sequence[int]
    message_id: Sequence[str]
    references: Sequence[str]


NO_THREADS = Threads(b"", array("I"))


def ordered_subject(uids: Sequence[int], sent: Sequence[int], subject: Sequence[str]) -> Threads:
    """ORDEREDSUBJECT ("poor man's threading"): one thread a base subject, the empty one included."""
    groups: dict[str, list[int]] = {}  # filled by date, so groups stand in the order of their first messages
    for i in sorted(range(len(uids)), key=sent.__getitem__):
        groups.setdefault(subject[i], []).append(i)
    shapes: dict[int, bytes] = {1: b"(%d)", 2: b"(%d %d)"}
    skeleton = []
    found = array("I")
    for group in groups.values():
        size = len(group)
        shape = shapes.get(size)
        if shape is None:
            shape = shapes[size] = b"(%d " + b"(%d)" * (size - 1) + b")"
        skeleton.append(shape)
        found.extend([uids[i] for i in group])
    return Threads(b"".join(skeleton), found)


def references(letters: Letters) -> Threads:
    """REFERENCES: by Message-ID and References, then by base subject. Cost: n log n, about 3 us a message."""
    if not letters.uids:
        return NO_THREADS
    return _References(letters).threads()


class _References:
    """One run. Nodes are numbers: messages 0..n-1 in the order of the mailbox, dummies from n on; -1 is the root."""

    def __init__(self, letters: Letters) -> None:
        self.letters = letters
        self.count = len(letters.uids)
        self.parent = [-1] * self.count
        self.has_children = bytearray(self.count)
        self.steps = _STEPS * self.count + 10_000
        order = sorted(range(self.count), key=letters.sent.__getitem__)  # stable: ties by sequence number
        self.order = order
        rank = [0] * self.count
        for place, node in enumerate(order):
            rank[node] = place
        self.rank = rank
        self.children: dict[int, list[int]] = {}
        self.top: list[int] = []

    def threads(self) -> Threads:
        self.link()
        self.gather()
        self.merge()
        return self.written()

    # Step 1 ------------------------------------------------------------------------------------------

    def link(self) -> None:
        """Parents by references."""
        ids, parent = self.letters.message_id, self.parent
        count = self.count
        nodes = dict(zip(reversed(ids), range(count - 1, -1, -1), strict=True))  # the first of equal ids keeps it
        nodes.pop("", None)
        # message -> its References, where every link that a reply repeats them for stands for good
        settled: list[str | None] = [None] * count
        for node, listed in enumerate(self.letters.references):
            if not listed:
                parent[node] = -1  # step 1.B: nothing is above it by its own word
                settled[node] = ""
                continue
            before, _, last_id = listed.rpartition(" ")
            last, whole = nodes.get(last_id), True
            if last is None or last >= count or settled[last] != before:
                last, whole = self._chain(node, nodes, before.split(" ") if before else [], last_id)
            if parent[node] != last:
                parent[node] = -1
                whole = self._put_under(last, node) and whole
            if whole:
                settled[node] = listed

    def _chain(self, current: int, nodes: dict[str, int], before: list[str], last_id: str) -> tuple[int, bool]:
        """Step 1.A for one message: (node of its last reference, whether all links stand for good).

        A link stands once its lower end has had its own turn (step 1.B may cut it until then).
        """
        parent, count = self.parent, self.count
        above, whole = -1, True
        for id in (*before, last_id):
            node = nodes.get(id)
            if node is None:
                node = nodes[id] = len(parent)
                parent.append(-1)
                self.has_children.append(0)
            if above >= 0:
                linked = parent[node] >= 0 or self._put_under(above, node)
                whole = whole and linked and not current < node < count
            above = node
        return above, whole

    def _put_under(self, above: int, node: int) -> bool:
        """Link unless that closes a loop; `node` has no parent. Whether it was done."""
        if above == node:
            return False
        if self.has_children[node]:
            parent = self.parent
            at = parent[above]
            while at >= 0:
                self.steps -= 1
                if at == node or self.steps < 0:
                    return False
                at = parent[at]
        self.parent[node] = above
        self.has_children[above] = 1
        return True

    # Steps 2 to 4 ------------------------------------------------------------------------------------

    def gather(self) -> None:
        """Children of every node and of the root, dummies pruned, siblings by date."""
        parent, count = self.parent, self.count
        seen: dict[int, int] = {}  # dummy -> the real node above it, or the topmost dummy
        children, top = self.children, self.top
        for node in self.order:
            above = parent[node]
            if above < 0:
                top.append(node)
                continue
            if above >= count:
                above = self._real_above(above, seen)
            siblings = children.get(above)
            if siblings is not None:
                siblings.append(node)
                continue
            children[above] = [node]
            if above >= count:
                top.append(above)  # by the date of its first child, which this is
        for place, node in enumerate(top):
            if node >= count and len(children[node]) == 1:
                (top[place],) = children.pop(node)

    def _real_above(self, dummy: int, seen: dict[int, int]) -> int:
        """Where children of a dummy come to stand."""
        parent, count = self.parent, self.count
        path = []
        at = dummy
        while at >= count and at not in seen and parent[at] >= 0:
            path.append(at)
            at = parent[at]
        found = seen.get(at, at)
        for node in path:
            seen[node] = found
        return found

    # Step 5 ------------------------------------------------------------------------------------------

    def merge(self) -> None:
        """Threads of one base subject become one."""
        subject, is_reply = self.letters.subject, self.letters.is_reply
        count, children, top = self.count, self.children, self.top
        subjects = [subject[node] if node < count else subject[children[node][0]] for node in top]
        table: dict[str, int] = {}
        merges = False
        for node, text in zip(top, subjects, strict=True):
            if not text:
                continue
            there = table.setdefault(text, node)
            if there == node:
                continue
            merges = True
            if there < count and (node >= count or (is_reply[there] and not is_reply[node])):
                table[text] = node
        if not merges:
            return
        gone: set[int] = set()
        made: list[int] = []
        changed: set[int] = set()
        for node, text in zip(top, subjects, strict=True):
            if not text:
                continue
            there = table[text]
            if there == node:
                continue
            gone.add(node)
            if there >= count:
                children[there].extend(children.pop(node) if node >= count else (node,))
            elif is_reply[node] and not is_reply[there]:
                children.setdefault(there, []).append(node)
            else:
                dummy = len(self.parent)
                self.parent.append(-1)
                children[dummy] = [there, node]
                gone.add(there)
                made.append(dummy)
                table[text] = there = dummy
            changed.add(there)
        self._sort_again(gone, made, changed)

    def _sort_again(self, gone: set[int], made: list[int], changed: set[int]) -> None:
        """Step 6, where merging has touched it."""
        rank, count, children = self.rank, self.count, self.children
        for node in changed:
            if node in children:
                children[node].sort(key=rank.__getitem__)
        top = [node for node in self.top if node not in gone] + made
        top.sort(key=lambda node: rank[node] if node < count else rank[children[node][0]])
        self.top = top

    # The answer --------------------------------------------------------------------------------------

    def written(self) -> Threads:
        """The trees as a skeleton. No recursion: threads may be as deep as the mailbox is long."""
        children, count = self.children, self.count
        pieces: list[bytes] = []
        order: list[int] = []
        add, take = pieces.append, order.append
        leaves = children.keys().isdisjoint
        waiting: list[int] = []
        for head in self.top:
            below = children.get(head)
            if below is None:
                add(b"(%d)")
                take(head)
                continue
            if head < count and leaves(below):
                add(b"(%d %d)" if len(below) == 1 else b"(%d " + b"(%d)" * len(below) + b")")
                take(head)
                order += below
                continue
            waiting.append(head)
            while waiting:
                node = waiting.pop()
                if node < 0:
                    add(b")")
                    continue
                add(b"(")
                below = children.get(node)
                if node < count:
                    add(b"%d")
                    take(node)
                    while below is not None and len(below) == 1:
                        add(b" %d")
                        take(below[0])
                        below = children.get(below[0])
                    if below is not None:
                        add(b" ")
                waiting.append(-1)
                if below is not None:
                    waiting.extend(reversed(below))
        uids = self.letters.uids
        return Threads(b"".join(pieces), array("I", [uids[node] for node in order]))
