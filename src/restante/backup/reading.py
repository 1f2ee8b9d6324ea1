"""Reading objects of a repository: one by its id, a message by its hash, many as they lie in the packs.

What is damaged is read from its twin, or from another pack, where it lies there too. Must not know: accounts, the
store, which snapshot names what.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from ..clock import Random
from . import objects
from .blocks import Blocks, runs
from .crypto import ID_OCTETS, VERIFY, Secrets
from .errors import Corrupt, Missing, NeedsPrivateKey
from .index import Place, Spot
from .indexed import Indexed
from .location import Location
from .objects import Kind

S = TypeVar("S", bound=objects.Struct)
T = TypeVar("T")

NOWHERE = "A message is missing from the backup."


class Reading(Indexed):
    """Objects of one repository, opened. Safe for several threads."""

    def __init__(
        self, location: Location, secrets: Secrets, id: str, random: Random, notes: Path | None = None
    ) -> None:
        super().__init__(location, secrets, id, random, notes)
        self._blocks = Blocks(location, secrets, lambda error: self.complaints.append(error))

    def find(self, id: bytes) -> Spot | None:
        """Where an object is, None where it is nowhere. What no index file says is looked for in the packs, once.
        Raises NeedsPrivateKey."""
        if not self.reads:
            raise NeedsPrivateKey
        known = self._unindexed_known  # asked first: who finds nothing in what he had before must look again
        spot = self.index.find(id)
        if spot is None and not known:
            with self._lock:  # another thread may be at it, and find more than this one knows
                if not self._unindexed_known:
                    self.index_packs()
                    self._unindexed_known = True
            spot = self.index.find(id)
        return spot

    def has(self, id: bytes) -> bool:
        """Whether an object is here and stays."""
        return self.index.has(id) or (self.notes is not None and self.notes.has(id))

    def get(self, id: bytes, kind: Kind) -> bytes:
        """An object's octets. Raises Missing, Corrupt, NeedsPrivateKey."""
        if self.notes is not None and (noted := self.notes.object(id, kind)) is not None:
            return noted
        spot = self.find(id)
        if spot is None:
            raise Missing("An object of the backup is missing.", VERIFY)
        try:
            return self._object(id, spot, kind)
        except Corrupt as error:
            return self._elsewhere(id, spot, error, lambda other: self._object(id, other, kind))

    def _object(self, id: bytes, spot: Spot, kind: Kind) -> bytes:
        if spot.kind != kind.value:
            raise Missing("An object of the backup is missing.", VERIFY)
        data = self.cut(spot)
        if kind is not Kind.RECIPE and self.secrets.id_of(kind.value, sha256(data).digest()) != id:
            raise Corrupt("An object of the backup is not what was written.", VERIFY)
        return data

    def _elsewhere(self, id: bytes, tried: Spot, wrong: Corrupt, read: Callable[[Spot], T]) -> T:
        """What one of an object's other places gives: two runs at once may have written it, or a run anew what was
        thought to be lost. tried: where it was not, and `wrong`: why.

        Of those places that index files name; at an append-only location, where a thief can have added packs and
        indexes that only say that they have it, at last of those that the packs do. Raises `wrong`."""
        while True:
            for spot in list(self.index.spots(id)):
                if spot == tried:
                    continue
                try:
                    found = read(spot)
                except Corrupt:
                    continue
                if not self.location.append_only:
                    self.complaints.append(wrong)
                return found
            if self._packs_alone or not self.location.append_only:
                raise wrong
            self.trust_packs_alone()

    def whole_without(self, id: bytes, packs: Collection[str]) -> bool:
        """Whether an object is whole in another pack than these. Costs reading it."""
        for spot in list(self.index.spots(id)):
            if spot.pack.name not in packs:
                try:
                    if self._is_right(id, spot):
                        return True
                except Corrupt:
                    continue
        return False

    def right_place(self, id: bytes) -> Place | None:
        """A place where an object truly is, of several; None where it is nowhere. Costs reading it, where there are
        several. Raises Corrupt where it is whole in none of them."""
        places = list(self.index.places(id))
        if len(places) <= 1:
            return places[0] if places else None
        for part, position in places:
            try:
                if self._is_right(id, part.spot(position)):
                    return part, position
            except Corrupt as error:
                self.complaints.append(error)
        raise Corrupt("An object of the backup lies in several packs and is whole in none.", VERIFY)

    def _is_right(self, id: bytes, spot: Spot) -> bool:
        if spot.kind != Kind.RECIPE.value:
            return self.secrets.id_of(spot.kind, sha256(self.cut(spot)).digest()) == id
        digest = sha256()
        for piece in self.pieces(spot):
            digest.update(self.get(piece, Kind.PIECE))
        return self.message_id(digest.digest()) == id

    def read(self, id: bytes, what: type[S]) -> S:
        """An object of metadata. Raises Missing, Corrupt, NewerFormat."""
        return objects.decode(self.get(id, objects.KINDS[what]), what)

    def has_message(self, digest: bytes) -> bool:
        """Whether a message of this SHA-256 is here and stays."""
        return self.has(self.message_id(digest))

    def message_id(self, digest: bytes) -> bytes:
        return self.secrets.id_of(Kind.MESSAGE.value, digest)

    def message(self, digest: bytes) -> bytes:
        """A message's octets by their SHA-256. Raises Missing, Corrupt."""
        spot = self.find(self.message_id(digest))
        if spot is None:
            raise Missing(NOWHERE, VERIFY)
        return self._message_at(spot, digest)

    def _message_at(self, spot: Spot, digest: bytes) -> bytes:
        try:
            return self._message(digest, spot)
        except Corrupt as error:
            return self._elsewhere(self.message_id(digest), spot, error, lambda other: self._message(digest, other))

    def _message(self, digest: bytes, spot: Spot) -> bytes:
        if spot.kind == Kind.RECIPE.value:
            data = b"".join([self.get(piece, Kind.PIECE) for piece in self.pieces(spot)])
        else:
            data = self.cut(spot)
        if sha256(data).digest() != digest:
            raise Corrupt("A message of the backup is not what was written.", VERIFY)
        return data

    def pieces(self, spot: Spot) -> list[bytes]:
        """Ids of the pieces of a message whose recipe is there. Raises Missing, Corrupt."""
        data = self.cut(spot)
        if len(data) % ID_OCTETS:
            raise Corrupt("A message of the backup is not what was written.", VERIFY)
        return [data[at : at + ID_OCTETS] for at in range(0, len(data), ID_OCTETS)]

    def messages(self, digests: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | Corrupt]]:
        """Messages with their octets, or why they have none, in the order in which they lie in the packs: each block
        is opened once as a rule."""
        places: list[tuple[bytes, Spot]] = []
        for digest, spot in self.places(list(digests)):
            if spot is None:
                yield digest, Missing(NOWHERE, VERIFY)
            else:
                places.append((digest, spot))
        places.sort(key=_where)
        for digest, data in self.messages_at(places):
            yield digest, bytes(data) if isinstance(data, memoryview) else data

    def places(self, digests: Sequence[bytes]) -> Iterator[tuple[bytes, Spot | None]]:
        """Where messages are, in the order asked; None where one is nowhere. Raises NeedsPrivateKey."""
        ids = list(map(self.message_id, digests))
        spots = self.index.find_all(ids) if self.reads else [None] * len(ids)
        for digest, id, spot in zip(digests, ids, spots, strict=True):
            yield digest, self.find(id) if spot is None else spot

    def messages_at(self, places: Iterable[tuple[bytes, Spot]]) -> Iterator[tuple[bytes, bytes | memoryview | Corrupt]]:
        """Messages (SHA-256) with their octets, or why they have none, by where they are. Of messages that come as they
        lie, blocks that lie one behind the other are read at once; a view holds its whole block."""
        for run in runs(places):
            blocks = self._blocks.run(run[0][1].pack, run[0][1].block, run[-1][1].block)
            for digest, spot in run:
                _, number, offset, length, kind = spot
                if kind == Kind.MESSAGE.value and (block := blocks.get(number)) is not None:
                    data = block[offset : offset + length]
                    if sha256(data).digest() == digest:
                        yield digest, data
                        continue
                try:  # in pieces, or damaged here
                    found: bytes | Corrupt = self._message_at(spot, digest)
                except Corrupt as error:
                    found = error
                yield digest, found

    def cut(self, spot: Spot) -> bytes:
        """The octets at a place, as they are there. Raises Missing, Corrupt."""
        block = self._blocks.block(spot.pack, spot.block)
        if spot.offset + spot.length > len(block):
            raise Corrupt("An index of the backup names octets that are not there.", VERIFY)
        return block[spot.offset : spot.offset + spot.length]


def _where(one: tuple[bytes, Spot]) -> tuple[str, int, int]:
    spot = one[1]
    return spot.pack.name, spot.block, spot.offset
