"""`restante alias`: other addresses of accounts."""

from __future__ import annotations

from dataclasses import dataclass

import click

from .common import LazyGroup, Subcommand, confirm, emit, instant, run, with_json, with_place, with_yes
from .installation import installation

SUBCOMMANDS = (
    Subcommand("add", ".alias:add", "Add an alias, or change where it leads."),
    Subcommand("list", ".alias:list_", "List the aliases."),
    Subcommand("remove", ".alias:remove", "Remove an alias."),
)


@dataclass(frozen=True, slots=True)
class Row:
    address: str
    targets: tuple[str, ...]
    created: str | None


@click.group(cls=LazyGroup, commands=SUBCOMMANDS, package=__package__)
@with_place
def command() -> None:
    """Add, list and remove aliases."""


@click.command()
@click.argument("address", metavar="ALIAS")
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@with_place
def add(address: str, targets: tuple[str, ...]) -> None:
    """Let mail to ALIAS go to each TARGET: accounts or aliases here. Replaces an alias of that name."""

    async def work() -> None:
        async with installation() as here:
            alias = await here.admin.put_alias(address, targets)
            click.echo(f"Mail to {alias.address} goes to {', '.join(alias.targets)}.")

    run(work())


@click.command("list")
@with_json
@with_place
def list_(as_json: bool) -> None:
    """List the aliases."""

    async def work() -> None:
        async with installation() as here:
            aliases = await here.admin.aliases()
        emit([Row(each.address, each.targets, instant(each.created)) for each in aliases], as_json, "No aliases.")

    run(work())


@click.command()
@click.argument("address", metavar="ALIAS")
@with_yes
@with_place
def remove(address: str, yes: bool) -> None:
    """Remove ALIAS."""

    async def work() -> None:
        async with installation() as here:
            alias = await here.admin.alias(address)
            confirm(f"The alias {alias.address} will be removed.", yes)
            await here.admin.remove_alias(address)
            click.echo(f"Removed the alias {alias.address}.")

    run(work())
