"""Who uses the server while a backup runs is served first."""

from __future__ import annotations

import contextlib
import os

NICENESS = 10
"""A delivery beside a first backup took twice as long without it."""
SHORT = 0.5
"""Seconds that a run has at its usual priority: a night in which little changed is over then, and in nobody's way."""


def step_back() -> None:
    """Lower the priority of every thread that there is, and so of those that they start."""
    import threading

    for thread in threading.enumerate():
        if (number := thread.native_id) is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.setpriority(os.PRIO_PROCESS, number, max(NICENESS, os.getpriority(os.PRIO_PROCESS, number)))
