"""JSON as JMAP sends it: I-JSON. Pure.

Two readers of JSON that is not I-JSON may understand two things by it, so none of it is understood here: a name that
stands twice in an object, half of a surrogate pair, a character that Unicode keeps free of characters, and numbers that
are none. RFC 8620 1.5, RFC 7493 2.
"""

from __future__ import annotations

import json
import re
from math import isinf
from typing import NoReturn

_NEITHER = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef" + "".join(chr(n << 16 | e) for n in range(17) for e in (0xFFFE, 0xFFFF)) + "]"
)
"""Halves of surrogate pairs, and noncharacters (RFC 7493 2.1)."""


class BadJson(ValueError):
    """Not I-JSON: `notJSON` of RFC 8620 3.6.1. Its text is one sentence in ASCII, for who wrote the client."""


def read_json(text: str | bytes) -> object:
    """The value that a text of I-JSON stands for, as json.loads gives it. Raises BadJson.

    bytes: UTF-8, without a byte order mark (RFC 7493 2.1). Cost: that of json.loads, and a look at each string.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_float)
        _look_at(value)
    except BadJson:
        raise
    except UnicodeDecodeError as error:
        raise BadJson("This is not UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise BadJson("This cannot be read as JSON.") from error
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise BadJson(f"{json.dumps(name[:40])} stands twice in one object.")
            seen.add(name)
    return found


def _no_number(name: str) -> NoReturn:
    raise BadJson(f"{name} is no number in JSON.")


def _float(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise BadJson("A number is larger than numbers may be.")  # RFC 7493 2.2
    return number


def _look_at(value: object) -> None:
    """Raises BadJson where a string or a name within has a character that may stand in none."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                if bad := _NEITHER.search(text):
                    raise BadJson(f"A string has {ord(bad[0]):04X} in it, which is no character.")
            case dict(members):
                waiting += members
                waiting += members.values()
            case list(items):
                waiting += items
            case _:
                pass
