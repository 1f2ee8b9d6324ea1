"""The directory in one SQLite file: domains, accounts, aliases, credentials.

Owns: the SQL behind `store.directory.Directory`; that of domains and aliases, of credentials and of backups stands in
modules of its own. Two connections a process: reads are short, indexed and run where they are asked, on the event
loop; writes queue in one worker thread, each a transaction of its own, and meet other processes at the file's lock
(waiting up to ten seconds, then Busy). WAL lets the two go on at the same time.

Must not know: what makes a password right or an address well-formed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import apsw

from ...clock import Clock, Random
from ..directory import (
    Account,
    AccountSettings,
    Alias,
    Closures,
    Common,
    Credential,
    Domain,
    Exists,
    Login,
    Person,
    fold_address,
)
from . import directory_addresses as addresses
from . import directory_backup, directory_closures, directory_rows
from . import directory_credentials as credentials
from .deliveries import SqliteDeliveries
from .directory_rows import ACCOUNT_FIELDS, Values, account_of, insert_account
from .directory_schema import connect, make_file, prepare, translated
from .directory_touches import Touches

T = TypeVar("T")

WRITE_WAIT = 10_000
READ_WAIT = 1_000
"""Milliseconds to wait for another process's lock. Readers wait in WAL mode only while a crash is recovered."""

LOGINS_KEPT = 256
"""Accounts whose row and credentials are remembered while the file is the same."""

SCRAM_KNOWN_FOR = 1.0
"""Seconds for which it is believed whether anybody keeps a SCRAM verifier: each greeting asks. What this process
changes counts at once."""

DUPLICATES_KEPT = 10_000


class SqliteDirectory:
    """Implements `store.directory.Directory` over the file `path` (made, or migrated, when opened).

    One object a process; not to be carried over a fork. Opening raises NewerSchema, Damaged, StoreFailed, Busy.
    """

    def __init__(self, path: Path, clock: Clock, random: Random) -> None:
        self._path = path
        self._clock = clock
        self._random = random
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="directory")
        self._secrets: dict[str, bytes] = {}
        self._logins: dict[str, Login] = {}
        self._logins_at = 0
        self._scram = False
        self._scram_until = 0.0
        self._touches = Touches(self._write, clock)
        self.deliveries = SqliteDeliveries(self, path.parent / "run" / "locks" / "deliveries", random)
        make_file(path)
        with translated():
            self._writer = connect(path, WRITE_WAIT)
            try:
                prepare(self._writer)
                self._reader = connect(path, READ_WAIT)
            except BaseException:
                self._writer.close()
                raise

    async def close(self) -> None:
        """Write what is still to be written and let go of the file. Nothing may be called afterwards."""
        try:
            await self._touches.close()
        finally:
            self._pool.shutdown()
            self.deliveries.close()
            with translated():
                self._reader.close()
                self._writer.close()

    def version(self) -> int:
        """A number that is another one as soon as anything in the file has been changed, by whatever process."""
        try:
            return int(self._reader.execute("PRAGMA data_version").get)
        except apsw.Error:
            with translated():  # here, not around it: each login asks
                raise

    async def _write(self, change: Callable[[apsw.Connection], T]) -> T:
        """Run `change` as one transaction in the worker thread. Durable when this returns."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._transact, change)
        finally:
            self._scram_until = 0.0

    def _transact(self, change: Callable[[apsw.Connection], T]) -> T:
        with translated():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                result = change(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            return result

    def _rows(self, sql: str, *values: str | int | bytes) -> list[Values]:
        with translated():
            return list(self._reader.execute(sql, values))

    # Domains ---------------------------------------------------------------------------------------

    async def domains(self) -> list[Domain]:
        return addresses.domains(self._rows)

    async def domain(self, name: str) -> Domain | None:
        return addresses.domain(self._rows, name)

    async def add_domain(self, domain: Domain) -> None:
        await self._write(lambda db: addresses.add_domain(db, domain))

    async def update_domain(self, name: str, change: Callable[[Domain], Domain]) -> Domain:
        return await self._write(lambda db: addresses.update_domain(db, name, change))

    async def remove_domain(self, name: str) -> None:
        await self._write(lambda db: addresses.remove_domain(db, name))

    # Accounts --------------------------------------------------------------------------------------

    async def accounts(self, after: str = "", limit: int = 1000) -> list[Account]:
        return directory_rows.accounts(self._rows, fold_address(after), limit)

    async def account(self, address: str) -> Account | None:
        return directory_rows.account_at(self._rows, fold_address(address))

    async def account_by_id(self, id: str) -> Account | None:
        return directory_rows.account_by_id(self._rows, id)

    async def add_account(self, account: Account) -> None:
        key = fold_address(account.address)

        def change(db: apsw.Connection) -> None:
            addresses.require_domain(db, account.domain)
            if db.execute("SELECT 1 FROM alias WHERE key = ?", (key,)).fetchone():
                raise Exists(f"{account.address} is an alias.", "Remove the alias first.")
            insert_account(db, account)

        await self._write(change)

    async def update_account(
        self,
        id: str,
        *,
        enabled: bool | None = None,
        quota: int | None = None,
        quota_messages: int | None = None,
        quota_mailboxes: int | None = None,
        settings: AccountSettings | Callable[[AccountSettings], AccountSettings] | None = None,
    ) -> None:
        def change(db: apsw.Connection) -> None:
            credentials.require_account(db, id)
            if enabled is not None:
                db.execute(
                    "UPDATE account SET enabled = ?1, credential_version = credential_version + 1"
                    " WHERE id = ?2 AND enabled <> ?1",
                    (enabled, id),
                )
                if not enabled and db.changes():
                    directory_closures.note(db, id)
            for column, limit in (
                ("quota", quota),
                ("quota_messages", quota_messages),
                ("quota_mailboxes", quota_mailboxes),
            ):
                if limit is not None:
                    db.execute(f"UPDATE account SET {column} = ? WHERE id = ?", (limit if limit >= 0 else None, id))
            if settings is not None:
                directory_rows.set_settings(db, id, settings)

        await self._write(change)

    async def remove_account(self, id: str) -> None:
        def change(db: apsw.Connection) -> None:
            credentials.require_account(db, id)
            db.execute("DELETE FROM account WHERE id = ?", (id,))
            db.execute("DELETE FROM adopted WHERE account = ?", (id,))
            directory_closures.note(db, id)
            db.execute("DELETE FROM share WHERE account = ?1 OR identifier = ?1", (id,))

        await self._write(change)

    async def closures(self, after: int | None) -> Closures:
        return directory_closures.since(self._rows, after)

    # Aliases ---------------------------------------------------------------------------------------

    async def aliases(self) -> list[Alias]:
        return addresses.aliases(self._rows)

    async def alias(self, address: str) -> Alias | None:
        return addresses.alias(self._rows, address)

    async def put_alias(self, alias: Alias, check: Callable[[list[Alias]], None] | None = None) -> None:
        await self._write(lambda db: addresses.put_alias(db, alias, check))

    async def remove_alias(self, address: str) -> None:
        await self._write(lambda db: addresses.remove_alias(db, address))

    # Credentials -----------------------------------------------------------------------------------

    async def login(self, address: str) -> Login | None:
        key, version = fold_address(address), self.version()
        if version != self._logins_at:
            self._logins.clear()
            self._logins_at = version
        known = self._logins.get(key)
        return self._read_login(key) if known is None else known

    def _read_login(self, key: str) -> Login | None:
        """Read it, and remember it until anything in the file changes; names of nobody are not remembered."""
        found = credentials.login(self._rows, key)
        if found is None:
            return None
        if len(self._logins) >= LOGINS_KEPT:
            self._logins.pop(next(iter(self._logins)))
        self._logins[key] = found
        return found

    def has_scram(self) -> bool:
        now = self._clock.monotonic()
        if now >= self._scram_until:
            found = self._rows("SELECT EXISTS (SELECT 1 FROM credential WHERE stored_key NOT NULL)")
            self._scram, self._scram_until = bool(found[0][0]), now + SCRAM_KNOWN_FOR
        return self._scram

    async def put_credential(
        self,
        account: str,
        credential: Credential,
        *,
        salt: bytes | None = None,
        iterations: int | None = None,
        if_version: int | None = None,
    ) -> int:
        return await self._write(lambda db: credentials.put(db, account, credential, salt, iterations, if_version))

    async def remove_credential(self, account: str, number: int) -> None:
        await self._write(lambda db: credentials.remove(db, account, number))

    async def touch_credential(self, account: str, number: int, when: int) -> None:
        self._touches.note(account, number, when)

    async def flush(self) -> None:
        """Write the credentials' last uses now. `close` does it; nothing else needs to. Raises Busy."""
        await self._touches.flush()

    # Shares ----------------------------------------------------------------------------------------

    async def sharing(self, identifiers: Sequence[str], after: str = "", limit: int = 1000) -> list[Account]:
        rows = self._rows(
            # the index of shares first: most people are shared with by nobody, and there may be many accounts
            f"SELECT {ACCOUNT_FIELDS} FROM (SELECT DISTINCT account AS owner FROM share"
            f" WHERE identifier IN ({_places(identifiers)})) CROSS JOIN account ON account.id = owner AND key > ?"
            " ORDER BY key LIMIT ?",
            *identifiers,
            fold_address(after),
            limit,
        )
        return [account_of(row) for row in rows]

    async def shares(self, account: str, identifiers: Sequence[str]) -> bool:
        sql = f"SELECT EXISTS (SELECT 1 FROM share WHERE identifier IN ({_places(identifiers)}) AND account = ?)"
        return bool(self._rows(sql, *identifiers, account)[0][0])

    async def shares_of(self, account: str) -> list[str]:
        return [row[0] for row in self._rows("SELECT identifier FROM share WHERE account = ? ORDER BY 1", account)]

    async def note_shares(
        self, account: str, identifiers: Sequence[str], granted: Callable[[], Collection[str]] | None = None
    ) -> None:
        def change(db: apsw.Connection) -> None:
            there = identifiers if granted is None else granted()
            for identifier in identifiers:
                if identifier in there:
                    db.execute("INSERT OR IGNORE INTO share (identifier, account) VALUES (?, ?)", (identifier, account))
                else:
                    db.execute("DELETE FROM share WHERE identifier = ? AND account = ?", (identifier, account))

        if identifiers:
            await self._write(change)

    # The installation ------------------------------------------------------------------------------

    async def smallest_leave_days(self, default: int) -> int:
        rows = self._rows(
            "SELECT (SELECT min(pop3_leave_days) FROM account WHERE enabled = 1 AND pop3_leave_days >= 0),"
            " NOT EXISTS (SELECT 1 FROM account WHERE enabled = 1 AND pop3_leave_days NOT NULL)"
            " OR EXISTS (SELECT 1 FROM account WHERE enabled = 1 AND pop3_leave_days IS NULL)"
        )
        smallest, default_counts = rows[0]
        days = [] if smallest is None else [int(smallest)]
        if default_counts and default >= 0:
            days.append(default)
        return min(days, default=-1)

    async def secret(self, name: str) -> bytes:
        known = self._secrets.get(name)
        if known is None:
            fresh = self._random(32)

            def change(db: apsw.Connection) -> bytes:
                db.execute("INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, fresh))
                value: bytes = db.execute("SELECT value FROM secret WHERE name = ?", (name,)).get
                return value

            rows = self._rows("SELECT value FROM secret WHERE name = ?", name)
            known = self._secrets[name] = rows[0][0] if rows else await self._write(change)
        return known

    async def claim_mailbox_id(self, id: str, account: str, origin: str) -> bool:
        def change(db: apsw.Connection) -> bool:
            if origin != account and db.execute("SELECT 1 FROM account WHERE id = ?", (origin,)).fetchone():
                return False
            db.execute("INSERT INTO adopted (id, account) VALUES (?, ?) ON CONFLICT DO NOTHING", (id, account))
            return bool(db.execute("SELECT account FROM adopted WHERE id = ?", (id,)).get == account)

        return await self._write(change)

    # Backup ----------------------------------------------------------------------------------------

    async def persons(self, after: str = "", limit: int = 256) -> list[Person]:
        return directory_backup.persons(self._rows, fold_address(after), limit)

    async def common(self) -> Common:
        return directory_backup.common(self._rows, await self.domains(), await self.aliases())

    async def put_person(self, person: Person) -> None:
        # A version that the account cannot have come to here before it was removed: proofs of passwords are remembered
        # by it, those of passwords that the backup does not know among them.
        account = replace(person.account, credential_version=int.from_bytes(self._random(7)))
        await self._write(lambda db: directory_backup.put_person(db, replace(person, account=account)))

    async def fill(self, common: Common, persons: Sequence[Person]) -> None:
        await self._write(lambda db: directory_backup.fill(db, common, persons))

    async def check(self) -> list[str]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, _check, self._path)

    async def log_duplicate(self, account: str, digest: bytes, when: int, email_id: str) -> None:
        def change(db: apsw.Connection) -> None:
            db.execute(
                "INSERT INTO duplicate (account, digest, at, email_id) VALUES (?, ?, ?, ?)",
                (account, digest, when, email_id),
            )
            db.execute("DELETE FROM duplicate WHERE number <= ?", (db.last_insert_rowid() - DUPLICATES_KEPT,))

        await self._write(change)

    async def duplicates(self, limit: int = 100) -> list[tuple[str, int, str]]:
        rows = self._rows("SELECT account, at, email_id FROM duplicate ORDER BY number DESC LIMIT ?", limit)
        return [(account, at, email_id) for account, at, email_id in rows]


def _check(path: Path) -> list[str]:
    with translated():
        db = connect(path, READ_WAIT)
        try:
            found = [f"SQLite finds: {text}" for (text,) in db.execute("PRAGMA integrity_check(20)") if text != "ok"]
            found += [
                f"row {row[1]} of {row[0]} names a row of {row[2]} that is not there"
                for row in db.execute("PRAGMA foreign_key_check")
            ]
            found += [f"{address} is both an account and an alias" for (address,) in db.execute(_TWICE)]
        finally:
            db.close()
    return found


_TWICE = "SELECT address FROM account WHERE key IN (SELECT key FROM alias)"


def _places(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
