"""Rows cut into groups, each of which is read and held at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

OCTETS = 8 << 20
"""Of a group, as a rule."""


class Sized(Protocol):
    @property
    def size(self) -> int: ...


T = TypeVar("T", bound=Sized)


def groups(rows: Iterable[T], messages: int, octets: int = OCTETS) -> Iterator[list[T]]:
    """Rows in order, of a bounded number and size (octets) at once; a larger one alone."""
    group: list[T] = []
    held = 0
    for row in rows:
        if group and (len(group) >= messages or held + row.size > octets):
            yield group
            group, held = [], 0
        group.append(row)
        held += row.size
    if group:
        yield group
