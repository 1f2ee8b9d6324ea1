"""What a run reads and writes, and what its snapshot then says: nights in which little changed."""

from __future__ import annotations

import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import apsw
import pytest

from restante.backup.choose import line_of, snapshot_of
from restante.backup.errors import NoRepository
from restante.backup.look import Looking
from restante.backup.objects import AccountData
from restante.backup.restore import read_mailbox
from restante.backup.rewind import snapshot_before
from restante.backup.run import run
from restante.backup.segments import Changes, make_segment
from restante.backup.verify import verify
from restante.backup.writer import Writer
from restante.clock import ManualClock
from restante.store.directory import NotFound
from restante.store.interface import Store
from restante.store.model import FlagMode, Flags
from tests.crash.vfs import BadSector, bad_sector

from .support import ANN, World, message, play, put, state

SEEN = Flags.of(["\\Seen"])


def inbox(world: World, snapshot: str = "latest") -> dict[int, tuple[int, str]]:
    """UID -> (system bits, EMAILID) of ann's INBOX in a snapshot."""
    repository = world.repository()
    line = line_of(repository, snapshot_of(repository, snapshot), "ann@example.com")
    box = repository.read(line.root, AccountData).mailboxes[0]
    return {uid: (row.system, row.email_id) for uid, row in read_mailbox(repository, box).items()}


def segments(world: World) -> int:
    repository = world.repository()
    line = line_of(repository, snapshot_of(repository, "latest"), "ann@example.com")
    return len(repository.read(line.root, AccountData).mailboxes[0].segments)


def test_a_night_writes_what_changed_and_says_it(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        uids, ids = await put(world.ann, "INBOX", *(message(n) for n in range(1, 9)))
        first = await world.take()
        assert (first.messages, segments(world)) == (8, 1)
        await world.ann.expunge(1, ((3, 4), (7, 7)), deleted_only=False)
        await world.ann.store_flags(1, ((1, 1), (4, 5)), FlagMode.ADD, SEEN)
        await put(world.ann, "INBOX", message(20))
        second = await world.take()
        assert (second.messages, second.unchanged, segments(world)) == (1, 1, 2)
        kept = [1, 2, 5, 6, 8]
        assert {uid: id for uid, (_, id) in inbox(world).items() if uid in uids} == {uid: ids[uid - 1] for uid in kept}
        assert {uid: system for uid, (system, _) in inbox(world).items()} == {1: 1, 2: 0, 5: 1, 6: 0, 8: 0, 9: 0}
        assert list(inbox(world, first.snapshot.id)) == list(range(1, 9)), "the first snapshot is as it was"
        third = await world.take()
        assert (third.messages, third.written, third.unchanged) == (0, 0, 2)
        await world.engine.close()

    play(scene())


def test_a_mailbox_is_written_anew_when_its_changes_have_grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restante.backup.account.LEAST_WEIGHT", 3)

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n) for n in range(8)))
        for night in range(4):
            await world.take()
            await world.ann.store_flags(1, ((1, 2),), FlagMode.REMOVE if night % 2 else FlagMode.ADD, SEEN)
        await world.take()
        assert segments(world) == 2
        assert len(inbox(world)) == 8
        await world.engine.close()

    play(scene())


def test_a_mailbox_of_many_segments_is_not_written_anew_each_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million messages are fifty segments from the first night on."""
    monkeypatch.setattr("restante.backup.account.ROWS", 2)
    monkeypatch.setattr("restante.backup.account.MOST_SEGMENTS", 4)

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n) for n in range(20)))
        await world.take()
        assert segments(world) == 10
        counts = []
        for night in range(6):
            await world.ann.store_flags(1, ((1, 2),), FlagMode.REMOVE if night % 2 else FlagMode.ADD, SEEN)
            await world.take()
            counts.append(segments(world))
        assert counts == [11, 12, 13, 14, 10, 11], "written anew when four have come, not each night"
        await world.engine.close()

    play(scene())


def test_much_that_came_in_a_night_is_several_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much it is, no more than `ROWS` of it are held at once."""
    rows: list[int] = []

    def made(changes: Changes, *args: object) -> object:
        rows.append(len(changes.placed))
        return make_segment(changes, *args)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr("restante.backup.account.ROWS", 10)
    monkeypatch.setattr("restante.backup.account.make_segment", made)

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n) for n in range(100)))
        await world.take()
        await world.ann.expunge(1, ((1, 3),), deleted_only=False)
        await world.ann.store_flags(1, ((10, 12),), FlagMode.ADD, SEEN)
        await put(world.ann, "INBOX", *(message(n) for n in range(100, 135)))
        rows.clear()
        await world.take()
        assert rows == [10, 10, 10, 5]
        assert segments(world) == 14
        assert sorted(inbox(world)) == list(range(4, 136))
        assert [uid for uid, (system, _) in inbox(world).items() if system] == [10, 11, 12]
        await put(world.ann, "INBOX", *(message(n) for n in range(200, 1400)))
        rows.clear()
        await world.take()
        assert max(rows) == 10
        assert len(inbox(world)) == 1332
        engine, done = await world.give(world.repository().snapshots()[-1], tmp_path / "new")
        assert done.lost == []
        await engine.close()
        await world.engine.close()

    play(scene())


def test_a_mailbox_that_nobody_touches_is_not_read_again_when_the_log_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's floor rises over the number of an archive after half a year; each night after that read all of it."""
    rows: list[int] = []

    def made(changes: Changes, *args: object) -> object:
        rows.append(len(changes.placed))
        return make_segment(changes, *args)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr("restante.backup.account.make_segment", made)

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "Archive", *(message(n) for n in range(20)))
        await put(world.ann, "INBOX", *(message(n) for n in range(50, 52)))
        await world.ann.expunge(1, ((1, 1),), deleted_only=False)
        world.clock.advance(200 * 86400)
        await put(world.ann, "INBOX", message(60))
        await world.take()
        while await world.ann.reclaim(100):
            pass
        rows.clear()
        await put(world.ann, "INBOX", message(61))
        await world.take()
        assert rows == [1], "of the archive nothing is read"
        await put(world.ann, "Archive", message(62))
        key = next(box.key for box in await world.ann.mailboxes() if box.name == "Archive")
        await world.ann.expunge(key, ((1, 2),), deleted_only=False)
        rows.clear()
        await world.take()
        assert rows == [1], "nor more than what changed, when something does"
        given, _ = await world.give(snapshot_of(world.repository(), "latest"), tmp_path / "given")
        assert (await state(given.account(ANN)))["Archive"] == (await state(world.ann))["Archive"]
        await given.close()
        await world.engine.close()

    play(scene())


def test_equal_octets_are_kept_once_over_accounts_and_nights(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        large = message(1, "".join(f"{n} {n * n}\n" for n in range(60_000)))
        await put(world.ann, "INBOX", large)
        await world.take()
        before = sum(size for name, size in world.location.names("mail"))
        await put(world.bob, "INBOX", large)
        await put(world.ann, "Copy", large)
        # The same attachment to somebody else, with a header of its own.
        await put(world.bob, "INBOX", large.replace(b"To: ann@", b"To: bob@", 1))
        done = await world.take()
        assert done.octets == len(large), "only the one with another header was read"
        assert sum(size for name, size in world.location.names("mail")) - before == 65_536, "one small pack"
        await world.engine.close()

    play(scene())


def test_others_stand_as_they_were_when_some_accounts_are_named(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await world.take()
        await put(world.ann, "INBOX", message(2))
        await put(world.bob, "INBOX", message(3))
        await world.take("bob@example.com")
        assert len(inbox(world)) == 1
        assert (await world.take("ann@example.com")).snapshot.data.messages == 3
        with pytest.raises(NotFound):
            await world.take("carl@example.com")
        await world.engine.close()

    play(scene())


def test_a_message_that_the_store_has_lost_is_named_and_all_else_is_taken(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n) for n in range(5)))
        await put(world.bob, "INBOX", message(9))
        path = world.engine.path(ANN)
        with_db(path, "UPDATE chunk SET data = CAST(x'00' || substr(data, 2) AS BLOB) WHERE key >> 20 = 2")
        with_db(path, "DELETE FROM chunk WHERE key >> 20 = 4")
        done = await world.take()
        assert (done.unreadable, done.failed) == ([("ann@example.com", 2)], [])
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert (restored.messages, sorted(lost.uid for lost in restored.lost)) == (4, [2, 4])
        await engine.close()
        # It goes on to be told of, though nothing in the account has changed.
        assert (await world.take()).unreadable == [("ann@example.com", 2)]
        # And once it can be read again it is taken.
        with_db(path, "UPDATE chunk SET data = CAST(x'46' || substr(data, 2) AS BLOB) WHERE key >> 20 = 2")
        done = await world.take()
        assert done.unreadable == [("ann@example.com", 1)]
        engine, restored = await world.give(done.snapshot, tmp_path / "newer")
        assert [lost.uid for lost in restored.lost] == [4]
        await engine.close()
        await world.engine.close()

    play(scene())


def test_a_sector_that_cannot_be_read_keeps_no_other_message_from_being_taken(tmp_path: Path) -> None:
    async def scene(disk: BadSector) -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n) for n in range(100)))
        await world.engine.close()
        path = world.engine.path(ANN)
        with closing(apsw.Connection(str(path))) as db:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            sql = "SELECT pgoffset FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno"
            octets, answers = (db.execute(sql, (table,)).fetchall()[-2] for table in ("chunk", "answer"))
        for (place,), lost in ((octets, True), (answers, False)):
            assert isinstance(place, int)
            disk.at = (str(path), place)
            world.engine = world.open(tmp_path / "data")
            done = await world.take(full=True)
            assert done.failed == []
            assert [address for address, count in done.unreadable if 0 < count < 60] == ["ann@example.com"] * lost
            await world.engine.close()

    with bad_sector() as disk:
        play(scene(disk))


def with_db(path: Path, sql: str) -> None:
    db = apsw.Connection(str(path))
    db.execute(sql)
    db.close()


def test_an_account_that_cannot_be_read_is_named_and_stands_as_before(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await put(world.bob, "INBOX", message(2))
        await world.take()
        await world.engine.leave(ANN)
        path = world.engine.path(ANN)
        kept = path.read_bytes()
        path.write_bytes(b"\0" * len(kept))
        await put(world.bob, "INBOX", message(3))
        done = await world.take()
        assert [address for address, _ in done.failed] == ["ann@example.com"]
        assert done.snapshot.data.failed[0][0] == "ann@example.com"
        assert (done.snapshot.data.accounts, done.snapshot.data.messages) == (2, 3)
        await world.engine.close()

    play(scene())


def test_mail_that_comes_and_goes_while_a_run_reads_is_in_the_next_snapshot(tmp_path: Path) -> None:
    """The rows are of one instant; contents are read behind it, also of what was removed meanwhile."""

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n) for n in range(5)))
        before = await state(world.ann)
        engine = world.engine
        original = type(world.ann).read_contents
        acted: list[int] = []

        async def meanwhile(store: Store, contents: list[int]) -> list[bytes]:
            if not acted:
                acted.append(1)
                await world.ann.expunge(1, ((1, 2),), deleted_only=False)
                await put(world.ann, "INBOX", message(77))
                await world.ann.rename_mailbox((await world.ann.create_mailbox("New")).key, "Other")
            return await original(store, contents)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(world.ann), "read_contents", meanwhile)
            done = await world.take()
        restored, _ = await world.give(done.snapshot, tmp_path / "new")
        assert await state(restored.account(ANN)) == before
        await restored.close()
        await engine.close()

    play(scene())


def test_snapshots_are_named_by_id_date_or_latest(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        taken = []
        for _ in range(3):
            taken.append((await world.take()).snapshot)
            world.clock.advance(86400)
        repository = world.repository()
        assert snapshot_of(repository, "latest").name == taken[2].name
        assert snapshot_of(repository, taken[1].id).name == taken[1].name
        assert snapshot_of(repository, "2027-01-16").name == taken[1].name  # the clock starts on 2027-01-15, 08:00
        assert snapshot_of(repository, "2027-01-16T07:59:59Z").name == taken[0].name
        for wrong in ("2027-01-14", "nothing", "2027-x"):
            with pytest.raises(NoRepository):
                snapshot_of(repository, wrong)
        # A clock that is wrong for a night: what is taken then is not of the days after it.
        world.clock = ManualClock(world.clock.now() - 20 * 86400)
        strange = (await world.take()).snapshot
        assert snapshot_of(world.repository(), "2027-01-16").name == taken[1].name
        assert snapshot_before(world.repository(), taken[1].data.at).name == taken[1].name
        assert snapshot_of(world.repository(), "2027-01-01").name == strange.name
        assert snapshot_of(world.repository(), "latest").name == strange.name
        await world.engine.close()

    play(scene())


def test_a_file_that_was_emptied_is_in_the_snapshot(tmp_path: Path) -> None:
    """It is all that is new that night: a pack of one object without octets."""

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await world.take()
        done = await run(world.engine, world.repository(), world.clock, "host", {"restante.toml": b""})
        assert verify(world.repository(), int(world.clock.now()), everything=True).right
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert (restored.files, restored.lost) == ({"restante.toml": b""}, [])
        await engine.close()
        with Writer(world.repository()) as writer:
            writer.put_message(sha256(b"").digest(), b"")
        assert world.repository().message(sha256(b"").digest()) == b""
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_a_folder_of_backups_names_its_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """Folders are named by the machine's clock, without seconds: what is read there can be typed here."""

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        world.clock.advance(17)
        taken = []
        for pause in (3600, 3600, 5, 86400):
            taken.append((await world.take()).snapshot)
            world.clock.advance(pause)
        names = [state.name for state in Looking(world.repository()).states(ANN)]
        assert len(set(names)) == 4
        for name, snapshot in zip(names, taken, strict=True):
            assert snapshot_of(world.repository(), name).name == snapshot.name
        await world.engine.close()

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        play(scene())
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_identity_with_everything_comes_back(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1), uidl="from-the-old-server", saved=5, suffix=3, retrieved=77)
        await put(world.ann, "INBOX", message(2), hidden=True)
        before = await state(world.ann)
        engine, _ = await world.give((await world.take()).snapshot, tmp_path / "new")
        assert await state(engine.account(ANN)) == before
        assert "from-the-old-server.3" in str(before["*"])
        await engine.close()
        await world.engine.close()

    play(scene())
