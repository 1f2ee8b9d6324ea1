"""Lines of the log: one an event, whatever a value holds and wherever they go."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import os
import sys
from types import SimpleNamespace
from typing import cast

import pytest
import structlog

from restante.clock import ManualClock
from restante.server.channel import Channel, ChannelHost
from restante.server.logs import adopt_logs, make_logger
from restante.server.services import Service

HOSTILE = 'a\r\n2026-01-01T00:00:00Z info auth failed rip=192.0.2.9\x00\x1b[2J\u2028 "x" \\ é'


@pytest.mark.parametrize("form", ["plain", "json"])
@pytest.mark.parametrize("value", [HOSTILE, HOSTILE.encode(), Exception(HOSTILE), [HOSTILE]])
def test_no_value_leaves_its_line(form: str, value: object) -> None:
    out = io.StringIO()
    log = make_logger("info", form, ManualClock(), out)
    log.info("login " + HOSTILE, user=value)
    line = out.getvalue()
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert line.isascii()
    assert line.strip().isprintable()
    if form == "json":
        assert json.loads(line)["level"] == "info"


def test_the_line_that_fail2ban_waits_for() -> None:
    out = io.StringIO()
    make_logger("info", "plain", ManualClock(), out).info("auth failed", rip="192.0.2.1", id="abc", protocol="imap")
    assert out.getvalue() == "2027-01-15T08:00:00.000Z info auth failed rip=192.0.2.1 id=abc protocol=imap\n"


def test_what_rooms_log_through_logging_is_a_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    ours = logging.getLogger("restante")
    monkeypatch.setattr(ours, "handlers", [])
    before = structlog.get_config()
    try:
        adopt_logs("warning", "plain", ManualClock(), out)
    finally:
        structlog.configure(**before)
    log = logging.getLogger("restante.store.sqlite.indexes")
    log.info("left out")
    log.warning("index %s", HOSTILE)
    try:
        raise OSError(HOSTILE)
    except OSError:
        log.exception("failed")
    first, second = out.getvalue().splitlines()
    assert first.startswith("2027-01-15T08:00:00.000Z warning index a??2026-01-01T00:00:00Z info auth failed rip?")
    assert second.startswith("2027-01-15T08:00:00.000Z error failed fault=OSError traceback=")
    assert second.endswith(' test_what_rooms_log_through_logging_is_a_line_too | OSError"')


def test_an_instant_has_its_milliseconds_and_may_come_along() -> None:
    out, clock = io.StringIO(), ManualClock()
    log = make_logger("info", "plain", clock, out)
    for late, expected in ((0.0, "000"), (0.123, "123"), (0.0014, "001"), (0.9999997, "999")):
        clock.set(1_800_000_000.0 + late)
        log.info("now")
        clock.advance(5.0)
        log.info("then", at=1_800_000_000.0 + late)
        now, then = out.getvalue().splitlines()[-2:]
        assert now == f"2027-01-15T08:00:00.{expected}Z info now"
        assert then == f"2027-01-15T08:00:00.{expected}Z info then"


def test_a_line_that_is_written_behind_has_its_instant_and_its_place() -> None:
    async def play() -> None:
        out, clock = io.StringIO(), ManualClock()
        host = SimpleNamespace(
            log=make_logger("info", "plain", clock, out),
            now=clock.now,
            loop=asyncio.get_running_loop(),
            certificate=lambda: None,
        )
        channel = Channel(cast(ChannelHost, host), Service.IMAP, "abc", "192.0.2.1", 0.0)

        def behind(event: str, **fields: object) -> None:
            channel.log_behind(event, **fields)
            clock.advance(1.0)

        line = "2027-01-15T08:00:0%d.000Z info %s rip=192.0.2.1 id=abc protocol=imap account=%s"
        behind("login", account="ann", at=7, rip="evil")
        assert out.getvalue() == ""
        await asyncio.sleep(0)
        assert out.getvalue().splitlines() == [line % (0, "login", "ann")]
        behind("login", account="ann")
        behind("login", account="bob")
        channel.log("refused", account="bob")
        lines = [line % row for row in ((0, "login", "ann"), (1, "login", "ann"), (2, "login", "bob"))]
        assert out.getvalue().splitlines() == [*lines, line % (3, "refused", "bob")]
        behind("login", account="eve")
        channel.fault(ValueError())
        assert [text.split()[2] for text in out.getvalue().splitlines()[-2:]] == ["login", "internal"]
        await asyncio.sleep(0)
        assert len(out.getvalue().splitlines()) == 6

    asyncio.run(play())


def test_long_values_are_cut_and_low_levels_left_out() -> None:
    out = io.StringIO()
    log = make_logger("warning", "plain", ManualClock(), out)
    log.info("quiet")
    log.warning("loud", value="x" * 100_000, raw=b"y" * 100_000)
    assert "quiet" not in out.getvalue()
    assert len(out.getvalue()) < 1000


class FullDisk(io.StringIO):
    """A stream whose disk is full for as long as `full` says."""

    full = True

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, text: str) -> int:
        self.flush()
        return super().write(text)


def test_a_log_that_cannot_be_written_stops_nobody_and_tells_what_is_missing() -> None:
    out = FullDisk()
    log = make_logger("info", "plain", ManualClock(), out)
    log.info("one")
    log.error("two", fault=ValueError())
    out.full = False
    log.info("three")
    log.info("four")
    reason = os.strerror(errno.ENOSPC)
    at = "2027-01-15T08:00:00.000Z"
    assert out.getvalue().splitlines() == [
        f'{at} warning log lines are missing lines=2 reason="{reason}"',
        f"{at} info three",
        f"{at} info four",
    ]


def test_a_log_that_was_closed_or_never_there_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    log = make_logger("info", "plain", ManualClock(), out)
    out.close()
    log.info("one")
    monkeypatch.setattr(sys, "stderr", None)  # as in a program that was started without one
    make_logger("info", "plain", ManualClock()).info("two")
