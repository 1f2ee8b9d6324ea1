"""Octets from a client, cut into commands: the first layer of the grammar, and its limits.

INTERFACE FIRST: the shapes below are what sessions are written against.
"""

from __future__ import annotations

from dataclasses import dataclass

from .commands import Command


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """Bounds on what one command may hold; octets unless said otherwise."""

    line: int = 65_536
    """All of a command without its literals."""
    line_before_login: int = 8_192
    literal: int = 1 << 20
    """Any literal but APPEND's message."""
    literal_before_login: int = 4_096
    message: int = 64 << 20
    """APPEND's message literal."""
    command: int = (64 << 20) + (1 << 20)
    """All that one command holds: line and literals together."""
    nesting: int = 50
    """Depth of parentheses in SEARCH."""
    set_items: int = 10_000
    """Ranges written in one sequence set."""
    search_keys: int = 1_000


@dataclass(frozen=True, slots=True)
class Continue:
    """The client waits for "+": send a continuation request, then feed what comes."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A command that is refused before any session sees it.

    tag: the command's, b"*" where none could be read (RFC 9051 7.1.3: untagged BAD). text: why, for the
    client. code: response code octets without brackets (b"TOOBIG"), or b"". no: answer NO instead of BAD
    (TOOBIG, UNKNOWN-CTE ...). fatal: nothing that follows can be told apart from data; answer
    `* BYE text` and close.
    """

    tag: bytes
    text: str
    code: bytes = b""
    no: bool = False
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A raw line (without CRLF) while the reader is in line mode: AUTHENTICATE's answers, IDLE's DONE."""

    data: bytes


Event = Command | Continue | Bad | Line


class CommandReader:
    """Feed octets, take events; one reader a connection.

    Usage: `feed(data)`, then `next()` until it gives None (more octets needed). The session may change, at
    any time between two `next()` calls: `utf8` (mailbox names and quoted strings are UTF-8: after ENABLE
    IMAP4rev2 or UTF8=ACCEPT), `authenticated` (which limits hold), `line_mode` (the next line comes as
    `Line`), `literal_plus` (True: LITERAL+ of any size; False: LITERAL-, 4,096 octets, RFC 7888).

    A refused synchronising literal is answered by Bad without a Continue; the data of a refused
    non-synchronising one is swallowed (up to its announced size) before the Bad comes out, or the Bad is
    fatal where that would be more than `limits.message`. Bare LF ends a line like CRLF does. Memory: what
    one command holds, and nothing for what is swallowed.
    """

    def __init__(self, limits: ReaderLimits) -> None:
        self.limits = limits
        self.utf8 = False
        self.authenticated = False
        self.line_mode = False
        self.literal_plus = False

    def feed(self, data: bytes) -> None:
        """Add octets as they came."""
        raise NotImplementedError

    def next(self) -> Event | None:
        """The next event, None when more octets are needed."""
        raise NotImplementedError

    def discard(self) -> None:
        """Throw away all that is buffered (before STARTTLS's handshake)."""
        raise NotImplementedError
