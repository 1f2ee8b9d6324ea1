"""BODY[...] and BINARY[...]: part numbers and words -> octets.

Numbers follow RFC 9051 6.4.5.1: a message that is no multipart has one part, 1, which is its body; a
message/rfc822 continues the numbering with its nested message's parts. BINARY: RFC 9051 6.4.5, RFC 3516 4.
"""

from __future__ import annotations

from enum import Enum

from .decode import decode_transfer
from .model import Part
from .scan import MESSAGES


class Section(Enum):
    """The word behind the part numbers. HEADER serves HEADER.FIELDS too: choose fields from its octets."""

    WHOLE = ""
    HEADER = "HEADER"
    TEXT = "TEXT"
    MIME = "MIME"


def find(root: Part, path: tuple[int, ...]) -> Part | None:
    """The part of these numbers, the message itself for none; None if there is no such part."""
    part, message = root, True
    for number in path:
        if number < 1:
            return None
        if not message and part.type == "message" and part.subtype in MESSAGES and part.children:
            part, message = part.children[0], True
        if part.type == "multipart":
            if number > len(part.children):
                return None
            part, message = part.children[number - 1], False
        elif message and number == 1:
            message = False
        else:
            return None
    return part


_WORDS = {"HEADER.FIELDS": Section.HEADER, "HEADER.FIELDS.NOT": Section.HEADER} | {one.value: one for one in Section}


def locate(root: Part, path: tuple[int, ...], word: str) -> tuple[int, int] | None:
    """`span` for the word as a command has it, HEADER.FIELDS and HEADER.FIELDS.NOT (-> HEADER) included."""
    return span(root, path, _WORDS[word])


def span(root: Part, path: tuple[int, ...], section: Section) -> tuple[int, int] | None:
    """(start, end) octets of BODY[path.section]; None if the message has no such section."""
    part = find(root, path)
    if part is None:
        return None
    if not path:
        if section is Section.WHOLE:
            return part.header, part.end
        return _message_span(part, section)
    if section is Section.WHOLE:
        return part.body, part.end
    if section is Section.MIME:
        return part.header, part.body
    if part.type == "message" and part.subtype in MESSAGES and part.children:
        return _message_span(part.children[0], section)
    return None


def _message_span(message: Part, section: Section) -> tuple[int, int] | None:
    if section is Section.HEADER:
        return message.header, message.body
    if section is Section.TEXT:
        return message.body, message.end
    return None


def decode_body(content: bytes, encoding: str) -> bytes | None:
    """A part's content (body:end) without its transfer encoding; None for an unknown encoding (UNKNOWN-CTE). Broken
    base64 and quoted-printable are read as far as they go."""
    return decode_transfer(content, encoding)
