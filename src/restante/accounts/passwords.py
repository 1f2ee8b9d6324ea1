"""Password hashes: Argon2id (RFC 9106) as PHC strings, app passwords, and who may compute when.

Owns: the form of `Credential.hash`, what a check costs, and the queue for it. One thread a process computes
(there is one process a core), so a storm of logins never takes more than the cores; what waits is bounded, more
is told to come back, and those who wait take turns by networks (`turns`). Must not know: accounts, names, delays.

An app password has 128 random bits, which no guesser exhausts, so its plain SHA-256 is kept: checking it is cheap.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from ..clock import Random
from ..config.model import AuthTable
from ..lanes import ONE
from .imported_hashes import is_imported, verify_imported
from .turns import Turns

T = TypeVar("T")

LANES = 1
SALT_OCTETS = 16
TAG_OCTETS = 32

APP_LETTERS = 28
"""Letters of an app password: 26**28 is just above 2**128."""
APP_GROUP = 4
_APP_PREFIX = "$sha256$"

_PHC = re.compile(r"\$argon2id\$v=19\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,3})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")


def hash_password(password: bytes, table: AuthTable, random: Random) -> str:
    """A PHC string of a prepared password. Costs tens of milliseconds: for a thread, not for the event loop."""
    return _argon2(table, random(SALT_OCTETS)).derive_phc_encoded(password)


def _argon2(table: AuthTable, salt: bytes) -> Argon2id:
    memory = max(table.argon2_memory >> 10, 8 * LANES)
    return Argon2id(salt=salt, length=TAG_OCTETS, iterations=table.argon2_time, lanes=LANES, memory_cost=memory)


def verify_password(password: bytes, hash: str) -> bool:
    """Whether a prepared password is the one hashed (Argon2id, or a form of `imported_hashes`). Costly likewise."""
    if is_imported(hash):
        return verify_imported(password, hash)
    try:
        found = _PHC.match(hash)
        alone: AbstractContextManager[object] = ONE if found is None or int(found[3]) > LANES else nullcontext()
        with alone:
            Argon2id.verify_phc_encoded(password, hash)
    except (InvalidKey, ValueError):
        return False
    return True


def is_outdated(hash: str, table: AuthTable) -> bool:
    """Whether the hash is cheaper to guess at than what is configured now (a form of another system always is)."""
    found = _PHC.fullmatch(hash)
    if found is None:
        return True
    return int(found[1]) < max(table.argon2_memory >> 10, 8 * LANES) or int(found[2]) < table.argon2_time


def new_app_password(random: Random) -> str:
    """128 random bits as seven groups of four letters ("abcd-efgh-...")."""
    rest, letters = int.from_bytes(random(16)), []
    for _ in range(APP_LETTERS):
        rest, digit = divmod(rest, 26)
        letters.append(chr(ord("a") + digit))
    text = "".join(letters)
    return "-".join(text[i : i + APP_GROUP] for i in range(0, APP_LETTERS, APP_GROUP))


def hash_app_password(secret: str) -> str:
    """What is kept of an app password: "$sha256$" and the digest of its letters."""
    return _APP_PREFIX + hashlib.sha256(_letters(secret.encode("utf-8"))).hexdigest()


def is_app_password(password: bytes, hash: str) -> bool:
    """Whether `password` is the app password kept as `hash`. Groups may be typed apart, together, in any case."""
    digest = _APP_PREFIX + hashlib.sha256(_letters(password)).hexdigest()
    return hmac.compare_digest(digest.encode("ascii"), hash.encode("utf-8"))


def _letters(password: bytes) -> bytes:
    return password.translate(None, b"- ").lower()


class PasswordChecker:
    """The process's one place for costly computations.

    computations: how many Argon2id runs there were; the tests of equal time count them.
    """

    def __init__(self, table: AuthTable, random: Random) -> None:
        self._table = table
        self._random = random
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")
        self._turns = Turns(table.queue)
        self.computations = 0

    async def verify(self, password: bytes, hash: str, network: str) -> bool:
        """network: of the peer that asks (see `turns`). Raises LoginUnavailable when the queue is full."""
        return await self._run(lambda: verify_password(password, hash), network)

    async def hash(self, password: bytes, network: str) -> str:
        """A new hash at the configured cost. Raises LoginUnavailable."""
        return await self._run(lambda: hash_password(password, self._table, self._random), network)

    async def pretend(self, password: bytes, network: str) -> None:
        """Take as long as a check takes, in the same queue, for an account that has nothing to check against."""
        await self.hash(password, network)

    async def _run(self, work: Callable[[], T], network: str) -> T:
        async with self._turns.turn(network):
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._counted, work)

    def _counted(self, work: Callable[[], T]) -> T:
        self.computations += 1
        return work()

    def close(self) -> None:
        """Let the thread go; what waits is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)
