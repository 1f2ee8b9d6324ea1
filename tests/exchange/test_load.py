"""How mail is brought in, whatever it was read from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from restante.analysts import pool
from restante.exchange.filing import AHEAD_OCTETS, COMMAND_MESSAGES, GROUP_MESSAGES, GROUP_OCTETS
from restante.exchange.incoming import Incoming, Item, SourceMailbox
from restante.exchange.load import PIECE_ITEMS, PIECE_OCTETS, Report, import_mail
from restante.query.language import HasFlag
from restante.store.errors import OverQuota, TooManyKeywords
from restante.store.interface import Store
from restante.store.model import Appended, Column, Flags, ReadyMessage
from restante.store.quota import Quota

from .store import ALL, account


class Given:
    """A source of so many messages in each of its mailboxes. broken: raised after them."""

    def __init__(self, count: int, names: tuple[str, ...] = ("",), broken: Exception | None = None) -> None:
        self.total = 0
        self._count = count
        self._names = names
        self._broken = broken

    def items(self) -> Iterator[Item]:
        for name in self._names:
            yield SourceMailbox(name)
        for number in range(self._count):
            for name in self._names:  # in turn: a group is of one mailbox
                yield Incoming(_octets(name, number), Flags(), 1_000_000_000 + number, name, f"{name}:{number}")
        if self._broken is not None:
            raise self._broken

    def subscriptions(self) -> list[str] | None:
        return None

    def close(self) -> None: ...


def _octets(name: str, number: int) -> bytes:
    return b"Subject: %d of %b\r\n\r\nText\r\n" % (number, name.encode())


async def _held(store: Store, name: str) -> list[bytes]:
    mailbox = await store.mailbox(name)
    assert mailbox is not None
    rows = await store.rows(mailbox.key, ALL, [Column.CONTENT], 10_000)
    return await store.read_contents([int(str(key)) for _, key in rows])


@pytest.mark.parametrize("count", [0, 1, PIECE_ITEMS, GROUP_MESSAGES, GROUP_MESSAGES + 1, 3 * GROUP_MESSAGES + 7])
def test_messages_are_filed_in_their_order(tmp_path: Path, count: int) -> None:
    async def scene() -> None:
        async with account(tmp_path) as store:
            report = await import_mail(Given(count), store)
            assert report.messages == count
            assert await _held(store, "INBOX") == [_octets("", number) for number in range(count)]

    asyncio.run(scene())


def test_processes_analyse_a_large_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MANY", 10)
    monkeypatch.setattr("restante.machine.cores", lambda: 3)

    async def scene() -> None:
        async with account(tmp_path) as store:
            await import_mail(Given(70, ("A", "B")), store)
            for name in ("A", "B"):
                assert await _held(store, name) == [_octets(name, number) for number in range(70)]
                mailbox = await store.mailbox(name)
                assert mailbox is not None
                rows = await store.rows(mailbox.key, ALL, [Column.ENVELOPE], 100)
                for number, (_, envelope) in enumerate(rows):
                    assert isinstance(envelope, bytes)
                    assert b'"%d of %b"' % (number, name.encode()) in envelope

    asyncio.run(scene())


def test_what_a_source_gave_before_it_broke_is_filed(tmp_path: Path) -> None:
    async def scene() -> None:
        async with account(tmp_path) as store:
            with pytest.raises(OSError, match="a bad sector"):
                await import_mail(Given(GROUP_MESSAGES + 23, broken=OSError("a bad sector")), store)
            assert len(await _held(store, "INBOX")) == GROUP_MESSAGES + 23

    asyncio.run(scene())


def test_an_account_that_gets_full_holds_what_fitted(tmp_path: Path) -> None:
    room = 2 * GROUP_MESSAGES + 30

    async def scene() -> None:
        async with account(tmp_path, limits=Quota(messages=room)) as store:
            with pytest.raises(OverQuota):
                await import_mail(Given(3 * GROUP_MESSAGES), store)
            assert await _held(store, "INBOX") == [_octets("", number) for number in range(room)]

    asyncio.run(scene())


class Watched:
    """A store whose appends are counted, and may be held up or refused. bad: a keyword that is one too many."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, bad: str = "") -> None:
        self.sizes: list[int] = []
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        append = store.append_ready

        async def watched(mailbox: int, messages: Sequence[ReadyMessage]) -> Appended:
            self.sizes.append(len(messages))
            self.begun.set()
            await self.go_on.wait()
            if any(bad in message.flags.keywords for message in messages):
                raise TooManyKeywords("There are too many keywords.")
            return await append(mailbox, messages)

        monkeypatch.setattr(store, "append_ready", watched)


def test_one_command_takes_many_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with account(tmp_path) as store:
            watched = Watched(store, monkeypatch)
            await import_mail(Given(2 * COMMAND_MESSAGES + 7), store)
            assert watched.sizes == [COMMAND_MESSAGES, COMMAND_MESSAGES, 7]

    asyncio.run(scene())


def test_octets_that_wait_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the messages are: what was read and is not appended yet."""
    size, read, filed, most = 1 << 20, 0, 0, 0

    class Large(Given):
        def items(self) -> Iterator[Item]:
            nonlocal read, most
            yield SourceMailbox("")
            for number in range(40):
                read += 1
                most = max(most, read - filed)
                yield Incoming(b"Subject: %d\r\n\r\n" % number + bytes(size), Flags(), 1_000_000_000, "", str(number))

    async def scene() -> None:
        nonlocal filed
        async with account(tmp_path) as store:

            def told(octets: int) -> None:
                nonlocal filed
                filed += octets // size

            report = await import_mail(Large(0), store, None, told)
            assert report.messages == 40

    asyncio.run(scene())
    # waiting, gathered, being put together or appended, and read ahead
    assert most <= (AHEAD_OCTETS + 3 * GROUP_OCTETS + PIECE_OCTETS) // size + 2


def test_what_a_store_refuses_of_one_message_hurts_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Keyworded(Given):
        def items(self) -> Iterator[Item]:
            for number, item in enumerate(super().items()):
                if isinstance(item, Incoming) and number == 200:
                    item = replace(item, flags=Flags.of(["\\Seen", "one-too-many"]))
                yield item

    async def scene() -> None:
        async with account(tmp_path) as store:
            watched = Watched(store, monkeypatch, "one-too-many")
            report = await import_mail(Keyworded(300), store)
            assert report.messages == 300
            assert [(each.where, each.lost) for each in report.skipped] == [(":199", False)]
            assert await _held(store, "INBOX") == [_octets("", number) for number in range(300)]
            assert len(watched.sizes) < 25, "halves, not one by one"
            inbox = await store.mailbox("INBOX")
            assert inbox is not None
            assert list(await store.search(inbox.key, HasFlag("\\Seen"), ALL)) == [200], "it keeps its system flags"

    asyncio.run(scene())


def test_an_import_that_is_given_up_has_counted_what_came_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with account(tmp_path) as store:
            watched, report = Watched(store, monkeypatch), Report()
            watched.go_on.clear()
            importing = asyncio.create_task(import_mail(Given(3 * COMMAND_MESSAGES), store, report=report))
            async with asyncio.timeout(60):
                await watched.begun.wait()
                importing.cancel()
                await asyncio.sleep(0)
                watched.go_on.set()
                with pytest.raises(asyncio.CancelledError):
                    await importing
            assert len(await _held(store, "INBOX")) == report.messages > 0

    asyncio.run(scene())
