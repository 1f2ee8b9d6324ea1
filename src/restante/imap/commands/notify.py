"""NOTIFY: the client says what it wants to hear, at any time from then on. RFC 5465 3.1.

NOTIFY SET tells first what has gathered for the selected mailbox, then how the other mailboxes stand, and from
there on only what the groups name. What is told, and when, is the business of `watching` and `Updates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..grammar.notify import Notify
from ..session.state import NOTHING_TOLD, Reply, State
from .watching import Notifications
from .watching_groups import told_of_selected

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def notify(session: ImapSession, command: Notify) -> Reply:
    if command.groups is None:
        session.notify(None, NOTHING_TOLD)
        session.own_store.own = None
        return Reply(b"NOTIFY completed: nothing is told.")
    if session.state is State.SELECTED:
        await session.updates.tell(may_expunge=True, regardless=True)
    if session.notifications is not None:
        await session.notifications.tell(ask=True)  # by the old list: no event falls between the two
    notifications = Notifications(session, command.groups, at_once=True)
    await notifications.begin(status=command.status, before=session.notifications)
    session.notify(notifications, told_of_selected(command.groups))
    return Reply(b"NOTIFY completed.")
