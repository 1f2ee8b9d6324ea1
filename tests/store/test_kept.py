"""What a process keeps of accounts goes when they sleep: many leave no more behind than few."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from array import array
from pathlib import Path

import apsw
import pytest

from restante.clock import system_random
from restante.query.language import All, HasFlag
from restante.query.order import Criterion, SortKey
from restante.store.errors import DiskFull, NoSuchMailbox
from restante.store.interface import Engine, Store
from restante.store.model import Column, DropList, DropMessage, FlagMode, Flags, System, UidList, UidRanges
from restante.store.rights import parse_rights
from restante.store.sqlite import changes, recent
from restante.store.sqlite.account import SqliteStore
from restante.store.sqlite.changes import FEW_FLAGS
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.handles import IDLE
from restante.store.sqlite.kept import LARGE_IDLE, SMALL, Kept
from restante.store.sqlite.made import MESSAGE_COSTS, UNUSED, Columns, Made, Of, Place
from restante.store.sqlite.orders import FEW_SORTED, MOST_PLACED, Orders
from tests.engines.making import ACCOUNT, Installation, fill, inbox

BY_SUBJECT = (Criterion(SortKey.SUBJECT),)
BY_SIZE = (Criterion(SortKey.SIZE, reverse=True),)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation("sqlite", tmp_path / "data")


def weight(kept: Kept) -> int:
    """Entries in all caches."""
    caches = (kept.lists._lists, kept.flags._arrays, kept.maildrops._drops, kept.deltas._kept, kept.unseen._held)
    return (
        sum(len(cache) for cache in (*caches, kept.openings._words, kept.orders._orders, kept.matches._answers))
        + len(kept.made._columns)
        + len(kept._shared)
        + len(kept._recent)
        + len(kept._large)
    )


async def swept(engine: SqliteEngine) -> bool:
    """Let the engine look for idle files as its timer does; whether it will look again."""
    engine.keep_tidy()
    assert engine._sweeper is not None
    engine._sweeper.cancel()
    engine._sweep()
    assert engine._sweeping is not None
    await engine._sweeping
    await asyncio.sleep(0)  # its callback has run
    return engine._sweeper is not None


@pytest.mark.parametrize("handles", [100, 3])
def test_small_accounts_leave_nothing_once_their_files_are_closed(installation: Installation, handles: int) -> None:
    async def scene() -> None:
        engine = SqliteEngine(installation.data, installation.clock, system_random, reserve=0, handles=handles)
        for name in [f"acc{number}" for number in range(10)]:
            await engine.create_account(name)
            store = engine.account(name)
            box = await inbox(store)
            await fill(store, box, 5)
            await store.snapshot(box)
            await store.flag_table()
            await store.opening(box)
            await store.delta(box, 1)
            await store.maildrop()
        del store
        assert weight(engine.kept) > 50
        installation.clock.advance(IDLE)
        assert not await swept(engine)
        gc.collect()
        assert weight(engine.kept) == 0
        assert len((await engine.account("acc3").snapshot(1)).uids) == 5
        await engine.close()

    asyncio.run(scene())


def test_an_account_in_use_keeps_what_is_known_of_it(installation: Installation) -> None:
    async def scene() -> None:
        engine = SqliteEngine(installation.data, installation.clock, system_random, reserve=0, handles=100)
        for name in ("acc1", "acc2"):
            await engine.create_account(name)
            await fill(engine.account(name), 1, 5)
            await engine.account(name).snapshot(1)
        installation.clock.advance(IDLE)
        seen = (await engine.account("acc2").snapshot(1)).uids
        assert await swept(engine)
        assert [place[0] for place in engine.kept.lists._lists] == ["acc2"]
        assert (await engine.account("acc2").snapshot(1)).uids is seen
        await engine.close()

    asyncio.run(scene())


def test_a_mailbox_that_has_not_changed_is_opened_without_a_look_at_the_file(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        other = (await store.create_mailbox("Other")).key
        await fill(store, box, 6)

        async def opened() -> None:
            """By somebody who has just read the mailbox: what who reads all of it is told, twice."""
            await store.snapshot(box)  # the list is up to date, the rest is not
            for _ in range(2):
                read = await store.mailbox("INBOX")
                assert await store.opening(box, read) == await store.opening(box)
            with monkeypatch.context() as closed:  # what is asked right behind the mailbox, its look has brought
                read = await store.mailbox("INBOX")
                closed.setattr(type(store), "look", None)
                assert await store.opening(box, read)

        await opened()
        one = ((2, 2),)
        await store.store_flags(box, ((1, 3),), FlagMode.ADD, Flags(System.SEEN))
        await opened()
        await store.store_flags(box, one, FlagMode.ADD, Flags.of(["$new"]))
        await opened()
        await store.expunge(box, ((4, 4),), deleted_only=False)
        await opened()
        await fill(store, box, 2)
        await opened()
        await store.copy(box, one, other)
        await store.claim_recent(box)
        await opened()
        await store.subscribe("INBOX", False)
        read = await store.mailbox("INBOX")
        told = await store.opening(box)
        with monkeypatch.context() as closed:
            closed.setattr(type(store), "_read", None)
            assert await store.opening(box, read) == told
        await store.store_flags(other, ((1, 1),), FlagMode.ADD, Flags.of(["$later"]))
        assert (await store.opening(box, read)).keywords == ["$later", "$new"], "the account's, wherever they are"

    asyncio.run(installation.play(scene))


def large() -> Kept:
    kept = Kept(lambda: 0.0)
    for account, count in (("large", SMALL + 1), ("small", SMALL)):
        uids = UidList(array("I", range(1, count + 1)))
        kept.lists._keep((account, 1), (1, 1, 1), uids)
        kept.flags._keep(account, 1, 1, uids, array("I", [1] * count))
        kept.unseen._held[account, 1] = (1, 1)
        kept.orders.keep((account, 1, BY_SUBJECT, All(), "i", 1), uids.uids, uids.uids[::-1])
        kept.matches._keep((account, 1, HasFlag("x")), ((1, 1, 1), uids.uids))
        for _ in range(2):
            kept.made.keep((account, 1, 0), ("i", 1, b"uids"), b"ENVELOPE", ((b"()",) * count,), 2 * count)
        kept.maildrops.keep(account, (1, 1, 1, ""), DropList([DropMessage(1, "x", 1, 1, 1, 0, False)] * count))
    return kept


def test_what_is_large_is_kept_a_while_longer() -> None:
    kept = large()
    assert kept.sleep({"large", "small"}, 1000.0)
    assert list(kept.lists._lists) == list(kept.flags._arrays) == list(kept.unseen._held) == [("large", 1)]
    assert list(kept.orders._orders) == [("large", 1, BY_SUBJECT, All(), "i", 1)]
    assert list(kept.matches._answers) == [("large", 1, HasFlag("x"))]
    assert list(kept.maildrops._drops) == ["large"]
    assert list(kept.made._columns) == [(("large", 1, 0), b"ENVELOPE")]
    assert kept.sleep(set(), 1000.0 + LARGE_IDLE - 1)
    assert kept.lists._lists
    assert not kept.sleep(set(), 1000.0 + LARGE_IDLE)
    assert weight(kept) == 0
    assert kept.lists._held == kept.flags._held == kept.maildrops._held == kept.orders._held == kept.matches._held == 0
    assert kept.made._held == 0


def test_orders_are_bounded_and_of_the_same_messages() -> None:
    db = apsw.Connection(":memory:")
    uids, ordered = (array("I", some) for some in (range(1, FEW_SORTED + 1), range(FEW_SORTED, 0, -1)))
    orders = Orders(most=2 * FEW_SORTED)
    for mailbox in (1, 2, 3):
        orders.keep(("a", mailbox, BY_SUBJECT, All(), "i", 1), uids, ordered)
    assert orders.find(db, ("a", 1, BY_SUBJECT, All(), "i", 1), uids) is None, "the one used longest ago makes room"
    assert orders.find(db, ("a", 3, BY_SUBJECT, All(), "i", 1), uids) is ordered
    assert orders.find(db, ("a", 3, BY_SUBJECT, All(), "i", 1), array("I", uids)) is ordered, "the same UIDs"
    assert orders.find(db, ("a", 3, BY_SUBJECT, HasFlag("\\Seen"), "i", 1), uids) is None
    assert orders.find(db, ("a", 3, (Criterion(SortKey.SUBJECT, reverse=True),), All(), "i", 1), uids) is None
    assert orders.find(db, ("a", 3, BY_SUBJECT, All(), "i", 1), uids[: -MOST_PLACED - 1]) is None, (
        "that is to be sorted"
    )
    orders.keep(("a", 4, BY_SUBJECT, All(), "i", 1), uids[1:], ordered[1:])
    assert ("a", 4, BY_SUBJECT, All(), "i", 1) not in orders._orders, "few are sorted as fast"
    orders.forget({"a"})
    assert orders._held == 0


def keep(made: Made, place: Place, of: Of, columns: Columns, octets: int) -> None:
    """The second time it is kept."""
    for _ in range(2):
        made.keep(place, of, b"BODY", columns, octets)


def test_what_was_made_of_answers_is_bounded_in_octets() -> None:
    made = Made(lambda: 0.0, most=3 * (2 * MESSAGE_COSTS + 100 + len(b"BODY")))
    columns = ((b"x" * 50, b"y" * 50),)
    places: list[Place] = [("a", mailbox, 0) for mailbox in range(4)]
    of: Of = ("i", 1, b"")
    for place in places[:3]:
        keep(made, place, of, columns, 100)
    assert made.find(places[0], of, b"BODY") is columns
    keep(made, places[3], of, columns, 100)
    assert made.find(places[1], of, b"BODY") is None, "the one used longest ago makes room"
    assert made.find(places[0], of, b"BODY") is columns
    assert made.find(places[0], of, b"ENVELOPE") is None
    held = made._held
    made.keep(places[3], of, b"BODY", columns, 100)
    assert made._held == held, "kept again, it counts once"
    keep(made, places[2], of, columns, made._most)
    assert made.find(places[2], of, b"BODY") is None, "too large for the whole room"
    assert made.find(places[0], of, b"BODY") is columns
    made.forget({"a"})
    assert made._held == 0


def test_names_count_too() -> None:
    """Those of header fields are up to 64 kB long, and differ as a client likes."""
    made, of = Made(lambda: 0.0, most=100_000), ("i", 1, b"12")
    for number in range(50):
        made.keep(("a", number, 0), of, b"%d" % number + b"x" * 10_000, ((b"x",),), 1)
    assert sum(len(name) for _, name in made._columns) <= 100_000


def test_what_is_asked_for_once_is_only_noted() -> None:
    made, place, of = Made(lambda: 0.0), ("a", 1, 0), ("i", 1, b"12")
    columns = ((b"x" * 5_000, b"y" * 5_000),)
    made.keep(place, of, b"BODY", columns, 10_000)
    assert made.find(place, of, b"BODY") is None
    assert 0 < made._held < 1_000
    made.keep(place, ("i", 1, b"13"), b"BODY", columns, 10_000)
    made.keep(place, of, b"BODY", columns, 10_000)
    assert made.find(place, of, b"BODY") is None, "others were asked for in between"
    made.keep(place, of, b"BODY", columns, 10_000)
    assert made.find(place, of, b"BODY") is columns


def test_of_a_mailbox_that_does_not_fit_a_part_is_kept() -> None:
    made = Made(lambda: 0.0, most=10_000)
    of: Of = ("i", 1, b"12")

    def listed() -> int:
        """How many parts of a listing are found; the others are made, as FETCH does."""
        hits = 0
        for first in range(20):
            if made.find(("a", 1, first), of, b"BODY") is not None:
                hits += 1
            else:
                made.keep(("a", 1, first), of, b"BODY", ((b"x" * 900,),), 900)
        return hits

    assert [listed() for _ in range(4)][2:] == [10, 10]
    keep(made, ("a", 2, 0), of, ((b"x" * 900,),), 900)
    assert made.find(("a", 2, 0), of, b"BODY") is not None, "another mailbox has its turn"
    assert made._held <= made._most


def test_of_one_place_the_last_listing_alone_is_kept() -> None:
    made, place = Made(lambda: 0.0), ("a", 1, 500)
    first, second = ((b"one", b"two"),), ((b"two", b"three"),)
    keep(made, place, ("i", 1, b"12"), first, 6)
    held = made._held
    keep(made, place, ("i", 1, b"23"), second, 6)
    assert made._held == held
    assert made.find(place, ("i", 1, b"23"), b"BODY") is second
    for of in (("i", 1, b"12"), ("j", 1, b"23"), ("i", 2, b"23")):
        assert made.find(place, of, b"BODY") is None


def test_what_nobody_asks_for_goes_after_a_while() -> None:
    """Listings that begin at ever other places of a mailbox that changes do not fill the bound."""
    now = 0.0
    made, of, columns = Made(lambda: now), ("i", 1, b"12"), ((b"one", b"two"),)
    keep(made, ("a", 1, 0), of, columns, 6)
    keep(made, ("a", 1, 1), of, columns, 6)
    held = made._held
    now = UNUSED
    assert made.find(("a", 1, 0), of, b"BODY") is columns
    now = 1.5 * UNUSED
    keep(made, ("a", 1, 2), of, columns, 6)
    assert made.find(("a", 1, 0), of, b"BODY") is columns, "it was of use meanwhile"
    assert made.find(("a", 1, 1), of, b"BODY") is None
    assert made._held == held


@pytest.mark.parametrize("count", [100, 500])
@pytest.mark.parametrize("octets", [0, 12, 300])
@pytest.mark.parametrize("lengths", [False, True])
def test_the_bound_on_what_was_made_is_one_of_memory(count: int, octets: int, lengths: bool) -> None:
    """lengths: a column of numbers beside the octets, as chosen header fields have."""
    made = Made(lambda: 0.0, most=1 << 20)

    def kept(mailbox: int) -> None:
        numbers, blocks = list(range(1_000, 1_000 + count)), [bytes(octets) for _ in range(count)]
        columns = (numbers, blocks) if lengths else (blocks if octets else numbers,)
        of = ("i", 1, array("I", range(count)).tobytes())
        keep(made, ("a", mailbox, 0), of, columns, octets * count)

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for mailbox in range(300):
            kept(mailbox)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert made._most * 0.4 < taken <= made._most


def test_an_order_that_is_known_is_that_of_now(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        await fill(store, box, FEW_SORTED)
        whole = ((1, 9_999),)
        first = await store.sort(box, All(), BY_SIZE, whole)
        assert await store.sort(box, All(), BY_SIZE, whole) == first
        assert len(engine.kept.orders._orders) == 1
        assert await store.sort(box, All(), BY_SIZE, ((1, 7),)) == array("I", [uid for uid in first if uid <= 7])
        await store.expunge(box, ((3, 3),), deleted_only=False)
        assert await store.sort(box, All(), BY_SIZE, whole) == array("I", [uid for uid in first if uid != 3])
        await fill(store, box, 1)
        assert sorted(await store.sort(box, All(), BY_SIZE, whole)) == [*range(1, 3), *range(4, FEW_SORTED + 2)]

    asyncio.run(installation.play(scene))


def test_what_is_large_and_used_again_begins_its_time_anew() -> None:
    kept = large()
    kept.sleep({"large", "small"}, 1000.0)
    assert kept.sleep({"large"}, 1000.0 + LARGE_IDLE), "closed again in this very moment"
    assert kept.lists._lists
    assert not kept.sleep(set(), 1000.0 + 2 * LARGE_IDLE)


def test_what_a_crowd_is_told_is_read_once(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        await fill(store, box, 5)
        before = await store.snapshot(box)
        await fill(store, box, 2)
        first = await store.delta(box, before.mailbox.highest_modseq)
        again = await engine.account(ACCOUNT).delta(box, before.mailbox.highest_modseq)
        assert again is first
        assert first.uids is (await store.snapshot(box)).uids
        assert before.uids.with_more([6, 7]) is first.uids
        assert before.uids.with_more([6]).uids.tolist() == [1, 2, 3, 4, 5, 6]
        assert before.uids.with_more([6, 8]).uids.tolist() == [1, 2, 3, 4, 5, 6, 8]

    asyncio.run(installation.play(scene))


def test_a_claim_that_fails_is_left_to_the_next(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DiskFull("There is no room.")

    async def scene(_: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 5)
        with monkeypatch.context() as patch:
            patch.setattr(recent, "claim", full)
            with pytest.raises(DiskFull):
                await store.claim_recent(box)
        assert await store.claim_recent(box) == (1, 5)

    asyncio.run(installation.play(scene))


def test_nothing_stays_of_claims_on_mailboxes_that_come_and_go(installation: Installation) -> None:
    async def scene(_: Engine, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        for number in range(5):
            box = (await store.create_mailbox(f"box{number}")).key
            await fill(store, box, 2)
            assert await asyncio.gather(*(store.claim_recent(box) for _ in range(3))) == [(1, 2), (3, 2), (3, 2)]
            await store.delete_mailbox(box)
        assert store._shared.claimed == {}

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("held", [True, False], ids=["held", "many"])
@pytest.mark.parametrize("ranges", [((1, 99),), ((3, 7),), ((2, 2), (5, 6))], ids=["all", "some", "scattered"])
def test_flags_that_were_stored_here_are_known(
    installation: Installation, ranges: UidRanges, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not held:
        monkeypatch.setattr(changes, "MOST_HELD", 0)

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        await fill(store, box, 9)
        whole = ((1, 99),)
        await store.rows(box, whole, [Column.FLAGS], FEW_FLAGS)
        for mode in (FlagMode.ADD, FlagMode.REMOVE):
            flagged = await store.store_flags(box, ranges, mode, Flags(System.FLAGGED))
            known = engine.kept.flags._arrays[ACCOUNT, box][0] == flagged.modseq
            assert known is (held or len(ranges) == 1), "what can be told is not read again"
            rows = await store.rows(box, whole, [Column.FLAGS, Column.MODSEQ], FEW_FLAGS)
            assert await store.rows(box, whole, [Column.FLAGS], FEW_FLAGS) == [row[:2] for row in rows]
            assert [row[0] for row in rows if row[2] == flagged.modseq] == list(flagged.changed)

    asyncio.run(installation.play(scene))


def test_flags_of_several_sets_that_were_stored_here_are_known(installation: Installation) -> None:
    """Every other message has another set: each becomes one of its own, and neither stands in a row."""

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        await fill(store, box, 9)
        whole = ((1, 99),)
        await store.store_flags(box, ((2, 2), (4, 4), (6, 6), (9, 9)), FlagMode.ADD, Flags(System.SEEN))
        await store.rows(box, whole, [Column.FLAGS], FEW_FLAGS)
        for ranges, mode in ((whole, FlagMode.ADD), (((3, 7),), FlagMode.REMOVE), (((4, 9),), FlagMode.REPLACE)):
            flagged = await store.store_flags(box, ranges, mode, Flags(System.FLAGGED))
            assert engine.kept.flags._arrays[ACCOUNT, box][0] == flagged.modseq
            rows = await store.rows(box, whole, [Column.FLAGS, Column.MODSEQ], FEW_FLAGS)
            assert await store.rows(box, whole, [Column.FLAGS], FEW_FLAGS) == [row[:2] for row in rows]
            assert [row[0] for row in rows if row[2] == flagged.modseq] == list(flagged.changed)

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize(
    "noticed",
    ["at once", "by who shares it and deletes it", "by who has it selected", "by who shares it", "by a list of all"],
)
def test_mailboxes_that_are_deleted_leave_nothing_behind(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, noticed: str
) -> None:
    """Whoever makes mailboxes and deletes them does not fill the memory of a process up to its bounds."""
    monkeypatch.setattr("restante.store.sqlite.changes.FEW_FLAGS", 2)  # so that flags are kept of a few messages

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        other = installation.open()
        shared = engine.account(ACCOUNT, "bobbob")
        deleting = {"at once": store, "by who shares it and deletes it": shared}.get(noticed, other.account(ACCOUNT))
        kept = engine.kept
        try:
            for number in range(3):
                box = (await store.create_mailbox(f"Short-lived {number}")).key
                await fill(store, box, 3)
                await store.set_acl(box, "bobbob", FlagMode.REPLACE, parse_rights("lrswipkxtea"))
                before = weight(kept)
                since = (await store.opening(box)).snapshot.mailbox.highest_modseq
                assert (kept.flags._held, weight(kept)) == (3, before + 4)
                await deleting.delete_mailbox(box)
                looking = {"by who has it selected": store, "by who shares it": shared}.get(noticed)
                if looking is not None:
                    with pytest.raises(NoSuchMailbox):
                        await looking.delta(box, since)
                elif noticed == "by a list of all":
                    await store.mailboxes()
                assert (kept.flags._held, kept.lists._held, weight(kept)) == (0, 0, before)
        finally:
            await other.close()

    asyncio.run(installation.play(scene))
