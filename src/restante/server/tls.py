"""Certificates and TLS contexts: TLS 1.2 and 1.3 with AEAD suites only.

At first start a self-signed certificate is made. Files are read again on SIGHUP and when they change; a new
pair that does not load leaves the old one in service and is logged. A connection keeps the certificate it
began with, for its channel binding and its life.

RFC 9325 (recommendations), RFC 5929 4.1 (tls-server-end-point), RFC 7301 (ALPN).
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ..clock import Clock
from ..config.model import TlsTable
from ..errors import Refusal
from ..sasl.end_point import end_point_binding
from .services import ALPN, Wire

VALID_DAYS = 3650
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsRefusal(Refusal):
    """A certificate or key cannot be used."""

    code = "TLS"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A loaded pair. contexts: one a protocol, since ALPN differs. binding: RFC 5929 4.1 hash, or None. expires:
    seconds UTC from when on clients refuse it."""

    contexts: Mapping[Wire, ssl.SSLContext]
    binding: bytes | None
    expires: float

    def context(self, wire: Wire) -> ssl.SSLContext:
        return self.contexts[wire]


def load(certificate: Path, key: Path) -> Certificate:
    """Read a PEM chain and its key. Raises TlsRefusal."""
    try:
        contexts = {wire: _context(certificate, key, wire) for wire in Wire}
        der = ssl.PEM_cert_to_DER_cert(_first_certificate(certificate.read_text("latin-1")))
        expires = x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp()
        return Certificate(contexts, end_point_binding(der), expires)
    except (OSError, ValueError) as error:
        what = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise TlsRefusal(
            f"The certificate {certificate} with the key {key} cannot be used ({what}).",
            "Both must be readable PEM files that belong together, the key without a passphrase.",
        ) from error


def _first_certificate(pem: str) -> str:
    """The one that OpenSSL serves. What stands around it may be text in any charset (RFC 7468 2)."""
    end = "-----END CERTIFICATE-----"
    start = pem.index("-----BEGIN CERTIFICATE-----")
    return pem[start : pem.index(end, start) + len(end)]


def _context(certificate: Path, key: Path, wire: Wire) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # A passphrase would make OpenSSL ask on the terminal: an empty answer makes it fail instead.
    context.load_cert_chain(certificate, key, password=lambda: "")
    if wire in ALPN:
        context.set_alpn_protocols([ALPN[wire].decode("ascii")])
    return context


class CertificateKeeper:
    """The certificate in service, and when to read it again."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises TlsRefusal if the pair cannot be used."""
        self._certificate = certificate
        self._key = key
        self._stamp = self._look()
        self.current = load(certificate, key)

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        stamps: list[tuple[int, int, int] | None] = []
        for path in (self._certificate, self._key):
            try:
                stat = path.stat()
                stamps.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                stamps.append(None)
        return tuple(stamps)

    def refresh(self, *, force: bool = False) -> bool:
        """Read the files again if they changed (or if forced); whether a new pair is in service.

        Raises TlsRefusal if the new pair cannot be used: the old one stays, and is not tried again before
        the next change.
        """
        stamp = self._look()
        if stamp == self._stamp and not force:
            return False
        self._stamp = stamp
        self.current = load(self._certificate, self._key)
        return True


def files(table: TlsTable, data: Path, hostname: str, clock: Clock) -> tuple[Path, Path]:
    """Certificate and key to use: the configured ones, else data/tls/ where a self-signed pair is made once.

    Raises TlsRefusal.
    """
    if table.certificate or table.key:
        return Path(table.certificate), Path(table.key or table.certificate)
    folder = data / "tls"
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not (certificate.exists() and key.exists()):
        try:
            make_self_signed(certificate, key, hostname, clock)
        except OSError as error:
            raise TlsRefusal(
                f"No certificate can be written in {folder} ({error.strerror}).", "Give it rights, or its disk room."
            ) from error
    return certificate, key


def make_self_signed(certificate: Path, key: Path, hostname: str, clock: Clock) -> None:
    """Write an ECDSA P-256 key (mode 0600) and a certificate for this machine's names, valid ten years."""
    certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    for name in (hostname, socket.gethostname()):
        with contextlib.suppress(ValueError):  # a host name that is no DNS name is left out
            if name and x509.DNSName(name) not in names:
                names.append(x509.DNSName(name))
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (hostname or "localhost")[:64])])
    # A clock that is behind at a client must not make a fresh certificate invalid there.
    start = datetime.fromtimestamp(clock.now(), UTC) - timedelta(days=2)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, pem, 0o600)
    _write(certificate, built.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all: a crash in between must not leave half a key."""
    part = path.with_suffix(".part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
