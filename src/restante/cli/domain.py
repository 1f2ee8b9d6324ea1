"""`restante domain`: the domains whose mail is kept here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .common import LazyGroup, Subcommand, confirm, emit, emit_json, instant, run, with_json, with_place, with_yes
from .installation import Installation, installation

if TYPE_CHECKING:
    from ..store.directory import Domain

SUBCOMMANDS = (
    Subcommand("add", ".domain:add", "Add a domain."),
    Subcommand("list", ".domain:list_", "List the domains."),
    Subcommand("set", ".domain:set_", "Change a domain's catch-all and SCRAM choice."),
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
    """Add, list, change and remove the domains whose mail is kept here."""


@click.command()
@click.argument("name", metavar="DOMAIN")
@click.option("--catch-all", metavar="ADDRESS", help="Takes mail for names that nobody here has.")
@click.option("--scram", is_flag=True, help="Keep SCRAM verifiers for its accounts (weaker than Argon2id if stolen).")
@with_place
def add(name: str, catch_all: str | None, scram: bool) -> None:
    """Add DOMAIN."""

    async def work() -> None:
        async with installation(begin=True) as here:
            domain = await here.admin.add_domain(name, catch_all=catch_all, scram=scram)
            click.echo(f"Added the domain {domain.name}.")
            if catch_all is not None:
                await _see_that_it_leads_somewhere(here, domain)

    run(work())


@click.command("list")
@with_json
@with_place
def list_(as_json: bool) -> None:
    """List the domains."""

    async def work() -> None:
        async with installation() as here:
            domains = await here.admin.domains()
        emit(list(map(_row, domains)), as_json, "There are no domains yet. Add one with 'restante domain add NAME'.")

    run(work())


async def _see_that_it_leads_somewhere(here: Installation, domain: Domain) -> None:
    """Say so where nobody has the catch-all's address: it may be added later, and it may be mistyped, which nothing
    else would tell."""
    from ..delivery.interface import DeliveryRefusal
    from ..delivery.resolve import Resolver

    address = domain.catch_all or ""
    try:
        await Resolver(here.engine, here.config.delivery, here.config.accounts).resolve(address, None)
    except DeliveryRefusal as refusal:
        if not refusal.temporary:
            click.echo(
                f"{address} takes no mail yet: until it does, mail for names that nobody has is refused.", err=True
            )


def _row(domain: Domain) -> Row:
    return Row(domain.name, domain.catch_all, domain.scram, instant(domain.created))


@click.command("set")
@click.argument("name", metavar="DOMAIN")
@click.option("--catch-all", metavar="ADDRESS", help="Takes mail for names that nobody here has.")
@click.option("--no-catch-all", is_flag=True, help="Refuse mail for names that nobody here has.")
@click.option("--scram/--no-scram", default=None, help="Keep SCRAM verifiers of passwords set from now on.")
@with_json
@with_place
def set_(name: str, catch_all: str | None, no_catch_all: bool, scram: bool | None, as_json: bool) -> None:
    """Change DOMAIN's catch-all and SCRAM choice; what is not named stays.

    SCRAM verifiers that are kept already stay until their password is set again.
    """
    from ..accounts.admin import Unchanged

    if catch_all is not None and no_catch_all:
        raise click.UsageError("Say --catch-all or --no-catch-all, not both.")
    if catch_all is None and not no_catch_all and scram is None and not as_json:
        raise click.UsageError("Say what is to change: --catch-all, --no-catch-all, --scram or --no-scram.")

    async def work() -> None:
        async with installation() as here:
            target = None if no_catch_all else Unchanged.YES if catch_all is None else catch_all
            domain = await here.admin.set_domain(name, catch_all=target, scram=scram)
            if catch_all is not None:
                await _see_that_it_leads_somewhere(here, domain)
        if as_json:
            emit_json(_row(domain))
        else:
            click.echo(f"Changed the domain {domain.name}.")

    run(work())


@click.command()
@click.argument("name", metavar="DOMAIN")
@with_yes
@with_place
def remove(name: str, yes: bool) -> None:
    """Remove DOMAIN. Refused while accounts or aliases are in it."""

    async def work() -> None:
        async with installation() as here:
            domain = await here.admin.domain(name)
            confirm(f"The domain {domain.name} will be removed.", yes)
            await here.admin.remove_domain(domain.name)
            click.echo(f"Removed the domain {domain.name}.")

    run(work())
