"""Password hashes, app passwords, imported forms, and the bounded queue for computing them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import threading
from itertools import count

import bcrypt
import pytest

from restante.accounts import passwords
from restante.accounts.imported_hashes import normal_form, verify_imported
from restante.accounts.login import LoginUnavailable
from restante.accounts.passwords import (
    PasswordChecker,
    hash_app_password,
    hash_password,
    is_app_password,
    is_outdated,
    new_app_password,
    verify_password,
)
from restante.config.model import AuthTable

CHEAP = AuthTable(argon2_memory=64 << 10, argon2_time=1)


def test_a_hash_has_the_configured_cost() -> None:
    hash = hash_password(b"secret", AuthTable(), os.urandom)
    assert hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password(b"secret", hash)
    assert not verify_password(b"Secret", hash)


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password(b"x", CHEAP, os.urandom) != hash_password(b"x", CHEAP, os.urandom)


@pytest.mark.parametrize(
    "hash", ["", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AA$AA", "plain", "{", "{NONE}x", "{SSHA}!"]
)
def test_a_broken_hash_matches_nothing(hash: str) -> None:
    assert not verify_password(b"", hash)
    assert not verify_password(b"plain", hash)


def test_cheaper_hashes_are_outdated() -> None:
    hash = hash_password(b"x", CHEAP, os.urandom)
    assert not is_outdated(hash, CHEAP)
    assert is_outdated(hash, AuthTable(argon2_memory=128 << 10, argon2_time=1))
    assert is_outdated(hash, AuthTable(argon2_memory=64 << 10, argon2_time=2))
    assert not is_outdated(hash, AuthTable(argon2_memory=32 << 10, argon2_time=1))
    assert is_outdated("{SSHA}xyz", CHEAP)


def test_an_app_password_has_128_random_bits_in_groups() -> None:
    text = new_app_password(lambda n: b"\xff" * n)
    assert [len(group) for group in text.split("-")] == [4] * 7
    assert text.replace("-", "").isalpha()
    assert len({new_app_password(os.urandom) for _ in range(100)}) == 100
    asked: list[int] = []
    new_app_password(lambda n: asked.append(n) or os.urandom(n))  # type: ignore[func-returns-value]  # append gives None
    assert asked == [16]


def test_an_app_password_may_be_typed_with_or_without_groups() -> None:
    text = new_app_password(os.urandom)
    hash = hash_app_password(text)
    assert hash.startswith("$sha256$")
    assert text not in hash
    for typed in (text, text.replace("-", ""), text.replace("-", " "), text.upper()):
        assert is_app_password(typed.encode(), hash)
    assert not is_app_password(text[:-1].encode(), hash)
    assert not is_app_password(b"", hash)
    assert not is_app_password(text.encode(), "$sha256$")


def salted(scheme: str, algorithm: str) -> str:
    raw = hashlib.new(algorithm, b"secret" + b"salt").digest() + b"salt"
    return f"{{{scheme}}}{base64.b64encode(raw).decode()}"


PBKDF2 = "{PBKDF2-SHA256}1000$" + "$".join(
    base64.b64encode(part).decode() for part in (b"salt", hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 1000))
)


BLOWFISH = "$2y$04$" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4))[7:].decode()
DOVECOT_PBKDF2 = "{PBKDF2}$1$7zYjPzE5y1hYWcnW$5000$" + (
    hashlib.pbkdf2_hmac("sha1", b"secret", b"7zYjPzE5y1hYWcnW", 5000, 20).hex()
)
CRYPT = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
PHC = hash_password(b"secret", CHEAP, os.urandom)

KEPT = [
    pytest.param("{BLF-CRYPT}" + BLOWFISH, "{BLF-CRYPT}" + BLOWFISH, id="bcrypt"),
    pytest.param("{crypt}" + BLOWFISH, "{BLF-CRYPT}" + BLOWFISH, id="bcrypt-by-crypt"),
    pytest.param(f" {BLOWFISH}\n", "{BLF-CRYPT}" + BLOWFISH, id="bcrypt-bare"),
    pytest.param("{argon2id}" + PHC, PHC, id="argon2id"),
    pytest.param(PHC, PHC, id="argon2id-bare"),
    pytest.param(CRYPT, "{SHA512-CRYPT}" + CRYPT, id="crypt-bare"),
    pytest.param(DOVECOT_PBKDF2, DOVECOT_PBKDF2, id="pbkdf2"),
    pytest.param(PBKDF2, PBKDF2, id="pbkdf2-sha256"),
    pytest.param(salted("SSHA512", "sha512"), salted("SSHA512", "sha512"), id="ssha512"),
]


@pytest.mark.parametrize(("given", "kept"), KEPT)
def test_hashes_are_kept_in_one_form_and_verified(given: str, kept: str) -> None:
    assert normal_form(given) == kept
    assert normal_form(kept) == kept
    right = b"Hello world!" if CRYPT in kept else b"secret"
    assert verify_password(right, kept)
    assert not verify_password(right + b"!", kept)


def test_hex_is_understood_where_the_scheme_says_so() -> None:
    raw = hashlib.sha256(b"secret" + b"salt").hexdigest() + b"salt".hex()
    assert verify_password(b"secret", normal_form("{ssha256.hex}" + raw))
    assert verify_password(b"secret", normal_form(salted("SSHA256.b64", "sha256")))


def test_bcrypt_of_another_program_and_long_passwords() -> None:
    # A test vector of crypt_blowfish (public domain): 8-bit letters, cost 5.
    known = "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"
    assert verify_password(b"", known)
    assert verify_password(b"U*U", "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
    long = "{BLF-CRYPT}" + bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert verify_password(b"x" * 72 + b"cut off by everyone", long)
    assert not verify_password(b"x" * 71, long)


@pytest.mark.parametrize(
    "hash",
    [
        "", "secret", "{", "{PLAIN}secret", "{BLF-CRYPT}", "{BLF-CRYPT}$2y$04$short", "{SSHA}x", "{SSHA512}" + "A" * 8,
        "{BLF-CRYPT}" + BLOWFISH.replace("$04$", "$31$"), "{BLF-CRYPT}" + BLOWFISH.replace("$04$", "$03$"),
        "{PBKDF2}$1$salt$0$" + "0" * 40, "{PBKDF2}$1$salt$99999999$" + "0" * 40, "{PBKDF2}$2$salt$1$" + "0" * 40,
        "{ARGON2ID}$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43, PHC.replace("m=64", "m=9999999"),
        PHC.replace("t=1", "t=0"), PHC.replace("t=1", "t=999"), PHC.replace("p=1", "p=99"), "{SHA512-CRYPT}$6$x$y",
        "{PBKDF2-SHA256}x$y$z", "{PBKDF2-SHA256}1$$", "{CRYPT}$5$x$y", "{MD5}abc", "abc{SSHA}",
    ],
    ids=count(),  # salts are random: two processes must name the cases alike
)  # fmt: skip
def test_a_hash_that_cannot_be_used_is_refused_without_being_repeated(hash: str) -> None:
    with pytest.raises(ValueError) as refused:
        normal_form(hash)
    assert len(hash) < 12 or hash[10:] not in str(refused.value)
    assert not verify_imported(b"secret", hash)


@pytest.mark.parametrize(
    "hash", [salted("SSHA", "sha1"), salted("SSHA256", "sha256"), salted("ssha512", "sha512"), PBKDF2]
)
def test_hashes_of_other_servers_are_verified(hash: str) -> None:
    assert verify_password(b"secret", hash)
    assert not verify_password(b"Secret", hash)


@pytest.mark.parametrize(
    ("password", "hash"),
    [
        pytest.param(
            b"Hello world!",
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            id="usual-rounds",
        ),
        pytest.param(
            b"Hello world!",
            "$6$rounds=10000$saltstringsaltst$"
            "OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
            id="rounds",
        ),
    ],
)
def test_sha512_crypt_as_its_paper_has_it(password: bytes, hash: str) -> None:
    assert verify_password(password, "{SHA512-CRYPT}" + hash)
    assert not verify_password(password + b"!", "{SHA512-CRYPT}" + hash)
    assert not verify_password(password, "{SHA512-CRYPT}" + hash.replace("salt", "sald"))


@pytest.mark.parametrize(
    "hash",
    [
        "{SHA512-CRYPT}$6$salt$",
        "{SHA512-CRYPT}$6$rounds=999999999$salt$" + "a" * 86,
        "{SSHA}",
        "{SSHA}AAAA",
        "{PBKDF2-SHA256}",
        "{PBKDF2-SHA256}x$y$z",
        "{PBKDF2-SHA256}99999999999$AAAA$AAAA",
        "{MD5}x",
        "{PBKDF2-SHA256}1$AAAA$",
    ],
)
def test_broken_imported_hashes_match_nothing(hash: str) -> None:
    assert not verify_imported(b"secret", hash)


def test_one_computation_runs_at_a_time_and_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    running: list[int] = []
    most: list[int] = []

    def slow(password: bytes, hash: str) -> bool:
        running.append(1)
        most.append(len(running))
        let_go.wait(30)
        running.pop()
        return True

    monkeypatch.setattr(passwords, "verify_password", slow)

    async def main() -> None:
        checker = PasswordChecker(AuthTable(queue=3), os.urandom)
        checks = [asyncio.ensure_future(checker.verify(b"x", "h", "192.0.2.1")) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(LoginUnavailable):
            await checker.verify(b"x", "h", "192.0.2.1")
        let_go.set()
        assert await asyncio.gather(*checks) == [True] * 4
        assert most == [1] * 4
        assert checker.computations == 4
        assert await checker.verify(b"x", "h", "192.0.2.1")  # there is room again
        checker.close()

    asyncio.run(main())
