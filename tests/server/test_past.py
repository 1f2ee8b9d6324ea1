"""`Backups/` of a real server with two workers: one process reads for both, and only as long as somebody looks."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from restante.backup.folder import Folder
from restante.backup.keys import make_key_file
from restante.backup.repository import Repository
from restante.clock import system_random
from restante.config.model import AuthTable, Config
from restante.mime.analyse import analyse
from restante.server.past_order import cache_folder, socket_path
from restante.store.model import Flags, NewMessage
from restante.testing.server import RestanteServer

from .support import PATIENCE, Client, Workers, eventually, serving

CONFIG = """
[auth]
argon2_memory = "1 MiB"
argon2_time = 1
[listen]
imaps = "off"
pop3 = "off"
pop3s = "off"
lmtp = "off"
[backup]
location = "{backup}"
key_file = "{key}"
schedule = "off"
in_imap = true
"""


class Looking(Workers):
    """ann@example.org (secret), with three messages in a snapshot."""

    def client(self) -> tuple[Client, int]:
        """A client that has logged in, and the worker it came to."""
        client, pid = self.connect("imap")
        return log_in(client), pid

    def reader(self) -> int | None:
        """The process that reads the backup, where there is one."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PATIENCE)
            try:
                probe.connect(str(socket_path(self.data)))
            except (ConnectionRefusedError, FileNotFoundError):
                return None
            pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            return int(pid)

    def kill_reader(self, after: float = 0.0) -> Callable[[], None]:
        """Kill it so many seconds from now; what waits until it has ended. Who it is is settled now."""
        pid = self.reader()
        assert pid, "nobody reads the backup"  # and 0 would be the tests' own process group
        timer = threading.Timer(after, os.kill, (pid, signal.SIGKILL))
        timer.start()

        def ended() -> None:
            timer.join()
            eventually(lambda: self.reader() != pid, "the reader's end")

        return ended


def answer(client: Client, command: bytes) -> list[bytes]:
    """The lines up to the tagged one."""
    client.send(b"a " + command + b"\r\n")
    lines = [client.line()]
    while not lines[-1].startswith(b"a "):
        lines.append(client.line())
    return lines


def log_in(client: Client) -> Client:
    assert answer(client, b"LOGIN ann@example.org secret")[-1].startswith(b"a OK")
    return client


def snapshot_of(client: Client) -> bytes:
    listed = b"\n".join(answer(client, b'LIST "" "Backups/%"'))
    (name,) = [bytes(found) for found in re.findall(rb'"(Backups/[^"]+)"', listed)]
    return name


async def fill(server: RestanteServer, many: int) -> None:
    """Messages in the mailbox Many, a thousand a command."""
    store = server.engine.account((await server.admin.account("ann@example.org")).id)
    box = await store.create_mailbox("Many")
    for low in range(0, many, 1000):
        new = []
        for number in range(low, min(low + 1000, many)):
            data = b"From: a@example.org\r\nSubject: %d\r\n\r\nbody %d\r\n" % (number, number)
            new.append(NewMessage(await store.put(data), analyse(data), Flags(), 1_700_000_000 + number))
        await store.append(box.key, new)


def backed_up(folder: Path, many: int = 0) -> Path:
    """An installation with its backup; its configuration. many: messages in a mailbox of this name."""
    with RestanteServer(folder / "data", Config(auth=AuthTable(argon2_memory=1 << 20, argon2_time=1))) as server:
        server.add_account("ann@example.org", "secret")
        for number in range(3):
            server.put("ann@example.org", b"Subject: %d\r\n\r\nbody %d\r\n" % (number, number))
        if many:
            server.run(lambda: fill(server, many))
    key, backup, config = folder / "key", folder / "backup", folder / "config.toml"
    secret, text = make_key_file(system_random)
    key.write_text(text, "ascii")
    Repository.init(Folder(backup, system_random), secret, "test", 0, system_random)
    config.write_text(CONFIG.format(backup=backup, key=key), "utf-8")
    command = [
        sys.executable,
        "-m",
        "restante",
        "backup",
        "run",
        "--config",
        str(config),
        "--data",
        str(folder / "data"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    return config


@contextmanager
def looking(folder: Path, many: int = 0) -> Iterator[Looking]:
    config, data = backed_up(folder, many), folder / "data"
    with serving(data, folder / "log", "--workers=2", "--listen=imap=127.0.0.1:0", config=config) as ports:
        yield Looking(data, ports)


def test_two_workers_look_through_one_process_which_ends_with_them(tmp_path: Path) -> None:
    with looking(tmp_path) as server:
        clients = [log_in(client) for client in server.one_at_each("imap")]
        for client in clients:
            assert b"EXISTS" in b"".join(answer(client, b"SELECT INBOX"))
            answer(client, b'LIST "" *')
        assert server.reader() is None
        assert not cache_folder(server.data).exists()  # nobody has looked
        for client in clients:  # both at once: each of them may start the process
            client.send(b'b LIST "" "Backups/%"\r\n')
        for client in clients:
            assert b"Backups/" in client.line()
            assert client.line().startswith(b"b OK")
        pid = server.reader()
        assert pid
        name = snapshot_of(clients[0])
        for client in clients:
            client.send(b'b SELECT "%b/INBOX"\r\nc UID FETCH 1:* (ENVELOPE BODY.PEEK[TEXT])\r\n' % name)
        answers = []
        for client in clients:
            lines = [client.line()]
            while not lines[-1].startswith(b"c "):
                lines.append(client.line())
            assert lines[-1].startswith(b"c OK")
            answers.append(lines)
        assert answers[0] == answers[1]
        assert b"body 2" in answers[0]
        assert server.reader() == pid
        assert answer(clients[1], b"UID COPY 2 INBOX")[-1].startswith(b"a OK [COPYUID")
        assert len(list(cache_folder(server.data).glob("accounts/*/*.db"))) == 1
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert not cache_folder(tmp_path / "data").exists()
    assert b" fault=" not in (tmp_path / "log").read_bytes()


def test_a_killed_reader_is_told_and_started_again(tmp_path: Path) -> None:
    with looking(tmp_path) as server:
        client, _ = server.client()
        name = snapshot_of(client)
        assert answer(client, b'SELECT "%b/INBOX"' % name)[-1].startswith(b"a OK")
        server.kill_reader()()
        assert answer(client, b"FETCH 1:* ENVELOPE")[-1].startswith(b"a NO [UNAVAILABLE]")
        assert answer(client, b"NOOP")[-1].startswith(b"a OK")
        assert answer(client, b"SELECT INBOX")[-1].startswith(b"a OK")
        assert answer(client, b'SELECT "%b/INBOX"' % name)[-1].startswith(b"a OK [READ-ONLY]")
        assert len(answer(client, b"FETCH 1:* ENVELOPE")) == 4


def test_a_copy_is_all_or_nothing_whenever_the_reader_is_killed(tmp_path: Path) -> None:
    chance = random.Random(7)
    with looking(tmp_path) as server:
        client, _ = server.client()
        name = snapshot_of(client)
        assert answer(client, b"CREATE Back")[-1].startswith(b"a OK")
        copies = 0
        for cycle in range(8):
            assert answer(client, b'SELECT "%b/INBOX"' % name)[-1].startswith(b"a OK")
            ended = server.kill_reader(chance.random() * 0.04 if cycle else 0.0)
            said = answer(client, b"COPY 1:3 Back")[-1]
            assert said.startswith((b"a OK [COPYUID", b"a NO [UNAVAILABLE]")), said
            copies += said.startswith(b"a OK")
            ended()
            assert answer(client, b"STATUS Back (MESSAGES)")[0] == b"* STATUS Back (MESSAGES %d)" % (3 * copies)
        command = [sys.executable, "-m", "restante", "--data", str(server.data), "doctor"]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)


def test_a_wrong_key_is_told_without_any_name(tmp_path: Path) -> None:
    with looking(tmp_path) as server:
        (tmp_path / "key").write_text(make_key_file(system_random)[1], "ascii")
        client, _ = server.client()
        said = answer(client, b'LIST "" "Backups/%"')[-1]
        assert said.startswith(b"a NO [UNAVAILABLE] The backup cannot be opened now.")
        assert answer(client, b"SELECT INBOX")[-1].startswith(b"a OK")
    assert b"WRONG-KEY" in (tmp_path / "log").read_bytes()


def test_ten_thousand_messages_hold_up_nobody(tmp_path: Path) -> None:
    """A mailbox of that size is opened, listed and searched; a session of the same worker is answered meanwhile."""
    many = 10_000
    with looking(tmp_path, many) as server:
        client, worker = server.client()
        other, at = server.client()
        while at != worker:
            other, at = server.client()
        name = snapshot_of(client)
        answered = 0
        for command, lines in (
            (b'SELECT "%b/Many"' % name, 8),
            (b"UID FETCH 1:* (UID ENVELOPE)", many + 1),
            (b"SEARCH BODY {9+}\r\nbody 9999", 2),
        ):
            client.send(b"a " + command + b"\r\n")
            got = 0
            client.sock.settimeout(0.05)
            ended = False
            while not ended:
                try:
                    while not ended:
                        line = client.line()
                        got += 1
                        ended = line.startswith(b"a ")
                except TimeoutError:
                    assert answer(other, b"NOOP")[-1].startswith(b"a OK")
                    answered += 1
            client.sock.settimeout(PATIENCE)
            assert line.startswith(b"a OK"), line
            assert got >= lines
        assert answered >= 5


NOBODY_LOOKS = """
import imaplib, subprocess, sys
from pathlib import Path
from restante.config.load import load
from restante.store.model import Flags, NewMessage
from restante.testing.server import RestanteServer

started = []
subprocess.Popen.__init__ = lambda *words, **named: started.append(words)
config = load(Path(sys.argv[1]))
with RestanteServer(Path(sys.argv[2]), config) as server:
    client = imaplib.IMAP4(server.host, server.imap)
    client.login("ann@example.org", "secret")
    client.namespace()
    for pattern in ('*', '%', '"B*"'):
        client.list('""', pattern)
    client.lsub()
    client.select("INBOX")
    client.fetch("1:*", "(FLAGS ENVELOPE BODY[])")
    client.logout()
ours = ("restante.backup.", "restante.server.past", "restante.store.sqlite.past")
print(sorted(name for name in sys.modules if name.startswith(ours)), started)
"""


def test_nobody_looking_costs_nothing(tmp_path: Path) -> None:
    """No process, no file, and none of the code."""
    config = backed_up(tmp_path)
    for path in (tmp_path / "backup").rglob("*"):  # whoever looked at it would fail
        if path.is_file():
            path.unlink()
    ended = subprocess.run(
        [sys.executable, "-c", NOBODY_LOOKS, str(config), str(tmp_path / "data")],
        check=True, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    schedule = ["restante.backup.outcome", "restante.backup.schedule"]  # of every server
    assert ended.stdout.strip() == f"{[*schedule, 'restante.server.past_late']} []"
    assert not socket_path(tmp_path / "data").exists()
    assert not cache_folder(tmp_path / "data").exists()
