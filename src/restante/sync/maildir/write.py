"""Filing messages: octets into tmp, durable, then a name in new or cur, durable, then numbers, durable.

Many at once: a batch of files is written, synced together (`durable`), renamed, and the directories are synced once a
call. A crash leaves files in tmp, which no reader looks at and the next run here sweeps away when they are old, or
messages that are whole: they are found by the next scan. A disk that is full takes what fitted and leaves nothing else
behind.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass

from ..model import Added, Message
from .alone import MOVED_TO
from .change import sync_directory
from .letters import split_flags
from .marker import remove_if_there
from .names import free_rename, unique_name
from .octets import OURS, stored
from .scan import path_of
from .tree import Folder, Tree

BATCH = 250
"""Files open at once, where the process may have four times as many."""
OLD = 36 * 3600
"""Seconds after which a file in tmp is nobody's (Maildir's own rule)."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_MORE_OPEN = (errno.EMFILE, errno.ENFILE)


@dataclass(slots=True)
class _Draft:
    """A message on its way to the disk. handle: open until it is durable. new: whether it goes to new/."""

    number: int
    name: bytes
    info: bytes
    new: int
    size: int
    handle: int


def add(tree: Tree, name: str, messages: Sequence[Message]) -> list[Added]:
    """See `Side.add`."""
    answers = [Added(0, "There is no room on the disk.", temporary=True)] * len(messages)
    if not messages:
        return []
    with tree.folder(name) as folder, tree.changing(folder) as did:
        _make_tmp(tree, folder)
        infos = _Infos(tree, folder, messages)
        filed: list[_Draft] = []
        step = min(BATCH, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
        done = 0
        while done < len(messages):
            drafts, looked_at = _batch(tree, folder, infos, done, messages[done : done + step])
            did([(draft.new, MOVED_TO, draft.name + draft.info) for draft in drafts])
            filed += drafts
            done += looked_at
        if not filed:
            return answers
        tree.step("syncing directories")
        for new, sub in ((1, "new"), (0, "cur")):
            if any(draft.new == new for draft in filed):
                sync_directory(folder.fd, sub)
        tree.step("numbering")
        with tree.index.writing():
            before = tree.index.folder(folder.key).number
            uids = tree.index.insert(folder.key, [(one.name, one.new, one.info, one.size) for one in filed])
            tree.changed_by_us(folder.key, before)
        tree.step("numbered")
    for draft, uid in zip(filed, uids, strict=True):
        answers[draft.number] = Added(uid)
    return answers


class _Infos:
    """Flags of new messages as letters."""

    def __init__(self, tree: Tree, folder: Folder, messages: Sequence[Message]) -> None:
        self._tree = tree
        self._known: dict[frozenset[str], tuple[str, tuple[str, ...]]] = {}
        sets = {message.flags for message in messages}
        for flags in sets:
            letters, keywords = split_flags(flags)
            wanted = {*keywords, *(flag for flag in flags if flag.lower() == "$forwarded")}
            given = tree.letters_for(folder, wanted) if wanted else {}
            letters = letters.replace("P", "") + "".join(given.values())
            self._known[flags] = "".join(sorted(letters)), tuple(w for w in keywords if w.lower() not in given)

    def of(self, flags: frozenset[str]) -> tuple[bytes, int, tuple[str, ...]]:
        """The info, whether it goes to new/, keywords without a letter.

        What nobody has seen or marked is new mail; a reader takes it from there to cur.
        """
        letters, more = self._known[flags]
        if not letters:
            return b"", 1, more
        return self._tree.separator + b"2," + letters.encode(), 0, more


def _batch(
    tree: Tree, folder: Folder, infos: _Infos, start: int, messages: Sequence[Message]
) -> tuple[list[_Draft], int]:
    """File these; those that found no room are not among the answers. And how many were looked at.

    All stay open until they are durable together; where no more files can be opened, those before are a batch.
    """
    drafts: list[_Draft] = []
    named = 0
    looked_at = len(messages)
    try:
        more: dict[bytes, tuple[str, ...]] = {}
        tree.step("writing")
        for number, message in enumerate(messages, start):
            info, new, words = infos.of(message.flags)
            try:
                draft = _draft(tree, folder, number, message, info, new)
            except OSError as error:
                if error.errno not in _NO_MORE_OPEN or not drafts:
                    raise
                looked_at = number - start
                break
            if draft is not None:
                drafts.append(draft)
                if words:
                    more[draft.name] = words
        tree.step("syncing files")
        drafts = _durable(tree, folder, drafts)
        if more:
            tree.keywords.set_more(more)
        tree.step("naming")
        for named, draft in enumerate(drafts):  # noqa: B007  # after an exception: how many have their names
            if not free_rename(
                folder.fd, b"tmp/" + draft.name, folder.fd, path_of((draft.name, draft.new, draft.info))
            ):
                raise FileExistsError(errno.EEXIST, "a name of 128 random bits was taken")
        tree.step("named")
        named = len(drafts)
    finally:
        for draft in drafts:
            if draft.handle >= 0:
                os.close(draft.handle)
        for draft in drafts[named:]:
            remove_if_there(folder.fd, b"tmp/" + draft.name)
    return drafts, looked_at


def _draft(tree: Tree, folder: Folder, number: int, message: Message, info: bytes, new: int) -> _Draft | None:
    """Write one into tmp; None where there is no room."""
    octets, raw = stored(message.data)
    name = unique_name(tree.random, message.received, len(octets), len(message.data), raw=raw)
    path = b"tmp/" + name
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = -1
    try:
        handle = os.open(path, flags, 0o600, dir_fd=folder.fd)
        _write_whole(handle, octets)
        os.utime(handle, (message.received, message.received))
    except BaseException as error:
        if handle >= 0:
            os.close(handle)
            remove_if_there(folder.fd, path)
        if isinstance(error, OSError) and error.errno in _FULL:
            return None
        raise
    return _Draft(number, name, info, new, len(message.data), handle)


def _write_whole(handle: int, octets: bytes) -> None:
    view = memoryview(octets)
    while view:
        view = view[os.write(handle, view) :]


def _durable(tree: Tree, folder: Folder, drafts: list[_Draft]) -> list[_Draft]:
    """Those that are on the disk now; those that found no room there are gone."""
    errors = tree.durable.files([draft.handle for draft in drafts])
    kept = []
    for draft, error in zip(drafts, errors, strict=True):
        if error is not None and error.errno not in _FULL:
            raise error
        os.close(draft.handle)
        draft.handle = -1
        if error is None:
            kept.append(draft)
        else:
            remove_if_there(folder.fd, b"tmp/" + draft.name)
    return kept


def _make_tmp(tree: Tree, folder: Folder) -> None:
    """See that the folder has its three directories, and sweep out of tmp what a crash of ours left there."""
    for sub in ("tmp", "new", "cur"):
        try:
            os.mkdir(sub, 0o700, dir_fd=folder.fd)
        except FileExistsError:
            continue
    if folder.key in tree.swept:
        return
    tree.swept.add(folder.key)
    handle = os.open("tmp", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.fd)
    try:
        with os.scandir(handle) as entries:
            old = [
                entry.name
                for entry in entries
                if OURS.decode() in entry.name and tree.clock.now() - entry.stat(follow_symlinks=False).st_ctime > OLD
            ]
        for name in old:
            remove_if_there(handle, name)
    finally:
        os.close(handle)
