"""What a backup reads of an account at one instant, by what it knows it again, and an account made anew from that."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from hashlib import sha256

import pytest

from restante.store.backup import Head, RebuiltEmail, RebuiltRow, Served
from restante.store.errors import AccountExists, Damaged
from restante.store.interface import Engine, Store
from restante.store.model import Column, FlagMode, Flags, Identity, Pop3Delete, System
from restante.store.sqlite import ready
from restante.store.sqlite.engine import SqliteEngine

from .making import ACCOUNT, ALL, Installation, analysis, fill, inbox, new

SEEN = Flags(System.SEEN)


def test_a_mark_is_another_after_every_change_and_the_same_after_none(installation: Installation) -> None:
    async def scene(_engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 5)
        marks = [await store.mark()]
        for change in (
            lambda: store.store_flags(box, ((1, 1),), FlagMode.ADD, SEEN),
            lambda: store.finish_maildrop((), Pop3Delete.KEEP, ((1, 2),), mark_seen=False),
            lambda: store.finish_maildrop(((1, 1),), Pop3Delete.KEEP, (), mark_seen=False),
            lambda: store.claim_recent(box),
            lambda: store.annotate(box, {"/shared/comment": b"x"}),
            lambda: store.subscribe("elsewhere", True),
            lambda: store.expunge(box, ((5, 5),), deleted_only=False),
        ):
            await change()
            marks.append(await store.mark())
        assert len(set(marks)) == len(marks)
        await store.store_flags(box, ((1, 1),), FlagMode.ADD, SEEN)
        await store.rows(box, ALL, [Column.FLAGS], 99)
        assert await store.mark() == marks[-1]

    asyncio.run(installation.play(scene))


def test_an_instant_is_what_was_there_whatever_comes(installation: Installation) -> None:
    async def scene(_engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 5, "\\Flagged", "$A")
        since = (await store.mark()).modseq
        await store.store_flags(box, ((2, 3),), FlagMode.REPLACE, SEEN)
        await store.expunge(box, ((4, 4),), deleted_only=False)
        async with store.instant() as instant:
            await store.expunge(box, ALL, deleted_only=False)
            await fill(store, box, 2)
            await store.create_mailbox("Later")
            head = await instant.head()
            assert head.mark.modseq == since + 2
            assert [(one.name, one.messages) for one in head.mailboxes] == [("INBOX", 4)]
            placed = await instant.placed(box, 0, 3)
            assert [row[0] for row in placed] == [1, 2, 3]
            assert [row[0] for row in await instant.placed(box, 3, 99)] == [5]
            assert [head.flag_sets[row[11]] for row in placed] == [(4, "$A"), (1, ""), (1, "")]
            flagged = await instant.flagged(box, since, 6)
            assert [(uid, head.flag_sets[number]) for uid, number in flagged] == [(2, (1, "")), (3, (1, ""))]
            assert await instant.flagged(box, since, 3) == flagged[:1]
            assert list(await instant.gone(box, since)) == [4]
            assert await instant.catalogue(box, 1, 5) == [("FROM", "TO\nCC", "SUBJECT", "")] * 4
            assert await store.read_contents([row[4] for row in placed]), "contents stay, though all is removed"
        with pytest.raises(RuntimeError):
            await instant.head()

    asyncio.run(installation.play(scene))


def test_what_was_logged_during_an_instant_is_written_back_at_its_end(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        assert isinstance(engine, SqliteEngine)
        path = engine.path(ACCOUNT)
        async with store.instant() as instant:
            await instant.head()
            before = path.stat().st_size
            for number in range(4):
                await store.append(box, [await new(store, random.Random(number).randbytes(1 << 20))])
            assert path.stat().st_size == before, "the instant keeps the log"
            # Behind an answer the writer tries to write the log back; the instant's end, if they meet, leaves it to it.
            with engine.handles.hold(ACCOUNT, path) as handle:
                async with asyncio.timeout(20):
                    while handle.users > 1:  # noqa: ASYNC110 - a thread lets go of it and tells nobody
                        await asyncio.sleep(0.001)
        assert path.stat().st_size > before + (4 << 20), "who delivers next need not write it back"

    asyncio.run(installation.play(scene))


async def _head_and_rows(store: Store) -> tuple[Head, list[RebuiltEmail], list[RebuiltRow]]:
    async with store.instant() as instant:
        head = await instant.head()
        placed = await instant.placed(head.mailboxes[0].key, 0, 99)
    octets = await store.read_contents([row[4] for row in placed])
    emails = [
        RebuiltEmail(row[1], row[2], row[3], row[7], row[9], row[10], row[5], data, analysis(data))
        for row, data in zip(placed, octets, strict=True)
    ]
    rows = [(row[0], row[1], *head.flag_sets[row[11]], row[6], row[7], row[8]) for row in placed]
    return head, emails, rows


def test_an_account_made_anew_is_an_older_state_put_in_service(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store, b"old", identity=Identity(uidl="x"))])
        await fill(store, box, 3, "\\Seen")
        drop = [each.uidl for each in await store.maildrop()]
        head, emails, rows = await _head_and_rows(store)
        before = (await store.snapshot(box)).mailbox
        await fill(store, box, 4)  # lost
        lost = await store.last_change()
        await engine.delete_account(ACCOUNT)
        async with engine.rebuild(ACCOUNT, head) as building:
            await building.emails(building.readying(emails))
            await building.emails(building.readying(emails[1:3] + emails[:2]))  # they are there
            await building.placements(box, rows)
            await building.finish([(box, 2, 7, 99), (box, 77, 1, None)], [emails[0].order, 10**6], [(box, 1, "r", 1)])
        anew = (await store.snapshot(box)).mailbox
        assert (anew.id, anew.uidvalidity, anew.messages, anew.unseen, anew.size) == (
            before.id, before.uidvalidity, before.messages, before.unseen, before.size,
        )  # fmt: skip
        assert anew.uidnext > 8
        assert anew.highest_modseq > lost
        assert not (await store.delta(box, lost)).complete
        assert [each.uidl for each in await store.maildrop()] == [f"{drop[1]}.7", *drop[2:]]
        assert [each.retrieved for each in await store.provenance(box, ALL)] == [None, 99, None, None]
        assert (await fill(store, box, 1))[0] >= anew.uidnext
        assert [one.code async for one in store.doctor(False) if one.code != "answers"] == []

    asyncio.run(installation.play(scene))


def test_messages_of_any_length_are_made_anew(installation: Installation) -> None:
    """Nothing at all, exactly a chunk, one octet more, several; the same octets twice; as they are and compressed."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 1)
        head, (one, *_), (row, *_) = await _head_and_rows(store)
        chunk = 128 << 10
        octets = [b"", b"x", bytes(chunk), random.Random(1).randbytes(chunk + 1), bytes(3 * chunk), b"x"]
        emails = [
            one._replace(order=n + 1, id=f"m{n}" + "a" * 25, data=data, digest=sha256(data).digest())
            for n, data in enumerate(octets)
        ]
        rows = [(n + 1, n + 1, *row[2:4], len(data), *row[5:]) for n, data in enumerate(octets)]
        for compress in (False, True):
            await engine.delete_account(ACCOUNT)
            async with engine.rebuild(ACCOUNT, head) as building:
                await building.emails(
                    ready.make([each._replace(data=memoryview(each.data)) for each in emails], compress)
                )
                await building.emails(ready.make([emails[1], emails[0]], compress))
                await building.placements(box, rows)
                await building.finish([], [], [])
            found = await store.rows(await inbox(store), ALL, [Column.CONTENT], 99)
            contents = [int(str(content)) for _, content in found]
            assert await store.read_contents(contents) == octets
            assert contents[1] == contents[5], "the same octets are there once"
            assert len(set(contents)) == 5
            assert [one.text async for one in store.doctor(False) if one.code not in ("answers", "pop3")] == []

    asyncio.run(installation.play(scene))


def test_an_account_made_anew_goes_on_above_what_any_state_of_it_gave_out(installation: Installation) -> None:
    """Here, in whichever order states come back; and elsewhere, as far as who makes it anew knows."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        first = await _head_and_rows(store)
        last = (0, 0, 0)
        for which in ("first", "again", "first", "told"):
            if which != "again":
                head, emails, rows = first
            if which == "told":
                served = Served(
                    last[2] + (1 << 41), 0, {(head.mailboxes[0].id, head.mailboxes[0].uidvalidity): 1 << 31}
                )
                head = replace(head, served=served)
            await engine.delete_account(ACCOUNT)
            async with engine.rebuild(ACCOUNT, head) as building:
                await building.emails(building.readying(emails))
                await building.placements(box, rows)
                await building.finish([], [], [])
            await fill(store, box, 1)
            now = (await store.snapshot(box)).mailbox
            numbers = (now.uidnext, now.highest_modseq, await store.last_change())
            assert all(one > old for one, old in zip(numbers, last, strict=True))
            last = numbers
            head, emails, rows = await _head_and_rows(store)
        assert last[0] > 1 << 31
        assert last[2] > served.modseq

    asyncio.run(installation.play(scene))


def test_an_account_is_made_anew_whole_or_not_at_all(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        head, emails, _ = await _head_and_rows(store)
        with pytest.raises(AccountExists):
            async with engine.rebuild(ACCOUNT, head):
                pass
        assert len((await store.snapshot(box)).uids) == 3
        await engine.delete_account(ACCOUNT)
        async with engine.rebuild(ACCOUNT, head) as building:
            await building.emails(building.readying(emails))  # and not finished
        with pytest.raises(Damaged):
            async with engine.rebuild(ACCOUNT, head) as building:
                await building.emails(b"\x91")
        await engine.create_account(ACCOUNT)
        assert len((await store.snapshot(await inbox(store))).uids) == 0
        assert [name for name in await engine.strays() if ".new" in name] == [], "nothing half made is left"

    asyncio.run(installation.play(scene))
