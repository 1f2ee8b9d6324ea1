"""From a copy's table to its parts: which sides, which engine, which way out. The one place that knows all kinds.

Everything is imported where it is used: a copy over IMAP into a Maildir pays for neither POP3 nor a store.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import Clock, Random
from ..errors import Refusal
from ..values import Value
from .config import Copies, CopyTable, LoginTable, SendTable, Server, expand, parse_server, source_of
from .copy import Copy, Fetched, Pop3Copy, RunReport, Wait, never
from .handed import take
from .places import CopyPlaces, outbox_folder
from .secrets import Kind, Secret, secret_of
from .unchanged import record

if TYPE_CHECKING:
    from .engine.context import Meanwhile
    from .handed import Handed
    from .model import Place
    from .outbox.outcome import Outcome
    from .outbox.sender import Sender
    from .outbox.submission import Submission
    from .pop3.settings import Pop3Settings
    from .refused import Refusals
    from .remote import RemoteAddress
    from .settings import CopySettings, Progress, Report
    from .side import Side


class Wishes(Value, frozen=True):
    """What the caller wants of all copies: mailboxes to look at (none: all), nothing changed, or watching.

    same_account: the account that a copy is of now is the one it was made of, by another name. login: log in now,
    though the last login was refused. retry: try again, in the first run, what was set aside.
    """

    only: tuple[str, ...] = ()
    dry_run: bool = False
    watching: bool = False
    same_account: bool = False
    login: bool = False
    retry: bool = False


class Brought(Value, frozen=True):
    """What became of placeholders (mailbox and UID of the copy) whose messages were asked for. failed: those that could
    not be brought, and why. left: those that were not asked for, the copy having no room for the one before them."""

    failed: Mapping[tuple[str, int], Refusal]
    left: Sequence[tuple[str, int]] = ()


@contextmanager
def assemble(
    copies: Copies,
    data: Path,
    wishes: Wishes,
    clock: Clock,
    random: Random,
    *,
    progress: Callable[[str, Progress], None],
    tell: Callable[[RunReport], None],
) -> Iterator[list[Copy | Pop3Copy]]:
    """The copies, ready to be opened. A loop must run; what listens for words of the outbox ends with the context."""
    with ExitStack() as stack:
        made: list[Copy | Pop3Copy] = []
        for name, table in copies.copies.items():
            places = CopyPlaces(data, name)
            outbox: LateSender | None = None
            word: Wait = never
            if table.send.smtp and not wishes.dry_run:
                outbox = LateSender(places, table, clock, random, login=wishes.login)
                if wishes.watching:
                    word = stack.enter_context(_outbox_word(data, name))

            def note(done: Progress, name: str = name) -> None:
                progress(name, done)

            if table.imap:
                parts = ImapParts(places, table, wishes, clock, random, copies)
                made.append(
                    Copy(
                        places, parts, clock, takes=parts.settings.takes, tell=tell, progress=note,
                        outbox=outbox, outbox_word=word, outbox_mailbox=table.send.outbox if outbox else "",
                        remember=not wishes.dry_run,
                    )
                )  # fmt: skip
            else:
                fetch = Pop3Parts(places, table, wishes, clock, random)
                made.append(
                    Pop3Copy(
                        places, fetch, clock, tell=tell, progress=note,
                        outbox=outbox, outbox_word=word, outbox_mailbox=table.send.outbox if outbox else "",
                        remember=not wishes.dry_run,
                    )
                )  # fmt: skip
        yield made


@contextmanager
def _outbox_word(data: Path, name: str) -> Iterator[Wait]:
    """Waits for a word that something was spooled for a copy."""
    from ..config.paths import run_directory
    from .outbox.wake import listening, socket_path

    event = asyncio.Event()

    async def wait() -> None:
        await event.wait()
        event.clear()

    with listening(socket_path(run_directory(data), name), event):
        yield wait


# Both ways: IMAP -----------------------------------------------------------------------------------------


class _Parts:
    """What a copy of either kind is made of."""

    def __init__(self, places: CopyPlaces, table: CopyTable, wishes: Wishes, clock: Clock, random: Random) -> None:
        self._places = places
        self._table = table
        self._wishes = wishes
        self._clock = clock
        self._random = random
        self._secret = secret_of(table, places.token(), clock.now)
        self._retry = wishes.retry and not wishes.dry_run

    def local(self) -> Side:
        return local_side(self._places, self._table, self._clock, self._random)

    def _refusals(self) -> Refusals:
        """Of logins to the server. What the last run found unchanged is forgotten with one: the next run is not to log
        in before it has looked here."""
        about = f"{source_of(self._table).host} as {self._table.user}"
        return refusals_of(
            self._places, about, self._secret.kind, self._clock, self._random, at_once=self._wishes.login
        )


class ImapParts(_Parts):
    """Sides and engine of one copy (`copy.Parts`)."""

    def __init__(
        self,
        places: CopyPlaces,
        table: CopyTable,
        wishes: Wishes,
        clock: Clock,
        random: Random,
        copies: Copies | None = None,
    ) -> None:
        """copies: the file that the copy stands in, where a run may note that it found nothing to do (`unchanged`)."""
        super().__init__(places, table, wishes, clock, random)
        self.settings = copy_settings(places, table)
        self._copies = None if wishes.watching or wishes.dry_run or wishes.only else copies
        self._loaded = clock.now()

    @property
    def sign(self) -> str:
        """See `copy.Parts`."""
        return remote_address(source_of(self._table), self._table, self._secret.kind).sign

    def remote(self, known: Sequence[Place]) -> Side:
        from .remote import RemoteSide, Settings

        table = self._table
        settings = Settings(
            connections=table.connections,
            rate=table.bandwidth or None,
            compress=None if table.compress else False,
            stalled=table.stalled,
        )
        return RemoteSide(
            remote_address(source_of(table), table, self._secret.kind), asked(self._secret), settings,
            known=known, spool=self._places.parts, clock=self._clock, random=self._random, refusals=self._refusals(),
            handed=self._handed(),
        )  # fmt: skip

    def _handed(self) -> Handed | None:
        """What the look whether anything had changed has left open (`unchanged`)."""
        table, server = self._table, source_of(self._table)
        if server.tls == "starttls":
            return None
        trusted = str(expand(table.certificate)) if table.certificate else None
        return take(self._places.name, (server.host, server.port, server.tls == "implicit", trusted, table.user))

    async def run(self, one: Side, two: Side, progress: Callable[[Progress], None], meanwhile: Meanwhile) -> Report:
        from . import engine
        from .state import State

        self._places.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = record.state_stamp(str(self._places.state))
        state = State.open(self._places.state)
        try:
            if self._retry:
                state.retry_aside()
                self._retry = False
            if self.settings.headers_first and not self._wishes.dry_run:
                from .engine.afterwards import run_headers_first

                report = await run_headers_first(
                    self.settings, one, two, state, self._clock,
                    only=self._wishes.only, same_account=self._wishes.same_account, progress=progress,
                    meanwhile=meanwhile,
                )  # fmt: skip
            else:
                report = await engine.run(
                    self.settings, one, two, state, self._clock,
                    only=self._wishes.only, dry_run=self._wishes.dry_run, same_account=self._wishes.same_account,
                    progress=progress,
                )  # fmt: skip
        finally:
            state.close()
        await self._note(report, before, one, two)
        return report

    async def _note(self, report: Report, before: list[int] | None, one: Side, two: Side) -> None:
        """Let the next run see whether all is as this one left it, where this one found nothing to do."""
        after = record.state_stamp(str(self._places.state))
        if not report.quiet or report.left_out or self._copies is None or before is None or before != after:
            record.forget(str(self._places.folder))
            return
        from .unchanged.note import note

        heard, taken = getattr(one, "heard", None), getattr(two, "taken", None)
        if callable(picture := getattr(two, "picture", None)):
            try:
                taken = await picture()
            except Refusal:  # the run itself is done: the next one says what is wrong
                taken = None
        note(self._places, self._copies, self._table, self._loaded, before, heard, taken, getattr(two, "stamps", None))

    async def fetch(self, picks: Sequence[tuple[str, int]]) -> Brought:
        """Put the messages themselves in place of these placeholders (mailbox and UID of the copy), until one is not
        taken for want of room. Raises what concerns the others as well."""
        from .copy import Held
        from .engine.placeholder import NoPlaceholder, NothingTaken, fetch_placeholder
        from .side import MailboxUnavailable
        from .state import State

        failed: dict[tuple[str, int], Refusal] = {}

        one, two = Held(self.remote(())), Held(self.local())
        state = State.open(self._places.state)
        try:
            await one.side.open()
            await two.side.open()
            for number, (mailbox, uid) in enumerate(picks):
                try:
                    await fetch_placeholder(
                        self.settings, one.as_side(), two.as_side(), state, self._clock, mailbox, uid
                    )
                except NothingTaken as refusal:
                    failed[mailbox, uid] = refusal
                    return Brought(failed, picks[number + 1 :])
                except (MailboxUnavailable, NoPlaceholder) as refusal:
                    failed[mailbox, uid] = refusal
        finally:
            state.close()
            try:
                await one.side.close()
            finally:
                await two.side.close()
        return Brought(failed)


def refusals_of(
    places: CopyPlaces, about: str, kind: Kind, clock: Clock, random: Random, *, at_once: bool = False, use: str = ""
) -> Refusals:
    """The logins of a copy that were refused. use: as for `CopyPlaces.token`."""
    from .refused import Refusals

    return Refusals(
        places.login(use), about, clock, random, token=kind is Kind.TOKEN, at_once=at_once,
        noting=lambda: record.forget(str(places.folder)),
    )  # fmt: skip


def copy_settings(places: CopyPlaces, table: CopyTable) -> CopySettings:
    """What the engine is told. The Outbox of a copy that sends is left out: what lies there is on its way."""
    from .settings import Brake, CopySettings, Trash

    brake, trash = table.brake, table.trash
    return CopySettings(
        name=places.name,
        include=tuple(table.mailboxes),
        exclude=tuple(table.exclude),
        outbox=(table.send.outbox or None) if table.send.smtp else None,
        removal_wins=table.removal_wins,
        removals=table.removals,
        brake=Brake(brake.on, brake.vanished, brake.emptied, brake.share, brake.least, brake.number, brake.window),
        trash=Trash(trash.days, None if trash.mailbox else places.trash, trash.mailbox or None),
        largest=table.largest or None,
        headers_first=table.headers_first or None,
        newest_first=not table.store if table.newest_first == "auto" else table.newest_first,
        at_once=table.connections,
    )


def remote_address(server: Server, login: LoginTable, kind: Kind) -> RemoteAddress:
    """An IMAP server, and how to get in with this kind of secret."""
    from .remote import RemoteAddress

    return RemoteAddress(
        server.host,
        server.port,
        "tls" if server.tls == "implicit" else "starttls" if server.tls == "starttls" else "none",
        login.user,
        "token" if kind is Kind.TOKEN else "password",
        clear_text=server.tls == "none",  # written by a person, so wished
        trusted=str(expand(login.certificate)) if login.certificate else None,
    )


def asked(secret: Secret) -> Callable[..., Awaitable[str]]:
    """A secret as `remote` asks for it. A password that was refused is not asked for again: it would be the same, and
    count as one more failed login."""

    async def ask(*, refused: bool = False) -> str:
        return await secret.get(fresh=refused and secret.kind is Kind.TOKEN)

    return ask


def local_side(places: CopyPlaces, table: CopyTable, clock: Clock, random: Random) -> Side:
    """The copy itself: a Maildir tree or an account of a store."""
    if table.store:
        from .local import open_local

        return open_local(places.data, table.store)
    from .maildir import Layout, MaildirSide

    inbox = {"": None, ".": ""}.get(table.inbox, table.inbox)
    return MaildirSide(
        expand(table.maildir), places.folder / "maildir.db",
        layout=Layout(table.layout), inbox=inbox, utf8=table.utf8, clock=clock, random=random,
        drops=table.send.outbox if table.send.smtp else "",
    )  # fmt: skip


# One way: POP3 -------------------------------------------------------------------------------------------


class Pop3Parts(_Parts):
    """Target and fetch of one copy (`copy.Fetch`)."""

    async def run(self, progress: Callable[[Progress], None]) -> Fetched:
        from .pop3.fetch import fetch
        from .pop3.mbox_target import MboxTarget
        from .pop3.state import Pop3State
        from .settings import End, Progress

        def note(done: int, of: int, octets: int) -> None:
            progress(Progress(self._table.download.mailbox, End.TWO, done, of, octets))

        self._check_only()
        self._places.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mbox, journal = expand(self._table.mbox), self._places.folder / "mbox.part"
        target = MboxTarget(mbox, journal) if self._table.mbox else self.local()
        settings = pop3_settings(self._table, self._secret, self._refusals(), self._clock)
        with Pop3State(self._places.pop3, settings.source) as state:
            if self._retry:
                state.retry_refused()
                self._retry = False
            report = await fetch(
                settings, target, state, self._clock,
                dry_run=self._wishes.dry_run, progress=note, random=self._random,
            )  # fmt: skip
        left = tuple(f"message {each.number} ({each.size} octets): {each.reason}" for each in report.left)
        return Fetched(
            report.listed, report.downloaded, report.octets, report.recognised, report.deleted, report.remaining,
            left, report.notes, report.passed,
        )  # fmt: skip

    def _check_only(self) -> None:
        """What comes by POP3 goes to one mailbox. Raises NoSuchMailbox where another is asked for."""
        if not self._wishes.only:
            return
        from .engine.only import NoSuchMailbox
        from .patterns import canonical

        mailbox = canonical(self._table.download.mailbox)
        for name in map(canonical, self._wishes.only):
            if name != mailbox:
                raise NoSuchMailbox(
                    f'The copy {self._places.name} has no mailbox "{name}".', f"What POP3 brings goes to {mailbox}."
                )


def pop3_settings(table: CopyTable, secret: Secret, refusals: Refusals, clock: Clock) -> Pop3Settings:
    """What the fetch is told."""
    from .bucket import Bucket
    from .pop3.settings import Auth, Pop3Settings, Security

    server, download = source_of(table), table.download
    security = {"implicit": Security.TLS, "starttls": Security.STLS, "none": Security.NONE}[server.tls]

    async def ask(renew: bool) -> str:
        return await secret.get(fresh=renew)

    token = secret.kind is Kind.TOKEN and download.auth == "auto"

    return Pop3Settings(
        server.host,
        server.port,
        table.user,
        ask,
        security=security,
        auth=Auth.TOKEN if token else Auth(download.auth),
        ca_file=expand(table.certificate) if table.certificate else None,
        mailbox=download.mailbox,
        delete_after=None if download.delete_after < 0 else download.delete_after,
        only_new=download.only_new,
        largest=table.largest or None,
        seen=download.seen,
        session_messages=download.session_messages or None,
        refusals=refusals,
        bucket=Bucket(table.bandwidth, clock) if table.bandwidth else None,
    )


# The way out ---------------------------------------------------------------------------------------------


class LateSender:
    """The outbox of a copy, imported once there is something in it: most runs find nothing."""

    def __init__(
        self, places: CopyPlaces, table: CopyTable, clock: Clock, random: Random, *, login: bool = False
    ) -> None:
        """login: as in `Wishes`."""
        self._places = places
        self._table = table
        self._clock = clock
        self._random = random
        self._login = login

    async def run(self, side: Side | None) -> Outcome:
        from .outbox.outcome import Outcome

        if side is not None and not self._spooled() and await self._nothing_dropped(side):
            return Outcome()
        sender = sender_of(self._places, self._table, self._clock, self._random, login=self._login)
        return await sender.run(side)

    def _spooled(self) -> bool:
        """Of any copy; or octets that a crash left, which are the sender's to tidy."""
        try:
            with os.scandir(outbox_folder(self._places.data)) as found:
                return any(not entry.name.endswith(".lock") for entry in found)
        except FileNotFoundError:
            return False

    async def _nothing_dropped(self, side: Side) -> bool:
        """The Outbox mailbox is there, and empty."""
        from .side import drops_of

        name = self._table.send.outbox
        if not name:
            return True
        if not any(place.name == name and place.messages == 0 for place in await side.places()):
            return False
        drops = drops_of(side)
        return drops is None or await drops.gather(name) == 0


def sender_of(places: CopyPlaces, table: CopyTable, clock: Clock, random: Random, *, login: bool = False) -> Sender:
    """The outbox of a copy that sends. login: as in `Wishes`."""
    from .outbox.hand import prepare
    from .outbox.sender import Outgoing, Sender
    from .outbox.spool import Spool
    from .outbox.taking import Taking

    send = table.send
    server = parse_server("smtp", send.smtp, send.tls)
    spool = Spool(outbox_folder(places.data), clock, random)
    taking = None
    if send.outbox:
        taking = Taking(spool, places.name, send.outbox, lambda raw: prepare(table, raw, clock.now(), random))

    def connect() -> Submission:
        return submission(places, table, server, clock, random, login=login)

    return Sender(
        Outgoing(places.name, str(server), send.give_up, send.sent, send.file), spool, connect, clock, random, taking
    )


def submission(
    places: CopyPlaces, table: CopyTable, server: Server, clock: Clock, random: Random, *, login: bool = False
) -> Submission:
    """A connection to the submission server, with the login that sending has or else the copy's own."""
    from .outbox.submission import Submission

    send: SendTable = table.send
    own = bool(send.password_command or send.password_file or send.keyring or send.oauth2 != type(send.oauth2)())
    secret = secret_of(send, places.token("send-"), clock.now) if own else secret_of(table, places.token(), clock.now)
    certificate = send.certificate or table.certificate
    user = send.user or table.user
    return Submission(
        server, user, secret,
        certificate=expand(certificate) if certificate else None, random=random,
        refusals=refusals_of(
            places, f"{server.host} as {user}", secret.kind, clock, random, at_once=login, use="send-"
        ),
    )  # fmt: skip
