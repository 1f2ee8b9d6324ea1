"""Domains and aliases in directory.db. Changes run inside the transaction of their caller."""

from __future__ import annotations

from collections.abc import Callable

import apsw
import msgspec

from ..directory import Alias, DirectoryRefusal, Domain, Exists, NotFound, fold_address
from .directory_rows import Read, Values

_ALIAS = "SELECT address, targets, created FROM alias"
_DOMAIN = "SELECT name, catch_all, scram, created FROM domain"


def domains(read: Read) -> list[Domain]:
    """By name."""
    return [_domain(row) for row in read(f"{_DOMAIN} ORDER BY name")]


def domain(read: Read, name: str) -> Domain | None:
    rows = read(f"{_DOMAIN} WHERE name = ?", fold_address(name))
    return _domain(rows[0]) if rows else None


def add_domain(db: apsw.Connection, new: Domain) -> None:
    """Raises Exists."""
    db.execute(
        "INSERT INTO domain (name, catch_all, scram, created) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (fold_address(new.name), new.catch_all, new.scram, new.created),
    )
    if not db.changes():
        raise Exists(f"The domain {new.name} is there already.")


def update_domain(db: apsw.Connection, name: str, change: Callable[[Domain], Domain]) -> Domain:
    """Raises NotFound."""
    row = db.execute(f"{_DOMAIN} WHERE name = ?", (fold_address(name),)).fetchone()
    if row is None:
        raise NotFound(f"There is no domain {name} here.", "List them with 'restante domain list'.")
    changed = change(_domain(row))
    db.execute("UPDATE domain SET catch_all = ?, scram = ? WHERE name = ?", (changed.catch_all, changed.scram, row[0]))
    return changed


def remove_domain(db: apsw.Connection, name: str) -> None:
    """Raises DirectoryRefusal while accounts or aliases are in it, NotFound."""
    key = fold_address(name)
    for table, things in (("account", "accounts"), ("alias", "aliases")):
        if db.execute(f"SELECT 1 FROM {table} WHERE domain = ? LIMIT 1", (key,)).fetchone():
            raise DirectoryRefusal(f"The domain {name} still has {things}.", "Remove those first.")
    db.execute("DELETE FROM domain WHERE name = ?", (key,))
    if not db.changes():
        raise NotFound(f"There is no domain {name} here.", "List them with 'restante domain list'.")


def require_domain(db: apsw.Connection, name: str) -> None:
    """Raises NotFound."""
    if not db.execute("SELECT 1 FROM domain WHERE name = ?", (fold_address(name),)).fetchone():
        raise NotFound(f"There is no domain {name} here.", f"Add it with 'restante domain add {name}'.")


def aliases(read: Read) -> list[Alias]:
    """By address."""
    return [_alias(row) for row in read(f"{_ALIAS} ORDER BY key")]


def alias(read: Read, address: str) -> Alias | None:
    rows = read(f"{_ALIAS} WHERE key = ?", fold_address(address))
    return _alias(rows[0]) if rows else None


def put_alias(db: apsw.Connection, new: Alias, check: Callable[[list[Alias]], None] | None = None) -> None:
    """Add or replace. Raises NotFound for the domain, Exists for an account's address, and what `check` raises."""
    key = fold_address(new.address)
    name = key.rpartition("@")[2]
    require_domain(db, name)
    if db.execute("SELECT 1 FROM account WHERE key = ?", (key,)).fetchone():
        raise Exists(f"{new.address} is an account.", "Choose another address for the alias.")
    if check is not None:
        check(aliases(lambda sql: list(db.execute(sql))))
    db.execute(
        "INSERT INTO alias (key, address, domain, targets, created) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET address = excluded.address, targets = excluded.targets",
        (key, new.address, name, msgspec.json.encode(new.targets).decode("utf-8"), new.created),
    )


def remove_alias(db: apsw.Connection, address: str) -> None:
    """Raises NotFound."""
    db.execute("DELETE FROM alias WHERE key = ?", (fold_address(address),))
    if not db.changes():
        raise NotFound(f"There is no alias {address}.")


def _domain(row: Values) -> Domain:
    name, catch_all, scram, created = row
    return Domain(name, catch_all, bool(scram), created)


def _alias(row: Values) -> Alias:
    address, targets, created = row
    return Alias(address, msgspec.json.decode(targets, type=tuple[str, ...]), created)
