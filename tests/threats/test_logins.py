"""One user's login is no other's: the cache, the errors, the delays.

A login cache with one key for all (CVE-2025-30189), bad base64 that dropped other people's logins (CVE-2025-59028),
bad logins that delayed everybody at their address.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from restante.testing.server import RestanteServer

from .support import ANN, BOB, SECRET, Peer, config, plain, serving

Try = Callable[[RestanteServer, str, str], bytes]


def imap_login(server: RestanteServer, user: str, password: str) -> bytes:
    with Peer(server.imap) as peer:
        return peer.imap(b'LOGIN %b "%b"' % (user.encode(), password.encode()))


def imap_plain(server: RestanteServer, user: str, password: str) -> bytes:
    with Peer(server.imap) as peer:
        return peer.imap(b"AUTHENTICATE PLAIN " + plain(user.encode(), password.encode()))


def pop3_user(server: RestanteServer, user: str, password: str) -> bytes:
    with Peer(server.pop3) as peer:
        peer.ask(b"USER " + user.encode())
        answer = peer.ask(b"PASS " + password.encode())
        if answer.startswith(b"+OK"):
            peer.ask(b"QUIT")
        return answer


def pop3_plain(server: RestanteServer, user: str, password: str) -> bytes:
    with Peer(server.pop3) as peer:
        answer = peer.ask(b"AUTH PLAIN " + plain(user.encode(), password.encode()))
        if answer.startswith(b"+OK"):
            peer.ask(b"QUIT")
        return answer


WAYS: dict[str, Try] = {
    "imap-login": imap_login,
    "imap-plain": imap_plain,
    "pop3-user": pop3_user,
    "pop3-plain": pop3_plain,
}
GOOD, BAD = (b"t OK", b"+OK"), (b"t NO", b"-ERR [AUTH]")


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
def test_a_remembered_login_is_its_users_and_its_passwords(server: RestanteServer, first: str, second: str) -> None:
    """Whatever way was taken first, the second way asks for everything again."""
    old, new = SECRET[ANN], "a new secret"
    try:
        for _ in range(2):  # the second time from memory
            assert WAYS[first](server, ANN, old).startswith(GOOD)
            assert WAYS[first](server, BOB, SECRET[BOB]).startswith(GOOD)
        assert WAYS[second](server, BOB, old).startswith(BAD)
        assert WAYS[second](server, ANN, SECRET[BOB]).startswith(BAD)
        assert WAYS[second](server, ANN, old + "x").startswith(BAD)
        assert WAYS[second](server, ANN.upper(), old).startswith(GOOD)
        server.run(lambda: server.admin.set_password(ANN, new))
        assert WAYS[second](server, ANN, old).startswith(BAD)
        assert WAYS[second](server, ANN, new).startswith(GOOD)
    finally:
        server.run(lambda: server.admin.set_password(ANN, old))


def test_a_login_opens_its_own_mail(server: RestanteServer) -> None:
    server.put(ANN, b"Subject: for ann\r\n\r\n")
    server.put(BOB, b"Subject: for bob\r\n\r\n")
    for _ in range(2):
        for user, other in ((ANN, b"for bob"), (BOB, b"for ann")):
            with Peer(server.imap) as peer:
                peer.imap(b'LOGIN %b "%b"' % (user.encode(), SECRET[user].encode()))
                peer.imap(b"SELECT INBOX")
                shown = peer.imap(b"FETCH 1:* BODY[]")
                assert b"for " + user[:3].encode() in shown
                assert other not in shown


@pytest.mark.parametrize("garbage", [b"====", b"\0\0\0", b"QQ", b"*" * 50, b"\xff" * 40])
def test_bad_base64_stays_in_its_connection(server: RestanteServer, garbage: bytes) -> None:
    """Exchanges under way beside it go on, and the next one in the same connection works."""
    good = plain(ANN.encode(), SECRET[ANN].encode())
    with Peer(server.imap) as ours, Peer(server.pop3) as drop, Peer(server.imap) as bad, Peer(server.pop3) as worse:
        assert ours.imap(b"AUTHENTICATE PLAIN").startswith(b"+ ")
        assert drop.ask(b"AUTH PLAIN").startswith(b"+ ")
        for _ in range(5):
            assert bad.imap(b"AUTHENTICATE PLAIN").startswith(b"+ ")
            bad.send(garbage + b"\r\n")
            assert bad.until(b"t").startswith((b"t BAD", b"t NO"))
            assert worse.ask(b"AUTH PLAIN").startswith(b"+ ")
            assert worse.ask(garbage).startswith(b"-ERR")
        ours.send(good + b"\r\n")
        assert ours.until(b"t").startswith(b"t OK")
        assert drop.ask(good).startswith(b"+OK")
        drop.ask(b"QUIT")
        assert bad.imap(b"AUTHENTICATE PLAIN " + good).startswith(b"t OK")
        assert worse.ask(b"AUTH PLAIN " + good).startswith(b"+OK")
        worse.ask(b"QUIT")


def test_bad_logins_delay_nobody_else_at_their_address(tmp_path: Path) -> None:
    """While ann's guesser waits, bob logs in at once from the same address, and so does ann where she is known."""
    slow = config(auth={"delay_first": 30.0, "delay_most": 30.0}, server={"drain": 0.1})
    with serving(tmp_path / "data", slow) as (server, _):
        assert imap_login(server, ANN, SECRET[ANN]).startswith(GOOD)  # ann is known at this address
        guessers = [Peer(server.imap) for _ in range(4)]
        for peer in guessers:
            peer.send(b"t LOGIN %b wrong\r\n" % ANN.encode())
        guesser = Peer(server.pop3)
        guesser.ask(b"USER " + ANN.encode())
        guesser.send(b"PASS wrong\r\n")
        for user in (BOB, ANN):
            for way in WAYS.values():
                assert way(server, user, SECRET[user]).startswith(GOOD)
        for peer in (*guessers, guesser):
            peer.sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                peer.sock.recv(1)  # its answer is still held back: nobody has waited for it
            peer.sock.close()
