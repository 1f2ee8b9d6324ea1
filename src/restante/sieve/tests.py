"""Tests of Sieve -> the query language. Pure.

address, header, exists, size, allof, anyof, not, true and false (RFC 5228 5), with the parts of addresses of RFC 5233
and the three collations there are. There is no `require`: all of it can be used, and `encoded-character`, which would
change what strings say, is not in effect (RFC 5228 2.4.2.4). `envelope` is refused: of a stored
message the envelope is gone.

What no message satisfies is `Not(All())`. A header name that no field can have matches nothing and is no error
(RFC 5228 2.4.2.2); it is left out of a query. The address test is for the fields in `ADDRESS_FIELDS` alone
(RFC 5228 5.1): another one is an error, since a test that is never true would look like one that works.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..mime.fold import fold
from ..mime.headers import is_field_name
from ..query.language import (
    All,
    And,
    Collation,
    FieldMatches,
    HeaderContains,
    Larger,
    Match,
    Not,
    Or,
    Part,
    Query,
    Smaller,
)
from .grammar import Argument, BadTest, Node, Number, Strings, Tag, read_test, shown

ADDRESS_FIELDS = frozenset({
    "from", "sender", "reply-to", "to", "cc", "bcc",
    "resent-from", "resent-sender", "resent-reply-to", "resent-to", "resent-cc", "resent-bcc",
    "return-path", "delivered-to", "x-original-to", "x-original-from", "envelope-to", "x-envelope-to",
    "x-envelope-from", "apparently-to", "errors-to", "x-forwarded-to", "x-beenthere",
    "mail-followup-to", "mail-reply-to",
    "disposition-notification-to", "return-receipt-to", "read-receipt-to", "x-confirm-reading-to",
    "x-complaints-to", "x-report-abuse-to", "abuse-reports-to",
    "author", "for-approval", "for-handling", "for-comment", "x-admin", "return-receipt-requested",
    "registered-mail-reply-requested-by",
})  # fmt: skip
"""Fields that hold addresses, in lower case: those of RFC 5322 and 8098, and what mail programs and servers add."""

_NOTHING = Not(All())


MOST_PATTERNS = 10_000
"""Characters of all patterns of :matches together, folded: to make them ready takes the square of it."""


@dataclass(slots=True)
class _Asked:
    """A test that is compiled. separator: see `parse_test`. left: characters that patterns may still have."""

    separator: str
    left: int = MOST_PATTERNS


def parse_test(text: str, separator: str = "+") -> Query:
    """The query that one test command asks, which is all of `text`. Raises BadTest, and nothing else.

    separator: what divides user and detail of a local part; "" for nothing (RFC 5233 4: as mail is delivered by).
    E.g. 'anyof (address :domain "from" "example.com", size :over 1M)'.
    """
    return _query(read_test(text), _Asked(separator))


def _query(node: Node, asked: _Asked) -> Query:
    make = _TESTS.get(node.name)
    if make is not None:
        return make(node, asked)
    if node.name == "envelope":
        raise BadTest(node.place, "A stored message has no envelope any more; ask for address or header instead.")
    raise BadTest(node.place, f"There is no test {shown(node.name)}; there are {', '.join(_TESTS)}.")


# What stands behind a test's name ------------------------------------------------------------------------

_MATCHES = {match.value: "match" for match in Match}
_PARTS = {part.value: "part" for part in Part}
_COMPARATOR = {"comparator": "comparator"}
_COLLATIONS = {collation.value: collation for collation in Collation}


def _told_apart(node: Node, known: dict[str, str]) -> tuple[dict[str, str], list[Strings | Number]]:
    """(what the tags decide, positional arguments). known: tag -> what it decides.

    A tag decides by its name, but :comparator by the string behind it. RFC 5228 2.6.
    """
    decided: dict[str, str] = {}
    positional: list[Strings | Number] = []
    names: dict[str, str] = {}
    arguments = iter(node.arguments)
    for argument in arguments:
        if not isinstance(argument, Tag):
            positional.append(argument)
            continue
        tag, subject = shown(f":{argument.name}"), known.get(argument.name)
        if subject is None:
            raise BadTest(argument.place, f"{node.name} has no tag {tag}.")
        if positional:
            raise BadTest(argument.place, f"{tag} has to stand before the other arguments of {node.name}.")
        if subject in decided:
            other = shown(f":{names[subject]}")
            clash = f"{tag} stands there twice" if other == tag else f"{other} and {tag} cannot stand together"
            raise BadTest(argument.place, f"{clash}.")
        names[subject] = argument.name
        decided[subject] = _collation(argument, next(arguments, None)) if subject == "comparator" else argument.name
    return decided, positional


def _collation(tag: Tag, argument: Argument | None) -> str:
    if not isinstance(argument, Strings) or argument.bracketed:
        raise BadTest(tag.place, 'Behind ":comparator" comes its name, a string.')
    name = argument.values[0]
    if name not in _COLLATIONS:
        raise BadTest(argument.place, f"There is no comparator {shown(name)}; there are {', '.join(_COLLATIONS)}.")
    return name


def _no_tests(node: Node) -> None:
    if node.tests:
        raise BadTest(node.tests[0].place, f"{node.name} takes no test behind it.")


def _string_lists(node: Node, positional: list[Strings | Number], *wanted: str) -> list[tuple[str, ...]]:
    """The positional arguments, which have to be one string list for each of `wanted`."""
    _no_tests(node)
    for argument in positional:
        if isinstance(argument, Number):
            raise BadTest(argument.place, f"{node.name} takes strings, no number.")
    if len(positional) > len(wanted):
        raise BadTest(positional[len(wanted)].place, f"{node.name} takes {' and '.join(wanted)}, and no more.")
    if len(positional) < len(wanted):
        raise BadTest(node.place, f"{node.name} wants {' and '.join(wanted)}.")
    return [argument.values for argument in positional if isinstance(argument, Strings)]


def _no_arguments(node: Node) -> None:
    if node.arguments:
        raise BadTest(node.arguments[0].place, f"{node.name} takes no arguments.")


_Maker = Callable[[Node, _Asked], Query]


# One function for each test ------------------------------------------------------------------------------


_Found = tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]
"""(names of fields, texts, what the tags decide)."""


def _fields(node: Node, asked: _Asked, found: _Found, part: Part | None) -> Query:
    names, texts, decided = found
    valid = tuple(name for name in names if is_field_name(name))
    if not valid:
        return _NOTHING
    match = Match(decided.get("match", Match.IS.value))
    if match is Match.MATCHES:
        asked.left -= sum([len(fold(text)) for text in texts])
        if asked.left < 0:
            raise BadTest(node.place, f"The patterns of :matches have more than {MOST_PATTERNS} characters together.")
    collation = Collation(decided.get("comparator", Collation.ASCII.value))
    return FieldMatches(valid, match, texts, collation, part, asked.separator)


def _address(node: Node, asked: _Asked) -> Query:
    """RFC 5228 5.1, RFC 5233 4."""
    decided, positional = _told_apart(node, _MATCHES | _PARTS | _COMPARATOR)
    names, texts = _string_lists(node, positional, "names of fields", "addresses")
    for name in names:
        if is_field_name(name) and name.lower() not in ADDRESS_FIELDS:
            raise BadTest(
                positional[0].place, f"{shown(name)} is no field of addresses that address knows; ask for header."
            )
    return _fields(node, asked, (names, texts, decided), Part(decided.get("part", Part.ALL.value)))


def _header(node: Node, asked: _Asked) -> Query:
    """RFC 5228 5.7."""
    decided, positional = _told_apart(node, _MATCHES | _COMPARATOR)
    names, texts = _string_lists(node, positional, "names of fields", "texts")
    return _fields(node, asked, (names, texts, decided), None)


def _exists(node: Node, asked: _Asked) -> Query:
    """All of the fields have to be there. RFC 5228 5.5."""
    (names,) = _string_lists(node, _told_apart(node, {})[1], "names of fields")
    wanted = tuple(HeaderContains(name, "") if is_field_name(name) else _NOTHING for name in names)
    return wanted[0] if len(wanted) == 1 else And(wanted)


def _size(node: Node, asked: _Asked) -> Query:
    """RFC 5228 5.9."""
    _no_tests(node)
    decided, positional = _told_apart(node, {"over": "limit", "under": "limit"})
    number = positional[0] if len(positional) == 1 else None
    if "limit" not in decided or not isinstance(number, Number):
        raise BadTest(node.place, "size wants :over or :under and one number; write size :over 100K, for example.")
    return Larger(number.value) if decided["limit"] == "over" else Smaller(number.value)


def _tests(node: Node, asked: _Asked) -> tuple[Query, ...]:
    """What the tests of allof and anyof ask. RFC 5228 2.5.1."""
    _no_arguments(node)
    if not node.bracketed:
        raise BadTest(node.place, f"{node.name} wants tests in parentheses, with commas between them.")
    return tuple([_query(each, asked) for each in node.tests])


def _not(node: Node, asked: _Asked) -> Query:
    """RFC 5228 5.8."""
    _no_arguments(node)
    if node.bracketed or not node.tests:
        raise BadTest(node.place, "not wants one test, without parentheses.")
    return Not(_query(node.tests[0], asked))


def _constant(query: Query) -> _Maker:
    def make(node: Node, asked: _Asked) -> Query:
        _no_arguments(node)
        _no_tests(node)
        return query

    return make


_TESTS: dict[str, _Maker] = {
    "address": _address,
    "header": _header,
    "exists": _exists,
    "size": _size,
    "allof": lambda node, asked: And(_tests(node, asked)),
    "anyof": lambda node, asked: Or(_tests(node, asked)),
    "not": _not,
    "true": _constant(All()),
    "false": _constant(_NOTHING),
}
"""Name -> what makes a query of it. RFC 5228 5.2 to 5.10."""
