"""How many messages one command may touch: MESSAGELIMIT, or SAVELIMIT for COPY and APPEND alone.

A command over the limit works on the highest UIDs, and says which was the lowest it came to, so that the client can
go on below it; COPY, which is all or none, is refused. EXPUNGE, CLOSE and STATUS are never limited. RFC 9738.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..session.state import Answer, Reply
from ..session.view import Spans, View, count

if TYPE_CHECKING:
    from ...config.model import ImapTable
    from ..session.session import ImapSession

UNLIMITED = 1 << 32
"""More messages than a mailbox can hold."""

SAVING = "saving"
"""The configuration's word for a limit that holds for COPY and APPEND alone."""


def of_commands(config: ImapTable) -> int:
    """The most messages of one FETCH, SEARCH, STORE, MOVE or UID EXPUNGE."""
    return config.message_limit if config.message_limit and config.message_limit_on != SAVING else UNLIMITED


def of_saving(config: ImapTable) -> int:
    """The most messages of one COPY, or of one APPEND."""
    return config.message_limit or UNLIMITED


def capability(config: ImapTable) -> tuple[bytes, ...]:
    """What is announced: one of the two, or neither without a limit (RFC 9738 3)."""
    if not config.message_limit:
        return ()
    return (b"%b=%d" % (b"SAVELIMIT" if config.message_limit_on == SAVING else b"MESSAGELIMIT", config.message_limit),)


def cut(view: View, spans: Spans, most: int) -> tuple[Spans, bytes]:
    """The last `most` messages of `spans`, and the response code where that is not all of them."""
    if len(view.uids) <= most or count(spans) <= most:
        return spans, b""
    kept: Spans = []
    room = most
    for start, stop in reversed(spans):
        start = max(start, stop - room)
        kept.append((start, stop))
        room -= stop - start
        if not room:
            break
    kept.reverse()
    return kept, code(most, view.uids.uids[kept[0][0]])


def code(most: int, lowest: int | None = None) -> bytes:
    """The response code. lowest: the lowest UID that the command came to, None where it came to none."""
    return b"MESSAGELIMIT %d" % most if lowest is None else b"MESSAGELIMIT %d %d" % (most, lowest)


def told(session: ImapSession, reply: Reply, limited: bytes) -> Reply:
    """The reply of a command that was limited.

    A reply that has a code already keeps it, as RFC 9738 3.1 asks for EXPUNGEISSUED: the limit then goes out before
    it, in an untagged NO.
    """
    if not limited:
        return reply
    if reply.answer is Answer.OK and not reply.code:
        return replace(reply, code=limited)
    session.say(b"Only the last messages were looked at.", limited, b"NO")
    return reply


def too_many(most: int, lowest: int | None = None) -> Reply:
    """NO for a command that does all or nothing."""
    return Reply(b"That is more than %d messages; try a smaller set." % most, code(most, lowest), Answer.NO)
