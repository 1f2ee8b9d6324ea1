"""Where each kind of file lies at a location. Pure.

```
repository.json                     keys/<slot>-1, -2
mail/ab/<SHA-256>                   packs of messages
meta/ab/<SHA-256>                   packs of what is said of accounts, and the same under twin/
index/<SHA-256>
snapshots/<serial>-<SHA-256>        and the same under twin/
condemned/<SHA-256>                 packs that `prune` will remove
read/<SHA-256>                      what `verify` has read back, and when
written/<SHA-256>                   which files there are, in a sealed repository
```
What little there is of metadata is kept twice: one broken octet there would touch many messages, one in a pack of mail
touches those of a block.
"""

from __future__ import annotations

import re

from .sealed import FileKind

DESCRIPTOR = "repository.json"
KEYS = "keys"
MAIL, META, INDEX, SNAPSHOTS, CONDEMNED, READ = "mail", "meta", "index", "snapshots", "condemned", "read"
WRITTEN = "written"
TWIN = "twin"
FOLDERS = {
    MAIL: FileKind.MAIL,
    META: FileKind.META,
    INDEX: FileKind.INDEX,
    SNAPSHOTS: FileKind.SNAPSHOT,
    CONDEMNED: FileKind.CONDEMNED,
    READ: FileKind.READ,
    WRITTEN: FileKind.WRITTEN,
}

LAST_SERIAL = (1 << 40) - 1
_SNAPSHOT = re.compile(r"snapshots/([0-9a-f]{10})-([0-9a-f]{64})\Z")
_FILE = re.compile(r"(?:mail|meta)/[0-9a-f]{2}/([0-9a-f]{64})\Z|(?:index|condemned|read|written)/([0-9a-f]{64})\Z")
_SLOT = re.compile(r"keys/([0-9a-f]{32})-[12]\Z")


def pack(sha: str, mail: bool) -> str:
    """A pack by its SHA-256 (hexadecimal)."""
    return f"{MAIL if mail else META}/{sha[:2]}/{sha}"


def twin(name: str) -> str:
    return f"{TWIN}/{name}"


def slots(name: str) -> tuple[str, str]:
    return f"{KEYS}/{name}-1", f"{KEYS}/{name}-2"


def slot_of(name: str) -> str | None:
    """The slot whose file this is."""
    found = _SLOT.match(name)
    return found[1] if found else None


def sha_of(name: str) -> str | None:
    """The SHA-256 that the file of this name must have, None where the name is none of ours."""
    name = name.removeprefix(TWIN + "/")
    if found := _SNAPSHOT.match(name):
        return found[2]
    if found := _FILE.match(name):
        return found[1] or found[2]
    return None


def is_ours(name: str) -> bool:
    """Whether a backup can have a file of this name. Others lie there too: what a file manager or a program that copies
    has left."""
    return sha_of(name) is not None or slot_of(name) is not None or name == DESCRIPTOR


def shown(name: str) -> str:
    """A name for people: what somebody else has put there may be called anything."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


def snapshot_serial(name: str) -> int:
    """The serial number in a snapshot's name, by which they are ordered whatever a clock says; 0 where it is none."""
    found = _SNAPSHOT.match(name.removeprefix(TWIN + "/"))
    return int(found[1], 16) if found else 0
