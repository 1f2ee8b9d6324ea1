"""`restante backup init` and `run`."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .backup import complain_of, location, open_repository, secret, with_location_argument
from .common import count, emit_json, human_size, instant, place_of, run, with_json, with_place
from .statuses import Exit

if TYPE_CHECKING:
    from ..backup.repository import Repository
    from ..backup.run import Done


@click.command()
@with_location_argument
@click.option("--label", default="first", show_default=True, help="What the key is called.")
@click.option("--append-only", is_flag=True, help="In a bucket with versions: this machine can only add to it.")
@with_place
def init(label: str, append_only: bool) -> None:
    """Make an empty backup at LOCATION, which opens with the passphrase or key file given.

    Who loses every key loses the backup. Add a second one with `restante backup key add`.
    """
    from ..backup.access import made_append_only
    from ..backup.repository import Repository
    from ..clock import SystemClock, system_random

    where = made_append_only(location()) if append_only else location()
    made = Repository.init(where, secret(new=True), label, int(SystemClock().now()), system_random)
    click.echo(f"Made the backup {made.id[:8]}.")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run did, as JSON. read, written: octets."""

    snapshot: str
    at: str | None
    accounts: int
    unchanged: int
    messages: int
    read: int
    written: int
    failed: tuple[tuple[str, str], ...]
    unreadable: tuple[tuple[str, int], ...]


@click.command("run")
@with_location_argument
@click.option(
    "--account", "addresses", multiple=True, metavar="NAME@DOMAIN", help="This account alone; others as they were."
)
@click.option("--full", is_flag=True, help="Look at every message, also of accounts that did not change.")
@with_json
@with_place
@click.pass_context
def run_(ctx: click.Context, addresses: tuple[str, ...], full: bool, as_json: bool) -> None:
    """Take a snapshot of all accounts, with settings, credentials, aliases and the configuration.

    Works while the server runs. Only what changed since the last snapshot is read and written. The exit status is 4 if
    something could not be read; the rest is in the snapshot then.
    """
    done = run(_run(open_repository(), addresses, full))
    data = done.snapshot.data
    if as_json:
        emit_json(
            Ran(
                done.snapshot.id, instant(data.at), done.accounts, done.unchanged, done.messages, done.octets,
                done.written, tuple(done.failed), tuple(done.unreadable),
            )
        )  # fmt: skip
    else:
        click.echo(
            f"Snapshot {done.snapshot.id}: {count(data.accounts, 'account')}, {count(data.messages, 'message')}"
            f" ({human_size(data.octets)}); {count(done.messages, 'message')} new or changed place,"
            f" {human_size(done.written)} written."
        )
    for address, why in done.failed:
        click.echo(f"restante: {address} was left out: {why}", err=True)
    for address, number in done.unreadable:
        click.echo(
            f"restante: {count(number, 'message')} of {address} cannot be read: run 'restante doctor'.", err=True
        )
    if done.failed or done.unreadable:
        ctx.exit(Exit.FINDINGS)


async def _run(repository: Repository, addresses: tuple[str, ...], full: bool) -> Done:
    from ..backup.access import installation_files
    from ..backup.run import run as take
    from ..clock import SystemClock
    from .installation import installation

    async with installation() as here:
        files = await asyncio.to_thread(installation_files, place_of().config, here.data)
        host = here.config.server.hostname or socket.gethostname()
        done = await take(here.engine, repository, SystemClock(), host, files, addresses, full=full)
        complain_of(repository)
        return done
