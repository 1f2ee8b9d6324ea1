"""What a run with nothing to do asked and was told. Imports next to nothing: a dataclass alone costs a millisecond."""

from __future__ import annotations

import os

FORMAT = 3
"""Of the file; another one is passed over."""

NAME = "unchanged.json"


class Record:
    """One copy's. All values are JSON's; octets are written as Latin-1.

    program: version of Restante. home: HOME, which "~" stands for. config: absolute path of the file of copies;
    config_stamp: of it. names: all copies in that file, in its order. own_data: the file says where data lies.
    state_stamp: of the copy's state. sends: it has an outbox.
    account: address of the store. rows: what `glance` told of it, with the account's id; files: stamps of what it
    looked into, empty where they may have been changed since with the same times. For a Maildir: tree, what
    `tree.picture` told of it; index_stamp: of its index; outbox: the folder where messages to be sent are dropped.
    host, port, tls, trusted, user: the server (tls: from the first octet, or not at all).
    words, file: the command that prints the password, or the file that holds it.
    mechanism, before: how the login went, and what the server had offered until then, sorted. compress: COMPRESS.
    asked: commands, without tags. heard: the answers that count, sorted.
    """

    FIELDS = (
        "program", "home", "config", "config_stamp", "names", "own_data", "state_stamp", "sends", "account", "id",
        "rows", "files", "tree", "index_stamp", "outbox", "host", "port", "tls", "trusted", "user", "words", "file",
        "mechanism", "before", "compress", "asked", "heard",
    )  # fmt: skip
    __slots__ = FIELDS

    program: str
    home: str
    config: str
    config_stamp: list[int]
    names: list[str]
    own_data: bool
    state_stamp: list[int]
    sends: bool
    account: str
    id: str
    rows: list[list[object]]
    files: dict[str, list[int] | None]
    tree: dict[str, object] | None
    index_stamp: list[int] | None
    outbox: str
    host: str
    port: int
    tls: bool
    trusted: str | None
    user: str
    words: list[str]
    file: str
    mechanism: str
    before: list[str]
    compress: bool
    asked: list[str]
    heard: list[str]

    def __init__(self, values: dict[str, object]) -> None:
        """Raises KeyError where one is missing."""
        for field in self.FIELDS:
            setattr(self, field, values[field])

    def dump(self) -> bytes:
        """As it stands in the file."""
        import json

        values = {field: getattr(self, field) for field in self.FIELDS}
        return json.dumps({"format": FORMAT, **values}).encode("ascii")


def path_of(folder: str) -> str:
    """The record's file. folder: of the copy, in the data folder."""
    return f"{folder}/{NAME}"


def read(folder: str) -> Record | None:
    """The copy's record; None where there is none that can be used."""
    try:
        with open(path_of(folder), "rb") as file:  # noqa: PTH123 (pathlib is loaded for what follows, if at all)
            values = _parsed(file.read().decode("utf-8"))
        return Record(values) if values["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _parsed(text: str) -> dict[str, object]:
    """JSON, by the part of `json` that is in C: the rest of it brings regular expressions, which take longer to load
    than all that is done here. Raises ValueError."""
    found: dict[str, object]
    try:
        from _json import make_scanner

        found, end = make_scanner(_Plain)(text, 0)  # type: ignore[arg-type]  # anything with these names
        if end == len(text):
            return found
    except (ImportError, StopIteration, SystemError):  # where the text ends too early; `json` has words for it
        pass
    import json

    found = json.loads(text)
    return found


class _Plain:
    """What a scanner is told of how to read."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


def forget(folder: str) -> None:
    """There is nothing that a run could compare itself with any more."""
    try:
        os.unlink(path_of(folder))  # noqa: PTH108 (pathlib is not loaded)
    except OSError:
        pass  # there was none; or it cannot be removed, and then the next attempt finds that it does not fit


def stamp(path: str) -> list[int] | None:
    """Of a file as it is now; None where it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116 (pathlib is not loaded)
    except OSError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def state_stamp(path: str) -> list[int] | None:
    """Of a copy's state; None while somebody has it open (its log is there then) or where it is not there."""
    return stamp(path) if not os.path.exists(f"{path}-wal") else None  # noqa: PTH110 (pathlib is not loaded)
