"""Where a mailbox name leads: into the session's own account, into somebody else's, or into a snapshot.

    INBOX, Work/2024                         own
    Other Users/bob@example.org/Projects     Bob's "Projects", as far as he lets this person
    Backups/2026-11-22 02:30/Projects        own, as it was then: for reading, where that is configured

An address stands in a name with "=" and two hex digits for what a level may not hold or LIST would read as a
wildcard ("/", "%", "*", '"', "\\", "=", controls, spaces). A name below "Other Users" or "Backups" that the own account
has all the same (it came by an import) is the own one's.

Whether somebody else is not here at all, shares nothing, or not this mailbox is answered in one way and after the
same work: the directory's index of shares is asked before any account's file is opened. RFC 2342, RFC 4314 6.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import Refusal
from ...inbox import with_inbox
from ...store.directory import Account, fold_address
from ...store.errors import BadMailboxName, NoPermission, NoSuchMailbox, cause_of
from ...store.interface import Store
from ...store.model import INBOX, SEPARATOR, Mailbox
from ...store.past import Past, PastState, PastStore
from ...store.rights import ALL, Rights, identifiers_of, letters
from ..commands.names import LONGEST

if TYPE_CHECKING:
    from .session import ImapSession

BACKUPS = "Backups" + SEPARATOR
"""What names of mailboxes begin with that are those of then. Only LIST patterns that begin so show any."""

READ_ONLY = "A backup is for reading only."

_UNSAFE = re.compile(r"[\x00-\x20\"%*/=\\\x7f]")
_ESCAPE = re.compile("=([0-9A-F]{2})")
OWNERS = 1_000
"""People asked for at once who share something."""


@dataclass(frozen=True, slots=True)
class Place:
    """A name's account and what the mailbox is called there.

    store: the account as this session's user may see it. name: the mailbox's there. above: what stands before that
    name for the client, "" in the own account. past: the same store, where it is the own account as
    it was at a snapshot: nothing changes there.
    """

    store: Store
    name: str
    above: str = ""
    past: PastStore | None = None

    @property
    def own(self) -> bool:
        return not self.above

    def shown(self, name: str) -> str:
        """A name of this account as the client knows it."""
        return self.above + name

    async def mailbox(self) -> Mailbox | None:
        """The mailbox, its name being the store's."""
        return await self.store.mailbox(self.name)

    async def existing(self, needed: Rights, remedy: str = "") -> Mailbox:
        """The mailbox, on which the user has these rights. Raises NoSuchMailbox, NoPermission.

        remedy: what to do where an own mailbox is not there; elsewhere it could not be done as a rule.
        """
        mailbox = await self.store.mailbox(self.name)
        if mailbox is None:
            raise NoSuchMailbox("There is no such mailbox.", remedy if self.own else "")
        if self.past is not None and needed & ~mailbox.rights:
            raise NoPermission(READ_ONLY, "Copy messages out of it.")
        require(mailbox, needed)
        return mailbox


def require(mailbox: Mailbox, needed: Rights) -> None:
    """Raises NoPermission where rights are missing, NoSuchMailbox for who may not know of the mailbox.

    The store asks again in its own transaction; this gives the answer before work is done.
    """
    if mailbox.rights is ALL or mailbox.rights & needed == needed:  # "is": a microsecond less, for nearly everybody
        return
    if mailbox.rights & Rights.LOOKUP:
        missing = letters(needed & ~mailbox.rights)
        raise NoPermission(f"This needs the right {missing} on the mailbox.", "Ask its owner.")
    raise NoSuchMailbox("There is no such mailbox.")


def level_of(address: str) -> str:
    """An address as one level of a mailbox name: in NFC, as commands' names come here (RFC 9051 5.1), where it may be
    kept in another form."""
    return _UNSAFE.sub(lambda found: f"={ord(found[0]):02X}", unicodedata.normalize("NFC", address))


def address_of(level: str) -> str:
    """The address that a level of a name stands for."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), level)


class Places:
    """Finds mailboxes for one session. Keeps nothing of who is logged in."""

    __slots__ = ("_session", "prefix")

    def __init__(self, session: ImapSession) -> None:
        self._session = session
        self.prefix = session.config.other_users + SEPARATOR

    async def find(self, name: str, *, missing: type[Refusal] = NoSuchMailbox) -> Place:
        """Where a name (as `mailbox_name` gives it) leads. Raises BadMailboxName, `missing` where it leads nowhere."""
        session = self._session
        if session.past is not None and name.startswith(BACKUPS):
            return await self._past(session.past, name, missing)
        if not name.startswith(self.prefix) or await session.own_store.mailbox(name) is not None:
            if len(name) > LONGEST:  # no CREATE would help (RFC 9051 6.3.12)
                raise BadMailboxName("That cannot be the name of a mailbox.")
            return Place(session.own_store, name)
        level, _, rest = name[len(self.prefix) :].partition(SEPARATOR)
        owner = await session.engine.directory.account(address_of(level)) if rest else None
        if not await self._shares(owner) or owner is None:
            if missing is NoPermission:
                raise NoPermission("You may not make a mailbox there.")
            raise missing("There is no such mailbox.")
        return self._place(owner, rest)

    async def _past(self, past: Past, name: str, missing: type[Refusal]) -> Place:
        own = self._session.own_store
        if await own.mailbox(name) is not None:
            return Place(own, name)
        if missing is NoPermission:
            raise NoPermission(READ_ONLY, "Choose a name that does not begin with Backups.")
        level, _, rest = name[len(BACKUPS) :].partition(SEPARATOR)
        if rest:
            for state in await past.states(own.account):
                if state.name == level:
                    return await self.past_place(past, state, with_inbox(rest, SEPARATOR))
        raise missing("There is no such mailbox.")

    async def past_place(self, past: Past, state: PastState, name: str) -> Place:
        """A mailbox of a snapshot, by the name that it had."""
        store = await past.store(self._session.own_store.account, state)
        return Place(store, name, BACKUPS + state.name + SEPARATOR, past=store)

    async def making(self, name: str) -> Place:
        """Where a mailbox of this name is to be made. Raises NoPermission, and for the others' root itself too."""
        if name + SEPARATOR == self.prefix or (self._session.past is not None and name + SEPARATOR == BACKUPS):
            raise NoPermission("You may not make a mailbox there.")
        return await self.find(name, missing=NoPermission)

    async def _shares(self, owner: Account | None) -> bool:
        """Whether he may share something with this user; asked of nobody too, which takes as long."""
        me = self._session.own_store.account
        id = owner.id if owner is not None else ""
        return await self._session.engine.directory.shares(id, identifiers_of(me)) and id != me

    def _place(self, owner: Account, name: str) -> Place:
        session = self._session
        acting = f"imap {session.connection.id}"
        if session.account is not None:
            acting += f" {session.account.address}"
        store = session.engine.account(owner.id, session.own_store.account, acting)
        if session.notifications is not None:
            store.own = session.notifications.own_of(owner.id)
        return Place(store, with_inbox(name, SEPARATOR), self.prefix + level_of(owner.address) + SEPARATOR)

    def compared(self, name: str) -> str:
        """A name as names are compared: `find` takes the address of somebody else, and his INBOX, in any case."""
        if not name.startswith(self.prefix):
            return name
        level, slash, rest = name[len(self.prefix) :].partition(SEPARATOR)
        return self.prefix + level_of(fold_address(address_of(level))) + slash + with_inbox(rest, SEPARATOR)

    def reached_by(self, patterns: tuple[str, ...]) -> bool:
        """Whether LIST patterns (with their reference) may match a name of somebody else, or one above it."""
        for pattern in patterns:
            plain = re.split("[*%]", pattern, maxsplit=1)[0]
            if plain.startswith(self.prefix) or (plain != pattern and self.prefix.startswith(plain)):
                return True
            if plain + SEPARATOR == self.prefix:
                return True
        return False

    async def shared(self) -> list[tuple[Place, Mailbox]]:
        """Mailboxes of others that this user may list, under the names that the client knows, each with a place in its
        account.

        Cost: a look at the directory's index; a read of each account that it names.
        """
        session = self._session
        me = session.own_store.account
        found: list[tuple[Place, Mailbox]] = []
        after = ""
        while owners := await session.engine.directory.sharing(identifiers_of(me), after, OWNERS):
            for owner in owners:
                if owner.id != me:
                    found += await self._shared_by(owner)
                    await asyncio.sleep(0)  # others' turn: each is a file of its own
            after = owners[-1].address
            if len(owners) < OWNERS:
                break
        return found

    async def _shared_by(self, owner: Account) -> list[tuple[Place, Mailbox]]:
        place = self._place(owner, INBOX)
        try:
            mailboxes = await place.store.mailboxes()
        except Refusal as refusal:  # somebody else's damaged file hides nobody's own mailboxes
            self._session.connection.log(
                "shared account not read", account=owner.address, reason=refusal.code, cause=cause_of(refusal)
            )
            return []
        return [(place, replace(one, name=place.shown(one.name))) for one in mailboxes]
