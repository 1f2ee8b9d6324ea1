"""One IMAP connection: octets in, commands run in order, responses out.

The reader cuts octets into events; each command is looked up in the table of `imap.commands`, checked against
the state, run, and answered. Output is gathered and goes out when no further command is buffered, or when
enough has gathered, so that a pipeline costs one write and a large answer meets back-pressure.

    greeting -> NOT_AUTHENTICATED -> AUTHENTICATED <-> SELECTED -> LOGOUT
                        ^---- UNAUTHENTICATE ----+----------+

The session holds no task and no handle of its own while it waits, and no timer but that of INPROGRESS, which runs out
by itself: it is suspended in `Connection.read`. A watch on the account notes that something changed; in IDLE, and for a
client that used NOTIFY, it also ends that read (the connection's `read` keeps what it has when it is cancelled).

It must not know sockets or SQL, nor what any one command does. RFC 9051 3, 5.2, 5.4, 5.5; RFC 3501.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from ...accounts.login import Admitted, Authenticator, Peer
from ...clock import Clock
from ...config.model import ImapTable, LimitsTable
from ...connection import AccountClosed, Connection, ConnectionLost, OpenerClosed, ReadTimeout, ServerStopping
from ...errors import Refusal
from ...store.directory import Account, fold_address
from ...store.errors import NoSuchAccount
from ...store.interface import Engine, Store, Watch
from ...store.model import FlagTable
from ...store.past import Past
from ..commands import limit
from ..commands.table import TABLE, Entry
from ..commands.upload import admit
from ..grammar.commands import Command
from ..grammar.reader import Bad, CommandReader, Continue, Line, ReaderLimits, Upload
from . import capabilities
from .places import Place, Places
from .progress import SLOW, Progress
from .refusals import code_of, line_text, reply_to
from .state import ALREADY_SAID, AS_EVER, Answer, BadCommand, Dialect, Reply, SelectedLost, State, Told
from .uidonly import uses_numbers
from .updates import Updates, always
from .view import NOTHING, View

if TYPE_CHECKING:
    from ..commands.watching import Notifications

FLUSH = 256 * 1024
"""Octets of output gathered before the peer must take them."""

YIELD = 64
"""Commands of one pipeline run before other sessions get a turn."""


class SessionEnded(Exception):
    """BYE has been said: nothing more is read from this connection."""


class ImapSession:
    """See the module. `run()` serves one connection until it ends.

    version: ours, told by ID. hostname: ours, which an IMAP URL may name. past: snapshots of accounts, None where
    nobody sees any. The public attributes are what commands work with.
    """

    __slots__ = (
        "_bad_in_a_row",
        "_gathered",
        "_out",
        "_quiet_until",
        "_since_wait",
        "_wake",
        "_without_login",
        "account",
        "authenticator",
        "clock",
        "config",
        "connection",
        "dialect",
        "dirty",
        "engine",
        "flag_table",
        "hostname",
        "limits",
        "notifications",
        "own_store_or_none",
        "past",
        "place",
        "places",
        "progress",
        "reader",
        "state",
        "told",
        "uid_command",
        "updates",
        "version",
        "view_or_none",
        "watch",
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
        self.connection = connection
        self.engine = engine
        self.authenticator = authenticator
        self.config = config
        self.limits = limits
        self.clock = clock
        self.version = version
        self.hostname = hostname
        self.past = past
        self.reader = CommandReader(reader_limits(limits))
        self.reader.literal_plus = config.literal_plus
        self.state = State.NOT_AUTHENTICATED
        self.dialect = Dialect()
        self.account: Account | None = None
        self.own_store_or_none: Store | None = None
        self.place: Place | None = None
        """Where the selected mailbox is; None where none is selected."""
        self.places = Places(self)
        self.view_or_none: View | None = None
        self.flag_table: FlagTable | None = None
        self.watch: Watch | None = None
        self.dirty = False
        """The account changed since the view was last brought up to date (a hint)."""
        self.told: Told = AS_EVER
        """What of the selected mailbox the client wants to hear."""
        self.notifications: Notifications | None = None
        """What it wants to hear of everything else: nothing, unless NOTIFY or ENABLE METADATA has asked."""
        self.uid_command = False
        """The command being answered came under UID: every FETCH response then carries UID (RFC 9051 6.4.9)."""
        self.updates = Updates(self)
        self.progress = Progress(self)
        self._out: list[bytes] = []
        self._gathered = 0
        self._since_wait = 0
        self._bad_in_a_row = 0
        self._without_login = 0
        self._wake: asyncio.Timeout | None = None
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
            self.connection.log("session ended", reason=refusal.code)
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

    async def _serve_next(self) -> None:
        """Handle one event, or wait for octets."""
        event = self.reader.next()
        if event is None:
            if self.notifications is not None and self.notifications.at_once:
                await self._listen(self.notifications)
                return
            await self.flush()
            await self._read_more(self.idle_timeout)
        elif isinstance(event, Command):
            await self._command(event)
        elif isinstance(event, Continue):
            await self._continue(event.upload)
        elif isinstance(event, Bad):
            await self._bad(event)
        elif isinstance(event, Line):
            self.write(b"* BAD %b\r\n" % self.text(b"That line answers no question."))
        if self._gathered > FLUSH:
            await self.flush()

    async def _continue(self, upload: Upload | None) -> None:
        """Let a literal come, or answer its command at once: the client waits, and has sent none of it."""
        refused = None if upload is None else await self._refused(upload)
        if upload is None or refused is None:
            self.write(b"+ %b\r\n" % self.text(b"Ready for the literal."))
        else:
            self.reader.refuse()
            self.write(self.answer(refused, upload.tag))

    async def _refused(self, upload: Upload) -> Reply | None:
        """The answer to a command whose message need not come, None where it may."""
        try:
            await admit(self, upload)
        except BadCommand as bad:
            return Reply(line_text(bad.text), bad.code, Answer.BAD)
        except Refusal as refusal:
            return reply_to(refusal, try_create=True)
        return None

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
        if midway or not notifications.pressing:
            await self._wait(self._quiet_until - now, None if midway else self.updates.due_in())

    async def _wait(self, timeout: float, wake_in: float | None = None) -> bool:
        """Read octets; False where a change of the account, or `wake_in` seconds, ended the wait before any came."""
        try:
            async with asyncio.timeout(wake_in) as self._wake:
                await self._read_more(timeout)
        except TimeoutError:
            return False
        finally:
            self._wake = None
        return True

    async def _read_more(self, timeout: float) -> None:
        data = await self.connection.read(timeout)
        self._since_wait = 0
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
        if self._since_wait >= YIELD:  # a long pipeline leaves room for other sessions
            self._since_wait = 0
            await self.flush()
            await asyncio.sleep(0)
        if self.state is State.NOT_AUTHENTICATED:
            self._without_login += 1
            if self._without_login >= self.limits.commands_before_login:
                await self.end(b"Too many commands without login.")

    async def _run(self, entry: Entry, command: Command) -> Reply:
        """The handler's reply, updates of the mailbox written before."""
        self.uid_command = bool(getattr(command, "uid", False))
        if self.dialect.uidonly and uses_numbers(command):
            return Reply(b"Message numbers are not allowed once UIDONLY is enabled.", b"UIDREQUIRED", Answer.BAD)
        reply = None
        try:
            reply = await self._handled(entry, command)
            if self.state is State.SELECTED and entry.updates is not None:
                reply = await self.updates.after(entry.updates(command), reply)
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
            return reply_to(refusal, try_create=entry.files_mail)

    async def _bad(self, bad: Bad) -> None:
        """Answer what the reader refused; end a connection that sends little else."""
        if bad.fatal:
            await self.end(line_text(bad.text), bad.code)
        code = b"[" + bad.code + b"] " if bad.code else b""
        answer = b"NO" if bad.no else b"BAD"
        self.write(b"%b %b %b%b\r\n" % (bad.tag, answer, code, self.text(line_text(bad.text))))
        if bad.unsaves and self.view_or_none is not None:
            self.view_or_none.saved = NOTHING  # RFC 5182 2.1
        self._bad_in_a_row += 1
        before_login = self.state is State.NOT_AUTHENTICATED
        self._without_login += before_login
        if self._bad_in_a_row >= self.limits.bad_commands:
            await self.end(b"Too many errors in a row.")
        if before_login and self._without_login >= self.limits.commands_before_login:
            await self.end(b"Too many commands without login.")

    # For commands: output and input ----------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Gather octets for the peer."""
        self._out.append(data)
        self._gathered += len(data)

    def text(self, said: bytes) -> bytes:
        """A text for people in the client's language (RFC 5255 3)."""
        texts = self.dialect.texts
        return said if texts is None else texts.text(said)

    def answer(self, reply: Reply, tag: bytes) -> bytes:
        """The octets of a tagged response."""
        if self.dialect.texts is not None:
            reply = replace(reply, text=self.text(reply.text))
        return reply.line(tag)

    def say(self, text: bytes, code: bytes = b"", word: bytes = b"OK") -> None:
        """An untagged status response."""
        self.write(b"* %b %b%b\r\n" % (word, b"[" + code + b"] " if code else b"", self.text(text)))

    async def flush(self) -> None:
        """Hand over what has gathered and wait until the peer has taken enough of it."""
        if not self._out:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._gathered = 0
        kept_up = self.connection.send(data)
        del data  # not held while the peer is slow
        if not kept_up:
            await self.connection.drain()

    def say_now(self, response: bytes) -> None:
        """Send a whole response from outside the command that runs; what it has written goes out first.

        Only while that command writes whole responses (see `progress`). Nobody waits for the peer here.
        """
        self._out.append(response)
        self.connection.write(b"".join(self._out))
        self._out.clear()
        self._gathered = 0

    async def flush_if_full(self) -> None:
        """As `flush`, once a batch of output has gathered."""
        if self._gathered > FLUSH:
            await self.flush()

    async def line(self, timeout: float, *, wake: bool = False, wake_in: float | None = None) -> bytes | None:
        """The client's next raw line, without CRLF (AUTHENTICATE, IDLE).

        wake: come back with None as soon as the account has changed; wake_in: or after so many seconds. Raises
        ReadTimeout, ConnectionLost; BadCommand where the reader refuses the line.
        """
        self.reader.line_mode = True
        await self.flush()
        while (event := self.reader.next()) is None:
            if wake and self._has_news():
                return None
            if not await self._wait(timeout, wake_in):
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

    # For commands: who and where -------------------------------------------------------------------------

    @property
    def peer(self) -> Peer:
        """The peer as the accounts room wants to know it."""
        c = self.connection
        return Peer("imap", c.peer, c.loopback, c.secure, c.channel_binding())

    @property
    def own_store(self) -> Store:
        """The store of the account that has logged in. Names go through `places`; the selected mailbox, which may
        be somebody else's, is in `selected_store`."""
        if self.own_store_or_none is None:
            raise RuntimeError("no account before login")
        return self.own_store_or_none

    @property
    def selected_store(self) -> Store:
        """The store that the selected mailbox is in; only in the selected state."""
        if self.place is None:
            raise RuntimeError("no store without a selected mailbox")
        return self.place.store

    @property
    def view(self) -> View:
        """The view of the selected mailbox; only in the selected state."""
        if self.view_or_none is None:
            raise RuntimeError("no view without a selected mailbox")
        return self.view_or_none

    def capability_list(self) -> bytes:
        """What CAPABILITY answers now."""
        if self.state is not State.NOT_AUTHENTICATED:
            config = self.config
            configured = limit.capability(config)
            if self.sets_quota:
                configured += (b"QUOTASET",)  # RFC 9208 1
            return capabilities.after_login(
                config.literal_plus, self.limits.message, turned_off(config.compress, config.unauthenticate), configured
            )
        peer = self.peer
        return capabilities.before_login(
            self.config.literal_plus,
            self.connection.tls_available,
            self.authenticator.plain_allowed(peer),
            self.authenticator.mechanisms(peer),
        )

    @property
    def sets_quota(self) -> bool:
        """Whether this account may change quotas, as configured."""
        admins = self.config.quota_admins
        return (
            bool(admins)
            and self.account is not None
            and (fold_address(self.account.address) in map(fold_address, admins))
        )

    def logged_in(self, admitted: Admitted) -> None:
        """Enter the authenticated state. Raises Refusal where the account has too many connections."""
        account = admitted.account
        self.connection.set_account(account.address, account.id, admitted.opener)
        self.account = account
        self.own_store_or_none = self.engine.account(account.id, session=f"imap {self.connection.id}")
        self.state = State.AUTHENTICATED
        self.reader.authenticated = True

    def forget_user(self) -> None:
        """Back to the state of a new connection, TLS and octets that came already excepted (RFC 8437 3, 4.1).

        Nothing that belongs to the account or to what its client has switched on may outlive this: whatever a
        session keeps besides is to be let go here.
        """
        self.close_watch()
        self.notify(None, AS_EVER)
        self.view_or_none = None
        self.connection.clear_account()
        self.account = None
        self.own_store_or_none = None
        self.place = None
        self.flag_table = None
        self.dirty = False
        self.dialect = Dialect()
        self.reader.utf8 = False
        self.reader.authenticated = False
        self.state = State.NOT_AUTHENTICATED
        self._without_login = 0

    async def flags(self) -> FlagTable:
        """Interned flag sets of the account that the selected mailbox is in."""
        if self.flag_table is None:
            self.flag_table = await self.selected_store.flag_table()
        return self.flag_table

    def enable_condstore(self) -> None:
        """A CONDSTORE-enabling command was seen; the first, with a mailbox selected, is told where things
        stand (RFC 7162 3.1)."""
        if not self.dialect.condstore:
            self.dialect.condstore = True
            if self.view_or_none is not None:
                told = self.view_or_none.told_modseq
                self.say(b"Mod-sequences are told from here on.", b"HIGHESTMODSEQ %d" % told)

    def selected(self, view: View, place: Place) -> None:
        """Enter the selected state."""
        self.view_or_none = view
        self.place = place
        self.state = State.SELECTED

    def listen(self, place: Place, known: int) -> None:
        """Hear of changes of the account that a mailbox is in, from now on. known: its number, as just read."""
        if self.watch is not None and (place.past is not None or self.watch.account != place.store.account):
            self.close_watch()
        if self.watch is None and place.past is None:
            self.watch = self.engine.watch(place.store.account, self._on_change, known)

    def unselected(self, *, listening: bool = False) -> None:
        """Back to the authenticated state; all that was known of the mailbox is let go.

        listening: but not the watch, since another mailbox is selected, in the same account as a rule.
        """
        self.view_or_none = None
        self.dirty = False
        self.place = None
        self.flag_table = None
        if not listening:
            self.close_watch()
        self.state = State.AUTHENTICATED

    def notify(self, notifications: Notifications | None, told: Told) -> None:
        """What the client is told from here on; None and AS_EVER: as without NOTIFY."""
        before, self.notifications, self.told = self.notifications, notifications, told
        if before is not None and before is not notifications:
            before.close()

    def close_watch(self) -> None:
        """Stop listening to the account's changes."""
        if self.watch is not None:
            self.watch.close()
            self.watch = None

    def _on_change(self, modseq: int) -> None:
        """A change of the account was committed somewhere: note it, and end a wait that asked for it."""
        if self.view_or_none is not None and modseq <= self.view_or_none.mailbox.highest_modseq:
            return  # our own, as a rule: the view has it already
        self.dirty = True
        self.wake()

    def wake(self) -> None:
        """End a wait that asked for changes: there may be something to tell."""
        if self._wake is not None and not self._wake.expired():
            self._wake.reschedule(asyncio.get_running_loop().time())


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


@lru_cache(maxsize=4)
def turned_off(compress: bool, unauthenticate: bool) -> frozenset[bytes]:
    """The capabilities that the configuration does not let be announced."""
    on = {capabilities.COMPRESS: compress, capabilities.UNAUTHENTICATE: unauthenticate}
    return frozenset(name for name, announced in on.items() if not announced)


def wrong_state(now: State, wanted: tuple[State, ...]) -> bytes:
    """Why a command cannot be used now."""
    if now is State.NOT_AUTHENTICATED:
        return b"Log in first."
    if wanted == (State.NOT_AUTHENTICATED,):
        return b"Already logged in."
    return b"Select a mailbox first."
