"""What a command may no longer say once UIDONLY is enabled: message numbers, in whatever place.

Pure. A command with a form under UID is refused in its other form; so is a sequence set among search keys, "$"
included, which that rule of the grammar holds too (UID $ is meant for it), and QRESYNC's pairs of numbers and UIDs.
RFC 9586 3.2, 3.5, 3.7, 3.8.
"""

from __future__ import annotations

from ...query.language import Sequence
from ..grammar.commands import Command, Select
from .criteria import nodes

NO_NUMBERS = "Message numbers are not allowed once UIDONLY is enabled.", b"UIDREQUIRED"
"""What such a command is told, by BAD: text and response code."""

WITHOUT_FORM = object()


def uses_numbers(command: Command) -> bool:
    """Whether message numbers stand in the command, or it would answer with some."""
    if getattr(command, "uid", WITHOUT_FORM) is False:
        return True
    if isinstance(command, Select):
        return command.qresync is not None and command.qresync.known_sequences is not None
    query = getattr(command, "query", None)
    return query is not None and any(isinstance(node, Sequence) and not node.uid for node in nodes(query))
