"""Named searches, kept as annotations of the account: "/private/filters/values/NAME" and "/shared/...".

What is stored is checked to be a whole search criterion; SEARCH's FILTER key asks `criteria_of` for it, the private
one first. RFC 5466 3.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import Refusal
from ...store.annotation import ACCOUNT
from ...store.interface import Store
from ..grammar.criteria import is_filter_name, parse_criteria
from ..grammar.errors import BadSyntax
from ..grammar.limits import ReaderLimits

VALUES = ("/private/filters/values/", "/shared/filters/values/")
"""Where filters are, in the order in which one is looked for (RFC 5466 3.2)."""


class BadFilter(Refusal):
    """What should be stored as a filter is none (RFC 5530 CANNOT)."""

    code = "BAD-FILTER"


def check(values: Mapping[str, bytes | None], limits: ReaderLimits) -> None:
    """Check the filters among entries of the account that are to be set. Raises BadFilter (RFC 5466 3.2)."""
    for entry, value in values.items():
        if not entry.startswith(VALUES):
            continue
        if not is_filter_name(entry.removeprefix(VALUES[0]).removeprefix(VALUES[1])):
            raise BadFilter("That cannot be the name of a filter.")
        if value is None:
            continue
        try:
            parse_criteria(value, limits)
        except BadSyntax as bad:
            raise BadFilter(f"The filter is no whole search criterion: {bad.text}.") from bad


async def criteria_of(store: Store, name: str) -> bytes | None:
    """The stored search criteria of this filter, None where there is none of that name (UNDEFINED-FILTER)."""
    entries = [root + name.lower() for root in VALUES]
    found = (await store.annotations([ACCOUNT], entries))[ACCOUNT]
    return next((found[entry] for entry in entries if entry in found), None)
