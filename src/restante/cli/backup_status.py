"""`restante backup status`: whether the nightly backup works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import emit_json, instant, place_of, with_json, with_place
from .statuses import Exit

if TYPE_CHECKING:
    from ..config.model import Config


@dataclass(frozen=True, slots=True)
class Nightly:
    """The nightly backup, as JSON. scheduled: whether the configuration has one. since: it was first seen; None where
    no server has. good: neither did the last night fail, nor is the last good one too old; true where none is
    scheduled. unpruned: the backup is sealed, so that this server forgets no old snapshots."""

    scheduled: bool
    good: bool
    schedule: str
    location: str
    since: str | None = None
    last_success: str | None = None
    snapshot: str | None = None
    last_failure: str | None = None
    reason: str | None = None
    next: str | None = None
    too_old: bool = False
    unpruned: bool = False


def nightly_of(config: Config, data: Path, now: float) -> Nightly:
    """How it stands, by what the server has noted in the data folder."""
    from ..server.nightly_state import read_nights

    schedule, location = config.backup.schedule, config.backup.location
    if not location or schedule == "off":
        return Nightly(False, True, schedule, location)
    nights = read_nights(data)
    if nights is None:
        return Nightly(True, True, schedule, location)
    too_old = nights.too_old(now)
    return Nightly(
        True, not (too_old or nights.failing), schedule, location, instant(nights.since), instant(nights.success),
        nights.snapshot or None, instant(nights.failure), nights.reason or None, instant(nights.next), too_old,
        nights.unpruned,
    )  # fmt: skip


def tell_nightly(nightly: Nightly) -> None:
    """The lines for a person."""
    if not nightly.scheduled:
        why = "is off" if nightly.location else "has no location"
        click.echo(f"The nightly backup {why}.")
        return
    if nightly.since is None:
        click.echo(f"Nightly backup at {nightly.schedule} to {nightly.location}: no server has seen this schedule yet.")
        return
    state = "works" if nightly.good else "FAILS" if not nightly.too_old else "FAILS: the last good one is too old"
    if nightly.good and nightly.last_success is None:
        state = "the first night is to come"
    click.echo(f"Nightly backup at {nightly.schedule} to {nightly.location}: {state}.")
    click.echo(f"  last good  {nightly.last_success or 'never'}{f'  {nightly.snapshot}' if nightly.snapshot else ''}")
    if nightly.last_failure:
        click.echo(f"  last bad   {nightly.last_failure}  {nightly.reason}")
    click.echo(f"  next       {nightly.next or 'running now, or cut off'}")
    if nightly.unpruned:
        click.echo("  sealed     old snapshots stay: 'restante backup prune' runs where the private key is")


@click.command("status")
@with_json
@with_place
@click.pass_context
def status_(ctx: click.Context, as_json: bool) -> None:
    """Show whether the server's nightly backup works, and when it comes next.

    The exit status is 4 where the last night failed, or where the last good one is more than 50 hours ago (two nights
    and two hours; before the first one: since the schedule was first seen). It is 0 where no schedule is configured.
    """
    from ..clock import SystemClock
    from .installation import load_config

    config, data = load_config(place_of())
    nightly = nightly_of(config, data, SystemClock().now())
    if as_json:
        emit_json(nightly)
    else:
        tell_nightly(nightly)
    if not nightly.good:
        ctx.exit(Exit.FINDINGS)
