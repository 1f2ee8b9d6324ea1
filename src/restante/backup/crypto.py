"""The repository's secrets: one root key, the keys made of it, and how an object is sealed.

Every sealed file has its own key, made of the root key and 256 random bits at its head, and numbers what is sealed
within it: no nonce can repeat, however many machines write with the same root key. AES-256-GCM throughout; ids are
HMAC-SHA-256 under a key of their own, so that they tell nothing about octets that somebody might guess.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import Corrupt

KEY_OCTETS = 32
TAG_OCTETS = 16
SALT_OCTETS = 32
ID_OCTETS = 32


def derive(key: bytes, label: bytes) -> bytes:
    """A key for one purpose: HMAC-SHA-256 of the label. Labels are unique over the whole format."""
    return hmac.digest(key, b"restante backup 1: " + label, "sha256")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys of an opened repository. ids: for names of objects. files: for keys of sealed files. descriptor: for
    the code in repository.json."""

    root: bytes
    ids: bytes
    files: bytes
    descriptor: bytes

    @classmethod
    def of(cls, root: bytes) -> Secrets:
        return cls(root, derive(root, b"ids"), derive(root, b"files"), derive(root, b"descriptor"))

    def id_of(self, kind: bytes, digest: bytes) -> bytes:
        """The id of an object of this kind (one octet) whose octets have this SHA-256."""
        return hmac.digest(self.ids, kind + digest, "sha256")

    def sealer(self, head: bytes) -> Sealer:
        """What seals and opens the parts of one file. head: its first octets, with its kind and 256 random bits."""
        return Sealer(derive(self.files, head), head)


class Sealer:
    """Seals the numbered parts of one file. Each number is sealed once."""

    __slots__ = ("_aead", "_head")

    def __init__(self, key: bytes, head: bytes) -> None:
        self._aead = AESGCM(key)
        self._head = head

    def seal(self, number: int, data: bytes) -> bytes:
        """Ciphertext and tag, 16 octets longer than `data` (at most 2^31 octets)."""
        return self._aead.encrypt(number.to_bytes(12, "big"), data, self._head)

    def open(self, number: int, data: bytes) -> bytes:
        """Raises Corrupt where `data` is not what `seal` made under this number."""
        try:
            return self._aead.decrypt(number.to_bytes(12, "big"), data, self._head)
        except InvalidTag as error:
            raise Corrupt("A part of a backup is not what was written.", VERIFY) from error


VERIFY = "Run 'restante backup verify --all': it lists what is touched."


def file_name(data: bytes) -> str:
    """What a file of this content is called: its SHA-256, so that anybody can check it, with or without a key."""
    return hashlib.sha256(data).hexdigest()
