"""RFC 5256's REFERENCES, written down step by step as the text has it: slow, recursive, with an object a message.

The tests compare the product's algorithm with this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Letters:
    """The messages to be threaded, one list a fact, in the order of the mailbox (see `References.add`)."""

    uids: Sequence[int]
    sent: Sequence[int]
    subject: Sequence[str]
    is_reply: Sequence[int]
    message_id: Sequence[str]
    references: Sequence[str]


@dataclass(eq=False)
class Node:
    number: int | None  # place in the mailbox, None for a dummy
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    def above(self, other: Node) -> bool:
        at: Node | None = other
        while at is not None:
            if at is self:
                return True
            at = at.parent
        return False

    def cut(self) -> None:
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None

    def put_under(self, parent: Node) -> None:
        if not self.above(parent):
            self.parent = parent
            parent.children.append(self)


def threads(letters: Letters) -> list[Node]:
    """Children of the root, in order."""
    nodes: dict[str, Node] = {}
    messages: list[Node] = []
    for number, id in enumerate(letters.message_id):
        node = Node(number)
        messages.append(node)
        if id and id not in nodes:
            nodes[id] = node
    for node, listed in zip(messages, letters.references, strict=True):  # 1
        chain = [nodes.setdefault(id, Node(None)) for id in listed.split()]
        for above, below in pairwise(chain):
            if below.parent is None:
                below.put_under(above)
        node.cut()
        if chain:
            node.put_under(chain[-1])
    root = Node(None)
    for node in dict.fromkeys([*messages, *nodes.values()]):  # 2
        if node.parent is None:
            node.parent = root
            root.children.append(node)
    _prune(root, root)  # 3

    def date(node: Node) -> tuple[int, int]:
        if node.number is None:
            return date(node.children[0])
        return letters.sent[node.number], node.number

    for child in root.children:  # 4
        if child.number is None:
            child.children.sort(key=date)
    root.children.sort(key=date)
    _gather(root, letters)  # 5
    _sort(root, date)  # 6
    return root.children


def _prune(node: Node, root: Node) -> None:
    for child in list(node.children):
        _prune(child, root)
        if child.number is not None:
            continue
        if not child.children:
            child.cut()
        elif node is not root or len(child.children) == 1:
            child.cut()
            for grandchild in list(child.children):
                grandchild.cut()
                grandchild.parent = node
                node.children.append(grandchild)


def _gather(root: Node, letters: Letters) -> None:
    def number(node: Node) -> int:
        found = node.number if node.number is not None else node.children[0].number
        assert found is not None
        return found

    def reply(node: Node) -> bool:
        return bool(letters.is_reply[number(node)])

    table: dict[str, Node] = {}
    for node in root.children:
        subject = letters.subject[number(node)]
        if not subject:
            continue
        there = table.get(subject)
        if there is None or (there.number is not None and (node.number is None or (reply(there) and not reply(node)))):
            table[subject] = node
    for node in list(root.children):
        subject = letters.subject[number(node)]
        there = table.get(subject)
        if not subject or there is node or there is None:
            continue
        if there.number is None and node.number is None:
            for child in list(node.children):
                child.cut()
                child.put_under(there)
            node.cut()
        elif there.number is None or (reply(node) and not reply(there)):
            node.cut()
            node.put_under(there)
        else:
            dummy = Node(None)
            dummy.parent = root
            root.children.append(dummy)
            for one in (there, node):
                one.cut()
                one.put_under(dummy)
            table[subject] = dummy


def _sort(node: Node, date: Callable[[Node], tuple[int, int]]) -> None:
    for child in node.children:
        _sort(child, date)
    node.children.sort(key=date)


def written(nodes: list[Node], letters: Letters) -> str:
    """The trees as thread-data writes them, with UIDs."""
    return "".join(f"({_members(node, letters)})" for node in nodes)


def _members(node: Node, letters: Letters) -> str:
    own = [] if node.number is None else [str(letters.uids[node.number])]
    if len(node.children) == 1:
        return " ".join([*own, _members(node.children[0], letters)])
    return " ".join([*own, *([written(node.children, letters)] if node.children else [])])
