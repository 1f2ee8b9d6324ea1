"""Sieve's tokens and grammar, as far as a test needs them -> a tree. Pure.

```
test         = identifier arguments
arguments    = *argument [ test / test-list ]
argument     = string-list / number / tag
test-list    = "(" test *("," test) ")"
string-list  = "[" string *("," string) "]" / string
string       = quoted-string / multi-line
```

Which tests there are and what they want is not known here. Identifiers and tags have no case. A line may also end at a
bare LF, as it does where a person types it (RFC 5228 8.1 wants CRLF); in strings it is CRLF all the same. Behind the
last line nothing is missed if its end is.

Bounds: MOST_TEXT characters, MOST_TESTS tests, DEEPEST of them within one another, MOST_STRINGS strings in all. Cost is
linear.

RFC 5228 2.1 to 2.6, 8.1, 8.2.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum

MOST_TEXT = 100_000
MOST_TESTS = 1_000
MOST_STRINGS = 2_000
"""Strings of all tests together: `exists` asks as many questions as it names fields."""

DEEPEST = 32
"""Tests within one another. RFC 5228 2.10.7 wants fifteen."""

LARGEST = 2**63 - 1
"""The largest number. RFC 5228 2.4.1 wants 2**31 - 1."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something begins: line and column, in characters, from 1."""

    line: int
    column: int


class BadTest(ValueError):
    """A text is no Sieve test that is known here. Its text is one sentence for the person, behind line and column."""

    def __init__(self, place: Place, sentence: str) -> None:
        super().__init__(f"Line {place.line}, column {place.column}: {sentence}")
        self.place = place


@dataclass(frozen=True, slots=True)
class Strings:
    """A string list. bracketed: written as one, also where it has a single string."""

    values: tuple[str, ...]
    bracketed: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Number:
    value: int
    place: Place


@dataclass(frozen=True, slots=True)
class Tag:
    """name: lower-case, without its colon."""

    name: str
    place: Place


Argument = Strings | Number | Tag


@dataclass(frozen=True, slots=True)
class Node:
    """One test as written. name: lower-case. tests: those behind its arguments; bracketed: they are a test list."""

    name: str
    arguments: tuple[Argument, ...]
    tests: tuple[Node, ...]
    bracketed: bool
    place: Place


def read_test(text: str) -> Node:
    """The one test that is all of `text`. Raises BadTest, and nothing else. RFC 5228 8.2."""
    parser = _Parser(text)
    node = parser.test(1)
    if parser.token.kind is not _Kind.END:
        raise BadTest(parser.token.place, f"The test ends before {parser.token.shown()}.")
    return node


def shown(text: str) -> str:
    """What somebody wrote, as it may stand in a sentence: short, in quotation marks, in characters that can be seen."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return '"' + "".join([character if character.isprintable() else "\ufffd" for character in short]) + '"'


_SHOWN = 40


class _Kind(Enum):
    NAME = "a name"
    TAG = "a tag"
    NUMBER = "a number"
    STRING = "a string"
    MARK = "a mark"
    END = "the end"


@dataclass(frozen=True, slots=True)
class _Token:
    """text: in lower case, but of a string its value; of a tag without the colon."""

    kind: _Kind
    text: str
    place: Place
    number: int = 0

    def shown(self) -> str:
        if self.kind is _Kind.END:
            return "the end"
        return ("the string " if self.kind is _Kind.STRING else "") + shown(
            f":{self.text}" if self.kind is _Kind.TAG else self.text
        )


_FORBIDDEN = re.compile(r"[\x00\r\ud800-\udfff]")
_WHAT_IT_IS = {"\0": "NUL", "\r": "a carriage return without a line feed"}
_BLANKS = re.compile(r"[ \t\n]*+")
_WORD = re.compile(r"(:?)([A-Za-z_][A-Za-z0-9_]*+)")
_NUMBER = re.compile(r"[0-9]++[A-Za-z0-9_]*+")
_NUMBER_READ = re.compile(r"([0-9]++)([kmg]?)")
_DIGITS = len(str(LARGEST))
_QUANTIFIERS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_QUOTED = re.compile(r'[^"\\]*+')
_HEAD = re.compile(r"[ \t]*+(?:#[^\n]*)?\n")
_MARKS = "[](),;{}"


class _Lexer:
    """Gives one token after the other."""

    __slots__ = ("at", "lines", "text")

    def __init__(self, text: str) -> None:
        if len(text) > MOST_TEXT:
            raise BadTest(Place(1, 1), f"The test has more than {MOST_TEXT} characters.")
        self.text = text.replace("\r\n", "\n")
        self.lines = [0, *(found.end() for found in re.finditer("\n", self.text))]
        self.at = 0
        forbidden = _FORBIDDEN.search(self.text)
        if forbidden is not None:
            what = {"\0": "NUL", "\r": "a carriage return without a line feed"}.get(
                forbidden[0], "something that is not UTF-8"
            )
            raise self.bad(forbidden.start(), f"There is {what}, which cannot be read here.")

    def place(self, at: int) -> Place:
        line = bisect_right(self.lines, at)
        return Place(line, at - self.lines[line - 1] + 1)

    def bad(self, at: int, sentence: str) -> BadTest:
        return BadTest(self.place(at), sentence)

    def next(self) -> _Token:
        self.skip()
        text, at = self.text, self.at
        place = self.place(at)
        if at >= len(text):
            return _Token(_Kind.END, "", place)
        if text[at] == '"':
            return _Token(_Kind.STRING, self.quoted(), place)
        if text[at] in _MARKS:
            self.at += 1
            return _Token(_Kind.MARK, text[at], place)
        word = _WORD.match(text, at)
        if word is not None:
            self.at = word.end()
            name = word[2].lower()
            if name == "text" and not word[1] and text.startswith(":", self.at):
                return _Token(_Kind.STRING, self.multi_line(at), place)
            return _Token(_Kind.TAG if word[1] else _Kind.NAME, name, place)
        number = _NUMBER.match(text, at)
        if number is not None:
            self.at = number.end()
            return _Token(_Kind.NUMBER, number[0], place, self.number(number[0], at))
        raise self.bad(at, f"{shown(text[at])} begins nothing that Sieve knows.")

    def skip(self) -> None:
        """Pass over white space and comments."""
        text = self.text
        while True:
            blanks = _BLANKS.match(text, self.at)
            self.at = blanks.end() if blanks is not None else self.at
            if text.startswith("#", self.at):
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif text.startswith("/*", self.at):
                end = text.find("*/", self.at + 2)
                if end < 0:
                    raise self.bad(self.at, "The comment that begins here has no end.")
                self.at = end + 2
            else:
                return

    def quoted(self) -> str:
        """Value of the quoted string that begins here. A backslash takes the next character as it is."""
        text, start = self.text, self.at
        at = start + 1
        pieces: list[str] = []
        while True:
            plain = _QUOTED.match(text, at)
            if plain is not None:
                pieces.append(plain[0])
                at = plain.end()
            if at >= len(text):
                raise self.bad(start, "The string that begins here has no end.")
            if text[at] == '"':
                self.at = at + 1
                return "".join(pieces).replace("\n", "\r\n")
            if text.startswith("\n", at + 1):
                raise self.bad(at, "A backslash stands before a line's end.")
            pieces.append(text[at + 1 : at + 2])
            at += 2

    def multi_line(self, start: int) -> str:
        """Value of the multi-line string whose "text" begins at `start` and has been read."""
        text = self.text
        head = _HEAD.match(text, self.at + 1)
        if head is None:
            raise self.bad(self.at + 1, "Behind text: the line ends, or has a comment with # alone.")
        at = head.end()
        lines: list[str] = []
        while at < len(text):
            end = text.find("\n", at)
            line = text[at:] if end < 0 else text[at:end]
            at = len(text) if end < 0 else end + 1
            if line == ".":
                self.at = at
                return "".join(lines)
            lines.append((line[1:] if line.startswith("..") else line) + "\r\n")
        raise self.bad(start, "The text that begins here has no end: a line with nothing but a full stop.")

    def number(self, written: str, at: int) -> int:
        found = _NUMBER_READ.fullmatch(written.lower())
        if found is None:
            raise self.bad(at, f"{shown(written)} is no number; write 100, 100K, 10M or 1G, for example.")
        digits = found[1].lstrip("0")[: _DIGITS + 1] or "0"  # Python does not read thousands of them
        value = int(digits) * _QUANTIFIERS[found[2]]
        if value > LARGEST:
            raise self.bad(at, f"{shown(written)} is too large a number.")
        return value


class _Parser:
    """Looks one token ahead."""

    __slots__ = ("lexer", "strings", "tests", "token")

    def __init__(self, text: str) -> None:
        self.lexer = _Lexer(text)
        self.token = self.lexer.next()
        self.tests = self.strings = 0

    def take(self) -> _Token:
        token = self.token
        self.token = self.lexer.next()
        return token

    def is_mark(self, mark: str) -> bool:
        return self.token.kind is _Kind.MARK and self.token.text == mark

    def expected(self, what: str) -> BadTest:
        return BadTest(self.token.place, f"Here stands {self.token.shown()} instead of {what}.")

    def test(self, depth: int) -> Node:
        """depth: of this test, 1 for the outermost."""
        if self.token.kind is not _Kind.NAME:
            raise self.expected("the name of a test")
        self.tests += 1
        if self.tests > MOST_TESTS:
            raise BadTest(self.token.place, f"Those are more than {MOST_TESTS} tests.")
        if depth > DEEPEST:
            raise BadTest(self.token.place, f"More than {DEEPEST} tests stand within one another.")
        name = self.take()
        arguments: list[Argument] = []
        while (argument := self.argument()) is not None:
            arguments.append(argument)
        tests: tuple[Node, ...] = ()
        bracketed = self.is_mark("(")
        if bracketed:
            tests = self.test_list(depth + 1)
        elif self.token.kind is _Kind.NAME:
            tests = (self.test(depth + 1),)
        return Node(name.text, tuple(arguments), tests, bracketed, name.place)

    def test_list(self, depth: int) -> tuple[Node, ...]:
        self.take()
        tests = [self.test(depth)]
        while self.is_mark(","):
            self.take()
            tests.append(self.test(depth))
        if not self.is_mark(")"):
            raise self.expected('"," or ")"')
        self.take()
        return tuple(tests)

    def argument(self) -> Argument | None:
        """The argument that begins here, None where none does."""
        kind = self.token.kind
        if kind is _Kind.TAG:
            tag = self.take()
            return Tag(tag.text, tag.place)
        if kind is _Kind.NUMBER:
            number = self.take()
            return Number(number.number, number.place)
        if kind is _Kind.STRING:
            place = self.token.place
            return Strings((self.string(),), False, place)
        return self.string_list() if self.is_mark("[") else None

    def string_list(self) -> Strings:
        place = self.take().place
        values = [self.string()]
        while self.is_mark(","):
            self.take()
            values.append(self.string())
        if not self.is_mark("]"):
            raise self.expected('"," or "]"')
        self.take()
        return Strings(tuple(values), True, place)

    def string(self) -> str:
        if self.token.kind is not _Kind.STRING:
            raise self.expected("a string")
        self.strings += 1
        if self.strings > MOST_STRINGS:
            raise BadTest(self.token.place, f"Those are more than {MOST_STRINGS} strings.")
        return self.take().text
