"""`Backups/`: a copy out of a snapshot is a restore; and who sees whose."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from restante.mime.analyse import analyse
from restante.server.past_wire import Fill
from restante.store.directory import Account, AccountSettings
from restante.store.model import Column, Flags, Identity, NewMessage, System

from ..past_world import PastWorld, lose_everything, mail, opened, run, uidls
from ..session.support import ACCOUNT

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
        place = client.session.place
        assert place is not None
        inbox = await place.store.mailbox("INBOX")
        assert inbox is not None
        contents, lacking = await past.file.octets_lacking(inbox.key, ((1, 99),))
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
