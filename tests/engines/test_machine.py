"""Any engine beside a plain dictionary: after every step both tell the same, also of every earlier number."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from restante.store.annotation import ACCOUNT as ANNOTATED_ACCOUNT
from restante.store.changes import Change, Event
from restante.store.errors import NoSuchMessage
from restante.store.model import Column, FlagMode, Flags, System

from .making import ACCOUNT, ALL, Installation, inbox, new

T = TypeVar("T")

FLAGS = st.sets(st.sampled_from(["\\Seen", "\\Deleted", "\\Flagged", "$A", "$b"]), max_size=3).map(Flags.of)
RANGES = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), min_size=1, max_size=14)


NAMES = ["/shared/comment", "/private/comment", "/private/vendor/x/y"]
ENTRIES = st.dictionaries(st.sampled_from(NAMES), st.none() | st.binary(max_size=3), min_size=1)


@dataclass
class Box:
    """uid -> (flags, modseq, octets); past: uid -> all flags that it has had, by number; removed: uid -> number;
    entries: annotation -> value."""

    key: int
    messages: dict[int, tuple[Flags, int, bytes]] = field(default_factory=dict)
    past: dict[int, dict[int, Flags]] = field(default_factory=dict)
    removed: dict[int, int] = field(default_factory=dict)
    uidnext: int = 1
    highest: int = 1
    entries: dict[str, bytes] = field(default_factory=dict)

    def put(self, uid: int, flags: Flags, modseq: int, body: bytes) -> None:
        self.messages[uid] = (flags, modseq, body)
        self.past.setdefault(uid, {})[modseq] = flags

    def refuses(self, uid: int, since: int, mode: FlagMode, flags: Flags) -> bool:
        """RFC 7162 3.1.3: whether one of these flags is not what it was; what came since then and has changed again
        counts as it came."""
        now, modseq, _ = self.messages[uid]
        if modseq <= since:
            return False
        numbers = list(self.past[uid])
        known = [number for number in numbers if number <= since] or numbers[:1]
        if mode is FlagMode.REPLACE or since < 1 or known[-1] == modseq:
            return True
        then = self.past[uid][known[-1]]
        return bool((then.system ^ now.system) & flags.system or (then.keywords ^ now.keywords) & flags.keywords)


def disjoint(raw: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    uids = sorted({uid for low, more in raw for uid in range(low, low + more + 1)})
    ranges: list[tuple[int, int]] = []
    for uid in uids:
        if ranges and ranges[-1][1] == uid - 1:
            ranges[-1] = (ranges[-1][0], uid)
        else:
            ranges.append((uid, uid))
    return tuple(ranges)


def changed_flags(old: Flags, mode: FlagMode, flags: Flags) -> Flags:
    if mode is FlagMode.ADD:
        return Flags(old.system | flags.system, old.keywords | flags.keywords)
    if mode is FlagMode.REMOVE:
        return Flags(old.system & ~flags.system, old.keywords - flags.keywords)
    return flags


class StoreMachine(RuleBasedStateMachine):
    """Two mailboxes, "INBOX" and "Other"."""

    engine_name = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.engine = Installation(self.engine_name, Path(self.folder.name)).open()
        self.do(self.engine.create_account(ACCOUNT))
        self.store = self.engine.account(ACCOUNT)
        other = self.do(self.store.create_mailbox("Other"))
        self.modseq = 2
        self.boxes = [Box(self.do(inbox(self.store))), Box(other.key, highest=2)]
        self.count = 0
        self.account = Box(ANNOTATED_ACCOUNT)
        self.annotated: list[Event] = []

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    async def findings(self) -> list[str]:
        """What doctor finds, but for the answers, which these tests make by hand."""
        return [finding.text async for finding in self.store.doctor(False) if finding.code != "answers"]

    def teardown(self) -> None:
        found = self.do(self.findings())
        self.do(self.engine.close())
        self.loop.close()
        self.folder.cleanup()
        assert found == []

    def named(self, box: Box, raw: list[tuple[int, int]]) -> tuple[tuple[tuple[int, int], ...], list[int]]:
        ranges = disjoint(raw)
        return ranges, [uid for uid in sorted(box.messages) if any(low <= uid <= high for low, high in ranges)]

    def took_number(self, modseq: int, *boxes: Box) -> None:
        self.modseq += 1
        assert modseq == self.modseq
        for box in boxes:
            box.highest = modseq

    @rule(which=st.integers(0, 1), flags=FLAGS, count=st.integers(1, 3))
    def append(self, which: int, flags: Flags, count: int) -> None:
        box, bodies = self.boxes[which], [b"%d" % (self.count + i) for i in range(count)]
        self.count += count

        async def filing() -> Any:
            names = [*(name for name in ("\\Seen", "\\Deleted", "\\Flagged") if name in flags), *flags.keywords]
            return await self.store.append(box.key, [await new(self.store, body, *names) for body in bodies])

        done = self.do(filing())
        self.took_number(done.modseq, box)
        for uid, body in zip(done.uids, bodies, strict=True):
            assert uid == box.uidnext
            box.put(uid, flags, done.modseq, body)
            box.uidnext += 1

    @rule(
        which=st.integers(0, 1),
        raw=RANGES,
        mode=st.sampled_from(FlagMode),
        flags=FLAGS,
        back=st.none() | st.integers(0, 9),
    )
    def flag(self, which: int, raw: list[tuple[int, int]], mode: FlagMode, flags: Flags, back: int | None) -> None:
        box = self.boxes[which]
        ranges, uids = self.named(box, raw)
        since = None if back is None else max(self.modseq - back, 0)
        done = self.do(self.store.store_flags(box.key, ranges, mode, flags, since))
        refused = [uid for uid in uids if since is not None and box.refuses(uid, since, mode, flags)]
        changed = {
            uid: changed_flags(box.messages[uid][0], mode, flags)
            for uid in uids
            if uid not in refused and changed_flags(box.messages[uid][0], mode, flags) != box.messages[uid][0]
        }
        assert (list(done.changed), list(done.refused)) == (list(changed), refused)
        if changed:
            self.took_number(done.modseq, box)
        for uid, new_flags in changed.items():
            box.put(uid, new_flags, done.modseq, box.messages[uid][2])

    @rule(source=st.integers(0, 1), into=st.integers(0, 1), raw=RANGES, moving=st.booleans())
    def transfer(self, source: int, into: int, raw: list[tuple[int, int]], moving: bool) -> None:
        here, there = self.boxes[source], self.boxes[into]
        ranges, uids = self.named(here, raw)
        act = self.store.move if moving else self.store.copy
        done = self.do(act(here.key, ranges, there.key))
        assert list(done.source) == uids
        assert list(done.target) == list(range(there.uidnext, there.uidnext + len(uids)))
        if uids:
            self.took_number(done.modseq, there, *([here] if moving else []))
        for uid, new_uid in zip(uids, done.target, strict=True):
            flags, _, body = here.messages[uid]
            there.put(new_uid, flags, done.modseq, body)
            there.uidnext = new_uid + 1
            if moving:
                del here.messages[uid]
                here.removed[uid] = done.modseq

    @rule(source=st.integers(0, 1), into=st.integers(0, 1), at=st.integers(0, 30), flags=FLAGS)
    def replace(self, source: int, into: int, at: int, flags: Flags) -> None:
        here, there = self.boxes[source], self.boxes[into]
        uid = sorted(here.messages)[at % len(here.messages)] if here.messages and at < 29 else at + 1_000
        body = b"replaced %d" % self.count
        self.count += 1

        async def replacing() -> Any:
            names = [*(name for name in ("\\Seen", "\\Deleted", "\\Flagged") if name in flags), *flags.keywords]
            return await self.store.replace(here.key, uid, there.key, await new(self.store, body, *names))

        if uid not in here.messages:
            with pytest.raises(NoSuchMessage):
                self.do(replacing())
            return
        done = self.do(replacing())
        assert done.uids == (there.uidnext,)
        self.took_number(done.modseq, here, there)
        del here.messages[uid]
        here.removed[uid] = done.modseq
        there.put(there.uidnext, flags, done.modseq, body)
        there.uidnext += 1

    @rule(which=st.integers(0, 1), raw=st.none() | RANGES, deleted_only=st.booleans())
    def expunge(self, which: int, raw: list[tuple[int, int]] | None, deleted_only: bool) -> None:
        box = self.boxes[which]
        ranges, uids = (None, sorted(box.messages)) if raw is None else self.named(box, raw)
        gone = [uid for uid in uids if not deleted_only or box.messages[uid][0].system & System.DELETED]
        done = self.do(self.store.expunge(box.key, ranges, deleted_only=deleted_only))
        assert list(done.uids) == gone
        if gone:
            self.took_number(done.modseq, box)
        for uid in gone:
            del box.messages[uid]
            box.removed[uid] = done.modseq

    @rule(which=st.integers(0, 2), values=ENTRIES)
    def annotate(self, which: int, values: dict[str, bytes | None]) -> None:
        box = [*self.boxes, self.account][which]
        changed = [entry for entry, value in values.items() if box.entries.get(entry) != value]
        number = self.do(self.store.annotate(box.key, values))
        if not changed:
            assert number == 0
            return
        self.took_number(number, *([box] if box is not self.account else []))
        name = ("INBOX", "Other", "")[which]
        for entry in changed:
            value = values[entry]
            self.annotated.append(Event(number, Change.ANNOTATED, name, entry))
            if value is None:
                del box.entries[entry]
            else:
                box.entries[entry] = value

    @invariant()
    def annotations_agree(self) -> None:
        boxes = [*self.boxes, self.account]
        found = self.do(self.store.annotations([box.key for box in boxes], NAMES))
        assert found == {box.key: box.entries for box in boxes}
        for box in boxes:
            sizes = [(entry, len(value)) for entry, value in sorted(box.entries.items())]
            assert self.do(self.store.annotation_names(box.key)) == sizes

    @invariant()
    def changes_of_the_account_follow_every_earlier_number(self) -> None:
        for since in range(2, self.modseq + 1):
            found = self.do(self.store.changes(since))
            assert (found.modseq, found.complete) == (self.modseq, True)
            assert {mailbox.key for mailbox, _ in found.mailboxes} == {
                box.key for box in self.boxes if box.highest > since
            }
            assert found.events == [event for event in self.annotated if event.modseq > since]
            own = [number for number in range(since + 1, self.modseq + 1) if number % 2]
            found = self.do(self.store.changes(since, own))
            others = set(range(since + 1, self.modseq + 1)) - set(own)
            for mailbox, by_others in found.mailboxes:
                box = next(box for box in self.boxes if box.key == mailbox.key)
                touched = {modseq for _, modseq, _ in box.messages.values()} | set(box.removed.values())
                assert by_others == bool(touched & others) or not own
            assert found.events == [event for event in self.annotated if event.modseq in others]

    @invariant()
    def mailboxes_agree(self) -> None:
        for box in self.boxes:
            here = self.do(self.store.snapshot(box.key))
            kept = box.messages.values()
            assert list(here.uids.uids) == sorted(box.messages)
            found = here.mailbox
            assert (found.uidnext, found.highest_modseq, found.messages) == (box.uidnext, box.highest, len(kept))
            assert found.unseen == sum(not flags.system & System.SEEN for flags, _, _ in kept)
            assert found.deleted == sum(bool(flags.system & System.DELETED) for flags, _, _ in kept)
            assert found.size == sum(len(body) for _, _, body in kept)
            assert found.deleted_size == sum(len(b) for flags, _, b in kept if flags.system & System.DELETED)
        stats = self.do(self.store.stats())
        assert stats.used == sum(len(body) for box in self.boxes for _, _, body in box.messages.values())
        assert stats.modseq == self.modseq

    @invariant()
    def rows_agree(self) -> None:
        for box in self.boxes:
            rows = self.do(self.store.rows(box.key, ALL, [Column.FLAGS, Column.MODSEQ, Column.SIZE], 999))
            alone = self.do(self.store.rows(box.key, ALL, [Column.FLAGS], 1_000))  # as many as whole mailboxes are
            assert alone == [row[:2] for row in rows]
            assert self.do(self.store.rows(box.key, ((2, 4), (6, 9)), [Column.FLAGS], 1_000)) == [
                row[:2] for row in rows if row[0] in (2, 3, 4, 6, 7, 8, 9)
            ]
            table = self.do(self.store.flag_table())
            assert [(row[0], table[row[1]], row[2], row[3]) for row in rows] == [  # type: ignore[index] # FLAGS is an int
                (uid, flags, modseq, len(body)) for uid, (flags, modseq, body) in sorted(box.messages.items())
            ]

    @invariant()
    def every_earlier_number_leads_to_now(self) -> None:
        for box in self.boxes:
            for since in range(self.modseq + 1):
                delta = self.do(self.store.delta(box.key, since))
                assert [(uid, modseq) for uid, _, modseq in delta.changed] == [
                    (uid, modseq) for uid, (_, modseq, _) in sorted(box.messages.items()) if modseq > since
                ]
                assert list(delta.vanished) == sorted(uid for uid, number in box.removed.items() if number > since)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
