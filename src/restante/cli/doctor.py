"""`restante doctor`: checks every invariant of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .common import count, emit, run, with_json, with_place
from .statuses import Exit

if TYPE_CHECKING:
    from ..store.errors import StoreRefusal


@dataclass(frozen=True, slots=True)
class Row:
    account: str
    code: str
    text: str
    repairable: bool
    repaired: bool


@click.command()
@click.option("--account", "address", metavar="NAME@DOMAIN", help="Check this account alone.")
@click.option("--repair", is_flag=True, help="Mend what can be derived from what is there. Never deletes a message.")
@with_json
@with_place
@click.pass_context
def command(ctx: click.Context, address: str | None, repair: bool, as_json: bool) -> None:
    """Check hashes, counters, UID order, orphans, index against messages. Exit status 4: something was found."""
    rows, accounts = run(_work(address, repair))
    emit(rows, as_json)
    if not as_json:
        open_ones = sum(not row.repaired for row in rows)
        click.echo(f"Checked {count(accounts, 'account')}: {count(len(rows), 'finding')}, {open_ones} open.", err=True)
        if any(row.repairable and not row.repaired for row in rows):
            click.echo("Say --repair to mend what is marked repairable.", err=True)
    if any(not row.repaired for row in rows):
        ctx.exit(Exit.FINDINGS)


def _told(refusal: StoreRefusal) -> str:
    """Why an account's file cannot be opened, and what helps: people are sent here to hear it."""
    from ..store.errors import Damaged, NoSuchAccount

    if isinstance(refusal, NoSuchAccount):
        return "Its file is not there. Put it back from a backup, or remove the account."
    if isinstance(refusal, Damaged):
        return f"{refusal.text} It cannot be looked at: put the account's file back from a backup."
    return str(refusal)


async def _work(address: str | None, repair: bool) -> tuple[list[Row], int]:
    from ..store.errors import StoreRefusal
    from .installation import installation

    rows: list[Row] = []
    async with installation() as here:
        if not address:
            rows += [Row("-", "directory", text, False, False) for text in await here.engine.directory.check()]
        accounts = [await here.admin.account(address)] if address else await here.admin.accounts()
        for account in accounts:
            try:
                async for each in here.engine.account(account.id).doctor(repair):
                    rows.append(Row(account.address, each.code, each.text, each.repairable, each.repaired))
            except StoreRefusal as refusal:  # one file that cannot be opened: the others are checked all the same
                rows.append(Row(account.address, refusal.code.lower(), _told(refusal), False, False))
        if not address:
            text = "belongs to no account; remove the file, or move it away, if you know what it is"
            rows += [Row("-", "stray", f"{name} {text}", False, False) for name in await here.engine.strays()]
    return rows, len(accounts)
