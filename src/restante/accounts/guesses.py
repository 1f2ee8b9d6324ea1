"""What is remembered of failed logins and known places: tables of fixed size that all worker processes share.

Two tables, each of buckets of eight records, in one file (or, where none is given or it fails, in this process's
memory). A pair is found by a keyed digest that names bucket and record, so nobody outside can choose names that
meet in one bucket; names and addresses themselves are not in it. A full bucket gives up the record that says least.

    file = header (magic, key, checksum) · failures (BUCKETS x WAYS x 48) · places (BUCKETS x WAYS x 32)

Every record carries a checksum: one that is torn, or anything else that was never written here, counts as empty.
So does a time to come, which is of another life of the machine, whose monotonic clock began anew. A header that is
not ours is written anew, with another key. A change is made under the file's lock, which is held for microseconds,
never over a wait, and ends with its process; who does not get it soon goes on without: at worst one failure of two
at the same instant is not counted, and nobody ever waits for a process that was stopped while it held the lock.

A login without anything to count reads two buckets and takes no lock.

Must not know: what a delay is, passwords. Cost: some 10 microseconds a change, two to five system calls.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import inf
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Any
from zlib import crc32

from ..clock import Random

BUCKETS = 2048
WAYS = 8
"""Records a bucket; 16,384 failures and as many places in all."""

DECAY = 120.0
"""Seconds without another failure after which one is forgotten."""

LOCK_TRIES = 200
"""Tries for the lock before going on without: some hundred microseconds."""

_MAGIC = b"RSTGUES1"
_HEADER = Struct("<8s32sI")
_FAILURE = Struct("<16sddI8sI")
_PLACE = Struct("<16sd4xI")
_CHECK = 4
_Record = tuple[Any, ...]
"""What a form unpacks to; the two forms above name the fields, digest and instant first, checksum last."""
_START = 64
_PLACES = _START + BUCKETS * WAYS * _FAILURE.size
_NO_FAILURES = bytes(WAYS * _FAILURE.size)
OCTETS = _PLACES + BUCKETS * WAYS * _PLACE.size
"""Size of the file once all of it has been used: 1.3 MB."""


@dataclass(slots=True)
class Failures:
    """count: not forgotten yet. last: when the latest was. free: when the pair's next check may be made.

    tried: a keyed digest (8 octets) of the latest wrong password, zero where there was none. Times are monotonic
    seconds.
    """

    count: int
    last: float
    free: float
    tried: bytes = bytes(8)


class GuessTable:
    """The two tables. Use within `with table:`, which holds the lock; no method waits.

    path: the shared file, made where it is missing; None: this process's memory. failed: told once when the file
    cannot be read or written any longer; from then on this process counts for itself. Raises OSError where the file
    cannot be opened. Not to be carried over a fork: each worker opens it for itself.
    """

    def __init__(
        self, random: Random, path: Path | None = None, failed: Callable[[OSError], None] | None = None
    ) -> None:
        self._failed = failed
        self._memory: bytearray | None = None
        self._file = -1
        self._locked = False
        if path is None:
            self._memory = bytearray(OCTETS)
            self._key = random(32)
            return
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)  # once, at the start: two must not make two keys
            self._key = self._read_key() or self._make_key(random(32))
            fcntl.flock(self._file, fcntl.LOCK_UN)
        except OSError:
            self.close()
            raise

    def _read_key(self) -> bytes:
        """The header's key, b"" where there is no header of ours."""
        header = os.pread(self._file, _HEADER.size, 0)
        if len(header) < _HEADER.size:
            return b""
        magic, key, check = _HEADER.unpack(header)
        return bytes(key) if magic == _MAGIC and check == crc32(key) else b""

    def _make_key(self, key: bytes) -> bytes:
        os.pwrite(self._file, _HEADER.pack(_MAGIC, key, crc32(key)), 0)
        return key

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # The lock --------------------------------------------------------------------------------------

    def __enter__(self) -> GuessTable:
        for _ in range(LOCK_TRIES if self._file >= 0 else 0):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.sched_yield()
            except OSError as error:
                self._give_up(error)
                break
            else:
                self._locked = True
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._locked and self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self._locked = False

    # Without the lock ------------------------------------------------------------------------------

    def knows_no_failure(self, network: str, account: str) -> bool:
        """Whether there is certainly none of this pair, as for nearly all: nothing at all in its bucket.

        May be asked without the lock: who writes the first failure at this instant comes after.
        """
        _, bucket = self._place(b"failure", network, account)
        return self._read(_START + bucket * WAYS * _FAILURE.size, len(_NO_FAILURES)) == _NO_FAILURES

    # Failures --------------------------------------------------------------------------------------

    def failures(self, network: str, account: str, now: float) -> Failures | None:
        """What is kept of the pair's failures, None for nothing."""
        digest, bucket = self._place(b"failure", network, account)
        for _, last, free, count, tried, _ in self._records_of(digest, _FAILURE, _START, bucket):
            if last <= now:
                return Failures(count, last, free, tried)
        return None

    def keep_failures(self, network: str, account: str, there: Failures, now: float) -> None:
        """Keep it, in place of the record that says least: an empty one, else the fewest failures left by `DECAY`.

        So one who fails once each under many names does not push out what is known of his other guesses.
        """
        digest, bucket = self._place(b"failure", network, account)
        records = self._records(_FAILURE, _START, bucket)
        way = _choose(digest, records, now, lambda record: float(record[3] - (now - record[1]) / DECAY))
        body = _FAILURE.pack(digest, there.last, there.free, there.count, there.tried, 0)[:-_CHECK]
        self._keep(_START + (bucket * WAYS + way) * _FAILURE.size, body)

    def forget_failures(self, network: str, account: str) -> None:
        digest, bucket = self._place(b"failure", network, account)
        for way, record in enumerate(self._records(_FAILURE, _START, bucket)):
            if record is not None and record[0] == digest:
                self._write(_START + (bucket * WAYS + way) * _FAILURE.size, bytes(_FAILURE.size))

    # Places ----------------------------------------------------------------------------------------

    def known_since(self, network: str, account: str, now: float) -> float | None:
        """When the account last logged in from this network, None if that is not known."""
        digest, bucket = self._place(b"place", network, account)
        for _, since, _ in self._records_of(digest, _PLACE, _PLACES, bucket):
            if since <= now:
                return float(since)
        return None

    def keep_place(self, network: str, account: str, now: float) -> None:
        """Note a login, in place of the one longest ago where the bucket is full."""
        digest, bucket = self._place(b"place", network, account)
        way = _choose(digest, self._records(_PLACE, _PLACES, bucket), now, lambda record: float(record[1]))
        self._keep(_PLACES + (bucket * WAYS + way) * _PLACE.size, _PLACE.pack(digest, now, 0)[:-_CHECK])

    # Octets ----------------------------------------------------------------------------------------

    def _place(self, kind: bytes, network: str, account: str) -> tuple[bytes, int]:
        return _place(self._key, kind, network, account)

    def _records(self, form: Struct, start: int, bucket: int) -> list[_Record | None]:
        """The bucket's records, None for those that are empty or broken."""
        size = form.size
        data = self._read(start + bucket * WAYS * size, WAYS * size)
        found: list[_Record | None] = []
        for at in range(0, WAYS * size, size):
            record = form.unpack_from(data, at)
            found.append(record if record[-1] and record[-1] == crc32(data[at : at + size - _CHECK]) else None)
        return found

    def _records_of(self, digest: bytes, form: Struct, start: int, bucket: int) -> Iterator[_Record]:
        """The bucket's records with this digest, at their beginning; the others need not be looked at."""
        size = form.size
        data = self._read(start + bucket * WAYS * size, WAYS * size)
        for at in range(0, WAYS * size, size):
            if data.startswith(digest, at):
                record = form.unpack_from(data, at)
                if record[-1] and record[-1] == crc32(data[at : at + size - _CHECK]):
                    yield record

    def _keep(self, where: int, body: bytes) -> None:
        self._write(where, body + crc32(body).to_bytes(_CHECK, "little"))

    def _read(self, where: int, size: int) -> bytes:
        if self._file >= 0:
            try:
                return os.pread(self._file, size, where).ljust(size, b"\0")
            except OSError as error:
                self._give_up(error)
        assert self._memory is not None
        return bytes(self._memory[where : where + size])

    def _write(self, where: int, data: bytes) -> None:
        if self._file >= 0:
            try:
                os.pwrite(self._file, data, where)
                return
            except OSError as error:
                self._give_up(error)
        assert self._memory is not None
        self._memory[where : where + len(data)] = data

    def _give_up(self, error: OSError) -> None:
        """The file fails (a full disk, for one): this process counts for itself from now on."""
        self.close()
        self._memory = bytearray(OCTETS)
        if self._failed is not None:
            self._failed(error)


@lru_cache(maxsize=512)
def _place(key: bytes, kind: bytes, network: str, account: str) -> tuple[bytes, int]:
    """(digest, bucket) of a pair; one login asks for the same three times."""
    name = b"\0".join((kind, network.encode("utf-8", "surrogateescape"), account.encode("utf-8", "surrogatepass")))
    digest = blake2b(name, digest_size=16, key=key).digest()
    return digest, int.from_bytes(digest[:2], "little") % BUCKETS


def _choose(digest: bytes, records: list[_Record | None], now: float, worth: Callable[[_Record], float]) -> int:
    """Which record to write: the one with this digest, else an empty one, else the one worth least."""
    ways = range(len(records))

    def rank(way: int) -> float:
        record = records[way]
        return -inf if record is None or record[1] > now else worth(record)

    return next((way for way in ways if (record := records[way]) and record[0] == digest), min(ways, key=rank))
