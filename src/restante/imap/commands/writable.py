"""What is asked of the selected mailbox before it is changed. RFC 9051 6.3.3 (EXAMINE), RFC 4314 4."""

from __future__ import annotations

from ...errors import Refusal
from ...store.errors import NoPermission
from ...store.rights import ALL, WRITES, Rights, letters
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


def require_rights(view: View, needed: Rights) -> None:
    """Raises NoPermission where the user lacks one of these rights.

    The store asks again; but it would tell who may not list the mailbox that there is none, which who has selected it
    knows better, and MOVE would then seem to lack its target.
    """
    rights = view.mailbox.rights
    if rights is ALL:  # "is": a microsecond less, for nearly everybody
        return
    missing = needed & ~rights
    if missing:
        raise NoPermission(f"This needs the right {letters(missing)} on the mailbox.", "Ask its owner.")
