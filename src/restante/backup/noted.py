"""What a whole run leaves behind for the next one, which may have nothing to do: see `unchanged`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from hashlib import sha256

from .. import __version__
from ..values import Value
from . import names, unchanged
from .errors import BackupRefusal
from .folder import Folder
from .repository import Repository
from .run import Done

MOST_HOST = 255
"""Octets of a host's name."""
NOTED = ("unchanged-", "given-up-")
"""What names of notes of runs begin with (`unchanged.path_of`)."""
UNASKED = 30 * 86400
"""Seconds after which what was noted for runs that nobody asks for any more, by just these words, is removed."""


class Circumstances(Value, frozen=True):
    """Of a run. asked, passphrase, key, host, said, directory: as in `unchanged.Note`. files: the installation's.
    counted: how its snapshot is described."""

    asked: Sequence[str]
    passphrase: str
    key: str
    host: str
    said: bool
    directory: str
    files: Mapping[str, bytes]
    counted: str


def note_of(repository: Repository, done: Done, of: Circumstances) -> unchanged.Note | None:
    """The note of a run that took everything; None where the next one has to be a whole one all the same: the backup is
    sealed, lies in no folder of ours, something could not be read, or packs are condemned: then a run looks once more
    for the one that it goes on from when its snapshot is there (see `publish`), which the short way does not."""
    location = repository.location
    if type(location) is not Folder or repository.secrets.recipient is not None:
        return None
    if done.failed or done.unreadable or repository.complaints or repository.unsure is not None:
        return None
    if repository.index.condemned:
        return None
    if not (of.passphrase or of.key) or len(of.host.encode()) > MOST_HOST:
        return None
    try:
        return _note_of(location, repository, done, of)
    except (BackupRefusal, OSError):  # the snapshot is taken, which is what counts
        return None


def keep(note: unchanged.Note | None, data: str, now: float) -> None:
    """Write a run's note, if there is one, and remove what was noted for others that have not been asked for in long.
    Costs a listing of some files."""
    if note is not None:
        note.write(data)
    try:
        with os.scandir(f"{data}/{unchanged.FOLDER}") as found:
            ours = [each for each in found if each.name.startswith(NOTED) and each.is_file()]
            old = [each.path for each in ours if each.stat().st_mtime < now - UNASKED]
    except OSError:
        return  # there are none, or one goes at this moment: the next run looks again
    for path in old:
        unchanged.unlink(path)


def _note_of(location: Folder, repository: Repository, done: Done, of: Circumstances) -> unchanged.Note | None:
    root = os.path.abspath(location.root)  # noqa: PTH100 (as a run with nothing to do has it)
    packs = _packs(repository, done)
    descriptor = location.get(names.DESCRIPTOR)
    condemned = unchanged.names(root, names.CONDEMNED)
    if packs is None or [f"{names.CONDEMNED}/{name}" for name in condemned] != repository.lists:
        return None
    return unchanged.Note(
        {
            "program": __version__,
            "asked": list(of.asked),
            "at": done.snapshot.data.at,
            "location": root,
            "passphrase": of.passphrase,
            "key": of.key,
            "repository": repository.id,
            "descriptor": sha256(descriptor).hexdigest(),
            "snapshot": done.snapshot.name,
            "condemned": condemned,
            "index": unchanged.sizes(root, [f"{names.INDEX}/{name}" for name in unchanged.names(root, names.INDEX)]),
            "packs": unchanged.sizes(root, packs),
            "host": of.host,
            "said": of.said,
            "files": {name: sha256(data).hexdigest() for name, data in of.files.items()},
            "directory": of.directory,
            "accounts": [
                [line.id, [line.mark.incarnation, line.mark.modseq, *line.mark.beside]] for line in done.lines
            ],
            "counted": of.counted,
        }
    )


def _packs(repository: Repository, done: Done) -> list[str] | None:
    """Names of packs, and of their twins, that have what the snapshot and its accounts' lines name; None where one is
    of no pack that stays."""
    data = done.snapshot.data
    wanted = {*data.pages, data.common, *data.persons, *(file.id for file in data.files)}
    wanted.update(line.root for line in done.lines)
    found = set()
    for id in wanted:
        spot = repository.index.find(id)
        if spot is None or spot.pack.name in repository.index.condemned:
            return None
        found.add(names.pack(spot.pack.name, spot.pack.mail))
    return sorted([*found, *(names.twin(name) for name in found if not name.startswith(names.MAIL))])
