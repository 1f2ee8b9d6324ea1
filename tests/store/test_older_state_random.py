"""States of an account put in service in any order, in any way that a file can be copied back: what a client has seen
of numbers never goes back, and a UID never comes to mean another message."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from restante.store.interface import Store
from restante.store.model import Column
from restante.store.sqlite.engine import SqliteEngine
from tests.engines.making import ACCOUNT, ALL, Installation, fill

T = TypeVar("T")
NAMES = st.sampled_from(["INBOX", "A", "B"])
DAY = 86400.0


class Copies(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.installation = Installation("sqlite", self.folder / "data")
        self.engine = self.open()
        self.do(self.engine.create_account(ACCOUNT))
        self.path = self.engine.path(ACCOUNT)
        self.copies: list[Path] = []
        self.meant: dict[tuple[str, int, int], object] = {}
        self.numbers: dict[str, tuple[int, int, int]] = {}
        self.called: dict[tuple[str, int], str] = {}
        self.last = 0
        self.copy_aside()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def open(self) -> SqliteEngine:
        engine = self.installation.open()
        assert isinstance(engine, SqliteEngine)
        return engine

    def stop(self) -> None:
        """A server that was stopped leaves nothing in the log, which would be taken for the other file's."""
        self.do(self.engine.close())
        log = self.path.with_name(f"{self.path.name}-wal")
        assert not log.exists() or log.stat().st_size == 0

    @property
    def store(self) -> Store:
        return self.engine.account(ACCOUNT)

    def key(self, name: str) -> int | None:
        found = self.do(self.store.mailbox(name))
        return found.key if found is not None else None

    @rule(name=NAMES, count=st.integers(1, 3))
    def append(self, name: str, count: int) -> None:
        key = self.key(name)
        if key is None:
            key = self.do(self.store.create_mailbox(name)).key
        self.do(fill(self.store, key, count))

    @rule(name=NAMES, more=st.sampled_from([1_000, 400_000, 1_200_000, 3_000_000]))
    def a_rush_of_mail(self, name: str, more: int) -> None:
        """As if so many had come and gone."""
        box = self.do(self.store.mailbox(name))
        if box is not None:
            self.do(self.store.reserve_uids(box.key, box.uidnext + more))

    @rule(name=NAMES, count=st.sampled_from([1, 40]))
    def made_and_deleted(self, name: str, count: int) -> None:
        """UIDVALIDITYs run ahead of the clock."""
        for _ in range(count):
            if name != "INBOX":
                key = self.key(name)
                if key is None:
                    self.do(self.store.create_mailbox(name))
                else:
                    self.do(self.store.delete_mailbox(key))

    @rule(seconds=st.sampled_from([1.0, 3600.0, DAY, 20 * DAY]))
    def time_goes_by(self, seconds: float) -> None:
        self.installation.clock.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.stop()
        self.engine = self.open()

    @rule()
    def copy_aside(self) -> None:
        self.do(self.engine.leave(ACCOUNT))
        self.copies.append(self.folder / f"copy{len(self.copies)}")
        shutil.copy(self.path, self.copies[-1])

    @rule(which=st.integers(0, 30), over=st.booleans(), running=st.booleans())
    def copied_back(self, which: int, over: bool, running: bool) -> None:
        """over: written into the file that is there, while the server is stopped."""
        copy = self.copies[which % len(self.copies)]
        if over:
            self.stop()
            shutil.copyfile(copy, self.path)
            self.engine = self.open()
        elif running:
            self.do(self.engine.leave(ACCOUNT))
            for beside in self.path.parent.glob(f"{ACCOUNT}.db*"):
                beside.unlink()
            shutil.copy(copy, self.path)
            self.installation.clock.advance(2)
        else:
            self.stop()
            shutil.copy(copy, self.path.with_suffix(".new"))
            self.path.with_suffix(".new").replace(self.path)
            self.engine = self.open()

    @invariant()
    def nothing_goes_back(self) -> None:
        for box in self.do(self.store.mailboxes()):
            for uid, id in self.do(self.store.rows(box.key, ALL, (Column.EMAIL_ID,), 100_000)):
                assert isinstance(uid, int)
                assert self.meant.setdefault((box.id, box.uidvalidity, uid), id) == id
            now = (box.uidvalidity, box.uidnext, box.highest_modseq)
            before = self.numbers.get(box.id, now)
            assert now[0] == before[0]
            assert all(number >= old for number, old in zip(now, before, strict=True))
            self.numbers[box.id] = now
            assert self.called.setdefault((box.name, box.uidvalidity), box.id) == box.id
        last = self.do(self.store.last_change())
        assert last >= self.last
        self.last = last

    def teardown(self) -> None:
        try:
            self.do(self.engine.close())
        finally:
            self.loop.close()
            shutil.rmtree(self.folder)


TestCopies = Copies.TestCase
TestCopies.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
