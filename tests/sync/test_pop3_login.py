"""Getting in: what is sent, in which order, and what a refusal means."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from restante.sasl.scram import verifier
from restante.sasl.scram_server import ScramServer
from restante.sync.pop3.connection import Pop3Connection
from restante.sync.pop3.errors import LoginRefused, LoginTooSoon, MaildropInUse, SourceRefused, SourceUnavailable
from restante.sync.pop3.login import log_in
from restante.sync.pop3.settings import Auth, Pop3Settings, Security
from restante.sync.side import SideUnavailable

SECRET = "tanstaaf"

Turn = tuple[str, str | Callable[[str], str]]


class Script:
    """A wire with a server that answers line by line. turns: what the client has to say ("" for anything), and the
    answer or what makes it of the line. said: what the client said."""

    def __init__(self, *turns: Turn, loopback: bool = False, secure: bool = False) -> None:
        self.turns = list(turns)
        self.loopback = loopback
        self.secure = secure
        self.said: list[str] = []
        self.out = b"+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n"

    def send(self, data: bytes) -> None:
        for line in data.decode().split("\r\n")[:-1]:
            self.said.append(line)
            expected, answer = self.turns.pop(0)
            assert not expected or line == expected
            said = answer if isinstance(answer, str) else answer(line)
            self.out += said.replace("\n", "\r\n").encode()

    async def receive(self) -> bytes:
        if not self.out:
            raise SourceUnavailable("gone")
        data, self.out = self.out, b""
        return data

    async def start_tls(self) -> None:
        self.said.append("(TLS)")
        self.secure = True

    async def close(self) -> None:
        pass


def capa(*names: str) -> tuple[str, str]:
    return "CAPA", "+OK\n" + "".join(f"{name}\n" for name in names) + ".\n"


OK = "+OK\n"


def settings(**options: object) -> Pop3Settings:
    async def secret(renew: bool) -> str:
        return "fresh" if renew else SECRET

    given: dict[str, object] = {"security": Security.TLS, **options}
    return Pop3Settings("pop.example.org", 995, "tim", secret, **given)  # type: ignore[arg-type] # each test names them


def enter(script: Script, **options: object) -> Pop3Connection:
    def chance(octets: int) -> bytes:
        return bytes(octets)

    found = asyncio.run(log_in(script, settings(**options), chance))
    assert script.turns == []
    return found


def plain(user: str = "tim", password: str = SECRET) -> str:
    return "AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def test_under_tls_plain_is_sent_at_once() -> None:
    caps = capa("SASL SCRAM-SHA-256 PLAIN", "USER", "UTF8")
    enter(Script(caps, ("UTF8", OK), (plain(), OK), caps, secure=True))


def test_user_and_pass_where_there_is_no_sasl() -> None:
    enter(Script(("CAPA", "-ERR\n"), ("USER tim", OK), ("PASS tanstaaf", OK), ("CAPA", "-ERR\n"), secure=True))


def test_stls_comes_before_credentials_and_forgets_what_was_said() -> None:
    script = Script(
        capa("STLS", "SASL X-WEAK"), ("STLS", OK + "+OK injected\n.\n"), capa("SASL PLAIN"), (plain(), OK), capa("TOP")
    )
    connection = enter(script, security=Security.STLS)
    assert script.said == ["CAPA", "STLS", "(TLS)", "CAPA", plain(), "CAPA"]
    assert set(connection.capabilities) == {"TOP"}


@pytest.mark.parametrize(
    "turns",
    [
        [capa("USER")],
        [capa("USER", "STLS"), ("STLS", "-ERR not now\n")],
        [("CAPA", "-ERR\n"), ("STLS", "-ERR\n")],
    ],
)
def test_without_tls_no_credentials_go_out(turns: list[tuple[str, str]]) -> None:
    script = Script(*turns)
    with pytest.raises(SourceRefused, match="no password was sent"):
        enter(script, security=Security.STLS)
    assert script.turns == []
    local = [*turns, ("USER tim", OK), ("PASS tanstaaf", OK), capa()]
    enter(Script(*local, loopback=True), security=Security.STLS)


def test_plain_text_has_to_be_asked_for_and_then_takes_what_shows_no_password() -> None:
    caps = capa("SASL PLAIN SCRAM-SHA-256")
    script = Script(caps, ("AUTH SCRAM-SHA-256 " + _first(), "-ERR no\n"))
    with pytest.raises(LoginRefused):
        enter(script, security=Security.NONE)
    caps = capa("SASL PLAIN")
    enter(Script(caps, (plain(), OK), caps), security=Security.NONE)


def _first() -> str:
    return base64.b64encode(b"n,,n=tim,r=" + base64.b64encode(bytes(24))).decode()


def scram(password: str, last: Callable[[bytes], str]) -> list[Turn]:
    """A server's whole exchange; last: its final turns, made of the server-final message."""
    server = ScramServer(plus=False, binding=None, nonce="servernonce")
    salt = b"salt" * 4

    def challenge(line: str) -> str:
        server.first(base64.b64decode(line.split(" ")[2]))
        return "+ " + base64.b64encode(server.challenge(salt, 4096)).decode() + "\n"

    def final(line: str) -> str:
        keys = verifier(password.encode(), salt, 4096)
        return last(server.final(base64.b64decode(line), [keys])[1])

    return [("AUTH SCRAM-SHA-256 " + _first(), challenge), ("", final)]


def challenged(message: bytes) -> str:
    return "+ " + base64.b64encode(message).decode() + "\n"


def test_scram_proves_both() -> None:
    caps = capa("SASL SCRAM-SHA-256 PLAIN")
    enter(Script(caps, *scram(SECRET, challenged), ("", OK), caps), security=Security.NONE)


def test_scram_believes_no_server_that_proves_nothing() -> None:
    caps = capa("SASL SCRAM-SHA-256")
    with pytest.raises(SourceRefused, match="did not prove"):
        enter(Script(caps, *scram(SECRET, lambda _: OK)), auth=Auth.SCRAM_SHA_256)
    false = [*scram(SECRET, lambda _: challenged(b"v=" + base64.b64encode(bytes(32)))), ("*", "-ERR cancelled\n")]
    script = Script(caps, *false)
    with pytest.raises(LoginRefused, match="did not prove"):
        enter(script, auth=Auth.SCRAM_SHA_256)
    assert script.turns == []
    weak: Turn = ("AUTH SCRAM-SHA-256 " + _first(), challenged(b"r=" + base64.b64encode(bytes(24)) + b"x,s=eA==,i=1"))
    with pytest.raises(LoginRefused, match="did not prove"):
        enter(Script(caps, weak, ("*", "-ERR\n")), auth=Auth.SCRAM_SHA_256)


def test_oauth_asks_for_a_fresh_token_once() -> None:
    caps = capa("SASL OAUTHBEARER XOAUTH2 PLAIN")

    def said(message: str) -> str:
        return base64.b64encode(message.encode()).decode()

    def xoauth2(token: str) -> str:
        return "AUTH XOAUTH2 " + said(f"user=tim\1auth=Bearer {token}\1\1")

    def bearer(token: str) -> str:
        return "AUTH OAUTHBEARER " + said(f"n,a=tim,\1host=pop.example.org\1port=995\1auth=Bearer {token}\1\1")

    why = challenged(b'{"status":"401"}')
    for auth, line, give_up in ((Auth.XOAUTH2, xoauth2, ""), (Auth.OAUTHBEARER, bearer, said("\1"))):
        enter(Script(caps, (line(SECRET), why), (give_up, "-ERR [AUTH] old\n"), (line("fresh"), OK), caps), auth=auth)
        refused = Script(caps, (line(SECRET), "-ERR [AUTH]\n"), (line("fresh"), "-ERR [AUTH]\n"))
        with pytest.raises(LoginRefused):
            enter(refused, auth=auth)
        assert refused.turns == []
        with pytest.raises(SourceUnavailable):
            enter(Script(caps, (line(SECRET), "-ERR [SYS/TEMP] later\n")), auth=auth)


@pytest.mark.parametrize(
    ("offered", "said"),
    [("OAUTHBEARER XOAUTH2", "XOAUTH2"), ("PLAIN XOAUTH2", "XOAUTH2"), ("OAUTHBEARER", "OAUTHBEARER"), ("", "XOAUTH2")],
)
def test_a_token_goes_as_the_server_takes_it(offered: str, said: str) -> None:
    caps = capa(f"SASL {offered}")
    script = Script(caps, ("", OK), caps)
    enter(script, auth=Auth.TOKEN)
    assert script.said[1].startswith(f"AUTH {said} ")


def test_a_long_token_waits_for_its_turn() -> None:
    async def secret(renew: bool) -> str:
        return "t" * 2000

    message = base64.b64encode(("user=tim\1auth=Bearer " + "t" * 2000 + "\1\1").encode()).decode()
    script = Script(capa(), ("AUTH XOAUTH2", "+ \n"), (message, OK), capa())
    given = replace(settings(auth=Auth.XOAUTH2), secret=secret)
    asyncio.run(log_in(script, given, bytes))
    assert script.turns == []


def test_a_server_that_never_stops_asking_is_left() -> None:
    script = Script(capa("SASL PLAIN"), (plain(), "+ \n"), *[("", "+ \n")] * 20, secure=True)
    with pytest.raises(SourceUnavailable, match="goes on asking"):
        enter(script)


def test_what_would_end_a_line_is_not_sent() -> None:
    async def secret(renew: bool) -> str:
        return "x\r\nDELE 1"

    script = Script(capa("USER"), secure=True)
    with pytest.raises(LoginRefused):
        asyncio.run(log_in(script, replace(settings(), secret=secret), bytes))
    assert script.said == ["CAPA"]


def test_other_characters_than_ascii_only_where_they_are_taken() -> None:
    async def secret(renew: bool) -> str:
        return "pässwort"

    with pytest.raises(LoginRefused, match="ASCII"):
        asyncio.run(log_in(Script(capa("USER"), secure=True), replace(settings(), secret=secret), bytes))
    caps = capa("USER", "UTF8 USER")
    script = Script(caps, ("UTF8", OK), ("USER tim", OK), ("PASS pässwort", OK), caps, secure=True)
    asyncio.run(log_in(script, replace(settings(), secret=secret), bytes))


REFUSALS = [
    ("-ERR [AUTH] wrong\n", LoginRefused, False),
    ("-ERR [IN-USE] open\n", MaildropInUse, True),
    ("-ERR [LOGIN-DELAY] wait\n", LoginTooSoon, True),
    ("-ERR [SYS/TEMP] disk\n", SourceUnavailable, True),
    ("-ERR [SYS/PERM/ACCOUNT] closed\n", SourceRefused, False),
    ("-ERR wrong password\n", LoginRefused, False),
    ("-ERR maildrop already locked\n", SourceUnavailable, True),
]


@pytest.mark.parametrize(("answer", "kind", "temporary"), REFUSALS)
def test_refusals_are_told_apart(answer: str, kind: type[SideUnavailable], temporary: bool) -> None:
    script = Script(capa("SASL PLAIN", "RESP-CODES", "LOGIN-DELAY 900 USER"), (plain(), answer), secure=True)
    with pytest.raises(kind) as failed:
        enter(script)
    assert failed.value.temporary is temporary
    assert isinstance(failed.value, SideUnavailable)
    if isinstance(failed.value, LoginTooSoon):
        assert failed.value.delay == 900


def test_who_says_auth_means_something_else_without_it() -> None:
    script = Script(capa("SASL PLAIN", "AUTH-RESP-CODE"), (plain(), "-ERR no\n"), secure=True)
    with pytest.raises(SourceUnavailable):
        enter(script)


def test_a_greeting_may_refuse() -> None:
    script = Script()
    script.out = b"-ERR [SYS/TEMP] too many connections\r\n"
    with pytest.raises(SourceUnavailable, match="too many connections"):
        enter(script)


def test_apop_is_sent_only_where_it_is_asked_for() -> None:
    caps = capa()
    enter(Script(caps, ("APOP tim " + _apop(), OK), caps, secure=True), auth=Auth.APOP)
    script = Script(caps)
    script.out = b"+OK no stamp\r\n"
    with pytest.raises(SourceRefused, match="APOP"):
        enter(script, auth=Auth.APOP)


def _apop() -> str:
    return hashlib.md5(b"<1896.697170952@dbc.mtview.ca.us>tanstaaf").hexdigest()


def test_nonsense_breaks_the_connection_for_good() -> None:
    script = Script(("CAPA", "HTTP/1.1 400 Bad Request\n"))
    with pytest.raises(SourceUnavailable, match="no POP3"):
        enter(script)
    script = Script(("CAPA", "+ \n"))
    with pytest.raises(SourceUnavailable, match="nobody asked"):
        enter(script)


@pytest.mark.parametrize("turns", range(6))
def test_a_connection_that_dies_at_any_line_is_one_to_try_again(turns: int) -> None:
    caps = capa("SASL PLAIN", "UTF8")
    script = Script(*[caps, ("UTF8", OK), (plain(), OK), caps][:turns], secure=True)
    if turns == 5:
        script.out = b""
    whole = turns == 4
    if not whole:
        script.turns.append(("", ""))
        with pytest.raises(SourceUnavailable):
            enter(script)
    else:
        enter(script)
