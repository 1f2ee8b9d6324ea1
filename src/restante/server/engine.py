"""The store that a configuration names: the one place where an engine is chosen and told its settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..clock import Clock, Random
from ..config.limits import mime_limits, quota_default
from ..config.model import Config
from ..store.annotation import AnnotationLimits
from ..store.sqlite.engine import SqliteEngine
from ..store.sqlite.indexes import BATCH

if TYPE_CHECKING:
    from ..sync.local import Opened

INDEX_AFTER = 0.3
"""Seconds in which more mail is waited for before what search keeps of it is made; six times as long (1.8) where an
account's first new mail has come."""


def open_engine(
    config: Config, data: Path, clock: Clock, random: Random, *, index_after: float | None = None
) -> SqliteEngine:
    """The store on `data`. Opens no file before it is needed. index_after: see `SqliteEngine`; a program that is soon
    done leaves what search keeps to the server. Raises Refusal."""
    store = config.store
    return SqliteEngine(
        data,
        clock,
        random,
        retention=store.retention,
        log_retention=store.log_retention,
        reserve=store.reserve,
        handles=store.handles,
        compress=store.compress,
        keywords=config.limits.keywords,
        mailboxes=config.limits.mailboxes,
        transfer=config.limits.transfer,
        quota_default=quota_default(config.accounts),
        analysis=mime_limits(config.limits),
        index_from=BATCH if store.search_index else None,
        index_after=index_after,
        annotations=AnnotationLimits(
            config.limits.metadata_value, config.limits.metadata_entries, config.limits.metadata_account
        ),
        filling=index_after is None,
    )


def open_past_engine(config: Config, folder: Path, clock: Clock, random: Random) -> SqliteEngine:
    """The files that looks at the backup fill, on `folder`: without limits that their accounts did not have, and
    without an index. Opens nothing before it is needed."""
    return SqliteEngine(
        folder,
        clock,
        random,
        reserve=config.store.reserve,
        handles=min(config.store.handles, 64),
        compress=config.store.compress,
        keywords=1 << 30,
        analysis=mime_limits(config.limits),
        index_from=None,
    )


MIRROR_RETENTION = 86400.0
"""Seconds for which a mirror keeps what the server removed: earlier snapshots hold it."""
ANY = 1 << 20
"""Mailboxes, and keywords, of a mirror: what a server has is not ours to bound."""
ANY_SIZE = 1 << 40


def open_mirrors(config: Config, folder: Path, clock: Clock, random: Random) -> Opened:
    """The store of the backup's mirrors of IMAP accounts: bounds that the configuration sets for people are none there,
    or a message would be missing. Raises Refusal."""
    from ..sync.local import Opened

    config = replace(
        config,
        store=replace(config.store, retention=MIRROR_RETENTION, search_index=False),
        limits=replace(config.limits, keywords=ANY, mailboxes=ANY),
    )
    return Opened(open_engine(config, folder, clock, random), mime_limits(config.limits), ANY_SIZE)
