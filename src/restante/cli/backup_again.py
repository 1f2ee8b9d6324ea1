"""`restante backup run` where nothing has changed since the last run, before anything is imported that reads command
lines: see `backup.unchanged`. What is understood of the command line is the plainest part of it."""

from __future__ import annotations

import os
from hashlib import sha256

from .. import __version__
from ..backup import unchanged
from ..backup.unchanged import Note
from .entry import split_line

OPTIONS = ("--data", "--config", "--passphrase-file", "--key-file")

CONFIG = "restante.toml"
FILES = {"tls/certificate.pem": "tls/certificate.pem", "tls/key.pem": "tls/key.pem"}
"""The installation's files in the data folder (`access.installation_files`)."""


def plain_run(arguments: list[str]) -> dict[str, str] | None:
    """What a `restante backup run` says: its location (under "") and the `OPTIONS`, "" for what it does not say. None
    where it says anything else, or a path with "..", which leads elsewhere behind a link than `asked_of` has it."""
    split = split_line(arguments, OPTIONS)
    if split is None:
        return None
    said, words = split
    if any(word.startswith("-") for word in words):
        return None
    if any(".." in word.split("/") for word in (*words, *said.values())):
        return None
    if words[:2] != ["backup", "run"] or len(words) > 3:
        return None
    return said | {"": "".join(words[2:])}


def asked_of(location: str, passphrase: str, key: str, config: str, data: str) -> list[str]:
    """`Note.asked` of what the command line says: paths are absolute."""
    absolute = os.path.abspath
    return [absolute(word) if word else "" for word in (location, passphrase, key, config, data)]


def data_of(said: dict[str, str]) -> str:
    """The data folder, if no configuration names another one: then no note lies in this one of a run that was asked for
    by the same words, of which --data is one."""
    if said["--data"]:
        return said["--data"]
    from ..config.where import data_path

    return data_path()


def settle(said: dict[str, str]) -> str | None:
    """Take the snapshot if nothing has changed: what is to be said then. None where a whole run has to look."""
    asked = asked_of(said[""], said["--passphrase-file"], said["--key-file"], said["--config"], said["--data"])
    data = data_of(said)
    note = unchanged.read(data, asked)
    if note is None:
        return None
    try:
        return _settle(data, said["--config"], note)
    except (OSError, ValueError, TypeError):  # also a note that somebody has edited: a whole run says what is wrong
        unchanged.forget(data, asked)
        return None


def _settle(data: str, config: str, note: Note) -> str | None:
    from ..clock import SystemClock, system_random

    at = int(SystemClock().now())
    if note.program != __version__ or not 0 <= at - note.at < unchanged.LONGEST:
        return None
    if not (is_ours(data, config, note) and unchanged.there(note) and _same_accounts(data, note)):
        return None
    root = unchanged.root_key(note)
    if root is None or unchanged.names(note.location, "condemned") != note.condemned:
        return None
    name = unchanged.again(note, root, at, system_random)
    if name is None:
        return None
    note.snapshot = name
    note.write(data)
    return said_of(name, note.counted)


def said_of(snapshot: str, counted: str) -> str:
    """What is said of a run in which nothing had changed. snapshot: the name of its file."""
    return f"Snapshot {snapshot.rpartition('-')[2][:8]}: {counted}; 0 messages new or changed place, 0 B written."


def is_ours(data: str, config: str, note: Note) -> bool:
    """Whether machine, data folder and the installation's files are as noted."""
    if not (is_plain(data) and is_host(note)):
        return False
    files = {name: f"{data}/{path}" for name, path in FILES.items()} | ({CONFIG: config} if config else {})
    there = [(name, path) for name, path in files.items() if os.path.isfile(path)]  # noqa: PTH113 (no pathlib)
    return {name: sha_of(path) for name, path in there} == note.files


def is_plain(data: str) -> bool:
    """Whether the data folder may be used by who runs this, and has the installation's own accounts alone."""
    if os.geteuid() == 0 and os.stat(data).st_uid != 0:  # noqa: PTH116 (pathlib is not loaded)
        return False  # refused: see `installation.check_owner`
    return not os.path.exists(f"{data}/mirrors")  # noqa: PTH110 (pathlib is not loaded)


def is_host(note: Note) -> bool:
    """Whether the snapshot of a run on this machine has the noted host."""
    return note.said or os.uname().nodename == note.host


def sha_of(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 (pathlib is not loaded)
        return sha256(file.read()).hexdigest()


def _same_accounts(data: str, note: Note) -> bool:
    """Whether the directory and every account are as noted."""
    from ..store.sqlite.glance import glance_directory, glance_mark

    directory = glance_directory(data)
    if directory is None:
        return False
    directory.close()
    if directory.digest != note.directory:
        return False
    return all(glance_mark(data, str(id)) == mark for id, mark in note.accounts)
