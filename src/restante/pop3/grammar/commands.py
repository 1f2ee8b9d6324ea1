"""What a POP3 client can ask: one verb table, one parser for a line without its line end.

A line is bounded by the reader before it comes here. Nothing here raises: a line that is no command is a
`BadCommand` whose text the peer may see. RFC 1939 3 and 9, RFC 2449 3 and 5, RFC 2595 4, RFC 5034 4,
RFC 6856 2 and 3.

    command = keyword *(SP param) CRLF        ; keyword without regard to case
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import Enum

MAX_NUMBER_DIGITS = 10
"""A message number has no use for more digits; longer ones are refused unread."""


class Verb(Enum):
    USER = b"USER"
    PASS = b"PASS"
    AUTH = b"AUTH"
    STLS = b"STLS"
    CAPA = b"CAPA"
    UTF8 = b"UTF8"
    LANG = b"LANG"
    STAT = b"STAT"
    LIST = b"LIST"
    UIDL = b"UIDL"
    RETR = b"RETR"
    TOP = b"TOP"
    DELE = b"DELE"
    RSET = b"RSET"
    NOOP = b"NOOP"
    QUIT = b"QUIT"


@dataclass(frozen=True, slots=True)
class Command:
    """One command. number: the message asked for, 0 where none was given (LIST, UIDL). lines: of TOP.

    argument: USER's name, PASS's password (spaces in it belong to it, RFC 1939 7), LANG's range, AUTH's
    mechanism in capitals. initial: AUTH's decoded initial response, None where none was sent.
    """

    verb: Verb
    number: int = 0
    lines: int = 0
    argument: bytes = b""
    initial: bytes | None = None


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A line that is no command of ours; text: what to answer behind -ERR."""

    text: bytes


_VERBS = {verb.value: verb for verb in Verb}
_WITHOUT_ARGUMENT = frozenset(
    {Verb.STLS, Verb.CAPA, Verb.UTF8, Verb.STAT, Verb.RSET, Verb.NOOP, Verb.QUIT},
)
_WITH_NUMBER = frozenset({Verb.RETR, Verb.DELE})
_WITH_OPTIONAL_NUMBER = frozenset({Verb.LIST, Verb.UIDL})


def parse_command(line: bytes) -> Command | BadCommand:
    """The command of one line (no CR or LF at its end). Cost grows with the line's length."""
    keyword, _, rest = line.partition(b" ")
    verb = _VERBS.get(keyword.upper())
    if verb is None:
        return BadCommand(b"Unknown command.")
    if b"\0" in rest:
        return BadCommand(b"NUL is not allowed in a command.")
    if verb in (Verb.USER, Verb.PASS):
        return _with_text(verb, rest)
    words = rest.split()
    if verb in _WITHOUT_ARGUMENT:
        return BadCommand(verb.value + b" takes no argument.") if words else Command(verb)
    if verb in _WITH_NUMBER or verb in _WITH_OPTIONAL_NUMBER:
        if not words and verb in _WITH_OPTIONAL_NUMBER:
            return Command(verb)
        return _with_number(verb, words)
    if verb is Verb.TOP:
        return _top(words)
    if verb is Verb.LANG:
        return Command(verb, argument=words[0]) if len(words) == 1 else _lang_list(words)
    return _auth(words)


def decode_response(line: bytes) -> bytes | None:
    """A client's base64 line of a SASL exchange (RFC 4648 4, RFC 5034 4); None if it is none."""
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return None


def _with_text(verb: Verb, text: bytes) -> Command | BadCommand:
    if not text:
        return BadCommand(verb.value + b" needs an argument.")
    return Command(verb, argument=text)


def _number(word: bytes) -> int | None:
    """A message number or count: digits alone. bytes.isdigit knows ASCII digits only."""
    return int(word) if word.isdigit() and len(word) <= MAX_NUMBER_DIGITS else None


def _with_number(verb: Verb, words: list[bytes]) -> Command | BadCommand:
    number = _number(words[0]) if len(words) == 1 else None
    if not number:
        return BadCommand(verb.value + b" needs one message number, from 1.")
    return Command(verb, number)


def _top(words: list[bytes]) -> Command | BadCommand:
    if len(words) == 2:
        number, lines = _number(words[0]), _number(words[1])
        if number and lines is not None:
            return Command(Verb.TOP, number, lines)
    return BadCommand(b"TOP needs a message number, from 1, and a count of lines.")


def _lang_list(words: list[bytes]) -> Command | BadCommand:
    return BadCommand(b"LANG takes one language range.") if words else Command(Verb.LANG)


def _auth(words: list[bytes]) -> Command | BadCommand:
    if not words or len(words) > 2:
        return BadCommand(b"AUTH needs a mechanism.")
    mechanism = words[0].upper()
    if len(words) == 1:
        return Command(Verb.AUTH, argument=mechanism)
    if words[1] == b"=":  # an initial response of no octets (RFC 5034 4)
        return Command(Verb.AUTH, argument=mechanism, initial=b"")
    initial = decode_response(words[1])
    if initial is None:
        return BadCommand(b"The initial response is not base64.")
    return Command(Verb.AUTH, argument=mechanism, initial=initial)
