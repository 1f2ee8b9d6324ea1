"""THREAD=REFERENCES: messages and their references -> trees. Pure; RFC 5256 3 to the letter.

It rests on four observations. Siblings are always ordered by sent date, so it is enough to keep each message's parent
and to hand out children in the order of dates, once, at the end. A dummy that has been pruned only shows as the group
of its children, so a real message's parent is the nearest real message above it, or the topmost dummy. Merging two
threads of one subject, too, is another parent: children follow. And most messages answer one whose References they
repeat and extend by its id: all their links but the last are there, so one comparison stands for the walk over them.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from .threads import NO_THREADS, NOTHING, Threads

_STEPS = 64
"""Steps that the search for loops may take, for each message. Chains that long in which links are made from the
middle are not written by mail programs; past the bound a link is left out, as if it closed a loop."""

_FREE_STEPS = 10_000


class References:
    """Messages, added in the order of the mailbox, and their threads.

    Nodes are numbers: of messages, and of dummies, ids that no message has (yet); -1 is the root, or none. What the
    loops below touch stands in lists, which the interpreter reads twice as fast as arrays; their numbers are those
    of the table of ids, so that none is an object more. Cost: n log n, about 1.5 us a message; some 300 octets.
    """

    def __init__(self) -> None:
        self._nodes: dict[int, int] = {}  # by id
        self._own: list[int] = []  # the messages' nodes, in the order of the mailbox
        # Of each node.
        self._uid = array("I")
        self._sent = array("q")
        self._subject = array("q")
        self._is_reply = bytearray()
        self._real: list[int] = []  # 0: a dummy
        self._parent: list[int] = []
        self._has_children: list[int] = []  # or may have had
        self._walked = array("q")  # see `_link`
        self._steps = _FREE_STEPS
        self._cuts = 0  # links that were taken away and not replaced

    def add(
        self,
        uids: list[int],
        sent: list[int],
        subject: Sequence[str],
        is_reply: Sequence[int],
        message_id: Sequence[str],
        references: Sequence[str],
    ) -> None:
        """More messages, a column a fact.

        sent: seconds UTC. subject: base subject, folded. is_reply: 1 for a reply or forward by its subject.
        message_id: normalised, "" for none. references: normalised ids joined by one space.
        """
        count, base = len(uids), len(self._parent)
        new = range(base, base + count)
        self._uid.fromlist(uids)
        self._sent.fromlist(sent)
        self._subject.extend(map(hash, subject))
        self._is_reply += bytes(is_reply)
        self._real += [1] * count
        self._parent += [-1] * count
        self._has_children += [0] * count
        self._walked.frombytes(bytes(8 * count))
        self._steps += _STEPS * count
        own = list(map(self._nodes.setdefault, map(hash, message_id), new))
        self._nodes.pop(NOTHING, None)
        if own != list(new):
            self._settle(own, base)
        self._own += own
        self._link(own, references)

    def _settle(self, own: list[int], base: int) -> None:
        """Whose an id is that was known: a dummy becomes the message, else the first that had it keeps it."""
        for new in [new for new, node in enumerate(own, base) if node != new]:
            node = own[new - base]
            if self._real[node]:
                own[new - base] = new
                continue
            self._real[node], self._real[new] = 1, 0
            for fact in (self._uid, self._sent, self._subject, self._is_reply):
                fact[node] = fact[new]

    def threads(self) -> Threads:
        """The trees of all messages. To be called once."""
        if not self._own:
            return NO_THREADS
        self._nodes, self._has_children, self._walked = {}, [], array("q")  # step 1 alone needs them
        ordered = sorted(self._own, key=self._sent.__getitem__)  # stable: ties by sequence number
        self._own, self._sent = [], array("q")
        self._merge(self._tops(ordered))
        return self._written(ordered)

    # Step 1 ------------------------------------------------------------------------------------------

    def _link(self, own: list[int], references: Sequence[str]) -> None:
        """Parents by references.

        `_walked` says of a node which References were last walked over to it and left no link to be made. It holds
        until a link is taken away, which is counted in.
        """
        parent, has_children, walked, node_of = self._parent, self._has_children, self._walked, self._nodes.get
        cuts = self._cuts
        for node, listed in zip(own, references, strict=True):
            if not listed:
                if parent[node] >= 0:  # step 1.B: nothing is above it by its own word
                    parent[node] = -1
                    cuts += 1
                continue
            before, _, last_id = listed.rpartition(" ")
            last, whole = node_of(hash(last_id), -1), True
            if last < 0 or (before and walked[last] != hash(before) ^ cuts):
                last, whole = self._walk(before, last_id)
                if whole:
                    walked[last] = hash(before) ^ cuts
            above = parent[node]
            if above != last:
                if has_children[node] or last == node:
                    parent[node] = -1
                    if not self._put_under(last, node):
                        cuts += above >= 0
                        continue
                else:
                    parent[node] = last
                    has_children[last] = 1
            if whole:
                walked[node] = hash(listed) ^ cuts
        self._cuts = cuts

    def _walk(self, before: str, last_id: str) -> tuple[int, bool]:
        """Step 1.A for one message: (node of its last reference, whether all links are there now)."""
        nodes, parent = self._nodes, self._parent
        above, whole = -1, True
        for id in map(hash, (*before.split(" "), last_id) if before else (last_id,)):
            node = nodes.get(id, -1)
            if node < 0:
                node = nodes[id] = self._dummy()
            if above >= 0 and parent[node] < 0:
                whole = self._put_under(above, node) and whole
            above = node
        return above, whole

    def _dummy(self) -> int:
        for fact in (self._uid, self._sent, self._subject, self._is_reply, self._walked):
            fact.append(0)
        self._real.append(0)
        self._has_children.append(0)
        self._parent.append(-1)
        return len(self._parent) - 1

    def _put_under(self, above: int, node: int) -> bool:
        """Link unless that closes a loop; `node` has no parent. Whether it was done."""
        if above == node:
            return False
        if self._has_children[node]:
            parent = self._parent
            at = parent[above]
            while at >= 0:
                self._steps -= 1
                if at == node or self._steps < 0:
                    return False
                at = parent[at]
        self._parent[node] = above
        self._has_children[above] = 1
        return True

    # Steps 2 to 4 ------------------------------------------------------------------------------------

    def _tops(self, ordered: list[int]) -> list[int]:
        """Nodes at the root by date, dummies pruned.

        ordered: the messages' nodes by date. What is below a dummy comes below the real message above it, or the
        topmost dummy, unless it is alone there. A dummy bears the subject of its first child.
        """
        parent, real, subject = self._parent, self._real, self._subject
        tops: list[int] = []
        alone: dict[int, int] = {}  # dummy at the root with one child so far -> its place
        place = [-1] * len(parent)
        for node in ordered:
            above = parent[node]
            if above < 0:
                tops.append(node)
            elif not real[above]:
                parent[node] = above = self._real_above(above)
                if real[above]:
                    continue
                if place[above] < 0:
                    place[above] = alone[above] = len(tops)
                    tops.append(node)  # until there is another
                    subject[above] = subject[node]
                elif above in alone:
                    tops[alone.pop(above)] = above
        for at in alone.values():
            parent[tops[at]] = -1
        return tops

    def _real_above(self, dummy: int) -> int:
        """Where children of a dummy come to stand; dummies on the way are put there, too."""
        parent, real = self._parent, self._real
        found = dummy
        while not real[found] and parent[found] >= 0:
            found = parent[found]
        while dummy != found:
            parent[dummy], dummy = found, parent[dummy]
        return found

    # Step 5 ------------------------------------------------------------------------------------------

    def _merge(self, tops: list[int]) -> None:
        """Threads of one base subject become one."""
        subjects = list(map(self._subject.__getitem__, tops))
        if len(subjects) - subjects.count(NOTHING) == len(set(subjects) - {NOTHING}):
            return
        parent, real, is_reply = self._parent, self._real, self._is_reply
        table: dict[int, int] = {}
        for node, text in zip(tops, subjects, strict=True):
            there = table.setdefault(text, node)
            if there != node and real[there] and (not real[node] or (is_reply[there] and not is_reply[node])):
                table[text] = node
        for node, text in zip(tops, subjects, strict=True):
            there = table[text]
            if there == node or text == NOTHING:
                continue
            if not real[there] or (is_reply[node] and not is_reply[there]):
                parent[node] = there
            else:
                parent[node] = parent[there] = table[text] = self._dummy()

    # Step 6, and the answer --------------------------------------------------------------------------

    def _siblings(self, ordered: list[int]) -> tuple[list[int], list[int], list[int]]:
        """(nodes at the root by date; of each node its first child, and the next child of the same parent)."""
        parent, real = self._parent, self._real
        tops: list[int] = []
        first, last, after = [-1] * len(parent), [-1] * len(parent), [-1] * len(parent)
        for node in ordered:
            above = parent[node]
            if above < 0:
                tops.append(node)
                continue
            if not real[above] and parent[above] >= 0:
                above = parent[above]  # the dummy was merged into this one
            before = last[above]
            last[above] = node
            if before >= 0:
                after[before] = node
                continue
            first[above] = node
            if not real[above]:
                tops.append(above)
        return tops, first, after

    def _written(self, ordered: list[int]) -> Threads:
        """The trees as a skeleton. No recursion: threads may be as deep as the mailbox is long."""
        real = self._real
        tops, first, after = self._siblings(ordered)
        pieces: list[bytes] = []
        taken: list[int] = []
        add, take = pieces.append, taken.append
        within: list[int] = []  # branches that are open
        for top in tops:
            below = first[top]
            if below < 0:
                add(b"(%d)")
                take(top)
                continue
            node = top
            while node >= 0:  # a branch begins with it
                if real[node]:
                    add(b"(%d")
                    take(node)
                    while below >= 0 and after[below] < 0:
                        add(b" %d")
                        take(below)
                        below = first[below]
                    if below >= 0:
                        add(b" ")
                else:
                    add(b"(")
                if below < 0:
                    add(b")")
                    while after[node] < 0 and within:
                        add(b")")
                        node = within.pop()
                    node = after[node]
                else:
                    within.append(node)
                    node = below
                below = first[node]
        return Threads(b"".join(pieces), array("I", map(self._uid.__getitem__, taken)))
