"""`restante backup key`: who can open the backup."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import Refusal
from .backup import location, open_repository, with_location_option, write_key_file
from .common import LazyGroup, Subcommand, cell, confirm, count, emit, instant, with_json, with_place, with_yes

if TYPE_CHECKING:
    from ..backup.keys import Kept

SUBCOMMANDS = (
    Subcommand("add", ".backup_key:add", "Add a passphrase or a key file."),
    Subcommand("list", ".backup_key:list_", "List the keys."),
    Subcommand("remove", ".backup_key:remove", "Remove a key."),
    Subcommand("writing", ".backup_key:writing", "Make a sealed backup's writing key again."),
)


@click.group(cls=LazyGroup, commands=SUBCOMMANDS, package=__package__)
@with_place
def command() -> None:
    """Add, list and remove the keys of a backup. Each of them opens all of it; a sealed one's writing key does not."""


@click.command()
@with_location_option
@click.option("--label", default="", help="What the key is called.")
@click.option(
    "--new-passphrase-file",
    "new",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File whose first line is the new passphrase.",
)
@click.option(
    "--new-key-file",
    "made",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Make a key file here, for this user alone.",
)
@with_place
def add(label: str, new: Path | None, made: Path | None) -> None:
    """Let another passphrase, or a key file, open the backup. Without either, a passphrase is asked for."""
    from ..backup.keys import Passphrase, Secret, make_key_file, parse_passphrase
    from ..clock import SystemClock, system_random

    if new and made:
        raise click.UsageError("Say --new-passphrase-file or --new-key-file.")
    repository = open_repository()
    added: Secret
    if made is not None:
        added, text = make_key_file(system_random)
        write_key_file(made, text)
    elif new is not None:
        try:
            added = parse_passphrase(new.read_bytes())
        except OSError as error:
            raise Refusal(f"{new} cannot be read ({error.strerror}).", "Check its name and rights.") from error
    elif sys.stdin.isatty():
        typed = str(click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))
        added = Passphrase(typed.encode())
    else:
        raise Refusal("No new key was given.", "Say --new-passphrase-file or --new-key-file.")
    try:
        name = repository.add_key(added, label, int(SystemClock().now()))
    except Refusal:
        if made is not None:
            made.unlink()  # it opens nothing, and would be in the way of the next try
        raise
    click.echo(f"Added the key {name}.")


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    label: str
    opens_by: str
    created: str | None


@click.command("list")
@with_location_option
@with_json
@with_place
def list_(as_json: bool) -> None:
    """List the keys. Needs none of them."""
    from ..backup.slots import kept_slots, none_here

    where = location()
    rows = [
        Row(each.name, each.slot.label, each.slot.method.value, instant(each.slot.created))
        for each in sorted(kept_slots(where), key=lambda one: one.slot.created)
    ]
    if not rows:
        raise none_here(where)
    emit(rows, as_json)


@click.command()
@click.argument("key")
@with_location_option
@with_yes
@with_place
def remove(key: str, yes: bool) -> None:
    """Remove a KEY (see list), never the last one. Who has had it may have kept a copy of the key within: what he could
    read, he can."""
    repository = open_repository()
    gone, left = repository.removable_key(key)
    told = [f"The key {_called(gone)} will be removed; {count(len(left), 'key')} will be left:"]
    told.append(f"{'; '.join(map(_called, left))}.")
    if len(left) == 1:
        told.append("Who loses that one loses the backup.")
    if gone.name == repository.opened_by:
        told.append("The backup was opened with the one that goes: that another one opens it was not tried.")
    confirm(" ".join(told), yes)
    repository.remove_key(key)
    click.echo(f"Removed the key {key}. {count(len(left), 'key')} left.")


def _called(kept: Kept) -> str:
    """A key as a person knows it."""
    label = f'"{cell(kept.slot.label)}", ' if kept.slot.label else ""
    return f"{kept.name} ({label}{kept.slot.method.value.replace('-', ' ')}, made {instant(kept.slot.created)})"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@with_location_option
@with_place
def writing(file: Path) -> None:
    """Write the writing key of a sealed backup into a new FILE, for a server that backs up and must not read."""
    write_key_file(file, open_repository().writing_key())
    click.echo(f"Wrote the writing key into {file}.")
