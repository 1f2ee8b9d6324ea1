"""The restore drill: it is content with what is right, finds each kind of difference, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.backup.drill import Sample, Work, drill
from restante.backup.errors import NoRepository, NoRoom
from restante.backup.outcome import Drilled
from restante.backup.throwaway import PREFIX, sweep, throwaway
from restante.cli import backup_drill
from restante.cli.main import restante
from restante.cli.statuses import Exit
from restante.clock import system_random
from restante.config.load import load
from restante.config.model import BackupTable, Config
from restante.mime.model import DEFAULT_LIMITS
from restante.server.backup_records import DrillRecord, drill_overdue, note_drill, read_drill
from restante.server.nightly_process import work as night_work
from restante.server.nightly_state import Order
from restante.store.backup import Head, Pop3Row, Readying, Rebuilding, RebuiltEmail, RebuiltRow, SeenRow
from restante.store.interface import Store
from restante.store.model import FlagMode, Flags, Pop3Delete, System
from restante.store.rights import parse_rights
from restante.store.sqlite.engine import SqliteEngine

from .support import ANN, BOB, World, message, play, put

MONTH = 30 * 86400.0


async def filled(folder: Path) -> World:
    """Two accounts with something of everything, and snapshots between which things changed."""
    world = World(folder)
    await world.fill()
    await put(world.ann, "INBOX", *(message(number) for number in range(40)), flags=Flags.of(["\\Seen", "work"]))
    await put(world.ann, "INBOX", message(50), uidl="old-server-7")
    await put(world.ann, "Archive/2026", message(60, "x" * 200_000), flags=Flags.of(["\\Flagged"]))
    inbox, archive = await world.ann.mailbox("INBOX"), await world.ann.mailbox("Archive/2026")
    assert inbox is not None
    assert archive is not None
    await put(world.bob, "INBOX", message(1), message(9))
    await world.take()
    await world.ann.store_flags(inbox.key, ((3, 9),), FlagMode.ADD, Flags.of(["\\Answered"]))
    await world.ann.copy(inbox.key, ((2, 4),), inbox.key)
    await world.ann.move(inbox.key, ((5, 6),), archive.key)
    await world.ann.expunge(inbox.key, ((7, 8),), deleted_only=False)
    await world.ann.finish_maildrop(((10, 10),), Pop3Delete.KEEP, ((11, 12),), mark_seen=True)
    await world.ann.set_acl(archive.key, BOB, FlagMode.REPLACE, parse_rights("lrs"))
    await world.engine.account(ANN, BOB).store_flags(archive.key, ((1, 9),), FlagMode.ADD, Flags(System.SEEN))
    await world.ann.annotate(inbox.key, {"/shared/comment": b"hello"})
    await world.ann.subscribe("Archive/2026", True)
    await world.ann.create_mailbox("Gone")
    gone = await world.ann.mailbox("Gone")
    assert gone is not None
    await world.ann.delete_mailbox(gone.key)
    await world.take()
    return world


async def drilled(
    world: World,
    sample: Sample | None,
    seed: int = 1,
    make: Callable[[Path], SqliteEngine] | None = None,
    reserve: int = 0,
) -> Drilled:
    repository = world.repository()
    snapshot = repository.latest()
    assert snapshot is not None
    place = Work(world.folder / "data", reserve, make or world.open, DEFAULT_LIMITS)
    try:
        return await drill(repository, snapshot, sample, place, world.clock, system_random, seed)
    finally:
        assert not list((world.folder / "data").glob(f"{PREFIX}*")), "nothing stays"


def test_what_is_right_is_found_right_a_sample_and_all(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        everything = await drilled(world, None)
        assert everything.differences == ()
        assert (everything.everything, everything.accounts, everything.messages) == (True, 2, 45)
        assert everything.octets > 200_000
        for seed in range(5):
            done = await drilled(world, Sample(accounts=2, messages=7), seed)
            assert done.differences == ()
            assert done.accounts == 2
            assert 2 + 7 <= done.messages <= 2 + 7 * 2, "an email that is in two mailboxes comes back in both"
        await world.engine.close()

    play(scene())


def test_a_seed_draws_the_same_sample_again(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        first = [(one := await drilled(world, Sample(1, 5), seed)).octets * 100 + one.accounts for seed in range(12)]
        again = [(one := await drilled(world, Sample(1, 5), seed)).octets * 100 + one.accounts for seed in range(12)]
        assert first == again
        assert len(set(first)) > 1
        named = await drilled(world, Sample(1, 500, ("BOB@example.com",)))
        assert (named.accounts, named.messages) == (1, 2)
        with pytest.raises(NoRepository, match="no account eve"):
            await drilled(world, Sample(addresses=("eve@example.com",)))
        await world.engine.close()

    play(scene())


class Bent:
    """A restore that gives something back wrongly."""

    def __init__(
        self,
        inner: Rebuilding,
        row: Callable[[RebuiltRow], RebuiltRow] | None,
        email: Callable[[RebuiltEmail], RebuiltEmail] | None,
        side: str,
    ) -> None:
        self._inner, self._row, self._email, self._side = inner, row, email, side

    @property
    def readying(self) -> Readying:
        ready, bend = self._inner.readying, self._email
        return lambda batch: ready([bend(one) if bend else one for one in batch])

    async def emails(self, ready: bytes) -> None:
        await self._inner.emails(ready)

    async def placements(self, mailbox: int, rows: Sequence[RebuiltRow]) -> None:
        await self._inner.placements(mailbox, [self._row(row) if self._row else row for row in rows])

    async def finish(self, pop3: Sequence[Pop3Row], hidden: Sequence[int], seen: Sequence[SeenRow]) -> None:
        await self._inner.finish(
            [] if self._side == "pop3" else pop3,
            [] if self._side == "hidden" else hidden,
            [] if self._side == "seen" else seen,
        )


BENDS: list[tuple[str, dict[str, object]]] = [
    ("the flags differ", {"row": lambda row: (*row[:2], row[2] ^ 1, *row[3:])}),
    ("the flags differ", {"row": lambda row: (*row[:3], "other", *row[4:])}),
    ("INTERNALDATE differs", {"email": lambda one: one._replace(received=one.received + 1),
                              "row": lambda row: (*row[:5], row[5] + 1, row[6])}),
    ("the saved date differs", {"row": lambda row: (*row[:6], row[6] + 1)}),
    ("no such message", {"row": lambda row: (row[0] + 100 * (row[0] == 3), *row[1:])}),
    ("it did not come back", {"row": lambda row: (row[0] + 100, *row[1:])}),
    ("EMAILID differs", {"email": lambda one: one._replace(id="m" + one.id[:0:-1])}),
    ("THREADID differs", {"email": lambda one: one._replace(thread="t" + one.thread[:0:-1])}),
    ("the arrival hash differs", {"email": lambda one: one._replace(arrival=bytes(32))}),
    ("the UIDL of an old server differs", {"email": lambda one: one._replace(uidl=None)}),
    ("the UIDLs that POP3 gives, or what it has fetched", {"side": "pop3"}),
    ("what POP3 hides", {"side": "hidden"}),
    ("what readers have seen", {"side": "seen"}),
    ("the access control lists differ", {"head": lambda head: replace(head, acl=())}),
    ("the annotations differ", {"head": lambda head: replace(head, annotations=())}),
    ("the subscriptions differ", {"head": lambda head: replace(head, subscriptions=())}),
    ("the deleted mailboxes differ", {"head": lambda head: replace(head, tombstones=())}),
    ("name, identity or numbers differ", {"head": lambda head: replace(
        head, mailboxes=tuple(row._replace(uidvalidity=row.uidvalidity + 1) for row in head.mailboxes))}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "bend"), BENDS, ids=[f"{n}-{said[:20]}" for n, (said, _) in enumerate(BENDS)])
def test_each_kind_of_difference_is_found(tmp_path: Path, said: str, bend: dict[str, object]) -> None:
    class BentEngine(SqliteEngine):
        def rebuild(self, account: str, head: Head) -> AbstractAsyncContextManager[Rebuilding]:
            change = bend.get("head")
            return self._bent(account, change(head) if callable(change) else head)

        @asynccontextmanager
        async def _bent(self, account: str, head: Head) -> AsyncIterator[Rebuilding]:
            async with super().rebuild(account, head) as inner:
                yield Bent(inner, bend.get("row"), bend.get("email"), str(bend.get("side", "")))  # type: ignore[arg-type]  # the table's

    async def scene() -> None:
        world = await filled(tmp_path)
        done = await drilled(
            world,
            Sample(),
            make=partial(BentEngine, clock=world.clock, random=system_random, reserve=0, compress=False),
        )
        assert not done.right
        assert any(said in text for text in done.differences), done.differences
        assert done.wrong >= len(done.differences) <= 20
        await world.engine.close()

    play(scene())


def test_octets_that_the_store_gives_otherwise_are_found_though_its_hash_agrees(tmp_path: Path) -> None:
    class Flipping(SqliteEngine):
        """Its disk flips a bit behind the store's back: the stored hash stays."""

        def account(self, account: str, actor: str | None = None, session: str = "") -> Store:
            store = super().account(account, actor, session)
            read = store.read_contents

            async def flipped(contents: Sequence[int]) -> list[bytes]:
                return [bytes([data[0] ^ 1]) + data[1:] for data in await read(contents)]

            store.read_contents = flipped  # type: ignore[method-assign]  # put in its place
            return store

    async def scene() -> None:
        world = await filled(tmp_path)
        done = await drilled(
            world, Sample(), make=partial(Flipping, clock=world.clock, random=system_random, reserve=0, compress=False)
        )
        assert done.wrong == done.messages == 45
        assert all("its octets are others" in text for text in done.differences)
        await world.engine.close()

    play(scene())


def test_damage_is_told_and_all_else_is_compared(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        found = []
        for path in sorted((tmp_path / "backup" / "mail").rglob("*")):
            if path.is_file():
                path.chmod(0o600)
                whole = path.read_bytes()
                path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
                found += [await drilled(world, sample) for sample in (Sample(), None)]
                path.write_bytes(whole)
        # Answers lie in packs of mail too: without them messages are analysed, and all is right.
        bad = [done for done in found if not done.right]
        assert bad
        for done in bad:
            assert done.differences[0].startswith(("ann@example.com", "bob@example.com"))
        for done in found:
            assert done.wrong + done.messages == 45
        await world.engine.close()

    play(scene())


def test_without_room_nothing_is_restored(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        with pytest.raises(NoRoom, match="--work"):
            await drilled(world, Sample(), reserve=1 << 60, make=lambda data: pytest.fail("no engine is opened"))
        await world.engine.close()

    play(scene())


def test_a_sample_of_an_empty_backup_is_right(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await world.take()
        done = await drilled(world, Sample())
        assert (done.right, done.accounts, done.messages) == (True, 0, 0)
        assert (await drilled(world, None)).right
        await world.engine.close()

    play(scene())


# The throw-away folder -------------------------------------------------------------------------------


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_stays(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from restante.backup.throwaway import throwaway; import os\n"
        f"with throwaway(Path({str(tmp_path)!r}), os.urandom) as folder:\n"
        "    (folder / 'mail').write_text('mail'); print(folder, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert sweep(tmp_path) == 0
        assert (folder / "mail").exists(), "it is in use"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert folder.exists()
        assert sweep(tmp_path) == 1
        assert not folder.exists()
    (tmp_path / f"{PREFIX}file").write_text("no folder")
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path)
    assert sweep(tmp_path) == 0


def test_the_folder_is_gone_after_an_error_and_another_may_be_in_use_beside_it(tmp_path: Path) -> None:
    with throwaway(tmp_path, os.urandom) as first:
        seen: list[Path] = []

        def fail() -> None:
            with throwaway(tmp_path, os.urandom) as second:
                seen.append(second)
                (second / "x").mkdir()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert not seen[0].exists()
        assert first.exists()
        assert first.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("whose", ["of another process", "new"])
def test_a_folder_that_goes_before_it_can_be_locked_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    lock, open_one = fcntl.flock, os.open
    gone: list[Path] = []

    def opened(path: Path, flags: int) -> int:
        monkeypatch.undo()
        gone.append(path)
        path.rmdir()
        return open_one(path, flags)

    def locked(handle: int, how: int) -> None:
        monkeypatch.undo()
        gone.append(theirs)
        theirs.rmdir()
        lock(handle, how)

    if whose == "new":
        monkeypatch.setattr(os, "open", opened)
    else:
        theirs = tmp_path / f"{PREFIX}0"
        theirs.mkdir()
        monkeypatch.setattr(fcntl, "flock", locked)
    with throwaway(tmp_path, os.urandom) as folder:
        assert folder.exists()
        assert folder not in gone
    assert len(gone) == 1
    assert list(tmp_path.iterdir()) == []


# What is known of it ---------------------------------------------------------------------------------


def test_a_bad_drill_keeps_the_last_good_one_and_one_of_another_backup_counts_for_nothing(tmp_path: Path) -> None:
    good, bad = Drilled("s", 1, 2), Drilled("s", 1, 2, wrong=1, differences=("x",))
    assert read_drill(tmp_path, "/b") is None
    note_drill(tmp_path, "/b", 100.0, good)
    record = note_drill(tmp_path, "/b", 200.0, bad)
    assert (record.failing, record.success, record.last) == (True, 100.0, 200.0)
    assert note_drill(tmp_path, "/b", 300.0, None, "no room").failing
    assert read_drill(tmp_path, "/b") == DrillRecord("/b", 300.0, None, "no room", 100.0)
    assert read_drill(tmp_path, "/c") is None
    assert note_drill(tmp_path, "/c", 400.0, bad).success is None


def test_a_drill_is_overdue_after_its_period_and_some_missed_nights() -> None:
    good = DrillRecord("/b", 0.0, Drilled("s", 1, 2), success=0.0)
    assert not drill_overdue("monthly", good, 40 * 86400.0)
    assert drill_overdue("monthly", good, 40 * 86400.0 + 1)
    assert drill_overdue("weekly", good, 11 * 86400.0)
    assert not drill_overdue("off", good, 1e12)
    assert not drill_overdue("monthly", None, 1e12), "the next night does the first one"


# The night, and the command line ---------------------------------------------------------------------


def restante_(*args: str, status: Exit = Exit.OK, stdin: bytes = b"") -> str:
    result = CliRunner().invoke(restante, args, input=stdin)
    assert result.exit_code == status, (result.output, result.exception)
    return result.stdout


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An installation with mail and a backup of it."""
    (tmp_path / "passphrase").write_text("three random words\n")
    file = tmp_path / "restante.toml"
    file.write_text(
        f'data = "{tmp_path / "data"}"\n[backup]\nlocation = "{tmp_path / "backup"}"\n'
        f'passphrase_file = "{tmp_path / "passphrase"}"\nmetrics_file = "{tmp_path / "b.prom"}"\n[store]\nreserve = 0\n'
    )
    at = ("--config", str(file))
    restante_(*at, "domain", "add", "example.com")
    restante_(*at, "account", "add", "ann@example.com", "--password-stdin", stdin=b"correct horse\n")
    mail = tmp_path / "mail"
    mail.mkdir()
    for number in range(3):
        (mail / f"{number}.eml").write_bytes(message(number))
    restante_(*at, "import", str(mail), "--account", "ann@example.com")
    restante_(*at, "backup", "init")
    return file


def test_the_command_says_what_came_of_it_and_status_remembers(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ("--config", str(config), "backup")
    restante_(*at, "run")
    said = restante_(*at, "drill", "--messages", "2", "--seed", "5")
    assert "1 account, 2 messages" in said
    assert "All that came back is what was saved." in said
    assert re.search(r"All of it would take about \d+ s\. The sample's number is 5\.", said)
    monkeypatch.setattr(backup_drill, "LEAST_SHARE", 0.9)
    said = restante_(*at, "drill", "--messages", "2", "--seed", "5")
    assert "\nThe sample's number is 5." in said, "two messages say nothing of many"
    found = json.loads(restante_(*at, "drill", "--all", "--work", str(tmp_path / "elsewhere"), "--json"))
    assert (found["right"], found["everything"], found["messages"], found["differences"]) == (True, True, 3, [])
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert "Restore drill, monthly: works." in restante_(*at, "status")
    assert "restante_backup_drill_messages 3.0\n" in (tmp_path / "b.prom").read_text()
    restante_(*at, "verify", "--all")
    assert "restante_backup_verified_ratio 1.0\n" in (tmp_path / "b.prom").read_text()
    assert restante_(*at, "status", "--metrics") == (tmp_path / "b.prom").read_text()
    for path in (tmp_path / "backup" / "mail").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:-50] + bytes(50))
    shutil.rmtree(tmp_path / "backup" / "index")
    said = restante_(*at, "drill", status=Exit.FINDINGS)
    assert "differs ann@example.com" in said
    said = restante_(*at, "status", status=Exit.FINDINGS)
    assert "Restore drill, monthly: FAILED." in said
    assert json.loads(restante_(*at, "status", "--json", status=Exit.FINDINGS))["drill"]["last_success"] is not None


def test_a_night_tries_a_restore_once_a_month_and_says_what_is_wrong(tmp_path: Path, config: Path) -> None:
    async def scene() -> None:
        order = Order(load(config), str(tmp_path / "data"), str(config))
        left = tmp_path / "data" / f"{PREFIX}0000"
        left.mkdir()
        first = await night_work(order)
        assert first.problems == ()
        assert first.drilled is not None
        assert (first.drilled.right, first.drilled.messages) == (True, 3)
        assert not left.exists()
        assert (await night_work(order)).drilled is None, "this month has had its drill"
        (tmp_path / "data" / "backup-drill.json").unlink()
        off = Config(backup=BackupTable(location="x", drill="off"))
        assert off.backup.drill == "off"
        tight = load(config)
        full = Order(
            type(tight)(data=tight.data, backup=tight.backup, store=type(tight.store)(reserve=1 << 60)),
            order.data, order.config_file,
        )  # fmt: skip
        bad = await night_work(full)
        assert "The restore drill could not be done: A drill here needs" in " ".join(bad.problems)
        assert bad.snapshot
        record = read_drill(tmp_path / "data", tight.backup.location)
        assert record is not None
        assert record.failing
        assert (await night_work(order)).drilled is not None, "a bad one is done again the next night"
        (tmp_path / "passphrase").write_text("three other words\n")
        wrong = await night_work(order)
        assert "No key of this backup opens" in " ".join(wrong.problems)
        assert not wrong.passing, "it stays wrong all night"

    asyncio.run(scene())


def test_a_night_whose_outcome_cannot_be_noted_says_so_and_keeps_its_snapshot(tmp_path: Path, config: Path) -> None:
    async def scene() -> None:
        (tmp_path / "data" / "backup-verify.json").mkdir()
        night = await night_work(Order(load(config), str(tmp_path / "data"), str(config)))
        assert night.snapshot
        assert "cannot be noted in the data folder" in " ".join(night.problems)
        assert not night.passing

    asyncio.run(scene())
