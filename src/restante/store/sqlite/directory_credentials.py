"""Credentials in directory.db: what a login reads, and their changes, each of which makes the account's version grow.

Changes run inside the transaction of their caller.
"""

from __future__ import annotations

from dataclasses import replace

import apsw

from ..directory import Credential, DirectoryRefusal, Login, NotFound
from . import directory_closures
from .directory_rows import ACCOUNT_COLUMNS, ACCOUNT_FIELDS, Read, account_of, credential_of, insert_credential

LOGIN = (
    f"SELECT {ACCOUNT_FIELDS}, salt, iterations, number, kind, label, hash, protocols, stored_key, server_key,"
    " credential.created, last_used, expires FROM account LEFT JOIN credential ON credential.account = account.id"
    " WHERE key = ? ORDER BY number"
)


def login(read: Read, key: str) -> Login | None:
    """Account and credentials of a folded address. One indexed read."""
    rows = read(LOGIN, key)
    if not rows:
        return None
    end = ACCOUNT_COLUMNS
    salt, iterations = rows[0][end : end + 2]
    credentials = tuple(credential_of(row[end + 2 :]) for row in rows if row[end + 2] is not None)
    return Login(account_of(rows[0][:end]), salt, iterations, credentials)


def put(
    db: apsw.Connection,
    account: str,
    credential: Credential,
    salt: bytes | None,
    iterations: int | None,
    if_version: int | None,
) -> int:
    """See `store.directory.Directory.put_credential`. Raises NotFound, DirectoryRefusal."""
    require_account(db, account)
    if if_version is not None:
        _require_version(db, account, if_version)
    number = _number_for(db, account, credential)
    if salt is not None and iterations is not None:
        _set_salt(db, account, number, salt, iterations)
    wanted = credential if if_version is not None else _with_another_secret(db, account, number, credential)
    insert_credential(db, account, number, wanted)
    _grow_version(db, account)
    return number


def remove(db: apsw.Connection, account: str, number: int) -> None:
    """Raises NotFound."""
    db.execute("DELETE FROM credential WHERE account = ? AND number = ?", (account, number))
    if not db.changes():
        raise NotFound(f"There is no credential {number}.", "List them to see their numbers.")
    _grow_version(db, account)
    directory_closures.note(db, account)


def require_account(db: apsw.Connection, id: str) -> None:
    """Raises NotFound."""
    if not db.execute("SELECT 1 FROM account WHERE id = ?", (id,)).fetchone():
        raise NotFound("There is no such account.", "List them with 'restante account list'.")


def _number_for(db: apsw.Connection, account: str, credential: Credential) -> int:
    """The number a credential gets: that of the password it replaces, its own, or the account's next."""
    number = credential.number
    if credential.kind == "password":
        number = (
            db.execute("SELECT number FROM credential WHERE account = ? AND kind = 'password'", (account,)).get or 0
        )
    elif number:
        kept = "SELECT 1 FROM credential WHERE account = ? AND number = ? AND kind = 'app'"
        if not db.execute(kept, (account, number)).fetchone():
            raise NotFound(f"There is no app password {number}.", "List them to see their numbers.")
    if not number:
        db.execute("UPDATE account SET next_credential = next_credential + 1 WHERE id = ?", (account,))
        number = db.execute("SELECT next_credential - 1 FROM account WHERE id = ?", (account,)).get
    return int(number)


def _with_another_secret(db: apsw.Connection, account: str, number: int, credential: Credential) -> Credential:
    """The credential as it replaces the one of this number, if any: what that opened is to end."""
    created = db.execute("SELECT created FROM credential WHERE account = ? AND number = ?", (account, number)).get
    if created is None:
        return credential
    directory_closures.note(db, account)
    return replace(credential, created=max(credential.created, created + 1))  # never that of any before


def _set_salt(db: apsw.Connection, account: str, number: int, salt: bytes, iterations: int) -> None:
    """Set the account's SCRAM salt. Refused where it would spoil another verifier, made meanwhile with another salt."""
    there = db.execute("SELECT salt, iterations FROM account WHERE id = ?", (account,)).fetchone()
    if there == (salt, iterations):
        return
    others = "SELECT 1 FROM credential WHERE account = ? AND number <> ? AND stored_key NOT NULL LIMIT 1"
    if db.execute(others, (account, number)).fetchone():
        raise _changed_meanwhile()
    db.execute("UPDATE account SET salt = ?, iterations = ? WHERE id = ?", (salt, iterations, account))


def _require_version(db: apsw.Connection, account: str, version: int) -> None:
    if db.execute("SELECT credential_version FROM account WHERE id = ?", (account,)).get != version:
        raise _changed_meanwhile()


def _changed_meanwhile() -> DirectoryRefusal:
    return DirectoryRefusal("The account's credentials were changed meanwhile.", "Try again.")


def _grow_version(db: apsw.Connection, account: str) -> None:
    db.execute("UPDATE account SET credential_version = credential_version + 1 WHERE id = ?", (account,))
