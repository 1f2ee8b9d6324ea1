"""SEARCH's FILTER key: a search that is stored under a name stands for itself.

What is stored may name other filters; the depth, the size of the whole and loops are bounded. A filter of several keys
stands together, as if in parentheses, also under NOT and OR, where RFC 5466 3.1 has its text put in as it is: the
client that stored it meant one thing by it. RFC 5466 3.1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ...query.language import And, NamedFilter, Not, Or, Query
from ..grammar.commands import ESearch, Search, Sort, Thread
from ..grammar.criteria import parse_criteria
from ..grammar.errors import BadSyntax
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
    """Replaces names in one command. Each filter is read once; keys: of all that has been put in, counted as often as
    it stands there."""

    def __init__(self, lookup: Lookup, limits: ReaderLimits) -> None:
        self.lookup = lookup
        self.limits = limits
        self.keys = 0
        self.stored: dict[str, Query] = {}

    async def of(self, query: Query, above: tuple[str, ...] = (), depth: int = 0) -> Query:
        """The query with its names replaced. above: filters that this text stands in; depth: of keys around it."""
        self.keys += 1
        if self.keys > self.limits.search_keys or depth > 2 * self.limits.nesting:
            raise CodedRefusal("The search with all its filters is too large.", b"LIMIT")
        match query:
            case NamedFilter(name):
                return await self.of(await self._stored(name, above), (*above, name.lower()), depth + 1)
            case And(operands):
                return And(tuple([await self.of(one, above, depth + 1) for one in operands]))
            case Or(operands):
                return Or(tuple([await self.of(one, above, depth + 1) for one in operands]))
            case Not(operand):
                return Not(await self.of(operand, above, depth + 1))
            case _:
                return query

    async def _stored(self, name: str, above: tuple[str, ...]) -> Query:
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
