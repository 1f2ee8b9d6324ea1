"""What a night did. A module of its own, so that who only reads it loads no cryptography."""

from __future__ import annotations

import msgspec


class Night(msgspec.Struct, frozen=True):
    """snapshot: id, empty where none was taken. messages: read from the store. written: octets. forgotten: snapshots.
    read_back: octets. problems: sentences; none where all is well. unpruned: the backup is sealed, so that this machine
    cannot tell what old snapshots alone need."""

    snapshot: str = ""
    messages: int = 0
    written: int = 0
    forgotten: int = 0
    read_back: int = 0
    problems: tuple[str, ...] = ()
    unpruned: bool = False
