"""A new copy in the file of copies: its table as text, added behind what is there, which stays octet for octet.

The text is parsed with the rest before anything is written, so that the file is right afterwards or untouched.
"""

from __future__ import annotations

import fcntl
import os
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..config.reading import ConfigError, docs_of, read_text, tables_of
from ..config.show import literal
from ..config.table import Struct
from ..errors import Refusal
from ..files import replace_file
from .config import CopyTable, check_name
from .load import parse_copies

HEAD = """\
# Copies of mail accounts, for `restante sync`. One table a copy: [copy.NAME].
# docs/sync-configuration.md lists all keys; what is left out has its default.
# This file may hold secrets: keep it to yourself (mode 0600).
"""
_WIDTH = 100


class CopyExists(Refusal):
    """There is a copy of that name."""

    code = "COPY-EXISTS"


def add_copy(file: Path, name: str, copy: CopyTable) -> None:
    """Write the copy into the file, durably, mode 0600; the file and its folder are made if missing.

    Raises CopyExists, ConfigError (a name that cannot be, two copies in one place, a file that is wrong already).
    """
    with _alone(file):
        old = check_new(file, name)
        gap = "" if not old or old.endswith("\n\n") else "\n" if old.endswith("\n") else "\n\n"
        new = (old or HEAD + "\n") + gap + table_text(name, copy)
        if parse_copies(new, file).copies.get(name) != copy:
            raise ConfigError(str(file), 0, f"the copy {name} cannot be added to it.", "Add it by hand.")
        try:
            octets = new.encode("utf-8")
        except UnicodeEncodeError as error:  # TOML is UTF-8 (toml.io, v1.0.0), and Unix' names of files need not be
            what = os.fsencode(new[error.start : error.end])
            text = f"cannot have the copy {name}: what was said holds octets that are no UTF-8 ({what!r})."
            raise ConfigError(str(file), 0, text, "Give the folder a name in UTF-8, or a link to it.") from error
        try:
            replace_file(file, octets)
        except OSError as error:
            raise ConfigError(str(file), 0, f"cannot be written ({error.strerror}).") from error


def check_new(file: Path, name: str) -> str:
    """The file's text, where a copy of that name may be added to it. Raises as `add_copy` does."""
    try:
        check_name(name)
    except ValueError as error:
        raise ConfigError(str(file), 0, f"{error}.") from error
    text = read_text(file) if file.exists() else ""
    if name.lower() in {each.lower() for each in parse_copies(text, file).copies}:
        raise CopyExists(f"There is a copy {name} in {file}.", "Choose another name, or edit the file.")
    return text


def table_text(name: str, copy: CopyTable) -> str:
    """The copy's tables: keys that differ from their defaults, each with what it does."""
    lines = _lines(copy, CopyTable, f"copy.{name}")
    more = [
        key for key in (*docs_of(CopyTable), *tables_of(CopyTable)) if getattr(copy, key) == getattr(CopyTable(), key)
    ]
    lines += textwrap.wrap(
        f"More keys: {', '.join(more)}.", _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
    for key, table in _inner(copy, CopyTable, f"copy.{name}"):
        lines += ["", *_lines(table, type(table), key)]
    return "\n".join(lines) + "\n"


def _lines(values: Struct, table: type[Struct], name: str) -> list[str]:
    lines = [f"[{name}]"]
    for key, doc in docs_of(table).items():
        value = getattr(values, key)
        if value != getattr(table(), key):
            lines += textwrap.wrap(doc.text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
            lines.append(f"{key} = {literal(value, doc.kind)}")
    return lines


def _inner(values: Struct, table: type[Struct], name: str) -> Iterator[tuple[str, Struct]]:
    """Nested tables that say anything, each with its name."""
    inner: Mapping[str, type[Struct]] = tables_of(table)
    for key, kind in inner.items():
        value = getattr(values, key)
        if value != kind():
            yield f"{name}.{key}", value
            yield from _inner(value, kind, f"{name}.{key}")


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Two that add at once take turns: neither loses what the other wrote."""
    target = Path(os.path.realpath(file))
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(str(file), 0, f"cannot be written ({error.strerror}).") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
