"""Rates and the time that is left."""

from __future__ import annotations

import pytest

from restante.cli.progress import Stretches, span
from restante.clock import ManualClock
from restante.sync.migrate.pace import WINDOW, Pace


def test_the_rate_is_of_the_last_half_minute() -> None:
    clock = ManualClock()
    pace = Pace(clock, 100_000)
    assert pace.remaining is None
    for _ in range(60):
        clock.advance(1)
        pace.advance(10, 1000)
    assert pace.rates == (10.0, 1000.0)
    for _ in range(int(WINDOW) + 2):
        clock.advance(1)
        pace.advance(100, 1000)
    assert pace.rates[0] == pytest.approx(100, rel=0.05)
    assert pace.remaining == pytest.approx((100_000 - pace.done) / 100, rel=0.05)


def test_what_is_passed_over_at_once_says_nothing_of_the_rate() -> None:
    clock = ManualClock()
    pace = Pace(clock, 1000)
    pace.advance(900, 0)
    assert pace.rates == (0.0, 0.0)
    clock.advance(100)
    pace.advance(10, 10)
    clock.advance(100)
    pace.advance(10, 10)
    assert pace.rates[0] == pytest.approx(0.1)


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    with Stretches(clock) as meter:
        meter.begin("Copying", 10_000)
        for _ in range(100):
            clock.advance(1)
            meter.advance(100, 1_000_000)
        meter.begin("Proving", 10)
        meter.advance(10, 0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[4] == "Copying: 5000 of 10000 messages (50 %) 100/s, 1.0 MB/s, 50 s left"


def test_spans() -> None:
    assert [span(each) for each in (3.4, 89, 100, 3600, 7300)] == ["3 s", "89 s", "2 min", "60 min", "2 h 2 min"]
