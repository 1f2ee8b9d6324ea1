"""A POP3 session whose peer has fallen silent to TCP does not keep its maildrop; one that is only quiet does.

The client's machine goes away without a word (no FIN, no RST): its cable is pulled, or it leaves the network. Time is
the kernel's here, so these tests last as long as the promise: TCP_USER_TIMEOUT 10 s, keepalive 5 + 3 * 2 s.
"""

from __future__ import annotations

import contextlib
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from restante.server.silence import SILENT, unheard

from .namespaces import Hub, hub
from .support import PATIENCE, Client

PASSWORD = "words"
QUIET, BUSY, GONE, ALIVE, SLOW = ACCOUNTS = [f"{who}@example.com" for who in ("quiet", "busy", "gone", "alive", "slow")]
SLACK = 4.0
"""Seconds after SILENT: the next look at the line, and the next login of one who tries again and again."""

SIZE = 20_000 * 1000
"""Octets of a message that no socket buffer holds."""


def restante(data: Path, *args: str, given: bytes = b"") -> None:
    command = [sys.executable, "-m", "restante", "--data", str(data), *args]
    subprocess.run(command, input=given, check=True, capture_output=True, timeout=60)


@contextmanager
def serving(data: Path, net: Hub) -> Iterator[int]:
    """A server on the hub with the accounts; its POP3 port. A large message waits for two of them."""
    restante(data, "domain", "add", "example.com")
    for account in ACCOUNTS:
        restante(data, "account", "add", account, "--password-stdin", given=PASSWORD.encode() + b"\n")
    large = b"Subject: large\r\n\r\n" + (b"x" * 998 + b"\r\n") * (SIZE // 1000)
    restante(data, "deliver", "--to", BUSY, "--to", SLOW, given=large)
    off = [f"--listen={name}=off" for name in ("imap", "imaps", "pop3", "lmtp")]
    serve = ["-m", "restante", "--data", str(data), "serve", "--workers=2", "--listen=pop3s=0.0.0.0:0", *off]
    with subprocess.Popen(net.inside(sys.executable, *serve), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = 0
        for line in process.stdout:
            if line.startswith("pop3s"):
                port = int(line.split()[1].rpartition(":")[2])
            if line == "ready\n":
                break
        try:
            yield port
        finally:
            process.terminate()


def login(net: Hub, spoke: str, port: int, account: str) -> tuple[Client, bytes]:
    """A POP3 session from this host, and the answer to its password."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # certificates are another test's
    client = Client(net.connect(spoke, port, PATIENCE))
    client.tls(context)
    assert client.line().startswith(b"+OK")
    assert client.ask(b"USER " + account.encode()).startswith(b"+OK")
    return client, client.ask(b"PASS " + PASSWORD.encode())


def opened(net: Hub, spoke: str, port: int, account: str) -> Client:
    client, answer = login(net, spoke, port, account)
    assert answer.startswith(b"+OK")
    return client


def read_on(client: Client) -> None:
    """Take what comes until the socket is closed, so that a death leaves octets unacknowledged, not a full window."""
    with contextlib.suppress(OSError):
        while client.sock.recv(1 << 16):
            pass


def freed(net: Hub, port: int, names: list[str], since: float) -> dict[str, float]:
    """Seconds after `since` at which each account's maildrop was first had by another session."""
    found: dict[str, float] = {}
    while left := [name for name in names if name not in found]:
        for name in left:
            client, answer = login(net, "home", port, name)
            if answer.startswith(b"+OK"):
                found[name] = time.monotonic() - since
                assert client.ask(b"QUIT").startswith(b"+OK")
            else:
                assert b"[IN-USE]" in answer
            client.close()
        assert time.monotonic() - since < SILENT + SLACK, f"still held: {left}"
        time.sleep(0.25)  # between two looks
    return found


@pytest.mark.slow
def test_a_peer_silent_to_tcp_holds_no_maildrop_and_a_living_one_keeps_its_own(tmp_path: Path) -> None:
    """Gone while quiet, with its cable or off the network, and in the middle of an answer; quiet; slow to read."""
    with hub("train", "lift", "home") as net, serving(tmp_path, net) as port:
        quiet, gone, alive = (
            opened(net, "train", port, QUIET),
            opened(net, "lift", port, GONE),
            opened(net, "home", port, ALIVE),
        )
        busy, slow = opened(net, "train", port, BUSY), opened(net, "home", port, SLOW)
        for client in (busy, slow):
            assert client.ask(b"RETR 1").startswith(b"+OK")
        reading = threading.Thread(target=read_on, args=(busy,))
        reading.start()
        net.cut("train")
        net.vanish("lift")
        since = time.monotonic()
        took = freed(net, port, [QUIET, BUSY, GONE], since)
        assert all(SILENT - 6 < seconds < SILENT + SLACK for seconds in took.values()), took
        # As long and longer were these two quiet, but their host answered the kernel's probes.
        for account, client in ((ALIVE, alive), (SLOW, slow)):
            second, answer = login(net, "home", port, account)
            assert b"[IN-USE]" in answer
            second.close()
            client.send(b"QUIT\r\n")
        assert alive.line().startswith(b"+OK")
        assert sum(len(line) + 2 for line in iter(slow.line, b".")) > SIZE
        assert slow.line().startswith(b"+OK")
        for client in (quiet, busy, gone, alive, slow):
            client.close()
        reading.join()


def test_silence_is_told_from_quiet_by_what_the_peer_owes() -> None:
    """struct tcp_info: state, ca_state, retransmits, probes ... unacked ... last_ack_recv."""
    assert unheard(info(probes=0, unacked=0, last=3_600_000)) == 0
    assert unheard(info(probes=1, unacked=0, last=25_000)) == 0, "a window probe that went out just now"
    assert unheard(info(probes=2, unacked=0, last=11_000)) == 11
    assert unheard(info(probes=0, unacked=1, last=9_000)) == 9


def info(*, probes: int, unacked: int, last: int) -> bytes:
    # rto, ato, snd_mss, rcv_mss, unacked; seven more; last_ack_recv
    return struct.pack("=4B4x13I", 1, 0, 0, probes, 204_000, 40_000, 1448, 536, unacked, *[0] * 7, last)
