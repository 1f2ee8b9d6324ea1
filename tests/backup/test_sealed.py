"""Sealed mode: written by a machine that cannot read what it wrote, also when somebody takes it away."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from restante.backup import verify as verifying
from restante.backup import writer as writing
from restante.backup.crypto import Secrets
from restante.backup.errors import (
    BackupRefusal,
    Corrupt,
    LocationFailed,
    NeedsPrivateKey,
    NewerFormat,
    NoRepository,
    WrongKey,
)
from restante.backup.find import find
from restante.backup.folder import Folder
from restante.backup.keys import WritingKey, parse_writing_key
from restante.backup.location import Location
from restante.backup.night import night
from restante.backup.notes import Notes, NotesFailed
from restante.backup.objects import AccountData, Kind, PageData, SnapshotData
from restante.backup.prune import GRACE, prune
from restante.backup.recipient import Recipient
from restante.backup.repository import Repository, Snapshot
from restante.backup.retention import Keep
from restante.backup.sealed import ENVELOPED, FileKind, open_file, opener
from restante.backup.verify import verify
from restante.backup.written import note_gone, read_written
from restante.clock import system_random
from restante.query.language import All
from restante.store.model import FlagMode, Flags
from restante.values import replace

from .sealing import SealedWorld, needed, noted, pieces
from .support import ANN, KEY, World, message, play, put, state

NOW = 1_800_000_000
MANY = 5
FOLDERS = {
    "mail": FileKind.MAIL, "meta": FileKind.META, "index": FileKind.INDEX, "snapshots": FileKind.SNAPSHOT,
    "condemned": FileKind.CONDEMNED, "read": FileKind.READ, "written": FileKind.WRITTEN,
}  # fmt: skip


def files(world: World, *kinds: FileKind) -> Iterator[tuple[str, FileKind, bytes]]:
    for name, _ in world.location.names(""):
        folder = name.removeprefix("twin/").partition("/")[0]
        if folder in FOLDERS and (not kinds or FOLDERS[folder] in kinds):
            yield name, FOLDERS[folder], world.location.get(name)


async def night_after(world: SealedWorld, number: int) -> None:
    """A day's changes."""
    await put(world.ann, "INBOX", *(message(1_000 * number + n) for n in range(10)))
    box = await world.ann.mailbox("INBOX")
    assert box is not None
    await world.ann.expunge(1, ((box.uidnext - 9, box.uidnext - 8),), deleted_only=False)
    await world.ann.store_flags(1, ((1, 5),), FlagMode.ADD, Flags.of(["\\Seen"]))


async def comes_back(world: SealedWorld, folder: Path) -> None:
    """The newest snapshot is what is in the account now, and every octet is right."""
    repository = world.repository()
    found = verify(repository, NOW, everything=True)
    assert found.right, found
    snapshot = repository.latest()
    assert snapshot is not None
    engine, done = await world.give(snapshot, folder)
    try:
        assert done.lost == []
        assert await state(engine.account(ANN)) == await state(world.ann)
    finally:
        await engine.close()
        shutil.rmtree(folder)


# Who can read it -------------------------------------------------------------------------------------------


def test_a_stolen_server_reads_nothing_of_earlier_and_later_nights(tmp_path: Path) -> None:
    """All that the machine has, as key of everything that there is."""

    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n) for n in range(20)))
        await world.tonight()
        await night_after(world, 1)
        await world.tonight()
        # Now it is stolen: its data, its configuration (the writing key). Later nights have other messages.
        shutil.copytree(tmp_path / "data", tmp_path / "stolen")
        await night_after(world, 2)
        await world.tonight()
        await world.engine.close()

        key = parse_writing_key((tmp_path / "writing.key").read_text())
        thief = Repository.open(world.location, key, system_random, tmp_path / "stolen" / "backup-notes")
        basis = thief.basis()
        assert basis is not None
        assert basis.data.messages == 28, "what it had noted of the last night"
        for read in (
            lambda: thief.snapshots(),
            lambda: thief.latest(),
            lambda: thief.snapshot(thief.snapshot_names()[0]),
            lambda: thief.message(hashlib.sha256(message(3)).digest()),
            lambda: list(thief.messages([hashlib.sha256(message(3)).digest()])),
            lambda: find(thief, [], All()) or thief.find(bytes(32)),
            lambda: prune(thief, Keep(), NOW),
            lambda: thief.add_key(KEY, "mine", 1),
            lambda: thief.remove_key("0" * 32),
        ):
            with pytest.raises(NeedsPrivateKey):
                read()
        for name, kind, data in files(world, *ENVELOPED):
            with pytest.raises(NeedsPrivateKey):
                opener(thief.secrets, kind, data)
            assert b"example" not in data, name
        # Every 32 octets of it, taken for the private key, or for the root key, or for what an envelope holds.
        names, kinds, datas = zip(*files(world, *ENVELOPED), strict=True)
        some = [(kinds[names.index(name)], datas[names.index(name)]) for name in names if name.startswith("snapshots")]
        held = key.key + thief.secrets.ids + thief.secrets.files + thief.secrets.descriptor
        held += b"".join(
            path.read_bytes() for path in (tmp_path / "stolen" / "backup-notes").rglob("*") if path.is_file()
        )
        candidates = {held[at : at + 32] for at in range(len(held) - 31)}
        chance = random.Random(1)
        tried = {*chance.sample(sorted(candidates), 300), key.key, thief.secrets.ids, thief.secrets.files}
        for candidate in tried:
            writer = Secrets.of_writing(key.key, key.public)
            guesses = [Secrets.sealed(candidate), replace(writer, recipient=Recipient(key.public, candidate))]
            for guess in guesses:
                with pytest.raises(Corrupt):
                    open_file(guess, *some[0])
        for kind, data in some:
            for candidate in candidates:
                sealer = thief.secrets._enveloped(data[:48], data[48:1216], candidate)
                with pytest.raises(Corrupt):
                    sealer.open(0, data[1216:])
            assert open_file(world.repository().secrets, kind, data), "and it is no other file that was tried"

    play(scene())


def test_what_was_gone_by_the_last_night_is_not_known_to_have_been(tmp_path: Path) -> None:
    """Who has the writing key makes the id of any text; nothing that he can read has it."""

    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        large = message(7, "y" * 200_000)
        await put(world.ann, "INBOX", message(1), message(2), large)
        await world.tonight()
        secrets = world.writer().secrets
        guessed = [secrets.id_of(b"m", hashlib.sha256(each).digest()) for each in (message(1), message(2), large)]
        guessed += [secrets.id_of(b"p", hashlib.sha256(each).digest()) for each in writing.cut(large)]

        def known() -> list[bool]:
            held = [path.read_bytes() for path in world.notes.rglob("*") if path.is_file()]
            held += [bytes(open_file(secrets, kind, data)) for _, kind, data in files(world) if kind not in ENVELOPED]
            held += [data for _, _, data in files(world, *ENVELOPED)]
            return [any(id[:8] in each for each in held) for id in guessed]

        assert known() == [True] * len(guessed), "of what it has itself"
        await world.ann.expunge(1, ((1, 1), (3, 3)), deleted_only=False)
        await world.tonight()
        assert known() == [False, True] + [False] * (len(guessed) - 2)
        reader = world.repository()
        assert [reader.message(hashlib.sha256(each).digest()) for each in (message(1), large)] == [message(1), large]
        await world.engine.close()

    play(scene())


def test_who_has_the_public_key_alone_makes_no_file_that_passes_for_ours(tmp_path: Path) -> None:
    world = SealedWorld(tmp_path)
    play(world.engine.close())
    ours = world.writer()
    assert ours.secrets.recipient is not None
    forged = Repository(
        world.location, Secrets.of_writing(bytes(32), ours.secrets.recipient.public), ours.id, system_random
    )
    name = forged.put_file("snapshots", b"x", "0000000001-")
    with pytest.raises(Corrupt):
        world.repository().read_file(name, FileKind.SNAPSHOT)


def test_each_octet_of_a_file_counts(tmp_path: Path) -> None:
    world = SealedWorld(tmp_path)
    play(world.engine.close())
    name = world.writer().put_file("index", b"content")
    data = world.location.get(name)
    secrets = world.repository().secrets
    assert bytes(open_file(secrets, FileKind.INDEX, data)) == b"content"
    for at in (*range(60), *range(1160, 1240), 600, len(data) - 1):
        with pytest.raises((Corrupt, NewerFormat)):
            open_file(secrets, FileKind.INDEX, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_a_file_that_is_not_sealed_does_not_pass_where_one_must_be(tmp_path: Path) -> None:
    world = SealedWorld(tmp_path)
    play(world.engine.close())
    sealed = world.repository()
    plain = Secrets(sealed.secrets.root, sealed.secrets.ids, sealed.secrets.files, sealed.secrets.descriptor)
    name = Repository(world.location, plain, sealed.id, system_random).put_file("index", b"content")
    with pytest.raises(Corrupt):
        sealed.read_file(name, FileKind.INDEX)


# Keys ------------------------------------------------------------------------------------------------------


def test_the_owners_keys_open_it_and_the_writing_key_is_made_again(tmp_path: Path) -> None:
    world = SealedWorld(tmp_path)
    play(world.engine.close())
    owner = world.repository()
    assert owner.writing_key() == (tmp_path / "writing.key").read_text()
    other = Folder(tmp_path / "other", system_random)
    Repository.init(other, KEY, "", 0, system_random, sealed=True)
    key = parse_writing_key(owner.writing_key())
    with pytest.raises(WrongKey):
        Repository.open(other, key, system_random)
    with pytest.raises(WrongKey):
        Repository.open(Folder(tmp_path / "plain", system_random), key, system_random)
    with pytest.raises(NoRepository):
        Repository.open(Folder(tmp_path / "nowhere", system_random), key, system_random)
    with pytest.raises(NoRepository):
        Repository.open(Folder(tmp_path / "plain", system_random), KEY, system_random).writing_key()
    world.location.remove("repository.json")
    assert Repository.open(world.location, key, system_random).id == owner.id, "it is needed for nothing"
    found = verify(world.writer(), NOW, everything=True, mending=True)
    assert found.mended == ["repository.json"]
    assert verify(world.writer(), NOW, everything=True).right


def test_a_writing_key_that_is_not_as_it_was_made_is_refused(tmp_path: Path) -> None:
    """What is written to a public key with an octet that went wrong, nobody reads."""
    world = SealedWorld(tmp_path)
    play(world.engine.close())
    text = (tmp_path / "writing.key").read_text()
    assert isinstance(parse_writing_key(text), WritingKey)
    at = text.index('"public":"') + 700
    for wrong in (
        text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :],
        text.replace('_key":1', '_key":2'),
        text[:-20],
        "{}",
    ):
        with pytest.raises(BackupRefusal):
            parse_writing_key(wrong)


def test_a_reader_of_the_first_version_refuses_it(tmp_path: Path) -> None:
    """It reads the slots first, and goes on with none that is of a higher version than 1."""
    world = SealedWorld(tmp_path)
    play(world.engine.close())
    slots = [path.read_bytes() for path in (tmp_path / "backup" / "keys").iterdir()]
    assert len(slots) == 2
    assert all(slot.startswith(b'{"restante_backup_key":2,') for slot in slots)
    name = world.writer().put_file("index", b"x")
    assert world.location.get(name)[:8] == b"RSTBKUP2"


# Nights ----------------------------------------------------------------------------------------------------


def test_nights_stay_incremental(tmp_path: Path) -> None:
    """1% of new messages writes about 1%; none, nothing; and what is there is not written again."""

    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        chance = random.Random(1)
        mail = [message(n, chance.randbytes(4_000).hex()) for n in range(1_010)]
        await put(world.ann, "INBOX", *mail[:1_000])
        first = await world.tonight()
        assert first.octets == sum(map(len, mail[:1_000]))
        await put(world.ann, "INBOX", *mail[1_000:])
        second = await world.tonight()
        assert (second.messages, second.octets) == (10, sum(map(len, mail[1_000:])))
        assert second.written <= first.written // 100 + 3 * 65_536
        third = await world.tonight()
        assert (third.messages, third.written, third.unchanged) == (0, 0, 2)
        await put(world.bob, "INBOX", *mail[:10])
        fourth = await world.tonight()
        assert (fourth.messages, fourth.octets) == (10, 0), "another account has them"
        large = message(9, chance.randbytes(300_000).hex())
        await put(world.ann, "INBOX", large)
        await world.tonight()
        await put(world.bob, "INBOX", large.replace(b"To: ann", b"To: bob"))
        assert (await world.tonight()).written < 300_000, "an attachment that is there in another message"
        await comes_back(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


def test_an_account_alone_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await put(world.bob, "INBOX", message(2))
        await world.tonight()
        await put(world.ann, "INBOX", message(3))
        await put(world.bob, "INBOX", message(4))
        done = await world.tonight("ann@example.com")
        assert (done.accounts, done.snapshot.data.messages) == (1, 3)
        shutil.rmtree(world.notes)
        done = await world.tonight("ann@example.com")
        assert (done.accounts, done.snapshot.data.messages) == (2, 4), "nobody could say how the others were"
        await comes_back(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("lost", ["*", "state/*", "known/*", "accounts/*", "pieces/*"])
@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_what_is_remembered_may_be_lost(tmp_path: Path, lost: str, how: str) -> None:
    """It costs time and room, and nothing else."""

    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n) for n in range(30)), message(40, "z" * 100_000))
        await put(world.bob, "INBOX", message(1))
        await world.tonight()
        await night_after(world, 1)
        await world.tonight()
        for path in list(world.notes.glob(lost)):
            if how == "gone":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                continue
            for each in (one for one in (path, *path.rglob("*")) if one.is_file()):
                data = bytearray(each.read_bytes())
                data[random.Random(lost).randrange(len(data))] ^= 1
                each.write_bytes(data)
        for number in (2, 3, 4):
            await night_after(world, number)
            done = await world.tonight()
            assert not done.failed
            assert done.snapshot.data.accounts == 2
            reader = world.repository()
            assert noted(world.writer())[0] <= needed(reader, reader.snapshots()[-1])
            await comes_back(world, tmp_path / "new")
        assert (done.messages, done.unchanged) == (8, 1), "and from then on it is as before"
        await world.engine.close()

    play(scene())


def _silent(location: Location, folder: str) -> Callable[[str], Iterator[tuple[str, int]]]:
    """`names` of a location that does not answer who lists this folder."""
    names = location.names

    def listed(asked: str) -> Iterator[tuple[str, int]]:
        if asked == folder:
            raise LocationFailed("The location does not answer.")
        return names(asked)

    return listed


def test_a_run_that_was_cut_off_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n, "x" * 5_000) for n in range(50)))

        def stopped(self: Repository, data: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Repository, "put_snapshot", stopped)
            with pytest.raises(KeyboardInterrupt):
                await world.tonight()
        assert verify(world.writer(), NOW, everything=True).right
        with monkeypatch.context() as patch:
            patch.setattr(world.location, "names", _silent(world.location, "mail"))
            with pytest.raises(LocationFailed):  # not: all that is there is taken for not there, and written anew
                await world.tonight()
        done = await world.tonight()
        assert (done.messages, done.octets, done.written) == (50, 0, 0)
        assert not list((world.notes / "journal").iterdir())
        (pack,) = [name for name, _, _ in files(world, FileKind.MAIL)]
        assert pack in read_written(world.writer()).files, "it is missed when it is gone"
        await comes_back(world, tmp_path / "new")
        # What is condemned meanwhile is not gone on with.
        await put(world.ann, "INBOX", message(100))
        with monkeypatch.context() as patch:
            patch.setattr(Repository, "put_snapshot", stopped)
            with pytest.raises(KeyboardInterrupt):
                await world.tonight()
        prune(world.repository(), Keep(last=5), int(world.clock.now()))
        assert (await world.tonight()).octets == len(message(100))
        await comes_back(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


def test_a_snapshot_whose_run_was_cut_off_behind_it_is_missed_too_when_it_is_gone(tmp_path: Path) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        first = await world.tonight()
        for name, _, _ in list(files(world, FileKind.WRITTEN)):
            world.location.remove(name)
        await put(world.ann, "INBOX", message(1))
        second = await world.tonight()
        written = read_written(world.writer())
        assert {first.snapshot.name, second.snapshot.name} <= written.files
        assert set(written.snapshots) == {second.snapshot.name}, "nobody knows when the first one was taken"
        world.repository().remove_snapshot(first.snapshot.name)
        assert first.snapshot.name in {each.name for each in verify(world.writer(), NOW, everything=True).damages}
        await world.engine.close()

    play(scene())


def test_notes_that_cannot_be_kept_are_told_of_and_the_snapshot_is_there(tmp_path: Path) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        (tmp_path / "data" / "backup-notes").write_text("no folder")
        with pytest.raises(NotesFailed):
            await world.tonight()
        await comes_back(world, tmp_path / "new")
        (tmp_path / "data" / "backup-notes").unlink()
        await world.tonight()
        await comes_back(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


def test_full_writes_all_again(tmp_path: Path) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1), message(2))
        await world.tonight()
        for name, _, _ in list(files(world, FileKind.MAIL)):
            world.location.remove(name)
        found = verify(world.writer(), NOW, everything=True)
        assert [each.spare for each in found.damages] == [False]
        done = await world.tonight(full=True)
        assert done.octets == len(message(1)) + len(message(2))
        prune(world.repository(), Keep(last=1), NOW)
        assert verify(world.writer(), NOW, everything=True).right, "what was lost is looked for no more"
        await comes_back(world, tmp_path / "newer")
        await world.engine.close()

    play(scene())


# With `prune` elsewhere ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_any_nights_and_prunes(tmp_path: Path, seed: int) -> None:
    """What is remembered is what the last snapshot needs, whatever comes between: notes lost, runs cut off, prunes
    where the private key is, other writers."""

    async def scene() -> None:
        chance = random.Random(seed)
        world = SealedWorld(tmp_path)
        await world.fill()
        count = 0
        for number in range(10):
            for store in (world.ann, world.bob):
                for _ in range(chance.randrange(3)):
                    name = chance.choice(["INBOX", "A", "B"])
                    new = [
                        message(chance.randrange(12), "x" * chance.choice([1, 5, 90_000]))
                        for _ in range(chance.randrange(1, 5))
                    ]
                    count += len(new)
                    await put(store, name, *new)
                boxes = await store.mailboxes()
                box = chance.choice(boxes)
                at = chance.randrange(1, max(2, box.uidnext))
                match chance.randrange(5):
                    case 0 | 1:
                        await store.expunge(box.key, ((at, at + chance.randrange(4)),), deleted_only=False)
                    case 2:
                        await store.move(box.key, ((at, at + 2),), chance.choice(boxes).key)
                    case 3 if box.name != "INBOX":
                        await store.delete_mailbox(box.key)
                    case _:
                        await store.store_flags(box.key, ((1, at),), FlagMode.ADD, Flags.of(["\\Seen"]))
            world.clock.advance(chance.choice([3600.0, 86_400.0, 4 * 86_400.0]))
            what = chance.randrange(8)
            if what == 0:
                prune(world.repository(), Keep(0, 0, 0, chance.randrange(1, 3)), int(world.clock.now()))
            if what == 1 and number:
                for path in chance.sample(sorted(path for path in world.notes.rglob("*") if path.is_file()), 2):
                    path.unlink()
            if what == 2:
                await world.take(repository=world.writer(tmp_path / "elsewhere"))
            if what == 3:
                await world.take()  # by the owner himself
            await world.tonight(full=chance.random() < 0.1)
            if what == 4:
                prune(world.repository(), Keep(0, 0, 0, 1), int(world.clock.now()))
            reader = world.repository()
            snapshot = reader.snapshots()[-1]
            ids, parts = noted(world.writer())
            assert ids <= needed(reader, snapshot)
            assert parts <= pieces(reader, snapshot)
            if what not in (1, 3):
                assert ids == needed(reader, snapshot)
            assert verify(world.writer(), NOW, everything=True).right
            await comes_back(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


def test_a_base_that_is_forgotten_elsewhere_is_not_relied_on(tmp_path: Path) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await world.tonight()
        await world.ann.expunge(1, ((1, 1),), deleted_only=False)
        await world.take(repository=world.writer(tmp_path / "elsewhere"))
        prune(world.repository(), Keep(0, 0, 0, 1), NOW)
        prune(world.repository(), Keep(0, 0, 0, 1), NOW + GRACE)
        assert world.writer().basis() is None
        await put(world.ann, "INBOX", message(1))
        assert (await world.tonight()).octets == len(message(1)), "which had gone from the backup"
        await comes_back(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


def test_what_was_condemned_while_a_run_relied_on_it_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its snapshot keeps those packs, and no later run relies on that alone: they go with it, at once."""

    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        base = await world.tonight()
        await put(world.ann, "INBOX", message(2))

        def meanwhile(keep: int, now: int) -> None:
            """Another snapshot, which has no mail, is the newest; so `prune` forgets."""
            newest = max(names_of(world))
            data = world.repository().snapshot(newest).data
            empty = msgspec.structs.replace(data, pages=(), persons=(), files=())
            world.repository().put_snapshot(empty)
            prune(world.repository(), Keep(0, 0, 0, keep), now)

        real = Repository.put_snapshot

        def late(self: Repository, data: SnapshotData) -> Snapshot:
            if self.notes is not None:
                meanwhile(1, NOW)
            return real(self, data)

        # Its base is forgotten and condemned while it runs: what it needs stays, but it does not go on from there.
        with monkeypatch.context() as patch:
            patch.setattr(Repository, "put_snapshot", late)
            with pytest.raises(NotesFailed):
                await world.tonight()
        assert base.snapshot.name not in names_of(world)
        await comes_back(world, tmp_path / "new")
        await put(world.ann, "INBOX", message(3))
        third = await world.tonight()
        assert third.octets == sum(len(message(n)) for n in (1, 2, 3)), "written anew"
        prune(world.repository(), Keep(0, 0, 0, 1), NOW + GRACE)
        prune(world.repository(), Keep(0, 0, 0, 1), NOW + 2 * GRACE)
        await comes_back(world, tmp_path / "new")
        assert (await world.tonight()).octets == 0
        await world.engine.close()

    def names_of(world: World) -> list[str]:
        return world.repository().snapshot_names()

    play(scene())


def test_nothing_is_relied_on_after_something_was_given_up(tmp_path: Path) -> None:
    """`prune --force` lets go what a list named that cannot be read: who writes has it in his notes all the same."""

    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await world.tonight()
        for name, _, _ in list(files(world, FileKind.META)):
            world.location.remove(name)
        await put(world.bob, "INBOX", message(2))
        prune(world.repository(), Keep(0, 0, 0, 1), NOW, force=True)
        assert world.writer().basis() is None
        await world.tonight()
        snapshot = world.repository().snapshots()[-1]
        engine, restored = await world.give(snapshot, tmp_path / "new")
        assert restored.lost == []
        assert await state(engine.account(ANN)) == await state(world.ann)
        await engine.close()
        await world.engine.close()

    play(scene())


# Verifying without the private key -------------------------------------------------------------------------


async def made(folder: Path) -> SealedWorld:
    world = SealedWorld(folder)
    await world.fill()
    await put(world.ann, "INBOX", *(message(n, random.Random(n).randbytes(200_000).hex()) for n in range(4)))
    await world.tonight()
    await night_after(world, 1)
    await world.tonight()
    prune(world.repository(), Keep(last=9), NOW)
    await night_after(world, 2)
    await world.tonight()
    assert verify(world.writer(), NOW, everything=False).right
    await world.engine.close()
    return world


def harm(path: Path) -> None:
    """Another last octet, whatever it was: of what is sealed it may be any."""
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_anywhere_is_found_without_the_private_key(tmp_path: Path, seed: int) -> None:
    world = play(made(tmp_path))
    chance = random.Random(seed)
    root = tmp_path / "backup"
    for name, _ in sorted(world.location.names("")):
        if name.startswith("read/"):
            continue
        whole = (root / name).read_bytes()
        at = chance.randrange(len(whole))
        (root / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
        for repository in (world.writer(), world.repository()):
            found = verify(repository, NOW, everything=True)
            assert not found.right
            assert name in {each.name for each in found.damages}, (name, at)
            assert found.opened == repository.reads
        (root / name).write_bytes(whole)
    assert verify(world.writer(), NOW, everything=True).right


def test_a_missing_file_is_found_without_the_private_key(tmp_path: Path) -> None:
    world = play(made(tmp_path))
    root = tmp_path / "backup"
    for name, _ in sorted(world.location.names("")):
        if name.startswith(("read/", "index/", "written/")):
            continue
        whole = (root / name).read_bytes()
        (root / name).unlink()
        found = verify(world.writer(), NOW, everything=True)
        assert name in {each.name for each in found.damages}, name
        if name.removeprefix("twin/").startswith("snapshots/"):
            other = root / (name.removeprefix("twin/") if name.startswith("twin/") else f"twin/{name}")
            other.rename(tmp_path / "aside")
            assert name.removeprefix("twin/") in {
                each.name for each in verify(world.writer(), NOW, everything=True).damages
            }, "both copies"
            (tmp_path / "aside").rename(other)
        (root / name).write_bytes(whole)
    assert verify(world.writer(), NOW, everything=True).right
    assert verify(world.repository(), NOW, everything=True).right


def test_a_share_reads_all_within_thirty_nights_without_the_private_key(tmp_path: Path) -> None:
    world = play(made(tmp_path))
    for path in (tmp_path / "backup" / "read").iterdir():
        path.unlink()
    damaged = next(path for path in sorted((tmp_path / "backup" / "mail").rglob("*")) if path.is_file())
    harm(damaged)
    nights = [verify(world.writer(), NOW + n * 86_400, everything=False) for n in range(30)]
    assert all(each.left for each in nights)
    right = [each.right for each in nights]
    assert False in right
    assert not any(right[right.index(False) :]), "told every night until it is mended"


def test_a_list_that_lets_go_what_is_there_holds_until_the_next_prune(tmp_path: Path) -> None:
    """Who has the writing key can make one; where the private key is, it is known what is there."""
    world = play(made(tmp_path))
    pack = next(name for name, _, _ in files(world, FileKind.MAIL))
    note_gone(world.writer(), [pack])
    assert pack not in read_written(world.writer()).files
    prune(world.repository(), Keep(last=9), NOW)
    assert pack in read_written(world.writer()).files
    world.location.remove(pack)
    assert pack in {each.name for each in verify(world.writer(), NOW, everything=True).damages}


def test_twins_are_put_back_without_the_private_key(tmp_path: Path) -> None:
    world = play(made(tmp_path))
    for folder in ("meta", "snapshots"):
        path = next(each for each in sorted((tmp_path / "backup" / folder).rglob("*")) if each.is_file())
        harm(path)
    assert len(verify(world.writer(), NOW, everything=True, mending=True).mended) == 2
    assert verify(world.repository(), NOW, everything=True).right


def test_lists_of_files_are_joined_when_they_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        monkeypatch.setattr(verifying, "MANY", MANY)
        world = SealedWorld(tmp_path)
        await world.fill()
        for number in range(MANY + 2):
            await put(world.bob, "INBOX", message(number))
            await world.tonight()
            world.clock.advance(86_400.0)
        before = read_written(world.repository())
        assert len(before.snapshots) == len(before.lists) == MANY + 2
        assert verify(world.writer(), NOW, everything=False).right
        after = read_written(world.repository())
        assert len(after.lists) == 1
        assert (after.snapshots, after.files) == (before.snapshots, before.files)
        assert min(line.at for line in after.snapshots.values()) == NOW
        await world.engine.close()

    play(scene())


# The night -------------------------------------------------------------------------------------------------


def test_a_night_forgets_nothing_and_is_a_good_one(tmp_path: Path) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        for number in range(4):
            await night_after(world, number)
            world.clock.advance(86_400.0)
            done = await night(world.engine, world.writer(), world.clock, "host", {}, Keep(1, 0, 0))
            assert (done.problems, done.unpruned, done.forgotten) == ((), True, 0)
            assert done.read_back > 0
        assert len(world.repository().snapshots()) == 4
        with_all = await night(world.engine, world.writer(), world.clock, "host", {}, Keep(0, 0, 0))
        assert not with_all.unpruned, "nothing was to be forgotten"
        by_owner = await night(world.engine, world.repository(), world.clock, "host", {}, Keep(1, 0, 0))
        assert (by_owner.problems, by_owner.unpruned, by_owner.forgotten > 0) == ((), False, True)
        await comes_back(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


def test_what_is_remembered_is_of_the_last_snapshot(tmp_path: Path) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        done = await world.tonight()
        repository = world.writer()
        last = repository.basis()
        assert last == done.snapshot
        assert isinstance(repository.notes, Notes)
        (ann,) = [line for line in repository.read(last.data.pages[0], PageData).accounts if line.id == ANN]
        assert repository.read(ann.root, AccountData).mailboxes[0].messages == 1
        with pytest.raises(NeedsPrivateKey):
            repository.get(last.data.common, Kind.COMMON)
        await world.engine.close()

    play(scene())
