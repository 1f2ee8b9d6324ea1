"""PARTIAL's range, which SEARCH and UID FETCH share. RFC 9394 4."""

from __future__ import annotations

import re

from . import commands as c
from .sets import MAX_NUMBER
from .tokens import Cursor

_RANGE = re.compile(rb"(-?)([1-9][0-9]{0,9}):(-?)([1-9][0-9]{0,9})(?![0-9])")


def partial_range(cursor: Cursor) -> c.Partial:
    """partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number (RFC 9394 4)"""
    start = cursor.pos
    raw = cursor.match(_RANGE, "a range of results")
    found = _RANGE.fullmatch(raw)
    if found is None or found[1] != found[3] or max(int(found[2]), int(found[4])) > MAX_NUMBER:
        cursor.pos = start
        raise cursor.bad("Invalid range of results")
    sign = -1 if found[1] else 1
    return c.Partial(sign * int(found[2]), sign * int(found[4]))
