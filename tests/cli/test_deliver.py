"""`restante deliver`: whatever goes wrong in it, an MTA keeps the mail."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import restante
from restante.cli.statuses import Exit
from restante.delivery.deliver import StoreDelivery

FAULTS = [RuntimeError("a fault of ours"), OSError(errno.ENOSPC, "No space left on device"), MemoryError()]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_fault_is_no_bounce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    async def fail(*args: object, **named: object) -> None:
        raise fault

    where = ("--data", str(tmp_path / "data"))
    assert CliRunner().invoke(restante, [*where, "domain", "add", "example.org"]).exit_code == Exit.OK
    monkeypatch.setattr(StoreDelivery, "deliver_local", fail)
    told = CliRunner().invoke(restante, [*where, "deliver", "--to", "a@example.org"], input=b"Subject: s\n\n")
    assert told.exit_code == Exit.TEMPORARY
    assert type(fault).__name__ in told.stderr


@pytest.mark.parametrize(("command", "status"), [("deliver", 75), ("status", 1)])
def test_a_program_that_is_being_replaced_bounces_nothing(tmp_path: Path, command: str, status: int) -> None:
    """A module that cannot be loaded is left to Python by other commands."""
    program = "import sys; sys.modules['restante.cli.main'] = None; from restante.cli.entry import main; main()"
    words = ["--data", str(tmp_path), command, "--to", "a@example.org"]
    ended = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == status, ended.stderr
    assert "Error" in ended.stderr
