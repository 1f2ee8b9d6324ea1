"""Python's poplib: reads the demo mail, deletes, keeps unique ids; IMAP finds what it did, and the other way round."""

from __future__ import annotations

import poplib
import socket
import ssl
from collections.abc import Callable

import pytest

from .support import PATIENCE, Reader, done, only, search, subject, until

pytestmark = pytest.mark.client


def trusting(demo: Reader) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(demo.server.certificate))


def plain(demo: Reader) -> poplib.POP3:
    return poplib.POP3(demo.server.host, demo.server.pop3, timeout=PATIENCE)


def stls(demo: Reader) -> poplib.POP3:
    client = plain(demo)
    client.stls(trusting(demo))
    return client


def pop3s(demo: Reader) -> poplib.POP3:
    server = demo.server
    return poplib.POP3_SSL(server.host, server.pop3s, context=trusting(demo), timeout=PATIENCE)


def eventually(demo: Reader) -> list[bytes]:
    found: list[list[bytes]] = []

    def look() -> bool:
        try:
            found.append(demo.uidls())
        except poplib.error_proto as refused:
            if b"[IN-USE]" not in refused.args[0]:
                raise
        return bool(found)

    until(look, lambda: "the maildrop unlocked")
    return found[0]


@pytest.mark.parametrize("connect", [plain, stls, pop3s])
def test_reads_the_inbox_whole(demo: Reader, connect: Callable[[Reader], poplib.POP3]) -> None:
    stored = [mail.data for mail in demo.server.mail(demo.user)]
    client = connect(demo)
    client.user(demo.user)
    client.pass_(demo.password)
    count, octets = client.stat()
    assert (count, octets) == (len(stored), sum(map(len, stored)))
    for number, data in enumerate(stored, 1):
        assert client.list(number).split()[2] == str(len(data)).encode()  # type: ignore[attr-defined]  # typeshed: a listing
        _, lines, size = client.retr(number)
        assert (b"\r\n".join(lines) + b"\r\n", size) == (data, len(data))
        assert client.top(number, 0)[1] == [*data.partition(b"\r\n\r\n")[0].split(b"\r\n"), b""]
    client.quit()


def test_retrieved_mail_is_seen_in_imap_after_quit(demo: Reader) -> None:
    with demo.imap("INBOX") as client:
        unseen = len(search(client, "UNSEEN"))
        assert unseen
        with demo.pop3() as other:
            for number in range(1, other.stat()[0] + 1):
                other.retr(number)
            assert len(search(client, "UNSEEN")) == unseen
        assert search(client, "UNSEEN") == []


def test_a_unique_id_survives_a_move_out_and_back(demo: Reader) -> None:
    before = demo.uidls()
    with demo.imap("INBOX") as client:
        uid = only(client, "SUBJECT", "Welcome")
        done(client.uid("MOVE", uid, "Archive"))
    gone = set(before) - set(demo.uidls())
    assert len(gone) == 1
    with demo.imap("Archive") as client:
        done(client.uid("MOVE", only(client, "SUBJECT", "Welcome"), "INBOX"))
    with demo.imap("INBOX") as client:
        assert int(only(client, "SUBJECT", "Welcome")) > int(uid)
    assert set(demo.uidls()) == set(before)


def test_deleted_mail_leaves_imap_at_quit_alone(demo: Reader) -> None:
    before = demo.subjects()
    with demo.imap("INBOX") as watching:
        with demo.pop3() as client:
            first = subject(b"\r\n".join(client.top(1, 0)[1]))
            client.dele(1)
            client.dele(2)
            done(watching.noop())
            assert search(watching, "ALL") == [str(mail.uid) for mail in demo.server.mail(demo.user)]
            assert demo.subjects() == before
        done(watching.noop())
        assert watching.untagged_responses["EXPUNGE"] == [b"2", b"1"]
    assert demo.subjects() == before[2:]
    assert before[0] == first


def test_rset_and_a_lost_connection_delete_nothing(demo: Reader) -> None:
    before = demo.uidls()
    with demo.pop3() as client:
        client.dele(1)
        client.rset()
    lost = plain(demo)
    lost.user(demo.user)
    lost.pass_(demo.password)
    lost.dele(1)
    lost.sock.shutdown(socket.SHUT_RDWR)  # poplib's close() is polite; a dead battery is not
    lost.close()
    # The lock goes with the connection, which the server may notice a moment after this client.
    assert eventually(demo) == before


def test_a_second_session_is_told_that_the_maildrop_is_in_use(demo: Reader) -> None:
    with demo.pop3(), pytest.raises(poplib.error_proto, match=r"-ERR \[IN-USE\] "), demo.pop3():
        pass


def test_what_imap_removes_can_still_be_retrieved_in_this_session(demo: Reader) -> None:
    stored = demo.server.mail(demo.user)
    with demo.pop3() as client:
        with demo.imap("INBOX") as other:
            done(other.store("1:*", "+FLAGS.SILENT", r"(\Deleted)"))
            done(other.expunge())
        _, lines, _ = client.retr(len(stored))
        assert b"\r\n".join(lines) + b"\r\n" == stored[-1].data
        assert client.stat()[0] == len(stored)
    with demo.pop3() as client:
        assert client.stat() == (0, 0)


def test_no_message_speaks_in_the_servers_voice(demo: Reader) -> None:
    """poplib ends lines at any LF: a dot alone behind one would be the end, and what follows the next answer."""
    demo.server.put(demo.user, b"Subject: a\r\n\r\nb\n.\n+OK forged\nnot the next message\n.\r\nc\r\n")
    demo.server.put(demo.user, b"Subject: the next message\r\n\r\nd\r\n")
    with demo.pop3() as client:
        count = client.stat()[0]
        assert client.retr(count - 1)[1][-1] == b"c"
        assert client.top(count - 1, 10)[1][-1] == b"c"
        assert client.retr(count)[1][0] == b"Subject: the next message"
