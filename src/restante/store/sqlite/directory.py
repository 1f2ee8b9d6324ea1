"""The directory in one SQLite file: domains, accounts, aliases, credentials.

Owns: the SQL behind `store.directory.Directory`. Two connections a process: reads are short, indexed and run
where they are asked, on the event loop; writes queue in one worker thread, each a transaction of its own, and
meet other processes at the file's lock (waiting up to ten seconds, then Busy). WAL lets the two go on at the
same time. Last uses of credentials are kept in memory and written together at most once a minute.

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
import msgspec

from ...clock import Clock, Random
from ..directory import (
    Account,
    AccountSettings,
    Alias,
    Closures,
    Common,
    Credential,
    DirectoryRefusal,
    Domain,
    Exists,
    Login,
    NotFound,
    Person,
    fold_address,
)
from ..errors import StoreRefusal
from . import directory_backup
from .deliveries import SqliteDeliveries
from .directory_rows import (
    ACCOUNT_COLUMNS,
    ACCOUNT_FIELDS,
    Values,
    account_of,
    credential_of,
    insert_account,
    insert_credential,
)
from .directory_schema import connect, make_file, prepare, translated

T = TypeVar("T")

WRITE_WAIT = 10_000
READ_WAIT = 1_000
"""Milliseconds to wait for another process's lock. Readers wait in WAL mode only while a crash is recovered."""

TOUCH_INTERVAL = 60.0
"""Seconds between two writings of credentials' last uses."""

LOGINS_KEPT = 256
"""Accounts whose row and credentials are remembered while the file is the same."""

DUPLICATES_KEPT = 10_000
CLOSURES_KEPT = 10_000

_ALIAS = "SELECT address, targets, created FROM alias"
_DOMAIN = "SELECT name, catch_all, scram, created FROM domain"


class SqliteDirectory:
    """Implements `store.directory.Directory` over the file `path` (made, or migrated, when opened).

    One object a process; not to be carried over a fork. Opening raises NewerSchema, Damaged, StoreFailed, Busy.
    """

    def __init__(self, path: Path, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="directory")
        self._secrets: dict[str, bytes] = {}
        self._logins: dict[str, Login] = {}
        self._logins_at = 0
        self._touched: dict[tuple[str, int], int] = {}
        self._touch_timer: asyncio.TimerHandle | None = None
        self._touch_task: asyncio.Task[None] | None = None
        self._touch_due = clock.monotonic()
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
        if self._touch_task is not None:
            await self._touch_task
        if self._touch_timer is not None:
            self._touch_timer.cancel()
        try:
            await self.flush()
        finally:
            self._pool.shutdown()
            self.deliveries.close()
            with translated():
                self._reader.close()
                self._writer.close()

    def version(self) -> int:
        """A number that is another one as soon as anything in the file has been changed, by whatever process."""
        with translated():
            return int(self._reader.execute("PRAGMA data_version").get)

    async def _write(self, change: Callable[[apsw.Connection], T]) -> T:
        """Run `change` as one transaction in the worker thread. Durable when this returns."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._transact, change)

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
        return [_domain(row) for row in self._rows(f"{_DOMAIN} ORDER BY name")]

    async def domain(self, name: str) -> Domain | None:
        rows = self._rows(f"{_DOMAIN} WHERE name = ?", fold_address(name))
        return _domain(rows[0]) if rows else None

    async def add_domain(self, domain: Domain) -> None:
        values = (fold_address(domain.name), domain.catch_all, domain.scram, domain.created)

        def change(db: apsw.Connection) -> None:
            db.execute(
                "INSERT INTO domain (name, catch_all, scram, created) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                values,
            )
            if not db.changes():
                raise Exists(f"The domain {domain.name} is there already.")

        await self._write(change)

    async def update_domain(self, domain: Domain) -> None:
        values = (domain.catch_all, domain.scram, fold_address(domain.name))

        def change(db: apsw.Connection) -> None:
            db.execute("UPDATE domain SET catch_all = ?, scram = ? WHERE name = ?", values)
            if not db.changes():
                raise NotFound(f"There is no domain {domain.name} here.", "List them with 'restante domain list'.")

        await self._write(change)

    async def remove_domain(self, name: str) -> None:
        key = fold_address(name)

        def change(db: apsw.Connection) -> None:
            for table, things in (("account", "accounts"), ("alias", "aliases")):
                if db.execute(f"SELECT 1 FROM {table} WHERE domain = ? LIMIT 1", (key,)).fetchone():
                    raise DirectoryRefusal(f"The domain {name} still has {things}.", "Remove those first.")
            db.execute("DELETE FROM domain WHERE name = ?", (key,))
            if not db.changes():
                raise NotFound(f"There is no domain {name} here.", "List them with 'restante domain list'.")

        await self._write(change)

    # Accounts --------------------------------------------------------------------------------------

    async def accounts(self, after: str = "", limit: int = 1000) -> list[Account]:
        sql = f"SELECT {ACCOUNT_FIELDS} FROM account WHERE key > ? ORDER BY key LIMIT ?"
        return [account_of(row) for row in self._rows(sql, fold_address(after), limit)]

    async def account(self, address: str) -> Account | None:
        rows = self._rows(f"SELECT {ACCOUNT_FIELDS} FROM account WHERE key = ?", fold_address(address))
        return account_of(rows[0]) if rows else None

    async def account_by_id(self, id: str) -> Account | None:
        rows = self._rows(f"SELECT {ACCOUNT_FIELDS} FROM account WHERE id = ?", id)
        return account_of(rows[0]) if rows else None

    async def add_account(self, account: Account) -> None:
        key, domain = fold_address(account.address), fold_address(account.domain)

        def change(db: apsw.Connection) -> None:
            _require_domain(db, domain, account.domain)
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
        settings: AccountSettings | None = None,
    ) -> None:
        def change(db: apsw.Connection) -> None:
            _require_account(db, id)
            if enabled is not None:
                db.execute(
                    "UPDATE account SET enabled = ?1, credential_version = credential_version + 1"
                    " WHERE id = ?2 AND enabled <> ?1",
                    (enabled, id),
                )
                if not enabled and db.changes():
                    _note_closure(db, id)
            for column, limit in (
                ("quota", quota),
                ("quota_messages", quota_messages),
                ("quota_mailboxes", quota_mailboxes),
            ):
                if limit is not None:
                    db.execute(f"UPDATE account SET {column} = ? WHERE id = ?", (limit if limit >= 0 else None, id))
            if settings is not None:
                db.execute(
                    "UPDATE account SET pop3_delete = ?, pop3_leave_days = ?, pop3_seen = ?, scram = ? WHERE id = ?",
                    (settings.pop3_delete, settings.pop3_leave_days, settings.pop3_seen, settings.scram, id),
                )

        await self._write(change)

    async def remove_account(self, id: str) -> None:
        def change(db: apsw.Connection) -> None:
            _require_account(db, id)
            db.execute("DELETE FROM account WHERE id = ?", (id,))
            db.execute("DELETE FROM adopted WHERE account = ?", (id,))
            _note_closure(db, id)
            db.execute("DELETE FROM share WHERE account = ?1 OR identifier = ?1", (id,))

        await self._write(change)

    async def closures(self, after: int | None) -> Closures:
        oldest, newest = self._rows("SELECT coalesce(min(number), 0), coalesce(max(number), 0) FROM closure")[0]
        if after is None or after >= newest:
            return Closures(newest, ())
        if after < oldest - 1:
            return Closures(newest, None)
        rows = self._rows("SELECT DISTINCT account FROM closure WHERE number > ? AND number <= ?", after, newest)
        return Closures(newest, tuple(account for (account,) in rows))

    # Aliases ---------------------------------------------------------------------------------------

    async def aliases(self) -> list[Alias]:
        return [_alias(row) for row in self._rows(f"{_ALIAS} ORDER BY key")]

    async def alias(self, address: str) -> Alias | None:
        rows = self._rows(f"{_ALIAS} WHERE key = ?", fold_address(address))
        return _alias(rows[0]) if rows else None

    async def put_alias(self, alias: Alias) -> None:
        key = fold_address(alias.address)
        domain = key.rpartition("@")[2]
        targets = msgspec.json.encode(alias.targets).decode("utf-8")

        def change(db: apsw.Connection) -> None:
            _require_domain(db, domain, domain)
            if db.execute("SELECT 1 FROM account WHERE key = ?", (key,)).fetchone():
                raise Exists(f"{alias.address} is an account.", "Choose another address for the alias.")
            db.execute(
                "INSERT INTO alias (key, address, domain, targets, created) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET address = excluded.address, targets = excluded.targets",
                (key, alias.address, domain, targets, alias.created),
            )

        await self._write(change)

    async def remove_alias(self, address: str) -> None:
        key = fold_address(address)

        def change(db: apsw.Connection) -> None:
            db.execute("DELETE FROM alias WHERE key = ?", (key,))
            if not db.changes():
                raise NotFound(f"There is no alias {address}.")

        await self._write(change)

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
        rows = self._rows(_LOGIN, key)
        if not rows:
            return None
        end = ACCOUNT_COLUMNS
        salt, iterations = rows[0][end : end + 2]
        credentials = tuple(credential_of(row[end + 2 :]) for row in rows if row[end + 2] is not None)
        found = Login(account_of(rows[0][:end]), salt, iterations, credentials)
        if len(self._logins) >= LOGINS_KEPT:
            self._logins.pop(next(iter(self._logins)))
        self._logins[key] = found
        return found

    def has_scram(self) -> bool:
        return bool(self._rows("SELECT EXISTS (SELECT 1 FROM credential WHERE stored_key NOT NULL)")[0][0])

    async def put_credential(
        self,
        account: str,
        credential: Credential,
        *,
        salt: bytes | None = None,
        iterations: int | None = None,
        if_version: int | None = None,
    ) -> int:
        def change(db: apsw.Connection) -> int:
            _require_account(db, account)
            if if_version is not None:
                _require_version(db, account, if_version)
            number = _number_for(db, account, credential)
            if salt is not None and iterations is not None:
                _set_salt(db, account, number, salt, iterations)
            wanted = credential if if_version is not None else _with_another_secret(db, account, number, credential)
            insert_credential(db, account, number, wanted)
            _grow_version(db, account)
            return number

        return await self._write(change)

    async def remove_credential(self, account: str, number: int) -> None:
        def change(db: apsw.Connection) -> None:
            db.execute("DELETE FROM credential WHERE account = ? AND number = ?", (account, number))
            if not db.changes():
                raise NotFound(f"There is no credential {number}.", "List them to see their numbers.")
            _grow_version(db, account)
            _note_closure(db, account)

        await self._write(change)

    async def touch_credential(self, account: str, number: int, when: int) -> None:
        key = (account, number)
        self._touched[key] = max(when, self._touched.get(key, when))
        self._schedule_flush()

    def _schedule_flush(self) -> None:
        if self._touched and self._touch_timer is None and self._touch_task is None:
            wait = max(0.0, self._touch_due - self._clock.monotonic())
            self._touch_timer = asyncio.get_running_loop().call_later(wait, self._start_flush)

    def _start_flush(self) -> None:
        self._touch_timer = None
        self._touch_task = asyncio.get_running_loop().create_task(self._flush_behind())  # close() waits for it

    async def _flush_behind(self) -> None:
        try:
            await self.flush()
        except StoreRefusal:
            pass  # a last use is no reason to stop: kept in memory and tried again a minute later
        finally:
            self._touch_task = None
            self._schedule_flush()

    async def flush(self) -> None:
        """Write the credentials' last uses now. `close` does it; nothing else needs to. Raises Busy."""
        self._touch_due = self._clock.monotonic() + TOUCH_INTERVAL
        touched, self._touched = self._touched, {}
        if not touched:
            return
        rows = [(when, account, number) for (account, number), when in touched.items()]

        def change(db: apsw.Connection) -> None:
            db.executemany(
                "UPDATE credential SET last_used = max(?1, coalesce(last_used, 0)) WHERE account = ?2 AND number = ?3",
                rows,
            )

        try:
            await self._write(change)
        except BaseException:
            self._touched = touched | self._touched
            raise

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
        await self._write(lambda db: directory_backup.put_person(db, person))

    async def fill(self, common: Common, persons: Sequence[Person]) -> None:
        await self._write(lambda db: directory_backup.fill(db, common, persons))

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


def _places(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


_LOGIN = (
    f"SELECT {ACCOUNT_FIELDS}, salt, iterations, number, kind, label, hash, protocols, stored_key, server_key,"
    " credential.created, last_used, expires FROM account LEFT JOIN credential ON credential.account = account.id"
    " WHERE key = ? ORDER BY number"
)


def _note_closure(db: apsw.Connection, account: str) -> None:
    """So that every process looks which of the account's sessions have to end."""
    db.execute("INSERT INTO closure (account) VALUES (?)", (account,))
    db.execute("DELETE FROM closure WHERE number <= ?", (db.last_insert_rowid() - CLOSURES_KEPT,))


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
    _note_closure(db, account)
    return replace(credential, created=created + 1) if credential.created == created else credential


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


def _require_domain(db: apsw.Connection, key: str, name: str) -> None:
    if not db.execute("SELECT 1 FROM domain WHERE name = ?", (key,)).fetchone():
        raise _no_domain(name)


def _no_domain(name: str) -> NotFound:
    return NotFound(f"There is no domain {name} here.", f"Add it with 'restante domain add {name}'.")


def _require_account(db: apsw.Connection, id: str) -> None:
    if not db.execute("SELECT 1 FROM account WHERE id = ?", (id,)).fetchone():
        raise NotFound("There is no such account.", "List them with 'restante account list'.")


def _domain(row: Values) -> Domain:
    name, catch_all, scram, created = row
    return Domain(name, catch_all, bool(scram), created)


def _alias(row: Values) -> Alias:
    address, targets, created = row
    return Alias(address, msgspec.json.decode(targets, type=tuple[str, ...]), created)
