"""Disk full or failing: mail in is refused with what its protocol has for that; reading and removing go on.

The reserve is tried with a disk that says it is nearly full, what lies beyond with one whose writes fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from restante.testing.server import RestanteServer
from tests.crash.vfs import Call, FaultyDisk, faulty_disk

from .support import ANN, imap_in, lmtp_to, pop3_in, serving

MESSAGE = b"Subject: one too many\r\n\r\nx\r\n"


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    with faulty_disk() as found:
        yield found


@pytest.fixture
def filled(disk: FaultyDisk, tmp_path: Path) -> Iterator[RestanteServer]:
    """A server on that disk, six messages in the INBOX."""
    with serving(tmp_path / "data") as (server, _):
        for n in range(6):
            server.put(ANN, b"Subject: %d\r\n\r\nbody %d\r\n" % (n, n))
        yield server


def count(server: RestanteServer) -> int:
    return len(server.mail(ANN))


def test_the_reserve_refuses_filing_and_lets_remove(filled: RestanteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs("/")

    def nearly_full(_path: object) -> os.statvfs_result:
        fields = list(real)
        fields[4] = (1 << 20) // real.f_frsize
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", nearly_full)
    filled.clock.advance(2)
    with imap_in(filled) as imap, lmtp_to(filled) as lmtp:
        imap.imap(b"SELECT INBOX")
        assert imap.imap(b"APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE)).startswith(b"t NO")
        assert imap.imap(b"COPY 1 Archive").startswith(b"t NO")
        assert lmtp.ask(b"BDAT %d LAST\r\n%b" % (len(MESSAGE), MESSAGE)).startswith(b"452 4.3.1")
        assert count(filled) == 6
        assert b"body 0" in imap.imap(b"FETCH 1 BODY[]")
        assert b"t OK" in imap.imap(b"STORE 1 +FLAGS (\\Deleted)")
        assert b"t OK" in imap.imap(b"EXPUNGE")
        assert b"t OK" in imap.imap(b"MOVE 1 Trash")
        assert count(filled) == 4
        with pop3_in(filled) as pop3:
            assert b"body 2" in pop3.multiline(b"RETR 1")
            pop3.ask(b"DELE 1")
            assert pop3.ask(b"QUIT").startswith(b"+OK")
        assert count(filled) == 3


@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError], ids=["full", "failing"])
@pytest.mark.parametrize("call", [Call.WRITE, Call.SYNC])
def test_where_nothing_can_be_written_changes_are_refused_whole(
    filled: RestanteServer, disk: FaultyDisk, call: Call, error: type[apsw.Error]
) -> None:
    with imap_in(filled) as imap, lmtp_to(filled) as lmtp, pop3_in(filled) as pop3:
        imap.imap(b"SELECT INBOX")
        pop3.ask(b"DELE 1")
        disk.arm(call, 1, error, for_good=True)
        for command in (
            b"APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE),
            b"STORE 1:* +FLAGS (\\Deleted)",
            b"COPY 1 Archive",
            b"MOVE 1 Archive",
            b"CREATE New",
            b"RENAME Archive Old",
            b"DELETE Drafts",
            b"SUBSCRIBE New",
        ):
            answer = imap.imap(command)
            assert answer.startswith(b"t NO ["), (command, answer)
            assert b"SERVERBUG" not in answer
        assert lmtp.ask(b"BDAT %d LAST\r\n%b" % (len(MESSAGE), MESSAGE)).startswith(b"45")
        assert pop3.ask(b"QUIT").startswith(b"-ERR")
        assert b"body 5" in imap.imap(b"FETCH 6 BODY.PEEK[]")
        assert b"* FLAGS" in imap.imap(b"EXAMINE INBOX")
        disk.heal()
        imap.imap(b"SELECT INBOX")
        assert b"t OK" in imap.imap(b"APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))
        assert b"t OK" in imap.imap(b"MOVE 1 Archive")
    assert count(filled) == 6
    with lmtp_to(filled) as lmtp:
        assert lmtp.ask(b"BDAT %d LAST\r\n%b" % (len(MESSAGE), MESSAGE)).startswith(b"250")
    with pop3_in(filled) as pop3:
        pop3.ask(b"DELE 1")
        assert pop3.ask(b"QUIT").startswith(b"+OK")
    assert count(filled) == 6


def test_where_nothing_can_be_read_the_next_try_works(filled: RestanteServer, disk: FaultyDisk) -> None:
    """Each of the first reads fails in turn; the session stays, and then shows all."""
    for n in range(1, 12):
        with imap_in(filled) as imap:
            imap.imap(b"SELECT INBOX")
            disk.arm(Call.READ, n)
            answer = imap.imap(b"UID FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])")
            disk.heal()
            assert b"\r\nt OK" in answer or b"t NO [" in answer, answer
            assert b"body 5" in imap.imap(b"UID FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])")
        with pop3_in(filled) as pop3:
            disk.arm(Call.READ, n)
            pop3.send(b"RETR 6\r\nNOOP\r\n")
            first = pop3.line()
            if first.startswith(b"+OK"):
                while pop3.line() != b".\r\n":
                    pass
            assert pop3.line().startswith(b"+OK")
            disk.heal()
            assert b"body 5" in pop3.multiline(b"RETR 6")
            pop3.ask(b"QUIT")
