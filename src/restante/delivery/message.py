"""A message made ready for filing: trace fields before it, analysed once however many accounts it goes to."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..analysts.one import analysed
from ..mime.model import Analysis, Limits
from ..store.interface import Store
from ..store.model import Flags, Identity, NewMessage

LARGE = 1 << 20
"""Octets from which a message is filed for one recipient and account after the other."""

_NO_FLAGS = Flags()


@dataclass(slots=True)
class Ready:
    """One message for one recipient. head: its trace fields. arrival: SHA-256 of `data`."""

    head: bytes
    data: bytes
    received: int
    arrival: bytes
    limits: Limits
    _analysis: Analysis | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if len(self.data) < LARGE:  # a large message is not copied for a few fields in front of it
            self.head, self.data = b"", self.head + self.data

    @property
    def size(self) -> int:
        """Octets in all."""
        return len(self.head) + len(self.data)

    async def prepare(self) -> Analysis:
        """Its analysis, made at the first call. Other sessions go on while a message is looked at for long."""
        if self._analysis is None:
            self._analysis = await analysed(self.data, self.limits, self.head)
        return self._analysis

    async def message(self, store: Store, identity: Identity) -> NewMessage:
        """What `store` is to append."""
        analysis = await self.prepare()
        blob = await store.put(self.data, self.head)
        return NewMessage(blob, analysis, _NO_FLAGS, self.received, self.arrival, identity)
