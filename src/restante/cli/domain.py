"""`restante domain`: the domains whose mail is kept here."""

from __future__ import annotations

from dataclasses import dataclass

import click

from .common import LazyGroup, Subcommand, confirm, emit, instant, run, with_json, with_place, with_yes
from .installation import installation

SUBCOMMANDS = (
    Subcommand("add", ".domain:add", "Add a domain."),
    Subcommand("list", ".domain:list_", "List the domains."),
    Subcommand("remove", ".domain:remove", "Remove a domain that has no accounts."),
)


@dataclass(frozen=True, slots=True)
class Row:
    domain: str
    catch_all: str | None
    scram: bool
    created: str | None


@click.group(cls=LazyGroup, commands=SUBCOMMANDS, package=__package__)
@with_place
def command() -> None:
    """Add, list and remove the domains whose mail is kept here."""


@click.command()
@click.argument("name", metavar="DOMAIN")
@click.option("--catch-all", metavar="ADDRESS", help="Takes mail for names that nobody here has.")
@click.option("--scram", is_flag=True, help="Keep SCRAM verifiers for its accounts (weaker than Argon2id if stolen).")
@with_place
def add(name: str, catch_all: str | None, scram: bool) -> None:
    """Add DOMAIN."""

    async def work() -> None:
        async with installation() as here:
            domain = await here.admin.add_domain(name, catch_all=catch_all, scram=scram)
            click.echo(f"Added the domain {domain.name}.")

    run(work())


@click.command("list")
@with_json
@with_place
def list_(as_json: bool) -> None:
    """List the domains."""

    async def work() -> None:
        async with installation() as here:
            domains = await here.admin.domains()
        rows = [Row(each.name, each.catch_all, each.scram, instant(each.created)) for each in domains]
        emit(rows, as_json, "There are no domains yet. Add one with 'restante domain add NAME'.")

    run(work())


@click.command()
@click.argument("name", metavar="DOMAIN")
@with_yes
@with_place
def remove(name: str, yes: bool) -> None:
    """Remove DOMAIN. Refused while accounts or aliases are in it."""

    async def work() -> None:
        async with installation() as here:
            confirm(f"The domain {name} will be removed.", yes)
            await here.admin.remove_domain(name)
            click.echo(f"Removed the domain {name}.")

    run(work())
