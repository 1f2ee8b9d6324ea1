"""A reader's mailbox beside a plain model: whatever owner and reader do in turn, flags, counts, SEARCH and the changes
that he is told agree, and his numbers never fall."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest

from restante.query.language import And, Contains, Field, HasFlag, ModSeq, Not
from restante.store.interface import Engine, Store
from restante.store.model import Column, FlagMode, Flags, System
from restante.store.rights import parse_rights
from restante.store.sqlite import changes, marks, search
from restante.store.sqlite import reader as of_reader

from .making import ACCOUNT, ALL, Installation, fill, inbox

ANN = "annann"
STEPS = 120


class Model:
    """uid -> (system flags without \\Seen, whether the reader has seen it)."""

    def __init__(self) -> None:
        self.messages: dict[int, tuple[System, bool]] = {}

    @property
    def flags(self) -> dict[int, System]:
        return {uid: flags | (System.SEEN if seen else System.NONE) for uid, (flags, seen) in self.messages.items()}

    def change(self, uids: list[int], mode: FlagMode, named: System, *, reader: bool) -> None:
        for uid in uids:
            flags, seen = self.messages[uid]
            others = named & ~System.SEEN
            if mode is FlagMode.ADD:
                flags, seen = flags | others, seen or (reader and bool(named & System.SEEN))
            elif mode is FlagMode.REMOVE:
                flags, seen = flags & ~others, seen and not (reader and bool(named & System.SEEN))
            else:
                flags, seen = others, bool(named & System.SEEN) if reader else seen
            self.messages[uid] = flags, seen


@pytest.mark.parametrize(("few", "at_once"), [(marks.FEW, changes.MOST_CHANGED), (2, 1)], ids=["few", "many"])
@pytest.mark.parametrize("seed", range(4))
def test_a_reader_is_told_what_a_model_says(
    installation: Installation, seed: int, few: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """few: marks that a search names; of more it asks message by message. at_once: changes that are read on the loop,
    more on a thread."""
    monkeypatch.setattr(changes, "MOST_CHANGED", at_once)
    apart: list[bool] = []
    read = of_reader.delta

    def noted(*given: Any) -> Any:
        apart.append(threading.current_thread() is not threading.main_thread())
        return read(*given)

    monkeypatch.setattr(of_reader, "delta", noted)
    monkeypatch.setattr(marks, "FEW", few)
    monkeypatch.setattr(search, "_PLAIN_BATCH", few)
    chance = random.Random(seed)

    async def scene(engine: Engine, store: Store) -> None:
        box, model = await inbox(store), Model()
        reader = engine.account(ACCOUNT, ANN)
        await store.set_acl(box, ANN, FlagMode.REPLACE, parse_rights("lrswtei"))
        known: dict[int, System] = {}
        since = (await reader.snapshot(box)).mailbox.highest_modseq
        for _ in range(STEPS):
            await step(store, reader, box, model)
            since = await check(reader, box, model, known, since)
        assert [f async for f in store.doctor(False) if f.code not in ("answers", "acl-person")] == []

    async def step(store: Store, reader: Store, box: int, model: Model) -> None:
        uids = sorted(chance.sample(sorted(model.messages), min(len(model.messages), chance.randint(0, 4))))
        ranges = tuple((uid, uid) for uid in uids)
        by_reader = chance.random() < 0.6
        actor = reader if by_reader else store
        match chance.randrange(5):
            case 0:
                named = Flags(System(chance.randrange(32)))
                for uid in await fill(actor, box, chance.randint(1, 2), *named.wire.decode().split()):
                    model.messages[uid] = named.system & ~System.SEEN, by_reader and bool(named.system & System.SEEN)
            case 1 | 2:
                mode, named = chance.choice(list(FlagMode)), Flags(System(chance.randrange(32)))
                await actor.store_flags(box, ranges, mode, named)
                model.change(uids, mode, named.system, reader=by_reader)
            case 3:
                done = await actor.copy(box, ranges, box)
                for old, new in zip(done.source, done.target, strict=True):
                    flags, seen = model.messages[old]
                    model.messages[new] = flags, seen and by_reader
            case _:
                await actor.expunge(box, ranges, deleted_only=False)
                for uid in uids:
                    del model.messages[uid]

    async def check(reader: Store, box: int, model: Model, known: dict[int, System], since: int) -> int:
        table = await reader.flag_table()
        rows = await reader.rows(box, ALL, [Column.FLAGS, Column.MODSEQ], 10_000)
        shown = {row[0]: table[row[1]].system for row in rows}  # type: ignore[index]  # Column.FLAGS is int
        assert shown == model.flags
        snapshot = await reader.snapshot(box)
        here = snapshot.mailbox
        seen = sorted(uid for uid, (_, was) in model.messages.items() if was)
        assert here.unseen == len(model.messages) - len(seen)
        assert list(snapshot.uids.uids) == sorted(model.messages)
        assert list(await reader.search(box, HasFlag("\\Seen"), ALL)) == seen
        unseen = sorted(model.messages.keys() - set(seen))
        assert list(await reader.search(box, Not(HasFlag("\\SEEN")), ALL)) == unseen
        some = ((2, 4), (7, 2**32 - 1))
        mixed = And((Not(HasFlag("\\Seen")), HasFlag("\\Flagged"), Not(Contains(Field.BODY, "nowhere"))))
        assert list(await reader.search(box, mixed, some)) == [
            uid for uid in unseen if model.messages[uid][0] & System.FLAGGED and any(a <= uid <= b for a, b in some)
        ]
        assert set(await reader.sort(box, HasFlag("\\Seen"), (), ALL)) == set(seen)
        assert here.highest_modseq >= since
        delta = await reader.delta(box, since)
        assert delta.mailbox == here
        assert len({uid for uid, _, _ in delta.changed}) == len(delta.changed)
        assert [uid for uid, _, _ in delta.changed] == list(await reader.search(box, ModSeq(since + 1), ALL))
        for uid, number, modseq in delta.changed:
            assert since < modseq <= here.highest_modseq
            known[uid] = table[number].system
        for uid in delta.vanished:
            known.pop(uid, None)
        assert known == shown, "who follows the changes knows all"
        return here.highest_modseq

    asyncio.run(installation.play(scene))
    assert (True in apart) is (at_once == 1)
