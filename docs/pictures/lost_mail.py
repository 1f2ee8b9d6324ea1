"""The world of the pictures of docs/lost-mail.md: Ann's mail, three nights in a backup, and what she lost since.

Mail and nights have the dates that are shown, by a clock that is set; identities are drawn from a seed. So a picture
that is drawn again is the same, as long as what the programs show is the same.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from restante.backup.folder import Folder
from restante.backup.keys import make_key_file
from restante.backup.repository import Repository
from restante.backup.run import run as back_up
from restante.clock import Random
from restante.config.model import AuthTable, Config
from restante.testing.server import RestanteServer

USER, PASSWORD = "ann@example.org", "restante"
HOST = "127.0.0.1"

# Mailbox, day in November 2026, sender, subject, the body's words, flags.
MAIL = (
    ("INBOX", "02 18:12", "Tom Okafor <tom@example.net>", "My new number", "See below.", "Seen"),
    ("INBOX", "05 09:30", "The Harbour Bookshop <shop@example.com>", "Your order is on its way", "Three.", "Seen"),
    (
        "INBOX",
        "11 14:05",
        "Carl Brandt <carl@example.net>",
        "Plans for the boathouse",
        "Here they are.",
        "Seen Flagged",
    ),
    ("INBOX", "14 20:41", "Maria Silva <maria@example.com>", "Photos from Sunday", "The best four of them.", "Seen"),
    ("INBOX", "19 08:15", "Carl Brandt <carl@example.net>", "Tea on Saturday?", "By the harbour.", "Seen Answered"),
    ("Letters", "01 11:20", "Grandma Ruth <ruth@example.net>", "The recipe for the plum cake", "Plums, first.", "Seen"),
    ("Letters", "08 16:50", "Grandma Ruth <ruth@example.net>", "How we met", "It rained.", "Seen"),
    ("Letters", "16 10:00", "Grandma Ruth <ruth@example.net>", "The garden in autumn", "All leaves are down.", "Seen"),
)
NIGHTS = ("20 02:30", "21 02:30", "22 02:30")
SLIP = "21 16:05"
LOST = "Plans for the boathouse"
"""What is removed from INBOX after the second night, at SLIP; the folder Letters goes with it."""

CONFIG = """data = "{folder}/data"

[store]
retention = "36500 d"

[listen]
imap = "{host}:{imap}"
imaps = "off"
pop3 = "{host}:{pop3}"
pop3s = "off"
lmtp = "off"

[backup]
location = "{folder}/backup"
key_file = "{folder}/backup.key"
schedule = "off"
in_imap = true
"""


@dataclass(frozen=True, slots=True)
class World:
    """An installation that is not running. config: its configuration file. imap, pop3: ports."""

    folder: Path
    config: Path
    imap: int
    pop3: int

    @property
    def environment(self) -> dict[str, str]:
        """Of a shell whose commands, `restante` among them, find all of this without being told, in UTC and English;
        without the size of somebody else's terminal, which who runs tests side by side hands on."""
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        left = ("RESTANTE", "XDG_", "LC_", "COLUMNS", "LINES")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left)}
        return kept | {
            "PATH": path, "HOME": str(self.folder / "home"), "LANG": "C.UTF-8", "TZ": "UTC",
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        }  # fmt: skip


def seconds(day: str) -> int:
    """A day and time of November 2026, UTC."""
    return int(datetime.strptime(f"2026-11-{day}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp())


def letter(day: str, sender: str, subject: str, body: str) -> bytes:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = f"Ann Lee <{USER}>"
    message["Subject"] = subject
    message["Date"] = datetime.fromtimestamp(seconds(day), UTC)
    message["Message-ID"] = f"<{day[:2]}{day[3:5]}{day[6:]}@{sender.rpartition('@')[2][:-1]}>"
    message.set_content(f"Dear Ann,\n\n{body}\n\n{sender.partition(' ')[0]}\n")
    return message.as_bytes()


def drawn(seed: int) -> Random:
    return random.Random(seed).randbytes


def build(folder: Path, imap: int, pop3: int) -> World:
    """Make the installation below a folder that is there and empty."""
    for name in ("home", "bin"):
        (folder / name).mkdir(mode=0o700)
    program = folder / "bin" / "restante"
    config = folder / "restante.toml"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m restante --config {config} "$@"\n')
    program.chmod(0o755)
    config.write_text(CONFIG.format(folder=folder, host=HOST, imap=imap, pop3=pop3), "utf-8")
    secret, text = make_key_file(drawn(1))
    (folder / "backup.key").touch(mode=0o600)
    (folder / "backup.key").write_text(text, "ascii")
    settings = Config(auth=AuthTable(argon2_memory=1 << 20, argon2_time=1))
    with RestanteServer(folder / "data", settings, drawn(2)) as server:
        server.clock.set(seconds("01 08:00"))
        server.add_account(USER, PASSWORD)
        repository = Repository.init(Folder(folder / "backup", drawn(3)), secret, "first", 0, drawn(4))
        lost = []
        for mailbox, day, sender, subject, body, flags in sorted(MAIL, key=lambda one: one[1]):
            server.clock.set(seconds(day))
            uid = server.put(USER, letter(day, sender, subject, body), mailbox, [f"\\{flag}" for flag in flags.split()])
            if subject == LOST:
                lost.append(uid)
        for night in NIGHTS:
            server.clock.set(seconds(night))
            server.run(lambda: back_up(server.engine, repository, server.clock, "mail", {}))
            if night == NIGHTS[1]:
                server.clock.set(seconds(SLIP))
                server.run(lambda: lose(server, lost))
    return World(folder, config, imap, pop3)


async def lose(server: RestanteServer, uids: list[int]) -> None:
    """What happens at SLIP. uids: of messages in INBOX."""
    store = server.engine.account((await server.admin.account(USER)).id)
    boxes = {box.name: box.key for box in await store.mailboxes()}
    await store.expunge(boxes["INBOX"], [(uid, uid) for uid in uids], deleted_only=False)
    await store.delete_mailbox(boxes["Letters"])


@contextmanager
def serving(world: World) -> Iterator[None]:
    """The installation's server, by its own command, until the end of the block."""
    command = [sys.executable, "-m", "restante", "--config", str(world.config), "serve", "--workers=1"]
    with (
        (world.folder / "log").open("wb") as log,
        subprocess.Popen(command, env=world.environment, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            assert any(line == "ready\n" for line in server.stdout), (world.folder / "log").read_text()
            yield
        finally:
            server.terminate()
