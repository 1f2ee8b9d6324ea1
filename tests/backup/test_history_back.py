"""Random histories in which mail is brought back in every way: rewound, restored in place, and the account made anew.

A UID means one message for ever, whichever state of the account is put in service, numbers never fall, nothing is
doubled, and what was saved is there afterwards; and each snapshot that is taken on the way restores to what was.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from restante.backup.analysing import analysing
from restante.backup.bring import Bringing
from restante.backup.choose import line_of
from restante.backup.restore import Choice, Restored, restore_removed
from restante.backup.rewind import rewind_to
from restante.mime.model import DEFAULT_LIMITS
from restante.store.model import Column, Flags

from .support import ALL, ANN
from .test_history import History

WHICH = st.integers(0, 30)


class Back(History):
    def __init__(self) -> None:
        super().__init__()
        self.meant: dict[tuple[str, int], str] = {}
        self.numbers: dict[str, tuple[int, int, int]] = {}
        for name in ("INBOX", "A"):
            self.append(name, Flags(), 3, None)
        self.snapshot(False, aside=False)

    def at(self, which: int) -> tuple[Any, Any, Any]:
        repository = self.world.repository()
        snapshot = self.kept[which % len(self.kept)][0]
        return repository, snapshot, line_of(repository, snapshot, "ann@example.com", ANN)

    def saved(self, which: int, mailbox: str | None = None) -> Counter[str]:
        """How often a snapshot has each message, in a mailbox or in all."""
        found: Counter[str] = Counter()
        for name, value in self.kept[which % len(self.kept)][1].items():
            if name != "*" and mailbox in (None, name):
                assert isinstance(value, tuple)
                found.update(row[4].decode() for row in value[2])
        return found

    def held(self) -> Counter[str]:
        """How often the account has each message."""
        return Counter(id for _, id in self.placed())

    def placed(self) -> list[tuple[tuple[str, int], str]]:
        found = []
        for box in self.do(self.world.ann.mailboxes()):
            for uid, id in self.do(self.world.ann.rows(box.key, ALL, (Column.EMAIL_ID,), 100_000)):
                assert isinstance(uid, int)
                assert isinstance(id, bytes)
                found.append(((box.id, uid), id.decode()))
        return found

    @invariant()
    def a_uid_means_one_message_for_ever(self) -> None:
        for place, id in self.placed():
            assert self.meant.setdefault(place, id) == id
        for box in self.do(self.world.ann.mailboxes()):
            now = (box.uidvalidity, box.uidnext, box.highest_modseq)
            before = self.numbers.get(box.id, now)
            assert now[0] == before[0]
            assert all(number >= old for number, old in zip(now, before, strict=True))
            self.numbers[box.id] = now

    @rule(which=WHICH, flags=st.booleans(), mailbox=st.none() | st.integers(0, 9))
    def bring(self, which: int, flags: bool, mailbox: int | None) -> None:
        repository, _, line = self.at(which)
        self.world.clock.advance(2)
        names = [name for name in self.kept[which % len(self.kept)][1] if name != "*"]
        choice = Choice() if mailbox is None else Choice(names[mailbox % len(names)])
        with analysing(0, DEFAULT_LIMITS) as pool:

            def bringing(**options: Any) -> Bringing:
                return Bringing(repository, line, self.world.ann, choice, pool, **options)

            before = self.held()
            planned = self.do(bringing(dry_run=True).in_place(set_flags=flags))
            done = self.do(bringing().in_place(set_flags=flags))
            assert (planned.messages, planned.present, planned.moved) == (done.messages, done.present, done.moved)
            after = self.held()
            assert before <= after
            saved = self.saved(which, choice.mailbox)
            assert all(id in after for id in saved)
            assert all(after[id] <= max(before[id], before[id] + saved[id]) for id in after)
            again = self.do(bringing().in_place(set_flags=flags))
            assert (again.messages, again.flagged) == (0, 0)
            assert self.held() == after

    @rule(which=WHICH)
    def rewind(self, which: int) -> None:
        repository, snapshot, line = self.at(which)
        self.world.clock.advance(2)
        before = self.held()
        with analysing(0, DEFAULT_LIMITS) as pool:
            done = self.do(rewind_to(self.world.ann, repository, snapshot, line, pool, apply=True))
        assert done.lost == []
        after = self.held()
        assert set(before) <= set(after)
        assert set(self.saved(which)) <= set(after)

    @rule()
    def undo(self) -> None:
        if known := self.do(self.world.ann.rewinds()):
            self.world.clock.advance(2)
            self.maybe(self.world.ann.undo_rewind(known[-1].id, apply=True))

    @rule(which=WHICH)
    def made_anew(self, which: int) -> None:
        """The account is removed by mistake, and comes back as it was in a snapshot."""
        repository, snapshot, line = self.at(which)
        self.world.clock.advance(2)
        self.do(self.world.engine.directory.remove_account(ANN))
        self.do(self.world.engine.delete_account(ANN))
        with analysing(0, DEFAULT_LIMITS) as pool:
            self.do(restore_removed(self.world.engine, repository, snapshot, line, pool, Restored()))
        assert self.held() == self.saved(which)
        self.do(self.world.take())  # the first night of another incarnation reads all


TestBack = Back.TestCase
TestBack.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
