"""The machine's clock and its source of chance (`clock.Clock`, `clock.Random`), and how many cores it gives us. Imports
next to nothing: a run with nothing to do needs them, and `typing`, which says what the first two are, takes longer to
load than they and all the rest."""

from __future__ import annotations

import os
import time


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


system_random = os.urandom


def cores() -> int:
    """Cores that this process may use, at least one: those that it is bound to (taskset, a container's cpuset), where
    the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
