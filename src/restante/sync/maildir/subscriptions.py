"""The `subscriptions` file in a tree's root, as Dovecot keeps it: read, and one line added or taken away.

Version 2 begins with a line "V<tab>2" and an empty one and has tabs between levels; version 1 has the names as the
layout writes them. All other lines stay as they are.
"""

from __future__ import annotations

import os

from ...clock import Clock
from ...exchange import dovecot
from ..dotlock import dotlock
from .layout import INBOX, Layout
from .marker import open_plain, replace

LONGEST = 1 << 24
_HEAD = b"V\t2\n\n"


def read(root: int) -> frozenset[str]:
    """Subscribed folders, by `line_of` of their paths."""
    return frozenset(dovecot.parse_subscriptions(_data(root)))


def is_subscribed(subscribed: frozenset[str], path: str, layout: Layout, *, inbox: bool) -> bool:
    """Whether the folder at this path is among them."""
    if inbox:
        return INBOX in subscribed
    name = path[1:].replace(".", "/") if layout is Layout.MAILDIRPP else path
    return name in subscribed or name.replace(".", "/") in subscribed  # version 1 leaves no dot


def write(root: int, path: str, layout: Layout, clock: Clock, *, inbox: bool, subscribed: bool) -> None:
    """Subscribe or unsubscribe the folder at this path. Raises dotlock.Locked."""
    with dotlock(root, dovecot.SUBSCRIPTIONS, clock.now):
        data = _data(root) or _HEAD
        second = data.startswith(b"V\t2\n")
        name = _name(path, layout, inbox=inbox, second=second)
        lines = [line for line in data.split(b"\n") if line]
        head, names = (lines[:1], lines[1:]) if second else ([], lines)
        if (name in names) is subscribed:
            return
        names = [*names, name] if subscribed else [one for one in names if one != name]
        text = b"\n".join([*head, b"", *names] if second else names)
        replace(root, dovecot.SUBSCRIPTIONS, f"{dovecot.SUBSCRIPTIONS}.new", text + b"\n")


def _name(path: str, layout: Layout, *, inbox: bool, second: bool) -> bytes:
    if inbox:
        return INBOX.encode()
    folder = path[1:] if layout is Layout.MAILDIRPP else path
    if second:
        folder = folder.replace("." if layout is Layout.MAILDIRPP else "/", "\t")
    return os.fsencode(folder)


def _data(root: int) -> bytes:
    try:
        handle = open_plain(root, dovecot.SUBSCRIPTIONS, links=0)
    except FileNotFoundError:
        return b""
    with os.fdopen(handle, "rb") as stream:
        return stream.read(LONGEST)
