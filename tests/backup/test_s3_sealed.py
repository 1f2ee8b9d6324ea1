"""A sealed backup in an append-only bucket: what can be neither removed nor read by who writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.backup.prune import GRACE, prune
from restante.backup.retention import Keep
from restante.backup.s3_kept import KeptBucket, make_kept
from restante.backup.verify import verify

from .sealing import SealedWorld
from .support import ANN, message, play, put, state
from .test_s3 import bucket, fresh
from .test_s3_kept import kept
from .weed import ADMIN, LOCKED, SERVER, VERSIONED, Weed

NOW = 1_800_000_000


@pytest.mark.parametrize("name", [LOCKED, VERSIONED])
def test_a_sealed_backup_in_an_append_only_bucket(tmp_path: Path, s3: Weed, name: str) -> None:
    place = s3.place(fresh(), name, SERVER)
    make_kept(bucket(place))

    async def scene() -> None:
        world = SealedWorld(tmp_path, KeptBucket(bucket(place)))
        await world.fill()
        for number in range(4):
            await put(world.ann, "INBOX", *(message(number * 10 + n, "k" * 9_000) for n in range(4)))
            world.location = kept(place)
            await world.tonight()
            assert verify(world.writer(), NOW, everything=True).right
        expected = await state(world.ann)
        for later in range(2):
            world.location = kept(place, ADMIN, keeper=True)
            prune(world.repository(), Keep(0, 0, 0, 2), NOW + later * GRACE)
        world.location = kept(place)
        await put(world.ann, "INBOX", message(99))
        done = await world.tonight()
        assert verify(world.writer(), NOW, everything=True).right
        assert verify(world.repository(), NOW, everything=True).right
        assert expected != await state(world.ann)
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert (restored.lost, await state(engine.account(ANN))) == ([], await state(world.ann))
        await engine.close()
        await world.engine.close()

    play(scene())
