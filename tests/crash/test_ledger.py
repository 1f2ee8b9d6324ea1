"""The ledger itself: it accuses where a promise was broken, and only there."""

from __future__ import annotations

from .ledger import GONE, NOT_YET, Ledger

INBOX = [("INBOX", frozenset[str]())]


def test_a_delivery_under_way_may_be_there_or_not() -> None:
    for found in ({}, {"d1": INBOX}):
        ledger = Ledger()
        ledger.begin(["d1"], "INBOX")
        assert ledger.settle(found) == []


def test_an_acknowledged_delivery_must_be_there() -> None:
    ledger = Ledger()
    ledger.begin(["d1"], "INBOX")
    ledger.acknowledge(["d1"], NOT_YET)
    assert ledger.settle({}) == ["d1 is in (gone), promised ['INBOX']"]


def test_an_acknowledged_removal_must_not_come_back() -> None:
    ledger = Ledger()
    ledger.begin(["d1"], "INBOX")
    ledger.begin(["d1"], GONE)
    ledger.acknowledge(["d1"], "INBOX")
    ledger.acknowledge(["d1"], NOT_YET)
    assert ledger.settle({"d1": INBOX}) == ["d1 is in INBOX, promised ['(gone)']"]


def test_acknowledgements_may_come_in_any_order() -> None:
    ledger = Ledger()
    ledger.begin(["d1"], "INBOX")
    ledger.begin(["d1"], GONE)
    ledger.acknowledge(["d1"], "INBOX")
    ledger.acknowledge(["d1"], NOT_YET)
    assert ledger.settle({}) == []


def test_what_is_there_twice_or_comes_from_nowhere_is_told() -> None:
    ledger = Ledger()
    ledger.begin(["d1"], "INBOX")
    assert len(ledger.settle({"d1": INBOX * 2, "d2": INBOX})) == 2


def test_an_acknowledged_keyword_stays() -> None:
    ledger = Ledger()
    ledger.begin(["a1"], "A")
    ledger.begin_keyword(["a1"], "k1")
    ledger.acknowledge_keyword(["a1"], "k1")
    assert ledger.settle({"a1": [("A", frozenset())]}) == ["a1: k1 is False, promised {True}"]
