"""`restante backup keep`: the keeper's side of a location that servers can only add to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from ..errors import Refusal
from .common import SizeType, count, emit_json, human_size, with_json, with_place
from .statuses import Exit

MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Taken:
    """What keep did, as JSON. refused: (file, why). waiting: files left for the next time. warnings: of rights."""

    files: int
    octets: int
    snapshots: int
    refused: tuple[tuple[str, str], ...]
    waiting: int
    warnings: tuple[str, ...]


@click.command("keep")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--keys", is_flag=True, help="Take in new keys too: say so after 'restante backup key add' alone.")
@click.option("--most", type=SizeType(), metavar="SIZE", help="Take in no more than this at a time.")
@with_json
@with_place
@click.pass_context
def keep_(ctx: click.Context, folder: Path, keys: bool, most: int | None, as_json: bool) -> None:
    """Take in what servers have dropped at FOLDER, an append-only location, as its owner.

    Needs no key of the backup. Run it often, by cron or a timer: what was taken in, no server can remove. The exit
    status is 4 if something was refused, or the folder's rights do not hold.
    """
    from ..backup.keep import keep
    from ..backup.kept_folder import KeptFolder, is_kept
    from ..clock import system_random

    if not is_kept(folder):
        raise Refusal(f"{folder} has no folder .incoming.", "See 'Append-only' in the operator's guide.")
    done = keep(KeptFolder(folder, system_random), most=most, keys=keys)
    result = Taken(done.files, done.octets, done.snapshots, tuple(done.refused), done.waiting, tuple(done.warnings))
    if as_json:
        emit_json(result)
    else:
        click.echo(
            f"Took in {count(result.files, 'file')} ({human_size(result.octets)}), among them"
            f" {count(result.snapshots, 'snapshot')}."
        )
        if result.waiting:
            click.echo(f"Left for the next time: {count(result.waiting, 'file')}.")
    for name, why in result.refused[:MOST_TOLD]:
        click.echo(f"restante: {name} was refused: {why}", err=True)
    if len(result.refused) > MOST_TOLD:
        click.echo(f"restante: ... and {len(result.refused) - MOST_TOLD} more.", err=True)
    for text in result.warnings:
        click.echo(f"restante: {text}", err=True)
    if result.refused or result.warnings:
        ctx.exit(Exit.FINDINGS)
