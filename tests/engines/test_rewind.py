"""An account taken back: what was then is again, what came since stays, and undoing gives what was before."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from restante.store.errors import BeyondHistory, NoPermission, NoSuchRewind, StoreRefusal
from restante.store.interface import Engine, Store
from restante.store.model import Column, FlagMode, Flags, Pop3Delete, System
from restante.store.rewind import Box, Snapshot

from .making import ALL, Installation, fill, inbox, new

Message = tuple[str, bytes]
"""(EMAILID, flags as text)."""


@dataclass
class State:
    """An account as its owner sees it. boxes: name -> its messages. roles, ids: by name."""

    boxes: dict[str, Counter[Message]] = field(default_factory=dict)
    roles: dict[str, str | None] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    subscribed: frozenset[str] = frozenset()

    def emails(self) -> Counter[str]:
        return Counter(id for held in self.boxes.values() for id, _ in held.elements())


async def state_of(store: Store) -> State:
    found = State(subscribed=frozenset(await store.subscriptions()))
    table = await store.flag_table()
    for box in await store.mailboxes():
        rows = await store.rows(box.key, ALL, (Column.EMAIL_ID, Column.FLAGS), 10_000)
        table = await store.flag_table()
        found.boxes[box.name] = Counter((bytes(id).decode(), table[int(n)].wire) for _, id, n in rows)  # type: ignore[call-overload]  # columns
        found.roles[box.name], found.ids[box.name] = box.role, box.id
        assert box.messages == len(rows)
    return found


def same(one: State, other: State) -> None:
    assert one.boxes == other.boxes
    assert (one.roles, one.subscribed) == (other.roles, other.subscribed)


async def is_whole(store: Store) -> bool:
    return [one async for one in store.doctor(False) if one.code != "answers"] == []


def tick(installation: Installation, seconds: float = 60.0) -> int:
    """The instant that it is now, and the clock moved on."""
    now = int(installation.clock.now())
    installation.clock.advance(seconds)
    return now


# By example ------------------------------------------------------------------------------------------


def test_what_a_virus_did_is_undone_and_what_came_since_stays(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        work = await store.create_mailbox("Work", "\\Archive")
        sub = await store.create_mailbox("Work/Old")
        await fill(store, box, 6, "\\Seen", "todo")
        await fill(store, work.key, 3)
        await fill(store, sub.key, 2, "\\Flagged")
        await store.subscribe("Work", True)
        await store.store_flags(box, ((2, 2),), FlagMode.ADD, Flags.of(["\\Deleted"]))
        then = await state_of(store)
        at = tick(installation)
        await store.finish_maildrop(((1, 1),), Pop3Delete.REMOVE, ((1, 3),), mark_seen=False)
        await store.move(box, ((3, 3),), work.key)
        await store.copy(box, ((4, 4),), work.key)  # a move by a program without MOVE
        await store.expunge(box, ((4, 4),), deleted_only=False)
        await store.store_flags(box, ((5, 5),), FlagMode.REPLACE, Flags.of(["junk"]))
        await store.expunge(box, ((2, 2),))
        await store.rename_mailbox(work.key, "Renamed")
        await store.delete_mailbox(sub.key)
        await store.subscribe("Work", False)
        await store.subscribe("Other", True)
        await store.append(
            box, [await new(store, b"From: Eve <eve@example.org>\r\nSubject: New\r\n\r\nx\r\n", received=5)]
        )
        tick(installation)
        before = await state_of(store)
        planned = await store.rewind(at, apply=False)
        same(await state_of(store), before)
        done = await store.rewind(at, apply=True)
        assert (planned.id, planned.changes, planned.kept) == (0, done.changes, done.kept)
        after = await state_of(store)
        (kept,) = done.kept
        assert (kept.mailbox, kept.received, done.came, done.copies) == ("INBOX", 5, 1, 0)
        expected = dict(then.boxes)
        expected["INBOX"] = Counter(
            {(id, flags.replace(b"\\Deleted ", b"")): n for (id, flags), n in then.boxes["INBOX"].items()}
        ) + Counter({(kept.email_id, b""): 1})
        assert after.boxes == expected
        assert (after.roles, after.subscribed) == (then.roles, then.subscribed)
        counts = {one.mailbox: (one.brought, one.moved, one.flagged) for one in done.changes}
        assert counts == {"INBOX": (2, 2, 1), "Work/Old": (2, 0, 0)}
        assert (done.created, done.renamed) == (["Work/Old"], [("Renamed", "Work")])
        assert await store.recoverable() == [], "all of it is back"
        assert await is_whole(store)
        undone = await store.undo_rewind(done.id, apply=True)
        same(await state_of(store), before)
        assert await is_whole(store)
        await store.undo_rewind(undone.id, apply=True)
        same(await state_of(store), after)
        assert [(one.id, one.undid) for one in await store.rewinds()][:2] == [(done.id, None), (undone.id, done.id)]

    asyncio.run(installation.play(scene))


def test_a_rewind_to_now_does_nothing_and_takes_no_number(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await fill(store, await inbox(store), 3)
        number = await store.last_change()
        done = await store.rewind(tick(installation), apply=True)
        assert (done.empty, done.id, done.changes) == (True, 0, [])
        assert await store.last_change() == number
        assert await store.rewinds() == []

    asyncio.run(installation.play(scene))


def test_what_comes_back_has_a_new_uid_and_its_own_dates_and_sessions_are_told(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        at = tick(installation)
        await store.expunge(box, ((1, 2),), deleted_only=False)
        tick(installation)
        heard: list[int] = []
        woken = asyncio.Event()

        def told(number: int) -> None:
            heard.append(number)
            woken.set()

        watch = engine.watch(store.account, told)
        here = await store.snapshot(box)
        done = await store.rewind(at, apply=True)
        async with asyncio.timeout(10):
            await woken.wait()
        watch.close()
        assert heard[-1] == done.id
        delta = await store.delta(box, here.mailbox.highest_modseq)
        assert ([uid for uid, _, _ in delta.changed], list(delta.vanished), delta.complete) == ([4, 5], [], True)
        rows = await store.rows(box, ALL, (Column.RECEIVED, Column.MODSEQ), 9)
        assert rows == [(3, 1_000_000, 2), (4, 1_000_000, done.id), (5, 1_000_000, done.id)]
        assert await store.recoverable() == [], "they are back"

    asyncio.run(installation.play(scene))


def test_what_comes_between_plan_and_command_is_seen(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 4)
        at = tick(installation)
        await store.expunge(box, ((1, 2),), deleted_only=False)
        tick(installation)
        write = type(store)._write  # type: ignore[attr-defined]  # the engine's own

        async def later(self: Any, fn: Any, *args: Any) -> Any:
            if fn.__name__ == "rewind":
                monkeypatch.setattr(type(store), "_write", write)
                await store.expunge(box, ((3, 3),), deleted_only=False)
                await store.undelete([1], None)
                await store.append(box, [await new(store, b"late\r\n")])
            return await write(self, fn, *args)

        monkeypatch.setattr(type(store), "_write", later)
        done = await store.rewind(at, apply=True)
        assert [(one.brought, one.moved) for one in done.changes] == [(2, 0)]
        assert done.came == 1
        assert (await state_of(store)).boxes["INBOX"].total() == 5
        assert await is_whole(store)

    asyncio.run(installation.play(scene))


def test_what_is_reclaimed_between_plan_and_command_is_lost_and_said_so(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2)
        at = tick(installation)
        await store.expunge(box, None, deleted_only=False)
        installation.clock.advance(3590)
        write = type(store)._write  # type: ignore[attr-defined]  # the engine's own

        async def later(self: Any, fn: Any, *args: Any) -> Any:
            if fn.__name__ == "rewind":
                monkeypatch.setattr(type(store), "_write", write)
                installation.clock.advance(90)
                assert await store.reclaim(10) == 2
            return await write(self, fn, *args)

        monkeypatch.setattr(type(store), "_write", later)
        done = await store.rewind(at, apply=True)
        assert (done.empty, len(done.lost)) == (True, 2)

    asyncio.run(installation.play(scene, retention=3660.0))


def test_names_that_others_have_since_are_left_to_them_and_told(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        one, two = await store.create_mailbox("One"), await store.create_mailbox("Two")
        await fill(store, two.key, 2)
        at = tick(installation)
        await store.rename_mailbox(one.key, "Three")
        await store.create_mailbox("One")
        await store.delete_mailbox(two.key)
        another = await store.create_mailbox("Two")
        await fill(store, another.key, 1, "\\Draft")
        tick(installation)
        done = await store.rewind(at, apply=True)
        assert (done.blocked, done.created, done.renamed) == ([("Three", "One")], [], [])
        after = await state_of(store)
        assert sorted(after.boxes) == ["INBOX", "One", "Three", "Two"]
        assert after.boxes["Two"].total() == 3
        assert await is_whole(store)

    asyncio.run(installation.play(scene))


def test_two_mailboxes_that_changed_names_change_them_back(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        one, two = await store.create_mailbox("One", "\\Sent"), await store.create_mailbox("Two", "\\Junk")
        then = await state_of(store)
        at = tick(installation)
        await store.rename_mailbox(one.key, "X")
        await store.rename_mailbox(two.key, "One")
        await store.rename_mailbox(one.key, "Two")
        await store.set_role(one.key, None)
        await store.set_role(two.key, "\\Sent")
        await store.set_role(one.key, "\\Junk")
        tick(installation)
        before = await state_of(store)
        done = await store.rewind(at, apply=True)
        same(await state_of(store), then)
        assert (await state_of(store)).ids == then.ids
        await store.undo_rewind(done.id, apply=True)
        same(await state_of(store), before)

    asyncio.run(installation.play(scene))


def test_beyond_the_retention_the_store_says_from_when_on_it_knows(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 1)
        at = tick(installation, 20_000.0)
        await store.expunge(box, None, deleted_only=False)
        installation.clock.advance(20_000.0)
        for apply in (False, True):
            with pytest.raises(BeyondHistory) as caught:
                await store.rewind(at, apply=apply)
            assert caught.value.earliest == int(installation.clock.now()) - 30_000
        with pytest.raises(BeyondHistory) as caught:
            await store.rewind(at - 86400, apply=True)
        assert (await state_of(store)).boxes["INBOX"].total() == 0
        with pytest.raises(NoSuchRewind):
            await store.undo_rewind(1, apply=True)
        with pytest.raises(NoPermission):
            await engine.account(store.account, "somebody").rewind(at, apply=False)

    asyncio.run(installation.play(scene, retention=30_000.0))


def test_a_state_from_before_a_copied_file_is_not_guessed_at(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await fill(store, await inbox(store), 1)
        tick(installation)

    async def later(engine: Engine, store: Store) -> None:
        with pytest.raises(BeyondHistory):
            await store.rewind(int(installation.clock.now()) - 1000, apply=True)
        assert (await store.rewind(int(installation.clock.now()), apply=True)).empty

    asyncio.run(installation.play(scene))
    (path,) = (installation.data / "accounts").rglob("*.db")
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    installation.clock.advance(900)
    asyncio.run(installation.play(later))


def test_a_snapshots_state_is_given_as_a_list_and_what_the_store_lost_is_named(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        other = await store.create_mailbox("Other")
        done = await store.append(box, [await new(store, b"%d\r\n" % n, "\\Seen") for n in range(4)])
        ids = done.email_ids
        away, absent = "m" + "a" * 26, "b" + "c" * 26
        boxes = (
            Box(50, done.mailbox.id, "INBOX", None),
            Box(51, other.id, "Before", "\\Sent"),
            Box(52, absent, "Gone", None),
        )
        rows = [
            (50, ids[0], int(System.FLAGGED), "work"), (50, ids[1], int(System.SEEN), ""), (51, ids[2], 0, ""),
            (52, away, 0, ""), (52, ids[3], int(System.SEEN | System.DELETED), ""),
        ]  # fmt: skip
        await store.expunge(box, ((2, 2),), deleted_only=False)
        tick(installation)
        before = await state_of(store)
        told = await store.rewind(Snapshot(77, boxes, rows, frozenset({"Before"})), apply=True)
        after = await state_of(store)
        assert after.boxes == {
            "INBOX": Counter({(ids[0], b"\\Flagged work"): 1, (ids[1], b"\\Seen"): 1}),
            "Before": Counter({(ids[2], b""): 1}),
            "Gone": Counter({(ids[3], b"\\Seen"): 1}),
        }
        assert told.lost == [("Gone", away)]
        assert (after.roles["Before"], after.subscribed) == ("\\Sent", frozenset({"Before"}))
        (late,) = (await store.append(box, [await new(store, b"from the backup\r\n")])).uids
        await store.note_rewound(told.id, box, ((late, late),))
        await store.undo_rewind(told.id, apply=True)
        same(await state_of(store), before)

    asyncio.run(installation.play(scene))


# By chance -------------------------------------------------------------------------------------------

NAMES = ["A", "B", "C", "A/x"]
KEYWORDS = ["", "\\Seen", "\\Flagged", "work", "\\Answered", "\\Seen work"]


class Life:
    """Random commands on an account."""

    def __init__(self, installation: Installation, store: Store, chance: Random) -> None:
        self.installation = installation
        self.store = store
        self.chance = chance
        self.serial = 0

    async def step(self) -> str:
        store, chance = self.store, self.chance
        boxes = await store.mailboxes()
        box = chance.choice(boxes)
        kind = chance.choice(
            ["append", "append", "flags", "flags", "flags", "move", "copy", "expunge", "create", "delete", "rename",
             "subscribe", "role", "undelete", "pop3", "again"]
        )  # fmt: skip
        low = chance.randint(1, max(box.uidnext - 1, 1))
        ranges = ((low, low + chance.randint(0, 3)),)
        flags = Flags.of(chance.choice(KEYWORDS).split())
        try:
            match kind:
                case "append":
                    self.serial += 1
                    messages = [await new(store, b"%d %d\r\n" % (self.serial, n)) for n in range(chance.randint(1, 3))]
                    await store.append(box.key, messages)
                case "flags":
                    await store.store_flags(box.key, ranges, chance.choice(list(FlagMode)), flags)
                case "move":
                    await store.move(box.key, ranges, chance.choice(boxes).key)
                case "copy":
                    await store.copy(box.key, ranges, chance.choice(boxes).key)
                case "expunge":
                    await store.expunge(box.key, ranges, deleted_only=False)
                case "create":
                    await store.create_mailbox(chance.choice(NAMES))
                case "delete":
                    await store.delete_mailbox(box.key)
                case "rename":
                    await store.rename_mailbox(box.key, chance.choice(NAMES))
                case "subscribe":
                    await store.subscribe(chance.choice(NAMES), chance.random() < 0.5)
                case "role":
                    await store.set_role(box.key, chance.choice([None, "\\Sent", "\\Junk"]))
                case "undelete":
                    gone = await store.recoverable()
                    await store.undelete([one.number for one in gone[: chance.randint(1, 3)]], None)
                case "pop3":
                    how = chance.choice([Pop3Delete.REMOVE, Pop3Delete.TRASH])
                    await store.finish_maildrop(ranges, how, ranges, mark_seen=True)
                case "again":
                    done = await store.rewinds()
                    if done:
                        await store.undo_rewind(chance.choice(done).id, apply=True)
                    else:
                        past = int(self.installation.clock.now()) - chance.randint(0, 300)
                        await store.rewind(past, apply=True)
        except StoreRefusal as refusal:
            return f"{kind}: {refusal.text}"
        return f"{kind} {box.name} {ranges}"


def check(then: State, now: State, after: State) -> None:
    """What a rewind promises. then: the model's state of the instant; now: before the rewind."""
    had, has, held = then.emails(), now.emails(), after.emails()
    for id in had:
        assert held[id] == max(had[id], has[id]), "nothing is doubled, no copy is lost"
    for id in has:
        assert id in had or held[id] == has[id], "what came since stays"
    assert set(held) == set(had) | set(has)
    home = {}  # name then -> name after: a name that another mailbox has by now stays with that one
    by_id = {id: name for name, id in after.ids.items()}
    for name, id in then.ids.items():
        home[name] = by_id.get(id, name)
        assert home[name] in after.boxes
    wanted: dict[str, Counter[Message]] = {}
    for name, messages in then.boxes.items():
        wanted.setdefault(home[name], Counter()).update(messages)
    for name, messages in wanted.items():
        assert messages <= after.boxes[name], name
    assert after.subscribed == then.subscribed


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 60))
def test_a_rewind_gives_what_was_and_keeps_what_came_and_undoing_gives_what_was_before(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: int
) -> None:
    chance = Random(seed)
    installation = Installation("sqlite", Path(tmp_path_factory.mktemp("rewind")))

    async def scene(engine: Engine, store: Store) -> None:
        life = Life(installation, store, chance)
        states: list[tuple[int, State]] = [(int(installation.clock.now()), await state_of(store))]
        for _ in range(steps):
            # Whole seconds: of several commands within one, the state after the last is meant.
            installation.clock.advance(chance.choice([0, 1, 1, 2, 30, 70]))
            said = await life.step()
            now = int(installation.clock.now())
            note(f"{now % 100_000}: {said}")
            if states[-1][0] == now:
                states.pop()
            states.append((now, await state_of(store)))
        installation.clock.advance(chance.choice([1, 100]))
        at, then = chance.choice(states)
        at += 0 if states[-1][0] == at else chance.randint(0, next(t for t, _ in states if t > at) - at - 1)
        note(f"to {at % 100_000}")
        before = await state_of(store)
        done = await store.rewind(at, apply=True)
        check(then, before, await state_of(store))
        assert await is_whole(store)
        again = await store.rewind(at, apply=False)
        assert again.empty or again.blocked or not done.id, again
        if done.id:
            installation.clock.advance(chance.choice([1, 100]))
            await store.undo_rewind(done.id, apply=True)
            same(await state_of(store), before)
            assert await is_whole(store)

    asyncio.run(installation.play(scene))
