"""Servers of other kinds, by transcript: the bare one, the faulty, the busy, the one that ends in the middle."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from restante.clock import ManualClock
from restante.imap.grammar import answers_fetch
from restante.sync.engine import run
from restante.sync.model import FlagChange, Message, Withheld
from restante.sync.remote import RemoteSide, Settings, look
from restante.sync.remote.errors import Busy, Lost
from restante.sync.settings import CopySettings, End, Report
from restante.sync.side import MailboxUnavailable, SideUnavailable
from restante.sync.state import State

from .memory import Disk, MemorySide
from .remote_script import Bare, Script, Session
from .remote_support import secret

T = TypeVar("T")
NONE: frozenset[str] = frozenset()
SEEN = frozenset({"\\Seen"})


def on(
    bare: Bare,
    act: Callable[[RemoteSide, Script], Awaitable[T]],
    settings: Settings | None = None,
    greeting: bytes = b"* OK ready\r\n",
    spool: Path | None = None,
    views: bool = False,
) -> T:
    """Run `act` with a side on that server."""

    async def go() -> T:
        async with asyncio.timeout(60), Script(bare, greeting).running() as script:
            side = RemoteSide(script.address(), secret, settings or Settings(connections=1), spool=spool, views=views)
            try:
                await side.open()
                return await act(side, script)
            finally:
                await side.close()

    return asyncio.run(go())


def message(number: int, *flags: str) -> Message:
    return Message(0, b"Subject: %d\r\n\r\nx\r\n" % number, frozenset(flags), 1_500_000_000)


async def all_of(side: RemoteSide, name: str = "INBOX") -> dict[int, Message]:
    changes = await side.changes(name, None)
    return {one.uid: one async for one in side.fetch(name, list(changes.uids))}


# RFC 3501 and nothing more -----------------------------------------------------------------------------


def test_a_bare_server_from_one_end_to_the_other() -> None:
    bare = Bare()
    bare.boxes |= {b"Sent": {}}
    bare.validity[b"Sent"], bare.next[b"Sent"] = 9, 1
    bare.subscribed = {b"Sent"}
    bare.put(b"INBOX", b"Subject: a\r\n\r\nx\r\n", b"\\Seen")

    async def act(side: RemoteSide, script: Script) -> None:
        inbox, sent = await side.places()
        assert (inbox.name, inbox.validity, inbox.state, inbox.messages) == ("INBOX", "7", None, 1)
        assert (sent.name, sent.validity, sent.subscribed, inbox.subscribed) == ("Sent", "9", True, False)
        changes = await side.changes("INBOX", None)
        assert (changes.full, list(changes.uids), changes.flags) == (True, [1], [SEEN])
        assert [one.uid for one in await side.add("INBOX", [message(1), message(2, "\\Flagged")])] == [0, 0]
        found = await all_of(side)
        assert [one.data for one in found.values()] == [b"Subject: a\r\n\r\nx\r\n", message(1).data, message(2).data]
        assert found[1].received == 837_596_665
        (outline,) = await side.outlines("INBOX", [2])
        assert (outline.size, outline.email) == (len(message(1).data), None)
        assert (await side.changes("INBOX", changes.cursor)).full

    on(bare, act)


def test_only_what_rfc_3501_has_is_said_to_a_bare_server() -> None:
    bare = Bare()

    async def act(side: RemoteSide, script: Script) -> list[bytes]:
        await side.places()
        await side.changes("INBOX", None)
        await side.add("INBOX", [message(1)])
        await side.remove("INBOX", [1])
        return script.log

    log = on(bare, act)
    allowed = (
        rb'CAPABILITY|LOGIN|LIST "" "(\*)?"$|LSUB|STATUS|(SELECT|EXAMINE) INBOX$|UID (FETCH|STORE|SEARCH) |EXPUNGE$'
    )
    assert [line for line in log if not re.match(allowed + rb"|APPEND ", line)] == []
    assert not any(b"{" in line and b"+}" in line for line in log)


def test_a_message_costs_one_round_trip_with_synchronising_literals() -> None:
    async def act(side: RemoteSide, script: Script) -> int:
        await side.places()
        before = side.traffic[2]
        await side.add("INBOX", [message(number) for number in range(10)])
        return side.traffic[2] - before

    assert on(Bare(), act) <= 11


def test_others_deleted_messages_stay_without_uidplus() -> None:
    bare = Bare()
    for number in range(4):
        bare.put(b"INBOX", message(number).data, *([b"\\Deleted"] if number in (0, 3) else []))

    async def act(side: RemoteSide, script: Script) -> None:
        await side.remove("INBOX", [2, 4])

    on(bare, act)
    assert {uid: flags for uid, (flags, _) in bare.boxes[b"INBOX"].items()} == {1: {b"\\Deleted"}, 3: set()}


@pytest.mark.parametrize(
    "at", [b"EXPUNGE", b"UID STORE 2,4 +FLAGS", b"UID STORE 1 +FLAGS"], ids=["expunge", "marks", "after"]
)
def test_others_deleted_marks_outlive_a_run_that_is_cut_off_while_it_removes(tmp_path: Path, at: bytes) -> None:
    class Cut(Bare):
        ended = False

        def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
            if command.startswith(at) and not self.ended:
                self.ended = True
                return None
            return super().__call__(session, tag, command)

    bare = Cut()
    for number in range(4):
        bare.put(b"INBOX", message(number).data, *([b"\\Deleted"] if number == 0 else []))
    spool = tmp_path / "parts"

    async def act(side: RemoteSide, script: Script) -> None:
        await side.places()
        with pytest.raises(Lost):
            await side.remove("INBOX", [2, 4])

    on(bare, act, spool=spool)
    assert bare.boxes[b"INBOX"][1][0] == set()
    (file,) = spool.iterdir()
    other = file.with_name("other.marks")
    other.write_bytes(file.read_bytes().replace(b'"ann"', b'"bob"').replace(b"as ann", b"as bob"))

    async def again(side: RemoteSide, script: Script) -> None:
        await side.places()
        assert bare.boxes[b"INBOX"][1][0] == {b"\\Deleted"}
        await side.remove("INBOX", [2, 4])

    on(bare, again, spool=spool)
    assert {uid: flags for uid, (flags, _) in bare.boxes[b"INBOX"].items()} == {1: {b"\\Deleted"}, 3: set()}
    assert list(spool.iterdir()) == [other]  # of another account
    bare.validity[b"INBOX"] += 1
    other.rename(file)
    file.write_bytes(file.read_bytes().replace(b"as bob", b"as ann").replace(b"[1]", b"[3]"))
    on(bare, lambda side, script: side.places(), spool=spool)
    assert bare.boxes[b"INBOX"][3][0] == set()  # of other UIDs
    assert not spool.exists()


def test_marks_that_could_not_be_set_again_are_not_forgotten_for_others(tmp_path: Path) -> None:
    """The mailbox was not to be used when the next run began, and was when it removed something there."""

    class Cut(Bare):
        ended = locked = False

        def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
            if command.startswith(b"EXPUNGE") and not self.ended:
                self.ended = True
                return None
            if command.startswith(b"SELECT") and self.locked:
                self.locked = False
                return tag + b" NO not now\r\n"
            return super().__call__(session, tag, command)

    bare = Cut()
    for number in range(4):
        bare.put(b"INBOX", message(number).data, *([b"\\Deleted"] if number == 0 else []))
    spool = tmp_path / "parts"

    async def act(side: RemoteSide, script: Script) -> None:
        await side.places()
        with pytest.raises(Lost):
            await side.remove("INBOX", [4])

    on(bare, act, spool=spool)
    assert bare.boxes[b"INBOX"][1][0] == set()
    bare.boxes[b"INBOX"][3][0].add(b"\\Deleted")
    bare.locked = True

    async def again(side: RemoteSide, script: Script) -> None:
        await side.places()
        await side.remove("INBOX", [4])

    on(bare, again, spool=spool)
    assert {uid: flags for uid, (flags, _) in bare.boxes[b"INBOX"].items()} == {
        1: {b"\\Deleted"},
        2: set(),
        3: {b"\\Deleted"},
    }
    assert not spool.exists()


def test_a_keyword_that_the_server_lists_behind_a_store_is_one_that_it_keeps() -> None:
    class Keeping(Bare):
        def do_select(self, session: Session, rest: bytes) -> bytes:
            return super().do_select(session, rest).replace(b"\\Flagged)]", b"\\Flagged \\*)]")

        def do_uid_store(self, session: Session, rest: bytes) -> bytes:
            return b"* OK [PERMANENTFLAGS (\\Seen Work \\*)] one more\r\n" + super().do_uid_store(session, rest)

    bare = Keeping()
    bare.put(b"INBOX", message(1).data)

    async def act(side: RemoteSide, script: Script) -> None:
        assert not side.keeps("INBOX", "work")
        await side.set_flags("INBOX", [FlagChange([1], frozenset({"work"}), NONE)])
        assert side.keeps("INBOX", "work")
        assert not side.keeps("INBOX", "other")

    on(bare, act)


def test_keywords_that_are_not_kept_are_left_out_and_told() -> None:
    bare = Bare()
    bare.put(b"INBOX", message(1).data)

    async def act(side: RemoteSide, script: Script) -> None:
        await side.set_flags("INBOX", [FlagChange([1], frozenset({"\\Seen", "work"}), NONE)])
        await side.add("INBOX", [message(2, "\\Flagged", "home")])
        assert side.left_out_keywords == {"INBOX": {"work", "home"}}

    on(bare, act)
    assert [flags for flags, _ in bare.boxes[b"INBOX"].values()] == [{b"\\Seen"}, {b"\\Flagged"}]


def test_names_behind_another_separator() -> None:
    bare = Bare()
    bare.separator = b"."
    for name in (b"INBOX.a", b"INBOX.Gel&APY-scht.x/y", b"INBOX.&Ti1W,Q"):  # the last is not closed: as it stands
        bare.boxes[name], bare.validity[name], bare.next[name] = {}, 3, 1

    async def act(side: RemoteSide, script: Script) -> None:
        names = [place.name for place in await side.places()]
        assert names == ["INBOX", "INBOX/&Ti1W,Q", "INBOX/Gelöscht/x%2Fy", "INBOX/a"]
        await side.add("INBOX/Gelöscht/x%2Fy", [message(1)])
        assert len(bare.boxes[b"INBOX.Gel&APY-scht.x/y"]) == 1

    on(bare, act)


# What cannot be true -----------------------------------------------------------------------------------


def test_a_list_with_fewer_messages_than_there_are_is_not_believed() -> None:
    class Forgetful(Bare):
        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            return super().do_uid_fetch(session, rest.replace(b"1:*", b"1:2"))

    bare = Forgetful()
    for number in range(5):
        bare.put(b"INBOX", message(number).data)

    async def act(side: RemoteSide, script: Script) -> None:
        with pytest.raises(MailboxUnavailable, match="fewer"):
            await side.changes("INBOX", None)

    on(bare, act)


def test_uids_of_another_validity_are_never_used() -> None:
    bare = Bare()
    bare.put(b"INBOX", message(1).data)

    async def act(side: RemoteSide, script: Script) -> None:
        await side.places()
        bare.validity[b"INBOX"] = 8
        for attempt in (
            lambda: side.set_flags("INBOX", [FlagChange([1], SEEN, NONE)]),
            lambda: side.remove("INBOX", [1]),
            lambda: side.outlines("INBOX", [1]),
        ):
            with pytest.raises(MailboxUnavailable, match="anew"):
                await attempt()
        with pytest.raises(MailboxUnavailable, match="anew"):
            await anext(side.fetch("INBOX", [1]))
        assert bare.boxes[b"INBOX"][1][0] == set()
        assert (await side.changes("INBOX", None)).validity == "8"
        await side.set_flags("INBOX", [FlagChange([1], SEEN, NONE)])
        assert bare.boxes[b"INBOX"][1][0] == {b"\\Seen"}

    on(bare, act)


def test_answers_that_were_not_asked_for_do_no_harm() -> None:
    class Talkative(Bare):
        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            return b"* 1 FETCH (FLAGS (\\Deleted))\r\n* 2 RECENT\r\n" + super().do_uid_fetch(session, rest)

    bare = Talkative()
    bare.put(b"INBOX", message(1).data, b"\\Seen")

    async def act(side: RemoteSide, script: Script) -> None:
        script.sessions[0].push(b"* 1 FETCH (UID 77 FLAGS (\\Flagged) BODY[] {1}\r\nx)\r\n* OK [ALERT] hear\r\n")
        found = await all_of(side)
        assert {uid: (one.flags, one.data) for uid, one in found.items()} == {1: (SEEN, message(1).data)}

    on(bare, act)


def test_items_of_a_message_in_several_answers() -> None:
    class Split(Bare):
        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            whole = super().do_uid_fetch(session, rest)
            if b"BODY[]" not in whole:
                return whole
            return whole.replace(b" INTERNALDATE", b")\r\n* 1 FETCH (UID 1 INTERNALDATE")

    bare = Split()
    bare.put(b"INBOX", message(1).data, b"\\Seen")

    async def act(side: RemoteSide, script: Script) -> None:
        assert [(one.flags, one.data) for one in (await all_of(side)).values()] == [(SEEN, message(1).data)]

    on(bare, act)


class Damaged(Bare):
    """Does not give the message of UID 2, until it is mended."""

    mended = False

    def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
        if not self.mended and b"BODY.PEEK[]" in rest and 2 in self.named(session, rest.partition(b" ")[0]):
            return b"NO some messages could not be fetched"
        return super().do_uid_fetch(session, rest)


def test_one_unreadable_message_spoils_no_other() -> None:
    bare = Damaged()
    for number in range(3):
        bare.put(b"INBOX", message(number).data)

    async def act(side: RemoteSide, script: Script) -> None:
        assert sorted(await all_of(side)) == [1, 3]
        assert side.unreadable == {("INBOX", 2): Withheld("some messages could not be fetched")}
        bare.mended = True
        assert sorted(await all_of(side)) == [1, 2, 3]
        assert side.unreadable == {}

    on(bare, act)


def test_a_run_sets_aside_what_the_server_does_not_give(tmp_path: Path) -> None:
    bare, disk, clock = Damaged(), Disk(), ManualClock()
    for number in range(3):
        bare.put(b"INBOX", message(number).data)
    state = State(tmp_path / "state")

    async def act(side: RemoteSide, script: Script) -> Report:
        return await run(CopySettings(), side, MemorySide(disk), state, clock)

    def there() -> list[bytes]:
        return sorted(one.data for one in disk.boxes["INBOX"].messages.values())

    try:
        for _ in range(2):
            report = on(bare, act)
            assert [(one.mailbox, one.uid, one.refused_by) for one in report.aside] == [("INBOX", 2, End.ONE)]
            assert report.aside[0].reason.endswith("does not give it: some messages could not be fetched")
            assert (there(), len(bare.boxes[b"INBOX"])) == ([message(0).data, message(2).data], 3)
        bare.mended = True
        clock.advance(601)
        assert on(bare, act).aside == ()
        assert there() == [message(number).data for number in range(3)]
    finally:
        state.close()


# Large providers ---------------------------------------------------------------------------------------


def test_views_of_other_mailboxes_are_no_places_unless_asked_for() -> None:
    class Gmail(Bare):
        offers = b" X-GM-EXT-1 SPECIAL-USE"

        def do_list(self, session: Session, rest: bytes) -> bytes:
            if rest == b'"" ""':
                return super().do_list(session, rest)
            return b'* LIST () "/" "INBOX"\r\n* LIST (\\HasNoChildren \\All) "/" "[Gmail]/All Mail"\r\n'

        def do_status(self, session: Session, rest: bytes) -> bytes:
            return b"* STATUS " + rest.partition(b" (")[0] + b" (UIDVALIDITY 1 UIDNEXT 1 MESSAGES 0 UNSEEN 0)\r\n"

    async def names(side: RemoteSide, script: Script) -> list[str]:
        return [place.name for place in await side.places()]

    assert on(Gmail(), names) == ["INBOX"]
    assert on(Gmail(), names, views=True) == ["INBOX", "[Gmail]/All Mail"]


def test_an_estimated_size_is_not_told() -> None:
    bare = Bare()
    bare.put(b"INBOX", message(1).data)

    async def act(side: RemoteSide, script: Script) -> int | None:
        return (await side.outlines("INBOX", [1]))[0].size

    greeting = b"* OK The Microsoft Exchange IMAP4 service is ready. [WABC]\r\n"
    assert on(bare, act, greeting=greeting) is None
    assert on(bare, act) == len(message(1).data)


class Throttled(Bare):
    """Says NO to the first few."""

    left = 2
    text = b"NO [UNAVAILABLE] come back later"

    def do_examine(self, session: Session, rest: bytes) -> bytes:
        self.left -= 1
        return self.text if self.left >= 0 else super().do_examine(session, rest)


def test_a_busy_server_is_waited_for_within_bounds() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def act(side: RemoteSide, script: Script) -> None:
        await side.changes("INBOX", None)

    on(Throttled(), act, Settings(sleep=sleep))
    assert waited == [1.0, 2.0]
    never = Throttled()
    never.left = 1_000
    with pytest.raises(Busy):
        on(never, act, Settings(sleep=sleep, patience=20.0))
    assert sum(waited) <= 23.0


def test_a_server_that_says_how_long_is_believed() -> None:
    busy = Throttled()
    busy.text = b"BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds"

    async def act(side: RemoteSide, script: Script) -> None:
        with pytest.raises(Busy) as caught:
            await side.changes("INBOX", None)
        assert caught.value.after == pytest.approx(299.961)

    on(busy, act)


# The end in the middle ---------------------------------------------------------------------------------


def test_bye_is_told() -> None:
    class Leaving(Bare):
        def do_examine(self, session: Session, rest: bytes) -> bytes:
            return b"* BYE going down\r\n"

    async def act(side: RemoteSide, script: Script) -> None:
        with pytest.raises(Lost, match="going down"):
            await side.changes("INBOX", None)

    on(Leaving(), act)


def test_a_silent_server_is_given_up() -> None:
    class Silent(Bare):
        def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
            return b"" if command.startswith(b"EXAMINE") else super().__call__(session, tag, command)

    async def act(side: RemoteSide, script: Script) -> None:
        with pytest.raises(Lost, match="silent"):
            await side.changes("INBOX", None)

    on(Silent(), act, Settings(silence=0.2))


class Cutting(Bare):
    """Ends the connection behind so many octets of a download, each time."""

    def __init__(self, octets: int, times: int) -> None:
        super().__init__()
        self.octets = octets
        self.times = times
        self.sent = 0

    def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
        whole = super().do_uid_fetch(session, rest)
        if b"BODY[]" in whole:
            self.sent += len(whole)
            if self.times and len(whole) > self.octets:
                self.times -= 1
                session.push(whole[: self.octets])
                session.writer.close()
                return b""
        return whole


def test_a_download_goes_on_over_another_connection() -> None:
    cutting = Cutting(2_000, 2)
    for number in range(200):
        cutting.put(b"INBOX", message(number).data)

    async def act(side: RemoteSide, script: Script) -> int:
        changes = await side.changes("INBOX", None)
        uids = [one.uid async for one in side.fetch("INBOX", list(changes.uids))]
        assert sorted(uids) == list(range(1, 201))
        return len(script.sessions)

    assert on(cutting, act) >= 2


def test_a_server_that_ends_again_and_again_is_unavailable() -> None:
    cutting = Cutting(1, 1_000)
    for number in range(200):
        cutting.put(b"INBOX", message(number).data)

    async def act(side: RemoteSide, script: Script) -> int:
        await side.changes("INBOX", None)
        with pytest.raises(SideUnavailable):
            await anext(side.fetch("INBOX", list(range(1, 201))))
        return len(script.sessions)

    assert on(cutting, act) < 20


class Poisoned(Bare):
    """Ends the connection at some messages, in the middle of what it says about them: to any UID FETCH of `items`."""

    def __init__(self, messages: int, poison: set[int], items: bytes = b"BODY.PEEK[]") -> None:
        super().__init__()
        self.poison = poison
        self.items = items
        for number in range(messages):
            self.put(b"INBOX", message(number).data)

    def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
        whole = super().do_uid_fetch(session, rest)
        if self.items not in rest:
            return whole
        ends = [whole.find(b"(UID %d " % uid) for uid in self.poison]
        if ends := [end for end in ends if end >= 0]:
            session.push(whole[: min(ends) + 5])
            session.writer.close()
            return b""
        return whole


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("poison", [{1}, {60}, {200}, {7, 8, 9, 150}])
def test_a_message_that_ends_the_connection_holds_up_no_other(poison: set[int], connections: int) -> None:
    poisoned = Poisoned(200, poison)

    async def act(side: RemoteSide, script: Script) -> None:
        changes = await side.changes("INBOX", None)
        uids = [one.uid async for one in side.fetch("INBOX", list(changes.uids))]
        assert sorted(uids) == sorted({*range(1, 201)} - poison)
        assert {uid for _, uid in side.unreadable} == poison
        assert all(one.temporary and "connection" in one.reason for one in side.unreadable.values())

    on(poisoned, act, Settings(connections=connections))


def test_a_run_sets_aside_what_ends_the_connection_and_goes_on(tmp_path: Path) -> None:
    poisoned, clock = Poisoned(60, {5}), ManualClock()
    disk = Disk()

    async def act(side: RemoteSide, script: Script) -> Report:
        state = State.open(tmp_path / "state.db")
        try:
            return await run(CopySettings(), side, MemorySide(disk), state, clock)
        finally:
            state.close()

    report = on(poisoned, act)
    assert (report.two.added, [one.uid for one in report.aside]) == (59, [5])
    poisoned.poison.clear()
    clock.advance(700)
    report = on(poisoned, act)
    assert (report.two.added, report.aside) == (1, ())


@pytest.mark.parametrize("poison", [{1}, {60}, {200}, {7, 8, 9, 150}])
def test_a_header_that_ends_the_connection_holds_up_no_other(poison: set[int]) -> None:
    poisoned = Poisoned(200, poison, b"HEADER")

    async def act(side: RemoteSide, script: Script) -> None:
        await side.changes("INBOX", None)
        outlines = await side.outlines("INBOX", list(range(1, 201)))
        assert [one.uid for one in outlines] == sorted({*range(1, 201)} - poison)
        assert {uid for _, uid in side.unreadable} == poison

    on(poisoned, act)


@pytest.mark.parametrize("poison", [{2}, {1, 2, 99}, set(range(1, 201))])
def test_a_header_that_is_refused_holds_up_no_other(poison: set[int]) -> None:
    class Refusing(Bare):
        asked = 0

        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            if b"HEADER" in rest:
                self.asked += 1
                if poison.intersection(self.named(session, rest.partition(b" ")[0])):
                    return b"NO it is damaged"
            return super().do_uid_fetch(session, rest)

    bare = Refusing()
    for number in range(200):
        bare.put(b"INBOX", message(number).data)

    async def act(side: RemoteSide, script: Script) -> None:
        await side.changes("INBOX", None)
        if len(poison) == 200:
            with pytest.raises(MailboxUnavailable):
                await side.outlines("INBOX", list(range(1, 201)))
        else:
            outlines = await side.outlines("INBOX", list(range(1, 201)))
            assert [one.uid for one in outlines] == sorted({*range(1, 201)} - poison)
        assert bare.asked < 50

    on(bare, act)


def test_an_interrupted_large_message_goes_on_where_it_was(tmp_path: Path) -> None:
    octets = b"Subject: large\r\n\r\n" + bytes(range(1, 256)) * 4_000
    pieces = 100_000

    class Dying(Bare):
        alive = 5

        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            if b"BODY.PEEK[]" in rest:
                Dying.alive -= 1
                if Dying.alive < 0:
                    return b"* BYE dead\r\n"
            return super().do_uid_fetch(session, rest)

    bare = Dying()
    bare.put(b"INBOX", octets)
    settings = Settings(connections=1, piece=pieces)

    async def once(side: RemoteSide, script: Script) -> list[bytes]:
        await side.changes("INBOX", None)
        return [one.data async for one in side.fetch("INBOX", [1])]

    assert on(bare, once, settings, spool=tmp_path) == []
    kept = [path.stat().st_size for path in tmp_path.iterdir()]
    assert kept == [500_000]
    Dying.alive = 1_000
    asked: list[bytes] = []

    async def again(side: RemoteSide, script: Script) -> list[bytes]:
        found = await once(side, script)
        asked.extend(line for line in script.log if b"BODY.PEEK[]" in line)
        return found

    assert on(bare, again, settings, spool=tmp_path) == [octets]
    assert [int(re.findall(rb"<([0-9]+)\.", line)[0]) for line in asked] == [0, *range(500_000, len(octets), pieces)]
    assert list(tmp_path.iterdir()) == []


def test_messages_of_all_sizes_around_a_piece() -> None:
    bare = Bare()
    sizes = [1, 999, 1_000, 1_001, 1_999, 2_000, 2_001, 10_000]
    for size in sizes:
        bare.put(b"INBOX", b"x" * size)

    async def act(side: RemoteSide, script: Script) -> list[int]:
        return [len(one.data) for one in (await all_of(side)).values()]

    assert sorted(on(bare, act, Settings(connections=1, piece=1_000))) == sizes


# Filing ------------------------------------------------------------------------------------------------


class Choosy(Bare):
    """Refuses by subject, and files several at once."""

    offers = b" MULTIAPPEND LITERAL+ UIDPLUS APPENDLIMIT=5000"

    def do_append(self, session: Session, rest: bytes) -> bytes:
        if b"Subject: 3\r\n" in rest:
            return b"NO [TOOBIG] too large"
        if b"Subject: 4\r\n" in rest:
            return b"NO [OVERQUOTA] full"
        bodies = re.findall(rb"Subject: [0-9]+\r\n\r\nx\r\n", rest)
        uids = [self.put(b"INBOX", body) for body in bodies]
        return b"OK [APPENDUID 7 %d:%d] done" % (uids[0], uids[-1])


def test_a_refused_message_holds_up_no_other() -> None:
    large = Message(0, b"Subject: 9\r\n\r\n" + b"x" * 6_000, NONE, 0)
    nul = Message(0, b"Subject: 9\r\n\r\n\0", NONE, 0)
    bare = Choosy()

    async def act(side: RemoteSide, script: Script) -> None:
        answers = await side.add("INBOX", [*(message(number) for number in range(6)), large, nul])
        assert [one.uid > 0 for one in answers] == [True, True, True, False, False, True, False, False]
        assert len({one.uid for one in answers if one.uid}) == 4
        assert [(one.refused is not None, one.temporary) for one in answers[3:]] == [
            (True, False), (True, True), (False, False), (True, False), (True, False),
        ]  # fmt: skip
        assert not any(b"x" * 6_000 in line for line in script.log)

    on(bare, act)
    assert sorted(octets for _, octets in bare.boxes[b"INBOX"].values()) == [message(n).data for n in (0, 1, 2, 5)]


def test_many_messages_are_one_command() -> None:
    async def act(side: RemoteSide, script: Script) -> None:
        await side.places()
        before = side.traffic[2]
        assert [one.uid for one in await side.add("INBOX", [message(5)] * 90)] == list(range(1, 91))
        assert side.traffic[2] - before == 1
        assert sum(line.startswith(b"APPEND") for line in script.log) == 1

    on(Choosy(), act)


def test_a_server_with_room_for_one_connection_is_used_with_one() -> None:
    class One(Bare):
        def do_login(self, session: Session, rest: bytes) -> bytes:
            return b"" if session is session.script.sessions[0] else b"NO [ALERT] Too many simultaneous connections."

    bare = One()
    for number in range(100):
        bare.put(b"INBOX", message(number).data)

    async def act(side: RemoteSide, script: Script) -> None:
        changes = await side.changes("INBOX", None)
        count = 0
        async for one in side.fetch("INBOX", list(changes.uids)):
            count += 1
            if count == 10:
                await side.set_flags("INBOX", [FlagChange([one.uid], SEEN, NONE)])  # must not wait for the download
        assert count == 100

    on(bare, act, Settings(connections=3, in_flight=100))


def test_two_downloads_share_one_connection() -> None:
    bare = Bare()
    bare.boxes[b"Other"], bare.validity[b"Other"], bare.next[b"Other"] = {}, 3, 1
    for number in range(100):
        bare.put(b"INBOX", message(number).data)
        bare.put(b"Other", message(1_000 + number).data)

    async def act(side: RemoteSide, script: Script) -> None:
        every = list(range(1, 101))
        inner = 0
        outer = 0
        async for one in side.fetch("INBOX", every):
            outer += 1
            if outer == 5:
                inner = sum([1 async for _ in side.fetch("Other", every)])
            assert one.uid
        assert (outer, inner) == (100, 100)

    on(bare, act, Settings(connections=1, in_flight=100))


def test_a_date_that_is_none_keeps_no_message_back() -> None:
    class Dateless(Bare):
        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            return super().do_uid_fetch(session, rest).replace(b"17-Jul-1996", b"00-Jan-1900")

    bare = Dateless()
    bare.put(b"INBOX", message(1).data)

    async def act(side: RemoteSide, script: Script) -> None:
        assert [one.received for one in (await all_of(side)).values()] == [0]

    on(bare, act)


class Endless(Bare):
    """Begins to answer `verb`, and never ends. line: with the number of the answer."""

    def __init__(self, verb: bytes, line: bytes) -> None:
        super().__init__()
        self.verb = verb
        self.line = line
        self.put(b"INBOX", message(1).data)

    def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
        if not command.startswith(self.verb):
            return super().__call__(session, tag, command)
        self.pouring = asyncio.ensure_future(self._pour(session))
        return b""

    async def _pour(self, session: Session) -> None:
        for start in range(0, 1 << 40, 2_000):
            if session.writer.is_closing() or session.closed.is_set():
                return
            session.writer.write(b"".join([self.line % number for number in range(start, start + 2_000)]))
            try:
                await session.writer.drain()
            except ConnectionError:
                return


@pytest.mark.parametrize(
    ("verb", "line"),
    [
        (b'LIST "" "*"', b'* LIST () "/" "box%d"\r\n'),
        (b"UID FETCH 1:*", b"* 1 FETCH (UID %d FLAGS ())\r\n"),
        (b"UID FETCH 1:*", b"* 1 FETCH (UID 1 FLAGS (k%d))\r\n"),
    ],
)
def test_an_answer_without_an_end_is_not_listened_to_for_ever(
    verb: bytes, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_fetch, "MOST_ROWS", 50_000)
    monkeypatch.setattr(answers_fetch, "MOST_SETS", 5_000)
    monkeypatch.setattr(look, "MOST_MAILBOXES", 5_000)

    async def act(side: RemoteSide, script: Script) -> None:
        with pytest.raises(Lost, match="more"):
            await side.changes("INBOX", None)

    on(Endless(verb, line), act)


def test_a_number_that_is_no_uid_is_a_refusal() -> None:
    class Lying(Bare):
        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            return super().do_uid_fetch(session, rest).replace(b"UID 1 ", b"UID %d " % (1 << 63))

    bare = Lying()
    bare.put(b"INBOX", message(1).data)

    async def act(side: RemoteSide, script: Script) -> None:
        with pytest.raises(Lost, match="no UID"):
            await side.changes("INBOX", None)

    on(bare, act)


class Boxes(Bare):
    """Renames and deletes mailboxes. renames: whether it does; arrives: whether mail came right before."""

    renames = True
    arrives = False

    def do_delete(self, session: Session, rest: bytes) -> bytes:
        if (name := rest.strip(b'"')) not in self.boxes:
            return b"NO [NONEXISTENT] no such mailbox"
        del self.boxes[name]
        return b""

    def do_rename(self, session: Session, rest: bytes) -> bytes:
        old, new = (name.strip(b'"') for name in rest.split(b" "))
        if not self.renames or old not in self.boxes or new in self.boxes:
            return b"NO it cannot be renamed"
        self.boxes[new] = self.boxes.pop(old)
        self.validity[new], self.next[new] = self.validity.pop(old), self.next.pop(old)
        if self.arrives and old == b"Old":
            self.put(new, message(9).data)
        return b""


@pytest.mark.parametrize("renames", [True, False])
@pytest.mark.parametrize("child", [True, False])
def test_an_empty_mailbox_is_deleted_and_one_with_mail_is_not(renames: bool, child: bool) -> None:
    bare = Boxes()
    bare.renames = renames
    for name in (b"Old", b"Old/Child") if child else (b"Old",):
        bare.boxes[name], bare.validity[name], bare.next[name] = {}, 7, 1
    bare.put(b"Old", message(1).data)

    async def act(side: RemoteSide, script: Script) -> None:
        await side.places()
        assert not await side.delete_empty("Old")
        assert list(bare.boxes[b"Old"]) == [1]
        bare.boxes[b"Old"].clear()
        assert await side.delete_empty("Old")
        assert sorted(bare.boxes) == [b"INBOX", *([b"Old/Child"] if child else [])]
        with pytest.raises(MailboxUnavailable):
            await side.delete_empty("Old")

    on(bare, act)


def test_mail_that_arrives_while_a_mailbox_is_deleted_stays() -> None:
    bare = Boxes()
    bare.boxes[b"Old"], bare.validity[b"Old"], bare.next[b"Old"] = {}, 7, 1
    bare.arrives = True

    async def act(side: RemoteSide, script: Script) -> None:
        await side.places()
        assert not await side.delete_empty("Old")
        assert {name: len(box) for name, box in bare.boxes.items()} == {b"INBOX": 0, b"Old": 1}

    on(bare, act)


@pytest.mark.parametrize("mail", [0, 1])
def test_what_a_cut_off_deletion_left_is_no_mailbox_unless_there_is_mail_in_it(mail: int) -> None:
    bare, name = Boxes(), b"Old~restante-removed"
    bare.boxes[name], bare.validity[name], bare.next[name] = {}, 7, 1
    for number in range(mail):
        bare.put(name, message(number).data)

    async def act(side: RemoteSide, script: Script) -> None:
        names = ["INBOX", name.decode()] if mail else ["INBOX"]
        assert [place.name for place in await side.places()] == names
        assert sorted(bare.boxes) == sorted(each.encode() for each in names)

    on(bare, act)


class Closing(Bare):
    """Without UNSELECT. closed: INBOX may no longer be opened."""

    closed = False

    def do_select(self, session: Session, rest: bytes) -> bytes:
        if self.closed and rest.partition(b" (")[0].strip(b'"') == b"INBOX":
            self.selected.pop(session, None)  # RFC 3501 6.3.1: a failure leaves none open
            return b"NO [NOPERM] not now"
        return super().do_select(session, rest)


def test_an_inbox_that_cannot_be_opened_keeps_nobody_from_listing() -> None:
    """It is opened to close another one, of which STATUS may not be asked while it is open."""
    bare = Closing()
    bare.boxes[b"Sent"], bare.validity[b"Sent"], bare.next[b"Sent"] = {}, 7, 1

    async def act(side: RemoteSide, script: Script) -> None:
        await side.places()
        await side.changes("Sent", None)
        bare.closed = True
        bare.put(b"Sent", message(1).data)
        del script.sessions[-1].log[:]
        assert [(place.name, place.messages) for place in await side.places()] == [("INBOX", 0), ("Sent", 1)]
        assert re.match(rb"(SELECT|EXAMINE) INBOX$", script.log[0])
        assert list((await side.changes("Sent", None)).uids) == [1]

    on(bare, act)


def test_a_mailbox_without_a_readable_name_is_told_by_each_run(tmp_path: Path) -> None:
    class Folders(Bare):
        def do_list(self, session: Session, rest: bytes) -> bytes:
            return super().do_list(session, rest) + b'* LIST (\\Noselect) "/" "Folders/"\r\n'

    bare, disk = Folders(), Disk()
    for name in (b"INBOX", b"\xff\xfe", b"Good"):
        bare.boxes[name], bare.validity[name], bare.next[name] = {}, 7, 1

    async def act(side: RemoteSide, script: Script) -> Report:
        state = State(tmp_path / "state")
        try:
            return await run(CopySettings(), side, MemorySide(disk), state, ManualClock())
        finally:
            state.close()

    for _ in range(2):
        (left,) = on(bare, act).left_out
        assert (left.end, "cannot be read" in left.reason) == (End.ONE, True)
    assert sorted(disk.boxes) == ["Good", "INBOX"]
