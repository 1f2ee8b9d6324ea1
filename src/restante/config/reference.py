"""The configuration reference as Markdown, made from `model`: `python -m restante.config.reference`.

docs/configuration.md is what this prints; a test compares them. Defaults are written as `config show --default`
writes them, so that a line can be copied into a file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .load import CHOICES, RANGES, Choice, KeyPath, Range, docs_of, tables_of
from .model import Config
from .show import bounds, literal
from .table import Struct

HEAD = """# Configuration

Made from the code by `python -m restante.config.reference`. Restante needs no configuration file. Where you want one,
start from `restante config show --default` or from nothing: a file holds what differs from the defaults, and every
command takes it with `--config FILE`. Check it with `restante config check FILE`, see what is in effect with
`restante --config FILE config show`. An unknown key or a wrong value is refused with file, line and the key that was
probably meant. The server reads the file at its start.

Sizes are octets, or text such as `"10 MB"` (1000s) or `"64 MiB"` (1024s). Durations are seconds, or text such as
`"30 s"`, `"5 m"`, `"2 h"`, `"14 d"`. On the command line `--data` and `--listen` go before the file.
"""

_COLUMNS = "| key | default | |\n|---|---|---|"


def reference() -> str:
    """Every table and key: default, meaning, least and greatest value."""
    parts = [HEAD, table_text(Config(), Config, "", CHOICES, RANGES)]
    for name, table in tables_of(Config).items():
        parts.append(table_text(getattr(Config(), name), table, name, CHOICES, RANGES, (name,)))
    return "\n".join(parts)


def table_text(
    values: Struct,
    table: type[Struct],
    name: str,
    choices: Sequence[Choice],
    ranges: Sequence[Range],
    path: KeyPath = (),
) -> str:
    """One table: a head and a line a key.

    name: as the head shows it. values: the defaults. path: where the table stands for `choices` and `ranges`.
    """
    lines = [f"## {f'[{name}]' if name else 'Above all tables'}\n"]
    if name == "listen":
        lines.append(f"{(table.__doc__ or '').strip()}\n")
    lines.append(_COLUMNS)
    for key, doc in docs_of(table).items():
        bounds = _bounds((*path, key), doc.kind, choices, ranges)
        text = " ".join(part for part in (doc.text, bounds) if part).replace("|", "\\|")
        lines.append(f"| `{key}` | `{literal(getattr(values, key), doc.kind)}` | {text} |")
    return "\n".join(lines) + "\n"


def _bounds(path: KeyPath, kind: str, choices: Sequence[Choice], ranges: Sequence[Range]) -> str:
    """What is allowed, where that is less than everything; choices are told by the key's own text."""
    if any(choice.path == path for choice in choices):
        return ""
    for each in ranges:
        if each.path == path:
            text = bounds(each.least, each.most, kind)
            return f"{text[0].upper()}{text[1:]}." if each.least or each.most < 2**62 else ""
    return ""


if __name__ == "__main__":
    sys.stdout.write(reference())
