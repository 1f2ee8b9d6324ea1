"""Password hashes of other servers, for people who bring their accounts: verified, never made.

Owns: the forms {SSHA}, {SSHA256}, {SSHA512} (salted digests in base64, RFC 2307 5.3 and its successors),
{SHA512-CRYPT} and {PBKDF2-SHA256} as "iterations$salt$digest" in base64. A login that succeeds with
one replaces it by Argon2id. Must not know: accounts. What is not understood matches nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from .sha512_crypt import verify_sha512_crypt

_SALTED = {"{SSHA}": "sha1", "{SSHA256}": "sha256", "{SSHA512}": "sha512"}
_PBKDF2 = "{PBKDF2-SHA256}"
_SHA512_CRYPT = "{SHA512-CRYPT}"
MOST_ITERATIONS = 10_000_000


def is_imported(hash: str) -> bool:
    """Whether the hash has the form of another server ("{SCHEME}...")."""
    return hash.startswith("{")


def verify_imported(password: bytes, hash: str) -> bool:
    """Whether `password` is the one hashed; False too for a scheme or an encoding that is not understood."""
    scheme, brace, rest = hash.partition("}")
    scheme = scheme.upper() + brace
    try:
        if scheme in _SALTED:
            return _salted(_SALTED[scheme], password, rest)
        if scheme == _SHA512_CRYPT:
            return verify_sha512_crypt(password, rest)
        if scheme == _PBKDF2:
            return _pbkdf2(password, rest)
    except (binascii.Error, ValueError):
        return False
    return False


def _salted(algorithm: str, password: bytes, text: str) -> bool:
    """base64 of the digest of password and salt, then the salt."""
    raw = base64.b64decode(text, validate=True)
    size = hashlib.new(algorithm).digest_size
    if len(raw) < size:
        return False
    return hmac.compare_digest(hashlib.new(algorithm, password + raw[size:]).digest(), raw[:size])


def _pbkdf2(password: bytes, text: str) -> bool:
    iterations, salt, digest = text.split("$")
    if not 1 <= int(iterations) <= MOST_ITERATIONS:
        return False
    wanted = base64.b64decode(digest, validate=True)
    got = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(salt, validate=True), int(iterations), len(wanted))
    return hmac.compare_digest(got, wanted)
