"""Files that are sealed as one part: indexes, snapshots, lists of what may go. Pure.

```
head      8  "RSTBKUP1"     1  what it is     7  zero     32  random
part 0    sealed: 8 octets length, the content, zeros up to the next multiple of the kind's step
```
The zeros hide the content's size; they are sealed with it, so that no octet of a file can change unseen.

In a repository that is sealed to a public key, files of the kinds in `ENVELOPED` are of version 2: between head and
parts lies an envelope (`recipient`) with what their key is made of.
"""

from __future__ import annotations

from enum import Enum

from .crypto import ENVELOPE_OCTETS, SALT_OCTETS, TAG_OCTETS, VERIFY, Sealer, Secrets
from .errors import Corrupt, NewerFormat

MAGIC = b"RSTBKUP1"
MAGIC_ENVELOPED = b"RSTBKUP2"
HEAD_OCTETS = 16 + SALT_OCTETS
DRAWN_OCTETS = 2 * SALT_OCTETS
"""Random octets for a new file: its salt, and what goes into its envelope if it has one."""


class FileKind(Enum):
    """What a sealed file is: the octet in its head. Its folder is the member's name in lower case."""

    MAIL = b"M"
    META = b"T"
    INDEX = b"I"
    SNAPSHOT = b"S"
    CONDEMNED = b"C"
    READ = b"R"
    WRITTEN = b"W"


ENVELOPED = frozenset({FileKind.MAIL, FileKind.META, FileKind.INDEX, FileKind.SNAPSHOT})
"""What only the private key opens in a sealed repository. The others say which files there are, and were looked at."""

STEPS = {
    FileKind.MAIL: 64 << 10,
    FileKind.META: 16 << 10,
    FileKind.INDEX: 16 << 10,
    FileKind.SNAPSHOT: 4 << 10,
    FileKind.CONDEMNED: 4 << 10,
    FileKind.READ: 4 << 10,
    FileKind.WRITTEN: 4 << 10,
}
"""A file's size is a multiple of this."""


def has_envelope(secrets: Secrets, kind: FileKind) -> bool:
    return secrets.recipient is not None and kind in ENVELOPED


def head_octets(secrets: Secrets, kind: FileKind) -> int:
    """Where a file's parts begin."""
    return HEAD_OCTETS + (ENVELOPE_OCTETS if has_envelope(secrets, kind) else 0)


def begin(secrets: Secrets, kind: FileKind, drawn: bytes) -> tuple[bytes, Sealer]:
    """The first octets of a new file, and what seals its parts. drawn: `DRAWN_OCTETS` random ones for this file alone
    (the first half is enough where there is no envelope)."""
    if not has_envelope(secrets, kind):
        head = make_head(MAGIC, kind, drawn[:SALT_OCTETS])
        return head, secrets.sealer(head)
    if len(drawn) != DRAWN_OCTETS:
        raise ValueError("an envelope holds 32 octets that were drawn for it")
    head = make_head(MAGIC_ENVELOPED, kind, drawn[:SALT_OCTETS])
    envelope, sealer = secrets.new_enveloped(head, drawn[SALT_OCTETS:])
    return head + envelope, sealer


def opener(secrets: Secrets, kind: FileKind, data: bytes) -> Sealer:
    """What opens the parts of a file. data: at least its first `head_octets`.

    Raises NeedsPrivateKey, Corrupt, NewerFormat.
    """
    if not has_envelope(secrets, kind):
        return secrets.sealer(check_head(data, kind))
    head = check_head(data, kind, MAGIC_ENVELOPED)
    return secrets.enveloped(head, data[HEAD_OCTETS : HEAD_OCTETS + ENVELOPE_OCTETS])


def make_head(magic: bytes, kind: FileKind, salt: bytes) -> bytes:
    """The first octets of a file. salt: 32 random octets, drawn for this file alone."""
    if len(salt) != SALT_OCTETS:
        raise ValueError("a file's salt has 32 octets")
    return magic + kind.value + bytes(7) + salt


def check_head(data: bytes, kind: FileKind, magic: bytes = MAGIC) -> bytes:
    """The head of a file of this kind. Raises Corrupt, NewerFormat."""
    head = data[:HEAD_OCTETS]
    if len(head) < HEAD_OCTETS or head[:7] != magic[:7]:
        raise Corrupt("This is no file of a backup.", VERIFY)
    if head[7] > magic[7]:
        raise NewerFormat("The backup was written by a newer Restante.", "Install that version.")
    if head[7] < magic[7] or head[8:9] != kind.value or head[9:16] != bytes(7):
        raise Corrupt("A file of the backup is not of the kind that its place says.", VERIFY)
    return head


def check_shape(secrets: Secrets, kind: FileKind, data: bytes) -> None:
    """What can be said of a file without opening it. Raises Corrupt, NewerFormat."""
    check_head(data, kind, MAGIC_ENVELOPED if has_envelope(secrets, kind) else MAGIC)
    if len(data) % STEPS[kind] or not data:
        raise Corrupt("A file of the backup is cut short.", VERIFY)


def seal_file(secrets: Secrets, kind: FileKind, content: bytes, drawn: bytes) -> bytes:
    """A whole file with this content. drawn: as in `begin`."""
    head, sealer = begin(secrets, kind, drawn)
    plain = len(content).to_bytes(8, "little") + content
    plain += bytes(-(len(head) + len(plain) + TAG_OCTETS) % STEPS[kind])
    return head + sealer.seal(0, plain)


def open_file(secrets: Secrets, kind: FileKind, data: bytes) -> memoryview:
    """The content, not copied: an index of a hundred thousand messages is four megabytes. Raises NeedsPrivateKey,
    Corrupt, NewerFormat."""
    sealed = memoryview(data)[head_octets(secrets, kind) :]
    plain = memoryview(opener(secrets, kind, data).open(0, sealed))
    size = int.from_bytes(plain[:8], "little")
    if size > len(plain) - 8:
        raise Corrupt("A file of the backup has another size than it says.", VERIFY)
    return plain[8 : 8 + size]
