"""What is known of all messages that are compared, in parallel columns: no object a message, 100,000 in some 30 MB."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from ..model import Flags

UNKNOWN_SIZE = -1


@dataclass(frozen=True, slots=True)
class Box:
    """A mailbox that is looked at. cursor: for what changes after it was read."""

    name: str
    role: str | None
    validity: str
    cursor: str


@dataclass(slots=True)
class Table:
    """Messages by their position here. box: position in `boxes`. size: octets, or UNKNOWN_SIZE. received: seconds UTC.
    mark, ident: `outline`'s. email: EMAILID. digest, core: of the octets (`outline.digest`, `trace.core`), where they
    are known: `core` holds those that were read. where: for reports, of files that have no UIDs; else empty.
    """

    boxes: list[Box] = field(default_factory=list)
    box: array[int] = field(default_factory=lambda: array("I"))
    uid: array[int] = field(default_factory=lambda: array("Q"))
    size: array[int] = field(default_factory=lambda: array("q"))
    received: array[int] = field(default_factory=lambda: array("q"))
    flags: list[Flags] = field(default_factory=list)
    mark: list[bytes] = field(default_factory=list)
    ident: list[bytes] = field(default_factory=list)
    email: list[str | None] = field(default_factory=list)
    digest: list[bytes | None] = field(default_factory=list)
    core: dict[int, bytes] = field(default_factory=dict)
    where: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.uid)

    def add(
        self,
        box: int,
        uid: int,
        size: int | None,
        received: int,
        flags: Flags,
        mark: bytes,
        ident: bytes,
        email: str | None = None,
        digest: bytes | None = None,
    ) -> None:
        self.box.append(box)
        self.uid.append(uid)
        self.size.append(UNKNOWN_SIZE if size is None else size)
        self.received.append(received)
        self.flags.append(flags)
        self.mark.append(mark)
        self.ident.append(ident)
        self.email.append(email)
        self.digest.append(digest)
