"""A process killed while it files: what it acknowledged is there, and the file is whole."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from restante.store.model import Column
from tests.engines.making import ACCOUNT, ALL, Installation, new

CHILD = """
import asyncio, sys
from pathlib import Path
from restante.store.model import FlagMode, Flags
from tests.engines.making import ACCOUNT, Installation, new

async def scene(engine, store):
    async def one(worker):
        for i in range(10**6):
            done = await store.append(1, [await new(store, b"%d %d" % (worker, i), "\\\\Seen")])
            print("append", done.uids[0], flush=True)
            if i % 5 == 4:
                gone = await store.expunge(1, ((done.uids[0], done.uids[0]),), deleted_only=False)
                print("expunge", gone.uids[0], flush=True)
    await asyncio.gather(*(one(worker) for worker in range(4)))

asyncio.run(Installation("sqlite", Path(sys.argv[1])).play(scene))
"""


@pytest.mark.crash
@pytest.mark.disk
@pytest.mark.parametrize("lines", [1, 7, 40, 41, 120, 333])
def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path, lines: int) -> None:
    """Killed after some acknowledgements, in the midst of others."""
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "data")], stdout=subprocess.PIPE, cwd=root, env={**os.environ}
    )
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    said += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    acts = [line.split() for line in said if line.endswith(b"\n")]
    filed = {int(uid) for act, uid in acts if act == b"append"}
    gone = {int(uid) for act, uid in acts if act == b"expunge"}
    installation = Installation("sqlite", tmp_path / "data")

    async def check() -> None:
        engine = installation.open()
        store = engine.account(ACCOUNT)
        here = set((await store.snapshot(1)).uids.uids)
        assert filed - here <= gone | _removed()
        assert not gone & here
        rows = await store.rows(1, ALL, [Column.CONTENT, Column.ENVELOPE], 10**6)
        contents = await store.read_contents([int(str(row[1])) for row in rows])
        assert len(set(contents)) == len(contents)
        # The messages of these tests are not what their hand-made analyses say: "answers" is to be found.
        assert [finding.text async for finding in store.doctor(False) if finding.code != "answers"] == []
        assert (await store.append(1, [await new(store)])).uids[0] > max(filed)
        await engine.close()

    def _removed() -> set[int]:
        """Expunges that were done and not yet acknowledged."""
        path = tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"
        return {int(str(row[0])) for row in apsw.Connection(str(path)).execute("SELECT uid FROM removed")}

    asyncio.run(check())
