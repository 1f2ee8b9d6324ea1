"""The power fails between any two writes: nothing acknowledged is lost, and doctor finds nothing.

Each story is played once over a disk that writes down what is done to it. Then the power is cut after every single
event: of what no sync had made lasting a part arrives, at random, in any order, torn at sectors. The files that are
left are opened; they must show what had been acknowledged, or that and the whole of the command under way.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from restante.clock import ManualClock, system_random
from restante.files import sync_folder
from restante.store.errors import NoSuchAccount
from restante.store.interface import Store
from restante.store.sqlite import migrate
from restante.store.sqlite.engine import SqliteEngine

from . import test_faults as acts
from .test_faults import ACCOUNT, State, findings, key, new, state
from .vfs import Event, FolderSynced, Linked, Marked, Platter, RecordingDisk, Shelf, Synced, recording_disk

SEEDS = int(os.environ.get("RESTANTE_CUTS", "1"))
"""Cuts at each event; more by RESTANTE_CUTS."""

Step = Callable[[SqliteEngine, Store], Awaitable[object]]


def act(fn: Callable[[Store], Awaitable[object]]) -> Step:
    return lambda _, store: fn(store)


async def checkpoint(engine: SqliteEngine, _: Store) -> None:
    """The log goes home, as when a handle has been idle."""
    engine.handles.sweep(everything=True)


async def many(_: SqliteEngine, store: Store) -> None:
    """More than the log holds before its pages go home: a checkpoint in the midst of work."""
    inbox = await key(store, "INBOX")
    await store.append(inbox, [await new(store, 100 + n, 120_000, "$Big") for n in range(3)])


async def random_octets(_: SqliteEngine, store: Store) -> None:
    """Octets that nothing compresses: 3 MiB of log, and then some."""
    inbox = await key(store, "INBOX")
    message = await new(store, 300)
    blob = await store.put(random.Random(1).randbytes(2_500_000))
    await store.append(inbox, [type(message)(blob, message.analysis, message.flags, message.received)])


async def many_small(_: SqliteEngine, store: Store) -> None:
    inbox = await key(store, "INBOX")
    await store.append(inbox, [await new(store, 400 + n) for n in range(40)])


STORIES: dict[str, list[Step]] = {
    "append": [act(acts.append), many],
    "move": [act(acts.move), act(acts.copy)],
    "expunge": [act(acts.flags), act(acts.expunge)],
    "replace": [act(acts.replace), act(acts.append_several)],
    "pop3-quit": [act(acts.quit_pop3)],
    "checkpoint": [act(acts.append), checkpoint, act(acts.move), checkpoint, act(acts.expunge), checkpoint],
    "log-starts-again": [many_small, checkpoint, act(acts.flags), act(acts.expunge), act(acts.append)],
    "mailboxes": [act(acts.create), act(acts.rename), act(acts.rename_inbox), checkpoint],
}


class Story:
    """What happened to the disk, and how the account stood after each acknowledgement."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.states: list[State | None] = [None]

    def acknowledged(self, disk: RecordingDisk, now: State) -> None:
        self.states.append(now)
        disk.events.append(Marked(str(len(self.states) - 1)))


def tell(data: Path, steps: list[Step], monkeypatch: pytest.MonkeyPatch) -> Story:
    """Make an account and play the steps."""
    story = Story()

    async def play(disk: RecordingDisk) -> None:
        engine = engine_on(data)
        store = engine.account(ACCOUNT)
        await engine.create_account(ACCOUNT)
        story.acknowledged(disk, await state(store))
        for step in (_other, _trash, _fill, *steps):
            await step(engine, store)
            story.acknowledged(disk, await state(store))
        await engine.close()

    with recording_disk(data) as disk:
        note_names(disk, monkeypatch)
        asyncio.run(play(disk))
        story.events = disk.events
    monkeypatch.undo()
    return story


async def _other(_: SqliteEngine, store: Store) -> None:
    await store.create_mailbox("Other")


async def _trash(_: SqliteEngine, store: Store) -> None:
    await store.create_mailbox("Trash", "\\Trash")


async def _fill(_: SqliteEngine, store: Store) -> None:
    await store.append(await key(store, "INBOX"), [await new(store, n) for n in range(6)])


def note_names(disk: RecordingDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write down what the engine does to names without SQLite."""
    link = os.link

    def noting_link(source: Path, target: Path) -> None:
        link(source, target)
        disk.events.append(Linked(disk.relative(str(source)), disk.relative(str(target))))

    def noting_sync(folder: Path) -> None:
        sync_folder(folder)
        disk.events.append(FolderSynced(disk.relative(str(folder))))

    monkeypatch.setattr(os, "link", noting_link)
    monkeypatch.setattr(migrate, "sync_folder", noting_sync)


def engine_on(data: Path) -> SqliteEngine:
    return SqliteEngine(data, ManualClock(), system_random, reserve=0)


async def look(data: Path) -> tuple[State | None, list[str]]:
    """The account as it is found (None: there is none), and what doctor says."""
    engine = engine_on(data)
    store = engine.account(ACCOUNT)
    try:
        found = await state(store)
        said = await findings(store)
        await store.append(await key(store, "INBOX"), [await new(store, 999)])  # it goes on working
        return found, said
    except NoSuchAccount:
        await engine.create_account(ACCOUNT)
        return None, [] if len(await store.mailboxes()) == 1 else ["no new account"]
    finally:
        await engine.close()


def power_returns(shelf: Shelf, left: dict[str, bytes], data: Path) -> tuple[State | None, list[str]]:
    shelf.put_back(left)
    return asyncio.run(look(data))


@pytest.mark.parametrize("name", list(STORIES))
def test_a_power_cut_anywhere_loses_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data = tmp_path / "data"
    story = tell(data, STORIES[name], monkeypatch)
    shelf = Shelf(data, tmp_path / "kept")
    platter, acknowledged, cuts = Platter(), 0, 0
    chance = random.Random(name)
    # an account that is made and filled begins every story: it is cut in the first alone
    start = 0 if name == "append" else story.events.index(Marked("4"))
    seen: set[bytes] = set()
    for number, event in enumerate(story.events):
        platter.apply(event)
        if isinstance(event, Marked):
            acknowledged = int(event.label)
        if number < start:
            continue
        for _ in range(SEEDS):
            left = platter.after_cut(chance)
            if (digest := _digest(left)) in seen:
                continue
            seen.add(digest)
            cuts += 1
            found, said = power_returns(shelf, left, data)
            allowed = story.states[acknowledged : acknowledged + 2]
            where = f"event {number} of {len(story.events)} ({type(event).__name__})"
            assert found in allowed, f"{where}: acknowledged {acknowledged}"
            assert said == [], where
    assert cuts > 10, "the story wrote nothing"


def _digest(left: dict[str, bytes]) -> bytes:
    return b"".join(b"%d:%b:%d," % (hash(octets), name.encode(), len(octets)) for name, octets in sorted(left.items()))


def test_the_cut_is_cruel_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where syncs are left out, the same cuts lose mail: the test above can fail."""
    data = tmp_path / "data"
    story = tell(data, STORIES["checkpoint"], monkeypatch)
    shelf = Shelf(data, tmp_path / "kept")
    last = len(story.states) - 1
    lost = 0
    for seed in range(12):
        platter = Platter()
        for event in story.events:
            if not isinstance(event, Synced) or "new" in event.path:
                platter.apply(event)
        try:
            found, said = power_returns(shelf, platter.after_cut(random.Random(seed)), data)
        except Exception:  # noqa: BLE001 - whatever becomes of a broken file
            lost += 1
        else:
            lost += found != story.states[last] or bool(said)
    assert lost
