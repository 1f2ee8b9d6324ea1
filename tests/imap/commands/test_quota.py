"""Quotas over IMAP, as transcripts. RFC 9208. A is Ann, B is Bob, O the operator (all @example.org)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from restante.config.model import ImapTable
from restante.store.model import FlagMode
from restante.store.rights import parse_rights

from ..session.support import SIMPLE, World, run
from ..session.transcript import Transcript

LOGINS = {"A": b"ann", "B": b"bob"}

CASES: dict[str, str] = {
    "rfc9208-4.1.1 getquota": """
        A> GETQUOTA ann@example.org
        A< * QUOTA ann@example.org (STORAGE 1 4 MESSAGE 2 4 MAILBOX 1 3)
        A< T OK ...
        A> GETQUOTA "ANN@example.org"
        A< * QUOTA ann@example.org (STORAGE 1 4 MESSAGE 2 4 MAILBOX 1 3)
        A< T OK ...
        B> GETQUOTA bob@example.org
        B< * QUOTA bob@example.org (MAILBOX 1 10000)
        B< T OK ...
        A> GETQUOTA bob@example.org
        A< T NO [NOPERM] There is no such quota root, or it is not yours to see.
        A> GETQUOTA "#user/x"
        A< T NO [NOPERM] There is no such quota root, or it is not yours to see.
    """,
    "rfc9208-4.1.2 getquotaroot": """
        A> GETQUOTAROOT inbox
        A< * QUOTAROOT INBOX ann@example.org
        A< * QUOTA ann@example.org (STORAGE 1 4 MESSAGE 2 4 MAILBOX 1 3)
        A< T OK ...
        A> GETQUOTAROOT "not there yet"
        A< * QUOTAROOT "not there yet" ann@example.org
        A< * QUOTA ann@example.org <any>
        A< T OK ...
    """,
    "rfc9208-4.1.3 setquota is not for everybody": """
        A> SETQUOTA ann@example.org (STORAGE 1000000)
        A< T NO [NOPERM] ...
        A> SETQUOTA ann@example.org (STORAGE x)
        A< T BAD ...
    """,
    "rfc9208-4.1.4 status": """
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> STORE 1 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> STATUS INBOX (MESSAGES DELETED DELETED-STORAGE SIZE)
        A< * STATUS INBOX (MESSAGES 2 DELETED 1 DELETED-STORAGE 91 SIZE 182)
        A< T OK ...
        A> LIST "" INBOX RETURN (STATUS (DELETED-STORAGE))
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * STATUS INBOX (DELETED-STORAGE 91)
        A< T OK ...
    """,
    "rfc9208-4.3.1 overquota": """
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> COPY 1:2 INBOX
        A< ...
        A< T OK [COPYUID <n> 1:2 3:4] ...
        A> COPY 1 INBOX
        A< T NO [OVERQUOTA] ...
        A> MOVE 1 INBOX
        A< ...
        A< T OK ...
        A> CREATE one
        A< T OK ...
        A> CREATE two
        A< T OK ...
        A> CREATE three
        A< T NO [OVERQUOTA] ...
        A> LIST "" three
        A< T OK ...
        A> DELETE two
        A< T OK ...
        A> CREATE three
        A< T OK ...
    """,
    "rfc9208-6 a shared mailbox's quota": """
        A> SETACL INBOX bob@example.org lri
        A< T OK ...
        B> GETQUOTAROOT "Other Users/ann@example.org/INBOX"
        B< * QUOTAROOT "Other Users/ann@example.org/INBOX" ann@example.org
        B< * QUOTA ann@example.org (STORAGE 1 4 MESSAGE 2 4 MAILBOX 1 3)
        B< T OK ...
        B> GETQUOTA ann@example.org
        B< * QUOTA ann@example.org <any>
        B< T OK ...
        B> SELECT INBOX
        B< ...
        B< T OK ...
        B> COPY 1:3 "Other Users/ann@example.org/INBOX"
        B< T NO [OVERQUOTA] ...
        B> MOVE 1:3 "Other Users/ann@example.org/INBOX"
        B< T NO [OVERQUOTA] ...
        B> COPY 1:2 "Other Users/ann@example.org/INBOX"
        B< T OK ...
        A> SETACL INBOX bob@example.org i
        A< T OK ...
        B> GETQUOTA ann@example.org
        B< T NO [NOPERM] ...
        B> GETQUOTAROOT "Other Users/ann@example.org/INBOX"
        B< T NO [NONEXISTENT] ...
    """,
}


async def people(world: World) -> None:
    await world.person("ann", quota_messages=4, quota_mailboxes=3)
    await world.engine.directory.update_account("id-ann", quota=3_500)
    await world.person("bob")
    await world.add(b"1", b"2", account="id-ann")
    await world.add(b"1", b"2", b"3", account="id-bob")


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await people(world)
        await Transcript(world, logins=LOGINS).play(CASES[name])

    run(scenario)


def test_rfc9208_4_1_3_setquota_by_whom_the_configuration_names() -> None:
    config = ImapTable(quota_admins=["Operator@Example.org"])

    async def scenario(world: World) -> None:
        await people(world)
        await world.person("operator")
        chief = await world.client(user=b"operator", config=config)
        ann = await world.client(user=b"ann", config=config)
        assert b" QUOTASET" in await chief.ok(b"CAPABILITY")
        assert b" QUOTASET" not in await ann.ok(b"CAPABILITY")
        assert b"NO [NOPERM]" in await ann.do(b"SETQUOTA ann@example.org (STORAGE 9)")
        got = await chief.ok(b"SETQUOTA ann@example.org (storage 510 MAILBOX 2)")
        assert b"* QUOTA ann@example.org (STORAGE 1 510 MAILBOX 1 2)\r\n" in got, "MESSAGE is lifted"
        assert got == await _as(ann, b"GETQUOTA ann@example.org", got)
        for refused in (b"(STORAGE 0)", b"(ANNOTATION-STORAGE 5)", b"(MESSAGE 9223372036854775807)"):
            assert b"T NO [CANNOT]" in await chief.do(b"SETQUOTA ann@example.org " + refused)
        assert b"NO [NOPERM]" in await chief.do(b"SETQUOTA nobody@example.org (STORAGE 1)")
        await ann.ok(b"CREATE one")
        assert b"NO [OVERQUOTA]" in await ann.do(b"CREATE two")
        await chief.ok(b"SETQUOTA ann@example.org ()")
        await ann.ok(b"CREATE two")
        assert (b"MAILBOX 3 10000") in await chief.ok(b"GETQUOTA ann@example.org")

    run(scenario)


def test_who_has_more_mailboxes_than_he_may_renames_them_all_the_same() -> None:
    """A limit that was set later: only what makes another mailbox passes it."""

    async def scenario(world: World) -> None:
        await people(world)
        ann = await world.client(b"CREATE one", b"CREATE two", user=b"ann")
        await world.engine.directory.update_account("id-ann", quota_mailboxes=2)
        await ann.ok(b"RENAME one three")
        await ann.ok(b"RENAME three two/three")
        assert b"NO [OVERQUOTA]" in await ann.do(b"RENAME two/three four/three")
        assert b"NO [OVERQUOTA]" in await ann.do(b"RENAME INBOX four")
        await ann.ok(b"STATUS two/three (MESSAGES)")

    run(scenario)


@pytest.mark.parametrize("written", ["chef@b\u00fccher.example", "Chef@XN--bcher-kva.example."])
def test_setquota_by_whom_the_configuration_names_in_another_way(written: str) -> None:
    config = ImapTable(quota_admins=["no address", written])

    async def scenario(world: World) -> None:
        await people(world)
        operator = await world.person("operator")
        world.authenticator.people[b"chef"] = replace(operator, address="chef@xn--bcher-kva.example")
        chief = await world.client(user=b"chef", config=config)
        assert b" QUOTASET" in await chief.ok(b"CAPABILITY")
        await chief.ok(b"SETQUOTA ann@example.org ()")

    run(scenario)


async def _as(client: object, command: bytes, got: bytes) -> bytes:
    """The client's answer, with the other command's tagged line."""
    answer: bytes = await client.ok(command)  # type: ignore[attr-defined]  # a Client
    return answer[: answer.rindex(b"T OK")] + got[got.rindex(b"T OK") :]


def test_rfc9208_4_3_1_append_over_quota() -> None:
    async def scenario(world: World) -> None:
        await people(world)
        ann = await world.client(user=b"ann")
        message = SIMPLE % (b"s", b"x" * 4_000)
        got = await ann.raw(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message), b"a")
        assert got.startswith(b"a NO [OVERQUOTA]")
        small = SIMPLE % (b"s", b"x")
        for _ in range(2):
            assert b"a OK" in await ann.raw(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(small), small), b"a")
        assert b"a NO [OVERQUOTA]" in await ann.raw(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(small), small), b"a")
        # somebody who may put mail here meets the owner's limits
        await world.engine.account("id-ann").set_acl(1, "id-bob", FlagMode.REPLACE, parse_rights("li"))
        bob = await world.client(user=b"bob")
        name = b'"Other Users/ann@example.org/INBOX"'
        got = await bob.raw(b"a APPEND %b {%d+}\r\n%b\r\n" % (name, len(small), small), b"a")
        assert got.startswith(b"a NO [OVERQUOTA]")

    run(scenario)
