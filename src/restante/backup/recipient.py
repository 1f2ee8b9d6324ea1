"""To whom a sealed backup is written: who holds the public key alone can seal a file's key, and not open it again.

HPKE (RFC 9180, base mode) with the KEM X-Wing, which is X25519 and ML-KEM-768 together: a backup lies for decades with
somebody who may keep a copy until the first of the two is broken. The private key is 32 octets, from which the rest is
made. Must not know: what is in the files.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from .errors import VERIFY, BackupRefusal, Corrupt, NeedsPrivateKey

MLKEM_OCTETS = 1184
REMEMBERED = 4096
"""Files of which the key is remembered: opening an envelope takes 0.3 ms, and a restore comes back to a pack."""

_INFO = b"restante backup 2: "


@dataclass(frozen=True, slots=True)
class Recipient:
    """A public key (1,216 octets: ML-KEM-768's and X25519's), and its private key's 32 octets where they are held."""

    public: bytes
    seed: bytes | None = None
    _opened: dict[bytes, bytes] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of_seed(cls, seed: bytes) -> Recipient:
        """Who holds the private key. Raises BackupRefusal where the machine's OpenSSL knows no ML-KEM."""
        public = _private(seed).public_key()
        mlkem, x25519 = _parts(seed)
        raw = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        assert isinstance(public, MLKEM768X25519PublicKey)
        return cls(raw, seed)

    def seal(self, head: bytes, key: bytes) -> bytes:
        """An envelope around a file's 32 octets, which opens with this head alone. Raises BackupRefusal."""
        try:
            mlkem = MLKEM768PublicKey.from_public_bytes(self.public[:MLKEM_OCTETS])
            x25519 = X25519PublicKey.from_public_bytes(self.public[MLKEM_OCTETS:])
            return _suite().encrypt(key, MLKEM768X25519PublicKey(mlkem, x25519), info=_INFO + head)
        except UnsupportedAlgorithm as error:
            raise _unsupported() from error
        except ValueError as error:
            raise BackupRefusal("The writing key's public key is none.", "Use the file as it was made.") from error

    def open(self, head: bytes, envelope: bytes) -> bytes:
        """The 32 octets. Raises NeedsPrivateKey, Corrupt."""
        if self.seed is None:
            raise NeedsPrivateKey
        known = hashlib.sha256(head + envelope).digest()
        key = self._opened.get(known)
        if key is None:
            try:
                key = _suite().decrypt(envelope, _private(self.seed), info=_INFO + head)
            except InvalidTag as error:
                raise Corrupt("The key of a file of the backup does not open.", VERIFY) from error
            if len(self._opened) >= REMEMBERED:
                self._opened.clear()
            self._opened[known] = key
        return key


def _suite() -> Suite:
    try:
        return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    except UnsupportedAlgorithm as error:
        raise _unsupported() from error


def _parts(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    """As X-Wing makes both private keys of 32 octets: SHAKE-256, 64 octets for ML-KEM and 32 for X25519."""
    drawn = hashlib.shake_256(seed).digest(96)
    try:
        return MLKEM768PrivateKey.from_seed_bytes(drawn[:64]), X25519PrivateKey.from_private_bytes(drawn[64:])
    except UnsupportedAlgorithm as error:
        raise _unsupported() from error


def _private(seed: bytes) -> MLKEM768X25519PrivateKey:
    return MLKEM768X25519PrivateKey(*_parts(seed))


def _unsupported() -> BackupRefusal:
    return BackupRefusal(
        "Sealed backups need ML-KEM, which this machine's cryptography has not.",
        "Install the package 'cryptography' from its own wheel, version 47 or later.",
    )
