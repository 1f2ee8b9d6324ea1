"""Which folder is which: what lies in the tree, put beside what the index knows, by markers and not by paths.

on disk                                         known at this path?     then
marked, identity known                          -                       that folder, wherever it lies now
marked, identity not known                      -                       taken over (the index was lost)
marked as another one is                        -                       a copy of it: a marker of its own
not marked                                      no                      another program's new folder: marked
and cannot be marked                            -                       UNAVAILABLE
not marked                                      yes, half its mail is   the marker was lost: put back
                                                here, or it had none
no cur and new, but a mailbox within that was   yes                     gone: this is the folder it was, and somebody
there before                                                            removed the mailbox and not those below it
not marked, or no cur and new, or a link        yes                     UNAVAILABLE: a mount is missing, or somebody
to nowhere, or not to be read                                           made an empty folder in its place
nothing                                         yes                     gone

A folder that several paths lead to (a link beside it, a bind mount) is one mailbox: by the path that is no link.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...clock import Clock, Random
from ...values import Record, replace
from . import marker
from .index import FolderRow, Index
from .layout import Shape
from .look import Look, look, open_folder
from .marker import Marker, new_id
from .scan import unique_names_in

SAMPLE = 100
BARE = "its folder has neither cur nor new"
KEPT_MISSING = 90 * 86400
"""Seconds for which a folder that is gone is remembered: it may come back with its marker."""


UNMARKED = "path:"
"""Begins the identity of a folder that has no marker, since nothing may be written there (`read_only`)."""


class Found(Record):
    """A folder. look: None where it cannot be used, and `reason` says why. row: None for one that is not known. inode:
    its device's number and its own, None where it cannot be used."""

    path: str
    look: Look | None
    reason: str | None = None
    row: FolderRow | None = None
    inode: tuple[int, int] | None = None


class Census:
    """Looks at a whole tree."""

    def __init__(self, root: Path, shape: Shape, index: Index, clock: Clock, random: Random, *, writable: bool) -> None:
        self._root = root
        self._shape = shape
        self._index = index
        self._clock = clock
        self._random = random
        self._writable = writable

    def take(self) -> list[Found]:
        """All folders with their rows, in no order. Costs stat calls alone where nothing is new. Raises OSError."""
        rows = self._index.folders()
        by_path = {row.path: row for row in rows if row.missing is None}
        found = self._without_aliases(list(self._folders(by_path)), by_path)
        self._identify(found, {row.id: row for row in rows}, by_path)
        if any(one.reason is BARE for one in found):
            found = self._without_bare(found)
        self._enter(found, rows)
        return found

    def _folders(self, by_path: dict[str, FolderRow]) -> Iterator[Found]:
        now = self._clock.now()
        for path in self._shape.folders(self._root):
            try:
                folder = open_folder(self._root, path)
                try:
                    seen = look(folder, writable=self._writable, now=now)
                    status = os.fstat(folder)
                finally:
                    os.close(folder)
            except (FileNotFoundError, NotADirectoryError):
                if path in by_path:
                    yield Found(path, None, "its folder is a link to nowhere")
            except OSError as error:
                yield Found(path, None, f"its folder cannot be read ({error.strerror})")
            else:
                if seen.times != (None, None):
                    yield Found(path, seen, inode=(status.st_dev, status.st_ino))
                elif path in by_path:
                    yield Found(path, None, BARE)

    def _without_aliases(self, found: list[Found], by_path: dict[str, FolderRow]) -> list[Found]:
        """One of each folder that several paths lead to; else all its mail would be there twice."""
        same: dict[tuple[int, int], list[Found]] = {}
        for one in found:
            if one.inode is not None:
                same.setdefault(one.inode, []).append(one)
        if len(same) == sum(map(len, same.values())):
            return found
        root = self._root.resolve()

        def rank(one: Found) -> tuple[bool, bool, str]:
            return (self._root / one.path).resolve() != root / one.path, one.path not in by_path, one.path

        kept = {id(min(each, key=rank)) for each in same.values()}
        return [one for one in found if one.inode is None or id(one) in kept]

    def _without_bare(self, found: list[Found]) -> list[Found]:
        """But for mailboxes that others removed, leaving those below: where one of these lies as it did, no mount is
        missing above it."""
        there = [f"{one.path}/" for one in found if one.look is not None and one.row and one.row.path == one.path]

        def left(one: Found) -> bool:
            return one.path != self._shape.inbox and any(path.startswith(f"{one.path}/") for path in there)

        return [one for one in found if one.reason is not BARE or not left(one)]

    def _identify(self, found: list[Found], by_id: dict[str, FolderRow], by_path: dict[str, FolderRow]) -> None:
        """Give each its row, or a marker that has none yet."""
        bearers: dict[str, list[Found]] = {}
        for one in found:
            if one.look is not None and one.look.marker is not None:
                bearers.setdefault(one.look.marker.id, []).append(one)
        for identity, bearing in bearers.items():
            row = by_id.get(identity)
            bearing.sort(key=lambda one: (row is None or one.path != row.path, one.path))
            bearing[0].row = row
            for copy in bearing[1:]:
                self._mark(copy, new_id(self._random))
        for one in found:
            known = by_path.get(one.path)
            if known is not None and known.id in bearers:
                known = None  # that one lies elsewhere now
            if one.look is None:
                one.row = known
            elif one.look.marker is None:
                self._recognise(one, known)

    def _recognise(self, one: Found, known: FolderRow | None) -> None:
        """A folder without a marker."""
        if not self._writable:
            one.row = known
        elif known is None:
            self._mark(one, new_id(self._random))
        elif known.messages == 0 or self.holds_its_mail(one.path, known):
            identity = known.id
            if identity.startswith(UNMARKED):  # it was known to a look that marks nothing
                identity = new_id(self._random)
                with self._index.writing():
                    self._index.set_id(known.key, identity)
                known = self._index.folder(known.key)
            self._mark(one, identity)
            one.row = known
        else:
            one.look, one.row = None, known
            one.reason = f"the folder in its place is another one: it has no {marker.FILE} and not its mail"

    def holds_its_mail(self, path: str, known: FolderRow) -> bool:
        """Whether at least half of the names that are known (of a sample) are there."""
        names = set(self._index.some_names(known.key, SAMPLE))
        folder = open_folder(self._root, path)
        try:
            there = sum(name in names for name in unique_names_in(folder))
        finally:
            os.close(folder)
        return 2 * there >= len(names)

    def _mark(self, one: Found, identity: str) -> None:
        """Where that cannot be (a read-only disk, another user's folder), it cannot be used, and others can."""
        assert one.look is not None
        if self._writable:
            try:
                folder = open_folder(self._root, one.path)
                try:
                    marker.write(folder, Marker(identity))
                finally:
                    os.close(folder)
            except OSError as error:
                one.look, one.reason = None, f"its {marker.FILE} cannot be written ({error.strerror})"
                return
        one.look = replace(one.look, marker=Marker(identity))

    def _enter(self, found: list[Found], rows: list[FolderRow]) -> None:
        """Write into the index what is new about folders."""
        index, there = self._index, {one.row.id for one in found if one.row is not None}
        now = int(self._clock.now())
        fresh = [one for one in found if one.row is None and one.look is not None]
        moved = [one for one in found if one.row and (one.row.path != one.path or one.row.missing is not None)]
        missing = [row for row in rows if row.id not in there]
        if not fresh and not moved and all(row.missing is not None for row in missing):
            missing = [row for row in missing if row.missing is not None and now - row.missing > KEPT_MISSING]
            if not missing:
                return
        with index.writing():
            for one in moved:
                assert one.row is not None
                index.set_path(one.row.key, one.path)
                one.row = index.folder(one.row.key)
            for row in missing:
                if row.missing is None:
                    index.set_missing(row.key, now)
                elif now - row.missing > KEPT_MISSING:
                    index.forget(row.key)
            for one in fresh:
                assert one.look is not None
                identity = one.look.marker.id if one.look.marker is not None else f"{UNMARKED}{one.path}"
                one.row = index.folder(index.add_folder(identity, one.path, self._random(8).hex()))
