"""Ports for servers that tests start as programs of their own."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []


def free_port() -> int:
    """A port of 127.0.0.1 that nobody else is given until this process ends: another test's server could have it, which
    is started before ours, or while ours is down. A server that allows it (SO_REUSEADDR, as they do) gets it all the
    same; until one listens, who connects is refused."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _held.append(held)
    return int(held.getsockname()[1])
