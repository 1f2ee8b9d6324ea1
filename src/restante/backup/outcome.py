"""What a night did. A module of its own, so that who only reads it loads no cryptography."""

from __future__ import annotations

import msgspec


class Drilled(msgspec.Struct, frozen=True):
    """What a restore drill found. taken: when the snapshot was (seconds UTC). seed: draws the same sample again.
    everything: the whole server was restored. lacking: messages that the snapshot itself says it never had. octets: of
    messages. restoring, comparing: seconds. estimate: seconds that restoring all of the snapshot would take at this
    pace. wrong: how many differences; differences: the first of them as sentences."""

    snapshot: str
    taken: int
    seed: int
    everything: bool = False
    accounts: int = 0
    messages: int = 0
    octets: int = 0
    lacking: int = 0
    restoring: float = 0.0
    comparing: float = 0.0
    estimate: float = 0.0
    wrong: int = 0
    differences: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether all that was restored is what was saved."""
        return not self.wrong


class Checked(msgspec.Struct, frozen=True):
    """What a verification found. octets: read back. fresh: the part of all octets that has been read back within thirty
    days, 0 to 1. oldest: when what was read longest ago was (seconds UTC), None where nothing has been. damaged: files
    and objects; lost: messages that this touches."""

    octets: int
    fresh: float = 0.0
    oldest: int | None = None
    damaged: int = 0
    lost: int = 0

    @property
    def right(self) -> bool:
        """Whether all that was read is right and nothing is missing."""
        return not (self.damaged or self.lost)


class Night(msgspec.Struct, frozen=True):
    """snapshot: id, empty where none was taken. messages: read from the store. written: octets. forgotten: snapshots.
    read_back: octets. problems: sentences; none where all is well. drilled: the restore drill, where one was due.
    passing: whether the problems may be gone in an hour, all of them. checked: the share that was read back, None where
    that was not come to. unpruned: the backup is sealed, so that this machine cannot tell what old snapshots alone
    need."""

    snapshot: str = ""
    messages: int = 0
    written: int = 0
    forgotten: int = 0
    read_back: int = 0
    problems: tuple[str, ...] = ()
    drilled: Drilled | None = None
    passing: bool = False
    checked: Checked | None = None
    unpruned: bool = False
