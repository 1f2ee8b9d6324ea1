"""Every conformance test runs on every engine: add one's name here, and its making in `making.Installation`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .making import Installation


@pytest.fixture(params=["sqlite"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    return Installation(request.param, tmp_path / "data")
