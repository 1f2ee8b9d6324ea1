"""The control files that Courier keeps beside a Maildir: UIDs, POP3's list, keywords, subscriptions.

Values in, values out, as in `dovecot`; nothing of Courier's is written. What was read from its source:

courierimapuiddb        `1 <UIDVALIDITY> <UIDNEXT>`, then `<UID> <file without flags>`: what Dovecot's version 1 became
courierpop3dsizelist    `/<version> <next> [<UIDVALIDITY>]`, then `<file> <size> <n>:<uidvalidity>[:<UTF-8>]`;
                        versions 2 and 3. INBOX alone. The UIDL told is `UID<n>-<uidvalidity>`, without the second
                        number where that is 0; where n is 0 (lists of the oldest version) it is the file's name
courierimapkeywords     a folder; `:list` has names, an empty line, then `<file>:<number> ...`. A file beside it named
                        after a message has that message's keywords, a line each, and goes before the list; one named
                        `.<number>.<file>` is such a change on its way
courierimapsubscribed   a name a line, `INBOX` and `INBOX.A.B`
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..inbox import is_inbox
from .dovecot import UidFile, is_uidl, parse_uidlist
from .letters import base_name

UIDDB = "courierimapuiddb"
POP3_LIST = "courierpop3dsizelist"
KEYWORDS_FOLDER = "courierimapkeywords"
KEYWORDS_LIST = ":list"
SUBSCRIPTIONS = "courierimapsubscribed"


def parse_uiddb(data: bytes) -> UidFile:
    """Raises ValueError where it is none; broken lines are told in its `problems`."""
    if not data.startswith(b"1 "):
        raise ValueError(f"not a {UIDDB} of version 1")
    return parse_uidlist(data)


def parse_pop3_list(data: bytes) -> tuple[dict[str, str], list[str]]:
    """UIDLs by file (without flags), and what could not be read. Raises ValueError for a version that is not known."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    if re.fullmatch(r"/[23] \d{1,20}( \d{1,20})?\r?", lines[0]) is None:
        raise ValueError(f"not a {POP3_LIST} of version 2 or 3")
    found: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        parts = _POP3_LINE.fullmatch(line)
        uidl = _uidl(base_name(parts[1]), int(parts[2]), int(parts[3])) if parts else None
        if parts is None or uidl is None:
            problems.append(f"line {number} cannot be read")
        else:
            found[base_name(parts[1])] = uidl
    return found, problems


_POP3_LINE = re.compile(r"(.+) \d{1,20} (\d{1,20}):(\d{1,20})(?::\d+)?\r?", re.ASCII)


def _uidl(file: str, number: int, uidvalidity: int) -> str | None:
    """What Courier's POP3 tells. None where that is no UIDL by RFC 1939 (too long a file name)."""
    if number:
        return f"UID{number}-{uidvalidity}" if uidvalidity else f"UID{number}"
    octets = file.encode("utf-8", "surrogateescape")
    uidl = "".join(chr(o) if 0x21 <= o <= 0x7E and chr(o) not in "'\"+" else f"+{o:02X}" for o in octets)
    return uidl if is_uidl(uidl) else None


def parse_keywords(listed: bytes, changes: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Keywords by message file (without flags). listed: of `:list`; changes: the files beside it, by name."""
    lines = listed.decode("utf-8", "replace").split("\n")
    border = lines.index("") if "" in lines else len(lines)
    names = lines[:border]
    found: dict[str, list[str]] = {}
    for line in lines[border + 1 :]:
        file, colon, numbers = line.rpartition(":")
        if colon and file:
            known = (int(n) for n in numbers.split() if n.isascii() and n.isdecimal() and len(n) < 6)
            found[base_name(file)] = [names[n] for n in known if n < len(names)]
    for name in sorted(changes, key=_order):
        text = changes[name].decode("utf-8", "replace")
        found[_CHANGE.sub("", name)] = [line for line in text.split("\n") if line]
    return found


_CHANGE = re.compile(r"\A\.(\d{1,10})\.")


def _order(name: str) -> tuple[bool, int]:
    """Changes on their way by number; what has the message's own name goes before all."""
    numbered = _CHANGE.match(name)
    return (numbered is None, int(numbered[1]) if numbered else 0)


def parse_subscriptions(data: bytes) -> list[str]:
    """Names as they stand on disk, "/" between levels, without the "INBOX." that Courier's namespace has."""
    names = []
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        head, dot, rest = line.partition(".")
        if is_inbox(head):
            names.append(rest.replace(".", "/") if dot else "INBOX")
        elif line:
            names.append(line.replace(".", "/"))
    return names


def is_keyword_change(name: str) -> bool:
    """Whether a file in the keywords' folder tells of one message."""
    return name != KEYWORDS_LIST and not name.startswith(":")


__all__ = [
    "KEYWORDS_FOLDER",
    "KEYWORDS_LIST",
    "POP3_LIST",
    "SUBSCRIPTIONS",
    "UIDDB",
    "is_keyword_change",
    "parse_keywords",
    "parse_pop3_list",
    "parse_subscriptions",
    "parse_uiddb",
]
