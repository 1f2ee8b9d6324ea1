"""Making, renaming, removing mailboxes, and subscribing to names. RFC 9051 6.3.4 to 6.3.8; RFC 3501 6.3.3 to
6.3.7; RFC 6154 3 (CREATE with USE); RFC 8474 4.1 (MAILBOXID)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import Refusal
from ...store.errors import CannotChangeMailbox, MailboxExists, NoSuchMailbox, RoleTaken
from ...store.model import INBOX, ROLES, SEPARATOR, Mailbox
from ...store.rights import Rights
from ..grammar.commands import Create, Delete, Rename, Subscribe, Unsubscribe
from ..session.places import Place
from ..session.state import Reply
from .list import tell_name
from .names import mailbox_name

if TYPE_CHECKING:
    from ..session.session import ImapSession


class TooManyMailboxes(Refusal):
    """The account has as many mailboxes as it may (RFC 5530 LIMIT)."""

    code = "TOO-MANY-MAILBOXES"


class HasChildren(Refusal):
    """A level that is no mailbox goes with the last mailbox below it (RFC 9051 6.3.5, 7.1)."""

    code = "HAS-CHILDREN"


async def create(session: ImapSession, command: Create) -> Reply:
    name = mailbox_name(command.mailbox)
    if name == INBOX:
        raise MailboxExists("INBOX is always there.")
    role = _role(command.special_use)
    place = await session.places.making(name)
    if place.own and len(await place.store.mailboxes()) >= session.limits.mailboxes:
        raise TooManyMailboxes("There are too many mailboxes.", "Delete some first.")
    if role is not None and not place.own:
        raise RoleTaken("A mailbox of somebody else has no special use for you.")
    made = await place.store.create_mailbox(place.name, role)
    await _acted(session, place, came=place.name)
    if name != command.mailbox.removesuffix(SEPARATOR):
        tell_name(session, place, place.name, command.mailbox)
    return Reply(b"CREATE completed.", b"MAILBOXID (%b)" % made.id.encode("ascii"))


def _role(asked: tuple[str, ...]) -> str | None:
    """The one special use asked for. Raises RoleTaken (USEATTR) for several, or one not known here."""
    if not asked:
        return None
    known = {role.lower(): role for role in ROLES}
    if len(set(map(str.lower, asked))) > 1 or asked[0].lower() not in known:
        raise RoleTaken("A mailbox cannot have that special use here.")
    return known[asked[0].lower()]


async def delete(session: ImapSession, command: Delete) -> Reply:
    """DELETE; where it is the selected mailbox, this session leaves it (RFC 9051 6.3.5)."""
    place = await session.places.find(mailbox_name(command.mailbox))
    mailbox = await _to_delete(place)
    await place.store.delete_mailbox(mailbox.key, mailbox.name)
    await _acted(session, place, went=mailbox.name)
    here = session.place
    if here is not None and (here.store.account, session.view.mailbox.key) == (place.store.account, mailbox.key):
        session.unselected()
        session.say(b"The mailbox is closed.", b"CLOSED")
    tell_name(session, place, mailbox.name, command.mailbox, ("\\NonExistent",))
    return Reply(b"DELETE completed.")


async def _to_delete(place: Place) -> Mailbox:
    """The mailbox, which the user may delete. Raises HasChildren for a level that is none."""
    try:
        return await place.existing(Rights.DELETE_MAILBOX)
    except NoSuchMailbox:
        below = place.name + SEPARATOR
        if any(other.name.startswith(below) for other in await place.store.mailboxes()):
            raise HasChildren("There is no such mailbox, only mailboxes below it.", "DELETE those.") from None
        raise


async def rename(session: ImapSession, command: Rename) -> Reply:
    """RENAME, with all children; INBOX stays and gives its messages away (RFC 9051 6.3.6). A name that is none, with
    mailboxes below it, hands these on, as in the example there."""
    place = await session.places.find(mailbox_name(command.mailbox))
    name = mailbox_name(command.to)
    try:
        mailbox = await place.existing(Rights.DELETE_MAILBOX)
    except NoSuchMailbox:
        if not await _level_renamed(session, place, name, command.mailbox):
            raise
        return Reply(b"RENAME completed.")
    if name == INBOX:
        raise MailboxExists("INBOX is always there.")
    to = await session.places.making(name)
    if to.store.account != place.store.account:
        raise CannotChangeMailbox("A mailbox cannot move to another account.", "Create one there, and move the mail.")
    if mailbox.name != INBOX and to.name.startswith(mailbox.name + SEPARATOR):
        raise CannotChangeMailbox("A mailbox cannot be moved into itself.")
    await place.store.rename_mailbox(mailbox.key, to.name, mailbox.name)
    await _acted(session, place, went=mailbox.name, came=to.name)
    if mailbox.name != INBOX:
        tell_name(session, to, to.name, command.mailbox)
    return Reply(b"RENAME completed.")


async def _level_renamed(session: ImapSession, place: Place, name: str, asked: str) -> bool:
    """Rename what is below a name of the own account that is no mailbox; whether such a name can go there."""
    if not place.own or name == INBOX:
        return False
    to = await session.places.making(name)
    if not to.own:
        return False
    await place.store.rename_level(place.name, to.name)
    tell_name(session, to, to.name, asked, ("\\NonExistent", "\\HasChildren"))
    return True


async def _acted(session: ImapSession, place: Place, *, went: str | None = None, came: str | None = None) -> None:
    """NOTIFY does not tell of what this session has done itself to names of somebody else's account."""
    if not place.own and session.notifications is not None and session.notifications.others is not None:
        await session.notifications.others.acted(place, went=went, came=came)


async def subscribe(session: ImapSession, command: Subscribe) -> Reply:
    """SUBSCRIBE: a name that has a mailbox which the user may list. Kept in his own account."""
    place = await session.places.find(mailbox_name(command.mailbox))
    if place.past is not None:
        raise CannotChangeMailbox("A mailbox of a backup cannot be subscribed to.", "Copy messages out of it.")
    mailbox = await place.existing(Rights.LOOKUP)
    await session.own_store.subscribe(place.shown(mailbox.name), True)
    return Reply(b"SUBSCRIBE completed.")


async def unsubscribe(session: ImapSession, command: Unsubscribe) -> Reply:
    """UNSUBSCRIBE: any name, also of a mailbox that is gone, in any form that SUBSCRIBE takes (RFC 9051 6.3.8)."""
    store, name = session.own_store, mailbox_name(command.mailbox)
    if name.startswith(session.places.prefix):
        compared = session.places.compared
        meant = compared(name)
        for other in await store.subscriptions():
            if other != name and compared(other) == meant:
                await store.subscribe(other, False)
    await store.subscribe(name, False)
    return Reply(b"UNSUBSCRIBE completed.")
