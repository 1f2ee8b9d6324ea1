"""Which snapshot, and which account of it, somebody means. Pure but for reading pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ..store.directory import fold_address
from .errors import NoRepository
from .objects import AccountLine
from .repository import Repository, Snapshot
from .run import lines_of


def snapshot_of(repository: Repository, wanted: str) -> Snapshot:
    """The snapshot named by the first letters of its id, by "latest", or by a date or instant (ISO 8601; UTC where no
    zone is given): the newest that is not younger. Raises NoRepository."""
    found, unreadable = repository.read_snapshots()
    repository.complaints += unreadable
    if wanted == "latest":
        if not found:
            raise NoRepository("There is no snapshot in this backup.", "Take one with 'restante backup run'.")
        return found[-1]
    if "-" in wanted:
        before = [each for each in found if each.data.at <= _instant(wanted)]
        if not before:
            raise NoRepository(f"There is no snapshot of {wanted} or before.", "See 'restante backup list'.")
        return before[-1]
    meant = [each for each in found if len(wanted) >= 4 and each.name.rpartition("-")[2].startswith(wanted.lower())]
    if len(meant) != 1:
        which = "There is no snapshot" if not meant else "There are several snapshots"
        raise NoRepository(f"{which} {wanted}.", "See 'restante backup list'.")
    return meant[0]


def _instant(text: str) -> float:
    """Seconds UTC; a day alone means its end."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise NoRepository(f'"{text}" is neither a date nor a snapshot.', "Write 2026-11-22, for example.") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if len(text) == len("2026-11-22"):
        moment += timedelta(days=1, seconds=-1)
    return moment.timestamp()


def line_of(repository: Repository, snapshot: Snapshot, address: str) -> AccountLine:
    """An account of a snapshot. Raises NoRepository."""
    wanted = fold_address(address)
    for line in lines_of(repository, snapshot).values():
        if fold_address(line.address) == wanted:
            return line
    raise NoRepository(f"The snapshot {snapshot.id} has no account {address}.", "See 'restante backup show'.")
