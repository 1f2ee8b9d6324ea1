"""What `search` and `backup find` are asked: words, tried and explained where they found nothing; others' languages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from ..errors import Refusal

if TYPE_CHECKING:
    from ..query.language import Query
    from ..query.words import Words

T = TypeVar("T")


class BadSearch(Refusal):
    """The words cannot be read."""

    code = "BAD-SEARCH"


async def found_by(arguments: Sequence[str], command: str, search: Callable[[Words], Awaitable[list[T]]]) -> list[T]:
    """What `search` finds by the arguments of a command line; people are told where they may be understood otherwise.

    An argument such as 'from:ann invitation' may be a phrase (from:"Ann Bell", of which the shell took the marks) or a
    query typed as a whole. It is looked for as a phrase, and where nothing is found, word by word.
    command: whose help tells what can be searched for. Raises BadSearch.
    """
    from ..query.words import as_typed

    typed, apart = as_typed(arguments), as_typed(arguments, keyed=False)
    found = await search(_read(typed, command))
    if found:
        return found
    if apart != typed:
        found = await search(_read(apart, command))
        if found:
            either = [one for one in arguments if as_typed([one]) != as_typed([one], keyed=False)]
            _tell(either, "Nothing has {} as one phrase. These have each word of it.")
            return found
    if phrases := [one for one in arguments if as_typed([one]) != one]:
        _tell(phrases, "Looked for as one phrase: {}. Leave its quotation marks out to look for each word.")
    return []


def _read(typed: str, command: str) -> Words:
    from ..query.words import BadWords, parse_words

    try:
        return parse_words(typed)
    except BadWords as error:
        raise BadSearch(str(error), f"See 'restante {command} --help'.") from error


def _tell(phrases: Sequence[str], text: str) -> None:
    click.echo(text.format(", ".join(f"'{phrase}'" for phrase in phrases)), err=True)


def from_jmap(text: str) -> Query:
    """What a filter of Email/query (RFC 8621 4.4.1), in JSON, asks for. Raises BadSearch.

    JMAP knows no message that is marked \\Deleted (4.1.1).
    """
    from ..jmap.filters import BadFilter, parse_filter
    from ..jmap.ijson import BadJson, read_json
    from ..query.language import And, HasFlag, Not

    try:
        return And((Not(HasFlag("\\Deleted")), parse_filter(read_json(text))))
    except BadFilter as error:
        raise BadSearch(str(error), "RFC 8621 4.4.1 says what a filter may ask.") from error
    except BadJson as error:
        raise BadSearch(
            f"The filter is no JSON of JMAP. {error}", """Write '{"from": "ann"}', for example."""
        ) from error


def from_sieve(text: str, separator: str) -> Query:
    """What a test of Sieve (RFC 5228 5) asks for. separator: as in `delivery.separator`. Raises BadSearch."""
    from ..sieve.grammar import BadTest
    from ..sieve.tests import parse_test

    try:
        return parse_test(text, separator)
    except BadTest as error:
        raise BadSearch(str(error), """Write 'header :contains "subject" "invoice"', for example.""") from error
