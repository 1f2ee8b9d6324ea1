"""`restante import`: mail from files into an account."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path

import click

from .common import cell, count, emit_json, human_size, run, with_json, with_place
from .entry import GARBAGE
from .statuses import Exit

MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Passed:
    where: str
    reason: str
    lost: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What `import --json` tells."""

    mailboxes: tuple[str, ...]
    messages: int
    octets: int
    skipped: tuple[Passed, ...]


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--account", "address", required=True, metavar="NAME@DOMAIN", help="Whose mail it becomes.")
@click.option("--mailbox", metavar="NAME", help="Where it goes; the source's own mailboxes go below. Default: INBOX.")
@click.option(
    "--pop3-uidl",
    type=click.Choice(["dovecot", "file", "none"]),
    default="dovecot",
    show_default=True,
    help="Which UIDL the old server of a Maildir gave to INBOX messages: Dovecot's default, the file name, or none.",
)
@with_json
@with_place
@click.pass_context
def command(ctx: click.Context, source: Path, address: str, mailbox: str | None, pop3_uidl: str, as_json: bool) -> None:
    """Bring the mail of SOURCE into an account.

    SOURCE is an mbox file (mboxo, mboxrd, mboxcl, mboxcl2), a Maildir or Maildir++, a folder of .eml files, or a
    .tar (.gz, .xz, .bz2) or .zip of those. What cannot be read is listed with its reason, and the exit status
    is 4 if a message may be among it.
    """
    gc.set_threshold(GARBAGE)  # what analyses are made of is no garbage: it lives until it is filed
    result = run(_work(source, address, mailbox, pop3_uidl))
    if as_json:
        emit_json(result)
    else:
        _tell(result)
    if any(each.lost for each in result.skipped):
        ctx.exit(Exit.FINDINGS)


async def _work(source: Path, address: str, mailbox: str | None, pop3_uidl: str) -> Result:
    from ..exchange.detect import open_source
    from ..exchange.load import Report, import_mail
    from ..exchange.maildir import Pop3Uidl
    from .installation import installation
    from .progress import Meter

    async with installation() as here:
        account, store = await here.store(address)

        async def claim(id: str, origin: str) -> bool:
            return await here.engine.directory.claim_mailbox_id(id, account.id, origin)

        opened = open_source(source, here.config.limits.message, Pop3Uidl(pop3_uidl))
        report, whole = Report(), False
        try:
            with Meter("Importing", opened.total) as meter:
                await import_mail(opened, store, mailbox, meter, limits=here.limits, claim=claim, report=report)
            whole = True
        finally:
            opened.close()
            if not whole and report.messages:  # a full disk, a quota, Ctrl-C
                _tell_part(report.messages, report.octets, account.address)
    return Result(
        tuple(report.mailboxes),
        report.messages,
        report.octets,
        tuple(Passed(each.where, each.reason, each.lost) for each in report.skipped),
    )


def _tell_part(messages: int, octets: int, address: str) -> None:
    click.echo(f"{count(messages, 'message')} ({human_size(octets)}) had come in when it stopped, and stay.", err=True)
    click.echo(f"Imported again they are there twice: 'restante dedupe --account {address}' finds such.", err=True)


def _tell(result: Result) -> None:
    where = ", ".join(result.mailboxes[:5]) + (", ..." if len(result.mailboxes) > 5 else "")
    into = f" into {where}" if where else ""
    click.echo(f"Imported {count(result.messages, 'message')} ({human_size(result.octets)}){into}.")
    first_lost = sorted(result.skipped, key=lambda each: not each.lost)
    for each in first_lost[:MOST_TOLD]:
        # names of files, those in a stranger's archive among them: nothing of them may move a terminal's cursor
        click.echo(f"skipped {cell(each.where)}: {cell(each.reason)}", err=True)
    if len(first_lost) > MOST_TOLD:
        click.echo(f"... and {len(first_lost) - MOST_TOLD} more; --json lists all.", err=True)
