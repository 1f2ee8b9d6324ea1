"""`restante-sendmail`: what mail applications and programs call as "sendmail" (mutt, git send-email, cron, mail).

The options that they pass are understood, and those without a meaning here passed over; what cannot be done (a session
on stdin, looking at a queue, aliases) is refused by name.

    restante-sendmail [-t] [-i] [-f ADDRESS] [-F NAME] [ADDRESS ...] < message

A sender without a host, as cron passes it (`-f root`), is the copy's own address: nobody elsewhere knows a name alone.
`-C FILE` names the file of copies. Exit statuses are those of sysexits.h; 0 means that the message is on disk.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

USAGE, DATA, UNAVAILABLE, OS_ERROR, TEMPORARY, CONFIG = 64, 65, 69, 71, 75, 78

_TAKES_VALUE = frozenset("BCFfhLNOopRrVX")
"""Options with a value, behind them or in the next word."""

_NOT_HERE = {
    "bs": "an SMTP session",
    "bp": "the queue (see restante send --list)",
    "bi": "aliases",
    "bv": "verifying addresses",
    "bd": "a daemon",
    "bD": "a daemon",
    "bt": "address tests",
    "q": "the queue (see restante sync)",
}


class Misused(Exception):
    """An option that is not known, or cannot be done."""


@dataclass
class Asked:
    """header: -t. whole: -i, a line with a single dot is a line. later: -odq, only keep it. quiet: -oeq, -oem."""

    recipients: list[str] = field(default_factory=list)
    header: bool = False
    whole: bool = False
    later: bool = False
    sender: str | None = None
    name: str = ""
    config: str = ""


def parse(words: Sequence[str]) -> Asked:
    """The command line, as sendmail has it: options and addresses in any order, "--" ends options. Raises Misused."""
    asked = Asked()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            asked.recipients += rest
            break
        if not word.startswith("-") or word == "-":
            asked.recipients.append(word)
            continue
        if word.startswith("--"):
            raise Misused(f"{word} is no option of sendmail")
        _option(asked, word[1:], rest)
    return asked


def _option(asked: Asked, text: str, rest: list[str]) -> None:
    """One word of options; a value may stand in `rest`."""
    letter = text[0]
    if letter == "b" or letter == "q":
        if text != "bm":
            raise Misused(f"-{text}: {_NOT_HERE.get(text if letter == 'b' else 'q', 'this')} is not done here")
        return
    if letter in _TAKES_VALUE:
        value = text[1:]
        if not value:
            if not rest:
                raise Misused(f"-{letter} needs a value")
            value = rest.pop(0)
        _valued(asked, letter, value)
        return
    for each in text:
        if each == "t":
            asked.header = True
        elif each == "i":
            asked.whole = True
        elif each not in "nUvmGAxac":
            raise Misused(f"-{each} is no option of sendmail")
        if each in "Aac":
            return  # -Ac, -Am: which configuration; the rest is its value


def _valued(asked: Asked, letter: str, value: str) -> None:
    if letter in "fr":
        asked.sender = value if "@" in value or value in ("", "<>") else None
    elif letter == "F":
        asked.name = value
    elif letter == "C":
        asked.config = value
    elif letter == "o" and value == "i":
        asked.whole = True
    elif letter == "o" and value in ("dq", "dd"):
        asked.later = True
    elif letter == "o" and value == "t":
        asked.header = True


def main() -> None:
    """Entry point of the `restante-sendmail` script."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Keep and send the message on stdin; the exit status."""
    try:
        asked = parse(words)
    except Misused as error:
        return _complain(f"{error}.", USAGE)
    if not asked.recipients and not asked.header:
        return _complain("no recipient: name one, or say -t.", USAGE)
    from ..errors import Refusal

    try:
        return _hand_over(asked)
    except Refusal as refusal:
        status = {"CONFIG": CONFIG, "NO-WAY-OUT": CONFIG, "BAD-MESSAGE": DATA}.get(refusal.code, UNAVAILABLE)
        return _complain(str(refusal), TEMPORARY if refusal.temporary else status)
    except OSError as error:
        return _complain(f"{error.filename or 'the message'}: {error.strerror}", OS_ERROR)


def _hand_over(asked: Asked) -> int:
    from ..config.paths import data_directory
    from ..sync.load import load_copies
    from ..sync.outbox.compose import until_dot
    from ..sync.where import config_file
    from .send import MOST, keep_and_send

    copies = load_copies(Path(asked.config) if asked.config else config_file())
    raw = sys.stdin.buffer.read(MOST + 1)
    if not asked.whole:
        raw = until_dot(raw)
    status = keep_and_send(
        raw,
        copies,
        copies.data or data_directory(),
        tuple(asked.recipients),
        from_header=asked.header,
        sender=asked.sender,
        later=asked.later,
        full_name=asked.name,
        quiet=True,
    )
    return int(status)


def _complain(text: str, status: int) -> int:
    os.write(2, f"restante-sendmail: {text}\n".encode("utf-8", "backslashreplace"))
    return status
