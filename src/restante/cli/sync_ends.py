"""Which copies a run is about, and what its end means for the exit status. Without click, as `words`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Refusal
from .statuses import Exit
from .words import status_of

if TYPE_CHECKING:
    from ..sync.config import Copies
    from ..sync.copy import RunReport


def load(names: tuple[str, ...], data: Path | None, config: Path | None) -> tuple[Copies, Path]:
    """The copies of these names (all, where none is given), and the data folder. data, config: what was said on the
    command line. Raises Refusal."""
    from ..config.paths import data_directory
    from ..config.reading import ConfigError
    from ..sync.config import need_copies
    from ..sync.load import load_copies
    from ..sync.where import config_file
    from ..values import replace

    file = config or config_file()
    if config is None and not file.exists():
        raise ConfigError(str(file), 0, "is not there yet.", "Make a copy: restante sync init NAME")
    found = load_copies(file)
    return replace(found, copies=need_copies(found, names)), Path(data or found.data or data_directory())


ORDER = (Exit.OK, Exit.FINDINGS, Exit.TEMPORARY, Exit.LOGIN, Exit.REFUSED)
"""From the least to the most urgent."""

LOGIN_CODES = frozenset({"LOGIN-REFUSED", "SECRET-UNAVAILABLE"})


def exit_of(report: RunReport) -> Exit:
    """What one run's end means for the exit status."""
    problem = report.problem
    own = Exit.FINDINGS if report.findings else Exit.OK
    return own if problem is None else worse(own, exit_of_refusal(problem))


def exit_of_refusal(problem: Refusal) -> Exit:
    if problem.code == "NO-SUCH-MAILBOX":
        return Exit.USAGE
    return Exit.LOGIN if problem.code in LOGIN_CODES else status_of(problem)


def worse(one: Exit, other: Exit) -> Exit:
    return max(one, other, key=lambda each: ORDER.index(each) if each in ORDER else len(ORDER))
