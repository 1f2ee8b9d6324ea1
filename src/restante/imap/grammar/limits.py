"""Bounds on what one command may hold; the reader and every parser keep to them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """Bounds on what one command may hold; octets unless said otherwise."""

    line: int = 65_536
    """All of a command without its literals."""
    line_before_login: int = 8_192
    literal: int = 1 << 20
    """Any literal but APPEND's message."""
    literal_before_login: int = 4_096
    message: int = 64 << 20
    """APPEND's message literal."""
    command: int = (64 << 20) + (1 << 20)
    """All that one command holds: line and literals together."""
    appended: int = 1_000
    """Messages of one APPEND, or parts of them where they are catenated."""
    nesting: int = 50
    """Depth of parentheses in SEARCH."""
    set_items: int = 10_000
    """Ranges written in one sequence set."""
    search_keys: int = 1_000
    metadata_value: int = 65_536
    """Value of a METADATA entry."""
    names: int = 262_144
    """All names and patterns of mailboxes in one command: they are decoded while others wait."""
