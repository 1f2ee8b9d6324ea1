"""`restante backup`: its commands stand in `backup_*.py`; here is what they share: where the backup is, and its key."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ..errors import Refusal
from .backup_said import complain_of as complain_of
from .common import LazyGroup, Subcommand, cell, count, instant, place_of, with_place

if TYPE_CHECKING:
    from ..backup.keys import Opening
    from ..backup.location import Location
    from ..backup.repository import Repository, Snapshot

MOST_DISTURBED = 5
SNAPSHOT = 'Id, date, or "yesterday 14:00": as of then.'
"""What `--snapshot` takes, for its help."""
F = TypeVar("F", bound=Callable[..., object])

SUBCOMMANDS = (
    Subcommand("init", ".backup_run:init", "Make an empty backup at a location."),
    Subcommand("run", ".backup_run:run_", "Take a snapshot of all accounts."),
    Subcommand("list", ".backup_look:list_", "List the snapshots."),
    Subcommand("show", ".backup_look:show", "Show what is in a snapshot."),
    Subcommand("find", ".backup_look:find_", "Find messages: in which snapshots are they?"),
    Subcommand("restore", ".backup_restore:restore", "Bring a server, an account, a mailbox or a message back."),
    Subcommand("verify", ".backup_keep:verify_", "Read the backup back."),
    Subcommand("drill", ".backup_drill:drill_", "Restore a sample for trial and compare it."),
    Subcommand("keep", ".backup_kept:keep_", "Take in what was dropped at an append-only location, as its keeper."),
    Subcommand("prune", ".backup_keep:prune_", "Forget old snapshots, and what nobody needs then."),
    Subcommand("forget", ".backup_forget:forget_", "Forget one snapshot."),
    Subcommand("status", ".backup_status:status_", "Show whether the nightly backup works."),
    Subcommand("mirror", ".backup_mirror:command", "List and remove mirrors of accounts on IMAP servers."),
    Subcommand("key", ".backup_key:command", "Add, list and remove keys."),
)


@click.group(cls=LazyGroup, commands=SUBCOMMANDS, package=__package__)
@with_place
def command() -> None:
    """Back accounts up, encrypted, to a LOCATION (a folder, or s3://BUCKET/PREFIX), and bring them back.

    LOCATION and the key may stand in the configuration: [backup] location, passphrase_file or key_file. Without
    either, a passphrase is asked for on a terminal. A sealed backup (init --sealed) has a writing key besides, which
    is a key file for run, list and verify.
    """


@dataclass
class Wanted:
    """What the command line says of the backup, to be remembered in click's context."""

    location: str | None = None
    passphrase_file: Path | None = None
    key_file: Path | None = None


def wanted_key() -> Wanted:
    """What the invocation's command line says."""
    context = click.get_current_context().find_root()
    found = context.meta.setdefault(__name__, Wanted())
    assert isinstance(found, Wanted)
    return found


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value is not None:
        setattr(wanted_key(), param.name or "", value)


def with_key(function: F) -> F:
    """Give a command `--passphrase-file` and `--key-file`."""
    for name, text in (
        ("--key-file", "Key file of the backup."),
        ("--passphrase-file", "File whose first line is the passphrase."),
    ):
        option = click.option(
            name, type=click.Path(path_type=Path), metavar="FILE", expose_value=False, callback=_remember, help=text
        )
        function = option(function)
    return function


def with_location_argument(function: F) -> F:
    """Give a command the argument LOCATION, which may be missing, and the key's options."""
    argument = click.argument("location", required=False, expose_value=False, callback=_remember)
    return argument(with_key(function))


def with_location_option(function: F) -> F:
    """Give a command `--location`, where its argument is something else, and the key's options."""
    option = click.option("--location", expose_value=False, callback=_remember, help="Where the backup lies.")
    return option(with_key(function))


def location(*, keeper: bool = False) -> Location:
    """The location that the command line, or else the configuration, names. keeper: where it is append-only, this is
    who may remove."""
    from ..backup.access import S3, location_of, remote_of
    from ..clock import system_random
    from .installation import load_config

    said = named_location()
    if not said:
        raise Refusal(
            "No location of a backup was named.", "Name it, or write [backup] location = ... into the configuration."
        )
    remote = remote_of(load_config(place_of())[0].backup) if said.startswith(S3) else None
    return location_of(said, system_random, remote, keeper=keeper)


def named_location() -> str:
    """What the command line, or else the configuration, says of the location; "" for nothing."""
    from .installation import load_config

    said = wanted_key().location
    return load_config(place_of())[0].backup.location if said is None else said


def secret(*, new: bool = False, configured: bool = True) -> Opening:
    """The passphrase or key file that is named, else what is typed on a terminal (twice where it is new). configured:
    whether the configuration may name it."""
    from ..backup.access import secret_of
    from ..backup.keys import Passphrase
    from .installation import load_config

    wanted = wanted_key()
    passphrase, key = wanted.passphrase_file, wanted.key_file
    if passphrase and key:
        raise Refusal("A passphrase and a key file were named.", "Name one of them.")
    if configured and not passphrase and not key:
        config, _ = load_config(place_of())
        passphrase = Path(config.backup.passphrase_file) if config.backup.passphrase_file else None
        key = Path(config.backup.key_file) if config.backup.key_file else None
    if (found := secret_of(passphrase, key)) is not None:
        return found
    if not sys.stdin.isatty():
        raise Refusal("No key of the backup was named.", "Say --passphrase-file or --key-file.")
    typed = str(click.prompt("Passphrase of the backup", hide_input=True, confirmation_prompt=new, err=True))
    return Passphrase(typed.encode())


RUN = ("asyncio", "restante.cli.installation", "restante.server.engine", "restante.backup.run")
"""What commands need that work on a store, loaded while the key is made."""


def open_repository(needed: Sequence[str] = (), *, reading: bool = True, keeper: bool = False) -> Repository:
    """The backup, open. needed: modules that the command will import: they are loaded meanwhile, since a passphrase
    costs a core 0.15 s and loading as much. reading: what is in it will be read, for which the writing key of a sealed
    one is not enough. keeper: as of `location`. Raises Refusal."""
    from concurrent.futures import ThreadPoolExecutor

    from ..backup.keys import WritingKey
    from ..backup.repository import Repository
    from ..clock import system_random

    where, key, notes = location(keeper=keeper), secret(), None
    if isinstance(key, WritingKey):
        from ..backup.access import NOTES
        from .installation import load_config

        notes = load_config(place_of())[1] / NOTES
    with ThreadPoolExecutor(1) as thread:
        opening = thread.submit(Repository.open, where, key, system_random, notes)
        gc.disable()  # as `entry` has done
        try:
            for name in needed:
                importlib.import_module(name)
        finally:
            gc.freeze()
            gc.enable()
        opened = opening.result()
    if reading:
        opened.need_private_key()
    return opened


def chosen(repository: Repository, wanted: str) -> Snapshot:
    """The snapshot that a command line names: see `choose.snapshot_of`; also as of "yesterday 14:00" or "3h ago", which
    are days and minutes as if they had been written out. Then it is said which one that is. Raises Refusal."""
    from ..backup.choose import snapshot_of
    from ..clock import SystemClock
    from .when import spelled_out

    at = spelled_out(wanted, SystemClock().now())
    meant = snapshot_of(repository, at)
    if at != wanted:
        click.echo(f"{cell(wanted)}: the snapshot {meant.id} of {instant(meant.data.at)}.", err=True)
    return meant


def write_key_file(path: Path, text: str) -> None:
    """Make the file of a key, for this user alone. Raises Refusal where something is there."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError as error:
        raise Refusal(f"{path} is there already.", "Name a file that is not there yet.") from error
    except OSError as error:
        raise Refusal(f"{path} cannot be made ({error.strerror}).", "Check its folder and the rights there.") from error


def tell_disturbed(repository: Repository) -> None:
    """Say on stderr what somebody has tried to hide or write over."""
    if not (found := repository.location.disturbed()):
        return
    for _, text in found[:MOST_DISTURBED]:
        click.echo(f"restante: {text}", err=True)
    click.echo(
        f"  {count(len(found), 'file')} that this machine may only add to were touched; they are read as they were. Who"
        " has the credentials? 'restante backup verify --all --mend' puts them back.",
        err=True,
    )


def keep_record(data: Path, note: Callable[[], object]) -> None:
    """Note what came of a drill or a verification of the configured backup, and tell the metrics. Where this machine
    has no data folder, nobody would read it."""
    from ..server.backup_metrics import write_metrics
    from .installation import load_config

    if not data.is_dir():
        return
    try:
        note()
        write_metrics(load_config(place_of())[0], data)
    except OSError as error:
        click.echo(f"restante: the result cannot be noted in {data} ({error.strerror}).", err=True)
