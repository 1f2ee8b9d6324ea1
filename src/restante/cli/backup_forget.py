"""`restante backup forget`: one snapshot, whatever the rule says."""

from __future__ import annotations

from dataclasses import dataclass

import click

from .backup import complain_of, open_repository, with_location_option
from .common import confirm, emit_json, instant, with_json, with_place, with_yes
from .statuses import Exit


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten, as JSON. at: when it says that it was taken, None where it cannot be read. removed: whether
    its files are gone; else they are locked for a while."""

    snapshot: str
    at: str | None
    removed: bool


@click.command("forget")
@click.argument("snapshot", metavar="SNAPSHOT")
@with_location_option
@click.option("--keeper", is_flag=True, help="An append-only bucket's: with credentials that may remove versions.")
@with_yes
@with_json
@with_place
@click.pass_context
def forget_(ctx: click.Context, snapshot: str, keeper: bool, yes: bool, as_json: bool) -> None:
    """Forget SNAPSHOT (its id), also one that cannot be read: one that somebody forged, say.

    What no other snapshot needs is removed by a later prune. Where its files are locked the exit status is 4: no backup
    goes on from it any more, and said again when the lock has ended this removes them.
    """
    from ..backup.choose import name_of
    from ..backup.errors import Corrupt
    from ..backup.prune import forget
    from ..backup.repository import snapshot_id

    repository = open_repository(keeper=keeper)
    name = name_of(repository, snapshot)
    try:
        at = instant(repository.snapshot(name).data.at)
    except Corrupt:
        at = None
    of = f" of {at}" if at is not None else ", which cannot be read"
    confirm(f"The snapshot {snapshot_id(name)}{of} will be forgotten.", yes)
    removed = forget(repository, name)
    if as_json:
        emit_json(Forgotten(snapshot_id(name), at, removed))
    else:
        click.echo(f"Forgot {snapshot_id(name)}{of}.")
        if not removed:
            click.echo("Its files are locked, and can be removed later.")
    complain_of(repository)
    if not removed:
        ctx.exit(Exit.FINDINGS)
