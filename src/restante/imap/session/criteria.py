"""Looking into search criteria: what a session must know of a query before an engine sees it.

Pure. RFC 9051 6.4.4; RFC 7162 3.1.5, 3.2.10.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...query.language import And, Fuzzy, ModSeq, NamedFilter, Not, Or, Query, Recent, Sequence


def nodes(query: Query) -> Iterator[Query]:
    """The query and every query within it."""
    waiting: list[Query] = [query]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, And | Or):
            waiting.extend(node.operands)
        elif isinstance(node, Not | Fuzzy):
            waiting.append(node.operand)


def names_numbers(query: Query) -> bool:
    """Whether message sequence numbers stand among the keys ("$" is none: it is kept as UIDs). A stored filter may
    hold some."""
    return any(
        isinstance(node, NamedFilter) or (isinstance(node, Sequence) and not node.uid and bool(node.ranges))
        for node in nodes(query)
    )


def names_filters(query: Query) -> bool:
    """Whether stored filters stand among the keys."""
    return any(isinstance(node, NamedFilter) for node in nodes(query))


def asks_modseq(query: Query) -> bool:
    """Whether MODSEQ stands among the keys: the answer then carries a mod-sequence."""
    return any(isinstance(node, ModSeq) for node in nodes(query))


def is_fuzzy(query: Query) -> bool:
    """Whether FUZZY stands among the keys: only then is there a relevancy."""
    return any(isinstance(node, Fuzzy) for node in nodes(query))


def resolved(query: Query, sets: Callable[[Sequence], Query], recent: Query) -> Query:
    """The query with sequence sets and Recent replaced, by UIDs in the end. Depth is bounded by the grammar."""
    if isinstance(query, Sequence):
        return sets(query)
    if isinstance(query, Recent):
        return recent
    if isinstance(query, And):
        return And(tuple(resolved(node, sets, recent) for node in query.operands))
    if isinstance(query, Or):
        return Or(tuple(resolved(node, sets, recent) for node in query.operands))
    if isinstance(query, Not):
        return Not(resolved(query.operand, sets, recent))
    if isinstance(query, Fuzzy):
        return Fuzzy(resolved(query.operand, sets, recent))
    return query
