"""An account that comes back from a snapshot is an older state put in service: in whichever order that is done, and on
whichever machine, no number falls below one that a client may have seen, and no UID comes to mean another message."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from restante.backup.analysing import analysing
from restante.backup.choose import line_of
from restante.backup.later import newest_lines
from restante.backup.objects import AccountData, PageData
from restante.backup.repository import Repository, Snapshot
from restante.backup.restore import Restored, restore_removed
from restante.backup.run import lines_of
from restante.backup.writer import Writer
from restante.mime.model import DEFAULT_LIMITS
from restante.store.directory import Domain
from restante.store.interface import Store
from restante.store.sqlite.engine import SqliteEngine

from .support import ANN, World, message, play, put


async def anew(
    world: World, snapshot: Snapshot, to: SqliteEngine | None = None, *, repository: Repository | None = None
) -> None:
    """The account is removed by mistake, or has gone with its machine (to: what stands on the new one), and comes back
    as it was in a snapshot."""
    engine = to or world.engine
    if to is None:
        await engine.directory.remove_account(ANN)
        await engine.delete_account(ANN)
    repository = repository or world.repository()
    with analysing(0, DEFAULT_LIMITS) as pool:
        line = line_of(repository, snapshot, "ann@example.com")
        await restore_removed(engine, repository, snapshot, line, pool, Restored())


def test_a_state_put_in_service_twice_gives_no_uid_twice(tmp_path: Path) -> None:
    """Also one that was taken after an earlier restore, whose UIDs are ahead of the time."""

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))

        await anew(world, (await world.take()).snapshot)
        again = (await world.take()).snapshot
        given: list[int] = []
        numbers: list[int] = []
        for number in (10, 20):
            world.clock.advance(86_400)
            await anew(world, again)
            uids, _ = await put(world.ann, "INBOX", message(number))
            given += uids
            numbers.append(await world.ann.last_change())
        assert given[1] > given[0]
        assert numbers[1] > numbers[0]
        await world.engine.close()

    play(scene())


async def numbers(store: Store) -> tuple[int, int, int]:
    """UIDNEXT and HIGHESTMODSEQ of INBOX, the account's counter."""
    box = await store.mailbox("INBOX")
    assert box is not None
    return box.uidnext, box.highest_modseq, await store.last_change()


def test_numbers_never_fall_in_whichever_order_snapshots_come_back(tmp_path: Path) -> None:
    """An older one, after a newer one that was itself taken after a restore, all within days."""

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        kept = [(await world.take()).snapshot]
        seen = (0, 0, 0)
        meant: dict[int, str] = {}
        for number, which in enumerate((0, 1, 0, 2, 1, 0, 0), 2):
            world.clock.advance(3600)
            await anew(world, kept[which])
            uids, ids = await put(world.ann, "INBOX", message(number))
            assert meant.setdefault(uids[0], ids[0]) == ids[0]
            now = await numbers(world.ann)
            assert all(one > old for one, old in zip(now, seen, strict=True)), (number, now, seen)
            seen = now
            kept.append((await world.take()).snapshot)
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("whole", [True, False])
def test_a_new_machine_knows_of_snapshots_newer_than_the_one_that_it_is_given(tmp_path: Path, whole: bool) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await put(world.ann, "Gone", message(2))
        first = (await world.take()).snapshot
        await anew(world, first)
        world.clock.advance(60)
        await anew(world, (await world.take()).snapshot)
        gone = await world.ann.mailbox("Gone")
        assert gone is not None
        await world.ann.delete_mailbox(gone.key)
        uids, _ = await put(world.ann, "INBOX", message(3))
        before = await numbers(world.ann)
        await world.take()
        world.clock.advance(60)
        await world.take("bob@example.com")  # the newest, in which ann stands as before
        if whole:
            engine, _ = await world.give(first, tmp_path / "new")
        else:
            engine = world.open(tmp_path / "new")
            await engine.directory.add_domain(Domain("example.com"))
            await anew(world, first, engine)
        ann = engine.account(ANN)
        after = await numbers(ann)
        assert all(one > old for one, old in zip(after, before, strict=True))
        assert (await put(ann, "INBOX", message(4)))[0] > uids
        again = await ann.mailbox("Gone")
        assert again is not None
        assert again.id == gone.id
        assert again.uidnext > gone.uidnext
        await engine.close()
        await world.engine.close()

    play(scene())


def test_a_newest_snapshot_that_cannot_be_read_is_told_and_hinders_no_restore(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        first = (await world.take()).snapshot
        await put(world.ann, "INBOX", message(2))
        await world.take()
        newest = sorted((tmp_path / "backup").glob("**/snapshots/*"))
        assert len(newest) == 4, "two, and their twins"
        for path in newest:
            if path.name != first.name:
                path.write_bytes(b"x" * 50)
        repository = world.repository()
        await anew(world, first, repository=repository)
        assert repository.complaints
        assert (await world.ann.mailboxes())[0].messages == 1
        await world.engine.close()

    play(scene())


def test_an_account_removed_long_ago_is_looked_for_in_few_snapshots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        taken = []
        for number in range(4):
            await put(world.ann, "INBOX", message(number))
            taken.append((await world.take()).snapshot)
        await world.engine.directory.remove_account(ANN)
        for _ in range(28):
            world.clock.advance(60)
            await world.take()
        repository = world.repository()
        looked: list[str] = []
        real = Repository.snapshot

        def counted(self: Repository, name: str) -> Snapshot:
            looked.append(name)
            return real(self, name)

        monkeypatch.setattr(Repository, "snapshot", counted)
        for which, last in ((0, taken[3]), (3, None)):
            line = line_of(repository, taken[which], "ann@example.com")
            looked.clear()
            found = newest_lines(repository, taken[which], {ANN: line})
            assert found == ({ANN: line_of(repository, last, "ann@example.com")} if last else {})
            assert len(looked) <= 6
        await world.engine.close()

    play(scene())


async def forged(world: World, modseq: int, uidvalidity: int = 1) -> Snapshot:
    """The newest snapshot, by a thief who has the server's key: of an account whose counter is where he wants it."""
    repository = world.repository()
    last = repository.basis()
    assert last is not None
    (line,) = [one for one in lines_of(repository, last).values() if one.id == ANN]
    root = repository.read(line.root, AccountData)
    with Writer(repository) as writer:
        mark = msgspec.structs.replace(root.mark, modseq=modseq)
        id = writer.put_data(msgspec.structs.replace(root, mark=mark, uidvalidity=uidvalidity))
        page = writer.put_data(PageData((msgspec.structs.replace(line, root=id),)))
        writer.flush()
    return repository.put_snapshot(msgspec.structs.replace(last.data, pages=(page,)))


@pytest.mark.parametrize("modseq", [(1 << 63) - 1, (1 << 64) - 1, -1])
def test_a_forged_newer_snapshot_spoils_no_earlier_one(tmp_path: Path, modseq: int) -> None:
    """Its numbers would leave none for the account that comes back, which could not be opened."""

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        first = (await world.take()).snapshot
        await forged(world, modseq)
        repository = world.repository()
        await anew(world, first, repository=repository)
        assert "forged" in repository.complaints[0].text
        await put(world.ann, "INBOX", message(2))
        assert (await world.ann.mailboxes())[0].messages == 2
        await world.engine.close()

    play(scene())


def test_a_forged_uidvalidity_leaves_some_for_new_mailboxes(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        first = (await world.take()).snapshot
        await forged(world, first.data.at * 1_000_000, (1 << 32) - 1)
        await anew(world, first)
        await world.ann.create_mailbox("New")
        await world.engine.close()

    play(scene())
