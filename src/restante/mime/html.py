"""HTML -> the text a person would read: for search and previews, never for display.

White space collapses as in a browser, block elements break lines, scripts and styles are left out, entities
are decoded. Pure; cost is linear in the octets given, which the caller bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from selectolax.lexbor import LexborHTMLParser, SelectolaxError

_BLOCK = re.compile(
    r"<(?=/?(?:p|div|br|tr|li|ul|ol|table|h[1-6]|blockquote|hr|pre|dt|dd|title|section|article|header|footer|td|th)\b)",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^<>]*+>")
_UNSEEN = ["script", "style", "noscript", "template"]
_UNSEEN_TAG = re.compile(r"<(script|style|noscript|template)\b", re.IGNORECASE)

MAX_TAGS = 10_000
"""Tags that are given to the tree parser, whose cost grows with depth times length; past it, and past what the
caller allows, tags are cut out by expression alone."""


def html_text(source: str, most_tags: int = MAX_TAGS) -> str:
    """Readable text of an HTML document or fragment, lines separated by single line ends."""
    collapsed = " ".join(source.split())
    broken = "".join([_BLOCK.sub("\n<", collapsed[start:stop]) for start, stop in _stretches(collapsed)])
    if broken.count("<") > min(most_tags, MAX_TAGS):
        return _by_expression(broken)
    try:
        tree = LexborHTMLParser(broken)
        tree.strip_tags(_UNSEEN)
        root = tree.root
        text = root.text(deep=True, separator="", strip=False) if root is not None else ""
    except (SelectolaxError, ValueError, RuntimeError):
        return _by_expression(broken)
    return _lines(text)


_STRETCH = 1 << 15
"""Characters that an expression goes through at once: nobody else has the interpreter meanwhile, for some milliseconds
where each is a mark."""


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """A text cut before marks: no expression reaches over one."""
    start = 0
    while start < len(text):
        stop = text.find("<", start + _STRETCH)
        if stop < 0:
            stop = len(text)
        yield start, stop
        start = stop


def _by_expression(broken: str) -> str:
    seen: list[str] = []
    position = 0
    low = broken.lower() if len(broken.lower()) == len(broken) else broken
    for start, stop in _stretches(broken):
        for match in _UNSEEN_TAG.finditer(broken, max(start, position), stop):
            if match.start() < position:
                continue
            seen.append(broken[position : match.start()])
            position = low.find("</" + match[1].lower(), match.end())
            if position < 0:
                position = len(broken)
    seen.append(broken[position:])
    kept = "".join(seen)
    return _lines(unescape("".join([_TAG.sub("", kept[start:stop]) for start, stop in _stretches(kept)])))


def _lines(text: str) -> str:
    r"""Lines with no blank in front, one less at their end, and no empty ones: " ?\n[ \n]*" made one line end, in less
    than half the time that the expression takes."""
    lines = [line.lstrip(" ") for line in text.replace(" \n", "\n").split("\n")]
    return "\n".join([line for line in lines if line]).strip()
