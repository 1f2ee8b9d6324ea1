"""`restante backup status`: whether the nightly backup works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import count, emit_json, human_size, instant, place_of, with_json, with_place
from .statuses import Exit

if TYPE_CHECKING:
    from ..config.model import Config


@dataclass(frozen=True, slots=True)
class DrillState:
    """The last restore drill, as JSON. every: as configured. good: it found no difference, and is not overdue."""

    every: str
    good: bool
    last: str | None = None
    last_success: str | None = None
    messages: int = 0
    octets: int = 0
    seconds: float = 0.0
    seed: int | None = None
    reason: str | None = None
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Nightly:
    """The nightly backup, as JSON. scheduled: whether the configuration has one. since: it was first seen; None where
    no server has. tried, trouble: failed attempts of a night that is still being tried. good: neither did the last
    night fail, nor is the last good one too old, nor did a restore drill fail or is one overdue; true where none is
    scheduled. unpruned: the backup is sealed, so that this server forgets no old snapshots. untold: the last night
    failed, and postmaster could not be told, who may not be there, or take no mail."""

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
    failing: bool = False
    tried: int = 0
    trouble: str | None = None
    drill: DrillState | None = None
    unpruned: bool = False
    untold: bool = False


def nightly_of(config: Config, data: Path, now: float) -> Nightly:
    """How it stands, by what the server has noted in the data folder."""
    from ..server.nightly_state import read_nights

    schedule, location = config.backup.schedule, config.backup.location
    if not location or schedule == "off":
        return Nightly(False, True, schedule, location)
    nights = read_nights(data)
    drill = drill_of(config, data, now, here=nights is None or not nights.unpruned)
    if nights is None:
        return Nightly(True, drill.good, schedule, location, drill=drill)
    too_old = nights.too_old(now)
    return Nightly(
        True, not (too_old or nights.failing) and drill.good, schedule, location, instant(nights.since),
        instant(nights.success), nights.snapshot or None, instant(nights.failure), nights.reason or None,
        instant(nights.next), too_old, nights.failing, nights.tried, nights.trouble or None, drill, nights.unpruned,
        nights.failing and not nights.told,
    )  # fmt: skip


def drill_of(config: Config, data: Path, now: float, *, here: bool = True) -> DrillState:
    """How it stands with restore drills. here: whether this server does them; else none is overdue here."""
    from ..server.backup_records import drill_overdue, read_drill

    every = config.backup.drill
    record = read_drill(data, config.backup.location)
    overdue = here and drill_overdue(every, record, now)
    if record is None:
        return DrillState(every, True)
    done = record.drilled
    return DrillState(
        every, not (overdue or record.failing), instant(record.last), instant(record.success),
        done.messages if done else 0, done.octets if done else 0,
        round(done.restoring + done.comparing, 1) if done else 0.0, done.seed if done else None,
        record.reason or (f"{count(done.wrong, 'difference')}" if done and done.wrong else None), overdue,
    )  # fmt: skip


def tell_nightly(nightly: Nightly) -> None:
    """The lines for a person."""
    if not nightly.scheduled:
        why = "is off" if nightly.location else "has no location"
        click.echo(f"The nightly backup {why}.")
        return
    if nightly.since is None:
        click.echo(f"Nightly backup at {nightly.schedule} to {nightly.location}: no server has seen this schedule yet.")
    else:
        _tell_nights(nightly)
    if nightly.unpruned:
        click.echo("Restore drill: 'restante backup drill' runs where the private key is.")
    if nightly.drill is not None and (not nightly.unpruned or nightly.drill.last is not None):
        _tell_drill(nightly.drill)


def _tell_nights(nightly: Nightly) -> None:
    good = not (nightly.failing or nightly.too_old)
    state = "works" if good else "FAILS" if not nightly.too_old else "FAILS: the last good one is too old"
    if good and nightly.last_success is None:
        state = "the first night is to come"
    click.echo(f"Nightly backup at {nightly.schedule} to {nightly.location}: {state}.")
    click.echo(f"  last good  {nightly.last_success or 'never'}{f'  {nightly.snapshot}' if nightly.snapshot else ''}")
    if nightly.last_failure:
        click.echo(f"  last bad   {nightly.last_failure}  {nightly.reason}")
    if nightly.untold:
        click.echo("  not told   postmaster has no message of it, and the server's log says why: is there an account")
        click.echo("             or alias postmaster@ one of your domains, and does it take mail?")
    if nightly.tried:
        click.echo(f"  this night tried {count(nightly.tried, 'time')}  {nightly.trouble}")
    click.echo(f"  {'again     ' if nightly.tried else 'next      '} {nightly.next or 'running now, or cut off'}")
    if nightly.unpruned:
        click.echo("  sealed     old snapshots stay: 'restante backup prune' runs where the private key is")


def _tell_drill(drill: DrillState) -> None:
    if drill.every == "off" and drill.last is None:
        return
    state = "is OVERDUE" if drill.overdue else "FAILED" if not drill.good else "works"
    if drill.last is None:
        click.echo(f"Restore drill, {drill.every}: the first one is to come.")
        return
    click.echo(f"Restore drill, {drill.every}: {state}.")
    what = f"{count(drill.messages, 'message')} ({human_size(drill.octets)}) in {drill.seconds} s"
    click.echo(f"  last good  {drill.last_success or 'never'}")
    click.echo(f"  last       {drill.last}  {drill.reason or what}")


@click.command("status")
@click.option("--metrics", is_flag=True, help="Print it for Prometheus, as backup.metrics_file has it.")
@with_json
@with_place
@click.pass_context
def status_(ctx: click.Context, metrics: bool, as_json: bool) -> None:
    """Show whether the server's nightly backup works, and when it comes next.

    The exit status is 4 where the last night failed, or where the last good one is more than 50 hours ago (two nights
    and two hours; before the first one: since the schedule was first seen), or where the last restore drill found a
    difference or is overdue (40 days; a weekly one: 10). It is 0 where no schedule is configured.
    """
    from ..clock import SystemClock
    from .installation import load_config, need_store

    config, data = load_config(place_of())
    if config.backup.location and config.backup.schedule != "off":
        need_store(data)  # a folder whose disk is not mounted knows of no night, and would pass for a new one
    nightly = nightly_of(config, data, SystemClock().now())
    if metrics:
        from ..server.backup_metrics import metrics_of

        click.echo(metrics_of(config, data), nl=False)
    elif as_json:
        emit_json(nightly)
    else:
        tell_nightly(nightly)
    if not nightly.good:
        ctx.exit(Exit.FINDINGS)
