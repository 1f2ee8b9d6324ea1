"""The backup's accounts on IMAP servers, as it is configured: for the nightly process and the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import Clock, Random, SystemClock, system_random
from ..config.model import Config
from ..errors import Refusal
from ..store.interface import Engine

if TYPE_CHECKING:
    from ..backup.mirror import Mirrors, Told
    from ..backup.remotes import Wanted
    from ..backup.sources import Sources


@asynccontextmanager
async def sources_of(
    engine: Engine, config: Config, data: Path, wanted: Wanted | None, clock: Clock, random: Random
) -> AsyncIterator[Sources]:
    """See `backup.sources.sources`. wanted: None for none; then, and where there is no mirror, nothing of all this is
    imported."""
    from ..backup.sources import Sources, has_mirrors, sources

    if wanted is None and not has_mirrors(data):
        yield Sources(engine)
        return
    from ..backup.remotes import Wanted

    async with sources(engine, mirrors_of(config, data, clock, random), wanted or Wanted()) as found:
        yield found


def mirrors_of(config: Config, data: Path, clock: Clock, random: Random) -> Mirrors:
    """The mirrors below a data folder."""
    from ..backup.mirror import Mirrors
    from .engine import open_mirrors

    return Mirrors(data, lambda folder: open_mirrors(config, folder, clock, random), clock, random)


async def told_mirrors(config: Config, data: Path) -> list[Told]:
    """The mirrors, for people."""
    from ..backup.sources import has_mirrors

    if not has_mirrors(data):
        return []
    return await mirrors_of(config, data, SystemClock(), system_random).told()


async def remove_mirror(config: Config, data: Path, address: str) -> None:
    """Raises NotFound, MirrorBusy."""
    from ..backup.sources import has_mirrors
    from ..store.directory import NotFound

    if not has_mirrors(data):
        raise NotFound(f"There is no mirror of {address}.", "Mirrors are made by 'restante backup run --imap'.")
    await mirrors_of(config, data, SystemClock(), system_random).remove(address)


def configured(config: Config, data: Path) -> Wanted | None:
    """The accounts that `[backup] imap` names. Raises Refusal."""
    if not config.backup.imap:
        return None
    from ..backup.remotes import wanted_copies
    from ..sync.load import load_copies
    from ..sync.where import config_file

    file = Path(config.backup.copies) if config.backup.copies else config_file()
    if not file.exists():
        raise Refusal(f"There is no file of copies {file}.", "Set backup.copies, or take backup.imap out.")
    copies = load_copies(file)
    return wanted_copies(copies, config.backup.imap, data, copies.data or data)
