"""Feeding a reader: whole, in pieces, with the settings of one connection."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from restante.imap.grammar import commands as c
from restante.imap.grammar.reader import Bad, CommandReader, Continue, Event, ReaderLimits

LIMITS = ReaderLimits()


def append(
    tag: bytes,
    mailbox: str,
    flags: tuple[str, ...],
    date: datetime | None,
    data: bytes,
    binary: bool = False,
    utf8: bool = False,
) -> c.Append:
    """APPEND of one message that is one literal."""
    return c.Append(tag, mailbox, (c.AppendMessage(flags, date, (c.Text(data, binary, utf8),)),))


def reader(
    utf8: bool = False, authenticated: bool = True, literal_plus: bool = True, limits: ReaderLimits = LIMITS
) -> CommandReader:
    made = CommandReader(limits)
    made.utf8 = utf8
    made.authenticated = authenticated
    made.literal_plus = literal_plus
    return made


def drain(made: CommandReader) -> list[Event]:
    """All events there are."""
    events: list[Event] = []
    while (event := made.next()) is not None:
        events.append(event)
    return events


def events_of(made: CommandReader, pieces: Iterable[bytes]) -> list[Event]:
    """All events of the pieces, fed one after the other."""
    events: list[Event] = []
    for piece in pieces:
        made.feed(piece)
        events += drain(made)
    return events


def read(data: bytes, utf8: bool = False, authenticated: bool = True, limits: ReaderLimits = LIMITS) -> list[Event]:
    """Events of `data` fed whole, Continue left out."""
    return without_continue(events_of(reader(utf8, authenticated, limits=limits), [data]))


def without_continue(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Continue)]


def bad(data: bytes, utf8: bool = False, authenticated: bool = True, limits: ReaderLimits = LIMITS) -> Bad:
    """The one refusal that `data` makes."""
    (event,) = read(data, utf8, authenticated, limits)
    assert isinstance(event, Bad), event
    return event
