"""Several sessions and processes on one store: watches, cancelled callers, locks, \\Recent, limits of room."""

from __future__ import annotations

import asyncio
import multiprocessing
from pathlib import Path

import pytest

from restante.store.errors import InUse, NoSuchAccount, NoSuchMailbox, StoreFailed, TooManyKeywords
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode, Flags

from .making import ACCOUNT, ALL, Installation, fill, inbox, new

PATIENCE = 30.0


def test_accounts_that_are_not_there(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        for name in ("nobody", "../../etc/passwd", "", "a/b", "a" * 65, "ä"):
            with pytest.raises(NoSuchAccount):
                await engine.account(name).mailboxes()
        with pytest.raises(NoSuchAccount):
            await engine.account("nobody").create_mailbox("A")
        await engine.delete_account(store.account)
        with pytest.raises(NoSuchAccount):
            await store.mailboxes()

    asyncio.run(installation.play(scene))


def test_a_failed_command_harms_no_other_of_its_group(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        good = [await new(store, b"%d" % i) for i in range(30)]
        bad = await new(store, b"bad", "$A", "$B")
        results = await asyncio.gather(
            *(store.append(box, [bad if i % 3 == 1 else good[i]]) for i in range(30)), return_exceptions=True
        )
        assert all(isinstance(result, TooManyKeywords) == (i % 3 == 1) for i, result in enumerate(results))
        here = await store.snapshot(box)
        assert list(here.uids.uids) == list(range(1, 21))
        assert here.mailbox.highest_modseq == 21, "numbers of failed commands go to the next"
        assert [finding.text async for finding in store.doctor(False) if finding.code != "answers"] == []

    asyncio.run(installation.play(scene, keywords=1))


def test_watchers_hear_after_the_commit_once_a_turn(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        heard, arrived = list[int](), asyncio.Event()
        other, again = list[int](), asyncio.Event()

        def first(modseq: int) -> None:
            heard.append(modseq)
            arrived.set()

        def second(modseq: int) -> None:
            other.append(modseq)
            again.set()

        watch = engine.watch(ACCOUNT, first)
        engine.watch(ACCOUNT, second)
        done = await store.append(box, [await new(store)])
        async with asyncio.timeout(PATIENCE):
            await arrived.wait()
        assert heard == [done.modseq]
        await store.store_flags(box, ALL, FlagMode.REMOVE, Flags.of(["\\Seen"]))  # changes nothing
        watch.close()
        last = await store.append(box, [await new(store)])
        async with asyncio.timeout(PATIENCE):
            while other[-1] != last.modseq:
                again.clear()
                await again.wait()
        assert (heard, other) == ([done.modseq], [done.modseq, last.modseq])

    asyncio.run(installation.play(scene))


def test_another_engine_on_the_same_data_hears_and_sees(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        other = installation.open()
        try:
            arrived = asyncio.Event()
            other.watch(ACCOUNT, lambda _: arrived.set())
            await fill(store, await inbox(store), 3)
            async with asyncio.timeout(PATIENCE):
                await arrived.wait()
            assert len((await other.account(ACCOUNT).snapshot(await inbox(store))).uids) == 3
        finally:
            await other.close()

    asyncio.run(installation.play(scene))


def _append_from_another_process(data: Path, name: str, count: int) -> None:
    installation = Installation(name, data)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for i in range(count):
            await store.append(box, [await new(store, b"other %d" % i)])

    asyncio.run(installation.play(scene))


def test_two_processes_append_and_watch(installation: Installation) -> None:
    """Both file 50 messages at once: none is lost, UIDs and numbers are distinct, the last one is heard of here."""

    async def scene(engine: Engine, store: Store) -> None:
        box, newest, woken = await inbox(store), 1, asyncio.Event()

        def on_change(modseq: int) -> None:
            nonlocal newest
            newest = modseq
            woken.set()

        engine.watch(ACCOUNT, on_change)
        process = multiprocessing.get_context("spawn").Process(
            target=_append_from_another_process, args=(installation.data, installation.name, 50)
        )
        process.start()
        try:
            mine = [(await store.append(box, [await new(store, b"mine %d" % i)])).modseq for i in range(50)]
            async with asyncio.timeout(PATIENCE):
                while newest < 101:
                    woken.clear()
                    await woken.wait()
        finally:
            await asyncio.to_thread(process.join, PATIENCE)
        assert process.exitcode == 0
        here = await store.snapshot(box)
        assert list(here.uids.uids) == list(range(1, 101))
        delta = await store.delta(box, 1)
        assert sorted(modseq for _, _, modseq in delta.changed) == list(range(2, 102))
        assert len(set(mine)) == 50

    asyncio.run(installation.play(scene))


def test_a_cancelled_command_has_happened_wholly_or_not_at_all(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        tasks = [asyncio.create_task(store.append(box, [await new(store, b"%d" % i)] * 2)) for i in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        await store.append(box, [await new(store)])
        here = await store.snapshot(box)
        kept = [one for one in done if not isinstance(one, BaseException)]
        assert len(kept) >= 10
        assert (len(here.uids) - 1) % 2 == 0
        assert {uid for one in kept for uid in one.uids} <= set(here.uids.uids)

    asyncio.run(installation.play(scene))


def test_close_finishes_what_is_queued(installation: Installation) -> None:
    async def scene() -> None:
        engine = installation.open()
        await engine.create_account(ACCOUNT)
        store = engine.account(ACCOUNT)
        tasks = [asyncio.create_task(store.subscribe(f"name {i}", True)) for i in range(20)]
        await asyncio.sleep(0)
        await engine.close()
        await asyncio.gather(*tasks)
        with pytest.raises(StoreFailed):
            await store.create_mailbox("Late")
        again = installation.open()
        assert len(await again.account(ACCOUNT).subscriptions()) == 21
        await again.close()

    asyncio.run(scene())


def test_one_session_at_a_time_holds_the_maildrop(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        other = installation.open()
        try:
            async with store.lock_maildrop():
                for second in (store, engine.account(ACCOUNT), other.account(ACCOUNT)):
                    with pytest.raises(InUse):
                        async with second.lock_maildrop():
                            pass
            async with other.account(ACCOUNT).lock_maildrop():
                pass
        finally:
            await other.close()

    asyncio.run(installation.play(scene))


def test_each_message_is_recent_in_one_session(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        low, high = await store.claim_recent(box)
        assert low > high
        await fill(store, box, 5)
        modseq = (await store.stats()).modseq
        claims = await asyncio.gather(*(store.claim_recent(box) for _ in range(5)))
        assert sorted(high - low + 1 for low, high in claims) == [0, 0, 0, 0, 5]
        await fill(store, box, 1)
        assert await store.claim_recent(box) == (6, 6)
        assert (await store.stats()).modseq == modseq + 1, "claiming takes no number"
        here = await store.snapshot(box)
        assert here.mailbox.recent_uid == 6
        with pytest.raises(NoSuchMailbox):
            await store.claim_recent(9999)

    asyncio.run(installation.play(scene))
