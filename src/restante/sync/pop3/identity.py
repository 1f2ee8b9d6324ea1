"""What a message is known by, whoever delivers it. Pure.

Servers write fields of their own into what they deliver, programs that fetch mail add a line to its header, an mbox
keeps flags there, and a last line end comes and goes. So a message is known by four values, none of them of its octets
as they are:

    mark   `outline.mark`: Message-ID, Date, From, To, Subject; finds candidates
    head   its header without fields that change while it lies there (`trace.STATE_FIELDS`)
    core   its header without those and without traces of its way (`trace.TRACE_FIELDS`)
    body   what stands behind the header

Equal `head` and `body`: one delivery, fetched again. Equal `core` and `body`: one message, come here another way. Line
ends are LF in all, and none at the end: a Maildir, a store and an mbox give them back as they can. NUL is what IMAP
servers give for it (`outline.without_nul`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from ..outline import mark, without_nul
from ..trace import STATE_FIELDS, TRACE_FIELDS, fields_named

_STATE = fields_named(STATE_FIELDS)
_TRACE = fields_named(TRACE_FIELDS)
_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:[ \t]*<[^>\n]+>", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Head:
    """What a header alone tells. octets: its size with the empty line. named: it has a Message-ID; without one, two
    headers that are equal prove little."""

    mark: bytes
    head: bytes
    core: bytes
    octets: int
    named: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """A message's. size: octets of the message as it came. header: those of them before its body."""

    mark: bytes
    head: bytes
    core: bytes
    body: bytes
    size: int
    header: int = 0


def of_header(data: bytes) -> Head:
    """Of what TOP n 0 gave: the header, with or without its empty line."""
    end = _header_end(data)
    head, core, header = _digests(data, end)
    return Head(mark(data[:end]), head, core, end, _MESSAGE_ID.search(header) is not None)


def of_message(data: bytes) -> Identity:
    """Of a whole message. Cost: some 40 microseconds for a usual header and two passes over the body."""
    end = _header_end(data)
    head, core, _ = _digests(data, end)
    body = without_nul(data[end:]).replace(b"\r\n", b"\n").rstrip(b"\r\n")
    return Identity(mark(data[:end]), head, core, hashlib.sha256(body).digest(), len(data), end)


def _header_end(data: bytes) -> int:
    """Where the body begins. By searches for fixed octets, the second only up to the first's find: a regular
    expression takes longer than all the rest."""
    if data.startswith((b"\n", b"\r\n")):
        return data.index(b"\n") + 1
    end = data.find(b"\n\r\n")
    bare = data.find(b"\n\n", 0, end + 1 if end >= 0 else len(data))
    return bare + 2 if bare >= 0 else end + 3 if end >= 0 else len(data)


def _digests(data: bytes, end: int) -> tuple[bytes, bytes, bytes]:
    header = without_nul(data[:end]).replace(b"\r\n", b"\n").rstrip(b"\r\n") + b"\n"
    return _short(_STATE.sub(b"", header)), _short(_TRACE.sub(b"", header)), header


def _short(octets: bytes) -> bytes:
    return hashlib.blake2b(octets, digest_size=16).digest()
