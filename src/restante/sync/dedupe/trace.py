"""What a message is without the marks of its journey: header fields that relays, filters and mail stores add.

Two messages that differ in nothing else are the same letter that came twice, or by two ways. The list is deliberately
short of fields that a sender, or a mailing list, writes: those make another letter (DKIM-Signature, List-*, Sender).
Pure.
"""

from __future__ import annotations

import hashlib
import re

TRACE_FIELDS = (
    # relays and delivery (RFC 5321 4.4, RFC 5322 3.6.7, RFC 9228)
    "Received", "Return-Path", "Delivered-To", "X-Original-To", "Envelope-To", "Delivery-Date", "X-Delivered-To",
    "X-Envelope-To", "X-Envelope-From", "X-Originating-IP", "X-Received", "X-Resolved-To", "X-Delivered-By",
    # what the receiving side found out about it
    "Authentication-Results", "X-Authentication-Results", "Received-SPF", "ARC-Seal", "ARC-Message-Signature",
    "ARC-Authentication-Results", "DKIM-Filter", "X-Virus-Scanned", "X-Virus-Status", "X-Sieve", "X-Greylist",
    "X-Amavis-*", "X-Spam-*", "X-Spamd-*", "X-Rspamd-*", "X-Bogosity", "X-Policyd-Weight", "X-MS-Exchange-*",
    "X-Microsoft-Antispam*", "X-Forefront-*", "X-Google-Smtp-Source", "X-Gm-*", "X-Gmail-*",
    # mail stores and programs that note state in the message itself
    "Status", "X-Status", "X-Keywords", "X-UID", "X-UIDL", "X-IMAP", "X-IMAPbase", "Content-Length", "Lines",
    "X-Mozilla-*", "X-Account-Key", "X-Evolution*", "X-KMail-*", "X-TUID", "X-Label", "X-Getmail-*", "X-Fetchmail-*",
)  # fmt: skip
"""Names in any case; "*" stands for any further letters of a name."""

_NAMES = b"|".join(re.escape(name.encode()).replace(rb"\*", rb"[!-9;-~]*") for name in TRACE_FIELDS)
_FIELD = re.compile(rb"^(?:%b)[ \t]*:.*(?:\n[ \t].*)*(?:\n|\Z)" % _NAMES, re.IGNORECASE | re.MULTILINE)
_BLANK = re.compile(rb"(?:\A|\n)\r?\n")


def core(data: bytes) -> bytes:
    """SHA-256 of what two messages have in common that differ in trace fields alone.

    Line ends count as CRLF whatever they are, and line ends at the very end do not count: files of mail differ there
    by format, not by message. Cost is linear in the octets.
    """
    end = _BLANK.search(data)
    at = end.end() if end else len(data)
    whole = _FIELD.sub(b"", data[:at]) + data[at:]
    return hashlib.sha256(whole.replace(b"\r\n", b"\n").rstrip(b"\r\n")).digest()
