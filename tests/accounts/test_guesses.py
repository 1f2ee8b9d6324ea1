"""The table of failures and places: shared by processes, bounded, mended where it is broken, never in the way."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from restante.accounts.guesses import BUCKETS, DECAY, OCTETS, WAYS, Failures, GuessTable
from restante.accounts.throttle import Throttle
from restante.clock import ManualClock

GUESSER = ("192.0.2.1", "ann@example.org")


def throttle(path: Path, clock: ManualClock) -> Throttle:
    return Throttle(clock, 0.5, 15.0, GuessTable(os.urandom, path))


def test_workers_count_together(tmp_path: Path) -> None:
    clock = ManualClock()
    workers = [throttle(tmp_path / "guesses", clock) for _ in range(4)]
    assert [workers[n % 4].failed(GUESSER) for n in range(6)] == [0.5, 1, 2, 4, 8, 15]
    assert [worker.admit(GUESSER) for worker in workers] == [15, None, None, None]
    workers[2].succeeded(GUESSER)
    for worker in workers:
        assert worker.admit(GUESSER) == 0
    for _ in range(9):
        workers[0].failed(GUESSER)
    assert workers[3].admit(GUESSER) == 0, "the place is known to all"


def test_n_workers_give_a_guesser_no_more_tries_than_one(tmp_path: Path) -> None:
    def admitted(workers: list[Throttle], clock: ManualClock) -> int:
        count = 0
        for _ in range(40):
            for n in range(100):
                if workers[n % len(workers)].admit(GUESSER) is not None:
                    count += 1
                    workers[n % len(workers)].failed(GUESSER)
            clock.advance(10)
        return count

    one, many = ManualClock(), ManualClock()
    alone = admitted([throttle(tmp_path / "one", one)], one)
    spread = admitted([throttle(tmp_path / "many", many) for _ in range(8)], many)
    assert spread == alone


CHILD = """
import sys
from pathlib import Path
from restante.accounts import guesses
from restante.accounts.guesses import GuessTable, Failures
import os
guesses.LOCK_TRIES = 1 << 60
table = GuessTable(os.urandom, Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    with table:
        there = table.failures("n", "a", 1.0) or Failures(0, 1.0, 1.0)
        there.count += 1
        table.keep_failures("n", "a", there, 1.0)
"""


def test_two_processes_lose_no_count(tmp_path: Path) -> None:
    """They wait for the lock as long as it takes: one that goes on without may cost a count, and how often it has to is
    the machine's load (of these 4,000 more than a hundred, once)."""
    path = tmp_path / "guesses"
    children = [subprocess.Popen([sys.executable, "-c", CHILD, str(path), "2000"]) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    there = GuessTable(os.urandom, path).failures("n", "a", 1.0)
    assert there is not None
    assert there.count == 4000


def _die_with_the_lock(path: Path, ready: str) -> None:
    table = GuessTable(os.urandom, path)
    table.__enter__()
    Path(ready).touch()
    os._exit(9)


def test_the_lock_ends_with_its_process_and_stops_nobody(tmp_path: Path) -> None:
    path, clock = tmp_path / "guesses", ManualClock()
    other = throttle(path, clock)
    dying = multiprocessing.get_context("spawn").Process(target=_die_with_the_lock, args=(path, str(tmp_path / "r")))
    dying.start()
    dying.join(30)
    assert (tmp_path / "r").exists()
    assert other.failed(GUESSER) == 0.5
    with path.open("rb") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)  # as a worker that is stopped while it holds the lock
        begun = time.monotonic()
        assert other.failed(GUESSER) == 1
        assert time.monotonic() - begun < 30  # it would wait for ever


def test_the_file_is_bounded_whatever_comes(tmp_path: Path) -> None:
    path = tmp_path / "guesses"
    table = GuessTable(os.urandom, path)
    for n in range(3 * BUCKETS):
        with table:
            table.keep_failures(str(n), "x", Failures(1, 1.0, 1.0), 1.0)
            table.keep_place(str(n), "x", 1.0)
    assert path.stat().st_size <= OCTETS
    assert path.stat().st_mode & 0o077 == 0


def test_single_failures_under_many_names_do_not_push_out_a_guesser() -> None:
    table = GuessTable(random.Random(1).randbytes)
    table.keep_failures(*GUESSER, Failures(9, 1.0, 1.0), 1.0)
    for n in range(BUCKETS * WAYS * 3):
        table.keep_failures("192.0.2.1", str(n), Failures(1, 2.0, 2.0), 2.0)
    kept = table.failures(*GUESSER, 2.0)
    assert kept is not None
    assert kept.count == 9


def test_what_time_has_forgiven_makes_room() -> None:
    table = GuessTable(random.Random(2).randbytes)
    for n in range(BUCKETS * WAYS * 2):
        table.keep_failures("old", str(n), Failures(9, 1.0, 1.0), 1.0)
    now = 1.0 + 20 * DECAY
    for n in range(100):
        table.keep_failures("new", str(n), Failures(1, now, now), now)
    assert sum(table.failures("new", str(n), now) is not None for n in range(100)) >= 95


@pytest.mark.parametrize("damage", [b"", b"\0" * 5000, b"\xff" * OCTETS, b"RSTGUES1" + b"x" * 200])
def test_a_broken_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    path, clock = tmp_path / "guesses", ManualClock()
    path.write_bytes(damage)
    worker, other = throttle(path, clock), throttle(path, clock)
    assert [worker.failed(GUESSER), other.failed(GUESSER), worker.failed(GUESSER)] == [0.5, 1, 2]


def test_broken_records_count_as_empty(tmp_path: Path) -> None:
    path, clock = tmp_path / "guesses", ManualClock()
    worker = throttle(path, clock)
    for _ in range(5):
        worker.failed(GUESSER)
    rng = random.Random(3)
    data = bytearray(path.read_bytes())
    for _ in range(50):
        broken = bytearray(data)
        for at in range(64, len(broken)):  # all but the header
            if broken[at]:
                broken[at] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(broken))
        assert worker.failed(GUESSER) == 0.5
        path.write_bytes(bytes(data))
    os.truncate(path, 0)
    assert worker.failed(GUESSER) == 0.5


def test_another_life_of_the_machine_holds_nothing_against_anybody(tmp_path: Path) -> None:
    path, late = tmp_path / "guesses", ManualClock()
    late.advance(1e6)
    worker = throttle(path, late)
    for _ in range(9):
        worker.failed(GUESSER)
    again = throttle(path, ManualClock())  # its monotonic clock began anew
    assert again.admit(GUESSER) == 0
    assert again.failed(GUESSER) == 0.5


def test_a_file_that_fails_leaves_each_worker_counting_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[OSError] = []
    slow = Throttle(ManualClock(), 0.5, 15.0, GuessTable(os.urandom, tmp_path / "guesses", told.append))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert [slow.failed(GUESSER) for _ in range(4)] == [0.5, 1, 2, 4]
    assert len(told) == 1


def test_a_login_costs_few_system_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine: one that is known there reads, and takes no lock."""
    slow = throttle(tmp_path / "guesses", ManualClock())
    made: list[str] = []

    def counted(module: ModuleType, name: str) -> None:
        real = getattr(module, name)

        def call(*given: object) -> object:
            made.append(name)
            return real(*given)

        monkeypatch.setattr(module, name, call)

    counted(os, "pread")
    counted(os, "pwrite")
    counted(fcntl, "flock")
    for expected in (
        ["pread", "pread", "pread", "flock", "pread", "pread", "pwrite", "flock"],
        ["pread", "pread", "pread"],
        ["pread", "pread", "pread"],
    ):
        assert slow.admit(GUESSER) == 0
        slow.succeeded(GUESSER)
        assert made == expected
        made.clear()
