"""A folder that another user owns: a mail server's user adds to it, and whoever steals him can take nothing away.

Each test is two users' processes on a real file system; `thief` runs as the server's user and has its key. The
processes are forks, so these tests run in a process that has no threads: `test_kept_folder.py` starts it.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.backup import keep as keeping
from restante.backup import keys as keys_module
from restante.backup import pack
from restante.backup.access import location_of
from restante.backup.blocks import pack_kind
from restante.backup.crypto import SALT_OCTETS, file_name
from restante.backup.errors import AppendOnly, Corrupt, LocationFailed, WrongKey
from restante.backup.index import Part, pack_of
from restante.backup.keep import Kept, keep
from restante.backup.kept_folder import KeptFolder
from restante.backup.keys import Secret, Slot, encode_slot, make_slot, slot_name
from restante.backup.names import pack as pack_name
from restante.backup.names import slots, snapshot_serial, twin
from restante.backup.night import night
from restante.backup.objects import SnapshotData
from restante.backup.outcome import Night
from restante.backup.prune import GRACE, CannotPrune, Pruned, prune
from restante.backup.repository import Repository
from restante.backup.retention import Keep
from restante.backup.sealed import FileKind, seal_file
from restante.backup.verify import Verified, verify
from restante.cli.main import restante
from restante.clock import system_random

from .support import ANN, KEY, World, message, put, state
from .users import KEEPER, SERVER, as_user, make_incoming, make_kept, root_only, shared_folder

pytestmark = root_only

NOW = 1_800_000_000
DAY = 86_400


class Scene:
    """A keeper's folder and a server's."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "kept"
        self.home = folder / "server"
        make_kept(self.root)
        self.home.mkdir()
        os.chown(self.home, SERVER, SERVER)

    def server(self, act: Callable[[World], object]) -> object:
        """In the server's process, with its accounts and the backup open; coroutines are awaited."""

        def work() -> object:
            async def scene() -> object:
                location = location_of(str(self.root), system_random)
                if next(location.names("keys"), None) is None:
                    world = World(self.home, location)
                    await world.fill()
                else:
                    world = World.__new__(World)
                    world.reopen(self.home, float(NOW))
                    world.location = location
                done = act(world)
                if asyncio.iscoroutine(done):
                    done = await done
                await world.engine.close()
                return done

            return asyncio.run(scene())

        return as_user(SERVER, work)

    def night(self, number: int) -> dict[str, object]:
        """New mail and a snapshot; what the account has then."""

        async def act(world: World) -> dict[str, object]:
            await put(world.ann, "INBOX", *(message(number * 10 + n, "k" * 20_000) for n in range(4)))
            await world.take()
            return await state(world.ann)

        found = self.server(act)
        assert isinstance(found, dict)
        return found

    def keep(self, *, most: int | None = None, keys: bool = False) -> Kept:
        return as_user(KEEPER, lambda: keep(KeptFolder(self.root, system_random), most=most, keys=keys))

    def keeper(self, act: Callable[[Repository], object]) -> object:
        return as_user(
            KEEPER, lambda: act(Repository.open(location_of(str(self.root), system_random), KEY, system_random))
        )

    def prune(self, rule: Keep, now: int = NOW) -> Pruned:
        done = self.keeper(lambda repository: prune(repository, rule, now))
        assert isinstance(done, Pruned)
        return done

    def verified(self, user: int) -> Verified:
        return as_user(
            user,
            lambda: verify(
                Repository.open(location_of(str(self.root), system_random), KEY, system_random), NOW, everything=True
            ),
        )

    def restored(self, number: int) -> object:
        """An account as of a snapshot (by position), from what is kept alone."""

        def work() -> object:
            async def scene() -> object:
                world = World.__new__(World)
                world.reopen(self.home, float(NOW))
                location = KeptFolder(self.root, system_random)
                assert location.removes, "the keeper reads what is kept, and nothing else"
                world.location = location
                target = self.root.parent / f"new{system_random(4).hex()}"
                engine, done = await world.give(world.repository().snapshots()[number], target)
                assert done.lost == []
                found = await state(engine.account(ANN))
                await engine.close()
                return found

            return asyncio.run(scene())

        self.root.parent.chmod(0o777)
        for path in (self.home, *self.home.rglob("*")):
            path.chmod(0o777)
        return as_user(KEEPER, work)

    def files(self) -> dict[str, bytes]:
        """All that is kept."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and not path.relative_to(self.root).as_posix().startswith(".")
        }


@pytest.fixture
def scene() -> Iterator[Scene]:
    for folder in shared_folder():
        yield Scene(folder)


@pytest.fixture(scope="module", autouse=True)
def _loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All that children need is imported: they cannot read everything that root can."""

    async def once() -> None:
        world = World(tmp_path_factory.mktemp("once"))
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        done = await world.take()
        verify(world.repository(), NOW, everything=True)
        prune(world.repository(), Keep(), NOW)
        engine, _ = await world.give(done.snapshot, world.folder / "new")
        await state(engine.account(ANN))
        await engine.close()
        await world.engine.close()

    asyncio.run(once())


# As another place ------------------------------------------------------------------------------------


def test_nights_go_on_whether_they_were_taken_in_or_not(scene: Scene) -> None:
    first = scene.night(0)
    assert scene.verified(SERVER).right
    assert scene.keep().snapshots == 1
    assert scene.verified(SERVER).right
    second = scene.night(1)
    third = scene.night(2)
    assert scene.verified(SERVER).right
    taken = scene.keep()
    assert (taken.snapshots, taken.refused, taken.warnings) == (2, [], [])
    assert scene.keep().files == 0, "nothing is left"
    found = scene.verified(KEEPER)
    assert (found.right, found.single) == (True, [])
    assert [scene.restored(number) for number in range(3)] == [first, second, third]


def test_what_is_kept_cannot_be_changed_or_removed_by_the_server(scene: Scene) -> None:
    scene.night(0)
    scene.keep()
    before = scene.files()
    assert len(before) > 6

    drop = scene.root / ".incoming"

    def attempts(path: Path) -> list[Callable[[], object]]:
        return [
            path.unlink,
            lambda: path.open("r+b").close(),
            lambda: os.truncate(path, 0),
            lambda: path.rename(drop / "y"),
            lambda: (drop / "x").replace(path),
            lambda: path.chmod(0o777),
            lambda: os.chown(path, SERVER, SERVER),
            lambda: os.utime(path, (1, 1)),
            lambda: (path.parent / "new").write_bytes(b"x"),
            lambda: path.parent.rename(drop / "z"),
            lambda: path.parent.chmod(0o777),
            path.parent.rmdir,
        ]

    def thief() -> list[str]:
        done = []
        for path in [*map(scene.root.joinpath, before), drop, scene.root / ".tmp"]:
            (drop / "x").write_bytes(b"x")
            for number, act in enumerate(attempts(path)):
                try:
                    act()
                except OSError:
                    continue
                done.append(f"{number} {path}")
        return done

    assert as_user(SERVER, thief) == []
    assert scene.files() == before


def test_the_server_is_told_that_it_removes_nothing(scene: Scene) -> None:
    scene.night(0)
    scene.keep()

    def refused(act: Callable[[World], object]) -> str:
        with pytest.raises(AppendOnly) as caught:
            scene.server(act)
        return str(caught.value)

    assert "append-only" in refused(lambda world: prune(world.repository(), Keep(), NOW))
    name = next(name for name in scene.files() if name.startswith("mail/"))
    assert "keeps what it has" in refused(lambda world: world.location.remove(name))
    added = scene.server(lambda world: world.repository().add_key(KEY, "second", 7))
    assert isinstance(added, str)
    scene.keep(keys=True)
    assert "keeps what it has" in refused(lambda world: world.repository().remove_key(added))
    scene.keeper(lambda repository: repository.remove_key(added))
    with pytest.raises(AppendOnly):
        as_user(SERVER, lambda: keep(KeptFolder(scene.root, system_random)))


def test_a_night_there_is_a_good_one_and_prunes_nothing(scene: Scene) -> None:
    scene.night(0)
    scene.keep()

    async def act(world: World) -> Night:
        await put(world.ann, "INBOX", message(99))
        return await night(world.engine, world.repository(), world.clock, "host", {}, Keep(1, 1, 1))

    for _ in range(3):
        done = scene.server(act)
        assert isinstance(done, Night)
        assert (done.problems, done.forgotten) == ((), 0)
        assert done.read_back > 0
        assert scene.keep().refused == []
    assert len(list((scene.root / ".incoming").iterdir())) == 1, "the newest note of what was read back"


def test_the_keepers_prune_removes_and_the_rest_restores(scene: Scene) -> None:
    states = []
    for number in range(6):
        states.append(scene.night(number))
        scene.keep()
    arrive(scene, [NOW - DAY * (6 - number) for number in range(6)])
    assert len(scene.prune(Keep(2, 0, 0)).forgotten) == 4
    before = len(scene.files())
    scene.prune(Keep(2, 0, 0), NOW + GRACE)
    assert len(scene.files()) <= before
    assert scene.verified(KEEPER).right
    assert scene.verified(SERVER).right
    assert [scene.restored(number) for number in (0, 1)] == states[4:]
    scene.night(7)
    scene.keep()
    assert scene.verified(KEEPER).right


def test_a_snapshot_that_waits_is_taken_in_before_anything_goes(scene: Scene) -> None:
    """A run relied on a pack that was condemned while it went on; it was not taken in until the pack would go."""
    scene.night(0)
    scene.keep()

    async def emptied(world: World) -> None:
        box = await world.ann.mailbox("INBOX")
        assert box is not None
        await world.ann.expunge(box.key, ((1, 99),), deleted_only=False)
        await world.take(full=True)

    async def again(world: World) -> dict[str, object]:
        await put(world.ann, "INBOX", *(message(n, "k" * 20_000) for n in range(4)))
        repository = world.repository()
        repository.index  # noqa: B018 - read before anything was condemned
        await world.take(repository=repository)
        return await state(world.ann)

    scene.server(emptied)
    scene.keep()
    dropped = scene.server(again)
    hidden = scene.root.parent / "hidden"
    (scene.root / ".incoming").rename(hidden)
    make_incoming(scene.root)
    scene.prune(Keep(0, 0, 0, 1))
    (scene.root / ".incoming").rmdir()
    hidden.rename(scene.root / ".incoming")
    scene.prune(Keep(0, 0, 0, 1), NOW + GRACE)
    assert scene.verified(KEEPER).right
    assert scene.restored(-1) == dropped


def arrive(scene: Scene, at: list[int]) -> None:
    """As if the kept snapshots had been taken in then."""
    for folder in ("snapshots", "twin/snapshots"):
        for path, when in zip(sorted((scene.root / folder).iterdir()), at, strict=True):
            os.utime(path, (when, when))


# A thief ---------------------------------------------------------------------------------------------


def test_nothing_is_taken_that_is_not_what_its_name_says(scene: Scene) -> None:
    scene.night(0)
    scene.keep()
    before = scene.files()
    secret = scene.root.parent / "keepers-secret"
    secret.write_bytes(b"not for the server")
    os.chown(secret, KEEPER, KEEPER)
    secret.chmod(0o600)
    drop = scene.root / ".incoming"
    sha = sha256(b"not for the server").hexdigest()
    junk = os.urandom(100)

    def thief() -> None:
        (drop / f"mail,aa,{'a' * 64}").write_bytes(b"junk")
        (drop / f"mail,{sha[:2]},{sha}").symlink_to(secret)
        (drop / f"index,{sha}").symlink_to(secret)
        os.mkfifo(drop / f"meta,aa,{'a' * 64}")
        (drop / f"twin,meta,bb,{'b' * 64}").mkdir()
        with (drop / f"mail,cc,{'c' * 64}").open("wb") as stream:
            stream.truncate(keeping.LARGEST + 1)
        (drop / f"mail,00,{sha256(junk).hexdigest()}").write_bytes(junk)  # right, at the wrong place
        (drop / f"condemned,{sha256(junk).hexdigest()}").write_bytes(junk)
        (drop / f"snapshots,ffffffffff-{sha256(junk).hexdigest()}").write_bytes(junk)
        (drop / f"keys,{sha256(junk).hexdigest()[:32]}-1").write_bytes(junk)
        (drop / "..,..,etc,passwd").write_bytes(junk)
        (drop / "unheard,of").write_bytes(junk)
        (drop / "repository.json").write_bytes(b"{}")
        for name in before:  # in the way of what would be removed because it is kept
            if name.startswith("mail/"):
                (drop / name.replace("/", ",") / "inner").mkdir(parents=True)
        (drop / ".half-0").mkdir()
        os.utime(drop / ".half-0", (1, 1))

    as_user(SERVER, thief)
    taken = scene.keep()
    assert taken.files == 0
    assert {name.partition("/")[0] for name, _ in taken.refused} == {
        "mail", "index", "meta", "twin", "condemned", "snapshots", "keys",
    }  # fmt: skip
    assert scene.files() == before
    with pytest.raises(Corrupt, match="forged"):
        scene.night(1)

    def clean() -> None:
        for path in drop.iterdir():
            if "snapshots,ffffffffff" in path.name:  # the run has mended its twin
                path.unlink()

    as_user(SERVER, clean)
    scene.night(1)
    assert scene.keep().snapshots == 1, "what is right is taken beside all that"
    assert scene.verified(KEEPER).right


def test_a_file_that_is_changed_after_it_was_taken_is_kept_as_it_was(scene: Scene) -> None:
    scene.night(0)
    drop = scene.root / ".incoming"
    held = [os.open(path, os.O_RDWR) for path in drop.iterdir()]
    scene.keep()
    before = scene.files()
    for number in held:
        os.pwrite(number, b"changed", 0)
        os.ftruncate(number, 10)
        os.close(number)
    assert scene.files() == before
    owners = {path.stat().st_uid for path in scene.root.rglob("*") if ".incoming" not in path.parts}
    assert owners == {KEEPER}
    assert not any(path.stat().st_mode & 0o022 for path in scene.root.rglob("*") if path.name != ".incoming")


def test_a_flood_of_forged_snapshots_pushes_nothing_out(scene: Scene) -> None:
    """A thief with the key adds hundreds of snapshots, of days to come and days gone by."""
    states = []
    for number in range(5):
        states.append(scene.night(number))
        scene.keep()
    now = int((scene.root / "repository.json").stat().st_mtime)
    arrive(scene, [now - DAY * (40 - 7 * number) for number in range(5)])

    def flood(world: World) -> None:
        repository = world.repository()
        last = repository.latest()
        assert last is not None
        for number in range(150):
            at = now + DAY * 31 * number if number % 2 else now - DAY * number
            fields = {name: getattr(last.data, name) for name in SnapshotData.__struct_fields__}
            repository.put_snapshot(SnapshotData(**{**fields, "at": at}))

    scene.server(flood)
    while scene.keep().files:
        pass
    came = [int(path.stat().st_mtime) // DAY for path in sorted((scene.root / "snapshots").iterdir())[5:]]
    assert len(came) > 55
    assert len(set(came)) <= 2, "it is taken in when it comes, perhaps at midnight"
    for later in range(3):
        scene.prune(Keep(14, 8, 24), now + later * GRACE)
    left = scene.keeper(lambda repository: [each.name for each in repository.snapshots()])
    assert isinstance(left, list)
    assert [snapshot_serial(name) for name in left[:5]] == [1, 2, 3, 4, 5], "all that came before are there"
    assert len(left) <= 5 + len(set(came)) + 1, "and of the flood one of its day, and the newest"
    assert [scene.restored(number) for number in range(5)] == states


def test_forged_packs_and_indexes_lead_nobody_away(scene: Scene) -> None:
    """A thief with the key says in packs and an index of his that they hold what is kept."""
    states = [scene.night(0)]
    scene.keep()

    def forge(world: World) -> None:
        repository = world.repository()
        for mail in (True, False):
            framed, known = [], []
            for name in [name for name in repository.index.packs if repository.index.packs[name].mail is mail]:
                for id, spot in repository.index.of_pack(name):
                    junk = os.urandom(spot.length)
                    framed.append(pack.Framed(b"\0" + junk, len(junk), ((id, len(junk), spot.kind),)))
            data, table = pack.build(repository.secrets, pack_kind(mail), os.urandom(SALT_OCTETS), framed)
            name = pack_name(file_name(data), mail)
            if not mail:
                world.location.put(twin(name), data)
            world.location.put(name, data)
            known.append((pack_of(file_name(data), mail, len(data), table), table))
            # The name of an index decides which is read first: his come before and after the true one.
            for _ in range(6):
                repository.put_file("index", Part.of(known).encode())

    scene.server(forge)
    taken = scene.keep()
    assert (taken.files, taken.refused) == (2 + 1 + 12, [])
    assert scene.restored(0) == states[0], "reading finds what is right"
    for later in range(3):
        scene.prune(Keep(9, 9, 9), NOW + later * GRACE)
    assert scene.restored(0) == states[0], "the true packs are still there"
    assert scene.verified(KEEPER).right, "and the forged ones are gone"


def test_a_forged_key_with_the_same_passphrase_does_not_lead_away(scene: Scene) -> None:
    first = scene.night(0)
    scene.keep()

    def forge(world: World) -> None:
        data = encode_slot(make_slot(os.urandom(32), KEY, "0" * 32, "first", NOW * 2, system_random))
        for name in slots(slot_name(data)):
            world.location.put(name, data)

    scene.server(forge)
    assert [why for _, why in scene.keep().refused] == ["Keys are taken in with --keys."] * 2
    scene.keep(keys=True)  # even so
    assert scene.restored(0) == first


def test_keys_are_tried_in_the_order_in_which_they_came(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forged slot that asks for hours of Argon2id is never tried by who has a key from before."""
    first = scene.night(0)
    scene.keep()

    def forge(world: World) -> None:
        for number in range(5):
            data = encode_slot(make_slot(os.urandom(32), KEY, "0" * 32, f"forged {number}", NOW * 2, system_random))
            for name in slots(slot_name(data)):
                world.location.put(name, data)

    scene.server(forge)
    scene.keep(keys=True)
    real = keys_module.open_slot

    def careful(slot: Slot, secret: Secret) -> bytes | None:
        assert slot.label == "test"
        return real(slot, secret)

    monkeypatch.setattr(keys_module, "open_slot", careful)
    assert scene.restored(0) == first


def test_a_pack_whose_table_is_damaged_still_gives_what_an_index_says(scene: Scene) -> None:
    first = scene.night(0)
    scene.keep()
    (name,) = [name for name in scene.files() if name.startswith("mail/")]
    data = scene.files()[name]
    (scene.root / name).write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])
    for later in range(3):
        scene.prune(Keep(9, 9, 9), NOW + later * GRACE)
    assert scene.restored(0) == first


def test_a_list_of_what_may_go_is_the_keepers_alone(scene: Scene) -> None:
    first = scene.night(0)
    scene.keep()

    def forge(world: World) -> None:
        import msgspec

        repository = world.repository()
        data = seal_file(
            repository.secrets, FileKind.CONDEMNED, msgspec.msgpack.encode(dict.fromkeys(repository.index.packs, 1)),
            os.urandom(SALT_OCTETS),
        )  # fmt: skip
        for name in (f"condemned,{file_name(data)}", f"twin,condemned,{file_name(data)}"):
            (scene.root / ".incoming" / name).write_bytes(data)
        assert repository.condemned() == {}

    scene.server(forge)
    assert len(scene.keep().refused) == 2
    scene.prune(Keep(9, 9, 9), NOW)
    assert scene.restored(0) == first


# The keeper ------------------------------------------------------------------------------------------


def test_most_bounds_what_is_taken_and_no_snapshot_comes_before_what_it_names(scene: Scene) -> None:
    scene.night(0)
    rounds = 0
    while (taken := scene.keep(most=1)).waiting:
        assert taken.snapshots == 0
        rounds += 1
    assert rounds >= 4
    assert taken.snapshots == 1
    assert scene.verified(KEEPER).right


def test_more_files_than_are_looked_at_in_one_go_are_taken_in_several(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "ENTRIES", 4)
    first = scene.night(0)
    rounds = 0
    while (taken := scene.keep()).waiting:
        assert taken.snapshots == 0
        rounds += 1
    assert rounds >= 1
    assert taken.snapshots == 1
    assert scene.restored(0) == first


def test_nothing_goes_while_a_snapshot_may_wait(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thief can drop so much that what the server dropped is not come to: what that needs must not go for it."""
    scene.night(0)
    scene.keep()
    before = scene.files()
    scene.night(1)
    monkeypatch.setattr(keeping, "ENTRIES", 4)
    for number in range(4):
        (scene.root / ".incoming" / f"read,{number}").write_bytes(b"junk")
    with pytest.raises(CannotPrune):
        scene.prune(Keep(0, 0, 0, 1))
    assert before.keys() <= scene.files().keys()
    for number in range(4):
        (scene.root / ".incoming" / f"read,{number}").unlink()
    while scene.keep().waiting:
        pass
    assert len(scene.prune(Keep(0, 0, 0, 1)).forgotten) == 1


@pytest.mark.parametrize("what", ["write_all", "link", "fsync", "unlink"])
def test_taking_in_that_is_cut_off_goes_on(scene: Scene, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails at each operation in turn; what was dropped is there all the while, and all is right in the end."""
    first = scene.night(0)
    owner = keeping if what == "write_all" else os
    real = getattr(owner, what)
    for number in range(20):

        def cut_off(number: int = number) -> None:
            left = [number]

            def failing(*args: object, **kwargs: object) -> object:
                if left[0] == 0:
                    raise OSError(errno.EIO, "cut off")
                left[0] -= 1
                return real(*args, **kwargs)

            monkeypatch.setattr(owner, what, failing)
            keep(KeptFolder(scene.root, system_random))

        try:
            as_user(KEEPER, cut_off)
        except LocationFailed:
            pass
        found = scene.verified(SERVER)
        assert (found.touched, found.broken) == ([], [])
    scene.keep()
    assert scene.verified(KEEPER).right
    assert scene.restored(0) == first


def test_two_keepers_at_once_and_a_run(scene: Scene) -> None:
    scene.night(0)

    def both() -> int:
        taken: list[Kept] = []
        threads = [
            threading.Thread(target=lambda: taken.append(keep(KeptFolder(scene.root, system_random)))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 3
        return sum(each.snapshots for each in taken)

    assert as_user(KEEPER, both) >= 1
    scene.keep()
    assert scene.verified(KEEPER).right


def test_rights_that_do_not_hold_are_told(scene: Scene) -> None:
    (scene.root / ".incoming").chmod(0o2770)
    scene.root.chmod(0o2770)
    assert len(scene.keep().warnings) == 2


def test_the_command(scene: Scene) -> None:
    scene.night(0)

    def command(*args: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(restante, ["backup", "keep", str(scene.root), *args])
        return result.exit_code, result.stdout, result.stderr

    command("--most", "none")  # all modules are read before: the others may have no access to the checkout
    assert as_user(SERVER, lambda: command())[0] == 1
    status, out, _ = as_user(KEEPER, lambda: command("--json"))
    assert (status, json.loads(out)["snapshots"]) == (0, 1)
    (scene.root / ".incoming" / f"index,{'a' * 64}").write_bytes(b"junk")
    status, out, err = as_user(KEEPER, lambda: command())
    assert (status, "refused" in err) == (4, True)
    assert as_user(KEEPER, lambda: command("--most", "10 MB"))[0] == 4


def test_who_has_no_key_opens_nothing(scene: Scene) -> None:
    from restante.backup.keys import KeyFile

    scene.night(0)
    scene.keep()
    with pytest.raises(WrongKey):
        Repository.open(location_of(str(scene.root), system_random), KeyFile(bytes(32)), system_random)
    assert stat.S_IMODE((scene.root / "keys").stat().st_mode) == 0o2750


def test_a_folder_of_the_disks_own_is_in_nobodys_way(scene: Scene) -> None:
    """ext4 puts "lost+found", which root alone may enter, at the top of each disk: a mount point as a location."""
    (scene.root / "lost+found").mkdir(mode=0o700)
    scene.night(0)
    scene.keep()
    assert scene.verified(SERVER).right
    assert scene.verified(KEEPER).right
    (scene.root / "mail").chmod(0)
    os.chown(scene.root / "mail", 0, 0)
    with pytest.raises(LocationFailed):
        scene.verified(KEEPER)
