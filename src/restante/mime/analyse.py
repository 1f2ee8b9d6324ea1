"""One message's octets -> everything that is kept beside them, in one pass, at delivery.

The only entry a door needs: scan, then ENVELOPE, BODY and BODYSTRUCTURE as ready text, cached header fields, sort
keys, searchable header text, preview. The searchable text of the body is made behind delivery, by the store
(`text.body_text`): it costs more than all else together. Never raises, whatever the octets: mail of thirty years is
kept and served, and past a limit told in simplified form.
"""

from __future__ import annotations

from dataclasses import replace

from .envelope import envelope
from .headers import cached_fields, known_header
from .keys import sort_keys
from .model import DEFAULT_LIMITS, Analysis, Limits, Part, Trait
from .scan import Scan, scan
from .structure import structure
from .surrogate import surrogate_size
from .text import fallback_charset, header_text, preview


def analyse(data: bytes | bytearray | memoryview, limits: Limits = DEFAULT_LIMITS, before: bytes = b"") -> Analysis:
    """Everything kept beside a message. data: its octets as stored. Cost is linear in them.

    before: header fields put in front of `data` in what is stored (trace fields): whole lines ended by CRLF, no
    empty one among them. The analysis is that of their join, which a large message need not be copied for.
    """
    octets = data if isinstance(data, bytes) else bytes(data)
    scanned = scan(octets, limits, before)
    root = scanned.root
    header = before + octets[: known_header(octets, 0, root.part.body, limits.header - len(before))]
    made = envelope(root.fields, limits.addresses)
    body, bodystructure, complete = structure(octets, root, limits)
    fallback = fallback_charset(scanned)
    traits = _traits(octets, scanned, before)
    if not (complete and made.complete):
        traits |= Trait.SIMPLIFIED
    return Analysis(
        size=len(before) + len(octets),
        traits=traits,
        root=_behind(root.part, len(before)) if before else root.part,
        envelope=made.wire,
        body=body,
        bodystructure=bodystructure,
        headers=cached_fields(header),
        preview=preview(octets, root, fallback),
        keys=sort_keys(root.fields, made, fallback),
        text=header_text(scanned.split, root.fields, fallback),
        surrogate_size=surrogate_size(octets, root.part, before) if traits & Trait.EIGHT_BIT_HEADER else None,
    )


def _behind(root: Part, more: int) -> Part:
    """The tree of a message whose header has `more` octets in front."""
    children = tuple([_shifted(child, more) for child in root.children])
    return replace(root, body=root.body + more, end=root.end + more, children=children)


def _shifted(part: Part, by: int) -> Part:
    children = tuple([_shifted(child, by) for child in part.children])
    return replace(part, header=part.header + by, body=part.body + by, end=part.end + by, children=children)


def _traits(data: bytes, scanned: Scan, before: bytes) -> Trait:
    traits = Trait.NONE
    if b"\0" in data:
        traits |= Trait.NUL
    if scanned.eight_bit_header:
        traits |= Trait.EIGHT_BIT_HEADER
    root = scanned.root.part
    pairs = data.count(b"\r\n")
    if pairs != data.count(b"\n", 0, root.body) + root.lines or pairs != data.count(b"\r"):
        traits |= Trait.BARE_LINE_END
    if not (before[-2:] + data[-2:]).endswith(b"\r\n"):
        traits |= Trait.NO_FINAL_CRLF
    if scanned.simplified:
        traits |= Trait.SIMPLIFIED
    return traits
