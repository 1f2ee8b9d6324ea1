"""Refusals of the other rooms as IMAP response codes: the one table.

Must not know commands. RFC 5530 3, RFC 9051 7.1, RFC 6154 3 (USEATTR).
"""

from __future__ import annotations

from ...accounts.login import (
    AccountDisabled,
    AuthorizationRefused,
    LoginRefused,
    LoginUnavailable,
    PrivacyRequired,
    SecretExpired,
)
from ...errors import Refusal
from ...store import errors as store
from .state import Answer, CodedRefusal, Reply

CODES: tuple[tuple[type[Refusal], bytes], ...] = (
    (AuthorizationRefused, b"AUTHORIZATIONFAILED"),
    (SecretExpired, b"EXPIRED"),
    (AccountDisabled, b"CONTACTADMIN"),
    (LoginRefused, b"AUTHENTICATIONFAILED"),
    (LoginUnavailable, b"UNAVAILABLE"),
    (PrivacyRequired, b"PRIVACYREQUIRED"),
    (store.RoleTaken, b"USEATTR"),
    (store.TooManyNames, b"LIMIT"),
    (store.NoSuchMailbox, b"NONEXISTENT"),
    (store.NoSuchMessage, b"EXPUNGEISSUED"),
    (store.NoPermission, b"NOPERM"),
    (store.TooMuchAtOnce, b"LIMIT"),
    (store.MailboxExists, b"ALREADYEXISTS"),
    (store.BadMailboxName, b"CANNOT"),
    (store.CannotChangeMailbox, b"CANNOT"),
    (store.OverQuota, b"OVERQUOTA"),
    (store.TooManyKeywords, b"LIMIT"),
    (store.TooManyAnnotations, b"METADATA TOOMANY"),
    (store.InUse, b"INUSE"),
    (store.DiskFull, b"UNAVAILABLE"),
    (store.Busy, b"INUSE"),
    (store.NoSuchAccount, b"CONTACTADMIN"),
    (store.NewerSchema, b"UNAVAILABLE"),
    (store.Damaged, b"CORRUPTION"),
    (store.StoreFailed, b"UNAVAILABLE"),
)
"""Class -> code; the first that fits, so subclasses stand before their bases."""

BY_NAME: dict[str, bytes] = {
    "TOO-MANY-CONNECTIONS": b"LIMIT",
    "TOO-MANY-COMPRESSED": b"LIMIT",
    "TOO-MANY-QUESTIONS": b"LIMIT",
    "TOO-MANY-MAILBOXES": b"LIMIT",
    "EIGHT-BIT-HEADER": b"CANNOT",
    "NO-SUCH-FLAG": b"CANNOT",
    "EXPUNGE-ISSUED": b"EXPUNGEISSUED",
    "HAS-CHILDREN": b"HASCHILDREN",
    "MESSAGE-TOO-LARGE": b"TOOBIG",
    "BAD-FILTER": b"CANNOT",
    "READ-ONLY-ENTRY": b"NOPERM",
    "CANNOT-SET-QUOTA": b"CANNOT",
    "UNKNOWN-PERSON": b"CANNOT",
}
"""Codes of refusals whose classes live in rooms that this one may not import."""


def code_of(refusal: Refusal) -> bytes:
    """The response code for a refusal, b"" where RFC 5530 has none."""
    if isinstance(refusal, CodedRefusal):
        return refusal.response_code
    if isinstance(refusal, store.AnnotationTooLarge):
        return b"METADATA MAXSIZE %d" % refusal.most
    for kind, code in CODES:
        if isinstance(refusal, kind):
            return code
    return BY_NAME.get(refusal.code, b"UNAVAILABLE" if refusal.temporary else b"")


def reply_to(refusal: Refusal, *, try_create: bool = False) -> Reply:
    """NO with code and text. try_create: the command was to file into a mailbox (TRYCREATE, RFC 9051 6.3.12)."""
    code = code_of(refusal)
    if try_create and isinstance(refusal, store.NoSuchMailbox) and not isinstance(refusal, store.SourceGone):
        code = b"TRYCREATE"
    return Reply(line_text(str(refusal)), code, Answer.NO)


def line_text(text: str) -> bytes:
    """Text for a person as octets that fit on a response line: ASCII without controls, never empty."""
    octets = text.encode("ascii", "replace")
    return bytes(o if 32 <= o < 127 else 63 for o in octets) or b"Refused."
