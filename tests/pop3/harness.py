"""A POP3 session over a connection in memory, driven by whole transcripts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress

from restante.accounts.login import Admitted, LoginRefused, LoginUnavailable, Peer, PrivacyRequired, SaslExchange
from restante.config.model import LimitsTable, Pop3Table
from restante.errors import Refusal
from restante.pop3.logins import LoginTimes
from restante.pop3.session import Pop3Session
from restante.store.directory import Account
from restante.testing.memory import MemoryConnection
from tests.delivery.fakes import FakeEngine, FakeStore

USER = b"mrose@example.org"
LOGIN = b"USER mrose@example.org\r\nPASS tanstaaf\r\n"


def unstuffed(lines: bytes) -> bytes:
    """The message behind octets that were stuffed (terminator already taken off)."""
    if lines[:1] == b".":
        lines = lines[1:]
    return lines.replace(b"\r\n.", b"\r\n")


def as_sent(message: bytes) -> bytes:
    """What a client that keeps to the RFC makes of a message's lines: CRLF at its end, and two dots for one that stands
    alone behind a bare LF, since other clients would take it for the end."""
    return re.sub(rb"(?<!\r)\n\.(?=\r?\n)", b"\n..", message if message.endswith(b"\r\n") else message + b"\r\n")


class PlainExchange:
    """SASL PLAIN (RFC 4616), enough of it."""

    def __init__(self, authenticator: FakeAuthenticator, peer: Peer) -> None:
        self._authenticator = authenticator
        self._peer = peer

    async def step(self, response: bytes | None) -> bytes | Admitted:
        if response is None:
            return b""
        _, name, password = [*response.split(b"\0"), b"", b""][:3]
        return await self._authenticator.password(name, password, self._peer)


class CheerfulExchange:
    """A mechanism of three turns, the last one the server's, as SCRAM's is."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._turn = 0

    async def step(self, response: bytes | None) -> bytes | Admitted:
        self._turn += 1
        if self._turn == 1:
            return b"challenge"
        if self._turn == 2:
            if response != b"response":
                raise LoginRefused("wrong response")
            return b"v=final"
        return Admitted(self._account)


class FakeAuthenticator:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.unavailable = False
        self.peers: list[Peer] = []

    def mechanisms(self, peer: Peer) -> tuple[str, ...]:
        return ("X-CHEER", "PLAIN") if self.plain_allowed(peer) else ("X-CHEER",)

    def plain_allowed(self, peer: Peer) -> bool:
        return peer.secure or peer.loopback

    def start(self, mechanism: str, peer: Peer) -> SaslExchange:
        if mechanism == "X-CHEER":
            return CheerfulExchange(self.engine.directory.known[USER.decode()])
        if mechanism == "PLAIN" and self.plain_allowed(peer):
            return PlainExchange(self, peer)
        if mechanism == "PLAIN":
            raise PrivacyRequired("TLS first.")
        raise Refusal("No such mechanism.")

    async def password(self, user: bytes, password: bytes, peer: Peer) -> Admitted:
        self.peers.append(peer)
        if self.unavailable:
            raise LoginUnavailable("Try later.")
        account = await self.engine.directory.account(user.decode())
        if account is None or password not in (b"tanstaaf", "pässword".encode()):
            raise LoginRefused("wrong password")
        return Admitted(account)

    async def may_ask(self, account: Account) -> None:
        raise NotImplementedError("POP3 names nobody else")

    async def asked_in_vain(self, account: Account) -> None:
        raise NotImplementedError("POP3 names nobody else")


class Pop3:
    """Everything a session needs, and `talk`, which plays one connection."""

    def __init__(self, *messages: bytes, config: Pop3Table | None = None, limits: LimitsTable | None = None) -> None:
        self.engine = FakeEngine()
        self.store: FakeStore = self.engine.add(USER.decode())
        for message in messages:
            self.store.add(message)
        self.authenticator = FakeAuthenticator(self.engine)
        self.config = config or Pop3Table()
        self.limits = limits or LimitsTable()
        self.logins = LoginTimes()
        self.connection = MemoryConnection()

    def session(self, connection: MemoryConnection) -> Pop3Session:
        return Pop3Session(
            connection,
            self.engine.typed,
            self.authenticator,
            self.config,
            self.limits,
            logins=self.logins,
            clock=self.engine.clock,
        )

    def talk(self, *pieces: bytes | Callable[[], None], loopback: bool = True, secure: bool = False) -> bytes:
        """All that a session answers to these octets, the greeting left out. Each piece is fed once the answer to
        the one before has been written; a callable runs at that moment. The peer then closes."""

        async def play() -> bytes:
            connection = self.connection = MemoryConnection(loopback=loopback, secure=secure)
            task = asyncio.create_task(self.session(connection).run())
            await settle(connection)
            assert connection.take().startswith(b"+OK")
            for piece in pieces:
                if callable(piece):
                    piece()
                else:
                    connection.feed(piece)
                    await settle(connection)
            connection.feed_eof()
            await asyncio.wait_for(task, 10)
            return connection.take()

        return asyncio.run(play())


async def settle(connection: MemoryConnection) -> None:
    """Until the session waits for octets again: nothing to run any more but waiting."""
    for _ in range(50):
        with suppress(TimeoutError):
            await asyncio.sleep(0)


def answers(data: bytes) -> list[bytes]:
    """Lines without their ends."""
    return data.split(b"\r\n")[:-1]
