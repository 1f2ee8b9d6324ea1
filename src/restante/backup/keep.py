"""Taking in what was dropped at a folder that somebody keeps (`kept_folder`): run by its owner, without any key.

Whoever drops files may be a thief with all that the mail server had, its key included. So nothing he can write is
believed, and nothing of his is used as it is:

- A file is copied, octet by octet, into a new file of the owner's, and counts only if its SHA-256 is in its name. What
  is there under a name stays. Links, and files that are not plainly a dropper's, are left alone.
- Lists of what may go (`condemned/`) are the keeper's to write, and never taken. Notes of what was read back (`read/`)
  stay with whoever made them. Keys are taken until the first snapshot is, later only when the owner says so: another
  key with the same passphrase could lead away from what is here.
- A snapshot's number may not be far ahead of the highest: else one of his could leave no number for any later one.

What he can do is fill the disk, as far as `most` lets him, and take back what was not yet taken in.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from ..files import sync_folder
from . import names
from .errors import AppendOnly
from .folder import TEMPORARY, translated, write_all
from .kept_folder import KEEPERS, KeptFolder, check_incoming

LARGEST = 4 << 30
"""Octets of a file: ours have 64 MiB or so."""
AHEAD = 64
"""How far a snapshot's number may be ahead of the highest one that is kept."""
ENTRIES = 200_000
"""Files looked at in one go; where there are more, snapshots wait until there are not."""
CHUNK = 1 << 20

ORDER = (names.MAIL, names.twin(names.META), names.META, names.INDEX, names.KEYS, names.DESCRIPTOR)
"""What is taken before snapshots, in this order: whatever a snapshot names is there before it. What lists of files name
is there before they are: they come last."""
SNAPSHOTS = (names.twin(names.SNAPSHOTS), names.SNAPSHOTS)


@dataclass(slots=True)
class Kept:
    """What was taken in, and what was not: (name, why). waiting: files left for another time, as `most` says."""

    files: int = 0
    octets: int = 0
    snapshots: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    waiting: int = 0
    warnings: list[str] = field(default_factory=list)


class _Refused(Exception):
    """Why a file is not taken."""


def keep(folder: KeptFolder, *, most: int | None = None, keys: bool = False) -> Kept:
    """Take in what was dropped. most: octets that are taken in at most, of what is not a snapshot's. keys: also key
    slots. Raises AppendOnly where somebody else than the owner runs it, LocationFailed."""
    if not folder.removes:
        raise AppendOnly(f"{folder.root} belongs to somebody else.", "Run this as its owner.")
    done = Kept(warnings=check_incoming(folder))
    new = not any(folder.names(names.SNAPSHOTS))
    # Snapshots are looked for before the rest and taken behind it: what they name was dropped before them, so that it
    # is among what is looked for then. So are lists before snapshots.
    written = [name for name in _dropped(folder) if name.startswith(names.WRITTEN)]
    snapshots = [name for name in _dropped(folder) if name.startswith(SNAPSHOTS)]
    found = list(_dropped(folder))
    files = [name for name in found if name.startswith(ORDER)]
    done.refused += [(name, "Only the keeper says what may go.") for name in found if name.startswith(KEEPERS)]
    for name in sorted(files, key=_place):
        if not (new or keys) and name.startswith((names.KEYS, names.DESCRIPTOR)) and not folder.kept(name):
            done.refused.append((name, "Keys are taken in with --keys."))
            continue
        if most is not None and done.octets >= most:
            done.waiting += 1
            continue
        _take(folder, name, done)
    if len(found) == ENTRIES:
        done.waiting += 1
    if done.waiting:
        done.waiting += len(snapshots) + len(written)  # what they name is not all here
        return done
    highest = max((names.snapshot_serial(name) for each in SNAPSHOTS for name, _ in folder.names(each)), default=0)
    for name in sorted(snapshots, key=lambda name: (names.snapshot_serial(name), not name.startswith(names.TWIN))):
        serial = names.snapshot_serial(name)
        if serial > highest + AHEAD:
            done.refused.append((name, "Its number is far ahead of the last one's."))
            continue
        if _take(folder, name, done):
            highest = max(highest, serial)
            done.snapshots += name.startswith(names.SNAPSHOTS)
    for name in written:
        _take(folder, name, done)
    folder.tidy(3 * 86400)
    return done


def _place(name: str) -> tuple[int, str]:
    return next(number for number, start in enumerate(ORDER) if name.startswith(start)), name


def _dropped(folder: KeptFolder) -> Iterator[str]:
    return islice((name for name, _ in folder.dropped()), ENTRIES)


def _take(folder: KeptFolder, name: str, done: Kept) -> bool:
    """Whether the file is kept now that was not before."""
    dropped = folder.incoming / name.replace("/", ",")
    try:
        with translated(name):
            if taken := not folder.kept(name):
                done.octets += _copy(folder, name, dropped)
                done.files += 1
    except _Refused as refused:
        done.refused.append((name, str(refused)))
        return False
    try:
        dropped.unlink(missing_ok=True)
    except OSError as error:  # a folder, perhaps: it must not keep what comes after it from being taken
        done.refused.append((name, f"It cannot be removed ({error.strerror})."))
    return taken


def _copy(folder: KeptFolder, name: str, dropped: Path) -> int:
    """Put the octets of a dropped file into a new one under its name; how many they are."""
    try:
        source = os.open(dropped, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise _Refused("It is gone again.") from error
    except OSError as error:
        raise _Refused(f"It cannot be read ({error.strerror}).") from error
    making = folder.root / TEMPORARY / f"keep-{os.urandom(16).hex()}"
    try:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid == os.geteuid():
            raise _Refused("It is no file that somebody dropped.")  # a link may lead to what he cannot read himself
        if status.st_size > LARGEST:
            raise _Refused("It is too large.")
        folder.make(making.parent)
        number = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, folder.file_mode)
        try:
            octets = _pour(source, number, name, status.st_size)
            os.fchmod(number, folder.file_mode)
            os.fsync(number)
        finally:
            os.close(number)
        place = folder.root / name
        folder.make(place.parent)
        try:
            os.link(making, place)  # and never over what is there
        except FileExistsError:
            return 0
        sync_folder(place.parent)
        return octets
    finally:
        os.close(source)
        making.unlink(missing_ok=True)


def _pour(source: int, target: int, name: str, size: int) -> int:
    """Copy so many octets. Raises _Refused unless they are those that the name says."""
    digest, left = hashlib.sha256(), size
    while left and (piece := os.read(source, min(left, CHUNK))):
        digest.update(piece)
        write_all(target, piece)
        left -= len(piece)
    wanted, found = names.sha_of(name), digest.hexdigest()
    slot = names.slot_of(name)
    right = name == names.DESCRIPTOR or wanted == found or (slot is not None and slot == found[:32])
    plain = name.removeprefix(names.TWIN + "/")
    if plain.startswith((names.MAIL, names.META)):
        right &= plain == names.pack(found, plain.startswith(names.MAIL))
    if left or not right:
        raise _Refused("It is not what its name says.")
    return size
