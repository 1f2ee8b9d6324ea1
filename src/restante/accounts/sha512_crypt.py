"""SHA512-CRYPT ("$6$rounds=N$salt$digest"), the hash of Unix password files, for verifying imported accounts.

Owns: the computation that U. Drepper's "Unix crypt using SHA-256 and SHA-512" describes; the step numbers below
are that paper's. Written out, because Python's crypt module is gone since 3.13. Must not know: accounts.
"""

from __future__ import annotations

import hashlib
import hmac
import re

_FORM = re.compile(r"\$6\$(?:rounds=(\d{1,9})\$)?([^$]{0,16})\$([./0-9A-Za-z]{86})")
_LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SIZE = 64

USUAL_ROUNDS = 5000
LEAST_ROUNDS = 1000
MOST_ROUNDS = 1_000_000
"""The paper allows 999,999,999; past a million a check takes seconds and matches nothing here."""


def check_sha512_crypt(text: str) -> None:
    """Raises ValueError for a form that is not understood or costs too much."""
    _parsed(text)


def verify_sha512_crypt(password: bytes, text: str) -> bool:
    """Whether `password` is the one hashed. False too for a form that is not understood or costs too much."""
    try:
        found, rounds = _parsed(text)
    except ValueError:
        return False
    return hmac.compare_digest(_encode(_digest(password, found[2].encode("utf-8"), rounds)), found[3])


def _parsed(text: str) -> tuple[re.Match[str], int]:
    """The parts, and the rounds there are."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("it is no $6$salt$digest")
    rounds = max(LEAST_ROUNDS, int(found[1])) if found[1] else USUAL_ROUNDS
    if rounds > MOST_ROUNDS:
        raise ValueError("it has too many rounds")
    return found, rounds


def _digest(password: bytes, salt: bytes, rounds: int) -> bytes:
    sha = hashlib.sha512
    inner = sha(password + salt + password).digest()  # 4 to 8
    mixed = password + salt + _stretched(inner, len(password))  # 1 to 3, 9, 10
    length = len(password)
    while length:  # 11
        mixed += inner if length & 1 else password
        length >>= 1
    result = sha(mixed).digest()  # 12
    p = _stretched(sha(password * len(password)).digest(), len(password))  # 13 to 16
    s = _stretched(sha(salt * (16 + result[0])).digest(), len(salt))  # 17 to 20
    for number in range(rounds):  # 21
        text = p if number & 1 else result
        if number % 3:
            text += s
        if number % 7:
            text += p
        result = sha(text + (result if number & 1 else p)).digest()
    return result


def _stretched(octets: bytes, length: int) -> bytes:
    return (octets * (length // _SIZE + 1))[:length]


def _encode(digest: bytes) -> str:
    """22 (e): three octets as four letters, lowest six bits first, in an order that goes round the thirds."""
    letters: list[str] = []
    first, second, third = 0, 21, 42
    for _ in range(21):
        letters += _group(digest[first] << 16 | digest[second] << 8 | digest[third], 4)
        first, second, third = second + 1, third + 1, first + 1
    return "".join(letters + _group(digest[63], 2))


def _group(value: int, count: int) -> list[str]:
    return [_LETTERS[value >> 6 * i & 63] for i in range(count)]
