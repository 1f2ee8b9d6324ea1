"""Which files a repository has: what must not be missing. Nothing of what is in them.

Each run writes such a list of its own, `prune` one of what it will remove, and joins them. What is expected to be there
is what all of them name, less what one of them lets go; no name comes twice, so their order says nothing.

Of a sealed repository the lists name packs and snapshots, and when each snapshot was taken, so that the machine which
writes it, and cannot look into it, knows. Of others they name snapshots: nothing else does, while packs are named by
what snapshots say. A run lists the snapshots that it finds twice, its own among them, when all that they need is sure
to stay; so those of earlier programs, and of runs that were cut off, are listed by the next run.

A list of a run may name what a `prune` at the same time has let go and removed: what was let go stays in the joined
list for long after (`REMEMBERED`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

from ..values import Record, field
from . import names, objects
from .errors import AppendOnly, Corrupt, Missing
from .indexed import TRIES
from .sealed import FileKind

if TYPE_CHECKING:
    from .repository import Repository

MANY = 64
"""Lists from which on they are joined: one comes with each night."""
REMEMBERED = 1_000
"""Snapshots that were let go and are not there, whose names stay: 76 kB."""
_VERSION = 1


class SnapshotLine(objects.Struct, frozen=True, array_like=True):
    """name: of the file. at: seconds UTC. octets: that its run wrote."""

    name: str
    at: int
    octets: int


class WrittenData(objects.Struct, frozen=True, array_like=True):
    """files: names of packs and snapshots that are there. gone: that need not be there, or are no longer to be relied
    on."""

    version: int
    snapshots: tuple[SnapshotLine, ...] = ()
    files: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class Written(Record):
    """All lists together. lists: their names, those that let something go last."""

    lists: list[str] = field(default_factory=list)
    snapshots: dict[str, SnapshotLine] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    """Names that are expected: without those that are gone."""


def read_written(repository: Repository) -> Written:
    """All that the lists say; one that cannot be read is complained of."""
    for _ in range(TRIES):
        try:
            return _read_written(repository)
        except Missing:
            continue  # joined with others meanwhile: what it said is in one that was written before it went
    return _read_written(repository, forgiving=True)


def _read_written(repository: Repository, *, forgiving: bool = False) -> Written:
    """forgiving: what is listed and not there is complained of, too. Raises Missing."""
    found = Written()
    letting_go: list[str] = []
    wrong: list[Corrupt] = []
    for name in sorted(repository.files(names.WRITTEN)):
        try:
            data = objects.decode(repository.read_file(name, FileKind.WRITTEN), WrittenData)
        except Corrupt as error:
            if isinstance(error, Missing) and not forgiving:
                raise
            wrong.append(error)
            data = WrittenData(_VERSION)
        (letting_go if data.gone else found.lists).append(name)
        found.snapshots |= {each.name: each for each in data.snapshots}
        found.files.update(data.files)
        found.gone.update(data.gone)
    found.lists += letting_go
    found.files -= found.gone
    repository.complaints += wrong
    return found


def note_run(repository: Repository, snapshot: str, at: int, octets: int, files: Collection[str]) -> None:
    """A run has ended with this snapshot. octets: that it wrote. files: names of what else must not be missing."""
    line = SnapshotLine(snapshot, at, octets)
    _put(repository, WrittenData(_VERSION, (line,), tuple(sorted({*files, snapshot}))))


def note_gone(repository: Repository, gone: Collection[str]) -> None:
    """These will be removed now, or are no longer to be relied on."""
    if gone:
        _put(repository, WrittenData(_VERSION, gone=tuple(sorted(gone))))


def join(repository: Repository, former: Written, present: Collection[str] | None = None) -> None:
    """One list in place of those that were read. present: what is there now, where what is not is given up; None where
    what is missing shall be told of again."""
    if not former.lists:
        return
    snapshots = sorted((name for name in former.gone if names.snapshot_serial(name)), key=names.snapshot_serial)
    remembered = set(snapshots[-REMEMBERED:])
    if present is None:
        here = {name for name, _ in repository.location.names("")}
        gone, files = (former.gone & here) | remembered, former.files
    else:
        # A pack that is there is looked for again, whoever let it go; a snapshot may be there and not be relied on.
        here = set(present)
        gone = here.intersection(snapshots) | remembered
        files = here - gone
    lines = tuple(line for name, line in sorted(former.snapshots.items()) if name in here or name in files)
    _put(repository, WrittenData(_VERSION, lines, tuple(sorted(files)), tuple(sorted(gone))))
    for name in former.lists:
        try:
            repository.location.remove(name)
        except AppendOnly:
            continue  # its keeper's `prune` joins them


def _put(repository: Repository, data: WrittenData) -> None:
    repository.put_file(names.WRITTEN, msgspec.msgpack.encode(data))
