"""A folder of messages, one a file, and of mbox files: what people have when they have no mailbox format.

Each folder with messages is a mailbox named by its path, the source's own is "". An mbox file is a mailbox of
its own, named by its path without ".mbox". What is neither is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..store.model import Flags
from .dates import header_date
from .incoming import DEFAULT_LARGEST, Incoming, Item, Skipped, SourceMailbox
from .mbox import FIELD, is_mbox, read_mbox
from .names import clean, from_disk
from .tree import File, Tree, read_whole

MBOX_NAMES = re.compile(r".*\.(mbox|mbx)", re.IGNORECASE)
MESSAGE_NAMES = re.compile(r".*\.(eml|mail|msg|rfc822)|\d+", re.IGNORECASE)
"""Names that say: a message. MH folders have bare numbers."""
NO_MAIL = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|.*\.(msf|dat|index)|\.mh_sequences|[,#]\d+", re.IGNORECASE)
"""Names of what mail programs keep beside mail; "," or "#" before a number: what MH has removed."""
EMPTY = "empty"
NOT_MAIL = "not a message, an mbox or a Maildir"
APPLE_NOTES = "what macOS notes of another file"
OLE = b"\xd0\xcf\x11\xe0"
APPLE_DOUBLE = b"\x00\x05\x16\x07"
"""A file that macOS lays beside each one in archives and on foreign disks, under its name with "._" before it."""
OTHER_MAIL = re.compile(r".*\.(emlx|mbox|mbx|pst|ost|olm|dbx|tar|tgz|tbz|txz|gz|bz2|xz|zip)", re.IGNORECASE)
"""Names of what may well hold mail, in a form that is not read here: Apple's, Microsoft's, archives within."""


class FolderSource:
    """Messages and mbox files of a tree, maildirs within it left out. files: those to look at.

    single: the source is one file, so that even an mbox has no name of its own.
    """

    def __init__(self, tree: Tree, files: list[File], largest: int = DEFAULT_LARGEST, *, single: bool = False) -> None:
        self._tree = tree
        self._files = sorted(files, key=_natural)
        self._largest = largest
        self._single = single
        self.total = sum(file.size for file in files)

    def items(self) -> Iterator[Item]:
        told: set[str] = set()
        for file in self._files:
            try:
                yield from self._file(file, told)
            except OSError as cause:
                yield Skipped(file.path, cause.strerror or str(cause))

    def subscriptions(self) -> list[str] | None:
        return None

    def close(self) -> None:
        self._tree.close()

    def _file(self, file: File, told: set[str]) -> Iterator[Item]:
        with self._tree.open(file) as stream:
            if is_mbox(stream):
                name = "" if self._single else mbox_name(file.path)
                yield SourceMailbox(name)
                told.add(name)
                yield from read_mbox(stream, name, file.path, file.mtime, self._largest)
                return
            if file.size > self._largest:
                yield Skipped(file.path, f"larger than {self._largest} octets")
                return
            data = read_whole(stream, file, self._largest + 1)
        reason = why_no_message(file, data)
        if reason:
            yield from self._not_taken(file, reason, told)
            return
        name = _folder_name(file.path)
        if name not in told:
            told.add(name)
            yield SourceMailbox(name)
        received = header_date(data)
        yield Incoming(data, Flags(), file.mtime if received is None else received, name, file.path)

    def _not_taken(self, file: File, reason: str, told: set[str]) -> Iterator[Item]:
        """What a file that is no message is: an empty mbox is a mailbox without mail, which nothing says but its name.

        A file that the person named himself may well have been mail.
        """
        if reason is EMPTY and MBOX_NAMES.fullmatch(file.name):
            name = "" if self._single else mbox_name(file.path)
            told.add(name)
            yield SourceMailbox(name)
            return
        lost = _may_be_mail(file.name, reason) or (self._single and reason is not EMPTY)
        yield Skipped(file.path, reason, lost=lost)


def _may_be_mail(name: str, reason: str) -> bool:
    """Whether a file that is no message may have been one, or hold some."""
    if reason is EMPTY:
        return MESSAGE_NAMES.fullmatch(name) is not None
    if reason is NOT_MAIL:
        return OTHER_MAIL.fullmatch(name) is not None
    return reason is not APPLE_NOTES


def why_no_message(file: File, data: bytes) -> str | None:
    """Why a file is not taken as a message, None if it is: by its name, or because it begins with a header field."""
    if not data:
        return EMPTY
    if data.startswith(APPLE_DOUBLE):
        return APPLE_NOTES
    if data.startswith(OLE):
        return "an Outlook .msg file, which is no Internet message"
    if MESSAGE_NAMES.fullmatch(file.name):
        return None
    if FIELD.match(data) and b"\0" not in data[:1000] and not NO_MAIL.fullmatch(file.name):
        return None
    return NOT_MAIL


def _natural(file: File) -> tuple[str, list[tuple[int, str]]]:
    """Files of a folder together, numbers in names by value: message.9 before message.10."""
    folder, _, name = file.path.rpartition("/")
    parts = re.split(r"(\d{1,18})", name)
    return folder, [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _folder_name(path: str) -> str:
    return clean(_text(path.rpartition("/")[0]))


def mbox_name(path: str) -> str:
    """Thunderbird keeps children of the mbox `A` in the folder `A.sbd`; Apple Mail exports `A` as `A.mbox/mbox`."""
    levels = [re.sub(r"\.(mbox|mbx|sbd)$", "", level, flags=re.IGNORECASE) for level in path.split("/")]
    if path.lower().endswith(".mbox/mbox"):
        levels.pop()
    return clean(_text("/".join(levels))) or "mbox"


def _text(path: str) -> str:
    return "/".join(from_disk(level) for level in path.split("/"))
