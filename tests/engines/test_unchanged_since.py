"""UNCHANGEDSINCE: who is refused and who is not, message by message, beside a model that remembers all (RFC 7162)."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from restante.store.interface import Engine, Store
from restante.store.model import Column, FlagMode, Flags
from restante.store.sqlite import unchanged

from .making import ALL, Installation, fill, inbox

DAY = 86_400.0
NAMES = ("\\Seen", "\\Deleted", "$Work", "$Play")


@dataclass
class Message:
    """What its flags were, by the number of the change that made them so, ascending."""

    states: list[tuple[int, frozenset[str]]] = field(default_factory=list)

    def refuses(self, since: int, mode: FlagMode, named: frozenset[str]) -> bool:
        earlier = [flags for number, flags in self.states if number <= since]
        later = [flags for number, flags in self.states if number > since]
        if not later:
            return False
        if mode is FlagMode.REPLACE or not earlier:
            return True
        return earlier[-1] & named != later[-1] & named

    def becomes(self, mode: FlagMode, named: frozenset[str]) -> frozenset[str]:
        now = self.states[-1][1]
        return {FlagMode.REPLACE: named, FlagMode.ADD: now | named, FlagMode.REMOVE: now - named}[mode]


@pytest.mark.parametrize("seed", range(20))
def test_refused_is_what_has_changed_in_the_flags_named(installation: Installation, seed: int) -> None:
    draw = random.Random(seed)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 12)
        start = await store.last_change()
        model = {uid: Message([(start, frozenset())]) for uid in range(1, 13)}
        known = [start]
        spared = 0
        for _ in range(60):
            mode, named = draw.choice(list(FlagMode)), frozenset(draw.sample(NAMES, draw.randint(1, 2)))
            uids = sorted(draw.sample(sorted(model), draw.randint(1, 8)))
            since = draw.choice([None, None, draw.choice(known), known[-1]])
            done = await store.store_flags(box, tuple((uid, uid) for uid in uids), mode, Flags.of(named), since)
            refused = [uid for uid in uids if since is not None and model[uid].refuses(since, mode, named)]
            assert list(done.refused) == refused
            left = [uid for uid in uids if uid not in refused]
            changed = [uid for uid in left if model[uid].becomes(mode, named) != model[uid].states[-1][1]]
            assert list(done.changed) == changed
            spared += sum(since is not None and model[uid].states[-1][0] > since for uid in left)
            for uid in changed:
                model[uid].states.append((done.modseq, model[uid].becomes(mode, named)))
            known.append(await store.last_change())
        assert spared, "nothing was changed in spite of a newer number"
        table = await store.flag_table()
        rows = await store.rows(box, ALL, [Column.FLAGS, Column.MODSEQ], 99)
        found = {uid: (modseq, table.wires[int(str(number))]) for uid, number, modseq in rows}
        states = {uid: message.states[-1] for uid, message in model.items()}
        assert found == {uid: (modseq, Flags.of(flags).wire) for uid, (modseq, flags) in states.items()}

    asyncio.run(installation.play(scene))


def test_one_of_two_who_claim_a_message_has_it(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        since = await store.last_change()
        await store.store_flags(box, ALL, FlagMode.ADD, Flags.of(["\\Seen"]))
        claim = (box, ((2, 3),), FlagMode.ADD, Flags.of(["$Mine"]), since)
        first, second = await store.store_flags(*claim), await store.store_flags(*claim)
        assert (list(first.changed), list(first.refused)) == ([2, 3], [])
        assert (list(second.changed), list(second.refused)) == ([], [2, 3])

    asyncio.run(installation.play(scene))


def test_what_came_since_is_refused_until_its_flags_change(installation: Installation) -> None:
    """Nobody knew it then; once it has changed, what it came with counts for what it was."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 1)
        since = await store.last_change()
        await fill(store, box, 2)
        await store.store_flags(box, ((2, 2),), FlagMode.ADD, Flags.of(["\\Seen"]))
        done = await store.store_flags(box, ALL, FlagMode.ADD, Flags.of(["$Work"]), since)
        assert (list(done.changed), list(done.refused)) == ([1, 2], [3])

    asyncio.run(installation.play(scene))


def test_what_is_no_longer_known_is_refused(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2)
        since = await store.last_change()
        installation.clock.advance(3_600)
        await store.store_flags(box, ((1, 1),), FlagMode.ADD, Flags.of(["\\Seen"]))
        installation.clock.advance(10 * DAY)
        await store.store_flags(box, ((1, 1),), FlagMode.ADD, Flags.of(["\\Flagged"]))
        later = await store.last_change()
        await store.store_flags(box, ((1, 1),), FlagMode.ADD, Flags.of(["\\Draft"]))
        await store.reclaim(50)
        work, play = ((box, ALL, FlagMode.ADD, Flags.of([word])) for word in ("$Work", "$Play"))
        assert list((await store.store_flags(*work, since)).refused) == [1], "its change to \\Seen is forgotten"
        assert list((await store.store_flags(*play, later)).refused) == []

    asyncio.run(installation.play(scene, retention=2 * DAY, log_retention=2 * DAY))


@pytest.mark.parametrize("bound", ["MOST", "OCTETS"])
def test_a_long_history_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(unchanged, bound, 3)
    installation = Installation("sqlite", tmp_path)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2)
        since = await store.last_change()
        work = (box, ALL, FlagMode.ADD, Flags.of(["$Work"]))
        for mode in (FlagMode.ADD, FlagMode.REMOVE) * 2:
            await store.store_flags(box, ((1, 1),), mode, Flags.of(["\\Seen"]))
        assert list((await store.store_flags(*work, since)).refused) == [1]

    asyncio.run(installation.play(scene))
