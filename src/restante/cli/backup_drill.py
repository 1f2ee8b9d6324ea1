"""`restante backup drill`: a backup is proved by restoring it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import Refusal
from .backup import (
    SNAPSHOT,
    chosen,
    complain_of,
    keep_record,
    named_location,
    open_repository,
    with_location_argument,
)
from .common import AddressType, count, emit_json, human_size, instant, place_of, run, with_json, with_place
from .statuses import Exit

if TYPE_CHECKING:
    from ..backup.outcome import Drilled
    from ..backup.repository import Repository, Snapshot


LEAST_SECONDS, LEAST_SHARE = 5.0, 0.1
"""Below both, what a restore begins with takes longer than the mail of a sample: it says nothing of all of it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a drill found, as JSON. octets: of messages. restoring, comparing, estimate: seconds; the last is what
    restoring all of the snapshot would take at this pace. seed: draws the same sample again."""

    right: bool
    snapshot: str
    taken: str | None
    everything: bool
    accounts: int
    messages: int
    octets: int
    lacking: int
    restoring: float
    comparing: float
    estimate: float
    seed: int
    wrong: int
    differences: tuple[str, ...]


@click.command("drill")
@with_location_argument
@click.option("--all", "everything", is_flag=True, help="Restore everything, directory and credentials included.")
@click.option(
    "--account",
    "addresses",
    type=AddressType(),
    multiple=True,
    metavar="NAME@DOMAIN",
    help="This account, not drawn ones.",
)
@click.option(
    "--accounts", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="Accounts that are drawn."
)
@click.option(
    "--messages", type=click.IntRange(1), default=200, show_default=True, metavar="N", help="Messages of each."
)
@click.option("--snapshot", default="latest", show_default=True, metavar="SNAPSHOT", help=SNAPSHOT)
@click.option("--work", type=click.Path(path_type=Path), metavar="DIR", help="Restore below this folder for trial.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Draw the sample that this number draws.")
@with_json
@with_place
@click.pass_context
def drill_(
    ctx: click.Context,
    everything: bool,
    addresses: tuple[str, ...],
    accounts: int,
    messages: int,
    snapshot: str,
    work: Path | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Restore a random sample, or all, into a throw-away store and compare it with the snapshot.

    Every octet, flag, UID, date and identity is compared. The store is made in a folder of its own in the data folder
    (or --work) and removed afterwards. The server does this by itself once a month, see backup.drill. The exit status
    is 4 where anything differs.
    """
    from ..clock import system_random

    if everything and addresses:
        raise click.UsageError("--all takes all accounts.")
    repository = open_repository()
    meant = chosen(repository, snapshot)
    drawn = seed if seed is not None else int.from_bytes(system_random(4), "big")
    done = run(_drill(repository, meant, everything, addresses, accounts, messages, work, drawn))
    complain_of(repository)
    result = Result(
        done.right, done.snapshot, instant(done.taken), done.everything, done.accounts, done.messages, done.octets,
        done.lacking, round(done.restoring, 3), round(done.comparing, 3), round(done.estimate, 3), done.seed,
        done.wrong, done.differences,
    )  # fmt: skip
    if as_json:
        emit_json(result)
    else:
        _tell(result)
    if not done.right:
        ctx.exit(Exit.FINDINGS)


async def _drill(
    repository: Repository,
    snapshot: Snapshot,
    everything: bool,
    addresses: tuple[str, ...],
    accounts: int,
    messages: int,
    work: Path | None,
    seed: int,
) -> Drilled:
    from ..backup.drill import Sample, Work, drill
    from ..clock import SystemClock, system_random
    from ..config.limits import mime_limits
    from ..config.paths import make_data
    from ..server.backup_records import note_drill
    from ..server.engine import open_engine
    from .installation import check_owner, load_config

    config, data = load_config(place_of())
    if work is None:
        check_owner(data)
        make_data(data)
    clock = SystemClock()
    place = Work(
        work or data,
        config.store.reserve,
        lambda folder: open_engine(config, folder, clock, system_random),
        mime_limits(config.limits),
    )
    sample = None if everything else Sample(accounts, messages, addresses)
    ours = named_location() == config.backup.location
    try:
        done = await drill(repository, snapshot, sample, place, clock, system_random, seed)
    except OSError as error:
        raise Refusal(
            f"The drill cannot work in {place.above} ({error.strerror}).", "Name a folder by --work."
        ) from error
    if ours:
        keep_record(data, lambda: note_drill(data, config.backup.location, clock.now(), done))
    return done


def _tell(result: Result) -> None:
    what = "Everything" if result.everything else "A sample"
    click.echo(
        f"{what} of {result.snapshot} ({result.taken}) restored: {count(result.accounts, 'account')},"
        f" {count(result.messages, 'message')} ({human_size(result.octets)}) in {result.restoring:.1f} s, compared in"
        f" {result.comparing:.1f} s."
    )
    if not result.everything:
        tells = result.restoring >= LEAST_SECONDS or result.estimate <= result.restoring / LEAST_SHARE
        all_of_it = f"All of it would take about {result.estimate:.0f} s. " if tells else ""
        click.echo(f"{all_of_it}The sample's number is {result.seed}.")
    if result.lacking:
        click.echo(f"{count(result.lacking, 'message')} could not be read from the store when they were taken.")
    for text in result.differences:
        click.echo(f"differs {text}")
    if result.wrong > len(result.differences):
        click.echo(f"... and {result.wrong - len(result.differences)} more.")
    if result.right:
        click.echo("All that came back is what was saved.")
