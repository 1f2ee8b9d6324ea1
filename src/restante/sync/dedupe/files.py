"""What is compared in files that are only reported on: an mbox, a folder of messages, an archive. Read in one pass."""

from __future__ import annotations

from collections.abc import Sequence

from ...exchange.incoming import Incoming, Skipped, Source
from ...mime.normalise import normalise_line_ends
from ..model import Spelling
from ..outline import digest, mark_and_ident
from .survey import NoSuchMailbox
from .table import Box, Table
from .trace import core


def survey_files(source: Source, names: Sequence[str] = ()) -> tuple[Table, list[Skipped]]:
    """All messages of the source (names: of these mailboxes alone), numbered from 1 in their order, and what could not
    be read. Raises NoSuchMailbox for a name that no message has."""
    table, skipped, spelling = Table(), [], Spelling()
    numbers: dict[str, int] = {}
    for item in source.items():
        if isinstance(item, Skipped):
            skipped.append(item)
        elif isinstance(item, Incoming):
            name = item.mailbox or "INBOX"
            if names and name not in names:
                continue
            if name not in numbers:
                numbers[name] = len(table.boxes)
                table.boxes.append(Box(name, None, "", ""))
            data = normalise_line_ends(item.data)
            mark, ident = mark_and_ident(data)
            flags = spelling.flags(item.flags.wire.decode("ascii").split())
            table.core[len(table)] = core(data)
            table.add(numbers[name], len(table) + 1, len(data), item.received, flags, mark, ident, None, digest(data))
            table.where.append(item.where)
    for name in names:
        if name not in numbers:
            raise NoSuchMailbox(f"There is no message in a mailbox {name}.", "Name an existing one.")
    return table, skipped
