"""A message filed and another removed as one command; what is worth knowing before a large one comes."""

from __future__ import annotations

import asyncio

import pytest

from restante.store.errors import DiskFull, NoSuchMailbox, NoSuchMessage, OverQuota, TooManyKeywords
from restante.store.interface import Engine, Store
from restante.store.model import Column, Flags, System
from restante.store.quota import Quota

from .making import ALL, Installation, inbox, new


def test_replace_files_and_removes_with_one_number(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        old = await store.append(box, [await new(store, b"old\r\n", "\\Seen", "$Draft")])
        since = old.modseq
        done = await store.replace(box, 1, box, await new(store, b"new one\r\n", "\\Flagged"))
        assert (done.uids, done.modseq) == ((2,), since + 1)
        assert (done.mailbox.messages, done.mailbox.unseen, done.mailbox.size) == (1, 1, 9)
        assert done.email_ids != old.email_ids
        delta = await store.delta(box, since)
        assert [(uid, modseq) for uid, _, modseq in delta.changed] == [(2, since + 1)]
        assert list(delta.vanished) == [1]
        ((_, number),) = await store.rows(box, ALL, [Column.FLAGS], 10)
        assert (await store.flag_table())[number] == Flags(System.FLAGGED)  # type: ignore[index] # FLAGS is an int
        assert (await store.stats()).used == 9

    asyncio.run(installation.play(scene))


def test_what_was_replaced_comes_back_like_any_other(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, sent = await inbox(store), (await store.create_mailbox("Sent")).key
        old = await store.append(box, [await new(store, b"draft\r\n", "\\Draft")])
        done = await store.replace(box, 1, sent, await new(store, b"sent\r\n"))
        assert (done.mailbox.name, done.uids) == ("Sent", (1,))
        assert len((await store.snapshot(box)).uids) == 0
        (removed,) = await store.recoverable()
        assert (removed.mailbox, removed.uid, removed.email_id) == ("INBOX", 1, old.email_ids[0])
        back = await store.undelete([removed.number], None)
        assert back is not None
        assert (back.uids, back.email_ids) == ((2,), old.email_ids)

    asyncio.run(installation.play(scene))


def test_replace_does_all_or_nothing(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store, b"x" * 60)])
        before = await store.snapshot(box)
        refused = [
            (NoSuchMessage, box, 7, box, await new(store)),
            (NoSuchMailbox, 999, 1, box, await new(store)),
            (NoSuchMailbox, box, 1, 999, await new(store, b"y")),
            (OverQuota, box, 1, box, await new(store, b"y" * 101)),
            (TooManyKeywords, box, 1, box, await new(store, b"y", "$A", "$B", "$C")),
        ]
        for kind, source, uid, target, message in refused:
            with pytest.raises(kind):
                await store.replace(source, uid, target, message)
        after = await store.snapshot(box)
        assert (after.mailbox, after.uids.uids) == (before.mailbox, before.uids.uids)
        assert await store.recoverable() == []

    asyncio.run(installation.play(scene, quota_default=Quota(100), keywords=2))


def test_replace_asks_the_quota_for_the_difference(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store, b"x" * 90)])
        await store.replace(box, 1, box, await new(store, b"y" * 100))
        with pytest.raises(OverQuota):
            await store.replace(box, 2, box, await new(store, b"z" * 101))
        await store.replace(box, 2, box, await new(store, b"z" * 20))
        assert (await store.stats()).used == 20

    asyncio.run(installation.play(scene, quota_default=Quota(100)))


def test_two_that_replace_the_same_message_leave_one_replacement(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store)])
        messages = [await new(store, b"%d\r\n" % i) for i in range(4)]
        done = await asyncio.gather(*(store.replace(box, 1, box, one) for one in messages), return_exceptions=True)
        assert sorted(isinstance(one, NoSuchMessage) for one in done) == [False, True, True, True]
        assert list((await store.snapshot(box)).uids.uids) == [2]

    asyncio.run(installation.play(scene))


def test_room_is_told_before_a_message_comes(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await store.append(await inbox(store), [await new(store, b"x" * 60)])
        await store.room_for(40)
        with pytest.raises(OverQuota):
            await store.room_for(41)

    asyncio.run(installation.play(scene, quota_default=Quota(100)))


def test_no_room_on_the_disk_is_told_before_a_message_comes(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        with pytest.raises(DiskFull):
            await store.room_for(1)

    asyncio.run(installation.play(scene, reserve=1 << 62))
