"""Where things are kept on this platform.

Data: XDG's data directory on Linux, ~/Library/Application Support on macOS, /var/lib/restante for root.
Locks and what processes share: `run` within the data. Sockets: there too, or in a short private folder where the data's
path would make a Unix socket's path too long (108 octets with the NUL on Linux, 104 on macOS).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..errors import Refusal
from .where import data_path

_LONGEST_NAME = 32  # octets of the longest socket name put in the run folder


class FolderRefusal(Refusal):
    """A folder cannot be made or used."""

    code = "FOLDER"


def data_directory(
    environ: Mapping[str, str] | None = None, *, platform: str = sys.platform, root: bool | None = None
) -> Path:
    """The platform's folder for data that nothing else was said about. Does not create it."""
    return Path(data_path(environ, platform=platform, root=root))


def is_utf8(name: str | Path) -> bool:
    """Whether a name, as the system gave it, is UTF-8. Unix takes any octets; SQLite, TOML and JSON do not."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        return False
    return True


def make_data(data: Path) -> Path:
    """Make the data folder if it is missing, private to its owner, and check that it can be written.

    Raises FolderRefusal.
    """
    return _make(data.absolute(), "data")


def run_folder(data: Path) -> Path:
    """The folder for locks and files of the processes on `data`, made if missing. Raises FolderRefusal."""
    return _make(data.absolute() / "run", "run")


def run_directory(data: Path) -> Path:
    """The folder for sockets of the server on `data`, made if missing. Raises FolderRefusal."""
    short = _short_folder(data)
    if short is None:
        return run_folder(data)
    _make(short, "run")
    status = short.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise FolderRefusal(f"{short} belongs to somebody else.", "Remove it, or choose a shorter --data path.")
    return short


def leave_run_directory(data: Path) -> None:
    """Remove the short folder, if there is one and no process has a socket in it any more."""
    short = _short_folder(data)
    if short is not None:
        with suppress(OSError):  # somebody's socket is in it, or it is gone already
            short.rmdir()


def _short_folder(data: Path) -> Path | None:
    """Where sockets are whose names would be too long within the data; None where they are not."""
    from .listen import MAX_UNIX_PATH

    run = data.absolute() / "run"
    if len(os.fsencode(run)) + 1 + _LONGEST_NAME <= MAX_UNIX_PATH:
        return None
    import hashlib  # seldom needed, and start-up is paid by each run of `restante sync`
    import tempfile

    digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:16]
    base = os.environ.get("XDG_RUNTIME_DIR") or ""
    if not base.startswith("/") or len(os.fsencode(base)) > 40:
        base = "/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir()
    return Path(base) / f"restante-{os.geteuid()}-{digest}"


def lock_file(data: Path) -> Path:
    """The file whose lock says that a server runs on `data`. Its folder exists afterwards. Raises FolderRefusal."""
    return run_folder(data) / "server.lock"


def _make(folder: Path, what: str) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FolderRefusal(
            f"The {what} folder {folder} cannot be made ({error.strerror}).",
            "Choose another with --data DIR, or give yourself rights to it.",
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise FolderRefusal(
            f"The {what} folder {folder} cannot be written.",
            "Choose another with --data DIR, or give yourself rights to it.",
        )
    return folder
