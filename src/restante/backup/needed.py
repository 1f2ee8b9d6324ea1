"""Which objects snapshots need, and where each is read from: an octet for each record of the index, and no more.

`prune` goes by it. A backup may have a million messages; as Python objects, their ids and places are half a gigabyte.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .index import Part, Place


class Needed:
    """Each object is marked at one of its places."""

    def __init__(self) -> None:
        self._marks: dict[int, tuple[Part, bytearray]] = {}
        """By the identity of the part, which is held."""

    def add(self, place: Place) -> bool:
        """Whether it was not marked before."""
        part, position = place
        marks = self._of(part)
        if marks[position]:
            return False
        marks[position] = 1
        return True

    def take(self, place: Place) -> None:
        """It is read from there no more."""
        self._of(place[0])[place[1]] = 0

    def _of(self, part: Part) -> bytearray:
        held = self._marks.get(id(part))
        if held is None:
            held = self._marks[id(part)] = (part, bytearray(len(part)))
        return held[1]

    def places(self, packs: Collection[str] | None = None) -> Iterator[tuple[bytes, Place]]:
        """(id, place) of all, or of those in these packs. Cost: a pass over the index."""
        for part, marks in list(self._marks.values()):
            chosen = None if packs is None else [pack.name in packs for pack in part.packs]
            if chosen is not None and not any(chosen):
                continue
            position = marks.find(1)
            while position >= 0:
                if chosen is None or chosen[part.number(position)]:
                    yield part.id(position), (part, position)
                position = marks.find(1, position + 1)

    def used(self) -> dict[str, int]:
        """Octets that are needed of each pack that is. Cost: a pass over the index."""
        found: dict[str, int] = {}
        for part, marks in self._marks.values():
            octets = [0] * len(part.packs)
            any_of = bytearray(len(part.packs))
            position = marks.find(1)
            while position >= 0:
                number = part.number(position)
                octets[number] += part.length(position)
                any_of[number] = 1
                position = marks.find(1, position + 1)
            for number, pack in enumerate(part.packs):
                if any_of[number]:
                    found[pack.name] = found.get(pack.name, 0) + octets[number]
        return found
