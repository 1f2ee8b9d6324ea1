"""Rows of directory.db that hold accounts and credentials: read and inserted in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from ..directory import Account, AccountSettings, Credential, Exists, Scram, fold_address

Values = tuple[Any, ...]
"""A row as SQLite gives it; the STRICT tables vouch for its types."""

Read = Callable[..., list[Values]]
"""read(sql, *values) -> rows."""

ALL_PROTOCOLS: frozenset[str] = frozenset()
"""No protocol named, which means all: one object, since each remembered login keeps it."""

ACCOUNT_FIELDS = (
    "id, address, account.domain, enabled, quota, pop3_delete, pop3_leave_days, pop3_seen, account.scram, demo,"
    " account.created, credential_version, quota_messages, quota_mailboxes"
)
ACCOUNT_COLUMNS = 14


def account_of(row: Values) -> Account:
    id, address, domain, enabled, quota, delete, leave_days, seen, scram, demo, created, version, *counts = row
    settings = AccountSettings(
        delete, leave_days, None if seen is None else bool(seen), None if scram is None else bool(scram)
    )
    return Account(id, address, domain, bool(enabled), quota, settings, bool(demo), created, version, *counts)


def credential_of(row: Values) -> Credential:
    number, kind, label, hash, protocols, stored_key, server_key, created, last_used, expires = row
    scram = None if stored_key is None else Scram(stored_key, server_key)
    named = frozenset(protocols.split()) if protocols else ALL_PROTOCOLS
    return Credential(number, kind, label, hash, named, scram, created, last_used, expires)


def accounts(read: Read, after: str, limit: int) -> list[Account]:
    """Up to `limit` accounts whose folded address is above `after`, by address."""
    sql = f"SELECT {ACCOUNT_FIELDS} FROM account WHERE key > ? ORDER BY key LIMIT ?"
    return [account_of(row) for row in read(sql, after, limit)]


def account_at(read: Read, address: str) -> Account | None:
    """By folded address."""
    rows = read(f"SELECT {ACCOUNT_FIELDS} FROM account WHERE key = ?", address)
    return account_of(rows[0]) if rows else None


def account_by_id(read: Read, id: str) -> Account | None:
    rows = read(f"SELECT {ACCOUNT_FIELDS} FROM account WHERE id = ?", id)
    return account_of(rows[0]) if rows else None


def set_settings(
    db: apsw.Connection, id: str, settings: AccountSettings | Callable[[AccountSettings], AccountSettings]
) -> None:
    """Set an account's settings, or what is made of those that it has."""
    if not isinstance(settings, AccountSettings):
        row: Values = db.execute(f"SELECT {ACCOUNT_FIELDS} FROM account WHERE id = ?", (id,)).get
        settings = settings(account_of(row).settings)
    db.execute(
        "UPDATE account SET pop3_delete = ?, pop3_leave_days = ?, pop3_seen = ?, scram = ? WHERE id = ?",
        (settings.pop3_delete, settings.pop3_leave_days, settings.pop3_seen, settings.scram, id),
    )


def insert_account(db: apsw.Connection, account: Account) -> None:
    """Add the account's row. Raises Exists where its address or id is in use."""
    chosen = account.settings
    db.execute(
        "INSERT INTO account (id, address, key, domain, enabled, quota, pop3_delete, pop3_leave_days,"
        " pop3_seen, scram, demo, created, credential_version, quota_messages, quota_mailboxes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            account.id, account.address, fold_address(account.address), fold_address(account.domain), account.enabled,
            account.quota, chosen.pop3_delete, chosen.pop3_leave_days, chosen.pop3_seen, chosen.scram,
            account.demo, account.created, account.credential_version, account.quota_messages, account.quota_mailboxes,
        ),
    )  # fmt: skip
    if not db.changes():
        raise Exists(f"The account {account.address} is there already.")


def insert_credential(db: apsw.Connection, account: str, number: int, credential: Credential) -> None:
    """Add the credential, or replace the one of this number."""
    scram = credential.scram
    db.execute(
        "INSERT OR REPLACE INTO credential (account, number, kind, label, hash, protocols, stored_key,"
        " server_key, created, last_used, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account, number, credential.kind, credential.label, credential.hash,
            " ".join(sorted(credential.protocols)), scram.stored_key if scram else None,
            scram.server_key if scram else None, credential.created, credential.last_used,
            credential.expires,
        ),
    )  # fmt: skip
