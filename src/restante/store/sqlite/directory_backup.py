"""The directory as a backup reads it and gives it back: everything but what is made anew from the accounts."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import msgspec

from ..directory import Alias, Common, Credential, Domain, Exists, NotFound, Person, fold_address
from .directory_rows import (
    ACCOUNT_COLUMNS,
    ACCOUNT_FIELDS,
    Read,
    account_of,
    credential_of,
    insert_account,
    insert_credential,
)

_PERSONS = (
    f"SELECT {ACCOUNT_FIELDS}, salt, iterations, next_credential, number, kind, label, hash, protocols, stored_key,"
    f" server_key, credential.created, last_used, expires"
    " FROM (SELECT id AS chosen FROM account WHERE key > ? ORDER BY key LIMIT ?)"
    " CROSS JOIN account ON account.id = chosen LEFT JOIN credential ON credential.account = account.id"
    " ORDER BY key, number"
)


def persons(read: Read, after: str, limit: int) -> list[Person]:
    """Up to `limit` accounts whose folded address is above `after`, by address."""
    found: list[Person] = []
    credential: tuple[Credential, ...]
    for row in read(_PERSONS, after, limit):
        end = ACCOUNT_COLUMNS
        credential = (credential_of(row[end + 3 :]),) if row[end + 3] is not None else ()
        if found and found[-1].account.id == row[0]:
            last = found.pop()
            credential = last.credentials + credential
        found.append(Person(account_of(row[:end]), credential, *row[end : end + 3]))
    return found


def common(read: Read, domains: Sequence[Domain], aliases: Sequence[Alias]) -> Common:
    return Common(
        tuple(domains),
        tuple(aliases),
        tuple((name, value) for name, value in read("SELECT name, value FROM secret ORDER BY name")),
        tuple((id, account) for id, account in read("SELECT id, account FROM adopted ORDER BY id")),
    )


def put_person(db: apsw.Connection, person: Person) -> None:
    """Raises Exists, NotFound."""
    account = person.account
    if not db.execute("SELECT 1 FROM domain WHERE name = ?", (fold_address(account.domain),)).fetchone():
        raise NotFound(f"There is no domain {account.domain} here.", f"Add it: 'restante domain add {account.domain}'.")
    if db.execute("SELECT 1 FROM alias WHERE key = ?", (fold_address(account.address),)).fetchone():
        raise Exists(f"{account.address} is an alias.", "Remove the alias first.")
    insert_account(db, account)
    db.execute(
        "UPDATE account SET salt = ?, iterations = ?, next_credential = ? WHERE id = ?",
        (person.salt, person.iterations, person.next_credential, account.id),
    )
    for credential in person.credentials:
        insert_credential(db, account.id, credential.number, credential)


def fill(db: apsw.Connection, values: Common, everybody: Sequence[Person]) -> None:
    """Raises Exists where anything is here."""
    if db.execute("SELECT 1 FROM domain UNION ALL SELECT 1 FROM account LIMIT 1").fetchone():
        raise Exists("There are domains or accounts here already.", "Restore into an empty data folder.")
    db.executemany(
        "INSERT INTO domain (name, catch_all, scram, created) VALUES (?, ?, ?, ?)",
        [(one.name, one.catch_all, one.scram, one.created) for one in values.domains],
    )
    for person in everybody:
        put_person(db, person)
    db.executemany(
        "INSERT INTO alias (key, address, domain, targets, created) VALUES (?, ?, ?, ?, ?)",
        [
            (key := fold_address(one.address), one.address, key.rpartition("@")[2],
             msgspec.json.encode(one.targets).decode("utf-8"), one.created)
            for one in values.aliases
        ],
    )  # fmt: skip
    db.executemany("INSERT OR REPLACE INTO secret (name, value) VALUES (?, ?)", values.secrets)
    db.executemany("INSERT INTO adopted (id, account) VALUES (?, ?)", values.adopted)
