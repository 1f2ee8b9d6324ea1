"""The attempt: is all as the last run left it?

First what lies here, then the server. True is an answer; False says nothing but that a whole run has to look. The lock
of a run is held meanwhile, so that no other run is under way.
"""

from __future__ import annotations

import fcntl
import os

from ... import __version__
from . import record as records
from .line import Line, Unusual, counted
from .record import Record

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    from ...clock import Clock

INDEX = "maildir.db"
"""A Maildir's, in the copy's folder (`assemble.local_side`)."""


def folder_of(data: str, name: str) -> str:
    """Where the copy keeps what is its own (`places.CopyPlaces.folder`)."""
    return f"{data}/sync/{name}"


def find(data: str, config: str, names: list[str], *, data_said: bool) -> list[tuple[str, Record]]:
    """The records of these copies (none named: of all in the file) from the first on, as long as there are any that
    fit the file of copies. Empty where nothing can be said; also where a name is none of a copy."""
    first = next(iter(names or _written(data)), "")
    known = records.read(folder_of(data, first)) if first else None
    if known is None or not _fits(known, config, data_said):
        return []
    if not all(name in known.names for name in names):
        return []
    found: list[tuple[str, Record]] = []
    for name in dict.fromkeys(names or known.names):
        one = records.read(folder_of(data, name))
        if one is None or not _fits(one, config, data_said):
            break
        found.append((name, one))
    return found


def _written(data: str) -> list[str]:
    """Copies that have a record."""
    try:
        with os.scandir(f"{data}/sync") as entries:
            found = {each.name: records.path_of(each.path) for each in entries}
        return [name for name, file in found.items() if os.path.exists(file)]  # noqa: PTH110 (pathlib is not loaded)
    except OSError:
        return []


def _fits(record: Record, config: str, data_said: bool) -> bool:
    """Whether the record was made by this program of this file of copies, as it is now."""
    return (
        record.program == __version__
        and record.config == config
        and record.config_stamp == records.stamp(config)
        and record.home == os.environ.get("HOME", "")
        and (data_said or not record.own_data)
    )


def unchanged(data: str, name: str, record: Record, clock: Clock) -> bool:
    """Whether both sides of the copy are as they were. Never raises but for a signal."""
    folder = folder_of(data, name)
    began, started = clock.monotonic(), clock.now()
    try:
        lock = os.open(f"{folder}/state.db.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _same_here(data, folder, record):
            return False
        if not _same_there(name, record):
            records.forget(folder)
            return False
        _note_end(folder, started, clock.monotonic() - began)
        return True
    except (
        OSError,
        Unusual,
        ValueError,
        TypeError,
        KeyError,
    ):  # also a record that somebody has edited: a whole run says what is wrong
        records.forget(folder)
        return False
    finally:
        os.close(lock)


def _same_here(data: str, folder: str, record: Record) -> bool:
    if records.state_stamp(f"{folder}/state.db") != record.state_stamp:
        return False
    if os.path.exists(f"{folder}/parts"):  # noqa: PTH110 (pathlib is not loaded)
        return False  # downloads that were cut off, to be tidied
    if record.sends and _spooled(f"{data}/sync/outbox"):
        return False
    if record.tree is not None:
        return _same_tree(folder, record)
    if record.files and all(_stamped(path) == then for path, then in record.files.items()):
        return True
    from ...store.sqlite.glance import glance

    seen = glance(data, record.account)
    return seen is not None and seen[0] == record.id and [list(row) for row in seen[2]] == record.rows


def _stamped(path: str) -> list[int] | None:
    """As `glance.stamped_glance` has it."""
    found = records.stamp(path)
    return None if path.endswith("-wal") and found is not None and not found[1] else found


def _same_tree(folder: str, record: Record) -> bool:
    from . import tree

    if record.index_stamp is None or records.state_stamp(f"{folder}/{INDEX}") != record.index_stamp:
        return False
    if record.outbox and tree.dropped(record.outbox):
        return False
    return record.tree is not None and tree.same(record.tree)


def _spooled(outbox: str) -> bool:
    """See `assemble.LateSender`."""
    try:
        with os.scandir(outbox) as found:
            return any(not entry.name.endswith(".lock") for entry in found)
    except FileNotFoundError:
        return False


def _same_there(name: str, record: Record) -> bool:
    line = Line(record.host, record.port, tls=record.tls, trusted=record.trusted)
    handed = None
    try:
        offers = line.greeting()
        if offers != record.before:
            return False
        _log_in(line, record, offers)
        if record.compress:
            line.compress()
        asked = [command.encode("latin-1") for command in record.asked]
        lines, words = line.ask(asked)
        done = all(
            word == b"OK" for word, command in zip(words, asked, strict=True) if command[:4] in (b"LIST", b"LSUB")
        )
        same = done and counted(lines) == record.heard
        if same:
            line.leave()
        elif done:
            handed = line.hand_over()
        if handed is not None:
            from ..handed import keep

            handed.entered = record.mechanism, frozenset(offers)
            handed.enabling = tuple(command for command in asked if command[:7] == b"ENABLE ")
            keep(name, handed, (record.host, record.port, record.tls, record.trusted, record.user))
        return same
    finally:
        if handed is None:
            line.close()


def _log_in(line: Line, record: Record, offers: list[str]) -> None:
    from .secret import from_command, from_file

    password = from_command(record.words) if record.words else from_file(record.file)
    if record.mechanism == "LOGIN":
        line.login(record.user, password)
        return
    from ..exchange import plain, scram

    if record.mechanism == "PLAIN":
        exchange = plain(record.user, password)
    else:
        from binascii import b2a_base64

        from ...machine import system_random

        exchange = scram(record.user, password, b2a_base64(system_random(18), newline=False).decode("ascii"))
    line.authenticate(record.mechanism, exchange, at_once="SASL-IR" in offers)


def _note_end(folder: str, started: float, seconds: float) -> None:
    """See `copy.write_last`."""
    part = f"{folder}/last.{os.getpid()}"
    text = f'{{"started":{started!r},"seconds":{round(seconds, 3)!r},"problem":null,"changed":0,"downloaded":0}}'
    try:
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
        os.replace(part, f"{folder}/last.json")  # noqa: PTH105 (pathlib is not loaded)
    except OSError:
        try:
            os.unlink(part)  # noqa: PTH108 (pathlib is not loaded)
        except OSError:
            pass  # a full disk: a hint is missing, as it would be after a whole run
