"""What a folder holds, put beside the index: one pass over its names, whatever changed.

Names that stand in the index just so, nearly all as a rule, meet as strings in a set, and nothing is done for each (nor
asked whether each is a file still); what is left goes to SQL. A folder of very many is read several times, a share of
its names at a time, so that memory stays flat.

new/ is read before cur/, so that a message that a reader takes from the one to the other meanwhile is seen (twice
perhaps, never not at all). A name that is renamed while a directory is read may be missed by the reading; so a message
is gone only when it was missing in a pass during which nothing can have changed, or in two passes in a row.

Two files of one unique name are two messages in spite of their names: the one that is not known gets a new name, as
Dovecot does it. Links to the same octets (a reader in the middle of moving one by link and unlink) are left alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from ...clock import Random
from .index import CHUNK, File, Index
from .keywords import format_letters, read_table
from .letters import split
from .look import OPEN_FOLDER, look
from .names import free_rename, fresh_name

AT_ONCE = 200_000
"""Names of a folder held in memory."""
SUBS = (b"cur", b"new")
"""By a row's `new`."""


def path_of(file: File) -> bytes:
    """Its path in the folder."""
    return SUBS[file[1]] + b"/" + file[0] + file[2]


def names_in(folder: int, sub: str) -> Iterator[str]:
    """Names of a directory's files, those of messages. A directory that is not there holds none."""
    try:
        handle = os.open(sub, OPEN_FOLDER, dir_fd=folder)
    except FileNotFoundError:
        return
    try:
        with os.scandir(handle) as entries:
            for entry in entries:
                if entry.name[0] != "." and entry.is_file(follow_symlinks=False):
                    yield entry.name
    finally:
        os.close(handle)


def _listed(folder: int, sub: str) -> set[str]:
    """Names of all that is in a directory: of 100,000 in a fifth of the time that looking at each takes."""
    try:
        handle = os.open(sub, OPEN_FOLDER, dir_fd=folder)
    except FileNotFoundError:
        return set()
    try:
        return set(os.listdir(handle))  # noqa: PTH208 (of a descriptor)
    finally:
        os.close(handle)


def _files(folder: int, sub: str, names: set[str]) -> Iterator[str]:
    """Which of these names, which are in a directory, are messages' files."""
    if len(names) > CHUNK:  # a new folder
        yield from names.intersection(names_in(folder, sub))
        return
    for name in names:
        try:
            if name[0] != "." and stat.S_ISREG(os.stat(f"{sub}/{name}", dir_fd=folder, follow_symlinks=False).st_mode):
                yield name
        except FileNotFoundError:
            continue


def _less(seen: set[str], known: list[str]) -> set[bytes]:
    """Take away from the names that were seen those that are known; unique names of the known that were not seen."""
    lost = set() if seen.issuperset(known) else {split(encode(name))[0] for name in known if name not in seen}
    seen.difference_update(known)
    return lost


def _fresh(new: int, names: Iterable[str]) -> Iterator[File]:
    """Files by their names."""
    for name in names:
        unique, info = split(encode(name))
        yield unique, new, info


def unique_names_in(folder: int) -> Iterator[bytes]:
    """Unique names of all messages' files; one may come twice."""
    for sub in ("new", "cur"):
        for name in names_in(folder, sub):
            yield split(encode(name))[0]


def encode(name: str) -> bytes:
    """A file's name as it is on disk."""
    return name.encode("utf-8", "surrogateescape")


class Scanner:
    """Brings the index in step with folders."""

    def __init__(self, index: Index, random: Random, *, writable: bool) -> None:
        self._index = index
        self._random = random
        self._writable = writable

    def scan(self, folder: int, key: int, now: float) -> list[int]:
        """Make the folder's rows what is on disk; which known messages have other letters now.

        Cost: one read of the directories and a pass over the rows, a microsecond a message.
        """
        index = self._index
        with index.writing():
            row = index.folder(key)
            before = look(folder, writable=self._writable, now=now)
            fresh, lost = self._differences(folder, key, row.messages)
            index.set_odd(key, fresh)
            missing = lost - {name for name, _, _ in fresh}
            if fresh:
                self._settle_contested(folder, key)
            after = look(folder, writable=False, now=now)
            settled = before.settled and before.state == after.state
            if missing and not settled:
                missing.difference_update(unique_names_in(folder))
            index.set_missing_names(missing)
            altered = index.take(key) if fresh or missing else []
            self._take_letters(folder, key, row.letters)
            state = before.state if settled else ""
            if state != row.scanned:
                index.set_scanned(key, state)
        return altered

    def _differences(self, folder: int, key: int, messages: int) -> tuple[list[File], set[bytes]]:
        """Files that do not stand in the rows just so, and unique names of rows whose very file was not seen."""
        fresh: list[File] = []
        lost: set[bytes] = set()
        if messages < AT_ONCE:
            seen = {new: _listed(folder, sub) for new, sub in ((1, "new"), (0, "cur"))}
            for both in self._index.files(key):
                for new, known in enumerate(both):
                    lost |= _less(seen[new], known)
            for new, sub in ((1, "new"), (0, "cur")):
                fresh += _fresh(new, _files(folder, sub, seen[new]))
            return fresh, lost
        shares = messages // AT_ONCE + 1
        for new, sub in ((1, "new"), (0, "cur")):
            for share in range(shares):
                some = {name for name in names_in(folder, sub) if hash(name) % shares == share}
                for both in self._index.files(key):
                    lost |= _less(some, [name for name in both[new] if hash(name) % shares == share])
                fresh += _fresh(new, some)
        return fresh, lost

    def _take_letters(self, folder: int, key: int, before: str) -> None:
        """Note what keyword letters mean in the folder now; messages whose letters mean something else have changed."""
        now = format_letters(read_table(folder))
        if now == before:
            return
        differing = {line[0] for line in {*now.splitlines()} ^ {*before.splitlines()}}
        self._index.set_letters(key, now)
        self._index.letters_changed(key, "".join(sorted(differing)))

    def _settle_contested(self, folder: int, key: int) -> None:
        """Leave one file a name among what is to be taken."""
        index = self._index
        for known, files in list(index.contested(key, lambda file: _inode(folder, file) is not None)):
            there = [(file, inode) for file in files if (inode := _inode(folder, file)) is not None]
            # The known file goes first, then one in cur: sorting is stable.
            there.sort(key=lambda each: (each[0] != known, each[0][1]))
            keep = there[0][0] if there else None
            for file in files:
                if file != keep or file == known:
                    index.drop_odd(file)
            for file, inode in there[1:]:
                if inode != there[0][1] and self._writable:
                    self._give_name(folder, file)

    def _give_name(self, folder: int, file: File) -> None:
        renamed = (fresh_name(self._random, file[0]), file[1], file[2])
        if free_rename(folder, path_of(file), folder, path_of(renamed)):
            self._index.add_odd(renamed)


def _inode(folder: int, file: File) -> int | None:
    try:
        return os.stat(path_of(file), dir_fd=folder, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return None
