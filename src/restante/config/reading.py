"""A TOML text -> tables of one's own, or a refusal that names file, line, key and what was probably meant.

tomllib reads, the tables say what is known and of which kind, msgspec checks the types. tomllib keeps no positions, so
the line of a key is found by a small scan of the text, wanted only for a refusal. Knows no table: the server's file
(`load`) and the file of copies (`sync.config`) have theirs.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

from ..errors import Refusal
from ..values import Value
from .table import Doc, Struct

KeyPath = tuple[str, ...]
S = TypeVar("S", bound=Struct)

MAX_FILE = 1 << 20


class ConfigError(Refusal):
    """The configuration cannot be used. file: as given; line: from 1, 0 if no line is to blame."""

    code = "CONFIG"

    def __init__(self, file: str, line: int, text: str, remedy: str = "") -> None:
        super().__init__(f"{file}:{line}: {text}" if line else f"{file}: {text}", remedy)
        self.file = file
        self.line = line


class Choice(Value, frozen=True):
    """A value out of a few."""

    path: KeyPath
    allowed: tuple[str, ...]


class Range(Value, frozen=True):
    """Inclusive bounds of a number."""

    path: KeyPath
    least: float
    most: float


DAY = 86400.0
_SIZES = {"": 1, "b": 1}
_SIZES |= {letter + b: 1000**power for power, letter in enumerate("kmgt", 1) for b in ("", "b")}
_SIZES |= {f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)}
_DURATIONS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": DAY, "w": 7 * DAY}
_QUANTITY = re.compile(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*")


def read_text(file: Path) -> str:
    """The text of a configuration file. Raises ConfigError."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(str(file), 0, f"cannot be read ({error.strerror}).", "Name another with --config.") from error
    if len(raw) > MAX_FILE:
        raise ConfigError(str(file), 0, "is too large for a configuration.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(file), line, "these octets are not UTF-8.", "Save the file as UTF-8.") from error


def parse_toml(text: str, file: str) -> dict[str, Any]:
    """The tables of a TOML text, as tomllib gives them (Any). Raises ConfigError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+), column \d+\)$", str(error))
        line = int(match[1]) if match else text.count("\n") + 1
        raise ConfigError(file, line, f"this is not TOML: {str(error).partition(' (at ')[0]}.") from error


def parse_size(value: str) -> int:
    """Octets of "10 MB" or "10M" (1000s), "2 GiB" (1024s), "4096". Raises ValueError."""
    number, unit = _quantity(value)
    if unit.lower() not in _SIZES:
        raise ValueError(f'"{value}" is no size; write "10 MB" or "2 GiB", for example')
    return round(number * _SIZES[unit.lower()])


def parse_duration(value: str) -> float:
    """Seconds of "30 m", "14 d", "90". Raises ValueError."""
    number, unit = _quantity(value)
    if unit.lower() not in _DURATIONS:
        raise ValueError(f'"{value}" is no duration; write "30 m" or "14 d", for example')
    return number * _DURATIONS[unit.lower()]


def _quantity(value: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(value)
    if match is None:
        return math.nan, "?"
    return float(match[1]), match[2]


def docs_of(table: type[Struct]) -> dict[str, Doc]:
    """The documentation of a table's keys, by key; nested tables have none."""
    hints = get_type_hints(table, include_extras=True)
    return {
        name: doc for name, hint in hints.items() for doc in getattr(hint, "__metadata__", ()) if isinstance(doc, Doc)
    }


def tables_of(table: type[Struct]) -> dict[str, type[Struct]]:
    """Nested tables, by key."""
    hints = get_type_hints(table)
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Struct)}


class Reading:
    """One TOML text being checked against tables of `model`'s kind.

    elsewhere: tables whose keys are looked at, too, for what an unknown key was meant to be.
    """

    def __init__(self, text: str, file: str, elsewhere: Mapping[str, type[Struct]] | None = None) -> None:
        self._text = text
        self._file = file
        self._elsewhere = elsewhere or {}

    def table(self, raw: Mapping[str, Any], table: type[S], path: KeyPath = ()) -> S:
        """One table and those within it, every key known, every value of its type. Raises ConfigError.

        raw: as tomllib gives it (Any). path: where the table stands.
        """
        plain = self._table(raw, table, path)
        try:
            return msgspec.convert(plain, table)
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at `$")
            inner = re.sub(r"\[.*?\]", "", where)  # "[0]" of a list, "[...]" of a table: the key above it is named
            here = path + tuple(re.findall(r"\.([^.\[`]+)", inner))
            each = "each of " if inner != where else ""
            meant = _meant(message, _kind(table, here[len(path) :]))
            raise self.error(here, f"{each}{_dotted(here)} {meant}.") from error

    def check(self, values: Struct, choices: Sequence[Choice], ranges: Sequence[Range], path: KeyPath = ()) -> None:
        """Values out of a few, and numbers within bounds. path: where the table `values` stands. Raises ConfigError."""
        for choice in choices:
            value = _value(values, choice.path)
            if value not in choice.allowed:
                import difflib

                close = difflib.get_close_matches(str(value), choice.allowed, 1)
                allowed = ", ".join(f'"{one}"' for one in choice.allowed)
                hint = f'Did you mean "{close[0]}"?' if close else ""
                here = path + choice.path
                raise self.error(here, f'{_dotted(here)} is one of {allowed}, not "{value}".', hint)
        for bounds in ranges:
            from . import show  # which imports this

            number = _value(values, bounds.path)
            assert isinstance(number, (int, float))
            if not bounds.least <= number <= bounds.most:
                here = path + bounds.path
                allowed = show.bounds(bounds.least, bounds.most, _kind(type(values), bounds.path))
                raise self.error(here, f"{_dotted(here)} is {allowed}.")

    def error(self, path: KeyPath, text: str, remedy: str = "") -> ConfigError:
        """What is wrong at a key, with its line."""
        return ConfigError(self._file, line_of(self._text, path), text, remedy)

    def _table(self, raw: Mapping[str, Any], table: type[Struct], path: KeyPath) -> dict[str, Any]:
        """The same values with sizes and durations as numbers; unknown keys refused."""
        docs, tables = docs_of(table), tables_of(table)
        result: dict[str, Any] = {}
        for key, value in raw.items():
            here = (*path, key)
            if key in tables and isinstance(value, dict):
                result[key] = self._table(value, tables[key], here)
            elif key in tables:
                raise self.error(here, f"{_dotted(here)} is a table: write [{_dotted(here)}].")
            elif key not in docs:
                raise self._unknown(here, [*docs, *tables])
            else:
                result[key] = self._number(here, value, docs[key].kind)
        return result

    def _number(self, path: KeyPath, value: object, kind: str) -> object:
        if not kind or not isinstance(value, str):
            return value
        try:
            return parse_size(value) if kind == "size" else parse_duration(value)
        except ValueError as error:
            raise self.error(path, f"{_dotted(path)}: {error}.") from error

    def _unknown(self, path: KeyPath, known: list[str]) -> ConfigError:
        import difflib

        close = difflib.get_close_matches(path[-1], known, 1)
        if close:
            hint = f"Did you mean {_dotted((*path[:-1], close[0]))}?"
        else:
            elsewhere = [_dotted((name, path[-1])) for name, t in self._elsewhere.items() if path[-1] in docs_of(t)]
            hint = f"Did you mean {elsewhere[0]}?" if elsewhere else f"Known here: {', '.join(sorted(known))}."
        return self.error(path, f"there is no key {_dotted(path)}.", hint)


def _value(values: Struct, path: KeyPath) -> object:
    value: object = values
    for name in path:
        value = getattr(value, name)
    return value


def _dotted(path: KeyPath) -> str:
    return ".".join(part if re.fullmatch(r"[\w-]+", part) else f'"{part}"' for part in path)


_PEOPLE = {
    "str": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in brackets",
    "object": "a table in braces",
    "date": "a date",
    "time": "a time of day",
    "datetime": "a date and time",
}
"""msgspec's names of types as who writes TOML knows them."""

_WITH_UNITS = {"size": 'a size, such as "10 MB"', "duration": 'a duration, such as "30 s"'}


def _kind(table: type[Struct], path: KeyPath) -> str:
    """Of the key at `path` within `table`: "size", "duration", "" for neither."""
    for name in path[:-1]:
        table = tables_of(table)[name]
    doc = docs_of(table).get(path[-1])
    return doc.kind if doc is not None else ""


def _meant(message: str, kind: str) -> str:
    """msgspec's "Expected `int | null`, got `str`" for people. kind: as `_kind` has it."""
    match = re.fullmatch(r"Expected `([\w |]+)`, got `(\w+)`", message)
    if match is None:
        return f"cannot be used: {(message[:1].lower() + message[1:]).replace('`', '')}"
    expected, got = ([_PEOPLE.get(name, name) for name in names.split(" | ")] for names in match.groups())
    return f"is {_WITH_UNITS.get(kind) or ' or '.join(expected)}, not {got[0]}"


# Where a key stands ----------------------------------------------------------------------------------

_KEY_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = rf"{_KEY_PART}(?:\s*\.\s*{_KEY_PART})*"


def line_of(text: str, path: KeyPath) -> int:
    """Line (from 1) of a key in a TOML text, or of the innermost table above it that has a line; 0 for none.

    For texts that tomllib accepts. Contents of multi-line strings are passed over.
    """
    header_line, key_line = re.compile(rf"\s*\[\[?\s*({_KEY})\s*\]"), re.compile(rf"\s*({_KEY})\s*=")
    triple = re.compile(r'"""|\'\'\'')
    best, depth = 0, 0
    table: KeyPath = ()
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            if fence in line:
                fence = ""
            continue
        if header := header_line.match(line):
            table = here = _parts(header[1])
        elif key := key_line.match(line):
            here = table + _parts(key[1])
            fences = triple.findall(line)
            fence = fences[0] if fences and line.count(fences[0]) == 1 else ""
        else:
            continue
        if depth < len(here) <= len(path) and path[: len(here)] == here:
            best, depth = number, len(here)
    return best


def _parts(dotted: str) -> KeyPath:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in re.findall(_KEY_PART, dotted))
