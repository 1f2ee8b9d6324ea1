"""A process that analyses messages: groups of octets on stdin, pickled analyses on stdout, until stdin ends.

Touches nothing else: no file, no store, no configuration. See `analysts`.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from typing import BinaryIO

from ...mime.analyse import analyse
from .analysts import COUNT, SIZE


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until `source` ends."""
    limits = None
    while True:
        if limits is None:
            head = source.read(SIZE.size)
            if len(head) < SIZE.size:
                return
            limits = pickle.loads(source.read(SIZE.unpack(head)[0]))  # from the process that started this one
        head = source.read(COUNT.size)
        if len(head) < COUNT.size:
            return
        analyses = []
        for _ in range(COUNT.unpack(head)[0]):
            size = SIZE.unpack(source.read(SIZE.size))[0]
            analyses.append(analyse(source.read(size), limits))
        octets = pickle.dumps(analyses, pickle.HIGHEST_PROTOCOL)
        sink.write(SIZE.pack(len(octets)))
        sink.write(octets)
        sink.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the process that asks
    main(os.fdopen(0, "rb", closefd=False), os.fdopen(1, "wb", closefd=False))
    sys.exit(0)
