"""Where a repository lies: named objects that are written whole, read in ranges, listed and removed.

An object's name is lower-case words with "/" between them. Objects are never changed. The suite in
tests/backup/test_locations.py runs over every implementation. Calls block: they are made in threads.

Rules:
- When `put` returns, the object is durable and whole; when it raises, or the machine stops, there is either no
  object of this name or the whole one.
- An object that `put` made is seen by every later `get`, `size` and `names`, by whichever process.
- Errors are LocationFailed (NoRoom where that is why) and, for what is not there, Missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*(?:/[a-z0-9]+(?:[.-][a-z0-9]+)*)*\Z")


class Location(Protocol):
    """Named objects. Safe for several threads and processes."""

    at_once: int = 1
    """How many objects should be put, or read, at the same time: many where each takes a round trip."""
    portable: bool = False
    """Whether it can be pickled, for another process that reads it."""
    append_only: bool = False
    """Whether it keeps what it has, whoever adds to it: then something forged may lie beside what is right."""
    removes: bool = True
    """Whether this process may remove, which is the keeper's alone where the location is append-only."""

    def put(self, name: str, data: bytes) -> None:
        """Write an object; one that is there under this name is left as it is."""
        ...

    def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
        """Octets offset..offset+count of an object (to its end when count is None), fewer where it ends before."""
        ...

    def size(self, name: str) -> int:
        """Octets of an object. Raises Missing."""
        ...

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        """(name, octets) of all objects below a folder ("" for all), in no order. What comes or goes meanwhile may
        be in it or not."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object; nothing happens where there is none. Raises AppendOnly."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Write an object in place of one that is damaged, or that is missing. Raises AppendOnly."""
        self.remove(name)
        self.put(name, data)

    def tidy(self, age: float) -> int:
        """Remove what writes that were cut off more than `age` seconds ago, by the location's clock, left behind; how
        many."""
        ...

    def arrived(self, name: str) -> float | None:
        """When an object came (seconds UTC), where it is append-only and the location's own clock says so."""
        return None

    def disturbed(self) -> list[tuple[str, str]]:
        """(name, what was tried) of objects that somebody has hidden or written over: they are read as they were."""
        return []

    def put_back(self, name: str) -> bool:
        """Show an object that is `disturbed` to everybody again; whether that was done."""
        return False


def checked(name: str) -> str:
    """The name, if an object may have it. Raises ValueError: names are ours, never a stranger's."""
    if NAME.match(name) is None:
        raise ValueError(f"not a name of an object: {name!r}")
    return name


def is_name(name: str) -> bool:
    """Whether an object, or a folder of some, may be called this."""
    return NAME.match(name) is not None
