"""A maildrop's columns give back the messages they were made of."""

from __future__ import annotations

import pytest

from restante.pop3 import maildrop as pop3_maildrop
from restante.pop3.maildrop import Maildrop
from restante.store import droplist
from restante.store.droplist import AT_ONCE, DropList, DropMessage


def letters(count: int) -> list[DropMessage]:
    return [
        DropMessage(
            3 * n + 1,
            f"m{n * 7919}" if n % 3 else f"{n}.old~",
            n + 2**33,
            n + 2**33 + n % 2,
            n + 2**40,
            n % 32,
            n % 5 == 0,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, AT_ONCE - 1, AT_ONCE, 2 * AT_ONCE + 1])
def test_columns_give_back_the_messages(count: int) -> None:
    messages = letters(count)
    drop = DropList(iter(messages))
    assert len(drop) == count
    assert list(drop) == messages
    assert [drop[n] for n in range(count)] == messages
    assert drop[1:3] == messages[1:3]
    assert drop.octets == sum(one.size for one in messages)
    assert drop.octets_utf8 == sum(one.size_utf8 for one in messages)
    assert drop == DropList(messages)


def test_one_that_differs_in_any_field_is_another_list() -> None:
    messages = letters(3)
    for field, value in DropMessage(77, "other", 7, 7, 7, 7, True)._asdict().items():
        changed = [messages[0], messages[1]._replace(**{field: value}), messages[2]]
        assert DropList(changed) != DropList(messages), field
    assert DropList(messages) != messages


def test_places_outside_the_list_are_refused() -> None:
    drop = DropList(letters(3))
    assert drop[-1] == letters(3)[2]
    for place in (3, -4):
        with pytest.raises(IndexError):
            drop[place]


def test_uidls_and_sizes_of_a_stretch() -> None:
    messages = letters(10)
    drop = DropList(messages)
    for start in range(11):
        for stop in range(13):
            part = messages[start:stop]
            assert drop.uidls(start, stop) == [one.uidl for one in part], (start, stop)
            assert list(drop.sizes(start, stop, utf8=False)) == [one.size for one in part]
            assert list(drop.sizes(start, stop, utf8=True)) == [one.size_utf8 for one in part]


@pytest.mark.parametrize("marked", [(), (1,), (3, 4, 7), tuple(range(1, 11))])
def test_listings_come_in_pieces_and_leave_out_what_is_marked(
    monkeypatch: pytest.MonkeyPatch, marked: tuple[int, ...]
) -> None:
    monkeypatch.setattr(pop3_maildrop, "AT_ONCE", 3)
    monkeypatch.setattr(droplist, "AT_ONCE", 4)
    messages = letters(10)
    drop = Maildrop(DropList(messages), utf8=True)
    drop.deleted.update(marked)
    left = [(number, one) for number, one in enumerate(messages, 1) if number not in marked]
    for _ in range(2):  # the second time as it was kept
        assert b"".join(drop.uidl_octets()) == b"".join(b"%d %b\r\n" % (n, one.uidl.encode()) for n, one in left)
        assert b"".join(drop.list_octets()) == b"".join(b"%d %d\r\n" % (n, one.size_utf8) for n, one in left)
    assert set(drop.messages.listings) == (set() if marked else {"UIDL", "LIST UTF8"})
    plain = Maildrop(drop.messages, utf8=False)
    assert b"".join(plain.list_octets()) == b"".join(b"%d %d\r\n" % (n, one.size) for n, one in enumerate(messages, 1))
