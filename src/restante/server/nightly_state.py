"""What is known of the nightly backup (a small file in the data folder, written by the server's background process
alone, read by `restante status` and `restante backup status`), and what its own process is told."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..config.model import Config
from ..files import replace_file

DAY = 86400
OLD = 50 * 3600
"""Seconds after which the last good night is too old: two nights and two hours, for a run that takes long."""


class Order(msgspec.Struct, frozen=True):
    """A night's work, for the process that does it. config_file: where the configuration was read, to be part of the
    snapshot; None for none."""

    config: Config
    data: str
    config_file: str | None = None


class Nights(msgspec.Struct, frozen=True):
    """Instants are seconds UTC.

    since: when the schedule was first seen. attended: the last occurrence of the schedule that was attended to.
    success: the end of the last good night, and its snapshot. failure: the end of the last bad one, and why.
    next: when the next one is due (or this one tried again), None while one runs or where none is planned. told: the
    postmaster has had a message of this episode. tried: failed attempts of the night that is under way, and trouble:
    why the last one failed; a night that succeeds in the end was a good one. seconds, written, messages: of the last
    good one. nights, failures, retries: how many were brought to an end, how many of them bad, and how many attempts
    were followed by another, since the file was made. unpruned: the backup is
    sealed, so that old snapshots are forgotten elsewhere.
    """

    since: float
    attended: float
    success: float | None = None
    snapshot: str = ""
    failure: float | None = None
    reason: str = ""
    next: float | None = None
    told: bool = False
    tried: int = 0
    trouble: str = ""
    seconds: float = 0.0
    written: int = 0
    messages: int = 0
    nights: int = 0
    failures: int = 0
    retries: int = 0
    unpruned: bool = False

    @property
    def failing(self) -> bool:
        """Whether the last night was a bad one."""
        return self.failure is not None and (self.success is None or self.success < self.failure)

    def too_old(self, now: float) -> bool:
        """Whether the last good night (the beginning, where there was none) is longer ago than `OLD`, or so far
        ahead that a clock must have been wrong."""
        return not -DAY <= now - (self.success if self.success is not None else self.since) <= OLD


def nights_file(data: Path) -> Path:
    return data / "backup-nights.json"


def read_nights(data: Path) -> Nights | None:
    """What is known; None where there is no file, or one that is none of ours: then it begins anew."""
    try:
        return msgspec.json.decode(nights_file(data).read_bytes(), type=Nights)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_nights(data: Path, nights: Nights) -> None:
    """Durably, whole or not at all. Raises OSError."""
    replace_file(nights_file(data), msgspec.json.format(msgspec.json.encode(nights)))
