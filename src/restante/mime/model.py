"""What is known of one message once it has been analysed: value types only.

An `Analysis` is made once, at delivery, and stored; no door parses the message again. `Part` gives octet
offsets, so that BODY[1.2]<n.m> is a slice of the stored octets.
"""

from __future__ import annotations

from enum import IntFlag

from ..values import Value

ANALYSER = 3
"""Number of the analysis, raised by every change after which the same octets get other answers: answers that a backup
keeps are used only where it is the same. tests/mime/test_analyser.py knows when."""


class Lengthy(Exception):
    """A message whose analysis was to be brief takes longer: see `analyse`."""


class Trait(IntFlag):
    """Facts about a message's octets that a door must know before it hands them out."""

    NONE = 0
    NUL = 1
    """Holds NUL, which BODY[] may not carry (RFC 9051 4.3.1): goes out as 0x80 there."""
    EIGHT_BIT_HEADER = 2
    """A header field of the message or of a part holds octets over 127 (RFC 6532, or broken)."""
    BARE_LINE_END = 4
    """Holds a CR or LF that is not part of CRLF."""
    NO_FINAL_CRLF = 8
    """Does not end in CRLF: RETR and LMTP's DATA must add one."""
    SIMPLIFIED = 16
    """Past a limit (parts, depth, addresses): structure is told in simplified form, octets are untouched."""


class Part(Value, frozen=True):
    """One MIME entity. Offsets are octets from the start of the message.

    header:body is the header with its empty line (for the root: the message's own header; for the part of a
    multipart: its MIME header); body:end is its content, encoded as it stands. For message/rfc822 (and
    message/global) `children` holds one Part: the nested message, whose header and body lie within body:end.
    type, subtype: lower-case ASCII. encoding: lower-case ("7bit", "base64", ...). charset: lower-case or "".
    lines: CRLF-or-LF line count of the content (RFC 9051 7.5.2, body-fld-lines) .
    """

    header: int
    body: int
    end: int
    type: str = "text"
    subtype: str = "plain"
    encoding: str = "7bit"
    charset: str = ""
    lines: int = 0
    children: tuple[Part, ...] = ()


class SortKeys(Value, frozen=True):
    """What SORT and THREAD compare (RFC 5256, RFC 5957), already decoded and folded.

    sent: Date field as seconds UTC, None where absent or unreadable (the caller then takes INTERNALDATE).
    subject: base subject (RFC 5256 2.1), folded. is_reply: the subject had re:/fwd: taken off.
    sender, recipient, cc: local part of the first address, folded. display_from, display_to: RFC 5957. Before each of
    these texts stands `mime.keys.NOT_DECODED` where it could not be decoded whole.
    message_id: normalised "<...>" or "". references: normalised ids of References, else the first of
    In-Reply-To, in order, without duplicates. sent_day: the Date field's calendar day as written, its zone
    disregarded, as days since 1970-01-01 (SENTBEFORE and its like, RFC 9051 6.4.4); None like `sent`.
    """

    sent: int | None
    subject: str
    is_reply: bool
    sender: str
    recipient: str
    cc: str
    display_from: str
    display_to: str
    message_id: str
    references: tuple[str, ...]
    sent_day: int | None = None


class SearchText(Value, frozen=True):
    """Decoded text for SEARCH, folded by `restante.mime.fold.fold` (i;unicode-casemap).

    sender..subject: the decoded field values, several joined by "\\n". header: every header field of the
    message, "Name: value" decoded, one a line. The body's text is made apart, by `restante.mime.text.body_text`:
    decoded text parts, HTML as text, headers of nested messages and names of attachments, joined by "\\n", and behind a
    mark the headers of parts.
    """

    sender: str
    recipient: str
    cc: str
    bcc: str
    subject: str
    header: str


class Analysis(Value, frozen=True):
    """Everything a store keeps beside a message's octets.

    envelope, body, bodystructure: ready IMAP text with its outer parentheses; strings that hold 8-bit
    octets, CR, LF or more than 900 octets stand as literals, so that the text is valid in both IMAP
    dialects. headers: raw octets of those header fields of the message that clients ask for
    (`restante.mime.headers.CACHED_FIELDS`), unfolded nowhere, each with its line ends as CRLF, in order.
    preview: at most 200 characters of text for a list (RFC 8970 3.1), white space collapsed.
    surrogate_size: octets of the RFC 6858 surrogate that POP3 without UTF8 sends, None where none is needed.
    """

    size: int
    traits: Trait
    root: Part
    envelope: bytes
    body: bytes
    bodystructure: bytes
    headers: bytes
    preview: str
    keys: SortKeys
    text: SearchText
    surrogate_size: int | None = None


class Limits(Value, frozen=True):
    """Bounds past which structure is simplified; the message itself is always kept and served whole.

    depth: nested multiparts and messages. parts: entities in all. addresses: in one ENVELOPE, all fields
    together. header: octets of one header block that are read for fields. fields: header fields read.
    parameters: of one Content-Type or Content-Disposition. text: characters of decoded text kept for search.
    """

    depth: int = 50
    parts: int = 1_000
    addresses: int = 5_000
    header: int = 1 << 20
    fields: int = 10_000
    parameters: int = 100
    text: int = 8 << 20


DEFAULT_LIMITS: Limits = Limits()
"""The limits a server starts with; the configuration's [limits] table may change them."""
