"""What a machine that cannot read a sealed backup remembers of it, in its data folder: of its last snapshot alone.

```
state/<serial>-<SHA-256 of the snapshot>   the snapshot, its pages of accounts, which of the files below belong to it
known/<SHA-256>                            short ids of all objects that the snapshot needs, sorted (`known`)
pieces/<SHA-256>                           short ids of pieces, each with that of a message which has it, sorted
accounts/<root>                            an account's root, and of each mailbox UIDs and short ids
journal/<pack>                             ids in a pack of a run that has not ended
```
Two things follow from keeping no more than the last snapshot names. A thief learns nothing of what was gone by then,
since an id of a text that he guesses is found nowhere. And `prune`, elsewhere, removes nothing that is remembered here
while that snapshot is there: it is looked for when a run begins, and without it nothing is known.

Files are whole or count for nothing: each begins with its checksum, and is written as objects of a location are. What
is lost costs time and room at the location, never a message: that account, or all, is then written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec

from ..clock import Random
from . import known, names, objects
from .crypto import ID_OCTETS, Secrets
from .errors import UNREADABLE, BackupRefusal, Corrupt, LocationFailed, NewerFormat
from .folder import Folder
from .known import EMPTY, NONE, SHORT, Column, Disagree
from .objects import AccountData, AccountLine, Kind, PageData, SegmentData, SnapshotData, column
from .pack import Table
from .segments import DIGEST, gone_of

STATE, KNOWN, PIECES, ACCOUNTS, JOURNAL = "state", "known", "pieces", "accounts", "journal"


class NotesFailed(BackupRefusal):
    """The snapshot was taken; what the next run wants to know of it could not be kept."""

    code = "NOTES-FAILED"


class _State(msgspec.Struct, frozen=True, array_like=True):
    version: int
    snapshot: str
    content: bytes
    pages: dict[bytes, bytes]
    known: str
    pieces: str
    doubtful: list[str]


class _Account(msgspec.Struct, frozen=True, array_like=True):
    """root: octets of the AccountData. columns: of each mailbox (key, UIDs, short ids)."""

    root: bytes
    columns: list[tuple[int, bytes, bytes]]


_VERSION = 1
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Kept:
    """An account as it is remembered."""

    data: AccountData
    columns: dict[int, Column]

    def entries(self, root: bytes) -> list[bytes]:
        """Short ids of all that a snapshot needs for it, joined."""
        return [*(_short(_metadata(root, self.data))), *(_present(each.ids) for each in self.columns.values())]


@dataclass(slots=True)
class _Change:
    """From one root of an account to the next: short ids, joined. before: the former root."""

    before: bytes | None
    added: list[bytes] = field(default_factory=list)
    removed: list[bytes] = field(default_factory=list)


class Notes:
    """Made for one run. Not safe for several threads, but for `wrote`."""

    def __init__(self, folder: Path, secrets: Secrets, random: Random) -> None:
        self._files = Folder(folder, random)
        self._secrets = secrets
        self._reset()

    def _reset(self) -> None:
        self.base: tuple[str, SnapshotData] | None = None
        """The last snapshot: its file's name, and what it holds."""
        self._pages: dict[bytes, bytes] = {}
        self._lines: dict[str, AccountLine] = {}
        self._known = self._pieces = self._journal = b""
        self.resumed: list[str] = []
        """Names of packs of a run that was cut off, which this one may rely on."""
        self._doubtful: set[str] = set()
        """Packs that were condemned while the run for the last snapshot went on, and still are: it may need them, and
        they are sure to stay while it does alone."""
        self._blind = False
        self._failed: LocationFailed | None = None
        self._stale: list[str] = []
        self._segments: dict[bytes, tuple[Column, list[tuple[int, int]]]] = {}
        self._changes: dict[bytes, _Change] = {}
        self._new_pages: dict[bytes, bytes] = {}
        self._cuts: list[bytes] = []

    # At the beginning of a run ---------------------------------------------------------------------

    def begin(self, snapshots: Sequence[str], condemned: Collection[str], packs: Callable[[], Iterable[str]]) -> None:
        """Remember the newest snapshot that is still among `snapshots` (files' names, ascending), and what a run that
        was cut off wrote into `packs` (files' names of those that stay), which are asked for if there was one.
        condemned: SHA-256 of packs. Raises what `packs` does: that the location does not answer is no reason to take
        all that is there for not there, as a data folder that does not is."""
        self._reset()
        try:
            self._begin(snapshots, set(condemned))
        except LocationFailed as error:
            self._give_up(error)
            return
        here = list(packs()) if self._stale else []
        try:
            self._resume(here)
        except LocationFailed as error:
            self._give_up(error)

    def _give_up(self, error: LocationFailed) -> None:
        self._reset()
        self._failed = error

    def _begin(self, snapshots: Sequence[str], condemned: set[str]) -> None:
        for name, _ in sorted(self._files.names(STATE), reverse=True):
            snapshot = f"{names.SNAPSHOTS}/{name.rpartition('/')[2]}"
            if snapshot in snapshots and self._remember(name, snapshot):
                break
        self._doubtful &= condemned
        if self._doubtful and self.base is not None and self.base[0] != snapshots[-1]:
            self._reset()  # one that is not the newest may be forgotten at any time, and these packs with it
        self._stale += [name for name, _ in self._files.names(JOURNAL)]

    def _resume(self, packs: Iterable[str]) -> None:
        journal = []
        for pack in packs:
            if (ids := self._read(_journal_name(pack))) is not None:
                journal.append(ids)
                self.resumed.append(pack)
        self._journal = known.ordered(journal, SHORT)

    def _remember(self, name: str, snapshot: str) -> bool:
        try:
            state = msgspec.msgpack.decode(self._read(name) or b"", type=_State)
            if state.version != _VERSION or state.snapshot != snapshot:
                return False
            found, pieces = self._read(state.known), self._read(state.pieces)
            if found is None or pieces is None:
                return False
            data = objects.decode(state.content, SnapshotData)
            self._lines = _lines(state.pages.values())
        except (*UNREADABLE, Corrupt, NewerFormat):
            return False
        self.base = snapshot, data
        self._pages, self._known, self._pieces = state.pages, found, pieces
        self._doubtful = set(state.doubtful)
        return True

    def forget(self) -> None:
        """From now on nothing is taken to be at the location: what was there may be damaged."""
        self._blind, self._journal = True, b""
        self.resumed.clear()

    # Asked by a run --------------------------------------------------------------------------------

    def has(self, id: bytes) -> bool:
        """Whether the object is at the location and stays for as long as a run lasts."""
        if self._blind:
            return False
        short = id[:SHORT]
        return (
            known.has(self._known, short, SHORT)
            or known.has(self._journal, short, SHORT)
            or known.has(self._pieces, short, 2 * SHORT)
        )

    def object(self, id: bytes, kind: Kind) -> bytes | None:
        """An object's octets, as far as they are remembered: pages of the snapshot, and roots of its accounts."""
        if kind is Kind.PAGE:
            return self._pages.get(id)
        if kind is Kind.ACCOUNT:
            kept = self._read_account(id)
            return kept.root if kept is not None else None
        return None

    # Told by a run ---------------------------------------------------------------------------------

    def saw(self, id: bytes, data: objects.Struct) -> None:
        """An object of metadata is part of the new snapshot. Segments come before their account's root."""
        if isinstance(data, SegmentData):
            self._segments[id] = self._column(data), gone_of(data)
        elif isinstance(data, AccountData):
            self._account(id, data)
        elif isinstance(data, PageData):
            self._new_pages[id] = objects.encode(data)

    def saw_pieces(self, message: bytes, pieces: Iterable[bytes]) -> None:
        """A message was written in pieces."""
        self._cuts += [piece[:SHORT] + message[:SHORT] for piece in pieces]

    def wrote(self, pack: str, table: Table) -> None:
        """A pack of this name is durable. A list of a message's pieces in it is not taken to be there by a run that
        goes on: the pack with the pieces may not be."""
        name = _journal_name(pack)
        ids = [entry.id[:SHORT] for entry in table.entries if entry.kind != Kind.RECIPE.value]
        self._write(name, b"".join(ids))
        self._stale.append(name)

    def _column(self, data: SegmentData) -> Column:
        id_of, digests, kind = self._secrets.id_of, data.digests, Kind.MESSAGE.value
        return Column(
            column("I", data.uids),
            b"".join([id_of(kind, digests[at : at + DIGEST])[:SHORT] for at in range(0, len(digests), DIGEST)]),
        )

    def _account(self, root: bytes, data: AccountData) -> None:
        line = self._lines.get(data.id)
        before = self._kept(line.root) if line is not None else None
        change = _Change(line.root if line is not None and before is not None else None)
        lacking = {self._secrets.id_of(Kind.MESSAGE.value, digest)[:SHORT] for digest in data.missing}
        columns: dict[int, Column] = {}
        former = {box.key: box.segments for box in before.data.mailboxes} if before is not None else {}
        try:
            for box in data.mailboxes:
                old = former.pop(box.key, None)
                here, start = EMPTY, 0
                if old is not None and before is not None:
                    if box.segments[: len(old)] == old:
                        here, start = before.columns[box.key], len(old)
                    else:
                        change.removed.append(_present(before.columns[box.key].ids))
                for segment in box.segments[start:]:
                    came, gone = self._segments[segment]
                    here, ids = here.without(gone)
                    change.removed.append(_present(ids))
                    if lacking:
                        came = Column(came.uids, _masked(came.ids, lacking))
                    here = here.plus(came)
                    change.added.append(_present(came.ids))
                columns[box.key] = here
        except (KeyError, Disagree):
            return  # it is not remembered: what was known is then made of the others
        finally:
            for box in data.mailboxes:
                for segment in box.segments:
                    self._segments.pop(segment, None)
        if before is not None:
            change.removed += [_present(before.columns[key].ids) for key in former]
            change.removed += _short(_metadata(line.root if line else b"", before.data))
        change.added += _short(_metadata(root, data))
        kept = _Account(
            objects.encode(data), [(key, objects.octets(each.uids), each.ids) for key, each in columns.items()]
        )
        self._write(_account_name(root), _encode(kept))
        self._changes[root] = change

    # At its end ------------------------------------------------------------------------------------

    def keep(
        self, name: str, content: bytes, data: SnapshotData, snapshots: Collection[str], condemned: Collection[str]
    ) -> None:
        """The snapshot is at the location: remember it in place of the one before. snapshots: names of those that are
        there; condemned: packs since the run began. Raises NotesFailed."""
        self._doubtful |= set(condemned)
        if self._doubtful and self.base is not None and self.base[0] not in snapshots:
            raise NotesFailed(
                "The snapshot was taken. What it relies on was forgotten elsewhere while this went on.",
                "Run it again: it then writes everything anew.",
            )
        try:
            state, roots = self._keep(name, content, data)
            if self._failed is not None:
                raise self._failed
            self._sweep(state, roots)
        except LocationFailed as error:
            raise NotesFailed(
                f"The snapshot was taken; what the next run wants to know of it was not: {error.text}",
                "Make room in the data folder. The next run writes more than it would have to.",
            ) from error

    def _keep(self, name: str, content: bytes, data: SnapshotData) -> tuple[_State, set[bytes]]:
        pages = {id: self._new_pages[id] for id in data.pages}
        lines = _lines(pages.values())
        try:
            found, fewer = self._changed(data, lines)
        except Disagree:
            found, fewer = self._anew(data, lines), True
        pieces = known.ordered([self._pieces, *set(self._cuts)], 2 * SHORT) if self._cuts else self._pieces
        if fewer:
            pieces = b"".join([each for each in known.cut(pieces, 2 * SHORT) if known.has(found, each[SHORT:], SHORT)])
        files = self._put(KNOWN, found), self._put(PIECES, pieces)
        state = _State(_VERSION, name, content, pages, *files, sorted(self._doubtful))
        if self._failed is None:  # else the former one stays, with its files
            self._write(f"{STATE}/{name.rpartition('/')[2]}", _encode(state))
        return state, {line.root for line in lines.values()}

    def _changed(self, data: SnapshotData, lines: dict[str, AccountLine]) -> tuple[bytes, bool]:
        """What is known now, from what was known, and whether something was taken away. Raises Disagree."""
        if self.base is None:
            raise Disagree
        before = self._lines
        added, removed = [*_short(_top(data))], [*_short(_top(self.base[1]))]
        for id in before.keys() | lines.keys():
            old, new = before.get(id), lines.get(id)
            if new is None or old is None or new.root != old.root:
                came, went = self._change(old, new)
                added += came
                removed += went
        more, less = known.cut(b"".join(added), SHORT), known.cut(b"".join(removed), SHORT)
        return known.changed(self._known, more, less, SHORT), bool(less)

    def _change(self, old: AccountLine | None, new: AccountLine | None) -> tuple[list[bytes], list[bytes]]:
        change = self._changes.get(new.root) if new is not None else None
        if change is not None and change.before == (old.root if old is not None else None):
            return change.added, change.removed
        return self._entries(new), self._entries(old)

    def _entries(self, line: AccountLine | None) -> list[bytes]:
        """Raises Disagree where the account is not remembered."""
        if line is None:
            return []
        kept = self._kept(line.root)
        if kept is None:
            raise Disagree
        return kept.entries(line.root)

    def _anew(self, data: SnapshotData, lines: dict[str, AccountLine]) -> bytes:
        """What is known now, from what is remembered of each account; an account of which nothing is, is left out."""
        blobs = _short(_top(data))
        for line in lines.values():
            kept = self._kept(line.root)
            blobs += kept.entries(line.root) if kept is not None else [line.root[:SHORT]]
        return known.ordered(blobs, SHORT)

    def _sweep(self, state: _State, roots: set[bytes]) -> None:
        """Remove what belongs to another snapshot than this one."""
        stay = {state.known, state.pieces, f"{STATE}/{state.snapshot.rpartition('/')[2]}"}
        stay |= {_account_name(root) for root in roots}
        for folder in (STATE, KNOWN, PIECES, ACCOUNTS):
            for name, _ in list(self._files.names(folder)):
                if name not in stay:
                    self._files.remove(name)
        for name in self._stale:
            self._files.remove(name)
        self._stale.clear()

    # Files -----------------------------------------------------------------------------------------

    def _read_account(self, root: bytes) -> _Account | None:
        data = self._read(_account_name(root))
        try:
            return msgspec.msgpack.decode(data, type=_Account) if data is not None else None
        except UNREADABLE:
            return None

    def _kept(self, root: bytes) -> _Kept | None:
        found = self._read_account(root)
        if found is None:
            return None
        try:
            columns = {key: Column(column("I", uids), ids) for key, uids, ids in found.columns}
            return _Kept(objects.decode(found.root, AccountData), columns)
        except (Corrupt, NewerFormat):
            return None

    def _put(self, folder: str, content: bytes) -> str:
        name = f"{folder}/{sha256(content).hexdigest()}"
        self._write(name, content)
        return name

    def _write(self, name: str, content: bytes) -> None:
        """A failure is told when the run is over, which does not need what is written here."""
        if self._read(name) is not None:
            return  # names are made of what is in the files
        try:
            self._files.put(name, sha256(content).digest() + content)
        except LocationFailed as error:
            self._failed = error

    def _read(self, name: str) -> bytes | None:
        """A file's content, None where it is not there or not what was written: then it goes, to be written anew."""
        try:
            data = self._files.get(name)
        except Corrupt:  # Missing, or the disk does not give it
            return None
        except LocationFailed as error:
            self._failed = error
            return None
        if sha256(data[32:]).digest() == data[:32]:
            return data[32:]
        self._files.remove(name)
        return None


def _journal_name(pack: str) -> str:
    return f"{JOURNAL}/{pack.rpartition('/')[2]}"


def _account_name(root: bytes) -> str:
    return f"{ACCOUNTS}/{root.hex()}"


def _lines(pages: Iterable[bytes]) -> dict[str, AccountLine]:
    """Accounts of some pages, by id."""
    return {line.id: line for page in pages for line in objects.decode(page, PageData).accounts}


def _metadata(root: bytes, data: AccountData) -> Iterable[bytes]:
    """Ids of the objects that say what an account is."""
    yield root
    yield from (*data.pop3, *data.hidden, *data.seen)
    for box in data.mailboxes:
        yield from box.segments
    for _, ids in data.answers:
        yield from (ids[at : at + ID_OCTETS] for at in range(0, len(ids), ID_OCTETS))


def _top(data: SnapshotData) -> Iterable[bytes]:
    """Ids of the objects that a snapshot names itself."""
    yield from (data.common, *data.pages, *data.persons)
    yield from (file.id for file in data.files)


def _short(ids: Iterable[bytes]) -> list[bytes]:
    return [id[:SHORT] for id in ids]


def _present(ids: bytes) -> bytes:
    """Without those that count for nothing."""
    return b"".join([id for id in known.cut(ids, SHORT) if id != NONE]) if NONE in ids else ids


def _masked(ids: bytes, lacking: set[bytes]) -> bytes:
    return b"".join([NONE if id in lacking else id for id in known.cut(ids, SHORT)])
