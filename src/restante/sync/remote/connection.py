"""One connection to a server: octets, answers, and what is known of its state.

    data_received -> (inflate) -> AnswerReader -> answer()
    begin() -> pieces, waiting for "+" where a literal needs it -> (deflate) -> (paced) -> transport

Commands are pipelined: `begin` sends as many as it is given, `answer` gives what comes in the server's order. One task
uses a connection at a time. Reading stops while nobody takes what has come. A connection that was left in the middle of
a command (cancelled, lost) is of no use any more: `usable` says so.

A server may say what it likes at any time, and some say "* OK Still here" while they work. That is listened to for a
bounded time, and a bounded number of lines; so is what looks like an answer, in octets (`Settings.stalled`, `useless`,
`told`): nobody waits for ever for the end of a command.

A dead peer is found by silence while it owes an answer, and by TCP's own keepalive while it does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import zlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...imap.grammar.answers import Answer, AnswerLimits, AnswerReader, BadAnswer, Continue, Data, RowSink, Status
from ...imap.grammar.answers_fetch import Rows
from ...imap.grammar.answers_mailbox import parse_flags, parse_words
from ...imap.grammar.answers_search import count, parse_vanished
from ...values import Record, field
from ..bucket import Bucket
from .address import Settings
from .command import Command, astring, encode
from .deflate import Deflate
from .errors import Lost, busy, check, is_busy, said

if TYPE_CHECKING:
    from ..handed import Handed

_HIGH = 1 << 20
_PACE = 8_192
_EXTRA = 1 << 20
_USEFUL = frozenset(
    {b"FETCH", b"EXPUNGE", b"VANISHED", b"LIST", b"LSUB", b"STATUS", b"SEARCH", b"ESEARCH", b"NAMESPACE"}
)
"""Answers that commands are for. Others are told by the way."""

Sink = Callable[[Data | Status], None]
"""Is told each untagged answer."""


class Selected(Record):
    """The mailbox that is open, as the server described it.

    modseq: None without CONDSTORE. permanent: flags that can be stored, None where it does not say (then all can).
    expunged: messages that were removed since. limited: it told of fewer messages than it should (RFC 9738). gone: UIDs
    that QRESYNC says have vanished.
    RFC 9051 6.3.2, RFC 7162 3.1.2.
    """

    name: bytes
    writable: bool
    exists: int = 0
    expunged: int = 0
    validity: int = 0
    uidnext: int | None = None
    modseq: int | None = None
    permanent: frozenset[str] | None = None
    limited: bool = False
    gone: list[tuple[int, int]] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """Made by `dial.dial`."""

    def __init__(self, settings: Settings, bucket: Bucket | None = None) -> None:
        self.settings = settings
        self.reader = AnswerReader(AnswerLimits(literal=settings.largest + _EXTRA))
        self.capabilities: frozenset[str] = frozenset()
        self.enabled: frozenset[str] = frozenset()
        self.greeting: bytes = b""
        self.selected: Selected | None = None
        self.preface: list[Command] = []
        """Commands that go out in front of the next ones; what they are answered is only noted."""
        self.entered: tuple[str, frozenset[str]] | None = None
        """The mechanism of the login, and what the server had offered until then."""
        self.enabling: tuple[bytes, ...] = ()
        """What somebody else enabled here (`resume`), as commands: who connects anew has to say them."""
        self.used = 0.0
        """When somebody last had it, by the clock's monotonic reading."""
        self.sent = 0
        self.received = 0
        """Octets, as they were on the wire."""
        self.trips = 0
        """How often commands were sent and then waited for."""
        self._bucket = bucket
        self._transport: asyncio.Transport | None = None
        self._raw: deque[bytes] = deque()
        self._raw_size = 0
        self._paused = False
        self._held = False
        self._deflate: Deflate | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._number = 0
        self._owed: set[bytes] = set()
        self._noted: set[bytes] = set()
        self._queue: deque[tuple[bytes, bytes, bool]] = deque()
        self._blocked: bytes | None = None
        self._paced: deque[bytes] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._fresh = False
        self._since: float | None = None
        self._useless = 0
        self._told = 0
        """When nothing useful has come since, how many lines, and octets since a command ended."""
        self._left = 0
        """Octets that were not sent yet when the server said something last."""
        self.leaving = False

    # Transport -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            _keep_alive(sock, self.settings.silence)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._raw.append(data)
        self._raw_size += len(data)
        if self._bucket is not None and (delay := self._bucket.take(len(data))):
            self._held = True
            asyncio.get_running_loop().call_later(delay, self._release)
        self._flow()
        self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self._lost is None:
            reason = "" if error is None else f" ({getattr(error, 'strerror', None) or error})"
            self._lost = f"The server ended the connection{reason}."
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _release(self) -> None:
        self._held = False
        self._flow()

    def _flow(self) -> None:
        """Read on, or stop reading, as what has come asks for."""
        stop = self._held or self._raw_size > _HIGH
        if stop != self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = stop
            if stop:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None, "not connected"
        return self._transport

    @property
    def secure(self) -> bool:
        """TLS is on."""
        return self._transport is not None and self._transport.get_extra_info("ssl_object") is not None

    @property
    def usable(self) -> bool:
        """A command may be begun here."""
        return self._lost is None and not self._owed and not self.leaving

    @property
    def lost(self) -> bool:
        """It has ended."""
        return self._lost is not None

    @property
    def compressed(self) -> bool:
        return self._deflate is not None

    def upgraded(self, transport: asyncio.Transport) -> None:
        """TLS has begun: what was read before and not understood is nobody's (NO STARTTLS; RFC 9051 11.1)."""
        self._transport = transport
        self._raw.clear()
        self._raw_size = 0
        self.reader.discard()
        self._paused = False

    def forget(self) -> None:
        """Throw away what came behind STARTTLS's OK."""
        self._raw.clear()
        self._raw_size = 0
        self.reader.discard()

    def start_compression(self) -> None:
        """The server has said OK to COMPRESS: all that follows is compressed, both ways."""
        rest = self.reader.rest()
        if rest:
            self._raw.appendleft(rest)
            self._raw_size += len(rest)
        self._deflate = Deflate()

    def resume(self, handed: Handed) -> None:
        """Go on where another one left off: hear again what the server said to it. Before there is a transport."""
        self.reader.feed(handed.lines)
        greeting = self.next()
        if isinstance(greeting, Status):
            self.greeting = greeting.text
        self.capabilities = frozenset()  # of before the login
        while self.next() is not None:
            continue
        self.entered, self.enabling = handed.entered, handed.enabling
        if handed.out is not None:
            self._deflate = Deflate(handed.out, handed.into)

    def abort(self) -> None:
        """End at once."""
        if self._lost is None:
            self._lost = "The connection was given up."
        if self._transport is not None:
            self._transport.abort()

    # Sending -------------------------------------------------------------------------------------------

    def begin(self, *commands: Command) -> list[bytes]:
        """Send commands; their tags. Their answers come by `answer`."""
        given = []
        for number, command in enumerate((*self.preface, *commands)):
            self._number += 1
            tag = b"a%d" % self._number
            self._owed.add(tag)
            if number < len(self.preface):
                self._noted.add(tag)
            else:
                given.append(tag)
            pieces = encode(tag, command, self._free_literal())
            for place, piece in enumerate(pieces, 1):
                self._queue.append((tag, piece, place < len(pieces)))
        self.preface.clear()
        self._fresh = True
        self._pump()
        return given

    def write_line(self, data: bytes) -> None:
        """A line that is no command: AUTHENTICATE's answers, DONE."""
        self._fresh = True
        self._write(data + b"\r\n")

    def _free_literal(self) -> int | None:
        """Octets of the largest literal that goes without waiting (RFC 7888)."""
        if "LITERAL+" in self.capabilities:
            return None
        return 4_096 if "LITERAL-" in self.capabilities or "IMAP4REV2" in self.capabilities else 0

    def _pump(self) -> None:
        """Send what may be sent."""
        out: list[bytes] = []
        while self._queue and self._blocked is None:
            tag, piece, waits = self._queue.popleft()
            out.append(piece)
            if waits:
                self._blocked = tag
        if out:
            self._write(out[0] if len(out) == 1 else b"".join(out))

    def _write(self, data: bytes) -> None:
        if self._lost is not None:
            raise Lost(self._lost)
        if self._deflate is not None:
            data = self._deflate.compress(data)
        self.sent += len(data)
        if self._bucket is None:
            self.transport.write(data)
            return
        self._paced.extend([data[at : at + _PACE] for at in range(0, len(data), _PACE)])
        if self._timer is None:
            self._drip()

    def _drip(self) -> None:
        """Write as much as the cap allows, then come again."""
        self._timer = None
        assert self._bucket is not None
        while self._paced and self._lost is None:
            piece = self._paced.popleft()
            self.transport.write(piece)
            if delay := self._bucket.take(len(piece)):
                self._timer = asyncio.get_running_loop().call_later(delay, self._drip)
                return

    def _unsent(self) -> int:
        return self.transport.get_write_buffer_size() + sum(map(len, self._paced))

    # Receiving -----------------------------------------------------------------------------------------

    async def answer(self, silence: float | None = None, *, announced: bool = False) -> Answer:
        """The next answer. Raises Lost: at the end of the connection, after BYE, when the server stays silent, or talks
        without end.

        silence: seconds; the settings' where None. announced: nothing is owed but what happens (IDLE, NOTIFY).
        Cancelling loses nothing that has come.
        """
        while True:
            answer = self.next()
            if answer is not None:
                if not announced:
                    self._weigh(answer)
                return answer
            await self._more(self.settings.silence if silence is None else silence)

    def heard(self) -> None:
        """Something useful has come."""
        self._since, self._useless = None, 0

    def _weigh(self, answer: Answer) -> None:
        """Raises Lost where the server has said too much that brings no command to its end."""
        if (isinstance(answer, Status) and answer.tag != b"*") or (isinstance(answer, Data) and answer.word in _USEFUL):
            self.heard()
            return
        before, self._left = self._left, self._unsent()
        if self._left < before:
            self.heard()  # it takes what we send, which may be long
        settings = self.settings
        now = asyncio.get_running_loop().time()
        self._since = now if self._since is None else self._since
        self._useless += 1
        if self._useless > settings.useless or now - self._since > settings.stalled:
            self._fail("The server talks, and does not do what it was asked.")
            raise Lost("The server talks, and does not do what it was asked.", "Try again later.")

    def next(self) -> Answer | None:
        """The next answer where its octets have come, else None. Raises Lost."""
        while True:
            try:
                answer = self.reader.next()
            except BadAnswer as error:
                self._fail(error.text)
                raise Lost(error.text, "Is this an IMAP server?") from error
            if answer is None:
                if self._refill():
                    continue
                if self._lost is not None:
                    raise Lost(self._lost)
                return None
            if isinstance(answer, Status):
                if self._note_status(answer):
                    continue
            elif isinstance(answer, Data):
                self._note(answer)
            elif self._blocked is not None:
                self._blocked = None
                self._pump()
                continue
            return answer

    def _refill(self) -> bool:
        """Give the reader what has come."""
        layer = self._deflate
        if layer is None or not layer.waiting:
            if not self._raw:
                return False
            data = self._raw.popleft()
            self._raw_size -= len(data)
            self._flow()
        else:
            data = b""
        if layer is not None:
            try:
                data = layer.take(data)
            except zlib.error as error:
                self._fail("What the server sends cannot be decompressed.")
                raise Lost("What the server sends cannot be decompressed.") from error
        self._told += len(data)
        if self._told > self.settings.told:
            self._fail("The server's answer to a command has no end.")
            raise Lost("The server's answer to a command has no end.")
        self.reader.feed(data)
        return True

    def _fail(self, text: str) -> None:
        self._lost = text
        if self._transport is not None:  # `resume` listens before there is one
            self._transport.abort()

    async def _more(self, silence: float) -> None:
        """Until octets come. Raises Lost when nothing moves for `silence` seconds."""
        if self._fresh:
            self._fresh = False
            self.trips += 1
        loop = asyncio.get_running_loop()
        unsent = self._unsent()
        while True:
            self._arrived = loop.create_future()
            try:
                async with asyncio.timeout(silence):
                    await self._arrived
                return
            except TimeoutError:
                left = self._unsent()
                if not left or left >= unsent:
                    self._fail(f"The server has been silent for {silence:.0f} seconds.")
                    raise Lost(f"The server has been silent for {silence:.0f} seconds.") from None
                unsent = left  # a slow line still takes what we send
            finally:
                self._arrived = None

    def _note_status(self, status: Status) -> bool:
        """Remember what a status response says; True where nobody waits for it."""
        if status.code == b"CAPABILITY":
            self.capabilities = parse_words(status.data)
        if status.tag == b"*":
            if status.word == b"BYE" and not self.leaving:
                self._fail(f"The server ended the connection: {said(status)}")
                raise Lost(f"The server ended the connection: {said(status)}")
            if status.code == b"PERMANENTFLAGS" and self.selected is not None:  # there is a new keyword
                _described(self.selected, status)
            return False
        if status.tag not in self._owed:
            self._fail("The server answers what was not asked.")
            raise Lost("The server answers what was not asked.")
        self._owed.discard(status.tag)
        self._told = 0
        if self._blocked == status.tag:
            while self._queue and self._queue[0][0] == status.tag:
                self._queue.popleft()
            self._blocked = None
            self._pump()
        if status.tag in self._noted:
            self._noted.discard(status.tag)
            return True
        return False

    def _note(self, data: Data) -> None:
        word = data.word
        if word == b"CAPABILITY":
            self.capabilities = parse_words(data.text)
        elif word == b"ENABLED":
            self.enabled |= parse_words(data.text)
        elif self.selected is not None:
            if word == b"EXISTS":
                self.selected.exists = data.number
            elif word == b"EXPUNGE":
                self.selected.exists -= 1
                self.selected.expunged += 1
            elif word == b"VANISHED":
                self._vanished(data, self.selected)

    def _vanished(self, data: Data, selected: Selected) -> None:
        try:
            earlier, ranges = parse_vanished(data)
        except BadAnswer as error:
            self._fail(error.text)
            raise Lost(error.text) from error
        if earlier:
            selected.gone += ranges
        else:
            selected.exists -= count(ranges)
            selected.expunged += count(ranges)

    # Commands ------------------------------------------------------------------------------------------

    async def run(self, *commands: Command, sink: Sink | None = None, rows: RowSink | None = None) -> list[Status]:
        """Send commands and wait for all; their status responses, in order. rows: takes plain FETCH lines."""
        self.reader.rows = None if rows is None else _Heard(self, rows)
        try:
            tags = self.begin(*commands)
            done: dict[bytes, Status] = {}
            while len(done) < len(tags):
                answer = await self.answer()
                if isinstance(answer, Status) and answer.tag != b"*":
                    done[answer.tag] = answer
                elif sink is not None and not isinstance(answer, Continue):
                    sink(answer)
            return [done[tag] for tag in tags]
        except BadAnswer as error:
            self._fail(error.text)
            raise Lost(error.text) from error
        finally:
            self.reader.rows = None

    async def patiently(self, command: Command, sink: Sink | None = None, rows: Rows | None = None) -> Status:
        """One command that does no harm when it is sent again: repeated while the server says that it is busy.

        Raises Busy once the settings' patience is used up, or would be by what the server asks for.
        """
        waited, delay = 0.0, 1.0
        while True:
            (status,) = await self.run(command, sink=sink, rows=rows)
            if not is_busy(status):
                return status
            refusal = busy(status)
            delay = refusal.after or delay
            if waited + delay > self.settings.patience:
                raise refusal
            await self.settings.sleep(delay)
            waited += delay
            delay = min(2 * delay, 16.0)

    async def select(
        self,
        name: bytes,
        shown: str,
        write: bool = False,
        parameters: bytes = b"",
        rows: Rows | None = None,
        sink: Sink | None = None,
    ) -> Selected:
        """SELECT or EXAMINE. name: as sent. parameters: in parentheses, with a blank before them.

        rows, sink: what QRESYNC tells. Raises MailboxUnavailable, Busy, Lost.
        """
        was = self.selected
        self.selected = selected = Selected(name, write)

        def note(answer: Data | Status) -> None:
            if isinstance(answer, Status):
                if answer.code == b"CLOSED" and was is not None and rows is not None:
                    rows.clear()
                    selected.gone.clear()
                _described(selected, answer)
            if sink is not None:
                sink(answer)

        command = (b"SELECT " if write else b"EXAMINE ", astring(name, self.utf8), parameters)
        try:
            status = await self.patiently(command, note, rows)
            check(status, shown)
        except BaseException:
            self.selected = None
            raise
        _described(selected, status)
        selected.expunged = 0  # what was removed before now is not among `exists`
        return selected

    @property
    def utf8(self) -> bool:
        """Names and quoted strings are UTF-8 (RFC 6855 3, RFC 9051 A.1)."""
        if "IMAP4REV1" not in self.capabilities and "IMAP4REV2" in self.capabilities:
            return True
        return not self.enabled.isdisjoint(("UTF8=ACCEPT", "IMAP4REV2"))

    async def logout(self) -> None:
        """Say goodbye where that can be done, and end."""
        if self.usable:
            self.leaving = True
            with contextlib.suppress(Lost, TimeoutError):
                async with asyncio.timeout(5.0):
                    self.begin((b"LOGOUT",))
                    while not isinstance(answer := await self.answer(), Status) or answer.tag == b"*":
                        pass
        if self._transport is not None:
            self._transport.close()
        self._lost = self._lost or "The connection was closed."


class _Heard:
    """A sink of plain lines, which are useful: what comes by it is none of the talk."""

    def __init__(self, connection: Connection, rows: RowSink) -> None:
        self._connection = connection
        self._rows = rows

    def take(self, buffer: bytes, start: int, end: int) -> int:
        """`answers.RowSink`."""
        taken = self._rows.take(buffer, start, end)
        if taken > start:
            self._connection.heard()
        return taken


def _described(selected: Selected, status: Status) -> None:
    """Take over what a response code says of a mailbox."""
    code, data = status.code, status.data
    if code == b"UIDVALIDITY" and data.isdigit():
        selected.validity = int(data)
    elif code == b"UIDNEXT" and data.isdigit():
        selected.uidnext = int(data)
    elif code == b"HIGHESTMODSEQ" and data.isdigit():
        selected.modseq = int(data)
    elif code == b"NOMODSEQ":
        selected.modseq = None
    elif code == b"PERMANENTFLAGS":
        selected.permanent = frozenset(parse_flags(data))
    elif code == b"READ-ONLY":
        selected.writable = False
    elif code == b"MESSAGELIMIT":
        selected.limited = True


def _keep_alive(sock: socket.socket, silence: float) -> None:
    """Have the kernel find out that a silent peer is gone (RFC 1122 4.2.3.6, RFC 5482)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    seconds = max(10, int(silence))
    for name, value in (
        ("TCP_KEEPIDLE", seconds),
        ("TCP_KEEPINTVL", 15),
        ("TCP_KEEPCNT", 4),
        ("TCP_USER_TIMEOUT", 2_000 * seconds),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
