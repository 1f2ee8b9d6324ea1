"""Making whole again what is kept twice, or follows from the rest: without reading a message.

Needed after a crash between the two writings of a file, and after damage. What lies only once, packs of mail, cannot be
mended: a run with `full` writes again what the store still has.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import names
from .crypto import file_name
from .errors import AppendOnly, Corrupt
from .keys import slot_name
from .repository import Repository


def twin_of(name: str) -> str | None:
    """Where the same octets lie once more, None where they do not."""
    if slot := names.slot_of(name):
        first, second = names.slots(slot)
        return second if name == first else first
    if name.startswith(names.TWIN + "/"):
        return name.removeprefix(names.TWIN + "/")
    return names.twin(name) if name.startswith((names.META, names.SNAPSHOTS, names.CONDEMNED)) else None


def mend(repository: Repository, name: str) -> bool:
    """Put a file back that is missing or damaged, if its octets are elsewhere; whether that was done. At an append-only
    location what is damaged is put back by who keeps it alone."""
    try:
        return _mend(repository, name)
    except AppendOnly:
        return False


def _mend(repository: Repository, name: str) -> bool:
    location = repository.location
    if not names.is_ours(name):
        return False  # whoever put it there may want it
    if name == names.DESCRIPTOR:
        repository.write_descriptor()
        return True
    if name.startswith((names.INDEX, names.READ, names.WRITTEN)):
        # The packs say the same; what was read back is read again; what lists of files named is looked for no more.
        location.remove(name)
        return True
    twin = twin_of(name)
    if twin is None:
        return False
    try:
        data = location.get(twin)
    except Corrupt:  # Missing, or the disk does not give it either
        return False
    if not is_right(name, data):
        return False
    location.replace(name, data)
    return True


def is_right(name: str, data: bytes) -> bool:
    """Whether these are the octets that the file of this name has."""
    if slot := names.slot_of(name):
        return slot_name(data) == slot
    return file_name(data) == names.sha_of(name)


SMALL = (names.SNAPSHOTS, names.CONDEMNED)
ALL = (*SMALL, names.META)


def complete(repository: Repository, folders: Sequence[str] = ALL) -> list[str]:
    """Write the second copy of what a crash left with one: snapshots, lists, packs of metadata; which those were.

    A pack whose twin alone is there was never finished: it is left alone, nothing names it.
    """
    files = {name for folder in folders for each in (folder, names.twin(folder)) for name in repository.files(each)}
    done = []
    for name in sorted(files):
        twin = twin_of(name)
        if twin is None or twin in files:
            continue
        if twin.startswith(names.META) and (names.sha_of(twin) or "") not in repository.index.packs:
            continue
        try:
            if mend(repository, twin):
                done.append(twin)
        except Corrupt:
            continue  # removed meanwhile
    return done
