"""An account taken out and brought in again is the same account, as every protocol shows it.

Into a fresh installation, into a fresh account beside the old one, and into a fresh account once the old one is gone.
"""

from __future__ import annotations

import asyncio
import imaplib
import poplib
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.exchange.detect import open_source
from restante.exchange.export import export_mail
from restante.exchange.load import Report, import_mail
from restante.store.model import Identity
from restante.testing.server import RestanteServer

from .life import live
from .store import account, load, picture, put

PASSWORD = "correct horse"
WHOLE = "UID FLAGS INTERNALDATE RFC822.SIZE EMAILID THREADID ENVELOPE BODYSTRUCTURE BODY.PEEK[]"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32), st.integers(5, 60))
def test_any_life_is_the_same_after_export_and_import(seed: int, steps: int) -> None:
    async def work(folder: Path) -> None:
        async with account(folder / "one") as store:
            await live(store, random.Random(seed), steps)
            before = await picture(store)
            floors = {box.name: box.highest_modseq for box in await store.mailboxes()}
            await export_mail(store, folder / "out")
        async with account(folder / "two", later=1000) as store:
            report = await load(folder / "out", store)
            assert [each for each in report.skipped if each.lost] == []
            assert await picture(store) == before
            for box in await store.mailboxes():
                assert box.highest_modseq >= floors[box.name]
            assert [finding async for finding in store.doctor(False)] == []

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(work(Path(folder)))


@contextmanager
def served(data: Path, *addresses: str) -> Iterator[RestanteServer]:
    """A server with accounts that have INBOX alone."""
    with RestanteServer(data) as server:
        for address in addresses:
            add(server, address)
        yield server


def add(server: RestanteServer, address: str) -> None:
    async def work() -> None:
        domain = address.rpartition("@")[2]
        if await server.engine.directory.domain(domain) is None:
            await server.admin.add_domain(domain)
        await server.admin.add_account(address, PASSWORD, mailboxes=False)

    server.run(work)


def take_out(server: RestanteServer, address: str, dest: Path) -> None:
    async def work() -> None:
        await export_mail(server.engine.account((await server.admin.account(address)).id), dest)

    server.run(work)


def bring_in(server: RestanteServer, address: str, source: Path) -> Report:
    async def work() -> Report:
        id = (await server.admin.account(address)).id

        async def claim(mailbox: str, origin: str) -> bool:
            return await server.engine.directory.claim_mailbox_id(mailbox, id, origin)

        opened = open_source(source)
        try:
            return await import_mail(opened, server.engine.account(id), claim=claim)
        finally:
            opened.close()

    return server.run(work)


def lived_in(server: RestanteServer, address: str, seed: int) -> None:
    async def work() -> None:
        await live(server.engine.account((await server.admin.account(address)).id), random.Random(seed), 120)

    server.run(work)


def imap(server: RestanteServer, address: str) -> tuple[dict[str, str], dict[str, Any]]:
    """MAILBOXIDs by name, and everything else that IMAP shows."""
    client = imaplib.IMAP4(server.host, server.imap)
    client.login(address, PASSWORD)
    whole = f"({WHOLE} SAVEDATE)" if "SAVEDATE" in client.capabilities else f"({WHOLE})"
    ids: dict[str, str] = {}
    shown: dict[str, Any] = {
        "LIST": client._simple_command("LIST", '""', "*", "RETURN", "(SUBSCRIBED SPECIAL-USE)")[0],
        "names": sorted(client._untagged_response("OK", [None], "LIST")[1]),
        "LSUB": client.lsub()[1],
    }
    for line in shown["names"]:
        name = line.rpartition(b' "/" ')[2].decode()
        _, (status,) = client.status(name, "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT SIZE DELETED MAILBOXID)")
        head, _, rest = status.decode().partition("MAILBOXID (")
        ids[name], _, tail = rest.partition(")")
        assert client.select(name, readonly=True)[0] == "OK"
        shown[name] = (head, tail, client.uid("FETCH", "1:*", whole)[1])
    client.logout()
    return ids, shown


def pop3(server: RestanteServer, address: str) -> object:
    client = poplib.POP3(server.host, server.pop3)
    client.user(address)
    client.pass_(PASSWORD)
    shown = [client.stat(), client.list()[1], client.uidl()[1]]
    shown += [client.top(number, 0)[1] for number in range(1, client.stat()[0] + 1)]
    client.quit()
    return shown


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_protocol_shows_the_same_account(tmp_path: Path, seed: int) -> None:
    ann, bob, cy = "ann@whole.example", "bob@whole.example", "cy@whole.example"
    out = tmp_path / "out"
    with served(tmp_path / "one", ann) as server:
        lived_in(server, ann, seed)
        ids, shown = imap(server, ann)
        drop = pop3(server, ann)
        take_out(server, ann, out)

        add(server, bob)  # beside the old account, whose mailboxes live on under their ids
        server.clock.advance(1000)
        assert bring_in(server, bob, out).lost == 0
        new_ids, again = imap(server, bob)
        assert (again, pop3(server, bob)) == (shown, drop)
        assert not set(new_ids.values()) & set(ids.values()), "RFC 8474 4: never two mailboxes of one id"

        server.run(lambda: server.admin.remove_account(ann))
        add(server, cy)
        bring_in(server, cy, out)
        assert (imap(server, cy), pop3(server, cy)) == ((ids, shown), drop)
        add(server, ann)  # a second account cannot have what the first one took
        bring_in(server, ann, out)
        assert not set(imap(server, ann)[0].values()) & set(ids.values())

    with served(tmp_path / "two", ann) as server:
        server.clock.advance(5000)
        assert bring_in(server, ann, out).lost == 0
        assert (imap(server, ann), pop3(server, ann)) == ((ids, shown), drop)


def test_uidls_with_gaps_come_back_exactly(tmp_path: Path) -> None:
    async def work() -> None:
        async with account(tmp_path / "one") as store:
            await put(store, "INBOX", b"Subject: a\r\n\r\n1\r\n")
            await put(store, "INBOX", b"Subject: b\r\n\r\n2\r\n", identity=Identity(uidl="old"))
            inbox = (await store.mailboxes())[0].key
            for _ in range(3):
                await store.copy(inbox, ((1, 2),), inbox)
            await store.expunge(inbox, ((1, 3), (5, 6)), deleted_only=False)  # left: 4, 7, 8
            before = [(each.uid, each.uidl) for each in await store.maildrop()]
            assert [uidl.rpartition(".")[::2] for _, uidl in before][::2] == [("old", "1"), ("old", "3")]
            assert before[1][1].endswith(".3")
            await export_mail(store, tmp_path / "out")
        async with account(tmp_path / "two") as store:
            await load(tmp_path / "out", store)
            assert [(each.uid, each.uidl) for each in await store.maildrop()] == before
            inbox = (await store.mailboxes())[0].key
            await store.copy(inbox, ((4, 4),), inbox)
            assert (await store.maildrop())[-1].uidl == "old", "the smallest that is free"

    asyncio.run(work())


def test_special_use_moves_from_an_untouched_mailbox_and_not_from_one_in_use(tmp_path: Path) -> None:
    async def work() -> None:
        async with account(tmp_path / "one") as store:
            await store.create_mailbox("Gesendet", "\\Sent")
            await store.create_mailbox("Müll", "\\Trash")
            await put(store, "Gesendet", b"x")
            await export_mail(store, tmp_path / "out")
        async with account(tmp_path / "two") as store:
            await store.create_mailbox("Sent", "\\Sent")
            await store.create_mailbox("Trash", "\\Trash")
            await put(store, "Trash", b"x")
            report = await load(tmp_path / "out", store)
            roles = {box.name: box.role for box in await store.mailboxes()}
            assert roles == {"INBOX": None, "Gesendet": "\\Sent", "Müll": None, "Sent": None, "Trash": "\\Trash"}
            assert [each.lost for each in report.skipped] == [False]

    asyncio.run(work())


def test_mailbox_ids_are_not_taken_unless_they_are_claimed_nor_where_one_is_known(tmp_path: Path) -> None:
    async def work() -> None:
        async with account(tmp_path / "one") as store:
            await store.create_mailbox("A")
            ids = [box.id for box in await store.mailboxes()]
            await export_mail(store, tmp_path / "out")
        async with account(tmp_path / "two") as store:
            await load(tmp_path / "out", store, claim=None)
            assert not {box.id for box in await store.mailboxes()} & set(ids)
        async with account(tmp_path / "one") as store:  # the old account itself, after its mailbox was deleted
            (_, box) = await store.mailboxes()
            await store.delete_mailbox(box.key)
            await load(tmp_path / "out", store)
            again = [box.id for box in await store.mailboxes()]
            assert again[0] == ids[0]
            assert again[1] != ids[1], "clients know that that one is gone"

    asyncio.run(work())
