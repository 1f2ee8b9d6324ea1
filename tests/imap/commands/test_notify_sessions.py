"""NOTIFY in sessions: when something is told, when not, and what ends it. RFC 5465."""

from __future__ import annotations

import asyncio

import pytest

from restante.config.model import ImapTable
from restante.connection import ReadTimeout
from restante.imap.commands import watching
from restante.imap.session.state import AS_EVER, NOTHING_TOLD
from restante.query.language import HasFlag
from restante.store.annotation import ACCOUNT
from restante.store.changes import AccountChanges
from restante.store.errors import StoreFailed
from restante.store.model import FlagMode, Flags, Mailbox
from restante.store.sqlite.account import SqliteStore

from ..session.support import SIMPLE, Client, World, run


async def noticed(client: Client) -> None:
    """The session has been hinted that something changed."""
    async with asyncio.timeout(10):
        while not client.session._has_news():  # noqa: ASYNC110 - the hint is a callback that tells nobody else
            await asyncio.sleep(0)


def watched(world: World) -> int:
    """Watches on accounts, of all sessions."""
    accounts = (one for one in world.engine._hints._watched.values() if one.path is not None)
    return sum(len(one.watches) for one in accounts)


async def silent(client: Client) -> None:
    """Nothing is told between commands, nor with the next one."""
    assert await client.ok(b"NOOP") == b"T OK NOOP completed.\r\n"


def test_nothing_is_told_while_half_a_command_is_here() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        client = await world.client(b"SELECT INBOX", b"NOTIFY SET (selected (MessageNew MessageExpunge))")
        client.connection.feed(b"x FETCH 3 ")
        box = client.session.view.mailbox.key
        await world.store.expunge(box, ((1, 1),), deleted_only=False)
        await noticed(client)
        assert client.connection.take() == b""
        client.connection.feed(b"(UID)\r\n")
        got = await client.pushed(b"EXPUNGE")
        assert got == b"* 3 FETCH (UID 3)\r\nx OK FETCH completed.\r\n* 1 EXPUNGE\r\n"

    run(scenario)


def test_a_pipeline_by_number_is_not_disturbed() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        client = await world.client(b"SELECT INBOX", b"NOTIFY SET (selected (MessageNew MessageExpunge))")
        client.connection.feed(b"x FETCH ")
        await world.store.expunge(client.session.view.mailbox.key, ((1, 1),), deleted_only=False)
        await noticed(client)
        client.connection.feed(b"2 (UID)\r\ny FETCH 3 (UID)\r\n")
        assert await client.pushed(b"EXPUNGE") == (
            b"* 2 FETCH (UID 2)\r\nx OK FETCH completed.\r\n"
            b"* 3 FETCH (UID 3)\r\ny OK FETCH completed.\r\n* 1 EXPUNGE\r\n"
        )

    run(scenario)


@pytest.mark.parametrize("idle", [False, True], ids=["between commands", "in IDLE"])
def test_a_search_that_time_changes_does_not_wake_who_is_told_nothing(idle: bool) -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one")
        client = await world.client(
            b"NOTIFY SET (personal (MailboxName))", b"SELECT INBOX", b"UID SEARCH RETURN (UPDATE) YOUNGER 1000"
        )
        if idle:
            await client.idle()
        read, reads = client.connection.read, 0

        async def counting(timeout: float) -> bytes:
            nonlocal reads
            reads += 1
            return await read(timeout)

        client.connection.read = counting  # type: ignore[method-assign]  # put in its place
        world.clock.advance(100)
        await world.store.create_mailbox("A")
        await client.pushed(b'"/" A')
        for _ in range(200):
            await asyncio.sleep(0)
        assert reads <= 2

    run(scenario)


def test_who_cannot_be_told_of_others_changes_hears_what_he_has_done(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"NOTIFY SET (personal (MailboxName))")

        async def fails(*_args: object) -> AccountChanges:
            raise StoreFailed("The disk fails.")

        monkeypatch.setattr(SqliteStore, "changes", fails)
        got = await client.do(b"APPEND INBOX {5+}\r\nhello")
        assert b"T OK [APPENDUID " in got, "or he files it again"
        assert got.endswith(b"\r\n")
        assert b"* BYE " in got + client.connection.take()

    run(scenario)


def test_silence_ends_a_session_whatever_it_is_told() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"NOTIFY SET (personal (MailboxName))")
        world.clock.advance(1_000)
        await world.store.create_mailbox("A")
        await client.pushed(b'"/" A')
        world.clock.advance(1_000)
        await world.store.create_mailbox("B")
        assert b"* BYE " in await client.pushed(b"BYE")
        await client.task

    run(scenario)


def test_what_is_not_watched_wakes_but_tells_nothing() -> None:
    async def scenario(world: World) -> None:
        await world.store.create_mailbox("Other")
        client = await world.client(b"NOTIFY SET (mailboxes Other (MessageNew MessageExpunge))")
        seen = client.session.notifications
        assert seen is not None
        await world.add(b"one", b"two")
        await silent(client)
        assert seen.seen == await world.store.last_change()

    run(scenario)


def test_too_much_at_once_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX", b"NOTIFY SET (personal (MailboxName)) (selected NONE)")
        client.connection.feed(b"x NO")  # half a command: nothing is told meanwhile
        for turn in range(11):
            await world.store.annotate(ACCOUNT, {f"/shared/vendor/x/{n}": b"%d" % turn for n in range(100)})
        assert b"* OK [NOTIFICATIONOVERFLOW] " in await client.raw(b"OP\r\n", b"x")
        assert client.session.notifications is None
        assert client.session.told is NOTHING_TOLD
        await world.add(b"one")
        await world.store.create_mailbox("X")
        await silent(client)
        await client.ok(b"NOTIFY SET (personal (MailboxName))")
        await world.store.create_mailbox("Y")
        await client.pushed(b'"/" Y')

    run(scenario)


def test_a_client_too_slow_to_be_told_is_told_no_more() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(config=ImapTable(idle_timeout=10_000))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        await client.ok(b"NOTIFY SET (personal (MailboxName))")
        client.connection.feed(b"x NO")
        await world.store.create_mailbox("X")
        await noticed(client)
        world.clock.advance(watching.STALE + 1)
        assert b"* OK [NOTIFICATIONOVERFLOW] " in await client.raw(b"OP\r\n", b"x")

    run(scenario)


def test_rfc5464_4_4_who_only_enabled_metadata_is_told_however_late_the_next_command_comes() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(config=ImapTable(idle_timeout=10_000))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        await client.ok(b"ENABLE METADATA")
        await world.store.annotate(1, {"/shared/comment": b"x"})
        await noticed(client)
        world.clock.advance(watching.STALE + 1)
        assert await client.ok(b"NOOP") == b"* METADATA INBOX /shared/comment\r\nT OK NOOP completed.\r\n"

    run(scenario)


def test_the_watch_is_closed_with_the_last_interest() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"NOTIFY SET (personal (MailboxName))")
        assert watched(world) == 1
        await client.ok(b"NOTIFY SET (inboxes (MailboxName))")
        assert watched(world) == 1
        await client.ok(b"SELECT INBOX")
        await client.ok(b"UNSELECT")
        assert watched(world) == 1
        await client.ok(b"NOTIFY NONE")
        assert watched(world) == 0
        assert client.session.own_store.own is None
        await client.ok(b"NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))")
        assert client.session.told is not AS_EVER
        client.connection.feed_eof()
        await client.task
        assert watched(world) == 0

    run(scenario)


def test_who_logs_out_is_told_nothing_more() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"ENABLE METADATA", b"NOTIFY SET (selected NONE) (personal (MailboxName))")
        await client.ok(b"UNAUTHENTICATE")
        assert watched(world) == 0
        assert (client.session.notifications, client.session.told) == (None, AS_EVER)
        assert not client.session.dialect.metadata
        await client.ok(b"LOGIN user pass")
        await world.store.create_mailbox("X")
        await silent(client)
        await client.ok(b"ENABLE METADATA")
        await world.store.annotate(ACCOUNT, {"/shared/comment": b"x"})
        assert b'* METADATA "" /shared/comment\r\n' in await client.ok(b"NOOP")

    run(scenario)


def test_the_selected_mailboxs_end_ends_the_session() -> None:
    async def scenario(world: World) -> None:
        made = await world.store.create_mailbox("X")
        client = await world.client(
            b"SELECT X", b"NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MailboxName))"
        )
        await world.store.delete_mailbox(made.key)
        assert b"* BYE [NONEXISTENT]" in await client.pushed(b"BYE")
        await client.task

    run(scenario)


def test_the_end_of_the_account_ends_the_session() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"NOTIFY SET (personal (MailboxName))")
        await world.engine.delete_account(world.store.account)
        assert b"* BYE [CONTACTADMIN]" in await client.pushed(b"BYE")
        await client.task

    run(scenario)


def test_own_changes_do_not_hide_those_of_others() -> None:
    async def scenario(world: World) -> None:
        made = await world.store.create_mailbox("X")
        await world.add(b"one")
        client = await world.client(b"SELECT INBOX", b"NOTIFY SET (personal (MessageNew MessageExpunge))")
        assert await client.ok(b"COPY 1 X") == b"T OK [COPYUID %d 1 1] COPY completed.\r\n" % made.uidvalidity
        await silent(client)
        client.connection.feed(b"x COPY 1 ")
        await world.file(SIMPLE % (b"s", b"b"), mailbox="X")
        got = await client.raw(b"X\r\n", b"x")
        assert b"* STATUS X (MESSAGES 3 UIDNEXT 4)\r\n" in got

    run(scenario)


@pytest.mark.parametrize("first", [b"NOOP", b"NOTIFY SET (personal (MailboxName))"])
def test_a_list_that_is_refused_replaces_nothing(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        client = await world.client(first)
        notifications, told = client.session.notifications, client.session.told

        async def broken() -> list[Mailbox]:
            raise StoreFailed("The disk is broken.")

        with monkeypatch.context() as patch:
            patch.setattr(client.session.own_store, "mailboxes", broken)
            assert b"T NO [UNAVAILABLE]" in await client.do(b"NOTIFY SET STATUS (selected NONE) (personal NONE)")
        assert (client.session.notifications, client.session.told) == (notifications, told)
        assert watched(world) == (notifications is not None)
        assert (client.session.own_store.own is None) is (notifications is None)
        if notifications is not None:
            await world.store.create_mailbox("X")
            await client.pushed(b'"/" X')

    run(scenario)


def test_an_enable_that_is_refused_has_switched_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"NOOP")

        async def broken() -> list[Mailbox]:
            raise StoreFailed("The disk is broken.")

        with monkeypatch.context() as patch:
            patch.setattr(client.session.own_store, "mailboxes", broken)
            assert b"T NO [UNAVAILABLE]" in await client.do(b"ENABLE IMAP4rev2 QRESYNC METADATA")
        dialect = client.session.dialect
        assert not any((dialect.rev2, dialect.qresync, dialect.condstore, dialect.metadata))
        assert not watched(world)
        assert b"* ENABLED IMAP4rev2 METADATA\r\n" in await client.do(b"ENABLE IMAP4rev2 METADATA")
        await world.store.create_mailbox("X")
        await silent(client)

    run(scenario)


def test_nothing_falls_between_two_lists() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"NOTIFY SET (personal (MailboxName MessageNew MessageExpunge))")
        client.connection.feed(b"x NOTIFY SET (personal (MessageNew Message")
        await world.add(b"one")
        await world.store.create_mailbox("X")
        got = await client.raw(b"Expunge))\r\n", b"x")
        assert b"* STATUS INBOX (MESSAGES 1 UIDNEXT 2)\r\n" in got
        assert b'"/" X\r\n' in got
        await world.add(b"two")
        assert await client.pushed(b"INBOX (MESSAGES 2 UIDNEXT 3)") == b"* STATUS INBOX (MESSAGES 2 UIDNEXT 3)\r\n"

    run(scenario)


def test_searches_are_kept_up_to_date_between_commands() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        client = await world.client(
            b"SELECT INBOX", b"NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))"
        )
        await client.ok(b"UID SEARCH RETURN (ALL UPDATE) SUBJECT s1")
        await world.add(b"one more")
        got = await client.pushed(b"* 3 FETCH (UID 3 FLAGS ")
        exists, added, fetched = got.index(b"* 3 EXISTS"), got.index(b"ADDTO (0 3)"), got.index(b"* 3 FETCH")
        assert exists < added < fetched  # RFC 5465 5.2
        await world.store.expunge(client.session.view.mailbox.key, ((1, 1),), deleted_only=False)
        got = await client.pushed(b"* 1 EXPUNGE")
        assert got.index(b"REMOVEFROM (0 1)") < got.index(b"* 1 EXPUNGE")

    run(scenario)


def test_new_mail_is_fetched_in_idle_and_with_commands() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(
            b"ENABLE CONDSTORE",
            b"SELECT INBOX",
            b"NOTIFY SET (selected-delayed (MessageNew (envelope body[text]) MessageExpunge))",
        )
        client.connection.feed(b"x NO")
        await world.add(b"one")
        got = await client.raw(b"OP\r\n", b"x")
        assert b"* 1 EXISTS\r\n" in got
        assert b"* 1 FETCH (UID 1 ENVELOPE (" in got
        assert b" MODSEQ (" in got
        assert b"BODY[TEXT] {5}\r\none\r\n)" in got
        await client.idle()
        await world.add(b"two")
        got = await client.pushed(b"* 2 FETCH (UID 2 ")
        assert got.index(b"* 2 EXISTS\r\n") < got.index(b"* 2 FETCH")
        box = client.session.view.mailbox.key
        assert not len(await world.store.search(box, HasFlag("\\Seen"), ((1, 9),))), "what is pushed has not been read"

    run(scenario)


def test_own_numbers_hide_nothing_of_another_account() -> None:
    async def scenario(world: World) -> None:
        await world.person("ann")
        bob = await world.person("bob")
        owner = await world.client(b"SETACL INBOX ann@example.org lrs", user=b"bob")
        client = await world.client(
            b"NOTIFY SET (selected (MessageNew (uid) MessageExpunge))",
            b'SELECT "Other Users/bob@example.org/INBOX"',
            user=b"ann",
        )
        own = client.session.own_store.own
        assert own is not None
        own.update(range(1, 1_000))  # as commands in her own account would have given out
        await world.add(b"one", account=bob.id)
        await client.pushed(b"* 1 FETCH (UID 1)\r\n")
        await owner.ok(b"NOOP")

    run(scenario)


def test_withheld_changes_stay_above_the_modseq_that_is_told() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        client = await world.client(b"ENABLE QRESYNC", b"SELECT INBOX", b"NOTIFY SET (personal (MailboxName))")
        box, told = client.session.view.mailbox.key, client.session.view.told_modseq
        await world.store.expunge(box, ((2, 2),), deleted_only=False)
        await world.store.store_flags(box, ((1, 1),), FlagMode.ADD, Flags.of(["\\Flagged"]))
        got = await client.ok(b"UID STORE 1 +FLAGS (\\Answered)")
        assert b"VANISHED" not in got
        assert b"T OK [HIGHESTMODSEQ %d] " % told in got
        got = await client.ok(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % told)
        assert b"\\Answered \\Flagged" in got, "what is asked for is answered"

    run(scenario)


def test_read_timeouts_are_not_taken_for_news() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"NOTIFY SET (personal (MailboxName))")

        async def read(timeout: float) -> bytes:
            raise ReadTimeout

        client.connection.read = read  # type: ignore[method-assign] # a peer that stays silent
        await world.store.create_mailbox("X")
        assert b"* BYE" in await client.pushed(b"BYE")
        await client.task

    run(scenario)
