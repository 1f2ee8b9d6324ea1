"""What a run takes a snapshot of: the installation's own accounts, and those of IMAP servers, brought up to date first.

A mirror that could not be brought up to date is between two states of its account: it stands in the snapshot as it did
in the last one, and the run says so. So does, without a word, one that this run is not about.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Refusal
from ..store.directory import Account, Common, Person, fold_address
from ..store.interface import Engine, Store
from .source import Source, Standing

if TYPE_CHECKING:
    from .mirror import Mirrors, Updated
    from .remotes import Remote, StoreCopy, Wanted


_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sources:
    """source: what the run reads. standing: addresses of accounts that stand as in the last snapshot, and why where
    that is to be told. updated: mirrors brought up to date. problems: sentences."""

    source: Source
    standing: dict[str, Standing] = field(default_factory=dict)
    updated: list[Updated] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


Told = Callable[[str], None]
"""told(address): which account is being brought up to date."""


@asynccontextmanager
async def sources(
    engine: Engine,
    mirrors: Mirrors,
    wanted: Wanted,
    told: Told = lambda address: None,
) -> AsyncIterator[Sources]:
    """The installation's accounts with all mirrors, of which these are brought up to date. They stay as they are until
    the context ends. Where there is neither a mirror nor a wish for one, this costs a look for a folder.

    What goes wrong with an account is told in the result; nothing is raised for it.
    """
    found = Sources(engine)
    for copy in wanted.stores:
        told(copy.name)
        await _sync(mirrors, copy, found)
    if not wanted.remotes and not has_mirrors(mirrors.data):
        yield found
        return
    with ExitStack() as held:
        for remote in wanted.remotes:
            told(remote.address)
            await _update(engine, mirrors, remote, held, found)
        opened = mirrors.opened()
        try:
            current = {each.address for each in found.updated}
            hidden = set()
            for account in await _all(opened.engine):
                if await engine.directory.account(account.address) is not None:
                    hidden.add(account.id)
                elif account.address not in current:
                    found.standing.setdefault(account.address, Standing())
            found.source = Joined(engine, opened.engine, hidden)
            yield found
        finally:
            await opened.engine.close()


def has_mirrors(data: Path) -> bool:
    """Whether there ever was one."""
    return (data / "mirrors" / "store" / "directory.db").exists()


async def _update(engine: Engine, mirrors: Mirrors, remote: Remote, held: ExitStack, found: Sources) -> None:
    """Bring one mirror up to date and keep it so, or note why not."""
    from ..sync.alone import alone
    from .mirror import MirrorBusy, MirrorSpoiled, Updated

    if await engine.directory.account(remote.address) is not None:
        found.problems.append(f"{remote.address} is an account of this installation: it is not mirrored as well.")
        return
    done = Updated(remote.address)
    try:
        for last in (False, True):
            account = await mirrors.account(remote)
            busy = MirrorBusy(f"Another process is at the mirror of {remote.address}.", "Run the backup again.")
            held.enter_context(alone(mirrors.lock(account), busy))
            try:
                await mirrors.update(account, remote, done)
                break
            except MirrorSpoiled:
                await mirrors.forget(account)
                if last:
                    raise
    except (Refusal, OSError) as error:
        found.standing[remote.address] = Standing(str(error), isinstance(error, Refusal) and error.temporary)
        return
    except Exception as fault:  # noqa: BLE001 - a fault of ours here is no reason to leave out everybody else's mail
        _log.exception("The mirror of %s failed.", remote.address)
        found.standing[remote.address] = Standing(f"a fault of restante's ({type(fault).__name__}), see the log")
        return
    found.updated.append(done)
    found.problems += done.notes


async def _sync(mirrors: Mirrors, copy: StoreCopy, found: Sources) -> None:
    """Run a copy that is in this store anyway. It is in the snapshot as it is here, whatever comes of it."""
    from ..sync.assemble import Wishes, assemble
    from ..sync.config import Copies
    from ..sync.copy import RunReport
    from ..sync.watch import Cause

    reports: list[RunReport] = []
    copies = Copies(copy.file, copy.data, {copy.name: copy.table})
    with assemble(
        copies, copy.data, Wishes(), mirrors.clock, mirrors.random,
        progress=lambda name, progress: None, tell=reports.append,
    ) as made:  # fmt: skip
        for each in made:
            try:
                await each.open()
                await each.run(Cause.BEGIN)
            except (Refusal, OSError) as refusal:
                found.problems.append(
                    f"{copy.table.store} is in the snapshot as it is here, not brought up to date: {refusal}"
                )
            finally:
                await each.close()
    for report in reports:
        if report.problem is None and report.findings:
            found.problems.append(f"The copy {copy.name} has something for you: run 'restante sync {copy.name}'.")


async def _all(engine: Engine) -> list[Account]:
    found: list[Account] = []
    while page := await engine.directory.accounts(found[-1].address if found else ""):
        found += page
    return found


class Joined:
    """Two engines as one to be read. The first one's directory is the installation's: the second's accounts are nobody
    who logs in, and no domain of theirs is one of ours. hidden: ids of accounts of the second that are not told."""

    def __init__(self, first: Engine, second: Engine, hidden: Collection[str] = ()) -> None:
        self._first = first
        self._second = second
        self._of_second: set[str] = set()
        self.directory = _Directory(first, second, self._of_second, frozenset(hidden))

    def account(self, account: str) -> Store:
        return (self._second if account in self._of_second else self._first).account(account)

    async def leave(self, account: str) -> None:
        await (self._second if account in self._of_second else self._first).leave(account)


class _Directory:
    """of_second: ids of the second's accounts, noted as they are told."""

    def __init__(self, first: Engine, second: Engine, of_second: set[str], hidden: frozenset[str]) -> None:
        self._first = first.directory
        self._second = second.directory
        self._of_second = of_second
        self._hidden = hidden

    async def accounts(self, after: str = "", limit: int = 1000) -> list[Account]:
        both = await asyncio.gather(self._first.accounts(after, limit), self._second.accounts(after, limit))
        self._of_second.update(each.id for each in both[1])
        shown = [each for each in both[1] if each.id not in self._hidden]
        return sorted([*both[0], *shown], key=lambda each: fold_address(each.address))[:limit]

    async def account(self, address: str) -> Account | None:
        return await self._first.account(address) or self._noted(await self._second.account(address))

    async def account_by_id(self, id: str) -> Account | None:
        return await self._first.account_by_id(id) or self._noted(await self._second.account_by_id(id))

    def _noted(self, account: Account | None) -> Account | None:
        if account is not None:
            self._of_second.add(account.id)
        return account

    async def persons(self, after: str = "", limit: int = 256) -> list[Person]:
        return await self._first.persons(after, limit)

    async def common(self) -> Common:
        return await self._first.common()
