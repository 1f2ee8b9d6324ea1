"""UIDLs into a Maildir: as Dovecot keeps them, in dovecot-uidlist, where a Dovecot that serves the Maildir finds them.

Where there is no list yet, one is made of all messages, in their order. Into one that is there only the UIDLs go that
it lacks, and lines for messages that it does not know; everything else in it stays octet by octet.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ...clock import Clock, Random
from ...exchange.dovecot import UIDLIST, UidRecord, format_uidlist
from ...exchange.letters import base_name
from ..dotlock import dotlock
from ..maildir.marker import replace

IDENTITY = "maildir:"
"""What a Maildir side puts before a file's unique name (`Changes.emails`)."""

_NEXT = re.compile(rb"(?<= N)[0-9]+")
_HEADER = re.compile(rb"3 (?:[A-Z][^ ]* ?)*\bV[0-9]+.*")


def write(folder: Path, files: Sequence[str], uidls: Mapping[str, str], clock: Clock, random: Random) -> int:
    """Give `uidls` (by unique name) to INBOX's Maildir; how many it did not have before.

    files: unique names of all messages, in their order. Blocks. Raises OSError; ValueError for a list that is none.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with dotlock(handle, UIDLIST, clock.now):
            old = b""
            with suppress(FileNotFoundError):
                old = (folder / UIDLIST).read_bytes()
            new, given = merged(old, files, uidls) if old else (made(files, uidls, clock, random), len(uidls))
            if new != old:
                replace(handle, UIDLIST, f"{UIDLIST}.lock", new)
            return given
    finally:
        os.close(handle)


def made(files: Sequence[str], uidls: Mapping[str, str], clock: Clock, random: Random) -> bytes:
    """A new list."""
    records = [UidRecord(number, file, uidls.get(file)) for number, file in enumerate(files, 1)]
    return format_uidlist(int(clock.now()), len(records) + 1, random(16).hex(), records)


def merged(old: bytes, files: Sequence[str], uidls: Mapping[str, str]) -> tuple[bytes, int]:
    """A list with what it lacked, and how many UIDLs that was. Raises ValueError where it is no list of version 3."""
    lines = old.split(b"\n")
    if not _HEADER.match(lines[0]) or (found := _NEXT.search(lines[0])) is None:
        raise ValueError("not a dovecot-uidlist of version 3")
    next_uid = int(found[0])
    given = 0
    known: set[str] = set()
    for number, line in enumerate(lines[1:], 1):
        fields, colon, file = line.partition(b" :")
        if not colon:
            continue
        name = base_name(file.decode("utf-8", "surrogateescape"))
        known.add(name)
        uid = fields.partition(b" ")[0]
        if uid.isdigit():
            next_uid = max(next_uid, int(uid) + 1)
        if name in uidls and re.search(rb" P[^ ]", fields) is None:
            lines[number] = b"%b P%b :%b" % (fields, uidls[name].encode("ascii"), file)
            given += 1
    more: list[bytes] = []
    for unique in files:
        if unique not in known and unique in uidls:
            more.append(f"{next_uid} P{uidls[unique]} :{unique}".encode("utf-8", "surrogateescape"))
            next_uid += 1
    lines[0] = _NEXT.sub(b"%d" % next_uid, lines[0], count=1)
    while lines and not lines[-1]:
        lines.pop()
    return b"\n".join([*lines, *more, b""]), given + len(more)
