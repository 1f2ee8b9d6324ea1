"""Messages made ready for a store by another process: what the store wants of them, and by what a copy knows them.

Loads nothing of a run but `outline`: the process that does it starts the sooner.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..values import Value
from .outline import mark

if TYPE_CHECKING:
    from ..store.interface import Preparing
    from ..store.model import Blob

Made = tuple["Blob", object, bytes]
"""Of one message: see `Store.preparing`; and its `outline.mark`."""


class Making(Value, frozen=True):
    """Implements `analysts.work.Work`. preparing: the store's."""

    preparing: Preparing

    def make(self, messages: Iterable[bytes]) -> bytes:
        """See `Work.make`."""
        octets = [*messages]
        return marshal.dumps((self.preparing.make(octets), [mark(data) for data in octets]))

    def read(self, made: bytes, messages: Sequence[bytes]) -> list[Made]:
        """See `Work.read`."""
        prepared, marks = marshal.loads(made)
        return [
            (blob, kept, one) for (blob, kept), one in zip(self.preparing.read(prepared, messages), marks, strict=True)
        ]

    def here(self, messages: Sequence[bytes]) -> list[Made]:
        """See `Work.here`."""
        return [
            (blob, kept, mark(data)) for (blob, kept), data in zip(self.preparing.here(messages), messages, strict=True)
        ]
