"""A server that talks and does nothing is listened to for a bounded time, number of lines, and octets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from restante.sync.model import Added, Message
from restante.sync.remote import RemoteSide, Settings, connection
from restante.sync.remote.errors import Lost

from .remote_script import Bare, Script, Session
from .remote_support import secret
from .scripted import on

STILL = b"* OK Still here\r\n"


class Talker(Bare):
    """Says something over and over before, or instead of, its answer to LIST and UID FETCH. times: None: without end,
    as fast as it is read. pause: seconds between."""

    def __init__(self, line: bytes = STILL, times: int | None = None, pause: float = 0.0, block: int = 1) -> None:
        super().__init__()
        self.line = line * block
        self.times = times
        self.pause = pause
        self.said = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def begin(self, session: Session, then: bytes) -> None:
        async def talk() -> None:
            try:
                while self.times is None or self.said < self.times:
                    session.push(self.line)
                    await session.writer.drain()
                    self.said += 1
                    await asyncio.sleep(self.pause)
                session.push(then)
            except ConnectionError:
                pass

        task = asyncio.ensure_future(talk())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
        if command == b'LIST "" "*"':
            done = super().__call__(session, tag, command)
            assert done is not None
            self.begin(session, done)
            return b""
        if command.startswith(b"UID FETCH"):
            self.begin(session, tag + b" OK done\r\n")
            return b""
        return super().__call__(session, tag, command)


async def places(side: RemoteSide, script: Script) -> int:
    async with asyncio.timeout(20):
        return len(await side.places())


@pytest.mark.parametrize(
    ("bare", "settings", "why"),
    [
        (lambda: Talker(block=500), Settings(connections=1, useless=10_000), "does not do what it was asked"),
        (lambda: Talker(b"* 3 EXISTS\r\n", block=500), Settings(connections=1, useless=10_000), "does not do"),
        (lambda: Talker(pause=0.02), Settings(connections=1, stalled=0.2), "does not do what it was asked"),
        (
            lambda: Talker(b'* LIST () "/" INBOX\r\n', block=500),
            Settings(connections=1, told=1 << 20, stalled=1e9, useless=1 << 60),
            "has no end",
        ),
    ],
    ids=["flood", "flood-of-news", "drip", "answers-without-end"],
)
def test_talk_without_end_is_not_listened_to_for_ever(bare: Callable[[], Bare], settings: Settings, why: str) -> None:
    with pytest.raises(Lost, match=why):
        on(bare(), places, settings)


def test_answers_about_a_message_have_an_end_too_and_it_is_withheld() -> None:
    bare = Talker(b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n", block=500)
    bare.put(b"INBOX", b"Subject: x\r\n\r\nx\r\n")
    settings = Settings(connections=1, told=1 << 20, useless=1 << 60)

    bare.times = 0

    async def act(side: RemoteSide, script: Script) -> None:
        await side.places()
        bare.times = None
        async with asyncio.timeout(20):
            assert await side.outlines("INBOX", [1]) == []
        assert side.unreadable["INBOX", 1].reason == "it ends the connection instead"

    on(bare, act, settings)


def test_a_server_that_works_and_says_so_is_waited_for() -> None:
    bare = Talker(times=40, pause=0.01)
    assert on(bare, places, Settings(connections=1, stalled=5.0)) == 1
    assert bare.said == 40


def test_a_server_that_talks_while_it_takes_what_we_send_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large message on a slow line takes longer than a server may talk: it does what it was asked all the while."""
    monkeypatch.setattr(connection, "_PACE", 512)  # some forty pieces a second, of which one may well come late

    class Taking(Talker):
        __call__ = Bare.__call__

    bare = Taking(pause=0.02)
    large = Message(1, b"Subject: large\r\n\r\n" + b"x\r\n" * 10_000, frozenset(), 1_500_000_000)

    async def act(side: RemoteSide, script: Script) -> list[Added]:
        await side.places()
        bare.begin(script.sessions[0], b"")
        return await side.add("INBOX", [large])

    assert on(bare, act, Settings(connections=1, stalled=0.7, rate=20_000)) == [Added(0)]
    assert len(bare.boxes[b"INBOX"]) == 1
    assert bare.said > 2


def test_useful_answers_begin_the_time_anew() -> None:
    lines = STILL * 30 + b'* LIST () "/" INBOX\r\n'
    bare = Talker(lines, times=5)
    assert on(bare, places, Settings(connections=1, useless=40)) == 1


def test_a_server_that_talks_at_the_end_is_left() -> None:
    class Chatty(Talker):
        def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
            if command == b"LOGOUT":
                self.begin(session, b"")
                return b""
            return Bare.__call__(self, session, tag, command)

    bare = Chatty(pause=0.05)

    async def go() -> float:
        async with asyncio.timeout(30), Script(bare).running() as script:
            side = RemoteSide(script.address(), secret, Settings(connections=1))
            await side.open()
            began = asyncio.get_running_loop().time()
            await side.close()
            return asyncio.get_running_loop().time() - began

    assert asyncio.run(go()) < 15
