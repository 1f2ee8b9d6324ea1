"""Reads the backup for all workers: snapshots of an account, and what sessions look at in them, into files.

    run/past/accounts/xx/<id>.db     one a person who looks, filled as far as he looks; gone soon after he has left

It lives in a process of its own (`past_process`), so that opening the repository, holding its index and analysing mail
cost no worker anything, and are paid once. Fills of one file follow one another: whoever asks second finds it done.

Mail lies in these files as it does in an account's own: readable for who may read the data folder.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..backup.access import location_of, remote_of, secret_of
from ..backup.errors import BackupRefusal, Corrupt, LocationFailed, NoRepository
from ..backup.groups import groups
from ..backup.look import Looking, local, state_of
from ..backup.objects import AccountData, MailboxData
from ..backup.repository import Repository
from ..clock import Clock, Random
from ..config.limits import mime_limits
from ..config.model import Config
from ..errors import Refusal
from ..mime.analyse import analyse
from ..mime.text import body_text
from ..store.errors import DiskFull, PastUnavailable, StoreRefusal
from ..store.model import UidRanges
from ..store.past import Found, Lacking, PastBox, PastFile
from ..store.sqlite.past_file import SqlitePastFile
from .engine import open_past_engine
from .logs import Logger
from .past_wire import (
    Fill,
    GiveBack,
    Leave,
    Lend,
    Load,
    Open,
    Read,
    ReadPart,
    Request,
    States,
)

GROUP_MESSAGES = 100
"""Messages read and analysed before they are kept and somebody else has a turn."""

KEPT = 120.0
"""Seconds for which the file of somebody who has left is kept: a client selects one mailbox after the other."""

OPEN = 300.0
"""Seconds without a question after which the repository is let go of, with its keys and its index."""

TEXTS: tuple[tuple[type[Refusal], str], ...] = (
    (LocationFailed, "The backup cannot be reached now."),
    (Corrupt, "The backup is damaged there."),
    (DiskFull, "There is no room now to look at the backup."),
    (StoreRefusal, "The backup cannot be looked at now."),
)
"""What is told of refusals, which name places that are none of a mail user's business. The log has all of it."""

TOLD = frozenset({"NEEDS-PRIVATE-KEY", "MUCH-AT-ONCE"})
"""Codes of refusals that are told as they are: what is written for a public key says that the private one is needed."""


class NoFile(Refusal):
    """The file of somebody's past is not here any more."""

    code = "NO-FILE"


class MuchAtOnce(Refusal):
    """One account's past takes as much room as one may have."""

    code = "MUCH-AT-ONCE"
    temporary = True


@dataclass(slots=True)
class PastOf:
    """What is known of one account's file. uses: how often it is open."""

    id: str
    file: PastFile
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    held: Counter[int] = field(default_factory=Counter)
    uses: int = 0
    used_at: float = 0.0
    account: str = ""


@dataclass(slots=True)
class Holder:
    """What one worker has open, to be let go when it goes."""

    files: Counter[str] = field(default_factory=Counter)
    loans: set[int] = field(default_factory=set)


class PastReader:
    """folder: for the files, emptied at first. open: gives the repository; replaced by tests."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        clock: Clock,
        random: Random,
        log: Logger,
        *,
        open: Callable[[], Repository] | None = None,
    ) -> None:
        self._config = config
        self._folder = folder
        self._clock = clock
        self._random = random
        self._log = log
        self._open_repository = open or self._configured
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._engine = open_past_engine(config, folder, clock, random)
        self._limits = mime_limits(config.limits)
        self._looking: Looking | None = None
        self._repository: Repository | None = None
        self._opening = asyncio.Lock()
        self._asked_at = clock.monotonic()
        self._files: dict[str, PastOf] = {}
        self._by_account: dict[str, PastOf] = {}
        self._loans: dict[int, tuple[PastOf, list[int]]] = {}
        self._last_loan = 0

    def _configured(self) -> Repository:
        backup = self._config.backup
        secret = secret_of(backup.passphrase_file, backup.key_file)
        if secret is None:
            raise BackupRefusal("The backup has no key.", "Set backup.key_file or backup.passphrase_file.")
        return Repository.open(location_of(backup.location, self._random, remote_of(backup)), secret, self._random)

    async def close(self) -> None:
        await self._engine.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    # Answers -----------------------------------------------------------------------------------------

    async def answer(self, request: Request, holder: Holder) -> object:
        """What is asked for. Raises PastUnavailable with a text for the account's owner, NoRepository, NoFile."""
        self._asked_at = self._clock.monotonic()
        try:
            return await self._answer(request, holder)
        except (NoRepository, NoFile) as refusal:
            if self._looking is None:
                raise self._told(refusal) from refusal
            raise
        except Refusal as refusal:
            raise self._told(refusal) from refusal

    def _told(self, refusal: Refusal) -> PastUnavailable:
        self._log.warning("backup not read", code=refusal.code, reason=str(refusal))
        if refusal.code in TOLD:
            return PastUnavailable(refusal.text)
        for kind, text in TEXTS:
            if isinstance(refusal, kind):
                return PastUnavailable(text)
        return PastUnavailable("The backup cannot be opened now.")

    async def _answer(self, request: Request, holder: Holder) -> object:
        match request:
            case States(account):
                looking = await self._look()
                states = await asyncio.to_thread(looking.states, account)
                return [(state.name, state.id) for state in states]
            case Open(account, state):
                return await self._open(account, state, holder)
            case Leave(id):
                self._leave(id, holder)
                return None
            case Load(id, state, box):
                return await self._load(self._of(id), state, box)
            case Fill(id, mailbox, ranges, bodies):
                past = self._of(id)
                async with past.lock:
                    return await self._fill(past, mailbox, ranges, bodies)
            case Lend(id, state, box, mailbox, ranges):
                return await self._lend(self._of(id), state, box, mailbox, ranges, holder)
            case GiveBack(token):
                await self._give_back(token, holder)
                return None
            case Read(digests):
                return await self._read(digests)
            case ReadPart(digest, offset, count):
                looking = await self._look()
                data = await asyncio.to_thread(looking.message, digest)
                return [data[offset : offset + count]]

    async def _look(self) -> Looking:
        async with self._opening:
            if self._looking is None:
                self._repository = await asyncio.to_thread(self._open_repository)
                self._looking = Looking(self._repository, local, self._clock.monotonic)
            return self._looking

    def _of(self, id: str) -> PastOf:
        past = self._files.get(id)
        if past is None:
            raise NoFile("The backup has been closed meanwhile.", "Select the mailbox again.")
        past.used_at = self._clock.monotonic()
        return past

    async def _open(self, account: str, state: str, holder: Holder) -> object:
        looking = await self._look()
        root = await asyncio.to_thread(looking.root, account, state)
        past = self._by_account.get(account)
        if past is None:
            id = "past" + self._random(12).hex()
            past = PastOf(id, SqlitePastFile(self._engine, id), account=account)
            self._by_account[account] = self._files[id] = past
            async with past.lock:
                try:
                    await self._engine.create_account(id)
                except BaseException:
                    del self._files[id], self._by_account[account]
                    raise
        else:
            async with past.lock:  # it may just be being made
                self._of(past.id)
        past.uses += 1
        past.used_at = self._clock.monotonic()
        holder.files[past.id] += 1
        return past.id, [_fields(box) for box in looking.boxes(root, state)]

    def _leave(self, id: str, holder: Holder) -> None:
        past = self._files.get(id)
        if past is not None and holder.files[id] > 0:
            holder.files[id] -= 1
            past.uses -= 1

    async def let_go(self, holder: Holder) -> None:
        """A worker is gone, and with it all that it had open."""
        for token in list(holder.loans):
            await self._give_back(token, holder)
        for id, uses in holder.files.items():
            if id in self._files:
                self._files[id].uses -= uses
        holder.files.clear()

    # Filling -----------------------------------------------------------------------------------------

    async def _load(self, past: PastOf, state: str, number: int) -> int:
        root, box = await self._box(past, state, number)
        looking = await self._look()
        async with past.lock:
            key = await past.file.mailbox(state_of(box))
            if key is None:
                await self._make_room(past)
                rows = await asyncio.to_thread(looking.rows, box)
                key = await past.file.add_mailbox(state_of(box), looking.boxes(root, state)[number], rows)
            return key

    async def _box(self, past: PastOf, state: str, number: int) -> tuple[AccountData, MailboxData]:
        looking = await self._look()
        root = await asyncio.to_thread(looking.root, past.account, state)
        if not 0 <= number < len(root.mailboxes):
            raise NoFile("There is no such mailbox.")
        return root, root.mailboxes[number]

    async def _fill(self, past: PastOf, mailbox: int, ranges: UidRanges, bodies: bool) -> int:
        lacking = await past.file.lacking(mailbox, ranges, bodies=bodies)
        if not lacking:
            return 0
        looking = await self._look()
        lost = 0
        for group in groups(lacking, GROUP_MESSAGES):
            await self._make_room(past)
            found = await asyncio.to_thread(self._found, looking, group, bodies)
            lost += len(group) - len(found)
            await past.file.put(found)
        return lost

    def _found(self, looking: Looking, group: Sequence[Lacking], bodies: bool) -> list[Found]:
        """What can be read of these emails. Called in a thread."""
        by_digest: dict[bytes, list[Lacking]] = {}
        for one in group:
            by_digest.setdefault(one.digest, []).append(one)
        found = []
        for digest, data in looking.messages(list(by_digest)):
            if isinstance(data, Corrupt):
                self._log.warning("message not read from the backup", reason=str(data))
                continue
            emails = by_digest[digest]
            analysis = None if all(one.answered for one in emails) else analyse(data, self._limits)
            body = body_text(data, self._limits) if bodies else None
            found += [Found(one.email, one.content, one.size, analysis, body) for one in emails]
        return found

    async def _lend(
        self, past: PastOf, state: str, number: int, mailbox: int, ranges: UidRanges, holder: Holder
    ) -> object:
        root, box = await self._box(past, state, number)
        looking = await self._look()
        async with past.lock:
            if await self._fill(past, mailbox, ranges, bodies=False):
                raise Corrupt("Some of the messages cannot be read.")
            contents, lacking = await past.file.octets_lacking(mailbox, ranges)
            past.held.update(contents)
            self._last_loan += 1
            token = self._last_loan
            self._loans[token] = past, contents
            holder.loans.add(token)
            try:
                for group in groups(lacking, GROUP_MESSAGES):
                    await self._make_room(past)
                    await self._put_octets(past, looking, group)
                pop3 = await asyncio.to_thread(looking.pop3, root, box, ranges)
            except BaseException:
                await self._drop(past, self._loans.pop(token)[1])
                holder.loans.discard(token)
                raise
        return token, [(uid, *known) for uid, known in pop3.items()]

    async def _put_octets(self, past: PastOf, looking: Looking, group: Sequence[Lacking]) -> None:
        contents = {one.digest: one.content for one in group}
        for digest, data in await asyncio.to_thread(lambda: list(looking.messages(list(contents)))):
            if isinstance(data, Corrupt):
                raise data
            await past.file.put_octets(contents[digest], digest, data)

    async def _give_back(self, token: int, holder: Holder) -> None:
        if token in holder.loans:
            holder.loans.discard(token)
            past, contents = self._loans.pop(token)
            async with past.lock:
                if past.id in self._files:
                    await self._drop(past, contents)

    async def _drop(self, past: PastOf, contents: Sequence[int]) -> None:
        past.held.subtract(contents)
        unheld = [key for key in contents if past.held[key] <= 0]
        for key in unheld:
            del past.held[key]
        await past.file.drop_octets(unheld)

    async def _read(self, digests: Sequence[bytes]) -> list[bytes]:
        looking = await self._look()
        found: dict[bytes, bytes] = {}
        for digest, data in await asyncio.to_thread(lambda: list(looking.messages(list(set(digests))))):
            if isinstance(data, Corrupt):
                raise data
            found[digest] = data
        return [found[digest] for digest in digests]

    # Keeping house -----------------------------------------------------------------------------------

    async def _make_room(self, wanting: PastOf) -> None:
        """Remove files of who has left where there are too many octets. Who wants room may not have more than is then
        left for others: else a few who take their whole share would leave nothing to who comes after them.

        Raises MuchAtOnce where he has his share already, DiskFull where nothing is left and nobody's can be removed."""
        most, each = self._config.backup.in_imap_room, self._config.backup.in_imap_room_each
        own = await asyncio.to_thread(_octets, self._folder, wanting.id)
        if own >= each:
            raise MuchAtOnce(
                "Too much of the backup has been looked at. Close its mailboxes, and try again in some minutes.",
                "Raise backup.in_imap_room_each.",
            )
        left = most - await asyncio.to_thread(_octets, self._folder)
        for past in sorted(self._files.values(), key=lambda one: one.used_at):
            if left > 0 and own <= left:
                return
            if await self._remove(past):
                left = most - await asyncio.to_thread(_octets, self._folder)
        if left > 0 and own <= left:
            return
        if left > 0:
            raise MuchAtOnce(
                "Many look at the backup now. Close its mailboxes, and try again in some minutes.",
                "Raise backup.in_imap_room.",
            )
        raise DiskFull("The room for looking at the backup is used up.", "Raise backup.in_imap_room.")

    async def sweep(self) -> None:
        """Remove files that nobody has had open for a while; let go of the repository that nobody asks."""
        now = self._clock.monotonic()
        for past in [one for one in self._files.values() if one.used_at <= now - KEPT]:
            await self._remove(past)
        if self._repository is not None and self._repository.complaints:
            told = str(self._repository.complaints[0])
            self._log.warning("backup is damaged", reason=told, count=len(self._repository.complaints))
            self._repository.complaints.clear()
        if self._looking is not None and not self._opening.locked() and self._asked_at <= now - OPEN:
            self._looking = self._repository = None

    async def _remove(self, past: PastOf) -> bool:
        if past.uses or past.lock.locked() or past.id not in self._files:  # somebody else has removed it meanwhile
            return False
        del self._files[past.id], self._by_account[past.account]
        await self._engine.delete_account(past.id)
        return True


def _fields(box: PastBox) -> tuple[object, ...]:
    return box.name, box.id, box.uidvalidity, box.uidnext, box.highest_modseq, box.messages, box.octets


def _octets(folder: Path, file: str = "") -> int:
    """What the files take, or one of them with what SQLite has beside it."""
    total = 0
    for path in folder.glob(f"accounts/*/{file}*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue  # removed meanwhile
    return total
