"""Flags as letters behind ":2," in a file's name, and back. Pure.

`info` is that end of the name with its separator (b":2,FS"), empty where there is none. Letters whose meaning is not
known, and whatever stands behind a second comma, stay as they are: they are another program's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ...exchange.letters import LETTERS, is_keyword
from ..model import Flags

_INFO = re.compile(rb"[;!]2,")
SYSTEM: Mapping[str, str] = {flag.lower(): letter for letter, flag in LETTERS.items()}
"""Letter by flag in small letters; "$forwarded" is among them."""

DEFAULT_SEPARATOR = b":"


def split(file: bytes) -> tuple[bytes, bytes]:
    """A file's name as its unique part, which stays, and its info, which changes."""
    name, info, letters = file.partition(b":2,")
    if info:
        return name, info + letters
    found = _INFO.search(file)
    return (file, b"") if found is None else (file[: found.start()], file[found.start() :])


def letters_in(info: bytes) -> str:
    """The letters alone, in their order."""
    return info[3:].partition(b",")[0].decode("ascii", "replace")


def names_of(info: bytes, keywords: Mapping[str, str]) -> list[str]:
    """Flags that an info says. keywords: by letter; what has no meaning is passed over."""
    found = []
    for letter in letters_in(info):
        if letter in LETTERS:
            found.append(LETTERS[letter])
        elif is_keyword(keywords.get(letter, "")):
            found.append(keywords[letter])
    return found


def changed(info: bytes, add: Iterable[str], remove: Iterable[str], separator: bytes = DEFAULT_SEPARATOR) -> bytes:
    """The info with letters added and removed, in the order of ASCII. Without any letter ":2," remains."""
    head, (letters, comma, rest) = info[:3], info[3:].partition(b",")
    kept = (set(letters.decode("latin-1")) | set(add)) - set(remove)
    return (head or separator + b"2,") + "".join(sorted(kept)).encode("latin-1") + comma + rest


def split_flags(flags: Flags) -> tuple[str, list[str]]:
    """Flags as letters that mean the same in every folder, and the keywords that need one of the folder's."""
    letters, keywords = "", []
    for flag in flags:
        letter = SYSTEM.get(flag.lower())
        if letter is not None:
            letters += letter
        else:
            keywords.append(flag)
    return letters, keywords
