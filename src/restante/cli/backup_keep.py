"""`restante backup verify` and `prune`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from ..errors import Refusal
from .backup import complain_of, keep_record, named_location, open_repository, with_location_argument
from .common import count, emit_json, human_size, instant, place_of, with_json, with_place
from .statuses import Exit

if TYPE_CHECKING:
    from ..backup.repository import Repository

MOST_TOLD = 50


@dataclass(frozen=True, slots=True)
class Checked:
    """What verify found, as JSON. damaged: (file, what, whether something else says the same). opened: false where the
    private key of a sealed backup was not there."""

    right: bool
    files: int
    octets: int
    left: int
    lacking: int
    damaged: tuple[tuple[str, str, bool], ...]
    mended: tuple[str, ...]
    single: tuple[str, ...]
    unreadable: tuple[str, ...]
    touched: tuple[tuple[str, str, int, str, tuple[str, ...]], ...]
    opened: bool = True


@click.command("verify")
@with_location_argument
@click.option("--all", "everything", is_flag=True, help="Read all of it, not only the share whose turn it is.")
@click.option(
    "--mend",
    "mending",
    is_flag=True,
    help="Put back what is damaged or missing and lies twice; a snapshot that lies nowhere is missed no more.",
)
@with_json
@with_place
@click.pass_context
def verify_(ctx: click.Context, everything: bool, mending: bool, as_json: bool) -> None:
    """Read the backup back and compare every octet: all of it, or a share.

    Shares come in turn, so that a verification each night reads all within thirty days. What is damaged is listed with
    the messages that it touches. The exit status is 0 only when all that was read is right, 4 otherwise.

    With the writing key of a sealed backup every file is read and compared with its name, and missing ones are told;
    with its private key, all that is in them is looked at too.
    """
    from ..backup.verify import checked, verify
    from ..clock import SystemClock
    from ..server.backup_records import note_verify
    from .installation import load_config
    from .progress import Meter

    repository = open_repository(reading=False)
    total = sum(size for _, size in repository.location.names("")) if everything else 0
    with Meter("Verifying", total) as meter:
        done = verify(repository, int(SystemClock().now()), everything=everything, told=meter, mending=mending)
    config, data = load_config(place_of())
    if named_location() == config.backup.location:
        keep_record(data, lambda: note_verify(data, config.backup.location, SystemClock().now(), checked(done)))
    result = Checked(
        done.right,
        done.files,
        done.octets,
        done.left,
        done.lacking,
        tuple((each.name, each.text, each.spare) for each in done.damages),
        tuple(done.mended),
        tuple(done.single),
        tuple(f"{each.what}: {each.error.text}" for each in done.broken),
        tuple((one.address, one.mailbox, one.uid, one.email_id, one.snapshots) for one in done.touched),
        done.opened,
    )
    if as_json:
        emit_json(result)
    else:
        _tell(result)
    if done.unnoted is not None:
        click.echo(f"restante: what was read back cannot be noted there: {done.unnoted.text}", err=True)
    if not done.right:
        ctx.exit(Exit.FINDINGS)


def _tell(result: Checked) -> None:
    left = f", {result.left} left for other nights" if result.left else ""
    click.echo(f"Read {count(result.files, 'file')} ({human_size(result.octets)}){left}.")
    for name, text, spare in result.damaged:
        what = text if text.startswith(name) else f"{name}: {text}"
        click.echo(f"damaged {what}{' What it says is kept elsewhere too.' if spare else ''}")
    for name in result.single:
        click.echo(f"once {name}: its second copy is written by the next run.")
    for name in result.mended:
        click.echo(f"mended {name}")
    for text in result.unreadable:
        click.echo(f"unreadable {text}")
    for address, mailbox, uid, email_id, snapshots in result.touched[:MOST_TOLD]:
        click.echo(f"lost {address} {mailbox} UID {uid} ({email_id}) in {count(len(snapshots), 'snapshot')}")
    if len(result.touched) > MOST_TOLD:
        click.echo(f"... and {len(result.touched) - MOST_TOLD} more; --json lists all.")
    if result.lacking:
        click.echo(f"{count(result.lacking, 'message')} could not be read from the store when they were taken.")
    if not result.opened:
        click.echo("Files were compared with their names. What is in them can be read with the private key alone.")
    if result.right:
        click.echo("All that was read is right.")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What prune did, as JSON. kept, forgotten: snapshots. condemned, removed: packs. octets: removed.
    locked: files that the location does not let go yet. extended: files that are locked for longer now. missing: files
    that were to be there and are not."""

    kept: tuple[str, ...]
    forgotten: tuple[tuple[str, str | None], ...]
    condemned: int
    removed: int
    octets: int
    written: int
    locked: int
    extended: int
    missing: tuple[str, ...] = ()


def _lock(repository: Repository, files: tuple[str, ...], days: int) -> int:
    """Let nobody remove these for so long; how many are locked longer now."""
    from ..backup.s3_kept import KeptBucket

    if not isinstance(repository.location, KeptBucket):
        raise Refusal("Only an append-only bucket locks files.", "Leave --lock out.")
    return repository.location.lock(files, datetime.now(UTC) + timedelta(days=days))


@click.command("prune")
@with_location_argument
@click.option("--daily", type=int, metavar="N", help="Days of which a snapshot stays. Default: as configured (14).")
@click.option("--weekly", type=int, metavar="N", help="Weeks. Default: as configured (8).")
@click.option("--monthly", type=int, metavar="N", help="Months. Default: as configured (24).")
@click.option(
    "--last", default=1, show_default=True, metavar="N", help="Newest snapshots that stay whenever they are of."
)
@click.option("--dry-run", is_flag=True, help="Say which snapshots would go, and change nothing.")
@click.option("--keeper", is_flag=True, help="An append-only bucket's: with credentials that may remove versions.")
@click.option("--lock", "days", type=click.IntRange(1, 36_500), metavar="DAYS", help="Lock what stays for so long.")
@click.option(
    "--force", is_flag=True, help="Go on though a list is damaged: what it named cannot be restored any more."
)
@with_json
@with_place
def prune_(
    daily: int | None,
    weekly: int | None,
    monthly: int | None,
    last: int,
    dry_run: bool,
    keeper: bool,
    days: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Forget snapshots beyond those to be kept, and what no snapshot needs any more.

    The newest snapshot of each day, week and month stays, as many as said. What is no longer needed is condemned now,
    and removed by a prune three days later or more, so that a backup that runs meanwhile loses nothing.

    At an append-only location this is the keeper's: a folder's owner, or who has credentials of the bucket that may
    remove versions (--keeper). There --lock prolongs the lock of what stays.
    """
    from ..backup.prune import prune
    from ..backup.retention import Keep
    from ..clock import SystemClock
    from .installation import load_config

    said = load_config(place_of())[0].backup
    keep = Keep(
        said.keep_daily if daily is None else daily,
        said.keep_weekly if weekly is None else weekly,
        said.keep_monthly if monthly is None else monthly,
        last,
    )
    if daily is weekly is monthly is None and not (keep.daily or keep.weekly or keep.monthly):
        raise Refusal("The configuration keeps every snapshot.", "Say --daily, --weekly or --monthly all the same.")
    numbers = (keep.daily, keep.weekly, keep.monthly, last)
    if min(numbers) < 0 or sum(numbers) == 0:
        raise click.UsageError("Keep at least one snapshot.")
    repository = open_repository(keeper=keeper)
    done = prune(repository, keep, int(SystemClock().now()), dry_run=dry_run, force=force, zone=None)
    result = Pruned(
        tuple(each.id for each in done.kept),
        tuple((each.id, instant(each.data.at)) for each in done.forgotten),
        done.condemned,
        done.removed,
        done.octets,
        done.written,
        done.locked,
        _lock(repository, done.needed, days) if days and not dry_run else 0,
        done.missing,
    )
    if as_json:
        emit_json(result)
    else:
        for id, at in result.forgotten:
            click.echo(f"{'Would forget' if dry_run else 'Forgot'} {id} of {at}.")
        click.echo(
            f"{count(len(result.kept), 'snapshot')} kept; {count(done.condemned, 'pack')} condemned,"
            f" {count(done.removed, 'pack')} removed ({human_size(done.octets)})."
        )
        if done.locked:
            click.echo(f"Locked for now, to be removed later: {count(done.locked, 'file')}.")
        if result.extended:
            click.echo(f"Locked {count(result.extended, 'file')} for longer.")
    for name in done.missing[:MOST_TOLD]:
        click.echo(f"restante: {name} is missing from the backup.", err=True)
    if len(done.missing) > MOST_TOLD:
        click.echo(f"restante: ... and {len(done.missing) - MOST_TOLD} more; --json lists all.", err=True)
    complain_of(repository)
