"""What is done with a parcel of messages before they can be filed: all that needs no account, in whichever process.

```
read a run of blocks -> open, unpack -> compare each hash -> answers, or analysis -> rows that are ready to be filed
```
"""

from __future__ import annotations

from dataclasses import dataclass

from ..mime.analyse import analyse
from ..mime.model import Analysis, Limits
from ..store.backup import AnswerRow, RebuiltEmail
from .answers import Answers, Place
from .crypto import Secrets
from .errors import Corrupt
from .location import Location
from .parcels import ORDER, EmailOf, Parcel, Prepared
from .repository import Repository


@dataclass(frozen=True, slots=True)
class Opened:
    """What a process opens the repository with."""

    location: Location
    secrets: Secrets
    id: str
    limits: Limits


class Preparing:
    """One process's, or thread's, share. Called by one thread at a time."""

    def __init__(self, repository: Repository, limits: Limits) -> None:
        self._repository = repository
        self._limits = limits
        self._mailbox = ("", 0)
        self._answers = Answers(repository, self._analyse)

    def __call__(self, parcel: Parcel) -> Prepared:
        """Raises LocationFailed."""
        if parcel.mailbox != self._mailbox:  # answers that were wrong in one mailbox may be right in another
            self._mailbox, self._answers = parcel.mailbox, Answers(self._repository, self._analyse)
        done = Prepared()
        read: list[tuple[bytes, bytes | memoryview, list[EmailOf]]] = []
        asked: list[tuple[bytes | memoryview, Place | None]] = []
        found = self._repository.messages_at(parcel.places)
        for (digest, data), emails, place in zip(found, parcel.emails, parcel.answers, strict=True):
            if isinstance(data, Corrupt):
                done.lost += [(email[ORDER], data.text) for email in emails]
                continue
            read.append((digest, data, emails))
            asked.append((data, place))
            done.octets += len(data)
        batch: list[RebuiltEmail] = []
        for (digest, data, emails), known in zip(read, self._answers.of(asked), strict=True):
            made: AnswerRow | Analysis = self._analyse(data) if known is None else known
            batch += [
                RebuiltEmail(order, id, thread, received, arrival, uidl, digest, data, made)
                for order, id, thread, _, received, arrival, uidl in emails
            ]
        done.ready = parcel.readying(batch)
        return done

    def _analyse(self, message: bytes | memoryview) -> Analysis:
        return analyse(bytes(message), self._limits)
