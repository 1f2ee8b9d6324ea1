"""LMTP sessions as transcripts, over a delivery that notes what it was given."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.config.model import LimitsTable
from restante.connection import ConnectionLost, ServerStopping
from restante.delivery.interface import DeliveryRefusal, Target, Trace
from restante.smtp.lmtp import LmtpSession
from restante.store.errors import Damaged
from restante.testing.memory import MemoryConnection


class NotingDelivery:
    """Knows pat, jones and ü at foo.edu; green is over quota; full fails at delivery."""

    def __init__(self) -> None:
        self.delivered: list[tuple[str, list[str], bytes, Trace]] = []
        self.sizes: list[int | None] = []

    async def resolve(self, address: str, size: int | None = None) -> tuple[Target, ...]:
        self.sizes.append(size)
        local = address.partition("@")[0]
        if local == "green":
            raise DeliveryRefusal(452, "4.2.2", "The mailbox is full.")
        if local not in ("pat", "jones", "full", "ü"):
            raise DeliveryRefusal(550, "5.1.1", "No such user here")
        return (Target(f"a-{local}", address, "INBOX", address),)

    async def deliver(
        self, sender: str, recipients: list[tuple[str, tuple[Target, ...]]], data: bytes, trace: Trace
    ) -> list[DeliveryRefusal | None]:
        self.delivered.append((sender, [address for address, _ in recipients], data, trace))
        full = DeliveryRefusal(452, "4.3.1", "No room.")
        return [full if address.startswith("full@") else None for address, _ in recipients]


def talk(
    *pieces: bytes, delivery: NotingDelivery | None = None, limits: LimitsTable | None = None, tls: bool = False
) -> tuple[list[bytes], MemoryConnection]:
    """(all replies, the connection). Each piece is fed when the session waits; the peer then closes."""

    async def play() -> tuple[list[bytes], MemoryConnection]:
        connection = MemoryConnection(tls_available=tls)
        session = LmtpSession(connection, delivery or NotingDelivery(), limits or LimitsTable(), "mx.foo.edu")
        task = asyncio.create_task(session.run())
        for piece in pieces:
            connection.feed(piece)
            for _ in range(30):
                with suppress(TimeoutError):
                    await asyncio.sleep(0)
        connection.feed_eof()
        await asyncio.wait_for(task, 10)
        return connection.take().split(b"\r\n")[:-1], connection

    return asyncio.run(play())


def codes(replies: list[bytes]) -> list[int]:
    return [int(r[:3]) for r in replies if r[3:4] == b" "]


HELLO = b"LHLO foo.edu\r\n"
BEGIN = HELLO + b"MAIL FROM:<chris@bar.com>\r\nRCPT TO:<pat@foo.edu>\r\n"


def test_rfc2033_4_2_example() -> None:
    delivery = NotingDelivery()
    replies, _ = talk(
        HELLO,
        b"MAIL FROM:<chris@bar.com>\r\n",
        b"RCPT TO:<pat@foo.edu>\r\nRCPT TO:<jones@foo.edu>\r\nRCPT TO:<green@foo.edu>\r\n",
        b"DATA\r\n",
        b"Blah blah blah...\r\n...etc. etc. etc.\r\n.\r\n",
        b"QUIT\r\n",
        delivery=delivery,
    )
    assert codes(replies) == [220, 250, 250, 250, 250, 452, 354, 250, 250, 221]
    sender, recipients, data, trace = delivery.delivered[0]
    assert (sender, recipients) == ("chris@bar.com", ["pat@foo.edu", "jones@foo.edu"])
    assert data == b"Blah blah blah...\r\n..etc. etc. etc.\r\n"
    assert trace == Trace("foo.edu", "127.0.0.1", "LMTP", "test1.1", "mx.foo.edu")


def test_each_accepted_recipient_is_answered_in_order_the_same_one_twice_too() -> None:
    delivery = NotingDelivery()
    replies, _ = talk(
        HELLO + b"MAIL FROM:<>\r\n"
        b"RCPT TO:<full@foo.edu>\r\nRCPT TO:<nobody@foo.edu>\r\nRCPT TO:<pat@foo.edu>\r\nRCPT TO:<full@foo.edu>\r\n"
        b"DATA\r\nx\r\n.\r\nNOOP\r\n",
        delivery=delivery,
    )
    assert codes(replies) == [220, 250, 250, 250, 550, 250, 250, 354, 452, 250, 452, 250]
    assert delivery.delivered[0][1] == ["full@foo.edu", "pat@foo.edu"]


def test_capabilities() -> None:
    replies, _ = talk(HELLO, tls=True)
    assert {r[4:] for r in replies[1:]} == {
        b"mx.foo.edu",
        b"PIPELINING",
        b"8BITMIME",
        b"SMTPUTF8",
        b"CHUNKING",
        b"ENHANCEDSTATUSCODES",
        b"SIZE %d" % LimitsTable().message,
        b"STARTTLS",
    }
    assert b"250 SIZE %d" % LimitsTable().message in talk(HELLO)[0]


STEPS = [
    pytest.param(b"HELO x\r\n", [500], id="rfc2033-4.1-helo"),
    pytest.param(b"EHLO x\r\n", [500], id="rfc2033-4.1-ehlo"),
    pytest.param(b"MAIL FROM:<a@b>\r\n", [503], id="mail-before-lhlo"),
    pytest.param(HELLO + b"RCPT TO:<pat@foo.edu>\r\n", [250, 503], id="rcpt-before-mail"),
    pytest.param(HELLO + b"DATA\r\n", [250, 503], id="data-before-mail"),
    pytest.param(HELLO + b"MAIL FROM:<a@b>\r\nDATA\r\n", [250, 250, 503], id="rfc2033-4.2-data-without-recipient"),
    pytest.param(
        HELLO + b"MAIL FROM:<a@b>\r\nRCPT TO:<no@foo.edu>\r\nDATA\r\nNOOP\r\n",
        [250, 250, 550, 503, 250],
        id="none-accepted",
    ),
    pytest.param(BEGIN + b"MAIL FROM:<a@b>\r\n", [250, 250, 250, 503], id="nested-mail"),
    pytest.param(BEGIN + b"RSET\r\nDATA\r\nMAIL FROM:<>\r\n", [250, 250, 250, 250, 503, 250], id="rset"),
    pytest.param(b"NOOP\r\nVRFY pat\r\nHELP\r\nEXPN x\r\nQUIT\r\nNOOP\r\n", [250, 252, 214, 500, 221], id="others"),
    pytest.param(HELLO + b"MAIL FROM:<a@b> SIZE=999999999999\r\n", [250, 552], id="rfc1870-6.1"),
    pytest.param(HELLO + b"MAIL FROM:<a@b>\nNOOP\r\n", [250, 500, 250], id="bare-lf"),
    pytest.param(
        "LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ü@foo.edu>\r\n".encode(), [250, 250, 553], id="rfc6531-no-smtputf8"
    ),
    pytest.param(
        "LHLO x\r\nMAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<ü@foo.edu>\r\n".encode(), [250, 250, 250], id="rfc6531-3.4"
    ),
    pytest.param(b"STARTTLS\r\n", [503], id="rfc3207-4-not-offered"),
]


@pytest.mark.parametrize(("script", "expected"), STEPS)
def test_step(script: bytes, expected: list[int]) -> None:
    assert codes(talk(script)[0])[1:] == expected


def test_announced_size_is_asked_for_room() -> None:
    delivery = NotingDelivery()
    talk(HELLO + b"MAIL FROM:<a@b> SIZE=77\r\nRCPT TO:<pat@foo.edu>\r\n", delivery=delivery)
    assert delivery.sizes == [77]


def test_pipelined_transaction_is_answered_in_few_writes() -> None:
    delivery = NotingDelivery()

    async def play() -> int:
        connection = MemoryConnection()
        writes = 0
        write = connection.write

        def counting(data: bytes) -> None:
            nonlocal writes
            writes += 1
            write(data)

        connection.write = counting  # type: ignore[method-assign]  # counts
        connection.feed(BEGIN + b"DATA\r\nmessage\r\n.\r\n" + BEGIN[len(HELLO) :] + b"DATA\r\nagain\r\n.\r\nQUIT\r\n")
        await LmtpSession(connection, delivery, LimitsTable(), "mx").run()
        return writes

    assert asyncio.run(play()) == 3  # the greeting, what was owed before the second message was filed, everything else
    assert [d[2] for d in delivery.delivered] == [b"message\r\n", b"again\r\n"]


@pytest.mark.parametrize("data", [b"DATA\r\nmessage\r\n.\r\n", b"BDAT 3 LAST\r\nabc"], ids=["DATA", "BDAT"])
def test_rfc5321_6_1_a_message_is_answered_before_the_next_one_is_filed(data: bytes) -> None:
    connection = MemoryConnection()

    class Looking(NotingDelivery):
        async def deliver(
            self, sender: str, recipients: list[tuple[str, tuple[Target, ...]]], data: bytes, trace: Trace
        ) -> list[DeliveryRefusal | None]:
            assert connection.written.count(b"2.1.5 Delivered") == len(self.delivered)
            return await super().deliver(sender, recipients, data, trace)

    delivery = Looking()
    connection.feed(HELLO + (BEGIN[len(HELLO) :] + data) * 3)
    connection.feed_eof()
    asyncio.run(LmtpSession(connection, delivery, LimitsTable(), "mx").run())
    assert len(delivery.delivered) == 3


def test_a_fault_of_ours_is_told_with_what_is_owed_from_before() -> None:
    """Whoever does not hear that his first message was filed sends it again."""

    class Failing(NotingDelivery):
        async def resolve(self, address: str, size: int | None = None) -> tuple[Target, ...]:
            if self.delivered:
                raise MemoryError
            return await super().resolve(address, size)

    connection = MemoryConnection()
    connection.feed(BEGIN + b"DATA\r\nmessage\r\n.\r\n" + BEGIN[len(HELLO) :])
    with pytest.raises(MemoryError):
        asyncio.run(LmtpSession(connection, Failing(), LimitsTable(), "mx").run())
    replies = connection.written.split(b"\r\n")[:-1]
    assert replies[-3:] == [
        b"250 2.1.5 Delivered.",
        b"250 2.1.0 Sender taken.",
        b"421 4.3.0 Internal error %b; it has been noted." % connection.id.encode(),
    ]


@pytest.mark.parametrize("gone", [False, True])
def test_the_answer_goes_out_before_its_line_in_the_log(gone: bool) -> None:
    """gone: the peer does not take it. It was filed all the same, so the line is written."""

    async def play() -> list[tuple[str, bool]]:
        connection = MemoryConnection()
        logged: list[tuple[str, bool]] = []

        async def lost() -> None:
            if b"2.1.5 Delivered" in connection.written:
                raise ConnectionLost

        def log(event: str, **_fields: object) -> None:
            logged.append((event, b"2.1.5 Delivered" in connection.written))

        connection.log = log  # type: ignore[method-assign]  # notes what was written before
        if gone:
            connection.drain = lost  # type: ignore[method-assign]  # as a peer that is gone
        connection.feed(BEGIN + b"DATA\r\nmessage\r\n.\r\n")
        connection.feed_eof()
        await LmtpSession(connection, NotingDelivery(), LimitsTable(), "mx").run()
        return logged

    assert asyncio.run(play())[0] == ("message", True)


def test_rfc3030_2_data_behind_bdat_is_told_why() -> None:
    replies, _ = talk(BEGIN + b"BDAT 2\r\nxxDATA\r\n")
    assert replies[-1] == b"503 5.5.1 The message has begun with BDAT."


# Line ends and smuggling -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n"])
def test_nothing_but_crlf_dot_crlf_ends_a_message(end: bytes) -> None:
    """CVE-2023-51764 to -51766."""
    smuggled = b"A: b\r\n\r\nx" + end + BEGIN[len(HELLO) :] + b"DATA\r\nevil\r\n"
    delivery = NotingDelivery()
    replies, _ = talk(BEGIN + b"DATA\r\n" + smuggled + b".\r\nQUIT\r\n", delivery=delivery)
    assert codes(replies) == [220, 250, 250, 250, 354, 250, 221]
    assert len(delivery.delivered) == 1


def test_transaction_split_at_each_octet() -> None:
    script = (
        BEGIN
        + b"DATA\r\nA: b\r\n\r\n..x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<jones@foo.edu>\r\n"
        + b"BDAT 3\r\nab\rBDAT 1 LAST\r\n\nQUIT\r\n"
    )
    whole = NotingDelivery()
    replies, _ = talk(script, delivery=whole)
    assert [d[2] for d in whole.delivered] == [b"A: b\r\n\r\n.x\r\n", b"ab\r\n"]
    for i in range(1, len(script)):
        delivery = NotingDelivery()
        assert talk(script[:i], script[i:], delivery=delivery)[0] == replies
        assert delivery.delivered == whole.delivered


def test_connection_lost_within_data_delivers_nothing() -> None:
    for script in (b"DATA\r\nA: b\r\n\r\nhalf a mess", b"BDAT 100 LAST\r\nhalf a mess"):
        delivery = NotingDelivery()
        talk(BEGIN + script, delivery=delivery)
        assert delivery.delivered == []


# BDAT ------------------------------------------------------------------------------------------------------------


def test_rfc3030_4_1_simple_chunking() -> None:
    message = b"To: Susan@random.com\r\nFrom: Sam@random.com\r\nSubject: This is a bodyless test message\r\n"
    delivery = NotingDelivery()
    replies, _ = talk(BEGIN + b"BDAT %d LAST\r\n" % len(message) + message + b"QUIT\r\n", delivery=delivery)
    assert codes(replies) == [220, 250, 250, 250, 250, 221]
    assert delivery.delivered[0][2] == message


def test_rfc3030_4_2_pipelined_chunks_and_a_reply_each_recipient() -> None:
    delivery = NotingDelivery()
    body = b"x\r\n.\r\n" * 10_000
    script = (
        BEGIN + b"RCPT TO:<full@foo.edu>\r\nBDAT %d\r\n" % len(body) + body + b"BDAT 5\r\nQUIT\nBDAT 0 LAST\r\nQUIT\r\n"
    )
    replies, _ = talk(script, delivery=delivery)
    assert codes(replies) == [220, 250, 250, 250, 250, 250, 250, 250, 452, 221]
    assert delivery.delivered[0][2] == body + b"QUIT\n"


CHUNKS = [
    pytest.param(HELLO + b"BDAT 5 LAST\r\nQUIT\nNOOP\r\n", [250, 503, 250], id="rfc2033-4.3-without-recipient"),
    pytest.param(
        BEGIN + b"BDAT 2\r\nxxDATA\r\nNOOP\r\n", [250, 250, 250, 250, 503, 250], id="rfc3030-2-data-after-bdat"
    ),
    pytest.param(BEGIN + b"BDAT 2\r\nxxRCPT TO:<jones@foo.edu>\r\n", [250, 250, 250, 250, 503], id="rcpt-after-bdat"),
    pytest.param(
        BEGIN + b"BDAT 2\r\nxxRSET\r\nBDAT 2 LAST\r\nxx", [250, 250, 250, 250, 250, 503], id="rset-after-bdat"
    ),
    pytest.param(
        BEGIN + b"RCPT TO:<jones@foo.edu>\r\nBDAT 2000\r\n" + b"x" * 2000 + b"BDAT 1 LAST\r\nxNOOP\r\n",
        [250, 250, 250, 250, 552, 552, 552, 250],
        id="too-large",
    ),
]


@pytest.mark.parametrize(("script", "expected"), CHUNKS)
def test_chunks(script: bytes, expected: list[int]) -> None:
    delivery = NotingDelivery()
    replies, _ = talk(script, delivery=delivery, limits=LimitsTable(message=1000))
    assert codes(replies)[1:] == expected
    assert delivery.delivered == []


# Bounds ----------------------------------------------------------------------------------------------------------


def test_too_large_message_is_swallowed_then_refused_for_each_recipient() -> None:
    delivery = NotingDelivery()
    data = (b"x" * 98 + b"\r\n") * 100
    replies, _ = talk(
        BEGIN + b"RCPT TO:<jones@foo.edu>\r\nDATA\r\n" + data,
        data + b"QUIT\r\n.\r\nNOOP\r\n",
        delivery=delivery,
        limits=LimitsTable(message=1000),
    )
    assert codes(replies)[5:] == [354, 552, 552, 250]
    assert replies[-2] == b"552 5.3.4 The message is larger than is taken here."
    assert delivery.delivered == []


def test_limit_counts_the_message_without_stuffing() -> None:
    delivery = NotingDelivery()
    body = b".\r\n" * 333 + b"x"
    wire = body.replace(b".", b"..") + b"\r\n"
    for limit, code in ((1002, 250), (1001, 552)):
        replies, _ = talk(BEGIN + b"DATA\r\n" + wire + b".\r\n", delivery=delivery, limits=LimitsTable(message=limit))
        assert codes(replies)[-1] == code


def test_recipients_are_bounded() -> None:
    script = HELLO + b"MAIL FROM:<>\r\n" + b"RCPT TO:<pat@foo.edu>\r\n" * 3 + b"DATA\r\nx\r\n.\r\n"
    assert codes(talk(script, limits=LimitsTable(recipients=2))[0])[2:] == [250, 250, 250, 452, 354, 250, 250]


def test_a_recipient_that_a_damaged_file_refuses_is_logged() -> None:
    class Failing(NotingDelivery):
        async def resolve(self, address: str, size: int | None = None) -> tuple[Target, ...]:
            raise DeliveryRefusal(451, "4.3.0", "Try again later.") from Damaged("The directory database is damaged.")

    replies, connection = talk(BEGIN, delivery=Failing())
    assert codes(replies)[-1] == 451
    assert [event for event, _ in connection.events] == ["recipient refused"]
    assert connection.events[0][1]["cause"] == "The directory database is damaged."


def test_errors_in_a_row_are_bounded() -> None:
    replies, connection = talk(b"X\r\n" * 50, limits=LimitsTable(bad_commands=5))
    assert codes(replies) == [220, *[500] * 6, 421]
    assert connection.events == [("too many bad commands", {})]


def test_starttls_forgets_what_was_said_and_what_was_pipelined() -> None:
    delivery = NotingDelivery()
    replies, connection = talk(
        BEGIN + b"STARTTLS\r\nRSET\r\nNOOP\r\n",
        b"MAIL FROM:<>\r\n" + BEGIN,
        b"DATA\r\nx\r\n.\r\n",
        delivery=delivery,
        tls=True,
    )
    assert codes(replies) == [220, 250, 250, 250, 220, 503, 250, 250, 250, 354, 250]
    assert connection.started_tls == 1
    assert delivery.delivered[0][3].protocol == "LMTPS"


def test_silence_is_told() -> None:
    async def play() -> bytes:
        connection = MemoryConnection()
        await LmtpSession(connection, NotingDelivery(), LimitsTable(), "mx", idle_timeout=0.01).run()
        return connection.take()

    assert asyncio.run(play()).endswith(b"421 4.4.2 Nothing came for too long, closing.\r\n")


def test_stopping_server_says_so() -> None:
    class Stopping(MemoryConnection):
        async def read(self, timeout: float) -> bytes:
            raise ServerStopping

    async def play() -> bytes:
        connection = Stopping()
        await LmtpSession(connection, NotingDelivery(), LimitsTable(), "mx").run()
        return connection.take()

    assert asyncio.run(play()).endswith(b"421 4.3.2 The server is stopping.\r\n")


FRAGMENTS = [HELLO, BEGIN, b"DATA\r\n", b"BDAT 5\r\n", b"BDAT 3 LAST\r\n", b".\r\n", b"\r\n.\r\n", b"RSET\r\n"]
FRAGMENTS += [
    b"STARTTLS\r\n",
    b"RCPT TO:<full@foo.edu>\r\n",
    b"MAIL FROM:<>\r\n",
    b"QUIT\r\n",
    b"\n",
    b"\0",
    b"x" * 5000,
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(min_size=1, max_size=8), min_size=1, max_size=14), st.booleans())
def test_no_octets_raise_and_every_line_is_a_reply(pieces: list[bytes], tls: bool) -> None:
    replies, _ = talk(b"".join(pieces), tls=tls)
    assert replies[0].startswith(b"220 ")
    assert all(r[:3].isdigit() and r[3:4] in (b" ", b"-") for r in replies)
