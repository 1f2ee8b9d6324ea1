"""An opened repository: its keys, its index, its snapshots, and reading objects. Writing is `writer`'s.

Calls block and are made in threads. What is damaged is read from its twin where it has one; what an index does not
say is read from the packs themselves. Must not know: accounts, messages, the store.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ..clock import Random
from ..values import Value
from . import keys, names, objects, pack, sealed
from .blocks import Blocks, pack_kind, runs
from .crypto import ID_OCTETS, KEY_OCTETS, VERIFY, Secrets, file_name
from .errors import UNREADABLE, Corrupt, Missing, NeedsPrivateKey, NewerFormat, NoRepository, NotEmpty, WrongKey
from .index import Index, Pack, Part, Place, Spot, pack_of
from .keys import Kept, Opening, Secret, WritingKey
from .location import Location
from .objects import Kind, SnapshotData
from .sealed import DRAWN_OCTETS, FileKind, head_octets

if TYPE_CHECKING:
    from .notes import Notes

S = TypeVar("S", bound=objects.Struct)
T = TypeVar("T")

VERSION, SEALED_VERSION = 1, 2
"""Of repository.json. The second is of a repository that is sealed to a public key."""
EARLIEST, LATEST = -(1 << 31), 253_402_214_400
"""Between which snapshots are taken, seconds UTC: from 1901 until the end of 9999, in every zone."""
FORGET = "Forget it by the first digits behind its number: 'restante backup forget'."
NOWHERE = "A message is missing from the backup."


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """repository.json. repository: hexadecimal id, 128 random bits. code: HMAC-SHA-256 of the rest, base64."""

    restante_backup: int
    repository: str
    code: bytes = b""


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Descriptor).decode


def snapshot_id(name: str) -> str:
    """By which people name the snapshot in this file."""
    return (names.sha_of(name) or "")[:8]


class Snapshot(Value, frozen=True):
    """A snapshot as it lies at the location. name: of its file. id: its first eight digits, for people."""

    name: str
    data: SnapshotData

    @property
    def id(self) -> str:
        return snapshot_id(self.name)


class Repository:
    """Made by `init` or `open`. Safe for several threads."""

    def __init__(
        self, location: Location, secrets: Secrets, id: str, random: Random, notes: Path | None = None
    ) -> None:
        self.location = location
        self.secrets = secrets
        self.id = id
        self.random = random
        self.complaints: list[Corrupt] = []
        """What was damaged and could be read elsewhere."""
        self.put_back: list[str] = []
        """Of all runs with this: see `run.Done`, which one that fails does not give."""
        self.unsure: Corrupt | None = None
        """Why it is not known which packs will go: reading needs not know, writing does."""
        self.reads = secrets.reads
        """Whether what is in it can be read. Where not, reading raises NeedsPrivateKey."""
        self.notes: Notes | None = None
        """What is remembered of a sealed repository where it cannot be read."""
        if notes is not None and not secrets.reads:
            from .notes import Notes

            self.notes = Notes(notes / id, secrets, random)
        self.base: str | None = None
        """Name of the snapshot that a run goes on from: what that needs is not looked for again."""
        self.listed: frozenset[str] = frozenset()
        """What lists of files named when the base was chosen."""
        self.packed: dict[str, int] = {}
        """Octets of the packs that were written for the next snapshot, by name."""
        self.unlisted: list[str] = []
        """Snapshots of a sealed repository that no list of files names: their runs were cut off just then."""
        self.lists: list[str] = []
        """Names of the lists of condemned packs that the index was made with."""
        self._expected: set[str] = set()
        """Packs (SHA-256) that were expected when a run began which cannot read what is there."""
        self._index: Index | None = None
        self._unindexed_known = False
        self._packs_alone = False
        self._blocks = Blocks(location, secrets, lambda error: self.complaints.append(error))
        self._lock = RLock()

    # Opening ---------------------------------------------------------------------------------------

    @classmethod
    def init(
        cls, location: Location, secret: Secret, label: str, now: int, random: Random, *, sealed: bool = False
    ) -> Repository:
        """Make an empty repository. sealed: one that can be written without being read, see `writing_key`.

        Raises NotEmpty; BackupRefusal where the machine cannot seal.
        """
        for name, _ in location.names(""):
            raise NotEmpty(f"There is something at the backup's location already ({name}).", "Choose an empty place.")
        root, id = random(KEY_OCTETS), random(16).hex()
        secrets = Secrets.sealed(root) if sealed else Secrets.of(root)
        made = cls(location, secrets, id, random)
        made.add_key(secret, label, now)
        made.write_descriptor()
        return made

    @classmethod
    def open(cls, location: Location, secret: Opening, random: Random, notes: Path | None = None) -> Repository:
        """notes: folder in which it is remembered what sealed repositories have, where it cannot be read.

        Raises NoRepository, WrongKey, NewerFormat, LocationFailed.
        """
        if isinstance(secret, WritingKey):
            return cls._open_to_write(location, secret, random, notes)
        slots = list(kept_slots(location))
        if not slots:
            raise none_here(location)
        found: Repository | None = None
        for kept in _in_turn(location, slots):
            root = keys.open_slot(kept.slot, secret)
            if root is None:
                continue
            sealed = kept.slot.restante_backup_key == keys.SEALED_VERSION
            secrets = Secrets.sealed(root) if sealed else Secrets.of(root)
            opened = cls(location, secrets, kept.slot.repository, random)
            if opened._check_descriptor():
                return opened
            found = found or opened  # another slot may have been added to lead away from this repository
        if found is None:
            raise WrongKey("No key of this backup opens with that.", "Check the passphrase, or name a key file.")
        return found

    @classmethod
    def _open_to_write(cls, location: Location, key: WritingKey, random: Random, notes: Path | None) -> Repository:
        """A sealed repository, by what its writer has. No slot tells whether the key belongs here: repository.json
        does."""
        opened = cls(location, Secrets.of_writing(key.key, key.public), key.repository, random, notes)
        try:
            opened.check_descriptor()
        except NewerFormat:
            raise
        except Corrupt as error:
            slots = list(kept_slots(location))
            if not slots:
                raise none_here(location) from error
            if key.repository not in {kept.slot.repository for kept in slots}:
                raise WrongKey("This writing key is of another backup.", "Name that of this one.") from error
            opened.complaints.append(error)
        return opened

    def _check_descriptor(self) -> bool:
        """Whether the descriptor is of these keys. A newer format is refused; a damaged descriptor is noted: all that
        is needed stands in the keys too."""
        try:
            self.check_descriptor()
        except NewerFormat:
            raise
        except Corrupt as error:
            self.complaints.append(error)
            return False
        return True

    def write_descriptor(self) -> None:
        """Write repository.json, also in place of a damaged one."""
        plain = Descriptor(restante_backup=self._version, repository=self.id)
        self.location.replace(names.DESCRIPTOR, _encode_descriptor(self.secrets, plain))

    def check_descriptor(self) -> None:
        """Raises Corrupt where repository.json is not, to the octet, what was written; NewerFormat."""
        data = self.location.get(names.DESCRIPTOR)
        try:
            found = _decode(data)
        except UNREADABLE as error:
            raise Corrupt("repository.json cannot be read.", VERIFY, name=names.DESCRIPTOR) from error
        if found.restante_backup > self._version and _code(self.secrets, found) == found.code:
            raise NewerFormat("The backup was written by a newer Restante.", "Install that version.")
        right = found.repository == self.id and found.restante_backup == self._version
        if data != _encode_descriptor(self.secrets, found) or not right:
            raise Corrupt("repository.json is not what was written.", VERIFY, name=names.DESCRIPTOR)

    @property
    def _version(self) -> int:
        return VERSION if self.secrets.recipient is None else SEALED_VERSION

    def need_private_key(self) -> None:
        """Raises NeedsPrivateKey where it is not held."""
        if not self.reads:
            raise NeedsPrivateKey

    # Keys ------------------------------------------------------------------------------------------

    def writing_key(self) -> str:
        """The text of a file for the machine that backs up to this sealed repository. Raises BackupRefusal."""
        recipient = self.secrets.recipient
        if recipient is None:
            raise NoRepository("This backup is not sealed: who writes it can read it.", "See 'restante backup init'.")
        return keys.make_writing_key(self.id, self.secrets.writing, recipient.public)

    def add_key(self, secret: Secret, label: str, now: int) -> str:
        """Let another secret open the repository; the new slot's name. Raises NeedsPrivateKey."""
        self.need_private_key()
        version = keys.VERSION if self.secrets.recipient is None else keys.SEALED_VERSION
        data = keys.encode_slot(keys.make_slot(self.secrets.root, secret, self.id, label, now, self.random, version))
        name = keys.slot_name(data)
        for file in names.slots(name):
            self.location.put(file, data)
        return name

    def remove_key(self, name: str) -> None:
        """Raises NoRepository where there is no such slot, NotEmpty where it is the last one, NeedsPrivateKey."""
        self.need_private_key()
        slots = [kept.name for kept in kept_slots(self.location)]
        if name not in slots:
            raise NoRepository(f"There is no key {name}.", "List them with 'restante backup key list'.")
        if len(slots) == 1:
            raise NotEmpty("That is the last key: nobody could read the backup any more.", "Add another one first.")
        for file in names.slots(name):
            self.location.remove(file)

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
            self.index_packs()
            listed = [name for folder in (names.MAIL, names.META) for name, _ in self.location.names(folder)]
            silent = {sha for name in listed if (sha := names.sha_of(name)) and sha not in made.packs}
            if silent:  # their tables are damaged: of those an index file has to be believed
                for part in self._index_files():
                    made.add(part.only(silent))

    def forget_index(self) -> None:
        """Read it again at its next use."""
        with self._lock:
            self._index, self._unindexed_known, self._packs_alone = None, False, False

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
        head = head_octets(self.secrets, pack_kind(mail))
        reader = pack.Reader(self.secrets, pack_kind(mail), self.location.get(name, 0, head))
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
        while True:
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

    # Reading ---------------------------------------------------------------------------------------

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

    def find(self, id: bytes) -> Spot | None:
        """Where an object is, None where it is nowhere. What no index file says is looked for in the packs, once.
        Raises NeedsPrivateKey."""
        if not self.reads:
            raise NeedsPrivateKey
        spot = self.index.find(id)
        if spot is None and not self._unindexed_known:
            self._unindexed_known = True
            self.index_packs()
            spot = self.index.find(id)
        return spot

    def has(self, id: bytes) -> bool:
        """Whether an object is here and stays."""
        return self.index.has(id) or (self.notes is not None and self.notes.has(id))

    def get(self, id: bytes, kind: Kind) -> bytes:
        """An object's octets. Raises Missing, Corrupt, NeedsPrivateKey."""
        if self.notes is not None and (noted := self.notes.object(id, kind)) is not None:
            return noted
        spot = self.find(id)
        if spot is None:
            raise Missing("An object of the backup is missing.", VERIFY)
        try:
            return self._object(id, spot, kind)
        except Corrupt as error:
            return self._elsewhere(id, spot, error, lambda other: self._object(id, other, kind))

    def _object(self, id: bytes, spot: Spot, kind: Kind) -> bytes:
        if spot.kind != kind.value:
            raise Missing("An object of the backup is missing.", VERIFY)
        data = self.cut(spot)
        if kind is not Kind.RECIPE and self.secrets.id_of(kind.value, sha256(data).digest()) != id:
            raise Corrupt("An object of the backup is not what was written.", VERIFY)
        return data

    def _elsewhere(self, id: bytes, tried: Spot, wrong: Corrupt, read: Callable[[Spot], T]) -> T:
        """What one of an object's other places gives: two runs at once may have written it, or a run anew what was
        thought to be lost. tried: where it was not, and `wrong`: why.

        Of those places that index files name; at an append-only location, where a thief can have added packs and
        indexes that only say that they have it, at last of those that the packs do. Raises `wrong`."""
        while True:
            for spot in list(self.index.spots(id)):
                if spot == tried:
                    continue
                try:
                    found = read(spot)
                except Corrupt:
                    continue
                if not self.location.append_only:
                    self.complaints.append(wrong)
                return found
            if self._packs_alone or not self.location.append_only:
                raise wrong
            self.trust_packs_alone()

    def whole_without(self, id: bytes, packs: Collection[str]) -> bool:
        """Whether an object is whole in another pack than these. Costs reading it."""
        for spot in list(self.index.spots(id)):
            if spot.pack.name not in packs:
                try:
                    if self._is_right(id, spot):
                        return True
                except Corrupt:
                    continue
        return False

    def right_place(self, id: bytes) -> Place | None:
        """A place where an object truly is, of several; None where it is nowhere. Costs reading it, where there are
        several. Raises Corrupt where it is whole in none of them."""
        places = list(self.index.places(id))
        if len(places) <= 1:
            return places[0] if places else None
        for part, position in places:
            try:
                if self._is_right(id, part.spot(position)):
                    return part, position
            except Corrupt as error:
                self.complaints.append(error)
        raise Corrupt("An object of the backup lies in several packs and is whole in none.", VERIFY)

    def _is_right(self, id: bytes, spot: Spot) -> bool:
        if spot.kind != Kind.RECIPE.value:
            return self.secrets.id_of(spot.kind, sha256(self.cut(spot)).digest()) == id
        digest = sha256()
        for piece in self.pieces(spot):
            digest.update(self.get(piece, Kind.PIECE))
        return self.message_id(digest.digest()) == id

    def read(self, id: bytes, what: type[S]) -> S:
        """An object of metadata. Raises Missing, Corrupt, NewerFormat."""
        return objects.decode(self.get(id, objects.KINDS[what]), what)

    def has_message(self, digest: bytes) -> bool:
        """Whether a message of this SHA-256 is here and stays."""
        return self.has(self.message_id(digest))

    def message_id(self, digest: bytes) -> bytes:
        return self.secrets.id_of(Kind.MESSAGE.value, digest)

    def message(self, digest: bytes) -> bytes:
        """A message's octets by their SHA-256. Raises Missing, Corrupt."""
        spot = self.find(self.message_id(digest))
        if spot is None:
            raise Missing(NOWHERE, VERIFY)
        return self._message_at(spot, digest)

    def _message_at(self, spot: Spot, digest: bytes) -> bytes:
        try:
            return self._message(digest, spot)
        except Corrupt as error:
            return self._elsewhere(self.message_id(digest), spot, error, lambda other: self._message(digest, other))

    def _message(self, digest: bytes, spot: Spot) -> bytes:
        if spot.kind == Kind.RECIPE.value:
            data = b"".join([self.get(piece, Kind.PIECE) for piece in self.pieces(spot)])
        else:
            data = self.cut(spot)
        if sha256(data).digest() != digest:
            raise Corrupt("A message of the backup is not what was written.", VERIFY)
        return data

    def pieces(self, spot: Spot) -> list[bytes]:
        """Ids of the pieces of a message whose recipe is there. Raises Missing, Corrupt."""
        data = self.cut(spot)
        if len(data) % ID_OCTETS:
            raise Corrupt("A message of the backup is not what was written.", VERIFY)
        return [data[at : at + ID_OCTETS] for at in range(0, len(data), ID_OCTETS)]

    def messages(self, digests: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | Corrupt]]:
        """Messages with their octets, or why they have none, in the order in which they lie in the packs: each block
        is opened once as a rule."""
        places: list[tuple[bytes, Spot]] = []
        for digest, spot in self.places(list(digests)):
            if spot is None:
                yield digest, Missing(NOWHERE, VERIFY)
            else:
                places.append((digest, spot))
        places.sort(key=_where)
        for digest, data in self.messages_at(places):
            yield digest, bytes(data) if isinstance(data, memoryview) else data

    def places(self, digests: Sequence[bytes]) -> Iterator[tuple[bytes, Spot | None]]:
        """Where messages are, in the order asked; None where one is nowhere. Raises NeedsPrivateKey."""
        ids = list(map(self.message_id, digests))
        spots = self.index.find_all(ids) if self.reads else [None] * len(ids)
        for digest, id, spot in zip(digests, ids, spots, strict=True):
            yield digest, self.find(id) if spot is None else spot

    def messages_at(self, places: Iterable[tuple[bytes, Spot]]) -> Iterator[tuple[bytes, bytes | memoryview | Corrupt]]:
        """Messages (SHA-256) with their octets, or why they have none, by where they are. Of messages that come as they
        lie, blocks that lie one behind the other are read at once; a view holds its whole block."""
        for run in runs(places):
            blocks = self._blocks.run(run[0][1].pack, run[0][1].block, run[-1][1].block)
            for digest, spot in run:
                _, number, offset, length, kind = spot
                if kind == Kind.MESSAGE.value and (block := blocks.get(number)) is not None:
                    data = block[offset : offset + length]
                    if sha256(data).digest() == digest:
                        yield digest, data
                        continue
                try:  # in pieces, or damaged here
                    found: bytes | Corrupt = self._message_at(spot, digest)
                except Corrupt as error:
                    found = error
                yield digest, found

    def cut(self, spot: Spot) -> bytes:
        """The octets at a place, as they are there. Raises Missing, Corrupt."""
        block = self._blocks.block(spot.pack, spot.block)
        if spot.offset + spot.length > len(block):
            raise Corrupt("An index of the backup names octets that are not there.", VERIFY)
        return block[spot.offset : spot.offset + spot.length]

    # Snapshots -------------------------------------------------------------------------------------

    def snapshot_names(self) -> list[str]:
        """Oldest first: those whose file or its twin is there."""
        found = {name for name, _ in self.location.names(names.SNAPSHOTS)}
        found |= {name.removeprefix(names.TWIN + "/") for name, _ in self.location.names(names.twin(names.SNAPSHOTS))}
        return sorted(name for name in found if names.snapshot_serial(name))

    def snapshot(self, name: str) -> Snapshot:
        """Raises Missing, Corrupt."""
        data = objects.decode(self.read_twins(name, FileKind.SNAPSHOT), SnapshotData)
        if not EARLIEST <= data.at <= LATEST:
            raise Corrupt(f"{name} has a date that no calendar has: it is forged.", FORGET, name=name)
        return Snapshot(name, data)

    def snapshots(self) -> list[Snapshot]:
        """All that can be read, oldest first; what cannot is complained of."""
        found, errors = self.read_snapshots()
        self.complaints += errors
        return found

    def read_snapshots(self) -> tuple[list[Snapshot], list[Corrupt]]:
        """Snapshots, oldest first, and why others cannot be read."""
        found, errors = [], []
        for name in self.snapshot_names():
            try:
                found.append(self.snapshot(name))
            except Missing:
                continue  # removed meanwhile
            except Corrupt as error:
                errors.append(error)
        return found, errors

    def latest(self) -> Snapshot | None:
        """The newest snapshot that can be read. Raises NeedsPrivateKey."""
        self.need_private_key()
        return self._newest(reversed(self.snapshot_names()))

    def _newest(self, newest_first: Iterable[str]) -> Snapshot | None:
        for name in newest_first:
            try:
                return self.snapshot(name)
            except Missing:
                continue
            except Corrupt as error:
                self.complaints.append(error)
        return None

    def basis(self) -> Snapshot | None:
        """The snapshot that a run goes on from: the newest that can be read and whose run says that it has ended (see
        `publish`), in a backup of earlier programs the newest; of a sealed repository that cannot be read, the one that
        is remembered, while it is there. To be called when the index was read."""
        self.index  # noqa: B018 - which packs will go must be known before the base is: see `publish`
        found = self._readable_basis() if self.reads else self._remembered_basis()
        self.base = found.name if found is not None else None
        return found

    def _readable_basis(self) -> Snapshot | None:
        from .written import read_written

        written = read_written(self)
        self.listed = frozenset(written.files)
        here = [name for name in reversed(self.snapshot_names()) if name not in written.gone]
        return self._newest(sorted(here, key=lambda name: name not in written.snapshots))

    def _remembered_basis(self) -> Snapshot | None:
        if self.notes is None:
            return None
        from .written import read_written

        written, here, condemned = read_written(self), self.snapshot_names(), self.index.condemned
        packed = (names.MAIL + "/", names.META + "/")
        self.listed = frozenset(written.files)
        self._expected = {names.sha_of(name) or "" for name in written.files if name.startswith(packed)}
        self.unlisted = [name for name in here if name not in written.files and name not in written.gone]

        def packs() -> Iterator[str]:
            for folder in (names.MAIL, names.META):
                for name, _ in self.location.names(folder):
                    if (sha := names.sha_of(name)) and sha not in condemned:
                        yield name

        self.notes.begin([name for name in here if name not in written.gone], condemned, packs)
        return Snapshot(*self.notes.base) if self.notes.base is not None else None

    @property
    def blind(self) -> bool:
        """Whether there are snapshots here, none of which can be read or is remembered."""
        return not self.reads and (self.notes is None or self.notes.base is None) and bool(self.snapshot_names())

    def wrote(self, name: str, size: int, table: pack.Table) -> None:
        """A pack of this name is durable."""
        self.packed[name] = size
        if self.notes is not None:
            self.notes.wrote(name, table)

    def put_file(self, folder: str, content: bytes, prefix: str = "", *, twice: bool = False) -> str:
        """Seal and write a file; its name."""
        data = sealed.seal_file(self.secrets, names.FOLDERS[folder], content, self.random(DRAWN_OCTETS))
        name = f"{folder}/{prefix}{file_name(data)}"
        if twice:
            self.location.put(names.twin(name), data)
        self.location.put(name, data)
        return name

    def put_snapshot(self, data: SnapshotData) -> Snapshot:
        """From now on the snapshot is there, as the newest. All that it names must be there, or named by `base`.

        Raises NotesFailed, or Corrupt, where it is there and could not be remembered; Overtaken, where it is not."""
        from .publish import publish

        return publish(self, data)

    def remove_snapshot(self, name: str) -> None:
        self.location.remove(name)
        self.location.remove(names.twin(name))


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


def _where(one: tuple[bytes, Spot]) -> tuple[str, int, int]:
    spot = one[1]
    return spot.pack.name, spot.block, spot.offset


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


def _in_turn(location: Location, slots: list[Kept]) -> list[Kept]:
    """Slots in the order in which they are tried: the newest first; where a thief can add some, which may ask for much
    memory and time, those that came first."""
    if not location.append_only:
        return sorted(slots, key=lambda one: one.slot.created, reverse=True)
    came = {one.name: [at for file in names.slots(one.name) if (at := location.arrived(file))] for one in slots}
    return sorted(slots, key=lambda one: min(came[one.name], default=math.inf))


def _code(secrets: Secrets, plain: Descriptor) -> bytes:
    return hmac.digest(secrets.descriptor, _encode(msgspec.structs.replace(plain, code=b"")), "sha256")


def _encode_descriptor(secrets: Secrets, plain: Descriptor) -> bytes:
    return _encode(msgspec.structs.replace(plain, code=_code(secrets, plain))) + b"\n"
