"""Forgetting one snapshot by its id: one that somebody forged, where the location keeps what it has, too."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from restante.backup import names, objects
from restante.backup.choose import name_of, snapshot_of
from restante.backup.errors import AppendOnly, Corrupt, NeedsPrivateKey, NoRepository, NotEmpty
from restante.backup.prune import GRACE, forget, prune
from restante.backup.repository import Repository
from restante.backup.retention import Keep
from restante.backup.verify import verify
from restante.cli.main import restante
from restante.cli.statuses import Exit
from restante.clock import system_random

from .sealing import SealedWorld
from .stepped import Memory
from .support import KEY, World, message, play, put

NOW = 1_800_000_000
ALL = Keep(last=99)


class Keeping(Memory):
    """An append-only location: what is locked stays, also of who may remove."""

    append_only = True

    def __init__(self) -> None:
        super().__init__()
        self.locked: set[str] = set()

    def remove(self, name: str) -> None:
        if not self.removes or name in self.locked:
            raise AppendOnly(f"{name} stays.")
        super().remove(name)

    def arrived(self, name: str) -> float | None:
        return 0.0


def forged(world: World, serial: int) -> str:
    """A snapshot of a thief who has the server's key: of no mail, with a date and a number of his choice."""
    repository = world.repository()
    latest = repository.latest()
    assert latest is not None
    data = msgspec.structs.replace(latest.data, at=1, pages=(), persons=(), files=(), serial=serial)
    return repository.put_file(names.SNAPSHOTS, objects.encode(data), f"{serial:010x}-", twice=True)


def test_one_snapshot_is_forgotten_and_what_it_alone_needs_goes(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1, "x" * 40_000))
        first = (await world.take()).snapshot
        await world.ann.expunge(1, None, deleted_only=False)
        await put(world.ann, "INBOX", message(2))
        await world.take(full=True)
        assert name_of(world.repository(), first.id) == first.name
        assert forget(world.repository(), first.name)
        assert first.name not in world.repository().snapshot_names()
        assert verify(world.repository(), NOW, everything=True).right, "it is not missed"
        assert prune(world.repository(), ALL, NOW).condemned > 0
        assert prune(world.repository(), ALL, NOW + GRACE).removed > 0
        with pytest.raises(NoRepository):
            name_of(world.repository(), first.id)
        with pytest.raises(NotEmpty):
            forget(world.repository(), world.repository().snapshot_names()[0])
        await world.engine.close()

    play(scene())


def test_one_that_cannot_be_read_is_forgotten_too(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        first = (await world.take()).snapshot
        await put(world.ann, "INBOX", message(2))
        await world.take()
        for name in (first.name, names.twin(first.name)):
            path = tmp_path / "backup" / name
            path.write_bytes(path.read_bytes()[:-1])
        assert not verify(world.repository(), NOW, everything=True).right
        assert forget(world.repository(), name_of(world.repository(), first.id))
        assert verify(world.repository(), NOW, everything=True).right
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("locked", [False, True])
def test_a_forged_snapshot_at_an_append_only_location(tmp_path: Path, locked: bool) -> None:
    """With the last of all numbers, so that no run could take another."""

    async def scene() -> None:
        place = Keeping()
        world = World(tmp_path, place)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        base = (await world.take()).snapshot.name
        name = forged(world, names.LAST_SERIAL)
        with pytest.raises(Corrupt, match="forged"):
            await world.take()
        place.removes = False
        with pytest.raises(AppendOnly):
            forget(world.repository(), name)
        place.removes = True
        if locked:
            place.locked |= {name, names.twin(name)}
        assert forget(world.repository(), name) is not locked
        assert (name in world.repository().snapshot_names()) is locked
        basis = world.repository().basis()
        assert basis is not None
        assert basis.name == base, "no run goes on from it"
        await put(world.ann, "INBOX", message(2))
        done = await world.take()
        assert names.snapshot_serial(done.snapshot.name) == 2
        assert verify(world.repository(), NOW, everything=True).right
        place.locked.clear()
        assert forget(world.repository(), name), "said again when the lock has ended"
        assert name not in world.repository().snapshot_names()
        assert verify(world.repository(), NOW, everything=True).right
        await world.engine.close()

    play(scene())


def test_of_a_sealed_backup_it_needs_the_private_key(tmp_path: Path) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        first = (await world.tonight()).snapshot.name
        await put(world.ann, "INBOX", message(1))
        await world.tonight()
        with pytest.raises(NeedsPrivateKey):
            forget(world.writer(), first)
        assert forget(world.repository(), first)
        assert verify(world.writer(), NOW, everything=True).right
        await world.engine.close()

    play(scene())


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("three random words\n")
    at = ("--location", str(tmp_path / "place"), "--passphrase-file", str(tmp_path / "key"))
    data = ("--data", str(tmp_path / "data"))

    def command(*args: str, status: int = 0) -> str:
        result = CliRunner().invoke(restante, [*args])
        assert result.exit_code == status, (result.output, result.exception)
        return result.output

    command("backup", "init", str(tmp_path / "place"), *at[2:])
    command(*data, "domain", "add", "example.com")
    ids = []
    for _ in range(2):
        ids.append(command(*data, "backup", "run", str(tmp_path / "place"), *at[2:]).split()[1].rstrip(":"))
    assert "nobody to ask" in command("backup", "forget", ids[0], *at, status=1)
    assert f"Forgot {ids[0]} of " in command("backup", "forget", ids[0], *at, "--yes")
    assert ids[0] not in command("backup", "list", str(tmp_path / "place"), *at[2:])
    assert "only snapshot" in command("backup", "forget", ids[1], *at, "--yes", status=1)
    command("backup", "forget", ids[0], *at, "--yes", status=Exit.NOT_FOUND)
    command("backup", "verify", str(tmp_path / "place"), *at[2:], "--all")


def test_a_pack_is_asked_for_its_head_once(tmp_path: Path) -> None:
    """A restore of many blocks: a request for some blocks and one a pack, not two a block; no block twice."""

    async def scene() -> None:
        place = Memory()
        world = World(tmp_path, place)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n, system_random(45_000).hex()) for n in range(60)))
        snapshot = (await world.take()).snapshot
        asked: list[tuple[str, int]] = []
        octets = [0]

        class Counting(Memory):
            def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
                asked.append((name, offset))
                found = place.get(name, offset, count)
                octets[0] += len(found) if name.startswith("mail/") else 0
                return found

        world.location = counting = Counting()
        counting.objects = place.objects
        engine, done = await world.give(snapshot, tmp_path / "new")
        assert (done.messages, done.lost) == (60, [])
        mail = [one for one in asked if one[0].startswith("mail/")]
        blocks = {one for one in mail if one[1]}
        assert 2 <= len(blocks) <= 6
        assert octets[0] <= sum(len(data) for name, data in place.objects.items() if name.startswith("mail/"))
        assert len(mail) == len(blocks) + len({name for name, _ in mail})
        await engine.close()
        await world.engine.close()

    play(scene())


def test_a_head_that_was_put_right_is_read_again(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await world.take()
        (pack,) = [path for path in (tmp_path / "backup" / "mail").rglob("*") if path.is_file()]
        whole = pack.read_bytes()
        pack.write_bytes(whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])
        repository = Repository.open(world.location, KEY, system_random)
        digest = sha256(message(1)).digest()
        with pytest.raises(Corrupt):
            repository.message(digest)
        pack.write_bytes(whole)
        assert repository.message(digest) == message(1)
        await world.engine.close()

    play(scene())


def copied(world: World, name: str, serial: int) -> str:
    """An old snapshot's files under a new number, as whoever can add files can put them there without any key."""
    copy = f"{names.SNAPSHOTS}/{serial:010x}-{names.sha_of(name)}"
    for here, there in ((name, copy), (names.twin(name), names.twin(copy))):
        world.location.put(there, world.location.get(here))
    return copy


def test_an_old_snapshot_under_a_new_number_is_not_the_newest(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        first = (await world.take()).snapshot
        await put(world.ann, "INBOX", message(1))
        second = (await world.take()).snapshot
        copy = copied(world, first.name, 9)
        assert snapshot_of(world.repository(), "latest").name == second.name
        assert snapshot_of(world.repository(), first.id).name == first.name
        found = verify(world.repository(), NOW, everything=True)
        assert [each.error.name for each in found.broken] == [copy]
        assert (await world.take()).messages == 0, "the run goes on from the newest"
        assert name_of(world.repository(), first.id) == copy
        assert forget(world.repository(), copy)
        assert verify(world.repository(), NOW, everything=True).right
        assert snapshot_of(world.repository(), first.id).name == first.name
        await world.engine.close()

    play(scene())


def test_who_cannot_read_a_sealed_backup_is_told_of_a_copy_under_a_new_number(tmp_path: Path) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        first = (await world.tonight()).snapshot
        await put(world.ann, "INBOX", message(1))
        await world.tonight()
        assert verify(world.writer(), NOW, everything=True).right
        copy = copied(world, first.name, 9)
        found = verify(world.writer(), NOW, everything=True)
        assert [each.name for each in found.damages] == [copy, names.twin(copy)]
        await world.engine.close()

    play(scene())
