"""What a night's verification need not go through again: lists that were whole, and lie where they lay.

Verifying, all lists of all snapshots are read, and each message that they name is looked for: with a million messages
twelve seconds, though a night brings few lists. What a walk found whole stays whole while the packs in which all of it
lies are there and have as many octets as they had. So that is noted in the data folder, and the next night goes through
what is new.

    a walk found nothing wrong           -> ids of all that it went through, all packs there are, condemned ones
    the next night, all of that as it was -> a walk passes over what it comes to of these
    else, and after a week               -> a walk through everything

A week, since the walk also reads the lists themselves, which damage to a disk may touch: within a week a list is read,
and within thirty days the pack that it lies in. Messages are only ever read back by packs (`verify`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..files import replace_file
from ..values import Value
from . import known, names
from .errors import UNREADABLE
from .known import SHORT

if TYPE_CHECKING:
    from .repository import Repository

WHOLE = 6.5 * 86400
"""Seconds after which all is gone through again: in one night of seven, a jitter earlier or later."""
_VERSION = 1

_log = logging.getLogger(__name__)


class Walked(msgspec.Struct, frozen=True, array_like=True):
    """at: seconds UTC, of the last walk through everything. packs: octets of all that an index names, and of their
    twins, by the file's name.
    condemned: names of the lists of condemned packs. ids: beginnings of the ids of objects, sorted (`known`)."""

    version: int
    at: int
    packs: dict[str, int]
    condemned: list[str]
    ids: bytes

    def holds(self, repository: Repository, files: Mapping[str, int], now: int) -> bool:
        """Whether all that was whole then is where it was. files: all there are now, with their octets."""
        if not 0 <= now - self.at < WHOLE:
            return False
        index = repository.index  # read first: the lists are those it was made with
        if repository.unsure is not None or index.torn or repository.lists != self.condemned:
            return False
        return all(
            files.get(name) == size and (name.startswith(names.TWIN) or names.sha_of(name) in index.packs)
            for name, size in self.packs.items()
        )


def walked(repository: Repository, files: Mapping[str, int], at: int, ids: Iterable[bytes], before: bytes) -> Walked:
    """What a walk that found nothing wrong has come to. at: of the last one through everything. ids: of the objects.
    before: `Walked.ids` that it passed over."""
    packs = {names.pack(sha, pack.mail): pack.size for sha, pack in repository.index.packs.items()}
    packs |= {twin: files[twin] for twin in map(names.twin, packs) if twin in files}
    short = {*known.cut(before, SHORT), *(id[:SHORT] for id in ids)}
    return Walked(_VERSION, at, packs, list(repository.lists), b"".join(sorted(short)))


class Walks(Value, frozen=True):
    """Where it is noted, for one repository. folder: made where it is missing."""

    folder: Path
    repository: str

    def read(self) -> Walked | None:
        """What is noted; None where nothing is, or nothing that can be used."""
        try:
            data = self._file.read_bytes()
            found = msgspec.msgpack.decode(data[32:], type=Walked)
        except (OSError, *UNREADABLE):
            return None
        return found if found.version == _VERSION and sha256(data[32:]).digest() == data[:32] else None

    def keep(self, found: Walked | None) -> None:
        """Note it in place of the last one; None for nothing. Where that fails the last one stays, which is as good as
        ever: it says what was whole then."""
        try:
            if found is None:
                self._file.unlink(missing_ok=True)
                return
            self.folder.mkdir(mode=0o700, exist_ok=True)
            data = msgspec.msgpack.encode(found)
            replace_file(self._file, sha256(data).digest() + data)
        except OSError as error:
            _log.warning("What the verification went through cannot be noted in %s (%s).", self.folder, error.strerror)

    @property
    def _file(self) -> Path:
        return self.folder / f"walked-{self.repository}"
