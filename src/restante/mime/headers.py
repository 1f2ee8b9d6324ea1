"""Header fields: where a header ends, its fields in order, unfolding, and choosing fields by name.

A line ends at LF, with or without CR before it; a bare CR is an ordinary octet of a value. A header ends at
its first empty line. A line that is neither a field nor a continuation of one is passed over. All scanning is
done by regular expressions with possessive repeats, so that cost is linear in the header's size.

Must not know what a field means. RFC 5322 2.2, 3.6.8, 4.5; RFC 9051 6.4.5.1 (HEADER.FIELDS).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from .normalise import crlf_for_lf

Fields = dict[bytes, list[bytes]]
"""Lower-case name -> values in order, unfolded: a value is asked for several times and unfolded once."""

CACHED_FIELDS: frozenset[bytes] = frozenset(
    b"""from sender reply-to to cc bcc subject date message-id in-reply-to references resent-from resent-to
    resent-date mime-version content-type content-transfer-encoding content-disposition content-description
    content-id content-language priority x-priority x-msmail-priority importance newsgroups followup-to lines
    list-id list-post list-unsubscribe list-unsubscribe-post list-help list-archive list-subscribe list-owner
    mailing-list precedence auto-submitted x-label x-mailer user-agent organization delivered-to x-original-to
    envelope-to return-path x-spam-flag x-spam-status x-spam-level x-spam-score disposition-notification-to
    return-receipt-to mail-followup-to mail-reply-to thread-topic thread-index x-draft-info x-mozilla-draft-info
    x-identity-key x-uniform-type-identifier x-universally-unique-identifier x-tuid x-keywords
    x-account-key x-android-message-id face autocrypt authentication-results received-spf
    x-google-dkim-signature-present feedback-id archived-at""".split()
)
"""What Thunderbird, Apple Mail, Outlook, mutt, mbsync, K-9 and webmail ask for by HEADER.FIELDS."""

_BLANK = re.compile(rb"\n\r?\n").search
_FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:[ \t]*+((?:.*+\n[ \t])*+.*+)", re.MULTILINE)
_WHOLE_FIELD = re.compile(rb"^(([!-9;-~]++)[ \t]*+:[ \t]*+((?:.*+\n[ \t])*+.*+)\n?+)", re.MULTILINE)
_RAW_FIELD = re.compile(rb"^(([!-9;-~]++)[ \t]*+:(?:.*+\n[ \t])*+.*+(?:\n|\Z))", re.MULTILINE)
_NAME = re.compile("[!-9;-~]+").fullmatch
_IS_FIELD = re.compile(rb"[!-9;-~]++[ \t]*+:").match


def is_field_name(name: str) -> bool:
    """Whether a header field can have this name (RFC 5322 2.2)."""
    return _NAME(name) is not None


def header_end(data: bytes, start: int, stop: int) -> int:
    """Offset just behind the empty line that ends the header at `start`, -1 if there is none before `stop`."""
    if data.startswith(b"\n", start, stop):
        return start + 1
    if data.startswith(b"\r\n", start, stop):
        return start + 2
    near = min(stop, start + _NEAR)
    found = data.find(b"\n\r\n", start, near)
    bare = data.find(b"\n\n", start, near if found < 0 else found + 1)
    if bare >= 0:
        return bare + 2
    if found >= 0:
        return found + 3
    match = _BLANK(data, max(start, near - 2), stop)
    return match.end() if match else -1


_NEAR = 4_096
"""Octets in which nearly every header ends, and which are looked through for each line end apart: twice as fast as the
expression, but of a message whose line ends are of the other kind all would be read."""


def fields_end(data: bytes, start: int, end: int, folded: bool) -> int:
    """Where a header ends that no empty line ends: where lines begin that are no field, and no field follows any more.

    folded: it may begin with the rest of a folded line. RFC 7103 7.2: with a field behind it, or an empty line, a line
    that is none belongs to the header. All of it does where such lines come again and again.
    """
    if folded:
        start = _REST(data, start, end).end()  # type: ignore[union-attr]  # it matches everywhere
    elif data.startswith((b" ", b"\t"), start, end):
        following = _LATER_FIELD(data, start, end)
        if following is None:
            return start
        start = following.start()
    for _ in range(_STRAYS):
        stray = _STRAY(data, start, end)
        if stray is None:
            return end
        following = _LATER_FIELD(data, stray.start(), end)
        if following is None:
            return stray.start()
        start = following.start()
    return end


_REST = re.compile(rb"(?:[ \t].*+\n?+)*+").match
_STRAY = re.compile(rb"^(?![ \t]|[!-9;-~]++[ \t]*+:)", re.MULTILINE).search
_LATER_FIELD = re.compile(rb"^[!-9;-~]++[ \t]*+:", re.MULTILINE).search
_STRAYS = 100


def known_header(data: bytes, start: int, body: int, most: int) -> int:
    """End of that part of the header start:body that is read for fields: at most `most` octets, whole lines."""
    if body - start <= most:
        return body
    return data.rfind(b"\n", start, start + most) + 1 or start + most


def begins_with_field(data: bytes, start: int, stop: int) -> bool:
    """Whether the first line looks like a header field, or like the separator of an mbox."""
    return bool(_IS_FIELD(data, start, stop)) or data.startswith((b"From ", b">From "), start, stop)


def split_fields(block: bytes, most: int) -> list[tuple[bytes, bytes]]:
    """(name as written, unfolded value) of at most `most` fields, in order."""
    found = _FIELD.findall(block) if block.count(b"\n") <= most else islice(_pairs(block), most)
    return [(name, unfold(value)) for name, value in found]


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    for found in _FIELD.finditer(block):
        yield found[1], found[2]


def index_fields(split: list[tuple[bytes, bytes]]) -> Fields:
    """Fields by lower-case name."""
    fields: Fields = {}
    for name, value in split:
        key = name.lower()
        if key in fields:
            fields[key].append(value)
        else:
            fields[key] = [value]
    return fields


@dataclass(slots=True)
class OwnHeader:
    """A message's header, read once. split: as `split_fields`. fields: the same by name. cached: `cached_fields`."""

    split: list[tuple[bytes, bytes]]
    fields: Fields
    cached: bytes


def read_header(block: bytes, most: int) -> OwnHeader:
    """All that is kept of a message's header, in one pass. most: fields that are read."""
    if block.count(b"\n") > most:
        several = split_fields(block, most)
        return OwnHeader(several, index_fields(several), cached_fields(block))
    split: list[tuple[bytes, bytes]] = []
    fields: Fields = {}
    chosen: list[bytes] = []
    for raw, name, value in _WHOLE_FIELD.findall(block):
        key = name.lower()
        value = unfold(value) if b"\n" in value else value.strip(b" \t\r\n")
        split.append((name, value))
        if key in fields:
            fields[key].append(value)
        else:
            fields[key] = [value]
        if key in CACHED_FIELDS:
            chosen.append(raw)
    return OwnHeader(split, fields, _as_told(b"".join(chosen)))


def unfold(value: bytes) -> bytes:
    """A field's value on one line: line ends removed, white space at both ends cut (RFC 5322 2.2.3)."""
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip(b" \t\r\n")


def first(fields: Fields, name: bytes) -> bytes | None:
    """The first field of this lower-case name; None if absent."""
    values = fields.get(name)
    return None if values is None else values[0]


_FEW_NAMES, _SHORT_NAMES = 32, 1_000
"""Names, and octets of them all, up to which they stand in one expression, tried one after the other at each line;
beyond, a set is asked: an expression of 65 kB takes 0.2 s to compile."""


def _finder(names: frozenset[bytes]) -> Callable[[bytes], list[bytes]]:
    """Gives the raw fields of these names in order, those that follow each other as one, and b"" for every other line
    (three times as fast as a set)."""
    wanted = b"|".join(map(re.escape, sorted(names)))
    fields = rb"((?:(?:%b)[ \t]*+:.*+(?:\n[ \t].*+)*+(?:\n|\Z))+)" % wanted
    return re.compile(fields + rb"|.*+\n|.++\Z", re.IGNORECASE).findall


def _raw_fields(block: bytes) -> Iterable[tuple[bytes, bytes]]:
    """(raw field, name) in order. Those of a large header one after the other: nobody else has the interpreter while
    they are found all at once."""
    if len(block) <= _AT_ONCE:
        return _RAW_FIELD.findall(block)
    return ((found[1], found[2]) for found in _RAW_FIELD.finditer(block))


_AT_ONCE = 64 << 10


def _as_told(chosen: bytes) -> bytes:
    """Raw fields, their line ends as CRLF, NUL as 0x80."""
    if chosen and chosen[-1] != 10:
        chosen += b"\r\n"
    if chosen.count(b"\n") != chosen.count(b"\r\n"):
        chosen = crlf_for_lf(chosen)
    if b"\0" in chosen:
        chosen = chosen.replace(b"\0", b"\x80")
    return chosen


class FieldSelector:
    """HEADER.FIELDS or HEADER.FIELDS.NOT with its list of names, compiled once, used on many headers.

    names: any case. Two microseconds a message where few names are chosen.
    """

    __slots__ = ("_find", "_names", "_negate")

    def __init__(self, names: frozenset[bytes], negate: bool) -> None:
        self._names = frozenset(name.lower() for name in names)
        self._negate = negate
        few = 0 < len(self._names) <= _FEW_NAMES and sum(map(len, self._names)) <= _SHORT_NAMES and not negate
        self._find = _finder(self._names) if few else None

    @property
    def cached(self) -> bool:
        """Whether `Analysis.headers` holds all that this selector can choose (of a message not SIMPLIFIED)."""
        return not self._negate and self._names <= CACHED_FIELDS

    def fields(self, block: bytes) -> bytes:
        """The chosen fields of a header, raw, in order; line ends as CRLF, NUL as 0x80; without the empty line."""
        names = self._names
        if self._find is not None:
            chosen = b"".join(self._find(block))
        elif self._negate:
            chosen = b"".join([raw for raw, name in _raw_fields(block) if name.lower() not in names])
        else:
            chosen = b"".join([raw for raw, name in _raw_fields(block) if name.lower() in names])
        return _as_told(chosen)

    def select(self, block: bytes) -> bytes:
        """The answer to BODY[HEADER.FIELDS (...)]: the chosen fields and the empty line.

        block: `Analysis.headers`, or a whole raw header. RFC 9051 6.4.5.1.
        """
        return self.fields(block) + b"\r\n"

    def fields_cached(self, blocks: Iterable[bytes]) -> list[bytes]:
        """`fields` of many `Analysis.headers`, whose line ends and NULs need no more care."""
        find, join = self._find, b"".join
        if find is None:
            return [self.fields(block) for block in blocks]
        return [join(find(block)) for block in blocks]


_CACHED = FieldSelector(CACHED_FIELDS, negate=False)


def cached_fields(block: bytes) -> bytes:
    """What `Analysis.headers` keeps of a raw header."""
    return _CACHED.fields(block)
