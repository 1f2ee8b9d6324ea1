"""What a command's module needs to be one: the states of a session and the shape of a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING

from ...errors import Refusal
from ..grammar.commands import Command
from ..grammar.responses import Code, err

if TYPE_CHECKING:  # the session imports the handlers
    from ..session import Pop3Session


class State(Enum):
    """RFC 1939 3. UPDATE is not a state one can be in between two commands: QUIT passes through it."""

    AUTHORIZATION = "authorization"
    TRANSACTION = "transaction"
    ENDED = "ended"


Handler = Callable[["Pop3Session", Command], Awaitable[None]]


def refused(refusal: Refusal) -> bytes:
    """A refusal of the store as an answer (RFC 3206 4): temporary ones may be tried again."""
    code = Code.SYS_TEMP if refusal.temporary else Code.SYS_PERM
    return err(str(refusal).encode("ascii", "replace"), code)
