"""Ctrl-C at a command: one ends it, with a line and no traceback."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import pytest

from restante.cli.common import confirm, new_password, old_hash
from restante.cli.statuses import Exit


@pytest.mark.parametrize(
    ("arguments", "room", "status"),
    [
        (["status"], "restante.cli.main", Exit.REFUSED),
        (["sync"], "restante.sync.unchanged.again", Exit.TEMPORARY),
        (["sync", "work"], "restante.sync.where", Exit.TEMPORARY),
        (["backup", "list"], "restante.cli.backup_again", Exit.REFUSED),
    ],
)
def test_an_interrupt_while_modules_are_loaded_is_a_line(arguments: list[str], room: str, status: Exit) -> None:
    script = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has it passed over
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == {room!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Pressed())
sys.argv[1:] = {arguments!r}
from restante.cli.entry import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.split()) == (status, ["Aborted!"])


class Interrupted:
    """A terminal at which somebody presses Ctrl-C, once, instead of an answer."""

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        signal.raise_signal(signal.SIGINT)
        return "y\n"


@pytest.fixture
def heard() -> Iterator[None]:
    """Interrupts are heard, also where the tests run as a job in the background, which passes them over."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(
    "ask",
    [
        lambda: confirm("All will be gone for good.", yes=False),
        lambda: new_password(from_stdin=False),
        lambda: new_password(from_stdin=True),
        lambda: old_hash("-", password_stdin=False),
    ],
)
def test_one_interrupt_ends_a_command_that_asks(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> None:
    monkeypatch.setattr(sys, "stdin", Interrupted())
    for asking in ("confirm", "prompt"):
        monkeypatch.setattr(click, asking, lambda *_, **__: sys.stdin.readline())
    answered: list[object] = []

    async def work() -> None:
        answered.append(ask())

    async def late() -> None:
        signal.raise_signal(signal.SIGINT)  # before it asks
        await work()

    for each in (work, late):
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(each())
    assert not answered
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_passes_interrupts_over_does_so_while_he_asks(monkeypatch: pytest.MonkeyPatch, heard: None) -> None:
    monkeypatch.setattr(sys, "stdin", Interrupted())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert new_password(from_stdin=True) == "y"


def test_an_interrupt_before_the_question_ends_a_command_that_asks(
    monkeypatch: pytest.MonkeyPatch, heard: None
) -> None:
    """The loop has taken note of it, and tells nobody before the answer."""

    asked: list[None] = []

    class Answering(Interrupted):
        def readline(self) -> str:
            asked.append(None)
            return "y\n"

    async def work() -> None:
        signal.raise_signal(signal.SIGINT)
        new_password(True)

    monkeypatch.setattr(sys, "stdin", Answering())
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(work())
    assert not asked
