"""RFC 9051's examples of STARTTLS, AUTHENTICATE and LOGIN, with all their answers; RFC 4959 (ids are their sections).

The capabilities that are announced, and the codes of refused logins, have their own tests (`test_session`,
`test_response_codes`). GSSAPI and EXTERNAL are no mechanisms of ours.
"""

from __future__ import annotations

import base64

from restante.accounts.login import Admitted, Peer, SaslExchange
from restante.config.model import ImapTable
from restante.sasl.scram import verifier
from restante.sasl.scram_server import ScramServer, State
from restante.testing.memory import MemoryConnection

from ..session.support import ACCOUNT, Authenticator, Client, World, run

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"


async def far(world: World) -> Client:
    """A client of another machine, which may not give a password away in clear text."""
    return world.connect(connection=MemoryConnection(loopback=False))


async def capabilities(client: Client, tag: bytes) -> list[bytes]:
    got = await client.raw(tag + b" CAPABILITY\r\n", tag)
    assert got.startswith(b"* CAPABILITY IMAP4rev1 IMAP4rev2 ")
    assert got.endswith(b"\r\n%b OK CAPABILITY completed.\r\n" % tag)
    return got.split(b"\r\n")[0].split()


def test_rfc9051_6_1_1_and_6_2_1_what_starttls_changes() -> None:
    async def scenario(world: World) -> None:
        client = await far(world)
        assert b" STARTTLS LOGINDISABLED]" in await client.greeting()
        before = await capabilities(client, b"a001")
        assert before[-2:] == [b"STARTTLS", b"LOGINDISABLED"]
        assert await client.raw(b"a002 STARTTLS\r\n", b"a002") == b"a002 OK Begin TLS negotiation now.\r\n"
        after = await capabilities(client, b"a003")
        assert after == [*before[:-2], b"AUTH=PLAIN"]
        proof = base64.b64encode(b"\0user\0pass")
        got = await client.raw(b"a004 AUTHENTICATE PLAIN %b\r\n" % proof, b"a004")
        assert got.startswith(b"a004 OK [CAPABILITY ")
        assert b"AUTH=PLAIN" not in got

    run(scenario)


def test_rfc9051_6_2_2_without_an_initial_response_a_space_follows_the_plus() -> None:
    async def scenario(world: World) -> None:
        client = world.connect()
        await client.greeting()
        assert await client.raw(b"A01 AUTHENTICATE PLAIN\r\n", b"A01") == b"+ \r\n"
        got = await client.raw(base64.b64encode(b"\0user\0pass") + b"\r\n", b"A01")
        assert got.startswith(b"A01 OK [CAPABILITY ")

    run(scenario)


def test_rfc9051_6_2_2_a_mechanism_that_is_none_of_ours_is_refused_by_no() -> None:
    async def scenario(world: World) -> None:
        client = world.connect()
        await client.greeting()
        for command in (b"AUTHENTICATE GSSAPI", b"AUTHENTICATE EXTERNAL ="):
            assert (await client.do(command)).startswith(b"T NO ")
        assert (await client.do(b"LOGIN user pass")).startswith(b"T OK ")

    run(scenario)


class Scram:
    """SCRAM-SHA-256 for "user", whose password is "pencil", with the nonce that is printed."""

    def __init__(self) -> None:
        self.server = ScramServer(plus=False, binding=None, nonce=NONCE)

    async def step(self, response: bytes | None) -> bytes | Admitted:
        if response is None:
            return b""
        if self.server.state is State.FIRST:
            assert self.server.first(response).user == "user"
            return self.server.challenge(SALT, 4096)
        if self.server.state is State.PROVED:
            assert response == b""
            return Admitted(ACCOUNT)
        return self.server.final(response, [verifier(b"pencil", SALT, 4096)])[1]


class WithScram(Authenticator):
    def mechanisms(self, peer: Peer) -> tuple[str, ...]:
        return ("SCRAM-SHA-256",)

    def start(self, mechanism: str, peer: Peer) -> SaslExchange:
        assert mechanism == "SCRAM-SHA-256"
        return Scram()


def test_rfc9051_8_scram_line_by_line() -> None:
    """The exchange that is printed, octet by octet; that its client's last line is empty ends it."""

    async def scenario(world: World) -> None:
        world.authenticator = WithScram()
        client = await far(world)
        assert await client.greeting() == (
            b"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 SASL-IR ENABLE ID LANGUAGE LITERAL- STARTTLS LOGINDISABLED"
            b" AUTH=SCRAM-SHA-256] Restante is ready.\r\n"
        )
        assert (await client.raw(b"a000 starttls\r\n", b"a000")).startswith(b"a000 OK ")
        for sent, answer in (
            (
                b"A001 AUTHENTICATE SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=",
                b"+ cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1VF"
                b"amI2Z1E9PSxpPTQwOTY=\r\n",
            ),
            (
                b"Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpV"
                b"aE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==",
                b"+ dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\r\n",
            ),
        ):
            assert await client.raw(sent + b"\r\n", b"A001") == answer
        assert (await client.raw(b"\r\n", b"A001")).startswith(b"A001 OK [CAPABILITY ")
        assert await client.raw(b"babc ENABLE IMAP4rev2\r\n", b"babc") == (
            b"* ENABLED IMAP4rev2\r\nbabc OK ENABLE completed.\r\n"
        )

    run(scenario)


def test_rfc9051_7_1_1_and_7_1_5_the_greeting_and_goodbye() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(config=ImapTable())
        assert (await client.greeting()).startswith(b"* OK [CAPABILITY ")
        assert await client.do(b"LOGOUT") == b"* BYE Logging out.\r\nT OK LOGOUT completed.\r\n"
        await client.task

    run(scenario)
