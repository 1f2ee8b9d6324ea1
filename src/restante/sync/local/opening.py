"""From a data folder and an account to a side: which engine there is, and how little of it a look needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...values import Value
from ..side import SideUnavailable
from .side import AccountMissing, LocalSide

if TYPE_CHECKING:
    from ...mime.model import Limits
    from ...store.interface import Engine, Store
    from ...store.sqlite.glance import Glance, Stamps
    from ..model import Spelling

LARGEST = 64 << 20
"""Octets of the largest message taken, where nobody says otherwise (the configuration's limits.message)."""


class Opened(Value, frozen=True):
    """A store with what its configuration says. limits: bounds of analysis, the same at every door. largest: octets of
    a message."""

    engine: Engine
    limits: Limits
    largest: int = LARGEST


def open_local(
    data: Path,
    account: str,
    engine: Callable[[], Opened] | None = None,
    *,
    spelling: Spelling | None = None,
) -> LocalSide:
    """The account's side; nothing is opened, and no engine imported, before that is needed.

    data: the folder that holds everything. account: an address, or an account's id. engine: makes the store as it is
    configured; one with the defaults if None. Neither fills what search keeps: that is for the server, or the search
    that comes first. spelling: shared with the other side.
    """
    from ...accounts.address import kept_form  # late: who syncs with no store needs none of it

    account = kept_form(account)
    stamps: Stamps = {}

    def look() -> Glance | None:
        from ...store.sqlite.glance import stamped_glance
        from ..unchanged.record import stamp

        found, seen = stamped_glance(str(data), account, stamp)
        stamps.clear()
        stamps.update(seen)
        return found

    async def store() -> tuple[Opened, Store]:
        if not (data / ("directory.db" if "@" in account else "accounts")).exists():
            # An engine would make a new, empty store there: where a disk is not mounted, of all places.
            raise SideUnavailable(f"There is no mail store in {data}.", "Name the right folder, or mount its disk.")
        opened = engine() if engine is not None else _default(data)
        try:
            id = account
            if "@" in account:
                found = await opened.engine.directory.account(account)
                if found is None:
                    raise AccountMissing(f"There is no account {account}.", "Make it: restante account add.")
                id = found.id
            return opened, opened.engine.account(id, session="sync")
        except BaseException:
            await opened.engine.close()
            raise

    return LocalSide(
        f"{account} in {data}", look, store, spelling, sign=f"the store's {account.lower()}", stamps=stamps
    )


def _default(data: Path) -> Opened:
    from ...clock import SystemClock, system_random
    from ...mime.model import DEFAULT_LIMITS
    from ...store.sqlite.engine import SqliteEngine

    return Opened(SqliteEngine(data, SystemClock(), system_random, filling=True), DEFAULT_LIMITS)
