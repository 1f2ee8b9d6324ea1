"""`Backups/`: the account as it was at its snapshots, looked at by the client's own means."""

from __future__ import annotations

import re

import pytest

from restante.server.past_reader import KEPT, OPEN

from ..past_world import REPLY, PastWorld, lose_everything, mail, opened, run

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
    b"SEARCH TEXT charset=utf-8",
    b"SEARCH BODY charset=utf-8",
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


def test_rfc9590_3_annotations_are_listed_where_one_snapshot_is_named() -> None:
    async def scenario(world: PastWorld) -> None:
        await mail(world)
        client = await world.client()
        await world.take()
        await world.take()
        first, _ = await world.names()
        got = await client.ok(b'LIST "" "Backups/%b/*" RETURN (METADATA (/private/comment))' % first)
        told = [line for line in got.splitlines() if line.startswith(b"* METADATA ")]
        assert told == [
            line
            for name in (b"INBOX", b"Work", b"Work/Now")
            for line in (await client.ok(b'GETMETADATA "Backups/%b/%b" /private/comment' % (first, name))).splitlines()
            if line.startswith(b"* METADATA ")
        ]
        assert len(told) == 3
        assert b"METADATA" not in await client.ok(b'LIST "" "Backups/*" RETURN (METADATA (/private/comment))')

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
