"""tls-server-end-point: the channel binding that is made of a server's certificate, for both sides (RFC 5929 4.1)."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes


def end_point_binding(der: bytes) -> bytes | None:
    """tls-server-end-point data for a certificate: its hash by the signature algorithm's hash function,
    SHA-256 in place of MD5 and SHA-1, None where that algorithm uses no single one (RFC 5929 4.1)."""
    certificate = x509.load_der_x509_certificate(der)
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    if algorithm is None:
        return None
    if isinstance(algorithm, (hashes.MD5, hashes.SHA1)):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(der)
    return digest.finalize()
