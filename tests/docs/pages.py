"""The documents as tests read them: their fenced blocks, commands, links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|[|&;]\s*)(?:\$ )?(?:\.venv/bin/|/opt/restante/bin/)?restante (.+)$")


def blocks(page: Path, language: str) -> list[str]:
    """Contents of the page's fenced blocks of one language."""
    return [body for name, body in _FENCE.findall(page.read_text("utf-8")) if name == language]


def inline(page: Path) -> list[str]:
    """What stands in backticks outside fenced blocks."""
    return _INLINE.findall(_FENCE.sub("", page.read_text("utf-8")))


def commands(page: Path) -> list[str]:
    """Arguments of every `restante ...` that the page tells a reader to type."""
    lines = [line for name in ("sh", "console") for block in blocks(page, name) for line in block.splitlines()]
    found = [match[1] for line in [*lines, *inline(page)] if (match := _COMMAND.search(line.strip()))]
    return [re.split(r"\s+(?:[|#&;<>]|2>)", each)[0] for each in found if not each.startswith("...")]
