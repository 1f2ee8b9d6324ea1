"""One connection to a submission server: what goes over it, and what is learnt of each recipient."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from restante.clock import ManualClock, SystemClock, system_random
from restante.errors import Refusal
from restante.server.tls import make_self_signed
from restante.smtp.grammar.commands import Body
from restante.sync.config import Server
from restante.sync.outbox.login import LoginRefused
from restante.sync.outbox.submission import (
    BLOCK,
    Result,
    Submission,
    SubmissionRefused,
    SubmissionUnavailable,
    Uncertain,
)
from restante.sync.refused import LoginWaits, Refusals
from restante.sync.secrets import GivenSecret, Kind, Secret

from .sink import Sink

MESSAGE = b"From: anna@example.org\r\nSubject: dots\r\n\r\n.\r\n..two\r\nend"
ANNA = "anna@example.org"


async def nothing() -> None:
    pass


def client(sink: Sink, secret: Secret | None = None, tls: str = "none", certificate: Path | None = None) -> Submission:
    return Submission(
        Server("127.0.0.1" if tls == "none" else "localhost", sink.port, tls), ANNA, secret,
        certificate=certificate, random=system_random,
    )  # fmt: skip


def send(
    sink: Sink,
    message: bytes = MESSAGE,
    recipients: tuple[str, ...] = ("b@example.com",),
    sender: str = ANNA,
    before_end: Callable[[], Awaitable[None]] = nothing,
) -> Result:
    async def work() -> Result:
        async with sink:
            connection = client(sink)
            await connection.open()
            try:
                return await connection.send(sender, recipients, message, before_end)
            finally:
                await connection.close()

    return asyncio.run(work())


def test_a_message_arrives_octet_for_octet() -> None:
    sink = Sink()
    result = send(sink, recipients=("b@example.com", "c@example.com"))
    assert result.taken == ("b@example.com", "c@example.com")
    assert result.reply is not None
    assert result.reply.text == "250 2.0.0 taken"
    (taken,) = sink.taken
    assert taken.data == MESSAGE + b"\r\n"
    assert (taken.sender, taken.recipients) == (ANNA, ["b@example.com", "c@example.com"])
    assert taken.mail.size == len(MESSAGE)
    assert sink.lines[0] == b"EHLO [127.0.0.1]"
    assert sink.lines[-1] == b"QUIT"


def test_without_pipelining_nothing_is_sent_ahead() -> None:
    sink = Sink(offers=())  # it asserts so
    result = send(sink, recipients=("b@example.com", "c@example.com"))
    assert result.reply is not None
    assert result.reply.good
    assert sink.taken[0].mail.size is None


def test_many_recipients_go_in_groups() -> None:
    sink = Sink()
    everybody = tuple(f"n{number}@example.com" for number in range(250))
    assert send(sink, recipients=everybody).taken == everybody
    assert sink.taken[0].recipients == list(everybody)


def test_each_recipient_is_answered_by_itself() -> None:
    sink = Sink(refuse={"no@example.com": "550 5.1.1 nobody", "later@example.com": "451 4.2.0 wait"})
    result = send(sink, recipients=("no@example.com", "b@example.com", "later@example.com"))
    assert result.taken == ("b@example.com",)
    assert {each: reply.text for each, reply in result.refused.items()} == {
        "no@example.com": "550 5.1.1 nobody", "later@example.com": "451 4.2.0 wait",
    }  # fmt: skip
    assert sink.taken[0].recipients == ["b@example.com"]


def test_where_no_recipient_is_taken_no_data_go() -> None:
    sink = Sink(refuse={"b@example.com": "550 5.1.1 nobody"})
    result = send(sink)
    assert (result.taken, result.reply) == ((), None)
    assert b"DATA" not in sink.lines
    assert b"RSET" in sink.lines


@pytest.mark.parametrize("where", ["at_mail", "at_data", "at_end"])
def test_a_refused_message_is_refused_for_all(where: str) -> None:
    sink = Sink()
    setattr(sink, where, "554 5.7.1 no")
    result = send(sink)
    assert result.taken == ("b@example.com",)
    assert result.reply is not None
    assert result.reply.text == "554 5.7.1 no"
    assert sink.taken == []


CANNOT = [
    pytest.param(b"Subject: x\r\n\r\n" + b"x" * 100_000, ANNA, ("SIZE 1000",), "5.3.4", id="rfc1870-size"),
    pytest.param("Subject: x\r\n\r\nü".encode(), ANNA, ("SIZE 1000",), "5.6.3", id="rfc6152-8bit"),
    pytest.param("Subject: ü\r\n\r\nx".encode(), ANNA, ("8BITMIME",), "5.6.7", id="rfc6531-header"),
    pytest.param(MESSAGE, "ü@example.org", ("8BITMIME",), "5.6.7", id="rfc6531-address"),
]


@pytest.mark.parametrize(("message", "sender", "offers", "code"), CANNOT)
def test_what_the_server_does_not_offer_is_not_tried(
    message: bytes, sender: str, offers: tuple[str, ...], code: str
) -> None:
    sink = Sink(offers=offers)
    result = send(sink, message, sender=sender)
    assert result.reply is not None
    assert (result.reply.enhanced, result.reply.permanent) == (code, True)
    assert not any(line.startswith(b"MAIL") for line in sink.lines)


def test_what_it_offers_is_asked_for() -> None:
    sink = Sink()
    send(sink, "Subject: x\r\n\r\nü".encode())
    send(sink, "Subject: ü\r\n\r\nx".encode())
    send(sink, b"Subject: x\r\n\r\nx", ("ü@example.com",))
    send(sink)
    assert [(each.mail.body, each.mail.utf8) for each in sink.taken] == [
        (Body.EIGHT_BIT, False), (Body.EIGHT_BIT, True), (Body.EIGHT_BIT, True), (Body.SEVEN_BIT, False),
    ]  # fmt: skip


# Where it breaks off -----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["greeting", "mail", "data"])
def test_lost_before_the_end_nothing_was_sent(where: str) -> None:
    ends = []

    async def before_end() -> None:
        ends.append(1)

    message = MESSAGE + b"\r\n" + b"x" * 20_000_000 if where == "data" else MESSAGE
    with pytest.raises(SubmissionUnavailable):
        send(Sink(hang_up=where, offers=("PIPELINING",)), message, before_end=before_end)
    assert ends == []


@pytest.mark.parametrize(("where", "taken"), [("end", 1), ("lost-end", 0)])
def test_lost_after_the_end_nobody_can_know(where: str, taken: int) -> None:
    sink = Sink(hang_up=where)
    with pytest.raises(Uncertain):
        send(sink)
    assert len(sink.taken) == taken


def test_the_end_is_said_only_after_before_end() -> None:
    order: list[str] = []

    async def before_end() -> None:
        order.append("before")

    sink = Sink(before_end=lambda: order.append("end"))
    send(sink, before_end=before_end)
    assert order == ["before", "end"]


def test_what_before_end_raises_leaves_the_message_unsent() -> None:
    async def full() -> None:
        raise OSError("no space")

    sink = Sink()
    with pytest.raises(OSError, match="no space"):
        send(sink, before_end=full)
    assert sink.taken == []


def test_421_ends_the_connection() -> None:
    with pytest.raises(SubmissionUnavailable, match=r"421 4\.3\.2 going down"):
        send(Sink(at_mail="421 4.3.2 going down"))


def test_nobody_there() -> None:
    async def work() -> None:
        async with Sink() as sink:
            pass
        await client(sink).open()

    with pytest.raises(SubmissionUnavailable, match="cannot be reached"):
        asyncio.run(work())


def test_an_answer_that_makes_no_sense() -> None:
    async def work() -> None:
        async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(web, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await Submission(Server("127.0.0.1", port, "none"), ANNA, None, random=system_random).open()

    with pytest.raises(SubmissionUnavailable, match="makes no sense"):
        asyncio.run(work())


# Login -------------------------------------------------------------------------------------------------


def log_in(sink: Sink, secret: Secret, tls: str = "none", certificate: Path | None = None) -> None:
    async def work() -> None:
        async with sink:
            connection = client(sink, secret, tls, certificate)
            await connection.open()
            await connection.close()

    asyncio.run(work())


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_passwords(mechanism: str) -> None:
    log_in(Sink(mechanisms=(mechanism, "CRAM-MD5")), GivenSecret("secret words"))
    sink = Sink(mechanisms=(mechanism,))
    with pytest.raises(LoginRefused, match="not you"):
        log_in(sink, GivenSecret("wrong"))
    assert len([line for line in sink.lines if line.startswith(b"AUTH")]) == 1, "one attempt"


def test_the_strongest_mechanism_is_used() -> None:
    sink = Sink(mechanisms=("LOGIN", "PLAIN", "SCRAM-SHA-256"))
    log_in(sink, GivenSecret("secret words"))
    assert any(line.startswith(b"AUTH SCRAM-SHA-256 ") for line in sink.lines)
    assert not any(b"secret" in line for line in sink.lines)


def test_a_server_that_proves_nothing_is_left() -> None:
    with pytest.raises(LoginRefused, match="did not prove that it knows"):
        log_in(Sink(mechanisms=("SCRAM-SHA-256",), lie=True), GivenSecret("secret words"))


class Renewed:
    """A token that is stale until a fresh one is asked for."""

    kind = Kind.TOKEN

    def __init__(self) -> None:
        self.asked: list[bool] = []

    async def get(self, *, fresh: bool = False) -> str:
        self.asked.append(fresh)
        return "new" if fresh else "old"


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_refused_token_is_renewed_once(mechanism: str) -> None:
    secret = Renewed()
    log_in(Sink(mechanisms=("PLAIN", mechanism), token="new"), secret)
    assert secret.asked == [False, True]
    log_in(Sink(mechanisms=(mechanism,), token="old"), Renewed())
    with pytest.raises(LoginRefused):
        log_in(Sink(mechanisms=(mechanism,), token="another"), Renewed())


def test_a_refused_login_is_not_tried_again_at_once(tmp_path: Path) -> None:
    clock = ManualClock()

    def attempt(sink: Sink, secret: str) -> None:
        async def work() -> None:
            async with sink:
                refusals = Refusals(tmp_path / "send-login.json", "127.0.0.1 as anna", clock, system_random)
                server = Server("127.0.0.1", sink.port, "none")
                connection = Submission(server, ANNA, GivenSecret(secret), random=system_random, refusals=refusals)
                await connection.open()
                await connection.close()

        asyncio.run(work())

    with pytest.raises(LoginRefused):
        attempt(Sink(mechanisms=("PLAIN",)), "wrong")
    sink = Sink(mechanisms=("PLAIN",))
    with pytest.raises(LoginWaits, match="refused once"):
        attempt(sink, "wrong")
    assert not sink.lines
    attempt(Sink(mechanisms=("PLAIN",)), "secret words")
    assert not list(tmp_path.iterdir())


def test_no_mechanism_in_common() -> None:
    with pytest.raises(LoginRefused, match=r"by an access token \(it offers: PLAIN\)"):
        log_in(Sink(mechanisms=("PLAIN",)), Renewed())


# TLS ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    folder = tmp_path_factory.mktemp("tls")
    file, key = folder / "cert.pem", folder / "key.pem"
    make_self_signed(file, key, "localhost", SystemClock())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, key)
    return file, context


@pytest.mark.parametrize("implicit", [True, False])
def test_tls(certificate: tuple[Path, ssl.SSLContext], implicit: bool) -> None:
    file, context = certificate
    sink = Sink(tls=context, implicit=implicit, mechanisms=("PLAIN",))
    log_in(sink, GivenSecret("secret words"), "implicit" if implicit else "starttls", file)
    assert [line[:4] for line in sink.lines].count(b"EHLO") == (1 if implicit else 2)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_certificate_that_proves_nothing(certificate: tuple[Path, ssl.SSLContext], implicit: bool) -> None:
    sink = Sink(tls=certificate[1], implicit=implicit, mechanisms=("PLAIN",))
    with pytest.raises(SubmissionRefused, match="is not trusted"):
        log_in(sink, GivenSecret("secret words"), "implicit" if implicit else "starttls")
    assert not any(line.startswith(b"AUTH") for line in sink.lines)


def test_no_login_in_the_clear_where_starttls_was_wanted() -> None:
    sink = Sink(mechanisms=("PLAIN",))
    with pytest.raises(SubmissionRefused, match="offers no TLS"):
        log_in(sink, GivenSecret("secret words"), "starttls")
    assert sink.lines == [b"EHLO [127.0.0.1]"]


def test_what_comes_behind_a_long_answer_to_starttls_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody in between fills one read to its last octet, and puts behind it what would be read under TLS."""
    before = b"220 sink\r\n" + b"250-sink\r\n250 STARTTLS\r\n"
    line, last = b"220-" + b"x" * 994 + b"\r\n", b"220 go\r\n"
    lines, rest = divmod(BLOCK - len(before) - len(last), len(line))
    filled = before + line * (lines - 1) + b"220-" + b"y" * (len(line) + rest - 6) + b"\r\n" + last
    assert len(filled) == BLOCK

    class Between:
        """Where what is written goes."""

        transport = SimpleNamespace(abort=lambda: None)

        def write(self, data: bytes) -> None: ...

        def get_extra_info(self, what: str) -> tuple[str, int]:
            return ("127.0.0.1", 1)

        async def start_tls(self, *_: object, **__: object) -> None:
            pytest.fail("TLS began over what nobody has seen")

    async def connected(*_: object, **__: object) -> tuple[asyncio.StreamReader, Between]:
        reader = asyncio.StreamReader()
        reader.feed_data(filled + b"250-forged\r\n250 AUTH PLAIN\r\n")
        return reader, Between()

    async def work() -> None:
        await Submission(Server("localhost", 1, "starttls"), ANNA, None, random=system_random).open()

    monkeypatch.setattr(asyncio, "open_connection", connected)
    with pytest.raises(SubmissionRefused, match="between STARTTLS and TLS"):
        asyncio.run(work())


def test_what_comes_between_starttls_and_tls_ends_it(certificate: tuple[Path, ssl.SSLContext]) -> None:
    sink = Sink(tls=certificate[1], mechanisms=("PLAIN",), injected=b"250 forged\r\n")
    with pytest.raises(Refusal):
        log_in(sink, GivenSecret("secret words"), "starttls", certificate[0])
    assert not any(line.startswith(b"AUTH") for line in sink.lines)
