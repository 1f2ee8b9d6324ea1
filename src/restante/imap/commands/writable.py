"""The one check that a mailbox opened by EXAMINE is left as it is. RFC 9051 6.3.3."""

from __future__ import annotations

from ...errors import Refusal
from ...store.errors import NoPermission
from ...store.rights import WRITES
from ..session.view import View


class ReadOnly(Refusal):
    """The mailbox was opened by EXAMINE."""

    code = "READ-ONLY"


def require_writable(view: View) -> None:
    """Raises ReadOnly; NoPermission where SELECT would not do either."""
    if view.read_only:
        if not view.mailbox.rights & WRITES:
            raise NoPermission("The mailbox is for reading only.")
        raise ReadOnly("The mailbox is open for reading only.", "SELECT it to change it.")
