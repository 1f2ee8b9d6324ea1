"""`restante` with a clock that is ahead, for tests: `python -m tests.server.clocked SECONDS ARGUMENTS`."""

from __future__ import annotations

import sys

from restante import clock


class Ahead(clock.SystemClock):
    """The machine's clock, so many seconds on."""

    by = 0.0

    def now(self) -> float:
        return super().now() + self.by


if __name__ == "__main__":
    Ahead.by = float(sys.argv.pop(1))
    vars(clock)["SystemClock"] = Ahead  # every room takes it from there
    from restante.cli.main import main

    main()
