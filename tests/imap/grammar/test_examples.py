"""Every example of the RFCs: whole, at every split, with a tail, and round again."""

from __future__ import annotations

import pytest

from restante.imap.grammar.commands import Noop

from .encode import encode_command
from .example import Case
from .examples import CASES
from .helpers import drain, events_of, reader, without_continue

each_case = pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])


@each_case
def test_example_means_its_command(case: Case) -> None:
    made = reader(case.utf8)
    assert without_continue(events_of(made, [case.data])) == [case.command]
    assert made.next() is None


@each_case
def test_example_split_at_every_octet_means_the_same(case: Case) -> None:
    for cut in range(1, len(case.data)):
        made = reader(case.utf8)
        made.feed(case.data[:cut])
        first = without_continue(drain(made))
        assert first == []
        assert without_continue(events_of(made, [case.data[cut:]])) == [case.command], cut


@each_case
def test_example_octet_by_octet_with_a_tail(case: Case) -> None:
    octets = [bytes([octet]) for octet in case.data + b"z NOOP\r\n"]
    assert without_continue(events_of(reader(case.utf8), octets)) == [case.command, Noop(b"z")]


@each_case
def test_example_between_others(case: Case) -> None:
    events = events_of(reader(case.utf8), [b"y NOOP\r\n" + case.data * 2 + b"z NOOP\r\n"])
    assert without_continue(events) == [Noop(b"y"), case.command, case.command, Noop(b"z")]


@each_case
@pytest.mark.parametrize("literal_plus", [False, True], ids=["synchronising", "literal+"])
def test_example_encoded_and_read_again(case: Case, literal_plus: bool) -> None:
    pieces = encode_command(case.command, case.utf8, literal_plus)
    assert literal_plus <= (len(pieces) == 1)
    assert without_continue(events_of(reader(case.utf8), pieces)) == [case.command]
