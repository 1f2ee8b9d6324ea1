"""restante-id: the file that makes a folder the one it was.

A folder's path says nothing: a mount that is missing, a link that dangles or a folder made anew leave an empty one in
its place, and an empty mailbox would have its messages removed on the other side. So each folder holds a random
identity; it goes with the folder when that is renamed, and tells a copy of the folder from it. Lines of text:

    restante 1
    id rA4...
    role \\Sent             special use, where the folder has one
    folder .A_B             what the folder was called when `name` was written; while it still is,
    name A.B                its mailbox has this name exactly

The file's own time is the file system's clock: `touch` says what a change made from now on will be dated at least.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass

from ...clock import Random

FILE = "restante-id"
LONGEST = 1 << 14
_ID = re.compile(r"[0-9A-Za-z._-]{8,64}")


@dataclass(frozen=True, slots=True)
class Marker:
    """What a marker says. role: special use. folder, name: see above."""

    id: str
    role: str | None = None
    folder: str | None = None
    name: str | None = None


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
    for line in lines[1:]:
        key, _, value = line.partition(" ")
        said.setdefault(key, value)
    if not _ID.fullmatch(said.get("id", "")):
        return None
    return Marker(said["id"], said.get("role"), said.get("folder"), said.get("name"))


def format_marker(marker: Marker) -> bytes:
    lines = ["restante 1", f"id {marker.id}"]
    for key, value in (("role", marker.role), ("folder", marker.folder), ("name", marker.name)):
        if value is not None:
            if "\n" in value:
                raise ValueError("no line of a marker has a line end")
            lines.append(f"{key} {value}")
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def read(folder: int) -> tuple[Marker | None, int]:
    """The marker in a folder (a descriptor) and its time, nanoseconds; (None, 0) where there is none."""
    try:
        handle = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
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
