"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

from pathlib import Path

from restante.cli.reference import reference


def test_the_written_reference_is_the_commands_own() -> None:
    written = Path(__file__).parents[2] / "docs" / "cli.md"
    assert written.read_text("utf-8") == reference(), "run: python -m restante.cli.reference > docs/cli.md"
