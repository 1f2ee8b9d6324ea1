"""Files that are sealed as one part: indexes, snapshots, lists of what may go. Pure.

```
head      8  "RSTBKUP1"     1  what it is     7  zero     32  random
part 0    sealed: 8 octets length, the content, zeros up to the next multiple of the kind's step
```
The zeros hide the content's size; they are sealed with it, so that no octet of a file can change unseen.
"""

from __future__ import annotations

from enum import Enum

from .crypto import SALT_OCTETS, TAG_OCTETS, VERIFY, Sealer, Secrets
from .errors import Corrupt, NewerFormat

MAGIC = b"RSTBKUP1"
HEAD_OCTETS = 16 + SALT_OCTETS


class FileKind(Enum):
    """What a sealed file is: the octet in its head. Its folder is the member's name in lower case."""

    MAIL = b"M"
    META = b"T"
    INDEX = b"I"
    SNAPSHOT = b"S"
    CONDEMNED = b"C"
    READ = b"R"


STEPS = {
    FileKind.MAIL: 64 << 10,
    FileKind.META: 16 << 10,
    FileKind.INDEX: 16 << 10,
    FileKind.SNAPSHOT: 4 << 10,
    FileKind.CONDEMNED: 4 << 10,
    FileKind.READ: 4 << 10,
}
"""A file's size is a multiple of this."""


def make_head(kind: FileKind, salt: bytes) -> bytes:
    """The first octets of a file. salt: 32 random octets, drawn for this file alone."""
    if len(salt) != SALT_OCTETS:
        raise ValueError("a file's salt has 32 octets")
    return MAGIC + kind.value + bytes(7) + salt


def check_head(data: bytes, kind: FileKind) -> bytes:
    """The head of a file of this kind. Raises Corrupt, NewerFormat."""
    head = data[:HEAD_OCTETS]
    if len(head) < HEAD_OCTETS or head[:7] != MAGIC[:7]:
        raise Corrupt("This is no file of a backup.", VERIFY)
    if head[:8] != MAGIC:
        raise NewerFormat("The backup was written by a newer Restante.", "Install that version.")
    if head[8:9] != kind.value or head[9:16] != bytes(7):
        raise Corrupt("A file of the backup is not of the kind that its place says.", VERIFY)
    return head


def seal_file(secrets: Secrets, kind: FileKind, content: bytes, salt: bytes) -> bytes:
    """A whole file with this content."""
    head = make_head(kind, salt)
    plain = len(content).to_bytes(8, "little") + content
    plain += bytes(-(HEAD_OCTETS + len(plain) + TAG_OCTETS) % STEPS[kind])
    return head + secrets.sealer(head).seal(0, plain)


def open_file(secrets: Secrets, kind: FileKind, data: bytes) -> bytes:
    """The content. Raises Corrupt, NewerFormat."""
    sealer: Sealer = secrets.sealer(check_head(data, kind))
    plain = sealer.open(0, data[HEAD_OCTETS:])
    size = int.from_bytes(plain[:8], "little")
    if size > len(plain) - 8:
        raise Corrupt("A file of the backup has another size than it says.", VERIFY)
    return plain[8 : 8 + size]
