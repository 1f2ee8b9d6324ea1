"""FLAGS and PERMANENTFLAGS: which flags there are, and which of them this user may change for good.

RFC 9051 7.1, 7.3.5; RFC 4314 5.1.1 (they tell the user's rights truly).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...store.rights import ALL, Rights

if TYPE_CHECKING:
    from .session import ImapSession

SYSTEM = (
    (b"\\Answered", Rights.WRITE),
    (b"\\Flagged", Rights.WRITE),
    (b"\\Deleted", Rights.DELETE_MESSAGES),
    (b"\\Seen", Rights.SEEN),
    (b"\\Draft", Rights.WRITE),
)


def tell_flags(session: ImapSession, keywords: Sequence[str], rights: Rights, *, read_only: bool) -> None:
    """Write the two responses. keywords: those of the mailbox. read_only: it was opened by EXAMINE."""
    words = [word.encode("ascii") for word in keywords]
    flags = b" ".join([name for name, _ in SYSTEM] + words)
    session.write(b"* FLAGS (%b)\r\n" % flags)
    if read_only or not rights & (Rights.SEEN | Rights.WRITE | Rights.DELETE_MESSAGES):
        session.say(b"Nothing can be changed.", b"PERMANENTFLAGS ()")
        return
    if rights != ALL:
        kept = [name for name, needed in SYSTEM if rights & needed]
        flags = b" ".join(kept + (words if rights & Rights.WRITE else []))
    more = b" \\*" if rights & Rights.WRITE else b""
    session.say(b"Flags that are kept.", b"PERMANENTFLAGS (%b%b)" % (flags, more))
