"""One IMAP connection: octets in, commands run in order, responses out.

The reader cuts octets into events; each command is looked up in the table of `imap.commands`, checked against
the state (`standing`), run, and answered. Output is gathered (`talk`) and goes out when no further command is buffered,
or when enough has gathered, so that a pipeline costs one write and a large answer meets back-pressure.

The session holds no task and no handle of its own while it waits, and no timer but that of INPROGRESS, which runs out
by itself: it is suspended in `Connection.read`. A watch on the account notes that something changed; in IDLE, and for a
client that used NOTIFY, it also ends that read (the connection's `read` keeps what it has when it is cancelled).

It must not know sockets or SQL, nor what any one command does. RFC 9051 3, 5.2, 5.4, 5.5; RFC 3501.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from ...accounts.login import Authenticator, LoginUnavailable
from ...clock import Clock
from ...config.model import ImapTable, LimitsTable
from ...connection import AccountClosed, Connection, ConnectionLost, OpenerClosed, ReadTimeout, ServerStopping
from ...errors import Refusal
from ...store.errors import NoSuchAccount, SourceGone, cause_of
from ...store.interface import Engine
from ...store.past import Past
from ..commands.table import TABLE, Entry
from ..commands.upload import admit
from ..grammar.commands import Command
from ..grammar.reader import Bad, CommandReader, Continue, Line, ReaderLimits, Upload
from .places import Places
from .progress import SLOW, Progress
from .refusals import code_of, line_text, reply_to
from .standing import Standing
from .state import ALREADY_SAID, Answer, BadCommand, Reply, SelectedLost, State
from .talk import FLUSH
from .uidonly import NO_NUMBERS, uses_numbers
from .updates import Updates, always
from .view import NOTHING

if TYPE_CHECKING:
    from ..commands.watching import Notifications

YIELD = 64
"""Commands of one pipeline run before other sessions get a turn."""

TURN = 0.01
"""Seconds that they may take until then: 64 of 30 ms each would be two seconds."""

HEARD = 0.001
"""Seconds for which octets are waited for between two tellings of what others do, where that never ceases: who is told
of it is heard, too. No more, so that many changes are told together; no less, since compressed octets take a turn."""


class SessionEnded(Exception):
    """BYE has been said: nothing more is read from this connection."""


class ImapSession(Standing):
    """See the module. `run()` serves one connection until it ends.

    version: ours, told by ID. hostname: ours, which an IMAP URL may name. past: snapshots of accounts, None where
    nobody sees any. The public attributes are what commands work with.
    """

    __slots__ = (
        "_bad_in_a_row",
        "_quiet_until",
        "_since_wait",
        "_turn_began",
        "clock",
        "hostname",
        "past",
        "places",
        "progress",
        "uid_command",
        "updates",
        "version",
    )

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        authenticator: Authenticator,
        config: ImapTable,
        limits: LimitsTable,
        clock: Clock,
        *,
        version: str = "",
        hostname: str = "",
        past: Past | None = None,
    ) -> None:
        reader = CommandReader(reader_limits(limits))
        reader.literal_plus = config.literal_plus
        super().__init__(connection, engine, authenticator, config, limits, reader)
        self.clock = clock
        self.version = version
        self.hostname = hostname
        self.past = past
        self.places = Places(self)
        self.uid_command = False
        """The command being answered came under UID: every FETCH response then carries UID (RFC 9051 6.4.9)."""
        self.updates = Updates(self)
        self.progress = Progress(self)
        self._since_wait = 0
        self._turn_began = clock.monotonic()
        self._bad_in_a_row = 0
        self._quiet_until: float | None = None

    # Life ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the connection until the client leaves, is told BYE, or is lost.

        Raises what is a fault of ours, after the client was told its short id; CancelledError.
        """
        try:
            self.write(b"* OK [CAPABILITY %b] Restante is ready.\r\n" % self.capability_list())
            while self.state is not State.LOGOUT:
                await self._serve_next()
            await self.flush()
        except (ConnectionLost, SessionEnded):
            pass
        except SelectedLost as lost:
            await self._bye(lost.text, lost.code)
        except ReadTimeout:
            await self._bye(b"Nothing was heard for too long.")
        except ServerStopping:
            await self._bye(b"The server is stopping.", b"UNAVAILABLE")
        except OpenerClosed:
            self.connection.log("session ended", reason="credential closed")
            await self._bye(b"The password of this session opens nothing any more.", b"EXPIRED")
        except (AccountClosed, NoSuchAccount) as closed:  # told by the server, or met in the store before that
            self.connection.log("session ended", reason="account closed")
            if isinstance(closed, NoSuchAccount) and self.place is not None and not self.place.own:
                await self._bye(b"The selected mailbox has been deleted.", b"NONEXISTENT")  # with its owner
            else:
                await self._bye(b"This account has been disabled or removed.", b"CONTACTADMIN")
        except Refusal as refusal:  # met outside a command's own work: the account was removed, the file is damaged
            self.connection.log("session ended", reason=refusal.code, cause=cause_of(refusal))
            await self._bye(line_text(refusal.text), code_of(refusal))
        except Exception:
            await self._bye(b"Internal error %b; it has been noted." % self._short_id(), b"SERVERBUG")
            raise
        finally:
            self.close_watch()
            self.progress.close()
            if self.notifications is not None:
                self.notifications.close()
            self.view_or_none = None
            self.place = None  # a snapshot's store: as long as one is held, the backup is kept open for it
            del self.places, self.updates, self.progress  # they know the session: it goes with its last user, no later

    async def _serve_next(self) -> None:
        """Handle one event, or wait for octets."""
        event = self.reader.next()
        if event is None:
            if self.notifications is not None and self.notifications.at_once:
                await self._listen(self.notifications)
                return
            await self.flush()
            await self._read_more(self._patience())
        elif isinstance(event, Command):
            await self._command(event)
        elif isinstance(event, Continue):
            await self._continue(event.upload)
        elif isinstance(event, Bad):
            await self._bad(event)
        elif isinstance(event, Line):
            self.write(b"* BAD %b\r\n" % self.text(b"That line answers no question."))
        if self.gathered > FLUSH:
            await self.flush()

    async def _continue(self, upload: Upload | None) -> None:
        """Let a literal come, or answer its command at once: the client waits, and has sent none of it."""
        refused = None if upload is None else await self._refused(upload)
        if upload is None or refused is None:
            self.write(b"+ %b\r\n" % self.text(b"Ready for the literal."))
        else:
            self.reader.refuse()
            self.updates.say_told()
            self.write(self.answer(refused, upload.tag))

    async def _refused(self, upload: Upload) -> Reply | None:
        """The answer to a command whose message need not come, None where it may."""
        try:
            await admit(self, upload)
        except BadCommand as bad:
            return Reply(line_text(bad.text), bad.code, Answer.BAD)
        except Refusal as refusal:
            self._note_fault(refusal)
            return reply_to(refusal, try_create=True)
        return None

    def _patience(self) -> float:
        """Seconds that the next octets may take. Before login they may not make a command last for ever: it is the
        receipt of a command that resets the timer (RFC 9051 5.4). Raises ReadTimeout."""
        if self.state is not State.NOT_AUTHENTICATED:
            return self.config.idle_timeout
        now = self.clock.monotonic()
        if self.login_by is None:
            self.login_by = now + self.config.login_timeout
        if now >= self.login_by:
            raise ReadTimeout
        return self.login_by - now

    @property
    def idle_timeout(self) -> float:
        """Seconds of silence allowed now (RFC 9051 5.4)."""
        before_login = self.state is State.NOT_AUTHENTICATED
        return self.config.login_timeout if before_login else self.config.idle_timeout

    async def _listen(self, notifications: Notifications) -> None:
        """Wait for octets, and tell what happens meanwhile (NOTIFY, RFC 5465 3.1).

        Nothing is said while half a command is here: its message numbers are those the client knew when it began.
        """
        midway = self.reader.midway
        if not midway:
            await notifications.tell_between()
        await self.flush()
        now = self.clock.monotonic()
        if self._quiet_until is None:
            self._quiet_until = now + self.idle_timeout
        if now >= self._quiet_until:
            raise ReadTimeout
        if not midway and notifications.pressing:
            await self._wait(self._quiet_until - now, HEARD, wake=False)
        else:
            await self._wait(self._quiet_until - now, None if midway else self.updates.due_in())

    async def _wait(self, timeout: float, wake_in: float | None = None, *, wake: bool = True) -> bool:
        """Read octets; False where `wake_in` seconds, or with `wake` a change of the account, ended the wait before any
        came."""
        try:
            async with asyncio.timeout(wake_in) as limit:
                self.waiting = limit if wake else None
                await self._read_more(timeout)
        except TimeoutError:
            return False
        finally:
            self.waiting = None
        return True

    async def _read_more(self, timeout: float) -> None:
        data = await self.connection.read(timeout)
        self._since_wait = 0
        self._turn_began = self.clock.monotonic()
        self._quiet_until = None
        if not data:
            raise ConnectionLost
        self.reader.feed(data)

    async def _bye(self, text: bytes, code: bytes = b"") -> None:
        """Say BYE if the peer can still hear it."""
        self.say(text, code, b"BYE")
        try:
            await self.flush()
        except ConnectionLost:
            pass  # the peer is gone: there is nobody to tell

    async def end(self, text: bytes, code: bytes = b"") -> NoReturn:
        """Say BYE and end the session."""
        await self._bye(text, code)
        raise SessionEnded

    def _short_id(self) -> bytes:
        return line_text(self.connection.id)

    # Commands --------------------------------------------------------------------------------------------

    async def _command(self, command: Command) -> None:
        """Run one command and answer it."""
        self._bad_in_a_row = 0
        entry = TABLE[type(command)]
        if self.state not in entry.states:
            self.updates.say_told()
            reply = Reply(wrong_state(self.state, entry.states), b"CLIENTBUG", Answer.BAD)
        elif type(command) in SLOW:
            self.progress.begin(command.tag)
            try:
                reply = await self._run(entry, command)
            finally:
                self.progress.end()
        else:
            reply = await self._run(entry, command)
        if self.notifications is not None and self.state & State.LOGGED_IN:
            try:
                await self.notifications.tell(ask=entry.updates is always)
            except Exception:
                self._say_done(reply, command)
                raise
        if reply is not ALREADY_SAID:
            self.write(self.answer(reply, command.tag))
        self.uid_command = False
        self._since_wait += 1
        if self._since_wait >= YIELD or self.clock.monotonic() - self._turn_began > TURN:
            await self._give_way()
        if self.state is State.NOT_AUTHENTICATED:
            self.login_by = None
            self.without_login += 1
            if self.without_login >= self.limits.commands_before_login:
                await self.end(b"Too many commands without login.")

    async def _give_way(self) -> None:
        """A long pipeline leaves room for other sessions."""
        await self.flush()
        await asyncio.sleep(0)
        self._since_wait = 0
        self._turn_began = self.clock.monotonic()

    async def _run(self, entry: Entry, command: Command) -> Reply:
        """The handler's reply, updates of the mailbox written before."""
        self.uid_command = bool(getattr(command, "uid", False))
        if self.dialect.uidonly and uses_numbers(command):
            self.updates.say_told()
            text, code = NO_NUMBERS
            return Reply(line_text(text), code, Answer.BAD)
        reply = None
        view = self.view_or_none
        if entry.updates is None and view is not None and view.untold:
            await self.updates.before_leaving(command)
        try:
            reply = await self._handled(entry, command)
            if self.state is State.SELECTED and entry.updates is not None:
                reply = await self.updates.after(entry.updates(command), reply)
        except SelectedLost as lost:
            if (done := reply or lost.done) is not None:
                self._say_done(done, command)
            raise
        except Exception:
            if reply is not None:
                self._say_done(reply, command)
            raise
        return reply

    def _say_done(self, reply: Reply, command: Command) -> None:
        """Answer a command that is done though the session ends: who does not hear so files his message again."""
        if reply is not ALREADY_SAID:
            self.write(self.answer(reply, command.tag))

    async def _handled(self, entry: Entry, command: Command) -> Reply:
        """The handler's reply, its refusals turned into NO and BAD."""
        try:
            return await entry.handler(self, command)
        except BadCommand as bad:
            return Reply(line_text(bad.text), bad.code, Answer.BAD)
        except Refusal as refusal:
            if isinstance(refusal, NoSuchAccount) and self.place is not None and not self.place.own:
                refusal = SourceGone("The selected mailbox has been deleted.")  # with its owner
            self._note_fault(refusal, type(command).__name__)
            return reply_to(refusal, try_create=entry.files_mail)

    def _note_fault(self, refusal: Refusal, command: str | None = None) -> None:
        """Log a refusal that is the machine's or the file's fault: who is told so can do nothing about it."""
        cause = cause_of(refusal)
        if cause is not None and not isinstance(refusal, LoginUnavailable):  # that has its line
            self.connection.log("store failed", command=command, reason=refusal.code, cause=cause)

    async def _bad(self, bad: Bad) -> None:
        """Answer what the reader refused; end a connection that sends little else but what is no command.

        A NO is none of these errors: who uploads a folder may have twenty messages in a row that are too large."""
        if bad.fatal:
            await self.end(line_text(bad.text), bad.code)
        code = b"[" + bad.code + b"] " if bad.code else b""
        answer = b"NO" if bad.no else b"BAD"
        self.updates.say_told()
        self.write(b"%b %b %b%b\r\n" % (bad.tag, answer, code, self.text(line_text(bad.text))))
        if bad.unsaves and self.view_or_none is not None:
            self.view_or_none.saved = NOTHING  # RFC 5182 2.1
        self._bad_in_a_row = 0 if bad.no else self._bad_in_a_row + 1
        before_login = self.state is State.NOT_AUTHENTICATED
        self.login_by = None
        self.without_login += before_login
        if self._bad_in_a_row >= self.limits.bad_commands:
            await self.end(b"Too many errors in a row.")
        if before_login and self.without_login >= self.limits.commands_before_login:
            await self.end(b"Too many commands without login.")

    # The client's raw lines ------------------------------------------------------------------------------

    async def line(self, timeout: float, *, wake: bool = False, wake_in: float | None = None) -> bytes | None:
        """The client's next raw line, without CRLF (AUTHENTICATE, IDLE).

        timeout: seconds until it must be whole. wake: come back with None as soon as the account has changed;
        wake_in: or after so many seconds. Raises ReadTimeout, ConnectionLost; BadCommand where the reader refuses the
        line.
        """
        self.reader.line_mode = True
        await self.flush()
        until = self.clock.monotonic() + timeout
        loop = asyncio.get_running_loop()
        wake_at = None if wake_in is None else loop.time() + wake_in
        while (event := self.reader.next()) is None:
            left = until - self.clock.monotonic()
            if left <= 0:
                raise ReadTimeout
            if wake and self._has_news():
                wake_at = loop.time() + HEARD
                wake = False
            if not await self._wait(left, None if wake_at is None else wake_at - loop.time(), wake=wake):
                return None
        if isinstance(event, Line):
            self.reader.line_mode = False
            return event.data
        if isinstance(event, Bad):
            if event.fatal:
                await self.end(line_text(event.text), event.code)
            self.reader.line_mode = False
            raise BadCommand(event.text, event.code)
        raise TypeError(f"the reader gave {type(event).__name__} in line mode")

    def _has_news(self) -> bool:
        """Whether something that the client wants to hear has been noted."""
        behind = self.notifications is not None and self.notifications.behind
        return behind or (self.dirty and self.told.messages)


@lru_cache(maxsize=4)
def reader_limits(limits: LimitsTable) -> ReaderLimits:
    """The grammar's bounds as configured."""
    default = ReaderLimits()
    return ReaderLimits(
        line=limits.line,
        line_before_login=min(default.line_before_login, limits.line),
        message=limits.message,
        command=max(limits.append, limits.message) + default.literal,
        set_items=limits.set_items,
        metadata_value=limits.metadata_value,
    )


def wrong_state(now: State, wanted: tuple[State, ...]) -> bytes:
    """Why a command cannot be used now."""
    if now is State.NOT_AUTHENTICATED:
        return b"Log in first."
    if wanted == (State.NOT_AUTHENTICATED,):
        return b"Already logged in."
    return b"Select a mailbox first."
