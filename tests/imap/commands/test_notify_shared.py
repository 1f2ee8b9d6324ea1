"""NOTIFY on mailboxes of others: what a reader is told, and what he must never hear of. RFC 5465 5, RFC 4314 4."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from restante.imap.commands.watching import Notifications
from restante.imap.commands.watching_others import name_events
from restante.imap.session.places import Place, Places
from restante.store.changes import AccountChanges, Change
from restante.store.interface import Store
from restante.store.model import FlagMode, Flags, Mailbox
from restante.store.rights import Rights, parse_rights
from restante.store.sqlite.shared import SharedStore

from ..people import people
from ..session.support import SIMPLE, Client, World, run
from .test_notify_sessions import silent, watched

EVENTS = b"(MessageNew MessageExpunge FlagChange MailboxName MailboxMetadataChange)"
ABOVE = b"Other Users/bob@example.org/"
PROJECTS = b'"%bProjects"' % ABOVE


async def shared(world: World, rights: str = "lrswipkxte") -> Store:
    """Bob's store; Ann has these rights on Projects and, to list and read, on Projects/Alpha."""
    await people(world)
    bob = world.engine.account("id-bob")
    for name, letters in (("Projects", rights), ("Projects/Alpha", "lr")):
        found = await bob.mailbox(name)
        assert found is not None
        await bob.set_acl(found.key, "id-ann", FlagMode.ADD, parse_rights(letters))
    return bob


async def key(store: Store, name: str) -> int:
    found = await store.mailbox(name)
    assert found is not None
    return found.key


async def listener(world: World, groups: bytes = b'(subtree "Other Users" %b)' % EVENTS) -> Client:
    return await world.client(b"NOTIFY SET %b" % groups, user=b"ann")


@pytest.mark.parametrize(
    "group",
    [
        b'subtree "Other Users"',
        b'subtree "Other Users/bob@example.org"',
        b"mailboxes " + PROJECTS,
        b"subscribed",
    ],
)
def test_new_mail_in_a_shared_mailbox_is_told(group: bytes) -> None:
    async def scenario(world: World) -> None:
        await shared(world)
        ann = await world.client(b"SUBSCRIBE " + PROJECTS, user=b"ann")
        got = await ann.ok(b"NOTIFY SET STATUS (%b (MessageNew MessageExpunge))" % group)
        assert b"* STATUS %b (MESSAGES 2 UIDNEXT 3 UIDVALIDITY " % PROJECTS in got
        assert b"Secret" not in got
        await world.add(b"more", mailbox="Projects", account="id-bob")
        assert await ann.pushed(b"STATUS") == b"* STATUS %b (MESSAGES 3 UIDNEXT 4)\r\n" % PROJECTS
        await silent(ann)

    run(scenario)


@pytest.mark.parametrize(
    "group",
    [
        b'mailboxes "Other Users/BOB@example.org/Projects"',
        b'subtree "Other Users/Bob@Example.Org"',
        b'mailboxes "Other Users/bob@example.org/Inbox"',
        b'subtree "Other Users/BOB@example.org/inbox"',
    ],
)
def test_rfc5465_3_1_a_mailbox_may_be_named_in_another_case(group: bytes) -> None:
    """As SELECT takes it: the name refers to a mailbox that the client can list."""

    async def scenario(world: World) -> None:
        bob = await shared(world)
        await bob.set_acl(1, "id-ann", FlagMode.ADD, parse_rights("lr"))
        ann = await listener(world, b"(%b (MessageNew MessageExpunge SubscriptionChange))" % group)
        name = "INBOX" if b"nbox" in group else "Projects"
        await world.add(b"more", mailbox=name, account="id-bob")
        assert b'* STATUS "%b%b" (MESSAGES ' % (ABOVE, name.encode()) in await ann.pushed(b"STATUS")
        other = await world.client(user=b"ann")
        await other.ok(b'SUBSCRIBE "%b%b"' % (ABOVE, name.encode()))
        assert b"\\Subscribed" in await ann.pushed(b"LIST")

    run(scenario)


@pytest.mark.parametrize("group", [b"personal", b"inboxes", b"subscribed", b"subtree Work", b"mailboxes INBOX"])
def test_who_names_own_mailboxes_alone_watches_nobody_elses(group: bytes) -> None:
    async def scenario(world: World) -> None:
        await shared(world)
        before = watched(world)
        ann = await listener(world, b"(%b (MessageNew MessageExpunge))" % group)
        assert watched(world) == before + 1
        assert ann.session.notifications is not None
        assert ann.session.notifications.others is None
        await world.add(b"more", mailbox="Projects", account="id-bob")
        await silent(ann)

    run(scenario)


def test_a_subscription_made_later_brings_its_account_in() -> None:
    async def scenario(world: World) -> None:
        await shared(world)
        ann = await listener(world, b"(subscribed (MessageNew MessageExpunge MailboxName))")
        assert b"LIST" not in await ann.ok(b"SUBSCRIBE " + PROJECTS)
        await world.add(b"more", mailbox="Projects", account="id-bob")
        assert b"* STATUS %b (MESSAGES 3" % PROJECTS in await ann.pushed(b"STATUS")
        await ann.ok(b"UNSUBSCRIBE " + PROJECTS)
        await ann.ok(b"NOOP")
        await world.add(b"more", mailbox="Projects", account="id-bob")
        await silent(ann)

    run(scenario)


def test_nothing_is_told_of_what_may_not_be_read() -> None:
    """Secret: no right. Projects: to be listed alone."""

    async def scenario(world: World) -> None:
        bob = await shared(world, "l")
        ann = await listener(world, b'STATUS (subtree "Other Users" %b)' % EVENTS)
        for name in ("Projects", "Secret", "INBOX"):
            await world.add(b"more", mailbox=name, account="id-bob")
            await bob.annotate(await key(bob, name), {"/shared/comment": b"x"})
        await bob.create_mailbox("Hidden")
        await bob.rename_mailbox(await key(bob, "Secret"), "Secrets")
        await bob.delete_mailbox(await key(bob, "Secrets"))
        await silent(ann)
        await world.add(b"more", mailbox="Projects/Alpha", account="id-bob")
        got = await ann.pushed(b"STATUS")
        assert got.startswith(b'* STATUS "%bProjects/Alpha" (MESSAGES 3 UIDNEXT 4 ' % ABOVE)
        assert got.count(b"*") == 1

    run(scenario)


def test_rfc5465_3_1_what_may_be_listed_but_not_watched_is_told_as_no_access() -> None:
    async def scenario(world: World) -> None:
        bob = await shared(world, "l")
        names = b'%b "%bProjects/Alpha" "%bSecret" nowhere' % (PROJECTS, ABOVE, ABOVE)
        groups = b"(mailboxes (%b) (MessageNew MessageExpunge))" % names
        ann = await world.client(user=b"ann")
        no_access = b'* LIST (\\NoAccess \\Noselect \\HasChildren) "/" %b\r\n' % PROJECTS
        for _ in range(2):
            got = await ann.ok(b"NOTIFY SET STATUS " + groups)
            assert got.startswith(no_access)
            assert got.count(b"LIST") == got.count(b"STATUS") == 1
        assert await ann.do(b"NOOP") == b"T OK NOOP completed.\r\n"
        projects = await key(bob, "Projects")
        await bob.set_acl(projects, "id-ann", FlagMode.ADD, parse_rights("r"))
        assert await ann.pushed(b"LIST") == b'* LIST (\\HasChildren) "/" %b\r\n' % PROJECTS
        await world.add(b"more", mailbox="Projects", account="id-bob")
        assert b"* STATUS %b (MESSAGES 3" % PROJECTS in await ann.pushed(b"STATUS")
        await bob.set_acl(projects, "id-ann", FlagMode.REMOVE, parse_rights("r"))
        assert await ann.pushed(b"LIST") == no_access
        await world.add(b"more", mailbox="Projects", account="id-bob")
        await silent(ann)
        await ann.ok(b'NOTIFY SET (subtree "Other Users" (MailboxName))')  # what needs no other right
        await bob.set_acl(projects, "id-ann", FlagMode.REPLACE, Rights.NONE)
        assert b"* LIST (\\NonExistent" in await ann.pushed(b"Projects")

    run(scenario)


def test_rfc5465_5_annotations_too_are_told_to_who_may_read_alone() -> None:
    """Rights l and i let one read annotations (RFC 5464 3.3): ENABLE METADATA tells of them, NOTIFY asks for r, too."""

    async def scenario(world: World) -> None:
        bob = await shared(world, "li")
        projects = await key(bob, "Projects")
        group = b"(mailboxes %b (MailboxMetadataChange))" % PROJECTS
        ann = await world.client(b"ENABLE METADATA", user=b"ann")
        await bob.annotate(projects, {"/shared/comment": b"x"})
        assert b"* METADATA %b /shared/comment\r\n" % PROJECTS in await ann.ok(b"NOOP")
        assert b'* LIST (\\NoAccess \\Noselect \\HasChildren) "/" %b\r\n' % PROJECTS in await ann.ok(
            b"NOTIFY SET " + group
        )
        await bob.annotate(projects, {"/shared/comment": b"y"})
        await silent(ann)
        await bob.set_acl(projects, "id-ann", FlagMode.REPLACE, parse_rights("lr"))
        assert await ann.pushed(b"LIST") == b'* LIST (\\HasChildren) "/" %b\r\n' % PROJECTS
        await bob.annotate(projects, {"/shared/comment": b"z"})
        assert await ann.pushed(b"METADATA") == b"* METADATA %b /shared/comment\r\n" % PROJECTS

    run(scenario)


def test_rfc5465_5_9_no_access_is_taken_back_also_of_what_could_not_be_listed_meanwhile() -> None:
    async def scenario(world: World) -> None:
        bob = await shared(world, "l")
        ann = await world.client(user=b"ann")
        got = await ann.ok(b"NOTIFY SET (mailboxes %b (MessageNew MessageExpunge))" % PROJECTS)
        assert b"\\NoAccess" in got
        projects = await key(bob, "Projects")
        await bob.set_acl(projects, "id-ann", FlagMode.REPLACE, parse_rights(""))
        assert await ann.do(b"NOOP") == b"T OK NOOP completed.\r\n"
        await bob.set_acl(projects, "id-ann", FlagMode.REPLACE, parse_rights("lr"))
        assert await ann.pushed(b"LIST") == b'* LIST (\\HasChildren) "/" %b\r\n' % PROJECTS

    run(scenario)


def test_rfc5465_5_4_a_right_that_comes_or_goes_is_a_mailbox_that_comes_or_goes() -> None:
    async def scenario(world: World) -> None:
        bob = await shared(world)
        ann = await listener(world)
        secret = await key(bob, "Secret")
        await bob.set_acl(secret, "id-ann", FlagMode.ADD, parse_rights("lr"))
        got = await ann.pushed(b"Secret")
        assert b'* LIST (\\HasNoChildren) "/" "%bSecret"\r\n' % ABOVE in got
        await world.add(b"more", mailbox="Secret", account="id-bob")
        assert b'STATUS "%bSecret" (MESSAGES 3 UIDNEXT 4 UIDVALIDITY' % ABOVE in await ann.pushed(b"STATUS")
        await bob.set_acl(secret, "id-ann", FlagMode.REPLACE, Rights.NONE)
        assert b'* LIST (\\NonExistent \\HasNoChildren) "/" "%bSecret"\r\n' % ABOVE in await ann.pushed(b"Secret")
        await world.add(b"more", mailbox="Secret", account="id-bob")
        await silent(ann)

    run(scenario)


def test_the_last_right_that_goes_is_told_too() -> None:
    async def scenario(world: World) -> None:
        bob = await shared(world)
        ann = await listener(world)
        for name in ("Projects/Alpha", "Projects"):
            await bob.set_acl(await key(bob, name), "id-ann", FlagMode.REPLACE, Rights.NONE)
        got = b""
        while got.count(b"NonExistent") < 2:
            got += await ann.pushed(b"NonExistent")
        await ann.ok(b"NOOP")
        assert watched(world) == 1
        await world.add(b"more", mailbox="Projects", account="id-bob")
        await silent(ann)

    run(scenario)


def test_rfc5465_5_4_who_begins_to_share_makes_a_mailbox_come() -> None:
    """Of his account nothing was watched until then."""

    async def scenario(world: World) -> None:
        await people(world)
        ann = await listener(world, b'(mailboxes "Other Users/carol@example.org/INBOX" %b)' % EVENTS)
        carol = world.engine.account("id-carol")
        for _ in range(2):
            await carol.set_acl(1, "id-ann", FlagMode.ADD, parse_rights("lr"))
            got = await ann.pushed(b"INBOX")
            assert got == b'* LIST (\\HasNoChildren) "/" "Other Users/carol@example.org/INBOX"\r\n'
            await world.add(b"more", account="id-carol")
            assert b"STATUS" in await ann.pushed(b"carol@example.org/INBOX")
            await carol.set_acl(1, "id-ann", FlagMode.REPLACE, Rights.NONE)
            assert b"* LIST (\\NonExistent" in await ann.pushed(b"INBOX")
            await world.add(b"more", account="id-carol")
            await silent(ann)

    run(scenario)


def test_a_hint_that_was_lost_costs_a_noop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        await people(world)
        ann = await listener(world, b'(mailboxes "Other Users/carol@example.org/INBOX" %b)' % EVENTS)
        monkeypatch.setattr(type(world.engine), "announce_shares", lambda engine, identifier: None)
        await world.engine.account("id-carol").set_acl(1, "id-ann", FlagMode.ADD, parse_rights("lr"))
        assert b'* LIST (\\HasNoChildren) "/" "Other Users/carol@example.org/INBOX"\r\n' in await ann.ok(b"NOOP")
        await world.add(b"more", account="id-carol")
        assert b"STATUS" in await ann.pushed(b"carol@example.org/INBOX")

    run(scenario)


def test_rfc5464_4_4_annotations_of_others_mailboxes_are_told_without_notify() -> None:
    async def scenario(world: World) -> None:
        bob = await shared(world)
        ann = await world.client(b"ENABLE METADATA", user=b"ann")
        plain = await world.client(b"ENABLE METADATA-SERVER", user=b"ann")
        await bob.annotate(await key(bob, "Projects"), {"/shared/comment": b"x"})
        await bob.annotate(await key(bob, "Secret"), {"/shared/comment": b"x"})
        assert await ann.do(b"NOOP") == b"* METADATA %b /shared/comment\r\nT OK NOOP completed.\r\n" % PROJECTS
        carol = world.engine.account("id-carol")
        await carol.set_acl(1, "id-ann", FlagMode.ADD, parse_rights("lr"))
        await ann.idle()
        await carol.annotate(1, {"/shared/comment": b"x"})
        assert b'* METADATA "Other Users/carol@example.org/INBOX" /shared/comment' in await ann.pushed(b"METADATA")
        await world.engine.account("id-ann").annotate(1, {"/shared/comment": b"x"})
        assert await ann.pushed(b"METADATA") == b"* METADATA INBOX /shared/comment\r\n"
        assert await plain.do(b"NOOP") == b"T OK NOOP completed.\r\n"
        await world.engine.account("id-ann").annotate(0, {"/shared/comment": b"x"})
        assert await plain.do(b"NOOP") == b'* METADATA "" /shared/comment\r\nT OK NOOP completed.\r\n'
        await plain.ok(b"ENABLE METADATA")
        await bob.annotate(await key(bob, "Projects"), {"/shared/comment": b"y"})
        assert await plain.do(b"NOOP") == b"* METADATA %b /shared/comment\r\nT OK NOOP completed.\r\n" % PROJECTS
        await plain.ok(b"UNAUTHENTICATE")
        await ann.raw(b"DONE\r\nx LOGOUT\r\n", b"x")
        assert world.engine._hints._watched == {}

    run(scenario)


def test_names_follow_the_owner_and_own_doings_are_not_told() -> None:
    async def scenario(world: World) -> None:
        bob = await shared(world)
        ann = await listener(world)
        await bob.rename_mailbox(await key(bob, "Projects"), "Plans")
        got = await ann.pushed(b"OLDNAME")
        assert b'"%bPlans" ("OLDNAME" (%b))' % (ABOVE, PROJECTS) in got
        assert b"Alpha" not in got  # children go without saying
        await ann.ok(b'CREATE "%bPlans/Mine"' % ABOVE)
        await silent(ann)
        await ann.ok(b'RENAME "%bPlans/Mine" "%bPlans/Ours"' % (ABOVE, ABOVE))
        await ann.ok(b'APPEND "%bPlans" {%d+}\r\n%b' % (ABOVE, len(SIMPLE % (b"s", b"x")), SIMPLE % (b"s", b"x")))
        await silent(ann)
        await ann.ok(b'DELETE "%bPlans/Ours"' % ABOVE)
        await silent(ann)
        await bob.delete_mailbox(await key(bob, "Plans/Alpha"))
        assert b"NonExistent" in await ann.pushed(b"Plans/Alpha")

    run(scenario)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (b'DELETE "%bProjects/A"' % ABOVE, {b"A/old": False, b"A/new": True}),
        (b'RENAME "%bProjects/A" "%bProjects/B"' % (ABOVE, ABOVE), {b"B/old": False, b"B/new": True}),
    ],
    ids=["delete", "rename"],
)
def test_rfc5465_5_4_what_others_do_below_a_name_that_goes_is_told(
    command: bytes, told: dict[bytes, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the moment in which the client deletes or renames a mailbox, what is below it is not its own doing."""

    async def scenario(world: World) -> None:
        bob = await shared(world)
        await bob.create_mailbox("Projects/A/old")
        ann = await listener(world)
        for name in ("delete_mailbox", "rename_mailbox"):
            real = getattr(SharedStore, name)

            async def meanwhile(store: SharedStore, *rest: Any, real: Any = real) -> None:
                await bob.delete_mailbox(await key(bob, "Projects/A/old"))
                await bob.create_mailbox("Projects/A/new")
                await real(store, *rest)

            monkeypatch.setattr(SharedStore, name, meanwhile)
        got = await ann.ok(command) + await ann.ok(b"NOOP")
        for below, there in told.items():
            attributes = rb"\\HasNoChildren" if there else rb"\\NonExistent [^)]*"
            assert re.search(rb'\* LIST \(%b\) "/" "%bProjects/%b"' % (attributes, ABOVE, below), got), got

    run(scenario)


@pytest.mark.parametrize("before", ["", "l"])
def test_rfc5465_5_1_unseen_is_told_of_a_mailbox_that_came_by_a_right_and_was_looked_at(before: str) -> None:
    """How many are unseen there the client has asked by itself, as it must: a right that comes is no change."""

    async def scenario(world: World) -> None:
        bob = await shared(world, before)
        ann = await listener(world)
        projects = await key(bob, "Projects")
        await bob.set_acl(projects, "id-ann", FlagMode.ADD, parse_rights("lrs"))
        assert b"* LIST" in await ann.pushed(b'Projects"')
        assert b"(MESSAGES 2 UNSEEN 2)" in await ann.ok(b"STATUS %b (MESSAGES UNSEEN)" % PROJECTS)
        await world.engine.account("id-bob", "id-ann").store_flags(
            projects, ((1, 2),), FlagMode.ADD, Flags.of(("\\Seen",))
        )
        assert b" UNSEEN 0" in await ann.pushed(b"* STATUS")

    run(scenario)


@pytest.mark.parametrize("how", ["delete", "rename"])
def test_rfc5465_5_4_nothing_is_told_of_a_name_that_has_just_gone(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has changed there, and which names there are, are read one after the other."""

    async def scenario(world: World) -> None:
        bob = await shared(world)
        await bob.create_mailbox("Projects/A")
        ann = await listener(world)
        real = SharedStore.changes

        async def meanwhile(store: SharedStore, *rest: Any) -> AccountChanges:
            there = await bob.mailbox("Projects/A")
            if there is None:
                return await real(store, *rest)
            await world.add(b"1", mailbox="Projects/A", account="id-bob")
            await bob.annotate(there.key, {"/shared/comment": b"x"})
            found = await real(store, *rest)
            await (bob.delete_mailbox(there.key) if how == "delete" else bob.rename_mailbox(there.key, "Projects/B"))
            return found

        monkeypatch.setattr(SharedStore, "changes", meanwhile)
        await world.add(b"3", mailbox="Projects", account="id-bob")
        got = await ann.ok(b"NOOP") + await ann.ok(b"NOOP")
        name = b'"%bProjects/%b"' % (ABOVE, b"A" if how == "delete" else b"B")
        assert b"* LIST " in got
        assert b'STATUS "%bProjects/A"' % ABOVE not in got
        assert b'METADATA "%bProjects/A"' % ABOVE not in got
        assert (b"METADATA %b /shared/comment" % name in got) is (how == "rename")
        assert (b"STATUS %b (MESSAGES 1 UIDNEXT 2 " % name in got) is (how == "rename"), got

    run(scenario)


def test_flags_are_the_readers_own() -> None:
    async def scenario(world: World) -> None:
        bob = await shared(world)
        ann = await listener(world)
        projects = await key(bob, "Projects")
        await bob.store_flags(projects, ((1, 1),), FlagMode.ADD, Flags.of(["\\Seen"]))  # Bob has read it, not she
        await silent(ann)
        other = await world.client(b"SELECT " + PROJECTS, user=b"ann")
        await other.ok(b"STORE 1 +FLAGS.SILENT (\\Seen)")
        assert b"* STATUS %b (UIDVALIDITY " % PROJECTS in (got := await ann.pushed(b"UNSEEN"))
        assert b"UNSEEN 1" in got
        await ann.ok(b"SELECT " + PROJECTS)
        await ann.ok(b"STORE 2 +FLAGS.SILENT (\\Seen)")
        await ann.ok(b"UNSELECT")
        await silent(ann)

    run(scenario)


def test_what_another_session_of_the_reader_has_seen_is_not_hidden_by_what_this_one_files() -> None:
    async def scenario(world: World) -> None:
        await shared(world)
        ann = await listener(world, b'(subtree "Other Users" (MessageNew MessageExpunge FlagChange))')
        other = await world.client(b"SELECT " + PROJECTS, user=b"ann")
        ann.connection.feed(b"a APPEND %b (\\Seen) {5+}\r\nab" % PROJECTS)
        await asyncio.sleep(0)
        await other.ok(b"STORE 1 +FLAGS (\\Seen)")
        got = await ann.raw(b"c\r\n\r\n", b"a")
        assert b"* STATUS %b (MESSAGES 3 UIDNEXT 4 UIDVALIDITY " % PROJECTS in got
        assert b" UNSEEN 1)" in got

    run(scenario)


@pytest.mark.parametrize("name", [b"INBOX", PROJECTS])
def test_unseen_is_told_where_it_is_what_it_was_by_an_own_change_and_one_of_somebody_else(name: bytes) -> None:
    """One more by the client's own count, one less by the other's STORE: it would go on believing in one too many."""

    async def scenario(world: World) -> None:
        await shared(world)
        await world.add(b"one", account="id-ann")
        events = b"(MessageNew MessageExpunge FlagChange)"
        ann = await listener(world, b'(personal %b) (subtree "Other Users" %b)' % (events, events))
        other = await world.client(b"SELECT " + name, user=b"ann")
        unseen = other.session.view.mailbox.unseen
        ann.connection.feed(b"a APPEND %b {5+}\r\nab" % name)
        await asyncio.sleep(0)
        await other.ok(b"STORE 1 +FLAGS (\\Seen)")
        got = await ann.raw(b"c\r\n\r\n", b"a")
        assert b"* STATUS %b (MESSAGES " % name in got
        assert b" UNSEEN %d)" % unseen in got

    run(scenario)


def test_rfc5465_3_1_what_changes_while_notify_set_status_looks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at who shares what and the change from which on all is told."""
    look = Places.shared

    async def scenario(world: World) -> None:
        await shared(world)
        ann = await world.client(user=b"ann")
        other = await world.client(b"SELECT " + PROJECTS, user=b"ann")
        unseen = other.session.view.mailbox.unseen

        async def meanwhile(places: Places) -> list[tuple[Place, Mailbox]]:
            found = await look(places)
            await other.ok(b"STORE 1 +FLAGS (\\Seen)")
            return found

        monkeypatch.setattr(Places, "shared", meanwhile)
        told = await ann.ok(b'NOTIFY SET STATUS (subtree "Other Users" (MessageNew MessageExpunge FlagChange))')
        told += await ann.ok(b"NOOP")
        assert re.findall(rb"STATUS %b [^\r]*UNSEEN (\d+)" % PROJECTS, told)[-1] == b"%d" % (unseen - 1)

    run(scenario)


def test_metadata_of_shared_mailboxes_for_who_may_read_them() -> None:
    async def scenario(world: World) -> None:
        bob = await shared(world)
        ann = await listener(world)
        await bob.annotate(await key(bob, "Projects"), {"/private/comment": b"bob's own"})
        await silent(ann)
        await bob.annotate(await key(bob, "Projects"), {"/shared/comment": b"ours"})
        assert await ann.pushed(b"METADATA") == b"* METADATA %b /shared/comment\r\n" % PROJECTS
        await ann.ok(b'SETMETADATA %b (/shared/comment "hers")' % PROJECTS)
        await silent(ann)

    run(scenario)


def test_new_mail_in_the_selected_shared_mailbox_is_fetched_but_not_what_one_brought() -> None:
    async def scenario(world: World) -> None:
        await shared(world)
        groups = b'(selected (MessageNew (UID) MessageExpunge)) (subtree "Other Users" (MessageNew MessageExpunge))'
        ann = await world.client(b"SELECT " + PROJECTS, b"NOTIFY SET " + groups, user=b"ann")
        await world.add(b"more", mailbox="Projects", account="id-bob")
        got = await ann.pushed(b"FETCH")
        assert b"* 3 FETCH (UID 3)" in got
        assert b"STATUS" not in got
        message = SIMPLE % (b"s", b"x")
        got = await ann.ok(b"APPEND %b {%d+}\r\n%b" % (PROJECTS, len(message), message))
        assert b"4 EXISTS" in got
        assert b"FETCH" not in got

    run(scenario)


def test_a_second_list_goes_on_where_the_first_stood_and_watches_end() -> None:
    async def scenario(world: World) -> None:
        await shared(world)
        ann = await listener(world)
        assert watched(world) == 2
        await world.add(b"more", mailbox="Projects", account="id-bob")
        got = await ann.ok(b'NOTIFY SET (subtree "Other Users" (MessageNew MessageExpunge))')
        got += await ann.ok(b"NOOP")
        assert got.count(b"MESSAGES 3") == 1
        assert watched(world) == 2
        await world.add(b"more", mailbox="Projects", account="id-bob")
        assert b"MESSAGES 4" in await ann.pushed(b"STATUS")
        await ann.ok(b"NOTIFY SET (personal (MessageNew MessageExpunge))")
        assert watched(world) == 1
        await ann.ok(b'NOTIFY SET (subtree "Other Users" (MessageNew MessageExpunge))')
        await ann.ok(b"NOTIFY NONE")
        assert watched(world) == 0

    run(scenario)


@pytest.mark.parametrize("shares", [False, True])
def test_what_happens_while_one_list_takes_over_from_another_is_told(
    shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint came to the first list, which had told all that it knew. shares: somebody begins to share just then."""

    async def scenario(world: World) -> None:
        await shared(world)
        ann = await listener(world)
        begin = Notifications.begin

        async def begun(self: Notifications, **how: Any) -> None:
            await world.add(b"more", mailbox="Projects", account="id-bob")
            if shares:
                carol = world.engine.account("id-carol")
                await carol.set_acl(1, "id-ann", FlagMode.ADD, parse_rights("lr"))
            await begin(self, **how)

        monkeypatch.setattr(Notifications, "begin", begun)
        got = await ann.ok(b'NOTIFY SET (subtree "Other Users" (MessageNew MessageExpunge MailboxName))')
        assert got.count(b"* STATUS %b (MESSAGES 3 UIDNEXT 4)" % PROJECTS) == 1
        assert got.count(b'* LIST (\\HasNoChildren) "/" "Other Users/carol@example.org/INBOX"') == shares

    run(scenario)


def test_a_right_that_goes_while_one_list_takes_over_from_another_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the last mailbox that somebody shared: his account is none of those that may be seen."""

    async def scenario(world: World) -> None:
        bob = await shared(world)
        await bob.set_acl(await key(bob, "Projects/Alpha"), "id-ann", FlagMode.REPLACE, Rights.NONE)
        ann, other = await listener(world), await listener(world)
        begin = Notifications.begin

        async def begun(self: Notifications, **how: Any) -> None:
            await bob.set_acl(await key(bob, "Projects"), "id-ann", FlagMode.REPLACE, Rights.NONE)
            await begin(self, **how)

        monkeypatch.setattr(Notifications, "begin", begun)
        got = await ann.ok(b'NOTIFY SET (subtree "Other Users" (MessageNew MessageExpunge MailboxName))')
        lists = [line for line in (await other.ok(b"NOOP")).splitlines() if line.startswith(b"* LIST (\\NonExistent")]
        assert lists[0].endswith(PROJECTS)
        assert got.splitlines()[:-1] == lists
        assert await ann.ok(b"NOOP") == b"T OK NOOP completed.\r\n"

    run(scenario)


def test_a_removed_account_takes_its_names_along() -> None:
    async def scenario(world: World) -> None:
        await shared(world)
        ann = await listener(world)
        await world.engine.directory.remove_account("id-bob")
        await world.engine.delete_account("id-bob")
        got = b""
        while got.count(b"NonExistent") < 2:
            got += await ann.pushed(b"NonExistent")
        await ann.ok(b"NOOP")
        assert watched(world) == 1

    run(scenario)


def test_name_events_make_the_one_list_the_other() -> None:
    before = {1: "A", 2: "A/B", 3: "C", 4: "D"}
    now = {1: "X", 2: "X/B", 3: "C", 5: "D"}
    events = name_events(before, now)
    assert [(each.change, each.name, each.detail) for each in events] == [
        (Change.DELETED, "D", ""),
        (Change.RENAMED, "X", "A"),
        (Change.RENAMED, "X/B", "A/B"),
        (Change.CREATED, "D", ""),
    ]


@pytest.mark.parametrize("group", [b"mailboxes " + PROJECTS, b'subtree "Other Users"', b"subscribed"])
def test_rfc5465_5_5_what_is_subscribed_to_is_told_as_it_is(group: bytes) -> None:
    async def scenario(world: World) -> None:
        await shared(world)
        ann = await world.client(b"NOTIFY SET (%b (MessageNew MessageExpunge SubscriptionChange))" % group, user=b"ann")
        other = await world.client(user=b"ann")
        for command, attribute in ((b"SUBSCRIBE", b" \\Subscribed"), (b"UNSUBSCRIBE", b"")):
            await other.ok(b"%b %b" % (command, PROJECTS))
            listed = await other.ok(b'LIST "" %b RETURN (SUBSCRIBED CHILDREN)' % PROJECTS)
            assert attribute in listed
            assert b"NonExistent" not in listed
            assert await ann.pushed(b"LIST") == listed.partition(b"T OK")[0]

    run(scenario)


def test_rfc5465_5_1_another_mailbox_that_comes_by_a_right_is_told() -> None:
    async def scenario(world: World) -> None:
        bob = await shared(world)
        ann = await world.client(user=b"ann")
        await ann.ok(b"NOTIFY SET (mailboxes %b (MessageNew MessageExpunge FlagChange))" % PROJECTS)
        await bob.rename_mailbox(await key(bob, "Projects"), "Old")
        await bob.create_mailbox("Projects")
        await world.add(b"one", mailbox="Projects", account="id-bob")
        assert await ann.do(b"NOOP") == b"T OK NOOP completed.\r\n"
        await bob.set_acl(await key(bob, "Projects"), "id-ann", FlagMode.REPLACE, parse_rights("lr"))
        assert b"* STATUS %b (MESSAGES 1 UIDNEXT 2 UIDVALIDITY " % PROJECTS in (got := await ann.pushed(b"STATUS"))
        assert b" UNSEEN 1 HIGHESTMODSEQ " in got
        await silent(ann)

    run(scenario)


ITEMS = b"(selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge))"


def test_rfc5465_5_2_what_the_session_itself_brings_is_told_without_items() -> None:
    """Also to a selected mailbox of somebody else, in whose account no group names anything."""

    async def scenario(world: World) -> None:
        await shared(world)
        ann = await world.client(b"SELECT " + PROJECTS, user=b"ann")
        for before in (b"NOTIFY SET " + ITEMS, b'NOTIFY SET %b (subtree "Other Users" %b)' % (ITEMS, EVENTS)):
            await ann.ok(before)  # the second names the account, the first does not, and the third no more
            await ann.ok(b"NOTIFY SET " + ITEMS)
            got = await ann.ok(b"COPY 1 " + PROJECTS)
            assert b" EXISTS\r\n" in got
            assert b"HEADER.FIELDS" not in got
            assert b"HEADER.FIELDS" not in await ann.ok(b"APPEND " + PROJECTS + b" {6+}\r\nA: b\r\n")
            await world.add(b"new", mailbox="Projects", account="id-bob")
            assert b"BODY[HEADER.FIELDS (SUBJECT)]" in await ann.pushed(b"HEADER.FIELDS")
            await ann.ok(b"CLOSE")
            await ann.ok(b"SELECT " + PROJECTS)
            assert b"HEADER.FIELDS" not in await ann.ok(b"COPY 1 " + PROJECTS)

    run(scenario)


def test_numbers_are_noted_as_long_as_they_are_asked_for() -> None:
    """They would gather else: a session may change flags for days."""

    async def scenario(world: World) -> None:
        await shared(world)
        ann = await world.client(b"SELECT " + PROJECTS, b"NOTIFY SET " + ITEMS, user=b"ann")

        def noted() -> set[int] | None:
            place = ann.session.place
            assert place is not None
            return place.store.own

        assert noted() == set()
        await ann.ok(b"STORE 1 +FLAGS ($a)")
        await ann.ok(b"NOOP")
        assert noted() == set(), "what was told is forgotten"
        await ann.ok(b"NOTIFY SET (selected (MessageNew MessageExpunge))")
        assert noted() is None
        await ann.ok(b"NOTIFY SET " + ITEMS)
        assert noted() == set()
        await ann.ok(b"NOTIFY NONE")
        assert noted() is None

    run(scenario)
