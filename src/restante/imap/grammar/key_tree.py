"""Search keys in the order in which they are written, made into a query.

    OR NOT a (b c) d    open OR · open NOT · add a · open LIST · add b · add c · close · add d

The stack is one of our own, so that no nesting touches Python's. Chains of OR become one flat Or, since clients write
hundreds of them; a list of keys is their And. Where a stored filter stands among the keys, whose text takes the place
of its name (RFC 5466 3.1), they are kept `as_written`: each OR with its two keys, and parentheses around one key as an
And of one, so that the same tree can be put together again with the filter's keys in it.

Pure. RFC 9051 6.4.4, 9 (search-key).
"""

from __future__ import annotations

from enum import Enum

from ...query import language as q


class Opened(Enum):
    """What waits for keys."""

    LIST = "list"
    NOT = "not"
    OR = "or"
    FUZZY = "fuzzy"


class _Frame:
    __slots__ = ("kind", "operands")

    def __init__(self, kind: Opened) -> None:
        self.kind = kind
        self.operands: list[q.Query] = []


class KeyTree:
    """A search that is being put together.

    depth: parentheses, NOTs and FUZZYs that are open. as_written: see the module; may be switched on on the way, since
    only what stands behind a filter depends on it.
    """

    __slots__ = ("_stack", "as_written", "depth")

    def __init__(self) -> None:
        self._stack = [_Frame(Opened.LIST)]
        self.depth = 0
        self.as_written = False

    def open(self, kind: Opened) -> None:
        """What the next keys belong to."""
        self._stack.append(_Frame(kind))
        self.depth += kind is not Opened.OR

    def add(self, value: q.Query) -> None:
        """A key. Closes what it completes."""
        while True:
            top = self._stack[-1]
            if top.kind is Opened.NOT:
                value = value.operand if isinstance(value, q.Not) else q.Not(value)
                self.depth -= 1
            elif top.kind is Opened.FUZZY:
                value = value if isinstance(value, q.Fuzzy) else q.Fuzzy(value)
                self.depth -= 1
            else:
                top.operands.append(value)
                if top.kind is Opened.LIST or len(top.operands) < 2:
                    return
                value = q.Or(tuple(top.operands)) if self.as_written else _any_of(top.operands)
            self._stack.pop()

    @property
    def in_parentheses(self) -> bool:
        """The list that waits for keys is one in parentheses: they may be closed now."""
        return len(self._stack) > 1 and self._stack[-1].kind is Opened.LIST

    def close(self) -> None:
        """The end of parentheses."""
        keys = self._stack.pop().operands
        self.depth -= 1
        self.add(q.And(tuple(keys)) if self.as_written and len(keys) == 1 else all_of(keys))

    @property
    def whole(self) -> list[q.Query] | None:
        """The keys, where none of them lacks anything."""
        return self._stack[0].operands if len(self._stack) == 1 else None


def all_of(keys: list[q.Query]) -> q.Query:
    """Keys that stand side by side."""
    flat: list[q.Query] = []
    for key in keys:
        flat.extend(key.operands if isinstance(key, q.And) else (key,))
    return flat[0] if len(flat) == 1 else q.And(tuple(flat))


def _any_of(operands: list[q.Query]) -> q.Query:
    flat: list[q.Query] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, q.Or) else (operand,))
    return q.Or(tuple(flat))
