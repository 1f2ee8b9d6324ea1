"""`restante backup mirror`: the accounts on IMAP servers that are backed up from here."""

from __future__ import annotations

from dataclasses import dataclass

import click

from .common import LazyGroup, Subcommand, emit, human_size, instant, place_of, run, with_json, with_place

SUBCOMMANDS = (
    Subcommand("list", ".backup_mirror:list_", "List them."),
    Subcommand("remove", ".backup_mirror:remove", "Remove one: later snapshots are without it."),
)


@click.group(cls=LazyGroup, commands=SUBCOMMANDS, package=__package__)
@with_place
def command() -> None:
    """List and remove mirrors, which `backup run --imap` keeps in the data folder.

    A mirror that is not brought up to date any more stands in each snapshot as it did, until it is removed.
    """


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """updated: when it was last brought up to date."""

    account: str
    messages: int
    size: str
    updated: str | None


@command.command("list")
@with_json
@with_place
def list_(as_json: bool) -> None:
    """List the mirrors. A size is the room on the disk."""
    emit(run(_list()), as_json, "There is no mirror.")


async def _list() -> list[MirrorRow]:
    from ..server.mirrors import told_mirrors
    from .installation import load_config, need_store

    config, data = load_config(place_of())
    need_store(data)
    return [
        MirrorRow(each.address, each.messages, human_size(each.octets), instant(each.updated))
        for each in await told_mirrors(config, data)
    ]


@command.command()
@click.argument("account", metavar="NAME@DOMAIN")
@with_place
def remove(account: str) -> None:
    """Remove the mirror of an account. The server is left as it is, and so are the snapshots that there are."""
    from ..server.mirrors import remove_mirror
    from .installation import check_owner, load_config, need_store

    config, data = load_config(place_of())
    check_owner(data)
    need_store(data)
    run(remove_mirror(config, data, account))
    click.echo(f"Removed the mirror of {account}. Snapshots that have the account keep it.")
