"""Opens what commands work on: configuration, store and the rooms on top, put together as the server does.

A command may run while the server does: the store is made for several processes.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import SystemClock, system_random
from ..config.limits import mime_limits
from ..config.model import Config
from ..config.paths import data_directory, make_data
from ..errors import Refusal
from ..mime.model import Limits
from ..store.directory import Account
from ..store.interface import Engine, Store
from .common import Place, place_of

if TYPE_CHECKING:
    from ..accounts.admin import Admin
    from ..sync.local import Opened


class OtherOwner(Refusal):
    """Root works on a server's data that belongs to somebody else."""

    code = "OTHER-OWNER"


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation, open. config, data: where it is and what was said about it."""

    config: Config
    data: Path
    engine: Engine

    @property
    def admin(self) -> Admin:
        """Domains, accounts, credentials. Loaded when it is asked for: a nightly run, say, needs no passwords."""
        from ..accounts.admin import Admin

        return Admin(self.engine, self.config, SystemClock(), system_random)

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
    config = Config()
    if place.config is not None:
        from ..config.load import load

        config = load(place.config)
    if place.data is not None:
        return config, place.data
    return config, Path(config.data) if config.data else data_directory()


def check_owner(data: Path) -> None:
    """Keep root off data that another user's server owns: files made as root would shut that server out.

    Raises OtherOwner. Data that is not there yet belongs to whoever makes it.
    """
    if os.geteuid() != 0 or not data.exists():
        return
    owner = data.stat().st_uid
    if owner == 0:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"#{owner}"
    raise OtherOwner(
        f"The data folder {data} belongs to the user {name}.",
        f"Files that root makes there would shut its server out. Run this as {name}: runuser -u {name} -- restante ...",
    )


def configured_store() -> Opened:
    """The store of the installation that the command line names, for a side of it, which closes it. Raises Refusal."""
    from ..server.engine import open_engine
    from ..server.logs import adopt_logs
    from ..sync.local import Opened

    config, data = load_config(place_of())
    check_owner(data)
    clock = SystemClock()
    adopt_logs(config.log.level, config.log.format, clock)
    engine = open_engine(config, data, clock, system_random)
    return Opened(engine, mime_limits(config.limits), config.limits.message)


@asynccontextmanager
async def installation(place: Place | None = None) -> AsyncIterator[Installation]:
    """The installation that the command line names (or `place`), closed afterwards. Raises Refusal."""
    from ..server.engine import open_engine

    config, data = load_config(place or place_of())
    check_owner(data)
    make_data(data)
    engine = open_engine(config, data, SystemClock(), system_random)
    try:
        yield Installation(config, data, engine)
    finally:
        await engine.close()
