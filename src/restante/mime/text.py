"""Searchable text and preview of a message: decoded, HTML as text, folded.

Text parts in order, then for each nested message its header fields, for each attachment its name. At most
`Limits.text` characters; a part is decoded only as far as that needs. RFC 9051 6.4.4 (SEARCH), RFC 8970 3.1.
"""

from __future__ import annotations

from .charsets import decode_charset, guess
from .decode import decode_header, decode_transfer, parameter_text
from .fold import fold
from .headers import Fields, first, unfold
from .html import MAX_TAGS, html_text
from .model import Limits, SearchText
from .parameters import disposition
from .scan import Entity

PREVIEW = 200
"""Characters of a preview (RFC 8970 3.1)."""

MAX_HTML = 2 << 20
"""Characters of one HTML part that are read."""

_PREVIEW_SOURCE = 4_000


class TextReader:
    """Reads one message's text. fallback: the charset for raw 8-bit in header fields."""

    __slots__ = ("data", "fallback", "left", "limits", "pieces", "plain", "rich", "tags_left")

    def __init__(self, data: bytes, root: Entity, limits: Limits) -> None:
        self.data = data
        self.limits = limits
        self.left = limits.text
        self.tags_left = MAX_TAGS
        self.pieces: list[str] = []
        self.plain = ""
        self.rich = ""
        self.fallback = "" if data.isascii() else _declared_charset(root)
        self.walk(root)

    def walk(self, entity: Entity) -> None:
        """Collect the text of an entity and what lies in it."""
        part = entity.part
        if b"content-disposition" in entity.fields or b"name" in _names(entity):
            self.name(entity)
        if part.type == "text":
            self.text(entity)
        nested = part.type == "message"
        for child in entity.children:
            if nested:
                self.header(child)
            self.walk(child)

    def text(self, entity: Entity) -> None:
        part = entity.part
        if self.left <= 0 or part.end == part.body:
            return
        stop = min(part.end, part.body + 4 * self.left)
        raw = self.data[part.body : stop]
        octets = decode_transfer(raw, part.encoding)
        if octets is None:
            octets = raw
        del raw
        if part.subtype != "html" and octets.isascii():
            octets = octets[: self.left]  # no character has less than an octet: the rest would be cut off as text
        text = self.decoded(octets, part.charset)
        if part.subtype == "html":
            text = text[:MAX_HTML]
            tags = text.count("<")
            text = html_text(text, self.tags_left)
            self.tags_left -= min(tags, self.tags_left)
            if not self.rich:
                self.rich = text[:_PREVIEW_SOURCE]
        elif not self.plain and part.subtype == "plain" and not _attached(entity):
            self.plain = text[:_PREVIEW_SOURCE]
        self.add(text)

    def decoded(self, octets: bytes, charset: str) -> str:
        if octets.isascii() or charset:
            return decode_charset(octets, charset, self.fallback)
        return decode_charset(octets, "", guess(octets) or self.fallback)

    def add(self, text: str) -> None:
        if len(text) > self.left:
            text = text[: self.left]
        if text:
            self.left -= len(text)
            self.pieces.append(text)

    def name(self, entity: Entity) -> None:
        """The name of an attachment."""
        field = first(entity.fields, b"content-disposition")
        name = None
        if field is not None:
            found = disposition(field, self.limits.parameters)
            name = parameter_text(found.parameters, b"filename", self.fallback)
        if name is None:
            name = parameter_text(entity.parameters, b"name", self.fallback)
        if name:
            self.add(name)

    def header(self, nested: Entity) -> None:
        """Fields of a nested message, one a line."""
        if self.left > 0:
            lines = [
                f"{name.decode('ascii').title()}: {decode_header(unfold(value), self.fallback)}"
                for name, values in nested.fields.items()
                for value in values
            ]
            self.add("\n".join(lines))

    def search_text(self, split: list[tuple[bytes, bytes]], fields: Fields) -> SearchText:
        """What SEARCH looks at. split: the message's header fields, fields: the same by name."""
        return SearchText(
            sender=self.joined(fields, b"from"),
            recipient=self.joined(fields, b"to"),
            cc=self.joined(fields, b"cc"),
            bcc=self.joined(fields, b"bcc"),
            subject=self.joined(fields, b"subject"),
            header=fold(self.header_lines(split)),
            body=fold("\n".join(self.pieces)),
        )

    def joined(self, fields: Fields, name: bytes) -> str:
        values = fields.get(name)
        if values is None:
            return ""
        return fold("\n".join([decode_header(unfold(value), self.fallback) for value in values]))

    def header_lines(self, split: list[tuple[bytes, bytes]]) -> str:
        raw = b"\n".join([b"%b: %b" % (name, unfold(value)) for name, value in split])
        if b"=?" not in raw and raw.isascii():
            return raw.decode("ascii")
        return "\n".join(
            [f"{name.decode('ascii')}: {decode_header(unfold(value), self.fallback)}" for name, value in split]
        )

    def preview(self) -> str:
        """At most 200 characters of the first readable text, white space collapsed."""
        text = " ".join((self.plain or self.rich).split())
        return text[:PREVIEW]


def _attached(entity: Entity) -> bool:
    field = entity.fields.get(b"content-disposition")
    return field is not None and field[0][:10].lower() == b"attachment"


def _names(entity: Entity) -> list[bytes]:
    return [name.lower().partition(b"*")[0] for name, _ in entity.parameters]


def _declared_charset(root: Entity) -> str:
    """The charset of the first text part that declares one of its own: the best guess for raw 8-bit fields."""
    waiting = [root]
    while waiting:
        entity = waiting.pop()
        if entity.part.type == "text" and entity.part.charset not in ("", "us-ascii"):
            return entity.part.charset
        waiting.extend(reversed(entity.children))
    return ""
