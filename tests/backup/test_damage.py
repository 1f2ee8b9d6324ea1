"""Flipped bits and missing files anywhere in a repository: `verify` finds each, names the messages that it touches, and
everything else can still be restored."""

from __future__ import annotations

import errno
import os
import random
import shutil
import stat
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from restante.backup.choose import snapshot_of
from restante.backup.crypto import file_name
from restante.backup.errors import AppendOnly, Corrupt, LocationFailed, NewerFormat, NoRepository
from restante.backup.folder import Folder
from restante.backup.index import Spot
from restante.backup.look import LOOK, Looking
from restante.backup.names import SNAPSHOTS, shown
from restante.backup.objects import Kind, encode
from restante.backup.prune import CannotPrune, prune
from restante.backup.repository import Repository
from restante.backup.retention import Keep
from restante.backup.run import run
from restante.backup.verify import Verified, _stamps, verify
from restante.clock import system_random
from restante.store.model import FlagMode, Flags

from .support import ANN, World, message, play, put, state

NOW = 1_800_000_000


async def made(folder: Path) -> World:
    """A repository with a file of every kind, two snapshots, and messages in several blocks."""
    world = World(folder)
    await world.fill()
    big = [message(n, random.Random(n).randbytes(300_000).hex()) for n in range(8)]
    await put(world.ann, "INBOX", *big)
    await put(world.ann, "Small", *(message(n) for n in range(100, 110)))
    await world.take()
    await put(world.bob, "INBOX", message(200), message(201))
    await world.ann.store_flags(1, ((1, 3),), FlagMode.ADD, Flags.of(["\\Seen"]))
    await world.take()
    prune(world.repository(), Keep(last=9), NOW)
    assert verify(world.repository(), NOW, everything=False).right
    return world


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    folder = tmp_path_factory.mktemp("pristine")
    world = play(made(folder))
    play(world.engine.close())
    return world, folder / "backup"


def copied(pristine: tuple[World, Path], tmp_path: Path) -> tuple[World, Path]:
    """The world with a repository of its own."""
    world, kept = pristine
    shutil.copytree(kept, tmp_path / "backup")
    world.location = Folder(tmp_path / "backup", system_random)
    return world, tmp_path / "backup"


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def checked(world: World) -> Verified:
    return verify(world.repository(), NOW, everything=True)


def restorable(world: World, tmp_path: Path, lost: set[tuple[str, int]]) -> None:
    """All but `lost` (mailbox, UID) comes back, from both snapshots; what does not is named."""
    repository = world.repository()
    for number, snapshot in enumerate(repository.snapshots()):

        async def look(snapshot: object = snapshot, number: int = number) -> None:
            engine, done = await world.give(snapshot, tmp_path / f"restored-{number}")  # type: ignore[arg-type]  # of this loop
            try:
                assert {(each.mailbox, each.uid) for each in done.lost} == lost
                whole = await state(engine.account(ANN))
                assert len(str(whole)) > 100
                kept = {(box, row[0]) for box in ("INBOX", "Small") for row in whole[box][2]}  # type: ignore[index]  # see `state`
                every = {("INBOX", uid) for uid in range(1, 9)} | {("Small", uid) for uid in range(1, 11)}
                assert kept == every - lost
            finally:
                await engine.close()

        play(look())


def test_the_fixture_has_every_kind_of_file(pristine: tuple[World, Path]) -> None:
    kinds = {name.split("/")[0] for name in files(pristine[1])}
    assert kinds == {"repository.json", "keys", "mail", "meta", "index", "snapshots", "twin", "read", "written"}


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_anywhere_is_found_and_touches_what_is_named(
    pristine: tuple[World, Path], tmp_path: Path, seed: int
) -> None:
    world, root = copied(pristine, tmp_path)
    chance = random.Random(seed)
    names = [name for name in files(root) if not name.startswith("read/")]
    for name in names:
        path = root / name
        whole = path.read_bytes()
        at = chance.randrange(len(whole)) if seed else len(whole) - 1
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
        found = checked(world)
        assert not found.right, (name, at)
        assert name in {each.name for each in found.damages}, (name, at)
        touched = {(each.mailbox, each.uid) for each in found.touched if each.address == "ann@example.com"}
        if not name.startswith("mail/"):
            assert all(each.spare for each in found.damages), name
            assert not found.broken
            assert not found.touched
        if seed < 2:
            others = {("INBOX", each.uid) for each in found.touched if each.address == "bob@example.com"}
            assert not (touched and others)
            target = tmp_path / f"{seed}-{names.index(name)}"
            if not others:
                restorable(world, target, touched)
                shutil.rmtree(target, ignore_errors=True)
        path.write_bytes(whole)
    assert checked(world).right, "all is as it was"


def test_a_flipped_bit_in_what_tells_a_files_version_is_damage_too(
    pristine: tuple[World, Path], tmp_path: Path
) -> None:
    """No newer program has written it: its name is made of other octets."""
    world, root = copied(pristine, tmp_path)
    tried = set()
    for number, name in enumerate(each for each in files(root) if "." not in each and not each.startswith("read/")):
        path = root / name
        whole = path.read_bytes()
        path.write_bytes(whole[:7] + bytes([whole[7] ^ 2]) + whole[8:])
        found = checked(world)
        assert name in {each.name for each in found.damages}
        touched = {(each.mailbox, each.uid) for each in found.touched if each.address == "ann@example.com"}
        if name.startswith("mail/"):
            assert found.touched
        else:
            assert all(each.spare for each in found.damages)
            assert not found.touched
        if all(each.address == "ann@example.com" for each in found.touched):
            restorable(world, tmp_path / str(number), touched)
        tried.add(name.split("/")[0])
        path.write_bytes(whole)
    assert tried >= {"keys", "mail", "meta", "index", "snapshots", "twin", "written"}
    assert checked(world).right
    for folder in ("mail", "meta", "snapshots"):
        path = next(each for each in sorted((root / folder).rglob("*")) if each.is_file())
        newer = path.read_bytes()[:7] + b"9" + path.read_bytes()[8:]
        other = path.with_name(path.name.replace(file_name(path.read_bytes()), file_name(newer)))
        other.write_bytes(newer)
        with pytest.raises(NewerFormat):  # which we do not know
            checked(world)
        other.unlink()


def test_a_damaged_list_of_what_was_read_is_found_and_made_anew(pristine: tuple[World, Path], tmp_path: Path) -> None:
    world, root = copied(pristine, tmp_path)
    (path,) = (root / "read").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert [each.name for each in checked(world).damages] == [f"read/{path.name}"]
    assert checked(world).right


def test_a_missing_file_is_found_and_touches_what_is_named(pristine: tuple[World, Path], tmp_path: Path) -> None:
    world, root = copied(pristine, tmp_path)
    for name in files(root):
        if name.startswith(("read/", "index/", "written/")):
            continue  # what they say is made anew from the packs, or of no use to a restore
        whole = (root / name).read_bytes()
        (root / name).unlink()
        found = checked(world)
        assert name in {each.name for each in found.damages}, name
        assert bool(found.touched) == name.startswith("mail/"), name
        (root / name).write_bytes(whole)
    assert checked(world).right


def test_where_the_location_does_not_answer_nothing_is_missing(pristine: tuple[World, Path], tmp_path: Path) -> None:
    """The index is lost, and the packs cannot be read just now: the next one who asks finds all there is."""
    world, root = copied(pristine, tmp_path)
    shutil.rmtree(root / "index")
    repository = world.repository()
    (snapshot, *_) = repository.snapshots()

    def silent(*args: object) -> bytes:
        raise LocationFailed("It does not answer.")

    for read in (
        lambda: repository.get(snapshot.data.common, Kind.COMMON),
        repository.trust_packs_alone,
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(repository.location, "get", silent)
            with pytest.raises(LocationFailed):
                read()
        assert repository.get(snapshot.data.common, Kind.COMMON)
        repository.forget_index()


def test_who_asks_while_another_reads_the_packs_waits_for_him(pristine: tuple[World, Path], tmp_path: Path) -> None:
    """The index is lost, and two threads come: what the second one asks for is not missing."""
    world, root = copied(pristine, tmp_path)
    shutil.rmtree(root / "index")
    repository = world.repository()
    (snapshot, *_) = repository.snapshots()
    reading, goes_on = threading.Event(), threading.Event()
    get = repository.location.get

    def slow(name: str, offset: int = 0, count: int | None = None) -> bytes:
        if name.startswith("m"):
            reading.set()
            assert goes_on.wait(60)
        return get(name, offset, count)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(repository.location, "get", slow)
        first = pool.submit(repository.find, snapshot.data.common)
        assert reading.wait(60)
        second = pool.submit(repository.find, snapshot.data.persons[0])
        try:
            with pytest.raises(TimeoutError):
                second.result(0.05)
        finally:
            goes_on.set()
        assert first.result(60) is not None
        assert second.result(60) is not None


STRANGE = ("desktop.ini", "Thumbs.db", "a (conflicted copy)", "Größe", "x y", "\udcff\udcfe", "a\x1bb")
"""What file managers and programs that copy leave behind."""


def test_what_others_leave_there_stops_nothing_and_stays(pristine: tuple[World, Path], tmp_path: Path) -> None:
    world, root = copied(pristine, tmp_path)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir() and path.name != ".tmp"), root / "condemned"]
    for folder in folders:
        folder.mkdir(exist_ok=True)
        for name in STRANGE:
            (folder / name).write_bytes(b"from elsewhere")
    strangers = {path for path in root.rglob("*") if path.name in STRANGE}
    repository = world.repository()
    assert len(repository.snapshots()) == 2
    assert repository.find(repository.message_id(bytes(32))) is None
    found = verify(repository, NOW, everything=True, mending=True)
    told = {each.name for each in found.damages}
    assert told == {shown(path.relative_to(root).as_posix()) for path in strangers}
    assert all(each.isprintable() for each in told)
    assert not [*found.single, *found.mended, *found.broken, *found.touched]

    async def night() -> None:
        engine = world.open(world.folder / "data")
        try:
            done = await run(engine, world.repository(), world.clock, "host", {})
            assert not done.put_back
        finally:
            await engine.close()

    play(night())
    done = prune(world.repository(), Keep(daily=1, weekly=0, monthly=0), NOW)
    assert len(done.forgotten) == 2
    assert all(path.exists() for path in strangers)
    assert [each.id for each in world.repository().snapshots()] == [each.id for each in done.kept]


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder"])
def test_what_is_no_file_is_not_waited_for(pristine: tuple[World, Path], tmp_path: Path, kind: str) -> None:
    """Somebody has put it there under a name of ours: who opens a pipe to read it waits for who writes, for ever."""
    world, root = copied(pristine, tmp_path)
    path = root / "index" / ("0" * 64)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            os.mknod(path, stat.S_IFSOCK | 0o600)
        case _:
            path.mkdir()
    found = checked(world)
    assert [each.name for each in found.damages] == ([f"index/{path.name}"] if kind != "folder" else [])
    assert not found.broken
    assert not found.touched
    assert world.repository().latest() is not None


def test_a_file_that_the_disk_does_not_give_back_is_damaged_and_no_more(
    pristine: tuple[World, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sector that cannot be read: whoever reads the file hears of an error of the disk, not of wrong octets."""
    world, root = copied(pristine, tmp_path)
    bad: set[int] = set()
    pread = os.pread

    def failing(number: int, count: int, offset: int) -> bytes:
        if os.fstat(number).st_ino in bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(number, count, offset)

    monkeypatch.setattr(os, "pread", failing)
    for kind in ("mail", "meta", "index", "snapshots", "keys", "written"):
        name = next(name for name in files(root) if name.startswith(f"{kind}/"))
        bad.add((root / name).stat().st_ino)
        found = checked(world)
        assert [each.name for each in found.damages] == [name]
        assert "Input/output error" in found.damages[0].text
        touched = {(each.mailbox, each.uid) for each in found.touched if each.address == "ann@example.com"}
        assert bool(found.touched) == (kind == "mail")
        if not any(each.address == "bob@example.com" for each in found.touched):
            restorable(world, tmp_path / kind, touched)
        bad.clear()
    twins = [path for path in root.rglob("*") if path.is_file() and "snapshots" in path.parts]
    bad.update(path.stat().st_ino for path in twins)
    found = verify(world.repository(), NOW, everything=True, mending=True)
    assert len(found.damages) == len(twins)
    assert not found.mended, "neither copy can be read"
    bad.clear()
    bad.update(path.stat().st_ino for path in root.rglob("*"))
    with pytest.raises(LocationFailed):
        verify(world.repository(), NOW, everything=True)


def test_what_is_damaged_is_not_taken_for_nothing(pristine: tuple[World, Path], tmp_path: Path) -> None:
    """Who is told that there is nothing makes a new one, or gives up."""
    world, root = copied(pristine, tmp_path)
    repository = world.repository()
    ids = [each.id for each in repository.snapshots()]
    for path in [*root.glob("snapshots/*"), *root.glob("twin/snapshots/*")]:
        path.write_bytes(b"")
    for wanted in ("latest", "2030-01-01", ids[0]):
        with pytest.raises(Corrupt, match="2 cannot: "):
            snapshot_of(repository, wanted)
    for path in root.glob("keys/*"):
        path.write_bytes(b"{}")
    with pytest.raises(NoRepository, match="none of its keys"):
        world.repository()
    shutil.rmtree(root)
    with pytest.raises(NoRepository, match="no backup at this location"):
        world.repository()


def test_that_the_newest_snapshot_is_gone_is_told_until_there_is_another(
    pristine: tuple[World, Path], tmp_path: Path
) -> None:
    """Both of its files, in a backup of earlier programs: nothing else names it, but for what was noted when it was
    read back."""
    world, root = copied(pristine, tmp_path)
    shutil.rmtree(root / "written")
    assert checked(world).right
    *_, newest = sorted((root / "snapshots").iterdir())
    last = world.repository().latest()
    assert last is not None
    for place in (newest, root / "twin" / "snapshots" / newest.name):
        place.unlink()
    for _ in range(2):
        assert [each.name for each in checked(world).damages] == [f"snapshots/{newest.name}"]
    another = encode(msgspec.structs.replace(last.data, serial=2**20))
    world.repository().put_file(SNAPSHOTS, another, f"{2**20:010x}-", twice=True)
    assert checked(world).right
    assert checked(world).right


@pytest.mark.parametrize("octets", [None, b""], ids=["gone", "damaged"])
def test_one_file_of_an_index_that_was_cut_is_read_from_the_packs(
    pristine: tuple[World, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, octets: bytes | None
) -> None:
    """Each of them names all packs: that one is known does not say that all of it is."""
    world, root = copied(pristine, tmp_path)
    monkeypatch.setattr("restante.backup.prune.RECORDS", 8)
    monkeypatch.setattr("restante.backup.prune.MANY_INDEXES", -1_000)
    prune(world.repository(), Keep(last=9), NOW)
    cut = sorted(root.glob("index/*"))
    assert len(cut) > 2
    packs = {path.name for folder in ("mail", "meta") for path in (root / folder).glob("*/*")}
    for path in cut:
        whole = path.read_bytes()
        path.unlink()
        if octets is not None:
            path.write_bytes(octets)
        assert world.repository().index.torn == packs
        restorable(world, tmp_path / path.name[:8], set())
        assert not checked(world).broken
        path.write_bytes(whole)
    cut[0].unlink()
    monkeypatch.setattr("restante.backup.prune.MANY_INDEXES", 1_000)
    done = prune(world.repository(), Keep(last=9), NOW)
    assert (done.condemned, done.written) == (0, 0), "what that file told of is needed as before"
    assert world.repository().index.torn == set(), "made whole again"
    assert packs == {path.name for folder in ("mail", "meta") for path in (root / folder).glob("*/*")}
    restorable(world, tmp_path / "after", set())
    (root / "index" / sorted(path.name for path in root.glob("index/*"))[0]).unlink()
    path = next(root.glob("mail/*/*"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CannotPrune, match=path.name):
        prune(world.repository(), Keep(last=9), NOW)


def test_without_any_index_all_is_found_in_the_packs(pristine: tuple[World, Path], tmp_path: Path) -> None:
    world, root = copied(pristine, tmp_path)
    shutil.rmtree(root / "index")
    assert checked(world).right
    restorable(world, tmp_path, set())


def test_mending_gives_up_no_snapshot_for_what_others_left_among_them(
    pristine: tuple[World, Path], tmp_path: Path
) -> None:
    world, root = copied(pristine, tmp_path)
    (root / "snapshots" / "Thumbs.db").write_bytes(b"from elsewhere")
    found = verify(world.repository(), NOW, everything=True, mending=True)
    assert ([each.name for each in found.damages], found.mended) == (["snapshots/Thumbs.db"], [])


@pytest.mark.parametrize("folder", ["meta", "snapshots", "keys"])
def test_what_is_damaged_in_both_places_is_said_to_be_kept_in_none(
    pristine: tuple[World, Path], tmp_path: Path, folder: str
) -> None:
    world, root = copied(pristine, tmp_path)
    repository = world.repository()
    first = sorted(path for path in root.glob(f"{folder}/**/*") if path.is_file())[0]
    twin = first.with_name(first.name[:-1] + "2") if folder == "keys" else root / "twin" / first.relative_to(root)
    first.write_bytes(b"damaged")
    found = verify(repository, NOW, everything=True)
    assert [each.spare for each in found.damages] == [True]
    twin.write_bytes(b"damaged")
    found = verify(repository, NOW, everything=True)
    assert [each.spare for each in found.damages] == [False, False]


def test_prune_makes_an_index_again_that_was_lost(pristine: tuple[World, Path], tmp_path: Path) -> None:
    """Else every run and restore from then on would read what is in each pack."""
    world, root = copied(pristine, tmp_path)
    for path in root.glob("index/*"):
        path.write_bytes(b"damaged")
    assert verify(world.repository(), NOW, everything=True, mending=True).mended
    packs = {path.name for folder in ("mail", "meta") for path in (root / folder).glob("*/*")}
    assert world.repository().index.packs.keys() == set()
    prune(world.repository(), Keep(last=9), NOW)
    assert world.repository().index.packs.keys() == packs
    assert not world.repository().index_packs().packs
    restorable(world, tmp_path / "after", set())


def test_messages_of_a_block_that_is_damaged_are_named_with_their_snapshots(
    pristine: tuple[World, Path], tmp_path: Path
) -> None:
    world, root = copied(pristine, tmp_path)
    largest = max((root / "mail").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    data = bytearray(largest.read_bytes())
    data[100] ^= 4  # in the first block
    largest.write_bytes(data)
    found = checked(world)
    assert found.touched
    assert {each.address for each in found.touched} == {"ann@example.com"}
    assert {len(each.snapshots) for each in found.touched} == {2}
    assert 0 < len(found.touched) < 18, "the other blocks are whole"
    restorable(world, tmp_path, {(each.mailbox, each.uid) for each in found.touched})


def test_a_share_reads_all_within_thirty_nights(pristine: tuple[World, Path], tmp_path: Path) -> None:
    world, root = copied(pristine, tmp_path)
    for path in (root / "read").iterdir():
        path.unlink()
    expected = set(files(root))
    chance = random.Random(1)
    damaged = root / next(name for name in sorted(expected) if name.startswith("mail/"))
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    told = 0
    for night in range(30):
        at = NOW + night * 86_400 + chance.randrange(3600)
        done = verify(world.repository(), at, everything=False)
        assert done.left > 0
        told += any(each.name == damaged.relative_to(root).as_posix() for each in done.damages)
    assert told >= 1
    assert not done.right, "what is damaged is told every night from then on"
    stamps, _ = _stamps(world.repository(), NOW + 30 * 86_400)
    assert expected <= stamps.keys(), "and keeps no other from being read"


class Kept(Folder):
    """Keeps the lists of what was read back, as an append-only location does."""

    def remove(self, name: str) -> None:
        if name.startswith("read/"):
            raise AppendOnly("It stays.")
        super().remove(name)


def test_a_clock_that_was_ahead_keeps_no_file_from_being_read(pristine: tuple[World, Path], tmp_path: Path) -> None:
    """Where the list that it wrote stays, as at an append-only location."""
    world, root = copied(pristine, tmp_path)
    world.location = Kept(root, system_random)
    expected = {name for name in files(root) if not name.startswith("read/")}
    verify(world.repository(), NOW + 1000 * 86_400, everything=True)
    for night in range(1, 30):
        verify(world.repository(), NOW + night * 86_400, everything=False)
    stamps, _ = _stamps(world.repository(), NOW + 30 * 86_400)
    assert all(NOW < stamps[name] < NOW + 30 * 86_400 for name in expected)


def test_nothing_is_removed_where_a_list_cannot_be_read(pristine: tuple[World, Path], tmp_path: Path) -> None:
    world, root = copied(pristine, tmp_path)
    before = files(root)
    for name in before:
        if name.startswith(("meta/", "twin/meta/")):
            (root / name).write_bytes(b"\0" * 100)
    with pytest.raises(CannotPrune):
        prune(world.repository(), Keep(last=9), NOW)
    assert [name for name in before if name not in files(root)] == []


def test_octets_that_cannot_be_read_once_lose_no_email_that_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two emails of the same octets are read each by itself: what fails for one says nothing of the other."""
    asked: list[bytes] = []
    messages_at = Repository.messages_at

    def failing(
        self: Repository, places: Iterable[tuple[bytes, Spot]]
    ) -> Iterator[tuple[bytes, bytes | memoryview | Corrupt]]:
        for digest, data in messages_at(self, places):
            asked.append(digest)
            yield digest, Corrupt("not now") if asked.count(digest) == 2 else data

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await put(world.ann, "Second", message(1), message(2))
        second = await world.ann.mailbox("Second")
        assert second is not None
        await world.ann.copy(1, ((1, 1),), second.key)
        await world.ann.copy(second.key, ((1, 1),), (await world.ann.create_mailbox("Third")).key)
        done = await world.take()
        await world.engine.close()
        monkeypatch.setattr(Repository, "messages_at", failing)
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert [(one.mailbox, one.uid) for one in restored.lost] == [("Second", 1), ("Third", 1)]
        assert restored.messages == 3
        await engine.close()

    play(scene())


def test_a_disk_that_is_not_mounted_is_not_told_as_damage_to_who_looks(tmp_path: Path) -> None:
    """Nor as an account without snapshots; and it is seen at once when it is there again."""

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await world.take()
        await world.engine.close()
        seconds = [0.0]
        looking = Looking(world.repository(), monotonic=lambda: seconds[0])
        (before,) = looking.states(ANN)
        root = looking.root(ANN, before.id)
        (row,) = looking.rows(root.mailboxes[0])
        (tmp_path / "backup").rename(tmp_path / "elsewhere")
        with pytest.raises(LocationFailed, match="any more"):
            looking.message(row[4])
        seconds[0] += LOOK
        with pytest.raises(LocationFailed, match="any more"):
            looking.states(ANN)
        (tmp_path / "elsewhere").rename(tmp_path / "backup")
        assert looking.states(ANN) == [before]
        assert looking.message(row[4]) == message(1)

    play(scene())
