"""COPY and MOVE between two accounts: what goes along, what bounds it, and a death at every step. RFC 6851 3.3."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from restante.clock import ManualClock, system_random
from restante.mime.analyse import analyse
from restante.query.language import Contains, Field
from restante.store.directory import Account, AccountSettings, Domain
from restante.store.errors import NoPermission, NoSuchMailbox, OverQuota, TooMuchAtOnce
from restante.store.interface import Store
from restante.store.model import Column, FlagMode, Flags, NewMessage, System
from restante.store.rights import parse_rights
from restante.store.sqlite import transfer
from restante.store.sqlite.engine import SqliteEngine
from tests.engines.making import ALL, inbox

ANN, BOB = "annann", "bobbob"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 30_000
Scene = Callable[[SqliteEngine, Store, Store], Awaitable[None]]


def play(folder: Path, scene: Scene, **options: Any) -> None:
    async def main() -> None:
        options.setdefault("reserve", 0)
        engine = SqliteEngine(folder, ManualClock(), system_random, **options)
        try:
            for account in (ANN, BOB):
                await engine.create_account(account)
            await scene(engine, engine.account(ANN), engine.account(BOB))
        finally:
            await engine.close()

    asyncio.run(main())


async def file(store: Store, data: bytes, *flags: str, received: int = 1_000) -> int:
    message = NewMessage(await store.put(data), analyse(data), Flags.of(flags), received)
    return (await store.append(await inbox(store), [message])).uids[0]


def mail(number: int) -> bytes:
    return b"Subject: m%d\r\nMessage-ID: <%d@x>\r\n\r\nbody %d\r\n" % (number, number, number)


async def contents(store: Store, box: int) -> list[bytes]:
    keys = [row[1] for row in await store.rows(box, ALL, [Column.CONTENT], 1_000)]
    return await store.read_contents(keys)  # type: ignore[arg-type]  # Column.CONTENT is int


async def ids(store: Store, box: int) -> list[object]:
    return [row[1:] for row in await store.rows(box, ALL, [Column.EMAIL_ID, Column.THREAD_ID, Column.RECEIVED], 1_000)]


async def flags_of(store: Store, mailbox: int, uids: tuple[int, int] = (1, 9)) -> list[bytes]:
    """Flags as this store's user sees them."""
    table = await store.flag_table()
    rows = cast("list[tuple[int, int]]", await store.rows(mailbox, (uids,), [Column.FLAGS], 9))  # UID and flag set
    return [table.wires[flagset] for _, flagset in rows]


async def whole(*stores: Store) -> None:
    for store in stores:
        assert [one async for one in store.doctor(False) if one.code != "acl-person"] == []  # Ann is in no directory


def test_octets_identity_and_flags_go_along(tmp_path: Path) -> None:
    async def scene(engine: SqliteEngine, ann: Store, bob: Store) -> None:
        a, b = await inbox(ann), await inbox(bob)
        for n, flags in enumerate((("\\Seen", "$Work"), ("\\Flagged",), ())):
            await file(ann, mail(n), *flags, received=1_000 + n)
        await file(ann, LARGE)
        before = (await ann.snapshot(a)).mailbox
        done = await bob.transfer(ann, a, ALL, b, move=False)
        assert (list(done.source), list(done.target)) == ([1, 2, 3, 4], [1, 2, 3, 4])
        assert done.target_mailbox.messages == 4
        assert await contents(bob, b) == await contents(ann, a) == [mail(0), mail(1), mail(2), LARGE]
        assert await ids(bob, b) == await ids(ann, a)
        assert (await ann.snapshot(a)).mailbox == before
        assert await flags_of(bob, b) == [b"\\Seen $Work", b"\\Flagged", b"", b""]
        assert list(await bob.search(b, Contains(Field.BODY, "body 1"), ALL)) == [2]
        again = await bob.transfer(ann, a, ((2, 2),), b, move=False)
        assert list(again.target) == [5]
        assert (await ids(bob, b))[4] == (await ids(bob, b))[1], "the same email, another placement"
        assert (await bob.stats()).messages == 5
        await whole(ann, bob)

    play(tmp_path, scene)


def test_another_message_under_that_id_keeps_its_own(tmp_path: Path) -> None:
    async def scene(engine: SqliteEngine, ann: Store, bob: Store) -> None:
        a, b = await inbox(ann), await inbox(bob)
        await file(ann, mail(1))
        await bob.transfer(ann, a, ALL, b, move=False)
        moved = await ann.transfer(bob, b, ALL, a, move=True)  # and home again: the same email
        assert list(moved.target) == [2]
        first, second = await ids(ann, a)
        assert first == second
        assert (await bob.snapshot(b)).mailbox.messages == 0
        await whole(ann, bob)

    play(tmp_path, scene)


def test_a_move_leaves_nothing_and_can_be_taken_back_there(tmp_path: Path) -> None:
    async def scene(engine: SqliteEngine, ann: Store, bob: Store) -> None:
        a, b = await inbox(ann), await inbox(bob)
        for n in range(3):
            await file(ann, mail(n))
        moved = await bob.transfer(ann, a, ((1, 1), (3, 3)), b, move=True)
        assert (list(moved.source), list(moved.target)) == ([1, 3], [1, 2])
        assert await contents(ann, a) == [mail(1)]
        assert await contents(bob, b) == [mail(0), mail(2)]
        assert [one.uid for one in await ann.recoverable()] == [3, 1]
        assert not list((tmp_path / "run" / "locks").glob("*.transfer"))
        assert await bob.transfer(ann, a, ((9, 9),), b, move=True) is not None
        await whole(ann, bob)

    play(tmp_path, scene)


def test_bounds_and_quota_stop_it_whole(tmp_path: Path) -> None:
    async def scene(engine: SqliteEngine, ann: Store, bob: Store) -> None:
        a, b = await inbox(ann), await inbox(bob)
        for n in range(3):
            await file(ann, mail(n))
        await engine.directory.add_domain(Domain("x.org"))
        await engine.directory.add_account(
            Account(BOB, "bob@x.org", "x.org", True, None, AccountSettings(), False, 0, 1, quota_messages=2)
        )
        with pytest.raises(OverQuota):
            await bob.transfer(ann, a, ALL, b, move=True)
        await file(ann, LARGE)
        with pytest.raises(TooMuchAtOnce):
            await bob.transfer(ann, a, ALL, b, move=True)
        with pytest.raises(NoSuchMailbox):
            await bob.transfer(ann, a, ((1, 1),), 99, move=True)
        with pytest.raises(NoSuchMailbox):
            await bob.transfer(ann, 99, ((1, 1),), b, move=False)
        assert (await ann.stats()).messages == 4
        assert (await bob.stats()).messages == 0
        await bob.transfer(ann, a, ((1, 2),), b, move=True)
        await whole(ann, bob)

    play(tmp_path, scene, transfer=200_000)


def test_rights_on_both_sides(tmp_path: Path) -> None:
    async def scene(engine: SqliteEngine, ann: Store, bob: Store) -> None:
        a, b = await inbox(ann), await inbox(bob)
        await file(bob, mail(1), "\\Seen", "\\Flagged")
        await file(bob, mail(2))
        guest = engine.account(BOB, ANN)
        with pytest.raises(NoSuchMailbox):
            await ann.transfer(guest, b, ALL, a, move=False)
        with pytest.raises(NoSuchMailbox):
            await guest.transfer(ann, a, ALL, b, move=False)
        await bob.set_acl(b, ANN, FlagMode.REPLACE, parse_rights("lrs"))
        await guest.store_flags(b, ((2, 2),), FlagMode.ADD, Flags(System.SEEN))
        with pytest.raises(NoPermission):
            await ann.transfer(guest, b, ALL, a, move=True)
        with pytest.raises(NoPermission):
            await guest.transfer(ann, a, ALL, b, move=False)
        await ann.transfer(guest, b, ALL, a, move=False)
        assert await flags_of(ann, a) == [b"\\Flagged", b"\\Seen"], "flags as Ann sees them"
        await bob.set_acl(b, ANN, FlagMode.REPLACE, parse_rights("lrsi"))
        done = await guest.transfer(ann, a, ALL, b, move=False)
        assert list(done.target) == [3, 4]
        assert await flags_of(bob, b, (3, 4)) == [b"", b""]
        assert await flags_of(guest, b, (3, 4)) == [b"", b"\\Seen"]
        await whole(ann, bob)

    play(tmp_path, scene)


def test_a_caller_that_goes_away_leaves_no_half(tmp_path: Path) -> None:
    async def scene(engine: SqliteEngine, ann: Store, bob: Store) -> None:
        a, b = await inbox(ann), await inbox(bob)
        await file(ann, mail(1))
        task = asyncio.get_running_loop().create_task(bob.transfer(ann, a, ALL, b, move=True))
        while not engine._begun:  # noqa: ASYNC110 - the task has nothing to wait on yet
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.wait(engine._begun or [task])
        assert (await ann.stats()).messages + (await bob.stats()).messages == 1
        await whole(ann, bob)

    play(tmp_path, scene)


DEATH = """
import asyncio, os, sys
from pathlib import Path
from restante.clock import ManualClock, system_random
from restante.store.sqlite import transfer
from restante.store.sqlite.engine import SqliteEngine

name, when = sys.argv[2:4]
real = getattr(transfer, name)

def dies(*arguments):
    if when == "before":
        os._exit(9)
    real(*arguments)
    os._exit(9)

setattr(transfer, name, dies)

async def main():
    engine = SqliteEngine(Path(sys.argv[1]), ManualClock(), system_random, reserve=0)
    ann, bob = engine.account("annann"), engine.account("bobbob")
    await bob.transfer(ann, 1, ((1, 2),), 1, move=True)

asyncio.run(main())
"""

STEPS = [
    ("_note", "before", False),
    ("_note", "after", False),
    ("_take", "before", False),
    ("_take", "after", False),
    ("_let_go", "before", True),
    ("_let_go", "after", True),
    ("_drop_token", "before", True),
    ("_drop_token", "after", True),
]
"""Where the process dies, in the transaction before it commits, and whether the messages have arrived."""


@pytest.mark.parametrize(("name", "when", "arrived"), STEPS)
def test_a_death_at_any_step_leaves_each_message_in_one_place(
    tmp_path: Path, name: str, when: str, arrived: bool
) -> None:
    async def before(_engine: SqliteEngine, ann: Store, _bob: Store) -> None:
        for n in range(3):
            await file(ann, mail(n))

    async def after(_engine: SqliteEngine, ann: Store, bob: Store) -> None:
        a, b = await inbox(ann), await inbox(bob)
        here, there = await contents(ann, a), await contents(bob, b)
        assert (here, there) == (([mail(2)], [mail(0), mail(1)]) if arrived else ([mail(0), mail(1), mail(2)], []))
        assert [row[1] for row in await ann.rows(a, ALL, [Column.MODSEQ], 9)]
        await whole(ann, bob)
        # nothing is left to be done twice
        await bob.transfer(ann, a, ((3, 3),), b, move=True)
        assert await contents(bob, b) == [*there, mail(2)]

    play(tmp_path, before)
    done = subprocess.run([sys.executable, "-c", DEATH, str(tmp_path), name, when], timeout=60, check=False)
    assert done.returncode == 9
    play(tmp_path, after)
    play(tmp_path, lambda _engine, ann, bob: whole(ann, bob))


@pytest.mark.parametrize("how", ["moved", "moved to a third", "expunged", "replaced", "deleted"])
def test_what_somebody_took_away_meanwhile_was_his(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A move has filed its messages and not removed them yet, when somebody else is told that one of them is his."""
    taken = transfer._take

    async def scene(engine: SqliteEngine, ann: Store, bob: Store) -> None:
        loop = asyncio.get_running_loop()
        a, b = await inbox(ann), await inbox(bob)
        box, third = (await ann.create_mailbox("box")).key, engine.account("third")
        for n in range(3):
            await file(ann, mail(n))
        if how == "deleted":
            await ann.move(a, ((2, 2),), box)
            a, box = box, a

        async def takes_away() -> None:
            match how:
                case "moved":
                    await ann.move(a, ((2, 2),), box)
                case "moved to a third":
                    await third.transfer(ann, a, ((2, 2),), await inbox(third), move=True)
                case "expunged":
                    await ann.expunge(a, ((2, 2),), deleted_only=False)
                case "replaced":
                    data = mail(7)
                    new = NewMessage(await ann.put(data), analyse(data), Flags.of(()), 1_000)
                    await ann.replace(a, 2, box, new)
                case _:
                    await ann.delete_mailbox(a)

        def take(*given: Any) -> Any:
            monkeypatch.setattr(transfer, "_take", taken)
            done = taken(*given)
            asyncio.run_coroutine_threadsafe(takes_away(), loop).result(60)
            return done

        monkeypatch.setattr(transfer, "_take", take)
        moved = await bob.transfer(ann, a, ALL, b, move=True)
        if how == "deleted":
            assert (list(moved.source), list(moved.target), moved.modseq) == ([], [], 0)
            assert await contents(bob, b) == []
        else:
            assert (list(moved.source), list(moved.target)) == ([1, 3], [1, 3])
            assert await contents(bob, b) == [mail(0), mail(2)]
            assert await contents(ann, a) == []
            elsewhere = third if how == "moved to a third" else ann
            theirs = await contents(elsewhere, await inbox(third) if elsewhere is third else box)
            assert theirs == {"expunged": [], "replaced": [mail(7)]}.get(how, [mail(1)])
        await whole(ann, bob)

    async def all_three(engine: SqliteEngine, ann: Store, bob: Store) -> None:
        await engine.create_account("third")
        await scene(engine, ann, bob)

    play(tmp_path, all_three)


def test_a_move_under_way_elsewhere_is_left_to_its_mover(tmp_path: Path) -> None:
    async def scene(engine: SqliteEngine, ann: Store, bob: Store) -> None:
        await file(ann, mail(1))
        path = engine.path(ANN)
        own = engine.own(ANN)
        with transfer._lock(tmp_path, "feed"):
            await own._write(transfer._note, "feed", BOB, 1, ((1, 1),))
            other = SqliteEngine(tmp_path, ManualClock(), system_random, reserve=0)
            try:
                assert (await other.account(ANN).stats()).messages == 1
            finally:
                await other.close()
            with transfer._lock(tmp_path, "feed", wait=False) as held:
                assert not held
        notes = own.look(lambda db: db.execute("SELECT count(*) FROM transfer_out").get)
        assert notes == 1
        assert path.exists()

    play(tmp_path, scene)
    play(tmp_path, lambda _engine, ann, bob: whole(ann, bob))


def test_an_unreadable_target_keeps_nobody_from_his_mail(tmp_path: Path) -> None:
    async def cut_off(engine: SqliteEngine, ann: Store, bob: Store) -> None:
        await file(ann, mail(1))
        await engine.own(ANN)._write(transfer._note, "feed", BOB, 1, ((1, 1),))

    async def damaged(engine: SqliteEngine, ann: Store, _bob: Store) -> None:
        path = engine.path(BOB)
        kept = path.read_bytes()
        path.write_bytes(b"rubbish " * 1000)
        assert await contents(ann, 1) == [mail(1)]
        assert [one.code async for one in ann.doctor(False)] == ["transfer"]
        path.write_bytes(kept)
        assert [one async for one in ann.doctor(False)] == []
        assert engine.own(ANN).look(lambda db: db.execute("SELECT count(*) FROM transfer_out").get) == 0
        assert await contents(ann, 1) == [mail(1)], "it had not arrived"

    play(tmp_path, cut_off)
    play(tmp_path, damaged)
