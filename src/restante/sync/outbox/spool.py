"""Where messages wait, as files: `ID.eml`, the octets as they will be sent, and `ID.json`, the entry.

Each file is there whole or not at all. A message is in the spool once its entry is: octets come first, so that an entry
always has them; octets alone are what a crash left of a message whose sender was never told that it was kept, and go.
An entry is replaced, never written into. Sending is done by one process a copy: the lock `NAME.lock` says who.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ...clock import Clock, Random
from ...errors import Refusal
from ...files import replace_file, sync_folder
from .entry import Entry, Recipient, State

LEFTOVER = 86_400.0
"""Seconds after which octets without an entry are nobody's."""


class NoSuchEntry(Refusal):
    """There is no such message in the outbox."""

    code = "NOT-FOUND"


class SpoolBusy(Refusal):
    """Another process is sending for this copy."""

    code = "SPOOL-BUSY"
    temporary = True


class SpoolDamaged(Refusal):
    """An entry cannot be read."""

    code = "SPOOL-DAMAGED"


class SpoolUnwritable(Refusal):
    """What became of a message cannot be written down: the disk is full, or fails."""

    code = "SPOOL-UNWRITABLE"
    temporary = True


class Spool:
    """One folder, private to its owner; made if missing."""

    def __init__(self, folder: Path, clock: Clock, random: Random) -> None:
        self.folder = folder
        self._clock = clock
        self._random = random

    def add(
        self,
        copy: str,
        sender: str,
        recipients: Sequence[Recipient],
        message: bytes,
        *,
        subject: str = "",
        origin: str = "",
    ) -> Entry:
        """Keep a message; it is on disk when this returns. OSError passes: then it is not kept.

        origin: the Outbox mailbox may still have it (state TAKEN).
        """
        now = self._clock.now()
        entry = Entry(
            id=f"{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{self._random(4).hex()}",
            copy=copy,
            sender=sender,
            recipients=tuple(recipients),
            created=now,
            size=len(message),
            subject=subject,
            state=State.TAKEN if origin else State.SPOOLED,
            origin=origin,
        )
        replace_file(self._octets(entry.id), message)
        self._put(entry)
        return entry

    def write(self, entry: Entry) -> None:
        """Put an entry in place of its older self, durably. Raises SpoolUnwritable; the older one is there then."""
        with self.writing():
            self._put(entry)

    def _put(self, entry: Entry) -> None:
        replace_file(self._entry(entry.id), msgspec.json.format(msgspec.json.encode(entry)))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What the disk does to who writes here is a refusal: SpoolUnwritable for an OSError."""
        try:
            yield
        except OSError as error:
            raise SpoolUnwritable(f"{self.folder} cannot be written: {error.strerror}.", "Is the disk full?") from error

    def entries(self, copy: str | None = None) -> list[Entry]:
        """All messages (of one copy), oldest first. Raises SpoolDamaged."""
        try:
            files = sorted(file for file in self.folder.iterdir() if file.suffix == ".json")
        except FileNotFoundError:
            return []
        found = [entry for file in files if (entry := self._read(file)) is not None]
        return [entry for entry in found if copy is None or entry.copy == copy]

    def entry(self, id: str) -> Entry:
        """Raises NoSuchEntry."""
        entry = self._read(self._entry(id)) if "/" not in id and not id.startswith(".") else None
        if entry is None:
            raise NoSuchEntry(f"There is no message {id} in the outbox.", "restante send --list shows what there is.")
        return entry

    def message(self, entry: Entry) -> bytes:
        """Its octets. Raises SpoolDamaged."""
        try:
            return self._octets(entry.id).read_bytes()
        except OSError as error:
            raise SpoolDamaged(f"The message {entry.id} of the outbox cannot be read ({error.strerror}).") from error

    def remove(self, entry: Entry) -> None:
        """Forget a message. The entry goes first: what a crash leaves is octets that nobody will send."""
        with self.writing():
            self._entry(entry.id).unlink(missing_ok=True)
            sync_folder(self.folder)
            self._octets(entry.id).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove octets that never got an entry, once they are old, and what was being written beside them."""
        try:
            files = set(self.folder.iterdir())
        except FileNotFoundError:
            return
        limit = self._clock.now() - LEFTOVER
        for file in files:
            stale = file.suffix == ".eml" and file.with_suffix(".json") not in files
            if stale or file.name.startswith("."):
                try:
                    if file.stat().st_mtime < limit:
                        file.unlink()
                except FileNotFoundError:
                    pass  # another process tidied it, or it was renamed into its place

    @contextmanager
    def sending(self, copy: str) -> Iterator[None]:
        """Hold the right to send for a copy. Raises SpoolBusy, SpoolUnwritable. Ends with the process, however that
        ends."""
        with self.writing():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.folder / f"{copy}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SpoolBusy(f"Another process is sending for the copy {copy}.") from error
            yield
        finally:
            os.close(handle)

    def _entry(self, id: str) -> Path:
        return self.folder / f"{id}.json"

    def _octets(self, id: str) -> Path:
        return self.folder / f"{id}.eml"

    def _read(self, file: Path) -> Entry | None:
        try:
            return msgspec.json.decode(file.read_bytes(), type=Entry)
        except FileNotFoundError:
            return None  # sent and removed meanwhile
        except (OSError, msgspec.DecodeError) as error:
            raise SpoolDamaged(f"{file} cannot be read ({type(error).__name__}).") from error
