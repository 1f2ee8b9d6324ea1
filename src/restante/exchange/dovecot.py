"""The control files that Dovecot keeps beside a Maildir: dovecot-uidlist, dovecot-keywords, subscriptions.

Values in, octets out and back; reading and writing files is the callers'. A uidlist (version 3) has one header
line, `3 V<UIDVALIDITY> N<UIDNEXT> G<mailbox GUID>`, and one line a message, `<UID> [<letter><value> ]... :<file>`,
where the file stands without its folder and may lack its flags. Letters: P a POP3 UIDL, G the message's GUID,
S and W its size as stored and with CRLFs. Version 1 (`1 <UIDVALIDITY> <UIDNEXT>`, `<UID> <file>`) is read too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from ..values import Value, field
from .letters import base_name

MOST_UID = 0xFFFF_FFFF
KEYWORD_LETTERS = 26

UIDLIST = "dovecot-uidlist"
KEYWORDS = "dovecot-keywords"
SUBSCRIPTIONS = "subscriptions"


class UidRecord(Value, frozen=True):
    """One message's line. file: base name without flags."""

    uid: int
    file: str
    uidl: str | None = None
    guid: str | None = None
    size: int | None = None
    crlf_size: int | None = None


class UidFile(Value, frozen=True):
    """A whole uidlist. records: ascending by UID."""

    uidvalidity: int
    uidnext: int
    guid: str | None = None
    records: tuple[UidRecord, ...] = ()
    problems: tuple[str, ...] = field(default=())


def parse_uidlist(data: bytes) -> UidFile:
    """Raises ValueError where the header is not a uidlist's; broken lines are told in `problems`."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    header = lines[0].rstrip("\r").split(" ")
    uidvalidity, uidnext, guid = _parse_header(header)
    records: dict[int, UidRecord] = {}
    problems: list[str] = []
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        record = _parse_record(line, header[0])
        if record is None:
            problems.append(f"line {number} cannot be read")
        else:
            records[record.uid] = record
    ordered = tuple(records[uid] for uid in sorted(records))
    if ordered:
        uidnext = max(uidnext, ordered[-1].uid + 1)
    return UidFile(uidvalidity, uidnext, guid, ordered, tuple(problems))


def _parse_header(words: list[str]) -> tuple[int, int, str | None]:
    if words[0] == "1" and len(words) >= 3:
        uidvalidity, uidnext, guid = int(words[1]), int(words[2]), None
    elif words[0] == "3":
        values = {word[:1]: word[1:] for word in words[1:]}
        uidvalidity, uidnext, guid = int(values.get("V", "0")), int(values.get("N", "1")), values.get("G")
    else:
        raise ValueError("not a dovecot-uidlist of version 1 or 3")
    if not 0 < uidvalidity <= MOST_UID or not 0 < uidnext <= MOST_UID:
        raise ValueError("UIDVALIDITY or UIDNEXT is out of range")
    return uidvalidity, uidnext, guid


def _parse_record(line: str, version: str) -> UidRecord | None:
    if version == "1":
        left, _, file = line.partition(" ")
    else:
        left, colon, file = line.partition(" :")
        if not colon:
            return None
    uid, *fields = left.split(" ")
    if not uid.isdecimal() or not uid.isascii() or len(uid) > 10 or not 0 < int(uid) < MOST_UID or not file:
        return None
    values = {word[:1]: word[1:] for word in fields}
    uidl = values.get("P")
    return UidRecord(
        int(uid),
        base_name(file),
        uidl if uidl is not None and is_uidl(uidl) else None,
        values.get("G"),
        _number(values.get("S")),
        _number(values.get("W")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else None


def is_uidl(text: str) -> bool:
    """RFC 1939 7: 1 to 70 octets of 0x21 to 0x7E."""
    return 1 <= len(text) <= 70 and all("!" <= c <= "~" for c in text)


def format_uidlist(uidvalidity: int, uidnext: int, guid: str, records: Iterable[UidRecord]) -> bytes:
    """A uidlist of version 3."""
    lines = [f"3 V{uidvalidity} N{uidnext} G{guid}"]
    for record in records:
        fields = [str(record.uid)]
        fields += [
            letter + str(value)
            for letter, value in (
                ("G", record.guid),
                ("P", record.uidl),
                ("W", record.crlf_size),
                ("S", record.size),
            )
            if value is not None
        ]
        lines.append(" ".join(fields) + " :" + record.file)
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def parse_keywords(data: bytes) -> dict[str, str]:
    """Letter -> keyword. Lines: `<number from 0> <keyword>`."""
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        number, _, keyword = line.partition(" ")
        if number.isascii() and number.isdecimal() and len(number) < 3 and int(number) < KEYWORD_LETTERS and keyword:
            found[chr(ord("a") + int(number))] = keyword
    return found


def format_keywords(keywords: list[str]) -> bytes:
    """The first 26 keywords, which become the letters a to z."""
    return "".join(f"{i} {word}\n" for i, word in enumerate(keywords[:KEYWORD_LETTERS])).encode("utf-8")


def mailbox_guid(mailbox_id: str) -> str:
    """A MAILBOXID (a letter and 26 base32 characters) as the 32 hexadecimal digits that Dovecot wants."""
    raw = base64.b32decode(mailbox_id[1:27].upper().ljust(32, "="), casefold=True)
    return raw[:16].hex().ljust(32, "0")


def default_uidl(uid: int, uidvalidity: int) -> str:
    """The UIDL that Dovecot gives unless told otherwise (pop3_uidl_format = %08Xu%08Xv)."""
    return f"{uid:08x}{uidvalidity:08x}"


def parse_subscriptions(data: bytes) -> list[str]:
    """Names as they stand on disk, "/" between levels. Version 1: "." between levels; version 2 ("V\\t2"): tabs."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    if lines[0] == "V\t2":
        return ["/".join(map(_unescape, line.split("\t"))) for line in lines[1:] if line]
    return [line.replace(".", "/") for line in lines if line]


ESCAPES = {"0": "\0", "1": "\1", "t": "\t", "r": "\r", "l": "\n"}


def _unescape(level: str) -> str:
    return re.sub("\1(.)", lambda found: ESCAPES.get(found.group(1), found.group(1)), level)


def format_subscriptions(folders: Iterable[str]) -> bytes:
    """Version 2, one name a line, levels apart by tabs. folders: Maildir++ folder names ("" is INBOX)."""
    lines = ["V\t2", ""]
    lines += [folder[1:].replace(".", "\t") if folder else "INBOX" for folder in folders]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")
