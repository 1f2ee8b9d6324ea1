"""Options of sockets, and which addresses are this machine's own. RFC 1122 4.2.3.6 and RFC 5482 for keepalive and the
user time-out."""

from __future__ import annotations

import ipaddress
import socket
import sys
from functools import lru_cache

from .services import Wire


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own (127.0.0.0/8, ::1, also written as IPv4-mapped IPv6)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


INHERITED = sys.platform == "linux"
"""A connection has the options that its listening socket had when it came: six calls less for each (`has_options`)."""

USER_TIMEOUT = 60_000
"""TCP_USER_TIMEOUT, milliseconds."""


def has_options(sock: socket.socket) -> bool:
    """Whether an accepted connection has its options already. One that came before the listening socket had them, which
    waits while a server starts and which wakes one that is started by its socket, has not."""
    # The last one that `set_options` sets: who has it has all.
    return INHERITED and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == USER_TIMEOUT


def set_options(sock: socket.socket, wire: Wire) -> None:
    """TCP options of an accepted connection; where they are `INHERITED`, of the listening socket too.

    POP3 holds a lock on the maildrop, so a peer that is silent to TCP must be noticed within about ten seconds: a
    quiet line is probed each few, and `Silence` looks at what comes back. For the others that would keep telephones
    awake: they get a probe after ten minutes. TCP_USER_TIMEOUT is a minute, as `server.write_timeout`: Linux counts a
    full receive window as silence too, and would cut off a slow reader of a long answer.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    quick = wire is Wire.POP3
    idle, between = (5, 2) if quick else (600, 15)
    # Darwin names the first option differently; what a system lacks is left at its default.
    keep_idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
    if keep_idle is not None:
        sock.setsockopt(socket.IPPROTO_TCP, keep_idle, idle)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, between)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT)
