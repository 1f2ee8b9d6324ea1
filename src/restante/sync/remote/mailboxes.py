"""Making, naming, removing and subscribing mailboxes on the server.

RFC 9051 6.3.4 to 6.3.8, RFC 6154 3 and 5.4, RFC 5464.
"""

from __future__ import annotations

from ..model import Place
from ..side import MailboxUnavailable
from .account import Account
from .command import Command, astring
from .connection import Connection
from .errors import check
from .look import REMOVED, place_of, sight, status_items, statuses


async def create(account: Account, name: str, role: str | None) -> Place:
    """`Side.create`. The role is kept where the server lets it be given (CREATE-SPECIAL-USE, else METADATA)."""
    raw = await account.raw(name)
    async with account.pool.borrow() as connection:
        written = astring(raw, connection.utf8)
        given = None
        if role is not None and "CREATE-SPECIAL-USE" in account.pool.offers:
            (status,) = await connection.run((b"CREATE ", written, b" (USE (" + role.encode("ascii") + b"))"))
            given = role if status.ok else None
            if not status.ok and status.code == b"USEATTR":
                (status,) = await connection.run((b"CREATE ", written))
        else:
            (status,) = await connection.run((b"CREATE ", written))
        check(status, name)
        offers = account.pool.offers
        items = status_items(offers, ids="OBJECTID" in offers)
        values = await statuses(connection, [raw], items)
        account.forget(name, children=False)
        account.names.learn(raw, account.names.separator)
        if role is not None and given is None and await _set_role(account, connection, raw, role):
            given = role
    place = place_of(name, values.get(raw), given, offers)
    account.sights[name] = sight(values.get(raw))
    if place.validity:
        account.validities[name] = int(place.validity)
    return place


async def rename(account: Account, name: str, new: str) -> None:
    """`Side.rename`."""
    if name == "INBOX":  # RENAME would move its messages and leave it there (RFC 9051 6.3.6)
        raise MailboxUnavailable("INBOX is not renamed.")
    raw, to = await account.raw(name), await account.raw(new)
    async with account.pool.borrow() as connection:
        await _leave(account, connection, raw)
        (status,) = await connection.run(
            (b"RENAME ", astring(raw, connection.utf8), b" ", astring(to, connection.utf8))
        )
        check(status, f"{name} -> {new}")
    account.pool.left(raw)
    account.names.renamed(name, new)
    account.forget(name)


async def delete(account: Account, name: str) -> None:
    """`Side.delete`."""
    raw = await account.raw(name)
    async with account.pool.borrow() as connection:
        await _leave(account, connection, raw)
        (status,) = await connection.run((b"DELETE ", astring(raw, connection.utf8)))
        check(status, name)
    account.pool.left(raw)
    account.names.renamed(name, name)
    account.forget(name, children=False)


async def delete_empty(account: Account, name: str) -> bool:
    """`side.EmptyDeletes.delete_empty`: renamed to where nobody delivers, looked at, and only then deleted; renamed
    back where there is mail after all. RENAME would take children along: with these, and where the server does not let
    it be renamed, it is looked at right before."""
    raw = await account.raw(name)
    # At the top: elsewhere RENAME would make a mailbox of each name above that is none (RFC 9051 6.3.6).
    hidden = account.names.raw(name.rpartition("/")[2] + REMOVED)
    async with account.pool.borrow() as connection:
        await _leave(account, connection, raw)
        old, new = astring(raw, connection.utf8), astring(hidden, connection.utf8)
        away = False
        if not account.names.has_children(name):
            (status,) = await connection.run((b"RENAME ", old, b" ", new))
            away = status.ok
        where, shown = (hidden, new) if away else (raw, old)
        told = await statuses(connection, [where], b"MESSAGES")
        messages = told.get(where, {}).get(b"MESSAGES")
        empty = messages == 0
        if empty:
            (status,) = await connection.run((b"DELETE ", shown))
        if away and not (empty and status.ok):
            (back,) = await connection.run((b"RENAME ", new, b" ", old))
            check(back, name)
        if messages is None:
            raise MailboxUnavailable(f"The server does not say whether there is mail in {name}.")
        if empty:
            check(status, name)
    account.pool.left(raw)
    if empty:
        account.names.renamed(name, name)
        account.forget(name, children=False)
    return empty


async def _leave(account: Account, connection: Connection, raw: bytes) -> None:
    """Close the mailbox on this connection: some servers neither rename nor delete one that is open."""
    if connection.selected is not None and connection.selected.name == raw:
        if "UNSELECT" in account.pool.offers:
            (status,) = await connection.run((b"UNSELECT",))
            check(status)
            connection.selected = None
        else:
            await connection.select(b"INBOX", "INBOX")


async def subscribe(account: Account, name: str, subscribed: bool) -> None:
    """`Side.subscribe`."""
    raw = await account.raw(name)
    async with account.pool.borrow() as connection:
        verb = b"SUBSCRIBE " if subscribed else b"UNSUBSCRIBE "
        (status,) = await connection.run((verb, astring(raw, connection.utf8)))
        if subscribed or status.code != b"NONEXISTENT":
            check(status, name)


async def set_role(account: Account, name: str, role: str | None) -> bool:
    """`Side.set_role`."""
    raw = await account.raw(name)
    async with account.pool.borrow() as connection:
        return await _set_role(account, connection, raw, role)


async def _set_role(account: Account, connection: Connection, raw: bytes, role: str | None) -> bool:
    """RFC 6154 5.4: the entry /private/specialuse."""
    if "METADATA" not in account.pool.offers:
        return False
    value = b"NIL" if role is None else b'"' + role.encode("ascii").replace(b"\\", b"\\\\") + b'"'
    command: Command = (b"SETMETADATA ", astring(raw, connection.utf8), b" (/private/specialuse ", value, b")")
    (status,) = await connection.run(command)
    return status.ok
