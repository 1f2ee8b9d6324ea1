"""`restante sync` as a process, killed at random instants between Dovecot and a Maildir, and run again."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import restante
from restante.sync.maildir import Layout
from restante.sync.remote import RemoteAddress

from .dovecot_pop3 import PASSWORD, USER, Dovecot, dovecot
from .programs import octets
from .real import ImapEdits, MaildirEdits, Server, Tree
from .remote_support import DOVECOT

pytestmark = [
    pytest.mark.crash,
    pytest.mark.in_memory,
    pytest.mark.skipif(not DOVECOT.exists() or os.geteuid() != 0, reason="dovecot-imapd, run as root"),
]

KILLS = max(3, int(os.environ.get("RESTANTE_SYNC_PROGRAMS", "60")) // 20)
"""In each part."""
MESSAGES = 150
"""In each mailbox at first."""
PATIENCE = 300.0

Wanted = dict[str, dict[int, set[str]]]
"""Numbers of messages with their flags, by mailbox."""


@pytest.fixture
def server() -> Iterator[Dovecot]:
    with dovecot("protocol imap {\n  mail_max_userip_connections = 0\n}\n", "imap") as found:
        yield found


class Copy:
    """A copy of that server in a Maildir, run by processes."""

    def __init__(self, folder: Path, server: Dovecot) -> None:
        self.data, self.file = folder / "data", folder / "sync.toml"
        self.tree = Tree(folder, Layout.MAILDIRPP)
        password = folder / "password"
        password.write_text(f"{PASSWORD}\n")
        password.chmod(0o600)
        where = ["sync", "--data", str(self.data), "--config", str(self.file), "init", "work", "--no-tls", "--no-send"]
        how = ["--imap", f"{server.host}:{server.port}", "--user", USER, "--password-file", str(password)]
        made = CliRunner().invoke(restante, [*where, *how, "--maildir", str(self.tree.root)])
        assert made.exit_code == 0, made.output
        with self.file.open("a") as settings:  # many rounds remove more within its window than it lets pass
            settings.write("\n[copy.work.brake]\non = false\n")
        self.pace = 0.0

    def start(self, *more: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "restante",
            "sync",
            "--data",
            str(self.data),
            "--config",
            str(self.file),
            *more,
        ]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self) -> str:
        """A run to its end; what it says."""
        with self.start() as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert not err
        return out

    def look(self) -> None:
        """See how long a look takes here and now, without the work: what `kill` goes by. The quickest of three: on a
        busy machine one may take longer than the work."""
        paces = []
        for _ in range(3):
            began = time.monotonic()
            with self.start("--dry-run") as process:
                process.communicate(timeout=PATIENCE)
            paces.append(time.monotonic() - began)
        self.pace = min(paces)

    def kill(self, after: float) -> bool:
        """A run that is killed after so many times what a look takes; whether it had not ended before."""
        with self.start() as process:
            try:
                process.communicate(timeout=after * self.pace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate(timeout=PATIENCE)
                return True
        assert process.returncode == 0
        return False


@pytest.mark.parametrize("seed", range(2))
def test_a_process_killed_at_any_instant_and_another_run_end_as_undisturbed(
    seed: int, server: Dovecot, tmp_path: Path
) -> None:
    chance, copy = random.Random(seed), Copy(tmp_path, server)
    account = Server(RemoteAddress(server.host, server.port, "none", USER, clear_text=True), frozenset())
    mail = account.edits()
    mail.create("Work")
    wanted: Wanted = {"INBOX": {}, "Work": {}}
    number = fill(mail, wanted, 0)
    copy.look()
    while not copy.kill(0.8):  # others had the machine at each look, and none at the work
        copy.pace /= 2
        number = fill(mail, wanted, number)
    killed = 1
    while copy.kill(0.8 + 0.15 * killed) and killed < KILLS:  # each comes a little further than the one before
        killed += 1
    copy.run()
    for _ in range(KILLS):
        number = edit_server(mail, wanted, number, chance)
        number = edit_copy(MaildirEdits(copy.tree), wanted, number, chance)
        for _ in range(chance.randrange(1, 3)):
            copy.kill(chance.uniform(0.5, 1.5))
        copy.run()
        there = {name: sorted((one, tuple(sorted(flags))) for one, flags in wanted[name].items()) for name in wanted}
        for side in (account.content(), copy.tree.content()):
            assert {name: set(rows) ^ set(there[name]) for name, rows in side.items()} == {
                "INBOX": set(),
                "Work": set(),
            }
            assert side == there
        assert copy.run() == "work: nothing had changed.\n"
    mail.close()


def fill(mail: ImapEdits, wanted: Wanted, number: int) -> int:
    """So many new messages in each mailbox."""
    for name in wanted:
        for _ in range(MESSAGES):
            number += 1
            mail.deliver(name, octets(number, False), frozenset(), number)
            wanted[name][number] = set()
    return number


def edit_server(mail: ImapEdits, wanted: Wanted, number: int, chance: random.Random) -> int:
    """20 new messages, 20 with a flag, 10 moved, 10 removed."""
    for _ in range(20):
        number += 1
        mail.deliver("INBOX", octets(number, False), frozenset({"$Work"}), number)
        wanted["INBOX"][number] = {"$Work"}
    uids = {one: uid for uid, one, _ in mail.found("INBOX")}
    assert set(uids) == set(wanted["INBOX"])
    some = chance.sample(sorted(uids), 40)
    for one in some[:20]:
        mail.flag("INBOX", uids[one], "\\Flagged", True)
        wanted["INBOX"][one].add("\\Flagged")
    for one in some[20:30]:
        mail.move("INBOX", uids[one], "Work")
        wanted["Work"][one] = wanted["INBOX"].pop(one)
    for one in some[30:]:
        mail.remove("INBOX", uids[one])
        del wanted["INBOX"][one]
    return number


def edit_copy(edits: MaildirEdits, wanted: Wanted, number: int, chance: random.Random) -> int:
    """10 new messages; of those without a flag 10 seen, 5 moved, 5 removed, or fewer once these run out; in Work."""
    for _ in range(10):
        number += 1
        edits.deliver("Work", octets(number, False), frozenset({"\\Seen"}), number)
        wanted["Work"][number] = {"\\Seen"}
    found = {one: path for path, one, _ in edits.found("Work") if wanted["Work"].get(one) == set()}
    some = chance.sample(sorted(found), min(20, len(found)))
    for one in some[:10]:
        edits.flag("Work", found[one], "\\Seen", True)
        wanted["Work"][one].add("\\Seen")
    for one in some[10:15]:
        edits.move("Work", found[one], "INBOX")
        wanted["INBOX"][one] = wanted["Work"].pop(one)
    for one in some[15:]:
        edits.remove("Work", found[one])
        del wanted["Work"][one]
    return number
