"""Remembered proofs: right answers alone, for their time, in memory that does not grow."""

from __future__ import annotations

import multiprocessing
import tracemalloc
from pathlib import Path

import pytest

from restante.accounts.login import LoginRefused
from restante.accounts.proofs import _RECORD, ProofCache, ProofTable
from restante.clock import ManualClock, system_random

from .world import ANN, HERE, World, run


def cache(clock: ManualClock, most: int = 10_000, time: float = 3600.0) -> ProofCache:
    return ProofCache(clock, ProofTable(system_random, most), time)


def test_a_proof_is_found_with_all_that_it_depends_on_and_nothing_else() -> None:
    proofs = cache(ManualClock())
    proofs.keep("anna", 3, b"secret", 7)
    found = proofs.find("anna", 3, b"secret")
    assert found is not None
    assert found.number == 7
    for other in (("anna", 4, b"secret"), ("anna", 3, b"secres"), ("bert", 3, b"secret"), ("anna", 3, b"")):
        assert proofs.find(*other) is None


def test_a_proof_ends_after_its_time_however_often_it_is_used() -> None:
    clock = ManualClock()
    proofs = cache(clock, time=100.0)
    proofs.keep("anna", 1, b"x", 1)
    clock.advance(99.0)
    assert proofs.find("anna", 1, b"x") is not None
    clock.advance(1.0)
    assert proofs.find("anna", 1, b"x") is None
    proofs.keep("anna", 1, b"x", 2)
    found = proofs.find("anna", 1, b"x")
    assert found is not None
    assert found.number == 2


def test_ten_thousand_proofs_are_kept_and_of_more_those_used_last() -> None:
    clock = ManualClock()
    proofs = cache(clock)
    for number in range(10_000):
        clock.advance(0.001)
        proofs.keep(f"a{number}", 1, b"x", number)
    kept = sum(proofs.find(f"a{number}", 1, b"x") is not None for number in range(10_000))
    assert kept >= 9_950
    proofs.keep("a0", 1, b"x", 0)  # the oldest may be one of the few that are lost
    for number in range(10_000, 200_000):
        clock.advance(0.001)
        proofs.keep(f"a{number}", 1, b"x", number)
        if number % 100 == 0:
            assert proofs.find("a0", 1, b"x") is not None, "the one in use goes last"
    assert sum(proofs.find(f"a{number}", 1, b"x") is not None for number in range(100, 10_000)) < 100


def test_memory_is_the_same_for_none_and_for_many() -> None:
    proofs = cache(ManualClock())
    assert len(proofs._memory) < 1_000_000
    proofs.keep("a", 1, b"x", 0)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(3_000):
            proofs.keep(f"a{number}", 1, b"x", number)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 10_000


def test_a_cache_that_is_switched_off_keeps_nothing() -> None:
    for proofs in (cache(ManualClock(), most=0), cache(ManualClock(), time=0.0)):
        proofs.keep("anna", 1, b"x", 1)
        assert proofs.find("anna", 1, b"x") is None


def test_a_proof_is_found_where_a_record_begins() -> None:
    """The octets of its key may stand across others; there they are no proof, and hide none."""
    clock = ManualClock()
    proofs = cache(clock, most=1)
    key, records = proofs._key("anna", 1, b"x"), proofs._bucket(proofs._key("anna", 1, b"x"))
    first, second = records[0], records[1]
    proofs._memory[first + 16 : first + 32] = key
    assert proofs.find("anna", 1, b"x") is None
    until = clock.monotonic() + 10.0
    _RECORD.pack_into(proofs._memory, second, key, 7, until, proofs._check(key, 7, until), clock.monotonic())
    found = proofs.find("anna", 1, b"x")
    assert found is not None
    assert found.number == 7


def test_what_one_process_has_proved_those_forked_from_the_same_know() -> None:
    table = ProofTable(system_random, 100)
    clock = ManualClock()
    here = ProofCache(clock, table, 3600.0)
    other = multiprocessing.get_context("fork").Process(
        target=lambda: ProofCache(clock, table, 3600.0).keep("anna", 3, b"secret", 7)
    )
    other.start()
    other.join(60)
    assert other.exitcode == 0
    found = here.find("anna", 3, b"secret")
    assert found is not None
    assert found.number == 7
    assert here.find("anna", 4, b"secret") is None


def test_a_record_that_two_have_written_at_the_same_instant_proves_nothing_wrong() -> None:
    """Whatever part of it is whose: it tells of each what was proved, or nothing."""
    clock = ManualClock()
    proofs = cache(clock, most=1)  # one bucket
    where = slice(0, _RECORD.size)
    names = ("anna", "bert")
    records, right = [], {}
    for number, name in enumerate(names, 1):
        proofs._memory[where] = bytes(_RECORD.size)
        proofs.keep(name, 1, b"x", number * 0x0101010101010101)
        records.append(proofs._memory[where])
        right[name] = proofs.find(name, 1, b"x")
        clock.advance(1000.0)
    found = set()
    for at in range(_RECORD.size + 1):
        for one, two in (records, records[::-1]):
            proofs._memory[where] = one[:at] + two[at:]
            for name in names:
                proof = proofs.find(name, 1, b"x")
                assert proof in (None, right[name])
                found |= {name} if proof else set()
    assert found == set(names)


def test_a_record_that_was_torn_is_written_anew() -> None:
    proofs = cache(ManualClock(), most=1)
    proofs.keep("anna", 1, b"x", 7)
    proofs._memory[20] ^= 1
    assert proofs.find("anna", 1, b"x") is None
    proofs.keep("anna", 1, b"x", 7)
    assert proofs.find("anna", 1, b"x") is not None
    assert bytes(proofs._memory).count(proofs._key("anna", 1, b"x")) == 1


def test_a_proof_does_not_outlive_an_account_that_is_brought_back(tmp_path: Path) -> None:
    """As it was before a password that was proved, then given as many changes as it had."""

    async def test(world: World) -> None:
        (before,) = await world.directory.persons()
        await world.admin.set_password("ann@example.org", "second")
        await world.auth.password(ANN, b"second", HERE)
        await world.directory.remove_account(before.account.id)
        await world.directory.put_person(before)
        await world.auth.password(ANN, b"secret", HERE)
        await world.admin.set_password("ann@example.org", "third")
        with pytest.raises(LoginRefused):
            await world.auth.password(ANN, b"second", HERE)
        await world.auth.password(ANN, b"third", HERE)

    run(tmp_path, test)
