"""ENVELOPE: header fields -> ready IMAP text, and the addresses that sort keys want too.

Values are raw octets, unfolded, encoded words left as they are. RFC 9051 7.5.2 (ENVELOPE), RFC 3501 7.4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ..values import Value
from .addresses import Address, parse_addresses
from .headers import Fields, first
from .wire import NIL, nstring


class Envelope(Value, frozen=True):
    """wire: with its outer parentheses. complete: False if addresses past the limit were left out."""

    wire: bytes
    complete: bool
    sender: Sequence[Address]
    recipient: Sequence[Address]
    cc: Sequence[Address]


def address_list(found: Sequence[Address]) -> bytes:
    """Address structures as IMAP text; NIL for none."""
    if not found:
        return NIL
    return b"(%b)" % b"".join(
        [
            b"(%b %b %b %b)" % (nstring(name), nstring(route), nstring(box), nstring(host))
            for name, route, box, host in found
        ]
    )


def envelope(fields: Fields, most: int) -> Envelope:
    """The envelope of one message header. most: addresses in all fields together (Limits.addresses)."""
    left, complete = most, True
    lists: list[_List] = []
    for name in (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"):
        values = fields.get(name)
        if values is None:
            lists.append(_NONE)
            continue
        value = values[0] if len(values) == 1 else b", ".join(values[: left + 1])
        if len(value) <= LONGEST_KEPT and left >= _MOST_KEPT:
            made = _list_kept(value, _MOST_KEPT)
        else:
            made = _list(value, left)
        left -= min(left, len(made[0]))
        complete = complete and made[2]
        lists.append(made)
    (sender, wire_from, _), from_sender, reply_to, (recipient, wire_to, _), (cc, wire_cc, _), bcc = lists
    wire = b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(first(fields, b"date")),
        nstring(first(fields, b"subject")),
        wire_from,
        from_sender[1] if from_sender[0] else wire_from,
        reply_to[1] if reply_to[0] else wire_from,
        wire_to,
        wire_cc,
        bcc[1],
        nstring(first(fields, b"in-reply-to")),
        nstring(first(fields, b"message-id")),
    )
    return Envelope(wire, complete, sender, recipient, cc)


_List = tuple[tuple[Address, ...], bytes, bool]
"""Addresses, the same as IMAP text, and whether all were read."""

_NONE: _List = ((), NIL, True)


def _list(value: bytes, most: int) -> _List:
    found, complete = parse_addresses(value, most)
    return tuple(found), address_list(found), complete


LONGEST_KEPT = 300
"""Octets of a field that is remembered once it has been read."""

_MOST_KEPT = LONGEST_KEPT + 2
"""More structures than such a field can give, which has an octet for each but the end of a group left open: whatever
limit is above it does not matter."""

_list_kept = lru_cache(maxsize=256)(_list)
"""An account's mail has few recipients, and comes from those it came from before."""
