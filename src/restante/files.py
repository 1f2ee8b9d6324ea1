"""Small files that are there whole or not at all, also after a power cut, and that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(file: Path, data: bytes) -> None:
    """Put `data` in place of `file` (mode 0600), durably: when this returns, a power cut brings nothing older back.

    A link stays a link: what it leads to is replaced. The folder is made if missing, private to its owner. OSError
    passes; the file is then as it was.
    """
    import tempfile  # much, for who only needs the other one

    target = Path(os.path.realpath(file))
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, target)  # noqa: PTH105 (both are strings here)
    except BaseException:
        os.unlink(name)  # noqa: PTH108 (it is a string here)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were made, changed or removed in it durable. OSError passes."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
