"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS: who may do what with a mailbox.

Who is meant is the accounts room's business (`accounts.identifiers`), what holds is the store's. The owner has every
right whatever a list says: GETACL shows him so, and nothing can be set for him.

Who shares with an address that is not here is told so, since a grant that lets nobody in would look like one that does.
So that nobody learns all addresses by asking, who asks for many that are not here waits longer each time. RFC 4314 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...accounts.identifiers import BadIdentifier, UnknownPerson, is_everyone, kept_form, shown_form
from ...store.errors import NoPermission, NoSuchMailbox
from ...store.model import FlagMode, Mailbox
from ...store.rights import ALL, KNOWN, LETTERS, NEGATIVE, BadRights, Rights, parse_rights, shown
from ..grammar.commands import AclMode, DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from ..grammar.response_access import acl_response, listrights_response, myrights_response
from ..session.places import Place
from ..session.state import BadCommand, Reply
from .names import mailbox_name

if TYPE_CHECKING:
    from ..session.session import ImapSession

MODES = {AclMode.REPLACE: FlagMode.REPLACE, AclMode.ADD: FlagMode.ADD, AclMode.REMOVE: FlagMode.REMOVE}

GRANTABLE = (*LETTERS, "c", "d")
"""Each right by itself: none is tied to another (RFC 4314 3.7)."""


async def set_acl(session: ImapSession, command: SetAcl) -> Reply:
    try:
        rights = parse_rights(command.rights)
    except BadRights as error:
        raise BadCommand(f"{error}.") from error
    place, mailbox = await _administered(session, command.mailbox)
    kept = await _kept(session, command.identifier)
    if not kept.startswith(NEGATIVE) and command.mode is not AclMode.REMOVE and rights:
        _check_everyone(session, kept)
    people = await _people(session, place, kept)
    await place.store.set_acl(mailbox.key, kept, MODES[command.mode], rights)
    _log(session, people, mailbox, command.mode.value + shown(rights))
    return Reply(b"SETACL completed.")


async def delete_acl(session: ImapSession, command: DeleteAcl) -> Reply:
    """DELETEACL: also of an identifier that has no account any more, as GETACL shows it."""
    place, mailbox = await _administered(session, command.mailbox)
    entries = {entry.identifier for entry in await place.store.acl(mailbox.key)}
    kept = command.identifier if command.identifier in entries else await _kept(session, command.identifier)
    people = await _people(session, place, kept)
    await place.store.set_acl(mailbox.key, kept, FlagMode.REPLACE, Rights.NONE)
    _log(session, people, mailbox, "")
    return Reply(b"DELETEACL completed.")


async def get_acl(session: ImapSession, command: GetAcl) -> Reply:
    place, mailbox = await _administered(session, command.mailbox)
    directory = session.engine.directory
    lines = [(await shown_form(directory, place.store.account), shown(ALL))]
    for entry in await place.store.acl(mailbox.key):
        lines.append((await shown_form(directory, entry.identifier), shown(entry.rights)))
    session.write(acl_response(place.shown(mailbox.name), lines, session.dialect.utf8))
    return Reply(b"GETACL completed.")


async def list_rights(session: ImapSession, command: ListRights) -> Reply:
    """LISTRIGHTS: the owner always has all; everybody else can be given each right by itself."""
    place, mailbox = await _administered(session, command.mailbox)
    kept = await _kept(session, command.identifier)
    required, optional = "", GRANTABLE
    if kept.removeprefix(NEGATIVE) == place.store.account:
        required, optional = ("" if kept.startswith(NEGATIVE) else shown(ALL)), ()
    elif is_everyone(kept) and not kept.startswith(NEGATIVE) and not session.config.share_with_anyone:
        optional = ()
    name = place.shown(mailbox.name)
    session.write(listrights_response(name, command.identifier, required, optional, session.dialect.utf8))
    return Reply(b"LISTRIGHTS completed.")


async def my_rights(session: ImapSession, command: MyRights) -> Reply:
    """MYRIGHTS: for who has one of the rights that RFC 4314 4 names; for others there is no such mailbox."""
    place = await session.places.find(mailbox_name(command.mailbox))
    mailbox = await place.mailbox()
    if mailbox is None or not mailbox.rights & KNOWN:
        raise NoSuchMailbox("There is no such mailbox.")
    session.write(myrights_response(place.shown(mailbox.name), shown(mailbox.rights), session.dialect.utf8))
    return Reply(b"MYRIGHTS completed.")


async def _administered(session: ImapSession, name: str) -> tuple[Place, Mailbox]:
    place = await session.places.find(mailbox_name(name))
    return place, await place.existing(Rights.ADMINISTER)


async def _people(session: ImapSession, place: Place, kept: str) -> tuple[str, str]:
    """Owner and who is meant, by their addresses: ids say nothing to an operator, least of all once they are gone."""
    directory = session.engine.directory
    return await shown_form(directory, place.store.account), await shown_form(directory, kept)


def _log(session: ImapSession, people: tuple[str, str], mailbox: Mailbox, rights: str) -> None:
    """Who was let in where is what an operator is asked about afterwards."""
    owner, who = people
    session.connection.log("acl", owner=owner, mailbox=mailbox.name, who=who, rights=rights)


async def _kept(session: ImapSession, identifier: str) -> str:
    """The identifier as lists keep it. Raises BadCommand for what can be nobody's name (RFC 4314 3), UnknownPerson,
    TooManyQuestions, each after its delay."""
    directory, account = session.engine.directory, session.account
    if account is None or is_everyone(identifier.lower()):
        return await kept_form(directory, identifier)
    await session.authenticator.may_ask(account)
    try:
        return await kept_form(directory, identifier)
    except (BadIdentifier, UnknownPerson) as refusal:
        await session.authenticator.asked_in_vain(account)
        if isinstance(refusal, BadIdentifier):
            raise BadCommand(refusal.text) from refusal
        raise


def _check_everyone(session: ImapSession, kept: str) -> None:
    """One person's grant to all would stand in everybody's LIST: only where the operator wants that."""
    if is_everyone(kept) and not session.config.share_with_anyone:
        raise NoPermission("Rights cannot be given to everybody here.", "Name the people, or ask your operator.")
