"""NOTIFY over real sockets to two worker processes: clients that say nothing are told what others do."""

from __future__ import annotations

import imaplib
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from tests.cli.test_serve import served

CLIENTS = 12
"""So many that some are with the other worker than the one who changes things, but for one time in 2,000."""
PATIENCE = 30.0


class Listener:
    """A client that logs in, says what it wants to hear, and then only reads."""

    def __init__(self, port: int, user: str, password: str, *commands: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.heard = b""
        self.until(b"\r\n")
        for n, command in enumerate((f'LOGIN "{user}" "{password}"'.encode(), *commands)):
            self.socket.sendall(b"%d %b\r\n" % (n, command))
            self.until(b"\r\n%d OK" % n)
            self.until(b"\r\n")

    def until(self, wanted: bytes) -> bytes:
        """What came, up to what is waited for; it is forgotten then."""
        end = time.monotonic() + PATIENCE
        while wanted not in b"\r\n" + self.heard:
            assert time.monotonic() < end, (wanted, self.heard)
            data = self.socket.recv(65_536)
            assert data, self.heard
            self.heard += data
        at = (b"\r\n" + self.heard).index(wanted) + len(wanted) - 2
        told, self.heard = self.heard[: max(at, 0)], self.heard[max(at, 0) :]
        return told

    def close(self) -> None:
        self.socket.close()


def test_everybody_is_told_by_whichever_process_it_was_changed(tmp_path: Path) -> None:
    with served(tmp_path / "data", "--demo") as server, ExitStack() as stack:
        who, port = (server.word("user"), server.word("pass")), server.ports["imap"]
        wanted = b"NOTIFY SET (selected (MessageNew (UID) MessageExpunge)) (personal (MailboxName MailboxMetadataChange"
        wanted += b" MessageNew MessageExpunge))"
        listeners = [Listener(port, *who, wanted, b"SELECT INBOX") for _ in range(CLIENTS)]
        for listener in listeners:
            stack.callback(listener.close)
        imap = stack.enter_context(imaplib.IMAP4("127.0.0.1", port))
        imap.login(*who)
        (count,) = imap.select()[1]
        assert count is not None
        imap.create("News")
        for listener in listeners:
            listener.until(b'"/" News\r\n')
        imap.append("News", "", "", b"Subject: one\r\n\r\none\r\n")
        for listener in listeners:
            listener.until(b"* STATUS News (MESSAGES 1 UIDNEXT 2)\r\n")
        imap.append("INBOX", "", "", b"Subject: two\r\n\r\ntwo\r\n")
        for listener in listeners:
            told = listener.until(b"FETCH (UID ")
            assert b"* %d EXISTS\r\n" % (int(count) + 1) in told
        imap.noop()
        imap.store("1", "+FLAGS.SILENT", r"(\Deleted)")
        imap.expunge()
        for listener in listeners:
            listener.until(b"* 1 EXPUNGE\r\n")
        imap.xatom("SETMETADATA", "News", '(/shared/comment "x")')
        for listener in listeners:
            listener.until(b"* METADATA News /shared/comment\r\n")
        imap.rename("News", "Old")
        for listener in listeners:
            listener.until(b'"/" Old ("OLDNAME" (News))\r\n')
            assert listener.heard == b""
