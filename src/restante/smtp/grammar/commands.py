"""One line -> one command.

Nothing here raises: a line that is no command is a `BadCommand` with the reply to give. Verbs of SMTP that LMTP
does not have (HELO, EHLO) are read too; a session answers what it offers.
RFC 5321 4.1.1, RFC 2033 4, RFC 1870, RFC 1652, RFC 3030, RFC 3207, RFC 6531.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from .path import Path, parse_path


class Verb(Enum):
    LHLO = b"LHLO"
    EHLO = b"EHLO"
    HELO = b"HELO"
    MAIL = b"MAIL"
    RCPT = b"RCPT"
    DATA = b"DATA"
    BDAT = b"BDAT"
    RSET = b"RSET"
    NOOP = b"NOOP"
    VRFY = b"VRFY"
    HELP = b"HELP"
    STARTTLS = b"STARTTLS"
    QUIT = b"QUIT"


class Body(Enum):
    """BODY= of MAIL (RFC 1652 2). Octets pass as they come whichever is named."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"


@dataclass(frozen=True, slots=True)
class Simple:
    """A command whose verb says it all. argument: LHLO's name, VRFY's and HELP's text; may be empty."""

    verb: Verb
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM. size: octets announced (RFC 1870), None where not. utf8: SMTPUTF8 was asked for."""

    sender: Path
    size: int | None = None
    body: Body = Body.SEVEN_BIT
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Rcpt:
    recipient: Path


@dataclass(frozen=True, slots=True)
class Bdat:
    """BDAT: `size` octets follow the line at once (RFC 3030 2)."""

    size: int
    last: bool


@dataclass(frozen=True, slots=True)
class BadCommand:
    """reply, enhanced, text: what to answer."""

    reply: int
    enhanced: str
    text: str


Command = Simple | Mail | Rcpt | Bdat

MAX_CHUNK_DIGITS = 12
_VERBS = {verb.value: verb for verb in Verb}
_BARE = frozenset({Verb.DATA, Verb.RSET, Verb.STARTTLS, Verb.QUIT})
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_NAME = re.compile(r"[A-Za-z0-9._:\[\]\x80-\U0010ffff-]+")
_PARAMETER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?")

_SYNTAX = BadCommand(501, "5.5.4", "Syntax error in the argument.")
_ADDRESS = BadCommand(501, "5.1.3", "That is no address.")


def parse_command(line: bytes) -> Command | BadCommand:
    """The command of one line without its CRLF. Cost grows with the line's length."""
    keyword, _, rest = line.partition(b" ")
    verb = _VERBS.get(keyword.upper())
    if verb is None:
        return BadCommand(500, "5.5.2", "Unknown command.")
    if _CONTROL.search(rest):
        return BadCommand(501, "5.5.2", "Control characters are not allowed.")
    rest = rest.strip(b" ")
    if verb is Verb.MAIL:
        return _mail(rest)
    if verb is Verb.RCPT:
        return _rcpt(rest)
    if verb is Verb.BDAT:
        return _bdat(rest)
    if verb in _BARE:
        return BadCommand(501, "5.5.4", "This command takes no argument.") if rest else Simple(verb)
    try:
        argument = rest.decode("utf-8")
    except UnicodeDecodeError:
        return _SYNTAX
    if verb in (Verb.LHLO, Verb.EHLO, Verb.HELO) and (len(rest) > 255 or _NAME.fullmatch(argument) is None):
        return BadCommand(501, "5.5.4", "Say a host name or an address literal.")
    return Simple(verb, argument)


def _mail(rest: bytes) -> Command | BadCommand:
    found = _path_after(b"FROM:", rest)
    if found is None:
        return _ADDRESS
    sender, parameters = found
    values = _parameters(parameters)
    if values is None:
        return _SYNTAX
    size: int | None = None
    body, utf8 = Body.SEVEN_BIT, False
    for name, value in values.items():
        if name == b"SIZE" and value.isdigit() and len(value) <= 20:
            size = int(value)
        elif name == b"BODY" and value.upper() in (b"7BIT", b"8BITMIME"):
            body = Body(value.upper().decode("ascii"))
        elif name == b"SMTPUTF8" and not value:
            utf8 = True
        elif name in (b"SIZE", b"BODY", b"SMTPUTF8"):
            return _SYNTAX
        else:
            return BadCommand(555, "5.5.4", "A parameter of MAIL is not known here.")
    if not sender.ascii and not utf8:
        return BadCommand(550, "5.6.7", "This sender needs SMTPUTF8.")
    return Mail(sender, size, body, utf8)


def _rcpt(rest: bytes) -> Command | BadCommand:
    found = _path_after(b"TO:", rest)
    if found is None or not found[0].address:
        return _ADDRESS
    recipient, parameters = found
    if parameters:
        return BadCommand(555, "5.5.4", "RCPT takes no parameters here.")
    return Rcpt(recipient)


def _path_after(prefix: bytes, rest: bytes) -> tuple[Path, bytes] | None:
    """The path behind FROM: or TO:. Spaces behind the colon are let pass: many clients write one."""
    if rest[: len(prefix)].upper() != prefix:
        return None
    found = parse_path(rest[len(prefix) :].lstrip(b" "))
    if found is None or (found[1] and found[1][:1] != b" "):
        return None
    return found[0], found[1].strip(b" ")


def _parameters(raw: bytes) -> dict[bytes, bytes] | None:
    """ESMTP parameters by upper-case name (RFC 5321 4.1.2); None for bad syntax or one given twice."""
    values: dict[bytes, bytes] = {}
    for word in raw.split():
        match = _PARAMETER.fullmatch(word)
        if match is None or match[1].upper() in values:
            return None
        values[match[1].upper()] = match[2] or b""
    return values


def _bdat(rest: bytes) -> Command | BadCommand:
    words = rest.split()
    good = 1 <= len(words) <= 2 and words[0].isdigit() and len(words[0]) <= MAX_CHUNK_DIGITS
    if not good or (len(words) == 2 and words[1].upper() != b"LAST"):
        return _SYNTAX
    return Bdat(int(words[0]), len(words) == 2)
