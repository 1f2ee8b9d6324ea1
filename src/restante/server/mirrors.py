"""The backup's accounts on IMAP servers, as it is configured: for the nightly process and the command line."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import Clock, Random
from ..config.model import Config
from ..store.interface import Engine

if TYPE_CHECKING:
    from ..backup.remotes import Wanted
    from ..backup.sources import Sources


def sources_of(
    engine: Engine, config: Config, data: Path, wanted: Wanted, clock: Clock, random: Random
) -> AbstractAsyncContextManager[Sources]:
    """See `backup.sources.sources`."""
    from ..backup.mirror import Mirrors
    from ..backup.sources import sources
    from .engine import open_mirrors

    mirrors = Mirrors(data, lambda folder: open_mirrors(config, folder, clock, random), clock, random)
    return sources(engine, mirrors, wanted)


def configured(config: Config, data: Path) -> Wanted:
    """The accounts that `[backup] imap` names. Raises Refusal."""
    from ..backup.remotes import Wanted, wanted_copies
    from ..sync.config import config_file, load_copies

    if not config.backup.imap:
        return Wanted()
    copies = load_copies(Path(config.backup.copies) if config.backup.copies else config_file())
    return wanted_copies(copies, config.backup.imap, data, copies.data or data)
