"""Octets of a message -> tree of entities with their offsets.

Top down: a multipart is cut at its own delimiter lines before its parts are looked at, so an enclosing
boundary always ends what lies within (RFC 2046 5.1.2), also where both have the same one. Each level reads its
range once with `bytes.find`; depth, parts, and delimiter-like lines are bounded, so cost is linear. Past a
bound the rest is not told (`Scan.simplified`); octets are never changed.

Rules for what is broken: a multipart without a usable boundary is told as text/plain, so that a person can
read it; one past the depth limit as application/octet-stream; a part whose first line is no field has an empty
header; where there is no empty line, content begins with the lines that are no fields and have none behind them
(RFC 7103 7.2); a malformed Content-Type counts as the default (RFC 2045 5.2); an encoded message/rfc822 has an empty
nested message, since octet offsets cannot reach into it.

Must not know IMAP. RFC 2045, 2046, 5322, 6532 (message/global).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..values import Record, Value
from .decode import parameter_octets
from .headers import (
    Fields,
    OwnHeader,
    begins_with_field,
    fields_end,
    first,
    header_end,
    index_fields,
    known_header,
    read_header,
    split_fields,
)
from .model import Lengthy, Limits, Part
from .parameters import Parameters, content_type, transfer_encoding

MAX_BOUNDARY = 998
"""Octets of a boundary that is believed (RFC 2046 says 70)."""

MAX_PADDING = 998
"""Octets of white space behind a boundary that are believed."""

MAX_CANDIDATES = 200_000
"""Lines that begin like a delimiter and end no part, over the whole message, before the scan stops looking."""

MOST_FIELDS = 20
"""Headers with as many fields as `Limits.fields` allows one, that are read in a message: the shortest fields take
thirty times their room while it is analysed. Of a part behind them `FEW_FIELDS` are read."""

FEW_FIELDS = 100

BRIEF_HEADERS = 32 << 10
BRIEF_LINES = 1_000
BRIEF_NAMED = 3 << 10
BRIEF_WORDS = 300
"""What all headers together may have, those that are remembered left out, if an analysis is to be brief: octets (up to
0.2 us each), lines (1.5 us, with 8-bit octets 5), octets of addresses and ids, which are looked at one by one (1 us),
encoded words (8 us)."""

UNWEIGHED = 3 << 10
"""Octets of headers that are not looked at for that."""

BRIEF_PARTS = 100
BRIEF_DEPTH = 10
BRIEF_CANDIDATES = 5_000
"""Entities (some 30 us each), how deep they lie, since each level is read once, and delimiter-like lines (0.6 us)."""

_ANY = 1 << 62

IDENTITY = frozenset({"7bit", "8bit", "binary"})
MESSAGES = frozenset({"rfc822", "global"})


LONGEST_KEPT = 256
"""Octets of the longest part header that is remembered."""

_MOST_FIELDS = LONGEST_KEPT // 3 + 1


class Entity(Record):
    """A part with what was read on the way: fields of its header, and Content-Type parameters.

    children: as in `Part.children`. Fields of equal headers may be one dictionary, which is only to be read.
    """

    part: Part
    fields: Fields
    parameters: Parameters
    children: list[Entity]


@dataclass(slots=True)
class Scan:
    """What a scan found. own: the message's own header. candidates: work done, for tests."""

    root: Entity
    own: OwnHeader
    simplified: bool
    eight_bit_header: bool
    ascii: bool
    candidates: int
    parts: int

    @property
    def split(self) -> list[tuple[bytes, bytes]]:
        """The message's own fields in order."""
        return self.own.split


class _Heading(Value, frozen=True):
    """What a header says of the entity it stands before. type: None where it declares none that can be read."""

    fields: Fields
    type: tuple[str, str] | None
    parameters: Parameters
    encoding: str
    charset: str


def _heading(fields: Fields, most: int) -> _Heading:
    """most: parameters that are read."""
    declared = fields.get(b"content-type")
    parsed = content_type(declared[0], most) if declared and declared[0] else None
    encoding = transfer_encoding(first(fields, b"content-transfer-encoding"))
    if parsed is None:
        return _Heading(fields, None, (), encoding, "")
    major, minor, parameters = parsed
    charset = parameter_octets(parameters, b"charset").decode("ascii", "replace").lower()
    return _Heading(fields, (major.decode("ascii"), minor.decode("ascii")), parameters, encoding, charset)


@lru_cache(maxsize=256)
def _known_heading(block: bytes, most: int) -> _Heading | None:
    """The heading of a part whose header, empty line included, is `block`; None where its first line is no field.

    A few dozen headers stand before most parts of all mail. block: at most LONGEST_KEPT octets.
    """
    if not begins_with_field(block, 0, len(block)):
        return None
    return _heading(index_fields(split_fields(block, _MOST_FIELDS)), most)


class _Scanner:
    __slots__ = (
        "ascii", "before", "candidates", "data", "eight_bit", "fields", "headers", "keeps", "limits", "lines",
        "most_candidates", "most_depth", "most_parts", "named", "own", "parts", "simplified", "unweighed", "words",
    )  # fmt: skip

    def __init__(self, data: bytes, limits: Limits, before: bytes, brief: bool) -> None:
        self.data = data
        self.before = before
        self.limits = limits
        self.parts = 0
        self.candidates = 0
        self.simplified = False
        self.ascii = data.isascii() and before.isascii()
        self.eight_bit = False
        self.own: OwnHeader | None = None
        self.headers = self.lines = self.named = self.words = 0
        self.fields = MOST_FIELDS * limits.fields
        self.most_parts = self.most_depth = self.most_candidates = self.unweighed = _ANY
        if brief:
            self.most_parts, self.most_depth, self.most_candidates = BRIEF_PARTS, BRIEF_DEPTH, BRIEF_CANDIDATES
            self.unweighed = UNWEIGHED
        self.keeps = limits.header >= LONGEST_KEPT and limits.fields > _MOST_FIELDS  # no short header is past them

    def entity(self, start: int, end: int, stop: int, depth: int, default: tuple[str, str]) -> Entity:
        """The entity at start..end. stop: where the line that ends it begins (the end of its own last line)."""
        data, limits = self.data, self.limits
        self.parts += 1
        if self.parts > self.most_parts or depth > self.most_depth:
            raise Lengthy
        body = header_end(data, start, stop)
        heading = None
        if depth and start + 2 < body <= start + LONGEST_KEPT and self.keeps:
            block = data[start:body]
            if b"oundary" not in block and b"name" not in block:  # those have no equal
                heading = _known_heading(block, limits.parameters)
                if heading is not None and not self.ascii and not self.eight_bit:
                    self.eight_bit = not block.isascii()
        if heading is not None:
            end = max(body, end)  # the line end before the delimiter may be the empty line too
        else:
            if depth and start < end and not start < body <= start + 2 and not begins_with_field(data, start, end):
                body = start  # a generator forgot the empty line: what stands here is content
            elif body < 0:
                body = self.fields_end(start, end)
            elif body > end:
                end = body
            heading = _heading(self.read_header(start, body), limits.parameters)
        major, minor = heading.type or default
        encoding = heading.encoding
        children: list[Entity] = []
        if major == "multipart":
            encoding = encoding if encoding in IDENTITY else "7bit"
            if depth >= limits.depth:
                self.simplified = True
                major, minor = "application", "octet-stream"
            else:
                children = self.multipart(_boundary(heading.parameters), body, end, depth, minor == "digest")
                if not children:
                    major, minor = "text", "plain"
        elif major == "message" and minor in MESSAGES:
            if depth >= limits.depth or self.parts >= limits.parts:
                self.simplified = True
                major, minor = "application", "octet-stream"
            else:
                inner = end if encoding in IDENTITY else body
                children = [self.entity(body, inner, inner, depth + 1, _TEXT)]
        # The lines of children have been counted: only what stands around their contents is left.
        lines, position = 0, body
        for child in children:
            lines += data.count(b"\n", position, child.part.body) + child.part.lines
            position = child.part.end
        lines += data.count(b"\n", position, end)
        inside = tuple([child.part for child in children]) if children else ()
        part = Part(start, body, end, major, minor, encoding, heading.charset, lines, inside)
        return Entity(part, heading.fields, heading.parameters, children)

    def fields_end(self, start: int, end: int) -> int:
        """Where content begins that no empty line stands before; `end` where there is none, or it is not looked for."""
        before = self.before if self.own is None else b""
        size = len(before) + end - start
        if size > self.limits.header:
            return end
        self.headers += size
        if self.headers > self.unweighed and self.headers > BRIEF_HEADERS:
            raise Lengthy
        return fields_end(self.data, start, end, bool(before))

    def read_header(self, start: int, body: int) -> Fields:
        before = self.before if self.own is None else b""
        cut = known_header(self.data, start, body, self.limits.header - len(before))
        if before and cut < body and self.data[cut - 1] != 0x0A:
            cut = start  # within the first field: the last whole line is one of those in front
        block = before + self.data[start:cut]
        self.headers += len(block)
        weighed = self.headers > self.unweighed
        if weighed:
            self.lines += block.count(b"\n")
            self.words += block.count(b"=?")
            if self.headers > BRIEF_HEADERS or self.lines > BRIEF_LINES or self.words > BRIEF_WORDS:
                raise Lengthy
        if cut < body:
            self.simplified = True
        if not self.ascii and not self.eight_bit:
            self.eight_bit = not (block.isascii() and ascii_within(self.data, cut, body))
        if self.own is None:
            most = self.limits.fields
            self.own = read_header(block, most)
            split, fields = self.own.split, self.own.fields
        else:
            most = min(self.limits.fields, max(self.fields, FEW_FIELDS))
            split = split_fields(block, most)
            fields = index_fields(split)
        self.fields -= len(split)
        if weighed:
            self.named += sum([len(value) for name in _NAMING if name in fields for value in fields[name]])
            if self.named > BRIEF_NAMED:
                raise Lengthy
        if len(split) >= most:
            self.simplified = True
        return fields

    def multipart(self, boundary: bytes, start: int, end: int, depth: int, digest: bool) -> list[Entity]:
        """Parts of a multipart body at start..end; none where no delimiter line is found."""
        children: list[Entity] = []
        if not boundary:
            return children
        data, needle = self.data, b"--" + boundary
        default = _MESSAGE if digest else _TEXT
        opened, position = -1, start
        while True:
            hit = data.find(needle, position, end)
            if hit < 0:
                break
            position = hit + len(needle)
            if hit != start and data[hit - 1] != 10:
                if self.refuse_candidate():
                    break
                continue
            line_end = data.find(b"\n", position, end)
            if line_end < 0:
                line_end = end
            closing = data.startswith(b"--", position, line_end)
            tail = position + 2 if closing else position
            if line_end - tail > MAX_PADDING or data[tail:line_end].strip(b" \t\r"):
                if self.refuse_candidate():
                    break
                continue
            if 0 <= opened < hit:
                children.append(self.entity(opened, _before(data, hit, opened), hit, depth + 1, default))
            elif opened >= 0 and self.refuse_candidate():  # two in a row: nothing between, not even a line end
                break
            if closing:
                return children
            if self.parts >= self.limits.parts:
                self.simplified = True
                return children
            position = min(line_end, end)
            opened = min(line_end + 1, end)
        if opened >= 0:
            children.append(self.entity(opened, end, end, depth + 1, default))
        return children

    def refuse_candidate(self) -> bool:
        """Count a line that is no delimiter; True once there were too many to go on."""
        self.candidates += 1
        if self.candidates > self.most_candidates:
            raise Lengthy
        if self.candidates > MAX_CANDIDATES:
            self.simplified = True
            return True
        return False


_NAMING = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"references", b"in-reply-to")
"""Fields of addresses and of message ids."""


_TEXT = ("text", "plain")
_MESSAGE = ("message", "rfc822")


def _boundary(parameters: Parameters) -> bytes:
    """The boundary parameter, b"" where there is none to be used."""
    value = parameter_octets(parameters, b"boundary").rstrip(b" \t")
    return value if len(value) <= MAX_BOUNDARY else b""


def _before(data: bytes, delimiter: int, opened: int) -> int:
    """End of the content before a delimiter line: its preceding line end belongs to it (RFC 2046 5.1.1)."""
    end = delimiter - 1
    if end > opened and data[end - 1] == 13:
        end -= 1
    return max(end, opened)


def ascii_within(data: bytes, start: int, end: int) -> bool:
    """Whether data[start:end] is ASCII; a large stretch is looked at piece by piece, not copied."""
    return all(data[low : min(low + _PIECE, end)].isascii() for low in range(start, end, _PIECE))


_PIECE = 1 << 18


def scan(data: bytes, limits: Limits, before: bytes = b"", *, brief: bool = False) -> Scan:
    """Read a message's structure. Never raises, whatever the octets, but for Lengthy; cost is linear.

    before: whole header fields that stand in front of `data`; offsets are told within `data`. brief: raise Lengthy
    past BRIEF_HEADERS and its like, before what is beyond has been read for fields.
    """
    scanner = _Scanner(data, limits, before, brief)
    root = scanner.entity(0, len(data), len(data), 0, _TEXT)
    return Scan(
        root,
        scanner.own or OwnHeader([], {}, b""),
        scanner.simplified,
        scanner.eight_bit,
        scanner.ascii,
        scanner.candidates,
        scanner.parts,
    )
