"""One server a test file: what a test does to it must not hurt the next."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from restante.testing.server import RestanteServer

from .support import serving


@pytest.fixture(scope="module")
def serving_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RestanteServer, io.StringIO]]:
    with serving(tmp_path_factory.mktemp("threats") / "data") as found:
        yield found


@pytest.fixture
def server(serving_module: tuple[RestanteServer, io.StringIO]) -> RestanteServer:
    return serving_module[0]


@pytest.fixture
def log(serving_module: tuple[RestanteServer, io.StringIO]) -> io.StringIO:
    return serving_module[1]
