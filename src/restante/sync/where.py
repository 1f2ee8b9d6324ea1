"""Where the file of copies is. Imports next to nothing: it is asked before anything else is known."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def config_file(environ: Mapping[str, str] | None = None, *, platform: str = sys.platform) -> Path:
    """Where the file is where nothing else was said."""
    from pathlib import Path

    return Path(config_path(environ, platform=platform))


def config_path(environ: Mapping[str, str] | None = None, *, platform: str = sys.platform) -> str:
    """`config_file` for those who have no use for a Path."""
    env = os.environ if environ is None else environ
    home = env.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 (pathlib costs more than all this)
    if platform == "darwin":
        return f"{home}/Library/Application Support/restante/sync.toml"
    base = env.get("XDG_CONFIG_HOME", "")
    # XDG: a relative path is invalid and to be passed over.
    return f"{base if base.startswith('/') else f'{home}/.config'}/restante/sync.toml"
