"""A process that makes messages ready for a new account: parcels on stdin, what came of them on stdout, until stdin
ends. Reads the location, writes nothing. See `preparers`.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import traceback
from typing import BinaryIO

from ..clock import system_random
from .parcels import Parcel, Prepared
from .preparing import Opened, Preparing, read_sized, write_sized
from .repository import Repository

GARBAGE = 100_000
"""Objects made, and not freed by counting references, after which garbage is looked for: a parcel's rows are many and
no garbage."""


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until `source` ends, or nobody reads `sink`."""
    gc.set_threshold(GARBAGE)
    try:
        opened = pickle.loads(read_sized(source))  # from the process that started this one
        assert isinstance(opened, Opened)
        repository = Repository(opened.location, opened.secrets, opened.id, system_random)
        prepare = Preparing(repository, opened.limits)
        while True:
            parcel = pickle.loads(read_sized(source))
            assert isinstance(parcel, Parcel)
            done, ready = _prepared(repository, prepare, parcel)
            write_sized(sink, done)
            write_sized(sink, ready)
            sink.flush()
    except (EOFError, BrokenPipeError):
        return


def _prepared(repository: Repository, prepare: Preparing, parcel: Parcel) -> tuple[bytes, bytes]:
    try:
        done = prepare(parcel)
    except Exception as error:  # noqa: BLE001 - a parcel's outer edge: who asked raises it
        try:
            return pickle.dumps(error), b""
        except (pickle.PicklingError, TypeError, AttributeError):
            return pickle.dumps(RuntimeError("".join(traceback.format_exception(error)))), b""
    ready = done.ready
    said = Prepared(
        b"", done.octets, done.lost, [(each.text, each.remedy, each.name) for each in repository.complaints]
    )
    repository.complaints.clear()
    return pickle.dumps(said, pickle.HIGHEST_PROTOCOL), ready


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the process that asks
    main(os.fdopen(0, "rb", closefd=False), os.fdopen(1, "wb", closefd=False))
    os._exit(0)  # nothing is left to be written, and nobody to read what an exit may say of a broken pipe
