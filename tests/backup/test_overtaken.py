"""A run whose base is forgotten while it goes on, where the base alone needs a pack that was condemned before it began:
whatever step of whom is between which steps of whom, no snapshot names what is gone.

The story each time: R0 finds a message in a pack, which is then condemned; its snapshot B keeps that pack. R1 begins
with B for its base. Then the message goes from the account, R2 takes a snapshot without it, and three days after the
condemnation a prune forgets B and removes the pack.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.backup.account import take as real_take
from restante.backup.errors import AppendOnly, LocationFailed, Overtaken
from restante.backup.prune import GRACE, prune
from restante.backup.repository import Repository
from restante.backup.retention import Keep
from restante.backup.verify import verify
from restante.backup.written import read_written
from restante.clock import system_random

from .stepped import Memory, Stepped
from .support import KEY, World, message, play, put

NOW = 1_800_000_000
ONE = Keep(0, 0, 0, 1)
TEXT = message(1, "x" * 40_000)


class Story:
    """Up to the moment before R1 begins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = Memory()
        self.world = World(folder, self.memory)
        self.removed = 0

    async def begin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = self.world
        await world.fill()
        await put(world.ann, "INBOX", TEXT)
        await world.take()
        await world.ann.expunge(1, None, deleted_only=False)
        await world.take()
        await put(world.bob, "INBOX", TEXT)
        condemned: list[int] = []

        async def meanwhile(*args: object) -> object:
            taken = await real_take(*args)  # type: ignore[arg-type]  # passed on as they came
            if not condemned:
                condemned.append(prune(world.repository(), ONE, NOW).condemned)
            return taken

        with monkeypatch.context() as patch:
            patch.setattr("restante.backup.account.take", meanwhile)
            self.base = (await world.take()).snapshot.name
        assert condemned[0] > 0
        await put(world.ann, "INBOX", message(2))
        self.opened = Repository.open(self.memory, KEY, system_random)

    def stepped(self) -> tuple[Stepped, Repository]:
        location = Stepped(self.memory)
        return location, Repository.open(location, KEY, system_random)

    async def without(self) -> None:
        """The message goes, and R2 takes a snapshot."""
        await self.world.bob.expunge(1, None, deleted_only=False)
        await self.world.take(repository=self.opened)

    def prune(self, repository: Repository | None = None) -> None:
        self.removed += prune(repository or self.world.repository(), ONE, NOW + GRACE).removed

    async def end(self, name: str) -> None:
        """All that is there is whole, and so is what comes next."""
        found = verify(self.world.repository(), NOW, everything=True)
        assert found.right, (name, found.damages, found.broken, found.touched)
        await self.world.take()
        found = verify(self.world.repository(), NOW, everything=True)
        assert found.right, (name, found.damages, found.broken, found.touched)
        await self.world.engine.close()


async def overtaken(story: Story, repository: Repository) -> bool:
    """R1; whether it was no snapshot."""
    try:
        await story.world.take(repository=repository)
    except Overtaken:
        return True
    return False


def test_the_base_goes_at_any_step_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(step: int) -> tuple[bool, bool, str]:
        story = Story(tmp_path / str(step))
        await story.begin(monkeypatch)
        location, repository = story.stepped()
        loop = asyncio.get_running_loop()

        def meanwhile() -> None:
            asyncio.run_coroutine_threadsafe(story.without(), loop).result()
            story.prune()
            story.prune()

        location.at(step, meanwhile)
        refused = await overtaken(story, repository)
        assert not location.came or story.removed > 0 or not refused
        await story.end(location.done[min(step, len(location.done) - 1)])
        return location.came, refused, location.done[min(step, len(location.done) - 1)]

    step, refusals = 0, []
    while True:
        came, refused, name = play(scene(step))
        if not came:
            break
        if refused:
            refusals.append(name)
        step += 1
    assert step > 20
    assert len(refusals) > 5
    assert any(name.startswith("put twin/snapshots/") for name in refusals)


@pytest.mark.parametrize("where", ["put twin/snapshots/", "put written/"])
def test_the_run_ends_between_any_two_steps_of_the_prune(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """R1 waits before one of its last steps; the prune goes so far; R1 ends; the prune ends."""

    async def scene(step: int) -> bool:
        story = Story(tmp_path / str(step))
        await story.begin(monkeypatch)
        location, repository = story.stepped()
        pruning, pruned = story.stepped()
        loop = asyncio.get_running_loop()
        paused, go_on = threading.Event(), threading.Event()

        def pause() -> None:
            paused.set()
            assert go_on.wait(30)

        def other() -> None:
            try:
                story.prune(pruned)
            finally:
                paused.set()

        thread = threading.Thread(target=other)

        def meanwhile() -> None:
            asyncio.run_coroutine_threadsafe(story.without(), loop).result()
            steps = itertools.count()
            pruning.when(lambda name: not name.startswith("get") and next(steps) == step, pause)
            thread.start()
            assert paused.wait(30)

        location.before(where, meanwhile)
        try:
            await overtaken(story, repository)
        finally:
            go_on.set()
        assert location.came
        await asyncio.to_thread(thread.join)
        await story.end(where)
        return pruning.came

    step = 0
    while play(scene(step)):
        step += 1
    assert step > 20


def test_a_run_that_is_cut_off_just_before_it_looks_is_nobodys_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its snapshot is there and may name what is gone; what comes after it does not rely on it."""

    async def scene() -> None:
        story = Story(tmp_path)
        await story.begin(monkeypatch)
        location, repository = story.stepped()
        loop = asyncio.get_running_loop()

        def before() -> None:
            asyncio.run_coroutine_threadsafe(story.without(), loop).result()
            location.when(after_its_snapshot(), cut)

        def cut() -> None:
            # The prune lists the snapshots before R1's is there, and forgets their base.
            mine = max(name for name in story.memory.objects if name.startswith("snapshots/"))
            hidden = {name: story.memory.objects.pop(name) for name in (mine, f"twin/{mine}")}
            story.prune()
            story.memory.objects |= hidden
            raise LocationFailed("It was cut off.")

        location.before("put index/", before)
        with pytest.raises(LocationFailed):
            await story.world.take(repository=repository)
        assert story.removed > 0
        basis = story.world.repository().basis()
        newest = story.world.repository().latest()
        assert basis is not None
        assert newest is not None
        assert basis.name != newest.name
        await put(story.world.ann, "INBOX", message(20))
        done = await story.world.take()
        engine, restored = await story.world.give(done.snapshot, tmp_path / "new")
        assert restored.lost == []
        await engine.close()
        await story.world.engine.close()

    play(scene())


def test_a_snapshot_that_cannot_be_taken_back_is_not_relied_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        story = Story(tmp_path)
        await story.begin(monkeypatch)
        location, repository = story.stepped()
        loop = asyncio.get_running_loop()

        def before() -> None:
            asyncio.run_coroutine_threadsafe(story.without(), loop).result()
            location.before("put twin/snapshots/", meanwhile)

        def meanwhile() -> None:
            story.prune()

            def refuse(name: str) -> None:
                raise AppendOnly(f"{name} stays.")

            monkeypatch.setattr(location, "remove", refuse)

        location.before("put index/", before)
        assert await overtaken(story, repository)
        newest, basis = story.world.repository().latest(), story.world.repository().basis()
        assert newest is not None
        assert basis is None or basis.name != newest.name
        done = await story.world.take()
        assert done.snapshot.name > newest.name
        await story.world.engine.close()

    play(scene())


def after_its_snapshot() -> Callable[[str], bool]:
    """The step at which a run looks what is there behind its own snapshot."""
    seen: list[str] = []

    def chosen(step: str) -> bool:
        seen.append(step)
        return step == "names snapshots" and any(each.startswith("put snapshots/") for each in seen)

    return chosen


def test_a_snapshot_that_another_run_has_listed_is_not_missed_when_it_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        story = Story(tmp_path)
        await story.begin(monkeypatch)
        location, repository = story.stepped()
        loop = asyncio.get_running_loop()

        def meanwhile() -> None:
            asyncio.run_coroutine_threadsafe(story.without(), loop).result()  # which lists R1's
            prune(story.world.repository(), Keep(0, 0, 0, 2), NOW + GRACE)  # and leaves it

        location.when(after_its_snapshot(), meanwhile)
        assert await overtaken(story, repository)
        assert story.base not in story.world.repository().snapshot_names()
        assert len(story.world.repository().snapshot_names()) == 1
        await story.end("taken back")

    play(scene())


def test_a_snapshot_whose_run_did_not_end_is_nobodys_base_though_another_lists_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1 is cut off before it looks for its base, just when R3 lists what is there."""

    async def scene() -> None:
        story = Story(tmp_path)
        await story.begin(monkeypatch)
        one, first = story.stepped()
        three, third = story.stepped()
        loop = asyncio.get_running_loop()

        def cut() -> None:
            raise LocationFailed("It was cut off.")

        def meanwhile() -> None:
            one.when(after_its_snapshot(), cut)
            with pytest.raises(LocationFailed):
                asyncio.run_coroutine_threadsafe(story.world.take(repository=first), loop).result()

        three.when(after_its_snapshot(), meanwhile)
        done = await story.world.take(repository=third)
        newest, basis = story.world.repository().latest(), story.world.repository().basis()
        assert newest is not None
        assert basis is not None
        assert newest.name > done.snapshot.name
        assert newest.name in read_written(story.world.repository()).files, "it is listed"
        assert basis.name == done.snapshot.name
        await story.end("cut off")

    play(scene())
