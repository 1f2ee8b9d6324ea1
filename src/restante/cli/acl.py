"""`restante acl`: who may do what with whose mailboxes."""

from __future__ import annotations

from dataclasses import dataclass

import click

from .common import LazyGroup, Subcommand, confirm, emit, run, with_json, with_place, with_yes
from .installation import installation

SUBCOMMANDS = (
    Subcommand("list", ".acl:list_", "List what an account shares."),
    Subcommand("set", ".acl:set_", "Give or take rights on a mailbox."),
    Subcommand("remove", ".acl:remove", "Take somebody off a mailbox's list."),
)

NAMES = {"ignore_unknown_options": True}
"""A name or rights that begin with "-" are no option."""


@dataclass(frozen=True, slots=True)
class Row:
    mailbox: str
    who: str
    rights: str


@click.group(cls=LazyGroup, commands=SUBCOMMANDS, package=__package__)
@with_place
def command() -> None:
    """Show and change who may do what with whose mailboxes."""


@click.command("list")
@click.argument("address", metavar="NAME@DOMAIN")
@click.argument("mailbox", metavar="[MAILBOX]", required=False)
@with_json
@with_place
def list_(address: str, mailbox: str | None, as_json: bool) -> None:
    """List the rights that others have on an account's mailboxes. The owner, who has all, is not named."""

    async def work() -> None:
        from ..accounts.sharing import Sharing

        async with installation() as here:
            shares = await Sharing(here.engine, here.admin).shares(address, mailbox)
        emit([Row(each.mailbox, each.who, each.rights) for each in shares], as_json, f"{address} shares nothing.")

    run(work())


@click.command("set", context_settings=NAMES)
@click.argument("address", metavar="NAME@DOMAIN")
@click.argument("mailbox", metavar="MAILBOX")
@click.argument("who", metavar="WHO")
@click.argument("rights", metavar="RIGHTS")
@with_place
def set_(address: str, mailbox: str, who: str, rights: str) -> None:
    """Give WHO rights on MAILBOX of the account NAME@DOMAIN. Holds at once, in all sessions.

    WHO is an account's address, "anyone" or "authenticated"; behind a "-" the rights are taken from who would have
    them by another line. RIGHTS are letters: l see it, r read, s keep one's own read marks, w change flags, i put
    messages in, k make mailboxes below, x delete or rename it, t mark messages deleted, e expunge, a change this
    list (p does nothing yet; c is kx, d is te). "lr" replaces what WHO has, "+w" adds, "-w" takes away.
    """

    async def work() -> None:
        from ..accounts.sharing import Sharing

        async with installation() as here:
            share = await Sharing(here.engine, here.admin).change(address, mailbox, who, rights)
        if share.rights:
            click.echo(f"{share.who} has {share.rights} on {share.mailbox} of {address}.")
        else:
            click.echo(f"{share.who} has no rights of his own on {share.mailbox} of {address}.")

    run(work())


@click.command(context_settings=NAMES)
@click.argument("address", metavar="NAME@DOMAIN")
@click.argument("mailbox", metavar="MAILBOX")
@click.argument("who", metavar="WHO")
@with_yes
@with_place
def remove(address: str, mailbox: str, who: str, yes: bool) -> None:
    """Take WHO off the list of MAILBOX of the account NAME@DOMAIN."""

    async def work() -> None:
        from ..accounts.sharing import Sharing

        async with installation() as here:
            sharing = Sharing(here.engine, here.admin)
            await sharing.named(address, mailbox, who)  # before anybody is asked
            confirm(f"The rights of {who} on {mailbox} of {address} will be taken away.", yes)
            await sharing.remove(address, mailbox, who)
            click.echo(f"Took {who} off the list of {mailbox} of {address}.")

    run(work())
