"""A process that works on messages: groups of octets on stdin, what was made of them on stdout, until stdin ends.

Touches nothing else: no file, no store, no configuration. See `pool`.
"""

from __future__ import annotations

import gc
import pickle
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from .asked import read_exactly, read_sized, serve, write_sized
from .work import COUNT, TOGETHER, Work


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer. Raises Ended, BrokenPipeError when `source` ends, or nobody reads `sink`."""
    work: Work[Any] = pickle.loads(read_sized(source))  # from the process that started this one
    work.make(())  # what it loads is loaded while the first messages are on their way
    gc.freeze()  # what is loaded stays; analyses leave no garbage that counting does not find
    while True:
        (number,) = COUNT.unpack(read_exactly(source, COUNT.size))
        sizes = array("Q", read_exactly(source, 8 * number))
        write_sized(sink, work.make(_messages(source, sizes)))
        sink.flush()


def _messages(source: BinaryIO, sizes: Sequence[int]) -> Iterator[bytes]:
    """Octets of these sizes, one behind the other; read at once where they are not too many."""
    if sum(sizes) > TOGETHER:
        for size in sizes:
            yield read_exactly(source, size)
        return
    octets, at = read_exactly(source, sum(sizes)), 0
    for size in sizes:
        yield octets[at : at + size]
        at += size


if __name__ == "__main__":
    serve(main)
