"""`demo`: a running server whose demo account holds the package's demo mail, put there by the package's own code."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from restante.demo.install import install
from restante.exchange.load import Progress
from restante.mime.model import DEFAULT_LIMITS
from restante.testing.server import RestanteServer

from .support import Reader


@pytest.fixture
def demo(restante_server: RestanteServer, tmp_path: Path) -> Reader:
    """The demo account, as `restante serve --demo` makes it."""
    server = restante_server
    user, password = server.run(lambda: install(server.engine, server.admin, tmp_path, DEFAULT_LIMITS, None, _meter))
    return Reader(server, user, password, _home(tmp_path))


@pytest.fixture
def empty(restante_server: RestanteServer, tmp_path: Path) -> Reader:
    """An account without mail."""
    restante_server.add_account("ann@example.org", "Geheim42")
    return Reader(restante_server, "ann@example.org", "Geheim42", _home(tmp_path))


def _home(folder: Path) -> Path:
    home = folder / "home"
    home.mkdir(mode=0o700)
    return home


def _meter(title: str, total: int) -> AbstractContextManager[Progress]:
    return nullcontext(_unseen)


def _unseen(octets: int) -> None:
    """Progress that nobody watches."""
