"""FLAGS and PERMANENTFLAGS: which flags there are, and which of them this user may change for good.

RFC 9051 7.1, 7.3.5; RFC 4314 5.1.1 (they tell the user's rights truly).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ...store.rights import ALL, WRITES, Rights

if TYPE_CHECKING:
    from ...store.model import FlagTable
    from .session import ImapSession
    from .view import View

_KEPT = 4_000
"""Octets of keywords up to which both texts are kept: 500 long ones make a quarter of a megabyte."""

SYSTEM = (
    (b"\\Answered", Rights.WRITE),
    (b"\\Flagged", Rights.WRITE),
    (b"\\Deleted", Rights.DELETE_MESSAGES),
    (b"\\Seen", Rights.SEEN),
    (b"\\Draft", Rights.WRITE),
)


def tell_flags(
    session: ImapSession, keywords: Sequence[str], rights: Rights, *, read_only: bool, full: bool = False
) -> None:
    """Write the two responses. keywords: as in `store.model.Opening`. read_only: it was opened by EXAMINE.

    full: the account can have no more keywords, which for its owner their number tells; then \\* is not among the flags
    that are kept (RFC 9051 7.1, PERMANENTFLAGS).
    """
    session.view.full = full = full or len(keywords) >= session.limits.keywords
    session.view.keywords = keywords
    make = _flags_kept if sum(map(len, keywords)) <= _KEPT else _flags
    there, kept = make(tuple(keywords), rights, read_only, full)
    said = b"Flags that are kept." if kept else b"Nothing can be changed."
    session.write(b"* FLAGS (%b)\r\n* OK [PERMANENTFLAGS (%b)] %b\r\n" % (there, kept, session.text(said)))


def tell_new_keywords(session: ImapSession, view: View, flags: Sequence[int], table: FlagTable) -> None:
    """Write the two responses again before others with these flag sets, where they hold keywords that FLAGS has not
    named. A client may know no others: it gives each that FLAGS names a bit of its own (RFC 9051 7.3.5).

    Cost: of one's own account nothing while no keyword is new to it; of somebody else's, whose keywords elsewhere are
    nobody's business, a pass over `flags`.
    """
    if session.place is not None and session.place.own:
        if len(table.keywords) == view.keywords_seen:
            return
        view.keywords_seen = len(table.keywords)
        there = table.keywords
    else:
        there = {word for number in set(flags) for word in table[number].keywords}
    told = {word.lower() for word in view.keywords}
    if new := {word.lower(): word for word in there if word.lower() not in told}:
        words = sorted([*view.keywords, *new.values()], key=str.lower)
        tell_flags(session, words, view.mailbox.rights, read_only=view.read_only, full=view.full)


def may_change(rights: Rights) -> bool:
    """Whether SELECT is READ-WRITE for who has these rights (RFC 4314 5.2)."""
    return rights is ALL or bool(rights & WRITES)


def tell_access(session: ImapSession, before: Rights, now: Rights) -> None:
    """Say so where a selected mailbox has become one for reading only, or is so no more (RFC 9051 7.1)."""
    if may_change(now) and not may_change(before):
        session.say(b"The mailbox may be changed now.", b"READ-WRITE")
    elif may_change(before) and not may_change(now):
        session.say(b"The mailbox is for reading only.", b"READ-ONLY")


def _flags(keywords: tuple[str, ...], rights: Rights, read_only: bool, full: bool) -> tuple[bytes, bytes]:
    """What stands between the parentheses of both; the second is empty where nothing can be changed."""
    words = [word.encode("ascii") for word in keywords]
    flags = b" ".join([name for name, _ in SYSTEM] + words)
    if read_only or not rights & (Rights.SEEN | Rights.WRITE | Rights.DELETE_MESSAGES):
        return flags, b""
    more = [b"\\*"] if rights & Rights.WRITE and not full else []
    if rights == ALL:
        return flags, b" ".join([flags, *more])
    kept = [name for name, needed in SYSTEM if rights & needed]
    return flags, b" ".join(kept + (words if rights & Rights.WRITE else []) + more)


_flags_kept = lru_cache(maxsize=256)(_flags)
