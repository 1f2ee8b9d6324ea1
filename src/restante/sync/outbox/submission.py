"""One connection to a submission server (RFC 6409): in, message by message, out.

A message's result says what became of each recipient. What cannot be known is an exception of its own: `Uncertain`,
raised where the end of the data was said and no reply came. `before_end` is called between the data and that end.

RFC 5321 4.5.3.2 (time-outs), RFC 2920 (PIPELINING), RFC 1870, RFC 6152, RFC 6531, RFC 3207, RFC 4954.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...clock import Random
from ...errors import Refusal
from ...smtp.grammar.answers import BadReply, Offers, Reply, ReplyReader, offers
from ...smtp.grammar.requests import (
    END,
    Content,
    auth,
    auth_response,
    content_of,
    ehlo,
    mail,
    rcpt,
    stuff,
)
from ..config import Server
from ..secrets import Kind, Secret
from .login import PROOFS, LoginRefused, begin, challenge, choose

if TYPE_CHECKING:
    import ssl

    from ..refused import Refusals

CONNECT_TIMEOUT = 30.0
REPLY_TIMEOUT = 300.0
"""Of the greeting, MAIL, RCPT (RFC 5321 4.5.3.2.1 to .3)."""
DATA_TIMEOUT = 180.0
"""Of each block of data (4.5.3.2.5); DATA's own reply gets two minutes (.4), which this covers."""
END_TIMEOUT = 600.0
"""Of the reply to the end of data (4.5.3.2.6): giving up early is what makes duplicates."""

BLOCK = 64 << 10
GROUP = 100
"""Recipients told in one go; RFC 2920 3.1 wants what is under way bounded by what TCP holds."""


class SubmissionUnavailable(Refusal):
    """The server cannot be used now: no network, no answer, [4xx] before a message."""

    code = "SUBMISSION-UNAVAILABLE"
    temporary = True


class SubmissionRefused(Refusal):
    """The server will not, and trying again will not change that: no TLS, a certificate that is wrong."""

    code = "SUBMISSION-REFUSED"


class Uncertain(Exception):
    """The end of data was said, and no reply came. Nobody can know whether the message was taken."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a message. refused: recipients that the server did not take, and its words. taken: recipients for
    whom `reply` decides: it is that of the data, or, where there was none, that of MAIL. told: by whom."""

    taken: tuple[str, ...]
    refused: dict[str, Reply]
    reply: Reply | None


class Submission:
    """A connection. `open` before anything else, `close` at the end."""

    def __init__(
        self,
        server: Server,
        user: str,
        secret: Secret | None,
        *,
        certificate: Path | None = None,
        random: Random,
        refusals: Refusals | None = None,
    ) -> None:
        self._server = server
        self._user = user
        self._secret = secret
        self._certificate = certificate
        self._random = random
        self._refusals = refusals
        self._replies = ReplyReader()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._offers = Offers("", {})
        self._full = False
        """The last read gave all that it may give: more may have come with it."""
        self._usable = False
        """Commands may be said: not in the middle of data, and nothing is owed or lost."""

    # In and out ----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, secure, log in. Raises SubmissionUnavailable, SubmissionRefused, LoginRefused, LoginWaits,
        SecretUnavailable."""
        if self._secret is not None and self._refusals is not None and self._refusals.noted:
            self._refusals.before(await self._secret.get())
        try:
            await self._connect()
            self._expect(await self._reply(REPLY_TIMEOUT), "refused the connection")
            await self._hello()
            if self._server.tls == "starttls":
                await self._start_tls()
            if self._secret is not None:
                await self._log_in(self._secret)
            self._usable = True
        except BaseException:
            self._abort()
            raise

    async def close(self) -> None:
        """Say goodbye and leave; a server that does not answer, or waits for the rest of a message, is left at once."""
        if self._streams is None:
            return
        try:
            if self._usable:
                self._write(b"QUIT\r\n")
                await self._reply(2.0)
        except (Refusal, OSError):
            pass  # what was sent has been answered; how we part decides nothing
        finally:
            self._abort()

    async def _connect(self) -> None:
        context = self._context() if self._server.tls == "implicit" else None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                self._streams = await asyncio.open_connection(
                    self._server.host,
                    self._server.port,
                    ssl=context,
                    server_hostname=self._server.host if context else None,
                    limit=256 << 10,
                )
        except OSError as error:  # a time-out is one, and so are TLS' errors
            raise connection_refusal(str(self._server), error) from error

    async def _hello(self) -> None:
        reply = await self._ask(ehlo(self._own_name()))
        self._expect(reply, "refused EHLO")
        self._offers = offers(reply)

    def _own_name(self) -> str:
        """The address literal of our end (RFC 5321 4.1.3): a laptop's name is nobody's business, and often none."""
        assert self._streams is not None
        own = self._streams[1].get_extra_info("sockname")
        host = own[0].partition("%")[0] if own else "127.0.0.1"
        return f"[IPv6:{host}]" if ":" in host else f"[{host}]"

    async def _start_tls(self) -> None:
        if not self._offers.has("STARTTLS"):
            raise SubmissionRefused(f"{self._server} offers no TLS.", 'Say tls = "implicit", or another port.')
        self._expect(await self._ask(b"STARTTLS\r\n"), "refused STARTTLS")
        # What was offered in the clear counts no more (RFC 3207 4.2).
        self._offers = Offers("", {})
        assert self._streams is not None
        reader, writer = self._streams
        # Put there by somebody in between (RFC 3207 6). What lies behind a read that was filled nobody here can see: it
        # would be read as what the server says under TLS.
        if self._replies.clear() or self._full:
            raise SubmissionRefused(f"{self._server} sent something between STARTTLS and TLS.")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await writer.start_tls(self._context(), server_hostname=self._server.host)
        except OSError as error:
            raise connection_refusal(str(self._server), error) from error
        self._streams = reader, writer
        await self._hello()

    def _context(self) -> ssl.SSLContext:
        from ..tls import client_context

        return client_context(self._certificate, SubmissionRefused)

    async def _log_in(self, secret: Secret) -> None:
        mechanism = choose(secret.kind, self._offers.mechanisms)
        given = await secret.get()
        reply = await self._authenticate(mechanism, given)
        if reply.code in (535, 534, 538, 501) and secret.kind is Kind.TOKEN:
            reply = await self._authenticate(mechanism, await secret.get(fresh=True))
        if reply.good:
            if self._refusals is not None:
                self._refusals.accepted()
            return
        if not reply.permanent:
            raise SubmissionUnavailable(f"{self._server} cannot log anybody in now: {reply.text}")
        text = f"{self._server} refused the login of {self._user}: {reply.text}"
        if self._refusals is not None:
            self._refusals.refused(given, text)
        raise LoginRefused(text, "Check user and password.")

    async def _authenticate(self, mechanism: str, secret: str) -> Reply:
        exchange = begin(mechanism, self._user, secret, self._server.host, self._server.port, self._random)
        initial, challenges = next(exchange), 0
        reply = await self._ask(auth(mechanism, initial if mechanism != "LOGIN" else None))
        while reply.code == 334:
            try:
                response = exchange.send(challenge(reply.lines))
            except StopIteration:
                raise LoginRefused(f"{self._server} asks for more than {mechanism} has.") from None
            except LoginRefused:
                await self._ask(b"*\r\n")  # gives the exchange up (RFC 4954 4)
                raise
            challenges += 1
            reply = await self._ask(auth_response(response))
        if reply.good and challenges < PROOFS.get(mechanism, 0):
            raise LoginRefused(f"{self._server} did not prove that it knows the password.")
        return reply

    # Messages ------------------------------------------------------------------------------------------

    async def send(
        self, sender: str, recipients: Sequence[str], message: bytes, before_end: Callable[[], Awaitable[None]]
    ) -> Result:
        """One transaction. Raises SubmissionUnavailable (nothing was sent, the connection is of no more use),
        Uncertain (nor is it then), and what `before_end` raises.

        What the server cannot carry is refused for all without asking it, as `Result` shows.
        """
        needs = content_of(message)
        unable = self._cannot(sender, recipients, message, needs)
        if unable is not None:
            return Result(tuple(recipients), {}, unable)
        wide = needs is Content.UTF8 or not all(each.isascii() for each in (sender, *recipients))
        size = len(message) if self._offers.has("SIZE") else None
        eight = needs is not Content.ASCII and self._offers.has("8BITMIME")
        begin_it = mail(sender, size=size, eight_bit=eight or wide, utf8=wide)
        said, replies = await self._envelope(begin_it, [rcpt(each, utf8=wide) for each in recipients])
        if not said.good:
            await self._reset()
            return Result(tuple(recipients), {}, said)
        refused = {each: reply for each, reply in zip(recipients, replies, strict=True) if not reply.good}
        taken = tuple(each for each in recipients if each not in refused)
        if not taken:
            await self._reset()
            return Result((), refused, None)
        reply = await self._ask(b"DATA\r\n")
        if reply.code != 354:
            await self._reset()
            return Result(taken, refused, reply)
        return Result(taken, refused, await self._data(stuff(message), before_end))

    def _cannot(self, sender: str, recipients: Sequence[str], message: bytes, needs: Content) -> Reply | None:
        """The reply that stands for what the server does not offer."""
        if self._offers.size and len(message) > self._offers.size:
            return Reply(552, "5.3.4", (f"The server takes messages of at most {self._offers.size} octets.",))
        wide = [each for each in (sender, *recipients) if not each.isascii()]
        if (wide or needs is Content.UTF8) and not self._offers.has("SMTPUTF8"):
            what = f"The address {wide[0]}" if wide else "The header, which has characters beyond ASCII,"
            return Reply(550, "5.6.7", (f"{what} needs a server with SMTPUTF8, which this one has not.",))
        if needs is Content.EIGHT_BIT and not self._offers.has("8BITMIME"):
            return Reply(554, "5.6.3", ("The message has 8-bit text, which this server does not take.",))
        if needs is Content.UNSENDABLE:
            return Reply(554, "5.6.0", ("The message is no text that SMTP can carry.",))
        return None

    async def _envelope(self, begin_it: bytes, rcpts: Sequence[bytes]) -> tuple[Reply, list[Reply]]:
        """MAIL and all RCPT, in groups where the server takes that."""
        commands = [begin_it, *rcpts]
        replies: list[Reply] = []
        step = GROUP if self._offers.has("PIPELINING") else 1
        for at in range(0, len(commands), step):
            group = commands[at : at + step]
            self._write(b"".join(group))
            replies += [self._live(await self._reply(REPLY_TIMEOUT)) for _ in group]
            if not replies[0].good:
                break
        return replies[0], replies[1:]

    async def _data(self, stuffed: bytes, before_end: Callable[[], Awaitable[None]]) -> Reply:
        assert self._streams is not None
        self._usable = False
        view = memoryview(stuffed)
        try:
            for at in range(0, len(view), BLOCK):
                self._streams[1].write(view[at : at + BLOCK])
                async with asyncio.timeout(DATA_TIMEOUT):
                    await self._streams[1].drain()
        except OSError as error:
            # A server that refuses a message in its middle may say why, and leave. The end was never said.
            reply = await self._reply(5.0)
            if not reply.permanent:
                raise SubmissionUnavailable(f"The connection to {self._server} was lost.") from error
            return reply
        if self._streams[0].at_eof():
            raise SubmissionUnavailable(f"{self._server} closed the connection in the middle of the message.")
        await before_end()
        try:
            self._write(END)
            reply = await self._reply(END_TIMEOUT)
        except (SubmissionUnavailable, OSError) as error:
            raise Uncertain from error
        self._usable = reply.code != 421
        return reply

    async def _reset(self) -> None:
        """Make the connection fit for another message."""
        await self._ask(b"RSET\r\n")

    # Octets --------------------------------------------------------------------------------------------

    async def _ask(self, command: bytes) -> Reply:
        self._write(command)
        return self._live(await self._reply(REPLY_TIMEOUT))

    def _live(self, reply: Reply) -> Reply:
        """421 may come to anything, and means that the server is leaving (RFC 5321 3.8)."""
        if reply.code == 421:
            self._usable = False
            raise SubmissionUnavailable(f"{self._server} closed the connection: {reply.text}")
        return reply

    def _expect(self, reply: Reply, what: str) -> None:
        if reply.good:
            return
        kind = SubmissionRefused if reply.permanent else SubmissionUnavailable
        raise kind(f"{self._server} {what}: {reply.text}")

    def _write(self, data: bytes) -> None:
        assert self._streams is not None, "not open"
        self._streams[1].write(data)

    async def _reply(self, timeout: float) -> Reply:
        assert self._streams is not None, "not open"
        usable, self._usable = self._usable, False
        try:
            async with asyncio.timeout(timeout):
                while (reply := self._replies.reply()) is None:
                    data = await self._streams[0].read(BLOCK)
                    if not data:
                        raise SubmissionUnavailable(f"{self._server} closed the connection.")
                    self._full = len(data) == BLOCK
                    self._replies.feed(data)
        except TimeoutError as error:
            raise SubmissionUnavailable(f"{self._server} said nothing for {timeout:.0f} seconds.") from error
        except OSError as error:
            raise SubmissionUnavailable(f"The connection to {self._server} was lost.") from error
        except BadReply as error:
            raise SubmissionUnavailable(f"The answer of {self._server} makes no sense: {error}.") from error
        self._usable = usable
        return reply

    def _abort(self) -> None:
        if self._streams is not None:
            streams, self._streams = self._streams, None
            with suppress(OSError):
                streams[1].transport.abort()


def connection_refusal(server: str, error: OSError) -> Refusal:
    """What became of a connection that was not made."""
    import ssl

    from ..reach import unreachable, untrusted

    if isinstance(error, ssl.SSLCertVerificationError):
        return SubmissionRefused(*untrusted(server, error))
    if isinstance(error, ssl.SSLError):
        return SubmissionRefused(f"{server} speaks no TLS that we speak ({error.reason}).", "Is this the port for it?")
    if isinstance(error, TimeoutError):
        return SubmissionUnavailable(f"{server} did not answer within {CONNECT_TIMEOUT:.0f} seconds.")
    return SubmissionUnavailable(*unreachable(server, error))
