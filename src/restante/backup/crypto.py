"""The repository's secrets: one root key, the keys made of it, and how an object is sealed.

Every sealed file has its own key, made of the root key and 256 random bits at its head, and numbers what is sealed
within it: no nonce can repeat, however many machines write with the same root key. AES-256-GCM throughout; ids are
HMAC-SHA-256 under a key of their own, so that they tell nothing about octets that somebody might guess.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..values import Value
from .errors import VERIFY as VERIFY
from .errors import Corrupt

if TYPE_CHECKING:
    from .recipient import Recipient

KEY_OCTETS = 32
TAG_OCTETS = 16
SALT_OCTETS = 32
ID_OCTETS = 32
ENVELOPE_OCTETS = 1120 + 32 + 16
"""Of `recipient`: an encapsulation, and 32 octets that are sealed by what it carries."""


def derive(key: bytes, label: bytes) -> bytes:
    """A key for one purpose: HMAC-SHA-256 of the label. Labels are unique over the whole format."""
    return hmac.digest(key, b"restante backup 1: " + label, "sha256")


class Secrets(Value, frozen=True):
    """The keys of an opened repository. ids: for names of objects. files: for keys of sealed files. descriptor: for
    the code in repository.json.

    recipient: of a sealed repository, whose files of mail, metadata, indexes and snapshots open with the private key
    alone. root, and writing (of which the other three are made there), are empty where they are not held or not used.
    """

    root: bytes
    ids: bytes
    files: bytes
    descriptor: bytes
    recipient: Recipient | None = None
    writing: bytes = b""

    @classmethod
    def of(cls, root: bytes) -> Secrets:
        return cls(root, derive(root, b"ids"), derive(root, b"files"), derive(root, b"descriptor"))

    @classmethod
    def sealed(cls, root: bytes) -> Secrets:
        """Of a sealed repository, for who may read it. Raises BackupRefusal where the machine cannot."""
        from .recipient import Recipient  # only such repositories need it

        return cls._of_writing(derive(root, b"writing"), Recipient.of_seed(derive(root, b"reading")), root)

    @classmethod
    def of_writing(cls, writing: bytes, public: bytes) -> Secrets:
        """Of a sealed repository, for who writes it."""
        from .recipient import Recipient

        return cls._of_writing(writing, Recipient(public), b"")

    @classmethod
    def _of_writing(cls, writing: bytes, recipient: Recipient, root: bytes) -> Secrets:
        ids, files, descriptor = (derive(writing, label) for label in (b"ids", b"files", b"descriptor"))
        return cls(root, ids, files, descriptor, recipient, writing)

    @property
    def reads(self) -> bool:
        """Whether mail and what is said of it can be read with these."""
        return self.recipient is None or self.recipient.seed is not None

    def id_of(self, kind: bytes, digest: bytes) -> bytes:
        """The id of an object of this kind (one octet) whose octets have this SHA-256."""
        return hmac.digest(self.ids, kind + digest, "sha256")

    def sealer(self, head: bytes) -> Sealer:
        """What seals and opens the parts of one file. head: its first octets, with its kind and 256 random bits."""
        return Sealer(derive(self.files, head), head)

    def new_enveloped(self, head: bytes, drawn: bytes) -> tuple[bytes, Sealer]:
        """The envelope of a new file for the recipient, and what seals its parts. drawn: 32 random octets, for this
        file alone, which are forgotten with the sealer."""
        assert self.recipient is not None
        envelope = self.recipient.seal(head, drawn)
        return envelope, self._enveloped(head, envelope, drawn)

    def enveloped(self, head: bytes, envelope: bytes) -> Sealer:
        """What opens the parts of a file for the recipient. Raises NeedsPrivateKey, Corrupt."""
        assert self.recipient is not None
        return self._enveloped(head, envelope, self.recipient.open(head, envelope))

    def _enveloped(self, head: bytes, envelope: bytes, drawn: bytes) -> Sealer:
        """Opening needs what the envelope holds; passing for ours needs the file key too, since anybody who has the
        public key can make an envelope."""
        return Sealer(derive(hmac.digest(self.files, drawn, "sha256"), head), head + envelope)


class Sealer:
    """Seals the numbered parts of one file. Each number is sealed once."""

    __slots__ = ("_aead", "_head")

    def __init__(self, key: bytes, head: bytes) -> None:
        self._aead = AESGCM(key)
        self._head = head

    def seal(self, number: int, data: bytes) -> bytes:
        """Ciphertext and tag, 16 octets longer than `data` (at most 2^31 octets)."""
        return self._aead.encrypt(number.to_bytes(12, "big"), data, self._head)

    def open(self, number: int, data: bytes | memoryview) -> bytes:
        """Raises Corrupt where `data` is not what `seal` made under this number."""
        try:
            return self._aead.decrypt(number.to_bytes(12, "big"), data, self._head)
        except InvalidTag as error:
            raise Corrupt("A part of a backup is not what was written.", VERIFY) from error


def file_name(data: bytes) -> str:
    """What a file of this content is called: its SHA-256, so that anybody can check it, with or without a key."""
    return hashlib.sha256(data).hexdigest()
