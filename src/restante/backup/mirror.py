"""Accounts that live on IMAP servers, mirrored here so that they are backed up as accounts of this installation are.

```
server --sync.engine, one way--> mirrors/store (an account each) --the ordinary snapshot--> the backup
```
A mirror makes the next night a matter of what changed, on the line (CONDSTORE, QRESYNC) as in the backup (the store's
change number). It is a cache: what is lost of it is downloaded again. Below the data folder:

```
mirrors/store/        a store with an account for each mirror, which nobody logs in to
mirrors/sync/ID/      which server it is of, what both sides held when they were last the same, parts of downloads
mirrors/ID.lock       held while a mirror is filled, and until the snapshot of it is taken
```
The mirror follows the server in all, removals of everything included: the brake of `restante sync` protects the one
copy that somebody has, and here earlier snapshots hold what was. Whatever happens to the mirror, the server is only
read (`readonly`).
"""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import Clock, Random
from ..errors import Refusal
from ..files import replace_file
from ..store.directory import Account, AccountSettings, Domain, Exists, NotFound
from ..store.interface import Engine
from ..sync.alone import alone
from ..sync.config import source_of
from ..sync.local import Opened, open_local
from ..sync.places import CopyPlaces
from ..sync.settings import Brake, CopySettings, End, Progress, Report
from ..sync.side import SideUnavailable
from .readonly import MEDDLED, NOT_THERE, ReadOnly
from .remotes import Remote

if TYPE_CHECKING:
    from ..sync.remote import RemoteSide

RECLAIM = 50
"""Messages whose space is taken back in one transaction."""
PAUSES = (2.0, 10.0, 30.0)
"""Seconds before each further try to reach a server that was lost in the middle."""

LONGEST = 6 * 3600.0
"""Seconds that a run gives to one mirror: the installation's own accounts wait for their snapshot meanwhile."""

MOST_NOTES = 10
"""Messages and mailboxes of an account that are named."""

Pause = Callable[[float], Awaitable[None]]


class MirrorBusy(Refusal):
    """Another process fills this mirror, or takes a snapshot of it."""

    code = "MIRROR-BUSY"
    temporary = True


class MirrorUnfinished(Refusal):
    """There was more to download than one run waits for."""

    code = "MIRROR-UNFINISHED"
    temporary = True


class MirrorSpoiled(Refusal):
    """A mirror holds changes that no run has made, and that the server does not get."""

    code = "MIRROR-SPOILED"


@dataclass(slots=True)
class Updated:
    """What bringing a mirror up to date did. received: octets that came over the line. notes: what is not in it, and
    why, in sentences."""

    address: str
    new: int = 0
    removed: int = 0
    flagged: int = 0
    received: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Told:
    """A mirror, for people. octets: room on the disk. updated: seconds UTC when it was last brought up
    to date, None: never."""

    address: str
    messages: int
    octets: int
    updated: int | None


@dataclass(slots=True)
class _Attempt:
    """reached: the server told its mailboxes. lost: it was lost, and not the disk here full. carried: messages that
    came."""

    reached: bool = False
    lost: bool = False
    carried: int = 0


class Mirrors:
    """All mirrors of an installation. folder: below the data folder. make: opens the store there, each time anew."""

    def __init__(
        self,
        data: Path,
        make: Callable[[Path], Opened],
        clock: Clock,
        random: Random,
        *,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self.data = data
        self.folder = data / "mirrors"
        self.store = self.folder / "store"
        self._make = make
        self.clock = clock
        self.random = random
        self._pause = pause

    def opened(self) -> Opened:
        """Its store, which the caller closes."""
        return self._make(self.store)

    async def account(self, remote: Remote) -> Account:
        """The mirror's account, made where it is missing."""
        engine = self.opened().engine
        try:
            return await engine.directory.account(remote.address) or await self._new(engine, remote)
        finally:
            await engine.close()

    async def _new(self, engine: Engine, remote: Remote) -> Account:
        id = base64.b32encode(self.random(16)).decode("ascii").rstrip("=").lower()
        now = int(self.clock.now())
        await engine.create_account(id)
        try:
            await engine.directory.add_domain(Domain(remote.domain, None, False, now))
        except Exists:
            pass  # of another mirror
        # 0: no limit, whatever the configuration says of accounts
        made = Account(id, remote.address, remote.domain, False, 0, AccountSettings(), False, now, 1, 0, 0)
        await engine.directory.add_account(made)
        return made

    def lock(self, account: Account) -> Path:
        return self.folder / f"{account.id}.lock"

    async def update(self, account: Account, remote: Remote, done: Updated) -> None:
        """Bring a mirror up to date. The caller holds its lock. Raises Refusal where that cannot be done: the mirror
        has then some of what is new, and is not what the server has.

        A server that is lost in the middle is tried again, for as long as more comes each time.
        """
        try:
            async with asyncio.timeout(LONGEST) as limit:
                await self._update(account, remote, done)
        except TimeoutError:
            if not limit.expired():
                raise
            raise MirrorUnfinished(
                f"{remote.address} has more mail than comes in {LONGEST / 3600:.0f} hours.", "The next run goes on."
            ) from None

    async def _update(self, account: Account, remote: Remote, done: Updated) -> None:
        tries, reached = 0, False
        while True:
            attempt = _Attempt()
            try:
                await self._fill(account, remote, done, attempt)
                return
            except SideUnavailable as refusal:
                tries = 0 if attempt.carried else tries + 1
                reached = reached or attempt.reached
                if not attempt.lost or not refusal.temporary or not reached or tries > len(PAUSES):
                    raise
                await self._pause(PAUSES[max(tries - 1, 0)])

    async def _fill(self, account: Account, remote: Remote, done: Updated, attempt: _Attempt) -> None:
        from ..sync.engine import run
        from ..sync.state import State

        places = CopyPlaces(self.folder, account.id)
        await asyncio.to_thread(places.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        if not await asyncio.to_thread(_is_of, places.folder / "source", remote):
            await self._reach(places, remote)
            raise MirrorSpoiled(f"The mirror of {remote.address} is of another server.", "It is made anew.")
        server, side = self._remote(places, remote, places.parts)
        local = open_local(self.store, account.id, self.opened)
        done.notes.clear()

        def progress(now: Progress) -> None:
            attempt.carried += now.done

        with closing(State.open(places.state)) as state:
            try:
                report = await run(  # whose account it is has been compared with `source`
                    settings_of(remote), side, local, state, self.clock, same_account=True, progress=progress
                )
            finally:
                done.received += server.traffic[1]
                attempt.reached, attempt.lost = bool(side.seen), side.lost
        if any(left.reason.endswith(MEDDLED) for left in report.left_out):
            raise MirrorSpoiled(f"The mirror of {remote.address} was changed by somebody else.", "It is made anew.")
        await self._remove_strays(account, report)
        await self._reclaim(account)
        if side.seen:
            from ..sync.copy import write_known

            await asyncio.to_thread(write_known, places, server.sign, side.seen)
        _add(done, report)

    async def _reach(self, places: CopyPlaces, remote: Remote) -> None:
        """Log in, and no more: a name that was mistyped must not cost what was downloaded. Raises SideUnavailable."""
        _, side = self._remote(places, remote, None)
        try:
            await side.open()
        finally:
            await side.close()

    def _remote(self, places: CopyPlaces, remote: Remote, spool: Path | None) -> tuple[RemoteSide, ReadOnly]:
        from ..sync.assemble import asked, remote_address
        from ..sync.copy import read_known
        from ..sync.remote import RemoteSide, Settings
        from ..sync.secrets import secret_of

        table = remote.table
        secret = secret_of(table, remote.token, self.clock.now)
        settings = Settings(
            connections=table.connections, rate=table.bandwidth or None, compress=None if table.compress else False
        )
        address = remote_address(source_of(table), table, secret.kind)
        server = RemoteSide(
            address, asked(secret), settings,
            known=read_known(places, address.sign), spool=spool, views=True,
            clock=self.clock, random=self.random,
        )  # fmt: skip
        return server, ReadOnly(server)

    async def _remove_strays(self, account: Account, report: Report) -> None:
        """Take out of the mirror what the server does not have: of a run that was cut off between two steps."""
        strays: dict[str, list[int]] = {}
        for each in report.aside:
            if each.refused_by is End.ONE and each.reason == NOT_THERE:
                strays.setdefault(each.mailbox, []).append(each.uid)
        if not strays:
            return
        local = open_local(self.store, account.id, self.opened)
        await local.open()
        try:
            for mailbox, uids in strays.items():
                await local.remove(mailbox, uids)
        finally:
            await local.close()

    async def _reclaim(self, account: Account) -> None:
        """Space of what was removed long ago: nobody keeps house here."""
        engine = self.opened().engine
        try:
            store = engine.account(account.id, session="backup")
            while await store.reclaim(RECLAIM):
                pass
        finally:
            await engine.close()

    async def told(self) -> list[Told]:
        """All that there are, by address."""
        engine = self.opened().engine
        found: list[Told] = []
        try:
            while page := await engine.directory.accounts(found[-1].address if found else ""):
                for account in page:
                    boxes = await engine.account(account.id).mailboxes()
                    octets, updated = await asyncio.to_thread(self._file, account)
                    found.append(Told(account.address, sum(box.messages for box in boxes), octets, updated))
                    await engine.leave(account.id)
        finally:
            await engine.close()
        return found

    def _file(self, account: Account) -> tuple[int, int | None]:
        """Room of an account's files, and when its last full run ended."""
        octets = sum(path.stat().st_size for path in (self.store / "accounts").rglob(f"{account.id}*"))
        known = CopyPlaces(self.folder, account.id).folder / "places.json"
        return octets, int(known.stat().st_mtime) if known.exists() else None

    async def remove(self, address: str) -> None:
        """Raises NotFound, MirrorBusy."""
        engine = self.opened().engine
        try:
            account = await engine.directory.account(address)
        finally:
            await engine.close()
        if account is None:
            raise NotFound(f"There is no mirror of {address}.", "List them with 'restante backup mirror list'.")
        with alone(self.lock(account), MirrorBusy(f"Another process is at the mirror of {address}.", "Try again.")):
            await self.forget(account)

    async def forget(self, account: Account) -> None:
        """Remove a mirror: its account, then what is known of it. The caller holds its lock."""
        engine = self.opened().engine
        try:
            await engine.directory.remove_account(account.id)
            await engine.delete_account(account.id)
        finally:
            await engine.close()
        folder = CopyPlaces(self.folder, account.id).folder
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _is_of(file: Path, remote: Remote) -> bool:
    """Whether the mirror is of this server's account; a new one is, from now on."""
    if not file.exists():
        replace_file(file, remote.key.encode("utf-8"))
        return True
    return file.read_text("utf-8") == remote.key


def settings_of(remote: Remote) -> CopySettings:
    """One way: the server's mail as it is, whole, oldest first, with all removals."""
    table = remote.table
    return CopySettings(
        name=remote.address,
        include=tuple(table.mailboxes),
        exclude=tuple(table.exclude),
        removal_wins=True,
        brake=Brake(on=False),
        newest_first=False,
        at_once=table.connections,
    )


def _add(done: Updated, report: Report) -> None:
    near = report.two
    done.new += near.added
    done.removed += near.removed
    done.flagged += near.flagged
    notes = [f"{left.mailbox} of {done.address} is as it was before: {left.reason}" for left in report.left_out]
    notes += [
        f"Message {aside.uid} of {aside.mailbox} of {done.address} is missing: {aside.reason}"
        for aside in report.aside
        if aside.refused_by is End.TWO or aside.reason != NOT_THERE
    ]
    done.notes += notes[:MOST_NOTES]
    if len(notes) > MOST_NOTES:
        done.notes.append(f"... and {len(notes) - MOST_NOTES} more of {done.address}.")
