"""A command as a person meets it: on a terminal of its own, with questions."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

PATIENCE = 60.0


def on_terminal(
    args: Sequence[str], answers: Sequence[tuple[str, str]], env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run `restante` with these words and answer each question when it stands there; status and all that was seen."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "restante", *args]
    around = os.environ | {"TERM": "dumb"} | dict(env or {})
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=around, start_new_session=True)
    os.close(theirs)
    shown, at, end = "", 0, time.monotonic() + PATIENCE
    left = list(answers)
    try:
        while True:
            ready, _, _ = select.select([ours], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"nothing comes behind:\n{shown}"
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other side has closed it
                break
            if not data:
                break
            shown += data.decode()
            while left and (found := shown.find(left[0][0], at)) >= 0:
                at = found + len(left[0][0])
                os.write(ours, f"{left.pop(0)[1]}\n".encode())
        status = process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert not left, f"never asked: {left}\n{shown}"
    return status, shown
