"""Giving accounts back whole: a server onto an empty data folder, or one account that is gone.

An account's file is made beside its place and linked into it when it is whole; the directory is filled last. So a
restore that was cut off goes on when it is run again with the same snapshot, and nobody can log in before all is
there. What cannot be read from the repository is left out and listed; all else comes back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..mime.model import Limits
from ..store.backup import (
    Head,
    MailboxRow,
    Mark,
    Pop3Row,
    Readying,
    Rebuilding,
    RebuiltRow,
    SeenRow,
    Served,
    TombstoneRow,
)
from ..store.directory import Common, Domain, Exists, NotFound, Person
from ..store.errors import AccountExists, AnotherStore
from ..store.interface import Engine
from ..store.rights import EVERYONE, NEGATIVE
from .analysing import Analyser, analysing
from .answers import Place, answers_of, places
from .errors import Corrupt, NoRepository, NotEmpty
from .later import newest_lines, served_by
from .objects import (
    AccountData,
    AccountLine,
    CommonData,
    HiddenData,
    Kind,
    MailboxData,
    PersonsData,
    Pop3Data,
    SeenData,
    SegmentData,
)
from .parcels import ORDER, EmailOf, Parcel, email_of, parcels
from .persons import common_of, person_of
from .reading import NOWHERE
from .repository import Repository, Snapshot
from .run import lines_of
from .segments import Placed, merge

if TYPE_CHECKING:
    from .preparers import Preparers

LOOKED_UP = 20_000
"""Messages whose places are looked up at once."""
MARKER = "restoring"
"""File in the data folder that says which snapshot is being restored there."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A message, or more of an account, that the repository could not give. email_id: "" for a whole mailbox or
    account."""

    address: str
    mailbox: str
    uid: int
    email_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What of an account is asked for. mailbox: its name then, None for all. email_ids: None for all."""

    mailbox: str | None = None
    email_ids: frozenset[str] | None = None

    def takes(self, box: MailboxData) -> bool:
        return self.mailbox is None or box.name == self.mailbox

    def most(self, messages: int) -> int:
        """How many it may be, of an account with so many messages."""
        return messages if self.email_ids is None else min(messages, len(self.email_ids))


EVERYTHING = Choice()


@dataclass(frozen=True, slots=True)
class Dropped:
    """Rights on a mailbox that did not come back: of a person (account id) who has no account here."""

    address: str
    mailbox: str
    person: str
    rights: str


Known = Callable[[str], Awaitable[bool]]
"""Whether an account of this id is here."""


async def everybody(person: str) -> bool:
    return True


async def strangers(root: AccountData, known: Known) -> frozenset[str]:
    """Account ids that the account's lists name, of nobody who is here."""
    named = {identifier.removeprefix(NEGATIVE) for _, identifier, _ in root.acl}
    return frozenset([person for person in sorted(named - EVERYONE) if not await known(person)])


def without(root: AccountData, gone: frozenset[str]) -> tuple[AccountData, list[tuple[int, str, str]]]:
    """The account without what lists and annotations say of these persons; (mailbox, identifier, rights) of what was
    taken out of lists."""
    if not gone:
        return root, []
    left_out = [each for each in root.acl if each[1].removeprefix(NEGATIVE) in gone]
    stays = msgspec.structs.replace(
        root,
        acl=tuple(each for each in root.acl if each[1].removeprefix(NEGATIVE) not in gone),
        annotations=tuple(each for each in root.annotations if each[1] not in gone),
        subscriptions=tuple(each for each in root.subscriptions if each[0] not in gone),
    )
    return stays, left_out


@dataclass(slots=True)
class Restored:
    """What a restore brought back. octets: of messages. dropped: rights that did not come back. elsewhere: addresses of
    accounts that live on IMAP servers, and stay in the backup: nobody logs in to them here. earlier: accounts that an
    earlier try, which was cut off, has brought back; their messages are not counted here."""

    accounts: int = 0
    mailboxes: int = 0
    messages: int = 0
    octets: int = 0
    lost: list[Lost] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    earlier: int = 0


Told = Callable[[int], None]
"""Called with octets of messages that have come back since the last call."""


async def restore_all(
    engine: Engine,
    repository: Repository,
    snapshot: Snapshot,
    data: Path,
    limits: Limits,
    told: Told,
    put: Callable[[Mapping[str, bytes]], None] = lambda files: None,
) -> Restored:
    """Everything of a snapshot onto an empty data folder, on which `engine` is. put: writes the installation's files,
    in a thread, before the restore is said to be done. Raises NotEmpty."""
    await asyncio.to_thread(_begin, data, snapshot)
    with analysing(snapshot.data.messages, limits) as pool:
        pool.preparers(repository)  # they start while lists are read
        return await _everything(engine, repository, snapshot, data, pool, told, put)


async def _everything(
    engine: Engine,
    repository: Repository,
    snapshot: Snapshot,
    data: Path,
    pool: Analyser,
    told: Told,
    put: Callable[[Mapping[str, bytes]], None],
) -> Restored:
    done = Restored()
    lines = await asyncio.to_thread(lines_of, repository, snapshot)
    later = await asyncio.to_thread(newest_lines, repository, snapshot, lines)
    granted: dict[str, list[str]] = {}
    persons = []
    known = everybody
    for page in snapshot.data.persons:
        try:
            persons += [
                person_of(each) for each in (await asyncio.to_thread(repository.read, page, PersonsData)).persons
            ]
        except Corrupt as error:
            done.lost.append(Lost("", "", 0, "", f"Accounts and their credentials: {error.text}"))
    if not done.lost:  # else somebody may be among those who cannot be read
        here = {person.account.id for person in persons}

        async def known(person: str) -> bool:
            return person in here

        done.elsewhere = sorted(line.address for line in lines.values() if line.id not in here)
    for person in persons:
        id, address = person.account.id, person.account.address
        line = lines.get(id)
        try:
            if line is not None:
                granted[id] = await restore_account(
                    engine, repository, line, pool, done, told, later=later.get(id), known=known
                )
        except Corrupt as error:
            done.lost.append(Lost(address, "", 0, "", error.text))
        await engine.create_account(id)  # one that the snapshot has no mail of
        await engine.leave(id)
    try:
        common = common_of(await asyncio.to_thread(repository.read, snapshot.data.common, CommonData))
    except Corrupt as error:
        done.lost.append(Lost("", "", 0, "", f"Domains, aliases and secrets: {error.text}"))
        common = Common(tuple(Domain(name) for name in sorted({each.account.domain for each in persons})), (), (), ())
    if not (await engine.directory.domains() or await engine.directory.accounts()):
        await engine.directory.fill(common, persons)  # else it was cut off behind this
    for id, identifiers in granted.items():
        await engine.directory.note_shares(id, identifiers)
    for file in snapshot.data.files:
        try:
            done.files[file.name] = await asyncio.to_thread(repository.get, file.id, Kind.FILE)
        except Corrupt as error:
            done.lost.append(Lost("", file.name, 0, "", error.text))
    await asyncio.to_thread(put, done.files)
    await asyncio.to_thread((data / MARKER).unlink)
    return done


def would_restore_all(repository: Repository, snapshot: Snapshot, data: Path) -> Restored:
    """What `restore_all` would bring back, from lists of accounts alone. Raises NotEmpty."""
    _may_begin(data, snapshot)
    done, lines = Restored(), lines_of(repository, snapshot)
    here: set[str] = set()
    for page in snapshot.data.persons:
        try:
            here.update(each.id for each in repository.read(page, PersonsData).persons)
        except Corrupt as error:
            done.lost.append(Lost("", "", 0, "", f"Accounts and their credentials: {error.text}"))
    come = [line for line in lines.values() if line.id in here]
    done.accounts, done.messages = len(come), sum(line.messages for line in come)
    done.octets = sum(line.octets for line in come)
    if not done.lost:
        done.elsewhere = sorted(line.address for line in lines.values() if line.id not in here)
    return done


def _may_begin(data: Path, snapshot: Snapshot) -> bool:
    """Whether nothing of this snapshot is here yet. Raises NotEmpty where something else is."""
    marker = data / MARKER
    wanted = snapshot.name.rpartition("-")[2]
    # An empty one was cut off before anything else was there.
    if marker.exists() and (half := marker.read_text("ascii").strip()):
        if half != wanted:
            raise NotEmpty(f"Another snapshot is half restored in {data}.", "Name that one, or an empty folder.")
        return False
    if (data / "directory.db").exists() or (data / "accounts").exists():
        raise NotEmpty(f"There is mail in {data} already.", "Name an empty folder with --data.")
    return True


def _begin(data: Path, snapshot: Snapshot) -> None:
    """Say what is being restored here. Raises NotEmpty."""
    if not _may_begin(data, snapshot):
        return
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = os.open(data / MARKER, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "w") as stream:
        stream.write(snapshot.name.rpartition("-")[2] + "\n")
        stream.flush()
        os.fsync(number)


async def restore_account(
    engine: Engine,
    repository: Repository,
    line: AccountLine,
    pool: Analyser,
    done: Restored,
    told: Told = lambda octets: None,
    choice: Choice = EVERYTHING,
    *,
    surely: bool = False,
    later: AccountLine | None = None,
    known: Known = everybody,
) -> list[str]:
    """Make the account's store anew, unless it is there already (of a restore that was cut off); the identifiers that
    its lists grant something to. What they say of who is not `known` does not come back. Raises Corrupt where nothing
    of the account can be read; AnotherStore where what is there is not what was to come, if that is to be seen to
    (surely). later: the account in the newest snapshot that has it, where that is another state: UIDNEXTs and counter
    will be above that one's too."""
    root = await asyncio.to_thread(repository.read, line.root, AccountData)
    served = await asyncio.to_thread(served_by, repository, later) if later is not None else None
    gone = await strangers(root, known)
    root, left_out = without(root, gone)
    names = {box.key: box.name for box in root.mailboxes}
    done.dropped += [Dropped(line.address, names.get(key, ""), each, rights) for key, each, rights in left_out]
    granted = sorted({identifier for _, identifier, _ in root.acl if not identifier.startswith(NEGATIVE)})
    done.accounts += 1
    answers, preparers, begun = answers_of(root), pool.preparers(repository), _Begun()
    try:
        async with engine.rebuild(line.id, head_of(root, served)) as building:
            for box in filter(choice.takes, root.mailboxes):
                await _mailbox(building, repository, line, box, answers, choice, preparers, begun, done, told)
            sides = await asyncio.to_thread(_sides, repository, root, line.address, gone, done)
            await building.finish(*sides)
    except (AnotherStore, AccountExists) as error:
        if surely and isinstance(error, AnotherStore):
            raise
        done.earlier += 1  # an account's file is put in place when all is in it that could be read
        short = sum(box.messages for box in root.mailboxes) - (await engine.sizes(line.id)).messages
        if short > 0:
            why = f"{short} of its messages had not come back before the restore was cut off."
            done.lost.append(Lost(line.address, "", 0, "", why))
        return granted
    done.mailboxes += len(root.mailboxes)
    return granted


async def restore_removed(
    engine: Engine,
    repository: Repository,
    snapshot: Snapshot,
    line: AccountLine,
    pool: Analyser,
    done: Restored,
    told: Told = lambda octets: None,
) -> None:
    """Give an account back that is no longer in the directory, whole: store first, then who may log in to it.

    Raises as `admitted`, AnotherStore, Corrupt.
    """
    person = await admitted(engine, repository, snapshot, line)
    later = (await asyncio.to_thread(newest_lines, repository, snapshot, {line.id: line})).get(line.id)

    async def known(person: str) -> bool:
        return person == line.id or await engine.directory.account_by_id(person) is not None

    granted = await restore_account(engine, repository, line, pool, done, told, surely=True, later=later, known=known)
    await engine.directory.put_person(person)
    await engine.directory.note_shares(line.id, granted)


async def admitted(engine: Engine, repository: Repository, snapshot: Snapshot, line: AccountLine) -> Person:
    """Who may log in to an account that is to come back, where nothing is in its way: asked before anything is made, so
    that what is refused leaves no store behind.

    Raises NoRepository where the snapshot's directory lacks it, NotFound for its domain, Exists, Corrupt.
    """
    wrong: Corrupt | None = None
    for page in snapshot.data.persons:
        try:
            persons = (await asyncio.to_thread(repository.read, page, PersonsData)).persons
        except Corrupt as error:
            wrong = error  # others' page, perhaps
            continue
        if found := [person_of(each) for each in persons if each.id == line.id]:
            person = found[0]
            break
    else:
        if wrong is not None:
            raise wrong
        raise NoRepository(
            f"The snapshot does not say who may log in as {line.address}: it is an account of an IMAP server.",
            "Say --imap to bring it back there, --into an account of this installation, or --out DIR.",
        )
    if await engine.directory.domain(person.account.domain) is None:
        name = person.account.domain
        raise NotFound(f"There is no domain {name} here.", f"Add it with 'restante domain add {name}'.")
    if await engine.directory.account(person.account.address) is not None:
        raise Exists(f"{person.account.address} is an account here.", "Restore into it.")
    if await engine.directory.alias(person.account.address) is not None:
        raise Exists(f"{person.account.address} is an alias.", "Remove the alias first.")
    return person


def head_of(root: AccountData, served: Served | None = None) -> Head:
    """What a new account begins with. served: see there."""
    return Head(
        Mark(root.mark.incarnation, root.mark.modseq, root.mark.beside),
        root.mark.modseq,
        root.uidvalidity,
        root.created,
        tuple(
            MailboxRow(
                box.key, box.id, box.name, box.role, box.uidvalidity, box.uidnext, box.highest_modseq, box.recent,
                box.messages, box.octets,
            )
            for box in root.mailboxes
        ),
        tuple(map(TombstoneRow._make, root.tombstones)),
        root.keywords,
        root.subscriptions,
        root.acl,
        root.annotations,
        {},
        served,
    )  # fmt: skip


def read_mailbox(repository: Repository, box: MailboxData, only: frozenset[str] | None = None) -> dict[int, Placed]:
    """The mailbox's messages by UID, those with these EMAILIDs or all. Raises Corrupt."""
    return merge((repository.read(segment, SegmentData) for segment in box.segments), only)


async def _mailbox(
    building: Rebuilding,
    repository: Repository,
    line: AccountLine,
    box: MailboxData,
    answers: Mapping[bytes, bytes],
    choice: Choice,
    preparers: Preparers,
    begun: _Begun,
    done: Restored,
    told: Told,
) -> None:
    try:
        rows, known = await asyncio.to_thread(_read_mailbox, repository, box, choice.email_ids, answers)
    except Corrupt as error:
        done.lost.append(Lost(line.address, box.name, 0, "", error.text))
        return
    these = _parcels(repository, (line.id, box.key), rows, known, begun, building.readying)
    async with aclosing(preparers.each(these)) as each:
        async for prepared in each:
            begun.lost.update(prepared.lost)
            await building.emails(prepared.ready)
            told(prepared.octets)
    done.lost += [
        Lost(line.address, box.name, row.uid, row.email_id, begun.lost[row.order])
        for row in (rows if begun.lost else ())
        if row.order in begun.lost
    ]
    placed: list[RebuiltRow] = [
        (row.uid, row.order, row.system, row.keywords, row.size, row.received, row.saved)
        for row in rows
        if row.order not in begun.lost
    ]
    await building.placements(box.key, placed)
    done.messages += len(placed)
    done.octets += sum([row[4] for row in placed])


@dataclass(slots=True)
class _Begun:
    """What of an account has been asked for. orders: of emails. lost: why emails (their orders) cannot be read; others
    of the same octets may have been read at another time."""

    orders: set[int] = field(default_factory=set)
    lost: dict[int, str] = field(default_factory=dict)


def _parcels(
    repository: Repository,
    mailbox: tuple[str, int],
    rows: Sequence[Placed],
    answers: Mapping[bytes, Place],
    begun: _Begun,
    readying: Readying,
) -> Iterator[Parcel]:
    """The messages that have not been asked for. What is nowhere is lost. By some thousands, so that the first are read
    while the next ones are looked up."""
    for low in range(0, len(rows), LOOKED_UP):
        emails: dict[bytes, list[EmailOf]] = {}
        for row in rows[low : low + LOOKED_UP]:
            if row.order not in begun.orders:
                begun.orders.add(row.order)
                emails.setdefault(row.digest, []).append(email_of(row))
        places = []
        for digest, spot in repository.places(list(emails)):
            if spot is None:
                begun.lost.update((email[ORDER], NOWHERE) for email in emails[digest])
            else:
                places.append((digest, spot))
        yield from parcels(mailbox, places, emails, answers, readying)


def _read_mailbox(
    repository: Repository, box: MailboxData, only: frozenset[str] | None, answers: Mapping[bytes, bytes]
) -> tuple[list[Placed], dict[bytes, Place]]:
    """The mailbox's messages by UID, and where their answers are, unless few are asked for."""
    known: dict[bytes, Place] = {}

    def segments() -> Iterator[SegmentData]:
        for id in box.segments:
            data = repository.read(id, SegmentData)
            if only is None and id in answers:
                known.update(places(data, answers[id]))
            yield data

    return list(merge(segments(), only).values()), known


def _sides(
    repository: Repository, root: AccountData, address: str, gone: frozenset[str], done: Restored
) -> tuple[list[Pop3Row], list[int], list[SeenRow]]:
    pop3: list[Pop3Row] = []
    hidden: list[int] = []
    seen: list[SeenRow] = []
    for ids, what in ((root.pop3, Pop3Data), (root.hidden, HiddenData), (root.seen, SeenData)):
        for id in ids:
            try:
                data = repository.read(id, what)
            except Corrupt as error:
                done.lost.append(Lost(address, "", 0, "", f"What POP3 or readers knew of messages: {error.text}"))
                continue
            if isinstance(data, Pop3Data):
                pop3 += data.rows
            elif isinstance(data, HiddenData):
                hidden += data.orders
            elif isinstance(data, SeenData):
                seen += [row for row in data.rows if row[2] not in gone] if gone else data.rows
    return pop3, hidden, seen
