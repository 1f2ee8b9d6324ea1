"""Reading a repository back: every octet, or a share of it so that all is read within thirty days.

Each file is compared with its name, opened and taken apart, and each object with its id; then all that snapshots name
is looked for. What is damaged is told with the messages that it touches; where a twin is whole it is told too, but
touches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec

from ..machine import cores
from . import keys, names, pack, sealed
from .blocks import pack_kind
from .crypto import ID_OCTETS, file_name
from .errors import UNREADABLE, AppendOnly, Corrupt, LocationFailed, Missing, NewerFormat
from .index import Pack, pack_of
from .mend import SMALL, mend, twin_of
from .objects import Kind
from .outcome import Checked
from .repository import Repository, Snapshot
from .sealed import ENVELOPED, FileKind, head_octets
from .walk import Broken, Touched, Walk, messages_touched
from .walked import Walks, walked
from .written import MANY, Written, join, note_gone, read_written

DAYS = 30.0
"""Within so many days a nightly share reads all."""
CHUNK = 1 << 16
"""Octets read at once of a file that the disk does not give as a whole."""
SHARE = 25
"""A share is at least this part of all octets: nights may be missed."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not what was written. spare: its twin, or what else says the same, is whole."""

    name: str
    text: str
    spare: bool


@dataclass(slots=True)
class Verified:
    """What a verification found. octets: read back. left: files of other shares. lacking: messages that snapshots say
    they never had, since the store could not read them; no fault of the repository. opened: False where the private
    key of a sealed repository was not there: then files were compared with their names, and their form looked at."""

    files: int = 0
    octets: int = 0
    left: int = 0
    lacking: int = 0
    fresh: float = 0.0
    """The part of all octets that has been read back within thirty days, 0 to 1."""
    oldest: int | None = None
    """When what was read longest ago was, in seconds UTC; None where nothing ever was."""
    opened: bool = True
    damages: list[Damage] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    single: list[str] = field(default_factory=list)
    """Lists, and snapshots that none names, which lie once: a crash cut off their writing, or it goes on. The next run
    completes them."""
    unnoted: LocationFailed | None = None
    """Why the location could not be told what was read back when; a later share then reads the same."""
    broken: list[Broken] = field(default_factory=list)
    touched: list[Touched] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether every octet that was read is right and nothing is missing."""
        return not (self.damages or self.broken or self.touched)


def checked(done: Verified) -> Checked:
    """The verification in a few numbers."""
    return Checked(done.octets, done.fresh, done.oldest, len(done.damages) + len(done.broken), len(done.touched))


Told = Callable[[int], None]
"""Called with octets read since the last call."""


def verify(
    repository: Repository,
    now: int,
    *,
    everything: bool,
    told: Told = lambda octets: None,
    mending: bool = False,
    walks: Walks | None = None,
) -> Verified:
    """Read files back and look for all that snapshots name. everything: all files, else those whose turn it is.
    mending: put back what is damaged or missing and lies somewhere else too; it is told all the same. A missing
    snapshot that lies nowhere else is told of for the last time. walks: where it is noted what an earlier one went
    through, which need not be gone through again while it is where it was (`walked`); None: all is gone through.

    A location that is full or cannot be written to is read all the same (`unnoted`). Raises LocationFailed where it
    cannot be read, or mended.
    """
    done = Verified(opened=repository.reads)
    written = read_written(repository)
    files = dict(repository.location.names(""))
    if not files:  # of what has been opened just now
        raise LocationFailed("There is no backup at its location any more.", "Is its disk mounted?")
    stamps, old_stamps = _stamps(repository, now)
    damaged = {name for name, at in stamps.items() if at < 0 and name in files}
    chosen = set(files) if everything else _share(files, stamps, now) | damaged
    done.left = len(files) - len(chosen)
    bad = _Bad()
    wrong: dict[str, Corrupt] = {}
    threads = max(cores(), repository.location.at_once)
    with ThreadPoolExecutor(threads, thread_name_prefix="backup-verify") as pool:
        for name, error in pool.map(lambda name: (name, _file(repository, name, bad)), sorted(chosen)):
            done.files += 1
            done.octets += files[name]
            told(files[name])
            if error is not None:
                wrong[name] = error
    right = files.keys() - wrong.keys()
    done.damages = [Damage(names.shown(name), error.text, _spare(name, right)) for name, error in wrong.items()]
    disturbed = repository.location.disturbed()
    done.damages += [Damage(name, text, True) for name, text in disturbed]
    _absent(repository, files, written, done, bad)
    newest = _newest_gone(files, stamps, written.gone, done)
    if repository.reads:
        _walk(repository, done, bad, files, now, walks)
    else:
        _copies(files, written, done)
    if mending:
        broken = [each.name for each in done.damages] + [twin for one in done.single if (twin := twin_of(one))]
        done.mended = [name for name, _ in disturbed if repository.location.put_back(name)]
        done.mended += [name for name in broken if name not in done.mended and mend(repository, name)]
        newest = _give_up(repository, done, newest)
    told_of = {each.name for each in done.damages}
    kept = {name: at for name, at in stamps.items() if name in files}
    kept |= {name: -now if name in told_of else now for name in chosen if names.is_ours(name)}
    done.fresh, done.oldest = _freshness(files, kept, now)
    if newest is not None:
        kept[newest] = -now  # so that it is told again
    try:
        _stamp(repository, kept, old_stamps)
        if len(written.lists) > MANY and repository.location.removes:  # else the former ones would stay beside it
            join(repository, written)
    except LocationFailed as error:
        done.unnoted = error
    return done


def _freshness(files: dict[str, int], stamps: dict[str, int], now: int) -> tuple[float, int | None]:
    """(part of all octets read back within thirty days, when what was read longest ago was). A stamp of the future
    counts as none."""
    read = {name: abs(at) for name, at in stamps.items() if abs(at) <= now}
    fresh = sum(files[name] for name, at in read.items() if at > now - DAYS * 86400)
    total = sum(files.values())
    return fresh / total if total else 1.0, min(read.values(), default=None)


@dataclass(slots=True)
class _Bad:
    """Objects that cannot be read: ids of messages and pieces, with the packs in which that is; and recipes met on the
    way."""

    ids: dict[bytes, set[str]] = field(default_factory=dict)
    recipes: list[tuple[bytes, str, bytes]] = field(default_factory=list)
    """(id of a message, SHA-256 of the pack, its pieces' ids joined)."""

    def add(self, sha: str, ids: Iterable[bytes]) -> None:
        for id in ids:
            self.ids.setdefault(id, set()).add(sha)

    def lost(self, repository: Repository, id: bytes) -> bool:
        """Whether the object is whole in no pack."""
        packs = self.ids.get(id)
        if packs is None:
            return repository.find(id) is None
        return not repository.whole_without(id, packs)


def _file(repository: Repository, name: str, bad: _Bad) -> Corrupt | None:
    """Why the file is not what was written, None where it is."""
    try:
        if name == names.DESCRIPTOR:
            repository.check_descriptor()
        elif names.slot_of(name) is not None:
            data = repository.location.get(name)
            if keys.slot_name(data) != names.slot_of(name):
                raise Corrupt(f"{name} is not what was written.", name=name)
            keys.decode_slot(data)
        elif names.sha_of(name) is None:
            raise Corrupt(f"{names.shown(name)} is no file of a backup: somebody else has put it there.", name=name)
        else:
            _sealed(repository, name, bad)
    except Missing:
        return None  # removed meanwhile: whether it is missed, the walk says
    except Corrupt as error:
        return error
    return None


def _sealed(repository: Repository, name: str, bad: _Bad) -> None:
    folder = name.removeprefix(names.TWIN + "/").partition("/")[0]
    if folder not in (names.MAIL, names.META):
        kind = names.FOLDERS[folder]
        if repository.reads or kind not in ENVELOPED:
            repository.read_file(name, kind)
        else:
            _closed(repository, name, kind)
        return
    if not repository.reads:
        _closed(repository, name, pack_kind(folder == names.MAIL))
        return
    sha, mail = names.sha_of(name) or "", folder == names.MAIL
    errors: list[Corrupt] = []
    try:
        data = repository.location.get(name)
    except Missing:
        raise
    except Corrupt as error:  # a sector that cannot be read: other blocks may be whole
        errors.append(error)
        data = _as_far_as_given(repository, name)
    if file_name(data) != sha:
        errors.append(Corrupt(f"{name} is not what was written.", name=name))
    try:
        _, table, _ = pack.read_whole(repository.secrets, pack_kind(mail), data)
        known, entries = pack_of(sha, mail, len(data), table), table.entries
    except (Corrupt, NewerFormat) as error:
        if isinstance(error, Corrupt):
            errors.append(error)
        elif not errors:  # its octets are those that were written: by a newer Restante
            raise
        found = repository.index.packs.get(sha)  # which may say of a pack what its own table does not any more
        if found is None:
            raise errors[-1] from None
        known = found
        entries = tuple(
            pack.Entry(id, spot.block, spot.offset, spot.length, spot.kind)
            for id, spot in repository.index.of_pack(sha)
        )
    lost = _Bad()
    errors += _blocks(repository, known, entries, data, lost)
    if mail:  # a pack of metadata has its twin: what neither gives, the walk tells
        bad.add(sha, lost.ids)
        bad.recipes += lost.recipes
    if errors:
        raise errors[0]


def _as_far_as_given(repository: Repository, name: str) -> bytes:
    """A file's octets, zeros where they cannot be read."""
    size = repository.location.size(name)
    data = bytearray(size)
    for at in range(0, size, CHUNK):
        try:
            piece = repository.location.get(name, at, CHUNK)
        except Missing:
            raise
        except Corrupt:
            continue
        data[at : at + len(piece)] = piece
    return bytes(data)


def _closed(repository: Repository, name: str, kind: FileKind) -> None:
    """What can be said of a file that cannot be opened: its name is made of its octets, which are as many as such a
    file has. Raises Corrupt."""
    data = repository.location.get(name)
    if file_name(data) != names.sha_of(name):
        raise Corrupt(f"{name} is not what was written.", name=name)
    sealed.check_shape(repository.secrets, kind, data)


def _blocks(
    repository: Repository, known: Pack, entries: Iterable[pack.Entry], data: bytes, bad: _Bad
) -> list[Corrupt]:
    """Open every block of a pack and compare each object with its id; what is wrong."""
    errors = []
    by_block: dict[int, list[pack.Entry]] = {}
    for entry in entries:
        by_block.setdefault(entry.block, []).append(entry)
    for number in range(known.count):
        here = by_block.get(number, ())
        head = head_octets(repository.secrets, pack_kind(known.mail))
        block, at = known.block(number), known.offset(number, head)
        try:
            reader = pack.Reader(repository.secrets, pack_kind(known.mail), data[:head])
            octets = reader.block(number, data[at : at + block.size], block.raw)
        except (Corrupt, NewerFormat) as error:
            errors.append(error if isinstance(error, Corrupt) else Corrupt(error.text))
            bad.add(known.name, [entry.id for entry in here])
            continue
        for entry in here:
            one = octets[entry.offset : entry.offset + entry.length]
            if entry.kind == Kind.RECIPE.value:
                bad.recipes.append((entry.id, known.name, one))
            elif repository.secrets.id_of(entry.kind, sha256(one).digest()) != entry.id:
                errors.append(Corrupt("An object of the backup is not what was written."))
                bad.add(known.name, [entry.id])
    return errors


_DERIVED = (names.INDEX, names.READ, names.WRITTEN)
"""What damages no message: it follows from the rest, or says what to look at."""


def _spare(name: str, right: Collection[str]) -> bool:
    """Whether something else says what this file says. right: files that are there, and were not found damaged."""
    if slot := names.slot_of(name):
        return any(each in right for each in names.slots(slot))
    if name.startswith(names.TWIN):
        return name.removeprefix(names.TWIN + "/") in right
    return names.twin(name) in right or name.startswith(_DERIVED) or name == names.DESCRIPTOR


def _absent(repository: Repository, files: dict[str, int], written: Written, done: Verified, bad: _Bad) -> None:
    """Files that must be there and are not: packs of the index, what lists name (of a sealed repository packs, of each
    snapshots), twins, second copies of keys."""
    unpaired: set[str] = set()
    for sha, known in repository.index.packs.items():
        name = names.pack(sha, known.mail)
        if name not in files and not _gone(repository, name):
            done.damages.append(Damage(name, f"{name} is missing.", names.twin(name) in files))
            if known.mail:
                bad.add(sha, [id for id, _ in repository.index.of_pack(sha)])
    for name in files:
        twin = twin_of(name) if names.is_ours(name) else None
        if twin is None or twin in files or not (twin in written.files or _named(repository, twin)):
            continue
        plain = name.removeprefix(names.TWIN + "/")
        if plain in written.files and plain.startswith(names.SNAPSHOTS):
            unpaired.add(plain)
        elif plain.startswith(SMALL):
            done.single.append(name)  # perhaps it is being written or removed at this moment: no damage
        elif not _is_there(repository, twin) and _is_there(repository, name):
            done.damages.append(Damage(twin, f"{twin} is missing.", True))
    lacking = [name for name in sorted(written.files) if name not in files and not _is_there(repository, name)]
    if lacking or unpaired:
        still = read_written(repository).files  # not what `prune` has let go meanwhile
        told = {each.name for each in done.damages}
        for name in sorted({*lacking, *map(names.twin, unpaired)}):
            if name.removeprefix(names.TWIN + "/") in still and name not in told and not _is_there(repository, name):
                spare = (twin_of(name) or "") in files
                done.damages.append(Damage(name, f"{name} is missing.", spare))
    if names.DESCRIPTOR not in files:
        done.damages.append(Damage(names.DESCRIPTOR, "repository.json is missing.", True))


def _copies(files: Iterable[str], written: Written, done: Verified) -> None:
    """Snapshots that cannot be opened, whose octets a list of files names under another number: who opens them sees
    which number they were given."""
    right = {names.sha_of(name): name for name in written.snapshots}
    for name in sorted(files):
        plain = name.removeprefix(names.TWIN + "/")
        if names.snapshot_serial(name) and right.get(names.sha_of(name), plain) != plain:
            done.damages.append(Damage(name, f"{name} is a copy of {right[names.sha_of(name)]}.", False))


def _newest_gone(files: Iterable[str], stamps: Iterable[str], gone: Collection[str], done: Verified) -> str | None:
    """The newest snapshot that was ever read back and was not let go (`gone`), where neither it nor a newer one is
    there: `prune` always keeps the newest. In a backup of earlier programs no list names it."""
    stamps = [name for name in stamps if name.removeprefix(names.TWIN + "/") not in gone]
    noted = max(map(names.snapshot_serial, stamps), default=0)
    if noted <= max((names.snapshot_serial(name) for name in files), default=0):
        return None
    name = next(name for name in sorted(stamps) if names.snapshot_serial(name) == noted)
    if name not in {each.name for each in done.damages}:
        done.damages.append(Damage(name, f"{name} is missing, and there is no newer snapshot.", False))
    return name


def _give_up(repository: Repository, done: Verified, newest: str | None) -> str | None:
    """Look no more for snapshots that were told missing and are nowhere: nothing else needs them. newest: as of
    `_newest_gone`; None where that is one of them."""
    mended = {name.removeprefix(names.TWIN + "/") for name in done.mended}
    told = {each.name for each in done.damages if each.name.startswith(names.SNAPSHOTS) and not each.spare}
    gone = [name for name in sorted(told - mended) if names.is_ours(name) and not _is_there(repository, name)]
    note_gone(repository, gone)
    return None if newest in gone else newest


def _named(repository: Repository, name: str) -> bool:
    """Whether anything names the file: a pack whose twin alone was written, before its run was cut off, counts for
    nothing."""
    return not name.startswith(names.META) or (names.sha_of(name) or "") in repository.index.packs


def _is_there(repository: Repository, name: str) -> bool:
    try:
        repository.location.size(name)
    except Missing:
        return False
    return True


def _gone(repository: Repository, name: str) -> bool:
    """Whether `prune` removed the pack while this went on: then no index names it any more."""
    if _is_there(repository, name):
        return True  # written meanwhile
    repository.forget_index()
    return (names.sha_of(name) or "") not in repository.index.packs


def _walk(
    repository: Repository, done: Verified, bad: _Bad, files: Mapping[str, int], now: int, walks: Walks | None
) -> None:
    snapshots: list[Snapshot] = []
    for name in repository.snapshot_names():
        try:
            snapshots.append(repository.snapshot(name))
        except Missing:
            continue
        except Corrupt as error:
            done.broken.append(Broken(b"", f"the snapshot {(names.sha_of(name) or '')[:8]}", error))
    repository.forget_index()  # a run that ended meanwhile wrote its index before its snapshot
    for message, sha, pieces in bad.recipes:
        parts = [pieces[at : at + ID_OCTETS] for at in range(0, len(pieces), ID_OCTETS)]
        if any(bad.lost(repository, part) for part in parts):
            bad.add(sha, [message])
    before = walks.read() if walks is not None and done.right and not bad.ids else None
    if before is not None and not before.holds(repository, files, now):
        before = None
    passed, at = (before.ids, before.at) if before is not None else (b"", now)
    walk = Walk(repository, passed)
    reached = walk.lists(snapshots)
    done.broken += reached.broken
    lost, lacking = set(), set()
    for digests in walk.messages():  # a segment's at once: no hash of a million messages is held beside their lists
        for digest in digests:
            if digest in reached.missing:
                lacking.add(digest)
            elif bad.lost(repository, repository.message_id(digest)):
                lost.add(digest)
    done.lacking = len(lacking)
    if lost:
        done.touched = messages_touched(repository, snapshots, lost)
    if walks is not None:
        whole = done.right and not bad.ids and not reached.missing
        walks.keep(walked(repository, files, at, reached.objects, passed) if whole else None)


# Whose turn it is ------------------------------------------------------------------------------------


def _stamps(repository: Repository, now: int) -> tuple[dict[str, int], list[str]]:
    """When each file was read back last (seconds UTC, negative where it was damaged: then it is read every time, so
    that it is told every time), and the files that say so. What a clock of the future said is passed over: at an
    append-only location it stays there for long, and would hide what is said since."""
    stamps: dict[str, int] = {}
    found = []
    for name in repository.files(names.READ):
        found.append(name)
        try:
            content = repository.read_file(name, FileKind.READ)
            for each, at in msgspec.msgpack.decode(content, type=dict[str, int]).items():
                if abs(at) <= now:
                    stamps[each] = max(at, stamps.get(each, 0), key=abs)
        except (Corrupt, *UNREADABLE):
            continue  # then more is read back than need be; its damage is told when its turn comes
    return stamps, found


def known_damaged(repository: Repository, now: int) -> set[str]:
    """SHA-256 of files that were found damaged when they were read back last."""
    return {names.sha_of(name) or "" for name, at in _stamps(repository, now)[0].items() if at < 0}


def _stamp(repository: Repository, stamps: dict[str, int], old: list[str]) -> None:
    repository.put_file(names.READ, msgspec.msgpack.encode(stamps))
    for name in old:
        try:
            repository.location.remove(name)
        except AppendOnly:
            continue  # the keeper's own note


def _share(files: dict[str, int], stamps: dict[str, int], now: int) -> set[str]:
    """Files whose turn it is: those that would not be read within thirty days otherwise, and of the others those read
    longest ago, until a share is full. A stamp of the future counts as none: the clock was wrong."""
    at = {name: stamp if (stamp := abs(stamps.get(name, 0))) <= now else 0 for name in files}
    before = now - int((DAYS - 2) * 86400)
    due = {name for name, stamp in at.items() if 0 < stamp <= before}
    least = -(-sum(files.values()) // SHARE)
    chosen: set[str] = set()
    octets = 0
    for name in sorted(files, key=lambda name: (name not in due, at[name], name)):
        if octets >= least and name not in due:
            break
        chosen.add(name)
        octets += files[name]
    return chosen
