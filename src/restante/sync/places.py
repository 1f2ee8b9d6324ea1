"""Where a copy keeps what is its own, below the data folder:

sync/outbox/          messages to be sent, of all copies
sync/NAME/state.db    what both sides held when they were last the same, and the journal
sync/NAME/maildir.db   numbers of the messages of a Maildir
sync/NAME/pop3.db     what has been fetched by POP3
sync/NAME/mbox.part   what is being written to an mbox whose folder takes no such file
sync/NAME/trash/      what runs removed, where that is kept in a folder
sync/NAME/parts/      downloads that were cut off
sync/NAME/token.json  the access token (send-token.json: of sending)
sync/NAME/login.json  the last login, where it was refused (send-login.json: of sending)
sync/NAME/last.json   how the last run ended
sync/NAME/unchanged.json   what the last run asked and heard, where it found nothing to do (`unchanged`)
"""

from __future__ import annotations

from pathlib import Path

from ..values import Value


class CopyPlaces(Value, frozen=True):
    """data: the data folder. name: of the copy (`config.check_name`). Nothing is made by asking."""

    data: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.data / "sync" / self.name

    @property
    def state(self) -> Path:
        return self.folder / "state.db"

    @property
    def pop3(self) -> Path:
        return self.folder / "pop3.db"

    @property
    def trash(self) -> Path:
        return self.folder / "trash"

    @property
    def parts(self) -> Path:
        return self.folder / "parts"

    @property
    def last(self) -> Path:
        return self.folder / "last.json"

    def token(self, use: str = "") -> Path:
        """use: "" for the mail server, "send-" for submission."""
        return self.folder / f"{use}token.json"

    def login(self, use: str = "") -> Path:
        """use: as for `token`."""
        return self.folder / f"{use}login.json"


def outbox_folder(data: Path) -> Path:
    """The spool, common to all copies."""
    return data / "sync" / "outbox"
