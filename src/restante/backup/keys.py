"""Key slots: the repository's root key, wrapped by a passphrase (Argon2id) or by a key file. Pure but for Argon2id.

A slot is a JSON file, kept twice, since without one nothing can be read. Each wraps the same root key, so keys are
added and removed without writing anything else again. Who has had a key may have kept the root key: removing a slot
takes away what somebody knows of a passphrase, not what he has read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from enum import Enum

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from ..clock import Random
from ..lanes import ONE
from ..values import Value
from . import ahead
from .ahead import MOST_LANES, MOST_MEMORY, MOST_PASSES
from .crypto import KEY_OCTETS, derive
from .errors import UNREADABLE, BackupRefusal, Corrupt, NewerFormat, NoMemory

VERSION, SEALED_VERSION = 1, 2
"""Of a slot. The second is of a repository that is sealed to a public key: who does not know of that must not go on."""
MEMORY, PASSES, LANES = 64 << 10, 3, 4
"""Argon2id in KiB, passes, lanes: RFC 9106 4, second recommended option. 0.14 s here."""
MOST_LABEL = 100

KEY_FILE_HEAD = "restante-backup-key-1:"
_KEY_FILE = re.compile(r"restante-backup-key-1:([a-z2-7]{52})\s*\Z")


class Method(Enum):
    PASSPHRASE = "passphrase"
    KEY_FILE = "key-file"


class Passphrase(Value, frozen=True):
    """A secret that a person knows. text: without line ends."""

    text: bytes


class KeyFile(Value, frozen=True):
    """A secret that a file holds: 256 random bits."""

    key: bytes


Secret = Passphrase | KeyFile


class WritingKey(msgspec.Struct, frozen=True, kw_only=True):
    """What writes to a sealed repository, and reads nothing of what it wrote: a file. repository: hexadecimal id. key:
    32 octets. public: to whom is written. code: HMAC-SHA-256 of the rest under a key made of `key`: an octet of
    `public` that went wrong would make all that is written unreadable. All base64."""

    restante_backup_writing_key: int
    repository: str
    key: bytes
    public: bytes
    code: bytes = b""


Opening = Secret | WritingKey
"""What a repository is opened with."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A slot's file. repository: hexadecimal id. salt, nonce, wrapped: base64. memory (KiB), passes, lanes: of
    Argon2id, 0 for a key file. created: seconds UTC."""

    restante_backup_key: int
    repository: str
    method: Method
    label: str
    created: int
    memory: int
    passes: int
    lanes: int
    salt: bytes
    nonce: bytes
    wrapped: bytes


class Kept(Value, frozen=True):
    """A slot as it lies at a location. name: names it for `key remove`: the first half of its file's SHA-256."""

    name: str
    slot: Slot


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Slot).decode


def make_slot(
    root: bytes, secret: Secret, repository: str, label: str, created: int, random: Random, version: int = VERSION
) -> Slot:
    """Wrap the root key. A passphrase costs 64 MiB and 0.14 s."""
    if len(label) > MOST_LABEL or not label.isprintable():
        raise BackupRefusal("A key's label is one short line of text.", "Choose another label.")
    passphrase = isinstance(secret, Passphrase)
    slot = Slot(
        restante_backup_key=version,
        repository=repository,
        method=Method.PASSPHRASE if passphrase else Method.KEY_FILE,
        label=label,
        created=created,
        memory=MEMORY if passphrase else 0,
        passes=PASSES if passphrase else 0,
        lanes=LANES if passphrase else 0,
        salt=random(32),
        nonce=random(12),
        wrapped=b"",
    )
    wrapped = AESGCM(_wrapping(slot, secret)).encrypt(slot.nonce, root, _bound(slot))
    return msgspec.structs.replace(slot, wrapped=wrapped)


def open_slot(slot: Slot, secret: Secret) -> bytes | None:
    """The root key, None where the secret is another one. Raises NoMemory."""
    if (slot.method is Method.PASSPHRASE) != isinstance(secret, Passphrase):
        return None
    try:
        root = AESGCM(_wrapping(slot, secret)).decrypt(slot.nonce, slot.wrapped, _bound(slot))
    except InvalidTag:
        return None
    return root if len(root) == KEY_OCTETS else None


def _wrapping(slot: Slot, secret: Secret) -> bytes:
    """The key that wraps this slot's root key: the salt is the slot's alone, so that it wraps once."""
    if isinstance(secret, KeyFile):
        return derive(hmac.digest(secret.key, slot.salt, "sha256"), b"key file")
    derived = ahead.derived(secret.text, slot.salt, slot.memory, slot.passes, slot.lanes)
    if derived is None:
        try:
            argon2id = Argon2id(
                salt=slot.salt, length=KEY_OCTETS, iterations=slot.passes, lanes=slot.lanes, memory_cost=slot.memory
            )
            with ONE:
                derived = argon2id.derive(secret.text)
        except MemoryError as error:
            raise NoMemory(
                f"A key of the backup takes {slot.memory >> 10} MiB of memory to try, which are not there.",
                "Give the program more memory, or open the backup with a key file, which takes none.",
            ) from error
    return derive(derived, b"passphrase")


def _bound(slot: Slot) -> bytes:
    """What is authenticated with the wrapped key: all else that the slot says."""
    return _encode(msgspec.structs.replace(slot, wrapped=b""))


def encode_slot(slot: Slot) -> bytes:
    return _encode(slot) + b"\n"


def decode_slot(data: bytes) -> Slot:
    """Raises Corrupt, NewerFormat."""
    try:
        slot = _decode(data)
    except UNREADABLE as error:
        raise Corrupt("A key of the backup cannot be read.", "Use another one of its keys.") from error
    if slot.restante_backup_key > SEALED_VERSION:
        raise NewerFormat("A key of the backup was made by a newer Restante.", "Install that version.")
    sane = slot.memory <= MOST_MEMORY and slot.passes <= MOST_PASSES and slot.lanes <= MOST_LANES
    strong = slot.method is Method.KEY_FILE or (slot.passes >= 1 and slot.lanes >= 1 and slot.memory >= 8 * slot.lanes)
    if not (sane and strong and len(slot.nonce) == 12 and len(slot.salt) >= 8):
        raise Corrupt("A key of the backup has impossible values.", "Use another one of its keys.")
    return slot


def slot_name(data: bytes) -> str:
    """What the slot with this content is called: anybody can check it."""
    return hashlib.sha256(data).hexdigest()[:32]


def make_key_file(random: Random) -> tuple[KeyFile, str]:
    """A new key file's secret, and its text: one line."""
    key = random(KEY_OCTETS)
    return KeyFile(key), KEY_FILE_HEAD + base64.b32encode(key).decode("ascii").rstrip("=").lower() + "\n"


def parse_key_file(text: str) -> KeyFile:
    """Raises BackupRefusal."""
    found = _KEY_FILE.match(text)
    if found is None:
        raise BackupRefusal(
            "This is no key file of a backup.", "One is made by 'restante backup key add --new-key-file FILE'."
        )
    return KeyFile(base64.b32decode(found[1].upper() + "===="))


_WRITING_VERSION = 1
_decode_writing = msgspec.json.Decoder(WritingKey).decode


def make_writing_key(repository: str, key: bytes, public: bytes) -> str:
    """The text of a writing key's file: one line."""
    plain = WritingKey(
        restante_backup_writing_key=_WRITING_VERSION, repository=repository, key=key, public=public
    )  # fmt: skip
    return _encode(msgspec.structs.replace(plain, code=_writing_code(plain))).decode("ascii") + "\n"


def parse_writing_key(text: str) -> WritingKey:
    """Raises BackupRefusal, NewerFormat."""
    try:
        found = _decode_writing(text)
    except UNREADABLE as error:
        raise BackupRefusal("This is no writing key of a backup.", _MADE_BY) from error
    if found.restante_backup_writing_key > _WRITING_VERSION:
        raise NewerFormat("The writing key was made by a newer Restante.", "Install that version.")
    if not hmac.compare_digest(found.code, _writing_code(found)):
        raise BackupRefusal("The writing key is not what was written.", _MADE_BY)
    return found


_MADE_BY = "One is made by 'restante backup key writing', with the private key."


def _writing_code(key: WritingKey) -> bytes:
    return hmac.digest(derive(key.key, b"writing key"), _encode(msgspec.structs.replace(key, code=b"")), "sha256")


def is_writing_key(text: str) -> bool:
    """Whether a file of a key is meant to be one of these."""
    return text.lstrip().startswith("{")


def parse_passphrase(data: bytes) -> Passphrase:
    """The first line of a passphrase's file. Raises BackupRefusal where it is empty."""
    line = data.split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise BackupRefusal("The passphrase is empty.", "Write it into the first line of the file.")
    return Passphrase(line)
