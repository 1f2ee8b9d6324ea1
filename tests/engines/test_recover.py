"""Removed mail: what comes back and how, what is freed and when, and the log that outlives it."""

from __future__ import annotations

import asyncio

import pytest

from restante.errors import Refusal
from restante.store.errors import NoSuchMailbox
from restante.store.interface import Engine, Store
from restante.store.model import Column, Pop3Delete

from .making import ALL, Installation, fill, inbox, new

RETENTION = 10_000.0
LOG_RETENTION = 100_000.0
KEPT = {"retention": RETENTION, "log_retention": LOG_RETENTION}


async def numbers(store: Store) -> list[int]:
    return [one.number for one in await store.recoverable()]


async def is_whole(store: Store) -> bool:
    """Whether the doctor finds nothing but that the suite's analyses are made by hand."""
    return [one async for one in store.doctor(False) if one.code != "answers"] == []


def test_what_is_listed(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        message = await new(store, b"From: Ann\r\nSubject: x\r\n\r\n", "\\Deleted", "\\Flagged", "$Work", received=77)
        done = await store.append(box, [message])
        await fill(store, other, 1)
        await store.expunge(box, None)
        removed_at = int(installation.clock.now())
        installation.clock.advance(10)
        await store.delete_mailbox(other)
        gone, first = await store.recoverable()
        assert (gone.mailbox, gone.uid) == ("Other", 1), "newest first"
        assert (first.mailbox, first.uid, first.email_id, first.received) == ("INBOX", 1, done.email_ids[0], 77)
        assert first.removed_at == removed_at
        assert "$Work" in first.flags
        assert "\\Flagged" in first.flags
        assert (await store.stats()).recoverable == 2

    asyncio.run(installation.play(scene))


def test_flags_and_dates_come_back_without_deleted(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        flags = ("\\Deleted", "\\Seen", "\\Flagged", "$Work")
        done = await store.append(box, [await new(store, b"x\r\n", *flags, received=77)])
        await store.expunge(box, None)
        installation.clock.advance(60)
        back = await store.undelete(await numbers(store), None)
        assert back is not None
        assert (back.uids, back.email_ids) == ((2,), done.email_ids)
        table = await store.flag_table()
        columns = [Column.FLAGS, Column.RECEIVED, Column.SAVED, Column.MODSEQ]
        ((uid, kept, received, saved, modseq),) = await store.rows(box, ALL, columns, 9)
        assert isinstance(kept, int)
        assert table[kept].wire == b"\\Flagged \\Seen $Work"
        assert (uid, received, saved, modseq) == (2, 77, int(installation.clock.now()), back.modseq)
        assert (back.mailbox.messages, back.mailbox.deleted, back.mailbox.unseen) == (1, 0, 0)
        assert await is_whole(store)

    asyncio.run(installation.play(scene))


def test_a_number_counts_once_and_a_strange_one_not_at_all(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2)
        await store.expunge(box, None, deleted_only=False)
        second, first = await numbers(store)
        assert (await store.undelete([], None)) is None
        with pytest.raises(Refusal, match="999"):
            await store.undelete([first, 999], None)
        assert await numbers(store) == [second, first], "all or none"
        back = await store.undelete([first, first], None)
        assert back is not None
        assert back.uids == (3,)
        with pytest.raises(Refusal):
            await store.undelete([first], None)
        with pytest.raises(NoSuchMailbox):
            await store.undelete([second], 999)
        assert await numbers(store) == [second]

    asyncio.run(installation.play(scene))


def test_a_mailbox_that_is_gone_is_made_again(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        old = await store.create_mailbox("Work/Old", "\\Archive")
        await fill(store, old.key, 2)
        await store.delete_mailbox(old.key)
        back = await store.undelete(await numbers(store), None)
        assert back is not None
        assert (back.mailbox.name, back.mailbox.messages, back.mailbox.role) == ("Work/Old", 2, "\\Archive")
        assert back.mailbox.uidvalidity > old.uidvalidity
        assert len(await store.mailboxes()) == 3
        assert await is_whole(store)

    asyncio.run(installation.play(scene))


def test_a_role_that_another_mailbox_has_now_stays_there(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        old = await store.create_mailbox("Old", "\\Archive")
        await fill(store, old.key, 1)
        await store.delete_mailbox(old.key)
        await store.create_mailbox("Archive", "\\Archive")
        back = await store.undelete(await numbers(store), None)
        assert back is not None
        assert (back.mailbox.name, back.mailbox.role) == ("Old", None)

    asyncio.run(installation.play(scene))


def test_messages_come_back_where_they_are_wanted(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        await fill(store, box, 2)
        await store.expunge(box, None, deleted_only=False)
        back = await store.undelete(await numbers(store), other)
        assert back is not None
        assert (back.mailbox.name, back.mailbox.messages) == ("Other", 2)

    asyncio.run(installation.play(scene))


def test_what_was_moved_is_not_removed(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        await fill(store, box, 1)
        await store.move(box, ALL, other)
        assert await store.recoverable() == []
        await store.expunge(other, None, deleted_only=False)
        (only,) = await store.recoverable()
        assert only.mailbox == "Other"

    asyncio.run(installation.play(scene))


def test_past_the_retention_nothing_comes_back_even_before_it_is_freed(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 1)
        await store.expunge(box, None, deleted_only=False)
        (number,) = await numbers(store)
        installation.clock.advance(RETENTION + 1)
        assert await store.recoverable() == []
        with pytest.raises(Refusal):
            await store.undelete([number], None)
        await store.reclaim(10)
        await fill(store, box, 1)
        with pytest.raises(Refusal):
            await store.undelete([number], None)

    asyncio.run(installation.play(scene, **KEPT))


def test_a_message_stays_readable_for_an_hour_however_short_the_retention(installation: Installation) -> None:
    """A POP3 session, or an IMAP one that was not told yet, still reads it."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 1)
        (message,) = await store.maildrop()
        await store.expunge(box, None, deleted_only=False)
        installation.clock.advance(3000)
        assert await store.reclaim(10) == 0
        assert await store.read_content(message.content) == b"Subject: 0\r\n\r\n0\r\n"
        installation.clock.advance(1000)
        assert await store.reclaim(10) == 1
        with pytest.raises(Refusal):
            await store.read_content(message.content)

    asyncio.run(installation.play(scene, retention=0.0))


def test_contents_that_another_email_or_placement_has_are_kept(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        await store.append(box, [await new(store, b"alike\r\n"), await new(store, b"alike\r\n")])
        await store.append(box, [await new(store, b"copied\r\n")])
        await store.copy(box, ((3, 3),), other)
        first, second, third = await store.maildrop()
        assert first.content == second.content
        await store.expunge(box, ((1, 1), (3, 3)), deleted_only=False)
        installation.clock.advance(RETENTION + 1)
        assert await store.reclaim(10) == 1, "the copied email has a placement"
        assert await store.read_contents([second.content, third.content]) == [b"alike\r\n", b"copied\r\n"]
        await store.expunge(box, None, deleted_only=False)
        await store.expunge(other, None, deleted_only=False)
        installation.clock.advance(RETENTION + 1)
        assert await store.reclaim(10) == 2
        with pytest.raises(Refusal):
            await store.read_content(second.content)
        assert await is_whole(store)

    asyncio.run(installation.play(scene, **KEPT))


def test_a_second_removal_begins_the_retention_anew(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 1)
        await store.expunge(box, None, deleted_only=False)
        installation.clock.advance(RETENTION - 10)
        await store.undelete(await numbers(store), None)
        await store.expunge(box, None, deleted_only=False)
        installation.clock.advance(20)
        assert await store.reclaim(10) == 0
        assert await store.undelete(await numbers(store), None) is not None

    asyncio.run(installation.play(scene, **KEPT))


def test_the_log_is_forgotten_after_its_time_and_its_floor_rises(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        before = (await store.stats()).modseq
        await store.expunge(box, ((1, 1),), deleted_only=False)
        installation.clock.advance(LOG_RETENTION + 1)
        await store.expunge(box, ((2, 2),), deleted_only=False)
        while await store.reclaim(1):
            pass
        delta = await store.delta(box, before)
        assert not delta.complete
        since = before + 1
        delta = await store.delta(box, since)
        assert delta.complete
        assert list(delta.vanished) == [2]
        assert await is_whole(store)

    asyncio.run(installation.play(scene, **KEPT))


def test_the_log_of_moves_is_forgotten_too(installation: Installation) -> None:
    """The messages live on elsewhere; the rows that say they left would grow for ever."""

    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        await fill(store, box, 4)
        before = (await store.stats()).modseq
        await store.move(box, ALL, other)
        installation.clock.advance(LOG_RETENTION + 1)
        await store.reclaim(2)
        await store.reclaim(2)
        delta = await store.delta(box, before)
        assert (list(delta.vanished), delta.complete) == ([], False)
        assert (await store.stats()).messages == 4

    asyncio.run(installation.play(scene, **KEPT))


def test_an_email_not_yet_freed_is_found_though_the_log_is_old(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 6)
        await store.expunge(box, None, deleted_only=False)
        installation.clock.advance(LOG_RETENTION + 1)
        freed = 0
        while done := await store.reclaim(1):
            freed += done
        assert freed == 6
        assert await is_whole(store)

    asyncio.run(installation.play(scene, **KEPT))


def test_reclaiming_leaves_numbers_counters_and_sessions_alone(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 5)
        await store.finish_maildrop(((1, 2),), Pop3Delete.REMOVE, (), mark_seen=False)
        installation.clock.advance(RETENTION + 1)
        snapshot, used = await store.snapshot(box), (await store.stats()).used
        assert await store.reclaim(10) == 2
        assert await store.snapshot(box) == snapshot
        assert (await store.stats()).used == used
        assert await is_whole(store)

    asyncio.run(installation.play(scene, **KEPT))
