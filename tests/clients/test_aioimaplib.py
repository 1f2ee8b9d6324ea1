"""aioimaplib: several mail readers on one loop, told of a delivery while they idle."""

from __future__ import annotations

import asyncio
import ssl

import aioimaplib
import pytest

from .support import PATIENCE, Reader, letter, subject

pytestmark = pytest.mark.client


async def connected(demo: Reader) -> aioimaplib.IMAP4_SSL:
    context = ssl.create_default_context(cafile=str(demo.server.certificate))
    server = demo.server
    client = aioimaplib.IMAP4_SSL(server.host, server.imaps, ssl_context=context, timeout=PATIENCE)
    await client.wait_hello_from_server()
    assert (await client.login(demo.user, demo.password)).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    return client


async def told(client: aioimaplib.IMAP4_SSL, line: bytes) -> None:
    """Wait for this untagged line; the server may say other things first."""
    while line not in await asyncio.wait_for(client.wait_server_push(), PATIENCE):
        pass


def test_everybody_who_idles_hears_of_a_delivery(demo: Reader) -> None:
    before = len(demo.subjects())

    async def work() -> list[bytes]:
        clients = [await connected(demo) for _ in range(5)]
        idles = [await client.idle_start(timeout=PATIENCE * 2) for client in clients]
        await asyncio.to_thread(demo.deliver, letter("For everybody"))
        await asyncio.gather(*(told(client, b"%d EXISTS" % (before + 1)) for client in clients))
        found = []
        for client, idle in zip(clients, idles, strict=True):
            client.idle_done()
            assert (await asyncio.wait_for(idle, PATIENCE)).result == "OK"
            answer = await client.fetch(str(before + 1), "(BODY.PEEK[])")
            found.append(bytes(answer.lines[1]))
            await client.logout()
        return found

    messages = asyncio.run(work())
    assert [subject(data) for data in messages] == ["For everybody"] * 5
    assert demo.pop3_subjects()[-1] == "For everybody"


def test_an_idler_sees_the_flag_and_the_expunge_of_another(demo: Reader) -> None:
    async def work() -> None:
        idler, other = await connected(demo), await connected(demo)
        idle = await idler.idle_start(timeout=PATIENCE * 2)
        assert (await other.store("1", "+FLAGS.SILENT", r"(\Deleted)")).result == "OK"
        assert (await other.expunge()).result == "OK"
        await told(idler, b"1 EXPUNGE")
        idler.idle_done()
        await asyncio.wait_for(idle, PATIENCE)
        await idler.logout()
        await other.logout()

    before = demo.subjects()
    asyncio.run(work())
    assert demo.pop3_subjects() == before[1:]


def test_files_and_searches(demo: Reader) -> None:
    async def work() -> list[bytes]:
        client = await connected(demo)
        answer = await client.append(letter("Sent from a loop"), mailbox="Sent", flags=r"\Seen")
        assert answer.result == "OK", answer
        assert (await client.select("Sent")).result == "OK"
        (uids, *_) = (await client.uid_search("SUBJECT", '"from a loop"')).lines
        assert (await client.uid("move", uids.decode(), "INBOX")).result == "OK"
        await client.logout()
        return [bytes(uids)]

    assert asyncio.run(work())[0]
    assert demo.pop3_subjects()[-1] == "Sent from a loop"
    assert "Sent from a loop" not in demo.subjects("Sent")
