"""Messages from the server: `Side.fetch`.

Workers, one a connection, take batches of UIDs in the order they were asked for, keep two commands under way each, and
put what comes into one queue of a bounded number of octets: a slow taker stops the reading, and TCP stops the server.

No size is asked for or believed, but of a message of which nothing came: an empty one, or one that the server has lost
(some say NIL then, and OK), which is withheld. Each message is asked for up to `piece` octets; one that is that long is
larger: it comes in pieces, alone, by way of the spool, until a piece is shorter than asked. So memory holds a single
large message, and an interrupted download goes on behind its last piece.

A lost connection gives its batches back; another one goes on. The message whose turn it was is suspect: it is asked for
once more, by itself, behind all others, and withheld where the connection ends at it again. By itself it comes in small
pieces that grow with what gets through, so that a line that drops again and again brings a message all the same: one of
which something came is gone on with, at once. Only where nothing moves for a few connections in a row is the side
unavailable.

A server may end a command with OK and leave a message out, or say NIL for its octets (RFC 2180 4.1.2 for one that has
been removed; Cyrus for one that its disk has lost). What was left out is gone only if the server does not list it any
more: else it is asked for once more, by itself, and then withheld. NIL is no empty message.
RFC 9051 6.4.5 (partial), RFC 3516 4 (BINARY), RFC 8474 5.3.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

from ...imap.grammar.answers import BadAnswer, Data, Status
from ...imap.grammar.answers_fetch import Value, parse_fetch
from ..model import Message, Withheld
from ..side import MailboxUnavailable
from .account import Account
from .command import sets
from .connection import Connection, Selected
from .errors import Lost, busy, check, is_busy, said
from .outlines import BLAMED, NOTHING_OF_IT, listed, seconds
from .quirks import Quirk
from .spool import Part, key

_FIRST_BATCH = 25
_BATCH = 200
_BATCH_OCTETS = 2 << 20
"""Messages of one command: some of them first, then as many as have about these octets by what has come so far."""
_UNDER_WAY = 2
"""Commands of one connection."""
_LOSSES = 3
"""Connections lost one after the other without a message between, and nothing asked for, after which the side is
unavailable."""
_SLOWEST_PIECE = 20
"""Seconds that a piece may take at the rate that is allowed."""
_LEAST_PIECE = 32_768
_SMALL_PIECE = 16_384
"""Octets of the first pieces of a message that a connection ended at; each further piece is twice as long."""
_TIRED = 3 * _SMALL_PIECE
"""Octets that came over a connection behind which its end says less of the message whose turn it was."""
_TIRED_LOSSES = 3
"""That many such ends count as one."""
_LOST_IN_A_ROW = 2
"""Messages that connections ended at, none between, from which on it looks like the line and not like a message."""


def fetch(account: Account, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
    """`Side.fetch`: the messages, about in the order of `uids`."""
    return Download(account, name, uids).messages()


class Download:
    """One call of `fetch`."""

    def __init__(self, account: Account, name: str, uids: Sequence[int]) -> None:
        self._account = account
        self._name = name
        self._uids = list(uids)
        if account.unreadable:  # what was not given once may be now
            for uid in self._uids:
                account.unreadable.pop((name, uid), None)
        self._next = 0
        self._again: deque[list[int]] = deque()
        self._came = self._came_octets = 0
        self._limit = min(_BATCH, account.pool.offers.message_limit or _BATCH)
        settings = account.settings
        self._piece = settings.piece
        if settings.rate is not None:
            self._piece = min(settings.piece, max(_LEAST_PIECE, settings.rate * _SLOWEST_PIECE))
        self._in_flight = settings.in_flight
        self._ready: deque[tuple[Message, Part | None]] = deque()
        self._octets = 0
        self._moved = account.pool.moved
        self._one_large = asyncio.Lock()
        self._losses = 0
        self._blamed = 0
        self._suspects: deque[int] = deque()
        self._struck: dict[int, int] = {}
        self._small: set[int] = set()  # come by themselves, in small pieces
        self._suspects_first = False
        self._parts: dict[str, Part] = {}
        self._waited = 0.0
        self._running = 0
        self._left_out: list[int] = []
        self._asked_again = False
        self._failure: BaseException | None = None
        body = b"BINARY" if Quirk.EXACT_BINARY in account.quirks else b"BODY"
        self._body = body
        self._ids = b"EMAILID THREADID " if "OBJECTID" in account.pool.offers else b""

    async def messages(self) -> AsyncIterator[Message]:
        """The messages as they come."""
        if not self._uids:
            return
        raw = await self._account.raw(self._name)
        workers = self._start(raw, min(self._account.settings.connections, 1 + (len(self._uids) - 1) // _FIRST_BATCH))
        try:
            while True:
                while not self._ready and self._running and self._failure is None:
                    await self._moved.wait()
                if not self._ready:
                    if self._failure is not None:
                        raise self._failure
                    if not await self._again_by_itself():
                        return
                    workers = self._start(raw, 1)
                    continue
                message, part = self._ready.popleft()
                self._octets -= len(message.data)
                self._moved.fire()
                yield message
                if part is not None:  # whoever asks for the next one has taken this
                    part.drop()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _start(self, raw: bytes, most: int) -> list[asyncio.Task[None]]:
        self._running = most
        return [asyncio.create_task(self._work(raw, bulk=number > 0)) for number in range(most)]

    async def _again_by_itself(self) -> bool:
        """Have what was left out and is there asked for once more; whether there is any."""
        left_out, self._left_out = self._left_out, []
        if not left_out or self._asked_again:
            return False
        self._asked_again = True
        there = await listed(self._account, self._name, sorted(left_out))
        self._again.extend([uid] for uid in there)
        return bool(there)

    async def _work(self, raw: bytes, bulk: bool) -> None:
        """One connection after the other, as long as there are batches. bulk: let others go first; the first worker
        does not, so that two downloads at once share what connections there are."""
        try:
            while self.waiting:
                try:
                    async with self._account.pool.borrow(raw, bulk) as connection:
                        if self.waiting:
                            selected = await self._account.open(connection, self._name, raw)
                            await _Worker(self, connection, selected).run()
                except Lost:
                    self._losses += 1
                    if self._losses > _LOSSES + self._blamed or self._blamed > BLAMED:
                        raise
        except Exception as error:  # noqa: BLE001  # handed to whoever waits for messages
            self._failure = self._failure or error
        finally:
            self._running -= 1
            self._moved.fire()

    @property
    def waiting(self) -> bool:
        """There are messages that nobody has asked for yet."""
        return self._failure is None and (bool(self._again or self._suspects) or self._next < len(self._uids))

    def items(self, piece: int) -> bytes:
        """What is asked of each message."""
        return b"(UID FLAGS INTERNALDATE %b%b.PEEK[]<0.%d>)" % (self._ids, self._body, piece)

    def small(self, uid: int) -> bool:
        """Whether a message is asked for by itself, in small pieces."""
        return uid in self._small

    def piece(self, uid: int) -> int:
        """Octets of a message that are asked for first; where as many come there may be more."""
        return min(_SMALL_PIECE, self._piece) if uid in self._small else self._piece

    def part(self, name: str) -> Part:
        """What came of a message, over whatever connection, and in earlier runs where it is on disk."""
        if (part := self._parts.get(name)) is None:
            part = self._parts[name] = Part(self._account.spool, name)
        return part

    def settled(self, name: str) -> None:
        """Nothing more comes of it."""
        self._parts.pop(name, None)

    def take(self, first: bool) -> list[int] | None:
        """The next batch; none but the `first` of a connection while a call waits for one."""
        if not self.waiting or (self._account.pool.wanted and not first):
            return None
        if self._suspects_first:
            if self._suspects:
                return [self._suspects.popleft()]
            self._suspects_first = False
        if self._again:
            return self._again.popleft()
        size = _FIRST_BATCH
        if self._came:
            size = max(1, min(self._limit, _BATCH_OCTETS * self._came // max(1, self._came_octets)))
        batch = self._uids[self._next : self._next + min(size, self._limit)]
        self._next += len(batch)
        return batch or [self._suspects.popleft()]

    def blame(self, uid: int, tired: bool) -> None:
        """The connection ended when it was this message's turn. The second time the message is withheld. tired: much
        had come over that connection, so that its end may have nothing to do with it."""
        self._blamed += 1
        by_itself = uid in self._small
        struck = self._struck[uid] = self._struck.get(uid, 0) + (1 if tired and by_itself else _TIRED_LOSSES)
        if struck >= 2 * _TIRED_LOSSES:
            self._account.unreadable[self._name, uid] = Withheld("it ends the connection instead")
            self._suspects_first = False
        elif by_itself:
            self._suspects.appendleft(uid)
        else:
            self._small.add(uid)
            self._suspects.append(uid)
            if self._blamed == _LOST_IN_A_ROW:
                self._suspects_first = True

    def progress(self, uid: int) -> None:
        """More of it is kept than before."""
        self._losses = self._blamed = 0
        self._struck.pop(uid, None)

    def go_on(self, uid: int) -> None:
        """The connection ended when some of this message had come, and it comes next, behind what is kept of it."""
        self._small.add(uid)
        self._suspects.appendleft(uid)
        self._suspects_first = True

    def left_out(self, uids: list[int]) -> None:
        """A command that should have brought these has ended well without them."""
        self._left_out += uids
        if self._asked_again:  # they were there right before
            for uid in uids:
                self._account.unreadable[self._name, uid] = Withheld(NOTHING_OF_IT)

    def give_back(self, uids: list[int]) -> None:
        """These have not come after all."""
        if self._small:
            self._suspects.extend(uid for uid in uids if uid in self._small)
            uids = [uid for uid in uids if uid not in self._small]
        if uids:
            self._again.appendleft(uids)

    async def busy(self, status: Status) -> None:
        """Wait for a busy server; not for longer than the settings' patience in all. Raises Busy."""
        settings, refusal = self._account.settings, busy(status)
        delay = refusal.after or 1.0 + self._waited
        if self._waited + delay > settings.patience:
            raise refusal
        self._waited += delay
        await settings.sleep(delay)

    async def put(self, message: Message, part: Part | None = None) -> None:
        """Hand a message on; waits while as many octets as may be are waiting to be taken."""
        size = len(message.data)
        while self._octets and self._octets + size > self._in_flight and not self._account.pool.wanted:
            await self._moved.wait()
        self._ready.append((message, part))
        self._octets += size
        self._came += 1
        self._came_octets += size
        self._losses = self._blamed = 0
        self._moved.fire()


class _Worker:
    """One connection's share of a download."""

    def __init__(self, download: Download, connection: Connection, selected: Selected) -> None:
        self._download = download
        self._connection = connection
        self._selected = selected
        self._account = download._account
        self._name = download._name
        self._under_way: deque[tuple[bytes, list[int]]] = deque()
        self._items: dict[int, dict[bytes, Value]] = {}
        self._large: list[tuple[int, dict[bytes, Value]]] = []
        self._empty: list[tuple[int, dict[bytes, Value]]] = []
        self._asked: set[int] = set()  # and not come
        self._first = b"%b[]<0>" % download._body
        self._names = (self._first, b"%b[]" % download._body)
        self._begun = False
        self._part_came = False

    async def run(self) -> None:
        """Until there are no batches left. Raises Lost, with what has not come given back."""
        self._connection.reader.bodies = True
        try:
            while self._send() or self._under_way or self._large or self._empty:
                if self._under_way:
                    await self._one_answer()
                if self._large and not self._under_way:
                    await self._take_large()
                if self._empty and not self._under_way:
                    await self._take_empty()
        except BadAnswer as error:
            self._connection.abort()
            self._return(self._turn())
            raise Lost(error.text) from error
        except Lost:
            self._return(self._turn())
            raise
        except BaseException:
            self._return(None)
            raise
        finally:
            self._connection.reader.bodies = False

    def _turn(self) -> int | None:
        """The message that should have come next: servers send them in the order of their numbers."""
        for _, uids in self._under_way:
            if missing := [uid for uid in uids if uid in self._asked]:
                return min(missing)
        return self._large[0][0] if self._large and not self._part_came else None

    def _return(self, blamed: int | None) -> None:
        """Give back what has not come, but for the one that is blamed for it."""
        self._asked.discard(blamed or 0)
        for _, uids in reversed(self._under_way):
            self._download.give_back([uid for uid in uids if uid in self._asked])
        begun = self._large[0][0] if self._large and self._part_came else None
        self._download.give_back([uid for uid, _ in self._large if uid not in (blamed, begun)])
        self._download.give_back([uid for uid, _ in self._empty])
        if begun is not None:
            self._download.go_on(begun)
        if blamed is not None:
            self._download.blame(blamed, self._connection.received > _TIRED)

    def _send(self) -> bool:
        """Begin commands until as many as may be are under way."""
        sent = False
        download = self._download
        while (
            len(self._under_way) < _UNDER_WAY
            and not self._large
            and not self._empty
            and not (self._under_way and download.small(self._under_way[-1][1][0]))
            and (batch := download.take(not self._begun)) is not None
        ):
            self._begun = True
            ((numbers, _),) = sets(sorted(batch))
            items = download.items(download.piece(batch[0]))
            (tag,) = self._connection.begin((b"UID FETCH " + numbers + b" " + items,))
            self._under_way.append((tag, batch))
            self._asked.update(batch)
            sent = True
        return sent

    async def _one_answer(self) -> None:
        answer = await self._connection.answer()
        if isinstance(answer, Status) and answer.tag != b"*":
            tag, batch = self._under_way.popleft()
            if answer.tag != tag:
                raise BadAnswer("The server answers out of turn.")
            await self._ended(answer, batch)
        elif isinstance(answer, Data) and answer.word == b"FETCH":
            await self._heard(parse_fetch(answer))

    async def _ended(self, status: Status, batch: list[int]) -> None:
        """A command is over: what has not come is gone, or was refused."""
        missing = [uid for uid in batch if uid in self._asked]
        self._asked.difference_update(missing)
        for uid in missing:
            self._items.pop(uid, None)
        if not missing:
            return
        if status.ok:
            self._download.left_out(missing)
            return
        if is_busy(status):
            self._download.give_back(missing)
            await self._download.busy(status)
            return
        if len(batch) > 1:  # one message can spoil a command for all: each by itself
            for uid in reversed(missing):
                self._download.give_back([uid])
        else:
            self._account.unreadable[self._name, batch[0]] = Withheld(said(status))

    async def _heard(self, items: dict[bytes, Value]) -> None:
        """Items of a message; some servers tell them in several answers."""
        uid = items.get(b"UID")
        if not isinstance(uid, int) or uid not in self._asked:
            return
        known = self._items.pop(uid, None)
        if known is not None:
            items = {**known, **items}
        if any(items.get(name, 0) is None for name in self._names):
            return  # it is not among what has come when the command ends
        body = self._body(items)
        if body is None or b"FLAGS" not in items or b"INTERNALDATE" not in items:
            self._items[uid] = items
            return
        self._asked.discard(uid)
        if len(body) >= self._download.piece(uid) and self._first in items:
            self._large.append((uid, items))
            if sum(len(self._body(each) or b"") for _, each in self._large) > self._account.settings.in_flight:
                for _, each in self._large:  # asked for again, with the rest of it
                    each.pop(self._first, None)
            return
        if not body:
            self._empty.append((uid, items))
            return
        await self._download.put(self._message(uid, items, body))

    def _body(self, items: dict[bytes, Value]) -> bytes | None:
        for name in self._names:
            value = items.get(name)
            if isinstance(value, bytes):
                return value
        return None

    def _message(self, uid: int, items: dict[bytes, Value], body: bytes) -> Message:
        date = items[b"INTERNALDATE"]
        flags, email, thread = items[b"FLAGS"], items.get(b"EMAILID"), items.get(b"THREADID")
        return Message(
            uid=uid,
            data=body,
            flags=self._account.flags(flags if isinstance(flags, bytes) else b""),
            received=seconds(date),
            email=email.decode("latin-1") if isinstance(email, bytes) else None,
            thread=thread.decode("latin-1") if isinstance(thread, bytes) else None,
        )

    async def _take_empty(self) -> None:
        """Those of which nothing came, and of which the server says that there is nothing; the others are withheld."""
        sizes: dict[int, Value] = {}

        def hear(answer: Data | Status) -> None:
            if isinstance(answer, Data) and answer.word == b"FETCH":
                items = parse_fetch(answer)
                uid = items.get(b"UID")
                if isinstance(uid, int) and b"RFC822.SIZE" in items:
                    sizes[uid] = items[b"RFC822.SIZE"]

        for numbers, _ in sets(sorted(uid for uid, _ in self._empty)):
            status = await self._connection.patiently((b"UID FETCH " + numbers + b" (UID RFC822.SIZE)",), hear)
            check(status, self._name)
        while self._empty:
            uid, items = self._empty[0]
            size = sizes.get(uid)
            if size == 0:
                await self._download.put(self._message(uid, items, b""))
            elif size is not None:  # else it is gone meanwhile
                self._account.unreadable[self._name, uid] = Withheld(f"of its {size!r} octets none is given")
            self._empty.pop(0)

    # Large messages ------------------------------------------------------------------------------------

    async def _take_large(self) -> None:
        """The rest of each message that is longer than a piece, one after the other."""
        while self._large:
            uid, items = self._large[0]
            self._part_came = False
            async with self._download._one_large:
                data = await self._rest(uid, self._body(items))
                if data is not None:
                    await self._download.put(self._message(uid, items, data[0]), data[1])
            self._large.pop(0)
            self._part_came = False

    async def _rest(self, uid: int, first: bytes | None) -> tuple[bytes, Part] | None:
        """The whole message and where it was kept; None where it does not come, or is too large to be taken."""
        account, download = self._account, self._download
        address = account.pool.address
        name = key(address.host, address.user, self._selected.name, self._selected.validity, uid)
        part = download.part(name)
        if first is not None and not await part.begins_with(first):
            longer = part.size < len(first)
            part.drop()
            await part.add(first)
            if longer:
                self._came(uid)
        size = download.piece(uid)
        while True:
            if part.size > account.settings.largest:
                account.unreadable[self._name, uid] = Withheld(
                    f"larger than {account.settings.largest} octets", temporary=False
                )
                part.drop()
                download.settled(name)
                return None
            piece = await self._piece(uid, part.size, size)
            if piece is None:
                part.drop()
                download.settled(name)
                download.left_out([uid])
                return None
            if piece:
                await part.add(piece)
                self._came(uid)
            if len(piece) < size:
                download.settled(name)
                return await part.whole(), part
            size = min(2 * size, download._piece)

    def _came(self, uid: int) -> None:
        self._part_came = True
        self._download.progress(uid)

    async def _piece(self, uid: int, offset: int, size: int) -> bytes | None:
        """So many octets from `offset` on; None where they do not come. NIL is behind the end, where there is one."""
        found: list[bytes] = []
        body = self._download._body
        wanted = b"%b[]<%d>" % (body, offset)

        def hear(answer: Data | Status) -> None:
            if isinstance(answer, Data) and answer.word == b"FETCH":
                items = parse_fetch(answer)
                if items.get(b"UID") == uid and wanted in items:
                    value = items[wanted]
                    if isinstance(value, bytes) or offset:
                        found.append(value if isinstance(value, bytes) else b"")

        command = b"UID FETCH %d (UID %b.PEEK[]<%d.%d>)" % (uid, body, offset, size)
        status = await self._connection.patiently((command,), hear)
        check(status, self._name)
        if found and len(found[-1]) > size:
            raise MailboxUnavailable(f"The server sends other parts of a message in {self._name} than it is asked for.")
        return found[-1] if found else None
