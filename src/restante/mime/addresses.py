"""RFC 5322 address lists -> address structures of an ENVELOPE.

Octets in, octets out: encoded words stay encoded, quoted strings lose their quotes. A fast expression reads
the common forms; whatever it does not know goes through a tokeniser that knows groups, source routes,
comments, and lists that are broken. Both are linear and stop after a number of addresses.

A quote or comment that is not closed is none where an address stands in what would be lost with it.

Must not know how an address is sent or shown. RFC 5322 3.4, 4.4; RFC 7103 7.1; RFC 9051 7.5.2 (ENVELOPE).
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Address(NamedTuple):
    """One address structure, raw octets.

    A group begins with (None, None, its name, None) and ends with four None. A mailbox always has a host:
    b"" where the field gives none, since NIL would make it a group.
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END = Address(None, None, None, None)

_ATOM = rb'[^\s"<>()@,:;\\\[\]]++'
_FAST = re.compile(
    rb'[ \t]*+(?:(?:"([^"\\\r\n]*+)"[ \t]*+|([^"<>()@,:;\\\[\]\r\n]*+))<(' + _ATOM + rb")@(" + _ATOM + rb")>|("
    + _ATOM + rb")@(" + _ATOM + rb"))[ \t]*+(?:,|\Z)"
).match  # fmt: skip
_PHRASE = rb'[^\s"\[<>@,:;(\\]'
_TOKEN = re.compile(
    rb'\s++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:(")|\\?)|\[[^\]]*+\]?|[<>@,:;(]|'
    rb"(?:%(a)b|\\.?+)%(a)b*+(?:\\.?+%(a)b*+)*+" % {b"a": _PHRASE},
    re.DOTALL,
).match
_PLAIN_COMMENT = re.compile(rb"([^()\\]*+)\)").match
_COMMENT_MARK = re.compile(rb"[()]|\\.", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_SKIP = re.compile(rb"[ \t,]*+")
_BLANKS = re.compile(rb"\s+")


def parse_addresses(value: bytes, most: int) -> tuple[list[Address], bool]:
    """(addresses, whether all were read) of an unfolded field value; at most `most` structures, and the end of a group
    that they leave open."""
    found: list[Address] = []
    position, length = 0, len(value)
    while position < length:
        position = _SKIP.match(value, position).end()  # type: ignore[union-attr]  # it matches everywhere
        match = _FAST(value, position)
        if match is None:
            break
        if len(found) >= most:
            return found, False
        quoted, phrase, mailbox, host, bare, bare_host = match.groups()
        if bare is not None:
            found.append(Address(None, None, bare, bare_host))
        else:
            name = phrase.strip(b" \t") if quoted is None else quoted
            found.append(Address(_collapse(name) or None, None, mailbox, host))
        position = match.end()
    if position < length:
        reader = _Reader(value, found, most)
        return found, reader.read(position)
    return found, True


def _collapse(name: bytes) -> bytes:
    return _BLANKS.sub(b" ", name).strip() if b"  " in name or b"\t" in name else name


def _unquote(token: bytes) -> bytes:
    if token.startswith(b'"'):
        token = token[1:-1] if len(token) > 1 and token.endswith(b'"') else token[1:]
    return _ESCAPED.sub(rb"\1", token) if b"\\" in token else token


def _joined(tokens: list[bytes]) -> bytes:
    if len(tokens) > _MANY:  # a few at a time: nobody else has the interpreter while they are joined
        return b"".join([_joined(tokens[start : start + _MANY]) for start in range(0, len(tokens), _MANY)])
    return b"".join([_unquote(token) for token in tokens])


_MANY = 10_000


class _Reader:
    """The slow way: tokens, one list of addresses, one pass."""

    __slots__ = (
        "angle", "behind", "comment", "comments", "found", "in_group", "inside", "most", "outer", "quotes", "route",
        "value",
    )  # fmt: skip

    def __init__(self, value: bytes, found: list[Address], most: int) -> None:
        self.value = value
        self.found = found
        self.most = most
        self.in_group = False
        self.quotes = self.comments = True
        """False once one was found that is not closed: of comments only plain ones are read then, which keeps the cost
        linear."""
        self.reset()

    def reset(self) -> None:
        self.outer: list[bytes] = []
        self.angle: list[bytes] | None = None
        self.inside = False
        self.behind = 0
        self.route: bytes | None = None
        self.comment: bytes | None = None

    def read(self, position: int) -> bool:
        """Read to the end; False if the number of addresses stopped it."""
        value, length = self.value, len(self.value)
        while position < length:
            match = _TOKEN(value, position)
            if match is None:
                position += 1
                continue
            token = match[0]
            position = match.end()
            if token == b"(":
                position = self.read_comment(position)
            elif token[0] == 34 and (not self.quotes or (match[1] is None and self.is_no_mark(match.start() + 1))):
                self.quotes, position = False, match.start() + 1
            elif token in _SPECIALS:
                if len(self.found) >= self.most:
                    self.close_group()
                    return False
                self.special(token)
            elif token[0] in b" \t\r\n\v\f":
                if not self.inside and self.outer and self.outer[-1] != b" ":  # also where comments stand between
                    self.outer.append(b" ")
            elif self.inside and self.angle is not None:
                self.angle.append(token)
            else:
                self.outer.append(token)
        self.finish()
        self.close_group()
        return True

    def special(self, token: bytes) -> None:
        if token == b",":
            if self.inside and self.angle and self.angle[0] == b"@":
                self.angle.append(token)
            else:
                self.finish()
        elif token == b"<":
            if not self.inside:
                if self.angle is not None:  # a comma was forgotten
                    words = self.outer[self.behind :]
                    del self.outer[self.behind :]
                    self.finish()
                    self.outer = words
                self.angle, self.inside = [], True
        elif token == b">":
            self.inside = False
            self.behind = len(self.outer)
        elif token == b":":
            self.colon()
        elif token == b";":
            self.finish()
            self.close_group()
        elif self.inside and self.angle is not None:
            self.angle.append(token)
        else:
            self.outer.append(token)

    def close_group(self) -> None:
        if self.in_group:
            self.found.append(GROUP_END)
            self.in_group = False

    def colon(self) -> None:
        if self.inside and self.angle is not None:
            self.route = b"".join(self.angle) or None
            self.angle = []
        elif self.angle is None and not self.in_group:
            name = _joined(self.outer).strip()
            self.reset()
            self.found.append(Address(None, None, name, None))
            self.in_group = True
        else:
            self.outer.append(b":")

    def read_comment(self, position: int) -> int:
        """Skip a comment, nested ones included; keep its text as a name that may be needed."""
        if not self.comments:
            plain = _PLAIN_COMMENT(self.value, position)
            if plain is not None:
                self.comment = plain[1].strip()
            return position if plain is None else plain.end()
        depth, start = 1, position
        for match in _COMMENT_MARK.finditer(self.value, position):
            mark = match[0]
            if mark == b"(":
                depth += 1
            elif mark == b")":
                depth -= 1
                if not depth:
                    self.comment = _unquote(self.value[start : match.start()].strip())
                    return match.end()
        if self.is_no_mark(start):
            self.comments = False
            self.outer.append(b" ")
            return start
        self.comment = _unquote(self.value[start:].strip())
        return len(self.value)

    def is_no_mark(self, position: int) -> bool:
        """Whether what is opened before `position`, and never closed, counts as not there: `"Joe <joe@x.test>` and
        `(Joe <joe@x.test>` are Joe's address (RFC 7103 7.1.4, 7.1.6). Not behind an address: that one is meant."""
        return self.angle is None and b"@" not in self.outer and self.value.find(b"@", position) >= 0

    def finish(self) -> None:
        """End of one address: file it, if there was one."""
        if self.angle is not None:
            name = _collapse(_joined(self.outer).strip()) or self.comment or None
            mailbox, host = _split(self.angle)
            self.found.append(Address(name, self.route, mailbox, host))
        elif any(token != b" " for token in self.outer):
            self.found.append(self.bare())
        self.reset()

    def bare(self) -> Address:
        """An address without angle brackets, with whatever words stand around it."""
        tokens = _tighten(self.outer)
        at = len(tokens) - 1 - tokens[::-1].index(b"@") if b"@" in tokens else -1
        if at < 0:
            words = _collapse(_joined(self.outer).strip())
            return Address(self.comment or None, None, words, b"")
        start, stop = at, at + 1
        while start and tokens[start - 1] != b" ":
            start -= 1
        while stop < len(tokens) and tokens[stop] != b" ":
            stop += 1
        rest = _collapse(_joined(tokens[:start] + tokens[stop:]).strip())
        mailbox, host = _split(tokens[start:stop])
        return Address(rest or self.comment or None, None, mailbox, host)


_SPECIALS = frozenset({b"<", b">", b"@", b",", b":", b";"})


def _split(tokens: list[bytes]) -> tuple[bytes, bytes]:
    """Mailbox and host around the last "@"."""
    if b"@" not in tokens:
        return _joined(tokens), b""
    at = len(tokens) - 1 - tokens[::-1].index(b"@")
    return _joined(tokens[:at]), b"".join(tokens[at + 1 :])


def _tighten(tokens: list[bytes]) -> list[bytes]:
    """Tokens without the blanks that RFC 5322 4.4 lets stand around "." and "@"."""
    kept: list[bytes] = []
    for index, token in enumerate(tokens):
        if token == b" ":
            after = tokens[index + 1] if index + 1 < len(tokens) else b""
            if not kept or kept[-1].endswith((b".", b"@")) or after.startswith((b".", b"@")):
                continue
        kept.append(token)
    return kept
