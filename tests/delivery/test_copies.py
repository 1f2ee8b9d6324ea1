"""Several accounts behind one recipient: all get a message, each once, whatever fails between them; in memory."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from restante.config.model import DeliveryTable
from restante.delivery import DeliveryRefusal
from restante.delivery.copies import copies_of
from restante.delivery.interface import Target
from restante.store.errors import Busy, DiskFull, InUse, OverQuota, StoreFailed
from restante.store.sqlite.identity import is_id

from .fakes import FakeEngine, failing
from .test_deliver import MESSAGE, TRACE, deliver, delivery_of, inbox, people

INFO, NAMES = "info@example.org", ("john", "mary", "paul")


def team() -> FakeEngine:
    engine = people(*NAMES)
    engine.alias(INFO, *(f"{name}@example.org" for name in NAMES))
    return engine


def counts(engine: FakeEngine) -> list[int]:
    return [len(inbox(engine, name)) for name in NAMES]


@pytest.mark.parametrize("fault", [StoreFailed("I/O"), Busy("busy"), RuntimeError("a fault of ours")])
@pytest.mark.parametrize("at", NAMES)
def test_the_retry_gives_the_message_to_those_alone_who_lack_it(at: str, fault: Exception) -> None:
    engine = team()
    with failing(engine.account(f"a-{at}"), "append", fault):
        assert deliver(delivery_of(engine), INFO) == ["4.3.0"]
        assert deliver(delivery_of(engine), INFO) == ["4.3.0"]
    assert counts(engine) == [int(name != at) for name in NAMES], "one that fails keeps it from no other"
    assert deliver(delivery_of(engine), INFO) == [None]  # by a process that remembers nothing
    assert counts(engine) == [1, 1, 1]
    assert engine.directory.deliveries.rows == {}
    assert deliver(delivery_of(engine), INFO) == [None], "a later one is a message of its own"
    assert counts(engine) == [2, 2, 2]


def test_while_some_have_it_no_refusal_is_permanent() -> None:
    engine = team()
    config = DeliveryTable(quota_temporary=False)
    with failing(engine.account("a-mary"), "append", StoreFailed("I/O")):
        assert deliver(delivery_of(engine, config), INFO) == ["4.3.0"]
    with failing(engine.account("a-mary"), "append", OverQuota("full")):
        assert deliver(delivery_of(engine, config), INFO) == ["4.3.0"]
    engine.add("mary@example.org", quota=1)
    engine.account("a-mary").add(b"x")
    assert deliver(delivery_of(engine, config), INFO) == ["4.3.0"]
    assert counts(engine) == [1, 1, 1]
    engine.add("mary@example.org")
    assert deliver(delivery_of(engine, config), INFO) == [None]
    assert counts(engine) == [1, 2, 1]


def test_who_has_it_and_is_full_now_does_not_keep_it_from_the_others() -> None:
    engine = team()
    engine.add("john@example.org", quota=600)
    delivery = delivery_of(engine)
    with failing(engine.account("a-mary"), "append", StoreFailed("I/O")):
        assert deliver(delivery, INFO) == ["4.3.0"]
    engine.account("a-john").add(b"x" * 600)
    assert deliver(delivery, INFO) == [None]
    assert counts(engine) == [2, 1, 1]
    with pytest.raises(DeliveryRefusal, match="full"):
        asyncio.run(delivery.resolve(INFO))


def test_alias_that_leads_to_fewer_now_does_not_double() -> None:
    engine = team()
    with failing(engine.account("a-mary"), "append", StoreFailed("I/O")):
        assert deliver(delivery_of(engine), INFO) == ["4.3.0"]
    engine.alias(INFO, "john@example.org")
    assert deliver(delivery_of(engine), INFO) == [None]
    assert counts(engine) == [1, 0, 1]
    assert engine.directory.deliveries.rows == {}


def test_alias_that_leads_to_more_now_reaches_them() -> None:
    engine = people("john", "mary", "paul", "rita")
    engine.alias(INFO, "john@example.org", "mary@example.org")
    with failing(engine.account("a-mary"), "append", StoreFailed("I/O")):
        assert deliver(delivery_of(engine), INFO) == ["4.3.0"]
    engine.alias(INFO, "rita@example.org", "mary@example.org", "john@example.org")
    assert deliver(delivery_of(engine), INFO) == [None]
    assert counts(engine) == [1, 1, 0]
    assert len(inbox(engine, "rita")) == 1


def test_what_the_owner_removed_and_lost_for_good_does_not_come_back() -> None:
    engine = team()
    with failing(engine.account("a-paul"), "append", StoreFailed("I/O")):
        assert deliver(delivery_of(engine), INFO) == ["4.3.0"]
    engine.account("a-john").boxes["INBOX"].clear()  # retention over too: the account does not know it any more
    assert deliver(delivery_of(engine), INFO) == [None]
    assert counts(engine) == [0, 1, 1]


def test_renamed_folder_is_no_other_copy() -> None:
    engine = people("john", "mary")
    engine.account("a-john").boxes["Work"] = []
    engine.alias(INFO, "john+Work@example.org", "mary@example.org")
    with failing(engine.account("a-mary"), "append", StoreFailed("I/O")):
        assert deliver(delivery_of(engine), INFO) == ["4.3.0"]
    engine.account("a-john").boxes["Job"] = engine.account("a-john").boxes.pop("Work")
    assert deliver(delivery_of(engine), INFO) == [None]
    assert len(engine.account("a-john").boxes["Job"]) == 1
    assert inbox(engine, "john") == []


def test_one_account_alone_pays_nothing() -> None:
    engine = people("john")
    engine.alias(INFO, "john@example.org")
    assert deliver(delivery_of(engine), INFO, "john@example.org", "john+x@example.org") == [None] * 3
    assert engine.directory.deliveries.writes == []


def test_several_accounts_cost_two_writes_and_a_refusal_none() -> None:
    engine = team()
    assert deliver(delivery_of(engine), INFO) == [None]
    assert engine.directory.deliveries.writes == ["begin", "end"]
    engine.add("mary@example.org", quota=400)
    assert deliver(delivery_of(engine), INFO) == ["4.2.2"]
    assert engine.directory.deliveries.writes == ["begin", "end"]
    assert counts(engine) == [1, 1, 1]


@pytest.mark.parametrize("method", ["lock", "begin", "end"])
def test_journal_that_fails_is_a_temporary_refusal_and_doubles_nothing(method: str) -> None:
    engine = team()
    fault = InUse("by another process") if method == "lock" else DiskFull("no room")
    engine.directory.deliveries.fail[method] = fault
    assert deliver(delivery_of(engine), INFO) == ["4.3.0" if method == "lock" else "4.3.1"]
    engine.directory.deliveries.fail.clear()
    assert deliver(delivery_of(engine), INFO) == [None]
    assert counts(engine) == [1, 1, 1]


def test_end_that_is_said_to_fail_and_was_done_is_done() -> None:
    engine = team()
    journal = engine.directory.deliveries

    async def end(digest: bytes, recipient: str) -> None:
        journal.rows.clear()
        raise StoreFailed("behind the commit")

    journal.end = end  # type: ignore[method-assign]  # a fault that no flag of the stand-in has
    assert deliver(delivery_of(engine), INFO) == [None]
    assert counts(engine) == [1, 1, 1]


def test_every_fault_is_logged_though_one_is_answered() -> None:
    engine = team()
    fault = RuntimeError("a fault of ours")
    john, paul = engine.account("a-john"), engine.account("a-paul")
    with capture_logs() as logged, failing(john, "append", StoreFailed("I/O")), failing(paul, "append", fault):
        assert deliver(delivery_of(engine), INFO) == ["4.3.0"]
    told = [(line["account"], line.get("reason", line.get("fault"))) for line in logged if "account" in line]
    assert told == [("john@example.org", "STORE-FAILED"), ("paul@example.org", fault)]


def test_large_message_is_filed_for_one_after_the_other() -> None:
    engine = team()
    data = MESSAGE + b"0123456789abcdef\r\n" * 70_000
    with failing(engine.account("a-john"), "append", StoreFailed("I/O")):
        assert deliver(delivery_of(engine), INFO, data=data) == ["4.3.0"]
    assert counts(engine) == [0, 1, 1]
    assert deliver(delivery_of(engine), INFO, data=data) == [None]
    assert counts(engine) == [1, 1, 1]


def test_note_that_fails_is_no_harm() -> None:
    engine = team()
    engine.directory.deliveries.fail["note"] = DiskFull("no room")
    with failing(engine.account("a-mary"), "append", StoreFailed("I/O")):
        assert deliver(delivery_of(engine), INFO) == ["4.3.0"]
    assert deliver(delivery_of(engine), INFO) == [None]
    assert counts(engine) == [1, 1, 1]


def test_suppressed_copies_are_left_out_of_several() -> None:
    engine = team()
    delivery = delivery_of(engine, DeliveryTable(suppress_duplicates=60))
    with failing(engine.account("a-paul"), "append", StoreFailed("I/O")):
        assert deliver(delivery, INFO) == ["4.3.0"]
    assert deliver(delivery, INFO) == [None]
    assert engine.directory.suppressed == [], "the retry of a half-done one is no redelivery"
    assert deliver(delivery, INFO) == [None]
    assert counts(engine) == [1, 1, 1]
    assert len(engine.directory.suppressed) == 3


def test_identities_of_copies_differ_and_are_identities() -> None:
    def target(account: str, mailbox: str = "INBOX") -> Target:
        return Target(account, "x@example.org", mailbox, INFO)

    copies = copies_of([target("a"), target("b"), target("a", "Work")])
    assert [copy.name for copy in copies] == ["a.0", "b.0", "a.1"]
    ids = [copy.email_id(token) for copy in copies for token in (b"1" * 16, b"2" * 16)]
    assert len(set(ids)) == 6
    assert all(is_id("m", each) for each in ids)
    assert copies[0].email_id(b"1" * 16) == ids[0]


def test_message_is_the_same_for_all_of_them() -> None:
    engine = team()

    async def work() -> None:
        await delivery_of(engine).deliver("", [(INFO, await delivery_of(engine).resolve(INFO))], MESSAGE, TRACE)

    asyncio.run(work())
    assert len({*inbox(engine, "john"), *inbox(engine, "mary"), *inbox(engine, "paul")}) == 1
