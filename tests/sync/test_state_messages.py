"""What has arrived is noted by few statements, and the same as message by message."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.sync.base import CUT, SENT
from restante.sync.settings import End
from restante.sync.state import State
from restante.sync.state import messages as module

EXAMPLES = int(os.environ.get("RESTANTE_STATE_PROGRAMS", "40"))
NUMBER = 12


def one_by_one(state: State, rows: Sequence[tuple[int, int]]) -> None:
    """`Messages.arrived` in its plainest form."""
    db = state._db
    try:
        with db:
            db.executemany(module._ARRIVED[End.TWO], rows)
    except apsw.ConstraintError:
        rows = [(key, uid) for uid, key in {uid: key for key, uid in rows}.items()]
        db.executemany(module._VACATE[End.TWO], rows)
        db.executemany(module._ARRIVED[End.TWO], rows)
    db.executemany("DELETE FROM aside WHERE message = ?", [(key,) for key, _ in rows])


def journalled(path: Path, there: Sequence[tuple[int, int]]) -> State:
    state = State(path)
    with state.transaction():
        state._db.execute("INSERT INTO pair (key) VALUES (1), (2)")
        keys = [*state.messages.next_keys(NUMBER)]
        state.messages.journal(
            1,
            End.ONE,
            [(key, 100 + key, 0, SENT | CUT if key % 3 else 0) for key in keys],
            [(key, 1, 1, b"m", None, None, None, None) for key in keys],
        )
        state.messages.arrived(End.TWO, there)
        state.asides.put([(key, End.TWO, "full", 1, 1.0, True) for key in keys if key % 2], None)
    return state


def everything(state: State) -> list[tuple[object, ...]]:
    return [
        *state._db.execute("SELECT * FROM message ORDER BY key"),
        *state._db.execute("SELECT * FROM content ORDER BY message"),
        *state._db.execute("SELECT message FROM aside ORDER BY message"),
    ]


arrivals = st.lists(
    st.tuples(st.integers(1, NUMBER), st.integers(1, 15)), max_size=NUMBER, unique_by=lambda row: row[0]
)
runs = st.builds(
    lambda low, count, uid: [(low + at, uid + at) for at in range(min(count, NUMBER - low + 1))],
    st.integers(1, NUMBER), st.integers(1, NUMBER), st.integers(1, 9),
)  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(runs, st.lists(arrivals | runs, max_size=3))
def test_what_arrives_together_is_noted_as_one_by_one(
    there: list[tuple[int, int]], given_: list[list[tuple[int, int]]]
) -> None:
    with TemporaryDirectory() as folder:
        together, alone = (journalled(Path(folder, name), there) for name in ("a.db", "b.db"))
        for rows in given_:
            with together.transaction():
                together.messages.arrived(End.TWO, rows)
            with alone.transaction():
                one_by_one(alone, rows)
            assert everything(together) == everything(alone)
        together.close()
        alone.close()


def test_a_batch_that_follows_itself_is_one_run() -> None:
    assert [*module._runs([(5, 105), (6, 106), (7, 107), (9, 109), (10, 111), (3, 1)])] == [
        (5, 7, 100), (9, 9, 100), (10, 10, 101), (3, 3, -2),
    ]  # fmt: skip
    assert [*module._runs([])] == []
