"""A migration between two model sides that is run again and again, and the account that it moves."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from restante.clock import ManualClock
from restante.sync.migrate.ledger.book import Book
from restante.sync.migrate.model import Observer, Report, Wishes
from restante.sync.migrate.run import Migration
from restante.sync.migrate.verify import Of, Verification, verify
from restante.sync.model import Flags
from restante.sync.side import Side

from .memory import ALL, BARE, Disk, MemorySide, Steps

SEEN: Flags = frozenset({"\\Seen"})
FORWARDED: Flags = frozenset({"\\Seen", "$Forwarded"})
NONE: Flags = frozenset()
PLAIN = Wishes()
NO_EMAILS = replace(ALL, emails=False)


def text(number: int, body: str = "text") -> bytes:
    return (
        f"From: a@move.example\r\nSubject: number {number}\r\nMessage-ID: <{number}@move.example>\r\n\r\n{body}\r\n"
    ).encode()


def house() -> Disk:
    """An account with what makes moving hard: a special use, a tree, equal messages, empty ones, keywords."""
    disk = Disk("a-very-long-prefix-")
    disk.create("Gesendet", "\\Sent").subscribed = True
    disk.create("Work/2026/July").subscribed = True
    disk.create("Empty")
    disk.boxes["INBOX"].subscribed = True
    for number in range(7):
        disk.deliver("INBOX", text(number), (NONE, SEEN, FORWARDED)[number % 3], 1_700_000_000 + number)
    disk.deliver("INBOX", text(3), SEEN, 1_700_000_100)  # the same octets again
    disk.deliver("INBOX", b"\r\n", NONE, 1_700_000_200)
    disk.deliver("INBOX", text(5, "other"), NONE, 1_700_000_005)  # the same header, another body of the same size
    for number in range(20, 24):
        disk.deliver("Work/2026/July", text(number), SEEN, 1_600_000_000 + number)
    disk.deliver("Gesendet", text(30), SEEN, 1_600_000_000)
    return disk


def contents(disk: Disk, name: str) -> Counter[tuple[bytes, Flags, int]]:
    return Counter((each.data, each.flags, each.received) for each in disk.boxes[name].messages.values())


def everything(disk: Disk) -> dict[str, Counter[tuple[bytes, Flags, int]]]:
    return {name: contents(disk, name) for name, box in disk.boxes.items() if box.selectable}


class Silent:
    """An observer that says nothing."""

    def begin(self, title: str, messages: int) -> None: ...

    def expect(self, messages: int) -> None: ...

    def advance(self, messages: int, octets: int) -> None: ...


class Move:
    """A migration that can be run again and again, from one disk to another."""

    def __init__(self, folder: Path, source: Disk, target: Disk) -> None:
        self.state = folder / "state.db"
        self.proof = folder / "proof.jsonl"
        self.source, self.target = source, target
        self.abilities = (ALL, ALL)
        self.steps: Steps | None = None
        self.observer: Observer = Silent()
        self.sides: tuple[MemorySide, MemorySide] = self.make()

    def make(self) -> tuple[MemorySide, MemorySide]:
        one, two = self.abilities
        self.sides = (
            MemorySide(self.source, one, self.steps, title="source"),
            MemorySide(self.target, two, self.steps, title="target"),
        )
        return self.sides

    def run(
        self,
        wishes: Wishes = PLAIN,
        *,
        refuses: Any = None,
        wrap: Any = None,
        uidls: Any = None,
    ) -> Report:
        one, two = self.make()
        two.refuses = refuses
        target: Side = wrap(two) if wrap is not None else two

        async def work() -> Report:
            await one.open()
            await two.open()
            book = Book(self.state, "one", "two", keep=not wishes.dry_run)
            try:
                move = Migration(one, target, book, wishes, ManualClock(), self.observer, self.proof, uidls)
                return await move.run()
            finally:
                book.close()
                await one.close()
                await two.close()

        return asyncio.run(work())

    def verify(self, of: Of = Of.TARGET) -> Verification:
        side = self.make()[1 if of is Of.TARGET else 0]

        async def work() -> Verification:
            await side.open()
            try:
                return await verify(self.proof, side, of, self.observer)
            finally:
                await side.close()

        return asyncio.run(work())

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.proof.read_text("utf-8").splitlines()]


def total(report: Report, what: str) -> int:
    return sum(getattr(each, what) for each in report.mailboxes)


PAIRS = [
    pytest.param(ALL, ALL, id="both-can-all"),
    pytest.param(ALL, replace(BARE, keywords=True, roles=True), id="to-a-bare-server"),
    pytest.param(BARE, ALL, id="from-a-bare-server"),
    pytest.param(replace(ALL, sizes=False, emails=False), NO_EMAILS, id="source-without-sizes"),
    pytest.param(NO_EMAILS, replace(BARE, keywords=True, roles=True, sizes=False), id="bare-and-without-sizes"),
]
