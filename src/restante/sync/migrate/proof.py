"""The proof's file: JSON, an object a line, sealed by a digest over all that stands before its last line.

    {"kind":"proof", ...}     once: what was compared, when, how
    {"kind":"mailbox", ...}   before its messages: names and UIDVALIDITY on both sides
    {"kind":"message", ...}   one of the source's messages, and what the target holds for it
    {"kind":"end", ...}       counts, and SHA-256 of all octets before

docs/migrate.md has every key. The seal finds a file that was cut short or changed by accident; who can write the file
can write a new seal, too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec

from ...errors import Refusal
from .model import Counts

VERSION = 1


class ProofRefusal(Refusal):
    """A proof cannot be written, or what was named is none, or it is not whole."""

    code = "PROOF"


class Head(msgspec.Struct, frozen=True, tag="proof", tag_field="kind"):
    """made: RFC 3339. depth: "full" or "quick". source, target: what the sides are."""

    version: int
    made: str
    depth: str
    source: str
    target: str


class MailboxLine(msgspec.Struct, frozen=True, tag="mailbox", tag_field="kind", omit_defaults=True):
    """reason: why its messages are not listed."""

    mailbox: str
    target: str
    validity: str
    target_validity: str
    reason: str | None = None


class MessageLine(msgspec.Struct, frozen=True, tag="message", tag_field="kind", omit_defaults=True):
    """mailbox: at the source. uid, target_uid: on both sides, 0 where the target has none. sha256 (of the octets, CRLF
    line ends) or, in a quick proof, mark. target_*: where the target's is another. wrong: what is, of WRONG."""

    mailbox: str
    uid: int
    target_uid: int = 0
    date: str = ""
    flags: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    mark: str | None = None
    uidl: str | None = None
    wrong: tuple[str, ...] = ()
    reason: str | None = None
    target_date: str | None = None
    target_flags: tuple[str, ...] | None = None
    target_size: int | None = None
    target_sha256: str | None = None
    target_mark: str | None = None


class End(msgspec.Struct, frozen=True, tag="end", tag_field="kind"):
    messages: int
    same: int
    missing: int
    content: int
    date: int
    flags: int
    new: int
    unlisted: int
    sha256: str


MISSING, CONTENT, DATE, FLAGS, NEW = WRONG = ("missing", "content", "date", "flags", "new")

Line = Head | MailboxLine | MessageLine | End

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)
_START = datetime(1970, 1, 1, tzinfo=UTC)


def instant(seconds: float) -> str:
    """RFC 3339, UTC, whole seconds."""
    return (_START + timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%SZ")


class Writer:
    """Writes a proof beside its place and puts it there when it is whole; `abort` leaves what was there before."""

    def __init__(self, path: Path, head: Head) -> None:
        """Raises ProofRefusal."""
        self.counts = Counts()
        self._path = path
        self._draft = path.with_name(path.name + ".part")
        self._state = hashlib.sha256()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        except OSError as cause:
            raise _unwritable(path, cause) from cause
        self._stream: BinaryIO = os.fdopen(handle, "wb")
        self.write(head)

    def write(self, line: Line) -> None:
        if isinstance(line, MessageLine):
            self._count(line)
        elif isinstance(line, MailboxLine):
            self.counts.unlisted += line.reason is not None
        octets = _encoder.encode(line) + b"\n"
        self._state.update(octets)
        try:
            self._stream.write(octets)
        except OSError as cause:
            raise _unwritable(self._path, cause) from cause

    def _count(self, line: MessageLine) -> None:
        counts = self.counts
        counts.messages += 1
        counts.same += not line.wrong
        for wrong in line.wrong:
            setattr(counts, wrong, getattr(counts, wrong) + 1)

    def finish(self) -> None:
        counts = self.counts
        self.write(
            End(
                counts.messages,
                counts.same,
                counts.missing,
                counts.content,
                counts.date,
                counts.flags,
                counts.new,
                counts.unlisted,
                self._state.hexdigest(),
            )
        )
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._draft.replace(self._path)
        except OSError as cause:
            raise _unwritable(self._path, cause) from cause

    def abort(self) -> None:
        """Nothing, where it is finished."""
        if not self._stream.closed:
            self._stream.close()
            self._draft.unlink(missing_ok=True)


def _unwritable(path: Path, cause: OSError) -> ProofRefusal:
    return ProofRefusal(f"{path} cannot be written ({cause.strerror}).", "Name another file with --proof-file.")


def read(path: Path) -> tuple[Head, End]:
    """Look at a whole proof: its head and its end. Raises ProofRefusal where it is none, or not as it was written."""
    state = hashlib.sha256()
    head: Head | None = None
    end: End | None = None
    for number, (octets, line) in enumerate(_lines(path), 1):
        if number == 1 and isinstance(line, Head):
            head = line
        elif end is not None or isinstance(line, Head) or head is None:
            raise ProofRefusal(f"{path} is no proof of a migration (line {number}).", "Name a file that migrate wrote.")
        if isinstance(line, End):
            end = line
        else:
            state.update(octets)
    if head is None:
        raise ProofRefusal(f"{path} is no proof of a migration.", "Name a file that migrate wrote.")
    if head.version != VERSION:
        raise ProofRefusal(f"{path} has version {head.version}; this Restante knows {VERSION}.")
    if end is None or end.sha256 != state.hexdigest():
        raise ProofRefusal(f"{path} is not as it was written: it was changed or cut short.", "Use the file as it was.")
    return head, end


def mailboxes(path: Path) -> Iterator[tuple[MailboxLine, Iterator[MessageLine]]]:
    """A proof's mailboxes, each with its messages, which are to be taken before the next mailbox."""
    lines = (line for _, line in _lines(path))
    current: list[MailboxLine] = []

    def messages() -> Iterator[MessageLine]:
        for line in lines:
            if isinstance(line, MessageLine):
                yield line
            elif isinstance(line, MailboxLine):
                current.append(line)
                return

    for _ in messages():
        raise ProofRefusal(f"{path} is no proof of a migration.", "Name a file that migrate wrote.")
    while current:
        yield current.pop(), messages()


def damaged(path: Path) -> Iterator[MessageLine]:
    """Messages that are missing or differ (other flags, and what came later, are no damage)."""
    for _, line in _lines(path):
        if isinstance(line, MessageLine) and not {MISSING, CONTENT, DATE}.isdisjoint(line.wrong):
            yield line


def _lines(path: Path) -> Iterator[tuple[bytes, Line]]:
    try:
        with path.open("rb") as stream:
            for number, octets in enumerate(stream, 1):
                try:
                    yield octets, _decoder.decode(octets)
                except msgspec.MsgspecError as cause:
                    raise ProofRefusal(
                        f"{path} is no proof of a migration, or was changed (line {number}: {cause}).",
                        "Name a file that migrate wrote, as it was.",
                    ) from cause
    except OSError as cause:
        raise ProofRefusal(f"{path} cannot be read ({cause.strerror}).", "Name a file that migrate wrote.") from cause
