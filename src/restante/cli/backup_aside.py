"""`restante backup run` where little has changed since the last run: a whole run, without what a whole program loads.

The run is the same (`backup.run`), and so is what it writes and says. What it does without is the command line's
library, a configuration that is taken apart, an event loop, and an engine: together they took longer to load than a
night's work. Where there is a configuration, the last run's note (`backup.unchanged`) says what it came to, and it must
be as it was; where there is none, the command line says all. And accounts must be such as can be read without an engine
(`store.sqlite.aside`). Whatever is not so is for the whole program.
"""

from __future__ import annotations

import errno
import gc
import os
from hashlib import sha256
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

from .. import __version__
from ..backup import ahead, given_up, unchanged
from ..machine import SystemClock
from ..values import Value
from .backup_again import CONFIG, asked_of, data_of, is_host, is_plain
from .priority import SHORT, step_back

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..backup.keys import Opening
    from ..backup.location import Location


class _Otherwise(Exception):
    """Something is for the whole program to say."""


def run_aside(said: dict[str, str]) -> int | None:
    """Take a snapshot; the exit status. None where the whole program has to.

    said: see `backup_again.plain_run`. To be called with garbage collection off, as `entry` has it: a run turns it on.
    """
    try:
        wanted = _wanted(said)
        if wanted is None or given_up.is_expected(wanted.data, wanted.asked, SystemClock().now()):
            return None
        return _run(wanted)
    except _Otherwise:
        return None


class _Wanted(Value, frozen=True):
    """data, config: paths, "" for none. digest: SHA-256 of the configuration of which all else is known. The others: as
    in `unchanged.Note`."""

    data: str
    config: str
    digest: str
    asked: list[str]
    location: str
    passphrase: str
    key: str
    host: str
    said: bool


def _wanted(said: dict[str, str]) -> _Wanted | None:
    data, config = data_of(said), said["--config"]
    asked = asked_of(said[""], said["--passphrase-file"], said["--key-file"], config, said["--data"])
    try:
        if not is_plain(data):
            return None
        if not config:
            location, passphrase, key, *_ = asked
            if not location or "://" in said[""] or bool(passphrase) == bool(key):
                return None
            return _Wanted(data, config, "", asked, location, passphrase, key, os.uname().nodename, said=False)
        note = unchanged.read(data, asked)
        if note is None or note.program != __version__ or not is_host(note):
            return None
        noted = note.files[CONFIG], asked, note.location, note.passphrase, note.key, note.host, note.said
        return _Wanted(data, config, *noted) if all(isinstance(each, str) for each in noted[2:6]) else None
    except (OSError, ValueError, TypeError, KeyError):  # also a note that somebody has edited
        return None


def _run(wanted: _Wanted) -> int | None:
    if wanted.passphrase and (passphrase := ahead.passphrase_in(wanted.passphrase)) is not None:
        ahead.begin(wanted.location, passphrase)  # where the command line has not named it, it has not begun yet
    # All that is needed is loaded while the key is made.
    import json  # noqa: F401 - by the note, and where that is read

    from ..backup import publish  # noqa: F401 - by the repository
    from ..backup.apart import finish
    from ..backup.noted import Circumstances, keep, note_of
    from ..backup.objects import AccountData, PageData, SnapshotData, prepare
    from ..backup.repository import Repository
    from ..backup.run import run
    from ..backup.written import WrittenData
    from ..clock import system_random
    from ..errors import Refusal
    from ..store.sqlite import directory_addresses, directory_backup  # noqa: F401 - by the directory
    from ..store.sqlite.aside import Aside, NeedsEngine
    from ..store.sqlite.names import DIRECTORY
    from .backup_said import PUT_BACK, complain_of, counted, tell_lacking, tell_run
    from .statuses import Exit
    from .words import complain, status_of

    clock = SystemClock()
    try:
        place, secret, files = _opened(wanted)
        source = Aside(wanted.data)
        prepare(SnapshotData, WrittenData, PageData, AccountData)
    except NeedsEngine as error:
        if os.path.isfile(f"{wanted.data}/{DIRECTORY}"):  # noqa: PTH113 (pathlib is not loaded)
            given_up.note(wanted.data, wanted.asked, clock.now())
        raise _Otherwise from error  # without one, nothing is made: its disk may not be mounted (`need_store`)
    except (Refusal, OSError) as error:
        raise _Otherwise from error
    gc.freeze()  # what is loaded stays
    gc.enable()
    try:
        with _Patience():
            try:
                repository = Repository.open(place, secret, system_random)
            except Refusal as refusal:
                raise _Otherwise from refusal
            if repository.secrets.recipient is not None:
                raise _Otherwise
            done = finish(run(source, repository, clock, wanted.host, files))
        if source.directory.glance.stands():  # else the note would be of another directory than was taken
            note = note_of(
                repository,
                done,
                Circumstances(
                    wanted.asked, wanted.passphrase, wanted.key, wanted.host, wanted.said,
                    source.directory.glance.digest, files, counted(done.snapshot.data),
                ),
            )  # fmt: skip
            keep(note, wanted.data, clock.now())
        given_up.forget(wanted.data, wanted.asked)
    except NeedsEngine as error:
        given_up.note(wanted.data, wanted.asked, clock.now())
        PUT_BACK.extend(repository.put_back)
        raise _Otherwise from error
    except Refusal as refusal:
        complain(refusal)
        return int(status_of(refusal))
    finally:
        source.close()
    try:
        complain_of(repository)
        tell_run(done)
        return int(Exit.FINDINGS if tell_lacking(done) else Exit.OK)
    except OSError as error:  # of what is said: see `common.LazyGroup`
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        complain(Refusal(f"The output cannot be written ({error.strerror}).", "Free some space there."))
        return int(Exit.REFUSED)


def _opened(wanted: _Wanted) -> tuple[Location, Opening, Mapping[str, bytes]]:
    """Where the backup is, with what it opens, and the installation's files. Raises _Otherwise, Refusal, OSError."""
    from ..backup.access import installation_files, location_of, secret_of
    from ..backup.folder import Folder
    from ..clock import system_random

    if ahead.read(wanted.key or wanted.passphrase, ahead.MOST_SLOT) is None:
        raise _Otherwise  # it may be a pipe, which can be read but once
    place = location_of(wanted.location, system_random)
    secret = secret_of(wanted.passphrase, wanted.key)
    files = installation_files(Path(wanted.config) if wanted.config else None, Path(wanted.data))
    same = not wanted.config or sha256(files.get(CONFIG, b"")).hexdigest() == wanted.digest
    if type(place) is not Folder or secret is None or not same:
        raise _Otherwise
    return place, secret, files


class _Patience:
    """While the block lasts: who uses the server is served first from some time on."""

    def __enter__(self) -> None:
        self._timer = Timer(SHORT, step_back)
        self._timer.daemon = True
        self._timer.start()

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        self._timer.join()
