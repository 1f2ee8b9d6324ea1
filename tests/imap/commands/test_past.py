"""`Backups/`: the account as it was at its snapshots, looked at and copied from by the client's own means."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from restante.backup.errors import BackupRefusal, LocationFailed, WrongKey
from restante.backup.repository import Repository
from restante.mime.analyse import analyse
from restante.server.past_order import cache_folder
from restante.server.past_reader import KEPT, OPEN, MuchAtOnce, PastOf, _octets
from restante.server.past_wire import Fill, Load
from restante.store.directory import Account, AccountSettings
from restante.store.errors import PastUnavailable
from restante.store.model import Column, Flags, Identity, NewMessage, System
from restante.store.sqlite.past_file import SqlitePastFile
from restante.store.sqlite.paths import account_file

from ..past_world import PastWorld, run
from ..session.support import ACCOUNT, Client

MIXED = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nCc: c@example.org\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Mon, 1 Jan 2024 10:00:00 +0100\r\nMessage-ID: <m1@example.org>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZSBhdXMgZGVyIEZlcm5lCg==\r\n--b\r\n"
    b'Content-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\n--b--\r\n'
)
REPLY = (
    b"From: bob@example.org\r\nTo: ann@example.org\r\nSubject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Tue, 2 Jan 2024 10:00:00 +0100\r\nMessage-ID: <m2@example.org>\r\nIn-Reply-To: <m1@example.org>\r\n"
    b"References: <m1@example.org>\r\n\r\nThank you, and greetings.\r\n"
)

READING = (
    b"UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE EMAILID THREADID SAVEDATE)",
    b"UID FETCH 1:* (ENVELOPE BODY BODYSTRUCTURE PREVIEW)",
    b"FETCH 1:* ALL",
    b"FETCH 1 (BODY.PEEK[] BODY.PEEK[1] BODY.PEEK[2.MIME] BODY.PEEK[TEXT]<3.7>)",
    b"FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[2] BINARY.PEEK[])",
    b"FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)] BODY.PEEK[HEADER.FIELDS.NOT (DATE)])",
    b"UID FETCH 1:* (UID) (PARTIAL 1:2)",
    b"SEARCH ALL",
    b"SEARCH UNSEEN",
    b"SEARCH KEYWORD Important",
    b"SEARCH FROM bob",
    b"SEARCH BODY Ferne",
    b"SEARCH TEXT greetings",
    b"SEARCH HEADER In-Reply-To m1",
    b"SEARCH SENTSINCE 2-Jan-2024",
    b"SEARCH SINCE 1-Jan-2020 LARGER 300",
    b"UID SEARCH RETURN (MIN MAX COUNT ALL) FLAGGED",
    b"SEARCH RETURN (RELEVANCY) FUZZY TEXT greeting",
    b"SORT (DATE) UTF-8 ALL",
    b"SORT (REVERSE SUBJECT FROM) UTF-8 ALL",
    b"SORT (ARRIVAL SIZE) UTF-8 ALL",
    b"THREAD REFERENCES UTF-8 ALL",
    b"THREAD ORDEREDSUBJECT UTF-8 ALL",
)


async def mail(world: PastWorld) -> None:
    """Three messages in INBOX, one that is gone, one in Work/Now."""
    await world.file(MIXED, flags=("\\Seen", "\\Flagged"))
    await world.file(b"Subject: gone\r\n\r\ngone\r\n")
    await world.file(REPLY, flags=("Important",))
    await world.add(b"plain")
    box = await world.store.mailbox("INBOX")
    assert box is not None
    await world.store.expunge(box.key, ((2, 2),), deleted_only=False)
    await world.store.create_mailbox("Work/Now", None)
    await world.file(b"Subject: work\r\n\r\nwork\r\n", mailbox="Work/Now")
    await world.store.subscribe("Work/Now", True)


async def lose_everything(world: PastWorld) -> None:
    for box in await world.store.mailboxes():
        await world.store.expunge(box.key, None, deleted_only=False)


async def opened(world: PastWorld, mailbox: bytes = b"INBOX", *commands: bytes) -> Client:
    name = (await world.names())[-1]
    return await world.client(*commands, b'SELECT "Backups/%b/%b"' % (name, mailbox))


async def uidls(world: PastWorld) -> list[str]:
    return [one.uidl for one in await world.store.maildrop()]


# Names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    ['"" *', '"" %', '"" B*', '"" "Backups"', '"" Backups*', '"" "%/%"', '(SUBSCRIBED) "" "Backups/*"',
     '(SPECIAL-USE) "" "Backups/*"', '(SUBSCRIBED RECURSIVEMATCH) "" "Backups/*"', '"" * RETURN (STATUS (MESSAGES))',
     '"" Other*', '"Back" "ups*"'],
)  # fmt: skip
def test_no_pattern_shows_years_unasked(pattern: str) -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await world.client()
        assert b"Backups" not in await client.ok(b"LIST " + pattern.encode())
        assert world.past.asked == []

    run(scenario)


@pytest.mark.parametrize("command", [b'LSUB "" *', b'LSUB "" "Backups/*"', b'LSUB "" "Backups/%"'])
def test_lsub_shows_none_of_it(command: bytes) -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        assert b"Backups" not in await (await world.client()).ok(command)

    run(scenario)


@pytest.mark.parametrize(
    "command",
    [b"NOTIFY SET STATUS (personal (MessageNew MessageExpunge)) (subtree Backups (MessageNew MessageExpunge))",
     b"NOTIFY SET (mailboxes {} (MessageNew MessageExpunge MailboxName))", b"ESEARCH IN (subtree Backups) ALL",
     b"ESEARCH IN (mailboxes {}) ALL", b"ESEARCH IN (personal) SUBJECT s1"],
)  # fmt: skip
def test_commands_over_many_mailboxes_pass_over_it(command: bytes) -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        (name,) = await world.names()
        world.past.asked.clear()
        client = await world.client()
        got = await client.ok(command.replace(b"{}", b'"Backups/%b/INBOX"' % name))
        assert b"Backups" not in got
        assert world.past.asked == []

    run(scenario)


def test_patterns_that_begin_with_backups_show_snapshots_and_mailboxes() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await world.store.create_mailbox("Later", "\\Archive")
        await world.take()
        first, second = await world.names()
        client = await world.client()
        assert await client.ok(b"NAMESPACE") == (
            b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Backups/" "/"))\r\nT OK NAMESPACE completed.\r\n'
        )
        folder = b'* LIST (\\Noselect \\HasChildren) "/" "Backups/%b"\r\n'
        box = b'* LIST (\\Has%b) "/" "Backups/%b/%b"\r\n'
        done = b"T OK LIST completed.\r\n"
        assert await client.ok(b'LIST "" "Backups/%"') == folder % first + folder % second + done
        assert await client.ok(b'LIST "Backups/" "%"') == folder % first + folder % second + done
        old = (
            box % (b"NoChildren", first, b"INBOX") + box % (b"Children", first, b"Work")
            + box % (b"NoChildren", first, b"Work/Now")
        )  # fmt: skip
        assert await client.ok(b'LIST "" "Backups/%b/*"' % first) == old + done
        assert await client.ok(b'LIST "" "Backups/%b/%%"' % first) == old.replace(
            box % (b"NoChildren", first, b"Work/Now"), b""
        ) + done  # fmt: skip
        assert (await client.ok(b'LIST "" "Backups/%/INBOX"')).count(b"INBOX") == 2
        assert (await client.ok(b'LIST "" "Backups/*Later"')).count(b"LIST (") == 1
        everything = await client.ok(b'LIST "" "Backups/*"')
        assert everything.startswith(folder % first + old + folder % second)
        assert b"Archive" not in everything  # no special use
        several = await client.ok(b'LIST "" (* "Backups/%")')
        assert several.count(b"Backups/") == 2
        assert b'LIST (\\HasNoChildren) "/" Later' in several or b"Later" in several
        status = await client.ok(b'LIST "" "Backups/%b/*" RETURN (STATUS (MESSAGES UNSEEN) MYRIGHTS)' % first)
        assert b'* STATUS "Backups/%b/INBOX" (MESSAGES 3 UNSEEN 2)\r\n' % first in status
        assert b'* MYRIGHTS "Backups/%b/Work" lr\r\n' % first in status
        assert b"STATUS" not in (await client.ok(b'LIST "" "Backups/*" RETURN (STATUS (UNSEEN))')).replace(done, b"")

    run(scenario)


def test_two_snapshots_in_one_minute_have_two_names() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        here, world.clock.advance = world.clock.advance, lambda seconds: None  # type: ignore[method-assign]  # for the test
        again = await world.take()
        world.clock.advance = here  # type: ignore[method-assign]  # for the test
        first, second = await world.names()
        assert second == first + b" (%b)" % again.id.encode()
        client = await world.client()
        for name in (first, second):
            await client.ok(b'STATUS "Backups/%b/INBOX" (MESSAGES)' % name)

    run(scenario)


def test_an_own_mailbox_of_such_a_name_goes_before() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        (name,) = await world.names()
        own = await world.store.create_mailbox(f"Backups/{name.decode()}/INBOX")
        client = await world.client()
        assert (await client.ok(b'LIST "" "Backups/%b/I*"' % name)).count(b"INBOX") == 1
        got = await client.ok(b'SELECT "Backups/%b/INBOX"' % name)
        assert own.id.encode() in got
        assert b"READ-WRITE" in got

    run(scenario)


def test_nothing_of_it_is_there_where_it_is_not_configured() -> None:
    async def scenario(world: PastWorld) -> None:
        await world.take()
        client = world.connect()
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        assert b"Backups" not in await client.ok(b"NAMESPACE")
        assert b"Backups" not in (await client.ok(b'LIST "" "Backups/*"')).replace(b"T OK", b"")
        await client.ok(b"CREATE Backups/mine")
        await client.ok(b"SELECT Backups/mine")

    run(scenario)


# Reading ---------------------------------------------------------------------------------------------


def test_all_that_reads_answers_as_it_did_then() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.client(b"SELECT INBOX")  # nothing is recent any more
        live = await world.client(b"SELECT INBOX")
        then = [await live.do(command) for command in READING]
        assert all(b"T OK" in got for got in then), then
        await world.take()
        await lose_everything(world)
        client = await opened(world)
        for command, before in zip(READING, then, strict=True):
            assert await client.do(command) == before, command

    run(scenario)


def test_select_says_the_numbers_of_then_and_reads_only() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        box = await world.store.mailbox("INBOX")
        assert box is not None
        await world.take()
        await lose_everything(world)
        await world.add(b"new", b"newer")
        (name,) = await world.names()
        client = await world.client()
        for word in (b"SELECT", b"EXAMINE"):
            got = await client.ok(b'%b "Backups/%b/inbox"' % (word, name))
            assert b"* 3 EXISTS\r\n" in got
            assert b"* 0 RECENT\r\n" in got
            assert b"[UIDVALIDITY %d]" % box.uidvalidity in got
            assert b"[UIDNEXT %d]" % box.uidnext in got
            assert b"[HIGHESTMODSEQ %d]" % box.highest_modseq in got
            assert b"[PERMANENTFLAGS ()]" in got
            assert b"T OK [READ-ONLY]" in got
            assert box.id.encode() not in got
        assert b"* SEARCH 1 2 3\r\n" in await client.ok(b"SEARCH ALL")
        status = await client.ok(b'STATUS "Backups/%b/INBOX" (MESSAGES UIDNEXT UNSEEN SIZE RECENT DELETED)' % name)
        assert b"(MESSAGES 3 UIDNEXT 5 UNSEEN 2 SIZE %d RECENT 0 DELETED 0)" % box.size in status

    run(scenario)


def test_mailbox_ids_are_a_snapshots_own_and_stay() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await world.take()
        first, second = await world.names()

        async def ids() -> list[bytes]:
            client = await world.client()
            found = []
            for name in (first, second):
                for box in (b"INBOX", b"Work/Now"):
                    got = await client.ok(b'STATUS "Backups/%b/%b" (MAILBOXID)' % (name, box))
                    found += re.findall(rb"MAILBOXID \((b[a-z2-7]{26})\)", got)
            return found

        before = await ids()
        live = [box.id.encode() for box in await world.store.mailboxes()]
        assert len({*before, *live}) == 4 + len(live)
        world.clock.advance(OPEN + KEPT + 1)
        world.past._stores.clear()
        await world.reader.sweep()  # all that is remembered of it is gone
        assert await ids() == before

    run(scenario)


def test_a_qresync_client_is_told_nothing_and_one_with_an_older_state_all() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        box = await world.store.mailbox("INBOX")
        assert box is not None
        await world.take()
        (name,) = await world.names()
        client = await world.client(b"ENABLE QRESYNC")
        select = b'SELECT "Backups/%b/INBOX" (QRESYNC (%d %d))'
        got = await client.ok(select % (name, box.uidvalidity, box.highest_modseq))
        assert b"FETCH" not in got
        assert b"VANISHED" not in got
        got = await client.ok(select % (name, box.uidvalidity, 1))
        assert b"* VANISHED (EARLIER) 2\r\n" in got
        assert got.count(b"MODSEQ (%d)" % box.highest_modseq) == 3
        got = await client.ok(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % box.highest_modseq)
        assert b"FETCH (" not in got
        got = await client.ok(b"SEARCH MODSEQ %d" % (box.highest_modseq + 1))
        assert b"* SEARCH\r\n" in got or b"ESEARCH" in got

    run(scenario)


def test_uidonly_notify_and_idle_work_there_and_nothing_new_is_told() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(
            world,
            b"INBOX",
            b"ENABLE IMAP4rev2",
            b"ENABLE UIDONLY",
            b"NOTIFY SET (SELECTED (MessageNew MessageExpunge))",
        )
        assert client.session.watch is None  # of an account that is none: it would be taken for one that was removed
        assert (await client.ok(b"UID FETCH 1:* (FLAGS)")).count(b"UIDFETCH") == 3
        await world.add(b"new")
        await lose_everything(world)
        assert await client.ok(b"NOOP") == b"T OK NOOP completed.\r\n"
        await client.idle()
        await world.add(b"new")
        assert await client.raw(b"DONE\r\n", b"t%d" % client._number) == b"t%d OK IDLE completed.\r\n" % client._number
        got = await client.ok(b"ESEARCH IN (selected) SUBJECT work")
        assert b"UID" not in got

    run(scenario)


def test_extensions_that_read_work_there() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        (name,) = await world.names()
        client = await opened(world)
        await client.ok(b"SEARCH RETURN (SAVE) FROM bob")
        assert await client.ok(b"FETCH $ (UID)") == b"* 2 FETCH (UID 3)\r\nT OK FETCH completed.\r\n"
        assert b"COUNT 2" in await client.ok(b"SEARCH RETURN (UPDATE COUNT) UNSEEN")
        assert b"* ESEARCH" in await client.ok(b"SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 ALL")
        await client.ok(b'CANCELUPDATE "t4"')
        got = await client.ok(b'ESEARCH IN (selected) SUBJECT "s1"')
        assert b'MAILBOX "Backups/%b/INBOX"' % name in got
        url = b"/Backups/%b/INBOX/;UID=3" % name.replace(b" ", b"%20").replace(b":", b"%3A")
        assert b"APPENDUID" in await client.ok(b'APPEND "Work/Now" CATENATE (URL "%b")' % url)
        live = await world.client(b"SELECT Work/Now")
        assert REPLY in await live.ok(b"FETCH 2 BODY.PEEK[]")
        await client.ok(b"LANGUAGE de")
        assert b"Eine Sicherung ist nur zum Lesen da." in await client.do(b"CREATE Backups/x")

    run(scenario)


# Refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        b"STORE 1 +FLAGS (\\Seen)", b"UID STORE 1 FLAGS ()", b"EXPUNGE", b"UID EXPUNGE 1", b"MOVE 1 INBOX",
        b"UID MOVE 1 Work/Now", b"COPY 1 {}/INBOX", b"APPEND {}/INBOX {{3+}}\r\nabc", b"REPLACE 1 INBOX {{3+}}\r\nabc",
        b"CREATE {}/new", b"CREATE Backups", b"CREATE Backups/x", b"DELETE {}/INBOX", b"DELETE {}",
        b"RENAME {}/Work Mine", b"RENAME Work {}/Mine", b"SUBSCRIBE {}/INBOX", b"SETACL {}/INBOX anyone lr",
        b"DELETEACL {}/INBOX anyone", b"GETACL {}/INBOX", b'SETMETADATA {}/INBOX (/private/comment "x")',
        b"SELECT {}", b"SELECT {}/Nothing", b"STATUS Backups (MESSAGES)", b"SELECT Backups/1999/INBOX",
    ],
)  # fmt: skip
def test_what_may_not_be_done_is_refused_and_the_session_goes_on(command: bytes) -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        (name,) = await world.names()
        quoted = re.sub(rb"\{\}(\S*)", rb'"Backups/%b\1"' % name, command.replace(b"{{", b"{").replace(b"}}", b"}"))
        got = await client.do(quoted)
        assert re.search(rb"T NO \[(CANNOT|NOPERM|NONEXISTENT)\] \w", got), got
        assert b"T OK" in await client.do(b"NOOP")
        again = await opened(world)
        assert b"* SEARCH 1 2 3\r\n" in await again.ok(b"SEARCH ALL")

    run(scenario)


def test_reading_sets_no_flag() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        assert b"FLAGS" not in await client.ok(b"FETCH 2 BODY[]")
        assert b"\\Seen" not in await client.ok(b"FETCH 2 FLAGS")
        await client.ok(b"CLOSE")

    run(scenario)


# Copying is restoring --------------------------------------------------------------------------------


def test_a_copy_brings_the_message_back_as_it_was() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        live = await world.client(b"SELECT INBOX")
        items = b"UID FETCH 1,3 (FLAGS INTERNALDATE EMAILID THREADID BODY.PEEK[])"
        before = await live.ok(items)
        drop = await uidls(world)
        await world.take()
        await lose_everything(world)
        client = await opened(world)
        got = await client.ok(b"UID COPY 1,3:4 INBOX")
        assert re.search(rb"T OK \[COPYUID \d+ 1,3:4 5:7\]", got), got
        await live.ok(b"NOOP")
        after = await live.ok(items.replace(b"1,3", b"5,6"))
        assert re.sub(rb"\* \d+ FETCH \(UID \d+", b"", after) == re.sub(rb"\* \d+ FETCH \(UID \d+", b"", before)
        assert await uidls(world) == drop
        assert [finding async for finding in world.store.doctor(False)] == []
        assert b"* SEARCH 1\r\n" in await live.ok(b"SEARCH BODY Ferne")

    run(scenario)


def test_pop3_does_not_fetch_what_was_copied_back_as_new() -> None:
    async def scenario(world: PastWorld) -> None:
        box = await world.store.mailbox("INBOX")
        assert box is not None
        for number, identity in enumerate(
            [Identity(uidl="old-server-1"), Identity(retrieved=1_700_000_000), Identity(hidden=True), Identity()]
        ):
            data = b"Subject: %d\r\n\r\n%d\r\n" % (number, number)
            new = NewMessage(await world.store.put(data), analyse(data), Flags(), 1_600_000_000, None, identity)
            await world.store.append(box.key, [new])
        await world.store.copy(box.key, ((4, 4),), box.key)  # the same email twice: the second has a suffix
        before = [one[1:] for one in await world.store.provenance(box.key, ((1, 99),))]
        drop = await uidls(world)
        assert drop[0] == "old-server-1"
        assert len(drop) == 4
        await world.take()
        await lose_everything(world)
        later = world.engine.settings.retention + 7200.0  # nothing of them is kept any more
        world.clock.advance(later)
        while await world.store.reclaim(100):
            pass
        assert not await world.store.has_email(drop[1])
        client = await opened(world)
        await client.ok(b"COPY 1:* INBOX")
        assert [one[1:] for one in await world.store.provenance(box.key, ((1, 99),))] == before
        assert await uidls(world) == drop

    run(scenario)


def test_deleted_is_not_brought_back_and_other_flags_are() -> None:
    async def scenario(world: PastWorld) -> None:
        await world.add(b"one", flags=("\\Deleted", "\\Answered", "Later"))
        await world.take()
        client = await opened(world)
        assert b"\\Deleted" in await client.ok(b"FETCH 1 FLAGS")
        await client.ok(b"COPY 1 INBOX")
        box = await world.store.mailbox("INBOX")
        assert box is not None
        rows = await world.store.rows(box.key, ((2, 2),), (Column.FLAGS,), 1)
        table = await world.store.flag_table()
        assert table[int(str(rows[0][1]))] == Flags(System.ANSWERED, frozenset({"Later"}))

    run(scenario)


def test_what_is_there_already_is_copied_all_the_same() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        assert b"COPYUID" in await client.ok(b"UID COPY 1 INBOX")
        assert b"COPYUID" in await client.ok(b"UID COPY 1 INBOX")
        live = await world.client(b"SELECT INBOX")
        found = re.findall(rb"EMAILID \((\S+)\)", await live.ok(b"UID FETCH 1,5,6 EMAILID"))
        assert len(found) == 3
        assert len(set(found)) == 1  # one email, as after any COPY
        assert b"T NO [TRYCREATE]" in await client.do(b"COPY 1 Nowhere")

    run(scenario)


def test_a_copy_that_is_too_much_or_over_quota_copies_nothing() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        assert b"T NO [LIMIT]" in await client.do(b"COPY 1:* Work/Now")
        box = await world.store.mailbox("Work/Now")
        assert box is not None
        assert box.messages == 1
        assert b"T OK" in await client.do(b"COPY 3 Work/Now")

    run(scenario, transfer=10_000)


def test_octets_lie_in_the_file_only_while_they_are_copied() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        await client.ok(b"FETCH 1:* BODY[]")
        await client.ok(b"UID COPY 1:* Work/Now")
        await asyncio.gather(*world.past.said)
        (past,) = world.reader._files.values()
        key = (await client.session.place.store.mailbox("INBOX")).key  # type: ignore[union-attr]
        contents, lacking = await past.file.octets_lacking(key, ((1, 99),))
        assert len(contents) == len(lacking) == 3
        assert not past.held

    run(scenario)


def test_two_sessions_copy_the_same_messages_at_once() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await lose_everything(world)
        clients = [await opened(world), await opened(world)]
        got = await asyncio.gather(clients[0].do(b"COPY 1:* INBOX"), clients[1].do(b"UID COPY 1,3 Work/Now"))
        assert all(b"T OK [COPYUID" in each for each in got), got
        assert [finding async for finding in world.store.doctor(False)] == []
        (past,) = world.reader._files.values()
        await asyncio.gather(*world.past.said)
        assert not past.held

    run(scenario)


def test_octets_that_are_not_there_are_never_filed() -> None:
    """However it came to that: what has the same octets later would be as damaged."""

    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await lose_everything(world)
        world.clock.advance(world.engine.settings.retention + 7200.0)
        while await world.store.reclaim(100):
            pass
        client = await opened(world)

        async def nothing(*_words: object) -> None: ...

        world.reader._put_octets = nothing  # type: ignore[method-assign, assignment]  # for the test
        assert b"T NO [CORRUPTION]" in await client.do(b"COPY 1 INBOX")
        assert [finding async for finding in world.store.doctor(False)] == []
        box = await world.store.mailbox("INBOX")
        assert box is not None
        assert box.messages == 0

    run(scenario)


def test_a_copy_goes_on_though_its_session_ends() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await lose_everything(world)
        client = await opened(world)
        lent, go_on = asyncio.Event(), asyncio.Event()
        put = world.reader._put_octets

        async def slowly(*words: Any) -> None:
            lent.set()
            await go_on.wait()
            await put(*words)

        world.reader._put_octets = slowly  # type: ignore[method-assign, assignment]  # for the test
        client.connection.feed(b"x COPY 1:* INBOX\r\n")
        await lent.wait()
        client.task.cancel()
        await asyncio.wait([client.task])
        world.clients.remove(client)
        go_on.set()
        await world.engine.finish(asyncio.sleep(0))
        await asyncio.wait(world.engine._begun)
        box = await world.store.mailbox("INBOX")
        assert box is not None
        assert box.messages == 3
        assert [finding async for finding in world.store.doctor(False)] == []

    run(scenario)


def test_a_search_among_named_messages_brings_those_alone() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        assert b"* SEARCH 3\r\n" in await client.ok(b"UID SEARCH UID 3:4 FROM bob")
        assert [one.ranges for one in world.past.asked if isinstance(one, Fill)] == [((3, 4),)]
        assert b"* SEARCH 3\r\n" in await client.ok(b"UID SEARCH FROM bob")
        assert [one.ranges for one in world.past.asked if isinstance(one, Fill)][1:] == [((1, 1),)]

    run(scenario)


# Who sees what ---------------------------------------------------------------------------------------


def test_another_account_of_the_same_address_sees_nothing_of_the_former() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        old = (await world.names())[0]
        await world.engine.directory.remove_account(ACCOUNT.id)
        await world.engine.delete_account(ACCOUNT.id)
        new = Account("acc2", ACCOUNT.address, "example.org", True, None, AccountSettings(), False, 0, 1)
        await world.engine.directory.add_account(new)
        await world.engine.create_account("acc2")
        world.authenticator.people[b"user"] = new
        client = await world.client()
        assert await client.ok(b'LIST "" "Backups/*"') == b"T OK LIST completed.\r\n"
        assert b"T NO [NONEXISTENT]" in await client.do(b'SELECT "Backups/%b/INBOX"' % old)
        await world.take()
        assert len(await world.names("acc2")) == 1
        assert b"* 0 EXISTS" in await opened_as(world, b"user", "acc2")

    run(scenario)


async def opened_as(world: PastWorld, user: bytes, account: str) -> bytes:
    name = (await world.names(account))[-1]
    client = await world.client(user=user)
    return await client.ok(b'SELECT "Backups/%b/INBOX"' % name)


def test_who_shares_a_mailbox_does_not_share_its_backups() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        bob = await world.person("bob")
        owner = await world.client()
        await owner.ok(b"SETACL INBOX bob@example.org lrswipkxtea")
        await world.take()
        (name,) = await world.names()
        client = await world.client(user=b"bob")
        await client.ok(b'SELECT "Other Users/user@example.org/INBOX"')
        assert b"EXISTS" in await client.ok(b'SELECT "Backups/%b/INBOX"' % name)  # his own, of the same minute
        assert b"* SEARCH\r\n" in await client.ok(b"SEARCH ALL")
        assert b"Work" not in await client.ok(b'LIST "" "Backups/*"')
        nested = b'"Other Users/user@example.org/Backups/%b/INBOX"' % name
        assert b"T NO" in await client.do(b"SELECT " + nested)
        assert bob.id

    run(scenario)


def test_a_copy_out_of_a_backup_may_go_to_somebody_elses_mailbox() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        bob = await world.person("bob")
        theirs = await world.client(user=b"bob")
        await theirs.ok(b"SETACL INBOX user@example.org lri")
        await world.take()
        client = await opened(world)
        assert b"COPYUID" in await client.ok(b'COPY 1 "Other Users/bob@example.org/INBOX"')
        box = await world.engine.account(bob.id).mailbox("INBOX")
        assert box is not None
        assert box.messages == 1

    run(scenario)


# Cost, and what goes wrong ---------------------------------------------------------------------------


def test_what_one_session_has_brought_serves_the_other_and_the_next_night() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await world.take()  # nothing has changed
        first, second = await world.names()
        clients = [await world.client(), await world.client()]
        await asyncio.gather(*(one.ok(b'SELECT "Backups/%b/INBOX"' % first) for one in clients))
        await asyncio.gather(*(one.ok(b"FETCH 1:* ENVELOPE") for one in clients))
        asked = len([one for one in world.past.asked if isinstance(one, Fill)])
        assert asked <= 2
        (past,) = world.reader._files.values()
        for one in clients:
            await one.ok(b'SELECT "Backups/%b/INBOX"' % second)
            await one.ok(b"FETCH 1:* ENVELOPE")
        assert len([one for one in world.past.asked if isinstance(one, Fill)]) == asked
        boxes = await past.file._store.mailboxes()
        assert [box.messages for box in boxes if box.name.startswith("whole/")] == [3]
        assert len([one for one in world.past.asked if isinstance(one, Load)]) == 4

    run(scenario)


def test_flags_and_dates_are_read_without_a_message() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        await client.ok(b"FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE EMAILID)")
        await client.ok(b"SEARCH OR UNSEEN SINCE 1-Jan-2020")
        await client.ok(b"SORT (ARRIVAL) UTF-8 ALL")
        assert not any(isinstance(one, Fill) for one in world.past.asked)

    run(scenario)


def test_files_go_when_nobody_looks() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        await client.ok(b"FETCH 1:* ENVELOPE")
        folder = cache_folder(world.past._data)
        assert list(folder.glob("accounts/*/*.db"))
        world.clock.advance(KEPT + 1)
        await world.reader.sweep()
        await client.ok(b"FETCH 1:* ENVELOPE")  # it is selected: the file stays
        await client.ok(b"UNSELECT")
        await asyncio.sleep(0)
        await asyncio.gather(*world.past.said)
        world.clock.advance(KEPT + 1)
        await world.reader.sweep()
        assert not list(folder.glob("accounts/*/*"))

    run(scenario)


def test_two_who_want_room_at_once_remove_each_file_once() -> None:
    """One is at removing a file while the other comes to it."""

    async def scenario(world: PastWorld) -> None:
        delete = world.reader._engine.delete_account

        async def slowly(id: str) -> None:
            await asyncio.sleep(0)  # the other's turn
            await delete(id)

        world.reader._engine.delete_account = slowly  # type: ignore[assignment]
        for number in range(3):
            id = f"past{number}"
            one = PastOf(id, SqlitePastFile(world.reader._engine, id), account=f"a{number}")
            world.reader._files[id] = world.reader._by_account[one.account] = one
            await world.reader._engine.create_account(id)
        world.clock.advance(KEPT + 1)
        await asyncio.gather(world.reader.sweep(), world.reader.sweep())
        assert world.reader._files == {}
        assert not list(world.reader._folder.glob("accounts/*/*"))

    run(scenario)


def test_the_room_is_bounded() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        world.reader._config = replace(
            world.reader._config, backup=replace(world.reader._config.backup, in_imap_room=1)
        )
        client = await world.client()
        (name,) = await world.names()
        got = await client.do(b'SELECT "Backups/%b/INBOX"' % name)
        assert b"T NO [UNAVAILABLE] There is no room" in got
        assert b"in_imap_room" in world.out.getvalue().encode()

    run(scenario)


def test_the_room_of_one_account_is_bounded() -> None:
    """Whoever has looked at a great deal is told to end it; another account goes on."""

    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        assert b"T OK" in await client.do(b"FETCH 1:* ENVELOPE")
        (here,) = world.reader._files.values()
        taken = _octets(world.reader._folder, here.id)
        assert taken == _octets(world.reader._folder) > 0
        world.reader._config = replace(
            world.reader._config, backup=replace(world.reader._config.backup, in_imap_room_each=taken)
        )
        got = await client.do(b"SEARCH BODY greetings")
        assert b"T NO [UNAVAILABLE] Too much of the backup has been looked at. Close its mailboxes" in got
        assert b"T OK" in await client.do(b"FETCH 1:* ENVELOPE"), "what is there can be read"
        assert b"in_imap_room_each" in world.out.getvalue().encode()
        other = PastOf("pastother", here.file)
        await world.reader._make_room(other)
        here.uses = 0
        world.reader._config = replace(
            world.reader._config, backup=replace(world.reader._config.backup, in_imap_room=1)
        )
        await world.reader._make_room(other)
        assert here.id not in world.reader._files, "room was made of it when nobody looked"

    run(scenario)


def test_who_comes_late_finds_room_however_much_others_have_taken() -> None:
    """Nobody gets more than is then left: so it is never all gone, and who has little goes on."""

    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await opened(world)
        (here,) = world.reader._files.values()
        base = _octets(world.reader._folder)
        world.reader._config = replace(
            world.reader._config,
            backup=replace(world.reader._config.backup, in_imap_room=base + 64_000, in_imap_room_each=32_000),
        )

        async def took(number: int) -> int:
            """Octets that somebody takes, one who has his mailboxes open, until no more are given."""
            one = PastOf(f"other{number}", here.file, uses=1, account=f"b{number}")
            world.reader._files[one.id] = world.reader._by_account[one.account] = one
            file = account_file(world.reader._folder, one.id)
            file.parent.mkdir(exist_ok=True)
            file.touch()
            while True:
                try:
                    await world.reader._make_room(one)
                except MuchAtOnce:
                    return file.stat().st_size
                with file.open("ab") as more:
                    more.write(bytes(500))

        assert await took(0) == 32_000
        later = [await took(number) for number in range(1, 5)]
        assert all(later), "each finds some"
        assert later == sorted(later, reverse=True)
        world.reader._files["other0"].uses = 0
        assert await took(5) > later[0], "and more when somebody has left"
        assert "other0" not in world.reader._files

    run(scenario)


def packs(world: PastWorld) -> list[Path]:
    return list(Path(world.settings.backup.location).glob("mail/*/*"))


def move(source: Path, target: Path) -> None:
    source.rename(target)


def test_messages_that_the_backup_has_lost_are_passed_over_and_told() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await world.file(b"Subject: second night\r\n\r\nstill there\r\n")
        for path in packs(world):
            path.write_bytes(path.read_bytes()[:48] + b"x" * 1000)
        await world.take()
        client = await opened(world)
        got = await client.do(b"FETCH 1:* (UID ENVELOPE)")
        assert got.count(b"FETCH (") == 1
        assert b"second night" in got
        assert b"T NO [UNAVAILABLE] Some messages cannot be read from the backup." in got
        assert b"T OK" in await client.do(b"FETCH 1:* FLAGS")
        assert b"T OK" in await client.do(b"FETCH 4 (ENVELOPE BODY[])")
        assert b"T NO [UNAVAILABLE]" in await client.do(b"COPY 1:4 Work/Now")
        box = await world.store.mailbox("Work/Now")
        assert box is not None
        assert box.messages == 1
        assert b"T OK [COPYUID" in await client.do(b"COPY 4 Work/Now")

    run(scenario)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"SEARCH SUBJECT night", b"* SEARCH 4\r\n"),
        (b"SEARCH BODY still", b"* SEARCH 4\r\n"),
        (b"UID SEARCH RETURN (COUNT) TEXT night", b"COUNT 1\r\n"),
        (b"SORT (SUBJECT) UTF-8 ALL", b"* SORT "),
        (b"SORT RETURN (RELEVANCY ALL) (RELEVANCY) UTF-8 FUZZY SUBJECT night", b"ESEARCH"),
        (b"THREAD REFERENCES UTF-8 ALL", b"* THREAD "),
        (b"ESEARCH IN (SELECTED) SUBJECT night", b"ESEARCH"),
    ],
    ids=lambda value: value.decode().split("(")[0].strip(),
)
def test_a_search_says_that_it_could_not_look_at_what_the_backup_has_lost(command: bytes, answer: bytes) -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        await world.file(b"Subject: second night\r\n\r\nstill there\r\n")
        for path in packs(world):
            path.write_bytes(path.read_bytes()[:48] + b"x" * 1000)
        await world.take()
        client = await opened(world)
        for _ in range(2):
            got = await client.do(command)
            assert answer in got, "what it found counts"
            assert got.count(b"* NO [UNAVAILABLE] Some messages cannot be read from the backup") == 1
            assert got.index(answer) < got.index(b"* NO ")
            assert b"T OK" in got
        assert b"NO" not in await client.do(b"SEARCH UNSEEN"), "which needs no messages"
        assert b"T OK" in await client.do(b"FETCH 4 ENVELOPE"), "nothing of it is left over for others"

    run(scenario)


def test_a_file_that_went_is_told_as_a_backup_that_was_closed() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        (state,) = await world.past.states(ACCOUNT.id)
        store = await world.past.store(ACCOUNT.id, state)
        box = await store.mailbox("INBOX")
        assert box is not None
        await store.inner._engine.delete_account(store.account)
        with pytest.raises(PastUnavailable, match="closed meanwhile"):
            await anext(store.stream_content(1))
        with pytest.raises(PastUnavailable, match="closed meanwhile"):
            await store.rows(box.key, ((1, 9),), [Column.ENVELOPE], 9)
        with pytest.raises(PastUnavailable, match="closed meanwhile"):
            await store.opening(box.key)

    run(scenario)


def test_a_backup_that_cannot_be_reached_is_told_and_the_session_goes_on() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await world.client()
        place = Path(world.settings.backup.location)
        away = place.with_name("away")
        move(place, away)
        got = await client.do(b'LIST "" "Backups/%"')
        assert b"T NO [UNAVAILABLE] The backup cannot be " in got
        assert str(place).encode() not in got
        assert b"T OK" in await client.do(b"SELECT INBOX")
        move(away, place)
        assert b"Backups/" in await client.ok(b'LIST "" "Backups/%"')
        assert "backup not read" in world.out.getvalue()

    run(scenario)


class Sealed(BackupRefusal):
    """What a backup that is written to a public key will say."""

    code = "NEEDS-PRIVATE-KEY"


@pytest.mark.parametrize(
    ("refusal", "said"),
    [(Sealed("The backup is sealed: reading it needs the private key."),
      b"T NO [UNAVAILABLE] The backup is sealed: reading it needs the private key.\r\n"),
     (WrongKey("No key of /srv/backup opens."), b"T NO [UNAVAILABLE] The backup cannot be opened now.\r\n"),
     (LocationFailed("/srv/backup cannot be used."), b"T NO [UNAVAILABLE] The backup cannot be reached now.\r\n")],
    ids=lambda value: getattr(value, "code", ""),
)  # fmt: skip
def test_why_it_cannot_be_opened_is_told_without_places(refusal: BackupRefusal, said: bytes) -> None:
    async def scenario(world: PastWorld) -> None:
        def refused() -> Repository:
            raise refusal

        await mail(world)
        await world.take()
        world.reader._open_repository = refused
        client = await world.client()
        assert await client.do(b'LIST "" "Backups/%"') == said
        assert await client.do(b'SELECT "Backups/2027-01-01 00:00/INBOX"') == said
        assert refusal.text in world.out.getvalue()

    run(scenario)


def test_a_snapshot_that_is_pruned_while_somebody_reads_it() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        await world.take()
        client = await opened(world)
        (name,) = await world.names()
        await client.ok(b"FETCH 1 ENVELOPE")
        repository = world.opened()
        for snapshot in repository.snapshots():
            repository.remove_snapshot(snapshot.name)
        world.clock.advance(60.0)
        await client.ok(b"FETCH 1:* (ENVELOPE BODY.PEEK[])")  # its packs stay for days
        for path in packs(world):
            path.unlink()
        assert b"T OK" in await client.do(b"FETCH 1:* ENVELOPE")
        world.clock.advance(OPEN + 1)
        await world.reader.sweep()
        assert re.search(rb"T NO \[UNAVAILABLE\]", await client.do(b"FETCH 1:* BODY.PEEK[]"))
        assert b"T NO [NONEXISTENT]" in await client.do(b'SELECT "Backups/%b/INBOX"' % name)
        assert b"T OK" in await client.do(b"SELECT INBOX")

    run(scenario)


def test_a_large_message_comes_in_pieces_and_is_refused_before_its_response_begins() -> None:
    async def scenario(world: PastWorld) -> None:
        large = b"Subject: large\r\n\r\n" + b"".join(b"line %d of many\r\n" % number for number in range(200_000))
        await world.file(large)
        live = await world.client(b"SELECT INBOX")
        reading = (
            b"FETCH 1 BODY.PEEK[]", b"FETCH 1 BODY.PEEK[TEXT]<1500000.1200000>", b"FETCH 1 BINARY.PEEK[]",
            b"FETCH 1 BODY.PEEK[]<10.20>", b"SEARCH BODY {21+}\r\nline 199999 of many\r\n",
        )  # fmt: skip
        then = [await live.do(command) for command in reading]
        await world.take()
        client = await opened(world)
        assert [await client.do(command) for command in reading] == then
        assert large in then[0]
        again = await opened(world)
        world.reader._looking = None  # and with it what was kept of the message
        for path in packs(world):
            path.unlink()
        for command in reading[:4]:
            got = await again.do(command)
            assert got.startswith(b"T NO [UNAVAILABLE] The backup is damaged there."), got[:100]
        assert b"T OK" in await again.do(b"FETCH 1 (FLAGS ENVELOPE)")
        assert b"T OK" in await again.do(b"SEARCH TEXT large")

    run(scenario)
