"""What a person or program hands in -> a message fit to be sent, and its envelope. Pure: time and chance are arguments.

As submission may (RFC 6409 8): line ends become CRLF, a missing Date, Message-ID and From are added, Bcc is taken out;
all else stays octet for octet. Recipients of the header are read for `-t`, resent fields before the first ones where
there are any (RFC 5322 3.6.6).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from ...clock import Random
from ...errors import Refusal
from ...mime.addresses import parse_addresses
from ...mime.decode import decode_header
from ...mime.headers import Fields, FieldSelector, header_end, index_fields, split_fields
from ...smtp.grammar.requests import Content, content_of, is_address, with_crlf

MOST_FIELDS = 2_000
MOST_RECIPIENTS = 10_000

_BCC = frozenset({b"bcc", b"resent-bcc"})
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_NEXT_FIELD = re.compile(rb"\r\n(?![ \t])")
_MBOX_LINE = re.compile(rb"From [^\r\n]*\r?\n")
_LOCAL = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\x80-\xff-]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")


class BadMessage(Refusal):
    """This cannot be sent to anybody, now or later."""

    code = "BAD-MESSAGE"


@dataclass(frozen=True, slots=True)
class Own:
    """Who sends. name: in full, for a From that is added; may be empty."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """sender: of the envelope. subject: for people. message: what will be sent and filed."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    message: bytes


def compose(
    raw: bytes,
    *,
    recipients: Sequence[str],
    from_header: bool,
    sender: str | None,
    own: Callable[[str], Own],
    now: float,
    random: Random,
) -> Ready:
    """Make a message ready.

    recipients: as given besides. from_header: those that To, Cc and Bcc name are added (-t). sender: the envelope's as
    given, "" for <>; None: the header's. own: who sends, by the sender given or what From says ("" where neither says
    anything); it may refuse. now: seconds UTC. Raises BadMessage.
    """
    message = with_crlf(_MBOX_LINE.sub(b"", raw, count=1) if raw.startswith(b"From ") else raw)
    if not message.endswith(b"\r\n"):
        message += b"\r\n"  # as the end of DATA wants it: what is filed is what was sent
    header, body = _split(message)
    split = split_fields(header, MOST_FIELDS + 1)
    if len(split) > MOST_FIELDS:  # a Bcc behind the last one that is read would be sent to all
        raise BadMessage(f"The header has more than {MOST_FIELDS} fields.")
    fields = index_fields(split)
    found = _header_recipients(fields) if from_header else []
    everybody = tuple(dict.fromkeys(_checked(each) for each in (*recipients, *found)))
    if not everybody:
        hint = "Write To, Cc or Bcc into its header." if from_header else "Name one, or say -t and write To, Cc or Bcc."
        raise BadMessage("The message has no recipient.", hint)
    if len(everybody) > MOST_RECIPIENTS:
        raise BadMessage(f"The message has more than {MOST_RECIPIENTS} recipients.")
    author = next((each for each in addresses(fields.get(b"from", [])) if "@" in each), "")
    who = own(sender or author)
    added = _added(fields, who, now, random)
    kept = FieldSelector(_BCC, negate=True).fields(header) if _BCC & fields.keys() else header
    # Before what is there, as a trace field would be: nothing that a signature covers moves.
    ready = added + kept + b"\r\n" + body
    if content_of(ready) is Content.UNSENDABLE:
        raise BadMessage(
            "The message has NUL octets, or 8-bit characters in its header that are no UTF-8.",
            "Encode it as MIME wants it.",
        )
    envelope = sender if sender is not None else (author if is_address(author) else who.address)
    if envelope and not is_address(envelope):
        raise BadMessage(f'The sender "{_shown(envelope)}" is no address.')
    subject = decode_header(next(iter(fields.get(b"subject", [])), b""))
    return Ready(envelope, everybody, _shown(subject), ready)


def until_dot(data: bytes) -> bytes:
    """What stands before a line that is a single dot: how sendmail reads its input without -i."""
    if data.startswith((b".\n", b".\r\n")):
        return b""
    found = re.search(rb"\n\.\r?(?:\n|\Z)", data)
    return data[: found.start() + 1] if found else data


def addresses(values: Sequence[bytes]) -> list[str]:
    """Addresses of fields that hold lists of them, in order; groups give their members. A name without a host is given
    as it is: it is no address, and whoever wrote it is to be told rather than to think that it was sent there."""
    found = []
    for value in values:
        listed, whole = parse_addresses(value, MOST_RECIPIENTS)
        if not whole:
            raise BadMessage(f"A header field names more than {MOST_RECIPIENTS} addresses.")
        for each in listed:
            if each.mailbox and each.host:
                found.append(_text(_local_part(each.mailbox) + b"@" + each.host))
            elif each.mailbox and each.host is not None:
                found.append(_text(each.mailbox))
    return found


def _split(message: bytes) -> tuple[bytes, bytes]:
    """(header without the empty line, body). What does not begin with a field is all body, as sendmail has it."""
    if not _FIELD.match(message):
        return b"", message.removeprefix(b"\r\n")
    end = header_end(message, 0, len(message))
    header, at = message if end < 0 else message[: end - 2], 0
    while at < len(header):
        if not _FIELD.match(header, at):
            return message[:at], message[at:]  # a line that is no field ends the header: an empty one was forgotten
        found = _NEXT_FIELD.search(header, at)
        at = found.end() if found else len(header)
    return header, message[end:] if end >= 0 else b""


def _header_recipients(fields: Fields) -> list[str]:
    resent: list[bytes] = [name for name in (b"resent-to", b"resent-cc", b"resent-bcc") if name in fields]
    names = resent or [b"to", b"cc", b"bcc"]
    return [address for name in names for address in addresses(fields.get(name, []))]


def _added(fields: Fields, who: Own, now: float, random: Random) -> bytes:
    """The fields that are missing."""
    lines = []
    if b"message-id" not in fields:
        # The domain is the sender's, not this machine's: its name is nobody's business.
        lines.append(f"Message-ID: <{random(12).hex()}@{_domain(who.address)}>")
    if b"date" not in fields:
        lines.append(f"Date: {format_datetime(datetime.fromtimestamp(int(now), UTC))}")
    if b"from" not in fields:
        lines.append(f"From: {_phrase(who.name)}<{who.address}>" if who.name else f"From: {who.address}")
    return "".join(line + "\r\n" for line in lines).encode("utf-8")


def _domain(address: str) -> str:
    domain = address.rpartition("@")[2]
    return domain if re.fullmatch(r"[A-Za-z0-9.-]+", domain) else "localhost.invalid"


def _phrase(name: str) -> str:
    """A display name (RFC 5322 3.4): atoms as they are, else quoted; what is not ASCII as encoded words."""
    if not name.isascii():
        from email.header import Header

        return Header(name, "utf-8").encode(linesep="\r\n") + " "
    if _ATOMS.fullmatch(name):
        return name.strip() + " "
    escaped = re.sub(r'(["\\])', r"\\\1", "".join(c for c in name if c.isprintable()))
    return f'"{escaped}" '


def _checked(address: str) -> str:
    bare = address.strip().removeprefix("<").removesuffix(">")
    if not is_address(bare) or "@" not in bare:
        raise BadMessage(f'"{_shown(address)}" is no address.', "Write name@example.com.")
    return bare


def _local_part(raw: bytes) -> bytes:
    """As it stands in a command: quoted, where it is no dot-atom (RFC 5321 4.1.2)."""
    if _LOCAL.fullmatch(raw):
        return raw
    return b'"' + re.sub(rb'(["\\\\])', rb"\\\1", raw) + b'"'


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("iso-8859-1")  # no address then, and refused by name


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
