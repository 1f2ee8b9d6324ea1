"""The tree as a run found it in which nothing had changed, for the next one to compare (`unchanged.tree`)."""

from __future__ import annotations

import os

from ...exchange import dovecot
from ...values import Value
from ..unchanged import tree as outside
from ..unchanged.record import stamp
from . import marker
from .census import Found
from .index import Forgotten
from .layout import Layout
from .tree import Tree


class Picture(Value, frozen=True):
    """tree: see `unchanged.tree.picture`. index_stamp: of the index. empty: folders of mailboxes without messages."""

    tree: outside.Tree
    index_stamp: list[int]
    empty: dict[str, str]


def picture(tree: Tree, index: str) -> Picture | None:
    """What the last `places` saw, where the index was the picture of it without anything being read; else None.

    index: path of its file. Cost: system calls by folders.
    """
    root = str(tree.root)
    if not os.path.isabs(root) or not all(map(_is_settled, tree.found)):  # noqa: PTH117 (it is a string here)
        return None
    written = stamp(f"{index}-wal")
    known = stamp(index)
    if known is None or (written is not None and written[1]):
        return None  # something was written to the index: the next run will tell
    try:
        paths = sorted(tree.shape.folders(tree.root))
        seen = outside.picture(root, paths, deep=tree.shape.layout is Layout.PLAIN)
        if sorted(tree.shape.folders(tree.root)) != paths:
            return None  # somebody makes one: the picture may have its name, and nobody has seen it
    except (OSError, ValueError):
        return None
    try:
        empty = tree.empty()
    except Forgotten:
        return None
    if not _agrees(tree, seen, paths):
        return None
    return Picture(seen, known, {name: f"{root}/{path}" if path else root for name, path in empty.items()})


def _is_settled(one: Found) -> bool:
    return one.look is not None and one.row is not None and one.look.settled and one.look.state == one.row.scanned


def _agrees(tree: Tree, seen: outside.Tree, paths: list[str]) -> bool:
    """Whether the picture is of what `places` saw, and not of what somebody has made of it meanwhile."""
    folders, subscribed = seen["folders"], seen["subscriptions"]
    assert isinstance(folders, dict)
    root = os.fstat(tree.root_fd)
    mark = _marker(folders[""])
    if folders[""][:2] != [root.st_dev, root.st_ino] or mark is None or mark.id != tree.index.root():
        return False
    for one in tree.found:
        there, look = folders.get(one.path), one.look
        if not there or look is None or one.inode is None:
            return False
        if there[:2] != list(one.inode) or there[3] != look.state or _marker(there) != look.marker:
            return False
    mine = {one.path for one in tree.found}
    inodes = {one.inode for one in tree.found}
    for path in paths:  # no mailbox that came meanwhile; other paths to one (links) are left out
        there = folders[path]
        if there and path not in mine and not there[3].startswith("-_-") and (there[0], there[1]) not in inodes:
            return False
    assert subscribed is None or isinstance(subscribed, str)
    return tree.subscribed == frozenset(dovecot.parse_subscriptions((subscribed or "").encode("latin-1")))


def _marker(folder: list[object]) -> marker.Marker | None:
    text = folder[4]
    return marker.parse(text.encode("latin-1")) if isinstance(text, str) else None
