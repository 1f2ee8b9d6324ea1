"""Forgetting snapshots, and then what none of the others names, while runs go on.

```
1  snapshots past the rule are removed, when a list says that they are let go (`written`)
2  packs that no snapshot needs are condemned: listed with the time; what packs need little of is written anew first
3  condemned packs are removed when they have been so for three days, if still no snapshot needs them
```
A run that begins after a pack was condemned writes again what is in it; a run that began before may rely on it, ends
within two days, and then step 3 of a later `prune` finds that its snapshot needs the pack, which stays. So no lock is
needed, also not between two of these. Nothing is removed of a repository in which any list cannot be read: what it
names cannot be known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from operator import itemgetter

import msgspec

from . import names
from .errors import AppendOnly, BackupRefusal, Corrupt, NotEmpty
from .index import Pack, Place
from .keep import keep as keep_dropped
from .kept_folder import KeptFolder
from .mend import complete
from .needed import Needed
from .objects import Kind
from .repository import Repository, Snapshot
from .retention import Keep, kept
from .verify import known_damaged
from .walk import Walk
from .writer import Writer
from .written import join, note_gone, read_written

GRACE = 3 * 86400
"""Seconds between condemning a pack and removing it: a day more than the longest run (`run.LONGEST`)."""
WRITE_ANEW = 0.5
"""Part of a pack that must be needed, below which its needed objects are written into a new one."""
SMALL_PACK = 4 << 20
"""Octets of a pack, below which it is joined with others once there are many of them."""
MANY_SMALL = 16
MANY_INDEXES = 4
MANY_LISTS = 4
RECORDS = 1 << 17
"""Records after which another index file begins: 6.4 MB, held a few times over while it is made."""


@dataclass(slots=True)
class Pruned:
    """What was done. condemned, removed: packs. octets: of files that were removed."""

    kept: list[Snapshot]
    forgotten: list[Snapshot]
    condemned: int = 0
    removed: int = 0
    octets: int = 0
    written: int = 0
    locked: int = 0
    """Files that the location does not let go yet."""
    needed: tuple[str, ...] = ()
    """Files that the snapshots which are there need, themselves among them."""
    missing: tuple[str, ...] = ()
    """Files that were to be there and are not. Of a sealed backup they are given up; of others `verify` goes on to tell
    of them."""


class CannotPrune(BackupRefusal):
    """Something of the repository cannot be read: nothing is removed, since it may be needed."""

    code = "CANNOT-PRUNE"


def prune(
    repository: Repository,
    keep: Keep,
    now: int,
    *,
    dry_run: bool = False,
    force: bool = False,
    zone: tzinfo | None = UTC,
    reclaim: Callable[[Sequence[Snapshot]], bool] = lambda snapshots: True,
) -> Pruned:
    """Forget snapshots past the rule, and what nobody needs then.

    dry_run: say which snapshots would go, and change nothing. force: go on though some list of messages cannot be
    read, when nothing that it named can be restored either. zone: whose days and months; None is the
    machine's. reclaim: of all snapshots that there are, oldest first, whether to go on behind the first step, which
    reads their own files, and no list.
    Raises CannotPrune, NeedsPrivateKey, LocationFailed.
    """
    repository.need_private_key()
    location = repository.location
    if not location.removes:
        raise AppendOnly(
            "This backup is append-only: nothing is removed from here.",
            "Run 'restante backup prune' where it is kept, as who keeps it.",
        )
    # A snapshot that was dropped, and waits for days, may need what would go.
    if isinstance(location, KeptFolder) and not dry_run and keep_dropped(location).waiting:
        raise CannotPrune(
            "Nothing was removed, since not all that was dropped there could be taken in: a snapshot may wait.",
            f"Run 'restante backup keep', and look at what stays in {location.incoming}.",
        )
    everything, unreadable = repository.read_snapshots()
    if unreadable and not force:
        raise _cannot(unreadable[0])
    stay = kept(everything, lambda one: _arrived(repository, one), keep, zone, first=location.append_only)
    names_kept = {one.name for one in stay}
    done = Pruned(stay, [one for one in everything if one.name not in names_kept])
    if dry_run:
        return done
    sealed = repository.secrets.recipient is not None
    done.missing = _missing(repository)
    note_gone(repository, [one.name for one in done.forgotten])
    for one in done.forgotten:
        _remove(repository, done, one.name, names.twin(one.name))
    if not reclaim(everything):
        _list_anew(repository, sealed)
        return done
    if location.append_only:
        repository.trust_packs_alone()
    else:
        repository.forget_index()
    try:
        old_lists, condemned = repository.condemned_lists()
    except Corrupt:
        # Then all that nobody needs is condemned as of now: it goes later, which is safe.
        old_lists, condemned = list(repository.files(names.CONDEMNED)), {}
    old_indexes = list(repository.files(names.INDEX))
    torn = repository.index.torn
    untold_packs = repository.index_packs().packs
    complete(repository)
    absent = repository.leave_out_absent()
    if not force and (untold := sorted(repository.index.torn - absent)):
        raise _cannot(Corrupt(f"A file of the index is lost, and the table of the pack {untold[0]} is damaged."))
    needed, lacking = _needed(repository, force, absent, known_damaged(repository, now))
    if sealed and (lacking or absent):
        # Who writes there without reading must not rely on what a snapshot names of which something is lost.
        note_gone(repository, [each.name for each in stay])
    unwhole = _unwhole(repository, untold_packs, absent)
    _write_anew(repository, needed, done)
    due = _condemn(repository, needed, condemned, old_lists, now, done)
    many = len(old_indexes) > MANY_INDEXES + repository.index.records // RECORDS
    if location.append_only or due or absent or torn or untold_packs or many:
        _merge_indexes(repository, done, old_indexes, absent.union(pack.name for pack in due), condemned, unwhole)
    if sealed:
        note_gone(repository, [names.pack(pack.name, pack.mail) for pack in due])
    for pack in due:
        name = names.pack(pack.name, pack.mail)
        each = (name,) if pack.mail else (name, names.twin(name))
        if _remove(repository, done, *each):
            done.octets += pack.size * len(each)
            done.removed += 1
    _list_anew(repository, sealed)
    if location.append_only:
        _forget_notes(repository, done)
        done.needed = _needed_files(repository, needed)
    repository.location.tidy(GRACE)
    repository.forget_index()
    return done


def forget(repository: Repository, name: str) -> bool:
    """Forget one snapshot by its file's name, whether it can be read or not; whether its files are gone, which are
    locked otherwise. What it alone needs, the next `prune` condemns. No run relies on it from now on, and `verify` does
    not miss it. Raises NotEmpty where it is the only one, AppendOnly, NeedsPrivateKey.

    For a snapshot that somebody forged where the location keeps what it has: its number, or the date in it, may keep a
    rule from coming to it.
    """
    repository.need_private_key()
    if not repository.location.removes:
        raise AppendOnly(
            "This backup is append-only: nothing is removed from here.",
            "Run 'restante backup forget' where it is kept, as who keeps it.",
        )
    if not [each for each in repository.snapshot_names() if each != name]:
        raise NotEmpty("That is the only snapshot: nothing of the backup would be left.", "Take another one first.")
    note_gone(repository, [name])
    done = Pruned([], [])
    removed = [_remove(repository, done, each) for each in (name, names.twin(name))]
    return all(removed)


def _arrived(repository: Repository, snapshot: Snapshot) -> float:
    """When a snapshot was taken; at an append-only location when it came, since a thief may have made it."""
    came = (repository.location.arrived(each) for each in (snapshot.name, names.twin(snapshot.name)))
    return min((at for at in came if at is not None), default=float(snapshot.data.at))


def _missing(repository: Repository) -> tuple[str, ...]:
    """What lists name that is not there."""
    expected = read_written(repository).files
    folders = {name.partition("/")[0] for name in expected}
    folders |= set(map(names.twin, folders))
    here = {name for folder in folders for name, _ in repository.location.names(folder)}
    absent = {name for name in expected if name not in here and names.twin(name) not in here}
    return tuple(sorted(absent & read_written(repository).files)) if absent else ()


def _list_anew(repository: Repository, sealed: bool) -> None:
    """One list of what is there, in place of those that runs and this have written. Where those name snapshots alone,
    what is missing goes on to be missed: a server prunes each night before it verifies."""
    former = read_written(repository)
    if sealed:
        listed = (name for folder in (names.MAIL, names.META) for name, _ in repository.location.names(folder))
        join(repository, former, [*(name for name in listed if names.sha_of(name)), *repository.snapshot_names()])
    elif len(former.lists) > MANY_LISTS:
        join(repository, former)


def _cannot(error: Corrupt) -> CannotPrune:
    return CannotPrune(
        f"Nothing was removed, since not all of the backup can be read: {error.text}",
        "Run 'restante backup verify --all'. --force gives up what the unreadable lists name.",
    )


def _needed(repository: Repository, force: bool, absent: set[str], damaged: set[str]) -> tuple[Needed, bool]:
    """Where each object that the snapshots of this moment need is read from, and whether something of them cannot be
    read. damaged: packs from which nothing is read that lies in another one as well."""
    snapshots, unreadable = repository.read_snapshots()
    walk = Walk(repository)
    reached = walk.lists(snapshots)
    errors = [*unreadable, *(each.error for each in reached.broken)]
    if errors and not force:
        raise _cannot(errors[0])
    needed = Needed()
    rule = _Rule(repository, absent, damaged)

    def mark(ids: Sequence[bytes]) -> None:
        try:
            places = rule.places(ids)
        except Corrupt as error:
            if not force:
                raise _cannot(error) from error
            if len(ids) == 1:
                errors.append(error)
                return
            for id in ids:
                mark([id])
            return
        pieces: list[bytes] = []
        for place in places:
            if place is None:
                continue  # lost already, or never there: `verify` tells which message that is
            if needed.add(place) and place[0].kind(place[1]) == Kind.RECIPE.value:
                try:
                    pieces += repository.pieces(place[0].spot(place[1]))
                except Corrupt as error:
                    if not force:
                        raise _cannot(error) from error
                    errors.append(error)
        if pieces:
            mark(pieces)

    mark(list(reached.objects))
    for digests in walk.messages():
        mark(list(map(repository.message_id, digests)))
    return needed, bool(errors)


@dataclass(frozen=True, slots=True)
class _Rule:
    """From which of its places an object is read."""

    repository: Repository
    absent: set[str]
    damaged: set[str]

    def places(self, ids: Sequence[bytes]) -> list[Place | None]:
        """What several packs of an append-only location say that they have is read: the pack that truly has it must not
        go for one that a thief made. Raises Corrupt."""
        if self.repository.location.append_only:
            return [self._instead(id, self.repository.right_place(id)) for id in ids]
        places = self.repository.index.place_all(ids)
        if not self.absent and not self.damaged:
            return places
        return [self._instead(id, place) for id, place in zip(ids, places, strict=True)]

    def _instead(self, id: bytes, place: Place | None) -> Place | None:
        if place is None:
            return None
        name = place[0].pack(place[1]).name
        if name in self.absent:  # another one may have been condemned for it
            return self._outside(id, self.absent)
        if name in self.damaged:
            return self._outside(id, self.absent | self.damaged) or place
        return place

    def _outside(self, id: bytes, packs: set[str]) -> Place | None:
        places = self.repository.index.places(id)
        return next((each for each in places if each[0].pack(each[1]).name not in packs), None)


def _write_anew(repository: Repository, needed: Needed, done: Pruned) -> None:
    """Write the needed objects of packs of which little is needed, or that are many and small, into new packs."""
    used = needed.used()
    packs = repository.index.packs
    chosen = {name for name in used if used[name] < WRITE_ANEW * packs[name].raw}
    for mail in (True, False):
        small = [name for name in used if packs[name].mail is mail and packs[name].size < SMALL_PACK]
        if len(small) >= MANY_SMALL:
            chosen.update(small)
    if not chosen:
        return
    before = set(packs)
    by_pack: dict[str, list[tuple[int, int, bytes, Place]]] = {}
    for id, (part, position) in needed.places(chosen):
        spot = part.spot(position)
        by_pack.setdefault(spot.pack.name, []).append((spot.block, spot.offset, id, (part, position)))
    with Writer(repository) as writer:
        for name in sorted(chosen):
            by_pack[name].sort(key=itemgetter(0, 1))
            try:
                for _, _, id, (part, position) in by_pack[name]:
                    writer.copy(id, part.spot(position))
            except Corrupt as error:
                repository.complaints.append(error)  # the pack stays as it is, with what is whole of it
                chosen.discard(name)
        writer.flush()
        done.written += writer.written
    new = set(packs) - before
    for name in chosen:
        for _, _, id, place in by_pack[name]:
            needed.take(place)
            needed.add(next(each for each in repository.index.places(id) if each[0].pack(each[1]).name in new))


def _condemn(
    repository: Repository,
    needed: Needed,
    condemned: dict[str, int],
    old: Sequence[str],
    now: int,
    done: Pruned,
) -> list[Pack]:
    """Bring the list of condemned packs to what is needed now (`condemned` afterwards); those to be removed now."""
    living = needed.used()
    packs = repository.index.packs
    done.condemned = sum(name not in living and name not in condemned for name in packs)
    listed = {name: condemned.get(name, now) for name in packs if name not in living}
    unfinished = _unfinished(repository)
    listed |= {name: condemned.get(name, now) for name in unfinished}
    if listed or old:
        repository.put_file(names.CONDEMNED, msgspec.msgpack.encode(listed), twice=True)
    for name in old:
        _remove(repository, done, name, names.twin(name))
    condemned.clear()
    condemned.update(listed)
    due = [name for name, at in listed.items() if now - at >= GRACE]
    for name in unfinished.intersection(due):
        _remove(repository, done, names.twin(names.pack(name, mail=False)))
    return [packs[name] for name in due if name in packs]


def _unfinished(repository: Repository) -> set[str]:
    """Packs of metadata whose twin alone was written, before a run was cut off (or goes on right now)."""
    twins = {names.sha_of(name) or "" for name, _ in repository.location.names(names.twin(names.META))}
    return twins - {names.sha_of(name) or "" for name, _ in repository.location.names(names.META)} - {""}


def _unwhole(repository: Repository, packs: Sequence[Pack], absent: set[str]) -> set[bytes]:
    """Ids of messages whose list of pieces is in one of these packs, and not all pieces anywhere: see
    `Writer._is_whole`. An index would say of them that they are here."""
    index, found = repository.index, set()

    def there(piece: bytes) -> bool:
        return any(spot.pack.name not in absent for spot in index.spots(piece))

    for pack in packs:
        for id, spot in index.of_pack(pack.name):
            if spot.kind == Kind.RECIPE.value:
                try:
                    if not all(map(there, repository.pieces(spot))):
                        found.add(id)
                except Corrupt:
                    continue  # which whoever reads it finds as well
    return found


def _merge_indexes(
    repository: Repository,
    done: Pruned,
    old: Sequence[str],
    gone: set[str],
    condemned: dict[str, int],
    omit: set[bytes],
) -> None:
    """One index, without the packs that go, and without some objects (ids), in place of those that were read. What a
    run writes meanwhile stays."""
    for part in repository.index.merged(gone, condemned, RECORDS, omit):
        repository.put_file(names.INDEX, part.encode())
    for name in old:
        _remove(repository, done, name)


def _needed_files(repository: Repository, needed: Needed) -> tuple[str, ...]:
    """All but index files, which follow from the packs."""
    packs = {names.pack(name, repository.index.packs[name].mail) for name in needed.used()}
    folders = (names.KEYS, names.SNAPSHOTS, names.twin(names.SNAPSHOTS))
    files = {name for folder in folders for name, _ in repository.location.names(folder)} | {names.DESCRIPTOR}
    return tuple(sorted(files | packs | {names.twin(name) for name in packs if name.startswith(names.META)}))


def _forget_notes(repository: Repository, done: Pruned) -> None:
    """Remove all notes of what was read back but the newest, which runs could only add."""
    location = repository.location
    notes = sorted(repository.files(names.READ), key=lambda name: location.arrived(name) or 0.0)
    for name in notes[:-1]:
        _remove(repository, done, name)


def _remove(repository: Repository, done: Pruned, *files: str) -> bool:
    """Whether the files are gone; what is locked at an append-only location is counted, and goes another time."""
    for name in files:
        try:
            repository.location.remove(name)
        except AppendOnly:
            done.locked += 1
            return False
    return True
