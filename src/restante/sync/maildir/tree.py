"""A Maildir tree as one thing: its root that is the one it was, its folders, and what is known of them.

Everything here blocks and runs in the side's one thread. `Tree` has what all operations share; what they do stands in
`read`, `write`, `change`, `mailboxes` and `watch`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import apsw

from ...clock import Clock, Random
from ...inbox import is_inbox
from ...values import Record, field
from ..model import Place, Spelling, Withheld
from ..side import MailboxUnavailable, SideUnavailable
from . import marker, subscriptions
from .alone import Alone, Event
from .census import UNMARKED, Census, Found
from .durable import Durable
from .index import BadIndex, Forgotten, Index
from .keywords import Table, TreeKeywords, assign, format_letters, meaning, read_table
from .layout import INBOX, MAKING, REMOVED, Layout, Shape
from .letters import SYSTEM
from .look import Look, look, open_folder
from .marker import Marker, new_id
from .scan import Scanner

Step = Callable[[str], None]
"""Called before each step that a crash may come between; tests stop there."""


TROUBLE = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.NotADBError,
)
"""What the index's disk or another process does to it; anything else is a fault of ours."""
UNDER_WAY = 3600.0
"""Seconds for which another process may be at making or removing a folder."""


class Known(Record):
    """A mailbox as the last look found it. reason: why it cannot be used, None where it can."""

    path: str
    id: str
    key: int
    reason: str | None


class Folder(Record):
    """An open folder: what is done by its descriptor stays in it."""

    name: str
    fd: int
    key: int
    table: Table
    dovecot: bool
    """Whether Dovecot serves it."""


class Memory(Record):
    """What a session remembers beside the index.

    told: number of each folder when it was last listed, by key. strange: messages that others changed since the asker
    last asked for changes, by key. pending: mailboxes that `wait` has found changed and has not told of. unreadable:
    see `side.Withholds`.
    """

    told: dict[int, int] = field(default_factory=dict)
    strange: dict[int, set[int]] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    unreadable: dict[tuple[str, int], Withheld] = field(default_factory=dict)


class Tree:
    """The open tree."""

    def __init__(
        self,
        root: Path,
        index: Path,
        shape: Shape,
        clock: Clock,
        random: Random,
        spelling: Spelling,
        step: Step,
        *,
        read_only: bool,
        separator: bytes,
    ) -> None:
        self.root = root
        self.shape = shape
        self.clock = clock
        self.random = random
        self.spelling = spelling
        self.step = step
        self.writable = not read_only
        self.separator = separator
        self.memory = Memory()
        self.index = self._open_index(index)
        self._census = Census(root, shape, self.index, clock, random, writable=self.writable)
        with ExitStack() as undo:
            undo.callback(self.index.close)
            self._root_fd = self._open_root()
            undo.callback(os.close, self._root_fd)
            self.keywords = self._tree_keywords()
            undo.pop_all()
        self._durable: Durable | None = None
        self.alone = Alone()
        self._scanner = Scanner(self.index, random, writable=self.writable)
        self._known: dict[str, Known] | None = None
        self.found: list[Found] = []
        """What the last `places` was made of."""
        self.paths: frozenset[str] = frozenset()
        self.subscribed: frozenset[str] = frozenset()
        self.swept: set[int] = set()
        """Folders whose tmp this session has swept, by key."""

    def close(self) -> None:
        os.close(self._root_fd)
        self.index.close()
        self.alone.close()
        if self._durable is not None:
            self._durable.close()

    @property
    def durable(self) -> Durable:
        """Made when it is used first: a look at the tree needs it not."""
        if self._durable is None:
            self._durable = Durable(self.clock, self._root_fd)
        return self._durable

    @property
    def root_fd(self) -> int:
        """The root, open."""
        return self._root_fd

    def sweep(self) -> None:
        """Remove what a crash left of folders that were being made or removed; not what is still under way."""
        for path in self.root.iterdir():
            if path.name.startswith((MAKING, REMOVED)) and self.clock.now() - path.lstat().st_ctime > UNDER_WAY:
                if path.is_symlink():  # of a mailbox that was elsewhere: its mail is not ours to look for
                    path.unlink()
                    continue
                from shutil import rmtree

                rmtree(path)

    def _tree_keywords(self) -> TreeKeywords:
        try:
            return TreeKeywords(self._root_fd, self.clock)
        except OSError as cause:
            raise SideUnavailable(f"The keywords of {self.root} cannot be read ({cause.strerror}).") from cause

    # The root ----------------------------------------------------------------------------------------

    def _open_index(self, path: Path) -> Index:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Index(path)
        except (BadIndex, apsw.Error, OSError) as cause:
            raise SideUnavailable(
                f"The index of the Maildir cannot be used ({cause}).",
                f"Is the disk full? Without {path} a run finds messages again by their content.",
            ) from cause

    def _open_root(self) -> int:
        known = self.index.root()
        try:
            if known is None and self.writable:
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = open_folder(self.root, "")
        except (FileExistsError, NotADirectoryError) as cause:
            raise SideUnavailable(
                f"The Maildir {self.root} cannot be opened: there is a file of that name.", "Name a folder."
            ) from cause
        except OSError as cause:
            raise SideUnavailable(
                f"The Maildir {self.root} cannot be opened ({cause.strerror}).", "Is its disk there?"
            ) from cause
        try:
            self._know_root(handle, known)
        except OSError as cause:
            os.close(handle)
            raise SideUnavailable(f"The Maildir {self.root} cannot be used ({cause.strerror}).") from cause
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _know_root(self, root: int, known: str | None) -> None:
        """See that the root is the one it was; mark it at the first contact."""
        found, _ = marker.read(root)
        if known is None or known.startswith(UNMARKED):
            if known is not None and found is None and not self.writable:
                return
            identity = found.id if found is not None else new_id(self.random) if self.writable else UNMARKED
            if found is None and self.writable:
                marker.write(root, Marker(identity))
            if self.writable:
                self._make_inbox(root)
            with self.index.writing():
                self.index.set_root(identity)
        elif found is None and self.writable and self._has_a_folder_of_its_own():
            marker.write(root, Marker(known))
        elif (found.id if found is not None else None) != known and (self.writable or found is not None):
            raise SideUnavailable(
                f"The folder {self.root} is not the one it was: its {marker.FILE} is "
                + ("missing." if found is None else "another one."),
                "Is its disk there? If the folder is meant, put the file back or begin the copy anew.",
            )

    def _make_inbox(self, root: int) -> None:
        path = self.shape.inbox
        for sub in ([path] if path else []) + [f"{path}/{sub}" if path else sub for sub in ("cur", "new", "tmp")]:
            try:
                os.mkdir(sub, 0o700, dir_fd=root)
            except FileExistsError:
                continue
        os.fsync(root)

    def _has_a_folder_of_its_own(self) -> bool:
        """Whether a folder below, or the root's own mail, shows that only the marker was lost."""
        for row in self.index.folders():
            try:
                folder = open_folder(self.root, row.path)
            except OSError:
                continue
            try:
                found, _ = marker.read(folder)
            finally:
                os.close(folder)
            if found is not None and found.id == row.id:
                return True
            if row.path == "" and row.messages and self._census.holds_its_mail(row.path, row):
                return True
        return False

    # Mailboxes ---------------------------------------------------------------------------------------

    def places(self) -> list[Place]:
        """See `Side.places`. Folders whose times have changed are scanned, so that states are exact."""
        self._check_root()
        try:
            found = self._census.take()
            self.subscribed = subscriptions.read(self._root_fd)
        except OSError as cause:
            raise SideUnavailable(f"The Maildir {self.root} cannot be read ({cause.strerror}).") from cause
        self.found = found
        self.paths = frozenset(one.path for one in found)
        self._known = {}
        places = [self._place(one) for one in sorted(found, key=lambda one: (one.path != self.shape.inbox, one.path))]
        if INBOX not in self._known:
            raise SideUnavailable(f"The Maildir {self.root} has no INBOX.", "It was there before: is its disk there?")
        if self.shape.layout is Layout.PLAIN:  # folders that are there for those within them: no name to rename to
            names = {place.name for place in places}
            bare = {above for name in names for above in _above(name)} - names
            places += [Place(name, "", None, selectable=False) for name in bare]
        return sorted(places, key=lambda place: (place.name != INBOX, place.name))

    def _check_root(self) -> None:
        """The path still leads to the folder that was opened."""
        try:
            now, then = self.root.stat(), os.fstat(self._root_fd)
        except OSError as cause:
            raise SideUnavailable(f"The Maildir {self.root} is not there ({cause.strerror}).") from cause
        if (now.st_dev, now.st_ino) != (then.st_dev, then.st_ino):
            raise SideUnavailable(f"The folder {self.root} is not the one it was.", "Is its disk there?")

    def _place(self, one: Found) -> Place:
        """List a folder and remember it by its name."""
        assert self._known is not None
        name = self._name(one)
        row, seen, reason = one.row, one.look, one.reason
        if row is not None and seen is not None:
            try:
                if not seen.settled or seen.state != row.scanned:
                    self._in_step(one.path, seen, row.key)
                    row = self.index.folder(row.key)
            except (OSError, MailboxUnavailable, Forgotten) as cause:
                seen, reason = None, str(cause) or "it was deleted meanwhile"
        key, identity, validity = (row.key, row.id, row.validity) if row is not None else (0, "", "")
        self._known[name] = Known(one.path, identity, key, reason)
        listed = subscriptions.is_subscribed(self.subscribed, one.path, self.shape.layout, inbox=name == INBOX)
        if row is None or seen is None:
            return Place(name, validity, None, self._public(identity), row.role if row is not None else None, listed)
        self.memory.told[key] = row.number
        role = seen.marker.role if seen.marker is not None else None
        if (row.name, row.role) != (name, role):
            self.index.set_listed(key, name, role)
        state = f"{validity}.{row.number}"
        return Place(name, validity, state, self._public(identity), role, listed, row.messages)

    def _public(self, identity: str) -> str | None:
        """An identity as Place.id: paths are none."""
        return None if not identity or identity.startswith("path:") else identity

    def _name(self, one: Found) -> str:
        """The mailbox's name, no other's: by its marker where that was written for this path."""
        assert self._known is not None
        mark = one.look.marker if one.look is not None else None
        exact = mark.name_at(one.path) if mark is not None else None
        if one.look is None and one.row is not None and one.row.name:
            exact = one.row.name
        name = self.shape.name_of(one.path) if exact is None else exact
        if is_inbox(name) and one.path != self.shape.inbox:
            name += "_2"
        unique, number = name, 2
        while unique in self._known:
            unique, number = f"{name}_{number}", number + 1
        return unique

    def known(self, name: str) -> Known:
        """Raises MailboxUnavailable where it is not there or cannot be used."""
        found = self.known_or_not(name)
        if found.reason is not None:
            raise MailboxUnavailable(f"The mailbox {name} cannot be used: {found.reason}.", "Is its disk there?")
        return found

    def known_or_not(self, name: str) -> Known:
        """The same, also where it cannot be used."""
        if self._known is None:
            self.places()
        assert self._known is not None
        if name not in self._known:
            raise MailboxUnavailable(f"There is no mailbox {name}.")
        return self._known[name]

    def children(self, name: str) -> list[str]:
        """Names of the mailboxes below one."""
        assert self._known is not None
        return sorted(other for other in self._known if other.startswith(name + "/"))

    def names(self) -> dict[str, int]:
        """Mailboxes by name, as listed last: keys of their folders."""
        return {name: known.key for name, known in (self._known or {}).items()}

    def empty(self) -> dict[str, str]:
        """Paths of mailboxes without messages, by name, as listed last."""
        known = self._known or {}
        return {name: one.path for name, one in known.items() if one.key and not self.index.folder(one.key).messages}

    def is_known(self, name: str) -> bool:
        if self._known is None:
            self.places()
        assert self._known is not None
        return name in self._known

    def forget_names(self) -> None:
        """Look anew before the next use: folders were made, renamed or removed."""
        self._known = None

    @contextmanager
    def folder(self, name: str) -> Iterator[Folder]:
        """The mailbox's folder, open, and seen to be the one it was. Raises MailboxUnavailable, also for OSErrors."""
        known = self.known(name)
        try:
            handle = open_folder(self.root, known.path)
            try:
                yield self._folder(name, known, handle)
            finally:
                os.close(handle)
        except Forgotten as cause:
            raise MailboxUnavailable(f"The mailbox {name} was deleted meanwhile.") from cause
        except OSError as cause:
            raise MailboxUnavailable(f"The folder of {name} cannot be used ({cause.strerror or cause}).") from cause

    def _folder(self, name: str, known: Known, handle: int) -> Folder:
        self._verify(name, known, handle)
        self.keywords.refresh()
        table = meaning(read_table(handle), self.keywords.letters)
        return Folder(name, handle, known.key, table, _exists(handle, "dovecot-uidlist"))

    def _verify(self, name: str, known: Known, handle: int) -> None:
        found, _ = marker.read(handle)
        if found is not None and found.id == known.id:
            return
        if found is None and not self.writable:
            return
        raise MailboxUnavailable(f"The folder of {name} is not the one it was.", "Is its disk there?")

    # In step with the disk ---------------------------------------------------------------------------

    def _in_step(self, path: str, seen: Look, key: int) -> None:
        """Bring the index in step with a folder that has other times. Raises OSError, MailboxUnavailable."""
        handle = open_folder(self.root, path)
        try:
            if not self._changed_by_us_alone(handle, seen, key):
                self.scan(handle, key)
        finally:
            os.close(handle)

    def _changed_by_us_alone(self, handle: int, seen: Look, key: int) -> bool:
        """Whether what the index says of the folder is what it is, as it was seen; noted then."""
        if not seen.settled or not self.alone.still(key, handle, seen.state):
            return False
        self.index.confirm_scanned(key, seen.state)
        return True

    @contextmanager
    def changing(self, folder: Folder) -> Iterator[Callable[[Sequence[Event]], None]]:
        """While we change a folder: to be told what we did in it (no more than `alone.AT_ONCE` at a time), so that the
        next look need not read it. Goes round the transaction that has the changes."""
        key = folder.key
        watched = self.writable and self.alone.begin(key, folder.fd, self.index.folder(key).scanned)
        try:
            yield partial(self.alone.did, key) if watched else _unwatched
        except BaseException:
            self.alone.forget(key)
            raise

    def scan(self, handle: int, key: int) -> list[int]:
        """The same with an open folder. Messages that others flagged are remembered as strange."""
        self.alone.forget(key)
        if not _exists(handle, "cur"):
            if self.index.folder(key).messages or not self.writable:
                raise MailboxUnavailable("The folder has lost its cur.", "Is its disk there?")
            os.mkdir("cur", 0o700, dir_fd=handle)
        altered = self._scanner.scan(handle, key, self.clock.now())
        self.memory.strange.setdefault(key, set()).update(altered)
        return altered

    def refresh(self, folder: Folder) -> None:
        """Scan unless the folder's times say that the index has it as it is."""
        seen = look(folder.fd, writable=self.writable, now=self.clock.now())
        if not seen.settled or seen.state != self.index.folder(folder.key).scanned:
            if self._changed_by_us_alone(folder.fd, seen, folder.key):
                return
            self.scan(folder.fd, folder.key)
            folder.table = meaning(read_table(folder.fd), self.keywords.letters)

    def changed_by_us(self, key: int, before: int) -> None:
        """A change of ours is none that `wait` has to tell: before is the folder's number before it."""
        if self.memory.told.get(key) == before:
            self.memory.told[key] = self.index.folder(key).number

    # Keywords ----------------------------------------------------------------------------------------

    def letters_for(self, folder: Folder, keywords: set[str]) -> dict[str, str]:
        """Letters in this folder for keywords (in small letters); those that get none are left out.

        $Forwarded is P, but where Dovecot is: it knows no such letter.
        """
        found = {}
        if "$forwarded" in (word.lower() for word in keywords) and not self._forwarded_is_a_keyword(folder):
            found["$forwarded"] = SYSTEM["$forwarded"]
        wanted = [word for word in keywords if word.lower() not in found]
        if wanted:
            found |= assign(folder.fd, self.keywords, wanted, self.clock)
            own = read_table(folder.fd)
            if format_letters(own) != self.index.folder(folder.key).letters:
                with self.index.writing():
                    self.index.set_letters(folder.key, format_letters(own))
            folder.table = meaning(own, self.keywords.letters)
        return found

    def _forwarded_is_a_keyword(self, folder: Folder) -> bool:
        return folder.dovecot or "$forwarded" in (word.lower() for word in folder.table.values())


def _unwatched(did: Sequence[Event]) -> None:
    """Where the kernel does not tell: the folder will be read."""


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _above(name: str) -> Iterator[str]:
    """The names above this one."""
    while name := name.rpartition("/")[0]:
        yield name
