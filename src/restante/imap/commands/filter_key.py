"""SEARCH's FILTER key: a search that is stored under a name stands for itself.

What is stored is put in "verbatim instead of the FILTER search-key" (RFC 5466 3.1): NOT and FUZZY take the first key
of a filter and OR as many as it still lacks, what is left stands behind them. Who stores a filter of several keys and
means them as one writes parentheses around them. What is stored may name other filters; the depth, the size of the
whole and loops are bounded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ...query.language import And, Contains, Fuzzy, HeaderContains, NamedFilter, Not, Or, Query, Sequence
from ..grammar.commands import ESearch, Search, Sort, Thread
from ..grammar.criteria import parse_criteria
from ..grammar.errors import BadSyntax
from ..grammar.key_tree import KeyTree, Opened, all_of
from ..session.criteria import names_filters
from ..session.state import BadCommand, CodedRefusal
from ..session.uidonly import uses_numbers
from . import filters

if TYPE_CHECKING:
    from ..grammar.limits import ReaderLimits
    from ..session.session import ImapSession

Lookup = Callable[[str], Awaitable[bytes | None]]
"""The text stored under a filter's name, None where there is none."""

DEPTH = 10
"""Filters that name each other; RFC 5466 3.1 asks for three."""

Step = tuple[Query | Opened | None, tuple[str, ...]]
"""A key that is to be written, what opens before it, or None for the end of parentheses; and the filters that it stands
in."""

C = TypeVar("C", bound=Search | ESearch | Sort | Thread)


def lookup_of(session: ImapSession) -> Lookup:
    """Where this session's filters are looked up: among the account's annotations."""
    return partial(filters.criteria_of, session.own_store)


async def replaced(session: ImapSession, command: C) -> C:
    """The command with stored filters in place of their names; itself where it has none.

    Raises CodedRefusal (UNDEFINED-FILTER, LIMIT), BadCommand where a filter holds message numbers that UIDONLY forbids.
    """
    if not names_filters(command.query):
        return command
    query = await _Expansion(lookup_of(session), session.reader.limits).of(command.query)
    command = replace(command, query=query)
    if session.dialect.uidonly and uses_numbers(command):
        raise BadCommand("A filter holds message numbers.", b"UIDREQUIRED")
    return command


class _Expansion:
    """Writes a query down again with the keys of filters in place of their names: one command's.

    Each filter is read once. keys, octets: of all that has been written, counted as often as it stands there.
    """

    def __init__(self, lookup: Lookup, limits: ReaderLimits) -> None:
        self.lookup = lookup
        self.limits = limits
        self.keys = 0
        self.octets = 0
        self.stored: dict[str, tuple[Query, ...]] = {}

    async def of(self, query: Query) -> Query:
        """The query with its names replaced. Raises CodedRefusal."""
        tree = KeyTree()
        waiting: list[Step] = [(query, ())]
        while waiting:
            step, above = waiting.pop()
            if step is None:
                tree.close()
                continue
            if isinstance(step, Opened):
                tree.open(step)
                continue
            self.keys += 1
            self.octets += _octets(step)
            too_long = self.octets > 2 * self.limits.line  # as long as all strings of a command, and all its sets
            if self.keys > self.limits.search_keys or too_long or tree.depth > self.limits.nesting:
                raise CodedRefusal("The search with all its filters is too large.", b"LIMIT")
            match step:
                case NamedFilter(name):
                    stored = await self._stored(name, above)
                    waiting += [(key, (*above, name.lower())) for key in reversed(stored)]
                case And(operands):
                    waiting += [(None, above), *((key, above) for key in reversed(operands)), (Opened.LIST, above)]
                case Or(operands):
                    waiting.append((operands[-1], above))
                    for key in reversed(operands[:-1]):
                        waiting += [(key, above), (Opened.OR, above)]
                case Not(operand):
                    waiting += [(operand, above), (Opened.NOT, above)]
                case Fuzzy(operand):
                    waiting += [(operand, above), (Opened.FUZZY, above)]
                case _:
                    tree.add(step)
        whole = tree.whole
        if whole is None:
            raise RuntimeError("whole keys in place of a key leave nothing open")
        return all_of(whole)

    async def _stored(self, name: str, above: tuple[str, ...]) -> tuple[Query, ...]:
        """What stands under a name. A loop, or too many filters within each other, count as none (RFC 5466 3.1)."""
        key = name.lower()
        if key in self.stored and key not in above and len(above) < DEPTH:
            return self.stored[key]
        text = None if key in above or len(above) >= DEPTH else await self.lookup(name)
        if text is None:
            raise CodedRefusal("There is no such filter.", b"UNDEFINED-FILTER " + name.encode("ascii"))
        try:
            self.stored[key] = parse_criteria(text, self.limits)
        except BadSyntax as bad:
            raise CodedRefusal(f"The filter {name} is no whole search criterion: {bad.text}.", b"CANNOT") from bad
        return self.stored[key]


def _octets(key: Query) -> int:
    """About how many octets of a line say what this key looks for: a filter of 64 kB may be named a thousand times."""
    match key:
        case Contains(_, text):
            return len(text)
        case HeaderContains(name, text):
            return len(name) + len(text)
        case Sequence(ranges):
            return _RANGE * len(ranges)
        case _:
            return 0


_RANGE = 6
"""Octets that a range of a set has where there are thousands, with its comma."""
