"""An IMAP account somewhere, and a person who backs it up at home: servers reached through a gate that lets nothing
pass by which they would change."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from restante.cli.main import restante
from restante.cli.statuses import Exit

USER, PASSWORD = "ann@provider.example", "secret"

READING = frozenset(
    {
        b"AUTHENTICATE", b"CAPABILITY", b"COMPRESS", b"ENABLE", b"EXAMINE", b"ID", b"LIST", b"LOGIN", b"LOGOUT",
        b"LSUB", b"NAMESPACE", b"NOOP", b"STATUS", b"UID FETCH", b"UID SEARCH", b"UNSELECT",
    }
)  # fmt: skip
"""Commands that change nothing. UNSELECT, not CLOSE, which would remove what is marked \\Deleted."""


class Gate:
    """A door to an IMAP server on loopback. Only what reads passes; the first other command ends its connection and
    stands in `refused`. cut: octets of answers after which all connections break; None: never. for_good: nobody is let
    in after that. before_cut: called before they break, while nothing passes. received: octets of answers that passed.
    most_literals: messages to the server after which all connections break for good; 0: any number."""

    def __init__(self, port: int, *, reading: bool = True) -> None:
        self.reading = reading
        self.log: list[bytes] = []
        self.refused: list[bytes] = []
        self.received = 0
        self.cut: int | None = None
        self.for_good = False
        self.before_cut: Callable[[], object] = lambda: None
        self.breaks = 0
        self.literals = 0
        self.most_literals = 0
        self._shut = False
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._passing: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def let_in(self) -> None:
        self._shut = False

    def close(self) -> None:
        """Nobody is let in any more, and whoever is in is put out."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self._break()
        for thread in self._passing:
            thread.join()
        for each in self._open:
            each.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.close()
        except OSError:
            pass  # closed by the test

    def _break(self) -> None:
        for each in self._open:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._shut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += [client, server]
            for one in (self._inward, self._outward):
                thread = threading.Thread(target=one, args=(client, server), daemon=True)
                self._passing.append(thread)
                thread.start()

    def _inward(self, client: socket.socket, server: socket.socket) -> None:
        try:
            with client.makefile("rb") as stream:
                literal = False
                while line := stream.readline():
                    if not literal and not self._passes(line):
                        self.refused.append(line)
                        break
                    found = re.search(rb"\{(\d+)\+?\}\r\n\Z", line)
                    server.sendall(line)
                    if found:
                        server.sendall(stream.read(int(found[1])))
                        self.literals += 1
                        if self.literals == self.most_literals:
                            self._shut = True
                            self._break()
                    literal = found is not None
        except OSError:
            pass
        finally:
            for each in (client, server):
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _passes(self, line: bytes) -> bool:
        if not self.reading:
            return True
        words = line.upper().split()
        if len(words) < 2:
            return True  # of an AUTHENTICATE
        name = b" ".join(words[1:3]) if words[1] == b"UID" else words[1]
        self.log.append(name)
        if name == b"UID FETCH" and re.search(rb"BODY\[|RFC822(?!\.SIZE|\.HEADER)|BINARY\[", line.upper()):
            return False
        return name in READING

    def _outward(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := server.recv(1 << 16):
                self.received += len(data)
                if self.cut is not None and self.received > self.cut:
                    self.before_cut()
                    if self.cut is not None:  # no other connection's thread was here first
                        self.cut = None
                        self.breaks += 1
                        self._shut = self.for_good
                        self._break()
                    return
                client.sendall(data)
        except OSError:
            pass
        finally:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Home:
    """The person's machine: no server, a backup, the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backup = folder / "backup"
        self.data = folder / "data"
        self.copies = folder / "sync.toml"
        self.password = folder / "password"
        self.password.write_text(PASSWORD + "\n")
        self.password.chmod(0o600)
        key = base64.b32encode(bytes(32)).decode("ascii").rstrip("=").lower()
        (folder / "key").write_text(f"restante-backup-key-1:{key}\n")  # opens at once
        self.key = ("--key-file", str(folder / "key"))
        self("backup", "init", str(self.backup), *self.key)

    def __call__(self, *args: str, status: Exit = Exit.OK, stdin: bytes = b"") -> Result:
        result = CliRunner().invoke(restante, args, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return result

    def login(self, port: int, user: str = USER) -> tuple[str, ...]:
        return (
            "--imap", f"127.0.0.1:{port}", "--user", user, "--password-command", f"cat {self.password}", "--no-tls",
        )  # fmt: skip

    def named(self, name: str, port: int, more: str = "", *, user: str = USER, store: str = "") -> Path:
        """The file of copies, with one more of that name."""
        target = f'store = "{store}"' if store else f'maildir = "{self.folder / name}"'
        with self.copies.open("a") as file:
            file.write(
                f'[copy.{name}]\nimap = "127.0.0.1:{port}"\ntls = "none"\nuser = "{user}"\n'
                f'password_file = "{self.password}"\n{target}\n{more}\n'
            )
        return self.copies

    def run(self, *args: str | Path, status: Exit = Exit.OK) -> dict[str, Any]:
        """`backup run`, as JSON."""
        found = self(
            "--data",
            str(self.data),
            "backup",
            "run",
            str(self.backup),
            *map(str, args),
            *self.key,
            "--json",
            status=status,
        )
        result = json.loads(found.stdout)
        assert isinstance(result, dict)
        return result | {"stderr": found.stderr}

    def night(self, port: int, *args: str, status: Exit = Exit.OK) -> dict[str, Any]:
        return self.run(*self.login(port), *args, status=status)

    def show(self, address: str = USER, snapshot: str = "latest") -> dict[str, int]:
        """Mailboxes of a snapshot's account, and how many messages each has."""
        rows = json.loads(
            self(
                "backup", "show", snapshot, "--location", str(self.backup), "--account", address, *self.key, "--json"
            ).stdout
        )
        return {row["mailbox"]: row["messages"] for row in rows}

    def list(self) -> list[dict[str, Any]]:
        found = json.loads(self("backup", "list", str(self.backup), *self.key, "--json").stdout)
        assert isinstance(found, list)
        return found

    def packs(self) -> set[str]:
        return {path.name for part in ("mail", "meta") for path in (self.backup / part).rglob("*") if path.is_file()}
