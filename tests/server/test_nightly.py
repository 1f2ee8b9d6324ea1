"""The nightly backup on a clock of its own: what is noted, who is told, and when; then with a real server."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from restante.backup.folder import Folder
from restante.backup.keys import KeyFile, make_key_file
from restante.backup.outcome import Night
from restante.backup.repository import Repository
from restante.clock import ManualClock
from restante.config.model import BackupTable, Config
from restante.server import nightly_process
from restante.server.engine import open_engine
from restante.server.logs import make_logger
from restante.server.nightly import Nightly, in_process, schedule_of
from restante.server.nightly_process import work
from restante.server.nightly_state import Nights, Order, nights_file, read_nights, write_nights
from restante.server.postmaster import tell_postmaster
from restante.store.directory import Account, AccountSettings, Domain
from restante.store.model import INBOX, Column

from .support import PATIENCE, eventually

CONFIG = Config(backup=BackupTable(location="/backup", jitter=600.0))
BAD = Night(problems=("The disk is full.",))
SCHEDULE = schedule_of(CONFIG)
assert SCHEDULE is not None


class Play:
    """Nights on a clock that leaps to what is waited for. script: what each night comes to."""

    def __init__(self, data: Path, *script: Night, config: Config = CONFIG) -> None:
        self.data = data
        self.clock = ManualClock()
        self.out = io.StringIO()
        self.script = list(script)
        self.begun: list[float] = []
        self.config = config
        self.over = asyncio.Event()
        self.inside: Callable[[], Awaitable[None]] | None = None
        self.leap: Callable[[float], Awaitable[None]] | None = None

    async def perform(self, order: Order) -> Night:
        self.begun.append(self.clock.now())
        assert order.data == str(self.data)
        if self.inside is not None:
            await self.inside()
        if not self.script:
            self.over.set()
            await asyncio.Event().wait()
        return self.script.pop(0)

    async def __call__(self) -> list[str]:
        """Play the script; texts of what the postmaster has then."""

        async def leap(seconds: float) -> None:
            self.clock.advance(max(seconds, 0.001))  # less would be lost in the float
            await asyncio.sleep(0)

        engine = open_engine(self.config, self.data, self.clock, os.urandom)
        try:
            if await engine.directory.account("postmaster@example.com") is None:
                await engine.directory.add_domain(Domain("example.com"))
                account = Account(
                    "p1", "postmaster@example.com", "example.com", True, 0, AccountSettings(), False, 3, 1
                )
                await engine.directory.add_account(account)
                await engine.create_account("p1")
            log = make_logger("info", "plain", self.clock, self.out)
            nightly = Nightly(
                engine, self.config, self.data, None, self.clock, os.urandom, log,
                perform=self.perform, look=0.01, sleep=self.leap or leap,
            )  # fmt: skip
            nightly.start()
            try:
                async with asyncio.timeout(PATIENCE):
                    await self.over.wait()
            except TimeoutError:
                pytest.fail(self.out.getvalue())
            await nightly.stop()
            store = engine.account("p1")
            box = await store.mailbox(INBOX)
            assert box is not None
            rows = await store.rows(box.key, ((1, 0xFFFF_FFFF),), (Column.CONTENT,), 100)
            octets = await store.read_contents([int(str(row[1])) for row in rows])
            return [each.decode() for each in octets]
        finally:
            await engine.close()

    @property
    def nights(self) -> Nights:
        found = read_nights(self.data)
        assert found is not None
        return found


def good(number: int) -> Night:
    return Night(snapshot=f"s{number}", messages=1)


def test_a_night_each_day_at_its_time(tmp_path: Path) -> None:
    async def scene() -> None:
        play = Play(tmp_path, *map(good, range(5)))
        assert await play() == []
        assert SCHEDULE is not None
        first = SCHEDULE.after(ManualClock().now())
        for begun in play.begun:
            assert 0 <= begun - first <= 600
            first = SCHEDULE.after(first)
        assert len(play.begun) == 6
        assert (play.nights.snapshot, play.nights.failure, play.nights.failing) == ("s4", None, False)
        assert play.nights.next is None, "one runs"
        assert play.out.getvalue().count("nightly backup done snapshot=s") == 5

    asyncio.run(scene())


def test_one_message_an_episode_and_one_when_it_works_again(tmp_path: Path) -> None:
    async def scene() -> None:
        play = Play(tmp_path, good(1), BAD, BAD, BAD, good(2), good(3), BAD)
        mail = await play()
        subjects = [line for text in mail for line in text.splitlines() if line.startswith("Subject:")]
        assert subjects == [
            "Subject: The nightly backup failed",
            "Subject: The nightly backup works again",
            "Subject: The nightly backup failed",
        ]
        assert "The disk is full." in mail[0]
        assert "Auto-Submitted: auto-generated" in mail[0]
        assert play.nights.failing
        assert play.nights.reason == "The disk is full."
        assert play.out.getvalue().count("nightly backup failed") == 4

    asyncio.run(scene())


def test_that_old_snapshots_stay_in_a_sealed_backup_is_said_once(tmp_path: Path) -> None:
    async def scene() -> None:
        unpruned = [Night(snapshot=f"s{n}", unpruned=True) for n in range(3)]
        play = Play(tmp_path, *unpruned, good(4), Night(snapshot="s5", unpruned=True))
        assert await play() == [], "it is no failure"
        assert play.nights.unpruned
        assert not play.nights.failing
        assert play.out.getvalue().count("the backup is sealed") == 2, "and once more when it is so again"

    asyncio.run(scene())


def test_an_episode_outlives_a_restart_and_so_does_what_was_missed(tmp_path: Path) -> None:
    async def scene() -> None:
        first = Play(tmp_path, BAD)
        assert len(await first()) == 1
        again = Play(tmp_path, BAD)
        again.clock.set(first.clock.now() + 5 * 86400.0 + 3600)
        start = again.clock.now()
        assert len(await again()) == 1, "of this episode the postmaster knows"
        assert again.begun[0] == start, "five nights were missed: one run, at once"
        assert again.begun[1] - start > 3600, "and no more than one"

    asyncio.run(scene())


def test_a_night_cut_off_by_the_servers_end_is_done_at_the_next_start(tmp_path: Path) -> None:
    async def scene() -> None:
        first = Play(tmp_path)
        assert await first() == []
        again = Play(tmp_path)
        again.clock.set(first.clock.now() + 3600)
        await again()
        assert again.begun == [first.clock.now() + 3600]

    asyncio.run(scene())


def test_a_night_that_does_not_end_is_told_and_ended_at_last(tmp_path: Path) -> None:
    async def scene() -> None:
        play = Play(tmp_path)
        ended = []

        async def stuck() -> None:
            if len(play.begun) > 1:
                return
            try:
                for _ in range(5):
                    play.clock.advance(86400.0)
                    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.05)
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        play.inside = stuck
        (mail,) = await play()
        assert "still at work" in mail
        assert ended == [True]
        assert "three days" in play.nights.reason

    asyncio.run(scene())


AWAY = Night(problems=("The disk is away.",), passing=True)


def test_a_night_that_fails_for_a_passing_reason_is_tried_again_and_is_no_missed_one(tmp_path: Path) -> None:
    async def scene() -> None:
        play = Play(tmp_path, good(1), AWAY, AWAY, AWAY, good(2), good(3))
        seen: list[tuple[int, str, bool, bool]] = []

        async def look() -> None:
            nights = play.nights
            seen.append((nights.tried, nights.trouble, nights.failing, nights.next is None))

        play.inside = look
        assert await play() == [], "the postmaster has nothing to do"
        gaps = [round(b - a) for a, b in pairwise(play.begun)]
        assert gaps[1:4] == [300, 600, 1200]
        assert SCHEDULE is not None
        assert len({SCHEDULE.before(begun) for begun in play.begun}) == 4, "three nights, and the one that is coming"
        away = "The disk is away."
        assert seen[:5] == [
            (0, "", False, True), (0, "", False, True), (1, away, False, True), (2, away, False, True),
            (3, away, False, True),
        ]  # fmt: skip
        assert (play.nights.tried, play.nights.trouble, play.nights.failure) == (0, "", None)
        assert play.out.getvalue().count("nightly backup is tried again") == 3
        assert "nightly backup failed" not in play.out.getvalue()

    asyncio.run(scene())


def test_each_night_and_attempt_is_told_to_prometheus(tmp_path: Path) -> None:
    async def scene() -> None:
        backup = BackupTable(location="/backup", metrics_file=str(tmp_path / "restante.prom"))
        play = Play(tmp_path, good(1), AWAY, good(2), BAD, config=Config(backup=backup))
        seen: list[str] = []

        async def look() -> None:
            seen.append((tmp_path / "restante.prom").read_text())

        play.inside = look
        await play()

        def value(text: str, name: str) -> float | None:
            found = [line.split()[1] for line in text.splitlines() if line.startswith(f"restante_backup_{name} ")]
            return float(found[0]) if found else None

        names = ("nights_total", "failures_total", "retries_total", "failing", "last_messages")
        told = [tuple(value(text, name) for name in names) for text in seen]
        assert told == [
            (0, 0, 0, 0, None), (1, 0, 0, 0, 1), (1, 0, 1, 0, 1), (2, 0, 1, 0, 1), (3, 1, 1, 1, 1),
        ]  # fmt: skip
        (tmp_path / "restante.prom").unlink()
        (tmp_path / "restante.prom").mkdir()
        await Play(tmp_path, good(3), config=Config(backup=backup))()

    asyncio.run(scene())


def test_when_the_night_is_over_it_was_a_bad_one_and_one_message_says_how_often_it_was_tried(tmp_path: Path) -> None:
    async def scene() -> None:
        play = Play(tmp_path, *[AWAY] * 7, good(1))
        failed, works = await play()
        assert "The disk is away. It was tried 7 times." in failed.replace("\r\n", " ")
        assert "works again" in works
        assert SCHEDULE is not None
        assert play.begun[6] - play.begun[0] <= 4 * 3600
        assert SCHEDULE.before(play.begun[7]) > SCHEDULE.before(play.begun[6])

    asyncio.run(scene())


@pytest.mark.parametrize(
    "config",
    [CONFIG, Config(backup=BackupTable(location="/backup", retry=0.0))],
    ids=["a reason that does not pass", "retry off"],
)
def test_what_does_not_pass_is_not_tried_again(tmp_path: Path, config: Config) -> None:
    async def scene() -> None:
        play = Play(tmp_path, BAD if config is CONFIG else AWAY, good(1), config=config)
        assert len(await play()) == 2
        assert play.begun[1] - play.begun[0] > 80_000

    asyncio.run(scene())


def test_a_server_that_is_stopped_between_two_attempts_goes_on_with_the_night(tmp_path: Path) -> None:
    async def scene() -> None:
        first = Play(tmp_path, AWAY)
        await first()
        again = Play(tmp_path, good(1))
        start = first.clock.now() + 600.0  # past any jitter, which is drawn anew
        again.clock.set(start)
        assert await again() == []
        assert again.begun[0] == start, "the night is not attended to: at once"

    asyncio.run(scene())


def test_a_clock_that_leaps_over_the_next_night_while_it_waits_doubles_none(tmp_path: Path) -> None:
    async def scene() -> None:
        play = Play(tmp_path, AWAY, good(1), good(2))

        async def leap() -> None:
            if len(play.begun) == 1:
                play.clock.advance(2 * 86400.0)

        play.inside = leap
        await play()
        assert SCHEDULE is not None
        nights = [SCHEDULE.before(begun) for begun in play.begun]
        assert len(set(nights[1:])) == len(nights[1:])

    asyncio.run(scene())


def test_a_clock_that_is_put_back_between_two_attempts_delays_none(tmp_path: Path) -> None:
    """By a day: the night would wait that long for its second attempt."""

    async def scene() -> None:
        play = Play(tmp_path, AWAY, good(1))
        waits: list[float] = []

        async def leap(seconds: float) -> None:
            if len(play.begun) == 1 and not waits:
                play.clock.set(play.clock.now() - 86400.0)
            if len(play.begun) == 1:
                waits.append(seconds)
            play.clock.advance(max(seconds, 0.001))
            await asyncio.sleep(0)

        play.leap = leap
        await play()
        assert sum(waits) < 600
        assert play.nights.snapshot == "s1"

    asyncio.run(scene())


@pytest.mark.parametrize(("days", "first"), [(40.0, good(0)), (-40.0, AWAY), (-40.0, good(0))])
def test_a_clock_that_is_put_right_while_a_night_is_at_work_makes_it_no_bad_one(
    tmp_path: Path, days: float, first: Night
) -> None:
    """As by NTP, some minutes after the machine has started: nothing took days, and nothing is late."""

    async def scene() -> None:
        play = Play(tmp_path, first, good(1))
        taken: list[float] = []

        async def put_right() -> None:
            if len(play.begun) > 1:
                taken.append(play.nights.seconds)
            else:
                play.clock.advance(5.0)
                play.clock.set(play.clock.now() + days * 86400.0)
                await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.05)

        play.inside = put_right
        assert await play() == []
        assert "still at work" not in play.out.getvalue()
        assert "three days" not in play.out.getvalue()
        assert play.nights.snapshot == "s1"
        assert taken[0] == (5.0 if first is not AWAY else 0.0)

    asyncio.run(scene())


def test_nights_of_a_clock_that_was_ahead_hide_no_later_one(tmp_path: Path) -> None:
    async def scene() -> None:
        ahead = Play(tmp_path, BAD)
        ahead.clock.advance(30 * 86400.0)
        await ahead()
        right = Play(tmp_path, good(1))
        await right()
        assert right.nights.success is not None
        assert not right.nights.failing
        assert not right.nights.too_old(right.clock.now())
        ahead = Play(tmp_path, good(2))
        ahead.clock.advance(60 * 86400.0)
        await ahead()
        right = Play(tmp_path, BAD)
        right.clock.advance(86400.0)
        await right()
        assert right.nights.failing
        assert right.nights.success is not None
        assert right.nights.success < right.clock.now(), "or who watches it waits for months until it is too old"

    asyncio.run(scene())


def test_without_a_location_or_with_the_schedule_off_there_is_nothing(tmp_path: Path) -> None:
    assert schedule_of(Config()) is None
    assert schedule_of(Config(backup=BackupTable(location="/x", schedule="off"))) is None
    assert not nights_file(tmp_path).exists()


def test_without_a_postmaster_the_log_has_it(tmp_path: Path) -> None:
    async def scene() -> None:
        play = Play(tmp_path, BAD)
        engine = open_engine(CONFIG, tmp_path, play.clock, os.urandom)
        await engine.directory.add_domain(Domain("example.com"))
        account = Account("p1", "ann@example.com", "example.com", True, 0, AccountSettings(), False, 3, 1)
        await engine.directory.add_account(account)
        await engine.create_account("p1")
        log = make_logger("info", "plain", play.clock, play.out)
        assert not await tell_postmaster(engine, CONFIG, play.clock, os.urandom, log, "It failed", "Why.\n")
        assert 'the postmaster could not be told subject="It failed"' in play.out.getvalue()
        await engine.close()

    asyncio.run(scene())


def test_a_file_that_says_nothing_begins_anew(tmp_path: Path) -> None:
    nights_file(tmp_path).write_text("{")
    assert read_nights(tmp_path) is None
    nights = Nights(since=1.0, attended=2.0, success=3.0, told=True)
    write_nights(tmp_path, nights)
    assert read_nights(tmp_path) == nights
    assert nights_file(tmp_path).stat().st_mode & 0o077 == 0


def test_the_last_good_night_is_too_old_after_two_nights_and_two_hours() -> None:
    nights = Nights(since=0.0, attended=0.0)
    assert not nights.too_old(50 * 3600)
    assert nights.too_old(50 * 3600 + 1)
    assert Nights(since=0.0, attended=0.0, success=1e9).too_old(0.0), "the clock was wrong then"
    assert not Nights(since=0.0, attended=0.0, success=9.0).too_old(50 * 3600 + 9)


# The process, and a server --------------------------------------------------------------------------


def restante(*words: str, stdin: bytes = b"", status: int | None = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "restante", *words], input=stdin, capture_output=True, timeout=PATIENCE, check=False
    )
    assert status is None or done.returncode == status, done.stderr
    return done.stdout.decode()


def prepared(folder: Path, sealed: bool) -> Path:
    """An account, a backup, and a configuration that names it. sealed: with its writing key."""
    data, config = folder / "data", folder / "restante.toml"
    (folder / "passphrase").write_text("three random words\n")
    key = f'key_file = "{folder / "writing.key"}"' if sealed else f'passphrase_file = "{folder / "passphrase"}"'
    config.write_text(f'data = "{data}"\n[backup]\nlocation = "{folder / "backup"}"\n{key}\n')
    restante("--config", str(config), "domain", "add", "example.com")
    add = ("account", "add", "postmaster@example.com", "--password-stdin")
    restante("--config", str(config), *add, stdin=b"secret\n")
    made = ("--sealed", "--writing-key", str(folder / "writing.key")) if sealed else ()
    restante("--config", str(config), "backup", "init", *made, "--passphrase-file", str(folder / "passphrase"))
    return config


def test_the_process_says_why_there_was_no_backup(tmp_path: Path) -> None:
    async def scene() -> None:
        order = Order(Config(backup=BackupTable(location=str(tmp_path / "none"))), str(tmp_path / "data"))
        none = await in_process(order)
        assert "has no key" in " ".join(none.problems)
        assert not none.passing
        (tmp_path / "words").write_text("words\n")
        backup = BackupTable(location=str(tmp_path / "none"), passphrase_file=str(tmp_path / "words"))
        unmounted = await in_process(Order(Config(backup=backup), str(tmp_path)))
        assert "no backup" in " ".join(unmounted.problems)
        assert unmounted.passing, "as when its disk is not mounted"

    asyncio.run(scene())


def test_a_data_folder_whose_disk_is_away_is_not_backed_up_as_an_empty_one(tmp_path: Path) -> None:
    async def scene() -> None:
        place, key = tmp_path / "backup", KeyFile(bytes(32))
        Repository.init(Folder(place, os.urandom), key, "test", 0, os.urandom)
        (tmp_path / "key").write_text(make_key_file(bytes)[1])
        (tmp_path / "data").mkdir()
        backup = BackupTable(location=str(place), key_file=str(tmp_path / "key"))
        done = await work(Order(Config(backup=backup), str(tmp_path / "data")))
        assert "no mail store" in " ".join(done.problems)
        assert done.passing
        assert Repository.open(Folder(place, os.urandom), key, os.urandom).snapshot_names() == []
        assert not (tmp_path / "data" / "directory.db").exists()
        engine = open_engine(Config(), tmp_path / "data", ManualClock(), os.urandom)
        await engine.directory.add_domain(Domain("example.com"))
        await engine.close()
        done = await work(Order(Config(backup=backup), str(tmp_path / "data")))
        assert (done.problems, bool(done.snapshot)) == ((), True)
        assert list((tmp_path / "data" / "backup-notes").glob("walked-*")), "the next night goes through what is new"

    asyncio.run(scene())


def test_a_disk_that_does_not_answer_is_a_reason_that_may_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file server that was restarted, say: `stat` fails."""

    def stale(*args: object, **more: object) -> object:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(tmp_path / "backup"))

    async def scene() -> None:
        (tmp_path / "key").write_text(make_key_file(bytes)[1])
        backup = BackupTable(location=str(tmp_path / "backup"), key_file=str(tmp_path / "key"))
        monkeypatch.setattr(nightly_process, "location_of", stale)
        done = await work(Order(Config(backup=backup), str(tmp_path / "data")))
        assert str(tmp_path / "backup") in " ".join(done.problems)
        assert done.passing

    asyncio.run(scene())


def held(folder: Path) -> Order:
    """An order whose process waits for ever: its passphrase comes out of a pipe that nobody writes to."""
    os.mkfifo(folder / "passphrase")
    backup = BackupTable(location=str(folder / "backup"), passphrase_file=str(folder / "passphrase"))
    return Order(Config(backup=backup), str(folder / "data"))


def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "restante.server.nightly_process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(held(tmp_path)) + b"\n")
        process.stdin.close()
        assert process.wait(PATIENCE) == 1


def test_the_process_is_killed_when_the_server_stops(tmp_path: Path) -> None:
    order = held(tmp_path)

    async def scene() -> None:
        task = asyncio.ensure_future(in_process(order))
        await asyncio.to_thread(eventually, lambda: children(os.getpid()))
        (pid,) = children(os.getpid())
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert children(os.getpid()) == []
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(scene())


def test_a_process_that_is_killed_is_a_bad_night(tmp_path: Path) -> None:
    async def scene() -> None:
        task = asyncio.ensure_future(in_process(held(tmp_path)))
        await asyncio.to_thread(eventually, lambda: children(os.getpid()))
        for pid in children(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        assert "status -9" in " ".join((await task).problems)
        assert (await task).passing

    asyncio.run(scene())


def children(parent: int) -> list[int]:
    """Processes of the nightly backup."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "nightly_process" in line]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["missed", "comes", "sealed"])
def test_a_server_backs_up_by_itself(tmp_path: Path, how: str) -> None:
    """missed: its last night was days ago. comes: the server's clock comes to the time of day two seconds later.
    sealed: missed, and it cannot read its backup."""
    config = prepared(tmp_path, how == "sealed")
    data = tmp_path / "data"
    words = [sys.executable, "-m", "tests.server.clocked", "0", "--config", str(config), "serve", "--workers=1"]
    if how != "comes":
        write_nights(data, Nights(since=0.0, attended=datetime.now(UTC).timestamp() - 3 * 86400))
        told = json.loads(restante("--config", str(config), "backup", "status", "--json", status=4))
        assert told["too_old"]
    else:
        config.write_text(config.read_text() + "jitter = 0\n")
        assert SCHEDULE is not None
        now = datetime.now(UTC).timestamp()
        write_nights(data, Nights(since=now, attended=SCHEDULE.before(now)))
        words[3] = str(SCHEDULE.after(now) - 2.0 - now)
    listen = [f"--listen={name}=off" for name in ("imap", "imaps", "pop3", "pop3s")]
    with subprocess.Popen(
        [*words, *listen, "--listen=lmtp=127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            while (line := server.stdout.readline()) != "ready\n":
                assert line
            eventually(lambda: (nights := read_nights(data)) is not None and nights.success is not None)
            eventually(lambda: (nights := read_nights(data)) is not None and nights.next is not None)
        finally:
            server.terminate()
        assert server.wait(PATIENCE) == 0
    (snapshot,) = json.loads(restante("--config", str(config), "backup", "list", "--json"))
    nights = read_nights(data)
    assert nights is not None
    assert nights.snapshot == snapshot["snapshot"]
    assert nights.failure is None
    owner = ("--passphrase-file", str(tmp_path / "passphrase"))
    restante("--config", str(config), "backup", "restore", "--all", "--data", str(tmp_path / "new"), *owner)
    assert (tmp_path / "new" / "restante.toml").read_text() == config.read_text(), "the settings went along"
    if how != "comes":
        told = json.loads(restante("--config", str(config), "backup", "status", "--json"))
        assert (told["good"], told["snapshot"]) == (True, snapshot["snapshot"])
        assert told["unpruned"] == (how == "sealed")
        told = json.loads(restante("--config", str(config), "status", "--json"))["backup"]
        assert told["last_success"] is not None
        assert "works" in restante("--config", str(config), "status")
