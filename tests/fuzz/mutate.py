"""A small mutating fuzzer for `make test`: same seed, same inputs. The long one (`make fuzz`) is coverage-guided."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

TOKENS = (
    b"\r\n", b"\n", b"\r", b"\0", b"{", b"}", b"{5}\r\n", b"{99999999999}\r\n", b"{3+}\r\n", b"~{3}\r\n", b"(", b")",
    b'"',
    b"\\", b"*", b"%", b"$", b":", b",", b"0", b"4294967296", b"--", b"--b", b"=?", b"?=", b"<", b">", b"\xff", b"\xc3",
    b"&AG-", b"BODY[", b"]", b" ", b"\t", b";", b"charset*1*=", b"\r\n.\r\n", b".",
)  # fmt: skip


def inputs(seeds: Sequence[bytes], count: int, seed: int, longest: int = 4_000) -> Iterator[bytes]:
    """`count` octet strings: the seeds themselves, then mutations of them and of each other."""
    chance = random.Random(seed)
    pool = list(seeds)
    yield from pool[:count]
    for _ in range(count - len(pool)):
        data = bytearray(chance.choice(pool))
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            _mutate(data, pool, chance)
        made = bytes(data[:longest])
        if chance.random() < 0.01 and len(pool) < 500:
            pool.append(made)
        yield made


def _mutate(data: bytearray, pool: Sequence[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    match chance.randrange(6):
        case 0:
            data[at:at] = chance.choice(TOKENS)
        case 1:
            del data[at : at + chance.randrange(1, 12)]
        case 2:
            data[at : at + 1] = bytes([chance.randrange(256)])
        case 3:
            other = chance.choice(pool)
            start = chance.randrange(len(other) + 1)
            data[at:at] = other[start : start + chance.randrange(1, 60)]
        case 4:
            data[at:at] = data[at : at + chance.randrange(1, 40)] * chance.randrange(1, 6)
        case _:
            data[at : at + chance.randrange(1, 4)] = chance.choice(TOKENS)
