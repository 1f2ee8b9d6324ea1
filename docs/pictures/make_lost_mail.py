"""Makes docs/pictures/lost-*.svg: lost mail is looked for and brought back, in a shell and in neomutt.

    .venv/bin/python docs/pictures/make_lost_mail.py

Needs curl, neomutt and tmux. Every line was printed by the programs that are shown, run here on the default ports on
what `lost_mail.py` makes; the same answers give the same files. tests/docs runs all of it again and compares.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parent))

from lost_mail import HOST, LOST, PASSWORD, USER, World, build, serving

HERE = Path(__file__).parent
IMAP, POP3 = 1143, 1110
WIDTH, HEIGHT = 120, 12
PATIENCE = 30.0

SERVER = f"imap://{HOST}:{IMAP}"
NIGHT = f"{SERVER}/Backups%2F2026-11-21%2002:30%2FINBOX"
CURL = f"curl -su {USER}:{PASSWORD}"
SESSIONS = {
    "curl": (
        f"{CURL} '{SERVER}/INBOX?SUBJECT%20boathouse'",
        f'{CURL} {SERVER} -X \'LIST "" "Backups/%"\'',
        f'{CURL} {SERVER} -X \'LIST "" "Backups/2026-11-21 02:30/%"\'',
        f"{CURL} '{NIGHT}?SUBJECT%20boathouse'",
        f"{CURL} '{NIGHT}' -X 'COPY 3 INBOX'",
        f"{CURL} '{SERVER}/INBOX?SUBJECT%20boathouse'",
    ),
    "operator": (
        f"restante undelete --account {USER} | cut -c 1-{WIDTH - 1}",
        f"restante undelete --account {USER} 1",
        f"restante backup find from:ruth cake | cut -c 1-{WIDTH - 1}",
        f"restante backup restore --account {USER} --mailbox Letters --snapshot 2026-11-21 --dry-run",
        f"restante backup restore --account {USER} --mailbox Letters --snapshot 2026-11-21",
    ),
    "rewind": (
        f'restante rewind --account {USER} --to "2026-11-21 16:00"',
        f'restante rewind --account {USER} --to "2026-11-21 16:00" --apply',
    ),
}
"""What is typed in a shell, a picture each; each world is its own."""
TITLES = {"curl": "a shell", "operator": "a shell on the server", "rewind": "a shell on the server"}

MUTTRC = """set imap_user="{user}" imap_pass="{password}" ssl_starttls=no ssl_force_tls=no
set folder="imap://{host}:{imap}/" spoolfile="imap://{host}:{imap}/INBOX"
set header_cache="" sort=date quit=yes
"""
# The picture that is made afterwards ("": none), keys by tmux's names, what is on the screen then ("!": no more).
STEPS = (
    ("", (), "Tea on Saturday?"),
    ("", ("c",), "Open mailbox"),
    ("", ("C-u", "=Backups/2", "Tab"), "+Backups/2026-11-2"),
    ("complete", ("1", "Tab"), "+Backups/2026-11-21 02:30/"),
    ("", ("IN", "Tab"), "+Backups/2026-11-21 02:30/INBOX"),
    ("", ("Enter",), LOST),
    ("", ("3", "Enter"), LOST),
    ("", ("C",), "Copy to mailbox"),
    ("copy", ("C-u", "=INBOX"), "=INBOX"),
    ("", ("Enter",), "([yes]/no)"),
    ("", ("y",), "!([yes]/no)"),
    ("", ("c",), "Open mailbox"),
    ("", ("C-u", "=INBOX"), "=INBOX"),
    ("back", ("Enter",), "+INBOX [Msgs:5 Flag:1"),
)


def shell(world: World, commands: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each command and what it printed."""
    for command in commands:
        done = subprocess.run(["sh", "-c", command.replace(f":{IMAP}", f":{world.imap}")], env=world.environment,
                              cwd=world.folder, capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, (command, done)
        yield command, done.stdout.replace("\r", "")


@contextmanager
def terminal(world: World, command: str) -> Iterator[list[str]]:
    """The command in a terminal of its own, held by tmux; how tmux is asked about it."""
    tmux = ["tmux", "-S", str(world.folder / "tmux"), "-f", "/dev/null"]
    size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
    subprocess.run([*tmux, "new-session", "-d", *size, command], env=world.environment, cwd=world.folder, check=True)
    try:
        yield tmux
    finally:
        subprocess.run([*tmux, "kill-server"], check=True)


def neomutt(world: World) -> Iterator[tuple[str, str]]:
    """Go through STEPS; the name of each picture and its screen, with colours as terminals have them."""
    (world.folder / "home" / ".neomuttrc").write_text(
        MUTTRC.format(user=USER, password=PASSWORD, host=HOST, imap=world.imap), "utf-8"
    )
    with terminal(world, "TERM=vt220 exec neomutt -n") as tmux:
        for name, keys, words in STEPS:
            for key in keys:
                subprocess.run([*tmux, "send-keys", "--", key], check=True)
            screen = seen(tmux, words)
            if name:
                yield name, screen.replace(f":{world.imap}/", f":{IMAP}/")


def seen(tmux: list[str], words: str) -> str:
    """Wait until the words are on the screen, and all that was to be drawn is; the screen."""
    end = time.monotonic() + PATIENCE
    last = ""
    while True:
        screen = subprocess.run(
            [*tmux, "capture-pane", "-p", "-e", "-N"], capture_output=True, text=True, check=True
        ).stdout
        there = words.removeprefix("!") in Text.from_ansi(screen).plain
        if there != words.startswith("!") and screen == last:
            return screen
        assert time.monotonic() < end, f"{words!r} is not on\n{screen}"
        last = screen
        time.sleep(0.2)  # tmux tells of no change on a screen


def console() -> Console:
    return Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)


def save(drawn: Console, title: str, name: str) -> None:
    svg = drawn.export_svg(title=title, unique_id=f"lost-{name}")
    # rich asks the reader's browser for a font from elsewhere: any monospaced one will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "monospace")
    (HERE / f"lost-{name}.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", "utf-8")


def main() -> None:
    for name, commands in SESSIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            world, drawn = build(Path(folder), IMAP, POP3), console()
            with serving(world):
                for command, said in shell(world, commands):
                    drawn.print(Text.assemble(("$ ", "bold cyan"), (command, "bold")))
                    drawn.print(Text(said.rstrip("\n")), end="\n" if said else "")
            save(drawn, TITLES[name], name)
    with tempfile.TemporaryDirectory() as folder:
        world = build(Path(folder), IMAP, POP3)
        with serving(world):
            for name, screen in neomutt(world):
                drawn = console()
                drawn.print(Text.from_ansi(screen), end="")
                save(drawn, "neomutt", f"mutt-{name}")


if __name__ == "__main__":
    main()
