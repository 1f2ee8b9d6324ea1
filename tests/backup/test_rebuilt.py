"""docs/backup-format.md is enough: a reader that is written from it alone, and shares no code with the backup room,
gives back what was put in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from restante.backup.keys import Passphrase
from restante.backup.repository import Repository
from restante.clock import system_random
from restante.store.model import FlagMode, Flags

from .sealing import SealedWorld
from .support import World, message, play, put


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def column(data: bytes, width: int, *, signed: bool = False) -> list[int]:
    return [int.from_bytes(data[at : at + width], "little", signed=signed) for at in range(0, len(data), width)]


def derive(key: bytes, label: bytes) -> bytes:
    return hmac.digest(key, b"restante backup 1: " + label, "sha256")


class Reader:
    """A whole repository in memory: objects by id."""

    def __init__(self, root: Path, passphrase: bytes) -> None:
        slot = json.loads(next((root / "keys").glob("*-1")).read_text())
        derived = Argon2id(
            salt=base64.b64decode(slot["salt"]), length=32, iterations=slot["passes"], lanes=slot["lanes"],
            memory_cost=slot["memory"],
        ).derive(passphrase)  # fmt: skip
        line = json.dumps({**slot, "wrapped": ""}, separators=(",", ":")).encode()
        key = AESGCM(derive(derived, b"passphrase"))
        self.root = key.decrypt(base64.b64decode(slot["nonce"]), base64.b64decode(slot["wrapped"]), line)
        self.version = slot["restante_backup_key"]
        self.keys()
        self.folder = root
        self.objects: dict[bytes, tuple[bytes, bytes]] = {}
        """id -> (kind, octets)."""
        for folder in ("mail", "meta"):
            for path in (root / folder).glob("*/*"):
                self.pack(path)

    def keys(self) -> None:
        assert self.version == 1
        self.ids, self.files, self.descriptor = (derive(self.root, each) for each in (b"ids", b"files", b"descriptor"))

    def own_key(self, data: bytes, kind: bytes) -> tuple[bytes, int]:
        """A file's own key, and where its parts begin."""
        assert data[:16] == b"RSTBKUP1" + kind + bytes(7)
        return derive(self.files, data[:48]), 48

    def parts(self, path: Path, kind: bytes) -> tuple[Any, bytes, int]:
        data = path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == path.name.rpartition("-")[2]
        key, start = self.own_key(data, kind)
        aead = AESGCM(key)
        return (lambda part, sealed: aead.decrypt(part.to_bytes(12, "big"), sealed, data[:start])), data, start

    def content(self, path: Path, kind: bytes) -> bytes:
        open_part, data, start = self.parts(path, kind)
        plain: bytes = open_part(0, data[start:])
        assert len(data) % {b"S": 4096, b"C": 4096, b"R": 4096, b"W": 4096, b"I": 16_384}[kind] == 0
        return plain[8 : 8 + number(plain[:8])]

    def pack(self, path: Path) -> None:
        open_part, data, start = self.parts(path, b"M" if path.parent.parent.name == "mail" else b"T")
        sizes = open_part((1 << 64) + 1, data[-32:])
        table = open_part(1 << 64, data[-32 - number(sizes[:8]) : -32])
        blocks, count = number(table[:4]), number(table[4:8])
        opened, at = [], start
        for block in range(blocks):
            size, raw = column(table[8 + 8 * block : 16 + 8 * block], 4)
            opened.append(frame(open_part(block, data[at : at + size]), raw))
            at += size
        for entry in range(count):
            record = table[8 + 8 * blocks + 45 * entry :][:45]
            block, offset, length = column(record[32:44], 4)
            self.objects[record[:32]] = (record[44:], opened[block][offset : offset + length])

    def object(self, id: bytes, kind: bytes) -> bytes:
        found, data = self.objects[id]
        assert found == kind
        assert hmac.digest(self.ids, kind + hashlib.sha256(data).digest(), "sha256") == id
        return data

    def array(self, id: bytes, kind: bytes) -> Any:
        return msgspec.msgpack.decode(self.object(id, kind))

    def message(self, digest: bytes) -> bytes:
        kind, data = self.objects[hmac.digest(self.ids, b"m" + digest, "sha256")]
        if kind == b"r":
            data = b"".join(self.object(data[at : at + 32], b"p") for at in range(0, len(data), 32))
        assert hashlib.sha256(data).digest() == digest
        return data

    def newest(self) -> Any:
        return msgspec.msgpack.decode(self.content(max((self.folder / "snapshots").iterdir()), b"S"))

    def written(self) -> tuple[dict[str, int], set[str]]:
        """(seconds by snapshot, names that are expected)."""
        found = [
            msgspec.msgpack.decode(self.content(path, b"W")) for path in sorted((self.folder / "written").iterdir())
        ]
        at = {line[0]: line[1] for one in found for line in one[1]}
        return at, {name for one in found for name in one[2]} - {name for one in found for name in one[3]}

    def account(self, address: str) -> dict[str, list[tuple[int, str, int, str, bytes]]]:
        """name of a mailbox -> (UID, EMAILID, system bits, keywords, octets)."""
        snapshot = self.newest()
        lines = [line for page in snapshot[4] for line in self.array(page, b"g")[0]]
        (line,) = [line for line in lines if line[1] == address]
        root = self.array(line[4], b"a")
        self.answers(root)
        return {box[2]: self.mailbox(box[10]) for box in root[6]}

    def answers(self, root: Any) -> None:
        """What was answered for messages is there for every segment, and says what the message says."""
        answers = dict(root[16])
        for box in root[6]:
            for id in box[10]:
                one = self.array(id, b"s")
                uids = column(one[0], 4)
                rows: list[tuple[Any, ...]] = []
                ids = answers.get(id, b"")
                for at in range(0, len(ids), 32):
                    version, analyser, *columns = self.array(ids[at : at + 32], b"w")
                    assert (version, analyser > 0) == (1, True)
                    rows += zip(*columns, strict=True)
                assert len(rows) == len(uids)
                for row, answered in enumerate(rows):
                    subject = re.search(rb"Subject: (.*)\r\n", self.message(one[4][32 * row : 32 * row + 32]))
                    assert subject is not None
                    assert b'"' + subject[1] + b'"' in answered[0]
                    assert answered[21].encode() == subject[1].upper()
                assert len(ids) // 32 == len({uid >> 9 for uid in uids})

    def mailbox(self, segments: list[bytes]) -> list[tuple[int, str, int, str, bytes]]:
        here: dict[int, tuple[int, str, int, str, bytes]] = {}
        for id in segments:
            one = self.array(id, b"s")
            gone = column(one[14], 4)
            for low, high in zip(gone[::2], gone[1::2], strict=True):
                here = {uid: row for uid, row in here.items() if not low <= uid <= high}
            for uid, flags in zip(column(one[15], 4), column(one[16], 4), strict=True):
                if uid in here:
                    here[uid] = (*here[uid][:2], *one[13][flags], here[uid][4])
            uids = column(one[0], 4)
            emails = one[2].decode().split("\n") if uids else []
            for row, uid in enumerate(uids):
                system, keywords = one[13][column(one[8], 4)[row]]
                digest = one[4][32 * row : 32 * row + 32]
                here[uid] = (uid, emails[row], system, keywords, self.message(digest))
        return list(here.values())


def frame(data: bytes, raw: int) -> bytes:
    plain = data[1:] if data[0] == 0 else zstandard.ZstdDecompressor().decompress(data[1:])
    assert len(plain) == raw
    return plain


def expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256, RFC 5869 2.3; a block is enough here."""
    return hmac.digest(key, info + b"\1", "sha256")[:length]


class SealedReader(Reader):
    """The same for a sealed repository, with X-Wing and HPKE as their own documents say."""

    def keys(self) -> None:
        assert self.version == 2
        writing = derive(self.root, b"writing")
        self.ids, self.files, self.descriptor = (derive(writing, each) for each in (b"ids", b"files", b"descriptor"))
        drawn = hashlib.shake_256(derive(self.root, b"reading")).digest(96)
        self.lattice = MLKEM768PrivateKey.from_seed_bytes(drawn[:64])
        self.curve = X25519PrivateKey.from_private_bytes(drawn[64:])

    def own_key(self, data: bytes, kind: bytes) -> tuple[bytes, int]:
        if kind in b"CRW":
            return super().own_key(data, kind)
        assert data[:16] == b"RSTBKUP2" + kind + bytes(7)
        head, envelope = data[:48], data[48:1216]
        inner = self.envelope(b"restante backup 2: " + head, envelope)
        return hmac.digest(hmac.digest(self.files, inner, "sha256"), b"restante backup 1: " + head, "sha256"), 1216

    def envelope(self, info: bytes, envelope: bytes) -> bytes:
        """RFC 9180 5.1 and 5.2, mode_base; X-Wing's combiner: SHA3-256 of both secrets, X25519's half of the
        encapsulation, that of the public key, and a label of six octets."""
        lattice, curve, box = envelope[:1088], envelope[1088:1120], envelope[1120:]
        agreed = self.lattice.decapsulate(lattice) + self.curve.exchange(X25519PublicKey.from_public_bytes(curve))
        agreed += curve + self.curve.public_key().public_bytes_raw()
        shared = hashlib.sha3_256(agreed + bytes.fromhex("5c2e2f2f5e5c")).digest()
        suite = b"HPKE" + bytes.fromhex("647a 0001 0002")

        def extract(salt: bytes, label: bytes, key: bytes) -> bytes:
            return hmac.digest(salt, b"HPKE-v1" + suite + label + key, "sha256")

        def labelled(key: bytes, label: bytes, context: bytes, length: int) -> bytes:
            return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context, length)

        context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
        secret = extract(shared, b"secret", b"")
        key, nonce = labelled(secret, b"key", context, 32), labelled(secret, b"base_nonce", context, 12)
        return AESGCM(key).decrypt(nonce, box, b"")


@pytest.mark.parametrize("sealed", [False, True], ids=["open", "sealed"])
def test_a_reader_written_from_the_document_reads_all(tmp_path: Path, sealed: bool) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path) if sealed else World(tmp_path)
        await world.fill()
        world.repository().add_key(Passphrase(b"two words"), "home", 7)
        for path in (tmp_path / "backup" / "keys").iterdir():
            if b"passphrase" not in path.read_bytes():
                path.unlink()
        large = message(9, random.Random(1).randbytes(900_000).hex())
        _, ids = await put(world.ann, "INBOX", message(1), message(2), large, flags=Flags.of(["\\Seen", "$A"]))
        await put(world.ann, "Größe", message(3))
        await put(world.bob, "INBOX", large)
        done = await taken(world)
        await world.ann.store_flags(1, ((2, 2),), FlagMode.REPLACE, Flags.of(["\\Flagged"]))
        await world.ann.expunge(1, ((1, 1),), deleted_only=False)
        done = await taken(world)
        reader = (SealedReader if sealed else Reader)(tmp_path / "backup", b"two words")
        assert reader.account("ann@example.com") == {
            "INBOX": [(2, ids[1], 4, "", message(2)), (3, ids[2], 1, "$A", large)],
            "Größe": [(1, reader.account("ann@example.com")["Größe"][0][1], 0, "", message(3))],
        }
        assert [row[4] for row in reader.account("bob@example.com")["INBOX"]] == [large]
        snapshot = reader.newest()
        assert (snapshot[1], snapshot[8:11]) == (done.snapshot.data.at, [2, 4, done.snapshot.data.octets])
        assert reader.object(snapshot[7][0][1], b"f") == b"x"
        assert [one[0] for one in reader.array(snapshot[5], b"d")[0]] == ["example.com"]
        people = [one for page in snapshot[6] for one in reader.array(page, b"u")[0]]
        assert [(one[1], one[17][0][3]) for one in people] == [
            ("ann@example.com", "$argon2id$x"),
            ("bob@example.com", "$argon2id$x"),
        ]
        descriptor = (tmp_path / "backup" / "repository.json").read_bytes()
        form = rb'(\{"restante_backup":[12],"repository":"[0-9a-f]{32}","code":")([^"]+)("\})\n'
        found = re.fullmatch(form, descriptor)
        assert found is not None
        code = hmac.digest(reader.descriptor, found[1] + found[3], "sha256")
        assert base64.b64decode(found[2]) == code
        for path in (tmp_path / "backup" / "index").iterdir():
            index = reader.content(path, b"I")
            packs, records = msgspec.msgpack.decode(frame(index[8:], number(index[:8])))
            assert all(
                (tmp_path / "backup" / ("mail" if one[1] else "meta") / one[0][:2] / one[0]).exists() for one in packs
            )
            assert {records[at : at + 32] for at in range(0, len(records), 49)} <= set(reader.objects)
        at, expected = reader.written()
        assert list(at.values()) == [snapshot[1]] * 2
        folders = [tmp_path / "backup" / name for name in (("mail", "meta") if sealed else ()) + ("snapshots",)]
        here = [path.relative_to(tmp_path / "backup") for folder in folders for path in folder.rglob("*")]
        assert {path.as_posix() for path in here if len(path.name) > 2} == expected
        await world.engine.close()

    play(scene())


async def taken(world: World) -> Any:
    if isinstance(world, SealedWorld):
        return await world.tonight()
    return await world.take(repository=Repository.open(world.location, Passphrase(b"two words"), system_random))
