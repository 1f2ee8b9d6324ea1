"""A Maildir tree from outside: what has to be as it was for a whole run to find nothing changed in it.

Which folders there are, that they are the ones that they were (device, inode, marker), and the times of their cur and
new (`maildir.look`): a few system calls a folder, whatever it holds. Compared with `==` to what was written down, and
made of less than a whole run asks; so whatever a whole run might see differently is in it. Imports `os` alone.
"""

from __future__ import annotations

import os

Tree = dict[str, object]
"""JSON's values: what `picture` answers."""

MARKER = "restante-id"
SUBSCRIPTIONS = "subscriptions"
PARTS = ("cur", "new", "dovecot-keywords")
SUBS = frozenset(("cur", "new", "tmp"))

MOST = 1 << 16
"""Octets of a file that is compared whole."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PLAIN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def picture(root: str, paths: list[str], *, deep: bool) -> Tree:
    """The tree as it is. paths: of all folders, relative to the root. deep: they lie within one another (no Maildir++).

    Raises OSError, ValueError.
    """
    folders: dict[str, list[object]] = {}
    for path in ["", *(path for path in paths if path)]:
        try:
            folders[path] = _folder(f"{root}/{path}" if path else root, listed=deep or not path)
        except FileNotFoundError:
            if not path:
                raise
            folders[path] = []  # a link to nowhere
    return {"root": root, "paths": paths, "deep": deep, "folders": folders, "subscriptions": _text(root, SUBSCRIPTIONS)}


def same(then: Tree) -> bool:
    """Whether the tree is as this was. Raises OSError; also TypeError, KeyError where this is none."""
    paths = then["paths"]
    if not isinstance(paths, list):
        raise TypeError
    return picture(str(then["root"]), paths, deep=bool(then["deep"])) == then


def dropped(folder: str) -> bool:
    """Whether a message lies in the folder that somebody put there as it was (`names.is_loose`)."""
    with os.scandir(folder) as entries:
        return any(entry.name.lower().endswith(".eml") for entry in entries)


def _folder(path: str, *, listed: bool) -> list[object]:
    """[device, inode, names of what is in it, state, marker]."""
    handle = os.open(path, _FOLDER)
    try:
        status = os.fstat(handle)
        names = _names(handle) if listed else []
        return [status.st_dev, status.st_ino, names, state(handle), _text(path, MARKER)]
    finally:
        os.close(handle)


def _names(folder: int) -> list[str]:
    """What is in a folder; a file that makes way for a folder of its name is seen, and a link that leads elsewhere."""
    with os.scandir(folder) as entries:
        return sorted(_entry(each) for each in entries if each.name not in SUBS)


def _entry(entry: os.DirEntry[str]) -> str:
    if not entry.is_dir():
        return entry.name
    if not entry.is_symlink():
        return f"{entry.name}/"
    status = entry.stat()
    return f"{entry.name}/{status.st_dev:x}.{status.st_ino:x}"


def state(folder: int) -> str:
    """As `maildir.look` has it: what changes with any change of a message."""
    parts = []
    for sub in PARTS:
        try:
            status = os.stat(sub, dir_fd=folder)
        except FileNotFoundError:
            parts.append("-")
        else:
            parts.append(f"{status.st_ino:x}.{status.st_mtime_ns:x}")
    return "_".join(parts)


def _text(folder: str, file: str) -> str | None:
    """A small file, its octets as Latin-1; None where there is none. Raises OSError, ValueError where it is large."""
    try:
        handle = os.open(f"{folder}/{file}", _PLAIN)
    except FileNotFoundError:
        return None
    try:
        data = os.read(handle, MOST)
    finally:
        os.close(handle)
    if len(data) == MOST:
        raise ValueError(f"{file} is large")
    return data.decode("latin-1")
