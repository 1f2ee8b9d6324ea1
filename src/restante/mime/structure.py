"""BODY and BODYSTRUCTURE: a scanned tree -> ready IMAP text, both in one walk.

Parameters go out as found, but for RFC 2231 pieces, which are joined as the RFC asks. RFC 9051 7.5.2 and 9
(body); RFC 2045, RFC 2183 (disposition), RFC 3282 (language), RFC 2557 (location), RFC 1864 (MD5).
"""

from __future__ import annotations

from functools import lru_cache

from .comments import without_comments
from .decode import join_parameters
from .envelope import envelope
from .headers import first
from .model import Limits
from .parameters import Parameters, disposition
from .scan import IDENTITY, MESSAGES, Entity, ascii_within
from .wire import NIL, nstring, string

EMPTY_PART = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
"""What a multipart without parts tells as its only one: the grammar asks for at least one."""

EMPTY_PART_EXTENDED = EMPTY_PART[:-1] + b" NIL NIL NIL NIL)"

_US_ASCII: Parameters = ((b"charset", b"us-ascii"),)
_EXTENSION = frozenset({b"content-disposition", b"content-language", b"content-location"})
_ENCODINGS = {name: b'"%b"' % name.encode("ascii") for name in ("7bit", "8bit", "base64", "quoted-printable")}
_US_ASCII_WIRE = b'("charset" "us-ascii")'


MOST_JOINED = 1 << 20
"""Octets of parameters in a message up to which those in pieces are joined: as UTF-8 written with percent signs some
take nine times their room, in two answers, and six times that while they are made. Those behind go out as found."""


MOST_NESTED = 16 << 20
"""Octets of nested envelopes up to which they tell addresses: of each there may be 5,000, and From stands in it three
times where there is no Sender and no Reply-To, in two answers."""


class _Writer:
    """Writes a tree; `complete` turns False where an envelope left addresses out."""

    __slots__ = ("ascii", "complete", "data", "joins", "limits", "nested")

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data = data
        self.limits = limits
        self.ascii = data.isascii()
        self.complete = True
        self.joins = MOST_JOINED
        self.nested = MOST_NESTED

    def write(self, entity: Entity) -> tuple[bytes, bytes]:
        """(BODY, BODYSTRUCTURE) of one entity."""
        part = entity.part
        if part.type == "multipart":
            return self.multipart(entity)
        fields = entity.fields
        basic = b'"%b" "%b" %b %b %b %b %d' % (
            part.type.encode("ascii"),
            part.subtype.encode("ascii"),
            self.text_parameters(entity) if part.type == "text" else self.parameters(entity.parameters),
            nstring(first(fields, b"content-id")),
            nstring(first(fields, b"content-description")),
            _ENCODINGS.get(part.encoding) or string(part.encoding.encode("ascii")),
            part.end - part.body,
        )
        md5 = fields.get(b"content-md5")
        extension = (b" NIL" if md5 is None else b" " + string(md5[0])) + self.common_extension(entity)
        if part.type == "text":
            basic = b"%b %d" % (basic, part.lines)
        elif part.type == "message" and part.subtype in MESSAGES and entity.children:
            nested = entity.children[0]
            inside = envelope(nested.fields, self.limits.addresses if self.nested > 0 else 0)
            self.nested -= len(inside.wire)
            self.complete = self.complete and inside.complete
            short, long = self.write(nested)
            return (
                b"(%b %b %b %d)" % (basic, inside.wire, short, part.lines),
                b"(%b %b %b %d%b)" % (basic, inside.wire, long, part.lines, extension),
            )
        return b"(%b)" % basic, b"(%b%b)" % (basic, extension)

    def multipart(self, entity: Entity) -> tuple[bytes, bytes]:
        subtype = entity.part.subtype.encode("ascii")
        if not entity.children:
            short, long = EMPTY_PART, EMPTY_PART_EXTENDED
        else:
            written = [self.write(child) for child in entity.children]
            short = b"".join([pair[0] for pair in written])
            long = b"".join([pair[1] for pair in written])
        return (
            b'(%b "%b")' % (short, subtype),
            b'(%b "%b" %b%b)' % (long, subtype, self.parameters(entity.parameters), self.common_extension(entity)),
        )

    def text_parameters(self, entity: Entity) -> bytes:
        """Parameters of a text part; the default charset is told where there is one, text/plain's (RFC 2046 4.1.2), and
        it is true. Other texts say within themselves what they are, or are UTF-8; so may be what an encoding hides."""
        part = entity.part
        if part.charset or part.subtype != "plain" or part.encoding not in IDENTITY:
            return self.parameters(entity.parameters)
        if any(name.lower().partition(b"*")[0] == b"charset" for name, _ in entity.parameters):
            return self.parameters(entity.parameters)  # an empty one: no parameter comes twice
        if self.ascii or ascii_within(self.data, part.body, part.end):
            return self.parameters(entity.parameters + _US_ASCII) if entity.parameters else _US_ASCII_WIRE
        return self.parameters(entity.parameters)

    def parameters(self, parameters: Parameters) -> bytes:
        """As `parameter_list`, joined while there is room."""
        self.joins -= sum([len(value) for _, value in parameters])
        return parameter_list(parameters, joined=self.joins >= 0)

    def common_extension(self, entity: Entity) -> bytes:
        """Disposition, language and location, with a space before each."""
        fields = entity.fields
        if _EXTENSION.isdisjoint(fields):
            return b" NIL NIL NIL"
        field = first(fields, b"content-disposition")
        written = NIL
        if field:
            found = disposition(field, self.limits.parameters)
            if found.value:
                written = b"(%b %b)" % (string(found.value), self.parameters(found.parameters))
        language = first(fields, b"content-language")
        return b" %b %b %b" % (written, language_list(language), nstring(first(fields, b"content-location")))


def parameter_list(parameters: Parameters, *, joined: bool = True) -> bytes:
    """body-fld-param: NIL for none. joined: pieces as one (RFC 2231 3)."""
    if not parameters:
        return NIL
    if not joined:
        return _written(parameters)
    if len(parameters) == 1:
        ((name, value),) = parameters
        if len(name) + len(value) <= _LONGEST_KEPT and name != b"boundary":
            return _parameter_list_kept(parameters)
    return _parameter_list(parameters)


def _parameter_list(parameters: Parameters) -> bytes:
    return _written(join_parameters(parameters))


def _written(parameters: Parameters) -> bytes:
    return b"(%b)" % b" ".join([b"%b %b" % (string(name), string(value)) for name, value in parameters])


_LONGEST_KEPT = 40
"""Octets of a parameter that is remembered where it is the only one: most are charsets."""

_parameter_list_kept = lru_cache(maxsize=64)(_parameter_list)


def language_list(field: bytes | None) -> bytes:
    """body-fld-lang of an unfolded Content-Language."""
    if not field:
        return NIL
    if b"(" in field:
        field = without_comments(field)  # RFC 3282 2
    tags = [tag.strip() for tag in field.split(b",", 100)]
    tags = [tag for tag in tags if tag]
    if not tags:
        return NIL
    return string(tags[0]) if len(tags) == 1 else b"(%b)" % b" ".join([string(tag) for tag in tags])


def structure(data: bytes, root: Entity, limits: Limits) -> tuple[bytes, bytes, bool]:
    """(BODY, BODYSTRUCTURE, whether all addresses of nested envelopes are told)."""
    writer = _Writer(data, limits)
    short, long = writer.write(root)
    return short, long, writer.complete
