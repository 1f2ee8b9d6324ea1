"""One LMTP connection (RFC 2033): mail from an MTA nearby, answered for each recipient by itself.

    LHLO -> MAIL -> RCPT+ -> DATA (or BDAT+) -> one reply a recipient -> MAIL ...

Replies are gathered and written when no further whole command is here, so that a pipelined MAIL, RCPT, DATA
costs one write. Data of a message that is refused or too large are swallowed to their end before the refusal
is told: what follows them is a command again. Errors stay in their connection.

Knows its grammar and `delivery.interface`; no store, no socket.
RFC 2033, 5321, 1870 (SIZE), 1652 (8BITMIME), 2034 (codes), 2920 (PIPELINING), 3030 (CHUNKING), 3207, 6531.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..config.model import LimitsTable
from ..connection import Connection, ConnectionLost, ReadTimeout, ServerStopping
from ..delivery.interface import Delivery, DeliveryRefusal, Trace
from ..errors import Refusal
from ..store.errors import cause_of
from .grammar.commands import BadCommand, Bdat, Command, Mail, Rcpt, Simple, Verb, parse_command
from .grammar.data import ChunkReader, DotReader
from .grammar.reader import LINE_LIMIT, BadLine, LineReader
from .grammar.replies import multiline, reply
from .transaction import Transaction

IDLE_TIMEOUT = 300.0
"""Seconds of silence allowed (RFC 5321 4.5.3.2.7: at least five minutes)."""

YIELD = 64
"""Commands answered in a row before other connections have their turn."""

FLUSH = 64 * 1024
"""Replies gathered up to here are written even if more commands are waiting."""

_TOO_LARGE = DeliveryRefusal(552, "5.3.4", "The message is larger than is taken here.")
_FAULT = DeliveryRefusal(451, "4.3.0", "The message could not be filed now, try again later.")
_BAD_LINES = {
    BadLine.OVERLONG: BadCommand(500, "5.5.2", "The line is too long."),
    BadLine.BARE_LF: BadCommand(500, "5.5.2", "Lines end with CRLF."),
}


class LmtpSession:
    """Serves one connection: `await LmtpSession(...).run()` returns when the connection is to be closed.

    hostname: ours, in the greeting and in Received.
    """

    def __init__(
        self,
        connection: Connection,
        delivery: Delivery,
        limits: LimitsTable,
        hostname: str,
        *,
        idle_timeout: float = IDLE_TIMEOUT,
    ) -> None:
        self._connection = connection
        self._delivery = delivery
        self._limits = limits
        self._hostname = hostname
        self._idle_timeout = idle_timeout
        self._reader = LineReader(min(LINE_LIMIT, limits.line))
        self._helo = ""
        self._transaction: Transaction | None = None
        self._messages = 0
        self._bad = 0
        self._ended = False
        self._out: list[bytes] = []
        self._gathered = 0
        self._filed_untold = False
        """Replies to a message that has been filed wait among those that were gathered."""
        self._simple: dict[Verb, Callable[[Simple], Awaitable[None]]] = {
            Verb.LHLO: self._lhlo,
            Verb.DATA: self._data,
            Verb.RSET: self._rset,
            Verb.NOOP: self._noop,
            Verb.VRFY: self._vrfy,
            Verb.HELP: self._help,
            Verb.STARTTLS: self._starttls,
            Verb.QUIT: self._quit,
        }

    # The connection ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until QUIT, loss, silence or too many errors. Faults of ours come through to the caller,
        which logs them with the connection's id, once the peer has heard of it, and what it is owed of before."""
        try:
            await self._serve()
        except ReadTimeout:
            self._last_words("4.4.2", "Nothing came for too long, closing.")
        except ServerStopping:
            self._last_words("4.3.2", "The server is stopping.")
        except ConnectionLost:
            self._connection.log("connection lost")
        except Exception:
            self._last_words("4.3.0", f"Internal error {self._connection.id}; it has been noted.")
            raise

    def _last_words(self, enhanced: str, text: str) -> None:
        """Written without waiting: the peer may be long gone."""
        self._reply(421, enhanced, text)
        self._connection.write(b"".join(self._out))

    async def _serve(self) -> None:
        self._reply(220, "", f"{self._hostname} LMTP Restante ready")
        turn = 0
        while not self._ended:
            line = self._reader.line()
            if line is None:
                if not await self._more():
                    return
                continue
            await self._answer(_BAD_LINES[line] if isinstance(line, BadLine) else parse_command(line))
            if self._bad > self._limits.bad_commands and not self._ended:
                self._reply(421, "4.7.0", "Too many errors, closing.")
                self._connection.log("too many bad commands")
                self._ended = True
            turn += 1
            if turn % YIELD == 0:
                await asyncio.sleep(0)
            if self._gathered >= FLUSH:
                await self._flush()
        await self._flush()

    async def _answer(self, command: Command | BadCommand) -> None:
        self._bad = self._bad + 1 if isinstance(command, BadCommand) else 0
        if isinstance(command, Mail):
            self._mail(command)
        elif isinstance(command, Rcpt):
            await self._rcpt(command)
        elif isinstance(command, Bdat):
            await self._bdat(command)
        elif isinstance(command, Simple) and command.verb in self._simple:
            await self._simple[command.verb](command)
        elif isinstance(command, Simple):  # HELO and EHLO are none of LMTP's (RFC 2033 4.1)
            self._bad += 1
            self._reply(500, "5.5.1", "This is LMTP: say LHLO.")
        else:
            self._reply(command.reply, command.enhanced, command.text)

    def _reply(self, code: int, enhanced: str, text: str) -> None:
        self._queue(reply(code, enhanced, text))

    def _queue(self, data: bytes) -> None:
        self._out.append(data)
        self._gathered += len(data)

    async def _flush(self) -> None:
        if self._out:
            self._connection.write(b"".join(self._out))
            self._out.clear()
            self._gathered = 0
            self._filed_untold = False
        await self._connection.drain()

    async def _more(self) -> bool:
        """Write what is owed, then wait for octets; False once the peer has closed."""
        await self._flush()
        data = await self._connection.read(self._idle_timeout)
        self._reader.feed(data)
        return bool(data)

    # Commands without data -----------------------------------------------------------------------------

    async def _lhlo(self, command: Simple) -> None:
        self._helo, self._transaction = command.argument, None
        lines = [self._hostname, "PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES"]
        lines.append(f"SIZE {self._limits.message}")
        if self._connection.tls_available and not self._connection.secure:
            lines.append("STARTTLS")
        self._queue(multiline(250, lines))

    def _mail(self, command: Mail) -> None:
        if not self._helo:
            self._reply(503, "5.5.1", "LHLO comes first.")
        elif self._transaction is not None:
            self._reply(503, "5.5.1", "A message is begun already: RSET gives it up.")
        elif command.size is not None and command.size > self._limits.message:
            self._reply(_TOO_LARGE.reply, _TOO_LARGE.enhanced, _TOO_LARGE.text)
        else:
            self._transaction = Transaction(command.sender, command.utf8, command.size)
            self._reply(250, "2.1.0", "Sender taken.")

    async def _rcpt(self, command: Rcpt) -> None:
        transaction, address = self._transaction, command.recipient.address
        if transaction is None:
            self._reply(503, "5.5.1", "MAIL comes first.")
        elif transaction.chunks is not None:
            self._reply(503, "5.5.1", "The message has begun: too late for a recipient.")
        elif len(transaction.recipients) >= self._limits.recipients:
            self._reply(452, "4.5.3", "Too many recipients.")
        elif not command.recipient.ascii and not transaction.utf8:
            self._reply(553, "5.6.7", "This recipient needs SMTPUTF8.")
        else:
            if address not in transaction.targets:
                try:
                    transaction.targets[address] = await self._delivery.resolve(address, transaction.size)
                except Refusal as refusal:
                    if (cause := cause_of(refusal)) is not None:
                        self._connection.log("recipient refused", recipient=address, reason=refusal.code, cause=cause)
                    self._refuse(refusal)
                    return
            transaction.recipients.append(address)
            self._reply(250, "2.1.5", "Recipient taken.")

    async def _rset(self, command: Simple) -> None:
        self._transaction = None
        self._reply(250, "2.0.0", "Given up.")

    async def _noop(self, command: Simple) -> None:
        self._reply(250, "2.0.0", "Still here.")

    async def _vrfy(self, command: Simple) -> None:
        self._reply(252, "2.5.1", "Send mail and see.")  # RFC 5321 3.5.3: who exists is not told

    async def _help(self, command: Simple) -> None:
        self._reply(214, "2.0.0", "LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS QUIT")

    async def _quit(self, command: Simple) -> None:
        self._ended = True
        self._reply(221, "2.0.0", "Bye.")

    async def _starttls(self, command: Simple) -> None:
        """What came behind STARTTLS in the clear is thrown away unread, and all that was said before is
        forgotten (RFC 3207 4.2)."""
        if not self._connection.tls_available or self._connection.secure:
            self._reply(503, "5.5.1", "TLS is on already, or not available here.")
            return
        self._reader.clear()
        self._reply(220, "2.0.0", "Begin TLS.")
        await self._flush()
        await self._connection.start_tls()
        self._reader.clear()
        self._helo, self._transaction = "", None

    # Message data ----------------------------------------------------------------------------------------

    async def _data(self, command: Simple) -> None:
        transaction = self._transaction
        if transaction is not None and transaction.chunks is not None:
            self._reply(503, "5.5.1", "The message has begun with BDAT.")  # RFC 3030 2
            return
        if transaction is None or not transaction.recipients:
            self._reply(503, "5.5.1", "There is no recipient." if transaction else "MAIL comes first.")
            return
        self._reply(354, "", "Send the message, ended by CRLF . CRLF")
        message = await self._receive()
        self._transaction = None
        if isinstance(message, DeliveryRefusal):
            self._refuse_all(transaction, message)
        elif message is not None:
            await self._deliver(transaction, message)

    async def _receive(self) -> bytes | DeliveryRefusal | None:
        """The message behind DATA, the refusal of one too large (its end was awaited), None if the peer closed."""
        reader = DotReader(self._limits.message)
        rest = reader.feed(self._reader.rest())
        while rest is None:
            await self._flush()
            data = await self._connection.read(self._idle_timeout)
            if not data:
                self._ended = True
                return None
            rest = reader.feed(data)
        self._reader.feed(rest)
        if reader.overflow:
            return _TOO_LARGE
        message = reader.message()
        return message if len(message) <= self._limits.message else _TOO_LARGE

    async def _bdat(self, command: Bdat) -> None:
        """A chunk: counted to its end whatever becomes of it (RFC 3030 2)."""
        transaction = self._transaction
        usable = transaction is not None and bool(transaction.recipients)
        chunks = transaction.chunks if transaction is not None and transaction.chunks else None
        if chunks is None:
            chunks = ChunkReader(self._limits.message if usable else 0)
        chunks.begin(command.size)
        if not await self._collect(chunks):
            return
        if transaction is None or not usable:
            self._reply(503, "5.5.1", "There is no recipient." if transaction else "MAIL comes first.")
            return
        transaction.chunks = chunks
        if not command.last:
            if chunks.overflow:
                self._refuse(_TOO_LARGE)
            else:
                self._reply(250, "2.0.0", f"{command.size} octets taken.")
            return
        self._transaction = None
        if chunks.overflow:
            self._refuse_all(transaction, _TOO_LARGE)
        else:
            await self._deliver(transaction, chunks.message())

    async def _collect(self, chunks: ChunkReader) -> bool:
        """Read the chunk that has begun; False if the peer closed within it."""
        chunks.feed(self._reader.take(chunks.left))
        while chunks.left:
            if not await self._more():
                self._ended = True
                return False
            chunks.feed(self._reader.take(chunks.left))
        return True

    async def _deliver(self, transaction: Transaction, message: bytes) -> None:
        """File the message and answer each recipient, in the order of RCPT (RFC 2033 4.2).

        Of several messages that came at once the first is answered before the next is filed: its replies are not among
        those that may wait for others (RFC 2920 3.2), and who does not hear them sends it again (RFC 5321 6.1).
        """
        if self._filed_untold:
            await self._flush()
        self._messages += 1
        recipients = list(transaction.targets.items())
        results = await self._delivery.deliver(
            transaction.sender.address, recipients, message, self._trace(transaction)
        )
        by_address = {address: result for (address, _), result in zip(recipients, results, strict=True)}
        for address in transaction.recipients:
            result = by_address[address]
            if result is None:
                self._reply(250, "2.1.5", "Delivered.")
            else:
                self._refuse(result)
        self._filed_untold = True
        refused = sum(result is not None for result in results)
        try:
            if self._reader.empty:  # who waits for the answer does not wait for its line in the log too
                await self._flush()
        finally:
            self._connection.log("message", octets=len(message), recipients=len(recipients), refused=refused)

    def _trace(self, transaction: Transaction) -> Trace:
        """Protocol names: RFC 3848 and RFC 6531 4.3."""
        protocol = ("UTF8" if transaction.utf8 else "") + "LMTP" + ("S" if self._connection.secure else "")
        number = f"{self._connection.id}.{self._messages}"
        return Trace(self._helo, self._connection.peer, protocol, number, self._hostname)

    def _refuse_all(self, transaction: Transaction, refusal: DeliveryRefusal) -> None:
        for _ in transaction.recipients:
            self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        if isinstance(refusal, DeliveryRefusal):
            self._reply(refusal.reply, refusal.enhanced, refusal.text)
        else:
            self._connection.log("refused", reason=refusal.code)
            self._reply(_FAULT.reply, _FAULT.enhanced, _FAULT.text)
