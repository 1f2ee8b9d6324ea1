"""Trace header fields: Return-Path, Delivered-To, Received (RFC 5321 4.4), and the count of those there are.

Whatever a peer said is held to characters that cannot end a line or a comment, and lines stay below 998 octets,
so no address or host name can add a field of its own.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from itertools import islice

from ..mime.headers import header_end
from .interface import DeliveryRefusal, Trace

MAX_RECEIVED = 100
"""Received fields of a message that goes round in circles (RFC 5321 6.3)."""

MAX_HEADER = 1 << 20
"""Octets of a header in which they are counted."""

MAX_ADDRESS = 900
"""Octets of an address in a header field's line."""

_HOST = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)


def check_address(address: str, *, sender: bool) -> None:
    """Raises DeliveryRefusal for an address that must not stand in a header field."""
    if _CONTROL.search(address) or len(address.encode("utf-8", "replace")) > MAX_ADDRESS:
        raise DeliveryRefusal(553, "5.1.7" if sender else "5.1.3", "The address has characters that no address has.")


def trace_header(sender: str, recipient: str, trace: Trace, now: float) -> bytes:
    """The fields that stand before a message as it came, each line ended by CRLF.

    sender: "" for <>. recipient: as RCPT gave it. Both have passed `check_address`.
    """
    fields = (
        f"Return-Path: <{sender}>\r\n"
        f"{delivered_to(recipient).decode()}\r\n"
        f"Received: {_origin(trace)}by {_host(trace.by)}\r\n"
        f"\t{_transport(trace)}id {_host(trace.id)}\r\n"
        f"\tfor <{recipient}>;\r\n"
        f"\t{_date(int(now))}\r\n"
    )
    return fields.encode("utf-8")


def delivered_to(recipient: str) -> bytes:
    """The second line of every message filed here: whose copy it is."""
    return f"Delivered-To: {recipient}".encode()


@lru_cache(maxsize=4)
def _date(now: int) -> str:
    """RFC 5322 3.3. Many messages come within a second."""
    return format_datetime(datetime.fromtimestamp(now, UTC))


def goes_in_circles(message: bytes) -> bool:
    """Whether the message's header has more than MAX_RECEIVED Received fields (RFC 5321 6.3)."""
    end = header_end(message, 0, min(len(message), MAX_HEADER))
    header = message[: end if end >= 0 else MAX_HEADER]
    # Quick, and never too few: lines that may be such fields, then those with the word in it.
    if header.count(b"\n") < MAX_RECEIVED or header.lower().count(b"received") <= MAX_RECEIVED:
        return False
    return sum(1 for _ in islice(_RECEIVED.finditer(header), MAX_RECEIVED + 1)) > MAX_RECEIVED


def _origin(trace: Trace) -> str:
    """The From-domain clause, with the address that TCP saw. Nothing for mail from this machine's own hand."""
    if trace.protocol == "local":
        return ""
    peer = _host(trace.peer)
    literal = f"[IPv6:{peer}]" if ":" in peer else f"[{peer}]"
    return f"from {_host(trace.helo)} ({'local socket' if peer == 'unix' else literal})\r\n\t"


def _transport(trace: Trace) -> str:
    return "" if trace.protocol == "local" else f"with {_host(trace.protocol)} "


def _host(text: str) -> str:
    return _HOST.sub("?", text)[:255] or "unknown"
