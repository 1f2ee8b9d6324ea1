"""A repository's sealed files, and the index that says which object lies in which pack.

Calls block and are made in threads. What an index does not say is read from the packs themselves. Must not know: what
objects are, what a snapshot names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

import msgspec

from ..clock import Random
from . import names, pack, sealed
from .blocks import reader_of
from .crypto import VERIFY, Secrets, file_name
from .errors import UNREADABLE, Corrupt, Missing, NeedsPrivateKey
from .index import Index, Pack, Part, pack_of
from .location import Location
from .sealed import DRAWN_OCTETS, FileKind

if TYPE_CHECKING:
    from .notes import Notes


TRIES = 100
"""Times that lists are listed anew of which one is gone before it is read: then it is none that somebody replaces."""


class Indexed:
    """The files of one repository. Safe for several threads."""

    def __init__(
        self, location: Location, secrets: Secrets, id: str, random: Random, notes: Path | None = None
    ) -> None:
        self.location = location
        self.secrets = secrets
        self.id = id
        self.random = random
        self.complaints: list[Corrupt] = []
        """What was damaged and could be read elsewhere."""
        self.unsure: Corrupt | None = None
        """Why it is not known which packs will go: reading needs not know, writing does."""
        self.reads = secrets.reads
        """Whether what is in it can be read. Where not, reading raises NeedsPrivateKey."""
        self.notes: Notes | None = None
        """What is remembered of a sealed repository where it cannot be read."""
        if notes is not None and not secrets.reads:
            from .notes import Notes

            self.notes = Notes(notes / id, secrets, random)
        self.packed: dict[str, int] = {}
        """Octets of the packs that were written for the next snapshot, by name."""
        self.lists: list[str] = []
        """Names of the lists of condemned packs that the index was made with."""
        self._expected: set[str] = set()
        """Packs (SHA-256) that were expected when a run began which cannot read what is there."""
        self.unindexed: set[str] = set()
        """Packs (SHA-256) that are in the index as they say themselves: of a run that was cut off, most likely."""
        self._index: Index | None = None
        self._unindexed_known = False
        self._packs_alone = False
        self._lock = RLock()

    # Files -----------------------------------------------------------------------------------------

    def need_private_key(self) -> None:
        """Raises NeedsPrivateKey where it is not held."""
        if not self.reads:
            raise NeedsPrivateKey

    def files(self, folder: str) -> Iterator[str]:
        """Names of the backup's files below a folder; what else lies there is passed over."""
        return (name for name, _ in self.location.names(folder) if names.is_ours(name))

    def read_file(self, name: str, kind: FileKind) -> memoryview:
        """The content of a sealed file. Raises Corrupt with its name, Missing."""
        data = self.location.get(name)
        if file_name(data) != names.sha_of(name):
            raise Corrupt(f"{name} is not what was written.", VERIFY, name=name)
        try:
            return sealed.open_file(self.secrets, kind, data)
        except Corrupt as error:
            raise Corrupt(f"{name}: {error.text}", error.remedy, name=name) from error

    def read_twins(self, name: str, kind: FileKind) -> memoryview:
        """The content of a file that is kept twice. Raises Missing where neither is there, Corrupt."""
        try:
            return self.read_file(name, kind)
        except Corrupt as error:
            try:
                content = self.read_file(names.twin(name), kind)
            except Missing:
                raise error from None
            self.complaints.append(error)
            return content

    def put_file(self, folder: str, content: bytes, prefix: str = "", *, twice: bool = False) -> str:
        """Seal and write a file; its name."""
        data = sealed.seal_file(self.secrets, names.FOLDERS[folder], content, self.random(DRAWN_OCTETS))
        name = f"{folder}/{prefix}{file_name(data)}"
        if twice:
            self.location.put(names.twin(name), data)
        self.location.put(name, data)
        return name

    def wrote(self, name: str, size: int, table: pack.Table) -> None:
        """A pack of this name is durable."""
        self.packed[name] = size
        if self.notes is not None:
            self.notes.wrote(name, table)

    # Index -----------------------------------------------------------------------------------------

    @property
    def index(self) -> Index:
        """Read at its first use: as many reads as there are index files."""
        with self._lock:
            if self._index is None:
                self._index = self._read_index()
            return self._index

    def _read_index(self) -> Index:
        found = Index()
        try:
            self.lists, condemned = self.condemned_lists()
            found.condemn(condemned)
        except Corrupt as error:
            self.unsure = error
        if not self.reads:
            return found  # what is there, `notes` remember
        for part in self._index_files():
            found.add(part)
        return found

    def _index_files(self) -> Iterator[Part]:
        for name in sorted(self.files(names.INDEX)):
            try:
                yield Part.decode(self.read_file(name, FileKind.INDEX))
            except Missing:
                continue  # merged with others by `prune` meanwhile: the packs themselves tell
            except Corrupt as error:
                self.complaints.append(error)

    def trust_packs_alone(self) -> None:
        """Make the index of what the packs themselves say: index files may be forged where a thief could add to the
        location. Costs a listing, and two reads a pack."""
        with self._lock:
            made = Index()
            try:
                made.condemn(self.condemned())
            except Corrupt as error:
                self.unsure = error
            self._index, self._unindexed_known, self._packs_alone = made, True, True
            try:
                self.index_packs()
                listed = [name for folder in (names.MAIL, names.META) for name, _ in self.location.names(folder)]
                silent = {sha for name in listed if (sha := names.sha_of(name)) and sha not in made.packs}
                if silent:  # their tables are damaged: of those an index file has to be believed
                    for part in self._index_files():
                        made.add(part.only(silent))
            except BaseException:
                self.forget_index()  # by half of it, messages would be missing that are there
                raise

    def forget_index(self) -> None:
        """Read it again at its next use."""
        with self._lock:
            self._index, self._unindexed_known, self._packs_alone = None, False, False
            self.unindexed = set()

    def index_packs(self) -> Part:
        """Take packs into the index that no index file names, or not wholly: of a run that was cut off, or where a file
        of the index is lost. Costs a listing, and two reads a pack. Nothing where they cannot be read."""
        here = self.index
        if not self.reads:
            return Part([], b"")
        known = here.packs.keys() - here.torn
        unknown = [
            (name, size)
            for folder in (names.MAIL, names.META)
            for name, size in self.location.names(folder)
            if (sha := names.sha_of(name)) and sha not in known
        ]
        tables: list[tuple[Pack, pack.Table]] = []
        for name, size in sorted(unknown):
            try:
                tables.append(self._table_or_twins(name, size))
            except Missing:
                continue  # removed meanwhile
            except Corrupt as error:
                self.complaints.append(error)
        part = Part.of(tables)
        here.add(part)
        self.unindexed.update(each.name for each in part.packs)
        return part

    def leave_out_absent(self) -> set[str]:
        """Take what is in packs that an index names, but that are not at the location, for not there; those packs.
        Where that cannot be read, all is taken for not there."""
        if self.notes is not None:
            self.notes.forget()
        here = {names.sha_of(name) for folder in (names.MAIL, names.META) for name, _ in self.location.names(folder)}
        absent = {sha for sha in self.index.packs if sha not in here}
        self.index.condemn(absent)
        return absent

    def gone_since(self) -> set[str]:
        """Packs that have gone since the index was read though they were to stay. There are none while clocks are right
        and no run outlives `run.LONGEST`, of which a machine that sleeps in the middle of one knows nothing. Costs a
        short listing where no `prune` went on meanwhile."""
        if sorted(self.files(names.CONDEMNED)) == self.lists:
            return set()
        relied = (self._expected | self.index.packs.keys()) - self.index.condemned
        here = {names.sha_of(name) for folder in (names.MAIL, names.META) for name, _ in self.location.names(folder)}
        return {sha for sha in relied if sha not in here}

    def _table_or_twins(self, name: str, size: int) -> tuple[Pack, pack.Table]:
        try:
            return self._table_of(name, size)
        except Corrupt as error:
            if name.startswith(names.MAIL):
                raise
            self.complaints.append(error)
            return self._table_of(names.twin(name), size)

    def _table_of(self, name: str, size: int) -> tuple[Pack, pack.Table]:
        mail = name.startswith(names.MAIL)
        reader = reader_of(self.location, self.secrets, name, mail)
        try:
            footer_at = size - pack.FOOTER_OCTETS
            length = reader.table_size(self.location.get(name, footer_at, pack.FOOTER_OCTETS))
            table = reader.table(self.location.get(name, footer_at - length, length))
        except Corrupt as error:
            raise Corrupt(error.text, error.remedy, name=name) from error
        return pack_of(names.sha_of(name) or "", mail, size, table), table

    def condemned(self) -> dict[str, int]:
        """Packs that `prune` will remove, and since when (seconds UTC): what is in them counts as not there."""
        return self.condemned_lists()[1]

    def condemned_lists(self) -> tuple[list[str], dict[str, int]]:
        """The files that list condemned packs, and what they say together. Raises Corrupt."""
        for _ in range(TRIES):
            listed = sorted(self.files(names.CONDEMNED))
            found: dict[str, int] = {}
            try:
                for name in listed:
                    content = self.read_twins(name, FileKind.CONDEMNED)
                    for sha, at in msgspec.msgpack.decode(content, type=dict[str, int]).items():
                        found[sha] = min(at, found.get(sha, at))
                return listed, found
            except Missing:
                continue  # replaced by a newer one meanwhile: without it a run might rely on what will go
            except UNREADABLE as error:
                raise Corrupt("A list of the backup cannot be read.", VERIFY) from error
        raise Corrupt("A list of the backup is listed at its location, and is not there.", VERIFY)
