"""What is done with one message that somebody hands in: on the event loop where it is brief, else on a thread.

The analysis of most mail takes a tenth of a millisecond, and a thread for each would take as long. What takes longer
is told by the analysis itself, which gives up as soon as it shows (`Lengthy`): 100,000 parts, a header of a megabyte, a
charset that has to be guessed. So nothing is counted before it, and nobody can make a message that looks brief and is
not.

Such messages wait for one thread of the process. Several at once would be done no sooner, since threads share one
interpreter, but each would wait for it in front of everybody else's sessions.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ..mime.analyse import analyse
from ..mime.model import Analysis, Lengthy, Limits
from ..mime.normalise import normalise_line_ends

LARGE = 256 * 1024
"""Octets above which even what is brief leaves the event loop to others: its passes over the octets are a millisecond
each megabyte, and there are several."""


async def analysed(data: bytes, limits: Limits, before: bytes = b"") -> Analysis:
    """See `mime.analyse.analyse`. What is said of `before` there holds here. Cost beside it: nothing where it is
    brief."""
    try:
        if len(data) <= LARGE:
            return analyse(data, limits, before, brief=True)
        return await asyncio.to_thread(analyse, data, limits, before, brief=True)
    except Lengthy:
        pass
    return await asyncio.get_running_loop().run_in_executor(_lane(), partial(analyse, data, limits, before))


async def normalised(data: bytes) -> bytes:
    """See `mime.normalise`. Cost: a look for one CRLF, which most mail has soon; else up to 9 ms a megabyte."""
    if len(data) <= LARGE or b"\r\n" in data:
        return normalise_line_ends(data)
    return await asyncio.to_thread(normalise_line_ends, data)


class _Lane:
    """The thread, made when it is first needed. A process that was forked has none of its parent's."""

    def __init__(self) -> None:
        self._process = 0
        self._threads: ThreadPoolExecutor | None = None

    def __call__(self) -> ThreadPoolExecutor:
        if self._threads is None or self._process != os.getpid():
            self._process = os.getpid()
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="lengthy")
        return self._threads


_lane = _Lane()
