"""How mail is brought in, whatever it was read from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.analysts import pool
from restante.exchange.incoming import Incoming, Item, SourceMailbox
from restante.exchange.load import GROUP_MESSAGES, PIECE_ITEMS, import_mail
from restante.store.errors import OverQuota
from restante.store.interface import Store
from restante.store.model import Column, Flags
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
