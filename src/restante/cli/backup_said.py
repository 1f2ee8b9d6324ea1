"""What is said of a run of `restante backup`, whichever way it went. Without click: see `backup_aside`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .words import count, echo, human_size

if TYPE_CHECKING:
    from ..backup.objects import SnapshotData
    from ..backup.repository import Repository
    from ..backup.run import Done


PUT_BACK: list[str] = []
"""As `Done.put_back`, of a run of this invocation that was left to the whole program, which misses them no more."""


def counted(data: SnapshotData) -> str:
    """What is in a snapshot."""
    return f"{count(data.accounts, 'account')}, {count(data.messages, 'message')} ({human_size(data.octets)})"


def tell_run(done: Done) -> None:
    """Say on stdout what was taken."""
    echo(
        f"Snapshot {done.snapshot.id}: {counted(done.snapshot.data)}; {count(done.messages, 'message')} new or changed"
        f" place, {human_size(done.written)} written."
    )


def tell_lacking(done: Done) -> bool:
    """Say on stderr what could not be taken, and what was missing; whether there is any of it."""
    for address, why in done.failed:
        echo(f"restante: {address} was left out: {why}", err=True)
    for address, number in done.unreadable:
        echo(f"restante: {count(number, 'message')} of {address} cannot be read: run 'restante doctor'.", err=True)
    for name in done.put_back:
        echo(f"restante: {name} was missing from the backup; its copy was put in its place.", err=True)
    return bool(done.failed or done.unreadable or done.put_back)


def complain_of(repository: Repository) -> None:
    """Say on stderr what was damaged and read from elsewhere; and what somebody has forged, which lies nowhere else."""
    from ..backup.repository import FORGET

    for error in dict.fromkeys(each.text for each in repository.complaints):
        echo(f"restante: {error}", err=True)
    remedies = {each.remedy for each in repository.complaints}
    if FORGET in remedies:
        echo(f"  {FORGET}", err=True)
    if remedies - {FORGET}:
        echo("  What is kept twice was read all the same. Run 'restante backup verify --all'.", err=True)
