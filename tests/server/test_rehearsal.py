"""The visits that a server pays to itself before it forks: they are answered, and leave nothing behind."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from restante.clock import SystemClock, system_random
from restante.config.model import Config
from restante.server import rehearsal
from restante.server.assemble import builder
from restante.server.logs import make_logger


def held() -> set[object]:
    """Threads, and open files by number and what they are. Those of earlier tests may end meanwhile."""
    files = {(each.name, each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}
    return {*threading.enumerate(), *files}


@pytest.fixture
def memory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files are kept in memory, with a short name: the path of a Unix socket may have 107 octets."""
    folder = tmp_path_factory.mktemp("m")
    monkeypatch.setattr(rehearsal, "IN_MEMORY", folder)
    return folder


def rehearsed() -> str:
    """Rehearse; what was logged."""
    out, clock = io.StringIO(), SystemClock()
    rehearsal.rehearse(
        builder(Config(), system_random), clock, system_random, make_logger("debug", "plain", clock, out)
    )
    return out.getvalue()


def test_all_is_answered_and_nothing_stays(memory: Path) -> None:
    rehearsed()  # modules that are read when they are needed
    before = held()
    (memory / ".restante-work-0").mkdir()  # of a start that was killed
    assert rehearsed() == ""
    assert held() <= before
    assert list(memory.iterdir()) == []


def test_one_that_cannot_be_held_is_told_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = tmp_path / ("d" * 120)  # longer than the path of a Unix socket may be
    far.mkdir()
    monkeypatch.setattr(rehearsal, "IN_MEMORY", far)
    assert " info no rehearsal, the first visits take longer reason=" in rehearsed()
    assert list(far.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("_delivery", (("", "220 "), ("EXPN all\r\n", "250 "))),
        ("_visit", (("", "* OK"), ("a SELECT INBOX\r\n", "a OK"))),
        ("_fetch", (("", "+OK"), ("STAT\r\n", "+OK"))),
        ("_fetch", (("", "+OK"), ("QUIT\r\n", "."))),
    ],
)
def test_an_answer_that_was_not_expected_ends_it(
    memory: Path, monkeypatch: pytest.MonkeyPatch, script: str, answer: rehearsal.Script
) -> None:
    monkeypatch.setattr(rehearsal, script, lambda *_: answer)
    assert answer[-1][0].strip() in rehearsed()
    assert list(memory.iterdir()) == []
