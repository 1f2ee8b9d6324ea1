"""`restante export`: an account's mail as files."""

from __future__ import annotations

from pathlib import Path

import click

from .common import cell, count, human_size, run, with_place
from .statuses import Exit


@click.command()
@click.argument("dest", type=click.Path(path_type=Path))
@click.option("--account", "address", required=True, metavar="NAME@DOMAIN", help="Whose mail to take out.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["maildir", "mbox"]),
    default="maildir",
    show_default=True,
    help="Maildir++ keeps everything; mbox (mboxrd, a file a mailbox) keeps messages, flags and dates.",
)
@click.option("--mailbox", "mailboxes", multiple=True, metavar="NAME", help="This mailbox alone; may be given again.")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
@with_place
@click.pass_context
def command(ctx: click.Context, dest: Path, address: str, form: str, mailboxes: tuple[str, ...], force: bool) -> None:
    """Write an account's mail to the folder DEST.

    A Maildir++ export can be served by Dovecot as it is (same UIDs, UIDVALIDITY, flags, keywords, UIDLs) and be
    imported again without a client noticing. What cannot be read is listed with its reason, and the exit status is 4.
    """
    ctx.exit(run(_work(dest, address, form, mailboxes, force)))


async def _work(dest: Path, address: str, form: str, mailboxes: tuple[str, ...], force: bool) -> Exit:
    from ..exchange.export import Form, export_mail
    from .installation import installation
    from .progress import Meter

    async with installation() as here:
        _, store = await here.store(address)
        with Meter("Exporting", (await store.stats()).used) as meter:
            done = await export_mail(store, dest, Form(form), mailboxes, meter, force=force)
    click.echo(
        f"Exported {count(done.messages, 'message')} ({human_size(done.octets)}) in {count(done.mailboxes, 'mailbox')}."
    )
    for each in done.lost:
        click.echo(f"left out {cell(each.mailbox)}, UID {each.uid}: {cell(each.reason)}", err=True)
    return Exit.FINDINGS if done.lost else Exit.OK
