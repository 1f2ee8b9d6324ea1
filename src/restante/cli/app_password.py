"""`restante app-password`: passwords for one application, made by us, shown once, revoked one by one."""

from __future__ import annotations

from dataclasses import dataclass

import click

from .common import (
    Expiry,
    ExpiryType,
    LazyGroup,
    Subcommand,
    confirm,
    emit,
    emit_json,
    instant,
    run,
    with_json,
    with_place,
    with_yes,
)
from .installation import installation

SUBCOMMANDS = (
    Subcommand("add", ".app_password:add", "Make an app password and show it, once."),
    Subcommand("list", ".app_password:list_", "List an account's app passwords."),
    Subcommand("revoke", ".app_password:revoke", "Let an app password work no more."),
)


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    label: str
    protocols: tuple[str, ...]
    created: str | None
    last_used: str | None
    expires: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """What `add --json` tells: the only time that the password is shown."""

    number: int
    label: str
    password: str
    expires: str | None


@click.group(cls=LazyGroup, commands=SUBCOMMANDS, package=__package__)
@with_place
def command() -> None:
    """Add, list and revoke app passwords: 128 random bits, each for one application."""


@click.command()
@click.argument("address", metavar="NAME@DOMAIN")
@click.option("--label", default="app", show_default=True, help="What it is for.")
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(["imap", "pop3", "submission"]),
    help="Opens this protocol alone; may be given again. Default: all.",
)
@click.option(
    "--expires",
    type=ExpiryType(),
    metavar="WHEN",
    help='Works until then: a date ("2027-12-31", UTC), an instant ("2027-12-31T12:00:00Z") or a time ("90 d").',
)
@with_json
@with_place
def add(address: str, label: str, protocols: tuple[str, ...], expires: Expiry | None, as_json: bool) -> None:
    """Make an app password. It is printed once and not kept."""
    from ..clock import SystemClock

    async def work() -> None:
        async with installation() as here:
            until = None if expires is None else expires.after(SystemClock().now())
            credential, text = await here.admin.add_app_password(address, label, protocols, expires=until)
        if as_json:
            emit_json(Made(credential.number, credential.label, text, instant(credential.expires)))
        else:
            click.echo(text)
            click.echo(
                f"This is app password {credential.number} ({credential.label}). It is not shown again.", err=True
            )

    run(work())


@click.command("list")
@click.argument("address", metavar="NAME@DOMAIN")
@with_json
@with_place
def list_(address: str, as_json: bool) -> None:
    """List an account's app passwords (not the passwords themselves: they are not kept)."""

    async def work() -> None:
        async with installation() as here:
            found = await here.admin.app_passwords(address)
        rows = [
            Row(
                each.number,
                each.label,
                tuple(sorted(each.protocols)) or ("all",),
                instant(each.created),
                instant(each.last_used),
                instant(each.expires),
            )
            for each in found
        ]
        emit(rows, as_json, f"{address} has no app passwords.")

    run(work())


@click.command()
@click.argument("address", metavar="NAME@DOMAIN")
@click.argument("number", type=int)
@with_yes
@with_place
def revoke(address: str, number: int, yes: bool) -> None:
    """Let app password NUMBER work no more. Sessions that it opened end."""

    async def work() -> None:
        async with installation() as here:
            await here.admin.app_password(address, number)  # before anybody is asked
            confirm(f"App password {number} of {address} will work no more.", yes)
            await here.admin.revoke_app_password(address, number)
            click.echo(f"Revoked app password {number} of {address}.")

    run(work())
