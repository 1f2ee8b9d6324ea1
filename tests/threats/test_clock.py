"""The clock goes back or forward by an hour, a day, twenty years: numbers, retention and throttle stand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.accounts.throttle import Throttle
from restante.clock import ManualClock, system_random
from restante.store.interface import Store
from restante.store.model import Mailbox, Pop3Delete
from restante.store.sqlite.engine import SqliteEngine
from tests.engines.making import ACCOUNT, fill, inbox

HOUR, DAY = 3_600.0, 86_400.0
JUMPS = [
    pytest.param(sign * seconds, id=f"{'back' if sign < 0 else 'forward'}-{name}")
    for name, seconds in (("an-hour", HOUR), ("a-day", DAY), ("twenty-years", 20 * 365 * DAY))
    for sign in (-1, 1)
]


async def box(store: Store, name: str) -> Mailbox:
    found = await store.mailbox(name)
    assert found is not None
    return found


def engine_on(data: Path, clock: ManualClock) -> SqliteEngine:
    return SqliteEngine(data, clock, system_random, reserve=0)


@pytest.mark.parametrize("jump", JUMPS)
def test_numbers_only_grow(tmp_path: Path, jump: float) -> None:
    async def scene() -> None:
        clock = ManualClock()
        engine = engine_on(tmp_path / "data", clock)
        await engine.create_account(ACCOUNT)
        store = engine.account(ACCOUNT)
        first = await inbox(store)
        modseq, validities, uids = 0, {(await box(store, "INBOX")).uidvalidity}, [0]
        start = clock.now()
        for turn in range(6):
            clock.set(start + (jump if turn % 2 else 0))
            made = await store.create_mailbox("Again")
            assert made.uidvalidity not in validities, "a UIDVALIDITY came back"
            assert made.uidvalidity >= max(validities), "a UIDVALIDITY went back"
            validities.add(made.uidvalidity)
            new = await fill(store, first, 3)
            assert new[0] > uids[-1]
            uids += new
            await store.expunge(first, ((new[0], new[0]),), deleted_only=False)
            await store.delete_mailbox(made.key)
            now = (await store.stats()).modseq
            assert now > modseq
            modseq = now
            assert [finding.text async for finding in store.doctor(False) if finding.code != "answers"] == []
        delta = await store.delta(first, 1)
        assert delta.complete
        assert len(delta.vanished) == 6
        assert (await box(store, "INBOX")).uidvalidity == min(validities)
        await engine.close()

    asyncio.run(scene())


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_frees_nothing_before_its_time(tmp_path: Path, jump: float) -> None:
    """Removed at one reading, looked at from another: kept for 14 days of the clock, whichever way it went.

    Nothing is freed here while the clock is twenty years ahead: that cannot be told from twenty years.
    """

    async def scene() -> None:
        clock = ManualClock()
        engine = engine_on(tmp_path / "data", clock)
        await engine.create_account(ACCOUNT)
        store = engine.account(ACCOUNT)
        first = await inbox(store)
        uids = await fill(store, first, 4)
        await store.expunge(first, ((uids[0], uids[0]),), deleted_only=False)
        right = clock.now()
        clock.set(right + jump)
        await store.expunge(first, ((uids[1], uids[1]),), deleted_only=False)
        if jump < 14 * DAY:
            assert await store.reclaim(100) == 0
            assert len(await store.recoverable()) == 2
        clock.set(right)  # someone has put the clock right
        if jump < 14 * DAY:
            assert await store.reclaim(100) == 0
        back = await store.recoverable()
        assert len(back) == 2
        assert await store.undelete([back[0].number], None) is not None
        clock.set(right + 15 * DAY)
        freed = await store.reclaim(100)
        assert freed == 1  # the one that did not come back
        assert [finding.text async for finding in store.doctor(False) if finding.code != "answers"] == []
        await engine.close()

    asyncio.run(scene())


@pytest.mark.parametrize("jump", JUMPS)
def test_a_guesser_waits_as_long_as_before(jump: float) -> None:
    clock = ManualClock()
    throttle = Throttle(clock, 0.5, 15.0)
    pair = ("192.0.2.1", "ann@threat.example")
    for _ in range(8):
        throttle.failed(pair)
    expected = throttle.admit(pair)
    clock.set(clock.now() + jump)
    again = throttle.admit(pair)
    assert expected
    assert again is None or again > expected


@pytest.mark.parametrize("jump", JUMPS)
def test_pop3_leaves_on_the_server_what_was_not_retrieved_long_ago(tmp_path: Path, jump: float) -> None:
    """Only what lies N days back by both readings goes to Trash."""

    async def scene() -> None:
        clock = ManualClock()
        engine = engine_on(tmp_path / "data", clock)
        await engine.create_account(ACCOUNT)
        store = engine.account(ACCOUNT)
        uids = await fill(store, await inbox(store), 2)
        clock.set(clock.now() + jump)
        await store.finish_maildrop((), Pop3Delete.REMOVE, ((uids[0], uids[0]),), mark_seen=False)
        assert await store.expire_retrieved(int(clock.now() - 7 * DAY)) == 0
        clock.set(clock.now() + 8 * DAY)
        assert await store.expire_retrieved(int(clock.now() - 7 * DAY)) == 1
        assert len((await store.snapshot(await inbox(store))).uids) == 1
        await engine.close()

    asyncio.run(scene())
