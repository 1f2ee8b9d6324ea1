"""The drill: serve, deliver, back up while it serves, lose the machine, restore, and real clients go on.

They hold a state from after the snapshot, which the restored server knows nothing of: POP3 and IMAP clients download
nothing twice, and one that asks by QRESYNC ends with what is there.
"""

from __future__ import annotations

import poplib
import re
import shutil
import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner

from restante.cli.main import restante
from restante.testing.server import RestanteServer

from .support import message

USER, PASSWORD = "ann@example.com", "correct horse battery"


class Imap:
    """An IMAP client that keeps a copy: UID -> (flags, EMAILID), by QRESYNC."""

    def __init__(self, server: RestanteServer) -> None:
        plain = socket.create_connection((server.host, server.imaps), timeout=20)
        context = ssl.create_default_context(cafile=str(server.certificate))
        context.check_hostname = False
        self._socket = context.wrap_socket(plain)
        self._file = self._socket.makefile("rb")
        self._file.readline()
        self.do(f'LOGIN {USER} "{PASSWORD}"')
        self.do("ENABLE QRESYNC")

    def do(self, command: str) -> list[bytes]:
        """Untagged lines of a command that must succeed (answers here hold no literals)."""
        self._socket.sendall(f"A {command}\r\n".encode())
        lines: list[bytes] = []
        while not (line := self._file.readline()).startswith(b"A "):
            assert line, "the server hung up"
            lines.append(line.rstrip(b"\r\n"))
        assert line.startswith(b"A OK"), line
        return lines

    def close(self) -> None:
        self.do("LOGOUT")
        self._file.close()
        self._socket.close()


@dataclass
class Copy:
    """What a client keeps of INBOX. downloads: how often it fetched a message."""

    uidvalidity: int = 0
    modseq: int = 0
    flags: dict[int, bytes] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)
    downloads: int = 0

    def sync(self, client: Imap) -> None:
        # Known UIDs are left out, as RFC 7162 3.2.5 allows: then all of the mailbox are meant.
        known = f" (QRESYNC ({self.uidvalidity} {self.modseq}))" if self.flags else ""
        for line in client.do(f"SELECT INBOX{known}"):
            if found := re.search(rb"UIDVALIDITY (\d+)", line):
                if self.uidvalidity not in (0, int(found[1])):
                    self.flags, self.bodies = {}, {}
                self.uidvalidity = int(found[1])
            if found := re.search(rb"HIGHESTMODSEQ (\d+)", line):
                self.modseq = int(found[1])
            self._take(line)
        if not known:
            for line in client.do("UID FETCH 1:* (FLAGS)"):
                self._take(line)
        else:
            top = max(self.flags)
            for line in client.do(f"UID FETCH {top + 1}:* (FLAGS)"):
                self._take(line)
        for uid in sorted(self.flags.keys() - self.bodies.keys()):
            self.downloads += 1
            (line,) = [one for one in client.do(f"UID FETCH {uid} (EMAILID)") if b"EMAILID" in one]
            found = re.search(rb"EMAILID \(([^)]+)\)", line)
            assert found is not None
            self.bodies[uid] = found[1]

    def _take(self, line: bytes) -> None:
        if found := re.match(rb"\* VANISHED (?:\(EARLIER\) )?(\S+)", line):
            for part in found[1].split(b","):
                low, _, high = part.partition(b":")
                for uid in [uid for uid in self.flags if int(low) <= uid <= int(high or low)]:
                    del self.flags[uid]
                    self.bodies.pop(uid, None)
        if (uid_found := re.search(rb"UID (\d+)", line)) and (flags := re.search(rb"FLAGS \(([^)]*)\)", line)):
            self.flags[int(uid_found[1])] = flags[1].replace(b"\\Recent", b"").strip()


@dataclass
class Pop:
    """A POP3 client that leaves mail on the server and keeps what it has by UIDL."""

    bodies: dict[bytes, bytes] = field(default_factory=dict)
    downloads: int = 0

    def sync(self, server: RestanteServer) -> set[bytes]:
        client = poplib.POP3(server.host, server.pop3, timeout=20)
        client.stls(_trusting(server))
        client.user(USER)
        client.pass_(PASSWORD)
        there = {}
        for line in client.uidl()[1]:
            number, uidl = line.split()
            there[uidl] = int(number)
        for name, position in there.items():
            if name not in self.bodies:
                self.downloads += 1
                self.bodies[name] = b"\r\n".join(client.retr(position)[1])
        client.quit()
        return set(there)


def _trusting(server: RestanteServer) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.check_hostname = False
    return context


def deliver(server: RestanteServer, *numbers: int) -> None:
    with smtplib.LMTP(server.host, server.lmtp) as client:
        for number in numbers:
            assert client.sendmail("a@example.org", [USER], message(number)) == {}


def command(*args: str) -> None:
    result = CliRunner().invoke(restante, args)
    assert result.exit_code == 0, (result.output, result.exception)


def test_clients_go_on_after_a_restore_and_download_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("three random words\n")
    key, place = ("--passphrase-file", str(tmp_path / "passphrase")), str(tmp_path / "backup")
    copy, pop = Copy(), Pop()
    with RestanteServer(tmp_path / "data") as server:
        server.add_account(USER, PASSWORD)
        deliver(server, *range(1, 8))
        client = Imap(server)
        copy.sync(client)
        client.do("UID STORE 1:3 +FLAGS (\\Seen)")
        client.do("UID STORE 7 +FLAGS (\\Deleted)")
        client.do("EXPUNGE")
        copy.sync(client)
        pop.sync(server)
        command("backup", "init", place, *key)
        command("--data", str(tmp_path / "data"), "backup", "run", place, *key)
        at_snapshot = {uid: copy.bodies[uid] for uid in range(1, 7)}
        # What happens afterwards is lost with the machine; the clients have seen it.
        deliver(server, 20, 21)
        client.do("UID STORE 2,4 +FLAGS (\\Flagged)")
        client.do("UID STORE 5 +FLAGS (\\Deleted)")
        client.do("EXPUNGE")
        copy.sync(client)
        pop.sync(server)
        assert sorted(copy.flags) == [1, 2, 3, 4, 6, 8, 9]
        downloads = (copy.downloads, pop.downloads)
        client.close()
    shutil.rmtree(tmp_path / "data")

    command("backup", "restore", place, "--all", *key, "--data", str(tmp_path / "new"))
    command("--data", str(tmp_path / "new"), "doctor")
    with RestanteServer(tmp_path / "new") as server:
        assert server.certificate.read_bytes()  # the same one, which clients were told to trust
        client = Imap(server)
        uidvalidity = copy.uidvalidity
        copy.sync(client)
        assert copy.uidvalidity == uidvalidity
        fresh = Copy()
        fresh.sync(client)
        assert copy.flags == fresh.flags, "it ends with what is there"
        assert copy.bodies == fresh.bodies == at_snapshot
        # UID 5 had been expunged by it: it comes back and is the one message that is fetched again.
        assert copy.downloads - downloads[0] == 1
        # POP3 keeps what it has, by UIDL: nothing comes twice, not even what IMAP had removed meanwhile.
        assert {uidl.decode() for uidl in pop.sync(server)} == {body.decode() for body in at_snapshot.values()}
        assert pop.downloads == downloads[1]
        # New mail has UIDs that the lost state never gave out.
        deliver(server, 30)
        copy.sync(client)
        assert max(copy.flags) > 2**20
        assert pop.sync(server)
        assert pop.downloads == downloads[1] + 1
        client.close()
