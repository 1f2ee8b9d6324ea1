"""Random histories of an account with snapshots in between: every snapshot restores to exactly the state at its
instant, whatever came since, and every night after the first reads and writes only what changed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from restante.backup.repository import Snapshot
from restante.store.errors import StoreRefusal
from restante.store.model import FlagMode, Flags, Pop3Delete
from restante.store.rights import parse_rights

from .looking import Looker, then
from .support import ANN, BOB, World, findings, message, put, state

T = TypeVar("T")

FLAGS = st.sets(st.sampled_from(["\\Seen", "\\Deleted", "\\Flagged", "$A", "$b"]), max_size=3).map(Flags.of)
NAMES = st.sampled_from(["INBOX", "A", "A/B", "C", "Größe"])
RANGES = st.tuples(st.integers(1, 30), st.integers(0, 12)).map(lambda pair: ((pair[0], pair[0] + pair[1]),))
DAY = 86400.0


class History(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder)
        self.do(self.world.fill())
        self.count = 0
        self.kept: list[tuple[Snapshot, dict[str, object], dict[str, object]]] = []
        self.ids: list[str] = []

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def maybe(self, work: Coroutine[Any, Any, Any]) -> None:
        """What the store may refuse (a name that is taken, INBOX deleted): then nothing happened."""
        try:
            self.do(work)
        except StoreRefusal:
            pass

    def key(self, name: str) -> int | None:
        found = self.do(self.world.ann.mailbox(name))
        return found.key if found is not None else None

    @rule(name=NAMES, flags=FLAGS, count=st.integers(1, 4), uidl=st.none() | st.sampled_from(["old", "older"]))
    def append(self, name: str, flags: Flags, count: int, uidl: str | None) -> None:
        new = [message((self.count + i) % 9, "x" * ((self.count + i) % 3)) for i in range(count)]
        self.count += count
        self.maybe(put(self.world.ann, name, *new, flags=flags, received=self.count, uidl=uidl))

    @rule(name=NAMES, ranges=RANGES, mode=st.sampled_from(FlagMode), flags=FLAGS)
    def flag(self, name: str, ranges: Any, mode: FlagMode, flags: Flags) -> None:
        if (key := self.key(name)) is not None:
            self.do(self.world.ann.store_flags(key, ranges, mode, flags))

    @rule(source=NAMES, into=NAMES, ranges=RANGES, move=st.booleans())
    def transfer(self, source: str, into: str, ranges: Any, move: bool) -> None:
        here, there = self.key(source), self.key(into)
        if here is not None and there is not None:
            self.do((self.world.ann.move if move else self.world.ann.copy)(here, ranges, there))

    @rule(name=NAMES, ranges=RANGES)
    def expunge(self, name: str, ranges: Any) -> None:
        if (key := self.key(name)) is not None:
            self.do(self.world.ann.expunge(key, ranges, deleted_only=False))

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        if (key := self.key(old)) is not None:
            self.maybe(self.world.ann.rename_mailbox(key, new))

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if (key := self.key(name)) is not None:
            self.maybe(self.world.ann.delete_mailbox(key))

    @rule(name=NAMES, value=st.none() | st.binary(max_size=3), on=st.booleans())
    def beside(self, name: str, value: bytes | None, on: bool) -> None:
        """What lies beside messages: subscriptions, annotations, rights, roles, what readers have seen."""
        ann = self.world.ann
        self.maybe(ann.subscribe(name, on))
        if (key := self.key(name)) is not None:
            self.maybe(ann.annotate(key, {"/private/comment": value, "/shared/comment": value}))
            self.maybe(ann.set_acl(key, BOB, FlagMode.REPLACE, parse_rights("lrs" if on else "")))
            self.maybe(ann.set_role(key, "\\Archive" if on else None))
            if on:
                guest = self.world.engine.account(ANN, BOB)
                self.maybe(guest.store_flags(key, ((1, 5),), FlagMode.ADD, Flags.of(["\\Seen"])))

    @rule(delete=RANGES, how=st.sampled_from([Pop3Delete.KEEP, Pop3Delete.REMOVE]), retrieved=RANGES)
    def pop3(self, delete: Any, how: Pop3Delete, retrieved: Any) -> None:
        """Takes no change number where nothing that IMAP knows is changed."""
        self.do(self.world.ann.finish_maildrop(delete, how, retrieved, mark_seen=False))

    @rule(days=st.sampled_from([0.0, 1.0, 20.0, 200.0]))
    def time_goes_by(self, days: float) -> None:
        """Removed contents are freed, and after half a year the log's floor rises above the last snapshot."""
        self.world.clock.advance(days * DAY + 1)
        while self.do(self.world.ann.reclaim(100)):
            pass

    @rule()
    def selected(self) -> None:
        self.do(self.world.ann.claim_recent(1))

    @rule(full=st.booleans(), aside=st.booleans())
    def snapshot(self, full: bool, aside: bool) -> None:
        """By an engine, or without one."""
        before = self.do(state(self.world.ann))
        done = self.world.take_aside(full=full) if aside else self.do(self.world.take(full=full))
        assert not done.failed
        assert not done.unreadable
        if self.kept and not full and self.kept[-1][1] == before:
            assert done.messages == 0
        self.kept.append((done.snapshot, before, self.do(state(self.world.bob))))

    def teardown(self) -> None:
        try:
            for number, (snapshot, ann, bob) in enumerate(self.kept):
                self.do(self.check(snapshot, ann, bob, self.folder / str(number)))
            self.do(self.look())
        finally:
            self.do(self.world.engine.close())
            self.loop.close()
            shutil.rmtree(self.folder)

    async def check(self, snapshot: Snapshot, ann: dict[str, object], bob: dict[str, object], data: Path) -> None:
        engine, restored = await self.world.give(snapshot, data)
        try:
            assert restored.lost == []
            assert await state(engine.account(ANN)) == ann
            assert await state(engine.account(BOB)) == bob
            assert await findings(engine.account(ANN)) == []
        finally:
            await engine.close()

    async def look(self) -> None:
        """Every snapshot shows what was there, to who looks at them in turn and back, by one file."""
        looker = Looker(self.world, ANN)
        try:
            for snapshot, ann, _ in (*self.kept, *reversed(self.kept)):
                assert await looker.shown(snapshot) == then(ann)
        finally:
            await looker.close()


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
