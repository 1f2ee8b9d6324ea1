"""What a search looks at of messages beside their rows: texts as they are stored, unpacked when first asked for.

Texts are folded (i;unicode-casemap) and of the whole message: header fields decoded, one a line, and the body's text.
Where a query compares whole values (`query.language.FieldMatches`), the header itself comes beside them: the fields
that answers hold anyway, where no others are asked for, otherwise the message's own first octets. Of some messages all
octets are read for it, apart: where the header goes on, or where only the text tells in which charset it is.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

import apsw

from ...mime.decode import reads_alone
from ...mime.headers import header_end, known_header
from ...mime.model import Limits
from ...mime.text import PART_HEADERS
from ...query.fields import Header
from ..errors import Damaged
from .coding import CHUNK, LARGEST_TEXT, RAW, decode, octets_of
from .content import NUMBER_BITS
from .shown import evened

AT_ONCE = 2 << 20
"""Octets of texts, unpacked, that are shown between two turns of the loop: about 3 ms."""

APART = 8 * AT_ONCE
"""Octets, counted once for each key that looks at them, from which on one message is looked at on a thread."""

_KEY = 64
"""What a key costs of a text however short, in octets."""

COMPARING = 64
"""What an octet of a header costs that is read for its fields, in octets of text, for each condition."""

_PART_HEADERS = PART_HEADERS.encode("ascii")


class Fields(Enum):
    """Which raw header fields are wanted: none, those that stand beside every message, or all."""

    NONE = 0
    CACHED = 1
    ALL = 2


@dataclass(slots=True)
class Wanted:
    """What a query looks at. compared: how many of its conditions compare values of header fields. keys: what all that
    look at texts cost, each as often as it looks for a string in all of one."""

    bodies: bool = False
    fields: Fields = Fields.NONE
    compared: int = 0
    keys: int = 0


class Texts:
    """A message's texts, unpacked when first looked at. body: with the header fields of its parts at its end."""

    __slots__ = ("_body", "_even", "_fields", "_header", "_raw_body", "_raw_header")

    def __init__(self, header: bytes, body: bytes, fields: Header | None = None) -> None:
        """fields: the header itself, where its values are compared."""
        self._raw_header, self._raw_body = header, body
        self._header: bytes | None = None
        self._even: bytes | None = None
        self._body: bytes | None = None
        self._fields = fields

    @property
    def header(self) -> bytes:
        if self._header is None:
            self._header = _unpacked(self._raw_header)
        return self._header

    @property
    def even_header(self) -> bytes:
        """The header with one blank between words: a line that was folded has what it was folded with, a tab or several
        blanks, and is shown with one."""
        if self._even is None:
            self._even = evened(self.header)
        return self._even

    @property
    def body(self) -> bytes:
        if self._body is None:
            self._body = _unpacked(self._raw_body)
        return self._body

    @property
    def fields(self) -> Header:
        """The header's fields, for all that compares their values."""
        if self._fields is None:
            raise TypeError("a query that compares values has to say so (Wanted.compared)")
        return self._fields

    def in_body(self, raw: bytes) -> bool:
        """Whether the body holds a folded needle, before the header fields of its parts. Cost where it is not there: as
        of looking in all of it."""
        body = self.body
        at = body.find(raw)  # a needle has no mark: where the first stands behind it, so do all
        return at >= 0 and body.find(_PART_HEADERS, 0, at) < 0


def _unpacked(stored: bytes) -> bytes:
    """UTF-8 octets of a text column (content.encode_text). UTF-8 is self-synchronising: a substring of octets is a
    substring of characters."""
    return decode(stored[0], stored[1:], LARGEST_TEXT) if stored else b""


Waiting = tuple[int, bytes, bytes, int, int]
"""(email, header's text, body's text, content, size) of a message that has to be read: for a body's text that is not
there yet (empty), or for its header."""


def show(
    db: apsw.Connection, emails: array[int], see: Callable[[int, Texts], None], limits: Limits, wanted: Wanted
) -> tuple[list[Waiting], int, list[tuple[int, Texts]]]:
    """Show the texts that are stored, up to AT_ONCE octets for each key that looks at them: see(email, texts).

    The emails that have to be read; how many of the emails, ascending, have been come to: one at least; and those, with
    their texts, that are to be shown on a thread. limits: those by which headers are read for fields.
    """
    waiting: list[Waiting] = []
    apart: list[tuple[int, Texts]] = []
    octets = 0
    keys = max(1, wanted.keys)
    fields: Header | None = None
    cursor = db.execute(STATEMENTS[wanted.bodies, wanted.fields], (apsw.carray(emails),))
    try:
        for email, header, body, stored, size, codec, data in cursor:
            of_header = octets_of(header)
            looked_at = (of_header + octets_of(body or b"")) * keys + _KEY * (keys - 1)
            octets += looked_at
            own: bytes | None = b""
            if wanted.compared:
                # Of more fields than are read some stand beside the message all the same: such a one is read itself.
                own = _own_header(codec, data, size, limits.header) if of_header < limits.fields * 3 else None
                if own is not None:
                    fields = Header(own, limits)
                octets += (min(size, CHUNK) if codec else 0) + COMPARING * wanted.compared * len(own or b"")
            if own is None or (wanted.bodies and not body):  # none, or UNREADABLE
                waiting.append((email, header, body or b"", stored, size))
            elif looked_at >= APART:
                apart.append((email, Texts(header, body, fields)))
            else:
                see(email, Texts(header, body, fields))
            if octets >= AT_ONCE:
                return waiting, bisect_right(emails, email), apart
    finally:
        cursor.close()  # not read to its end: the statement would go on
    return waiting, len(emails), apart


def see_all(some: Iterable[tuple[int, Texts]], see: Callable[[int, Texts], None]) -> None:
    """Show texts one after the other."""
    for email, texts in some:
        see(email, texts)


def _own_header(codec: int | None, data: bytes | None, size: int, most: int) -> bytes | None:
    """A message's header, of its first chunk or of the fields beside it; None where more has to be read."""
    if codec is None or data is None:
        return b""  # its octets are lost, which doctor tells: as with its text, it has none
    try:
        octets = decode(codec, data)
    except Damaged:
        return b""
    end = header_end(octets, 0, len(octets))
    if end < 0 and len(octets) == CHUNK < size:
        return None
    header = octets[: known_header(octets, 0, len(octets) if end < 0 else end, most)]
    return header if reads_alone(header) else None


def _statement(bodies: bool, fields: Fields) -> str:
    """(email, header's text, body's text, content, size, the raw header's codec and octets) of given emails, which are
    ascending."""
    whole, cached = fields is Fields.ALL, fields is Fields.CACHED
    sized = bodies or fields is not Fields.NONE
    raw = {Fields.NONE: f"{RAW}, x''", Fields.CACHED: f"{RAW}, a.headers", Fields.ALL: "h.codec, h.data"}[fields]
    content_and_size = "e.content, e.size" if sized else "0, 0"
    body = "b.body" if bodies else "x''"
    return (
        f"SELECT s.email, s.header, {body}, {content_and_size}, {raw}"
        " FROM carray(?1) AS c CROSS JOIN search_text AS s ON s.email = c.value"
        + (" CROSS JOIN email AS e ON e.key = c.value" if sized else "")
        + (" LEFT JOIN body_text AS b ON b.email = c.value" if bodies else "")
        + (" LEFT JOIN answer AS a ON a.email = c.value" if cached else "")
        + (f" LEFT JOIN chunk AS h ON h.key = e.content << {NUMBER_BITS}" if whole else "")
    )


STATEMENTS = {(bodies, fields): _statement(bodies, fields) for bodies in (False, True) for fields in Fields}
