"""Whether a message's header satisfies a `FieldMatches`, and what an index can be asked before. Pure.

Values are read as `mime.analyse` reads them for its index, so that both have the same text: by the same scan, encoded
words decoded by `mime.decode` (RFC 5228 2.7.2 leaves what cannot be decoded to local conventions: those are ours).

An address is a local part and a domain without quotes, comments and white space around "." and "@"; `Part.ALL` joins
them by "@". It has to be one by RFC 5322, as far as that can still be told from what `mime.addresses` makes of it:

- its domain is made of labels or is a literal, and neither side is empty. An address that is not so has no parts, and
  is compared by `Part.ALL` alone (RFC 5228 2.7.4);
- each word of it stands in the field. The lenient reader joins "exa(note)mple" to one label, which the RFC does not;
  such an address is none. An index depends on this: it finds words, not what they could have been written like. It
  also passes over a local part in which letters have backslashes without need, "fr\\ed", and over what stands within
  an encoded word in base64.

"?" stands for a character under every collation. RFC 5228 2.7.1 has it stand for an octet under the two that look at
ASCII alone: for half a letter, which nobody means. Under i;unicode-casemap one text may be spelled in several ways
(RFC 5051), and what matches one has to match the others: so patterns look at folded text, where "?" takes a letter with
its marks, or a Korean syllable.

RFC 5228 2.7, 5.1, 5.7; RFC 5233 4; RFC 4790 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from unicodedata import combining

from ..mime.addresses import parse_addresses
from ..mime.charsets import decode_undeclared
from ..mime.decode import decode_header
from ..mime.fold import fold
from ..mime.model import DEFAULT_LIMITS, Limits
from ..mime.scan import scan
from ..mime.text import fallback_charset
from .language import Collation, FieldMatches, Match, Part

_BLANKS = " \t\r\n"
_CAPITALS = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}


def _without_case(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_CAPITALS)


_CANONICAL: dict[Collation, Callable[[str], str]] = {
    Collation.OCTET: lambda text: text,
    Collation.ASCII: _without_case,
    Collation.UNICODE: fold,
}
"""Collation -> what makes equal texts the same."""


def matcher(node: FieldMatches, limits: Limits = DEFAULT_LIMITS) -> Callable[[bytes], bool]:
    """Tells of raw header octets whether they satisfy `node`.

    The octets: a message's, from its first one to the empty line or before it, line ends CRLF or LF. More of the
    message may follow; it is looked at for one thing, the charset that its text declares, in which octets over 127
    that are neither declared nor UTF-8 are read. Of a header alone its own Content-Type tells that.

    limits: as the message was analysed with. Cost grows with the octets of the header, and with the length of the
    fields that are named times that of all texts (a machine word of a pattern at a time). Nothing is raised. A name
    that no field can have matches nothing (RFC 5228 2.4.2.2).
    """
    holds, part = _comparison(node), node.part
    names = tuple(dict.fromkeys(name.encode("ascii").lower() for name in node.names if name.isascii()))

    def matches(header: bytes) -> bool:
        scanned = scan(header, limits)
        values = [value for name in names for value in scanned.own.fields.get(name, ())]
        fallback = fallback_charset(scanned) if values else ""
        if part is None:
            return any(holds(decode_header(value, fallback).strip(_BLANKS)) for value in values)
        return any(_an_address(value, fallback, part, holds) for value in values)

    return matches


def _comparison(node: FieldMatches) -> Callable[[str], bool]:
    """Tells of a value whether it compares with one of the texts."""
    canonical = _CANONICAL[node.collation]
    texts = frozenset(map(canonical, node.texts))
    patterns = [Pattern(text, node.collation) for text in node.texts] if node.match is Match.MATCHES else []

    def holds(value: str) -> bool:
        same = canonical(value)
        if node.match is Match.IS:
            return same in texts
        if node.match is Match.CONTAINS:
            return any(text in same for text in texts)
        return any(pattern.matches(same) for pattern in patterns)

    return holds


# Addresses -----------------------------------------------------------------------------------------------

_LABEL = re.compile(r'[^\x00-\x20\x7f"(),.:;<>@\[\\\]]++').fullmatch
_LITERAL = re.compile(r"\[[^\x00-\x1f\x7f\[\\\]]*+\]").fullmatch
_BETWEEN_WORDS = re.compile(r'[\s"(),.:;<>@\[\\\]]+', re.ASCII)
"""What is no part of a word of an address, or may have a backslash or blanks beside it in the field."""


def _an_address(value: bytes, fallback: str, part: Part, holds: Callable[[str], bool]) -> bool:
    """Whether an address of a field, or its part, holds, all of whose words stand in the field's text."""
    words: frozenset[str] | None = None
    for whole, compared in _addresses(value, fallback, part):
        if holds(compared):
            if words is None:  # once for all addresses: there may be as many as there is room for, and none stand
                words = frozenset(("", *_BETWEEN_WORDS.split(decode_header(value, fallback))))
            if words.issuperset(_BETWEEN_WORDS.split(whole)):
                return True
    return False


def _addresses(value: bytes, fallback: str, part: Part) -> Iterator[tuple[str, str]]:
    """(whole address, its part) of each address in a field that has this part."""
    # In UTF-8 before anything is looked for: in some charsets "@" is half a letter.
    octets = value if value.isascii() else decode_undeclared(value, fallback).encode("utf-8", "replace")
    for address in parse_addresses(octets, len(octets))[0]:
        if address.host is None:
            continue  # where a group begins or ends
        local, domain = (address.mailbox or b"").decode("utf-8", "replace"), address.host.decode("utf-8", "replace")
        whole = f"{local}@{domain}" if domain else local
        if part is Part.ALL:
            yield whole, whole
        elif local and (all(map(_LABEL, domain.split("."))) or _LITERAL(domain)):
            compared = _part(local, domain, part)
            if compared is not None:
                yield whole, compared


def _part(local: str, domain: str, part: Part) -> str | None:
    """A part of a valid address; None for the detail of one that has none (RFC 5233 4)."""
    if part is Part.DOMAIN:
        return domain
    if part is Part.LOCALPART:
        return local
    user, plus, detail = local.partition("+")
    if part is Part.USER:
        return user
    return detail if plus else None


# Patterns ------------------------------------------------------------------------------------------------

_WRITTEN = re.compile(r"\\(.)|([*?])|(.)", re.DOTALL)


def _read_pattern(pattern: str) -> Iterator[tuple[str, bool]]:
    """(literal stretch or wildcard, whether it is a wildcard) in order. A backslash at the end is itself."""
    literal: list[str] = []
    for escaped, wildcard, plain in _WRITTEN.findall(pattern):
        if wildcard:
            if literal:
                yield "".join(literal), False
                literal = []
            yield wildcard, True
        else:
            literal.append(escaped or plain)
    if literal:
        yield "".join(literal), False


class Pattern:
    """A text of `Match.MATCHES`, ready to be compared (RFC 5228 2.7.1).

    All ways in which a pattern may match are followed at once, as bits of one number: bit n is set while the value so
    far compares with the first n items, stars not counted. So each character of a value is looked at once, whatever
    the pattern.
    """

    __slots__ = ("_any", "_end", "_folded", "_longest", "_stars", "_taken", "_where")

    def __init__(self, text: str, collation: Collation) -> None:
        canonical = _CANONICAL[collation]
        self._folded = collation is Collation.UNICODE
        self._where: dict[str, int] = {}
        self._any = self._stars = 0
        self._longest = ""
        at = 1  # the bit of what comes next
        for item, wildcard in _read_pattern(text):
            if item == "*" and wildcard:
                self._stars |= at
            elif wildcard:
                self._any |= at
                at <<= 1
            else:
                literal = canonical(item)
                self._longest = max(self._longest, literal, key=len)
                for character in literal:
                    self._where[character] = self._where.get(character, 0) | at
                    at <<= 1
        self._taken = self._any << 1
        self._end = at

    def matches(self, value: str) -> bool:
        """Whether the pattern takes all of a canonical value: as it is, without case of ASCII, or folded."""
        if self._longest not in value:
            return False
        where, stars, wild = self._where, self._stars, self._any
        reached, before = 1, ""
        for character in value:
            moved = reached & where.get(character, 0)
            stayed = reached & stars
            if self._folded and before and _belongs(before, character):
                stayed |= reached & self._taken  # "?" takes it along with the one before, and does not begin here
            else:
                moved |= reached & wild
            reached = moved << 1 | stayed
            if not reached:
                return False
            before = character
        return bool(reached & self._end)


def _belongs(before: str, character: str) -> bool:
    """Whether a character of folded text is one with what stands before it: a mark, or a later part of a Korean
    syllable, which folding takes apart."""
    if character < "\u0300":
        return False
    if "\u1160" <= character <= "\u11a7":
        return "\u1100" <= before <= "\u115f"
    if "\u11a8" <= character <= "\u11ff":
        return "\u1160" <= before <= "\u11a7"
    return combining(character) != 0


# The index -----------------------------------------------------------------------------------------------

_STRETCH = re.compile(r"l(?:m?l)*")


def needle(node: FieldMatches) -> tuple[str, ...] | None:
    """For each text a folded string that is in `SearchText.header` of every message which it matches; None where some
    text has none, so that every message has to be looked at.

    It holds for what `matcher` says of a message as it was analysed: of whole octets with the same limits. Of a header
    alone it holds too, but where octets over 127 are neither declared nor UTF-8 and a part declares the charset.
    """
    found: list[str] = []
    for text in node.texts:
        literals = [text]
        if node.match is Match.MATCHES:
            literals = [item for item, wildcard in _read_pattern(text) if not wildcard]
        longest = max(_sure(map(fold, literals), words=node.part is not None), key=len, default="")
        if not longest:
            return None
        found.append(longest)
    return tuple(found)


def _sure(literals: Iterable[str], *, words: bool) -> Iterator[str]:
    """Stretches of folded literals that stay as they are wherever they stand. words: within words of addresses.

    Marks in a row change their order with what stands around them. So a stretch begins and ends with a letter, and has
    no more than one mark between two. Iota is counted among the marks, since the one below a letter becomes it.
    """
    for literal in literals:
        kinds = "".join(map(_kind_in_address if words else _kind, literal))
        for stretch in _STRETCH.finditer(kinds):
            yield literal[stretch.start() : stretch.end()]


def _kind(character: str) -> str:
    return "m" if combining(character) or character == "\u0399" else "l"


def _kind_in_address(character: str) -> str:
    return " " if _BETWEEN_WORDS.match(character) else _kind(character)
