"""When the nightly backup is due: daylight saving neither skips nor doubles a night, nothing missed is forgotten."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.backup.schedule import DAY, Retries, Schedule, drill_due, parse_time

ZONES = [
    "UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Sao_Paulo", "America/Havana", "Asia/Beirut",
    "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "Africa/Casablanca", "Pacific/Chatham", "Atlantic/Azores",
    "America/St_Johns", "Pacific/Kiritimati", "Antarctica/Troll",
]  # fmt: skip
BERLIN = Schedule(time(2, 30), ZoneInfo("Europe/Berlin"))
instants = st.integers(631_152_000, 2_500_000_000)  # 1990 to 2049


def no_chance(octets: int) -> bytes:
    return bytes(octets)


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-03-28", "2026-03-28T01:30"),
        ("2026-03-29", "2026-03-29T01:30"),  # there is no 02:30: it is 03:30
        ("2026-03-30", "2026-03-30T00:30"),
        ("2026-10-24", "2026-10-24T00:30"),
        ("2026-10-25", "2026-10-25T00:30"),  # twice: the first one
        ("2026-10-26", "2026-10-26T01:30"),
    ],
)
def test_the_nights_at_which_clocks_change(day: str, expected: str) -> None:
    assert BERLIN.occurrence(date.fromisoformat(day)) == utc(expected)


@given(st.sampled_from(ZONES), st.times(), instants)
def test_every_day_has_one_night_and_no_day_two(zone: str, at: time, start: int) -> None:
    schedule = Schedule(at.replace(second=0, microsecond=0, tzinfo=None, fold=0), ZoneInfo(zone))
    day = datetime.fromtimestamp(start, schedule.zone).date()
    nights = [schedule.occurrence(day + timedelta(days=number)) for number in range(370)]
    now, found = nights[0] - 1, list[float]()
    while len(found) < len(set(nights)):
        now = schedule.after(now)
        found.append(now)
    assert found == sorted(set(nights))
    assert len(set(nights)) >= 369, "one day was left out by a zone that crossed the date line"
    if len(found) == 370:
        assert all(DAY - 2 * 3600 <= b - a <= DAY + 2 * 3600 for a, b in pairwise(found))


@given(st.sampled_from(ZONES), st.times(), instants)
def test_before_and_after_enclose_an_instant(zone: str, at: time, now: int) -> None:
    schedule = Schedule(at.replace(tzinfo=None, fold=0), ZoneInfo(zone))
    before, after = schedule.before(now), schedule.after(now)
    assert before <= now < after
    assert schedule.after(before) == after
    assert schedule.before(after) == after


@given(st.sampled_from(ZONES), instants, st.binary(min_size=4, max_size=4), st.floats(0, 4 * 3600))
def test_the_jitter_delays_and_no_more_than_it_may(zone: str, now: int, chance: bytes, jitter: float) -> None:
    schedule = Schedule(time(2, 30), ZoneInfo(zone), jitter)
    attended = schedule.before(now)
    assert 0 <= schedule.due(attended, now, lambda octets: chance) - schedule.after(now) <= jitter


def test_nights_that_were_missed_are_one_run_at_once() -> None:
    attended, now = utc("2026-05-01T00:30"), utc("2026-05-09T12:00")
    assert BERLIN.due(attended, now, no_chance) == utc("2026-05-02T00:30") < now
    attended = BERLIN.before(now)  # that run's
    assert BERLIN.due(attended, now, no_chance) == utc("2026-05-10T00:30")


def test_a_clock_put_back_by_an_hour_runs_nothing_twice_and_one_of_the_wrong_year_ends_nothing() -> None:
    attended = utc("2026-05-01T00:30")
    assert BERLIN.due(attended, utc("2026-04-30T23:45"), no_chance) == utc("2026-05-02T00:30")
    assert BERLIN.due(utc("2040-01-01T01:30"), utc("2026-05-01T10:00"), no_chance) == utc("2026-05-02T00:30")


def test_without_a_zone_it_is_the_machines_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    import time as clock

    monkeypatch.setenv("TZ", "Europe/Berlin")
    clock.tzset()
    try:
        local = Schedule(time(2, 30))
        for number in range(400):
            day = date(2026, 1, 1) + timedelta(days=number)
            assert local.occurrence(day) == BERLIN.occurrence(day)
            assert local.after(local.occurrence(day)) == BERLIN.occurrence(day + timedelta(days=1))
    finally:
        monkeypatch.undo()
        clock.tzset()


@given(
    st.sampled_from(ZONES), st.times(), instants, st.sampled_from(["monthly", "weekly"]), st.sets(st.integers(0, 399))
)
def test_the_first_night_of_each_month_or_week_tries_a_restore(
    zone: str, at: time, start: int, every: str, missed: set[int]
) -> None:
    schedule = Schedule(at.replace(tzinfo=None, fold=0), ZoneInfo(zone))
    last: float | None = None
    periods: list[tuple[int, ...]] = []
    tried: list[tuple[int, ...]] = []
    now = schedule.after(start)
    for number in range(400):
        if number not in missed:
            day = datetime.fromtimestamp(now, schedule.zone)
            period = (day.year, day.month) if every == "monthly" else tuple(day.isocalendar()[:2])
            periods += [period] if period not in periods else []
            if drill_due(every, last, now, schedule.zone):
                tried.append(period)
                last = now + 60  # it takes a while, and ends on the same day or the next
                if datetime.fromtimestamp(last, schedule.zone).date() != day.date():
                    last = now
        now = schedule.after(now)
    assert tried == periods, "once in each in which there was a night"


def test_drills_that_are_off_never_come_and_a_last_one_of_the_wrong_year_counts_as_none() -> None:
    now = utc("2026-05-31T00:30")
    assert not drill_due("off", None, now)
    assert drill_due("monthly", None, now)
    assert drill_due("monthly", utc("2040-05-01T00:30"), now)
    assert not drill_due("monthly", utc("2026-05-01T00:30"), now, ZoneInfo("Europe/Berlin"))
    assert drill_due("monthly", utc("2025-05-31T00:30"), now, ZoneInfo("Europe/Berlin")), "the same month, a year ago"


@given(
    st.sampled_from(ZONES),
    st.times(),
    instants,
    st.floats(0, 20 * 3600),
    st.lists(st.one_of(st.none(), st.floats(0, 7200)), min_size=1, max_size=60),
)
def test_a_night_is_tried_again_with_growing_pauses_and_never_into_the_next_one(
    zone: str, at: time, start: int, window: float, durations: list[float | None]
) -> None:
    """durations: of attempts that fail for a passing reason, one after the other over many nights; None succeeds."""
    schedule, retries = Schedule(at.replace(tzinfo=None, fold=0), ZoneInfo(zone)), Retries(window)
    now = schedule.after(start)
    script = list(durations)
    nights: list[float] = []
    while script:
        begun, attended, tried, pauses = now, schedule.before(now), 0, list[float]()
        nights.append(attended)
        while script and (took := script.pop(0)) is not None:
            ended, tried = now + took, tried + 1
            again = retries.again(begun, ended, tried, schedule.after(attended))
            if again is None:
                now = ended
                break
            assert ended < again <= begun + window
            assert schedule.before(again) == attended, "it is still that night's"
            pauses.append(again - ended)
            now = again
        assert all(b >= a - 1e-3 for a, b in pairwise(pauses))
        assert all(299.9 <= pause <= 3600.1 for pause in pauses)
        now = max(now, schedule.due(attended, now, no_chance))
    assert len(set(nights)) == len(nights), "no night has two turns"


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_the_window_is_of_hours_that_pass_when_clocks_change(day: str) -> None:
    begun = BERLIN.occurrence(date.fromisoformat(day))
    retries, ended, pauses = Retries(4 * 3600), begun + 5, list[float]()
    while (again := retries.again(begun, ended, len(pauses) + 1, BERLIN.after(begun))) is not None:
        pauses.append(again - ended)
        ended = again + 5
    assert pauses == [300, 600, 1200, 2400, 3600, 3600]
    assert Retries(0).again(begun, begun + 1, 1, BERLIN.after(begun)) is None


def test_times() -> None:
    assert parse_time("23:05") == time(23, 5)
    assert parse_time("off") is None
    for text in ("24:00", "2:30", "02:60", "", "02:30\n"):
        with pytest.raises(ValueError, match="time of day"):
            parse_time(text)
