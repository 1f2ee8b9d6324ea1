"""The configuration as text: the documented default file, and what is in effect.

Made from `model` alone, so that a key is documented in one place. The default file loads back to the defaults.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping

import msgspec

from .load import docs_of, tables_of
from .model import Config
from .table import Struct

_HEAD = """\
# Configuration of Restante. Every key is here with its default; leave out what you do not change.
# Sizes are octets, or text such as "10 MB" (1000s) or "64 MiB" (1024s).
# Durations are seconds, or text such as "30 s", "5 m", "2 h", "14 d".
"""
_WIDTH = 100

_SIZES = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_DURATIONS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def default_text() -> str:
    """The default file: every key, what it does, its default."""
    return _HEAD + "\n" + _table(Config(), Config, "", documented=True).strip() + "\n"


def effective_toml(config: Config) -> str:
    """A configuration as TOML, without the documentation."""
    return _table(config, Config, "", documented=False).strip() + "\n"


def effective_json(config: Config) -> str:
    """A configuration as JSON: sizes in octets, durations in seconds."""
    return msgspec.json.format(msgspec.json.encode(config), indent=2).decode("utf-8") + "\n"


def _table(values: Struct, table: type[Struct], name: str, *, documented: bool) -> str:
    docs, tables = docs_of(table), tables_of(table)
    lines = [f"[{name}]"] if name else []
    for key, doc in docs.items():
        if documented:
            lines += textwrap.wrap(doc.text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        lines.append(f"{key} = {literal(getattr(values, key), doc.kind)}")
    parts = ["\n".join(lines)]
    parts += [_table(getattr(values, key), inner, key, documented=documented) for key, inner in tables.items()]
    return "\n\n".join(parts)


def literal(value: object, kind: str = "") -> str:
    """A value in TOML. kind: as in `Doc`; sizes and durations become text with a unit where that is exact."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _quantity(value, kind)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_string(str(k))} = {literal(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(one) for one in value) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def bounds(least: float, most: float, kind: str = "") -> str:
    """Inclusive bounds of a number, for people: "from 1 m to 7 d"; "at least 0" where there is no greatest one."""
    low, high = (literal(value, kind).strip('"') for value in (least, most))
    return f"from {low} to {high}" if most < 2**62 else f"at least {low}"


def _quantity(value: int | float, kind: str) -> str:
    units = {"size": _SIZES, "duration": _DURATIONS}.get(kind, ())
    for unit, factor in units:
        if value and value % factor == 0:
            return f'"{int(value // factor)} {unit}"'
    return repr(int(value)) if float(value).is_integer() else repr(value)


def _string(value: str) -> str:
    # JSON's escapes are TOML's; DEL alone must be escaped here and is not there.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
