"""One mail transaction: what MAIL, RCPT and BDAT have said so far. Shared by every kind of SMTP session."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..delivery.interface import Target
from .grammar.data import ChunkReader
from .grammar.path import Path


@dataclass(slots=True)
class Transaction:
    """sender: MAIL FROM. utf8: SMTPUTF8 was asked for. size: octets announced, None where not.

    recipients: every RCPT that was accepted, in order, one given twice standing twice (each is answered,
    RFC 2033 4.2). targets: where each different one goes. chunks: BDAT's data once it has begun.
    """

    sender: Path
    utf8: bool = False
    size: int | None = None
    recipients: list[str] = field(default_factory=list)
    targets: dict[str, tuple[Target, ...]] = field(default_factory=dict)
    chunks: ChunkReader | None = None
