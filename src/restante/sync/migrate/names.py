"""Which mailboxes go, and what they are called at the target. Pure.

A name is found in this order: what `--map` says; what an earlier run chose; the target's mailbox of the same special
use ("[Gmail]/Sent Mail" goes to "Sent"); the name itself. Where a target refuses a name, `spellings` gives the next
one: characters that servers mind become "_", then levels are joined from the deepest up.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from ...errors import Refusal
from ..model import Place
from ..patterns import canonical, fits
from .model import AllMail, LeftOut

LONGEST_LEVEL = 100
GMAIL = ("[Gmail]/", "[Google Mail]/")
VIEWS = frozenset({"\\All", "\\Flagged", "\\Important"})
"""Special uses that at Gmail are views of mail that is in other mailboxes too."""

_MINDED = re.compile(r"[%*.\\\"~^#&{}:<>|?]")
_UNSAFE = re.compile(r"[^\w \-()+@]")


class BadMap(Refusal):
    """A `--map` that is none."""

    code = "BAD-MAP"


def choose(
    places: Iterable[Place],
    only: Sequence[str],
    exclude: Sequence[str],
    all_mail: AllMail,
    nameless: Collection[str] = (),
) -> tuple[list[Place], list[LeftOut]]:
    """The mailboxes that go, those that show all mail last, and those that do not go. Raises Refusal where a pattern
    of `only` or `exclude` fits no mailbox: it would be believed to have been heeded.

    nameless: others, that cannot go, as they are shown: of these those that were not to go."""
    places = [place for place in places if place.selectable]
    for text in (*only, *exclude):
        if not any(fits(name, text) for name in (*(place.name for place in places), *nameless)):
            raise Refusal(
                f"No mailbox of the source is called {text}.", "Names are as IMAP shows them, / between levels."
            )
    going: list[Place] = []
    late: list[Place] = []
    left = [
        LeftOut(name, "as asked")
        for name in nameless
        if (only and not any(fits(name, text) for text in only)) or any(fits(name, text) for text in exclude)
    ]
    for place in places:
        named = any(fits(place.name, text) for text in only)
        if (only and not named) or any(fits(place.name, text) for text in exclude):
            left.append(LeftOut(place.name, "as asked"))
        elif is_view(place) and not (named and place.role != "\\All") and all_mail is not AllMail.COPY:
            if place.role == "\\All" and (all_mail is AllMail.REST or named):
                late.append(place)
            else:
                left.append(LeftOut(place.name, _why(place)))
        else:
            going.append(place)
    return [*going, *late], left


def is_view(place: Place) -> bool:
    """Whether the mailbox shows messages that other mailboxes hold: all mail, and at Gmail starred and important."""
    return place.role == "\\All" or (place.role in VIEWS and place.name.startswith(GMAIL))


def _why(place: Place) -> str:
    if place.role == "\\All":
        return "it shows all mail: what is in no other mailbox (archived at Gmail) goes along with --all-mail rest"
    return "it shows messages that other mailboxes hold"


def parse_map(text: str) -> tuple[str, str]:
    """OLD=NEW. OLD "A/" means what lies below A, without A; NEW may be empty, then levels below come to the top.

    A "=" in OLD is written "\\=". Raises BadMap.
    """
    old, found, new = re.sub(r"\\=", "\0", text).partition("=")
    old, new = canonical(old.replace("\0", "=")), canonical(new.replace("\0", "=")).rstrip("/")
    if not found or not old or old == "/":
        raise BadMap(f"{text} names no two mailboxes.", 'Write --map "Old name=New name".')
    if not new and not old.endswith("/"):
        raise BadMap(f"{text} gives {old} no name.", f'Write --map "{old}/=" to bring what lies below it to the top.')
    return old, new


def mapped(name: str, maps: Iterable[tuple[str, str]]) -> str | None:
    """The name that the longest fitting map gives, None where none fits. A map holds for what lies below, too."""
    best: tuple[int, str] | None = None
    for old, new in maps:
        if name == old:
            rank, made = len(old) + 1, new
        elif name.startswith(below := old if old.endswith("/") else old + "/"):
            rest = name[len(below) :]
            rank, made = len(old), f"{new}/{rest}" if new else rest
        else:
            continue
        if best is None or rank > best[0]:
            best = (rank, made)
    return canonical(best[1]) if best else None


def spellings(name: str) -> Iterator[str]:
    """The name, and what it becomes where a target refuses that, best first; each once.

    1. as it is; 2. without what servers mind (controls, wildcards, separators; a level of at most 100 characters);
    3. with letters, digits, spaces and -_()+@ alone; 4. as 2 and 3, the deepest levels joined by "_" until one is left;
    5. with a number, for a name that differs from another in case alone.
    """
    levels = name.split("/")
    mild = [_level(level, _MINDED) for level in levels]
    strict = [_level(level, _UNSAFE) for level in levels]
    tried = [levels, mild, strict]
    for depth in range(len(levels) - 1, 0, -1):
        tried += [[*kind[: depth - 1], "_".join(kind[depth - 1 :])] for kind in (mild, strict)]
    seen: set[str] = set()
    for each in [*("/".join(kind) for kind in tried), f"{'/'.join(mild)} (2)", f"{'/'.join(strict)}_2"]:
        if each not in seen:
            seen.add(each)
            yield each


def _level(level: str, minded: re.Pattern[str]) -> str:
    text = "".join(c if c.isprintable() else "_" for c in level)
    text = minded.sub("_", text).strip()[:LONGEST_LEVEL].rstrip()
    return text or "_"


def free(name: str, taken: set[str]) -> str:
    """The name, with a number where another mailbox goes to it already (whatever the case of its letters)."""
    unique, number = name, 2
    while unique.casefold() in taken:
        unique = f"{name} ({number})"
        number += 1
    return unique
