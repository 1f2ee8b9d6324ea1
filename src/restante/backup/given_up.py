"""Whether a run without an engine (`cli.backup_aside`) is worth trying: where it gave up twice in a row, it does again.

What is not ordinary is mended by the engine that then opens it, as a rule, and the next run is a short one. A damaged
account stays as it is: a run would come to it each night, late perhaps, give up, and begin again as a whole one. So
that is noted in the data folder, and tried again only some days later. Imports next to nothing.
"""

from __future__ import annotations

import os

from . import ahead, unchanged

OFTEN = 2
"""Times in a row after which it is expected."""
PAUSE = 7 * 86400
"""Seconds after which it is tried again all the same."""


def is_expected(data: str, asked: list[str], now: float) -> bool:
    """Whether a run that is asked for by these words (`unchanged.Note.asked`) would give up again. Costs a look for a
    file, which is not there as a rule."""
    times, at = _read(data, asked)
    return times >= OFTEN and 0 <= now - at < PAUSE


def note(data: str, asked: list[str], now: float) -> None:
    """It gave up once more. Where that cannot be written, the next run tries it again."""
    path = _path(data, asked)
    part = f"{path}.{os.getpid()}"
    try:
        # Of a data folder that is not there, none is made.
        if not os.path.isdir(f"{data}/{unchanged.FOLDER}"):  # noqa: PTH112 (pathlib is not loaded)
            os.mkdir(f"{data}/{unchanged.FOLDER}", 0o700)  # noqa: PTH102 (pathlib is not loaded)
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(number, b"%d %d\n" % (_read(data, asked)[0] + 1, int(now)))
        finally:
            os.close(number)
        os.replace(part, path)  # noqa: PTH105 (pathlib is not loaded)
    except OSError:
        unchanged.unlink(part)


def forget(data: str, asked: list[str]) -> None:
    """It did not give up."""
    unchanged.unlink(_path(data, asked))


def _path(data: str, asked: list[str]) -> str:
    return unchanged.path_of(data, asked, "given-up")


def _read(data: str, asked: list[str]) -> tuple[int, int]:
    """(times in a row, seconds UTC of the last one); zeros where nothing is noted."""
    words = (ahead.read(_path(data, asked), ahead.MOST_SLOT) or b"").split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return 0, 0
    return int(words[0]), int(words[1])
