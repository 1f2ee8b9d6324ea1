"""A short fuzz run of every parser, and everything that a long one ever found."""

from __future__ import annotations

import faulthandler
import os
from pathlib import Path

import pytest

from .mutate import inputs
from .targets import SEEDS, TARGETS

RUNS = int(os.environ.get("RESTANTE_FUZZ_RUNS", "25000"))  # a target; four make 10^5
CORPUS = Path(__file__).parent / "corpus"
HANG = 20.0
"""Seconds without an end after which the process dumps its stack and ends: a hang must not look like slowness."""


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_mutations_bring_no_exception(name: str) -> None:
    target = TARGETS[name]
    for number, data in enumerate(inputs(SEEDS[name], RUNS, seed=7)):
        if number % 1000 == 0:
            faulthandler.dump_traceback_later(HANG, exit=True)
        try:
            target(data)
        except Exception as error:
            raise AssertionError(f"{name} on {data!r}") from error
        finally:
            if number == RUNS - 1:
                faulthandler.cancel_dump_traceback_later()


def kept() -> list[Path]:
    return sorted(p for p in CORPUS.glob("*/*") if p.is_file())


@pytest.mark.parametrize("path", kept(), ids=lambda p: f"{p.parent.name}-{p.name}")
def test_kept_findings_stay_mended(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())
