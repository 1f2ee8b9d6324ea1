"""UNAUTHENTICATE leaves nothing of the one who was logged in. RFC 8437."""

from __future__ import annotations

import asyncio
import base64
import socket
from pathlib import Path

from restante.config.model import AuthTable, Config, ImapTable, LimitsTable
from restante.imap.session.session import ImapSession
from restante.imap.session.state import Dialect
from restante.testing.memory import MemoryConnection
from restante.testing.server import RestanteServer
from tests.server.support import Client

from ..session.support import SIMPLE, World, run

OF_THE_CONNECTION = {
    "_bad_in_a_row",
    "_out",
    "_since_wait",
    "_turn_began",
    "authenticator",
    "clock",
    "config",
    "connection",
    "engine",
    "gathered",
    "_handed_over",
    "hostname",
    "limits",
    "login_by",
    "progress",
    "places",
    "reader",
    "uid_command",
    "updates",
    "version",
    "waiting",
    "without_login",
}
"""What a session keeps that is nobody's: it may outlive a login."""


def fresh(session: ImapSession) -> ImapSession:
    return ImapSession(
        MemoryConnection(),
        session.engine,
        session.authenticator,
        ImapTable(),
        LimitsTable(),
        session.clock,
        version="1",
    )


def test_everything_a_login_leaves_behind_is_as_on_a_new_connection() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        client = await world.client(
            b"ENABLE IMAP4rev2 UTF8=ACCEPT CONDSTORE QRESYNC",
            b"SELECT INBOX",
            b"SEARCH RETURN (SAVE) ALL",
            b"STORE 1 +FLAGS ($x)",
            b"UNAUTHENTICATE",
        )
        session = client.session
        new = fresh(session)
        slots = {name for kind in ImapSession.__mro__ for name in getattr(kind, "__slots__", ())}
        assert {"account", "dialect", *OF_THE_CONNECTION} <= slots
        for name in slots - OF_THE_CONNECTION:
            kept, wanted = getattr(session, name), getattr(new, name)
            if isinstance(wanted, Dialect):
                for slot in Dialect.__slots__:
                    assert getattr(kept, slot) == getattr(wanted, slot), slot
            else:
                assert kept == wanted, name
        for name in ("utf8", "authenticated", "line_mode", "literal_plus"):
            assert getattr(session.reader, name) == getattr(new.reader, name), name
        assert client.connection.account is None
        assert b" AUTH=PLAIN" in await client.do(b"CAPABILITY")
        for command in (b"NOOP", b"LOGIN user pass", b"SELECT INBOX"):
            assert b"T OK" in await client.do(command)

    run(scenario)


def test_it_is_for_who_has_logged_in_and_takes_no_argument() -> None:
    async def scenario(world: World) -> None:
        client = world.connect()
        assert b"UNAUTHENTICATE" not in await client.greeting()
        assert b"T BAD" in await client.do(b"UNAUTHENTICATE")
        await client.ok(b"LOGIN user pass")
        assert b" UNAUTHENTICATE" in await client.do(b"CAPABILITY")
        assert b"T BAD" in await client.do(b"UNAUTHENTICATE now")
        await client.ok(b"UNAUTHENTICATE")
        for command in (b"UNAUTHENTICATE", b"SELECT INBOX", b'LIST "" *'):
            assert b"T BAD" in await client.do(command), command

    run(scenario)


def test_rfc8437_8_it_can_be_turned_off() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX", config=ImapTable(unauthenticate=False))
        got = await client.ok(b"CAPABILITY")
        assert b"UNAUTHENTICATE" not in got
        assert b" COMPRESS=DEFLATE " in got
        assert await client.do(b"UNAUTHENTICATE") == b"T BAD UNAUTHENTICATE is turned off here.\r\n"
        await client.ok(b"CHECK")  # and the mailbox is selected still

    run(scenario)


def test_no_change_of_the_old_account_is_told_any_more() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX", b"UNAUTHENTICATE")
        await world.add(b"one")
        await asyncio.sleep(0)
        assert await client.do(b"NOOP") == b"T OK NOOP completed.\r\n"

    run(scenario)


def test_a_saved_result_and_enabled_extensions_are_gone() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two")
        client = await world.client(b"ENABLE QRESYNC", b"SELECT INBOX", b"SEARCH RETURN (SAVE) ALL", b"UNAUTHENTICATE")
        await client.ok(b"LOGIN user pass")
        assert b"T BAD" in await client.do(b"SELECT INBOX (QRESYNC (1 1))")
        assert b"RECENT" in await client.do(b"SELECT INBOX")
        assert await client.do(b"FETCH $ UID") == b"T OK FETCH completed.\r\n"
        assert b"MODSEQ" not in await client.do(b"STORE 1 +FLAGS (\\Seen)")

    run(scenario)


def test_a_pipeline_goes_from_one_person_to_the_next(tmp_path: Path) -> None:
    """RFC 8437 3: UNAUTHENTICATE and AUTHENTICATE with an initial response in one round trip."""
    auth = AuthTable(argon2_memory=1 << 20, argon2_time=1)
    config = Config(auth=auth, limits=LimitsTable(connections_account=1, commands_before_login=10))
    with RestanteServer(tmp_path / "data", config) as server:
        for name in ("ann", "bob"):
            server.add_account(f"{name}@example.org", "secret")
            server.put(f"{name}@example.org", SIMPLE % (name.encode(), b"text"))
        client = Client(socket.create_connection((server.host, server.imap), 20))
        assert client.line()
        for turn in range(30):  # more than the commands allowed without login
            name = ("ann", "bob")[turn % 2]
            proof = base64.b64encode(f"\0{name}@example.org\0secret".encode())
            client.send(
                b"a AUTHENTICATE PLAIN %b\r\nb SELECT INBOX\r\nc FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]\r\n"
                b"d UNAUTHENTICATE\r\n" % proof
            )
            got = b""
            while b"\r\nd OK" not in got:
                got += b"\r\n" + client.line()
            assert b"\r\na OK" in got
            assert b"Subject: " + name.encode() in got
            assert b"EXPUNGE" not in got
        # Each account has one connection at most: those of before are not counted any more.
        other = Client(socket.create_connection((server.host, server.imap), 20))
        assert other.line()
        for name in ("ann", "bob"):
            assert other.ask(b"a LOGIN %b@example.org secret" % name.encode()).startswith(b"a OK")
            assert other.ask(b"b UNAUTHENTICATE").startswith(b"b OK")
