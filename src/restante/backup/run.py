"""A run: every account (or some) as it is now, the directory and the installation's files, in one new snapshot.

Nothing is there before the snapshot's file is; until then what was written is found again by the next run. Runs need
no lock: two at once write some objects twice, and a snapshot each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .. import __version__
from ..clock import Clock
from ..store.directory import Account, NotFound, fold_address
from ..store.errors import StoreRefusal
from ..values import Record, field
from . import account as accounts
from .account import Taken
from .apart import apart
from .errors import Corrupt, Overtaken, TookTooLong
from .mend import SMALL, complete
from .names import TWIN
from .objects import AccountLine, FileLine, Kind, PageData, PersonsData, SnapshotData
from .persons import common_data, person_data
from .repository import Repository, Snapshot
from .source import NOBODY, Source, Standing
from .writer import Writer

PAGE = 256
"""Accounts of a page."""
LONGEST = 2 * 86400.0
"""Seconds a run may last: `prune` removes nothing that was condemned more recently than `prune.GRACE`, a day more."""

Told = Callable[[str, int, int], None]
"""told(address, number, of how many): which account a run has come to."""


class Done(Record):
    """What a run did. unchanged: accounts that one look was enough for. messages, octets: read from the store.
    written: octets of files. failed: (address, why); passing: how many of them for a reason that may be gone soon.
    unreadable: (address, how many messages could not be read). put_back: names of snapshots' copies that were there and
    had gone. lines: of the snapshot's accounts."""

    snapshot: Snapshot
    accounts: int = 0
    unchanged: int = 0
    messages: int = 0
    octets: int = 0
    written: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    passing: int = 0
    unreadable: list[tuple[str, int]] = field(default_factory=list)
    put_back: list[str] = field(default_factory=list)
    lines: list[AccountLine] = field(default_factory=list)


async def run(
    engine: Source,
    repository: Repository,
    clock: Clock,
    host: str,
    files: Mapping[str, bytes],
    addresses: Sequence[str] = (),
    told: Told = lambda address, number, count: None,
    full: bool = False,
    standing: Mapping[str, Standing] = NOBODY,
) -> Done:
    """Take a snapshot. addresses: of accounts; the others then stand in it as in the last one, where that is known.

    standing: addresses of accounts that stand in it as in the last one although they are asked for, and why: they are
    told as failed where there is a reason.

    files: of the installation, by name. full: look at every message, as if nothing were known of an earlier run: for
    what a damaged repository has lost and the store still has.

    Raises NotFound for an address, LocationFailed, TookTooLong, Overtaken, Corrupt where it is not known which packs
    will go, NotesFailed.
    """
    begun, at = clock.monotonic(), int(clock.now())
    completed = await apart(complete, repository, SMALL)
    await apart(_sure, repository)
    last = await apart(repository.basis)
    lines = await apart(lines_of, repository, last) if last is not None else {}
    everybody = await _everybody(engine)
    chosen = await _chosen(engine, addresses) if addresses else everybody
    if repository.blind:
        chosen = everybody  # no other account could stand as in the last snapshot, which cannot be read
    done = Done(Snapshot("", _empty(at, host)))
    done.put_back = [name for name in completed if name.removeprefix(f"{TWIN}/") in repository.listed]
    repository.put_back += done.put_back
    kept = {each.id: lines[each.id] for each in everybody if each.id in lines}
    if standing:
        chosen = _let_stand(standing, chosen, lines, kept, done, blind=repository.blind)
    if full:
        await apart(repository.leave_out_absent)
    with Writer(repository, whole=full) as writer:
        for number, each in enumerate(chosen):
            told(each.address, number, len(chosen))
            line = await _account(engine, each, None if full else lines.get(each.id), writer, clock, done)
            if line is not None:
                kept[each.id] = line
            if clock.monotonic() - begun > LONGEST:
                raise TookTooLong("The backup ran for more than two days.", "Run it again: it goes on where it was.")
        data = await _snapshot(engine, writer, at, host, files, kept, done)
        await apart(writer.flush)
        done.written = writer.written
    if clock.monotonic() - begun > LONGEST:
        raise TookTooLong("The backup ran for more than two days.", "Run it again: it goes on where it was.")
    if gone := await apart(repository.gone_since):
        raise Overtaken(
            f"{len(gone)} packs that the backup relies on were removed while it went on.",
            "Run it again. Are the clocks right of all machines that use this backup?",
        )
    done.lines = [kept[id] for id in sorted(kept)]
    done.snapshot = await apart(repository.put_snapshot, data)
    return done


def _let_stand(
    standing: Mapping[str, Standing],
    chosen: Sequence[Account],
    lines: Mapping[str, AccountLine],
    kept: dict[str, AccountLine],
    done: Done,
    *,
    blind: bool,
) -> list[Account]:
    """Keep the last lines of these accounts, also of those that are here no more under the same id, and note why they
    stand; the others that were chosen."""
    folded = {fold_address(address) for address in standing}
    here = {fold_address(line.address) for line in kept.values()}
    for line in lines.values():
        address = fold_address(line.address)
        if address in folded and address not in here:
            kept[line.id] = line
    told = [(address, each) for address, each in standing.items() if each.why]
    there = {fold_address(line.address) for line in kept.values()}
    for address, each in told:
        stands = "stands as in the last snapshot" if fold_address(address) in there else "is in no snapshot yet"
        done.failed.append((address, f"it was not brought up to date and {stands}: {each.why}"))
    done.passing += sum(each.passing for _, each in told)
    if blind:
        return list(chosen)  # rather as they are here than not at all
    return [each for each in chosen if fold_address(each.address) not in folded]


def _sure(repository: Repository) -> None:
    """Raises Corrupt where the list of packs that will go is damaged: what is in them must be written again."""
    repository.index  # noqa: B018 - reads it
    if repository.unsure is not None:
        raise Corrupt(repository.unsure.text, "'restante backup prune' makes that list anew.") from repository.unsure


def lines_of(repository: Repository, snapshot: Snapshot) -> dict[str, AccountLine]:
    """The snapshot's accounts, by id. Pages that cannot be read are complained of: their accounts are taken anew."""
    found: dict[str, AccountLine] = {}
    for page in snapshot.data.pages:
        try:
            found |= {line.id: line for line in repository.read(page, PageData).accounts}
        except Corrupt as error:
            repository.complaints.append(error)
    return found


async def _everybody(engine: Source) -> list[Account]:
    found: list[Account] = []
    page = await engine.directory.accounts()
    while page:
        found += page
        page = await engine.directory.accounts(page[-1].address)
    return found


async def _chosen(engine: Source, addresses: Sequence[str]) -> list[Account]:
    found = {}
    for address in addresses:
        account = await engine.directory.account(address)
        if account is None:
            raise NotFound(f"There is no account {address}.", "List them with 'restante account list'.")
        found[account.id] = account
    return list(found.values())


async def _account(
    engine: Source, account: Account, line: AccountLine | None, writer: Writer, clock: Clock, done: Done
) -> AccountLine | None:
    """The account's new line; None where it could not be read, which is noted."""
    store, taken = engine.account(account.id), Taken()
    try:
        new = await accounts.take(store, account.address, line, writer, clock, taken)
    except StoreRefusal as refusal:
        if await engine.directory.account_by_id(account.id) is not None:  # else it was removed meanwhile
            done.failed.append((account.address, refusal.text))
            done.passing += refusal.temporary
        return None
    finally:
        await engine.leave(account.id)
    done.accounts += 1
    done.unchanged += line is not None and new.root == line.root
    done.messages += taken.messages
    done.octets += taken.octets
    if taken.unreadable:
        done.unreadable.append((account.address, len(taken.unreadable)))
    return new


async def _snapshot(
    engine: Source,
    writer: Writer,
    at: int,
    host: str,
    files: Mapping[str, bytes],
    kept: Mapping[str, AccountLine],
    done: Done,
) -> SnapshotData:
    common = common_data(await engine.directory.common())
    persons = []
    after = ""
    while page := await engine.directory.persons(after, PAGE):
        persons.append(PersonsData(tuple(person_data(each) for each in page)))
        after = page[-1].account.address
    lines = [kept[id] for id in sorted(kept)]

    def put() -> SnapshotData:
        return SnapshotData(
            1,
            at,
            host,
            __version__,
            tuple(writer.put_data(PageData(tuple(page))) for page in _pages(lines)),
            writer.put_data(common),
            tuple(writer.put_data(each) for each in persons),
            tuple(FileLine(name, writer.put(data, Kind.FILE)) for name, data in sorted(files.items())),
            len(lines),
            sum(line.messages for line in lines),
            sum(line.octets for line in lines),
            tuple(done.failed),
        )

    return await apart(put)


def page_of(id: str, snapshot: SnapshotData) -> int:
    """Where in the snapshot's pages an account's line stands, if each page has accounts; else it is in another."""
    count = 1
    while count * PAGE < snapshot.accounts:
        count *= 2
    return min(_bucket(id, count), len(snapshot.pages) - 1)


def _pages(lines: Sequence[AccountLine]) -> list[list[AccountLine]]:
    """Pages by the first letters of the ids, which are random: an account more changes one page and moves no other."""
    pages: dict[int, list[AccountLine]] = {}
    count = 1
    while count * PAGE < len(lines):
        count *= 2
    for line in lines:
        pages.setdefault(_bucket(line.id, count), []).append(line)
    return [pages[number] for number in sorted(pages)]


def _bucket(id: str, count: int) -> int:
    value = 0
    for letter in id:
        value = (value * 33 + ord(letter)) & 0xFFFF
    return value % count


def _empty(at: int, host: str) -> SnapshotData:
    return SnapshotData(1, at, host, __version__, (), b"", (), (), 0, 0, 0, ())
