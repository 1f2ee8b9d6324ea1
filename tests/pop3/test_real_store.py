"""POP3 and delivery on the embedded engine: sizes, identities and octets as a client sees them."""

from __future__ import annotations

import asyncio
import mailbox
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.config.model import AccountsTable, DeliveryTable, LimitsTable, Pop3Table
from restante.delivery import StoreDelivery, Trace
from restante.mime.normalise import normalise_line_ends
from restante.pop3.session import Pop3Session
from restante.store.directory import Account, AccountSettings, Domain
from restante.store.model import INBOX
from restante.store.sqlite.engine import SqliteEngine
from restante.testing.memory import MemoryConnection
from tests.delivery.fakes import FakeEngine

from .harness import LOGIN, USER, FakeAuthenticator, answers, unstuffed
from .test_session import multi

ROOT = Path(__file__).parents[2]
REAL_MAIL = ROOT.parent / "shared" / "mail"
TRACE = Trace("mta.example", "192.0.2.1", "LMTP", "c1", "mx.example.org")


class House:
    """An embedded engine with one account, delivery in front of it and POP3 behind."""

    def __init__(self, data: Path, config: DeliveryTable | None = None) -> None:
        self.clock = ManualClock()
        self.engine = SqliteEngine(data, self.clock, os.urandom, reserve=0)
        self.delivery = StoreDelivery(self.engine, config or DeliveryTable(), AccountsTable(), clock=self.clock)
        self.account = Account("a1", USER.decode(), "example.org", True, None, AccountSettings(), False, 0, 1)
        names = FakeEngine()
        names.directory.known[USER.decode()] = self.account
        self.authenticator = FakeAuthenticator(names)

    async def open(self) -> None:
        await self.engine.directory.add_domain(Domain("example.org"))
        await self.engine.directory.add_account(self.account)
        await self.engine.create_account("a1")

    async def take(self, data: bytes) -> None:
        targets = await self.delivery.resolve(USER.decode(), len(data))
        assert await self.delivery.deliver("chris@bar.com", [(USER.decode(), targets)], data, TRACE) == [None]

    async def talk(self, script: bytes, config: Pop3Table | None = None) -> bytes:
        connection = MemoryConnection()
        connection.feed(script)
        connection.feed_eof()
        session = Pop3Session(
            connection, self.engine, self.authenticator, config or Pop3Table(), LimitsTable(), clock=self.clock
        )
        await session.run()
        return connection.take().split(b"\r\n", 1)[1]  # without the greeting


def play(data: Path, work: Callable[[House], Awaitable[None]], config: DeliveryTable | None = None) -> None:
    async def run() -> None:
        house = House(data, config)
        await house.open()
        try:
            await work(house)
        finally:
            await house.engine.close()

    asyncio.run(run())


ODD = [
    b"Subject: plain\r\n\r\nbody\r\n",
    b"Subject: no end\r\n\r\nbody",
    b"Subject: bare\r\n\r\n.\n.a\r\n..\r\nx\ry\r\n.",
    b"Subject: nul\r\n\r\n\0\0\r\n",
    "Subject: Grüße, und weit mehr als das\r\nTo: Jürgen <j@b.example>\r\n\r\nTschüß\r\n".encode(),
    "Subject: Grüße ohne Ende\r\n\r\nTschüß".encode(),
    "Subject: no body, Grüße".encode(),
    b"A: b\n\nall bare LF\n",
    b"",
    b"Subject: large\r\n\r\n" + b".\r\nline\r\n" * 200_000,
]


def test_every_message_is_listed_with_what_retr_sends(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for data in ODD:
            await house.take(data)
        for utf8 in (b"", b"UTF8\r\n"):
            script = utf8 + LOGIN + b"LIST\r\n" + b"".join(b"RETR %d\r\n" % n for n in range(1, len(ODD) + 1))
            talk = (await house.talk(script)).split(b"\r\n", 3 if utf8 else 2)[-1]
            _, listed, talk = multi(talk)
            for n, data in enumerate(ODD, 1):
                first, sent, talk = multi(talk)
                sent = unstuffed(sent)
                assert answers(listed)[n - 1] == b"%d %d" % (n, len(sent)), data[:40]
                assert first == b"+OK %d octets" % len(sent)
                if utf8 or data.isascii():
                    came = normalise_line_ends(data)
                    assert sent.endswith(came if came.endswith(b"\r\n") else came + b"\r\n")

    play(tmp_path, work)


def test_retr_goes_on_after_imap_has_expunged(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        for data in ODD[:2]:
            await house.take(data)
        connection = MemoryConnection()
        session = Pop3Session(
            connection, house.engine, house.authenticator, Pop3Table(), LimitsTable(), clock=house.clock
        )
        task = asyncio.create_task(session.run())
        connection.feed(LOGIN + b"NOOP\r\n")
        while b"messages" not in connection.written:
            connection.changed.clear()
            await asyncio.wait_for(connection.changed.wait(), 10)
        connection.take()
        store = house.engine.account("a1")
        inbox = await store.mailbox(INBOX)
        assert inbox is not None
        await store.expunge(inbox.key, None, deleted_only=False)
        connection.feed(b"RETR 1\r\nDELE 2\r\nQUIT\r\n")
        await asyncio.wait_for(task, 10)
        assert ODD[0] in connection.written
        assert connection.written.endswith(b"+OK Bye.\r\n")

    play(tmp_path, work)


def test_uidl_stays_over_a_move_out_and_back_and_quit_shows_in_the_mailbox(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.take(ODD[0])
        await house.take(ODD[1])
        before = answers(await house.talk(LOGIN + b"UIDL 1\r\n"))[-1].split()[-1]
        store = house.engine.account("a1")
        inbox, away = await store.mailbox(INBOX), await store.create_mailbox("Away")
        assert inbox is not None
        await store.move(inbox.key, ((1, 1),), away.key)
        assert len((await store.snapshot(away.key)).uids) == 1
        await store.move(away.key, ((1, 1),), inbox.key)
        listed = answers(await house.talk(LOGIN + b"UIDL\r\n"))
        assert before in [line.split()[-1] for line in listed]
        await house.talk(LOGIN + b"RETR 2\r\nDELE 1\r\nQUIT\r\n")
        now = (await store.snapshot(inbox.key)).mailbox
        assert (now.messages, now.unseen) == (1, 0)
        assert len(await store.recoverable()) >= 1

    play(tmp_path, work)


def test_hidden_from_pop3_alone(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.take(ODD[0])
        await house.talk(LOGIN + b"DELE 1\r\nQUIT\r\n", Pop3Table(delete="keep"))
        assert b"+OK 0 0\r\n" in await house.talk(LOGIN + b"STAT\r\n")
        inbox = await house.engine.account("a1").mailbox(INBOX)
        assert inbox is not None
        assert inbox.messages == 1

    play(tmp_path, work)


def test_leave_days(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        config = Pop3Table(leave_days=2)
        await house.take(ODD[0])
        await house.take(ODD[1])
        await house.talk(LOGIN + b"RETR 1\r\nQUIT\r\n", config)
        house.clock.advance(2 * 86_400 + 1)
        assert answers(await house.talk(LOGIN + b"LIST\r\n", config))[-2:] == [b"1 %d" % await size(house), b"."]
        trash = await house.engine.account("a1").mailbox("Trash")
        assert trash is not None
        assert trash.messages == 1

    async def size(house: House) -> int:
        return int(answers(await house.talk(LOGIN + b"STAT\r\n"))[-1].split()[-1])

    play(tmp_path, work)


def test_second_session_gets_in_use(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        async with house.engine.account("a1").lock_maildrop():
            assert answers(await house.talk(LOGIN))[-1].startswith(b"-ERR [IN-USE]")
        assert answers(await house.talk(LOGIN))[-1].startswith(b"+OK 0 messages")

    play(tmp_path, work)


def test_redelivery_is_suppressed_when_configured(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.take(ODD[0])
        await house.take(ODD[0])
        assert b"+OK 1 " in await house.talk(LOGIN + b"STAT\r\n")
        assert len(await house.engine.directory.duplicates()) == 1

    play(tmp_path, work, DeliveryTable(suppress_duplicates=3600))


def real_messages() -> list[bytes]:
    found: list[bytes] = []
    for path in sorted(REAL_MAIL.rglob("*")):
        if path.suffix == ".eml":
            found.append(path.read_bytes())
        elif path.suffix == ".mbox":
            box = mailbox.mbox(path, create=False)
            found += [box.get_bytes(key) for key in box.keys()]  # noqa: SIM118 - a mailbox iterates over messages
    return found


@pytest.mark.skipif(not REAL_MAIL.is_dir(), reason="../shared/mail is not there")
def test_real_mail_comes_back_whole(tmp_path: Path) -> None:
    messages = real_messages()
    assert messages

    async def work(house: House) -> None:
        for data in messages:
            await house.take(data)
        script = b"UTF8\r\n" + LOGIN + b"".join(b"RETR %d\r\n" % n for n in range(1, len(messages) + 1))
        talk = (await house.talk(script)).split(b"\r\n", 3)[-1]
        for data in messages:
            first, sent, talk = multi(talk)
            sent = unstuffed(sent)
            came = normalise_line_ends(data)
            assert first == b"+OK %d octets" % len(sent)
            assert sent.endswith(came if came.endswith(b"\r\n") else came + b"\r\n")
        plain = LOGIN + b"LIST\r\n" + b"".join(b"RETR %d\r\n" % n for n in range(1, len(messages) + 1))
        _, listed, talk = multi((await house.talk(plain)).split(b"\r\n", 2)[-1])
        for n in range(1, len(messages) + 1):
            _, sent, talk = multi(talk)
            assert answers(listed)[n - 1] == b"%d %d" % (n, len(unstuffed(sent)))

    play(tmp_path, work)
