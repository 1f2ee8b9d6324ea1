"""REPLACE: a message filed and another removed, with one number (RFC 8508).

Between the two stand no states that anybody could see: a session that follows the mailbox is told of both in one
delta. The removed one is logged like any other, and can be brought back.
"""

from __future__ import annotations

from ..errors import NoSuchMessage
from ..model import Appended
from ..quota import NO_LIMITS, Quota
from . import append, mailboxes
from .copies import of_source
from .emails import Prepared
from .quota import check_filing
from .transaction import Write


def replace(tx: Write, mailbox: int, uid: int, target: int, message: Prepared, limits: Quota) -> Appended:
    """File in `target`, remove `uid` of `mailbox`. Raises SourceGone, NoSuchMailbox, NoSuchMessage,
    OverQuota, TooManyKeywords.

    The quota is asked for what the new message is larger than the old one (RFC 8508 3.4): a full account can go on
    editing a draft.
    """
    with of_source():
        mailboxes.mailbox_by_key(tx.db, mailbox, tx.user)
    row = tx.db.execute("SELECT size FROM placement WHERE mailbox = ? AND uid = ?", (mailbox, uid)).fetchone()
    if row is None:
        raise NoSuchMessage("The message to be replaced is no longer there.")
    check_filing(tx, max(0, message.message.blob.size - int(row[0])), 0, limits)
    filed = append.append(tx, target, [message], NO_LIMITS)
    tx.remove(mailbox, ((uid, uid),))
    return Appended(mailboxes.mailbox_by_key(tx.db, target, tx.user), filed.uids, filed.email_ids, filed.modseq)
