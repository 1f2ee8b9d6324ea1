"""`restante status`: what a running server does, and what is kept here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .common import cell, count, emit_json, human_size, instant, run, with_json, with_place

if TYPE_CHECKING:
    from ..store.directory import Account
    from .backup_status import Nightly
    from .installation import Installation


@dataclass(frozen=True, slots=True)
class Listener:
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Connection:
    id: str
    protocol: str
    address: str
    account: str | None
    secure: bool
    since: str | None


@dataclass(frozen=True, slots=True)
class AccountSize:
    """Octets. refused: why the store cannot be read, and then nothing else is known of it."""

    address: str
    enabled: bool
    messages: int | None
    used: int | None
    quota: int | None
    quota_messages: int | None
    mailboxes: int | None
    quota_mailboxes: int | None
    recoverable_size: int | None
    file_size: int | None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    account: str
    when: str | None
    email_id: str


@dataclass(frozen=True, slots=True)
class Status:
    """What `status --json` tells. workers: process ids, none where no server runs."""

    data: str
    workers: tuple[int, ...]
    listeners: tuple[Listener, ...]
    connections: tuple[Connection, ...]
    counters: dict[str, int]
    accounts: tuple[AccountSize, ...]
    suppressed_duplicates: tuple[Duplicate, ...]
    backup: Nightly


@click.command()
@with_json
@with_place
def command(as_json: bool) -> None:
    """Show listeners, connections, accounts and sizes, and how the nightly backup stands."""
    status = run(_work())
    if as_json:
        emit_json(status)
    else:
        _tell(status)


async def _work() -> Status:
    import asyncio

    from ..clock import SystemClock
    from ..config.paths import run_directory
    from ..server.status import collect
    from .backup_status import nightly_of
    from .installation import installation

    async with installation() as here:
        workers = await asyncio.to_thread(collect, run_directory(here.data))
        accounts = await here.admin.accounts()
        names = {each.id: each.address for each in accounts}
        sizes = [await _size(here, account) for account in accounts]
        duplicates = await here.engine.directory.duplicates()
        nightly = await asyncio.to_thread(nightly_of, here.config, here.data, SystemClock().now())
    counters: dict[str, int] = {}
    for worker in workers:
        for name, value in worker.counters.items():
            counters[name] = counters.get(name, 0) + value
    return Status(
        str(here.data),
        tuple(worker.pid for worker in workers),
        tuple(Listener(*pair) for pair in dict.fromkeys(pair for worker in workers for pair in worker.listeners)),
        tuple(
            Connection(
                each.id,
                each.protocol,
                each.address,
                names.get(each.account, each.account) if each.account else None,
                each.secure,
                instant(each.since),
            )
            for worker in workers
            for each in worker.connections
        ),
        counters,
        tuple(sizes),
        tuple(Duplicate(names.get(account, account), instant(when), id) for account, when, id in duplicates),
        nightly,
    )


async def _size(here: Installation, account: Account) -> AccountSize:
    from ..config.limits import quota_default
    from ..store.errors import StoreRefusal

    limits = account.quota_or(quota_default(here.config.accounts))
    quota, most_messages, most_mailboxes = limits.storage or None, limits.messages or None, limits.mailboxes or None
    try:
        stats = await here.engine.sizes(account.id)
    except StoreRefusal as refusal:  # one file that cannot be opened hides nobody else's
        return AccountSize(
            account.address, account.enabled, None, None, quota, most_messages, None, most_mailboxes, None, None,
            str(refusal),
        )  # fmt: skip
    return AccountSize(
        account.address,
        account.enabled,
        stats.messages,
        stats.used,
        quota,
        most_messages,
        stats.mailboxes,
        most_mailboxes,
        stats.recoverable_size,
        stats.file_size,
    )


def _tell(status: Status) -> None:
    from .backup_status import tell_nightly

    if status.workers:
        click.echo(f"Server running on {status.data}: {count(len(status.workers), 'worker')}.")
        for listener in status.listeners:
            click.echo(f"  {listener.name:<6} {listener.address}")
        click.echo(count(len(status.connections), "connection"))
        for each in status.connections:
            tls = "TLS" if each.secure else "plain"
            click.echo(
                f"  {each.id}  {each.protocol:<5} {each.address:<20} {tls:<5} {cell(each.account)}  {each.since}"
            )
    else:
        click.echo(f"No server is running on {status.data}.")
    click.echo(count(len(status.accounts), "account"))
    for account in status.accounts:
        quota = f" of {human_size(account.quota)}" if account.quota else ""
        messages = f" of {account.quota_messages}" if account.quota_messages else ""
        boxes = f", {account.mailboxes} of {account.quota_mailboxes} mailboxes" if account.quota_mailboxes else ""
        off = "" if account.enabled else "  (disabled)"
        if account.refused is not None:
            click.echo(f"  {account.address}: {account.refused}{off}")
            continue
        click.echo(
            f"  {account.address}: {count(account.messages or 0, 'message')}{messages},"
            f" {human_size(account.used or 0)}{quota}{boxes},"
            f" {human_size(account.recoverable_size or 0)} recoverable,"
            f" {human_size(account.file_size or 0)} on disk{off}"
        )
    if status.suppressed_duplicates:
        click.echo(f"{count(len(status.suppressed_duplicates), 'redelivery')} suppressed lately; --json lists them.")
    if status.backup.location:
        tell_nightly(status.backup)
