"""The machine's clock and its source of chance (`clock.Clock`, `clock.Random`). Imports next to nothing: a run with
nothing to do needs them, and `typing`, which says what they are, takes longer to load than they and all the rest."""

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
