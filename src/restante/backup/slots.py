"""The key slots that lie at a location, and in which order they are tried."""

from __future__ import annotations

import math
from collections.abc import Iterator

from . import keys, names
from .ahead import turn_of
from .errors import Corrupt, NewerFormat, NoRepository
from .keys import Kept
from .location import Location


def kept_slots(location: Location) -> Iterator[Kept]:
    """The key slots that can be read, each once though it lies there twice. Raises NewerFormat where there are none
    but newer ones."""
    found: dict[str, Kept] = {}
    newer: NewerFormat | None = None
    for name, _ in sorted(location.names(names.KEYS)):
        slot = names.slot_of(name)
        if slot is None or slot in found:
            continue
        try:
            data = location.get(name)
            if keys.slot_name(data) == slot:
                found[slot] = Kept(slot, keys.decode_slot(data))
        except Corrupt:
            continue  # its other copy may be whole; `verify` names it
        except NewerFormat as error:
            newer = error
    if newer is not None and not found:
        raise newer
    yield from found.values()


def in_turn(location: Location, slots: list[Kept]) -> list[Kept]:
    """Slots in the order in which they are tried: `ahead.turn_of`; where a thief can add some, which may be many, those
    that came first."""
    if not location.append_only:
        return sorted(slots, key=lambda one: turn_of(one.slot.memory, one.slot.passes, one.slot.created))
    came = {one.name: [at for file in names.slots(one.name) if (at := location.arrived(file))] for one in slots}
    return sorted(slots, key=lambda one: min(came[one.name], default=math.inf))


def none_here(location: Location) -> NoRepository:
    """Why nothing opens here: what a backup has without its keys is not to be taken for an empty place."""
    if any(names.is_ours(name) for name, _ in location.names("")):
        return NoRepository(
            "There is a backup at this location, and none of its keys: all are gone or damaged, both copies of each.",
            "Bring back its folder 'keys' from another copy of the backup: without one it cannot be opened.",
        )
    return NoRepository(
        "There is no backup at this location.",
        "Is that the right place, and its disk mounted? A new one is made by 'restante backup init'.",
    )
