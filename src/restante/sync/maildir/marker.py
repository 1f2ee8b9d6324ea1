"""restante-id: the file that makes a folder the one it was.

A folder's path says nothing: a mount that is missing, a link that dangles or a folder made anew leave an empty one in
its place, and an empty mailbox would have its messages removed on the other side. So each folder holds a random
identity; it goes with the folder when that is renamed, and tells a copy of the folder from it. Lines of text:

    restante 1
    id rA4...
    role \\Sent             special use, where the folder has one
    folder .A_B             while the folder is called so,
    name A.B                its mailbox has this name exactly (two such pairs while it is being renamed)

The file's own time is the file system's clock: `touch` says what a change made from now on will be dated at least.
"""

from __future__ import annotations

import base64
import errno
import os
import re
import stat

from ...clock import Random
from ...values import Value

FILE = "restante-id"
LONGEST = 1 << 14
_ID = re.compile(r"[0-9A-Za-z._-]{8,64}")


class Marker(Value, frozen=True):
    """What a marker says. role: special use. names: exact ones, by what the folder is called."""

    id: str
    role: str | None = None
    names: tuple[tuple[str, str], ...] = ()

    def name_at(self, folder: str) -> str | None:
        """The exact name of the mailbox while its folder is called so; None where the folder's name says it."""
        return dict(self.names).get(folder)


def new_id(random: Random) -> str:
    """An identity: "r" and 26 base32 characters (128 bits)."""
    return "r" + base64.b32encode(random(16)).decode("ascii").rstrip("=").lower()


def parse(data: bytes) -> Marker | None:
    """None where this is no marker of a version that is understood."""
    try:
        lines = data.decode("utf-8", "surrogateescape").split("\n")
    except UnicodeDecodeError:
        return None
    if lines[0] != "restante 1" or not data.endswith(b"\n"):
        return None
    said: dict[str, str] = {}
    names: list[tuple[str, str]] = []
    for line in lines[1:]:
        key, _, value = line.partition(" ")
        if key == "name" and "folder" in said:
            names.append((said.pop("folder"), value))
        else:
            said[key] = value
    if not _ID.fullmatch(said.get("id", "")):
        return None
    return Marker(said["id"], said.get("role"), tuple(names))


def format_marker(marker: Marker) -> bytes:
    lines = [("restante", "1"), ("id", marker.id)]
    lines += [("role", marker.role)] if marker.role is not None else []
    for folder, name in marker.names:
        lines += [("folder", folder), ("name", name)]
    if any("\n" in value for _, value in lines):
        raise ValueError("no line of a marker has a line end")
    return "".join(f"{key} {value}\n" for key, value in lines).encode("utf-8", "surrogateescape")


def open_plain(folder: int, file: str, links: int = os.O_NOFOLLOW) -> int:
    """Open a file of the tree's own for reading: nothing that would have us wait (a pipe), and no link, unless `links`
    is 0. Raises OSError."""
    handle = os.open(file, os.O_RDONLY | links | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, f"{file} is no file")
    return handle


def read(folder: int) -> tuple[Marker | None, int]:
    """The marker in a folder (a descriptor) and its time, nanoseconds; (None, 0) where there is none."""
    try:
        handle = open_plain(folder, FILE)
    except FileNotFoundError:
        return None, 0
    try:
        return parse(os.read(handle, LONGEST)), os.fstat(handle).st_mtime_ns
    finally:
        os.close(handle)


def write(folder: int, marker: Marker) -> None:
    """Put the marker there, durably; whoever reads meanwhile finds the old or the new one whole."""
    replace(folder, FILE, FILE + ".new", format_marker(marker))


def touch(folder: int) -> int:
    """The file system's present, in nanoseconds: a change from now on is dated this or later."""
    os.utime(FILE, dir_fd=folder, follow_symlinks=False)
    return os.stat(FILE, dir_fd=folder, follow_symlinks=False).st_mtime_ns


def replace(folder: int, file: str, draft: str, data: bytes, time: int | None = None) -> None:
    """Write `draft`, make it durable, and put it in the place of `file`. time: of its change, seconds."""
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if time is not None:
                os.utime(stream.fileno(), (time, time))
            os.fsync(stream.fileno())
        os.rename(draft, file, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        remove_if_there(folder, draft)
        raise
    os.fsync(folder)


def remove_if_there(folder: int, file: str | bytes) -> bool:
    """Unlink; False where it is not there."""
    try:
        os.unlink(file, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True
