"""Whether this machine's network has become another one: a new address of wide scope, as Linux tells by rtnetlink(7).

A connection that was made before then is often dead without anybody saying so, and a server that could not be reached
may be reached now. Where the kernel tells nothing (other systems, a service that is allowed no such socket), waiting
simply never ends: time-outs do the rest.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator

ADDRESSES = 0x10 | 0x100
"""RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR."""
NEW_ADDRESS = 20
"""RTM_NEWADDR."""
UNIVERSE = 0
"""RT_SCOPE_UNIVERSE: neither a link's own address nor this machine's."""

_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
SETTLE = 2.0
"""Seconds for what comes with a new address: routes, a resolver, a second family."""


async def network_changed() -> None:
    """Returns once a new address has been there for a moment."""
    loop = asyncio.get_running_loop()
    end = _told_of_addresses()
    if end is None:
        await loop.create_future()
        return
    with end:
        while True:
            try:
                data = await loop.sock_recv(end, 65536)
            except OSError:  # ENOBUFS: more was told than is kept; something did change
                break
            if any(kind == NEW_ADDRESS and scope == UNIVERSE for kind, scope in messages(data)):
                break
    await asyncio.sleep(SETTLE)


def _told_of_addresses() -> socket.socket | None:
    """A socket on which the kernel tells of addresses; None where there is none to be had."""
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        return None
    try:
        end = socket.socket(family, socket.SOCK_RAW, 0)
    except OSError:  # systemd's RestrictAddressFamilies, a container
        return None
    try:
        end.setblocking(False)
        end.bind((0, ADDRESSES))
    except OSError:
        end.close()
        return None
    return end


def messages(data: bytes) -> Iterator[tuple[int, int]]:
    """(type, scope) of the messages of one datagram; what is cut off is passed over."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        if at + _HEADER.size + _ADDRESS.size <= min(at + length, len(data)):
            yield kind, _ADDRESS.unpack_from(data, at + _HEADER.size)[3]
        at += (length + 3) & ~3
