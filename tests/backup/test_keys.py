"""Who can open a backup: passphrases and key files, several at once, and nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from restante.backup import ahead, keys, names
from restante.backup.errors import BackupRefusal, Corrupt, NewerFormat, NoMemory, NoRepository, NotEmpty, WrongKey
from restante.backup.folder import Folder
from restante.backup.keys import KeyFile, Passphrase, make_key_file, parse_key_file, parse_passphrase
from restante.backup.repository import Repository
from restante.backup.slots import kept_slots
from restante.clock import system_random


def counted(octets: int) -> bytes:
    return bytes(range(octets))


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MEMORY", 64)
    monkeypatch.setattr(keys, "PASSES", 1)


def test_the_parameters_are_rfc_9106s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert (keys.MEMORY, keys.PASSES, keys.LANES) == (64 << 10, 3, 4)


def test_each_key_opens_and_no_other(tmp_path: Path) -> None:
    place = Folder(tmp_path / "b", system_random)
    made = Repository.init(place, Passphrase(b"first"), "first", 1, system_random)
    secret, text = make_key_file(system_random)
    second = made.add_key(secret, "file", 2)
    for opens in (Passphrase(b"first"), secret, parse_key_file(text)):
        assert Repository.open(place, opens, system_random).secrets == made.secrets
    for wrong in (Passphrase(b"First"), Passphrase(b"first "), KeyFile(bytes(32))):
        with pytest.raises(WrongKey):
            Repository.open(place, wrong, system_random)
    assert [kept.slot.label for kept in sorted(kept_slots(place), key=lambda one: one.slot.created)] == [
        "first",
        "file",
    ]
    first = next(kept.name for kept in kept_slots(place) if kept.name != second)
    made.remove_key(first)
    with pytest.raises(WrongKey):
        Repository.open(place, Passphrase(b"first"), system_random)
    with pytest.raises(NotEmpty):
        made.remove_key(second)
    with pytest.raises(NoRepository):
        made.remove_key("0" * 32)


def test_no_slot_of_another_backup_counts_as_the_one_that_is_left(tmp_path: Path) -> None:
    """Somebody has copied it there: it opens nothing of this one. It may be removed itself."""
    place = Folder(tmp_path / "b", system_random)
    made = Repository.init(place, KeyFile(bytes(32)), "first", 1, system_random)
    (first,) = kept_slots(place)
    other = Repository.init(Folder(tmp_path / "o", system_random), KeyFile(bytes(32)), "other", 2, system_random)
    (strange,) = kept_slots(other.location)
    for file in names.slots(strange.name):
        place.put(file, other.location.get(file))
    with pytest.raises(NotEmpty):
        made.remove_key(first.name)
    made.remove_key(strange.name)
    assert [kept.name for kept in kept_slots(place)] == [first.name]


def test_a_slot_that_asks_for_more_than_there_is_keeps_no_other_from_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has added it, newer than the one that opens."""
    place = Folder(tmp_path / "b", system_random)
    made = Repository.init(place, Passphrase(b"first"), "first", 1, system_random)
    (first,) = kept_slots(place)
    costly = keys.encode_slot(msgspec.structs.replace(first.slot, created=9, memory=4 << 20, passes=100))
    tried: list[int] = []

    def derive(**asked: Any) -> Any:
        tried.append(asked["memory_cost"])
        if asked["memory_cost"] > 64:
            raise MemoryError
        return right(**asked)

    right = Argon2id
    monkeypatch.setattr(keys, "Argon2id", derive)
    for file in names.slots(keys.slot_name(costly)):
        place.put(file, costly)
    assert Repository.open(place, Passphrase(b"first"), system_random).secrets == made.secrets
    assert tried == [64], "what costs least is tried first"
    assert [slot["created"] for slot in ahead.slots(str(tmp_path / "b"), "passphrase")] == [1, 9]
    with pytest.raises(NoMemory, match="4096 MiB"):
        Repository.open(place, Passphrase(b"other"), system_random)


def test_two_who_remove_each_the_others_key_leave_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Folder(tmp_path / "b", system_random)
    made = Repository.init(place, KeyFile(bytes(32)), "first", 1, system_random)
    secret, _ = make_key_file(system_random)
    second = made.add_key(secret, "second", 2)
    (first,) = [kept.name for kept in kept_slots(place) if kept.name != second]
    looked = Repository.removable_key

    def meanwhile(self: Repository, name: str) -> object:
        found = looked(self, name)
        monkeypatch.undo()
        made.remove_key(second)
        return found

    monkeypatch.setattr(Repository, "removable_key", meanwhile)
    with pytest.raises(NotEmpty):
        made.remove_key(first)
    assert [kept.name for kept in kept_slots(place)] == [first]
    assert set(names.slots(first)) <= {name for name, _ in place.names("")}, "both copies"
    assert Repository.open(place, KeyFile(bytes(32)), system_random).secrets == made.secrets


def test_a_repository_is_made_in_an_empty_place_alone(tmp_path: Path) -> None:
    place = Folder(tmp_path / "b", system_random)
    with pytest.raises(NoRepository):
        Repository.open(place, Passphrase(b"x"), system_random)
    Repository.init(place, Passphrase(b"x"), "", 1, system_random)
    with pytest.raises(NotEmpty):
        Repository.init(place, Passphrase(b"x"), "", 1, system_random)


def test_a_slot_is_bound_to_all_that_it_says() -> None:
    slot = keys.make_slot(b"r" * 32, Passphrase(b"x"), "00" * 16, "label", 1, system_random)
    assert keys.open_slot(slot, Passphrase(b"x")) == b"r" * 32
    for change in ({"label": "other"}, {"created": 2}, {"repository": "11" * 16}, {"passes": 2}, {"nonce": bytes(12)}):
        assert keys.open_slot(msgspec.structs.replace(slot, **change), Passphrase(b"x")) is None
    assert keys.open_slot(slot, KeyFile(b"x" * 32)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"memory": 1 << 40},
        {"passes": 10**6},
        {"lanes": 1000},
        {"passes": 0},
        {"memory": 1},
        {"nonce": b""},
        {"salt": b""},
    ],
)
def test_a_slot_cannot_ask_for_what_no_machine_has(change: dict[str, object]) -> None:
    slot = keys.make_slot(b"r" * 32, Passphrase(b"x"), "00" * 16, "label", 1, system_random)
    with pytest.raises(Corrupt):
        keys.decode_slot(keys.encode_slot(msgspec.structs.replace(slot, **change)))


def test_a_newer_slot_is_told_from_a_broken_one(tmp_path: Path) -> None:
    slot = keys.make_slot(b"r" * 32, Passphrase(b"x"), "00" * 16, "label", 1, system_random)
    data = keys.encode_slot(msgspec.structs.replace(slot, restante_backup_key=3))
    place = Folder(tmp_path, system_random)
    place.put(f"keys/{keys.slot_name(data)}-1", data)
    with pytest.raises(NewerFormat):
        Repository.open(place, Passphrase(b"x"), system_random)


def test_a_label_is_one_short_line() -> None:
    for label in ("two\nlines", "x" * 101):
        with pytest.raises(BackupRefusal):
            keys.make_slot(b"r" * 32, Passphrase(b"x"), "", label, 1, system_random)


def test_files_of_secrets_are_read_as_people_write_them() -> None:
    assert parse_passphrase(b"two words\r\nmore\n") == parse_passphrase(b"two words") == Passphrase(b"two words")
    for empty in (b"", b"\n", b"\nsecond line"):
        with pytest.raises(BackupRefusal):
            parse_passphrase(empty)
    secret, text = make_key_file(counted)
    assert text == "restante-backup-key-1:aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq\n"
    assert parse_key_file(text.strip()) == secret == KeyFile(bytes(range(32)))
    for wrong in ("", "restante-backup-key-1:", text.replace("a", "1"), "x" + text):
        with pytest.raises(BackupRefusal):
            parse_key_file(wrong)
