"""SCRAM-SHA-256's keys and messages (RFC 5802 with the hash of RFC 7677), common to both sides.

Owns: the key derivation of 3, the grammar of 7, within bounds. Salt, iterations and the two keys are all that a
server keeps; none of them lets it log in elsewhere, but who steals them may guess passwords at PBKDF2's low
price: that is why they are kept only where somebody asked for SCRAM. Must not know: who keeps them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import Enum

from .errors import Fault, SaslFault

MECHANISM = "SCRAM-SHA-256"
MECHANISM_PLUS = "SCRAM-SHA-256-PLUS"

BINDING_TYPE = "tls-server-end-point"
"""The one channel binding we know (RFC 5929 4); Python's ssl gives no other that TLS 1.3 still has."""

MOST_OCTETS = 4096
"""Longest message taken."""

_PRINTABLE = re.compile(r"[!-+\--~]{1,512}")
_BARE_FIRST = re.compile(r"n=([^,]*),r=([^,]*)((?:,[A-Za-z]=[^,]*)*)", re.DOTALL)
_FINAL = re.compile(r"(c=([^,]*),r=([^,]*)(?:,[A-Za-z]=[^,]*)*),p=([^,]*)", re.DOTALL)
_GS2 = re.compile(r"(?:(n|y)|p=([A-Za-z0-9.-]{1,64})),(?:a=([^,]*))?,", re.DOTALL)


class Binding(Enum):
    """The gs2-cbind-flag (RFC 5802 6)."""

    NONE = "n"
    """The client knows no channel binding."""
    UNOFFERED = "y"
    """The client knows it but thinks that the server does not."""
    USED = "p"


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps of a password (RFC 5802 3)."""

    stored_key: bytes
    server_key: bytes


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """header: the gs2-header as it came. bare: client-first-message-bare. authzid: "" for none."""

    binding: Binding
    binding_type: str
    authzid: str
    user: str
    nonce: str
    header: bytes
    bare: bytes


@dataclass(frozen=True, slots=True)
class ClientFinal:
    """binding: what c= decodes to. unproved: the message without its proof."""

    binding: bytes
    nonce: str
    proof: bytes
    unproved: bytes


def digest(key: bytes, message: bytes) -> bytes:
    """HMAC() of RFC 5802 2.2 with SHA-256."""
    return hmac.digest(key, message, "sha256")


def salted_password(password: bytes, salt: bytes, iterations: int) -> bytes:
    """Hi() of RFC 5802 2.2. password: prepared by SASLprep. Takes milliseconds: for a thread."""
    return hashlib.pbkdf2_hmac("sha256", password, salt, iterations)


def verifier(password: bytes, salt: bytes, iterations: int) -> Verifier:
    """What to keep of a prepared password. RFC 5802 3."""
    salted = salted_password(password, salt, iterations)
    return Verifier(hashlib.sha256(digest(salted, b"Client Key")).digest(), digest(salted, b"Server Key"))


def xor(left: bytes, right: bytes) -> bytes:
    """Octet by octet; both have one length."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def escape_name(name: str) -> str:
    """A saslname: "," and "=" escaped (RFC 5802 5.1, attribute n)."""
    return name.replace("=", "=3D").replace(",", "=2C")


def unescape_name(text: str) -> str:
    """Raises SaslFault for an empty name, NUL, or an "=" that escapes nothing."""
    plain = text.replace("=2C", ",").replace("=3D", "=")
    if not text or "\0" in text or re.search("=(?!2C|3D)", text):
        raise SaslFault(Fault.INVALID_ENCODING)
    return plain


def decode64(text: str) -> bytes:
    """Base64 as RFC 5802 7 wants it: no white space, padded. Raises SaslFault."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SaslFault(Fault.INVALID_ENCODING) from error


def encode64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def decode_message(message: bytes) -> str:
    """The text of a message within bounds. Raises SaslFault."""
    if len(message) > MOST_OCTETS:
        raise SaslFault(Fault.TOO_LONG)
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SaslFault(Fault.INVALID_ENCODING) from error


def check_nonce(nonce: str) -> None:
    """RFC 5802 7: printable ASCII without ","."""
    if not _PRINTABLE.fullmatch(nonce):
        raise SaslFault(Fault.INVALID_ENCODING)


def parse_client_first(message: bytes) -> ClientFirst:
    """RFC 5802 7, client-first-message. Raises SaslFault; for the reserved attribute m, EXTENSION."""
    text = decode_message(message)
    header = _GS2.match(text)
    if header is None:
        raise SaslFault(Fault.INVALID_ENCODING)
    flag, binding_type, authzid = header.groups()
    bare = text[header.end() :]
    if bare.startswith("m="):
        raise SaslFault(Fault.EXTENSION)
    found = _BARE_FIRST.fullmatch(bare)
    if found is None:
        raise SaslFault(Fault.INVALID_ENCODING)
    check_nonce(found[2])
    return ClientFirst(
        binding=Binding(flag or "p"),
        binding_type=binding_type or "",
        authzid="" if authzid is None else unescape_name(authzid),
        user=unescape_name(found[1]),
        nonce=found[2],
        header=header[0].encode("utf-8"),
        bare=bare.encode("utf-8"),
    )


def parse_client_final(message: bytes) -> ClientFinal:
    """RFC 5802 7, client-final-message. Raises SaslFault."""
    found = _FINAL.fullmatch(decode_message(message))
    if found is None:
        raise SaslFault(Fault.INVALID_ENCODING)
    proof = decode64(found[4])
    if len(proof) != hashlib.sha256().digest_size:
        raise SaslFault(Fault.INVALID_ENCODING)
    return ClientFinal(decode64(found[2]), found[3], proof, found[1].encode("utf-8"))
