"""Replaying what mail applications send: their own words, in their own order, each answer held to a pattern."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from .support import PATIENCE, Reader

Step = tuple[int, bytes, Sequence[bytes]]
"""Connection, command without its tag (or a line of IDLE), patterns that its answer must have, in this order."""


class Line:
    """One connection of an application."""

    def __init__(self, back: BinaryIO, to: BinaryIO) -> None:
        self._back = back
        self._to = to
        self._number = 0
        assert b"* OK [CAPABILITY " in back.readline()

    def do(self, command: bytes) -> bytes:
        """Send a command or DONE; everything up to the tagged response, or to "+" for IDLE."""
        idle = command.upper() == b"IDLE"
        if command != b"DONE":
            self._number += 1
            command = b"%d %b" % (self._number, command)
        self._send(command)
        tag = b"%d " % self._number
        told = b""
        while True:
            line = self.line()
            told += line
            if line.startswith(tag) or (idle and line.startswith(b"+")):
                return told
            if line.startswith(b"+"):
                raise AssertionError(f"{line!r} was not asked for by {command!r}")

    def line(self) -> bytes:
        """One response with its literals."""
        line = self._back.readline()
        while found := re.search(rb"\{(\d+)\}\r\n\Z", line):
            line += self._back.read(int(found[1])) + self._back.readline()
        assert line, "the connection was closed"
        return line

    def _send(self, command: bytes) -> None:
        """Synchronising literals wait for the server's leave."""
        *parts, last = re.split(rb"(?<=\d\}\r\n)", command + b"\r\n")
        for part in parts:
            self._to.write(part)
            self._to.flush()
            assert self._back.readline().startswith(b"+"), part
        self._to.write(last)
        self._to.flush()


@contextmanager
def lines(reader: Reader) -> Iterator[dict[int, Line]]:
    """Connections by number, opened when first used."""
    with ExitStack() as held:

        class Opened(dict[int, Line]):
            def __missing__(self, number: int) -> Line:
                sock = held.enter_context(socket.create_connection((reader.server.host, reader.server.imap), PATIENCE))
                back, to = held.enter_context(sock.makefile("rb")), held.enter_context(sock.makefile("wb"))
                self[number] = line = Line(back, to)
                return line

        yield Opened()


def replay(opened: dict[int, Line], steps: Iterable[Step]) -> None:
    """Play the steps. Each command must be answered OK, and as its patterns say."""
    for number, command, patterns in steps:
        told = opened[number].do(command)
        last = told[:-2].rpartition(b"\r\n")[2]
        assert re.match(rb"\d+ OK|\+", last), (command, told[-300:])
        at = 0
        for pattern in patterns:
            found = re.compile(pattern, re.DOTALL).search(told, at)
            assert found, f"{command!r}: no {pattern!r} behind octet {at} of {told[:2000]!r}"
            at = found.end()
