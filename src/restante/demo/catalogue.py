"""The demo's mail set: which file goes into which mailbox, with which flags, how long ago.

The files stand in `mail/`: .eml with LF line ends, as an editor keeps them; their Date fields are of the days
before the first release, and INTERNALDATE is the Date field's. index.tsv has a line a message: mailbox, flags
(comma-separated, "-" for none), file. INBOX comes last (see `install`).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from ..exchange.dates import header_date
from ..exchange.incoming import Incoming, Item, SourceMailbox
from ..store.model import Flags

INDEX = "index.tsv"


class DemoSource:
    """`exchange.incoming.Source` over the package's own files."""

    def __init__(self, folder: Traversable | None = None) -> None:
        self.folder = folder or files(__package__) / "mail"
        self.entries = [_entry(line) for line in (self.folder / INDEX).read_text("utf-8").splitlines() if line]
        self.total = sum(len((self.folder / name).read_bytes()) for _, _, name in self.entries)

    def items(self) -> Iterator[Item]:
        """Mailboxes with their messages."""
        told: set[str] = set()
        for mailbox, flags, name in self.entries:
            if mailbox not in told:
                told.add(mailbox)
                yield SourceMailbox(mailbox)
            data = (self.folder / name).read_bytes()
            yield Incoming(data, flags, header_date(data) or 0, mailbox, name)

    def subscriptions(self) -> list[str] | None:
        return sorted({mailbox for mailbox, _, _ in self.entries})

    def close(self) -> None:
        """Nothing is held open."""


def _entry(line: str) -> tuple[str, Flags, str]:
    mailbox, flags, name = line.split("\t")
    return mailbox, Flags() if flags == "-" else Flags.of(flags.split(",")), name
