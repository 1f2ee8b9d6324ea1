"""Runs `kept_folder_cases.py`, whose tests fork, in a process without the threads that other tests have left."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .users import root_only

CASES = Path(__file__).with_name("kept_folder_cases.py")


@root_only
def test_the_cases_in_a_process_of_their_own() -> None:
    count = CASES.read_text("utf-8").count("\ndef test_")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(CASES)],
        cwd=CASES.parents[2], capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8_000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= count > 15, done.stdout
    assert "skipped" not in done.stdout
