"""Messages: filing, reading, flags, copies, removals, numbers, identities."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from hashlib import sha256
from typing import Any

import pytest

from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS
from restante.store import parts
from restante.store.errors import NoSuchMailbox, OverQuota, TooManyKeywords
from restante.store.interface import Engine, Store
from restante.store.model import Column, FlagMode, Flags, Identity, NewMessage, ReadyMessage, System
from restante.store.quota import Quota

from .making import ACCOUNT, ALL, Installation, analysis, fill, inbox, new


def test_what_is_filed_comes_back_in_every_column(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, data = await inbox(store), b"Subject: x\r\n\r\nHello\r\n"
        done = await store.append(box, [await new(store, data, "\\Seen", "$Work", received=1234)])
        assert done.uids == (1,)
        assert (done.mailbox.messages, done.mailbox.unseen, done.mailbox.size) == (1, 0, len(data))
        (row,) = await store.rows(box, ALL, list(Column), 10)
        got = dict(zip(list(Column), row[1:], strict=True))
        table = await store.flag_table()
        number = got.pop(Column.FLAGS)
        assert isinstance(number, int)
        assert table[number] == Flags(System.SEEN, frozenset({"$Work"}))
        assert table.wires[number] == b"\\Seen $Work"
        content, encoded, thread = got.pop(Column.CONTENT), got.pop(Column.PARTS), got.pop(Column.THREAD_ID)
        assert isinstance(encoded, bytes)
        assert parts.decode(encoded) == analysis(data).root
        assert isinstance(thread, bytes)
        assert thread.startswith(b"t")
        assert got == {
            Column.MODSEQ: done.modseq, Column.SIZE: len(data), Column.RECEIVED: 1234,
            Column.SAVED: int(installation.clock.now()), Column.EMAIL_ID: done.email_ids[0].encode(),
            Column.ENVELOPE: b"(envelope)", Column.BODY: b"(body)", Column.BODYSTRUCTURE: b"(bodystructure)",
            Column.HEADERS: b"Subject: x\r\n", Column.PREVIEW: "Gruß", Column.TRAITS: 0,
            Column.DIGEST: sha256(data).digest(),
        }  # fmt: skip
        assert isinstance(content, int)
        assert await store.read_content(content) == data

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("size", [0, 1, 511, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 700_001])
def test_octets_come_back_exactly_whole_in_pieces_and_streamed(installation: Installation, size: int) -> None:
    data = (b"\x00\r\n\xff bare\n" * (size // 10 + 1))[:size]

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store, data), await new(store, data)])
        rows = await store.rows(box, ALL, [Column.CONTENT], 10)
        key = rows[0][1]
        assert isinstance(key, int)
        assert await store.read_content(key) == data
        assert await store.read_contents([key, key]) == [data, data]
        for offset, count in ((0, 1), (size // 2, 10), (128 * 1024 - 1, 2), (size, 5), (max(size - 3, 0), 100)):
            assert await store.read_content(key, offset, count) == data[offset : offset + count]
        assert await store.read_content(key, size // 3) == data[size // 3 :]
        pieces = [piece async for piece in store.stream_content(key)]
        assert b"".join(pieces) == data
        assert all(len(piece) <= 256 * 1024 for piece in pieces)

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("size", [0, 5, 128 * 1024 - 7, (1 << 20) + 1, (1 << 20) + 128 * 1024 - 7, 3_000_000])
@pytest.mark.parametrize("before", [b"", b"Trace\r\n", b"t" * (128 * 1024), b"t" * 300_000])
def test_octets_put_in_two_pieces_are_one_message(installation: Installation, size: int, before: bytes) -> None:
    data = (b"0123456789abcde\n" * (size // 16 + 1))[:size]

    async def scene(engine: Engine, store: Store) -> None:
        blob = await store.put(data, before)
        assert (blob.digest, blob.size) == (hashlib.sha256(before + data).digest(), len(before) + size)
        message = NewMessage(blob, analysis(before + data), Flags(), 1)
        assert (await store.append(await inbox(store), [message])).uids == (1,)
        ((_, key),) = await store.rows(await inbox(store), ALL, [Column.CONTENT], 10)
        assert isinstance(key, int)
        assert await store.read_content(key) == before + data
        assert b"".join([piece async for piece in store.stream_content(key)]) == before + data
        for offset in (0, len(before), 128 * 1024 - 1, len(before) + size - 3):
            assert await store.read_content(key, max(offset, 0), 5) == (before + data)[max(offset, 0) :][:5]

    asyncio.run(installation.play(scene, compress=bool(size % 2)))


def test_many_messages_are_made_ready_and_appended_at_once(installation: Installation) -> None:
    messages = [b"", b"one\r\n", b"0123456789abcde\n" * 20_000, bytes(3_000_000), b"one\r\n"]

    async def scene(engine: Engine, store: Store) -> None:
        work = store.preparing(DEFAULT_LIMITS)
        assert work.here([]) == []
        made = work.here(messages)
        assert [(blob.digest, blob.size) for blob, _ in made] == [
            (hashlib.sha256(data).digest(), len(data)) for data in messages
        ]
        box = await inbox(store)
        done = await store.append_ready(box, [ReadyMessage(blob, answers, Flags(), 1) for blob, answers in made])
        assert done.uids == (1, 2, 3, 4, 5)
        rows = await store.rows(box, ALL, [Column.CONTENT, Column.ENVELOPE, Column.SIZE], 10)
        assert [await store.read_content(int(str(row[1]))) for row in rows] == messages
        assert [row[2:] for row in rows] == [(analyse(data).envelope, len(data)) for data in messages]
        with pytest.raises(NoSuchMailbox):
            await store.append_ready(99, [ReadyMessage(*made[1], Flags(), 1)])

    asyncio.run(installation.play(scene))


def test_append_files_all_or_none(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        good, bad = await new(store, b"one\r\n", "$A"), await new(store, b"two\r\n", "$A", "$B", "$C")
        with pytest.raises(TooManyKeywords):
            await store.append(box, [good, bad])
        here = await store.snapshot(box)
        assert (len(here.uids), here.mailbox.uidnext, here.mailbox.highest_modseq) == (0, 1, 1)
        assert (await store.append(box, [good])).modseq == 2
        assert await store.keywords() == ["$A"]
        with pytest.raises(NoSuchMailbox):
            await store.append(9999, [good])

    asyncio.run(installation.play(scene, keywords=2))


def test_quota_counts_what_is_there_not_what_was_removed(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store, b"x" * 60)])
        with pytest.raises(OverQuota):
            await store.append(box, [await new(store, b"y" * 60)])
        with pytest.raises(OverQuota):
            await store.copy(box, ALL, box)
        assert (await store.move(box, ALL, box)).target == array("I", [2])
        await store.expunge(box, None, deleted_only=False)
        await store.append(box, [await new(store, b"y" * 60)])
        assert (await store.stats()).used == 60

    asyncio.run(installation.play(scene, quota_default=Quota(100)))


def test_rows_keep_to_ranges_and_limit(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 20)
        many = ((2, 3), (7, 7), (15, 99))
        assert [row[0] for row in await store.rows(box, many, [], 100)] == [2, 3, 7, 15, 16, 17, 18, 19, 20]
        assert [row[0] for row in await store.rows(box, many, [Column.ENVELOPE], 4)] == [2, 3, 7, 15]
        assert [row[0] for row in await store.rows(box, ((5, 8),), [Column.FLAGS], 2)] == [5, 6]
        assert await store.rows(box, (), [Column.FLAGS], 2) == []
        assert await store.rows(box, ((21, 0xFFFFFFFF),), [Column.FLAGS], 2) == []

    asyncio.run(installation.play(scene))


MODES = [
    (FlagMode.ADD, ("\\Seen",), ("\\Flagged", "$Old", "\\Seen")),
    (FlagMode.ADD, ("$old", "$New"), ("\\Flagged", "$Old", "$New")),
    (FlagMode.REMOVE, ("$OLD",), ("\\Flagged",)),
    (FlagMode.REMOVE, ("\\Flagged", "\\Draft"), ("$Old",)),
    (FlagMode.REPLACE, (), ()),
    (FlagMode.REPLACE, ("\\Deleted", "$old"), ("\\Deleted", "$Old")),
]


@pytest.mark.parametrize(("mode", "named", "after"), MODES)
def test_flags_change(
    installation: Installation, mode: FlagMode, named: tuple[str, ...], after: tuple[str, ...]
) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3, "\\Flagged", "$Old")
        before = (await store.snapshot(box)).mailbox.highest_modseq
        done = await store.store_flags(box, ((2, 3),), mode, Flags.of(named))
        assert done.modseq == before + 1
        assert list(done.changed) == [2, 3]
        rows = await store.rows(box, ALL, [Column.FLAGS, Column.MODSEQ], 9)
        table = await store.flag_table()
        assert [table[row[1]] for row in rows] == [  # type: ignore[index] # FLAGS is an int
            Flags.of(("\\Flagged", "$Old")), Flags.of(after), Flags.of(after),
        ]  # fmt: skip
        assert [row[2] for row in rows] == [before, before + 1, before + 1]
        again = await store.store_flags(box, ((2, 3),), mode, Flags.of(named))
        assert (again.modseq, list(again.changed)) == (0, [])
        assert (await store.snapshot(box)).mailbox.highest_modseq == before + 1

    asyncio.run(installation.play(scene))


def test_counters_follow_flags(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 10)
        await store.store_flags(box, ((1, 4),), FlagMode.ADD, Flags.of(["\\Seen", "\\Deleted"]))
        await store.store_flags(box, ((3, 3),), FlagMode.REMOVE, Flags.of(["\\Deleted"]))
        here = await store.mailbox("INBOX")
        assert here is not None
        sizes = {row[0]: row[1] for row in await store.rows(box, ALL, [Column.SIZE], 99)}
        assert (here.unseen, here.deleted) == (6, 3)
        assert here.deleted_size == sum(int(str(sizes[uid])) for uid in (1, 2, 4))
        assert (await store.opening(box)).first_unseen == 5

    asyncio.run(installation.play(scene))


def test_unchanged_since_refuses_what_moved_rfc7162_3_1_3(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 4)
        base = (await store.snapshot(box)).mailbox.highest_modseq
        await store.store_flags(box, ((2, 2),), FlagMode.ADD, Flags.of(["\\Seen"]))
        done = await store.store_flags(box, ALL, FlagMode.REPLACE, Flags.of(["\\Answered"]), unchanged_since=base)
        assert (list(done.changed), list(done.refused)) == ([1, 3, 4], [2])
        none = await store.store_flags(box, ALL, FlagMode.ADD, Flags.of(["$X"]), unchanged_since=0)
        assert (none.modseq, list(none.refused)) == (0, [1, 2, 3, 4])

    asyncio.run(installation.play(scene))


def test_copy_keeps_identity_and_flags_go_apart(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, target = await inbox(store), (await store.create_mailbox("Work")).key
        await fill(store, box, 5, "\\Flagged")
        await store.store_flags(box, ((1, 2),), FlagMode.ADD, Flags.of(["\\Seen"]))
        installation.clock.advance(100)
        done = await store.copy(box, ((2, 3), (5, 5), (70, 80)), target)
        assert (list(done.source), list(done.target)) == ([2, 3, 5], [1, 2, 3])
        assert (done.target_mailbox.messages, done.target_mailbox.unseen) == (3, 2)
        columns = [Column.EMAIL_ID, Column.THREAD_ID, Column.FLAGS, Column.RECEIVED, Column.CONTENT]
        old = {row[0]: row[1:] for row in await store.rows(box, ALL, columns, 99)}
        copied = {row[0]: row[1:] for row in await store.rows(target, ALL, columns, 99)}
        assert copied == {1: old[2], 2: old[3], 3: old[5]}
        assert {row[1] for row in await store.rows(target, ALL, [Column.SAVED], 9)} == {int(installation.clock.now())}
        await store.store_flags(target, ALL, FlagMode.REPLACE, Flags())
        assert {row[0]: row[1:] for row in await store.rows(box, ALL, columns, 99)} == old
        empty = await store.copy(box, ((70, 80),), target)
        assert (empty.modseq, list(empty.source)) == (0, [])
        with pytest.raises(NoSuchMailbox):
            await store.copy(box, ALL, 9999)

    asyncio.run(installation.play(scene))


def test_move_is_one_command_and_keeps_dates(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, target = await inbox(store), (await store.create_mailbox("Work")).key
        await fill(store, box, 5, "\\Deleted")
        columns = [Column.EMAIL_ID, Column.FLAGS, Column.RECEIVED]
        old = {row[0]: row[1:] for row in await store.rows(box, ALL, columns, 99)}
        since = (await store.snapshot(box)).mailbox.highest_modseq
        done = await store.move(box, ((1, 1), (4, 9)), target)
        assert (list(done.source), list(done.target)) == ([1, 4, 5], [1, 2, 3])
        assert {row[0]: row[1:] for row in await store.rows(target, ALL, columns, 99)} == {
            1: old[1], 2: old[4], 3: old[5],
        }  # fmt: skip
        delta = await store.delta(box, since)
        assert (list(delta.vanished), delta.mailbox.highest_modseq) == ([1, 4, 5], done.modseq)
        assert done.target_mailbox.highest_modseq == done.modseq
        assert (delta.mailbox.messages, delta.mailbox.deleted) == (2, 2)
        assert await store.recoverable() == []

    asyncio.run(installation.play(scene))


def test_move_within_a_mailbox_gives_new_uids(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        done = await store.move(box, ALL, box)
        assert (list(done.source), list(done.target)) == ([1, 2, 3], [4, 5, 6])
        assert list((await store.snapshot(box)).uids.uids) == [4, 5, 6]

    asyncio.run(installation.play(scene))


def test_expunge_takes_the_deleted_and_leaves_them_readable(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 6)
        nothing = await store.expunge(box, None)
        assert (nothing.modseq, list(nothing.uids)) == (0, [])
        await store.store_flags(box, ((2, 5),), FlagMode.ADD, Flags.of(["\\Deleted"]))
        done = await store.expunge(box, ((1, 3), (5, 5)))
        assert list(done.uids) == [2, 3, 5]
        assert list((await store.snapshot(box)).uids.uids) == [1, 4, 6]
        rows = await store.rows(box, ((1, 3),), [Column.ENVELOPE, Column.CONTENT], 9, removed=True)
        assert [row[:2] for row in rows] == [(2, b"(envelope)"), (3, b"(envelope)")]
        key = rows[0][2]
        assert isinstance(key, int)
        assert await store.read_content(key) == b"Subject: 1\r\n\r\n1\r\n"
        assert list((await store.expunge(box, ((1, 1),), deleted_only=False)).uids) == [1]
        assert list((await store.expunge(box, None)).uids) == [4]
        assert (await store.append(box, [await new(store)])).uids == (7,)

    asyncio.run(installation.play(scene))


def test_every_command_has_its_own_number(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        messages = [await new(store, b"%d\r\n" % i) for i in range(20)]
        done = await asyncio.gather(*(store.append(box, [message]) for message in messages))
        assert sorted(one.modseq for one in done) == list(range(2, 22))
        assert sorted(one.uids[0] for one in done) == list(range(1, 21))
        delta = await store.delta(box, 11)
        assert sorted(modseq for _, _, modseq in delta.changed) == list(range(12, 22))

    asyncio.run(installation.play(scene))


def test_delta_tells_what_changed_since_each_number(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 4)
        await store.store_flags(box, ((3, 3),), FlagMode.ADD, Flags.of(["\\Deleted"]))
        await store.expunge(box, None)
        await fill(store, box, 1)
        now = (await store.snapshot(box)).mailbox.highest_modseq
        assert now == 5
        deltas = {since: await store.delta(box, since) for since in range(now + 1)}
        assert [uid for uid, _, _ in deltas[1].changed] == [1, 2, 4, 5]
        assert [list(deltas[since].vanished) for since in range(6)] == [[3], [3], [3], [3], [], []]
        assert [uid for uid, _, _ in deltas[3].changed] == [5]
        assert deltas[5].changed == []
        assert all(delta.complete for delta in deltas.values())
        with pytest.raises(NoSuchMailbox):
            await store.delta(9999, 1)

    asyncio.run(installation.play(scene))


def test_snapshot_is_shared_while_nothing_changes_and_never_changed_itself(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 5)
        first = await store.snapshot(box)
        assert (await engine.account(store.account).snapshot(box)).uids is first.uids
        await store.store_flags(box, ALL, FlagMode.ADD, Flags.of(["\\Seen"]))
        assert list((await store.snapshot(box)).uids.uids) == [1, 2, 3, 4, 5]
        await store.expunge(box, ((2, 3),), deleted_only=False)
        await fill(store, box, 2)
        assert list((await store.snapshot(box)).uids.uids) == [1, 4, 5, 6, 7]
        assert list(first.uids.uids) == [1, 2, 3, 4, 5]

    asyncio.run(installation.play(scene))


def test_first_unseen_follows_what_changes(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 6)
        seen = Flags.of(["\\Seen"])
        steps = [
            (FlagMode.ADD, (1, 3), 4),
            (FlagMode.ADD, (5, 6), 4),
            (FlagMode.ADD, (4, 4), 0),
            (FlagMode.REMOVE, (5, 5), 5),
            (FlagMode.REMOVE, (2, 2), 2),
            (FlagMode.ADD, (2, 2), 5),
        ]
        for mode, span, first in steps:
            await store.store_flags(box, (span,), mode, seen)
            assert (await store.opening(box)).first_unseen == first
            assert (await store.opening(box)).first_unseen == first
        await store.expunge(box, ((5, 5),), deleted_only=False)
        assert (await store.opening(box)).first_unseen == 0
        await fill(store, box, 1)
        assert (await store.opening(box)).first_unseen == 7

    asyncio.run(installation.play(scene))


def test_keywords_keep_the_case_of_their_first_use(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 1, "$Work")
        await store.append(box, [await new(store, b"x", "$WORK", "Zeta")])
        assert await store.keywords() == ["$Work", "Zeta"]

    asyncio.run(installation.play(scene))


# Identity ------------------------------------------------------------------------------------------

EMAIL_ID, THREAD_ID = "m" + "a" * 26, "t" + "b" * 26


def test_identity_is_taken_where_octets_and_date_agree(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Other")).key
        identity = Identity(EMAIL_ID, THREAD_ID, uidl="old-uidl", uid=42, saved=777)
        first = await store.append(box, [await new(store, b"one\r\n", identity=identity)])
        assert (first.uids, first.email_ids, first.mailbox.uidnext) == ((42,), (EMAIL_ID,), 43)
        (row,) = await store.rows(box, ALL, [Column.THREAD_ID, Column.SAVED], 9)
        assert row == (42, THREAD_ID.encode(), 777)
        assert await store.provenance(box, ALL) == [(42, EMAIL_ID, "old-uidl", False, 0, None, None)]
        same = await store.append(other, [await new(store, b"one\r\n", identity=identity)])
        assert same.email_ids == (EMAIL_ID,)
        octets = await store.append(other, [await new(store, b"two\r\n", identity=identity)])
        date = await store.append(other, [await new(store, b"one\r\n", identity=identity, received=5)])
        assert EMAIL_ID not in octets.email_ids + date.email_ids
        below = await store.append(box, [await new(store, b"x\r\n", identity=Identity(uid=7))])
        assert below.uids == (43,)

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("bad", ["", "m", "x" + "a" * 26, "m" + "A" * 26, "m" + "a" * 26 + "\n", "m" + "'" * 26])
def test_an_identity_of_another_form_is_not_taken(installation: Installation, bad: str) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        done = await store.append(await inbox(store), [await new(store, identity=Identity(email_id=bad, uidl="a b"))])
        assert done.email_ids[0] != bad
        assert await store.provenance(await inbox(store), ALL) == [(1, done.email_ids[0], None, False, 0, None, None)]

    asyncio.run(installation.play(scene))


def test_equal_octets_are_two_emails(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        done = await store.append(box, [await new(store), await new(store)])
        assert len(set(done.email_ids)) == 2

    asyncio.run(installation.play(scene))


def test_threads_need_a_common_id_and_an_equal_subject_rfc8621_3(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        cases: list[dict[str, Any]] = [
            {"message_id": "<1@x>", "subject": "hi"},
            {"message_id": "<2@x>", "references": ("<1@x>",), "subject": "hi"},
            {"message_id": "<3@x>", "references": ("<1@x>",), "subject": "other"},
            {"message_id": "<4@x>", "subject": "hi"},
            {"message_id": "<5@x>", "references": ("<4@x>", "<2@x>"), "subject": "hi"},
        ]
        for i, keys in enumerate(cases):
            await store.append(box, [await new(store, b"%d" % i, **keys)])
        threads = [row[1] for row in await store.rows(box, ALL, [Column.THREAD_ID], 9)]
        assert threads[0] == threads[1] == threads[4], "a newcomer that joins two threads joins the oldest"
        assert len({threads[0], threads[2], threads[3]}) == 3

    asyncio.run(installation.play(scene))


def test_arrivals_are_found_by_hash(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        done = await store.append(box, [await new(store, arrival=b"h" * 32, received=500)])
        assert [found[0] for found in await store.find_arrivals(b"h" * 32, 400)] == [done.email_ids[0]]
        assert await store.find_arrivals(b"h" * 32, 501) == []
        await store.expunge(box, None, deleted_only=False)
        assert len(await store.find_arrivals(b"h" * 32, 400)) == 1

    asyncio.run(installation.play(scene))


def test_append_once_files_once_whoever_calls_and_whatever_became_of_it(installation: Installation) -> None:
    id = "m" + "a" * 26

    async def scene(engine: Engine, store: Store) -> None:
        other = installation.open()
        stores = [store, other.account(ACCOUNT)]
        box = await inbox(store)

        async def once(n: int) -> bool:
            here = stores[n % 2]
            data = b"Received: %d\r\n\r\nthe same\r\n" % n  # trace fields differ from try to try
            message = await new(here, data, identity=Identity(email_id=id))
            return await here.append_once("INBOX", message) is not None

        assert not await store.has_email(id)
        assert sorted(await asyncio.gather(*(once(n) for n in range(20)))) == [False] * 19 + [True]
        assert await store.has_email(id)
        await store.expunge(box, ALL, deleted_only=False)
        assert await other.account(ACCOUNT).has_email(id), "what was removed is still known"
        before = (await store.stats()).modseq
        assert not await once(20)
        assert (await store.stats()).modseq == before, "nothing happened, so no number is used up"
        with pytest.raises(NoSuchMailbox):
            await store.append_once("Nowhere", await new(store, identity=Identity(email_id="m" + "b" * 26)))
        await other.close()

    asyncio.run(installation.play(scene))
