"""Random lives of a maildrop: what comes and goes on the server, what becomes of clients, and an end at any instant.

The model counts, by content. Once a run has come to its end, the target holds of each message at least as many as the
server had, at most as many as ever lay there at once; and of what was deleted on the server, as many.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from restante.sync.pop3.identity import of_message
from restante.sync.side import SideUnavailable

from .pop3_world import Client, Killed, Names, Server, client, letter
from .programs import RAM

LONG = "Long enough that its header is asked for first.\r\n" * 100
RUNS = int(os.environ.get("RESTANTE_POP3_LIVES", "60"))
NAMES: list[Names] = ["good", "none", "shared", "content", "numbers"]

Key = tuple[bytes, bytes]


@lru_cache(4096)
def key(data: bytes) -> Key:
    identity = of_message(data)
    return identity.core, identity.body


def count(messages: Iterable[bytes]) -> Counter[Key]:
    return Counter(map(key, messages))


class Maildrop(RuleBasedStateMachine):
    """One server; a client, and another computer that shares its target."""

    @initialize(
        names=st.sampled_from(NAMES),
        top=st.booleans(),
        pipelining=st.booleans(),
        writes=st.booleans(),
        delete_after=st.sampled_from([None, 0, 3]),
        tells=st.booleans(),
    )
    def begin(
        self, names: Names, top: bool, pipelining: bool, writes: bool, delete_after: int | None, tells: bool
    ) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=RAM)
        self.server = Server(names=names, top=top, pipelining=pipelining, writes=writes)
        self.who = client(Path(self.folder.name) / "one", delete_after=delete_after)
        self.who.target.tells = tells
        self.second: Client | None = None
        self.serial = 0
        self.most: Counter[Key] = Counter()
        """How many of each lay on the server at once."""

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def there(self) -> Counter[Key]:
        return count(mail.data for mail in self.server.mails)

    def here(self) -> Counter[Key]:
        return count(self.who.target.all().elements())

    def arrive(self, data: bytes) -> None:
        self.server.put(data)
        self.most |= self.there()

    # The server ----------------------------------------------------------------------------------------

    @rule(long=st.booleans(), number=st.integers(1, 3), end=st.sampled_from(["\r\n", ""]))
    def mail_comes(self, long: bool, number: int, end: str) -> None:
        for _ in range(number):
            self.serial += 1
            body = LONG if long else "short\r\n.dot\r\n"
            self.arrive(letter(f"m{self.serial:04}", f"{body}{self.serial:04}{end}"))

    @precondition(lambda self: self.server.mails)
    @rule(which=st.integers(0, 50))
    def a_twin_comes(self, which: int) -> None:
        self.arrive(self.server.mails[which % len(self.server.mails)].data)

    @rule()
    def names_change(self) -> None:
        self.server.salt += 1

    @precondition(lambda self: self.server.mails)
    @rule(which=st.integers(0, 50))
    def somebody_else_deletes(self, which: int) -> None:
        del self.server.mails[which % len(self.server.mails)]

    @rule()
    def sizes_are_told_another_way(self) -> None:
        self.server.lf_sizes = not self.server.lf_sizes

    # Clients -------------------------------------------------------------------------------------------

    def run_whole(self, who: Client) -> None:
        there = self.there()
        asyncio.run(who.fetch(self.server))
        assert there <= self.here(), "lost"
        report = asyncio.run(who.fetch(self.server))
        assert (report.downloaded, report.left) == (0, ())

    @rule()
    def fetch(self) -> None:
        self.run_whole(self.who)

    @rule()
    def fetch_on_another_computer(self) -> None:
        if self.second is None:
            self.second = client(Path(self.folder.name) / "two", delete_after=self.who.settings.delete_after)
            self.second.target = self.who.target
        self.run_whole(self.second)

    @rule(stop=st.integers(1, 60), lost=st.booleans())
    def fetch_and_end_in_the_middle(self, stop: int, lost: bool) -> None:
        steps = self.who.steps
        steps.count, steps.stop, steps.lost = 0, stop, lost
        ends: type[BaseException] = SideUnavailable if lost else Killed
        try:
            asyncio.run(self.who.fetch(self.server))
        except ends:
            pass
        finally:
            steps.stop = None

    @rule(days=st.sampled_from([1, 2, 4]))
    def time_passes(self, days: int) -> None:
        for who in (self.who, self.second):
            if who is not None:
                who.later(days)

    @rule()
    def the_state_is_lost(self) -> None:
        self.who.lose_state()

    # The target ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.server.mails)
    @rule(which=st.integers(0, 50), mailbox=st.sampled_from(["Archive", "INBOX"]))
    def imap_brings_it_first(self, which: int, mailbox: str) -> None:
        data = self.server.mails[which % len(self.server.mails)].data
        assume(self.here()[key(data)] < self.there()[key(data)])
        self.who.target.put(mailbox, data)

    @precondition(lambda self: any(box.mails for box in self.who.target.boxes.values()))
    @rule(which=st.integers(0, 50))
    def the_user_moves_it(self, which: int) -> None:
        found = [(name, uid) for name, box in self.who.target.boxes.items() for uid in box.mails]
        name, uid = found[which % len(found)]
        self.who.target.put("Archive" if name == "INBOX" else "INBOX", self.who.target.take(name, uid))

    # What holds always ---------------------------------------------------------------------------------

    @invariant()
    def nothing_twice_and_nothing_deleted_too_early(self) -> None:
        if not hasattr(self, "server"):
            return
        here = self.here()
        assert here <= self.most, "twice"
        assert count(self.server.gone) & self.most <= here, "deleted too early"


TestMaildrop = Maildrop.TestCase
TestMaildrop.settings = settings(
    max_examples=RUNS,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
