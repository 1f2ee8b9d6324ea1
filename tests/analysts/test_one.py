"""One message: where it is analysed, and that long ones do not crowd out whoever waits for the interpreter."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from restante.analysts import one
from restante.analysts.one import LARGE, analysed, normalised
from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS
from restante.mime.normalise import normalise_line_ends
from restante.mime.scan import BRIEF_PARTS

SHORT = b"Subject: x\r\n\r\nbody\r\n"
LARGE_BODY = SHORT + b"x" * LARGE
ODD = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\ny\r\n" * BRIEF_PARTS
LARGE_ODD = ODD + b"x" * LARGE
TRACE = b"Delivered-To: a@example.org\r\n"


@pytest.mark.parametrize(
    ("data", "where"),
    [(SHORT, [True]), (LARGE_BODY, [False]), (ODD, [True, False]), (LARGE_ODD, [False, False])],
    ids=["short", "large", "odd", "large and odd"],
)
@pytest.mark.parametrize("before", [b"", TRACE])
def test_what_is_not_brief_is_analysed_on_a_thread(
    monkeypatch: pytest.MonkeyPatch, data: bytes, where: list[bool], before: bytes
) -> None:
    """where: whether each try is on the event loop's thread."""
    tries: list[bool] = []

    def noted(*given: Any, **named: Any) -> Any:
        tries.append(threading.current_thread() is threading.main_thread())
        return analyse(*given, **named)

    monkeypatch.setattr(one, "analyse", noted)
    assert asyncio.run(analysed(data, DEFAULT_LIMITS, before)) == analyse(data, DEFAULT_LIMITS, before)
    assert tries == where


def test_long_analyses_are_made_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is brief meanwhile does not wait for them."""
    at_work: list[int] = []
    together: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def slowly(*given: Any, brief: bool = False) -> Any:
        if brief:
            return analyse(*given, brief=True)
        at_work.append(1)
        together.append(len(at_work))
        begun.set()
        assert go_on.wait(30)
        found = analyse(*given)
        at_work.pop()
        return found

    monkeypatch.setattr(one, "analyse", slowly)

    async def scene() -> None:
        odd = [asyncio.create_task(analysed(ODD, DEFAULT_LIMITS)) for _ in range(4)]
        assert await asyncio.to_thread(begun.wait, 30)
        assert await analysed(SHORT, DEFAULT_LIMITS) == analyse(SHORT)
        assert await analysed(LARGE_BODY, DEFAULT_LIMITS) == analyse(LARGE_BODY)
        assert not any(task.done() for task in odd)
        go_on.set()
        assert await asyncio.gather(*odd) == [analyse(ODD)] * 4

    asyncio.run(scene())
    assert together == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("data", "here"),
    [
        (b"a\n" * 4, True),
        (b"a\n" * LARGE, False),
        (b"a\rb\n" * LARGE, False),
        (b"a\r\n" * LARGE, True),
        (b"a" * 2 * LARGE, False),
    ],
    ids=["short", "large", "large, with CRs", "large, nothing to do", "no line ends"],
)
def test_line_ends_of_a_large_message_are_changed_on_a_thread(
    monkeypatch: pytest.MonkeyPatch, data: bytes, here: bool
) -> None:
    tries: list[bool] = []

    def noted(octets: bytes) -> bytes:
        tries.append(threading.current_thread() is threading.main_thread())
        return normalise_line_ends(octets)

    monkeypatch.setattr(one, "normalise_line_ends", noted)
    assert asyncio.run(normalised(data)) == normalise_line_ends(data)
    assert tries == [here]
