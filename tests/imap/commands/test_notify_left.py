"""NOTIFY when a mailbox is left, the own one or somebody else's: what was not told of it while it was selected is told
then, and no client takes it for known before. RFC 5465 3.1, 6; RFC 7162 6."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from restante.imap.commands import fetch_plan, fetch_rows
from restante.imap.session.session import ImapSession
from restante.imap.session.view import Spans, View
from restante.store.model import FlagMode, Flags, Removed, UidRanges
from restante.store.sqlite.account import SqliteStore
from restante.store.sqlite.shared import SharedStore

from ..session.support import World, run
from .test_notify_sessions import silent
from .test_notify_shared import PROJECTS, key, shared


@pytest.mark.parametrize("leave", [b"SELECT Elsewhere", b"UNSELECT", b"CLOSE", b"EXAMINE nowhere"])
@pytest.mark.parametrize("name", [b"INBOX", PROJECTS])
def test_rfc5465_6_1_2_a_delayed_removal_is_told_of_the_mailbox_that_was_left(name: bytes, leave: bytes) -> None:
    async def scenario(world: World) -> None:
        bob = await shared(world)
        groups = b"(selected-delayed %b) (personal %b) (subtree \"Other Users\" %b)" % (
            (b"(MessageNew MessageExpunge FlagChange)",) * 3
        )  # fmt: skip
        for account, mailbox in (("id-ann", "INBOX"), ("id-bob", "Projects")):
            await world.add(b"3", b"4", b"5", mailbox=mailbox, account=account)
        ann = await world.client(b"CREATE Elsewhere", b"NOTIFY SET " + groups, b"SELECT " + name, user=b"ann")
        store = world.engine.account("id-ann") if name == b"INBOX" else bob
        box = await key(store, "INBOX" if name == b"INBOX" else "Projects")
        there = len(ann.session.view.uids)
        await store.expunge(box, ((1, 1),), deleted_only=False)
        assert b"EXPUNGE" not in await ann.ok(b"FETCH 1 (UID)")  # by number: it waits
        told = b"* STATUS %b (MESSAGES %d UIDNEXT %d UIDVALIDITY " % (name, there - 1, there + 1)
        got = await ann.do(leave)
        assert got.startswith(b"* STATUS " if leave == b"CLOSE" else b"* 1 EXPUNGE\r\n")  # RFC 9051 6.4.1
        assert (told in got) is (leave == b"CLOSE")
        await ann.ok(b"SELECT " + name)
        await store.expunge(box, ((2, 2),), deleted_only=False)
        assert b"* 1 EXPUNGE" in await ann.ok(b"NOOP")
        assert b"STATUS" not in await ann.do(leave)
        await ann.ok(b"SELECT " + name)
        last = ann.session.view.uids.uids[-1]
        await ann.ok(b"STORE 1 +FLAGS.SILENT (\\Deleted)")  # which CLOSE removes besides
        await store.expunge(box, ((last, last),), deleted_only=False)
        assert b"EXPUNGE" not in await ann.ok(b"FETCH 1 (UID)")
        assert (b"* STATUS %b (MESSAGES " % name in await ann.do(leave)) is (leave == b"CLOSE")
        await silent(ann)

    run(scenario)


@pytest.mark.parametrize("leave", [b"SELECT Elsewhere", b"UNSELECT", b"CLOSE"])
@pytest.mark.parametrize("name", [b"INBOX", PROJECTS])
def test_rfc5465_6_flags_not_told_of_the_selected_mailbox_are_once_it_is_left(name: bytes, leave: bytes) -> None:
    """As in the example there: (selected (MessageNew MessageExpunge)) (personal (MessageNew FlagChange ...))."""

    async def scenario(world: World) -> None:
        await shared(world)
        events = b"(MessageNew MessageExpunge FlagChange)"
        groups = b'(selected (MessageNew MessageExpunge)) (personal %b) (subtree "Other Users" %b)' % (events, events)
        ann = await world.client(b"CREATE Elsewhere", b"NOTIFY SET " + groups, b"SELECT " + name, user=b"ann")
        unseen = len(ann.session.view.uids)
        if name == b"INBOX":
            await world.engine.account("id-ann").store_flags(1, ((1, 1),), FlagMode.ADD, Flags.of(["\\Seen"]))
        else:  # another session of the reader's
            await (await world.client(b"SELECT " + name, user=b"ann")).ok(b"STORE 1 +FLAGS (\\Seen)")
        assert b"UNSEEN" not in await ann.ok(b"NOOP")
        assert b" UNSEEN %d" % (unseen - 1) in await ann.ok(leave)
        await ann.ok(b"SELECT " + name)
        assert b"UNSEEN" not in await ann.ok(b"UNSELECT")
        await silent(ann)

    run(scenario)


@pytest.mark.parametrize("leave", [b"SELECT Elsewhere", b"UNSELECT", b"CLOSE"])
@pytest.mark.parametrize("name", [b"INBOX", PROJECTS])
def test_rfc5465_3_1_mail_not_told_of_the_selected_mailbox_is_once_it_is_left(name: bytes, leave: bytes) -> None:
    """No group is about the selected mailbox, so nothing is told of it; of that mailbox left, groups ask for it."""

    async def scenario(world: World) -> None:
        await shared(world)
        events = b"(MessageNew MessageExpunge)"
        groups = b'(personal %b) (subtree "Other Users" %b)' % (events, events)
        ann = await world.client(b"CREATE Elsewhere", b"NOTIFY SET " + groups, b"SELECT " + name, user=b"ann")
        there = len(ann.session.view.uids)
        account, mailbox = ("id-ann", "INBOX") if name == b"INBOX" else ("id-bob", "Projects")
        await world.add(b"more", mailbox=mailbox, account=account)
        assert await ann.ok(b"NOOP") == b"T OK NOOP completed.\r\n"
        told = b"* STATUS %b (MESSAGES %d UIDNEXT %d)\r\n" % (name, there + 1, there + 2)
        assert told in await ann.ok(leave)
        await ann.ok(b"SELECT " + name)
        assert b"STATUS" not in await ann.ok(b"UNSELECT")
        await silent(ann)

    run(scenario)


@pytest.mark.parametrize("leave", [b"SELECT Elsewhere", b"UNSELECT", b"CLOSE", b"LOGOUT", b"UNAUTHENTICATE"])
def test_rfc7162_6_who_leaves_a_mailbox_takes_no_removal_for_told(leave: bytes) -> None:
    """A MODSEQ that NOTIFY has told lies above a removal that waits: with the next tagged response the client takes
    it for the highest that is known."""

    async def scenario(world: World) -> None:
        await world.add(b"1", b"2", b"3")
        groups = b"(selected-delayed (MessageNew MessageExpunge FlagChange))"
        client = await world.client(b"CREATE Elsewhere", b"ENABLE QRESYNC", b"SELECT INBOX", b"NOTIFY SET " + groups)
        known = client.session.view.told_modseq
        await world.store.expunge(1, ((1, 1),), deleted_only=False)
        await world.store.store_flags(1, ((2, 2),), FlagMode.ADD, Flags.of(["\\Flagged"]))
        assert b" MODSEQ (" in await client.pushed(b"FETCH")
        got = await client.do(leave)
        if leave == b"CLOSE":
            assert got == b"* OK [HIGHESTMODSEQ %d] Removals are yet to be told.\r\nT OK CLOSE completed.\r\n" % known
        else:
            assert got.startswith(b"* VANISHED 1\r\n")

    run(scenario)


@pytest.mark.parametrize("sent", [b"NONSENSE", b"LOGIN user pass", b"STORE 2 FLAGS ()", b"APPEND nowhere {100000}"])
def test_rfc7162_6_who_is_refused_takes_no_removal_for_told(sent: bytes) -> None:
    """By the reader, by the state, by UIDONLY, before a literal."""

    async def scenario(world: World) -> None:
        await world.add(b"1", b"2", b"3")
        groups = b"(selected-delayed (MessageNew MessageExpunge FlagChange))"
        client = await world.client(b"ENABLE QRESYNC UIDONLY", b"SELECT INBOX", b"NOTIFY SET " + groups)
        known = client.session.view.told_modseq
        await world.store.expunge(1, ((1, 1),), deleted_only=False)
        await world.store.store_flags(1, ((2, 2),), FlagMode.ADD, Flags.of(["\\Flagged"]))
        assert b" MODSEQ (" in await client.pushed(b"FETCH")
        got = await client.do(sent)
        assert got.startswith(b"* OK [HIGHESTMODSEQ %d] Removals are yet to be told.\r\nT " % known)
        assert b"* VANISHED 1\r\n" in await client.ok(b"NOOP")

    run(scenario)


@pytest.mark.parametrize("sent", [b"NONSENSE", b"LOGIN user pass", b"SELECT INBOX", b"UNSELECT", b"CLOSE", b"LOGOUT"])
def test_rfc7162_6_who_wants_to_hear_of_no_flags_takes_none_for_known(sent: bytes) -> None:
    """New mail is told with a MODSEQ above that of flags which are not told, and is followed by what tells nothing."""

    async def scenario(world: World) -> None:
        await world.add(b"1", b"2")
        groups = b"(selected (MessageNew (UID) MessageExpunge))"
        client = await world.client(b"ENABLE QRESYNC", b"SELECT INBOX", b"NOTIFY SET " + groups)
        known = client.session.view.told_modseq
        await world.store.store_flags(1, ((2, 2),), FlagMode.ADD, Flags.of(["\\Flagged"]))
        await world.add(b"3")
        assert b" MODSEQ (" in await client.pushed(b"FETCH")
        got = await client.do(sent)
        assert got.startswith(b"* OK [HIGHESTMODSEQ %d] NOTIFY withholds changes.\r\n" % known)

    run(scenario)


@pytest.mark.parametrize("flags", [b"", b" FlagChange"])
@pytest.mark.parametrize("sent", [b"NONSENSE", b"UNSELECT", b"CLOSE", b"LOGOUT"])
def test_rfc7162_6_what_changes_while_new_mail_is_fetched_is_not_taken_for_known(
    sent: bytes, flags: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new message's row is read later than what changed: its MODSEQ may be above that of flags not told yet."""

    async def scenario(world: World) -> None:
        await world.add(b"1", b"2")
        groups = b"(selected (MessageNew (UID FLAGS) MessageExpunge%b))" % flags
        client = await world.client(b"ENABLE QRESYNC", b"SELECT INBOX", b"NOTIFY SET " + groups)
        known = client.session.view.told_modseq
        real = fetch_rows.send

        async def meanwhile(session: ImapSession, view: View, spans: Spans, plan: fetch_plan.Plan) -> bool:
            monkeypatch.setattr(fetch_rows, "send", real)
            await world.store.store_flags(1, ((1, 3),), FlagMode.ADD, Flags.of(["\\Flagged"]))
            client.connection.feed(b"t " + sent + b"\r\n")
            return await real(session, view, spans, plan)

        monkeypatch.setattr(fetch_rows, "send", meanwhile)
        await world.add(b"3")
        got = await client.until(lambda written: b"\r\nt " in written)
        changed = known + 2
        assert b"* 3 FETCH (UID 3 FLAGS (\\Flagged \\Recent) MODSEQ (%d))\r\n" % changed in got
        told = b"* 1 FETCH (UID 1 FLAGS (\\Flagged" in got
        assert told or b"* OK [HIGHESTMODSEQ %d] NOTIFY withholds changes.\r\n" % (known + 1) in got, got

    run(scenario)


@pytest.mark.parametrize("name", [b"INBOX", PROJECTS])
def test_what_the_view_had_not_read_yet_is_told_of_the_mailbox_that_was_left(name: bytes) -> None:
    """The account's changes were read, those of the selected mailbox were not, and no command came between."""

    async def scenario(world: World) -> None:
        await shared(world)
        events = b"(MessageNew MessageExpunge FlagChange)"
        groups = b'(selected %b) (personal %b) (subtree "Other Users" %b)' % (events, events, events)
        ann = await world.client(b"CREATE Elsewhere", b"NOTIFY SET " + groups, b"SELECT " + name, user=b"ann")
        there = len(ann.session.view.uids)
        ann.connection.feed(b"a SELECT ")
        for _ in range(10):
            await asyncio.sleep(0)
        account = "id-ann" if name == b"INBOX" else "id-bob"
        mailbox = "INBOX" if name == b"INBOX" else "Projects"
        await world.add(b"more", mailbox=mailbox, account=account)
        assert ann.session.notifications is not None
        await ann.session.notifications.tell(ask=True)
        told = b"* STATUS %b (MESSAGES %d UIDNEXT %d UIDVALIDITY " % (name, there + 1, there + 2)
        assert told in await ann.raw(b"Elsewhere\r\n", b"a")
        await silent(ann)

    run(scenario)


@pytest.mark.parametrize("name", [b"INBOX", PROJECTS])
def test_unseen_of_a_mailbox_that_was_left_is_told_where_close_and_somebody_else_changed_it(name: bytes) -> None:
    """CLOSE takes away one that was unseen, another one came unheard: their number is what it was when it was heard."""

    async def scenario(world: World) -> None:
        await shared(world)
        events = b"(MessageNew MessageExpunge FlagChange)"
        groups = b'(personal %b) (subtree "Other Users" %b)' % (events, events)
        account, mailbox = ("id-ann", "INBOX") if name == b"INBOX" else ("id-bob", "Projects")
        await world.add(b"one", mailbox=mailbox, account=account)
        ann = await world.client(b"NOTIFY SET " + groups, b"SELECT " + name, user=b"ann")
        unseen = ann.session.view.mailbox.unseen
        await world.add(b"more", mailbox=mailbox, account=account)
        await ann.ok(b"STORE 1 +FLAGS (\\Deleted)")
        assert b" UNSEEN %d" % unseen in await ann.ok(b"CLOSE")
        await ann.ok(b"SELECT " + name)
        assert b"STATUS" not in await ann.ok(b"CLOSE")
        await silent(ann)

    run(scenario)


@pytest.mark.parametrize("name", [b"INBOX", PROJECTS])
def test_what_close_removed_unheard_is_told_of_the_mailbox_that_was_left(
    monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    """Somebody marks a message in the moment before CLOSE removes it: the client, which is told of no removal, and of
    nothing that it did itself, counts it still."""
    account, mailbox = ("id-ann", "INBOX") if name == b"INBOX" else ("id-bob", "Projects")
    kind = SqliteStore if name == b"INBOX" else SharedStore
    expunge = kind.expunge

    async def scenario(world: World) -> None:
        await shared(world)
        await world.add(b"one", mailbox=mailbox, account=account)
        events = b"(MessageNew MessageExpunge FlagChange)"
        groups = b'(selected %b) (personal %b) (subtree "Other Users" %b)' % ((events,) * 3)
        ann = await world.client(b"NOTIFY SET " + groups, b"SELECT " + name, user=b"ann")
        there = len(ann.session.view.uids)
        owner = world.engine.account(account)

        async def behind(store: Any, key: int, ranges: UidRanges | None, **how: Any) -> Removed:
            await owner.store_flags(key, ((1, 1),), FlagMode.ADD, Flags.of(("\\Deleted",)))
            return await expunge(store, key, ranges, **how)

        monkeypatch.setattr(kind, "expunge", behind)
        assert b"* STATUS %b (MESSAGES %d " % (name, there - 1) in await ann.ok(b"CLOSE")
        monkeypatch.setattr(kind, "expunge", expunge)
        await ann.ok(b"SELECT " + name)
        await ann.ok(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        assert b"STATUS" not in await ann.ok(b"CLOSE")
        await silent(ann)

    run(scenario)


def test_unseen_is_told_where_somebody_else_removed_what_close_was_to_remove(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client takes off its marked message by itself, whoever removed it; one that came makes up for it."""
    expunge = SqliteStore.expunge

    async def scenario(world: World) -> None:
        await shared(world)
        await world.add(b"one", account="id-ann")
        events = b"(MessageNew MessageExpunge FlagChange)"
        groups = b"(selected %b) (personal %b)" % (events, events)
        ann = await world.client(b"NOTIFY SET " + groups, b"SELECT INBOX", user=b"ann")
        unseen = ann.session.view.mailbox.unseen
        await ann.ok(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        other = world.engine.account("id-ann")

        async def behind(store: SqliteStore, key: int, ranges: UidRanges | None, **how: Any) -> Removed:
            await expunge(other, key, None)  # type: ignore[arg-type]  # the engine's accounts are of this kind
            await world.add(b"more", account="id-ann")
            return await expunge(store, key, ranges, **how)

        monkeypatch.setattr(SqliteStore, "expunge", behind)
        assert b" UNSEEN %d" % unseen in await ann.ok(b"CLOSE")

    run(scenario)
