"""What analysts do with a group of messages, and how they are told: shared by `pool` and `process`, which loads little
else.

A group goes as a count, sizes and octets; what was made of it comes back as its size and octets.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..values import Value

if TYPE_CHECKING:
    from ..mime.model import Analysis, Limits

T = TypeVar("T")

COUNT = struct.Struct("<I")

TOGETHER = 8 << 20
"""Octets of a group up to which it is put together to be sent by one call."""


class Work(Protocol[T]):
    """Work on messages, each by itself. It is pickled: a process is told it when it starts."""

    def make(self, messages: Iterable[bytes]) -> bytes:
        """What comes of these messages' octets, in whatever form `read` takes it. In any process."""
        ...

    def read(self, made: bytes, messages: Sequence[bytes]) -> list[T]:
        """What `make` has made of them, one for each. In the process that asked."""
        ...

    def here(self, messages: Sequence[bytes]) -> list[T]:
        """What comes of them, where no other process is asked."""
        ...


class Analysing(Value, frozen=True):
    """Analysis alone. limits: its bounds."""

    limits: Limits

    def make(self, messages: Iterable[bytes]) -> bytes:
        """See `Work.make`."""
        from ..mime.analyse import analyse

        return pickle.dumps([analyse(data, self.limits) for data in messages], pickle.HIGHEST_PROTOCOL)

    def read(self, made: bytes, messages: Sequence[bytes]) -> list[Analysis]:
        """See `Work.read`."""
        found: list[Analysis] = pickle.loads(made)  # from a process of our own that we have started
        return found

    def here(self, messages: Sequence[bytes]) -> list[Analysis]:
        """See `Work.here`."""
        from ..mime.analyse import analyse

        return [analyse(data, self.limits) for data in messages]
