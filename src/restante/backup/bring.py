"""Bringing mail back into an account that is in use, or out into files.

In place: what is missing comes back into its mailbox under a new UID, with its EMAILID, flags and dates. Nothing is
doubled (see `missing`), and flags of what is there stay unless it is asked for. Beside: everything that is asked for
goes into new mailboxes below `Restored/DATE`. Out: as `restante export` does. What was brought back before a refusal
(a quota, a full disk) stays; running it again goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from ..clock import Random
from ..exchange.export import Exported, Form, check_dest, export_mail
from ..exchange.incoming import ExchangeRefusal
from ..query.language import EmailId, Or
from ..store.errors import BadMailboxName, MailboxExists, RoleTaken
from ..store.interface import Engine, Store
from ..store.model import Column, FlagMode, Flags, Identity, Mailbox, NewMessage, System, UidRanges
from ..store.rights import EVERYONE, NEGATIVE, parse_rights
from .analysing import Analyser
from .errors import Corrupt, NoRepository
from .groups import groups
from .missing import BESIDE, Missing, flags_of, missing
from .objects import AccountData, AccountLine, HiddenData, MailboxData, Pop3Data
from .repository import Repository
from .restore import Choice, Dropped, Known, Lost, Restored, Told, everybody, read_mailbox, restore_account
from .segments import Placed
from .throwaway import throwaway

GROUP_MESSAGES = 100
BATCH = 10_000
FEW = 100
"""Messages asked for by name, up to which each is looked up."""


@dataclass(slots=True)
class Brought:
    """What came back, or would. present, moved: messages that were left alone, being there or elsewhere. flagged: whose
    flags were set back. mailboxes: (name, messages) of those that something came into. placed: mailbox -> UIDs that
    they have now. dropped: rights that did not come back."""

    messages: int = 0
    octets: int = 0
    present: int = 0
    moved: int = 0
    flagged: int = 0
    mailboxes: list[tuple[str, int]] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    placed: dict[int, list[int]] = field(default_factory=dict)


class Bringing:
    """One account's way back into a store."""

    def __init__(
        self,
        repository: Repository,
        line: AccountLine,
        store: Store,
        choice: Choice,
        pool: Analyser,
        told: Told = lambda octets: None,
        *,
        dry_run: bool = False,
        known: Known = everybody,
        expect: Told = lambda octets: None,
    ) -> None:
        """known: rights of who is not do not come back. expect: told how many octets will come, once that is known."""
        self._repository = repository
        self._line = line
        self._store = store
        self._choice = choice
        self._pool = pool
        self._told = told
        self._dry_run = dry_run
        self._known = known
        self._expect = expect
        self.done = Brought()
        self._hidden: frozenset[int] = frozenset()
        self._pop3: dict[tuple[int, int], tuple[int, int | None]] = {}

    async def in_place(self, *, set_flags: bool = False) -> Brought:
        """Add what is missing. set_flags: flags of what is there become what they were.

        Raises Corrupt, NoRepository where the snapshot has not what is asked for, InUse while somebody else brings mail
        back into the account, and what append raises.
        """
        async with self._alone():
            return await self.add_missing(set_flags=set_flags)

    async def add_missing(self, *, set_flags: bool = False) -> Brought:
        """`in_place`, for who is alone with the account already."""
        root = await self._read()
        boxes = await self._store.mailboxes()
        here = await self._here(boxes)
        rows = {box.key: await self._rows(box) for box in root.mailboxes}
        chosen = list(filter(self._choice.takes, root.mailboxes))
        self._are_there(row for box in chosen for row in rows[box.key])
        names = {box.key: next((each.name for each in boxes if each.id == box.id), box.name) for box in root.mailboxes}
        then: dict[str, set[str]] = {}
        for key, held in rows.items():
            for row in held:
                then.setdefault(row.email_id, set()).add(names[key])
        plan = [(box, missing(rows[box.key], names[box.key], here, then)) for box in chosen]
        self._expect(sum([row.size for _, lacking in plan for row in lacking.rows]))
        for box, lacking in plan:
            self.done.present += lacking.present
            self.done.moved += lacking.moved
            await self._bring(box, names[box.key], lacking.rows, root)
            if not box.messages and self._choice.email_ids is None:
                await self._make_empty(box, names[box.key], root)
            if set_flags:
                await self._set_flags(names[box.key], lacking)
        return self.done

    async def beside(self, day: str) -> Brought:
        """Put all that is asked for into mailboxes below `Restored/DAY`, unless it is there. Raises as `in_place`."""
        async with self._alone():
            return await self._beside(day)

    def _alone(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._dry_run else self._store.bringing_back()

    async def _beside(self, day: str) -> Brought:
        root = await self._read()
        here = await self._here(await self._store.mailboxes())
        chosen = list(filter(self._choice.takes, root.mailboxes))
        few = {box.key: await self._rows(box) for box in chosen} if self._choice.email_ids is not None else {}
        self._are_there(row for rows in few.values() for row in rows)
        sizes = [row.size for rows in few.values() for row in rows] if few else [box.octets for box in chosen]
        self._expect(sum(sizes))
        for box in chosen:
            name = f"{BESIDE}/{day}/{box.name}"
            rows = few[box.key] if few else await self._rows(box)
            # As if it had been there then: what is in other mailboxes does not matter.
            lacking = missing(rows, name, {id: {name: at[name]} for id, at in here.items() if name in at}, {})
            self.done.present += lacking.present
            try:
                await self._bring(box, name, lacking.rows, root)
            except BadMailboxName as refusal:  # with the levels above it, which is no reason to leave out others
                self.done.lost.append(
                    Lost(self._line.address, box.name, 0, "", f"Below {BESIDE}/{day}: {refusal.text}")
                )
        return self.done

    # Reading ---------------------------------------------------------------------------------------

    async def _read(self) -> AccountData:
        root = await asyncio.to_thread(self._repository.read, self._line.root, AccountData)
        if not any(map(self._choice.takes, root.mailboxes)):
            raise NoRepository(f"There was no mailbox {self._choice.mailbox} then.", "See 'restante backup show'.")
        await asyncio.to_thread(self._sides, root)
        return root

    def _sides(self, root: AccountData) -> None:
        try:
            self._hidden = frozenset(
                order for id in root.hidden for order in self._repository.read(id, HiddenData).orders
            )
            for id in root.pop3:
                for mailbox, uid, suffix, retrieved in self._repository.read(id, Pop3Data).rows:
                    self._pop3[mailbox, uid] = (suffix, retrieved)
        except Corrupt as error:
            self.done.lost.append(Lost(self._line.address, "", 0, "", f"What POP3 knew of messages: {error.text}"))

    async def _rows(self, box: MailboxData) -> list[Placed]:
        try:
            return list((await asyncio.to_thread(read_mailbox, self._repository, box, self._choice.email_ids)).values())
        except Corrupt as error:
            self.done.lost.append(Lost(self._line.address, box.name, 0, "", error.text))
            return []

    def _are_there(self, rows: Iterable[Placed]) -> None:
        """Raises NoRepository where a message that is asked for was not there then, before anything is done."""
        if self._choice.email_ids is None or self.done.lost:  # what cannot be read may have it
            return
        if absent := self._choice.email_ids - {row.email_id for row in rows}:
            raise NoRepository(f"The message {min(absent)} was not there then.", "See 'restante backup find'.")

    async def _here(self, boxes: Sequence[Mailbox]) -> dict[str, dict[str, list[tuple[int, Flags]]]]:
        """What is in the account now, of what is asked for: see `missing.Here`."""
        table = await self._store.flag_table()
        here: dict[str, dict[str, list[tuple[int, Flags]]]] = {}
        columns = (Column.EMAIL_ID, Column.FLAGS)
        for box in boxes:
            low, within = 1, await self._within(box)
            while rows := await self._store.rows(box.key, _above(within, low), columns, BATCH):
                for uid, email_id, number in rows:
                    assert isinstance(uid, int)
                    assert isinstance(email_id, bytes)
                    assert isinstance(number, int)
                    places = here.setdefault(email_id.decode("ascii"), {})
                    places.setdefault(box.name, []).append((uid, table[number]))
                    low = uid + 1
        return here

    async def _within(self, box: Mailbox) -> UidRanges:
        """UIDs to be looked at: all, or those of a few messages that are asked for."""
        ids = self._choice.email_ids
        if ids is None or len(ids) > FEW:
            return ((1, 0xFFFF_FFFF),)
        query = Or(tuple(EmailId(id) for id in sorted(ids)))
        found = await self._store.search(box.key, query, ((1, 0xFFFF_FFFF),))
        return tuple((uid, uid) for uid in found)

    # Writing ---------------------------------------------------------------------------------------

    async def _bring(self, box: MailboxData, name: str, rows: Sequence[Placed], root: AccountData) -> None:
        if not rows:
            return
        before = self.done.messages
        if self._dry_run:
            self.done.messages += len(rows)
            self.done.octets += sum([row.size for row in rows])
            if name == box.name and await self._store.mailbox(name) is None:
                await self._rights(box, root)
        else:
            key = await self._mailbox(box, name, root)
            for group in groups(rows, GROUP_MESSAGES):
                await self._append(box, name, key, group)
        self.done.mailboxes.append((name, self.done.messages - before))

    async def _make_empty(self, box: MailboxData, name: str, root: AccountData) -> None:
        """Make a mailbox again that is gone and had no message in it."""
        if await self._store.mailbox(name) is not None:
            return
        if self._dry_run:
            await self._rights(box, root)
        else:
            await self._mailbox(box, name, root)
        self.done.mailboxes.append((name, 0))

    async def _mailbox(self, box: MailboxData, name: str, root: AccountData) -> int:
        """The mailbox of this name, made where it is not there: then with the role, the annotations and the rights
        that it had, unless it stands beside."""
        found = await self._store.mailbox(name)
        if found is not None:
            return found.key
        try:
            found = await self._store.create_mailbox(name)
        except MailboxExists:
            found = await self._store.mailbox(name)
            assert found is not None
            return found.key
        if name != box.name:
            await self._store.subscribe(name, True)  # or programs that show subscribed mailboxes would hide it
            return found.key
        if box.role is not None:
            try:
                await self._store.set_role(found.key, box.role)
            except RoleTaken:
                pass  # another mailbox has it by now, which clients know
        owner = (self._line.id, "")
        entries = {entry: value for key, user, entry, value in root.annotations if key == box.key and user in owner}
        if entries:
            await self._store.annotate(found.key, entries)
        for identifier, rights in await self._rights(box, root):
            await self._store.set_acl(found.key, identifier, FlagMode.REPLACE, parse_rights(rights))
        if ("", box.name) in root.subscriptions:
            await self._store.subscribe(name, True)
        return found.key

    async def _rights(self, box: MailboxData, root: AccountData) -> list[tuple[str, str]]:
        """(identifier, rights) of a mailbox's list, without persons who are not here: those are noted as dropped."""
        stay = []
        for key, identifier, rights in root.acl:
            person = identifier.removeprefix(NEGATIVE)
            if key == box.key and (person in EVERYONE or await self._known(person)):
                stay.append((identifier, rights))
            elif key == box.key:
                self.done.dropped.append(Dropped(self._line.address, box.name, identifier, rights))
        return stay

    async def _append(self, box: MailboxData, name: str, key: int, group: Sequence[Placed]) -> None:
        octets = dict(await asyncio.to_thread(lambda: list(self._repository.messages({row.digest for row in group}))))
        whole: list[tuple[Placed, bytes]] = []
        for row in group:
            data = octets[row.digest]
            if isinstance(data, Corrupt):
                self.done.lost.append(Lost(self._line.address, name, row.uid, row.email_id, data.text))
            else:
                whole.append((row, data))
        if not whole:
            return
        analyses = await self._pool([data for _, data in whole])
        messages = []
        for (row, data), analysis in zip(whole, analyses, strict=True):
            flags = flags_of(row)
            # \Deleted is taken off, or the next EXPUNGE would remove it again.
            flags = Flags(flags.system & ~System.DELETED, flags.keywords)
            suffix, retrieved = self._pop3.get((box.key, row.uid), (0, None))
            identity = Identity(
                email_id=row.email_id,
                thread_id=row.thread_id,
                uidl=row.uidl,
                hidden=row.order in self._hidden,
                suffix=suffix or None,
                retrieved=retrieved,
            )
            blob = await self._store.put(data)
            messages.append(NewMessage(blob, analysis, flags, row.received, row.arrival, identity))
        appended = await self._store.append(key, messages)
        self.done.placed.setdefault(key, []).extend(appended.uids)
        self.done.messages += len(messages)
        self.done.octets += sum(len(data) for _, data in whole)
        self._told(sum(len(data) for _, data in whole))

    async def _set_flags(self, name: str, lacking: Missing) -> None:
        self.done.flagged += len(lacking.flags)
        found = await self._store.mailbox(name)
        if self._dry_run or found is None:
            return
        by_flags: dict[Flags, list[int]] = {}
        for uid, flags in lacking.flags.items():
            by_flags.setdefault(flags, []).append(uid)
        for flags, uids in by_flags.items():
            await self._store.store_flags(found.key, tuple((uid, uid) for uid in sorted(uids)), FlagMode.REPLACE, flags)


def _above(ranges: UidRanges, low: int) -> UidRanges:
    """Of ranges, what lies at `low` or above."""
    return tuple((max(first, low), last) for first, last in ranges if last >= low)


async def bring_out(
    repository: Repository,
    line: AccountLine,
    choice: Choice,
    dest: Path,
    form: Form,
    make_engine: Callable[[Path], Engine],
    pool: Analyser,
    random: Random,
    *,
    force: bool = False,
) -> tuple[Exported, list[Lost]]:
    """Write mail of a snapshot as files: the account, or what is chosen of it, is made anew in a temporary folder and
    exported from there, so that the files are those that `restante export` would have written then. Of single mailboxes
    or messages, nothing of other mailboxes is written. What a killed run left is removed by the next there.

    Raises ExchangeRefusal where `dest` is not empty, NoRepository as `would_bring_out`, Corrupt.
    """
    await asyncio.to_thread(check_dest, dest, force)
    wanted = [name for name, _ in (await would_bring_out(repository, line, choice)).mailboxes]
    with _beside(dest, random) as folder:
        engine = make_engine(folder)
        try:
            done = Restored()
            await restore_account(engine, repository, line, pool, done, choice=choice)
            return await export_mail(engine.account(line.id), dest, form, wanted, force=force), done.lost
        finally:
            await engine.close()


async def would_bring_out(repository: Repository, line: AccountLine, choice: Choice) -> Brought:
    """What `bring_out` would write, from the lists of messages alone: mailboxes that are asked for, of single messages
    those that have some. Raises NoRepository where the snapshot has not what is asked for, Corrupt."""
    root = await asyncio.to_thread(repository.read, line.root, AccountData)
    chosen = list(filter(choice.takes, root.mailboxes))
    if not chosen:
        raise NoRepository(f"There was no mailbox {choice.mailbox} then.", "See 'restante backup show'.")
    done = Brought()
    for box in chosen:
        try:
            rows = (await asyncio.to_thread(read_mailbox, repository, box, choice.email_ids)).values()
        except Corrupt as error:
            done.lost.append(Lost(line.address, box.name, 0, "", error.text))
            rows = {}.values()
        if rows or choice.email_ids is None:
            done.mailboxes.append((box.name, len(rows)))
            done.messages += len(rows)
            done.octets += sum([row.size for row in rows])
    if not done.mailboxes:
        raise NoRepository("That message was not there then.", "See 'restante backup find'.")
    return done


@contextmanager
def _beside(dest: Path, random: Random) -> Iterator[Path]:
    """A folder to work in beside `dest`: on the disk that has room for the mail. Raises ExchangeRefusal."""
    above = dest.absolute().parent
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(throwaway(above, random))
        except OSError as cause:
            raise ExchangeRefusal(f"{above} cannot be written ({cause.strerror}).", "Name another folder.") from cause
        yield folder
