"""What an address means: accounts, aliases, plus-addressing, catch-all, quotas."""

from __future__ import annotations

import asyncio

import pytest

from restante.config.model import AccountsTable, DeliveryTable
from restante.delivery import DeliveryRefusal, StoreDelivery, Target
from restante.store.directory import Domain

from .fakes import FakeEngine


def house() -> FakeEngine:
    engine = FakeEngine()
    john = engine.add("john@example.org")
    john.boxes |= {"Work": [], "Lists/Python": [], "lists/rust": [], "v1.0": [], "Über": []}
    engine.add("mary@example.org")
    engine.add("gone@example.org", enabled=False)
    engine.alias("info@example.org", "john@example.org", "mary@example.org")
    engine.alias("sales@example.org", "info@example.org", "john@example.org", "nobody@example.org", "gone@example.org")
    engine.alias("work@example.org", "john+Work@example.org")
    engine.alias("loop@example.org", "pool@example.org")
    engine.alias("pool@example.org", "mary@example.org", "loop@example.org")
    engine.alias("dead@example.org", "nobody@example.org")
    engine.alias("broken@example.org", "not an address")
    return engine


def resolve(
    engine: FakeEngine,
    address: str,
    size: int | None = None,
    *,
    config: DeliveryTable | None = None,
    accounts: AccountsTable | None = None,
) -> tuple[Target, ...]:
    delivery = StoreDelivery(engine.typed, config or DeliveryTable(), accounts or AccountsTable())
    return asyncio.run(delivery.resolve(address, size))


def refusal(engine: FakeEngine, address: str, size: int | None = None, **tables: DeliveryTable) -> tuple[int, str]:
    with pytest.raises(DeliveryRefusal) as caught:
        resolve(engine, address, size, **tables)  # type: ignore[arg-type]  # one of the tables by name
    return caught.value.reply, caught.value.enhanced


FOUND = [
    ("john@example.org", {("a-john", "INBOX")}),
    ("John@EXAMPLE.org", {("a-john", "INBOX")}),
    ("john+Work@example.org", {("a-john", "Work")}),
    ("john+wOrK@example.org", {("a-john", "Work")}),
    ("john+über@example.org", {("a-john", "Über")}),
    ("john+Lists/Python@example.org", {("a-john", "Lists/Python")}),
    ("john+lists.python@example.org", {("a-john", "Lists/Python")}),
    ("john+LISTS.RUST@example.org", {("a-john", "lists/rust")}),
    ("john+v1.0@example.org", {("a-john", "v1.0")}),
    ("john+Nothing@example.org", {("a-john", "INBOX")}),
    ("john+@example.org", None),
    ("+Work@example.org", None),
    ("info@example.org", {("a-john", "INBOX"), ("a-mary", "INBOX")}),
    ("info+Work@example.org", {("a-john", "Work"), ("a-mary", "INBOX")}),
    ("work@example.org", {("a-john", "Work")}),
    ("sales@example.org", {("a-john", "INBOX"), ("a-mary", "INBOX")}),
    ("dead@example.org", None),
    ("broken@example.org", None),
    ("nobody@example.org", None),
    ("john@example.net", None),
]


@pytest.mark.parametrize(("address", "expected"), FOUND)
def test_address_leads_to(address: str, expected: set[tuple[str, str]] | None) -> None:
    if expected is None:
        assert refusal(house(), address) == (550, "5.1.1")
    else:
        targets = resolve(house(), address)
        assert {(t.account, t.mailbox) for t in targets} == expected
        assert len(targets) == len(expected)
        assert {t.original for t in targets} == {address}


@pytest.mark.parametrize(
    "address", ["", "john", "@example.org", "john@", "a b@example.org", "john@[192.0.2.1]", "a" * 70 + "@b.c"]
)
def test_bad_address(address: str) -> None:
    assert refusal(house(), address) == (550, "5.1.3")


@pytest.mark.parametrize("address", ["a\r\nX: y@example.org", "a\0@example.org", "\u2028@example.org"])
def test_address_with_controls_goes_nowhere(address: str) -> None:
    engine = house()
    engine.directory.known_domains["example.org"] = Domain("example.org", catch_all="mary@example.org")
    assert refusal(engine, address) == (553, "5.1.3")


def test_disabled_account() -> None:
    assert refusal(house(), "gone@example.org") == (550, "5.2.1")


def test_loops_and_depth_are_refused() -> None:
    engine = house()
    assert refusal(engine, "loop@example.org") == (554, "5.4.6")
    for n in range(20):
        engine.alias(f"d{n}@example.org", f"d{n + 1}@example.org")
    engine.alias("d20@example.org", "mary@example.org")
    assert refusal(engine, "d0@example.org") == (554, "5.4.6")
    assert len(resolve(engine, "d12@example.org")) == 1


def test_wide_aliases_are_bounded_and_each_address_is_looked_up_once() -> None:
    engine = house()
    for level in range(8):
        engine.alias(f"l{level}@example.org", *[f"l{level + 1}@example.org", f"m{level + 1}@example.org"] * 50)
        engine.alias(f"m{level}@example.org", *[f"l{level + 1}@example.org"] * 50)
    engine.alias("l8@example.org", "mary@example.org")
    assert len(resolve(engine, "l0@example.org")) == 1
    engine.alias("all@example.org", *[f"u{n}@example.org" for n in range(2000)])
    assert refusal(engine, "all@example.org") == (554, "5.4.6")


def test_catch_all_takes_unknown_names_of_its_domain_alone() -> None:
    engine = house()
    engine.directory.known_domains["example.org"] = Domain("example.org", catch_all="mary@example.org")
    assert [t.account for t in resolve(engine, "anybody@example.org")] == ["a-mary"]
    assert [t.mailbox for t in resolve(engine, "john+Work@example.org")] == ["Work"]
    assert refusal(engine, "gone@example.org") == (550, "5.2.1")
    assert refusal(engine, "anybody@example.net") == (550, "5.1.1")
    engine.directory.known_domains["example.org"] = Domain("example.org", catch_all="nobody@example.org")
    assert refusal(engine, "anybody@example.org") == (554, "5.4.6")


def test_separator_is_configured() -> None:
    assert refusal(house(), "john+Work@example.org", config=DeliveryTable(separator="")) == (550, "5.1.1")
    [target] = resolve(house(), "john-work@example.org", config=DeliveryTable(separator="-"))
    assert target.mailbox == "Work"


def test_postmaster_without_domain() -> None:
    engine = house()
    assert refusal(engine, "postmaster") == (550, "5.1.1")
    engine.alias("postmaster@example.org", "mary@example.org")
    assert [t.account for t in resolve(engine, "Postmaster")] == ["a-mary"]


def test_over_quota_is_refused_as_configured() -> None:
    engine = house()
    store = engine.add("small@example.org", quota=100)
    store.add(b"x" * 60)
    assert len(resolve(engine, "small@example.org", 40)) == 1
    assert refusal(engine, "small@example.org", 41) == (452, "4.2.2")
    assert refusal(engine, "small@example.org", 41, config=DeliveryTable(quota_temporary=False)) == (552, "5.2.2")
    store.add(b"x" * 40)
    assert refusal(engine, "small@example.org") == (452, "4.2.2")
    engine.alias("both@example.org", "mary@example.org", "small@example.org")
    assert refusal(engine, "both@example.org") == (452, "4.2.2")


def test_configured_quota_stands_for_accounts_without_one() -> None:
    engine = house()
    engine.account("a-mary").add(b"x" * 100)
    engine.add("free@example.org", quota=0).add(b"x" * 100)
    tables = AccountsTable(quota=50)
    with pytest.raises(DeliveryRefusal):
        resolve(engine, "mary@example.org", accounts=tables)
    assert len(resolve(engine, "free@example.org", accounts=tables)) == 1


def test_an_account_full_of_messages_takes_no_more() -> None:
    engine = house()
    store = engine.account("a-mary")
    tables = AccountsTable(quota_messages=2)
    store.add(b"x")
    assert len(resolve(engine, "mary@example.org", accounts=tables)) == 1
    store.add(b"x")
    with pytest.raises(DeliveryRefusal) as caught:
        resolve(engine, "mary@example.org", accounts=tables)
    assert (caught.value.reply, caught.value.enhanced) == (452, "4.2.2")
