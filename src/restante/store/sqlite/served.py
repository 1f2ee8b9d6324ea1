"""What was ever given out for an account here, noted beside its files: numbers that no state put in service goes below.

```
served/ab/ID    00000000001234567890      the change counter when the file was last closed: see `inode`
                {"modseq": ...}           the note: durable before what it speaks of is
```

The folder is not the accounts' own, so that an account's file, or all of them, can be copied back without it. A note
is no picture of the account. It is written when a state is put in service, and when a number comes into another
stretch: so a number that is given out lies at most one stretch above what is noted, or was never noted and lies below
the first stretch. Nothing else is written, and a delivery pays a comparison of two integers.

Notes only grow. One that is lost (with its machine, or an older one copied back with the whole data folder) costs no
more than it did before there were any: the time alone then keeps numbers apart, see `incarnation`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ...files import sync_folder
from ..backup import Served
from ..errors import Damaged
from .inode import CLOSED_DIGITS, last_closed, record_of

UID_BITS = 19
"""A stretch of UIDs: 2^19 in one mailbox, half of what `incarnation` leaves free. Two numbers lie in different ones
where (one ^ other) >> UID_BITS is not 0."""

UIDVALIDITY_BITS = 15
"""A stretch of UIDVALIDITYs. They are noted only where they run ahead of the clock."""


class _Note(msgspec.Struct):
    """mailboxes: (MAILBOXID, UIDVALIDITY, UIDNEXT)."""

    modseq: int
    uidvalidity: int
    mailboxes: list[tuple[str, int, int]]


def read(path: Path) -> Served | None:
    """What is noted of the account that has its file at `path`, None where nothing is. Raises Damaged."""
    try:
        data = Path(record_of(path)).read_bytes()[CLOSED_DIGITS + 1 :]
    except FileNotFoundError:
        return None
    if not data:
        return None
    try:
        note = msgspec.json.decode(data, type=_Note)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(
            "What was given out for this account before cannot be read.",
            f"Remove served/{path.parent.name}/{path.stem}: numbers are then kept apart by the time alone.",
        ) from error
    return Served(note.modseq, note.uidvalidity, {(id, validity): next for id, validity, next in note.mailboxes})


def note(path: Path, more: Served) -> None:
    """Note numbers that are about to be given out, or may have been; durable when this returns.

    Cost: a small file written, two fsyncs; two more with the account's first note. Raises OSError, Damaged.
    """
    record = Path(record_of(path))
    with _folder(record.parent) as folder:
        known = read(path)
        whole = more if known is None else known.with_more(more)
        if whole == known:
            return
        text = msgspec.json.encode(
            _Note(whole.modseq, whole.uidvalidity, sorted((*place, next) for place, next in whole.uidnexts.items()))
        )
        making = record.with_name(f".{record.name}.new")
        number = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "wb") as stream:
            stream.write(b"%0*d\n" % (CLOSED_DIGITS, last_closed(path)) + text)
            stream.flush()
            os.fsync(stream.fileno())
        making.replace(record)
        os.fsync(folder)
        if known is None:  # the folders too may be new, made by a process that closed an account and waited for nothing
            sync_folder(record.parent.parent)
            sync_folder(record.parent.parent.parent)


def forget_closed(path: Path) -> None:
    """Forget which number the file was closed with: it is removed, and not to be missed. The note stays."""
    record = Path(record_of(path))
    try:
        noted = record.stat().st_size > CLOSED_DIGITS + 1
    except FileNotFoundError:
        return
    if not noted:
        record.unlink(missing_ok=True)
        return
    with record.open("r+b") as stream:
        stream.write(b"%0*d" % (CLOSED_DIGITS, 0))


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """The folder, made where it is missing, for one writer of notes at a time over all processes."""
    for one in (path.parent, path):
        one.mkdir(mode=0o700, exist_ok=True)
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield number
    finally:
        os.close(number)
