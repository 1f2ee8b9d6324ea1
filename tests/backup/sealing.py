"""An installation with a sealed backup beside it, which its server writes and cannot read."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from restante.backup.folder import Folder
from restante.backup.known import SHORT, cut
from restante.backup.location import Location
from restante.backup.objects import Kind, SnapshotData
from restante.backup.repository import Repository, Snapshot
from restante.backup.run import Done
from restante.backup.walk import Walk
from restante.clock import system_random

from .support import KEY, World


class SealedWorld(World):
    """`repository()` is opened with the owner's key, `writer()` with what the server has."""

    def __init__(self, folder: Path, location: Location | None = None) -> None:
        super().__init__(folder, Folder(folder / "plain", system_random))
        self.location = location or Folder(folder / "backup", system_random)
        made = Repository.init(self.location, KEY, "owner", 0, system_random, sealed=True)
        (folder / "writing.key").write_text(made.writing_key())

    def writer(self, notes: Path | None = None) -> Repository:
        from restante.backup.access import NOTES, secret_of

        key = secret_of(None, self.folder / "writing.key")
        assert key is not None
        return Repository.open(self.location, key, system_random, notes or self.folder / "data" / NOTES)

    async def tonight(self, *addresses: str, full: bool = False) -> Done:
        return await self.take(*addresses, full=full, repository=self.writer())

    @property
    def notes(self) -> Path:
        (found,) = (self.folder / "data" / "backup-notes").iterdir()
        return found


def needed(repository: Repository, snapshot: Snapshot) -> set[bytes]:
    """Short ids of all objects that a snapshot needs, as who can read finds them: but not of catalogues, which are
    written with their segment and never asked for alone."""
    walk = Walk(repository)
    reached = walk.lists([snapshot])
    assert not reached.broken
    data: SnapshotData = snapshot.data
    ids = {*data.pages, *data.persons, data.common, *(file.id for file in data.files)}
    for id in reached.objects:
        spot = repository.find(id)
        assert spot is not None
        if spot.kind != Kind.CATALOGUE.value:
            ids.add(id)
    digests = set(chain.from_iterable(walk.messages()))
    ids.update(repository.message_id(digest) for digest in digests - reached.missing)
    return {id[:SHORT] for id in ids}


def noted(repository: Repository) -> tuple[set[bytes], set[bytes]]:
    """Short ids that a writer takes to be there: objects that a snapshot names, and pieces of messages."""
    assert repository.basis() is not None
    assert repository.notes is not None
    notes = repository.notes
    return set(cut(notes._known, SHORT)), {each[:SHORT] for each in cut(notes._pieces, 2 * SHORT)}


def pieces(repository: Repository, snapshot: Snapshot) -> set[bytes]:
    """Short ids of pieces of the messages that a snapshot needs."""
    found: set[bytes] = set()
    walk = Walk(repository)
    walk.lists([snapshot])
    for digest in chain.from_iterable(walk.messages()):
        spot = repository.find(repository.message_id(digest))
        if spot is not None and spot.kind == Kind.RECIPE.value:
            found.update(piece[:SHORT] for piece in repository.pieces(spot))
    return found
