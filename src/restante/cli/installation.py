"""Opens what commands work on: configuration, store and the rooms on top, put together as the server does.

A command may run while the server does: the store is made for several processes.
"""

from __future__ import annotations

import errno
import os
import pwd
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import SystemClock, system_random
from ..config.limits import mime_limits
from ..config.model import Config
from ..config.paths import FolderRefusal, data_directory, is_utf8, make_data
from ..errors import Refusal
from ..mime.model import Limits
from ..store.directory import Account
from ..store.interface import Engine, Store
from .common import Place, place_of

if TYPE_CHECKING:
    from ..accounts.admin import Admin
    from ..sync.local import Opened


class NoStore(FolderRefusal):
    """There is no mail store where a command was to work on one."""

    code = "NO-STORE"


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
    data = place.data or (Path(config.data) if config.data else data_directory())
    if not is_utf8(data):  # SQLite takes no other names
        raise FolderRefusal(
            f"The data folder {data} has a name that is no UTF-8.", "Give it another one, or name it by a link."
        )
    return config, data


def check_owner(data: Path) -> None:
    """Keep root off data that another user's server owns: files made as root would shut that server out.

    Raises OtherOwner. Data that is not there yet belongs to whoever makes it.
    """
    if os.geteuid() != 0:
        return
    try:
        owner = data.stat().st_uid
    except OSError:  # whoever opens it says what is wrong with it
        return
    if owner == 0:
        return
    name = _name_of(owner)
    raise OtherOwner(
        f"The data folder {data} belongs to the user {name}.",
        f"Files that root makes there would shut its server out. Run this as {name}: runuser -u {name} -- restante ...",
    )


def _name_of(owner: int) -> str:
    """A user's name, or number where he has none."""
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"#{owner}"


def need_store(data: Path) -> None:
    """See that a mail store is in the data folder, and that it is ours to use; nothing is made. Raises NoStore,
    FolderRefusal.

    An engine makes what it does not find. Where a folder's name was mistyped, or its disk is not mounted, a command
    that reads would answer for an empty store, a delivery would bounce, and a backup would save nothing and be content.
    """
    from ..store.sqlite.names import DIRECTORY

    elsewhere = "Name the right folder with --data DIR"
    begin = f"begin a store there: restante domain add example.org{_place_said(data)}"
    try:
        (data / DIRECTORY).stat()
        for path in (data, data / DIRECTORY):
            if not os.access(path, os.R_OK | os.W_OK | (os.X_OK if path == data else 0)):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except NotADirectoryError:
        raise NoStore(f"{data} is no folder.", f"{elsewhere}.") from None
    except FileNotFoundError:
        if not data.exists():
            raise NoStore(f"There is no folder {data}.", f"{elsewhere}, mount its disk, or {begin}") from None
        if (data / "accounts").is_dir():
            raise NoStore(
                f"There are accounts in {data}, but no {DIRECTORY}, which says whose they are.",
                "Put that file back from a backup, or restore everything into a new folder: restante backup restore.",
            ) from None
        raise NoStore(f"There is no mail store in {data}.", f"{elsewhere}, mount its disk, or {begin}") from None
    except PermissionError as error:
        raise FolderRefusal(
            f"The mail store in {data} cannot be read and written ({error.strerror}){_whose(data)}.",
            "Run this as the user whose it is, or name another folder with --data DIR.",
        ) from error
    except OSError as error:  # a disk that fails, a name that is too long
        raise FolderRefusal(f"The data folder {data} cannot be read ({error.strerror}).", f"{elsewhere}.") from error


def _place_said(data: Path) -> str:
    """What a command line has to say for this data folder to be meant."""
    if place_of().config is not None and place_of().data is None:
        return f" --config {shlex.quote(str(place_of().config))}"
    return "" if data == data_directory() else f" --data {shlex.quote(str(data))}"


def _whose(data: Path) -> str:
    """Whose it is, as far as that can be known."""
    try:
        owner = data.stat().st_uid
    except OSError:
        return ""
    return "" if owner == os.geteuid() else f": it belongs to the user {_name_of(owner)}"


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
async def installation(place: Place | None = None, *, begin: bool = False) -> AsyncIterator[Installation]:
    """The installation that the command line names (or `place`), closed afterwards. Raises Refusal.

    begin: make a store where there is none; else that is refused, and nothing is made.
    """
    from ..server.engine import open_engine

    config, data = load_config(place or place_of())
    check_owner(data)
    if begin:
        make_data(data)
    else:
        need_store(data)
    engine = open_engine(config, data, SystemClock(), system_random)
    try:
        yield Installation(config, data, engine)
    finally:
        await engine.close()
