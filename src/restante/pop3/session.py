"""One POP3 connection: reads commands, lets their modules answer, keeps what belongs to the session.

    AUTHORIZATION --USER/PASS, AUTH--> TRANSACTION --QUIT--> (commit) end
          |                                |
          +------------ QUIT, loss, silence: end, nothing is removed

Commands are answered in turn; answers are gathered and written when no further whole command is here, so a
pipelining client costs one write a batch (RFC 2449 6.6).

A retrieval is a fact, a deletion is a wish that QUIT alone fulfils (RFC 1939 6): when the connection is lost,
messages that were sent whole are noted as retrieved (and \\Seen, where that is configured), marks of DELE are
forgotten. Exception: where retrieved messages are removed, now or some days later (`leave_days` 0 or more), noting
would remove what may never have reached the client, so there a lost connection notes nothing.

Knows the store, the authenticator and its own grammar; no socket, no other protocol.
RFC 1939, 2449, 2595, 3206, 5034, 6856.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from ..accounts.login import Admitted, Authenticator, Peer
from ..clock import Clock, SystemClock
from ..config.model import LimitsTable, Pop3Table
from ..connection import AccountClosed, Connection, ConnectionLost, OpenerClosed, ReadTimeout, ServerStopping
from ..errors import Refusal
from ..mime.model import DEFAULT_LIMITS, Limits
from ..store.directory import Account
from ..store.errors import cause_of
from ..store.interface import Engine, Store
from .commands import HANDLERS, State
from .grammar.commands import BadCommand, Command
from .grammar.reader import LineReader, Overlong
from .grammar.responses import Code, err, ok
from .logins import LoginTimes
from .maildrop import Maildrop
from .policy import DAY, Policy

YIELD = 64
"""Commands answered in a row before other connections have their turn."""

FLUSH = 256 * 1024
"""Answers gathered up to here are written even if more commands are waiting."""


class Pop3Session:
    """Serves one connection: `await Pop3Session(...).run()` returns when the connection is to be closed.

    logins: shared by the server's sessions where LOGIN-DELAY is configured. clock: for LOGIN-DELAY and for
    the age of retrieved messages. mime_limits: those of delivery, since surrogates must come out alike.
    """

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        authenticator: Authenticator,
        config: Pop3Table,
        limits: LimitsTable,
        *,
        logins: LoginTimes | None = None,
        clock: Clock | None = None,
        hostname: str = "",
        mime_limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.connection = connection
        self.engine = engine
        self.authenticator = authenticator
        self.config = config
        self.limits = limits
        self.logins = logins if logins is not None else LoginTimes()
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.hostname = hostname
        self.mime_limits = mime_limits
        self.reader = LineReader()
        self.state = State.AUTHORIZATION
        self.utf8 = False
        self.user: bytes | None = None
        """USER's argument, until PASS or another command."""
        self.refused_for: tuple[str, ...] = ()
        """Why logins were refused, as far as the log has that already."""
        self.expire_before_login: int | None = None
        self.account: Account | None = None
        self.policy: Policy | None = None
        self._store: Store | None = None
        self._maildrop: Maildrop | None = None
        self._command_by: float | None = None
        """When the next command must be whole, where it may not take for ever; None: it has not been waited for."""
        self._lock = AsyncExitStack()
        self._out: list[bytes] = []
        self._gathered = 0

    # What command modules use ------------------------------------------------------------------------

    @property
    def peer(self) -> Peer:
        """Who is asking, for the authenticator; TLS may come between two questions."""
        c = self.connection
        return Peer("pop3", c.peer, c.loopback, c.secure, c.channel_binding())

    @property
    def maildrop(self) -> Maildrop:
        if self._maildrop is None:
            raise RuntimeError("no maildrop before login")
        return self._maildrop

    @property
    def store(self) -> Store:
        if self._store is None:
            raise RuntimeError("no store before login")
        return self._store

    def reply(self, data: bytes) -> None:
        """Queue an answer; written with those of the commands that came along with this one."""
        self._out.append(data)
        self._gathered += len(data)

    async def flush(self) -> None:
        """Write what was queued and wait until the peer has taken enough of it. Raises ConnectionLost."""
        if self._out:
            self.connection.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
            self._out.clear()
            self._gathered = 0
        await self.connection.drain()

    async def read_line(self, limit: int) -> bytes | Overlong | None:
        """The next line of a SASL exchange, None once the peer has gone. Raises ReadTimeout, ConnectionLost."""
        while (line := self.reader.line(limit)) is None:
            await self.flush()
            if not await self._more():
                return None
        self._command_by = None
        return line

    async def _more(self) -> bool:
        """Wait for octets; False once the peer has gone. Raises ReadTimeout, ConnectionLost.

        Before login octets may not make a command last for ever: it is the receipt of a command that resets the timer,
        and the timer may not be shorter than ten minutes (RFC 1939 3).
        """
        timeout = self.config.idle_timeout
        if self.state is State.AUTHORIZATION:
            now = self.clock.monotonic()
            if self._command_by is None:
                self._command_by = now + timeout
            if now >= self._command_by:
                raise ReadTimeout
            timeout = self._command_by - now
        data = await self.connection.read(timeout)
        if data:
            self.reader.feed(data)
        return bool(data)

    async def open_maildrop(self, admitted: Admitted, policy: Policy) -> None:
        """Lock and list the account's maildrop and enter TRANSACTION; on any error nothing is held.

        Raises InUse and other refusals of the store, Refusal where the account has too many connections.
        """
        account = admitted.account
        store = self.engine.account(account.id, session=f"pop3 {self.connection.id}")
        async with AsyncExitStack() as held:
            await held.enter_async_context(store.lock_maildrop())
            self.connection.set_account(account.address, account.id, admitted.opener)
            if policy.leave_days > 0:
                await self._expire(store, int(self.clock.now()) - policy.leave_days * DAY)
            messages = await store.maildrop()
            self._lock = held.pop_all()
        self.account, self.policy, self._store = account, policy, store
        self._maildrop = Maildrop(messages, utf8=self.utf8)
        self.state = State.TRANSACTION

    async def commit(self, *, with_deletions: bool) -> None:
        """Make the session's work durable in one command of the store and let go of the maildrop.

        with_deletions: QUIT; otherwise only what was retrieved is noted. Raises StoreRefusal: then nothing
        happened. The maildrop is free in every case: whoever hears the answer may come again at once.
        """
        drop, policy, store = self._maildrop, self.policy, self._store
        self._maildrop = None
        try:
            if drop is None or policy is None or store is None:
                return
            delete = drop.ranges(drop.deleted) if with_deletions else ()
            retrieved = drop.ranges(drop.retrieved)
            if delete or retrieved:
                await store.finish_maildrop(delete, policy.delete, retrieved, mark_seen=policy.seen)
            deleted = len(drop.deleted) if with_deletions else 0
            self.connection.log("maildrop closed", quit=with_deletions, retrieved=len(drop.retrieved), deleted=deleted)
            if with_deletions and retrieved and policy.leave_days == 0:
                await self._expire(store, int(self.clock.now()) + 1)
        finally:
            await self._lock.aclose()

    async def _expire(self, store: Store, before: int) -> None:
        """What was retrieved before goes to Trash. A refusal here is only logged: nobody is kept from his mail
        by it, what QUIT promised is done by then, and the next session tries again."""
        try:
            await store.expire_retrieved(before)
        except Refusal as refusal:
            self.connection.log("expire failed", reason=refusal.code, cause=cause_of(refusal))

    # The connection ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until QUIT, loss, silence or too many errors. Faults of ours come through to the caller,
        which logs them with the connection's id; the maildrop is free by then."""
        try:
            await self._serve()
        except ReadTimeout:
            self.connection.log("session ended", reason="idle")  # without a word to the client (RFC 1939 3)
        except ServerStopping:
            self._last_words(err(b"The server is stopping.", Code.SYS_TEMP))
        except OpenerClosed:
            self.connection.log("session ended", reason="credential closed")
            self._last_words(err(b"The password of this session opens nothing any more.", Code.AUTH))
        except AccountClosed:
            self.connection.log("session ended", reason="account closed")
            self._last_words(err(b"This account has been disabled or removed.", Code.AUTH))
        except ConnectionLost:
            self.connection.log("connection lost")
        finally:
            await self._leave()

    async def _serve(self) -> None:
        greeting = b"Restante ready." if not self.hostname else b"%b Restante ready." % self.hostname.encode()
        self.reply(ok(greeting))
        bad = before_login = turn = 0
        while self.state is not State.ENDED:
            command = self.reader.command()
            if command is None:
                await self.flush()
                if not await self._more():
                    return
                continue
            self._command_by = None
            bad = bad + 1 if isinstance(command, BadCommand) else 0
            before_login = before_login + 1 if self.state is State.AUTHORIZATION else 0
            if bad > self.limits.bad_commands or before_login > self.limits.commands_before_login:
                self.reply(err(b"Too many commands that lead nowhere, closing."))
                self.connection.log("too many commands", errors=bad, before_login=before_login)
                self.state = State.ENDED
            else:
                await self._answer(command)
            turn += 1
            if turn % YIELD == 0:
                await asyncio.sleep(0)
            if self._gathered >= FLUSH:
                await self.flush()
        await self.flush()

    async def _answer(self, command: Command | BadCommand) -> None:
        if isinstance(command, BadCommand):
            self.reply(err(command.text))
            return
        states, handler = HANDLERS[command.verb]
        if self.state not in states:
            login = self.state is State.AUTHORIZATION
            self.reply(err(b"Log in first." if login else b"This command is for before login."))
            return
        await handler(self, command)

    def _last_words(self, data: bytes) -> None:
        """Written without waiting: the peer may be long gone."""
        self.connection.write(b"".join(self._out) + data)
        self._out.clear()

    async def _leave(self) -> None:
        """The end without QUIT: note what was retrieved, remove nothing, free the maildrop."""
        if self._maildrop is not None and self.policy is not None and self.policy.leave_days >= 0:
            self._maildrop.retrieved.clear()
        try:
            await self.commit(with_deletions=False)
        except Refusal as refusal:
            self.connection.log("retrieved messages not noted", reason=refusal.code, cause=cause_of(refusal))
