"""Proofs remembered, so that a password that has been checked once is not stretched again at each connection.

Owns: the cache. Its key has all that the answer depends on: the account, the version of its credentials (read
at this very login, so that a changed password, a revoked or disabled one counts at once, whichever process
changed it) and the password, in one digest under a random key of this process. Only right passwords are kept.
A table of fixed size, made at the start: how many accounts have logged in makes no difference to memory.
Must not know: how a password is checked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from struct import Struct

from ..clock import Clock, Random

WAYS = 16
"""Records a bucket: of a full one the record used longest ago goes."""

SPARE = 2
"""Records for each proof that is to be kept: digests fill buckets unevenly, and with so many to spare hardly any of the
10,000 used last is lost to a full bucket."""

_RECORD = Struct("<16sQdd")
"""Digest (zero: none), the credential's number, until when, last used (monotonic seconds)."""
_DIGEST = 16


@dataclass(frozen=True, slots=True)
class Proof:
    """number: the credential that fits. until: monotonic seconds."""

    number: int
    until: float


class ProofCache:
    """most: proofs kept, about. time: seconds one is kept. 80 octets a proof, whether or not it is there."""

    def __init__(self, clock: Clock, random: Random, most: int, time: float) -> None:
        self._clock = clock
        self._secret = random(64)
        self._time = time
        self._buckets = -(-most * SPARE // WAYS) if most > 0 and time > 0 else 0
        self._table = bytearray(b"\0" * (self._buckets * WAYS * _RECORD.size))

    def _key(self, account: str, version: int, password: bytes) -> bytes:
        about = b"%b %d " % (account.encode(), version)
        return hashlib.blake2b(about + password, key=self._secret, digest_size=_DIGEST).digest()

    def _bucket(self, key: bytes) -> range:
        """Where its records begin in the table."""
        start = int.from_bytes(key[:8], "little") % self._buckets * WAYS * _RECORD.size
        return range(start, start + WAYS * _RECORD.size, _RECORD.size)

    def find(self, account: str, version: int, password: bytes) -> Proof | None:
        """The proof that `password` is one of the account's, as its credentials stand at `version`."""
        if not self._buckets:
            return None
        key, now = self._key(account, version, password), self._clock.monotonic()
        records = self._bucket(key)
        at = self._table.find(key, records.start, records.stop)
        while at >= 0 and at not in records:  # within one: chance, or nobody's doing
            at = self._table.find(key, at + 1, records.stop)
        if at < 0:
            return None
        _, number, until, _ = _RECORD.unpack_from(self._table, at)
        if until <= now:
            return None
        _RECORD.pack_into(self._table, at, key, number, until, now)
        return Proof(number, until)

    def keep(self, account: str, version: int, password: bytes, number: int) -> None:
        """Remember that `password` was found right."""
        if not self._buckets:
            return
        key, now = self._key(account, version, password), self._clock.monotonic()

        def worth(at: int) -> tuple[int, float]:
            digest, _, until, used = _RECORD.unpack_from(self._table, at)
            return (0, 0.0) if digest == key else (1, 0.0) if until <= now else (2, used)

        _RECORD.pack_into(self._table, min(self._bucket(key), key=worth), key, number, now + self._time, now)
