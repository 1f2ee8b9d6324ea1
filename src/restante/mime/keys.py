"""Sort keys: base subjects, message ids, display names, sent date. RFC 5256 2.1 and 2.2, RFC 5957 3, RFC 5255 4.6."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from .addresses import Address
from .dates import parse_date
from .decode import MOST_KEPT, decode_header
from .envelope import Envelope
from .fold import fold
from .headers import Fields, first
from .model import SortKeys

MAX_SUBJECT = 4_000
"""Characters of a subject that are compared."""

MAX_REFERENCES = 1_000
"""Message ids kept of one References field: its first and its newest."""

_AT_ONCE = 64 << 10
"""Octets of a field of which all ids are found at once: nobody else has the interpreter meanwhile."""

_BLOBS = re.compile(r"(?:\[[^\[\]]*+\][ \t]*+)*").match
_REFWD = re.compile(r"(?:re|fwd?)[ \t]*+(?:\[[^\[\]]*+\][ \t]*+)?:", re.IGNORECASE).match
_ID = re.compile(rb'<([^<>"]*+(?:(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|")[^<>"]*+)*+)>', re.DOTALL)
_PLAIN_ID = re.compile(rb"<[^<>]++>")
_WSP = re.compile(r"[ \t\r\n]+")
"""Tabs, continuations and spaces, of which step 1 makes one space; other blanks of Unicode are letters to it."""
_BLANK = re.compile(rb"\s+")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def base_subject(subject: str) -> tuple[str, bool]:
    """(base subject, whether a reply or forward mark was taken off) of a decoded subject. RFC 5256 2.1.

    Not folded yet. Linear: positions move inwards over one string.
    """
    text = _WSP.sub(" ", subject[:MAX_SUBJECT]).strip(" ")
    if ":" not in text and "[" not in text and text[-1:] != ")":
        return text, False  # no mark that could be taken off
    start, end, reply = 0, len(text), False
    while True:
        end, marked = _cut_trailers(text, start, end)
        reply = reply or marked
        start, marked = _cut_leaders(text, start, end)
        reply = reply or marked
        if text[start : start + 5].lower() == "[fwd:" and end - start > 5 and text[end - 1] == "]":
            start, end, reply = start + 5, end - 1, True
            continue
        return text[start:end], reply


def _cut_trailers(text: str, start: int, end: int) -> tuple[int, bool]:
    """Step 2: "(fwd)" and blanks at the end."""
    marked = False
    while end > start:
        if text[end - 1] == " ":
            end -= 1
        elif end - start >= 5 and text[end - 5 : end].lower() == "(fwd)":
            end, marked = end - 5, True
        else:
            break
    return end, marked


def _cut_leaders(text: str, start: int, end: int) -> tuple[int, bool]:
    """Steps 3 to 5: "re:", "fwd:" with the blobs before them, then blobs while something is left."""
    marked = False
    while start < end:
        if text[start] == " ":
            start += 1
            continue
        blobs = _BLOBS(text, start, end)
        behind = blobs.end() if blobs else start
        prefix = _REFWD(text, behind, end)
        if prefix is not None:
            start, marked = prefix.end(), True
            continue
        if behind < end:
            return behind, marked
        # Only blobs are left: the last of them is the subject.
        return text.rfind("[", start, end), marked
    return start, marked


def message_ids(field: bytes) -> list[str]:
    """Normalised message ids of an unfolded field, in order. One that stands twice beside itself is told once: others
    come again, since the last one is the parent, also where it has come before.

    Quoting that changes nothing is taken off, so that <"a"@x> equals <a@x>. RFC 5256 3, THREAD=REFERENCES.
    """
    if b'"' not in field and b"\\" not in field:
        ids = _PLAIN_ID.findall(field) if len(field) <= _AT_ONCE else [found[0] for found in _PLAIN_ID.finditer(field)]
        if b" " in field or b"\t" in field:
            ids = [_BLANK.sub(b"", one) if b" " in one or b"\t" in one else one for one in ids]
        return [one.decode("utf-8", "replace") for one, _ in groupby(filter(b"<>".__ne__, ids))]
    found: list[str] = []
    for match in _ID.finditer(field):
        inner = match[1]
        if b'"' in inner or b"\\" in inner:
            inner = _ESCAPED.sub(rb"\1", inner.replace(b'"', b"") if b"\\" not in inner else _unquoted(inner))
        if b" " in inner or b"\t" in inner:
            inner = _BLANK.sub(b"", inner)
        if inner:
            found.append("<" + inner.decode("utf-8", "replace") + ">")
    return [one for one, _ in groupby(found)]


_QUOTE = re.compile(rb'(\\.)|"', re.DOTALL)


def _unquoted(inner: bytes) -> bytes:
    return _QUOTE.sub(lambda match: match[1] or b"", inner)


def _is_valid(one: str) -> bool:
    """Whether it may be a message id, rather than a word that somebody put between angle brackets."""
    return "@" in one


def _references(fields: Fields) -> tuple[str, ...]:
    values = fields.get(b"references")
    found = message_ids(b" ".join(values)) if values else []
    if not any(map(_is_valid, found)):  # RFC 5256 3: no valid one, so the first valid one of In-Reply-To
        value = first(fields, b"in-reply-to")
        replied = message_ids(value) if value else []
        found = [one for one in replied if _is_valid(one)][:1] or found or replied[:1]
    if len(found) > MAX_REFERENCES:
        found = found[:1] + found[1 - MAX_REFERENCES :]
    return tuple(found)


def _message_id(fields: Fields) -> str:
    value = first(fields, b"message-id")
    if not value:
        return ""
    found = message_ids(value)
    if found:
        return found[0]
    return "<" + value.decode("utf-8", "replace") + ">" if b"@" in value and b" " not in value else ""


NOT_DECODED = "\U0010ffff"
"""Stands before a text of which something could not be decoded: no other text comes behind it."""


def _collated(text: str) -> str:
    """A text folded, so that those in an invalid encoding come after all others, each time the same (RFC 5255 4.6)."""
    return fold(text) if "\ufffd" not in text else NOT_DECODED + fold(text)


def _named(found: Sequence[Address], fallback: str) -> tuple[str, str]:
    """The mailbox and what is displayed of the first address, folded."""
    if not found:
        return "", ""
    name, route, mailbox, host = found[0]
    if len(name or b"") + len(route or b"") + len(mailbox or b"") + len(host or b"") + len(fallback) > MOST_KEPT:
        return _first_named(found[0], fallback)
    return _first_named_kept(found[0], fallback)


def _first_named(address: Address, fallback: str) -> tuple[str, str]:
    return _collated(decode_header(address.mailbox or b"", fallback)), _collated(display_name((address,), fallback))


_first_named_kept = lru_cache(maxsize=256)(_first_named)
"""As few people write as `envelope` remembers."""


def display_name(found: Sequence[Address], fallback: str) -> str:
    """RFC 5957 3: name, else mailbox@host (also an empty one, which is not NIL), else mailbox of the first address;
    not folded."""
    if not found:
        return ""
    address = found[0]
    if address.name:
        name = decode_header(address.name, fallback).strip()
        if name:
            return name
    if address.mailbox is None:
        return ""
    shown = address.mailbox if address.host is None else address.mailbox + b"@" + address.host
    return decode_header(shown, fallback)


def sort_keys(fields: Fields, made: Envelope, fallback: str) -> SortKeys:
    """What SORT and THREAD compare of one message. fallback: charset of raw 8-bit fields."""
    field = first(fields, b"date")
    sent = parse_date(field) if field else None
    subject, is_reply = base_subject(decode_header(first(fields, b"subject") or b"", fallback))
    sender, display_from = _named(made.sender, fallback)
    recipient, display_to = _named(made.recipient, fallback)
    cc, _ = _named(made.cc, fallback)
    return SortKeys(
        sent=None if sent is None else sent.instant,
        sent_day=None if sent is None else sent.day,
        subject=_collated(subject),
        is_reply=is_reply,
        sender=sender,
        recipient=recipient,
        cc=cc,
        display_from=display_from,
        display_to=display_to,
        message_id=_message_id(fields),
        references=_references(fields),
    )
