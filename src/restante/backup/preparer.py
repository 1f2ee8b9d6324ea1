"""A process that makes messages ready for a new account: parcels on stdin, what came of them on stdout, until stdin
ends. Reads the location, writes nothing. See `preparers`.
"""

from __future__ import annotations

import pickle
import traceback
from typing import BinaryIO

from ..analysts.asked import read_sized, serve, write_sized
from ..clock import system_random
from .parcels import Parcel, Prepared
from .preparing import Opened, Preparing
from .repository import Repository


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer. Raises Ended, BrokenPipeError when `source` ends, or nobody reads `sink`."""
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
    serve(main)
