"""Opens what commands work on: configuration, store and the rooms on top, put together as the server does.

A command may run while the server does: the store is made for several processes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..accounts.admin import Admin
from ..clock import SystemClock, system_random
from ..config.limits import mime_limits
from ..config.load import load
from ..config.model import Config
from ..config.paths import data_directory, make_data
from ..mime.model import Limits
from ..store.directory import Account
from ..store.interface import Engine, Store
from .common import Place, place_of


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation, open. config, data: where it is and what was said about it."""

    config: Config
    data: Path
    engine: Engine
    admin: Admin

    @property
    def limits(self) -> Limits:
        """Bounds of message analysis, as configured."""
        return mime_limits(self.config.limits)

    async def store(self, address: str) -> tuple[Account, Store]:
        """An account by address, and its store. Raises NotFound."""
        account = await self.admin.account(address)
        return account, self.engine.account(account.id, session="command line")


def load_config(place: Place) -> tuple[Config, Path]:
    """The configuration and the data folder: --data before the file before the platform's. Raises Refusal."""
    config = load(place.config) if place.config is not None else Config()
    if place.data is not None:
        return config, place.data
    return config, Path(config.data) if config.data else data_directory()


@asynccontextmanager
async def installation() -> AsyncIterator[Installation]:
    """The installation that the command line names, closed afterwards. Raises Refusal."""
    from ..server.engine import open_engine
    from ..server.logs import adopt_logs

    config, data = load_config(place_of())
    make_data(data)
    clock = SystemClock()
    adopt_logs(config.log.level, config.log.format, clock)
    engine = open_engine(config, data, clock, system_random)
    try:
        yield Installation(config, data, engine, Admin(engine, config, clock, system_random))
    finally:
        await engine.close()
