"""A process that is asked through pipes: what it is for on stdin, then questions; answers on stdout, until stdin ends.

The process's side of `asking`, and how octets go in both directions. Loads little: each process waits for it.
"""

from __future__ import annotations

import gc
import os
import signal
import struct
from collections.abc import Callable
from typing import IO, BinaryIO, NoReturn

SIZE = struct.Struct("<Q")

GARBAGE = 100_000
"""Objects made, and not freed by counting references, after which such a process looks for garbage: what it makes of
messages is much, and no garbage."""


class Ended(EOFError):
    """Who is on the other side says no more."""


def read_exactly(source: IO[bytes], count: int) -> bytes:
    """So many octets. Raises Ended."""
    octets = source.read(count)
    if len(octets) < count:
        raise Ended("it said no more")
    return octets


def read_sized(source: IO[bytes]) -> bytes:
    """Octets that are preceded by their number. Raises Ended."""
    (count,) = SIZE.unpack(read_exactly(source, SIZE.size))
    return read_exactly(source, count)


def write_sized(sink: IO[bytes], octets: bytes) -> None:
    sink.write(SIZE.pack(len(octets)))
    sink.write(octets)


def serve(main: Callable[[BinaryIO, BinaryIO], None]) -> NoReturn:
    """Be such a process: `main` reads stdin and answers on stdout, until who asks has ended or reads no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the process that asks
    gc.set_threshold(GARBAGE)
    try:
        main(os.fdopen(0, "rb", closefd=False), os.fdopen(1, "wb", closefd=False))
    except (Ended, BrokenPipeError):
        pass
    os._exit(0)  # nothing is left to be written, and nobody to read what an exit may say of a broken pipe
