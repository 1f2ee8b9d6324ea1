"""Searchable text and preview of a message: decoded, HTML as text, folded.

Text parts in order, then for each nested message its header fields, for each attachment its name; behind all that,
and behind `PART_HEADERS`, the MIME header fields of parts, in which TEXT looks and BODY does not. At most
`Limits.text` characters, and `MOST_FOLDED` times as many once they are folded; a part is decoded only as far as that
needs. The text of the body costs more than all else that is kept beside a message and nobody waits for it: `body_text`
makes it apart, behind delivery, while the preview reads the beginning of one part. RFC 9051 6.4.4 (SEARCH), RFC 8970
3.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from .charsets import LONGEST_LABEL, begins_as_ascii, codec, decode_charset, guess
from .decode import MOST_KEPT, decode_header, decode_transfer, parameter_text
from .fold import fold, fold_within, may_have_long_run
from .headers import Fields, OwnHeader, first
from .html import MAX_TAGS, html_text
from .model import Lengthy, Limits, Part, SearchText
from .parameters import disposition
from .scan import Entity, Scan, scan

PART_HEADERS = "h"
"""Stands before the header fields of parts, where there are such. No folded text has a small letter of ASCII: so no
content passes for this mark, and no needle holds it or reaches over it."""

PREVIEW = 200
"""Characters of a preview (RFC 8970 3.1)."""

MAX_HTML = 2 << 20
"""Characters of one HTML part that are read."""

MOST_FOLDED = 4
"""Characters kept for each that `Limits.text` allows: Hangul becomes three when it is folded, but one ligature of
Arabic eighteen, of which 24 MB would be 144 million characters to keep, and more than a store keeps as one text."""

_WORDS = PREVIEW // 2 + 16
"""Words that fill a preview, and what `_CUT` asks for, if they have a letter each."""

_PREVIEW_SOURCE = 4_000
"""Octets of a plain part, and characters of any text, that a preview is read from."""

_PREVIEW_FEW = 700
"""Octets of a plain part that are nearly always enough."""

_PREVIEW_HTML = 64 * 1024
"""Octets of an HTML part that a preview is read from: style sheets stand before the text."""

BRIEF_TAGS = 2_000
"""Tags of a brief preview: ten thousand within one another take 70 ms, so many 3."""

_MOST_APART = 30_000
"""Octets of a header whose fields are folded one by one: as text it is no more than is folded at once."""

_MOST_MARKS = 100
"""Octets of a value, encoded words and all, that cannot hold as many marks in a row as folding looks for."""

_CUT = 16
"""Characters at the end of what was cut that may not be what they would have been."""


def body_text(data: bytes, limits: Limits) -> str:
    """`SearchText.body` of a message: its octets as stored, read again. Cost is linear in them."""
    scanned = scan(data, limits)
    return _BodyReader(data, scanned.root, limits, fallback_charset(scanned)).read()


ELSEWHERE = frozenset({"partial", "external-body"})
"""Messages whose text is not here, or not whole."""


class _BodyReader:
    """Collects the text of one message. fallback: the charset for raw 8-bit in header fields. parts: those below the
    root whose headers are not text of a message, in order."""

    __slots__ = ("data", "fallback", "left", "limits", "parts", "pieces", "root", "tags_left")

    def __init__(self, data: bytes, root: Entity, limits: Limits, fallback: str) -> None:
        self.data = data
        self.root = root
        self.limits = limits
        self.fallback = fallback
        self.left = limits.text
        self.tags_left = MAX_TAGS
        self.pieces: list[str] = []
        self.parts: list[Entity] = []

    def read(self) -> str:
        self.walk(self.root)
        most = MOST_FOLDED * self.limits.text
        text = fold_within("\n".join(self.pieces), most)
        fields = self.part_headers() if self.parts else ""
        return f"{text}{PART_HEADERS}{fold_within(fields, most - len(text))}" if fields else text

    def walk(self, entity: Entity) -> None:
        """Collect the text of an entity and what lies in it."""
        part = entity.part
        if b"content-disposition" in entity.fields or b"name" in _names(entity):
            self.name(entity)
        if part.type == "text" or (part.type == "message" and not entity.children and part.subtype not in ELSEWHERE):
            self.text(entity)  # reports of deliveries are fields
        nested = part.type == "message"
        for child in entity.children:
            if nested:
                self.header(child)
            elif child.fields:
                self.parts.append(child)
            self.walk(child)

    def text(self, entity: Entity) -> None:
        part = entity.part
        if self.left <= 0 or part.end == part.body:
            return
        text = self.beginning(part, min(self.left, MAX_HTML) if part.subtype == "html" else self.left)
        if part.subtype == "html":
            tags = text.count("<")
            text = html_text(text, self.tags_left)
            self.tags_left -= min(tags, self.tags_left)
        self.add(text)

    def beginning(self, part: Part, most: int) -> str:
        """The first `most` characters of a text part.

        Of a large part the beginning is tried first that gives them if most characters are octets; else as much is
        read as four octets a character take (six encoded ones).
        """
        few = most + most // 2
        if part.end - part.body > few:
            text = self.decoded_within(part, part.body + few, most + _CUT)
            if len(text) >= most + _CUT:  # the last ones may be a character or an escape cut in two
                return text[:most]
        return self.decoded_within(part, min(part.end, part.body + 6 * most), most)[:most]

    def decoded_within(self, part: Part, stop: int, most: int) -> str:
        raw = self.data[part.body : stop]
        octets = decode_transfer(raw, part.encoding)
        if octets is None:
            octets = raw
        del raw
        if octets.isascii():
            octets = octets[:most]  # no character has less than an octet: the rest would be cut off as text
        return decoded(octets, part.charset, self.fallback)

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
                f"{name.decode('ascii').title()}: {decode_header(value, self.fallback)}"
                for name, values in nested.fields.items()
                for value in values
            ]
            self.add("\n".join(lines))

    def part_headers(self) -> str:
        """Fields of parts, "name: value" decoded, one a line, each line once: most parts say what others said. As many
        characters as the text has left, which are read from no more than as many octets and one header."""
        left = self.left
        lines: dict[bytes, None] = {}
        for part in self.parts:
            if left <= 0:
                break
            for name, values in part.fields.items():
                for value in values:
                    line = b"%b: %b" % (name, value)
                    if line not in lines:
                        lines[line] = None
                        left -= len(line) + 1
        raw = b"\n".join(lines)
        if raw.isascii() and b"=?" not in raw:
            return raw[: self.left].decode("ascii")
        fields = [line.partition(b": ") for line in lines]
        text = "\n".join(
            [f"{name.decode('ascii')}: {decode_header(value, self.fallback)}" for name, _, value in fields]
        )
        return text[: self.left]


def header_text(own: OwnHeader, fallback: str) -> SearchText:
    """What SEARCH looks at in a header. fallback: charset of raw 8-bit."""
    fields = own.fields
    return SearchText(
        sender=_joined(fields, b"from", fallback),
        recipient=_joined(fields, b"to", fallback),
        cc=_joined(fields, b"cc", fallback),
        bcc=_joined(fields, b"bcc", fallback),
        subject=_joined(fields, b"subject", fallback),
        header=_header_lines(own.split, fallback),
    )


def _joined(fields: Fields, name: bytes, fallback: str) -> str:
    values = fields.get(name)
    if values is None:
        return ""
    if len(values) == 1:
        return folded(values[0], fallback)
    return fold("\n".join([decode_header(value, fallback) for value in values]))


def folded(value: bytes, fallback: str) -> str:
    """A field's value decoded and folded."""
    if b"=?" not in value and value.isascii():
        return value.decode("ascii").upper()
    return (_folded_kept if len(value) + len(fallback) <= MOST_KEPT else _folded)(value, fallback)


def _folded(value: bytes, fallback: str) -> str:
    return fold(decode_header(value, fallback))


_folded_kept = lru_cache(maxsize=256)(_folded)
"""The names of those who write often, and what is wanted for one field is wanted again for the whole header."""


def _header_lines(split: list[tuple[bytes, bytes]], fallback: str) -> str:
    """Every field, "Name: value" decoded and folded, one a line."""
    raw = b"\n".join([b"%b: %b" % field for field in split])
    if raw.isascii():
        if b"=?" not in raw:
            return raw.decode("ascii").upper()
        if len(raw) <= _MOST_APART:
            # Most fields are as they stand: only the others are decoded. No value has a line end.
            lines = raw.decode("ascii").upper().split("\n")
            for at, (name, value) in enumerate(split):
                if b"=?" in value:
                    if len(value) > _MOST_MARKS and may_have_long_run(decode_header(value, fallback)):
                        break
                    lines[at] = f"{name.decode('ascii').upper()}: {folded(value, fallback)}"
            else:
                return "\n".join(lines)
    return fold("\n".join([f"{name.decode('ascii')}: {decode_header(value, fallback)}" for name, value in split]))


def preview(data: bytes, root: Entity, fallback: str, *, brief: bool = False) -> str:
    """At most 200 characters of the first readable text, white space collapsed: of the first part, plain or HTML, that
    is no attachment and says something at its beginning. brief: see `analyse`.

    One part of HTML is read, which costs more than all plain ones: an attached one only where there is no other.
    """
    attached: Entity | None = None
    rich = False
    for entity in _texts(root):
        plain = entity.part.subtype == "plain"
        if _attached(entity):
            attached = attached if plain else attached or entity
        elif plain or not rich:
            rich = rich or not plain
            found = _beginning(data, entity, fallback, _PREVIEW_SOURCE if plain else _PREVIEW_HTML, brief)
            if found:
                return found
    return "" if rich or attached is None else _beginning(data, attached, fallback, _PREVIEW_HTML, brief)


def _texts(entity: Entity) -> Iterator[Entity]:
    """Plain and HTML parts in the order in which they are shown: behind HTML alone may be the footer of a mailing list,
    or a message that is attached. Of alternatives, which say the same, the plain ones are first."""
    part = entity.part
    if part.type == "text":
        if part.end > part.body and part.subtype in ("plain", "html"):
            yield entity
    elif part.subtype == "alternative":
        yield from sorted([text for child in entity.children for text in _texts(child)], key=_is_rich)
    else:
        for child in entity.children:
            yield from _texts(child)


def _is_rich(text: Entity) -> bool:
    return text.part.subtype == "html"


def _beginning(data: bytes, entity: Entity, fallback: str, octets: int, brief: bool) -> str:
    """The preview that a text part gives, read from its first `octets` of content."""
    part = entity.part
    stop = min(part.end, part.body + octets)
    if part.subtype != "html":
        if stop - part.body > _PREVIEW_FEW:
            found = _first_lines(data, part, fallback)
            if found:
                return found
        text = decoded(_content(data, part, stop), part.charset, fallback, brief=brief)
        if stop < part.end:
            text = text.rstrip("\ufffd")  # a character that was cut in two
        return _collapsed(text[:_PREVIEW_SOURCE])
    source = decoded(_content(data, part, stop), part.charset, fallback, brief=brief)
    if brief and source.count("<") > BRIEF_TAGS:
        raise Lengthy
    return _collapsed(html_text(source)[:_PREVIEW_SOURCE])


def _first_lines(data: bytes, part: Part, fallback: str) -> str:
    """The preview of a plain part, read from few of its first lines; "" where that may not be what all of it gives.

    A line's end is where neither quoted-printable nor UTF-8 goes on, but for a character cut by a soft line break:
    what stands at the end is not taken.
    """
    stop = data.rfind(b"\n", part.body, part.body + _PREVIEW_FEW) + 1
    if stop <= part.body or (part.encoding == "base64" and b"=" in data[part.body : stop]):
        return ""
    octets = _content(data, part, stop)
    if octets.isascii():
        if max(len(part.charset), len(fallback)) > LONGEST_LABEL or not begins_as_ascii(part.charset, fallback):
            return ""
        text = octets.decode("ascii")
    elif part.charset and codec(part.charset) == "utf-8":
        text = octets.decode("utf-8", "replace")
    else:
        return ""
    words = _words(text)
    return words[:PREVIEW] if len(words) > PREVIEW + _CUT else ""


def _content(data: bytes, part: Part, stop: int) -> bytes:
    """Octets of a text part up to `stop`, without their transfer encoding where it is known."""
    raw = data[part.body : stop]
    octets = decode_transfer(raw, part.encoding)
    return raw if octets is None else octets


def _collapsed(text: str) -> str:
    return _words(text)[:PREVIEW]


def _words(text: str) -> str:
    """As many of a text's words as may be shown; not the mark that some begin UTF-8 with (RFC 3629 6)."""
    return " ".join(text.removeprefix("\ufeff").split(None, _WORDS)[:_WORDS])


def decoded(octets: bytes, charset: str, fallback: str, *, brief: bool = False) -> str:
    """Content of a text part as text. charset: the declared one, "" for none. brief: see `guess`."""
    if octets.isascii() or charset:
        return decode_charset(octets, charset, fallback)
    return decode_charset(octets, "", guess(octets, brief=brief) or fallback)


def _attached(entity: Entity) -> bool:
    field = entity.fields.get(b"content-disposition")
    return field is not None and field[0][:10].lower() == b"attachment"


def _names(entity: Entity) -> list[bytes]:
    return [name.lower().partition(b"*")[0] for name, _ in entity.parameters]


def fallback_charset(scanned: Scan) -> str:
    """The charset for raw 8-bit in header fields: that of the first text part that declares one of its own."""
    if scanned.ascii:
        return ""
    root = scanned.root
    waiting = [root]
    while waiting:
        entity = waiting.pop()
        if entity.part.type == "text" and entity.part.charset not in ("", "us-ascii"):
            return entity.part.charset
        waiting.extend(reversed(entity.children))
    return ""
