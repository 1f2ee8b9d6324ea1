"""One message's octets -> everything that is kept beside them, in one pass, at delivery.

The only entry a door needs: scan, then ENVELOPE, BODY and BODYSTRUCTURE as ready text, cached header fields, sort
keys, searchable header text, preview. The searchable text of the body is made behind delivery, by the store
(`text.body_text`): it costs more than all else together. Never raises, whatever the octets: mail of thirty years is
kept and served, and past a limit told in simplified form.
"""

from __future__ import annotations

from io import IncrementalNewlineDecoder

from ..values import replace
from .envelope import envelope
from .keys import sort_keys
from .model import DEFAULT_LIMITS, Analysis, Limits, Part, Trait
from .scan import Scan, scan
from .structure import structure
from .surrogate import surrogate_size
from .text import fallback_charset, header_text, preview


def analyse(
    data: bytes | bytearray | memoryview, limits: Limits = DEFAULT_LIMITS, before: bytes = b"", *, brief: bool = False
) -> Analysis:
    """Everything kept beside a message. data: its octets as stored. Cost is linear in them.

    before: header fields put in front of `data` in what is stored (trace fields): whole lines ended by CRLF, no
    empty one among them. The analysis is that of their join, which a large message need not be copied for.
    brief: raise Lengthy where it takes more than some milliseconds, as soon as that shows: for a thread that others
    wait for. What costs are headers, parts and guesses at charsets, hardly a body, so no size tells it.
    """
    octets = data if isinstance(data, bytes) else bytes(data)
    scanned = scan(octets, limits, before, brief=brief)
    root = scanned.root
    made = envelope(root.fields, limits.addresses)
    body, bodystructure, complete = structure(octets, root, limits)
    fallback = fallback_charset(scanned)
    traits = _traits(octets, scanned, before)
    if not (complete and made.complete):
        traits |= _SIMPLIFIED
    return Analysis(
        size=len(before) + len(octets),
        traits=_TRAITS[traits],
        root=_behind(root.part, len(before)) if before else root.part,
        envelope=made.wire,
        body=body,
        bodystructure=bodystructure,
        headers=scanned.own.cached,
        preview=preview(octets, root, fallback, brief=brief),
        keys=sort_keys(root.fields, made, fallback),
        text=header_text(scanned.own, fallback),
        surrogate_size=surrogate_size(octets, root.part, before) if scanned.eight_bit_header else None,
    )


def _behind(root: Part, more: int) -> Part:
    """The tree of a message whose header has `more` octets in front."""
    children = tuple([_shifted(child, more) for child in root.children])
    return replace(root, body=root.body + more, end=root.end + more, children=children)


def _shifted(part: Part, by: int) -> Part:
    children = tuple([_shifted(child, by) for child in part.children])
    return replace(part, header=part.header + by, body=part.body + by, end=part.end + by, children=children)


_NUL, _EIGHT_BIT_HEADER, _BARE_LINE_END = int(Trait.NUL), int(Trait.EIGHT_BIT_HEADER), int(Trait.BARE_LINE_END)
_NO_FINAL_CRLF, _SIMPLIFIED = int(Trait.NO_FINAL_CRLF), int(Trait.SIMPLIFIED)
_TRAITS = [Trait(number) for number in range(2 * _SIMPLIFIED)]
"""Every combination: each operation on members of an IntFlag takes a microsecond."""


def _traits(data: bytes, scanned: Scan, before: bytes) -> int:
    traits = 0
    if b"\0" in data:
        traits |= _NUL
    if scanned.eight_bit_header:
        traits |= _EIGHT_BIT_HEADER
    if _has_bare_line_end(data):
        traits |= _BARE_LINE_END
    if not (before[-2:] + data[-2:]).endswith(b"\r\n"):
        traits |= _NO_FINAL_CRLF
    if scanned.simplified:
        traits |= _SIMPLIFIED
    return traits


def _has_bare_line_end(data: bytes) -> bool:
    """Whether there is a CR or LF that is not part of CRLF.

    Text files' reader of line ends says which kinds it has met, in one pass and a third of the time that it takes to
    count CR, LF and CRLF. It reads characters: as Latin-1, octets are copied. A large message piece by piece; a CR at
    the end of a piece it keeps in mind.
    """
    reader = IncrementalNewlineDecoder(None, translate=False)
    for start in range(0, len(data), _PIECE):
        reader.decode(data[start : start + _PIECE].decode("latin-1"), final=start + _PIECE >= len(data))
        if reader.newlines not in (None, "\r\n"):
            return True
    return False


_PIECE = 1 << 18
