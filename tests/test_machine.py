"""How many cores there are for us."""

from __future__ import annotations

import os

import pytest

from restante.backup import analysing
from restante.machine import cores
from restante.mime.model import DEFAULT_LIMITS


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system binds nobody to cores")
def test_cores_are_those_that_a_process_is_bound_to() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cores() == len(before)


def test_a_system_that_does_not_tell_what_one_is_bound_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for told, wanted in ((5, 5), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda told=told: told)
        assert cores() == wanted


def test_a_restore_starts_processes_for_the_cores_that_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Noted(analysing.Analyser):
        def __init__(self, limits: object, processes: int) -> None:
            made.append(processes)
            super().__init__(DEFAULT_LIMITS, 1)

    monkeypatch.setattr(analysing, "Analyser", Noted)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5, 7, 9}, raising=False)
    for messages in (1, analysing.IN_PROCESSES):
        with analysing.analysing(messages, DEFAULT_LIMITS):
            pass
    assert made == [1, 3]
