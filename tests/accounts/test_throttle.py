"""Who guesses is slowed; his neighbour, and the owner in a place known, are not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.accounts.guesses import DECAY
from restante.accounts.throttle import KNOWN_FOR, Throttle, network_of
from restante.clock import ManualClock

GUESSER = ("192.0.2.1", "ann@example.org")
NEIGHBOUR = ("192.0.2.1", "bob@example.org")
ELSEWHERE = ("192.0.2.2", "ann@example.org")


def throttle(clock: ManualClock | None = None) -> Throttle:
    return Throttle(clock or ManualClock(), 0.5, 15.0)


def test_delays_double_up_to_the_longest() -> None:
    slow = throttle()
    assert [slow.failed(GUESSER) for _ in range(8)] == [0.5, 1, 2, 4, 8, 15, 15, 15]
    for _ in range(2000):
        assert slow.failed(GUESSER) == 15


def test_others_are_not_slowed() -> None:
    slow = throttle()
    for _ in range(10):
        slow.failed(GUESSER)
    for pair in (NEIGHBOUR, ELSEWHERE):
        assert slow.admit(pair) == 0
        assert slow.failed(pair) == 0.5


def test_failures_are_forgiven_with_time() -> None:
    clock = ManualClock()
    slow = throttle(clock)
    for _ in range(4):
        slow.failed(GUESSER)
    clock.advance(2 * DECAY)
    assert slow.failed(GUESSER) == 2  # the third
    clock.advance(3 * DECAY)
    assert slow.failed(GUESSER) == 0.5


def test_success_clears_the_pair() -> None:
    slow = throttle()
    for _ in range(6):
        slow.failed(GUESSER)
    slow.succeeded(GUESSER)
    assert slow.failed(GUESSER) == 0.5


def test_one_who_waits_for_each_answer_is_not_made_to_wait_twice() -> None:
    clock = ManualClock()
    slow = throttle(clock)
    for _ in range(10):
        assert slow.admit(GUESSER) == 0
        clock.advance(slow.failed(GUESSER))


def test_guesses_side_by_side_queue_and_then_are_refused_unchecked() -> None:
    clock = ManualClock()
    slow = throttle(clock)
    for _ in range(4):
        clock.advance(slow.failed(GUESSER))
    waits = [slow.admit(GUESSER) for _ in range(10)]
    assert waits == [0, 4, 8, 12, *[None] * 6]


def test_a_hundred_connections_get_no_more_tries_than_the_delay_allows() -> None:
    clock = ManualClock()
    slow = throttle(clock)
    for _ in range(6):
        clock.advance(slow.failed(GUESSER))
    admitted = 0
    for _ in range(60):
        admitted += sum(slow.admit(GUESSER) is not None for _ in range(100))
        for _ in range(100):  # each answer says no: checked and wrong, or refused unchecked
            slow.failed(GUESSER)
        clock.advance(10)
    assert 600 / 15 - 5 <= admitted <= 600 / 15 + 5


def test_the_owner_in_a_known_place_does_not_queue() -> None:
    clock = ManualClock()
    slow = throttle(clock)
    slow.succeeded(GUESSER)
    for _ in range(20):
        slow.failed(GUESSER)
        assert slow.admit(GUESSER) == 0
    clock.advance(KNOWN_FOR + 1)
    for _ in range(20):
        slow.failed(GUESSER)
    assert slow.admit(GUESSER) != 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("unix", "unix"),
    ],
)
def test_ipv6_counts_by_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from(["fail", "ok", "admit"]), st.sampled_from([GUESSER, NEIGHBOUR]), st.floats(0, 300))
    )
)
def test_delays_stay_within_bounds(steps: list[tuple[str, tuple[str, str], float]]) -> None:
    clock = ManualClock()
    slow = throttle(clock)
    for what, pair, pause in steps:
        clock.advance(pause)
        if what == "fail":
            assert 0.5 <= slow.failed(pair) <= 15
        elif what == "ok":
            slow.succeeded(pair)
        else:
            wait = slow.admit(pair)
            assert wait is None or 0 <= wait <= 15


def test_the_same_wrong_password_again_is_no_second_guess() -> None:
    slow = throttle()
    assert slow.failed(GUESSER, b"a") == 0.5
    assert [slow.failed(GUESSER, b"a") for _ in range(20)] == [0.5] * 20
    assert slow.failed(GUESSER, b"b") == 1
    assert slow.failed(GUESSER, b"a") == 2, "two in turn are two guesses"
