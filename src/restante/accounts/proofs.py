"""Proofs remembered, so that a password that has been checked once is not stretched again at each connection.

Owns: the cache. Its key has all that the answer depends on: the account, the version of its credentials (read
at this very login, so that a changed password, a revoked or disabled one counts at once, whichever process
changed it) and the password, in one digest under a random key of this server. Only right passwords are kept.
A table of fixed size, made at the start: how many accounts have logged in makes no difference to memory. Workers are
forked later and share it: what one has checked none of them checks again, nor does its successor.

Nobody locks. A record that two have written at the same instant, or that is read while it is written, has a checksum
that does not fit: it is no proof, and the password is checked once more.
Must not know: how a password is checked.
"""

from __future__ import annotations

import hashlib
import mmap
from dataclasses import dataclass
from struct import Struct

from ..clock import Clock, Random

WAYS = 16
"""Records a bucket: of a full one the record used longest ago goes."""

SPARE = 2
"""Records for each proof that is to be kept: digests fill buckets unevenly, and with so many to spare hardly any of the
10,000 used last is lost to a full bucket."""

_RECORD = Struct("<16sQd8sd")
"""Digest (zero: none), the credential's number, until when, a keyed checksum of these, last used. Monotonic seconds,
which all processes of a machine count alike."""
_SAYS = Struct("<16sQd")
_USED = Struct("<d")
_DIGEST = 16
_CHECK = 8


@dataclass(frozen=True, slots=True)
class Proof:
    """number: the credential that fits. until: monotonic seconds."""

    number: int
    until: float


class ProofTable:
    """The records, all empty, and the key under which they are written: shared by the processes that are forked later.

    most: proofs kept, about; 0: none. 96 octets a proof, of memory that is taken when it is first written to.
    """

    def __init__(self, random: Random, most: int) -> None:
        self.secret = random(64)
        self.buckets = -(-most * SPARE // WAYS) if most > 0 else 0
        self.memory = mmap.mmap(-1, max(self.buckets * WAYS * _RECORD.size, 1))


class ProofCache:
    """table: this process's own, or one that others have too. time: seconds a proof is kept; 0: none is."""

    def __init__(self, clock: Clock, table: ProofTable, time: float) -> None:
        self._clock = clock
        self._secret = table.secret
        self._memory = table.memory
        self._time = time
        self._buckets = table.buckets if time > 0 else 0

    def _key(self, account: str, version: int, password: bytes) -> bytes:
        about = b"%b %d " % (account.encode(), version)
        return hashlib.blake2b(about + password, key=self._secret, digest_size=_DIGEST).digest()

    def _check(self, key: bytes, number: int, until: float) -> bytes:
        return hashlib.blake2b(_SAYS.pack(key, number, until), key=self._secret, digest_size=_CHECK).digest()

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
        at = self._memory.find(key, records.start, records.stop)
        while at >= 0 and at not in records:  # within one: chance, or nobody's doing
            at = self._memory.find(key, at + 1, records.stop)
        if at < 0:
            return None
        found, number, until, check, _ = _RECORD.unpack_from(self._memory, at)
        if until <= now or check != self._check(found, number, until) or found != key:
            return None
        _USED.pack_into(self._memory, at + _RECORD.size - _USED.size, now)
        return Proof(number, until)

    def keep(self, account: str, version: int, password: bytes, number: int) -> None:
        """Remember that `password` was found right."""
        if not self._buckets:
            return
        key, now = self._key(account, version, password), self._clock.monotonic()

        def worth(at: int) -> tuple[int, float]:
            digest, _, until, _, used = _RECORD.unpack_from(self._memory, at)
            return (0, 0.0) if digest == key else (1, 0.0) if until <= now else (2, used)

        until = now + self._time
        at = min(self._bucket(key), key=worth)
        _RECORD.pack_into(self._memory, at, key, number, until, self._check(key, number, until), now)
