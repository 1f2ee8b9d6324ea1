"""Changing messages: flags by rename, removing, copying and moving.

Other programs change names at any time, also between our look and our act. A file that is not where the index says is
looked for again by its unique name, all of a batch together, and the change is made to what it has become. Only a
removal gives way: a message that others flagged since the asker last asked what changed is left where it is, since a
removal never wins over a change; the next run will see it as it is now.

Nothing is put in the place of another file (`free_rename`), and directories are synced once a call. A file whose name
has no room left for letters gets another unique name with them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Mapping, Sequence

from ...exchange.letters import LETTERS
from ...values import Record
from ..model import FlagChange, Flags
from ..side import MailboxUnavailable
from .alone import AT_ONCE, DELETED, MOVED_FROM, MOVED_TO, Event
from .index import CHUNK, Row
from .keywords import Table, read_table
from .letters import SYSTEM, changed, letters_in, names_of, split_flags
from .marker import remove_if_there
from .names import free_rename, fresh_name
from .octets import RAW
from .scan import SUBS, path_of
from .transfer import link, rename
from .tree import Folder, Tree

ROUNDS = 5
"""How often files that were renamed meanwhile are looked for."""


def flags_of(tree: Tree, folder: Folder, row: Row) -> Flags:
    """A message's flags by its letters and by what has none."""
    names = names_of(row.info, folder.table)
    return tree.spelling.flags([*names, *tree.keywords.more.get(row.name, ())])


def set_flags(tree: Tree, name: str, changes: Sequence[FlagChange]) -> None:
    """See `Side.set_flags`. A rename a message whose flags differ."""
    with tree.folder(name) as folder, tree.changing(folder) as did, tree.index.writing():
        before = tree.index.folder(folder.key).number
        subs: set[int] = set()
        for change in changes:
            flagging = _Flagging(tree, folder, change, did)
            flagging.do()
            subs |= flagging.subs
        sync_folders(tree, folder, subs)
        tree.changed_by_us(folder.key, before)


class _Flagging:
    """One change of flags, to many messages."""

    def __init__(self, tree: Tree, folder: Folder, change: FlagChange, did: Callable[[Sequence[Event]], None]) -> None:
        self._tree = tree
        self._did = did
        self._folder = folder
        self._change = change
        letters, keywords = split_flags(change.add)
        wanted = {*keywords, *(flag for flag in change.add if flag.lower() == "$forwarded")}
        given = tree.letters_for(folder, wanted) if wanted else {}
        self._add = letters.replace(SYSTEM["$forwarded"], "") + "".join(given.values())
        self._more_added = {word for word in keywords if word.lower() not in given}
        low = {flag.lower() for flag in change.remove}
        self._remove = "".join(letter for letter, flag in LETTERS.items() if flag.lower() in low)
        self._remove += "".join(letter for letter, word in folder.table.items() if word.lower() in low)
        self._more_removed = low
        self._infos: dict[bytes, bytes] = {}
        self.subs: set[int] = set()
        """Where files were renamed, by a row's `new`."""

    def do(self) -> None:
        pending: Sequence[int] = self._change.uids
        for _ in range(ROUNDS):
            lost: list[int] = []
            for start in range(0, len(pending), AT_ONCE):
                lost += self._chunk(self._tree.index.rows(self._folder.key, pending[start : start + AT_ONCE]))
            if not lost:
                return
            self._tree.scan(self._folder.fd, self._folder.key)
            pending = lost
        raise MailboxUnavailable(f"Another program renames the files of {self._folder.name} all the time.")

    def _chunk(self, rows: Sequence[Row]) -> list[int]:
        """Change these; UIDs of files that were not where they should be."""
        lost: list[int] = []
        done: list[tuple[int, bytes, int]] = []
        events: list[Event] = []
        more = self._more(rows)
        if more:
            self._tree.keywords.set_more(more)
        self._tree.step("renaming")
        for row in rows:
            info = self._infos.get(row.info)
            if info is None:
                info = self._infos[row.info] = changed(row.info, self._add, self._remove, self._tree.separator)
            new = int(row.new and not letters_in(info))
            if info[3:] == row.info[3:] and new == row.new:
                if row.name in more:
                    done.append((row.uid, row.info, new))
                continue
            try:
                name = self._rename(row, info, new)
            except FileNotFoundError:
                name = None
            if name is not None:
                done.append((row.uid, info, new))
                events.append((int(row.new), MOVED_FROM, row.name + row.info))
                events.append((new, MOVED_TO, name + info))
            else:
                lost.append(row.uid)
        self._tree.step("renamed")
        self._did(events)
        self.subs.update(event[0] for event in events)
        if done:
            self._tree.index.renamed(self._folder.key, done)
        return lost

    def _rename(self, row: Row, info: bytes, new: int) -> bytes | None:
        """The file's unique name, with this info behind it now; None where a file of that name is there already. Raises
        FileNotFoundError."""
        fd, old = self._folder.fd, path_of((row.name, int(row.new), row.info))
        try:
            return row.name if free_rename(fd, old, fd, path_of((row.name, new, info))) else None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
        tree = self._tree
        # Sizes and the like are hints, and may be long; how its octets are to be read is none.
        name = fresh_name(tree.random, row.name.partition(b",")[0]) + (RAW if RAW in row.name else b"")
        tree.keywords.set_more({name: tree.keywords.more.get(row.name, ())})
        if not free_rename(fd, old, fd, path_of((name, new, info))):
            return None
        tree.keywords.set_more({row.name: ()})
        tree.index.set_name(self._folder.key, row.uid, name)
        return name

    def _more(self, rows: Sequence[Row]) -> dict[bytes, set[str]]:
        """Keywords without a letter that messages have after this, where they had others."""
        known = self._tree.keywords.more
        if not self._more_added and not known:
            return {}
        found = {}
        for row in rows:
            had = set(known.get(row.name, ()))
            low = {word.lower() for word in had}
            has = {word for word in had if word.lower() not in self._more_removed}
            has |= {word for word in self._more_added if word.lower() not in low}
            if has != had:
                found[row.name] = has
        return found


def sync_folders(tree: Tree, folder: Folder, subs: Collection[int] = (0, 1)) -> None:
    """Make renames and removals in a folder durable. subs: where they were, by a row's `new`."""
    tree.step("syncing directories")
    for sub in subs:
        sync_directory(folder.fd, SUBS[sub].decode())


def sync_directory(folder: int, path: str) -> None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(tree: Tree, name: str, uids: Sequence[int]) -> None:
    """See `Side.remove`; what others flagged meanwhile stays."""
    with tree.folder(name) as folder, tree.changing(folder) as did, tree.index.writing():
        before = tree.index.folder(folder.key).number

        def act(row: Row) -> bool:
            if row.uid in tree.memory.strange.get(folder.key, ()):
                return True
            if not remove_if_there(folder.fd, path_of((row.name, int(row.new), row.info))):
                return False
            removed.append(row.uid)
            events.append((int(row.new), DELETED, row.name + row.info))
            if len(events) == AT_ONCE:
                did(events)
                events.clear()
            if row.name in tree.keywords.more:
                forgotten.append(row.name)
            return True

        removed: list[int] = []
        events: list[Event] = []
        forgotten: list[bytes] = []
        tree.step("removing")
        _persist(tree, folder, uids, act)
        tree.step("removed")
        did(events)
        sync_folders(tree, folder)
        if forgotten:
            tree.keywords.set_more(dict.fromkeys(forgotten, ()))
        if removed:
            tree.index.removed(folder.key, removed)
        tree.changed_by_us(folder.key, before)


def _persist(tree: Tree, folder: Folder, uids: Sequence[int], act: Callable[[Row], bool]) -> None:
    """`act` on each row; where it answers False the file was not there, and is looked for."""
    pending: Sequence[int] = uids
    for _ in range(ROUNDS):
        lost = []
        for start in range(0, len(pending), CHUNK):
            rows = tree.index.rows(folder.key, pending[start : start + CHUNK])
            lost += [row.uid for row in rows if not act(row)]
        if not lost:
            return
        tree.scan(folder.fd, folder.key)
        pending = lost
    raise MailboxUnavailable(f"Another program renames the files of {folder.name} all the time.")


def copy(tree: Tree, name: str, uids: Sequence[int], target: str) -> list[int]:
    """See `Side.copy`. A copy is a link to the same octets with a unique name of its own.

    Nobody changes a message in its file: Maildir's promise to its readers is that they never see half of one, and
    programs that alter mail write another file. So a link is as good as a copy, costs no octets, and cannot fail
    half-way. Where there are no links (FAT, another file system) the octets are copied.
    """
    return _Transfer(tree, name, target, moving=False).do(uids)


def move(tree: Tree, name: str, uids: Sequence[int], target: str) -> list[int]:
    """See `Side.move`. A rename: the unique name goes along, so that the message is known as the same."""
    return _Transfer(tree, name, target, moving=True).do(uids)


class _Planned(Record):
    """A message to transfer. words: keywords that have no letter in the target."""

    row: Row
    name: bytes
    info: bytes
    words: set[str]


class _Transfer:
    """Messages from one folder to another."""

    def __init__(self, tree: Tree, name: str, target: str, *, moving: bool) -> None:
        self._tree = tree
        self._name = name
        self._target = target
        self._moving = moving
        self._act = rename if moving else link
        self._infos: dict[bytes, tuple[bytes, set[str]]] = {}
        self._done: list[_Planned] = []
        self._own: Table | None = None

    def do(self, uids: Sequence[int]) -> list[int]:
        tree = self._tree
        with tree.folder(self._name) as source, tree.folder(self._target) as target, tree.index.writing():
            numbers = {folder.key: tree.index.folder(folder.key).number for folder in (source, target)}
            self._all(source, target, uids)
            for folder in (target, source):
                sync_folders(tree, folder)
            done = self._done
            if self._moving and done:
                tree.index.removed(source.key, [one.row.uid for one in done])
            files = [(one.name, int(one.row.new), one.info, one.row.size) for one in done]
            fresh = tree.index.insert(target.key, files) if done else []
            for key, before in numbers.items():
                tree.changed_by_us(key, before)
        given = dict(zip((one.row.uid for one in done), fresh, strict=True))
        return [given.get(uid, 0) for uid in uids]

    def _all(self, source: Folder, target: Folder, uids: Sequence[int]) -> None:
        pending: Sequence[int] = uids
        for _ in range(ROUNDS):
            lost: list[int] = []
            for start in range(0, len(pending), CHUNK):
                lost += self._chunk(source, target, pending[start : start + CHUNK])
            if not lost:
                return
            self._tree.scan(source.fd, source.key)
            pending = lost
        raise MailboxUnavailable(f"Another program renames the files of {self._name} all the time.")

    def _chunk(self, source: Folder, target: Folder, uids: Sequence[int]) -> list[int]:
        """Transfer these; UIDs of files that were not where they should be."""
        tree = self._tree
        taken = tree.index.shared_names(source.key, target.key, uids) if self._moving else set()
        known = tree.keywords.more
        planned = []
        for row in tree.index.rows(source.key, uids):
            info, more = self._info(source, target, row)
            name = row.name if self._moving and row.name not in taken else fresh_name(tree.random, row.name)
            planned.append(_Planned(row, name, info, more.union(known.get(row.name, ()))))
        tree.keywords.set_more({one.name: one.words for one in planned if one.words})
        tree.step("transferring")
        lost = [one.row.uid for one in planned if not self._one(source, target, one)]
        tree.step("transferred")
        return lost

    def _one(self, source: Folder, target: Folder, one: _Planned) -> bool:
        """Transfer a message; False where its file is not there."""
        old = path_of((one.row.name, int(one.row.new), one.row.info))
        try:
            while not self._act(source.fd, old, target.fd, path_of((one.name, int(one.row.new), one.info))):
                one.name = fresh_name(self._tree.random, one.row.name)
                self._tree.keywords.set_more({one.name: one.words} if one.words else {})
        except FileNotFoundError:
            return False
        self._done.append(one)
        return True

    def _entered(self, target: Folder, meant: Mapping[str, str]) -> bool:
        """Whether these letters mean the same in the target by its own table: what the tree says of a letter, Dovecot
        does not know."""
        if self._own is None:
            self._own = read_table(target.fd)
        return meant.items() <= self._own.items()

    def _info(self, source: Folder, target: Folder, row: Row) -> tuple[bytes, set[str]]:
        """The info with the target's letters for the same keywords, and keywords that get none there."""
        known = self._infos.get(row.info)
        if known is None:
            letters = letters_in(row.info)
            meant = {letter: source.table[letter] for letter in letters if letter in source.table}
            if SYSTEM["$forwarded"] in letters:
                meant[SYSTEM["$forwarded"]] = LETTERS[SYSTEM["$forwarded"]]
            if not meant or (source.dovecot == target.dovecot and self._entered(target, meant)):
                known = row.info, set()
            else:
                words = set(meant.values())
                given = self._tree.letters_for(target, words)
                self._own = None
                bare = changed(row.info, "", meant)
                info = changed(bare, given.values(), "")
                known = info, {word for word in words if word.lower() not in given}
            self._infos[row.info] = known
        return known
