"""Which snapshot, and which account of it, somebody means. Pure but for reading pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ..store.directory import fold_address
from .errors import VERIFY, Corrupt, NoRepository
from .objects import AccountLine
from .repository import Repository, Snapshot
from .run import lines_of


def snapshot_of(repository: Repository, wanted: str) -> Snapshot:
    """The snapshot named by the first letters of its id, by "latest", or by a date or instant (ISO 8601; by this
    machine's clock where no zone is given, as folders in `Backups/` are named, whose names are taken too): the newest
    that is not younger. Raises NoRepository; Corrupt where it may be one that cannot be read."""
    found, unreadable = repository.read_snapshots()
    repository.complaints += unreadable
    if wanted == "latest":
        if not found:
            raise _none("There is no snapshot in this backup.", "Take one with 'restante backup run'.", unreadable)
        return found[-1]
    if named := _SHOWN.fullmatch(wanted):
        wanted = named[1]
    if "-" in wanted:
        at = _instant(wanted)
        before = sorted((each for each in found if each.data.at <= at), key=lambda each: each.data.at)
        if not before:
            oldest = f" The oldest, {found[0].id}, is of {_text(found[0].data.at)}." if found else ""
            raise _none(
                f"There is no snapshot of {wanted} or before.", f"See 'restante backup list'.{oldest}", unreadable
            )
        if _MINUTE.fullmatch(wanted):  # whose first one is what `Backups/` calls so
            return next((each for each in before if each.data.at > at - 60), before[-1])
        return before[-1]
    if not _ID.fullmatch(wanted):
        raise _neither(wanted)
    meant = [each for each in found if len(wanted) >= 4 and each.name.rpartition("-")[2].startswith(wanted.lower())]
    if not meant:
        raise _none(f"There is no snapshot {wanted}.", "See 'restante backup list'.", unreadable)
    if len(meant) > 1:
        raise NoRepository(f"There are several snapshots {wanted}.", "See 'restante backup list'.")
    return meant[0]


def _none(text: str, remedy: str, unreadable: Sequence[Corrupt]) -> NoRepository | Corrupt:
    """Why there is none: those that are damaged are not nothing."""
    if not unreadable:
        return NoRepository(text, remedy)
    damaged = "One" if len(unreadable) == 1 else str(len(unreadable))
    return Corrupt(f"{text.removesuffix('.')} that can be read. {damaged} cannot: {unreadable[0].text}", VERIFY)


def name_of(repository: Repository, wanted: str) -> str:
    """The file of the snapshot whose id begins so, also of one that cannot be read; of several, the one that cannot: a
    copy under another number has the same id. Raises NoRepository."""
    here = repository.snapshot_names()
    meant = [name for name in here if len(wanted) >= 4 and name.rpartition("-")[2].startswith(wanted.lower())]
    if len(meant) > 1:
        meant = [name for name in meant if not _reads(repository, name)] or meant
    if len(meant) != 1:
        which = "There is no snapshot" if not meant else "There are several snapshots"
        raise NoRepository(f"{which} {wanted}.", "See 'restante backup list'.")
    return meant[0]


def _reads(repository: Repository, name: str) -> bool:
    try:
        repository.snapshot(name)
    except Corrupt:
        return False
    return True


_ID = re.compile(r"[0-9a-fA-F]+")
_SHOWN = re.compile(r"\S+ \S+ \(([0-9a-f]+)\)")
"""What the later ones of a minute are called in `Backups/`: the instant, and the id."""
_MINUTE = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(Z|[+-]\d\d:\d\d)?")


def _instant(text: str) -> float:
    """Seconds UTC; a day or a minute alone means its end."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _neither(text) from error
    if len(text) == len("2026-11-22"):
        moment += timedelta(days=1, seconds=-1)  # of the clock on the wall, whatever it was set to that day
    elif _MINUTE.fullmatch(text):
        moment += timedelta(seconds=59)
    return moment.timestamp()


def _neither(text: str) -> NoRepository:
    return NoRepository(
        f'"{text}" is neither a date nor a snapshot.',
        'Write an id (see "restante backup list"), 2026-11-22, "2026-11-22 02:30", "yesterday 14:00" or "3h ago".',
    )


def _text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def line_of(repository: Repository, snapshot: Snapshot, address: str, account: str | None = None) -> AccountLine:
    """An account of a snapshot. account: id of who has the address here and is to get something of it; None where
    nobody has, or whoever asks has said whose it is to be.

    Whoever has an address is not who had it before: an account that was removed and added again is known by its id, and
    gets nothing of the former one's. Raises NoRepository.
    """
    lines = lines_of(repository, snapshot)
    if account is not None and account in lines:
        return lines[account]
    wanted = fold_address(address)
    for line in lines.values():
        if fold_address(line.address) == wanted:
            if account is not None:
                raise NoRepository(
                    f"In the snapshot {snapshot.id}, {address} is another account than the one that is here now.",
                    f"If that was the same person's, 'restante backup restore --into {address}' brings its mail back.",
                )
            return line
    raise NoRepository(f"The snapshot {snapshot.id} has no account {address}.", "See 'restante backup show'.")
