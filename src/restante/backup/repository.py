"""An opened repository: its keys and its snapshots. Writing objects is `writer`'s.

    Repository  ->  Reading (`reading`: objects and messages)  ->  Indexed (`indexed`: files, and which pack has what)

Calls block and are made in threads. Must not know: accounts, messages, the store.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from ..clock import Random
from ..values import Value
from . import keys, names, objects
from .crypto import KEY_OCTETS, VERIFY, Secrets
from .errors import UNREADABLE, Corrupt, Missing, NewerFormat, NoMemory, NoRepository, NotEmpty, WrongKey
from .keys import Kept, Opening, Secret, WritingKey
from .location import Location
from .objects import SnapshotData
from .reading import Reading
from .sealed import FileKind
from .slots import in_turn, kept_slots, none_here

VERSION, SEALED_VERSION = 1, 2
"""Of repository.json. The second is of a repository that is sealed to a public key."""
EARLIEST, LATEST = -(1 << 31), 253_402_214_400
"""Between which snapshots are taken, seconds UTC: from 1901 until the end of 9999, in every zone."""
FORGET = "Forget it by the first digits behind its number: 'restante backup forget'."


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


class Repository(Reading):
    """Made by `init` or `open`. Safe for several threads."""

    def __init__(
        self, location: Location, secrets: Secrets, id: str, random: Random, notes: Path | None = None
    ) -> None:
        super().__init__(location, secrets, id, random, notes)
        self.opened_by = ""
        """Name of the key slot that it was opened with; none where it was made, or opened by a writing key."""
        self.put_back: list[str] = []
        """Of all runs with this: see `run.Done`, which one that fails does not give."""
        self.base: str | None = None
        """Name of the snapshot that a run goes on from: what that needs is not looked for again."""
        self.listed: frozenset[str] = frozenset()
        """What lists of files named when the base was chosen."""
        self.unlisted: list[str] = []
        """Snapshots of a sealed repository that no list of files names: their runs were cut off just then."""

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

        Raises NoRepository, WrongKey, NoMemory, NewerFormat, LocationFailed.
        """
        if isinstance(secret, WritingKey):
            return cls._open_to_write(location, secret, random, notes)
        slots = list(kept_slots(location))
        if not slots:
            raise none_here(location)
        found: Repository | None = None
        untried: NoMemory | None = None
        for kept in in_turn(location, slots):
            try:
                root = keys.open_slot(kept.slot, secret)
            except NoMemory as error:
                untried = error  # another one may cost less
                continue
            if root is None:
                continue
            sealed = kept.slot.restante_backup_key == keys.SEALED_VERSION
            secrets = Secrets.sealed(root) if sealed else Secrets.of(root)
            opened = cls(location, secrets, kept.slot.repository, random)
            opened.opened_by = kept.name
            if opened._check_descriptor():
                return opened
            found = found or opened  # another slot may have been added to lead away from this repository
        if found is None and untried is not None:
            raise untried
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

    def removable_key(self, name: str) -> tuple[Kept, list[Kept]]:
        """The slot of this name, and those that are left without it, oldest first: of this repository, since another
        one's that lies here opens nothing.

        Raises NoRepository where there is no such slot, NotEmpty where none would be left, NeedsPrivateKey."""
        self.need_private_key()
        slots = {kept.name: kept for kept in kept_slots(self.location)}
        gone = slots.pop(name, None)
        if gone is None:
            raise NoRepository(f"There is no key {name}.", "List them with 'restante backup key list'.")
        left = [kept for kept in slots.values() if kept.slot.repository == self.id]
        if not left:
            raise _last_key()
        return gone, sorted(left, key=lambda kept: kept.slot.created)

    def remove_key(self, name: str) -> None:
        """Raises what `removable_key` does; also where somebody removed all others at the same moment: then it is put
        back."""
        self.removable_key(name)
        copies: dict[str, bytes] = {}
        for file in names.slots(name):
            with suppress(Corrupt):  # missing, or damaged: the other copy is whole
                copies[file] = self.location.get(file)
        for file in names.slots(name):
            self.location.remove(file)
        if not any(kept.slot.repository == self.id for kept in kept_slots(self.location)):
            for file, data in copies.items():
                self.location.put(file, data)
            raise _last_key()

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
        if data.serial not in (0, names.snapshot_serial(name)):
            text = f"{name} is a copy of the snapshot number {data.serial:x}: somebody has given it another number."
            raise Corrupt(text, FORGET, name=name)
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

    def put_snapshot(self, data: SnapshotData) -> Snapshot:
        """From now on the snapshot is there, as the newest. All that it names must be there, or named by `base`.

        Raises NotesFailed, or Corrupt, where it is there and could not be remembered; Overtaken, where it is not."""
        from .publish import publish

        return publish(self, data)

    def remove_snapshot(self, name: str) -> None:
        self.location.remove(name)
        self.location.remove(names.twin(name))


def _last_key() -> NotEmpty:
    return NotEmpty("That is the last key: nobody could read the backup any more.", "Add another one first.")


def _code(secrets: Secrets, plain: Descriptor) -> bytes:
    return hmac.digest(secrets.descriptor, _encode(msgspec.structs.replace(plain, code=b"")), "sha256")


def _encode_descriptor(secrets: Secrets, plain: Descriptor) -> bytes:
    return _encode(msgspec.structs.replace(plain, code=_code(secrets, plain))) + b"\n"
