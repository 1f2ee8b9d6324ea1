"""The mailboxes that bench/growth.py measures: as large as asked for, made without holding them in memory.

Messages are small (0.9 kB) and differ as mail does where commands look: senders, dates somewhat out of order, subjects,
replies with references, texts of 1,000 lines of a vocabulary of 5,000 words. Message i holds `zqx{i}needle` where
i % 1000 == 7, and `commonword` where i % 10 == 3, as the corpus of bench/compare.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from restante.accounts.admin import Admin
from restante.clock import SystemClock, system_random
from restante.config.model import Config
from restante.mime.analyse import analyse
from restante.server.engine import open_engine
from restante.store.model import Flags, NewMessage

DOMAIN = "growth.example"
NEEDLE = "zqx7needle"
COMMON = "commonword"
AT_ONCE = 500
_BEGIN = 1_600_000_000
_PEOPLE = ("ann", "bob", "carla", "dmitri", "emeka", "fatima", "giulia", "hiro", "ines", "jonas")


def _lines() -> list[str]:
    chance = random.Random(7)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(chance.choices(letters, range(26, 0, -1), k=chance.randint(2, 11))) for _ in range(5_000)]
    return [" ".join(chance.choices(words, k=11)) for _ in range(1_000)]


_LINES = _lines()


def message(number: int) -> bytes:
    """Message `number` of any mailbox: the same for the same number."""
    sender, reader = _PEOPLE[number % 10], _PEOPLE[number * 7 // 10 % 10]
    sent = _BEGIN + (number + number * 7919 % 5_000) * 60  # nearly in the order of arrival, as mail is
    head = f"From: {sender.title()} <{sender}@growth.example>\r\nTo: {reader}@growth.example\r\n"
    if number % 3 == 1:  # a reply; the thread begins at a multiple of three
        head += f"Subject: Re: number {number - 1}\r\nIn-Reply-To: <{number - 1}@growth.example>\r\n"
        head += f"References: <{number - 1}@growth.example>\r\n"
    else:
        head += f"Subject: number {number}\r\n"
    head += f"Date: {formatdate(sent)}\r\nMessage-ID: <{number}@growth.example>\r\n\r\n"
    first = number * 6007
    text = [_LINES[(first + line * line * 31) % 1_000] for line in range(8)]
    if number % 1_000 == 7:
        text.append(f"zqx{number}needle")
    if number % 10 == 3:
        text.append(COMMON)
    return (head + "\r\n".join(text) + "\r\n").encode()


@dataclass(frozen=True, slots=True)
class Made:
    """What making a mailbox took, in seconds, and octets on disk."""

    address: str
    password: str
    append: float
    index: float
    file: int
    index_file: int


async def make(data: Path, address: str, count: int, tell: Callable[[str], None]) -> Made:
    """An account of one full mailbox and a mailbox Copies, its search index filled. Cost: 0.2 ms a message and as much
    for the index; memory does not grow with the count."""
    config = Config()
    engine = open_engine(config, data, SystemClock(), system_random)
    admin = Admin(engine, config, SystemClock(), system_random)
    await admin.add_domain(DOMAIN)
    await admin.add_account(address, mailboxes=False)
    _, password = await admin.add_app_password(address, "bench")
    account = await engine.directory.account(address)
    assert account is not None
    store = engine.account(account.id)
    inbox = await store.mailbox("INBOX")
    assert inbox is not None
    await store.create_mailbox("Copies")
    start = time.monotonic()
    for first in range(0, count, AT_ONCE):
        octets = [message(number) for number in range(first, min(first + AT_ONCE, count))]
        new = [NewMessage(await store.put(one), analyse(one), Flags(), _BEGIN) for one in octets]
        await store.append(inbox.key, new)
        if first % 100_000 == 0 and first:
            tell(f"{first:,} messages of {count:,} in {time.monotonic() - start:.0f} s")
    appended = time.monotonic()
    while await store.fill_search():
        pass
    filled = time.monotonic()
    await engine.close()
    sizes = _sizes(data, account.id)
    tell(f"{count:,} messages in {appended - start:.0f} s, indexed in {filled - appended:.0f} s")
    return Made(address, password, appended - start, filled - appended, sizes.get(".db", 0), sizes.get(".index", 0))


def _sizes(data: Path, account: str) -> dict[str, int]:
    """Octets of an account's files by suffix."""
    return {path.suffix: path.stat().st_size for path in data.glob(f"accounts/*/{account}*")}
