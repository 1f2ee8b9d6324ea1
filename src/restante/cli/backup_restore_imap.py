"""`restante backup restore --imap`: an account of a snapshot back to an IMAP server."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..errors import Refusal
from .backup import complain_of
from .backup_imap import copies_of, copy_end, server_of
from .backup_restore import Result
from .common import place_of

if TYPE_CHECKING:
    from ..backup.repository import Repository, Snapshot
    from ..backup.restore import Choice
    from ..sync.ends import End
    from ..sync.migrate.model import Report
    from ..sync.side import Side


class RestoreBusy(Refusal):
    """Another restore to this account is at work on this machine."""

    code = "RESTORE-BUSY"
    temporary = True


async def to_server(
    repository: Repository,
    snapshot: Snapshot,
    address: str,
    choice: Choice,
    target: str,
    options: Mapping[str, Any],
    *,
    set_flags: bool,
    dry_run: bool,
) -> Result:
    """target: the name of a copy, or a server where a user is said. Raises Refusal."""
    from ..backup.choose import line_of
    from ..backup.errors import NoRepository
    from ..backup.side import Receiver, SnapshotSide
    from ..clock import SystemClock
    from ..sync.migrate.course import plan
    from ..sync.migrate.ends import scratch
    from ..sync.migrate.ledger.book import Book
    from ..sync.migrate.model import AllMail, Depth, Wishes
    from ..sync.migrate.run import Migration
    from .progress import Stretches

    line = await asyncio.to_thread(line_of, repository, snapshot, address)
    end, token = _end(target, options)
    clock = SystemClock()
    source = SnapshotSide(repository, line, choice)
    await source.open()
    if not await source.places():
        raise NoRepository("The snapshot has nothing of what was asked for.", "See 'restante backup show' and 'find'.")
    wishes = Wishes(all_mail=AllMail.REST, dry_run=dry_run, depth=Depth.NONE)
    with nullcontext() if dry_run else _alone(end), scratch() as folder, Stretches(clock) as meter:
        side = _side(end, token, folder)
        receiver = side if set_flags else cast("Side", Receiver(side))
        book = Book(folder / "state.db", f"backup:{snapshot.name} {line.id}", end.key)
        try:
            await side.open()
            courses, _ = plan(await source.places(), await side.places(), book, wishes)
            moved = await source.leave_moved(side, {each.source: each.target for each in courses})
            report = await Migration(source, receiver, book, wishes, clock, meter).run()
        finally:
            book.close()
            await side.close()
    complain_of(repository)
    return _result(snapshot, address, report, moved)


@contextmanager
def _alone(end: End) -> Iterator[None]:
    """While no other restore of this user brings mail into the account: both would see the same messages missing, and
    bring each of them. From another machine nobody is kept away. Raises RestoreBusy, Refusal."""
    from ..sync.alone import alone
    from ..sync.migrate.ends import state_folder

    folder = state_folder(os.environ).with_name("restore")
    path = folder / f"{hashlib.sha256(end.key.encode()).hexdigest()[:16]}.lock"
    busy = RestoreBusy(
        f"Another restore to {end.title} is at work: both would bring the same messages.", "Run it again afterwards."
    )
    with ExitStack() as held:
        try:
            held.enter_context(alone(path, busy))
        except OSError as error:
            raise Refusal(
                f"The folder {folder}, for what keeps two restores apart, cannot be used ({error.strerror}).",
                "Set XDG_STATE_HOME to a folder that can be written.",
            ) from error
        yield


def _end(target: str, options: Mapping[str, Any]) -> tuple[End, Path | None]:
    """The server, and the file of its access token where a copy has one."""
    from ..sync.places import CopyPlaces
    from .installation import load_config

    if options["user"]:
        return server_of(target, options), None
    config, data = load_config(place_of())
    copies = copies_of(options["copies"], config)
    end, _ = copy_end(copies, target)
    return end, CopyPlaces(place_of().data or copies.data or data, target).token()


def _side(end: End, token: Path | None, folder: Path) -> Side:
    from ..clock import SystemClock
    from ..sync.ends import Maker
    from .installation import configured_store

    return Maker(SystemClock(), folder, configured_store, token).side(end, read_only=False)


def _result(snapshot: Snapshot, address: str, report: Report, moved: int) -> Result:
    from ..backup.restore import Lost

    return Result(
        snapshot.id,
        0,
        sum(each.copied for each in report.mailboxes),
        sum(each.octets for each in report.mailboxes),
        sum(each.present for each in report.mailboxes),
        moved,
        mailboxes=tuple((each.target, each.copied) for each in report.mailboxes if each.copied),
        lost=tuple(Lost(address, aside.mailbox, aside.uid, "", aside.reason) for aside in report.aside),
    )
