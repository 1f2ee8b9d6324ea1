"""Why a backup cannot be made, read or kept. One family."""

from __future__ import annotations

import msgspec

from ..errors import Refusal

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding JSON or MessagePack raises on octets that are none."""

VERIFY = "Run 'restante backup verify --all': it lists what is touched."


class BackupRefusal(Refusal):
    """Base of what the backup room refuses."""

    code = "BACKUP"


class NoRepository(BackupRefusal):
    """Nothing at the location is a repository, or what was named is not in it."""

    code = "NOT-FOUND"


class NotEmpty(BackupRefusal):
    """Something is already where a new thing was to be made."""

    code = "NOT-EMPTY"


class WrongKey(BackupRefusal):
    """No key of the repository opens with this passphrase or key file."""

    code = "WRONG-KEY"


class NoMemory(BackupRefusal):
    """What a passphrase is tried with has more memory to take than there is."""

    code = "NO-MEMORY"


class NeedsPrivateKey(BackupRefusal):
    """The backup is sealed, and what was given is the key that writes it."""

    code = "NEEDS-PRIVATE-KEY"

    def __init__(
        self,
        text: str = "This backup is sealed: what is in it can be read with its private key alone.",
        remedy: str = "Name that by --passphrase-file or --key-file, on a machine that may read all of it.",
    ) -> None:
        super().__init__(text, remedy)  # a text may be given again by another process


class NewerFormat(BackupRefusal):
    """Written by a newer Restante."""

    code = "NEWER-FORMAT"


class Corrupt(BackupRefusal):
    """Octets at the location are not those that were written. name: the object there, as far as it is known."""

    code = "CORRUPT"

    def __init__(self, text: str, remedy: str = "", *, name: str = "") -> None:
        super().__init__(text, remedy)
        self.name = name


class Missing(Corrupt):
    """An object that others name is not there."""

    code = "MISSING"


class LocationFailed(BackupRefusal):
    """The location cannot be read or written now. Nothing half written counts; the cause is chained."""

    code = "LOCATION-FAILED"
    temporary = True


class NoRoom(LocationFailed):
    """There is no room at the location."""

    code = "NO-ROOM"


class AppendOnly(LocationFailed):
    """The location keeps what it has: this machine can add to it and remove nothing."""

    code = "APPEND-ONLY"
    temporary = False


class TookTooLong(BackupRefusal):
    """A run lasted longer than `prune` is sure to keep what it relied on. What it wrote is used by the next one."""

    code = "TOOK-TOO-LONG"
    temporary = True


class Overtaken(BackupRefusal):
    """What a run relied on was removed before it ended: its snapshot would name what is not there. By a `prune` whose
    clock is wrong, or after a machine slept in the middle of the run."""

    code = "OVERTAKEN"
    temporary = True
