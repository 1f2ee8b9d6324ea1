"""What mailboxes are called after a move, and whose UIDL a message had."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.sync.migrate.model import NO_MARK
from restante.sync.migrate.names import BadMap, free, mapped, parse_map, spellings
from restante.sync.migrate.uidls import Listed, match
from restante.sync.model import Outline

MAPS = [
    pytest.param("Old=New", "Old", "New", id="itself"),
    pytest.param("Old=New", "Old/Child", "New/Child", id="child"),
    pytest.param("Old=New", "Older", None, id="not-a-longer-name"),
    pytest.param("[Gmail]/=", "[Gmail]/Sent Mail", "Sent Mail", id="to-the-top"),
    pytest.param("[Gmail]/=", "[Gmail]", None, id="only-below"),
    pytest.param("A/=B", "A/C", "B/C", id="below-to-below"),
    pytest.param("A\\=B=C", "A=B", "C", id="escaped"),
    pytest.param("inbox=Old mail", "INBOX", "Old mail", id="inbox"),
    pytest.param("A=inbox", "A", "INBOX", id="to-inbox"),
]


@pytest.mark.parametrize(("text", "name", "expected"), MAPS)
def test_a_map_gives_names(text: str, name: str, expected: str | None) -> None:
    assert mapped(name, [parse_map(text)]) == expected


def test_the_longest_map_wins() -> None:
    maps = [parse_map("A=X"), parse_map("A/B=Y"), parse_map("A/=Z")]
    assert [mapped(name, maps) for name in ("A", "A/C", "A/B", "A/B/C")] == ["X", "Z/C", "Y", "Y/C"]


@pytest.mark.parametrize("text", ["", "A", "=A", "/=A", "A="])
def test_what_is_no_map_is_refused(text: str) -> None:
    with pytest.raises(BadMap):
        parse_map(text)


@given(st.text(min_size=1).filter(lambda name: name.strip("/")))
def test_spellings_begin_with_the_name_and_end(name: str) -> None:
    found = list(spellings(name))
    assert found[0] == name
    assert len(set(found)) == len(found)
    assert all(each for each in found)
    assert any("/" not in each for each in found)


def test_spellings_of_a_deep_name() -> None:
    assert list(spellings("a.b/c/d*"))[:5] == ["a.b/c/d*", "a_b/c/d_", "a_b/c_d_", "a_b_c_d_", "a_b/c/d_ (2)"]


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert free("Work", {"work", "work (2)"}) == "Work (3)"


def outline(uid: int, size: int | None, mark: bytes) -> Outline:
    return Outline(uid, size, 0, mark)


def test_uidls_are_matched_by_header_and_size() -> None:
    inbox = [outline(1, 100, b"a"), outline(2, 100, b"b"), outline(5, 200, b"b"), outline(9, 50, b"c")]
    listed = [Listed(1, "u-b200", 200, b"b"), Listed(2, "u-a", 100, b"a"), Listed(3, "u-b100", 100, b"b")]
    assert match(inbox, listed) == ({1: "u-a", 2: "u-b100", 5: "u-b200"}, 0)


def test_equal_messages_are_taken_in_their_order() -> None:
    inbox = [outline(3, 100, b"a"), outline(4, 100, b"a")]
    assert match(inbox, [Listed(1, "one", 100, b"a"), Listed(2, "two", 100, b"a")])[0] == {3: "one", 4: "two"}


def test_a_size_that_a_server_counts_otherwise_is_no_hindrance_where_the_header_is_the_only_one() -> None:
    inbox = [outline(3, 103, b"a"), outline(4, None, b"b"), outline(5, 7, b"c"), outline(6, 8, b"c")]
    listed = [Listed(1, "one", 100, b"a"), Listed(2, "two", 100, b"b"), Listed(3, "three", 9, b"c")]
    assert match(inbox, listed) == ({3: "one", 4: "two"}, 1)


def test_a_message_without_header_gets_a_uidl_only_where_the_numbers_agree() -> None:
    inbox = [outline(3, 10, NO_MARK), outline(4, 20, NO_MARK)]
    listed = [Listed(1, "one", 10, NO_MARK), Listed(2, "two", 20, NO_MARK), Listed(3, "three", 20, NO_MARK)]
    assert match(inbox, listed) == ({3: "one"}, 2)


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([b"a", b"b", NO_MARK]))), st.data())
def test_no_uidl_is_given_twice(messages: list[tuple[int, bytes]], data: st.DataObject) -> None:
    inbox = [outline(uid, size, mark) for uid, (size, mark) in enumerate(messages, 1)]
    kept = data.draw(st.lists(st.sampled_from(inbox), unique=True)) if inbox else []
    listed = [Listed(n, f"u{each.uid}", each.size or 0, each.mark) for n, each in enumerate(kept, 1)]
    found, lost = match(inbox, listed)
    assert len(set(found.values())) == len(found)
    assert len(found) + lost == len(listed)
    if len(kept) == len(inbox):
        assert lost == 0
