"""ENVELOPE: header fields -> ready IMAP text, and the addresses that sort keys want too.

Values are raw octets, unfolded, encoded words left as they are. RFC 9051 7.5.2 (ENVELOPE), RFC 3501 7.4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from .addresses import Address, parse_addresses
from .headers import Fields, first
from .wire import NIL, nstring


@dataclass(frozen=True, slots=True)
class Envelope:
    """wire: with its outer parentheses. complete: False if addresses past the limit were left out."""

    wire: bytes
    complete: bool
    sender: list[Address]
    recipient: list[Address]
    cc: list[Address]


def address_list(found: list[Address]) -> bytes:
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
    lists: list[list[Address]] = []
    for name in (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"):
        values = fields.get(name)
        if values is None:
            lists.append([])
            continue
        value = values[0] if len(values) == 1 else b", ".join(values[: left + 1])
        found, all_read = parse_addresses(value, left)
        left -= min(left, len(found))
        complete = complete and all_read
        lists.append(found)
    sender, from_sender, reply_to, recipient, cc, bcc = lists
    wire_from = address_list(sender)
    wire = b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(first(fields, b"date")),
        nstring(first(fields, b"subject")),
        wire_from,
        address_list(from_sender) if from_sender else wire_from,
        address_list(reply_to) if reply_to else wire_from,
        address_list(recipient),
        address_list(cc),
        address_list(bcc),
        nstring(first(fields, b"in-reply-to")),
        nstring(first(fields, b"message-id")),
    )
    return Envelope(wire, complete, sender, recipient, cc)
