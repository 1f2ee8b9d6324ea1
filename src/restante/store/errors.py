"""Why a store says no. One family; protocol rooms map the classes to their response codes."""

from __future__ import annotations

from ..errors import Refusal


class StoreRefusal(Refusal):
    """Base of what a store refuses."""


class StoreFault(StoreRefusal):
    """The machine or the file is at fault, not what was asked for: an operator has to hear of it.

    cause: what failed beneath, for the log alone; "" where the text says all there is.
    """

    cause = ""


def cause_of(refusal: BaseException) -> str | None:
    """What a log says beside a refusal that a store's fault stands behind; None for any other."""
    link: BaseException | None = refusal
    while link is not None:
        if isinstance(link, StoreFault):
            return link.cause or link.text
        link = link.__cause__
    return None


class NoSuchAccount(StoreRefusal):
    code = "NO-SUCH-ACCOUNT"


class AccountExists(StoreRefusal):
    """A store of this account is there already: one that is to be made whole at once cannot be."""

    code = "ACCOUNT-EXISTS"


class AnotherStore(AccountExists):
    """It is not what was to be made: another state of the account, or one that has been in use."""


class NoSuchMailbox(StoreRefusal):
    """RFC 5530 NONEXISTENT (TRYCREATE where the command was to file a message)."""

    code = "NO-SUCH-MAILBOX"


class SourceGone(NoSuchMailbox):
    """The mailbox that messages were to come from: no CREATE of the target would help (RFC 9051 7.1, TRYCREATE)."""


class NoSuchMessage(StoreRefusal):
    """A message to be replaced, or one that had to be among those copied, has been removed: RFC 5530 EXPUNGEISSUED."""

    code = "NO-SUCH-MESSAGE"


class MailboxExists(StoreRefusal):
    """RFC 5530 ALREADYEXISTS."""

    code = "MAILBOX-EXISTS"


class NoPermission(StoreRefusal):
    """RFC 5530 NOPERM: the acting user has not the right that this needs, and may know of the mailbox."""

    code = "NO-PERMISSION"


class TooMuchAtOnce(StoreRefusal):
    """RFC 5530 LIMIT: more than one command may carry, or than a list may hold."""

    code = "TOO-MUCH-AT-ONCE"


class BadMailboxName(StoreRefusal):
    """RFC 5530 CANNOT: empty parts, control characters, too long, too deep."""

    code = "BAD-MAILBOX-NAME"


class CannotChangeMailbox(StoreRefusal):
    """RFC 5530 CANNOT: deleting INBOX, renaming a mailbox into itself, a role that another mailbox has."""

    code = "CANNOT-CHANGE-MAILBOX"


class RoleTaken(CannotChangeMailbox):
    """RFC 6154 USEATTR: another mailbox has this special use, or the use is not supported."""

    code = "ROLE-TAKEN"


class TooManyNames(CannotChangeMailbox):
    """RFC 5530 LIMIT: the account has as many mailboxes, or subscriptions, as it may have."""

    code = "TOO-MANY-NAMES"


class OverQuota(StoreRefusal):
    """RFC 5530 OVERQUOTA; LMTP 452/552 with 4.2.2 or 5.2.2."""

    code = "OVER-QUOTA"


class TooManyKeywords(StoreRefusal):
    """RFC 5530 LIMIT."""

    code = "TOO-MANY-KEYWORDS"


class TooManyAnnotations(StoreRefusal):
    """RFC 5464 METADATA TOOMANY."""

    code = "TOO-MANY-ANNOTATIONS"


class AnnotationTooLarge(StoreRefusal):
    """RFC 5464 METADATA MAXSIZE. most: octets that a value may have."""

    code = "ANNOTATION-TOO-LARGE"

    def __init__(self, text: str, remedy: str = "", *, most: int) -> None:
        super().__init__(text, remedy)
        self.most = most


class InUse(StoreRefusal):
    """Another session holds the maildrop (RFC 2449 IN-USE), or brings mail back."""

    code = "IN-USE"
    temporary = True


class DiskFull(StoreFault):
    """No room, or the reserve kept for removals is reached: 452 4.3.1, NO [OVERQUOTA]/[UNAVAILABLE]."""

    code = "DISK-FULL"
    temporary = True


class StoreFailed(StoreFault):
    """Reading or writing failed beneath us (I/O error, corrupt file). Nothing half done. Cause is chained."""

    code = "STORE-FAILED"
    temporary = True


class Busy(StoreFault):
    """Another process held the store for longer than we wait."""

    code = "BUSY"
    temporary = True


class NewerSchema(StoreFault):
    """The file was written by a newer Restante."""

    code = "NEWER-SCHEMA"


class Damaged(StoreFault):
    """The file is not a store of ours, or is broken."""

    code = "DAMAGED"


UNREADABLE = (Damaged, StoreFailed)
"""What a page that is broken raises, or one that lies on a bad sector: what lies elsewhere in the file may be read."""


class PastUnavailable(StoreRefusal):
    """What an account was at a snapshot cannot be told now (RFC 5530 UNAVAILABLE). The text is for its owner."""

    code = "PAST-UNAVAILABLE"
    temporary = True


class BeyondHistory(StoreRefusal):
    """The store no longer knows what the account was then. earliest: seconds UTC from which on it does."""

    code = "BEYOND-HISTORY"

    def __init__(self, text: str, remedy: str = "", *, earliest: int) -> None:
        super().__init__(text, remedy)
        self.earliest = earliest


class NoSuchRewind(StoreRefusal):
    """No rewind of this id is known, or its traces are past the retention."""

    code = "NOT-FOUND"
