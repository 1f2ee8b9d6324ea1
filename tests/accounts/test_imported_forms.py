"""Passwords that SASLprep changes, of people who come from a server that hashed what their programs sent."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from .test_authenticate import refused
from .world import AFAR, ANN, World, run

SENT = "x\u00b2 \u00b4\u00b5".encode()  # keys of a German keyboard


def ssha(password: bytes) -> str:
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password + b"salt").digest() + b"salt").decode()


def argon2id(password: bytes) -> str:
    costs = Argon2id(salt=os.urandom(16), length=32, iterations=2, lanes=1, memory_cost=128)
    return "{ARGON2ID}" + costs.derive_phc_encoded(password)


@pytest.mark.parametrize("hash", [ssha(SENT), argon2id(SENT)], ids=["ssha", "argon2id"])
def test_a_hash_of_what_was_sent_lets_in_who_sends_it(tmp_path: Path, hash: str) -> None:
    async def test(world: World) -> None:
        await world.admin.set_hash("ann@example.org", hash)
        await refused(world.auth.password(ANN, b"x3 ", AFAR))
        for _ in range(2):  # the second time it may be another hash
            again = world.another_process()
            await again.password(ANN, SENT, AFAR)
            again.close()

    run(tmp_path, test)


def test_a_failure_computes_as_much_for_each_name(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.admin.add_account("nopass@example.org")
        for name in (ANN, b"nobody@example.org", b"nopass@example.org"):
            before = world.computations
            await refused(world.auth.password(name, SENT, AFAR))
            assert world.computations == before + 2, name

    run(tmp_path, test)
