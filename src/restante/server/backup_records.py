"""What is known of the last restore drill and the last verification: small files in the data folder, written by whoever
performs one (a night, or somebody at a command line), read by `restante status`, `restante backup status`, the metrics
and the next night. Each is replaced whole; of two at once the later one is known."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from ..backup.outcome import Checked, Drilled
from ..files import replace_file

DAY = 86400
OVERDUE = {"weekly": 10 * DAY, "monthly": 40 * DAY}
"""Seconds after which the last good drill is too long ago: a period, and some nights that were missed."""


class DrillRecord(msgspec.Struct, frozen=True):
    """Instants are seconds UTC. location: of the backup. last: the end of the last drill, its result in `drilled`;
    where it could not be done, `reason` says why. success: the end of the last one that found everything right."""

    location: str
    last: float
    drilled: Drilled | None = None
    reason: str = ""
    success: float | None = None

    @property
    def failing(self) -> bool:
        """Whether the last one found a difference, or could not be done."""
        return self.drilled is None or not self.drilled.right


class VerifyRecord(msgspec.Struct, frozen=True):
    """Instants are seconds UTC. location: of the backup. last: the end of the last verification, and what it found.
    success: the end of the last one that found everything right."""

    location: str
    last: float
    checked: Checked
    success: float | None = None


R = TypeVar("R", DrillRecord, VerifyRecord)


def drill_file(data: Path) -> Path:
    return data / "backup-drill.json"


def verify_file(data: Path) -> Path:
    return data / "backup-verify.json"


def read_drill(data: Path, location: str) -> DrillRecord | None:
    """What is known of drills of the backup at this location; None where nothing is."""
    return _read(drill_file(data), DrillRecord, location)


def read_verify(data: Path, location: str) -> VerifyRecord | None:
    """What is known of verifications of the backup at this location; None where nothing is."""
    return _read(verify_file(data), VerifyRecord, location)


def _read(file: Path, what: type[R], location: str) -> R | None:
    try:
        found = msgspec.json.decode(file.read_bytes(), type=what)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if found.location == location else None


def note_drill(data: Path, location: str, now: float, drilled: Drilled | None, reason: str = "") -> DrillRecord:
    """Keep what a drill came to. Raises OSError."""
    before = read_drill(data, location)
    record = DrillRecord(location, now, drilled, reason, before.success if before is not None else None)
    if not record.failing:
        record = replace(record, success=now)
    replace_file(drill_file(data), msgspec.json.format(msgspec.json.encode(record)))
    return record


def note_verify(data: Path, location: str, now: float, checked: Checked) -> None:
    """Keep what a verification found. Raises OSError."""
    before = read_verify(data, location)
    success = now if checked.right else before.success if before is not None else None
    record = VerifyRecord(location, now, checked, success)
    replace_file(verify_file(data), msgspec.json.format(msgspec.json.encode(record)))


def drill_overdue(every: str, record: DrillRecord | None, now: float) -> bool:
    """Whether the last good drill is too long ago. every: as `backup.drill`.

    Where none is known, the next night does the first one: if it fails that is known, and if nights do not come the
    last good one is too old.
    """
    if every not in OVERDUE or record is None or record.success is None:
        return False
    return not -DAY <= now - record.success <= OVERDUE[every]
