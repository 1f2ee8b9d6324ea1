"""For all tests: an example may take as long as a busy machine needs; what is wrong is found by asserts, not clocks.

Files of tests lie in memory where there is enough of it: their fsyncs, hundreds of thousands, would prove nothing on a
disk that loses no power, and took two fifths of the processor's time beside all the waiting. What is killed while it
writes is still killed between any two steps, and a disk that fails, fills or loses power is an imagined one
(`crash.vfs`), wherever the files are. Tests marked `disk` use a real one. TMPDIR, where it is set, says where all go.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("restante", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("restante")

MEMORY = "/dev/shm"
ROOM = 2 << 30
"""Octets that must be free there, several times what tests that run side by side have needed."""

# Processes that tests start, among them those of pytest-xdist, find both decided.
DISK = os.environ.setdefault("RESTANTE_TEST_DISK", tempfile.gettempdir())


def _is_fit() -> bool:
    """Whether there is room in memory, for programs too (containers often allow none to be run there)."""
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC and os.access(MEMORY, os.W_OK)


if "TMPDIR" not in os.environ and _is_fit():
    os.environ["TMPDIR"] = tempfile.tempdir = MEMORY


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """pytest's own; for tests marked `disk` a folder on a disk, whatever the others use."""
    if request.node.get_closest_marker("disk") is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=DISK, prefix="restante-test-") as folder:
        yield Path(folder)
