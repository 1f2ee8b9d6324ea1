"""Password hashes of other servers, for people who bring their accounts: verified, never made.

Owns: the forms, and what of them is too costly to be checked. A login that succeeds with one replaces it by Argon2id.
Must not know: accounts. What is not understood matches nothing.

{ARGON2ID}       a PHC string, kept without the scheme: it is what we make ourselves
{BLF-CRYPT}      bcrypt, "$2y$cost$..." (also 2a, 2b)
{SHA512-CRYPT}   "$6$[rounds=N$]salt$digest"
{PBKDF2}         Dovecot's: "$1$salt$rounds$digest", HMAC-SHA-1, the salt as it stands, the digest in hexadecimal
{PBKDF2-SHA256}  "rounds$salt$digest", both in base64
{SSHA}, {SSHA256}, {SSHA512}   digest and salt (RFC 2307 5.3 and its successors), in base64, or hexadecimal where the
                 scheme ends in .HEX
{CRYPT}          one of the above by its "$...$"
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from functools import partial

from .sha512_crypt import check_sha512_crypt, verify_sha512_crypt

Check = Callable[[bytes], bool]
"""Whether a password is the one hashed."""

MOST_ITERATIONS = 10_000_000
MOST_COST = 15
"""Of bcrypt, a power of two: some seconds."""
MOST_MEMORY, MOST_PASSES, MOST_LANES = 1 << 20, 64, 16
"""Of Argon2id. Memory in KiB."""

BLOWFISH_OCTETS = 72
"""More of a password bcrypt has never looked at; the library refuses what others cut off."""

_PHC = re.compile(r"\$argon2id\$v=19\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}")
_BLOWFISH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_PBKDF2 = re.compile(r"(\d{1,10})\$([A-Za-z0-9+/=]*)\$([A-Za-z0-9+/=]*)")
_DOVECOT_PBKDF2 = re.compile(r"\$1\$([^$]{1,64})\$(\d{1,10})\$([0-9a-fA-F]{40})")
_BY_PREFIX = {"$argon2id$": "{ARGON2ID}", "$2a$": "{BLF-CRYPT}", "$2b$": "{BLF-CRYPT}", "$2y$": "{BLF-CRYPT}",
              "$6$": "{SHA512-CRYPT}"}  # fmt: skip


def is_imported(hash: str) -> bool:
    """Whether the hash has the form of another server ("{SCHEME}...")."""
    return hash.startswith("{")


def normal_form(text: str) -> str:
    """A hash as another server has it, in the form in which it is kept here.

    Raises ValueError, with a reason that names no secret, for one that is not understood or costs too much to check.
    """
    scheme, rest = _split(text.strip())
    if scheme == "{ARGON2ID}":
        _check_argon2(rest)
        return rest
    _parse(scheme, rest)
    return scheme + rest


def verify_imported(password: bytes, hash: str) -> bool:
    """Whether `password` is the one hashed; False too for a scheme or an encoding that is not understood."""
    try:
        return _parse(*_split(hash))(password)
    except ValueError:
        return False


def _split(text: str) -> tuple[str, str]:
    """Scheme in capitals, and the rest. A crypt(3) string tells its scheme by its beginning."""
    scheme, rest = "", text
    if text.startswith("{"):
        scheme, brace, rest = text.partition("}")
        scheme = scheme.upper() + brace if brace else ""
    if scheme in ("", "{CRYPT}"):
        scheme = next((by for prefix, by in _BY_PREFIX.items() if rest.startswith(prefix)), scheme)
    return scheme, rest


def _parse(scheme: str, rest: str) -> Check:
    """The check that a hash stands for. Raises ValueError."""
    parse = _SCHEMES.get(scheme)
    if parse is None:
        raise ValueError(f"the scheme {scheme[:40]} is not known" if scheme else "it has no {SCHEME}")
    return parse(rest)


def _check_argon2(text: str) -> None:
    found = _PHC.fullmatch(text)
    if found is None:
        raise ValueError("it is no $argon2id$v=19$m=...,t=...,p=...$salt$hash")
    memory, passes, lanes = (int(number) for number in found.groups())
    if not (8 * lanes <= memory <= MOST_MEMORY and 0 < passes <= MOST_PASSES and 0 < lanes <= MOST_LANES):
        raise ValueError("its Argon2id costs are out of bounds")


def _salted(algorithm: str, decode: Callable[[str], bytes], text: str) -> Check:
    """The digest of password and salt, then the salt."""
    raw = decode(text)
    size = hashlib.new(algorithm).digest_size
    if len(raw) < size:
        raise ValueError("its digest is too short")
    return lambda password: hmac.compare_digest(hashlib.new(algorithm, password + raw[size:]).digest(), raw[:size])


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _sha512_crypt(text: str) -> Check:
    check_sha512_crypt(text)
    return lambda password: verify_sha512_crypt(password, text)


def _pbkdf2_sha256(text: str) -> Check:
    found = _PBKDF2.fullmatch(text)
    if found is None:
        raise ValueError("it is no rounds$salt$digest")
    return _pbkdf2("sha256", int(found[1]), _base64(found[2]), _base64(found[3]))


def _pbkdf2_dovecot(text: str) -> Check:
    found = _DOVECOT_PBKDF2.fullmatch(text)
    if found is None:
        raise ValueError("it is no $1$salt$rounds$digest")
    return _pbkdf2("sha1", int(found[2]), found[1].encode("utf-8"), bytes.fromhex(found[3]))


def _pbkdf2(algorithm: str, iterations: int, salt: bytes, wanted: bytes) -> Check:
    if not 1 <= iterations <= MOST_ITERATIONS:
        raise ValueError("its rounds are out of bounds")
    if not wanted:
        raise ValueError("it has no digest")
    return lambda password: hmac.compare_digest(
        hashlib.pbkdf2_hmac(algorithm, password, salt, iterations, len(wanted)), wanted
    )


def _blowfish(text: str) -> Check:
    found = _BLOWFISH.fullmatch(text)
    if found is None:
        raise ValueError("it is no $2y$cost$salt-and-digest")
    if not 4 <= int(found[1]) <= MOST_COST:
        raise ValueError(f"its bcrypt cost is not between 4 and {MOST_COST}")

    def check(password: bytes) -> bool:
        import bcrypt  # few need it: not at every start

        return bcrypt.checkpw(password[:BLOWFISH_OCTETS], text.encode("ascii"))

    return check


_SCHEMES: Mapping[str, Callable[[str], Check]] = {
    "{BLF-CRYPT}": _blowfish,
    "{SHA512-CRYPT}": _sha512_crypt,
    "{PBKDF2}": _pbkdf2_dovecot,
    "{PBKDF2-SHA256}": _pbkdf2_sha256,
    **{
        f"{{{scheme}{encoding}}}": partial(_salted, algorithm, decode)
        for scheme, algorithm in (("SSHA", "sha1"), ("SSHA256", "sha256"), ("SSHA512", "sha512"))
        for encoding, decode in (("", _base64), (".B64", _base64), (".HEX", bytes.fromhex))
    },
}
