"""What a worker and the process that reads the backup for it agree on before they speak: see `past_process`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..config.model import Config
from ..config.paths import run_directory

READY = b"ready\n"
"""What the process says on standard output once it can be connected to, or another one can."""


class Order(msgspec.Struct, frozen=True):
    """What it is told at its start, as a line of JSON on standard input."""

    config: Config
    data: str


def socket_path(data: Path) -> Path:
    return run_directory(data) / "past.sock"


def cache_folder(data: Path) -> Path:
    return data / "run" / "past"
