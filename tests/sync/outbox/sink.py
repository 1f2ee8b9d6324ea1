"""A submission server for tests: real TCP, the server half of our grammar, behaviour by a few attributes.

`Sink` keeps what it took. What it answers to each command may be replaced by `answers`; where it hangs up is said by
`hang_up`.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from restante.sasl.errors import SaslFault
from restante.sasl.scram import Verifier, verifier
from restante.sasl.scram_server import ScramServer
from restante.smtp.grammar.commands import BadCommand, Mail, Rcpt, Simple, Verb, parse_command
from restante.smtp.grammar.data import DotReader
from restante.smtp.grammar.reader import LineReader
from restante.smtp.grammar.replies import multiline

OFFERS = ("PIPELINING", "SIZE 100000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
SALT = b"saltsaltsaltsalt"


@dataclass
class Taken:
    sender: str
    recipients: list[str]
    data: bytes
    mail: Mail


@dataclass
class Sink:
    """offers: lines of EHLO. refuse: recipient -> reply. at_mail, at_data, at_end: replies instead of the good ones.
    hang_up: "greeting", "mail", "data" (in the middle), "end" (after the end of data, which it takes), "lost-end"
    (which it does not take). mechanisms: of AUTH; user, password, token: what is right. lie: SCRAM without a proof.
    most: recipients of one transaction. injected: octets between STARTTLS and TLS."""

    offers: tuple[str, ...] = OFFERS
    refuse: dict[str, str] = field(default_factory=dict)
    at_mail: str = "250 2.1.0 ok"
    at_data: str = "354 go"
    at_end: str = "250 2.0.0 taken"
    hang_up: str = ""
    mechanisms: tuple[str, ...] = ()
    user: str = "anna@example.org"
    password: str = "secret words"
    token: str = ""
    lie: bool = False
    most: int = 1000
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    injected: bytes = b""
    taken: list[Taken] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    connections: int = 0
    before_end: Callable[[], None] | None = None
    port: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self.tls if self.implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            if self.hang_up != "greeting":
                writer.write(b"220 sink ESMTP\r\n")
                await _Conversation(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client hung up, as it may
        finally:
            writer.transport.abort()


class _Conversation:
    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sink = sink
        self.reader = reader
        self.writer = writer
        self.lines = LineReader()
        self.mail: Mail | None = None
        self.recipients: list[str] = []
        self.secure = sink.implicit

    def say(self, text: str) -> None:
        self.writer.write(text.encode() + b"\r\n")

    async def line(self) -> bytes | None:
        while (line := self.lines.line()) is None:
            await self.writer.drain()
            data = await self.reader.read(65536)
            if not data:
                return None
            self.lines.feed(data)
        assert isinstance(line, bytes), line
        self.sink.lines.append(line)
        if "PIPELINING" not in self.sink.offers:
            assert not self.lines.rest(), "a command was sent ahead"
        return line

    async def run(self) -> None:
        while (line := await self.line()) is not None:
            if line[:5].upper() == b"AUTH ":
                await self.auth(line.decode().split()[1:])
                continue
            command = parse_command(line)
            if isinstance(command, Mail):
                if self.sink.hang_up == "mail":
                    return
                self.say(self.sink.at_mail)
                self.mail, self.recipients = command if self.sink.at_mail[0] == "2" else None, []
            elif isinstance(command, Rcpt):
                self.rcpt(command.recipient.address)
            elif isinstance(command, Simple):
                if not await self.simple(command):
                    return
            elif isinstance(command, BadCommand):
                self.say(f"{command.reply} {command.enhanced} {command.text}")
            else:
                self.say("502 5.5.1 no BDAT")

    def rcpt(self, address: str) -> None:
        if self.mail is None:
            self.say("503 5.5.1 MAIL first")
        elif address in self.sink.refuse:
            self.say(self.sink.refuse[address])
        elif len(self.recipients) >= self.sink.most:
            self.say("452 4.5.3 too many recipients")
        else:
            self.recipients.append(address)
            self.say("250 2.1.5 ok")

    async def simple(self, command: Simple) -> bool:
        """False: hang up."""
        match command.verb:
            case Verb.EHLO:
                offers = list(self.sink.offers)
                if self.sink.tls is not None and not self.secure:
                    offers.append("STARTTLS")
                if self.sink.mechanisms:
                    offers.append("AUTH " + " ".join(self.sink.mechanisms))
                self.writer.write(multiline(250, ["sink.example", *offers]))
            case Verb.STARTTLS:
                assert self.sink.tls is not None
                self.writer.write(b"220 2.0.0 go\r\n" + self.sink.injected)
                await self.writer.drain()
                await self.writer.start_tls(self.sink.tls)
                self.secure = True
            case Verb.DATA:
                return await self.data()
            case Verb.QUIT:
                self.say("221 2.0.0 bye")
                await self.writer.drain()
                return False
            case _:
                self.mail, self.recipients = None, []
                self.say("250 2.0.0 ok")
        return True

    async def data(self) -> bool:
        assert self.mail is not None
        self.say(self.sink.at_data)
        if not self.sink.at_data.startswith("354"):
            return True
        if self.sink.hang_up == "data":
            await self.writer.drain()
            await self.reader.read(1)
            return False
        reader = DotReader(1 << 24)
        rest = reader.feed(self.lines.rest())
        while rest is None:
            await self.writer.drain()
            data = await self.reader.read(65536)
            if not data:
                return False  # the end never came: nothing was taken
            rest = reader.feed(data)
        self.lines.feed(rest)
        if self.sink.before_end is not None:
            self.sink.before_end()
        if self.sink.at_end[0] == "2" and self.sink.hang_up != "lost-end":
            self.sink.taken.append(Taken(self.mail.sender.address, self.recipients, reader.message(), self.mail))
        if self.sink.hang_up in ("end", "lost-end"):
            return False
        self.mail = None
        self.say(self.sink.at_end)
        return True

    # AUTH ----------------------------------------------------------------------------------------------

    async def ask(self, challenge: bytes) -> bytes:
        self.say("334 " + base64.b64encode(challenge).decode())
        line = await self.line()
        assert line is not None
        return b"*" if line == b"*" else base64.b64decode(line)

    async def auth(self, words: list[str]) -> None:
        mechanism, initial = words[0], base64.b64decode(words[1]) if len(words) > 1 and words[1] != "=" else b""
        good = False
        if mechanism == "PLAIN":
            good = initial == f"\0{self.sink.user}\0{self.sink.password}".encode()
        elif mechanism == "LOGIN":
            user = await self.ask(b"Username:")
            good = (user, await self.ask(b"Password:")) == (self.sink.user.encode(), self.sink.password.encode())
        elif mechanism in ("XOAUTH2", "OAUTHBEARER"):
            good = f"auth=Bearer {self.sink.token}\x01".encode() in initial
            if not good:
                assert await self.ask(b'{"status":"401"}') == (b"\x01" if mechanism == "OAUTHBEARER" else b"")
        elif mechanism == "SCRAM-SHA-256":
            good = await self.scram(initial)
        self.say("235 2.7.0 in" if good else "535 5.7.8 not you")

    async def scram(self, initial: bytes) -> bool:
        if self.sink.lie:  # knows no password, and hopes that nobody asks for a proof
            await self.ask(
                initial.partition(b"r=")[2].join((b"r=", b"x")) + b",s=" + base64.b64encode(SALT) + b",i=4096"
            )
            return True
        exchange = ScramServer(plus=False, binding=None, nonce="servernonce")
        exchange.first(initial)
        known: Verifier = verifier(self.sink.password.encode(), SALT, 4096)
        try:
            _, final = exchange.final(await self.ask(exchange.challenge(SALT, 4096)), [known])
        except SaslFault:
            return False
        await self.ask(final)
        return True


@contextmanager
def serving(sink: Sink) -> Iterator[Sink]:
    """The sink in a thread of its own."""
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def work() -> None:
        async with sink:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
    thread.start()
    assert ready.wait(30)
    try:
        yield sink
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
