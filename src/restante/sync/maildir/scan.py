"""What a folder holds, put beside the index: one pass over its names, whatever changed.

new/ is read before cur/, so that a message that a reader takes from the one to the other meanwhile is seen (twice
perhaps, never not at all). A name that is renamed while a directory is read may be missed by the reading; so a message
is gone only when it was missing in a pass during which nothing can have changed, or in two passes in a row.

Two files of one unique name are two messages in spite of their names: the one that is not known gets a new name, as
Dovecot does it. Links to the same octets (a reader in the middle of moving one by link and unlink) are left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ...clock import Random
from .index import File, Index
from .keywords import format_letters, read_table
from .letters import split
from .look import OPEN_FOLDER, look
from .names import free_rename, fresh_name

DOT = ord(".")
SUBS = (b"cur", b"new")
"""By a row's `new`."""


def path_of(file: File) -> bytes:
    """Its path in the folder."""
    return SUBS[file[1]] + b"/" + file[0] + file[2]


def files_in(folder: int) -> Iterator[File]:
    """All messages' files, as the directories give them. A directory that is not there holds none."""
    for new, sub in ((1, "new"), (0, "cur")):
        try:
            handle = os.open(sub, OPEN_FOLDER, dir_fd=folder)
        except FileNotFoundError:
            continue
        try:
            with os.scandir(handle) as entries:
                for entry in entries:
                    file = entry.name.encode("utf-8", "surrogateescape")
                    if file[0] != DOT and entry.is_file(follow_symlinks=False):
                        name, info = split(file)
                        yield name, new, info
        finally:
            os.close(handle)


class Scanner:
    """Brings the index in step with folders."""

    def __init__(self, index: Index, random: Random, *, writable: bool) -> None:
        self._index = index
        self._random = random
        self._writable = writable

    def scan(self, folder: int, key: int, now: float) -> list[int]:
        """Make the folder's rows what is on disk; which known messages have other letters now.

        Cost: one read of the directories and a pass over the rows, a few microseconds a message.
        """
        index = self._index
        with index.writing():
            row = index.folder(key)
            before = look(folder, writable=self._writable, now=now)
            total = index.load(files_in(folder))
            unknown, changed = index.compare(key)
            contested = bool(unknown or changed) and self._settle_contested(folder, key)
            missing = index.find_missing(key) if contested or total - unknown != row.messages else 0
            after = look(folder, writable=False, now=now)
            settled = before.settled and before.state == after.state
            if missing and not settled:
                index.load(files_in(folder))
                missing = index.still_missing()
            altered = index.take(key) if unknown or changed or missing else []
            self._take_letters(folder, key, row.letters)
            state = before.state if settled else ""
            if state != row.scanned:
                index.set_scanned(key, state)
        return altered

    def _take_letters(self, folder: int, key: int, before: str) -> None:
        """Note what keyword letters mean in the folder now; messages whose letters mean something else have changed."""
        now = format_letters(read_table(folder))
        if now == before:
            return
        differing = {line[0] for line in {*now.splitlines()} ^ {*before.splitlines()}}
        self._index.set_letters(key, now)
        self._index.letters_changed(key, "".join(sorted(differing)))

    def _settle_contested(self, folder: int, key: int) -> bool:
        """Leave one file a name among what is to be taken; whether there was something to decide."""
        index, decided = self._index, False
        for known, files in list(index.contested(key, lambda file: _inode(folder, file) is not None)):
            decided = True
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
        return decided

    def _give_name(self, folder: int, file: File) -> None:
        renamed = (fresh_name(self._random, file[0]), file[1], file[2])
        if free_rename(folder, path_of(file), folder, path_of(renamed)):
            self._index.add_odd(renamed)


def _inode(folder: int, file: File) -> int | None:
    try:
        return os.stat(path_of(file), dir_fd=folder, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return None
