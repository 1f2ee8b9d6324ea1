"""What a search looks at of messages beside their rows: texts as they are stored, unpacked when first asked for.

Texts are folded (i;unicode-casemap) and of the whole message: header fields decoded, one a line, and the body's text.
Where a query compares whole values (`query.language.FieldMatches`), the raw header comes beside them: the fields that
answers hold anyway, where no others are asked for, otherwise the message's own first octets; and the message with it
where only that tells in which charset they are.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from enum import Enum

import apsw

from ...mime.headers import header_end, known_header
from ...mime.text import PART_HEADERS
from ..errors import Damaged
from . import content
from .coding import CHUNK, LARGEST_TEXT, RAW, decode, octets_of

AT_ONCE = 2 << 20
"""Octets of texts, unpacked, that are shown between two turns of the loop: about 3 ms."""

HEADERS_AT_ONCE = 64
"""Raw headers that are shown between two turns: scanning one takes some 30 us."""

_PART_HEADERS = PART_HEADERS.encode("ascii")


class Fields(Enum):
    """Which raw header fields are wanted: none, those that stand beside every message, or all."""

    NONE = 0
    CACHED = 1
    ALL = 2


class Texts:
    """A message's texts, unpacked when first looked at. body: with the header fields of its parts at its end."""

    __slots__ = ("_body", "_fields", "_header", "_raw_body", "_raw_header")

    def __init__(self, header: bytes, body: bytes, fields: Callable[[], bytes] = bytes) -> None:
        """fields: gives the raw header, where one is wanted."""
        self._raw_header, self._raw_body = header, body
        self._header: bytes | None = None
        self._body: bytes | None = None
        self._fields: bytes | Callable[[], bytes] = fields

    @property
    def header(self) -> bytes:
        if self._header is None:
            self._header = _unpacked(self._raw_header)
        return self._header

    @property
    def body(self) -> bytes:
        if self._body is None:
            self._body = _unpacked(self._raw_body)
        return self._body

    @property
    def fields(self) -> bytes:
        """Raw octets of header fields, in order."""
        if not isinstance(self._fields, bytes):
            self._fields = self._fields()
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


Waiting = tuple[int, bytes, int, int]
"""(email, header's text, content, size) of a message whose body has no text yet."""


def show(
    db: apsw.Connection,
    emails: array[int],
    see: Callable[[int, Texts], None],
    most_header: int,
    *,
    bodies: bool,
    fields: Fields,
) -> tuple[list[Waiting], int]:
    """Show the texts that are stored, up to AT_ONCE octets: see(email, texts), which asks what it wants at once.

    The emails whose body has none, where bodies are asked; and how many of the emails, ascending, have been come to:
    one at least. most_header: octets of a header that are read for fields.
    """
    waiting: list[Waiting] = []
    octets = 0
    if fields is not Fields.NONE:
        emails = emails[:HEADERS_AT_ONCE]
    cursor = db.execute(STATEMENTS[bodies, fields], (apsw.carray(emails),))
    try:
        for email, header, body, stored, size, codec, data in cursor:
            if bodies and not body:  # none, or UNREADABLE
                waiting.append((email, header, stored, size))
            else:
                see(email, Texts(header, body, _Header(db, stored, size, codec, data, most_header)))
            octets += octets_of(header) + octets_of(body or b"") + (min(size, CHUNK) if codec else len(data or b""))
            if octets >= AT_ONCE:
                return waiting, bisect_right(emails, email)
    finally:
        cursor.close()  # not read to its end: the statement would go on
    return waiting, len(emails)


class _Header:
    """A message's raw header from its first chunk or from the fields beside it; more of the message where that is not
    enough."""

    __slots__ = ("codec", "content", "data", "db", "most", "size")

    def __init__(
        self, db: apsw.Connection, stored: int, size: int, codec: int | None, data: bytes | None, most: int
    ) -> None:
        self.db, self.content, self.size, self.codec, self.data, self.most = db, stored, size, codec, data, most

    def __call__(self) -> bytes:
        if self.codec is None or self.data is None:
            return b""  # its octets are lost, which doctor tells: as with its text, it has none
        try:
            octets = decode(self.codec, self.data)
            if len(octets) == CHUNK < self.size and header_end(octets, 0, CHUNK) < 0:
                octets = content.read(self.db, self.content, 0, self.most)
        except Damaged:
            return b""
        header = header_of(octets, self.most)
        if _is_utf8(header):
            return header
        try:
            return readable(content.read(self.db, self.content, 0, WHOLE), self.most)
        except Damaged:
            return header


WHOLE = 1 << 20
"""Octets of a message that are looked through for a charset."""


def readable(octets: bytes, most: int) -> bytes:
    """As much of a message's octets as its header fields take to be read: the header, at most so many octets of it; but
    where that is not UTF-8, the message, for the charset of its text is the header's, too."""
    header = header_of(octets, most)
    return header if _is_utf8(header) else octets[:WHOLE]


def header_of(octets: bytes, most: int) -> bytes:
    """The header of a message that is read for fields: at most so many octets of it."""
    end = header_end(octets, 0, len(octets))
    return octets[: known_header(octets, 0, len(octets) if end < 0 else end, most)]


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _statement(bodies: bool, fields: Fields) -> str:
    """(email, header's text, body's text, content, size, the raw header's codec and octets) of given emails, which are
    ascending."""
    whole, cached = fields is Fields.ALL, fields is Fields.CACHED
    sized = bodies or whole or cached
    raw = {Fields.NONE: f"{RAW}, x''", Fields.CACHED: f"{RAW}, a.headers", Fields.ALL: "h.codec, h.data"}[fields]
    content_and_size = "e.content, e.size" if sized else "0, 0"
    body = "b.body" if bodies else "x''"
    return (
        f"SELECT s.email, s.header, {body}, {content_and_size}, {raw}"
        " FROM carray(?1) AS c CROSS JOIN search_text AS s ON s.email = c.value"
        + (" CROSS JOIN email AS e ON e.key = c.value" if sized else "")
        + (" LEFT JOIN body_text AS b ON b.email = c.value" if bodies else "")
        + (" LEFT JOIN answer AS a ON a.email = c.value" if cached else "")
        + (f" LEFT JOIN chunk AS h ON h.key = e.content << {content.NUMBER_BITS}" if whole else "")
    )


STATEMENTS = {(bodies, fields): _statement(bodies, fields) for bodies in (False, True) for fields in Fields}
