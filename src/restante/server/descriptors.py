"""File descriptors: as many as the system gives, and a configuration that fits into them.

A process that has none left can open no account's file, and what is connected already is refused everything. So where
the system gives fewer than connections and open accounts may need together, both are bounded by what there is: who
comes too many is told so, and who is connected goes on.
"""

from __future__ import annotations

import contextlib
import resource

from msgspec.structs import replace

from ..config.model import Config
from .logs import Logger

ACCOUNT = 5
"""Descriptors of an open account: its file and log, for a reader and a writer each, and the memory that they share."""

OTHERS = 64
"""Descriptors for all else: listeners, the directory, search indexes, locks, pipes, the loop's own."""

MOST = 1 << 20
"""More are not asked for: that many are enough for anything, and some systems say that there is no limit."""


def raise_limit() -> int:
    """A descriptor a connection: take what the system allows without asking; how many there are now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):  # some systems refuse what they promise
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return MOST if soft == resource.RLIM_INFINITY else soft


def fitting(config: Config, descriptors: int, log: Logger) -> Config:
    """The configuration with no more connections and open accounts, a process, than descriptors allow.

    Accounts have half of them at most, connections what is left. It is logged where accounts have to make do with less:
    connections are in the thousands before that, and a machine that is well need not begin with a warning.
    """
    there = max(2 * ACCOUNT, descriptors - OTHERS)
    handles = min(config.store.handles, there // 2 // ACCOUNT)
    connections = min(config.limits.connections, there - handles * ACCOUNT)
    if handles < config.store.handles:
        log.warning("few file descriptors", limit=descriptors, connections=connections, handles=handles)
    return replace(
        config,
        store=replace(config.store, handles=handles),
        limits=replace(config.limits, connections=connections),
    )
