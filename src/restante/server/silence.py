"""Peers that are silent to TCP, where silence must not last: sessions that hold a lock, which are POP3's.

The kernel knows when the peer was last heard (TCP_INFO), acknowledgements of keepalive and of window probes included.
TCP_USER_TIMEOUT, which seems made for this, is not: Linux counts a full receive window as silence too, so a client
that stops reading for ten seconds in the middle of a large message would be cut off, though it answers every probe.

One timer a worker while there is anyone to watch; a look costs some two microseconds a connection.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import Protocol

SILENT = 10.0
"""Seconds without a sign of life, while one is owed, after which a peer is gone."""

PERIOD = 1.0
"""Seconds between looks."""

_PROBES = 3
_UNACKED = struct.Struct("=24xI28xI")
"""struct tcp_info of linux/tcp.h: tcpi_unacked, tcpi_last_ack_recv (milliseconds). tcpi_probes is octet 3."""


class Watched(Protocol):
    """What is watched: a channel."""

    def tcp_info(self, octets: int) -> bytes: ...
    def fall_silent(self, seconds: float) -> None: ...


def unheard(info: bytes) -> float:
    """Seconds for which the peer has owed a sign of life; 0 where it owes none. info: struct tcp_info's beginning.

    It owes one for octets that were sent and not acknowledged, and for probes. One probe alone says nothing: it may
    have gone out just now, long after the last, when the peer's window is full (probes then come ever more rarely).
    """
    unacked, last = _UNACKED.unpack_from(info)
    return last / 1000 if unacked or info[_PROBES] > 1 else 0.0


class Silence:
    """Watches channels until they are left alone or have fallen silent, which each is told once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, channel: Watched) -> None:
        """Elsewhere than on Linux this does nothing; keepalive ends quiet lines there, after the system's time."""
        if sys.platform != "linux":
            return
        self._watched.add(channel)
        if self._timer is None:
            self._timer = self._loop.call_later(PERIOD, self._look)

    def leave(self, channel: Watched) -> None:
        """Does nothing for a channel that is not watched."""
        self._watched.discard(channel)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = self._loop.call_later(PERIOD, self._look) if self._watched else None
        for channel in list(self._watched):
            seconds = unheard(channel.tcp_info(_UNACKED.size))
            if seconds >= SILENT:
                self._watched.discard(channel)
                channel.fall_silent(seconds)
