"""The pytest plugin: `restante_server`, a real mail server for any project's tests.

    def test_my_code_files_a_reply(restante_server):
        restante_server.add_account("ann@example.org", "secret")
        restante_server.put("ann@example.org", b"Subject: hello\\r\\n\\r\\nHi Ann\\r\\n")
        my_code.answer(host=restante_server.host, port=restante_server.imap, user="ann@example.org", password="secret")
        (mail,) = restante_server.mail("ann@example.org", "Sent")
        assert b"Re: hello" in mail.data

Loaded by its entry point wherever Restante is installed; imports nothing of the server until a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .server import RestanteServer


@pytest.fixture
def restante_server(tmp_path: Path) -> Iterator[RestanteServer]:
    """A running, empty server (`restante.testing.server.RestanteServer`), stopped after the test."""
    from .server import RestanteServer

    with RestanteServer(tmp_path / "restante") as server:
        yield server
