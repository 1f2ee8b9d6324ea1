"""What goes over the wire when nothing has changed: at most two round trips, 1 kB and 20 octets a mailbox."""

from __future__ import annotations

import asyncio
import shutil
import time

import pytest

from restante.clock import ManualClock
from restante.sync.bucket import Bucket
from restante.sync.model import Message, Place
from restante.sync.remote import RemoteAddress, RemoteSide, Settings
from restante.testing.server import RestanteServer

from .remote_script import Bare, Script
from .remote_support import PASSWORD, dovecot, dovecot_home, needs_dovecot, restante, secret

MAILBOXES = 100
NAMES = [f"Projects/{word} {number}" for number, word in enumerate(["Garden", "Küche", "Invoices", "lists"] * 25)]
COMPRESSED = Settings(compress=True)


async def fill(address: RemoteAddress) -> list[Place]:
    side = RemoteSide(address, secret)
    await side.open()
    for name in NAMES:
        await side.create(name, None)
        await side.add(name, [Message(0, b"Subject: x\r\n\r\n", frozenset(), 1)] * (1 + len(name) % 7))
    places = await side.places()
    await side.close()
    return places


async def unchanged(address: RemoteAddress, known: list[Place]) -> tuple[int, int]:
    """Octets and round trips of a look at an account that is as it was, after login."""
    side = RemoteSide(address, secret, COMPRESSED, known=known)
    await side.open()
    sent, received, trips = side.traffic
    login = (await side.places(), side.traffic)[0]
    assert [(place.name, place.state, place.id) for place in login] == [(one.name, one.state, one.id) for one in known]
    assert all(place.state is not None for place in login if place.selectable)
    octets = side.traffic[0] + side.traffic[1] - sent - received
    trips = side.traffic[2] - trips
    await side.close()
    return octets, trips


def check(address: RemoteAddress) -> None:
    async def run() -> tuple[int, int, int]:
        known = await fill(address)
        return *await unchanged(address, known), len(known)

    octets, trips, mailboxes = asyncio.run(run())
    print(f"{octets} octets, {trips} round trips, {mailboxes} mailboxes")
    assert trips <= 1  # the other is COMPRESS, which `open` has done
    assert octets <= 1_000 + 20 * mailboxes


def test_restante(restante_server: RestanteServer) -> None:
    restante_server.add_account("ann@example.org", PASSWORD)
    check(restante(restante_server, "ann@example.org"))


@needs_dovecot
def test_dovecot() -> None:
    home = dovecot_home()
    try:
        check(dovecot(home))
    finally:
        shutil.rmtree(home)


def test_only_changed_mailboxes_are_asked_for_their_id(restante_server: RestanteServer) -> None:
    restante_server.add_account("ann@example.org", PASSWORD)
    address = restante(restante_server, "ann@example.org")

    async def run() -> None:
        side = RemoteSide(address, secret)
        await side.open()
        before = await side.places()
        await side.rename("Sent", "Gesendet")
        await side.create("Sent", None)
        await side.close()
        other = RemoteSide(address, secret, known=before)
        await other.open()
        after = {place.name: place for place in await other.places()}
        ids = {place.name: place.id for place in before}
        assert after["Gesendet"].id == ids["Sent"]
        assert after["Sent"].id not in (None, *ids.values())
        assert after["INBOX"].id == ids["INBOX"]
        await other.close()

    asyncio.run(run())


def test_compression_saves_most_of_a_download(restante_server: RestanteServer) -> None:
    restante_server.add_account("ann@example.org", PASSWORD)

    async def received(settings: Settings) -> int:
        side = RemoteSide(restante(restante_server, "ann@example.org"), secret, settings)
        await side.open()
        found = [one.data async for one in side.fetch("INBOX", (await side.changes("INBOX", None)).uids)]
        assert found == [b"Subject: x\r\n\r\n" + b"words and words\r\n" * 5_000]
        await side.close()
        return side.traffic[1]

    restante_server.put("ann@example.org", b"Subject: x\r\n\r\n" + b"words and words\r\n" * 5_000)
    assert asyncio.run(received(COMPRESSED)) < asyncio.run(received(Settings(compress=False))) / 10


# A cap on the rate -------------------------------------------------------------------------------------


def test_a_bucket_holds_to_its_rate() -> None:
    clock = ManualClock()
    bucket = Bucket(1_000, clock, burst=0.5)
    assert bucket.take(500) == 0.0
    assert bucket.take(100) == pytest.approx(0.1)
    clock.advance(0.1)
    assert bucket.take(0) == 0.0
    assert bucket.take(2_000) == pytest.approx(2.0)
    clock.advance(60.0)
    assert bucket.take(500) == 0.0
    assert bucket.take(1) > 0.0


def test_a_capped_side_is_slow_both_ways() -> None:
    bare = Bare()
    data = b"Subject: x\r\n\r\n" + b"x" * 60_000
    rate = 100_000

    async def run() -> float:
        async with asyncio.timeout(60), Script(bare).running() as script:
            side = RemoteSide(script.address(), secret, Settings(connections=1, rate=rate))
            await side.open()
            begun = time.monotonic()
            await side.add("INBOX", [Message(0, data, frozenset(), 1)])
            assert [one.data async for one in side.fetch("INBOX", [1])] == [data]
            await side.close()
            return time.monotonic() - begun

    assert asyncio.run(run()) >= (2 * len(data) - 0.5 * rate) / rate - 0.1
