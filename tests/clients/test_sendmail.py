"""mutt hands its mail to `restante-sendmail`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..sync.outbox.sink import Sink, serving
from .support import PATIENCE, program

pytestmark = pytest.mark.client
ANNA = "anna@example.org"


def test_mutt_sends_by_it(tmp_path: Path) -> None:
    mutt = program("mutt")
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    script = tmp_path / "restante-sendmail"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from restante.cli.sendmail import main; main()' \"$@\"\n")
    script.chmod(0o755)
    with serving(Sink(mechanisms=("PLAIN",), user=ANNA, password="secret")) as sink:
        (tmp_path / "sync.toml").write_text(
            f'data = "{tmp_path}/data"\n[copy.work]\nimap = "localhost"\nuser = "{ANNA}"\n'
            f'password_file = "{password}"\nmaildir = "{tmp_path}/Mail"\n'
            f'[copy.work.send]\nsmtp = "127.0.0.1:{sink.port}"\ntls = "none"\n'
        )
        settings = (
            f"set sendmail='{script} -C {tmp_path}/sync.toml -oem -oi'", "set copy=no", f"set from={ANNA}",
            "set use_envelope_from=yes", "set charset=utf-8", "set send_charset=utf-8",
        )  # fmt: skip
        options = [word for setting in settings for word in ("-e", setting)]
        done = subprocess.run(
            [mutt, "-n", "-F", "/dev/null", *options, "-s", "from mutt", "-b", "c@example.com", "b@example.com"],
            input="grüße\n.\nend\n".encode(),
            capture_output=True,
            timeout=PATIENCE,
            env=os.environ | {"HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        )
    assert done.returncode == 0, done.stderr
    (taken,) = sink.taken
    assert taken.sender == ANNA
    assert sorted(taken.recipients) == ["b@example.com", "c@example.com"]
    assert "\r\n\r\ngrüße\r\n.\r\nend\r\n".encode() in taken.data
    assert b"c@example.com" not in taken.data
