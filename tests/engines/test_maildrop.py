"""INBOX as a maildrop: UIDLs that stay, and what QUIT does."""

from __future__ import annotations

import asyncio

import pytest

from restante.store.interface import Engine, Store
from restante.store.model import Identity, Pop3Delete

from .making import ALL, Installation, fill, inbox, new


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
        assert await store.keywords(box) == ["$Work"]

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
