"""Sharing as an administrator sees and changes it: the lists of an account's mailboxes, with people's addresses.

The rules are those of IMAP's SETACL, without its bound on who may give rights to everybody. Must not know SQL,
protocols.
"""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

from ..store.errors import NoSuchMailbox
from ..store.interface import Engine
from ..store.model import FlagMode, Mailbox
from ..store.rights import NEGATIVE, BadRights, Rights, parse_rights, shown
from .admin import Admin, BadSetting
from .identifiers import UnknownPerson, kept_form, shown_form


@dataclass(frozen=True, slots=True)
class Share:
    """One line of a list. who: an address, "anyone" or "authenticated", perhaps behind "-". rights: as IMAP shows."""

    mailbox: str
    who: str
    rights: str


class Sharing:
    """Operations on the lists of one installation."""

    def __init__(self, engine: Engine, admin: Admin) -> None:
        self._engine = engine
        self._admin = admin

    async def shares(self, address: str, mailbox: str | None = None) -> list[Share]:
        """All lines of the account's lists, by mailbox. Raises NotFound, NoSuchMailbox."""
        store = self._engine.account(await self._id(address))
        boxes = await store.mailboxes() if mailbox is None else [await self._mailbox(address, mailbox)]
        found = []
        for box in boxes:
            for entry in await store.acl(box.key):
                who = await shown_form(self._engine.directory, entry.identifier)
                found.append(Share(box.name, who, shown(entry.rights)))
        return found

    async def change(self, address: str, mailbox: str, who: str, rights: str) -> Share:
        """Give `who` these rights on the account's mailbox: "lr" replaces, "+w" adds, "-w" takes away.

        The line as it is then, without rights where it is gone. Raises NotFound, NoSuchMailbox, BadSetting,
        BadIdentifier, UnknownPerson.
        """
        mode = {"+": FlagMode.ADD, "-": FlagMode.REMOVE}.get(rights[:1], FlagMode.REPLACE)
        try:
            wanted = parse_rights(rights if mode is FlagMode.REPLACE else rights[1:])
        except BadRights as error:
            raise BadSetting(f"{error}.", "Rights are letters out of lrswipkxtea.") from error
        box = await self._mailbox(address, mailbox)
        store = self._engine.account(await self._id(address), session="command line")
        try:
            kept = await kept_form(self._engine.directory, who)
        except UnknownPerson as error:  # which of the two addresses
            person = who.removeprefix(NEGATIVE)
            raise UnknownPerson(f"There is no account {person}.", error.remedy) from error
        await store.set_acl(box.key, kept, mode, wanted)
        now = {entry.identifier: entry.rights for entry in await store.acl(box.key)}
        shown_who = await shown_form(self._engine.directory, kept)
        return Share(box.name, shown_who, shown(now.get(kept, Rights.NONE)))

    async def named(self, address: str, mailbox: str, who: str) -> str:
        """`who` as the list keeps him; also an id whose account is gone, as `shares` shows it. Raises NotFound,
        NoSuchMailbox, BadIdentifier, BadSetting where the list does not name him."""
        box = await self._mailbox(address, mailbox)
        there = {entry.identifier for entry in await self._engine.account(await self._id(address)).acl(box.key)}
        kept = who
        if kept not in there:
            try:
                kept = await kept_form(self._engine.directory, who)
            except UnknownPerson:
                pass  # whom nobody knows no list names
        if kept not in there:
            meant = "negative rights of " if kept.startswith(NEGATIVE) else ""
            text = f"The list of {box.name} does not name {meant}{who.removeprefix(NEGATIVE)}."
            raise BadSetting(text, f"See whom it names: 'restante acl list {address} {quote(box.name)}'.")
        return kept

    async def remove(self, address: str, mailbox: str, who: str) -> None:
        """Take `who` off the list. Raises as `named`."""
        kept = await self.named(address, mailbox, who)
        box = await self._mailbox(address, mailbox)
        store = self._engine.account(await self._id(address), session="command line")
        await store.set_acl(box.key, kept, FlagMode.REPLACE, Rights.NONE)

    async def _id(self, address: str) -> str:
        return (await self._admin.account(address)).id

    async def _mailbox(self, address: str, name: str) -> Mailbox:
        found = await self._engine.account(await self._id(address)).mailbox(name)
        if found is None:
            raise NoSuchMailbox(f"There is no mailbox {name}.", "Names are as IMAP shows them, with / between levels.")
        return found
