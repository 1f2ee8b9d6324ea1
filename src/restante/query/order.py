"""In which order messages are asked for: SORT's keys now, JMAP's comparators later. Plain values.

Ties are always broken by the place in the mailbox (ascending UID), which REVERSE does not turn round.
RFC 5256 3 (SORT), RFC 5957 4 (DISPLAYFROM, DISPLAYTO), RFC 6203 6 (RELEVANCY).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class SortKey(Enum):
    """What is compared; texts by i;unicode-casemap, a missing one before all others."""

    ARRIVAL = "arrival"
    """INTERNALDATE."""
    CC = "cc"
    """Local part of the first Cc address."""
    DATE = "date"
    """Date field as UTC; INTERNALDATE where it cannot be read."""
    DISPLAYFROM = "displayfrom"
    """Name of the first From address, else the address."""
    DISPLAYTO = "displayto"
    FROM = "from"
    """Local part of the first From address."""
    RELEVANCY = "relevancy"
    """Score of a FUZZY search; the highest comes first."""
    SIZE = "size"
    SUBJECT = "subject"
    """Base subject (RFC 5256 2.1)."""
    TO = "to"
    """Local part of the first To address."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One key of a sort. reverse: descending."""

    key: SortKey
    reverse: bool = False
