"""The format of sealed repositories, by known answers; see test_format.

What stands here was computed once and must not change. An envelope is another one each time that it is made: one that
was made then must open for ever.
"""

from __future__ import annotations

import base64
import hashlib

import pytest

from restante.backup import keys, sealed
from restante.backup.crypto import Secrets
from restante.backup.errors import Corrupt, NeedsPrivateKey
from restante.backup.recipient import Recipient
from restante.backup.sealed import FileKind

ROOT = bytes(range(32))
SECRETS = Secrets.sealed(ROOT)
SALT, DRAWN = bytes(range(100, 132)), bytes(range(200, 232))
HEAD = b"RSTBKUP2S" + bytes(7) + SALT
ENVELOPE = base64.b64decode(
    """
    eUSJCq7pA7IivBXLkzl50mPzvlevL8qb6OIpA1FWEx9KTyx5WpD4qzQCMMf5jMxPieW9qHYWvzwKKaM0eUW+I8Oz9cW/TNalOsNuzs3tuK/sRWys
    mIq7fHyAm3Z7th/jQ/cLjDOPlLnwJfQWfbKvujwJbq07fqCzW3IWIUL6Nd0Az4BSfqx6ItqUKYIEazDwW/91xzkhOs/FiXIzshV7D3A3u+pP23WC
    xAfXUhoNIXec+jFlEpD+sZR0pYAbyTnB9Z7LgVx5qjWht3RDcHXBtsGr6xisGwQp4n+GCank/go7P7499VgUpIj2UmiE6SEVCgQ5UiBy1AACTKSp
    45FkrG+GLhdShydHZRiUF5VkGvF5pLLmK/YJIIGupHPLLpr8AShbAJelfkZ9DfVHkfqAYFLI3Gp107uobrS82/IGQGAUoXL8Yg2ZEGpDM4w2z/Ku
    8LhZmqXq8o9563qjkhafQmaHW6RLSE8TDQWJ3u70k4J4LKmKxC7E289tQFaKJXNlhPEHkZsQTPYoSjUGlr/o5FiwqUoNzbO7ahXaPtV6o5WGFxdQ
    nkII/ii5PecnChT7C2cypFYW9JbI5fBn3XqgchOljx8UiT5Uc76lE1dnyGYqjEBDY2g7NSdEKdTt1l1vjcrevkI66PY+qDNLmaKM6rCicciQOT1K
    kdX4gV5RnC5Mtw+eW7pP7ZJNQV4j67pYCfE6UGmYHVBPY9FtASGeBYSFqXpyg4CTj/GQgna18CxW51gigiGKfm5AXXm4yku0rXRw91r4pQbG6n4L
    dh5LJgvI+nAxWypWB2v2H1Q5YTfiDAeerefYZEBXVCBBqSiJLM3gwV4fVJktBjDJX2r+YuXbY9mxjFe5ujfU9U6GuCMrEiD5jTNU2AFr6j4fi3gL
    7rAOjKvdDWFGoR1QmyNyODlHALfoM6m0B9JN2WYsNcG/zcmublYnnH5aY9iMLqvnKzTd0dCc6G4NI/x6RyD5WYlkTk+rLwrjjIJP5woPBvzGOrg8
    wl3T9CSQG86n5/zadXbbu/OfVBsJT6iAHxV/vId5+s286pI40ajL5NOP/3A8pVc0TKGxz/bAPYnJVvoa6Pvv+KUGmBfKW8GNILfcUJnfgVrWqQmZ
    /Zi2svh3mFlKbO4nZc0vvnwgBd5FRzDPl0Dv55h88yZVUvyAmWkIboETXRVp1uc44klLL2FAsZw3D745VkPwFoegWjrarZ96WofAg6tz9d0sInJJ
    KWvfF0CAnS37TquDMHqa/IFYs820e2dbsQ0DXRQcPINEZ6AOWSapdv+kOxrURDCN68zddpO7Nktpt5l4phIALpv78MPp94k6iK5z7rv4fiV7O6XH
    VL6pKUPm6ix/VpjPOSSPlDeQqdd1Ge0q5KV2nWLYA/DXLg10mjzJhmuKcrxzEC6Tet5TpzxJT7Tff6MJjqwROIXpwlTS+dgb7/YSWS5xVMiETW61
    WgEx53ai4mj4XVI7jzIlptz6ZqZ/iLlriggjPFdcRqq0d6RkarGEGtONrUuxGP3SZNxHK/T8ne4Nna2Q20XiW/X3pju9SBnHpiElSg==
"""
)


def short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def test_keys_are_derived_by_label() -> None:
    assert (SECRETS.ids.hex()[:16], SECRETS.files.hex()[:16]) == ("241b445357c3bcc4", "cc94f2dc517b93ec")
    assert SECRETS.descriptor.hex()[:16] == "56881e2eb772234c"
    assert SECRETS.recipient is not None
    assert short(SECRETS.recipient.public) == "a6e8f28ca88016bf"
    writer = Secrets.of_writing(SECRETS.writing, SECRETS.recipient.public)
    assert (writer.ids, writer.files, writer.descriptor) == (SECRETS.ids, SECRETS.files, SECRETS.descriptor)
    assert (writer.root, writer.reads, SECRETS.reads) == (b"", False, True)


def test_the_key_pair_is_x_wings() -> None:
    """The first of the draft's test vectors, as far as keys go."""
    seed = bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
    public = Recipient.of_seed(seed).public
    assert public[:32].hex() == "e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b07131713fc14b2b5"


def test_an_envelope_that_was_made_once_opens() -> None:
    assert SECRETS.recipient is not None
    assert len(ENVELOPE) == 1_168
    assert SECRETS.recipient.open(HEAD, ENVELOPE) == DRAWN
    with pytest.raises(Corrupt):
        SECRETS.recipient.open(HEAD[:-1] + b"x", ENVELOPE)
    with pytest.raises(NeedsPrivateKey):
        Recipient(SECRETS.recipient.public).open(HEAD, ENVELOPE)


def test_a_file_that_was_sealed_once_opens() -> None:
    plain = (7).to_bytes(8, "little") + b"content"
    plain += bytes(4_096 - 48 - 1_168 - 16 - len(plain))
    data = HEAD + ENVELOPE + SECRETS.enveloped(HEAD, ENVELOPE).seal(0, plain)
    assert data[1_216:1_264].hex() == (
        "294e4f1ff35c7d7e60dc4707586e2ddc8417c192b41cfe09f023f5e3b443f58464542b11b4fbdecd58eb48a4987ffeb7"
    )
    assert short(data) == "e7f7b25f17e6ce6f"
    assert bytes(sealed.open_file(SECRETS, FileKind.SNAPSHOT, data)) == b"content"


def test_sizes_are_multiples_of_the_steps() -> None:
    for size in (0, 1, 2_847, 2_848, 2_849, 10_000):
        data = sealed.seal_file(SECRETS, FileKind.SNAPSHOT, bytes(size), SALT + DRAWN)
        assert len(data) % 4_096 == 0
        assert bytes(sealed.open_file(SECRETS, FileKind.SNAPSHOT, data)) == bytes(size)
    with pytest.raises(ValueError, match="drawn"):
        sealed.seal_file(SECRETS, FileKind.SNAPSHOT, b"", SALT)


def test_what_the_writer_reads_is_of_the_first_version() -> None:
    for kind in (FileKind.CONDEMNED, FileKind.READ, FileKind.WRITTEN):
        data = sealed.seal_file(SECRETS, kind, b"x", SALT + DRAWN)
        assert data[:8] == b"RSTBKUP1"
        assert SECRETS.recipient is not None
        writer = Secrets.of_writing(SECRETS.writing, SECRETS.recipient.public)
        assert bytes(sealed.open_file(writer, kind, data)) == b"x"


def test_a_writing_key() -> None:
    assert SECRETS.recipient is not None
    text = keys.make_writing_key("00" * 16, SECRETS.writing, SECRETS.recipient.public)
    assert text.startswith('{"restante_backup_writing_key":1,"repository":"0000')
    assert text.endswith('"}\n')
    assert short(text.encode()) == "567b83ea59399aaa"
    key = keys.parse_writing_key(text)
    assert (key.key, key.public) == (SECRETS.writing, SECRETS.recipient.public)
