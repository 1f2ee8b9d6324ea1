"""Header fields that a message has got on its way and where it lay, and did not come from who wrote it. Pure.

The list is deliberately short of fields that a sender, or a mailing list, writes: those make another letter
(DKIM-Signature, List-*, Sender). Names in any case; "*" stands for any further letters of a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

WAY_FIELDS = (
    # relays and delivery (RFC 5321 4.4, RFC 5322 3.6.7, RFC 9228)
    "Received", "Return-Path", "Delivered-To", "X-Original-To", "Original-Recipient", "Envelope-To", "Delivery-Date",
    "X-Delivered-To", "X-Envelope-To", "X-Envelope-From", "X-Originating-IP", "X-Received", "X-Resolved-To",
    "X-Delivered-By",
    # what the receiving side found out about it
    "Authentication-Results", "X-Authentication-Results", "Received-SPF", "ARC-Seal", "ARC-Message-Signature",
    "ARC-Authentication-Results", "DKIM-Filter", "X-Virus-Scanned", "X-Virus-Status", "X-Sieve", "X-Greylist",
    "X-Amavis-*", "X-Spam-*", "X-Spamd-*", "X-Rspamd-*", "X-Bogosity", "X-Policyd-Weight", "X-MS-Exchange-*",
    "X-Microsoft-Antispam*", "X-Forefront-*", "X-Google-Smtp-Source", "X-Gm-*", "X-Gmail-*",
    # programs that fetched it
    "X-Getmail-*", "X-Fetchmail-*",
)  # fmt: skip
"""What is the same wherever one delivery lies, and differs between two of one message."""

STATE_FIELDS = (
    "Status", "X-Status", "X-Keywords", "X-UID", "X-UIDL", "X-IMAP", "X-IMAPbase", "Content-Length", "Lines",
    "X-Mozilla-*", "X-Account-Key", "X-Evolution*", "X-KMail-*", "X-TUID", "X-Label",
)  # fmt: skip
"""What mail stores and programs note in the message itself: it changes while it lies there."""

TRACE_FIELDS = (*WAY_FIELDS, *STATE_FIELDS)


def fields_named(names: Iterable[str]) -> re.Pattern[bytes]:
    """Finds fields of these names in a header, each with its folded lines and line end. LF or CRLF line ends."""
    choice = b"|".join(re.escape(name.encode()).replace(rb"\*", rb"[!-9;-~]*") for name in names)
    return re.compile(rb"^(?:%b)[ \t]*:.*(?:\n[ \t].*)*(?:\n|\Z)" % choice, re.IGNORECASE | re.MULTILINE)
