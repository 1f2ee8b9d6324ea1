"""Whether a message's header satisfies a `FieldMatches`, and what an index can be asked before. Pure.

Values are read as `mime.analyse` reads them for its index, so that both have the same text: by the same scan, encoded
words decoded by `mime.decode` (RFC 5228 2.7.2 leaves what cannot be decoded to local conventions: those are ours).

An address is a local part and a domain without quotes, comments and white space around "." and "@"; `Part.ALL` joins
them by "@". It has to be one by RFC 5322, as far as that can still be told from what `mime.addresses` makes of it:

- its domain is made of labels or is a literal, its local part is words with "." between, or the field has a quoted
  string. An address that is not so has no parts, and is compared by `Part.ALL` alone (RFC 5228 2.7.4). What the lenient
  reader drops cannot be told: of "fred smith@example.com" it keeps the last word, of "<joe@example.com" the address;
- each word of it stands in the field. The lenient reader joins "exa(note)mple" to one label, which the RFC does not;
  such an address is none. An index depends on this: it finds words, not what they could have been written like. It
  also passes over a local part in which letters have backslashes without need, "fr\\ed", and over what stands within
  an encoded word in base64.

"?" stands for a character under every collation. RFC 5228 2.7.1 has it stand for an octet under the two that look at
ASCII alone: for half a letter, which nobody means. Under i;unicode-casemap one text may be spelled in several ways
(RFC 5051), and what matches one has to match the others: so patterns look at folded text, where "?" takes a letter with
its marks, or a Korean syllable, and one of what a character folds to that stands for several ("½", "ﬁ", an iota below).

RFC 5228 2.7, 5.1, 5.7; RFC 5233 4; RFC 4790 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from unicodedata import category, combining

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


class Header:
    """The header fields of a message, read once for all that asks for them."""

    __slots__ = ("_fallback", "_fields", "_texts")

    def __init__(self, octets: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
        """octets: a message's, from its first one to the empty line or before it, line ends CRLF or LF. More of the
        message may follow; it is looked at for one thing, the charset that its text declares, in which octets over 127
        that are neither declared nor UTF-8 are read. Of a header alone its own Content-Type tells that. limits: as the
        message was analysed with. Cost grows with the octets."""
        scanned = scan(octets, limits)
        self._fields = scanned.own.fields
        self._fallback = fallback_charset(scanned)
        self._texts: dict[bytes, list[str]] = {}

    def texts(self, name: bytes) -> list[str]:
        """Decoded values of the fields of this lower-case name, without white space at their ends."""
        if name not in self._texts:
            values = self._fields.get(name, ())
            self._texts[name] = [decode_header(value, self._fallback).strip(_BLANKS) for value in values]
        return self._texts[name]

    def octets(self, name: bytes) -> list[bytes]:
        """The same as octets, in UTF-8 where some are over 127: in some charsets "@" is half a letter."""
        return [
            value if value.isascii() else decode_undeclared(value, self._fallback).encode("utf-8", "replace")
            for value in self._fields.get(name, ())
        ]


def matcher(node: FieldMatches) -> Callable[[Header], bool]:
    """Tells of a message's header whether it satisfies `node`.

    Cost grows with the fields that are named, and with the texts; patterns together take a step a character, of a
    machine word for each 60 characters of theirs. Nothing is raised.
    """
    holds, part = _comparison(node), node.part
    names = tuple(dict.fromkeys(name.encode("ascii").lower() for name in node.names if name.isascii()))

    def matches(header: Header) -> bool:
        if part is None:
            return any(holds(text) for name in names for text in header.texts(name))
        return any(
            _an_address(octets, text, node, holds)
            for name in names
            for octets, text in zip(header.octets(name), header.texts(name), strict=True)
        )

    return matches


def _comparison(node: FieldMatches) -> Callable[[str], bool]:
    """Tells of a value whether it compares with one of the texts."""
    canonical = _CANONICAL[node.collation]
    if node.match is Match.MATCHES:
        patterns = Patterns(node.texts, node.collation)
        return lambda value: patterns.match(canonical(value))
    texts = frozenset(map(canonical, node.texts))
    if node.match is Match.IS:
        return lambda value: canonical(value) in texts

    def contains(value: str) -> bool:
        same = canonical(value)
        return any(text in same for text in texts)

    return contains


# Addresses -----------------------------------------------------------------------------------------------

_LABEL = re.compile(r'[^\x00-\x20\x7f"(),.:;<>@\[\\\]]++').fullmatch
_LITERAL = re.compile(r"\[[^\x00-\x1f\x7f\[\\\]]*+\]").fullmatch
_BETWEEN_WORDS = re.compile(r'[\s"(),.:;<>@\[\\\]]+', re.ASCII)
"""What is no part of a word of an address, or may have a backslash or blanks beside it in the field."""


def _an_address(octets: bytes, text: str, node: FieldMatches, holds: Callable[[str], bool]) -> bool:
    """Whether an address of a field, or its part, holds, all of whose words stand in the field's text."""
    words: frozenset[str] | None = None
    for whole, compared in _addresses(octets, node):
        if holds(compared):
            if words is None:  # once for all addresses: there may be as many as there is room for, and none stand
                words = frozenset(("", *_BETWEEN_WORDS.split(text)))
            if words.issuperset(_BETWEEN_WORDS.split(whole)):
                return True
    return False


def _addresses(octets: bytes, node: FieldMatches) -> Iterator[tuple[str, str]]:
    """(whole address, its part) of each address in a field that has this part."""
    part = node.part
    quoted = b'"' in octets
    for address in parse_addresses(octets, len(octets))[0]:
        if address.host is None:
            continue  # where a group begins or ends
        local, domain = (address.mailbox or b"").decode("utf-8", "replace"), address.host.decode("utf-8", "replace")
        whole = f"{local}@{domain}" if domain else local
        if part is Part.ALL:
            yield whole, whole
        elif (quoted or _are_labels(local)) and (_are_labels(domain) or _LITERAL(domain)):
            compared = domain if part is Part.DOMAIN else _of_local(local, node)
            if compared is not None:
                yield whole, compared


def _are_labels(text: str) -> bool:
    return all(map(_LABEL, text.split(".")))


def _of_local(local: str, node: FieldMatches) -> str | None:
    """The part of a local part; None for the detail of one that has none (RFC 5233 4)."""
    if node.part is Part.LOCALPART or not node.separator:
        return None if node.part is Part.DETAIL else local
    user, found, detail = local.partition(node.separator)
    if node.part is Part.USER:
        return user
    return detail if found else None


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


class Patterns:
    """Texts of `Match.MATCHES`, ready to be compared together (RFC 5228 2.7.1).

    All ways in which any of them may match are followed at once, as bits of one number: a bit is set while the value so
    far compares with all that stands before it in a pattern, stars not counted. So each character of a value is looked
    at once, whatever the patterns, and there are as many bits as they have characters. Cost of making them: the square
    of that, in machine words.
    """

    __slots__ = ("_any", "_ends", "_folded", "_longest", "_stars", "_starts", "_taken", "_where")

    def __init__(self, texts: Iterable[str], collation: Collation) -> None:
        canonical = _CANONICAL[collation]
        self._folded = collation is Collation.UNICODE
        self._where: dict[str, int] = {}
        self._any = self._stars = self._starts = self._ends = 0
        self._longest: set[str] = set()
        """A literal of each pattern, one of which has to be there."""
        at = 1  # the bit of what comes next
        for text in texts:
            longest = ""
            self._starts |= at
            for item, wildcard in _read_pattern(text):
                if item == "*" and wildcard:
                    self._stars |= at
                elif wildcard:
                    self._any |= at
                    at <<= 1
                else:
                    literal = canonical(item)
                    longest = max(longest, literal, key=len)
                    for character in literal:
                        self._where[character] = self._where.get(character, 0) | at
                        at <<= 1
            self._longest.add(longest)
            self._ends |= at
            at <<= 1  # nothing leads from the end of one pattern into the next
        self._taken = self._any << 1

    def match(self, value: str) -> bool:
        """Whether one of them takes all of a canonical value: as it is, without case of ASCII, or folded."""
        if not any(longest in value for longest in self._longest):
            return False
        where, stars, wild = self._where, self._stars, self._any
        reached, before = self._starts, ""
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
        return bool(reached & self._ends)


def _belongs(before: str, character: str) -> bool:
    """Whether a character of folded text is one with what stands before it: a mark, a later part of a Korean syllable,
    which folding takes apart, or the second half of the Thai and Lao vowels that it takes apart, too."""
    if character < "\u0300":
        return False
    if "\u1160" <= character <= "\u11a7":
        return "\u1100" <= before <= "\u115f"
    if "\u11a8" <= character <= "\u11ff":
        return "\u1160" <= before <= "\u11a7"
    return (before, character) in _TAKEN_APART or category(character).startswith("M")


_TAKEN_APART = {("\u0e4d", "\u0e32"), ("\u0ecd", "\u0eb2")}


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
