"""Filing: trace fields, digests, loops, faults, suppression; over the small store in memory."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from restante.clock import ManualClock, system_random
from restante.config.model import AccountsTable, DeliveryTable
from restante.delivery import DeliveryRefusal, StoreDelivery, Trace
from restante.delivery.trace import goes_in_circles, trace_header
from restante.mime.analyse import analyse
from restante.mime.model import Trait
from restante.store.directory import Account, AccountSettings, Domain
from restante.store.errors import Busy, DiskFull, OverQuota, StoreFailed
from restante.store.sqlite.engine import SqliteEngine

from .fakes import FakeEngine, failing

TRACE = Trace("foo.edu", "192.0.2.1", "LMTP", "c1.1", "mx.example.org")
MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"


def delivery_of(engine: FakeEngine, config: DeliveryTable | None = None) -> StoreDelivery:
    return StoreDelivery(engine.typed, config or DeliveryTable(), AccountsTable(), clock=engine.clock)


def deliver(
    delivery: StoreDelivery, *addresses: str, data: bytes = MESSAGE, sender: str = "chris@bar.com"
) -> list[str | None]:
    """Enhanced codes of the results, None for delivered."""

    async def work() -> list[DeliveryRefusal | None]:
        recipients = [(a, await delivery.resolve(a)) for a in addresses]
        return await delivery.deliver(sender, recipients, data, TRACE)

    return [None if r is None else r.enhanced for r in asyncio.run(work())]


def inbox(engine: FakeEngine, name: str) -> list[bytes]:
    return [k.data for k in engine.account(f"a-{name}").boxes["INBOX"]]


def people(*names: str) -> FakeEngine:
    engine = FakeEngine()
    for name in names:
        engine.add(f"{name}@example.org")
    return engine


def test_trace_fields_stand_before_the_octets_as_they_came() -> None:
    engine = people("john")
    assert deliver(delivery_of(engine), "john+Nothing@example.org") == [None]
    assert inbox(engine, "john") == [
        b"Return-Path: <chris@bar.com>\r\n"
        b"Delivered-To: john+Nothing@example.org\r\n"
        b"Received: from foo.edu ([192.0.2.1])\r\n\tby mx.example.org\r\n"
        b"\twith LMTP id c1.1\r\n"
        b"\tfor <john+Nothing@example.org>;\r\n"
        b"\tFri, 15 Jan 2027 08:00:00 +0000\r\n" + MESSAGE
    ]
    [kept] = engine.account("a-john").boxes["INBOX"]
    assert kept.message.received == int(engine.clock.now())
    assert kept.message.arrival == hashlib.sha256(MESSAGE).digest()
    assert kept.message.analysis.size == len(kept.data)
    assert kept.message.flags.wire == b""


def test_each_recipient_gets_a_copy_and_an_answer_of_its_own() -> None:
    engine = people("john", "mary", "paul")
    delivery = delivery_of(engine)
    with failing(engine.account("a-mary"), "append", DiskFull("full")):
        assert deliver(delivery, "john@example.org", "mary@example.org", "paul@example.org") == [None, "4.3.1", None]
    assert [len(inbox(engine, n)) for n in ("john", "mary", "paul")] == [1, 0, 1]
    assert b"mary" not in inbox(engine, "john")[0]


@pytest.mark.parametrize(
    ("method", "fault", "code"),
    [
        ("append", OverQuota("full"), "4.2.2"),
        ("append", DiskFull("full"), "4.3.1"),
        ("put", StoreFailed("I/O"), "4.3.0"),
        ("append", Busy("busy"), "4.3.0"),
        ("append", RuntimeError("a fault of ours"), "4.3.0"),
    ],
)
def test_fault_is_answered_and_the_next_try_works(method: str, fault: Exception, code: str) -> None:
    engine = people("john", "mary")
    delivery = delivery_of(engine)
    with failing(engine.account("a-john"), method, fault):
        assert deliver(delivery, "john@example.org", "mary@example.org") == [code, None]
    assert inbox(engine, "john") == []
    assert deliver(delivery, "john@example.org") == [None]


def test_message_in_bare_lf_becomes_crlf_and_mixed_ones_stay() -> None:
    engine = people("john")
    delivery = delivery_of(engine)
    for data in (b"A: b\n\nx\n", b"A: b\r\n\r\nx\ny\rz", b"A: b\r\n\r\n\0"):
        deliver(delivery, "john@example.org", data=data)
    kept = engine.account("a-john").boxes["INBOX"]
    assert kept[0].data.endswith(b"\r\nA: b\r\n\r\nx\r\n")
    assert kept[1].data.endswith(b"\r\nA: b\r\n\r\nx\ny\rz")
    assert kept[1].message.analysis.traits & Trait.BARE_LINE_END
    assert kept[2].data.endswith(b"\r\n\0")


def test_quota_holds_for_what_came_not_for_what_was_announced() -> None:
    engine = FakeEngine()
    engine.add("small@example.org", quota=1000)
    assert deliver(delivery_of(engine), "small@example.org", data=b"x" * 1000) == ["4.2.2"]
    config = DeliveryTable(quota_temporary=False)
    assert deliver(delivery_of(engine, config), "small@example.org", data=b"x" * 1000) == ["5.2.2"]
    assert inbox(engine, "small") == []


def test_alias_is_filed_wholly_or_refused_before_anything_is_filed() -> None:
    engine = people("john", "mary")
    engine.alias("info@example.org", "john@example.org", "mary@example.org")
    delivery = delivery_of(engine)

    async def work() -> list[DeliveryRefusal | None]:
        targets = await delivery.resolve("info@example.org")
        del engine.directory.known["mary@example.org"]  # removed between RCPT and the end of DATA
        return await delivery.deliver("", [("info@example.org", targets)], MESSAGE, TRACE)

    [result] = asyncio.run(work())
    assert result is not None
    assert result.enhanced == "5.1.1"
    assert inbox(engine, "john") == []


def test_folder_that_has_gone_since_rcpt_means_inbox() -> None:
    engine = people("john")
    store = engine.account("a-john")
    store.boxes["Work"] = []
    delivery = delivery_of(engine)

    async def work() -> None:
        targets = await delivery.resolve("john+Work@example.org")
        assert targets[0].mailbox == "Work"
        del store.boxes["Work"]
        assert await delivery.deliver("", [("john+Work@example.org", targets)], MESSAGE, TRACE) == [None]

    asyncio.run(work())
    assert len(inbox(engine, "john")) == 1


@pytest.mark.parametrize(("count", "codes"), [(100, [None]), (101, ["5.4.6"])])
def test_message_that_goes_round_in_circles_is_refused(count: int, codes: list[str | None]) -> None:
    engine = people("john")
    data = b"RECEIVED: from a\r\n\tby b\r\n" * count + b"\r\n" + b"Received: quoted\r\n" * 50
    assert deliver(delivery_of(engine), "john@example.org", data=data) == codes


# Suppression -------------------------------------------------------------------------------------------------------


def test_nothing_is_suppressed_unless_configured() -> None:
    engine = people("john")
    delivery = delivery_of(engine)
    for _ in range(3):
        assert deliver(delivery, "john@example.org") == [None]
    assert len(inbox(engine, "john")) == 3


def test_redelivery_of_the_same_octets_to_the_same_recipient_is_suppressed_and_listed() -> None:
    engine = people("john", "mary")
    engine.alias("info@example.org", "john@example.org")
    delivery = delivery_of(engine, DeliveryTable(suppress_duplicates=60))
    assert deliver(delivery, "john@example.org") == [None]
    assert deliver(delivery, "john@example.org") == [None]
    assert engine.directory.suppressed == [("a-john", int(engine.clock.now()), "m001")]
    assert deliver(delivery, "john@example.org", data=MESSAGE + b" ") == [None]  # other octets
    assert deliver(delivery, "info@example.org", "mary@example.org") == [None, None]  # other recipients
    assert len(inbox(engine, "john")) == 3
    engine.clock.advance(61)
    assert deliver(delivery, "john@example.org") == [None]
    assert len(inbox(engine, "john")) == 4
    assert len(engine.directory.suppressed) == 1


def test_a_redelivery_while_the_first_try_is_under_way_is_suppressed(tmp_path: Path) -> None:
    """Two tries have begun before either has filed."""

    async def work() -> None:
        engine = SqliteEngine(tmp_path, ManualClock(), system_random, reserve=0)
        await engine.directory.add_domain(Domain("example.org"))
        await engine.create_account("john")
        john = Account("john", "john@example.org", "example.org", True, None, AccountSettings(), False, 0, 1)
        await engine.directory.add_account(john)
        delivery = StoreDelivery(engine, DeliveryTable(suppress_duplicates=60), AccountsTable(), clock=engine.clock)
        recipients = [(john.address, await delivery.resolve(john.address))]
        tries = (delivery.deliver("chris@bar.com", recipients, MESSAGE, TRACE) for _ in range(4))
        assert await asyncio.gather(*tries) == [[None]] * 4
        assert (await engine.account("john").stats()).messages == 1
        assert len(await engine.directory.duplicates()) == 3
        await engine.close()

    asyncio.run(work())


# Trace fields ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sender", ["a\r\nEvil: x@b", "a\n@b", "a\0@b", "x" * 1000 + "@b", "a\u2028@b"])
def test_sender_that_would_add_a_field_is_refused(sender: str) -> None:
    engine = people("john")
    assert deliver(delivery_of(engine), "john@example.org", sender=sender) == ["5.1.7"]
    assert inbox(engine, "john") == []


@given(st.text(max_size=300), st.text(max_size=60), st.text(max_size=60))
def test_no_host_name_adds_a_field_or_a_long_line(helo: str, peer: str, id: str) -> None:
    header = trace_header("a@b", "c@d", Trace(helo, peer, "LMTP", id, "mx"), 0.0)
    lines = header.split(b"\r\n")
    assert lines.pop() == b""
    assert [line.partition(b":")[0] for line in lines if line[:1] != b"\t"] == [
        b"Return-Path",
        b"Delivered-To",
        b"Received",
    ]
    assert all(len(line) <= 998 and not re.search(rb"[\r\n\0]", line) for line in lines)
    assert header.isascii()


def test_null_sender_and_other_protocols() -> None:
    header = trace_header("", "c@d", Trace("x", "unix", "LMTPS", "i", "mx"), 0.0)
    assert header.startswith(b"Return-Path: <>\r\n")
    assert b"from x (local socket)\r\n\tby mx\r\n\twith LMTPS id i\r\n" in header
    assert b"([IPv6:2001:db8::1])" in trace_header("", "c@d", Trace("x", "2001:db8::1", "LMTP", "i", "mx"), 0.0)
    assert b"Received: by mx\r\n\tid i\r\n" in trace_header("", "c@d", Trace("", "unix", "local", "i", "mx"), 0.0)


def test_received_fields_are_counted_in_the_header_alone() -> None:
    assert not goes_in_circles(b"Received: a\r\n" * 100 + b"X-Received: c\nSubject: Received: d\n\nReceived: e\n")
    assert goes_in_circles(b"Received: a\r\n" * 100 + b"X: y\nreceived : b\n\n")
    assert not goes_in_circles(b"\r\n" + b"Received: a\r\n" * 200)
    assert goes_in_circles(b"Received: a\r\n" * 200_000)


# From a program on this machine ------------------------------------------------------------------------------------


def test_deliver_local_takes_off_the_separator_and_answers_each_address() -> None:
    engine = people("john")
    delivery = delivery_of(engine)
    data = b"From chris@bar.com Mon Nov 23 18:00:00 2026\n" + MESSAGE.replace(b"\r\n", b"\n")
    results = asyncio.run(
        delivery.deliver_local("chris@bar.com", ["john@example.org", "nobody@example.org"], data, by="mx", id="p1")
    )
    assert [None if r is None else r.enhanced for r in results] == [None, "5.1.1"]
    [kept] = inbox(engine, "john")
    assert kept.endswith(b"+0000\r\n" + MESSAGE)
    assert b"Received: by mx\r\n\tid p1\r\n" in kept


def test_deliver_local_gives_one_copy_to_an_address_that_is_named_twice() -> None:
    engine = people("john", "mary")
    names = ["john@example.org", "nobody@example.org", "john@example.org", "mary@example.org", "nobody@example.org"]
    results = asyncio.run(delivery_of(engine).deliver_local("", names, MESSAGE, by="mx", id="p1"))
    assert [None if r is None else r.enhanced for r in results] == [None, "5.1.1", None, None, "5.1.1"]
    assert (len(inbox(engine, "john")), len(inbox(engine, "mary"))) == (1, 1)


def test_recipients_that_differ_in_spelling_alone_get_one_copy() -> None:
    engine = people("john", "mary")
    store = engine.account("a-john")
    for name in ("A", "a"):
        store.boxes[name] = []
    spelled = ["john@example.org", "John@Example.ORG", "mary@example.org", '"john"@example.org', "john@example.org."]
    assert deliver(delivery_of(engine), *spelled) == [None] * len(spelled)
    assert (len(inbox(engine, "john")), len(inbox(engine, "mary"))) == (1, 1)
    assert b"Delivered-To: john@example.org\r\n" in inbox(engine, "john")[0]
    with failing(store, "append", DiskFull("full")):
        assert deliver(delivery_of(engine), *spelled[:3]) == ["4.3.1", "4.3.1", None]
    assert deliver(delivery_of(engine), "john+A@example.org", "john+a@example.org") == [None, None]
    assert [len(store.boxes[name]) for name in ("A", "a")] == [1, 1]


def test_deliver_local_keeps_a_from_field_with_a_space_before_its_colon() -> None:
    engine = people("john")
    data = b"From : chris@bar.com\nSubject: old\n\nx\n"
    asyncio.run(delivery_of(engine).deliver_local("", ["john@example.org"], data, by="mx", id="p1"))
    assert b"\r\nFrom : chris@bar.com\r\n" in inbox(engine, "john")[0]


def test_message_that_names_its_recipient_itself_is_not_suppressed_for_that() -> None:
    engine = people("john")
    engine.alias("info@example.org", "john@example.org")
    delivery = delivery_of(engine, DeliveryTable(suppress_duplicates=60))
    data = b"Delivered-To: john@example.org\r\n" + MESSAGE
    assert deliver(delivery, "info@example.org", data=data) == [None]
    assert deliver(delivery, "john@example.org", data=data) == [None]
    assert len(inbox(engine, "john")) == 2


def test_fault_of_ours_is_logged_without_the_message() -> None:
    engine = people("john")
    fault = RuntimeError("a fault of ours")
    with capture_logs() as logged, failing(engine.account("a-john"), "append", fault):
        assert deliver(delivery_of(engine), "john@example.org") == ["4.3.0"]
    (line,) = logged
    assert (line["event"], line["recipient"], line["fault"]) == ("delivery failed", "john@example.org", fault)
    assert "exc_info" not in line, "a renderer would show variables, and mail in them"


def test_a_large_message_goes_to_each_recipient_with_its_own_trace_fields() -> None:
    """Large ones are not joined with their trace fields in memory: analysed and filed as two pieces."""
    engine = people("john", "mary")
    data = b"Subject: hello\r\nTo: =?utf-8?q?=C3=BC?=\r\n\r\n" + b"0123456789abcdef\r\n" * 100_000
    assert deliver(delivery_of(engine), "john@example.org", "mary@example.org", data=data) == [None, None]
    for name in ("john", "mary"):
        (kept,) = engine.account(f"a-{name}").boxes["INBOX"]
        head = kept.data.removesuffix(data)
        assert head.startswith(b"Return-Path: <chris@bar.com>\r\nDelivered-To: %b@example.org\r\n" % name.encode())
        assert head + data == kept.data
        assert kept.message.arrival == hashlib.sha256(data).digest()
        assert kept.message.analysis == analyse(kept.data)
