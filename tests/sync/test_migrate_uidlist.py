"""UIDLs in dovecot-uidlist: a new list, and one that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.exchange.dovecot import parse_uidlist
from restante.sync.migrate.uidlist import merged, write

OLD = b"""3 V1300000000 N4 G1234567890abcdef1234567890abcdef
1 W100 :one:2,S
2 Pown W200 S190 :two
3 O5 Zz :three
"""


def random(n: int) -> bytes:
    return b"r" * n


def test_only_what_is_missing_is_added() -> None:
    new, given = merged(OLD, ["one", "two", "three", "four", "five"], {"one": "u1", "two": "u2", "five": "u5"})
    assert new == (
        b"3 V1300000000 N5 G1234567890abcdef1234567890abcdef\n"
        b"1 W100 Pu1 :one:2,S\n2 Pown W200 S190 :two\n3 O5 Zz :three\n4 Pu5 :five\n"
    )
    assert given == 2
    assert merged(new, ["one", "five"], {"one": "u1", "five": "u5"}) == (new, 0)


def test_a_uid_above_the_header_is_not_given_again() -> None:
    new, _ = merged(OLD.replace(b"N4", b"N2"), ["x"], {"x": "u"})
    assert b"N5 " in new
    assert new.endswith(b"4 Pu :x\n")


@pytest.mark.parametrize("old", [b"1 1300000000 4\n1 one\n", b"garbage\n", b"3 N4\n"])
def test_another_list_is_left_alone(old: bytes) -> None:
    with pytest.raises(ValueError):
        merged(old, [], {})


def test_a_new_list_has_all_messages(tmp_path: Path) -> None:
    assert write(tmp_path, ["a", "b", "c"], {"b": "ub"}, ManualClock(), random) == 1
    made = parse_uidlist((tmp_path / "dovecot-uidlist").read_bytes())
    assert [(each.uid, each.file, each.uidl) for each in made.records] == [
        (1, "a", None),
        (2, "b", "ub"),
        (3, "c", None),
    ]
    assert made.uidnext == 4
    assert not (tmp_path / "dovecot-uidlist.lock").exists()
    assert write(tmp_path, ["a", "b", "c"], {"b": "ub"}, ManualClock(), random) == 0
