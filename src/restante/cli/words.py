"""What is said to people, without click: a run of `restante sync`, which comes each minute, does not import it."""

from __future__ import annotations

import sys

from ..errors import Refusal
from .statuses import Exit


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print it, at once. Nothing where the stream was closed before we began. Raises OSError."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None:
        stream.write(f"{text}\n" if nl else text)
        stream.flush()


STORE_FAILED = "STORE-FAILED"
"""Code of a refusal whose text, made for peers, hides what went wrong."""


def complain(refusal: Refusal) -> None:
    """Print what was refused and what to do, one line each, to stderr."""
    # What was typed, or comes from a server, is in it: nothing of that may move a terminal's cursor.
    echo(f"restante: {lines(refusal.text)}", err=True)
    if refusal.code == STORE_FAILED and refusal.__cause__ is not None:
        # Who runs commands is the operator, whom peers are told to ask: to them the reason is of use.
        echo(f"  {cell(f'{type(refusal.__cause__).__name__}: {refusal.__cause__}')}", err=True)
    elif refusal.remedy:
        echo(f"  {lines(refusal.remedy)}", err=True)


NOT_FOUND_CODES = frozenset({"NOT-FOUND", "NO-SUCH-ACCOUNT", "NO-SUCH-MAILBOX", "UNKNOWN-PERSON"})


def status_of(refusal: Refusal) -> Exit:
    """The exit status that tells a script what kind of refusal it was."""
    if refusal.code in NOT_FOUND_CODES:
        return Exit.NOT_FOUND
    return Exit.TEMPORARY if refusal.temporary else Exit.REFUSED


def cell(value: object) -> str:
    """One table cell: lists joined, None as "-", control characters shown as "?"."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, tuple | list | frozenset) else str(value)
    return "".join(c if c.isprintable() else "?" for c in text)


def lines(text: str) -> str:
    """Text of several lines, control characters within them shown as "?"."""
    return "\n".join(map(cell, text.split("\n")))


def columns(text: str) -> int:
    """Columns of a terminal that a text takes: two for wide characters (UAX #11), none for combining ones."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.category(c) in ("Mn", "Me") for c in text)


def human_size(octets: int) -> str:
    """Octets for people: "1.4 MB"."""
    size = float(octets)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def count(number: int, noun: str) -> str:
    """A number and its noun: "1 message", "2 messages", "1 mailbox", "2 mailboxes"."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}{'es' if noun.endswith('x') else 's'}"
