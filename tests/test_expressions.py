"""Regular expressions find the same with every Python that is supported.

Up to 3.11.4 a possessive group (`(?:...)*+`) whose last round fails behind a repeat, a choice or a look-ahead within it
does not go back to where that round began (CPython gh-106052): what is found is too long, or nothing. Debian 12 has
3.11.2. So each expression that has such a group is tried with an older Python, where one is there, on texts made of its
own pieces.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import restante
from restante.mime import headers

OLDER = "/usr/bin/python3"

FIND = """
import hashlib, json, re, sys

for text, octets, flags, samples in json.load(sys.stdin):
    kind = (lambda value: value.encode("latin-1")) if octets else str
    expression = re.compile(kind(text), flags)
    seen = hashlib.sha256()
    for sample in map(kind, samples):
        first = expression.match(sample)
        seen.update(repr((first and (first.span(), first.groups()), expression.findall(sample))).encode())
    print(seen.hexdigest())
"""
"""What expressions find in samples: a line each."""

PIECES = (
    *('"', "\\", '\\"', "(", ")", "[", "]", "<", ">", "%", "%20", "%2", "/", "/;", ";", ":", "=", " ", "\t", "\n"),
    *("\r\n", "\n ", "a", "b", "to", "tox", "from", "From: x\n", "Subject: y\n z\n", "message-id: <a@b>\n", "NIL"),
    *("UID 12 ", "FLAGS (\\Seen)", "* 1 FETCH (UID 12 FLAGS (x))\r\n", "* 2 FETCH (", "MODSEQ (5)", ")\r\n"),
    *('INTERNALDATE "x" ', "BODY[] {12}\r\n", '(TAG "x"', "imap://", "//", "user", "@host", "/INBOX", "/;UID=1"),
    *("/;SECTION=T", ";AUTH=*", "{3}\r\n", "12", '("" "/")'),
)  # fmt: skip


def patterns() -> Iterator[re.Pattern[Any]]:
    """All expressions that modules of ours have at hand, and one that is made when it is needed."""
    for info in pkgutil.walk_packages(restante.__path__, "restante."):
        if info.name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(info.name)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("restante"):
                raise
            continue  # an extra that is not installed
        for value in vars(module).values():
            found = getattr(value, "__self__", value)  # of a method: PATTERN.match
            if isinstance(found, re.Pattern):
                yield found
    yield headers._finder(frozenset({b"to", b"from", b"subject"})).__self__  # type: ignore[attr-defined]  # a bound method of a pattern


def has_possessive_group(pattern: re.Pattern[Any]) -> bool:
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    return re.search(r"\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>", text) is not None


def test_an_older_python_finds_the_same() -> None:
    if not Path(OLDER).exists():
        pytest.skip(f"{OLDER} is not there")
    version = subprocess.run(
        [OLDER, "-c", "import sys; print(*sys.version_info[:3])"], capture_output=True, text=True, check=True
    ).stdout
    if not (3, 11) <= tuple(map(int, version.split())) < (3, 11, 5) or sys.version_info < (3, 11, 5):
        pytest.skip("one Python older than 3.11.5 and one that is not are needed")
    chance = random.Random(1)
    asked = []
    for pattern in {(each.pattern, each.flags): each for each in patterns() if has_possessive_group(each)}.values():
        octets = isinstance(pattern.pattern, bytes)
        text = pattern.pattern.decode("latin-1") if octets else pattern.pattern
        samples = ["".join(chance.choices(PIECES, k=chance.randint(1, 12))) for _ in range(1_500)]
        asked.append((text, octets, pattern.flags & ~re.UNICODE if octets else pattern.flags, samples))
    assert len(asked) > 10
    given = json.dumps(asked)
    found = [
        subprocess.run([python, "-c", FIND], input=given, capture_output=True, text=True, check=True).stdout.split()
        for python in (sys.executable, OLDER)
    ]
    differ = [text for (text, *_), now, before in zip(asked, *found, strict=True) if now != before]
    assert not differ
