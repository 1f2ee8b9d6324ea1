"""Where a mailbox's folder lies in the tree, and which folders there are.

MAILDIRPP (Maildir++): ".A.B" beside the root's own cur, new and tmp is A/B; the root is INBOX. PLAIN: "A/B" is A/B;
INBOX is a folder of that name or the root, as told. Names on disk are modified UTF-7, as Dovecot, Courier and mbsync
write them (or UTF-8, as told); both are read. What a folder's name cannot say (a dot within a level of Maildir++, a
level called "cur" or "subscriptions") is written with "_", and the folder's marker has the name exactly.

What begins with two dots is none: Dovecot puts folders there that it is deleting.

Symbolic links to folders are followed: people keep archives elsewhere. One that dangles is told of as it is.
"""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from ...exchange import dovecot
from ...exchange.names import LONGEST_FOLDER, encode_utf7, from_disk
from ...inbox import is_inbox
from ...values import Value

INBOX = "INBOX"
DEEPEST = 20
MOST_FOLDERS = 10_000
OWN = "restante-"
"""What our own files and folders in a tree begin with."""
MAKING = OWN + "making-"
REMOVED = OWN + "removed-"
"""Folders that are being made or removed: no mailboxes."""

_SUBS = ("cur", "new", "tmp")
_FILES = frozenset(
    file + end for file in (dovecot.SUBSCRIPTIONS, dovecot.KEYWORDS, dovecot.UIDLIST) for end in ("", ".lock", ".new")
)
"""Dovecot's files, in a plain tree beside the folders of mailboxes: a folder of such a name would be in their way."""


class Layout(Enum):
    MAILDIRPP = "maildir++"
    PLAIN = "plain"


class Shape(Value, frozen=True):
    """How a tree is laid out. inbox: path of INBOX's folder below the root, "" for the root itself.

    utf8: new folders are named in UTF-8, else in modified UTF-7.
    """

    layout: Layout = Layout.MAILDIRPP
    inbox: str = ""
    utf8: bool = False

    def level(self, text: str) -> str:
        """One level of a mailbox's name as it stands on disk; not always reversible, always safe."""
        coded = unicodedata.normalize("NFC", text) if self.utf8 else encode_utf7(text)
        coded = re.sub(r"[/\x00-\x1f\x7f]", "_", coded)
        if self.layout is Layout.MAILDIRPP:
            coded = coded.replace(".", "_")
        elif coded.startswith((".", OWN)) or coded in _SUBS or coded.lower() in _FILES:
            coded = "_" + coded.removeprefix(".")
        return coded or "_"

    def path_of(self, name: str) -> str:
        """Where a new mailbox's folder should lie, relative to the root; another may be there already."""
        if name == INBOX:
            return self.inbox
        levels = [self._short(self.level(level)) for level in name.split("/")]
        if self.layout is Layout.PLAIN:
            return "/".join(levels)
        folder = "." + ".".join(levels)
        return folder if len(os.fsencode(folder)) <= LONGEST_FOLDER else self._short(folder)

    def _short(self, text: str) -> str:
        octets = os.fsencode(text)
        if len(octets) <= LONGEST_FOLDER:
            return text
        from hashlib import sha256  # for long names alone: importing it costs

        return octets[: LONGEST_FOLDER - 17].decode("utf-8", "ignore") + "_" + sha256(octets).hexdigest()[:16]

    def name_of(self, path: str) -> str:
        """The mailbox that a folder's path means by itself."""
        if path == self.inbox:
            return INBOX
        levels = path[1:].split(".") if self.layout is Layout.MAILDIRPP else path.split("/")
        return "/".join(from_disk(level) for level in levels if level)

    def folders(self, root: Path) -> Iterator[str]:
        """Paths of all folders that may be mailboxes, relative to the root ("" for itself), in no order.

        Those that are links to nowhere are among them. Raises OSError where the root cannot be read.
        """
        if self.inbox == "":
            yield ""
        if self.layout is Layout.MAILDIRPP:
            with os.scandir(root) as entries:
                for entry in entries:
                    if entry.name.startswith(".") and not entry.name.startswith("..") and _may_be_folder(entry):
                        yield entry.name
        else:
            yield from self._plain(root)

    def _plain(self, root: Path) -> Iterator[str]:
        pending, seen, count = [("", 0)], set[tuple[int, int]](), 0
        while pending:
            path, depth = pending.pop()
            with os.scandir(root / path) as entries:
                for entry in entries:
                    if entry.name.startswith((".", OWN)) or entry.name in _SUBS or not _may_be_folder(entry):
                        continue
                    below = f"{path}/{entry.name}" if path else entry.name
                    if entry.is_symlink():
                        if not entry.is_dir():
                            yield below
                            continue
                        status = entry.stat()
                        if (status.st_dev, status.st_ino) in seen:
                            continue  # a link into the tree itself
                        seen.add((status.st_dev, status.st_ino))
                    count += 1
                    if count > MOST_FOLDERS:  # to leave some out would look as if they were gone
                        raise OSError(errno.EMFILE, f"There are more than {MOST_FOLDERS} folders")
                    yield below
                    if depth < DEEPEST:
                        pending.append((below, depth + 1))


def _may_be_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() or entry.is_symlink()


def detect(root: Path) -> tuple[Layout, str]:
    """The layout of a tree that is there, and INBOX's folder in it; Maildir++ where nothing says otherwise."""
    plain = Shape(Layout.PLAIN, "?")
    if not root.is_dir():
        return Layout.MAILDIRPP, ""
    below = [path for path in plain.folders(root) if (root / path / "cur").is_dir()]
    itself = (root / "cur").is_dir()
    if not below or any(path.startswith(".") and (root / path / "cur").is_dir() for path in _names(root)):
        return Layout.MAILDIRPP, ""
    inbox = next((path for path in sorted(below) if is_inbox(path)), INBOX)
    return Layout.PLAIN, "" if itself else inbox


def _names(root: Path) -> list[str]:
    return [path.name for path in root.iterdir()]
