"""Values that msgspec makes are to be used as dataclasses are."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from restante.values import Record, Value, field, replace


class Point(Value, frozen=True):
    x: int
    y: int = 2


class Heap(Record):
    name: str
    stones: list[int] = field(default_factory=list)


def test_a_value_is_compared_hashed_and_never_changed() -> None:
    assert Point(1) == Point(1, 2) == Point(y=2, x=1)
    assert len({Point(1), Point(1, 2), Point(1, 3)}) == 2
    with pytest.raises(AttributeError):
        Point(1).x = 2  # type: ignore[misc]  # it is refused, too
    assert pickle.loads(pickle.dumps(Point(1, 5))) == Point(1, 5)


def test_a_record_is_filled_in_and_shares_nothing() -> None:
    one, two = Heap("a"), Heap("a")
    assert one == two
    one.stones.append(1)
    assert one != two
    with pytest.raises(TypeError):
        hash(one)


@pytest.mark.parametrize("change", [replace, dataclasses.replace])
def test_another_one_with_other_fields(change: object) -> None:
    assert callable(change)
    assert change(Point(1), y=3) == Point(1, 3)
    heap = Heap("a", [1])
    other = change(heap, name="b")
    assert (other.name, other.stones is heap.stones) == ("b", True)
    with pytest.raises(TypeError):
        change(heap, nobody=1)


def test_the_library_of_dataclasses_knows_their_fields() -> None:
    assert [each.name for each in dataclasses.fields(Point)] == ["x", "y"]
    assert [each.name for each in dataclasses.fields(Heap("a"))] == ["name", "stones"]
    assert dataclasses.asdict(Heap("a", [1])) == {"name": "a", "stones": [1]}
