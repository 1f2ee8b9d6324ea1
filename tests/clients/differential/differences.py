"""Where this server and Dovecot 2.3 differ, and why: each with its reason and the section that leaves it open.

A `Data` entry forgives untagged responses that one side alone gives, a `Status` entry a pair of tagged responses. What
no entry forgives is a fault of one of the two; where it is ours, it is mended and not listed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .normal import Answer


@dataclass(frozen=True, slots=True)
class Data:
    """who: "we" or "they". kind: pattern of the response's kind and data. command: pattern of the command."""

    who: str
    kind: str
    reason: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """ours, theirs: patterns of "STATUS [CODE]"."""

    ours: str
    theirs: str
    reason: str
    command: str = ""


DATA = (
    Data("we", r"NAMESPACE ", "other users' mailboxes have a namespace here (RFC 2342 5)"),
    Data("they", r"NAMESPACE ", "Dovecot was given none for other users"),
    Data("we", r"OK \[MAILBOXID\]", "OBJECTID, which Dovecot has not (RFC 8474 4.3)"),
    Data("we", r"OK \[HIGHESTMODSEQ\]", "told always, by Dovecot once CONDSTORE is on (RFC 7162 3.1.2.1 leaves both)"),
    Data("we", r"OK \[CLOSED\]", "told always, by Dovecot with QRESYNC alone (RFC 9051 6.3.2, RFC 7162 3.2.11)"),
    Data("they", r"OK \[CLOSED\]", "likewise"),
    Data(
        "they",
        r"(FLAGS|OK \[PERMANENTFLAGS\]) ",
        "said again when a keyword is new; RFC 3501 7.2.6 asks for it at SELECT",
    ),
    Data("we", r"(FLAGS|OK \[PERMANENTFLAGS\]) ", "keywords are an account's here, a mailbox's there (RFC 3501 7.2.6)"),
    Data(
        "we", r"\d+ FETCH BODY\[\d[^]]*\](<\d+>)? None", "no such part: NIL or empty are both nstring (RFC 3501 6.4.5)"
    ),
    Data("they", r"\d+ FETCH BODY\[\d[^]]*\](<\d+>)? b''", "likewise"),
    Data("they", r"\d+ FETCH BODY\[2\.1\] ", "what it takes for a part of one that has none (RFC 3501 6.4.5)"),
    Data("we", r"\d+ FETCH BINARY.SIZE\[1\] ", "the size of BINARY[1], as RFC 3516 4.3 says; Dovecot's is another"),
    Data("they", r"\d+ FETCH BINARY.SIZE\[1\] ", "likewise"),
    Data("they", r"SEARCH ", "see the status of the same command", "32-Jan"),
    Data(
        "we", r"\d+ FETCH (FLAGS|UID) ", "flags that were so before are told again (RFC 3501 6.4.6 leaves it)", "STORE"
    ),
    Data(
        "we", r"\d+ FETCH FLAGS .*Seen", "of those that had \\Seen too, where others get it (RFC 3501 6.4.5)", "FETCH"
    ),
    Data("we", r"EXISTS ", "told at once, by Dovecot at times with the next command (RFC 3501 6.3.11)", "APPEND"),
    Data("we", r"RECENT ", "IMAP4rev2 did away with it: which session has it is chance (RFC 3501 2.3.2)"),
    Data("they", r"RECENT ", "likewise"),
)
STATUS = (
    Status(r"OK \[MAILBOXID\]", r"OK \[\]", "OBJECTID (RFC 8474 4.2)", "^CREATE"),
    Status(
        r"NO \[ALREADYEXISTS\]",
        r"OK \[\]",
        "an error by RFC 3501 6.3.3; Dovecot makes the INBOX it had not",
        "^CREATE INBOX",
    ),
    Status(
        r"NO \[\]",
        r"OK \[\]",
        "EXAMINE: refused, there done to nothing (RFC 4315 2.1, RFC 3501 6.3.2)",
        "EXPUNGE|STORE|MOVE",
    ),
    Status(r"BAD \[\]", r"OK \[\]", "more than the grammar allows (RFC 3501 9)", "^NOOP 1|32-Jan"),
    Status(r"OK \[\]", r"OK \[CLIENTBUG\]", "STATUS of the selected mailbox, which RFC 9051 6.3.11 allows", "^STATUS"),
    Status(r"NO \[CANNOT\]", r"NO \[\]", "RFC 5530 3: a code more", "^RENAME"),
    Status(
        r"NO \[\]", r"BAD \[\]", "read-only, and a flag that there is not: either is told (RFC 3501 6.4.6)", "Wrong"
    ),
    Status(r"NO \[CANNOT\]", r"BAD \[\]", "a flag that there is not: the grammar has it (RFC 3501 9, 6.4.6)", "Wrong"),
    Status(r"BAD \[CLIENTBUG\]", r"BAD \[\]", "RFC 5530 3: a code more"),
    Status(r"NO \[NONEXISTENT\]", r"NO \[ALREADYEXISTS\]", "both are true of these names (RFC 5530 3)", "^RENAME"),
    Status(
        r"NO \[TRYCREATE\]",
        r"OK \[\]",
        "UIDs that are not there, to a mailbox that is not (RFC 3501 6.4.7, 6.4.8)",
        "^UID (COPY|MOVE)",
    ),
    Status(r"NO \[BADCHARSET\]", r"BAD \[\]", "RFC 3501 6.4.4 wants NO", "CHARSET NONE"),
    Status(
        r"NO \[NONEXISTENT\]", r"NO \[\]", "RFC 5530 3: a code more", "^(SELECT|EXAMINE|STATUS|DELETE|RENAME|SUBSCRIBE)"
    ),
)


def explained(command: bytes, ours: Answer, theirs: Answer) -> bool:
    """Whether every difference of these answers has an entry."""
    text = command[:200].decode("ascii", "replace")
    one, other = f"{ours.status} [{ours.code}]", f"{theirs.status} [{theirs.code}]"
    if one != other and not any(
        re.search(s.command, text) and re.fullmatch(s.ours, one) and re.fullmatch(s.theirs, other) for s in STATUS
    ):
        return False
    mine, their = set(map(_shown, ours.data)), set(map(_shown, theirs.data))
    alone = [("we", line) for line in mine - their] + [("they", line) for line in their - mine]
    return all(
        any(d.who == who and re.search(d.command, text) and re.match(d.kind, line) for d in DATA) for who, line in alone
    )


def _shown(data: tuple[str, object]) -> str:
    """A response as it is compared. Line ends of BINARY are not: ours are CRLF, whatever the text was encoded with (RFC
    3516 6), Dovecot's as they were. Nor is us-ascii of a text that is not plain, which Dovecot tells of all that do not
    say what they are (RFC 2046 4.1.2 knows it of text/plain)."""
    kind, value = data
    if "FETCH BINARY[" in kind and isinstance(value, bytes):
        value = value.replace(b"\r\n", b"\n")
    return _NOT_PLAIN.sub(r"\1None", f"{kind} {value!r}")


_NOT_PLAIN = re.compile(r"(\(b'text', b'(?!plain')[^']*', )\(b'charset', b'us-ascii'\)")
