"""INBOX as a maildrop: UIDLs that stay, and what QUIT does."""

from __future__ import annotations

import asyncio

import pytest

from restante.store.errors import CannotChangeMailbox
from restante.store.interface import Engine, Store
from restante.store.model import Column, Identity, Pop3Delete

from .making import ACCOUNT, ALL, Installation, fill, inbox, new


async def uidls(store: Store) -> list[str]:
    return [message.uidl for message in await store.maildrop()]


def test_a_uidl_is_the_email_id_and_outlives_a_move(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        done = await store.append(box, [await new(store, b"%d\r\n" % i) for i in range(3)])
        assert await uidls(store) == list(done.email_ids)
        await store.move(box, ((2, 2),), other)
        await store.move(other, ALL, box)
        assert await uidls(store) == [done.email_ids[0], done.email_ids[2], done.email_ids[1]]

    asyncio.run(installation.play(scene))


def test_copies_in_inbox_take_the_smallest_free_suffix(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 1)
        (own,) = await uidls(store)
        await store.copy(box, ((1, 1),), box)
        await store.copy(box, ((1, 2),), box)
        four = await uidls(store)
        assert four == [own, f"{own}.1", f"{own}.2", f"{own}.3"]
        await store.expunge(box, ((2, 2),), deleted_only=False)
        assert await uidls(store) == [own, f"{own}.2", f"{own}.3"]
        await store.copy(box, ((1, 1),), box)
        assert await uidls(store) == [own, f"{own}.2", f"{own}.3", f"{own}.1"]
        await store.expunge(box, ((1, 1),), deleted_only=False)
        await store.copy(box, ((3, 3),), box)
        assert await uidls(store) == [f"{own}.2", f"{own}.3", f"{own}.1", own]

    asyncio.run(installation.play(scene))


def test_an_old_servers_uidl_stays_and_stays_unique(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for body in (b"a\r\n", b"b\r\n"):
            await store.append(box, [await new(store, body, identity=Identity(uidl="0001"))])
        found = await uidls(store)
        assert found[0] == "0001"
        assert len(set(found)) == 2
        assert await uidls(store) == found

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("how", Pop3Delete)
def test_quit_is_one_command(installation: Installation, how: Pop3Delete) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        trash = await store.create_mailbox("Trash", "\\Trash")
        await fill(store, box, 4)
        before = (await store.stats()).modseq
        await store.finish_maildrop(((2, 3),), how, ((1, 2),), mark_seen=True)
        assert (await store.stats()).modseq == before + 1
        assert [message.uid for message in await store.maildrop()] == [1, 4]
        assert [message.seen for message in await store.maildrop()] == [True, False]
        kept = list((await store.snapshot(box)).uids.uids)
        assert kept == ([1, 2, 3, 4] if how is Pop3Delete.KEEP else [1, 4])
        assert len((await store.snapshot(trash.key)).uids) == (2 if how is Pop3Delete.TRASH else 0)
        assert len(await store.recoverable()) == (2 if how is Pop3Delete.REMOVE else 0)

    asyncio.run(installation.play(scene))


def test_undelete_brings_back_under_a_new_uid(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        done = await store.append(box, [await new(store, b"x\r\n", "\\Flagged", "$Work", received=77)])
        await store.expunge(box, None, deleted_only=False)
        (found,) = await store.recoverable()
        back = await store.undelete([found.number], None)
        assert back is not None
        assert (back.uids, back.email_ids, back.mailbox.messages) == ((2,), done.email_ids, 1)
        assert await store.recoverable() == []
        assert await store.keywords() == ["$Work"]

    asyncio.run(installation.play(scene))


def test_reclaiming_waits_for_the_retention(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        await store.expunge(box, ((1, 2),), deleted_only=False)
        assert await store.reclaim(10) == 0
        installation.clock.advance(5001)
        modseq = (await store.stats()).modseq
        assert await store.reclaim(1) == 1
        assert await store.reclaim(10) == 1
        assert await store.reclaim(10) == 0
        assert await store.recoverable() == []
        assert (await store.stats()).modseq == modseq
        assert list((await store.delta(box, 2)).vanished) == [1, 2], "the log outlives the contents"

    asyncio.run(installation.play(scene, retention=5000.0))


def test_uidls_outlive_the_process(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2)
        await store.append(box, [await new(store, b"z\r\n", identity=Identity(uidl="old"))])
        await store.copy(box, ((1, 3),), box)
        before = await uidls(store)
        assert len(set(before)) == 6
        other = installation.open()
        try:
            assert await uidls(other.account(ACCOUNT)) == before
        finally:
            await other.close()

    asyncio.run(installation.play(scene))


def test_an_old_servers_uidl_may_be_the_email_id_of_another_message(installation: Installation) -> None:
    """An export of ours brought in again with another date: a new email with the old one's UIDL."""

    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        (first,) = (await store.append(box, [await new(store, b"a\r\n")])).email_ids
        await store.append(box, [await new(store, b"b\r\n", identity=Identity(uidl=first))])
        assert await uidls(store) == [first, f"{first}.1"]
        await store.move(box, ((1, 1),), other)
        assert await uidls(store) == [f"{first}.1"], "a UIDL stays when the other goes"
        await store.move(other, ALL, box)
        assert await uidls(store) == [f"{first}.1", first]

    asyncio.run(installation.play(scene))


def test_an_email_id_brought_along_may_be_an_old_servers_uidl_here(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        id = "m" + "a" * 26
        await store.append(box, [await new(store, b"b\r\n", identity=Identity(uidl=id))])
        await store.append(box, [await new(store, b"a\r\n", identity=Identity(email_id=id))])
        assert await uidls(store) == [id, f"{id}.1"]
        await store.move(box, ((1, 1),), other)
        assert await uidls(store) == [f"{id}.1"]

    asyncio.run(installation.play(scene))


def test_an_old_servers_uidl_may_be_another_one_with_its_suffix(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store, b"a\r\n", identity=Identity(uidl="x"))])
        await store.copy(box, ALL, box)
        (second,) = (await store.append(box, [await new(store, b"b\r\n", identity=Identity(uidl="x.1"))])).email_ids
        await fill(store, box, 1)
        told = await uidls(store)
        assert told[:3] == ["x", "x.1", f"{second}.0"]
        assert len(set(told)) == 4

    asyncio.run(installation.play(scene))


def test_a_long_uidl_keeps_within_70_octets(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store, b"a\r\n", identity=Identity(uidl="x" * 70))])
        await store.copy(box, ALL, box)
        long, other = await uidls(store)
        assert long == "x" * 70
        assert len(other) <= 70

    asyncio.run(installation.play(scene))


def test_what_is_hidden_stays_hidden_wherever_it_goes_and_comes_back(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        await fill(store, box, 2)
        await store.finish_maildrop(((1, 1),), Pop3Delete.KEEP, (), mark_seen=False)
        assert [message.uid for message in await store.maildrop()] == [2]
        await store.move(box, ((1, 1),), other)
        await store.move(other, ALL, box)
        assert [message.uid for message in await store.maildrop()] == [2]
        await store.copy(box, ((3, 3),), other)
        await store.expunge(box, ((3, 3),), deleted_only=False)
        (removed,) = await store.recoverable()
        await store.undelete([removed.number], box)
        await store.copy(other, ALL, box)
        assert [message.uid for message in await store.maildrop()] == [2]
        assert (await store.snapshot(box)).mailbox.messages == 3
        again = installation.open()
        try:
            assert [message.uid for message in await again.account(ACCOUNT).maildrop()] == [2]
        finally:
            await again.close()

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("made", [("Papierkorb", "\\Trash"), ("Trash", None), None])
def test_trash_is_the_mailbox_of_that_use_or_name_or_made(
    installation: Installation, made: tuple[str, str | None] | None
) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        if made is not None:
            await store.create_mailbox(*made)
        done = await store.append(box, [await new(store, b"x\r\n", "\\Flagged", received=5)])
        await store.finish_maildrop(ALL, Pop3Delete.TRASH, (), mark_seen=False)
        trash = await store.mailbox(made[0] if made else "Trash")
        assert trash is not None
        assert trash.role == (made[1] if made else "\\Trash")
        ((_, received, email_id),) = await store.rows(trash.key, ALL, [Column.RECEIVED, Column.EMAIL_ID], 9)
        assert (received, email_id) == (5, done.email_ids[0].encode())
        assert await store.recoverable() == [], "a move is no removal"
        assert (await store.snapshot(box)).mailbox.messages == 0

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("how", Pop3Delete)
def test_what_imap_expunged_meanwhile_is_nobodys_fault(installation: Installation, how: Pop3Delete) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2)
        await store.expunge(box, None, deleted_only=False)
        before = await store.stats()
        await store.finish_maildrop(((1, 2),), how, ((1, 2),), mark_seen=True)
        assert (await store.stats()).modseq == before.modseq
        assert [each.name for each in await store.mailboxes()] == ["INBOX"]
        await fill(store, box, 1)
        assert [message.uid for message in await store.maildrop()] == [3]

    asyncio.run(installation.play(scene))


def test_expiry_touches_what_pop3_retrieved_long_enough_ago_alone(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        trash = (await store.create_mailbox("Trash", "\\Trash")).key
        await fill(store, box, 4)
        await store.finish_maildrop((), Pop3Delete.REMOVE, ((1, 2),), mark_seen=True)
        start = int(installation.clock.now())
        installation.clock.advance(100)
        await store.finish_maildrop((), Pop3Delete.REMOVE, ((2, 3),), mark_seen=True)
        before = (await store.stats()).modseq
        assert await store.expire_retrieved(start) == 0
        assert (await store.stats()).modseq == before, "nothing due is no change"
        assert await store.expire_retrieved(start + 1) == 2, "the first retrieval counts"
        assert (await store.stats()).modseq == before + 1
        assert list((await store.snapshot(box)).uids.uids) == [3, 4]
        assert (await store.snapshot(trash)).mailbox.messages == 2
        assert await store.expire_retrieved(start + 101) == 1
        assert await store.expire_retrieved(1 << 40) == 0, "never retrieved, never touched"
        await store.move(trash, ((1, 1),), box)
        assert await store.expire_retrieved(1 << 40) == 0, "who takes it back keeps it"

    asyncio.run(installation.play(scene))


def test_quit_that_fails_has_done_nothing(installation: Installation) -> None:
    """No room for a Trash: the account has its mailboxes already."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2)
        before = (await store.stats()).modseq
        with pytest.raises(CannotChangeMailbox):
            await store.finish_maildrop(((1, 1),), Pop3Delete.TRASH, ((1, 2),), mark_seen=True)
        assert (await store.stats()).modseq == before
        assert [message.seen for message in await store.maildrop()] == [False, False]
        assert await store.expire_retrieved(1 << 40) == 0

    asyncio.run(installation.play(scene, mailboxes=1))


def test_what_was_freed_does_not_show_what_was_hidden_since(installation: Installation) -> None:
    """As many are hidden as before, but another one: a session was under way while space was reclaimed."""

    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        await fill(store, box, 3)
        await store.finish_maildrop(((1, 1),), Pop3Delete.KEEP, (), mark_seen=False)
        await store.move(box, ((1, 1),), other)
        await store.expunge(other, ALL, deleted_only=False)
        installation.clock.advance(30 * 86_400)
        listed = await uidls(store)
        assert len(listed) == 2
        assert await store.reclaim(100) == 1
        await store.finish_maildrop(((3, 3),), Pop3Delete.KEEP, (), mark_seen=False)
        assert await uidls(store) == listed[:1]

    asyncio.run(installation.play(scene))
