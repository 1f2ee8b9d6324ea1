"""Filing into, and deleting at, servers of other kinds, by transcript; answers that are none."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.imap.grammar import answers_fetch
from restante.sync.engine import run
from restante.sync.model import FlagChange, Message
from restante.sync.remote import RemoteSide, Settings, look
from restante.sync.remote.errors import Lost
from restante.sync.settings import CopySettings, End, Report
from restante.sync.side import MailboxUnavailable
from restante.sync.state import State

from .memory import Disk, MemorySide
from .remote_script import Bare, Script, Session
from .scripted import NONE, SEEN, all_of, message, on

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


def test_what_a_cut_off_deletion_left_stays_where_nobody_says_whether_there_is_mail_in_it() -> None:
    class Silent(Boxes):
        def do_status(self, session: Session, rest: bytes) -> bytes:
            return b"NO not now" if b"removed" in rest else super().do_status(session, rest)

    bare, name = Silent(), b"Old~restante-removed"
    bare.boxes[name], bare.validity[name], bare.next[name] = {}, 7, 1
    bare.put(name, message(1).data)

    async def act(side: RemoteSide, script: Script) -> None:
        await side.places()
        assert sorted(bare.boxes) == [b"INBOX", name]

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
