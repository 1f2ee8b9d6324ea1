"""Writing the record of a whole run that found nothing to do; what a record cannot hold gets none.

Without a record: copies that keep a trash or a bandwidth cap, STARTTLS, passwords of a keyring, tokens, and a Maildir
named by a path that is not absolute. Of no use is the record of a copy whose data lies where only the file of
copies says.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ... import __version__
from ..config import Copies, CopyTable, expand, source_of
from ..secrets import split_command
from . import record as records
from .line import counted

if TYPE_CHECKING:
    from ...store.sqlite.glance import Glance, Stamps
    from ..maildir.picture import Picture
    from ..places import CopyPlaces
    from ..remote.account import Heard

RACY = 2.0
"""Seconds. A file that was changed less than this before it was read may be changed again with the same times."""

MECHANISMS = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256"})


def note(
    places: CopyPlaces,
    copies: Copies,
    table: CopyTable,
    loaded: float,
    state_stamp: list[int] | None,
    heard: Heard | None,
    taken: Glance | Picture | None,
    files: Stamps | None = None,
) -> None:
    """Write what this run asked and was told, or nothing. loaded: seconds UTC, when the file of copies had been read.
    state_stamp: of the state, as it was before and after the run. taken: what the copy here is. files: of a store, as
    they were before it was taken."""
    folder = str(places.folder)
    made = _record(copies, table, loaded, state_stamp, heard, taken, files or {})
    if made is None:
        records.forget(folder)
        return
    part = f"{records.path_of(folder)}.{os.getpid()}"
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, made.dump())
        finally:
            os.close(handle)
        os.replace(part, records.path_of(folder))  # noqa: PTH105 (both are strings here)
    except OSError:  # a full disk: the next run is a whole one
        records.forget(folder)


def _record(
    copies: Copies,
    table: CopyTable,
    loaded: float,
    state_stamp: list[int] | None,
    heard: Heard | None,
    taken: Glance | Picture | None,
    files: Stamps,
) -> records.Record | None:
    stamp = copies.stamp
    if state_stamp is None or heard is None or taken is None or stamp is None:
        return None
    if _racy(stamp, loaded):
        return None
    if table.trash.days or table.bandwidth or table.tls == "starttls" or heard.mechanism not in MECHANISMS:
        return None
    if not (table.password_command or table.password_file):
        return None
    here = _here(taken, table.send.outbox if table.send.smtp else "")
    if here is None:
        return None
    from ...accounts.address import kept_form

    server = source_of(table)
    answers = counted([b"* %b %b" % answer for answer in heard.answers])
    if any("\r" in answer for answer in answers):
        return None  # a literal
    return records.Record(
        {
            "program": __version__,
            "home": os.environ.get("HOME", ""),
            "config": os.path.abspath(copies.file),  # noqa: PTH100 (as `entry` has it)
            "config_stamp": stamp,
            "names": list(copies.names),
            "own_data": copies.data is not None,
            "state_stamp": state_stamp,
            "sends": bool(table.send.smtp),
            "account": kept_form(table.store),
            **here,
            "files": {} if any(_racy(each, loaded) for each in files.values()) else files,
            "host": server.host,
            "port": server.port,
            "tls": server.tls == "implicit",
            "trusted": str(expand(table.certificate)) if table.certificate else None,
            "user": table.user,
            "words": split_command(table.password_command) if table.password_command else [],
            "file": str(expand(table.password_file)) if table.password_file else "",
            "mechanism": heard.mechanism,
            "before": sorted(heard.before),
            "compress": heard.compressed,
            "asked": [command.decode("latin-1") for command in heard.asked],
            "heard": answers,
        }
    )


def _racy(stamp: list[int] | None, loaded: float) -> bool:
    """See RACY."""
    return stamp is not None and max(stamp[2], stamp[3]) / 1e9 > loaded - RACY


def _here(taken: Glance | Picture, outbox: str) -> dict[str, object] | None:
    """What is written down of the copy here; None where something is to be sent, or the Outbox to be made."""
    if isinstance(taken, tuple):
        if outbox and not any(row[0] == outbox and row[6] == 0 for row in taken[2]):
            return None
        rows = [list(row) for row in taken[2]]
        return {"id": taken[0], "rows": rows, "tree": None, "index_stamp": None, "outbox": ""}
    if outbox and outbox not in taken.empty:
        return None
    folder = taken.empty[outbox] if outbox else ""
    return {"id": "", "rows": [], "tree": taken.tree, "index_stamp": taken.index_stamp, "outbox": folder}
