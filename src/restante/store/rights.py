"""Rights on a mailbox, as values: what each lets one do, how lists of them combine, how they are written.

An access control list is a set of (identifier, rights). An identifier is an account's id, ANYONE or AUTHENTICATED
(the same people here, since nobody is let in unnamed), or one of these behind "-": a negative right. Somebody has
the union of what is granted to identifiers that mean him, without the union of what negative ones take away. The
owner of an account has every right on all of its mailboxes; no list changes that, so owners are never looked up.

Pure. RFC 4314 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntFlag

from ..values import Value

ANYONE = "anyone"
AUTHENTICATED = "authenticated"
NEGATIVE = "-"
EVERYONE = frozenset({ANYONE, AUTHENTICATED})


class Rights(IntFlag):
    """The standard rights (RFC 4314 2.1) as bits."""

    NONE = 0
    LOOKUP = 1
    """l: LIST shows it, SUBSCRIBE takes it."""
    READ = 2
    """r: SELECT, STATUS."""
    SEEN = 4
    """s: \\Seen is kept: for each reader his own."""
    WRITE = 8
    """w: other flags and keywords."""
    INSERT = 16
    """i: APPEND, COPY into it."""
    POST = 32
    """p: for submission; IMAP does nothing with it."""
    CREATE = 64
    """k: mailboxes below it."""
    DELETE_MAILBOX = 128
    """x: DELETE, and RENAME away."""
    DELETE_MESSAGES = 256
    """t: \\Deleted."""
    EXPUNGE = 512
    """e: EXPUNGE, and at CLOSE."""
    ADMINISTER = 1024
    """a: the list itself."""


ALL = Rights(2047)
KNOWN = Rights.LOOKUP | Rights.READ | Rights.INSERT | Rights.CREATE | Rights.DELETE_MAILBOX | Rights.ADMINISTER
"""Who has one of these may ask for his rights (RFC 4314 4, "Any")."""

WRITES = Rights.INSERT | Rights.EXPUNGE | Rights.WRITE | Rights.DELETE_MESSAGES
"""Without one of these SELECT says READ-ONLY. \\Seen is each reader's own, no shared flag (RFC 4314 5.2)."""

ANNOTATES = Rights.READ | Rights.SEEN | Rights.WRITE | Rights.INSERT | Rights.POST
"""Who has LOOKUP and one of these reads and sets annotations (RFC 5464 3.3)."""


def may_annotate(rights: Rights) -> bool:
    """Whether annotations may be read and set by who has these."""
    return bool(rights & Rights.LOOKUP and rights & ANNOTATES)


LETTERS = "lrswipkxtea"
_BY_LETTER = {letter: Rights(1 << bit) for bit, letter in enumerate(LETTERS)}
_C = Rights.CREATE | Rights.DELETE_MAILBOX
_D = Rights.DELETE_MESSAGES | Rights.EXPUNGE
_VIRTUAL = {"c": _C, "d": _D}
"""RFC 2086's rights as unions of ours: the first of the two readings that RFC 4314 2.1.1 allows."""


class BadRights(ValueError):
    """A letter that is no right here; the text says which."""


def parse_rights(text: str) -> Rights:
    """Rights from letters, "c" and "d" among them. Raises BadRights for any other (RFC 4314 3.1: never passed over)."""
    rights = Rights.NONE
    for letter in text:
        known = _BY_LETTER.get(letter) or _VIRTUAL.get(letter)
        if known is None:
            shown = letter if letter.isascii() and letter.isprintable() else "?"
            raise BadRights("Rights are lower-case letters" if letter.isupper() else f"There is no right {shown}")
        rights |= known
    return rights


def letters(rights: Rights) -> str:
    """The rights' letters without the virtual ones: the form that is stored."""
    return "".join(letter for letter, right in _BY_LETTER.items() if rights & right)


def shown(rights: Rights) -> str:
    """The rights as responses show them: with "c" and "d" where a member is there (RFC 4314 2.1.1)."""
    return letters(rights) + ("c" if rights & _C else "") + ("d" if rights & _D else "")


class AclEntry(Value, frozen=True):
    """One line of a list. identifier: an account's id, ANYONE or AUTHENTICATED, perhaps behind "-"."""

    identifier: str
    rights: Rights


def identifiers_of(account: str) -> tuple[str, ...]:
    """The identifiers that mean the person with this account id, without the negative ones."""
    return account, ANYONE, AUTHENTICATED


def combined(entries: Iterable[AclEntry]) -> Rights:
    """What entries that all mean one person come to: everything granted without everything taken away."""
    granted = taken = Rights.NONE
    for entry in entries:
        if entry.identifier.startswith(NEGATIVE):
            taken |= entry.rights
        else:
            granted |= entry.rights
    return granted & ~taken
