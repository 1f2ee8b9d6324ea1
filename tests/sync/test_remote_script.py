"""Servers of other kinds, by transcript: the bare one, the faulty, the busy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.model import FlagChange, Withheld
from restante.sync.remote import RemoteSide, Settings
from restante.sync.remote.errors import Busy, Lost
from restante.sync.settings import CopySettings, End, Report
from restante.sync.side import MailboxUnavailable
from restante.sync.state import State

from .memory import Disk, MemorySide
from .remote_script import Bare, Script, Session
from .scripted import NONE, SEEN, all_of, message, on

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


@pytest.mark.parametrize("nothing", [b"NIL", b'""', b"{0}\r\n"])
def test_a_message_of_which_nothing_comes_is_not_taken_for_an_empty_one(nothing: bytes) -> None:
    """Cyrus and Zimbra say NIL, and OK, of a message whose file is lost: it counted as copied, with nothing in it."""

    class Lossy(Bare):
        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            said = super().do_uid_fetch(session, rest)
            whole = rb"(UID 2 [^\r\n]*BODY\[\](?:<0>)?) \{[0-9]+\}\r\n" + re.escape(lost)
            return re.sub(whole, rb"\1 " + nothing, said)

    bare, lost = Lossy(), message(2).data
    for data in (message(1).data, lost, b"", message(3).data):
        bare.put(b"INBOX", data)

    async def act(side: RemoteSide, script: Script) -> None:
        found = await all_of(side)
        assert {uid: one.data for uid, one in found.items()} == {1: message(1).data, 3: b"", 4: message(3).data}
        why = "it says OK and sends nothing of it" if nothing == b"NIL" else f"of its {len(lost)} octets none is given"
        assert side.unreadable == {("INBOX", 2): Withheld(why)}

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
