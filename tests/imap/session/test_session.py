"""The life of a connection: greeting, login, TLS, time-outs, bad input, its end. RFC 9051 3, 5.4, 6.1, 6.2, 7.1.5."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
from typing import NoReturn

import pytest

from restante.config.model import ImapTable, LimitsTable
from restante.connection import ReadTimeout, ServerStopping
from restante.imap.commands import idle
from restante.imap.commands.table import TABLE
from restante.imap.grammar import commands, notify
from restante.imap.session import capabilities
from restante.imap.session.refusals import CODES, line_text
from restante.store.sqlite.turns import Turns
from restante.testing.memory import MemoryConnection

from .support import SIMPLE, Authenticator, World, run
from .test_progress import later, play


def test_every_command_has_a_handler_and_every_capability_its_commands() -> None:
    kinds = {
        kind
        for kind in (*vars(commands).values(), notify.Notify)
        if isinstance(kind, type) and issubclass(kind, commands.Command) and kind is not commands.Command
    }
    assert set(TABLE) == kinds
    for capability in capabilities.TABLE:
        assert capability.commands
        assert set(capability.commands) <= kinds


def test_greeting_tells_what_can_be_done_before_login() -> None:
    async def scenario(world: World) -> None:
        greeting = await world.connect().greeting()
        assert greeting.startswith(b"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 ")
        assert b" STARTTLS " in greeting
        assert b" AUTH=PLAIN]" in greeting
        assert b"IDLE" not in greeting
        far = await world.connect(connection=MemoryConnection(loopback=False)).greeting()
        assert b" LOGINDISABLED" in far
        assert b"AUTH=" not in far
        plus = await world.connect(config=ImapTable(literal_plus=True)).greeting()
        assert b" LITERAL+ " in plus
        assert b"LITERAL-" not in plus

    run(scenario)


EXTENSIONS = b"""
SORT SORT=DISPLAY THREAD=REFERENCES THREAD=ORDEREDSUBJECT ESORT CONTEXT=SEARCH CONTEXT=SORT MULTISEARCH PARTIAL
SEARCH=FUZZY FILTERS WITHIN SAVEDATE PREVIEW NOTIFY COMPRESS=DEFLATE MULTIAPPEND CATENATE REPLACE QUOTA
QUOTA=RES-STORAGE QUOTA=RES-MESSAGE QUOTA=RES-MAILBOX ACL RIGHTS=kxte LIST-MYRIGHTS METADATA METADATA-SERVER
LIST-METADATA UTF8=ACCEPT UNAUTHENTICATE LANGUAGE I18NLEVEL=1 MESSAGELIMIT=1000000 UIDONLY INPROGRESS CONDSTORE QRESYNC
OBJECTID BINARY MOVE ESEARCH SEARCHRES LIST-EXTENDED LIST-STATUS STATUS=SIZE SPECIAL-USE CREATE-SPECIAL-USE CHILDREN
UIDPLUS UNSELECT NAMESPACE IDLE ID ENABLE SASL-IR IMAP4rev1 IMAP4rev2 LITERAL-
""".split()
"""Under the names that their RFCs give them, as announced to who has logged in. With APPENDLIMIT, whose number is
configured; QUOTASET is for who may set quotas."""

BEFORE = {
    b"IMAP4rev1",
    b"IMAP4rev2",
    b"SASL-IR",
    b"ENABLE",
    b"ID",
    b"LANGUAGE",
    b"LITERAL-",
    b"AUTH=PLAIN",
    b"STARTTLS",
}


def test_what_is_announced_in_each_state() -> None:
    """The same in every state in which a client has logged in, by CAPABILITY and by the codes of greeting and login."""

    async def scenario(world: World) -> None:
        def names(line: bytes) -> set[bytes]:
            words = line.partition(b"CAPABILITY ")[2].partition(b"\r")[0].partition(b"]")[0].split()
            assert len(words) == len(set(words)), "announced twice"
            return {word for word in words if not word.startswith(b"APPENDLIMIT=")}

        client = world.connect()
        assert names(await client.greeting()) == names(await client.do(b"CAPABILITY")) == BEFORE
        after = set(EXTENSIONS)
        assert names(await client.ok(b"LOGIN user pass")) == after
        for command in (b"NOOP", b"SELECT INBOX", b"ENABLE IMAP4rev2 QRESYNC UTF8=ACCEPT UIDONLY", b"UNSELECT"):
            await client.ok(command)
            got = await client.ok(b"CAPABILITY")
            assert names(got) == after, command
            assert b" APPENDLIMIT=" in got
        await client.ok(b"UNAUTHENTICATE")
        assert names(await client.do(b"CAPABILITY")) == BEFORE

    run(scenario)


def test_login() -> None:
    async def scenario(world: World) -> None:
        client = world.connect()
        await client.greeting()
        assert await client.do(b"LOGIN user wrong") == b"T NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
        assert b"T OK [CAPABILITY " in await client.do(b"LOGIN user pass")
        assert client.connection.account == "user@example.org"
        far = world.connect(connection=MemoryConnection(loopback=False))
        await far.greeting()
        assert b"T NO [PRIVACYREQUIRED]" in await far.do(b"LOGIN user pass")

    run(scenario)


def test_authenticate_with_and_without_initial_response() -> None:
    async def scenario(world: World) -> None:
        proof = base64.b64encode(b"\0user\0pass")
        client = world.connect()
        await client.greeting()
        assert b"T OK [CAPABILITY" in await client.do(b"AUTHENTICATE PLAIN " + proof)
        other = world.connect()
        await other.greeting()
        assert await other.do(b"AUTHENTICATE PLAIN") == b"+ \r\n"
        assert b"t1 OK [CAPABILITY" in await other.raw(proof + b"\r\n", b"t1")
        third = world.connect()
        await third.greeting()
        for answer, word in ((b"*", b"BAD"), (b"not base64!", b"BAD"), (b"AAAA", b"NO [AUTHENTICATIONFAILED]")):
            assert await third.raw(b"x AUTHENTICATE PLAIN\r\n", b"x") == b"+ \r\n"
            assert (await third.raw(answer + b"\r\n", b"x")).startswith(b"x " + word)
        assert b"T OK" in await third.do(b"NOOP")

    run(scenario)


def test_starttls_throws_away_what_came_behind_it() -> None:
    async def scenario(world: World) -> None:
        client = world.connect()
        await client.greeting()
        got = await client.raw(b"a STARTTLS\r\nb LOGIN user pass\r\n", b"a")
        assert got.startswith(b"a OK ")
        after = await client.do(b"CAPABILITY")
        assert b"STARTTLS" not in after
        assert b"\r\nb " not in after
        assert client.connection.account is None
        assert b"T BAD" in await client.do(b"STARTTLS")

    run(scenario)


def test_pipelined_commands_run_in_order() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        pipeline = b"".join(b"p%d NOOP\r\n" % n for n in range(300)) + b"last SELECT INBOX\r\n"
        got = await client.raw(pipeline, b"last")
        tags = [line.split(b" ")[0] for line in got.split(b"\r\n") if line[:1] == b"p"]
        assert tags == [b"p%d" % n for n in range(300)]

    run(scenario)


def test_literals_of_both_kinds() -> None:
    async def scenario(world: World) -> None:
        client = world.connect()
        await client.greeting()
        assert (await client.raw(b"a LOGIN {4}\r\n", b"a")).startswith(b"+ ")
        assert (await client.raw(b"user {4+}\r\npass\r\n", b"a")).startswith(b"a OK")

    run(scenario)


def test_silence_ends_the_connection_with_bye() -> None:
    class Silent(MemoryConnection):
        waits: list[float]

        async def read(self, timeout: float) -> bytes:
            if self._incoming:
                return await super().read(timeout)
            self.waits = [*getattr(self, "waits", []), timeout]
            raise ReadTimeout

    async def scenario(world: World) -> None:
        connection = Silent()
        client = world.connect(connection=connection)
        assert b"\r\n* BYE " in await client.until(lambda written: b"BYE" in written)
        assert connection.waits == [120.0]
        late = Silent()
        late.feed(b"a LOGIN user pass\r\nb IDLE\r\n")
        client = world.connect(connection=late)
        assert b"\r\n+ Listening.\r\n* BYE " in await client.until(lambda written: b"BYE" in written)
        assert late.waits == [1800.0]

    run(scenario)


def test_a_stopping_server_says_bye() -> None:
    class Stopping(MemoryConnection):
        async def read(self, timeout: float) -> bytes:
            raise ServerStopping

    async def scenario(world: World) -> None:
        client = world.connect(connection=Stopping())
        assert b"* BYE [UNAVAILABLE] " in await client.until(lambda written: b"BYE" in written)

    run(scenario)


def test_timeouts_are_as_configured() -> None:
    async def scenario(world: World) -> None:
        short = ImapTable(login_timeout=0.05, idle_timeout=0.05)
        before_login = world.connect(config=short)
        assert b"* BYE " in await before_login.until(lambda written: b"BYE" in written)
        quiet = world.connect(config=ImapTable(idle_timeout=0.05))
        await quiet.greeting()
        assert b"* BYE " in (await quiet.raw(b"a LOGIN user pass\r\n", b"b"))
        idling = world.connect(config=ImapTable(idle_timeout=0.05))
        await idling.greeting()
        idling.connection.feed(b"a LOGIN user pass\r\nb SELECT INBOX\r\nc IDLE\r\n")
        assert b"+ Listening.\r\n* BYE " in await idling.until(lambda written: b"BYE" in written)

    run(scenario)


def test_a_fault_of_ours_tells_its_id_and_reaches_the_edge() -> None:
    class Broken(Authenticator):
        async def password(self, user: bytes, password: bytes, peer: object) -> object:  # type: ignore[override]  # it fails
            raise ZeroDivisionError

    async def scenario(world: World) -> None:
        world.authenticator = Broken()
        client = world.connect()
        await client.greeting()
        client.connection.feed(b"a LOGIN user pass\r\n")
        with pytest.raises(ZeroDivisionError):
            await client.task
        assert b"* BYE [SERVERBUG] Internal error test1" in client.connection.take()
        world.clients.remove(client)

    run(scenario)


def test_too_many_errors_or_commands_before_login_end_it() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(limits=LimitsTable(bad_commands=3))
        await client.greeting()
        assert (await client.do(b"NONSENSE")).startswith(b"T BAD")
        assert (await client.do(b"NOOP")).startswith(b"T OK")
        for _ in range(2):
            assert b"BYE" not in await client.do(b"FETCH (")
        client.connection.feed(b"x FETCH (\r\n")
        assert b"* BYE Too many errors" in await client.until(lambda w: b"BYE" in w)
        other = world.connect(limits=LimitsTable(commands_before_login=5))
        await other.greeting()
        other.connection.feed(b"a NOOP\r\n" * 9)
        got = await other.until(lambda w: b"BYE" in w)
        assert got.count(b"a OK") == 5

    run(scenario)


def test_logout_in_every_state() -> None:
    async def scenario(world: World) -> None:
        for commands_before in ((), (b"LOGIN user pass",), (b"LOGIN user pass", b"SELECT INBOX")):
            client = world.connect()
            await client.greeting()
            for command in commands_before:
                await client.ok(command)
            got = await client.do(b"LOGOUT")
            assert got.startswith(b"* BYE ")
            assert b"\r\nT OK" in got
            await client.task

    run(scenario)


def test_idle_tells_changes_of_others_and_ends_by_done() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        await client.idle()
        await world.file(SIMPLE % (b"new", b"body"))
        assert b"* 1 EXISTS\r\n* 1 RECENT\r\n" in await client.pushed(b"RECENT")
        assert b"t3 OK" in await client.raw(b"DONE\r\n", b"t3")
        await client.idle()
        assert b"t4 BAD" in await client.raw(b"NOOP\r\n", b"t4")
        assert b"T OK" in await client.do(b"NOOP")

    run(scenario)


class Pieces(MemoryConnection):
    """Remembers what was sent in one piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def send(self, data: bytes) -> bool:
        self.pieces.append(data)
        return super().send(data)


def test_compressed_the_continuation_of_idle_is_a_piece_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thunderbird overlooks what comes in one piece with it (test_thunderbird)."""
    monkeypatch.setattr(idle, "APART", 600.0)  # as long as what happens meanwhile may take, and the clock is moved

    async def scenario(world: World) -> None:
        connection = Pieces()
        client = world.connect(connection=connection)
        await client.greeting()
        # EXAMINE: what is told there is read on the loop, where nothing notes what is \Recent no more.
        for command in (b"LOGIN user pass", b"COMPRESS DEFLATE", b"EXAMINE INBOX"):
            await client.ok(command)
        await world.add(b"new")
        await client.idle()
        await world.add(b"another")  # a hint does not end the pause, nor does half a line
        connection.feed(b"DO")
        await later(idle.APART / 2)
        for _ in range(30):
            await asyncio.sleep(0)
        assert connection.pieces[-1] == b"+ Listening.\r\n"
        await later(idle.APART / 2)
        await client.pushed(b"* 2 EXISTS\r\n")
        assert connection.pieces[-2:] == [b"+ Listening.\r\n", b"* 2 EXISTS\r\n* 2 RECENT\r\n"]
        connection.feed(b"NE\r\n")
        await client.pushed(b"OK IDLE")

    play(scenario)


def test_many_idle_sessions_hear_of_one_change() -> None:
    async def scenario(world: World) -> None:
        clients = [await world.client(b"SELECT INBOX") for _ in range(30)]
        tasks = len(asyncio.all_tasks())
        for client in clients:
            await client.idle()
        assert len(asyncio.all_tasks()) <= tasks
        await world.file(SIMPLE % (b"new", b"body"))
        for client in clients:
            assert b"* 1 EXISTS" in await client.pushed(b"EXISTS")
        lists = {id(client.session.view.uids) for client in clients}
        assert len(lists) == 1  # one shared list of UIDs

    run(scenario)


@pytest.mark.parametrize("text", ["ünïcode", "two\r\nlines", ""])
def test_texts_stay_on_their_line(text: str) -> None:
    octets = line_text(text)
    assert octets.isascii()
    assert octets
    assert b"\r" not in octets
    assert b"\n" not in octets


def test_refusals_stand_before_their_bases() -> None:
    for i, (kind, _) in enumerate(CODES):
        assert not any(issubclass(kind, earlier) for earlier, _ in CODES[:i])


def test_rfc9051_7_1_once_there_is_no_room_for_keywords_none_is_invited() -> None:
    system = b"\\Answered \\Flagged \\Deleted \\Seen \\Draft"

    async def scenario(world: World) -> None:
        await world.file(SIMPLE % (b"one", b"1"))
        client = world.connect(limits=LimitsTable(keywords=2))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        assert b"[PERMANENTFLAGS (" + system + b" \\*)]" in await client.ok(b"SELECT INBOX")
        assert b"[PERMANENTFLAGS (" + system + b" one \\*)]" in await client.ok(b"STORE 1 +FLAGS (one)")
        got = await client.do(b"STORE 1 +FLAGS (two three)")
        assert b"* OK [PERMANENTFLAGS (" + system + b" one)] " in got
        assert b"T NO [LIMIT] " in got
        await client.ok(b"STORE 1 +FLAGS (two)")
        assert b"[PERMANENTFLAGS (" + system + b" one two)]" in await client.ok(b"SELECT INBOX")

    run(scenario, keywords=2)


@pytest.mark.parametrize("silent", [b"", b".SILENT"])
def test_rfc9051_7_1_the_keyword_that_was_the_last_to_fit_is_told_with_it(silent: bytes) -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        client = world.connect(limits=LimitsTable(keywords=2))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        await client.ok(b"SELECT INBOX")
        assert b"Draft one)] " not in await client.ok(b"STORE 1 +FLAGS%b (one)" % silent)
        got = await client.ok(b"STORE 1 FLAGS%b (one two)" % silent)
        assert got.startswith(
            b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft one two)\r\n"
            b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft one two)] "
        )
        assert b"PERMANENTFLAGS" not in await client.ok(b"STORE 2 +FLAGS%b (two)" % silent), "it is known"

    run(scenario, keywords=2)


def test_keywords_that_other_mailboxes_use_up_are_offered_no_more() -> None:
    """Also to a session that opens again a mailbox in which nothing has changed."""

    async def scenario(world: World) -> None:
        await world.add(b"here")
        client = world.connect(limits=LimitsTable(keywords=2))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        await client.ok(b"CREATE Elsewhere")
        await world.add(b"there", mailbox="Elsewhere")
        for _ in range(2):  # the second time from what is kept
            assert b" \\*)]" in await client.ok(b"SELECT INBOX")
        other = await world.client(b"SELECT Elsewhere")
        await other.ok(b"STORE 1 +FLAGS.SILENT (one two)")
        got = await client.ok(b"SELECT INBOX")
        assert b"[PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft one two)]" in got
        assert b"* 1 EXISTS" in got

    run(scenario, keywords=2)


@pytest.mark.parametrize("begun", [b"", b"x AUTHENTICATE PLAIN\r\n"], ids=["command", "SASL"])
def test_octets_that_make_no_command_do_not_keep_a_connection_without_login(begun: bytes) -> None:
    async def scenario(world: World) -> None:
        client = world.connect(config=ImapTable(login_timeout=120))
        await client.greeting()
        await client.do(b"NOOP")
        if begun:
            assert await client.raw(begun, b"x") == b"+ \r\n"
        for octet in (b"A", b"B", b"C"):
            client.connection.feed(octet)
            await asyncio.sleep(0)
            world.clock.advance(50)
        client.connection.feed(b"D")
        assert b"* BYE Nothing was heard for too long." in await client.until(lambda written: b"BYE" in written)

    run(scenario)


def test_each_command_gives_a_connection_without_login_its_time_again() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(config=ImapTable(login_timeout=120))
        await client.greeting()
        for command in (b"NOOP", b"NONSENSE", b"CAPABILITY", b"LOGIN user wrong", b"LOGIN user pass", b"NOOP"):
            client.connection.feed(b"a")
            await asyncio.sleep(0)
            world.clock.advance(100)
            assert b" BYE " not in await client.raw(b" " + command + b"\r\n", b"a")

    run(scenario)


def test_rfc9051_6_3_9_patterns_cost_no_more_than_names_can_need() -> None:
    """What is longer than any name is passed over unread, many patterns are bounded together."""

    async def scenario(world: World) -> None:
        client = await world.client(b"ENABLE IMAP4rev2", b"CREATE a/b")
        for long in (b"ab" * 8_000, "".join(map(chr, range(0x20000, 0x20F00))).encode()):
            for command in (b'LIST "" {%d+}\r\n%b*', b'LSUB "" {%d+}\r\n%b*', b"LIST {%d+}\r\n%b %%"):
                client.session.reader.literal_plus = True
                got = await client.do(command % (len(long) + (command[-1:] == b"*"), long))
                assert got == b"T OK %b completed.\r\n" % command[:4], got[:100]
        many = b" ".join(b'"*f*o*l*d*e*r*%d*z"' % number for number in range(1_000))
        assert b"T NO [LIMIT]" in await client.do(b'LIST "" (%b)' % many)
        names = b" ".join(b"a/%d" % number for number in range(999))
        got = await client.ok(b'LIST "" (%b a/b)' % names)
        assert got == b'* LIST (\\HasNoChildren) "/" a/b\r\nT OK LIST completed.\r\n'
        name = b"&AOQ-a" * 3_000
        assert b"T NO [CANNOT]" in await client.do(b"CREATE {%d+}\r\n%b" % (len(name), name))
        name = b"a" * 16_000
        got = await client.do(b'LIST "" (%b)' % b" ".join([b"{%d+}\r\n%b" % (len(name), name)] * 20))
        assert b"T NO [LIMIT]" in got

    run(scenario)


def test_rfc5530_3_bounds_on_names_are_limits_also_where_the_store_meets_them() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"CREATE a")
        for command in (b"CREATE b/c", b"RENAME a b/c/d", b"RENAME INBOX b/c"):
            assert b"T NO [LIMIT] " in await client.do(command)
        for number in range(5):
            await client.ok(b"CREATE s%d" % number)
            await client.ok(b"SUBSCRIBE s%d" % number)
            await client.ok(b"DELETE s%d" % number)
        await client.ok(b"CREATE s")
        assert b"T NO [LIMIT] " in await client.do(b"SUBSCRIBE s")

    run(scenario, mailboxes=3)


def test_what_is_refused_by_no_is_no_error_of_the_client() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(limits=LimitsTable(bad_commands=3, message=10))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        await client.ok(b"SELECT INBOX")
        for number in range(5):
            assert b" NO [TOOBIG] " in await client.raw(b"a%d APPEND INBOX {11}\r\n" % number, b"a%d" % number)
            assert b" NO [BADCHARSET " in await client.do(b"SEARCH CHARSET X-NONE ALL")
        await client.ok(b"NOOP")
        for _ in range(2):
            assert b"T BAD" in await client.do(b"NOSUCH")
        client.connection.feed(b"a NOSUCH\r\n")
        assert b"* BYE Too many errors" in await client.until(lambda written: b"BYE" in written)

    run(scenario)


def test_a_command_that_the_disk_refuses_is_logged_with_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks can do nothing about it; who runs the server has to hear of it."""

    def failing(*_: object) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "/data/run/locks/turns")

    async def scenario(world: World) -> None:
        client = await world.client()
        monkeypatch.setattr(Turns, "take", failing)
        assert b"T NO [UNAVAILABLE] " in (answer := await client.do(b"CREATE letters"))
        assert b"/data" not in answer
        assert b"T NO [NONEXISTENT] " in await client.do(b"SELECT letters")  # a refusal of what was asked for is none
        told = {
            "command": "Create",
            "reason": "STORE-FAILED",
            "cause": f"{os.strerror(errno.EIO)}: /data/run/locks/turns",
        }
        assert client.connection.events == [("store failed", told)]

    run(scenario)


def test_new_mail_is_shown_though_it_cannot_be_noted_that_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 3501 2.3.2: where it cannot be known which session is the first, a message is recent."""

    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def scenario(world: World) -> None:
        await world.add(b"one")
        first = await world.client(b"SELECT INBOX")
        await world.add(b"two")
        with monkeypatch.context() as patch:
            patch.setattr(Turns, "take", full)
            answer = await first.do(b"NOOP")
            assert b"* 2 EXISTS\r\n* 2 RECENT\r\n" in answer
            assert b"T OK" in answer
            second = await world.client()
            answer = await second.do(b"SELECT INBOX")
            assert b"* 2 EXISTS\r\n" in answer
            assert b"* 1 RECENT\r\n" in answer
            assert b"T OK [READ-WRITE]" in answer
            assert [event for event, _ in second.connection.events] == ["recent not noted"]
        third = await world.client()
        assert b"* 1 RECENT\r\n" in await third.ok(b"SELECT INBOX")
        fourth = await world.client()
        assert b"* 0 RECENT\r\n" in await fourth.ok(b"SELECT INBOX")

    run(scenario)


def test_rfc5258_3_an_empty_pattern_names_nothing_in_the_extended_form() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        for command in (b'LIST () INBOX ""', b'LIST INBOX ("")', b'LIST INBOX "" RETURN ()', b'LIST INBOX ("" x)'):
            assert await client.ok(command) == b"T OK LIST completed.\r\n"
        assert await client.ok(b'LIST INBOX ""') == b'* LIST (\\Noselect) "/" ""\r\nT OK LIST completed.\r\n'

    run(scenario)


@pytest.mark.parametrize(
    "pattern", [b"R&D", b"&AGE-", b'"a\x01"', b"{2+}\r\n\xff*", b"!#$&'+,-.0123456789:;<=>?@^_`|[}%*"]
)
def test_rfc9051_6_3_9_a_pattern_that_is_no_name_is_ignored(pattern: bytes) -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        for command in (b'LIST "" %b', b'LIST () "" %b', b'LSUB "" %b', b"LIST %b %%"):
            if b"*" in pattern and command.startswith(b"LIST %b"):
                continue  # a reference has no wildcards but within a string
            assert await client.do(command % pattern) == b"T OK %b completed.\r\n" % command[:4].strip()
        got = await client.ok(b'LIST "" (%b INBOX)' % pattern)
        assert got == b'* LIST (\\HasNoChildren) "/" INBOX\r\nT OK LIST completed.\r\n'
        await client.ok(b"ENABLE UTF8=ACCEPT")
        assert b"T BAD" in await client.do(b'LIST "" {2+}\r\n\xff*')

    run(scenario)


@pytest.mark.parametrize(("seconds", "least"), [(0.0, 1), (0.02, 20)])
def test_commands_that_take_long_give_way_each(monkeypatch: pytest.MonkeyPatch, seconds: float, least: int) -> None:
    """64 that came at once, of 30 ms each, would hold up everybody for two seconds."""

    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        turns: list[int] = []

        async def others() -> None:
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        reading = world.clock.monotonic

        def later() -> float:
            world.clock.advance(seconds)
            return reading()

        monkeypatch.setattr(world.clock, "monotonic", later)
        task = asyncio.create_task(others())
        client.connection.feed(b"".join(b"a%d NOOP\r\n" % n for n in range(20)))
        await client.until(lambda written: written.count(b" OK ") == 20)
        task.cancel()
        assert least <= len(turns) < 3 * least + 15

    run(scenario)
