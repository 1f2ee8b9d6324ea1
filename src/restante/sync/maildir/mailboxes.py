"""Mailboxes made, renamed and deleted, so that a crash leaves the one state or the other.

A folder is made beside the tree's folders and renamed into its place when it is whole; it is renamed out of it before
it is emptied. Maildir++ has children beside their parent: they are renamed first, so that a crash between leaves the
parent, and asking again does the rest.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...values import replace
from ..dotlock import Locked
from ..model import Place
from ..side import MailboxUnavailable
from . import marker, subscriptions
from .layout import DEEPEST, INBOX, MAKING, REMOVED, Layout
from .look import open_folder
from .marker import Marker, new_id
from .scan import unique_names_in
from .tree import Tree

_SUBS = ("cur", "new", "tmp")


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise MailboxUnavailable(f"The folder of {name} cannot be changed ({cause.strerror or cause}).") from cause


def create(tree: Tree, name: str, role: str | None) -> Place:
    """See `Side.create`. Raises MailboxUnavailable where it is there."""
    if tree.is_known(name):
        raise MailboxUnavailable(f"There is a mailbox {name} already.")
    with _blaming(name):
        path = _free_path(tree, name)
        if tree.shape.layout is Layout.PLAIN and _is_folder(tree, path):
            _furnish(tree, path, name, role)
        else:
            _make(tree, path, name, role)
    tree.forget_names()
    for place in tree.places():
        if place.name == name:
            return place
    raise MailboxUnavailable(f"The mailbox {name} was made and is not there.")


def _free_path(tree: Tree, name: str) -> str:
    """Where the folder goes: no other mailbox's, also where case makes no difference."""
    wanted = tree.shape.path_of(name)
    taken = {path.lower() for path in tree.paths if not _is_bare(tree, path)}
    path, number = wanted, 2
    while path.lower() in taken or (tree.root / path).is_symlink():  # a link to another mailbox is none of its own
        path, number = f"{wanted}_{number}", number + 1
    _see_depth(name, path)
    return path


def _see_depth(name: str, path: str) -> None:
    """Raises MailboxUnavailable where nobody would see the folder: a look goes no deeper (`layout.DEEPEST`)."""
    if path.count("/") > DEEPEST:
        raise MailboxUnavailable(f"The folder of {name} would lie deeper than folders are looked for.")


def _is_bare(tree: Tree, path: str) -> bool:
    """Whether a folder has no mail: it is there for its children."""
    return not any((tree.root / path / sub).exists() for sub in ("cur", "new"))


def _is_folder(tree: Tree, path: str) -> bool:
    return (tree.root / path).is_dir()


def _exact(tree: Tree, path: str, name: str) -> tuple[tuple[str, str], ...]:
    """What a marker has to say of a mailbox's name: nothing where the folder's name says it."""
    return () if tree.shape.name_of(path) == name else ((path, name),)


def _make(tree: Tree, path: str, name: str, role: str | None) -> None:
    draft = MAKING + tree.random(8).hex()
    tree.step("making")
    os.mkdir(draft, 0o700, dir_fd=tree.root_fd)
    folder = open_folder(tree.root, draft)
    try:
        for sub in _SUBS:
            os.mkdir(sub, 0o700, dir_fd=folder)
        if tree.shape.layout is Layout.MAILDIRPP:
            os.close(os.open("maildirfolder", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder))
        marker.write(folder, Marker(new_id(tree.random), role, _exact(tree, path, name)))
    finally:
        os.close(folder)
    tree.step("putting in place")
    above = _make_above(tree, path)
    os.rename(draft, path, src_dir_fd=tree.root_fd, dst_dir_fd=tree.root_fd)
    tree.step("in place")
    _sync(tree, "", above)


def _furnish(tree: Tree, path: str, name: str, role: str | None) -> None:
    """A folder that was there for its children becomes a mailbox: cur comes last."""
    folder = open_folder(tree.root, path)
    try:
        marker.write(folder, Marker(new_id(tree.random), role, _exact(tree, path, name)))
        for sub in ("tmp", "new", "cur"):
            tree.step("furnishing")
            os.mkdir(sub, 0o700, dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(folder)


def _make_above(tree: Tree, path: str) -> str:
    """Make the folders above one (PLAIN); the path right above."""
    above = path.rpartition("/")[0]
    if above:
        (tree.root / above).mkdir(mode=0o700, parents=True, exist_ok=True)
    return above


def _sync(tree: Tree, *paths: str) -> None:
    for path in {*paths}:
        folder = open_folder(tree.root, path)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def rename(tree: Tree, name: str, new: str) -> None:
    """See `Side.rename`."""
    known = tree.known(name)
    children = tree.children(name)
    if name == INBOX:
        raise MailboxUnavailable("INBOX is not renamed.")
    for other in (new, *(new + child[len(name) :] for child in children)):
        if tree.is_known(other):
            raise MailboxUnavailable(f"There is a mailbox {other} already.")
    if new.startswith(name + "/"):
        raise MailboxUnavailable(f"{name} is not renamed into itself.")
    with _blaming(name):
        if tree.shape.layout is Layout.PLAIN:
            _rename_folder(tree, known.path, name, new)
        else:
            for child in (*reversed(children), name):
                _rename_folder(tree, tree.known(child).path, child, new + child[len(name) :])
    tree.forget_names()


def _rename_folder(tree: Tree, path: str, name: str, new: str) -> None:
    """Rename one folder; in a plain tree those below go along, in theirs nothing is written but exact names."""
    target = _free_path(tree, new)
    if (tree.root / target).exists():
        raise MailboxUnavailable(f"There is a folder in the place of {new} already.")
    if tree.shape.layout is Layout.PLAIN:
        for child in tree.children(name):
            _see_depth(child, target + tree.known(child).path[len(path) :])
    above = _make_above(tree, target)
    _announce(tree, path, target, name, new)
    if tree.shape.layout is Layout.PLAIN:
        for child in tree.children(name):
            below = tree.known(child).path
            _announce(tree, below, target + below[len(path) :], child, new + child[len(name) :])
    tree.step("renaming a folder")
    os.rename(path, target, src_dir_fd=tree.root_fd, dst_dir_fd=tree.root_fd)
    tree.step("renamed a folder")
    _sync(tree, "", above, path.rpartition("/")[0])


def _announce(tree: Tree, path: str, target: str, name: str, new: str) -> None:
    """Write into a folder's marker what it is called exactly, now and after it was renamed: each holds in its place."""
    folder = open_folder(tree.root, path)
    try:
        found, _ = marker.read(folder)
        names = _exact(tree, path, name) + _exact(tree, target, new)
        if found is not None and found.names != names:
            marker.write(folder, replace(found, names=names))
    finally:
        os.close(folder)


def delete(tree: Tree, name: str) -> None:
    """See `Side.delete`. Raises MailboxUnavailable where mail came that the asker has not been told of."""
    if name == INBOX:
        raise MailboxUnavailable("INBOX is not deleted.")
    with tree.folder(name) as folder:
        told = tree.memory.told.get(folder.key)
        tree.refresh(folder)
        if told is not None and tree.index.folder(folder.key).number != told:
            raise MailboxUnavailable(f"The mailbox {name} changed since it was read.", "The next run looks again.")
        key, path, number = folder.key, tree.known(name).path, tree.index.folder(folder.key).messages
    grave = REMOVED + tree.random(8).hex()
    with _blaming(name):
        tree.step("taking away")
        if tree.shape.layout is Layout.PLAIN and any(other.startswith(path + "/") for other in tree.paths):
            _take_out(tree, path, grave)
        else:
            os.rename(path, grave, src_dir_fd=tree.root_fd, dst_dir_fd=tree.root_fd)
        tree.step("taken away")
        _bring_back_unless(tree, name, grave, path, number)
        _sync(tree, "", path.rpartition("/")[0])
        with tree.index.writing():
            tree.index.forget(key)
        tree.step("forgotten")
        _empty(tree.root / grave)
    tree.forget_names()


def _bring_back_unless(tree: Tree, name: str, grave: str, path: str, number: int) -> None:
    """Mail that was delivered right before the folder was taken away: the folder goes back with it. What comes later
    finds no folder. Raises MailboxUnavailable."""
    folder = open_folder(tree.root, grave)
    try:
        there = sum(1 for _ in unique_names_in(folder))
    finally:
        os.close(folder)
    if there <= number:
        return
    back, again = path, 2
    while (tree.root / back / "cur").exists():  # made anew meanwhile
        back, again = f"{path}_{again}", again + 1
    if (tree.root / back).exists():  # left for its children
        for sub in (*_SUBS, marker.FILE):
            os.rename(f"{grave}/{sub}", f"{back}/{sub}", src_dir_fd=tree.root_fd, dst_dir_fd=tree.root_fd)
        os.rmdir(grave, dir_fd=tree.root_fd)
    else:
        os.rename(grave, back, src_dir_fd=tree.root_fd, dst_dir_fd=tree.root_fd)
    tree.forget_names()
    raise MailboxUnavailable(f"The mailbox {name} changed since it was read.", "The next run looks again.")


def _empty(grave: Path) -> None:
    """Remove a folder that was taken away; of one behind a link its mail, and the link."""
    if not grave.is_symlink():
        shutil.rmtree(grave)
        return
    for sub in _SUBS:
        if (grave / sub).exists():
            shutil.rmtree(grave / sub)
    (grave / marker.FILE).unlink(missing_ok=True)
    grave.unlink()


def _take_out(tree: Tree, path: str, grave: str) -> None:
    """Leave a folder to its children: its mail goes, cur first, so that it is no mailbox from there on."""
    os.mkdir(grave, 0o700, dir_fd=tree.root_fd)
    for sub in ("cur", "new", "tmp", marker.FILE):
        source = f"{path}/{sub}"
        try:
            os.rename(source, f"{grave}/{sub}", src_dir_fd=tree.root_fd, dst_dir_fd=tree.root_fd)
        except FileNotFoundError:
            continue


def subscribe(tree: Tree, name: str, subscribed: bool) -> None:
    known = tree.known(name)
    with _blaming(name):
        try:
            subscriptions.write(
                tree.root_fd, known.path, tree.shape.layout, tree.clock, inbox=name == INBOX, subscribed=subscribed
            )
        except Locked as cause:
            raise MailboxUnavailable("Another program holds the list of subscriptions.") from cause


def set_role(tree: Tree, name: str, role: str | None) -> bool:
    """Write the special use into the folder's marker."""
    with tree.folder(name) as folder:
        found, _ = marker.read(folder.fd)
        if found is None:
            return False
        if found.role != role:
            marker.write(folder.fd, replace(found, role=role))
    return True


def adopt(tree: Tree, name: str) -> Place:
    """Take the folder in a mailbox's place for a new mailbox, where it is not the one that was known."""
    known = tree.known_or_not(name)
    with _blaming(name):
        folder = open_folder(tree.root, known.path)
        try:
            found, _ = marker.read(folder)
            if found is None:
                marker.write(folder, Marker(new_id(tree.random), None, _exact(tree, known.path, name)))
            for sub in _SUBS:
                (tree.root / known.path / sub).mkdir(mode=0o700, exist_ok=True)
        finally:
            os.close(folder)
    tree.forget_names()
    return next(place for place in tree.places() if place.name == name)
