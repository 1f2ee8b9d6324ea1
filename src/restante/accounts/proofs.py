"""Proofs remembered, so that a password that has been checked once is not stretched again at each connection.

Owns: the cache. Its key has all that the answer depends on: the account, the version of its credentials (read
at this very login, so that a changed password, a revoked or disabled one counts at once, whichever process
changed it) and a digest of the password under a random key of this process. Only right passwords are kept.
Must not know: how a password is checked.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from ..clock import Clock, Random

_Key = tuple[str, int, bytes]


@dataclass(frozen=True, slots=True)
class Proof:
    """number: the credential that fits. until: monotonic seconds."""

    number: int
    until: float


class ProofCache:
    """most: proofs kept; the one used longest ago goes first. time: seconds one is kept."""

    def __init__(self, clock: Clock, random: Random, most: int, time: float) -> None:
        self._clock = clock
        self._secret = random(64)
        self._most = most
        self._time = time
        self._proofs: OrderedDict[_Key, Proof] = OrderedDict()

    def __len__(self) -> int:
        return len(self._proofs)

    def _key(self, account: str, version: int, password: bytes) -> _Key:
        return account, version, hashlib.blake2b(password, key=self._secret, digest_size=32).digest()

    def find(self, account: str, version: int, password: bytes) -> Proof | None:
        """The proof that `password` is one of the account's, as its credentials stand at `version`."""
        key = self._key(account, version, password)
        proof = self._proofs.get(key)
        if proof is None:
            return None
        if proof.until <= self._clock.monotonic():
            del self._proofs[key]
            return None
        self._proofs.move_to_end(key)
        return proof

    def keep(self, account: str, version: int, password: bytes, number: int) -> None:
        """Remember that `password` was found right."""
        if self._most <= 0 or self._time <= 0:
            return
        self._proofs[self._key(account, version, password)] = Proof(number, self._clock.monotonic() + self._time)
        if len(self._proofs) > self._most:
            self._proofs.popitem(last=False)
