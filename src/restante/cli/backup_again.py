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

FILES = {"tls/certificate.pem": "tls/certificate.pem", "tls/key.pem": "tls/key.pem"}
"""The installation's files in the data folder (`access.installation_files`)."""


def plain_run(arguments: list[str]) -> dict[str, str] | None:
    """What a `restante backup run` says: its location (under "") and the `OPTIONS`, "" for what it does not say. None
    where it says anything else."""
    split = split_line(arguments, OPTIONS)
    if split is None:
        return None
    said, words = split
    if any(word.startswith("-") for word in words):
        return None
    if words[:2] != ["backup", "run"] or len(words) > 3:
        return None
    return said | {"": "".join(words[2:])}


def asked_of(location: str, passphrase: str, key: str, config: str) -> list[str]:
    """`Note.asked` of what the command line says: paths are absolute."""
    return [os.path.abspath(word) if word else "" for word in (location, passphrase, key, config)]  # noqa: PTH100


def settle(said: dict[str, str]) -> str | None:
    """Take the snapshot if nothing has changed: what is to be said then. None where a whole run has to look."""
    asked = asked_of(said[""], said["--passphrase-file"], said["--key-file"], said["--config"])
    data = said["--data"]
    if not data:
        from ..config.where import data_path

        data = data_path()
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
    if not (_ours(data, config, note) and unchanged.there(note) and _same_accounts(data, note)):
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


def _ours(data: str, config: str, note: Note) -> bool:
    """Whether machine, data folder and the installation's files are as noted."""
    if not note.said and os.uname().nodename != note.host:
        return False
    if os.geteuid() == 0 and os.stat(data).st_uid != 0:  # noqa: PTH116
        return False  # refused: see `installation.check_owner`
    if os.path.exists(f"{data}/mirrors"):  # noqa: PTH110
        return False
    files = {name: f"{data}/{path}" for name, path in FILES.items()} | ({"restante.toml": config} if config else {})
    return {name: _sha(path) for name, path in files.items() if os.path.isfile(path)} == note.files  # noqa: PTH113


def _sha(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123
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
