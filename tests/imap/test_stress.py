"""64 sessions on one mailbox, random commands: no view is ever broken.

Every session is a client that knows only what it was told. Each response must be explainable: sequence numbers
within what EXISTS and EXPUNGE left, a number's UID the same until it is expunged, UIDs ascending, MODSEQ of a
message never falling, its octets never others. At the end all sessions see the same, flags included.
RFC 9051 7.4, 7.5; RFC 7162 3; RFC 2180. RESTANTE_COMMANDS makes it longer.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from pathlib import Path

import pytest

from restante.testing.server import RestanteServer

COMMANDS = int(os.environ.get("RESTANTE_COMMANDS", "20000"))
SESSIONS = 64
SEED = int(os.environ.get("RESTANTE_SEED", "1"))
USER, PASSWORD = "ann@stress.example", "secret"
FULL = 120
"""Messages above which more is removed than filed."""

NUMBERED = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE|RECENT|FETCH)")
VANISHED = re.compile(rb"\* VANISHED (\(EARLIER\) )?([\d:,]+)\r\n")
UID, MODSEQ = re.compile(rb"\bUID (\d+)"), re.compile(rb"\bMODSEQ \((\d+)\)")
FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
SUBJECT = re.compile(rb"Subject: (\w+)")
SEARCH = re.compile(rb"\* SEARCH((?: \d+)*)")

BY_NUMBER = ("FETCH", "STORE", "SEARCH")
"""Commands during which no message may be expunged (RFC 9051 7.5.1)."""


class Common:
    """What all sessions agree on."""

    def __init__(self) -> None:
        self.tokens: dict[int, bytes] = {}
        self.filed = 0
        self.done = 0


class Message:
    """What a session has been told of one message."""

    __slots__ = ("flags", "modseq", "uid")

    def __init__(self) -> None:
        self.uid = 0
        self.modseq = 0
        self.flags: frozenset[bytes] | None = None


class Session:
    """One client and its picture of the mailbox."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, common: Common, *, qresync: bool
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.common = common
        self.qresync = qresync
        self.messages: list[Message] = []
        self.gone: set[int] = set()
        self.number = 0

    async def do(self, command: bytes, *, silent: tuple[int, int] | None = None) -> bytes:
        """Send a command; its tagged line. All before it is checked against the picture.

        silent: positions whose flags this command changes without being told.
        """
        self.number += 1
        tag = b"t%d" % self.number
        name = command.split(b" ")[0].decode()
        if silent is not None:
            for message in self.messages[silent[0] : silent[1]]:
                message.flags = None
        self.writer.write(tag + b" " + command + b"\r\n")
        while True:
            line = await self._response()
            if line.startswith(tag + b" "):
                assert not line.startswith(tag + b" BAD"), (command, line)
                if silent is not None:
                    for message in self.messages[silent[0] : silent[1]]:
                        message.flags = None
                return line
            if not line.startswith(b"+"):
                self._told(name, line)

    async def _response(self) -> bytes:
        """One line with its literals."""
        line = await self.reader.readuntil(b"\r\n")
        while line.endswith(b"}\r\n"):
            line += await self.reader.readexactly(int(line[line.rindex(b"{") + 1 : -3]))
            line += await self.reader.readuntil(b"\r\n")
        return line

    def _told(self, name: str, line: bytes) -> None:
        assert not line.startswith(b"* BYE"), line
        if found := NUMBERED.match(line):
            number, kind = int(found[1]), found[2]
            if kind == b"EXISTS":
                assert number >= len(self.messages), f"EXISTS {number} of {len(self.messages)}"
                self.messages += [Message() for _ in range(number - len(self.messages))]
            elif kind == b"EXPUNGE":
                assert name not in BY_NUMBER, f"EXPUNGE during {name}"
                assert not self.qresync, "EXPUNGE after QRESYNC was enabled"
                assert 1 <= number <= len(self.messages), f"EXPUNGE {number} of {len(self.messages)}"
                self.gone.add(self.messages.pop(number - 1).uid)
            elif kind == b"FETCH":
                assert 1 <= number <= len(self.messages), f"FETCH {number} of {len(self.messages)}"
                self._fetched(number - 1, line)
        elif found := VANISHED.match(line):
            assert self.qresync
            assert not found[1], "EARLIER was not asked for"
            assert name not in BY_NUMBER, f"VANISHED during {name}"
            for uid in uids(found[2]):
                self._vanished(uid)
        elif found := SEARCH.match(line):
            numbers = {int(n) for n in found[1].split()}
            known = {m.uid for m in self.messages} if name == "UID" else set(range(1, len(self.messages) + 1))
            assert numbers <= known, line

    def _vanished(self, uid: int) -> None:
        """Take out the message of this UID; or one of those whose UIDs were never told, where it can be among them."""
        assert uid not in self.gone, f"{uid} vanished twice"
        self.gone.add(uid)
        places = [i for i, message in enumerate(self.messages) if message.uid == uid]
        if not places:
            below = max((i for i, m in enumerate(self.messages) if 0 < m.uid < uid), default=-1)
            above = min((i for i, m in enumerate(self.messages) if m.uid > uid), default=len(self.messages))
            places = list(range(below + 1, above))
            assert places, f"VANISHED {uid}, which was never there"
            for i in places:  # which of them it was cannot be told: what was said of them by number is void
                self.messages[i] = Message()
        del self.messages[places[0]]

    def _fetched(self, place: int, line: bytes) -> None:
        message = self.messages[place]
        if told := UID.search(line):
            uid = int(told[1])
            assert message.uid in (0, uid), f"{place + 1} was UID {message.uid}, is {uid}"
            assert uid not in self.gone, f"UID {uid} came back"
            if not message.uid:
                message.uid = uid
                before = [m.uid for m in self.messages[:place] if m.uid]
                behind = [m.uid for m in self.messages[place + 1 :] if m.uid]
                assert not before or before[-1] < uid
                assert not behind or uid < behind[0]
        if told := MODSEQ.search(line):
            assert int(told[1]) >= message.modseq, f"MODSEQ of {message.uid} fell from {message.modseq} to {told[1]!r}"
            message.modseq = int(told[1])
        if told := FLAGS.search(line):
            message.flags = frozenset(told[1].split()) - {b"\\Recent"}
        if (told := SUBJECT.search(line)) and message.uid:
            assert self.common.tokens.setdefault(message.uid, told[1]) == told[1], f"UID {message.uid} is another"

    async def learn(self) -> None:
        """Ask for the UIDs of newcomers, as clients do: VANISHED speaks of UIDs. More may come with the answer."""
        while unknown := [n for n, message in enumerate(self.messages, 1) if not message.uid]:
            await self.do(b"FETCH %d:%d (UID FLAGS)" % (unknown[0], unknown[-1]))


def uids(text: bytes) -> list[int]:
    found: list[int] = []
    for item in text.split(b","):
        low, _, high = item.partition(b":")
        found += range(int(low), int(high or low) + 1)
    return found


FETCHES = (
    b"FETCH %d:%d (FLAGS)",
    b"FETCH %d:%d (UID FLAGS MODSEQ)",
    b"FETCH %d:%d (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])",
    b"FETCH %d:%d (UID ENVELOPE RFC822.SIZE)",
    b"STORE %d:%d +FLAGS (\\Flagged)",
    b"STORE %d:%d -FLAGS (\\Flagged $Work)",
    b"STORE %d:%d FLAGS (\\Answered $Work)",
    b"COPY %d:%d Other",
    b"SEARCH %d:%d UNDELETED",
)
SILENT = (
    b"STORE %d:%d +FLAGS.SILENT (\\Seen)",
    b"STORE %d:%d -FLAGS.SILENT (\\Seen \\Answered)",
)
PLAIN = (b"NOOP", b"SEARCH ALL", b"SEARCH UNSEEN", b"STATUS Other (MESSAGES UIDNEXT)", b"IDLE\r\nDONE", b"CHECK")
UID_ACTS = (
    b"UID FETCH %d:%d (FLAGS)",
    b"UID STORE %d:%d +FLAGS ($Later)",
    b"UID SEARCH UID %d:%d",
    b"UID FETCH %d:%d (UID BODY.PEEK[TEXT])",
)


async def step(session: Session, chance: random.Random) -> None:
    """One random command, and the question after newcomers."""
    count, common = len(session.messages), session.common
    common.done += 1
    low = chance.randint(1, count) if count else 0
    high = min(count, low + chance.choice((0, 0, 1, 3, 10)))
    dice = chance.random()
    if not count or dice < (0.10 if count < FULL else 0.03):
        common.filed += 1
        text = b"Subject: token%d\r\n\r\nbody\r\n" % common.filed
        if dice < 0.08:
            await session.do(b"APPEND INBOX {%d+}\r\n%b" % (len(text), text))
        else:
            await session.do(b"COPY %d INBOX" % low if count else b"NOOP")
    elif dice < 0.45:
        await session.do(chance.choice(FETCHES) % (low, high))
    elif dice < 0.53:
        await session.do(chance.choice(SILENT) % (low, high), silent=(low - 1, high))
    elif dice < 0.68:
        await session.do(chance.choice(PLAIN))
    elif dice < 0.83:
        first, last = session.messages[low - 1].uid, session.messages[high - 1].uid
        await session.do(chance.choice(UID_ACTS) % (first, last))
    elif dice < 0.92:
        await session.do(b"STORE %d +FLAGS (\\Deleted)" % low)
    elif dice < 0.96:
        await session.do(b"EXPUNGE")
    elif dice < 0.98:
        await session.do(b"UID EXPUNGE %d" % session.messages[low - 1].uid)
    else:
        await session.do(b"MOVE %d Other" % low)
    await session.learn()


async def play(server: RestanteServer) -> Common:
    common, chance = Common(), random.Random(SEED)
    sessions: list[Session] = []
    for number in range(SESSIONS):
        reader, writer = await asyncio.open_connection(server.host, server.imap, limit=1 << 22)
        await reader.readuntil(b"\r\n")
        session = Session(reader, writer, common, qresync=number % 2 == 1)
        await session.do(b"LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))
        if session.qresync:
            await session.do(b"ENABLE QRESYNC")
        await session.do(b"SELECT INBOX (CONDSTORE)" if number % 4 < 2 else b"SELECT INBOX")
        await session.learn()
        sessions.append(session)

    async def work(session: Session, mine: random.Random) -> None:
        while common.done < COMMANDS:
            await step(session, mine)

    async with asyncio.TaskGroup() as group:
        for session in sessions:
            group.create_task(work(session, random.Random(chance.randrange(1 << 30))))
    pictures = []
    for session in sessions:
        await session.do(b"NOOP")
        await session.learn()
        told = [(message.uid, message.flags) for message in session.messages]
        await session.do(b"FETCH 1:* (UID FLAGS)")
        now = [(message.uid, message.flags) for message in session.messages]
        for (uid, before), (_, flags) in zip(told, now, strict=True):
            assert before in (None, flags), f"a session believed {before} of UID {uid}, which has {flags}"
        pictures.append(now)
    assert all(picture == pictures[0] for picture in pictures)
    for session in sessions:
        session.writer.write(b"z LOGOUT\r\n")
        await session.reader.read()
        session.writer.close()
    return common


@pytest.mark.slow
def test_no_view_is_broken_among_64_sessions(tmp_path: Path) -> None:
    with RestanteServer(tmp_path / "data") as server:
        server.add_account(USER, PASSWORD)
        server.put(USER, b"Subject: first\r\n\r\n", "Other")
        for n in range(60):
            server.put(USER, b"Subject: begin%d\r\n\r\nbody\r\n" % n)
        began = time.monotonic()
        common = asyncio.run(play(server))
        took = time.monotonic() - began
        assert common.done >= COMMANDS
        assert took < 300 * max(1, COMMANDS / 20_000), f"{took:.0f} s"
        seen = {mail.uid: mail.data for mail in server.mail(USER)}
        for uid, data in seen.items():
            if uid in common.tokens:
                assert b"Subject: %b\r\n" % common.tokens[uid] in data
