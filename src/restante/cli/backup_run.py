"""`restante backup init` and `run`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import Refusal
from .backup import (
    RUN,
    complain_of,
    location,
    open_repository,
    secret,
    wanted_key,
    with_location_argument,
    write_key_file,
)
from .backup_imap import wanted_of, with_copies
from .backup_said import PUT_BACK, counted, tell_lacking, tell_run
from .common import AddressType, cell, emit_json, human_size, instant, place_of, run, with_json, with_place
from .login import with_login
from .priority import SHORT, step_back
from .statuses import Exit

if TYPE_CHECKING:
    from ..backup.mirror import Updated
    from ..backup.repository import Repository
    from ..backup.run import Done
    from ..backup.sources import Sources
    from ..config.model import Config


@click.command()
@with_location_argument
@click.option("--label", default="first", show_default=True, help="What the key is called.")
@click.option("--append-only", is_flag=True, help="In a bucket with versions: this machine can only add to it.")
@click.option("--sealed", is_flag=True, help="Make it so that who writes it need not be able to read it.")
@click.option(
    "--writing-key",
    "writing",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --sealed: make the key here that writes and does not read, for the server.",
)
@with_place
def init(label: str, append_only: bool, sealed: bool, writing: Path | None) -> None:
    """Make an empty backup at LOCATION, which opens with the passphrase or key file given.

    Who loses every key loses the backup. Add a second one with `restante backup key add`.

    A sealed backup is written to a public key. The passphrase or key file given (not one that the configuration names)
    holds the private key: keep it away from the server, for which the writing key is made.
    """
    from ..backup.access import made_append_only
    from ..backup.keys import WritingKey
    from ..backup.repository import Repository
    from ..clock import SystemClock, system_random

    if sealed != (writing is not None):
        raise click.UsageError("Say --sealed and --writing-key FILE together.")
    if writing is not None and writing.exists():
        raise Refusal(f"{writing} is there already.", "Name a file that is not there yet.")
    if writing is not None and not writing.parent.is_dir():
        raise Refusal(f"There is no folder {writing.parent}.", "Make it first.")
    first = secret(new=True, configured=not sealed)
    if isinstance(first, WritingKey):
        raise Refusal("A writing key opens no backup.", "Name a passphrase or a key file.")
    where = made_append_only(location()) if append_only else location()
    made = Repository.init(where, first, label, int(SystemClock().now()), system_random, sealed=sealed)
    if writing is not None:
        write_key_file(writing, made.writing_key())
    click.echo(f"Made the backup {made.id[:8]}.")
    if writing is not None:
        click.echo(f"Its writing key is in {writing}. Keep the key that was given away from the server.")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run did, as JSON. read, written: octets. imap: accounts of IMAP servers that were brought up to date;
    problems: what is not right with those. put_back: files that were missing and lay twice."""

    snapshot: str
    at: str | None
    accounts: int
    unchanged: int
    messages: int
    read: int
    written: int
    failed: tuple[tuple[str, str], ...]
    unreadable: tuple[tuple[str, int], ...]
    imap: tuple[Updated, ...] = ()
    problems: tuple[str, ...] = ()
    put_back: tuple[str, ...] = ()


@click.command("run")
@with_location_argument
@click.option(
    "--account",
    "addresses",
    type=AddressType(),
    multiple=True,
    metavar="NAME@DOMAIN",
    help="This account alone; others as they were.",
)
@click.option(
    "--imap",
    "names",
    multiple=True,
    metavar="NAME",
    help="Also the IMAP account of this copy; with --user: HOST[:PORT].",
)
@with_copies
@with_login()
@click.option("--full", is_flag=True, help="Look at every message, also of accounts that did not change.")
@with_json
@with_place
@click.pass_context
def run_(
    ctx: click.Context, /, addresses: tuple[str, ...], names: tuple[str, ...], full: bool, as_json: bool, **options: Any
) -> None:
    """Take a snapshot of all accounts, with settings, credentials, aliases and the configuration.

    Works while the server runs. Only what changed since the last snapshot is read and written. The exit status is 4 if
    something could not be read; the rest is in the snapshot then.

    With --imap, also of an account anywhere: of the copy NAME (`restante sync init`), or of a server that --imap HOST
    and --user name. It is read, never changed, into a mirror in the data folder, which takes as much room as the mail.
    One that cannot be reached stands as in the last snapshot, and the exit status is 4.
    """
    config = place_of().config
    read = config.read_bytes() if config is not None and config.is_file() else None  # before anything is taken from it
    done, found = run(_run(open_repository(RUN, reading=False), addresses, names, full, options, read))
    done.put_back = [*PUT_BACK, *done.put_back]
    data = done.snapshot.data
    if as_json:
        emit_json(
            Ran(
                done.snapshot.id, instant(data.at), done.accounts, done.unchanged, done.messages, done.octets,
                done.written, tuple(done.failed), tuple(done.unreadable), tuple(found.updated), tuple(found.problems),
                tuple(done.put_back),
            )
        )  # fmt: skip
    else:
        tell_run(done)
        for each in found.updated:
            click.echo(
                f"  {cell(each.address)}: {each.new} new, {each.removed} removed, {each.flagged} with other flags;"
                f" {human_size(each.received)} received."
            )
    for problem in found.problems:
        click.echo(f"restante: {cell(problem)}", err=True)
    if tell_lacking(done) or found.problems:
        ctx.exit(Exit.FINDINGS)


async def _run(
    repository: Repository,
    addresses: tuple[str, ...],
    names: tuple[str, ...],
    full: bool,
    options: Mapping[str, Any],
    read: bytes | None,
) -> tuple[Done, Sources]:
    """read: the configuration's file, when the run began."""
    import asyncio
    import socket

    from ..backup.access import installation_files
    from ..backup.run import run as take
    from ..clock import SystemClock, system_random
    from ..server.mirrors import sources_of
    from ..store.sqlite.glance import glance_directory
    from .installation import installation, load_config

    # who backs up an account elsewhere may have none here: its mirror is the first thing that is kept
    begin = bool(names or load_config(place_of())[0].backup.imap)
    asyncio.get_running_loop().call_later(SHORT, step_back)
    async with installation(begin=begin) as here, contextlib.AsyncExitStack() as held:
        directory = glance_directory(str(here.data))
        if directory is not None:
            held.callback(directory.close)
        files = await asyncio.to_thread(installation_files, place_of().config, here.data)
        host = here.config.server.hostname or socket.gethostname()
        clock = SystemClock()
        if not names and not addresses:
            names = tuple(here.config.backup.imap)
        wanted = wanted_of(names, options, here.config, here.data)
        async with sources_of(here.engine, here.config, here.data, wanted, clock, system_random) as found:
            if addresses:
                addresses = (*addresses, *(each.address for each in found.updated))
            done = await take(
                found.source, repository, clock, host, files, addresses, full=full, standing=found.standing
            )
        usual = not (addresses or names or full or found.standing) and found.source is here.engine
        usual = usual and files.get("restante.toml") == read  # else the note would be of another one than was heeded
        if usual and directory is not None and directory.stands():
            _note(repository, done, here.config, here.data, host, files, directory.digest)
        complain_of(repository)
        return done, found


def _note(
    repository: Repository,
    done: Done,
    config: Config,
    data: Path,
    host: str,
    files: Mapping[str, bytes],
    directory: str,
) -> None:
    """Note what the next run has to find as it is now to have nothing to do."""
    from ..backup.noted import Circumstances, keep, note_of
    from ..clock import SystemClock
    from .backup_again import asked_of

    place, wanted = place_of(), wanted_key()
    passphrase, key = str(wanted.passphrase_file or ""), str(wanted.key_file or "")
    asked = asked_of(wanted.location or "", passphrase, key, str(place.config or ""), str(place.data or ""))
    configured = [] if wanted.location is not None else [config.backup.location]
    if not passphrase and not key:
        passphrase, key = config.backup.passphrase_file, config.backup.key_file
        configured += [passphrase, key]
    if not all(_leads_there(path) for path in configured if path):
        return
    note = note_of(
        repository,
        done,
        Circumstances(
            asked,
            os.path.abspath(passphrase) if passphrase else "",  # noqa: PTH100 (as `asked_of` has it)
            os.path.abspath(key) if key else "",  # noqa: PTH100 (the same)
            host,
            bool(config.server.hostname),
            directory,
            files,
            counted(done.snapshot.data),
        ),
    )
    keep(note, str(data), SystemClock().now())


def _leads_there(path: str) -> bool:
    """Whether a path of the configuration is the same wherever a run begins, and whatever is a link."""
    return Path(path).is_absolute() and ".." not in Path(path).parts
