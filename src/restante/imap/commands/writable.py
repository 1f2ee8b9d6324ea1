"""The one check that a mailbox opened by EXAMINE is left as it is. RFC 9051 6.3.3."""

from __future__ import annotations

from ...errors import Refusal
from ..session.view import View


class ReadOnly(Refusal):
    """The mailbox was opened by EXAMINE."""

    code = "READ-ONLY"


def require_writable(view: View) -> None:
    """Raises ReadOnly."""
    if view.read_only:
        raise ReadOnly("The mailbox is open for reading only.", "SELECT it to change it.")
