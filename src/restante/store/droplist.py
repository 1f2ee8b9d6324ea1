"""A maildrop as POP3 is told of it: what `Store.maildrop` gives.

An INBOX may hold a million messages and a login lists all of them, so the list is columns of numbers and one text of
all UIDLs: some 70 octets a message. A `DropMessage` is made when one is looked at.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, overload

AT_ONCE = 1_000
"""Messages whose objects live at the same time where all are gone through."""


class DropMessage(NamedTuple):
    """One message of a maildrop: a placement in INBOX that POP3 may see.

    uidl: 1 to 70 octets, unique within the maildrop, permanent. size: octets RETR sends before dot-stuffing
    to a client without UTF8 (surrogate and final CRLF counted). size_utf8: the same after UTF8.
    content: key for read_content. traits: mime Trait bits.
    """

    uid: int
    uidl: str
    size: int
    size_utf8: int
    content: int
    traits: int
    seen: bool


class DropList(Sequence[DropMessage]):
    """A maildrop at one state, ascending by UID: shared by the sessions of a process, never to be changed.

    octets, octets_utf8: sums of `size` and `size_utf8`. listings: octets that a protocol has made of all of it, by a
    name of its own, so that they are made once.
    """

    __slots__ = (
        "_contents", "_ends", "_seen", "_sizes", "_sizes_utf8", "_traits", "_uidls", "_uids", "listings", "octets",
        "octets_utf8",
    )  # fmt: skip

    def __init__(self, messages: Iterable[Sequence[object]]) -> None:
        """messages: each as the fields of a DropMessage in a row. They are taken in groups, so they may be as many as
        a statement yields."""
        self._uids, self._traits = array("I"), array("I")
        self._sizes, self._sizes_utf8, self._contents = array("Q"), array("Q"), array("Q")
        self._seen = bytearray()
        self._ends = array("Q", [0])
        """Where in `_uidls` each UIDL begins; the one before it ends in front of the line end between them."""
        pieces: list[str] = []
        rows = iter(messages)
        while some := list(islice(rows, AT_ONCE)):
            uids, uidls, sizes, sizes_utf8, contents, traits, seen = zip(*some, strict=True)
            for column, values in (
                (self._uids, uids), (self._sizes, sizes), (self._sizes_utf8, sizes_utf8),
                (self._contents, contents), (self._traits, traits), (self._seen, seen),
            ):  # fmt: skip
                column.extend(values)
            at = self._ends[-1]
            self._ends.extend([at := at + len(uidl) + 1 for uidl in uidls])
            pieces += ["\n".join(uidls), "\n"]
        self._uidls = "".join(pieces)
        self.octets = sum(self._sizes)
        self.octets_utf8 = sum(self._sizes_utf8)
        self.listings: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._uids)

    @overload
    def __getitem__(self, index: int) -> DropMessage: ...
    @overload
    def __getitem__(self, index: slice) -> list[DropMessage]: ...
    def __getitem__(self, index: int | slice) -> DropMessage | list[DropMessage]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return DropMessage(
            self._uids[index],
            self._uidls[self._ends[index] : self._ends[index + 1] - 1],
            self._sizes[index],
            self._sizes_utf8[index],
            self._contents[index],
            self._traits[index],
            bool(self._seen[index]),
        )

    def __iter__(self) -> Iterator[DropMessage]:
        for start in range(0, len(self), AT_ONCE):
            yield from self[start : start + AT_ONCE]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DropList):
            return NotImplemented
        return self._columns() == other._columns()

    __hash__ = None  # type: ignore[assignment]  # two that are equal may be of different times

    def _columns(self) -> tuple[object, ...]:
        return (
            self._uids, self._uidls, self._sizes, self._sizes_utf8, self._contents, self._traits, self._seen,
        )  # fmt: skip

    def uidls(self, start: int, stop: int) -> list[str]:
        """UIDLs of messages from `start` (from 0) up to, without, `stop`."""
        if start >= min(stop, len(self)):
            return []
        return self._uidls[self._ends[start] : self._ends[min(stop, len(self))] - 1].split("\n")

    def sizes(self, start: int, stop: int, *, utf8: bool) -> array[int]:
        """Sizes of messages from `start` (from 0) up to, without, `stop`."""
        return (self._sizes_utf8 if utf8 else self._sizes)[start:stop]
