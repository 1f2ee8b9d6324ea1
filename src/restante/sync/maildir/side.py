"""The side that is a Maildir tree: `Side` over `Tree`, whose work is done in one thread.

What a run in which nothing changed does not need is imported where it is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ...clock import Clock, Random, SystemClock, system_random
from ..model import Added, Changes, FlagChange, Message, Outline, Place, Spelling, Withheld
from ..side import MailboxUnavailable, SideUnavailable
from . import watch
from .layout import Layout, Shape
from .letters import DEFAULT_SEPARATOR, names_of
from .names import identity, is_loose
from .tree import TROUBLE, Step, Tree

if TYPE_CHECKING:
    from .picture import Picture

T = TypeVar("T")

SIGN = "a Maildir"
"""`side.Signed`: which one it is the tree looks at by its marker; a copy of a store that becomes one is another."""


def _no_step(label: str) -> None:
    """Where nobody stops."""


class MaildirSide:
    """A Maildir++ or plain Maildir tree.

    root: the tree; made at the first contact if it is not there. index: file for the numbers of its messages, beside
    the copy's state (its folder is made). layout, inbox, utf8: see `layout.Shape`; INBOX of a plain tree is the folder
    "INBOX" unless another (or "", the root) is named. read_only: nothing in the tree is changed, not even marked.
    separator: between a file's name and its flags, where ":" cannot be written (FAT). drops: the mailbox that files are
    put into as they are (`Drops`), which `wait` tells of as of messages.
    """

    def __init__(
        self,
        root: Path,
        index: Path,
        *,
        layout: Layout = Layout.MAILDIRPP,
        inbox: str | None = None,
        utf8: bool = False,
        read_only: bool = False,
        separator: str = DEFAULT_SEPARATOR.decode(),
        clock: Clock | None = None,
        random: Random = system_random,
        spelling: Spelling | None = None,
        step: Step = _no_step,
        drops: str = "",
    ) -> None:
        if separator not in (":", "!", ";"):
            raise ValueError("the separator is one of : ! ;")
        self.title = str(root)
        self.sign = SIGN
        default = "" if layout is Layout.MAILDIRPP else "INBOX"
        self._shape = Shape(layout, default if inbox is None else inbox, utf8)
        self._root = root
        self._index = index
        self._read_only = read_only
        self._separator = separator.encode()
        self._clock = clock or SystemClock()
        self._random = random
        self._spelling = spelling or Spelling()
        self._step = step
        self._thread: ThreadPoolExecutor | None = None
        self._tree: Tree | None = None
        self._notes: watch.Notes | None = None
        self._drops = drops
        self._dropped: set[tuple[str, int, int]] = set()
        """What `wait` has told of: what stays there, being nobody's to take, is told once."""

    async def open(self) -> None:
        self._thread = ThreadPoolExecutor(1, "restante-maildir")
        await self._in_thread(self._open)

    def _open(self) -> None:
        self._tree = Tree(
            self._root,
            self._index,
            self._shape,
            self._clock,
            self._random,
            self._spelling,
            self._step,
            read_only=self._read_only,
            separator=self._separator,
        )
        if not self._read_only:
            self._tree.sweep()

    async def close(self) -> None:
        if self._notes is not None:
            self._notes.close()
            self._notes = None
        if self._thread is not None:
            # Behind whatever a cancelled call has left running there.
            await asyncio.shield(self._in_thread(self._close))
            self._thread.shutdown(wait=False)
            self._thread = None

    def _close(self) -> None:
        tree, self._tree = self._tree, None
        if tree is not None:
            tree.close()

    async def _in_thread(self, act: Callable[[], T]) -> T:
        if self._thread is None:
            raise SideUnavailable(f"The Maildir {self.title} is not open.")
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)

    async def _do(self, act: Callable[[Tree], T]) -> T:
        def call() -> T:
            if self._tree is None:
                raise SideUnavailable(f"The Maildir {self.title} is not open.")
            try:
                return act(self._tree)
            except TROUBLE as cause:
                raise SideUnavailable(
                    f"The index of the Maildir {self.title} cannot be used now ({cause}).",
                    "Is another run at it, or is the disk full?",
                ) from cause

        return await self._in_thread(call)

    async def _alter(self, act: Callable[[Tree], T]) -> T:
        if self._read_only:
            raise SideUnavailable(f"The Maildir {self.title} was opened to be read alone.")
        return await self._do(act)

    # What is there ---------------------------------------------------------------------------------

    async def places(self) -> list[Place]:
        return await self._do(watch.places)

    async def picture(self) -> Picture | None:
        """What the last `places` was made of, for a run that found nothing to do."""
        from .picture import picture

        return await self._do(lambda tree: picture(tree, str(self._index)))

    async def changes(self, name: str, since: str | None) -> Changes:
        """Identities (`Changes.emails`) are "maildir:" and the unique name: it goes along when a message is moved."""
        return await self._do(lambda tree: _changes(tree, name, since))

    def keeps(self, name: str, keyword: str) -> bool:
        """`side.Keeps`: keywords that have a letter. Of others a file that is named anew has none any more."""
        letters = {} if self._tree is None else self._tree.keywords.letters
        return keyword.lower() in [word.lower() for word in list(letters.values())]

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        from .read import outlines

        return await self._do(lambda tree: outlines(tree, name, uids))

    async def headers(self, name: str, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        from .read import headers

        return await self._do(lambda tree: headers(tree, name, uids))

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        from .read import groups, messages

        for group in await self._do(lambda tree: groups(tree, name, uids)):
            for message in await self._do(partial(messages, name=name, uids=group)):
                yield message

    @property
    def unreadable(self) -> Mapping[tuple[str, int], Withheld]:
        """`side.Withholds.unreadable`: messages whose files cannot be read."""
        return {} if self._tree is None else self._tree.memory.unreadable

    async def unfinished(self, name: str, uids: Sequence[int]) -> set[int]:
        """See `Drops`."""
        from .dropped import unfinished

        return await self._do(lambda tree: unfinished(tree, name, uids))

    async def gather(self, name: str) -> int:
        """See `Drops`."""
        if not await self._do(lambda tree: _any_loose(tree, name)):
            return 0
        from .dropped import gather

        return await self._alter(lambda tree: gather(tree, name))

    # Changing messages -----------------------------------------------------------------------------

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        from .write import add

        return await self._alter(lambda tree: add(tree, name, messages))

    async def set_flags(self, name: str, changes: Sequence[FlagChange]) -> None:
        from .change import set_flags

        await self._alter(lambda tree: set_flags(tree, name, changes))

    async def remove(self, name: str, uids: Sequence[int]) -> None:
        from .change import remove

        await self._alter(lambda tree: remove(tree, name, uids))

    async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        from .change import copy

        return await self._alter(lambda tree: copy(tree, name, uids, target))

    async def move(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        from .change import move

        return await self._alter(lambda tree: move(tree, name, uids, target))

    # Changing mailboxes ----------------------------------------------------------------------------

    async def create(self, name: str, role: str | None) -> Place:
        from .mailboxes import create

        return await self._alter(lambda tree: create(tree, name, role))

    async def rename(self, name: str, new: str) -> None:
        from .mailboxes import rename

        await self._alter(lambda tree: rename(tree, name, new))

    async def delete(self, name: str) -> None:
        from .mailboxes import delete

        await self._alter(lambda tree: delete(tree, name))

    async def subscribe(self, name: str, subscribed: bool) -> None:
        from .mailboxes import subscribe

        await self._alter(lambda tree: subscribe(tree, name, subscribed))

    async def set_role(self, name: str, role: str | None) -> bool:
        from .mailboxes import set_role

        return await self._alter(lambda tree: set_role(tree, name, role))

    async def adopt(self, name: str) -> Place:
        """Take the folder that lies in a mailbox's place for a new mailbox.

        For a mailbox that is unavailable because its folder is not the one that it was, when a person says that the
        one that is there is meant. What was known of the old one stays away until it comes back.
        """
        from .mailboxes import adopt

        return await self._alter(lambda tree: adopt(tree, name))

    # Watching --------------------------------------------------------------------------------------

    async def wait(self, names: Sequence[str]) -> set[str]:
        while True:
            await self._watch()
            if self._notes is not None:
                self._notes.clear()
            found = await self._do(lambda tree: watch.changed(tree, names))
            if self._drops in names:
                # Noted here, not in the thread: a wait that is cancelled meanwhile has told of nothing.
                before, self._dropped = self._dropped, await self._do(self._loose)
                if not self._dropped <= before:
                    found = found | {self._drops}
            if found:
                return found
            if self._notes is None:
                await asyncio.sleep(watch.POLL)
                continue
            try:
                async with asyncio.timeout(watch.CHECK):
                    await self._notes.wait()
            except TimeoutError:
                continue

    def _loose(self, tree: Tree) -> set[tuple[str, int, int]]:
        """The files that were put there, with how far they are written."""
        found: set[tuple[str, int, int]] = set()
        if not tree.is_known(self._drops):
            return found
        try:
            with tree.folder(self._drops) as folder, os.scandir(folder.fd) as entries:
                for each in entries:
                    if is_loose(each.name):
                        with contextlib.suppress(FileNotFoundError):  # it goes in this moment
                            status = each.stat(follow_symlinks=False)
                            found.add((each.name, status.st_size, status.st_mtime_ns))
        except MailboxUnavailable:  # a run says what is wrong; what was not told of stays to be told
            return self._dropped
        return found

    async def _watch(self) -> None:
        """Have the kernel tell of the directories that there are now."""
        paths = await self._do(watch.directories)
        if self._notes is None or self._notes.paths != frozenset(paths):
            if self._notes is not None:
                self._notes.close()
            self._notes = watch.Notes.open(paths)


def _any_loose(tree: Tree, name: str) -> bool:
    with tree.folder(name) as folder, os.scandir(folder.fd) as entries:
        return any(is_loose(each.name) for each in entries)


def _changes(tree: Tree, name: str, since: str | None) -> Changes:
    """See `Side.changes`. Cursors are "VALIDITY.NUMBER" of the folder."""
    with tree.folder(name) as folder:
        tree.refresh(folder)
        tree.memory.strange.pop(folder.key, None)
        row = tree.index.folder(folder.key)
        tree.memory.told[folder.key] = row.number
        validity, _, number = (since or "").rpartition(".")
        known = int(number) if validity == row.validity and number.isdecimal() else -1
        full = not row.floor <= known <= row.number
        found = Changes(row.validity, f"{row.validity}.{row.number}", full, emails=[], lasting=False)
        flags, emails, infos = found.flags, [], dict[bytes, frozenset[str]]()
        more = tree.keywords.more
        if known == row.number:
            return found
        for uid, info, unique in tree.index.rows_since(folder.key, 0 if full else known):
            these = infos.get(info)
            if these is None:
                these = infos[info] = tree.spelling.flags(names_of(info, folder.table))
            if more and unique in more:
                these = tree.spelling.flags([*these, *more[unique]])
            found.uids.append(uid)
            flags.append(these)
            emails.append(identity(unique))
        found.emails = [*emails]
        if not full:
            found.vanished = tree.index.gone_since(folder.key, known)
            tree.index.prune(folder.key, known)
        return found
