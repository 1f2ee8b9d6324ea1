"""Access control lists in an account's file: who may do what with which mailbox (RFC 4314).

Read and written in the transaction of the command that they decide about, so that a change holds for every session
of every process from its next command on. The owner's commands never come here.
"""

from __future__ import annotations

from collections.abc import Mapping

import apsw

from ..errors import NoPermission, NoSuchMailbox, TooMuchAtOnce
from ..model import FlagMode
from ..rights import NEGATIVE, AclEntry, Rights, combined, identifiers_of, letters, parse_rights
from .transaction import Write
from .values import typed

MOST_ENTRIES = 1_000
"""Entries of one mailbox's list."""

_APPLYING = (
    "SELECT mailbox, identifier, rights FROM acl WHERE identifier IN (?1, ?2, ?3, '-' || ?1, '-' || ?2, '-' || ?3)"
)
_OF_MAILBOX = "SELECT identifier, rights FROM acl WHERE mailbox = ? ORDER BY identifier"
_GRANTED = f"SELECT DISTINCT identifier FROM acl WHERE substr(identifier, 1, 1) <> '{NEGATIVE}'"


def rights_on(db: apsw.Connection, mailbox: int, actor: str) -> Rights:
    """What the actor (an account's id, not the owner's) may do with the mailbox."""
    rows: list[tuple[int, str, str]] = typed(
        db.execute(f"{_APPLYING} AND mailbox = ?4", (*identifiers_of(actor), mailbox))
    )
    return combined(AclEntry(identifier, parse_rights(rights)) for _, identifier, rights in rows)


def rights_by_mailbox(db: apsw.Connection, actor: str) -> dict[int, Rights]:
    """The actor's rights on each mailbox where he has any, by one query."""
    rows: list[tuple[int, str, str]] = typed(db.execute(_APPLYING, identifiers_of(actor)))
    applying: dict[int, list[AclEntry]] = {}
    for mailbox, identifier, rights in rows:
        applying.setdefault(mailbox, []).append(AclEntry(identifier, parse_rights(rights)))
    all_rights = {mailbox: combined(entries) for mailbox, entries in applying.items()}
    return {mailbox: rights for mailbox, rights in all_rights.items() if rights}


def require(have: Rights, needed: Rights) -> None:
    """Raises NoPermission where rights are missing; NoSuchMailbox for who may not even know of the mailbox.

    RFC 4314 6: a mailbox that one may not LIST is answered for as if it were not there.
    """
    if have & needed == needed:
        return
    if have & Rights.LOOKUP:
        raise NoPermission(f"This needs the right {letters(needed & ~have)} on the mailbox.", "Ask its owner.")
    raise NoSuchMailbox("There is no such mailbox.")


def entries(db: apsw.Connection, mailbox: int) -> list[AclEntry]:
    """The mailbox's list, without the owner, who stands in none."""
    rows: list[tuple[str, str]] = typed(db.execute(_OF_MAILBOX, (mailbox,)))
    return [AclEntry(identifier, parse_rights(rights)) for identifier, rights in rows]


def granted(db: apsw.Connection) -> frozenset[str]:
    """Identifiers that any list of the account grants something to."""
    return frozenset(row[0] for row in db.execute(_GRANTED))


def named(db: apsw.Connection) -> frozenset[str]:
    """Identifiers that any list of the account names, positive or negative, without the sign."""
    return frozenset(row[0].removeprefix(NEGATIVE) for row in db.execute("SELECT DISTINCT identifier FROM acl"))


def set_entry(tx: Write, mailbox: int, identifier: str, mode: FlagMode, rights: Rights) -> None:
    """Change one entry; one without rights is removed. Takes no number where nothing changes."""
    row = tx.db.execute("SELECT rights FROM acl WHERE mailbox = ? AND identifier = ?", (mailbox, identifier)).fetchone()
    old = parse_rights(row[0]) if row is not None else Rights.NONE
    new = {FlagMode.REPLACE: rights, FlagMode.ADD: old | rights, FlagMode.REMOVE: old & ~rights}[mode]
    if new == old:
        return
    if not new:
        tx.db.execute("DELETE FROM acl WHERE mailbox = ? AND identifier = ?", (mailbox, identifier))
    else:
        (count,) = tx.db.execute("SELECT count(*) FROM acl WHERE mailbox = ?", (mailbox,)).fetchone() or (0,)
        if row is None and count >= MOST_ENTRIES:
            raise TooMuchAtOnce(f"The list has its {MOST_ENTRIES} entries already.", "Remove one first.")
        tx.db.execute(
            "INSERT INTO acl (mailbox, identifier, rights) VALUES (?1, ?2, ?3)"
            " ON CONFLICT DO UPDATE SET rights = excluded.rights",
            (mailbox, identifier, letters(new)),
        )
    tx.remember("acl", mailbox, (), f"{letters(old)} {identifier}")


def inherit(tx: Write, above: str, mailbox: int) -> None:
    """A new mailbox takes the list of the one it stands below (RFC 4314 4, CREATE). above: its name."""
    tx.db.execute(
        "INSERT INTO acl (mailbox, identifier, rights) SELECT ?, a.identifier, a.rights FROM acl a"
        " JOIN mailbox m ON m.key = a.mailbox WHERE m.name = ?",
        (mailbox, above),
    )


def forget_mailbox(tx: Write, mailbox: int) -> list[str]:
    """A mailbox goes, and its list with it: remembered, so that a rewind that makes the mailbox again knows it. The
    identifiers that it named."""
    found: list[tuple[str, str]] = typed(tx.db.execute(_OF_MAILBOX, (mailbox,)))
    for identifier, rights in found:
        tx.remember("acl", mailbox, (), f"{rights} {identifier}")
    tx.db.execute("DELETE FROM acl WHERE mailbox = ?", (mailbox,))
    return [identifier for identifier, _ in found]


def replace(tx: Write, mailbox: int, wanted: Mapping[str, str]) -> None:
    """The list of a mailbox that this command has made. wanted: rights by identifier."""
    tx.db.execute("DELETE FROM acl WHERE mailbox = ?", (mailbox,))
    tx.db.executemany(
        "INSERT INTO acl (mailbox, identifier, rights) VALUES (?, ?, ?)",
        [(mailbox, identifier, rights) for identifier, rights in wanted.items()],
    )


def lists(db: apsw.Connection) -> dict[int, dict[str, str]]:
    """All lists: mailbox -> identifier -> rights."""
    found: dict[int, dict[str, str]] = {}
    for mailbox, identifier, rights in db.execute("SELECT mailbox, identifier, rights FROM acl"):
        found.setdefault(mailbox, {})[identifier] = rights
    return found


def forget(tx: Write, identifier: str) -> None:
    """Take somebody off every list of the account, \\Seen, \\Recent and annotations of his with it: he is gone."""
    tx.db.execute("DELETE FROM acl WHERE identifier IN (?1, '-' || ?1)", (identifier,))
    tx.db.execute("DELETE FROM seen WHERE user = ?", (identifier,))
    tx.db.execute("DELETE FROM told WHERE user = ?", (identifier,))
    tx.db.execute("DELETE FROM annotation WHERE user = ?", (identifier,))
