"""Certificates: made, loaded, reloaded; ClientHellos looked at."""

from __future__ import annotations

import hashlib
import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from restante.clock import ManualClock, SystemClock
from restante.config.model import TlsTable
from restante.sasl.end_point import end_point_binding
from restante.server.secure import Hello, TlsFailed, TlsLayer, check_hello
from restante.server.services import Wire
from restante.server.tls import VALID_DAYS, CertificateKeeper, TlsRefusal, files, load, make_self_signed

from .support import running


def make(folder: Path, name: str = "mail.example.org") -> tuple[Path, Path]:
    certificate, key = folder / "c.pem", folder / "k.pem"
    make_self_signed(certificate, key, name, SystemClock())
    return certificate, key


def test_the_self_signed_certificate(tmp_path: Path) -> None:
    certificate, key = files(TlsTable(), tmp_path, "mail.example.org", SystemClock())
    assert key.stat().st_mode & 0o777 == 0o600
    parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "mail.example.org"} <= set(names.get_values_for_type(x509.DNSName))
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}
    assert isinstance(parsed.public_key(), ec.EllipticCurvePublicKey)
    assert (parsed.not_valid_after_utc - parsed.not_valid_before_utc).days > 3000
    before = certificate.read_bytes()
    assert files(TlsTable(), tmp_path, "other", SystemClock()) == (certificate, key)
    assert certificate.read_bytes() == before


def test_binding_without_a_single_hash_is_none(tmp_path: Path) -> None:
    """RFC 5929 4.1: undefined for a signature without one hash function."""
    key = ed25519.Ed25519PrivateKey.generate()
    make(tmp_path)
    base = x509.load_pem_x509_certificate((tmp_path / "c.pem").read_bytes())
    builder = x509.CertificateBuilder(
        issuer_name=base.issuer, subject_name=base.subject, public_key=key.public_key(), serial_number=1
    )
    builder = builder.not_valid_before(base.not_valid_before_utc).not_valid_after(base.not_valid_after_utc)
    der = builder.sign(key, None).public_bytes(serialization.Encoding.DER)
    assert end_point_binding(der) is None


@pytest.mark.parametrize(("algorithm", "name"), [(hashes.SHA384(), "sha384"), (hashes.SHA512(), "sha512")])
def test_binding_uses_the_hash_of_the_signature(tmp_path: Path, algorithm: hashes.SHA384, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    make(tmp_path)
    base = x509.load_pem_x509_certificate((tmp_path / "c.pem").read_bytes())
    builder = x509.CertificateBuilder(
        issuer_name=base.issuer, subject_name=base.subject, public_key=key.public_key(), serial_number=1
    )
    builder = builder.not_valid_before(base.not_valid_before_utc).not_valid_after(base.not_valid_after_utc)
    der = builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)
    assert end_point_binding(der) == hashlib.new(name, der).digest()


def test_a_new_pair_is_taken_and_a_bad_one_is_not(tmp_path: Path) -> None:
    certificate, key = make(tmp_path)
    keeper = CertificateKeeper(certificate, key)
    first = keeper.current
    assert not keeper.refresh()
    make(tmp_path, "new.example.org")
    assert keeper.refresh()
    second = keeper.current
    assert second.binding != first.binding
    certificate.write_text("nothing")
    with pytest.raises(TlsRefusal):
        keeper.refresh()
    assert keeper.current is second
    assert not keeper.refresh()  # not tried again before the next change


def test_a_key_that_does_not_belong(tmp_path: Path) -> None:
    certificate, _ = make(tmp_path)
    (tmp_path / "other").mkdir()
    _, key = make(tmp_path / "other")
    with pytest.raises(TlsRefusal, match="belong together"):
        load(certificate, key)


@pytest.mark.parametrize(
    "text", ["\ufefffriendlyName: B\u00fccher\n".encode(), b"# caf\xe9\n"], ids=["utf-8", "latin-1"]
)
def test_text_around_a_certificate_is_passed_over(tmp_path: Path, text: bytes) -> None:
    certificate, key = make(tmp_path)
    binding = load(certificate, key).binding
    certificate.write_bytes(text + certificate.read_bytes())
    assert load(certificate, key).binding == binding


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(TlsRefusal, match=r"none\.pem"):
        load(tmp_path / "none.pem", tmp_path / "none.pem")


def test_a_reload_keeps_connections_and_serves_new_ones(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        old_context = server.client_context()
        old = server.connect("imaps")
        old.tls(old_context)
        assert old.line() == b"hello"
        binding = old.ask(b"BINDING")
        folder = tmp_path / "tls"
        make_self_signed(folder / "certificate.pem", folder / "key.pem", "localhost", SystemClock())
        server.server.worker.loop.call_soon_threadsafe(server.server.worker.reload)
        server.wait_log("certificate loaded")
        new = server.connect("imaps")
        new.tls(server.client_context())
        assert new.line() == b"hello"
        assert new.ask(b"BINDING") != binding
        assert old.ask(b"BINDING") == binding
        (folder / "key.pem").write_text("broken")
        server.server.worker.loop.call_soon_threadsafe(server.server.worker.reload)
        server.wait_log("certificate refused, the old one stays")
        assert new.ask(b"fine") == b"fine"
        later = server.connect("imaps")
        later.tls(server.client_context())
        assert later.line() == b"hello"


@pytest.mark.parametrize(
    ("days", "told"), [(-1, "certificate has expired"), (6, "certificate expires soon"), (8, None)]
)
def test_a_certificate_that_was_not_renewed_is_told(tmp_path: Path, days: int, told: str | None) -> None:
    folder, now = tmp_path / "tls", SystemClock().now()
    made = ManualClock(now + (days + 2 - VALID_DAYS) * 86_400)
    make_self_signed(folder / "certificate.pem", folder / "key.pem", "localhost", made)
    with running(tmp_path) as server:
        if told is None:
            server.connect("imap").line()
            assert "certificate " not in server.log.getvalue()
        else:
            server.wait_log(told)


# ClientHello -----------------------------------------------------------------------------------------


def hello(*offered: str) -> bytes:
    """A real client's first flight."""
    context = ssl.create_default_context()
    if offered:
        context.set_alpn_protocols(list(offered))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_a_hello_is_judged_when_whole() -> None:
    raw = hello("http/1.1", "pop3")
    for cut in range(len(raw)):
        assert check_hello(raw[:cut], b"imap") is Hello.INCOMPLETE
    assert check_hello(raw, b"imap") is Hello.FOREIGN
    assert check_hello(raw, b"pop3") is Hello.ACCEPTABLE
    assert check_hello(hello(), b"imap") is Hello.ACCEPTABLE
    assert check_hello(raw, None) is Hello.FOREIGN


@given(st.binary(max_size=300))
def test_any_octets_are_judged(data: bytes) -> None:
    assert check_hello(b"\x16\x03\x01" + len(data).to_bytes(2, "big") + data, b"imap") in Hello


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_hello_with_one_octet_changed_is_judged(at: int, octet: int) -> None:
    raw = bytearray(HELLO)
    raw[at % len(raw)] = octet
    assert check_hello(bytes(raw), b"imap") in Hello


HELLO = hello("http/1.1", "imap")


def test_garbage_in_a_handshake_is_a_tls_failure(tmp_path: Path) -> None:
    certificate, key = make(tmp_path)
    context = load(certificate, key).context(Wire.IMAP)
    for data in (b"GET / HTTP/1.0\r\n\r\n", b"a1 LOGIN x y\r\n", b"\x80\x2e\x01\x03\x01" + bytes(41), os.urandom(64)):
        layer = TlsLayer(context, b"imap")
        try:
            assert layer.receive(data) == b""
        except TlsFailed:
            assert layer.ended
            assert layer.receive(b"more") == b""
