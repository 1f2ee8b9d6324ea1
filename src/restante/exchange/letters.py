"""What the name of a Maildir message says: its unique part, its flags as letters, its time. Pure.

`<unique>[,S=<octets>][,W=<octets with CRLF>][:2,<letters>]`: what stands before ":2," never changes while the
message lives. S R F D T are system flags, P is $Forwarded, small letters are keywords by the folder's
dovecot-keywords. Some systems write "!" or ";" where a file's name may not have ":".
"""

from __future__ import annotations

import re

LETTERS = {"S": "\\Seen", "R": "\\Answered", "F": "\\Flagged", "D": "\\Draft", "T": "\\Deleted", "P": "$Forwarded"}

INFO = re.compile(r"[:;!]2,")
NAME_TIME = re.compile(r"(\d{1,10})\.")
KEYWORD = re.compile(r"[!#$&'+-\[^-z|}~]{1,255}")
"""As long as IMAP takes them. Said by what may stand there: to compile a class that excludes all of Unicode takes
milliseconds."""


def base_name(file: str) -> str:
    """A Maildir file's name without its flags (":2,S"; "!2,S" and ";2,S" are written on some systems)."""
    return INFO.split(file, maxsplit=1)[0]


def name_time(file: str) -> int | None:
    """The time that a file's name begins with, seconds UTC."""
    found = NAME_TIME.match(file)
    return int(found.group(1)) if found else None


def is_keyword(word: str) -> bool:
    """Whether IMAP can carry the word as a keyword (RFC 9051 9, flag-keyword: an atom)."""
    return KEYWORD.fullmatch(word) is not None
