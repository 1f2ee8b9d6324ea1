"""Makes docs/pictures/session.svg: a real terminal session, recorded and drawn.

    .venv/bin/python docs/pictures/make_session.py

Every line that is shown was printed by the command above it, run here on a fresh server with the default ports. The
drawing has a fixed width, fonts of the reader's machine and no random names: the same answers give the same file.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

SERVE = "restante serve --demo --data mail 2>server.log"

SESSION = (
    "curl -su demo@example.org:restante 'imap://127.0.0.1:1143/INBOX?UNSEEN'",
    "printf 'Subject: Tea?\\n\\nAt four, by the harbour.\\n' | restante deliver --to demo@example.org --data mail",
    "curl -su demo@example.org:restante 'imap://127.0.0.1:1143/INBOX?UNSEEN'",
    "curl -su demo@example.org:restante 'pop3://127.0.0.1:1110/8' | tail -1",
    "curl -su demo@example.org:restante 'pop3://127.0.0.1:1110/8' --list-only --request DELE",
    "restante undelete --account demo@example.org --all --data mail",
    "restante status --data mail | tail -2",
)
"""One command a line; what each prints depends on nothing but the commands before it."""

WIDTH = 110
PICTURE = Path(__file__).with_name("session.svg")


def record(console: Console) -> None:
    """Run the session in a folder of its own and show it on the console."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PATH": path, "HOME": folder}
        show(console, SERVE + " &")
        server = subprocess.Popen(["sh", "-c", "exec " + SERVE], cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            for line in server.stdout:
                console.print(Text(line.rstrip("\n"), style="green" if line == "ready\n" else ""))
                if line == "ready\n":
                    break
            for command in SESSION:
                show(console, command)
                done = subprocess.run(["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True)
                assert done.returncode == 0, (command, done)
                console.print(Text(done.stdout.replace("\r", "").rstrip("\n")), end="\n" if done.stdout else "")
        finally:
            server.terminate()
            server.wait()


def show(console: Console, command: str) -> None:
    """A prompt and what was typed."""
    console.print(Text.assemble(("$ ", "bold cyan"), (command, "bold")))


def main() -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    record(console)
    svg = console.export_svg(title="restante", unique_id="session")
    # rich asks the reader's browser for a font from elsewhere: any monospaced one will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "monospace")
    PICTURE.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", "utf-8")


if __name__ == "__main__":
    main()
