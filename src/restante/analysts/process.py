"""A process that works on messages: groups of octets on stdin, what was made of them on stdout, until stdin ends.

Touches nothing else: no file, no store, no configuration. See `pool`.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from .work import COUNT, GARBAGE, SIZE, TOGETHER, Work


class _End(Exception):
    """The process that asks has ended."""


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until `source` ends, or nobody reads `sink`."""
    try:
        work: Work[Any] = pickle.loads(_sized(source))  # from the process that started this one
        work.make(())  # what it loads is loaded while the first messages are on their way
        gc.freeze()  # what is loaded stays; analyses leave no garbage that counting does not find
        while True:
            (number,) = COUNT.unpack(_exactly(source, COUNT.size))
            sizes = array("Q", _exactly(source, 8 * number))
            octets = work.make(_messages(source, sizes))
            sink.write(SIZE.pack(len(octets)))
            sink.write(octets)
            sink.flush()
    except (_End, BrokenPipeError):
        return


def _messages(source: BinaryIO, sizes: Sequence[int]) -> Iterator[bytes]:
    """Octets of these sizes, one behind the other; read at once where they are not too many."""
    if sum(sizes) > TOGETHER:
        for size in sizes:
            yield _exactly(source, size)
        return
    octets, at = _exactly(source, sum(sizes)), 0
    for size in sizes:
        yield octets[at : at + size]
        at += size


def _sized(source: BinaryIO) -> bytes:
    return _exactly(source, SIZE.unpack(_exactly(source, SIZE.size))[0])


def _exactly(source: BinaryIO, count: int) -> bytes:
    octets = source.read(count)
    if len(octets) < count:
        raise _End
    return octets


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the process that asks
    gc.set_threshold(GARBAGE)
    main(os.fdopen(0, "rb", closefd=False), os.fdopen(1, "wb", closefd=False))
    os._exit(0)  # nothing is left to be written, and nobody to read what an exit may say of a broken pipe
