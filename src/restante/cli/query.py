"""QUERY arguments of `search` and `backup find`: read, and explained where they found nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ..errors import Refusal

if TYPE_CHECKING:
    from ..query.words import Words


class BadSearch(Refusal):
    """The words cannot be read."""

    code = "BAD-SEARCH"


def read_query(arguments: Sequence[str], command: str) -> Words:
    """What is searched for. command: whose help tells what can be. Raises BadSearch."""
    from ..query.words import BadWords, as_typed, parse_words

    try:
        return parse_words(as_typed(arguments))
    except BadWords as error:
        raise BadSearch(str(error), f"See 'restante {command} --help'.") from error


def tell_phrases(arguments: Sequence[str]) -> None:
    """Where nothing was found: say which arguments were taken for one phrase, if any were."""
    from ..query.words import as_typed

    phrases = [argument for argument in arguments if as_typed([argument]) != argument]
    if phrases:
        which = ", ".join(f"'{phrase}'" for phrase in phrases)
        click.echo(f"Looked for as one phrase: {which}. Leave its quotation marks out to look for each word.", err=True)
