"""Where data lies on this platform. Imports next to nothing: it is asked before anything else is known."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def data_path(
    environ: Mapping[str, str] | None = None, *, platform: str = sys.platform, root: bool | None = None
) -> str:
    """See `paths.data_directory`."""
    env = os.environ if environ is None else environ
    if os.geteuid() == 0 if root is None else root:
        return "/var/lib/restante"
    home = env.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 (pathlib costs more than all this)
    if platform == "darwin":
        return f"{home}/Library/Application Support/restante"
    base = env.get("XDG_DATA_HOME", "")
    # XDG: a relative path is invalid and to be passed over.
    return f"{base if base.startswith('/') else f'{home}/.local/share'}/restante"
