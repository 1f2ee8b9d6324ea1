"""Getting in: TLS before anything else, the best mechanism, one more secret after a refusal."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from restante.config.model import Config
from restante.sync.remote import RemoteAddress, RemoteSide, Secret, Settings
from restante.sync.remote.errors import CertificateRefused, LoginRefused, Lost
from restante.sync.side import SideUnavailable
from restante.testing.server import CHEAP_ARGON2, RestanteServer

from .remote_script import Bare, Script, Session
from .remote_support import PASSWORD, restante, secret


class Login(Bare):
    """before: capabilities before login. Takes PLAIN, XOAUTH2, OAUTHBEARER and LOGIN with one secret."""

    def __init__(self, before: bytes, right: bytes = PASSWORD.encode()) -> None:
        super().__init__()
        self.before = before
        self.right = right
        self.tried: list[bytes] = []

    def do_capability(self, session: Session, rest: bytes) -> bytes:
        return b"* CAPABILITY IMAP4rev1 " + self.before + b"\r\n"

    def do_starttls(self, session: Session, rest: bytes) -> bytes:
        return b""

    def do_login(self, session: Session, rest: bytes) -> bytes:
        self.tried.append(b"LOGIN " + rest)
        return b"" if rest.endswith(self.right) else b"NO [AUTHENTICATIONFAILED] no"

    def do_authenticate(self, session: Session, rest: bytes) -> bytes:
        self.tried.append(rest.partition(b" ")[0])
        initial = b64decode(rest.partition(b" ")[2])
        return b"" if self.right in initial else b"NO [AUTHENTICATIONFAILED] no"


def go(
    reply: Bare,
    address: dict[str, object] | None = None,
    given: Secret = secret,
    context: ssl.SSLContext | None = None,
    greeting: bytes = b"* OK ready\r\n",
) -> list[bytes]:
    """Log in and list; all that the server heard."""

    async def run() -> list[bytes]:
        async with asyncio.timeout(30), Script(reply, greeting, context).running() as script:
            side = RemoteSide(script.address(**(address or {})), given, Settings(connections=1, connect=5.0))
            try:
                await side.open()
                await side.places()
            finally:
                await side.close()
            return script.log

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("before", "mechanism", "tried"),
    [
        (b"AUTH=PLAIN SASL-IR", "password", [b"PLAIN"]),
        (b"AUTH=PLAIN AUTH=XOAUTH2 SASL-IR LOGINDISABLED", "password", [b"PLAIN"]),
        (b"AUTH=LOGIN", "password", [b"LOGIN ann secret"]),
        (b"", "password", [b"LOGIN ann secret"]),
        (b"AUTH=PLAIN SASL-IR", "LOGIN", [b"LOGIN ann secret"]),
        (b"AUTH=XOAUTH2 SASL-IR", "token", [b"XOAUTH2"]),
        (b"AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR", "token", [b"OAUTHBEARER"]),
    ],
)
def test_the_best_way_that_is_offered(before: bytes, mechanism: str, tried: list[bytes]) -> None:
    reply = Login(before)
    go(reply, {"mechanism": mechanism})
    assert reply.tried == tried


@pytest.mark.parametrize(
    ("before", "mechanism"), [(b"LOGINDISABLED", "password"), (b"AUTH=PLAIN LOGINDISABLED", "token"), (b"", "CRAM-MD5")]
)
def test_without_a_way_nothing_is_tried(before: bytes, mechanism: str) -> None:
    reply = Login(before)
    with pytest.raises(LoginRefused):
        go(reply, {"mechanism": mechanism})
    assert reply.tried == []


def test_a_secret_is_asked_for_once_more_and_not_again() -> None:
    asked: list[bool] = []

    def two(*, refused: bool = False) -> str:
        asked.append(refused)
        return "secret" if refused else "expired"

    go(Login(b""), given=two)
    assert asked == [False, True]

    async def never(*, refused: bool = False) -> str:
        asked.append(refused)
        return f"wrong{len(asked)}"

    reply = Login(b"")
    with pytest.raises(LoginRefused):
        go(reply, given=never)
    assert asked[2:] == [False, True]
    assert len(reply.tried) == 2
    same = Login(b"")
    with pytest.raises(LoginRefused):
        go(same, given=lambda *, refused=False: "always the same")
    assert len(same.tried) == 1


def test_a_strange_secret_travels_as_a_literal() -> None:
    right = 'pä"ss\\ '.encode()
    reply = Login(b"", right)
    go(reply, given=lambda *, refused=False: right.decode())
    assert reply.tried == [b"LOGIN ann {%d}\r\n%b" % (len(right), right)]


def test_xoauth2_hears_why_it_was_refused() -> None:
    class Challenged(Bare):
        def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
            if command.startswith(b"AUTHENTICATE"):
                self.tag = tag
                return b"+ " + b64encode(b'{"status":"401"}') + b"\r\n"
            if tag == b"" and not command:
                return self.tag + b" NO [AUTHENTICATIONFAILED] invalid token\r\n"
            return super().__call__(session, tag, command)

        offers = b" AUTH=XOAUTH2 SASL-IR"

    with pytest.raises(LoginRefused, match="invalid token"):
        go(Challenged(), {"mechanism": "token"})


@pytest.mark.parametrize("mechanism", ["PLAIN", "XOAUTH2", "OAUTHBEARER"])
def test_a_secret_that_would_end_a_value_early_is_not_sent(mechanism: str) -> None:
    reply = Login(b"AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR")
    with pytest.raises(LoginRefused, match="cannot carry"):
        go(reply, {"mechanism": mechanism}, given=lambda *, refused=False: "secret\0\x01")
    assert reply.tried == []


# TLS ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> RestanteServer:
    return RestanteServer(tmp_path_factory.mktemp("login"))


def certificate(server: RestanteServer) -> tuple[ssl.SSLContext, str]:
    """A server's context with a certificate for 127.0.0.1, and that certificate's file."""
    path = server.certificate
    (key,) = [each for each in path.parent.iterdir() if "key" in each.name]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    return context, str(path)


def test_starttls_comes_before_all_else_and_what_is_slipped_in_is_forgotten(server: RestanteServer) -> None:
    class Injecting(Login):
        def do_starttls(self, session: Session, rest: bytes) -> bytes:
            session.push(b"* CAPABILITY IMAP4rev1 LOGINDISABLED INJECTED\r\n")
            return b""

        def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
            answer = super().__call__(session, tag, command)
            if command == b"STARTTLS":
                assert answer is not None
                answer += b"* PREAUTH injected\r\na3 OK injected\r\n* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n"
            return answer

    with server:
        context, trusted = certificate(server)
        reply = Injecting(b"STARTTLS AUTH=PLAIN SASL-IR")
        log = go(reply, {"security": "starttls", "trusted": trusted}, context=context)
    assert log[:2] == [b"STARTTLS", b"CAPABILITY"]
    assert reply.tried == [b"PLAIN"]


@pytest.mark.parametrize(
    ("before", "greeting"),
    [
        (b"AUTH=PLAIN", b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n"),
        (b"STARTTLS", b"* PREAUTH you are in\r\n"),
        (b"STARTTLS", b"* BYE no\r\n"),
    ],
    ids=["not-offered", "preauth", "bye"],
)
def test_without_starttls_no_name_is_said(before: bytes, greeting: bytes) -> None:
    reply = Login(before)
    with pytest.raises(SideUnavailable):
        go(reply, {"security": "starttls"}, greeting=greeting)
    assert reply.tried == []


def test_a_strange_certificate_is_refused_before_a_name_is_said(server: RestanteServer) -> None:
    with server:
        server.add_account("ann@example.org", PASSWORD)
        address = restante(server, "ann@example.org")

        async def attempt(address: RemoteAddress) -> None:
            side = RemoteSide(address, secret)
            try:
                await side.open()
            finally:
                await side.close()

        with pytest.raises(CertificateRefused):
            asyncio.run(attempt(replace(address, trusted=None)))
        with pytest.raises(CertificateRefused):
            asyncio.run(attempt(replace(address, trusted=None, security="starttls", port=server.imap)))
        asyncio.run(attempt(replace(address, security="starttls", port=server.imap)))
        asyncio.run(attempt(address))


def test_in_the_clear_only_to_this_machine() -> None:
    side = RemoteSide(RemoteAddress("192.0.2.1", 143, "none", "ann"), secret)
    with pytest.raises(SideUnavailable, match="in the clear"):
        asyncio.run(side.open())


def test_no_imap_server() -> None:
    with pytest.raises(Lost, match="IMAP"):
        go(Bare(), greeting=b"220 smtp.example ESMTP\r\n")


@pytest.mark.parametrize("mechanism", ["password", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "PLAIN"])
def test_scram_and_its_channel_binding(tmp_path: Path, mechanism: str) -> None:
    config = msgspec.convert({"auth": CHEAP_ARGON2, "accounts": {"scram": True}}, Config)
    with RestanteServer(tmp_path / "data", config) as server:
        server.add_account("ann@example.org", PASSWORD)

        async def attempt(given: str) -> None:
            side = RemoteSide(
                replace(restante(server, "ann@example.org"), mechanism=mechanism), lambda *, refused=False: given
            )
            try:
                await side.open()
                assert (await side.places())[0].name == "INBOX"
            finally:
                await side.close()

        asyncio.run(attempt(PASSWORD))
        with pytest.raises(LoginRefused):
            asyncio.run(attempt("wrong"))


def test_a_certificate_without_a_binding_keeps_nobody_out(tmp_path: Path) -> None:
    """Servers that announce -PLUS on every TLS do so with an Ed25519 certificate, too."""
    key, now = ed25519.Ed25519PrivateKey.generate(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, None)
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "c.pem").write_bytes(made.public_bytes(pem))
    (tmp_path / "k.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    reply = Login(b"STARTTLS AUTH=SCRAM-SHA-256-PLUS AUTH=PLAIN SASL-IR")
    go(reply, {"security": "starttls", "trusted": str(tmp_path / "c.pem")}, context=context)
    assert reply.tried == [b"PLAIN"]


def test_a_server_that_cannot_prove_that_it_knows_the_password_gets_no_other_proof() -> None:
    class Pretender(Login):
        def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
            if command.startswith(b"AUTHENTICATE SCRAM-SHA-256"):
                self.tag = tag
                nonce = b64decode(command.rpartition(b" ")[2]).rpartition(b"r=")[2]
                return b"+ " + b64encode(b"r=" + nonce + b"x,s=c2FsdA==,i=4096") + b"\r\n"
            if not command and tag == b"*":
                return self.tag + b" BAD given up\r\n"
            if not command:
                return b"+ " + b64encode(b"v=" + b64encode(bytes(32))) + b"\r\n"
            return super().__call__(session, tag, command)

    reply = Pretender(b"AUTH=SCRAM-SHA-256 AUTH=PLAIN SASL-IR")
    with pytest.raises(LoginRefused, match="prove"):
        go(reply)
    assert reply.tried == []
