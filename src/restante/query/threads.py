"""THREAD: what its algorithms have in common. RFC 5256 3.

A mailbox may hold a million messages, so nothing here is an object for each of them: messages are numbers, what is
known of them stands in arrays, and an answer is a skeleton of parentheses with an array of UIDs. The facts come in
batches of columns, and no string outlives its batch: ids and subjects are compared by Python's own hash, 64 bits with
a key that each process draws. That two of a million differ and have the same is one chance in 37 millions, and whoever
does not know the key cannot help it; the store's permanent threads go by as many bits.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import Enum


class Algorithm(Enum):
    """RFC 5256 3, thread-alg."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"


@dataclass(frozen=True, slots=True)
class Threads:
    """Trees of messages.

    skeleton: the trees as RFC 5256 writes thread-list, each message as %d: b"(%d)(%d %d (%d)(%d))".
    uids: the messages' UIDs in the order in which they stand there. `skeleton % tuple(uids)` is a UID THREAD answer.
    """

    skeleton: bytes
    uids: array[int]


NO_THREADS = Threads(b"", array("I"))

NOTHING = hash("")
"""What an empty id or subject is known by."""
