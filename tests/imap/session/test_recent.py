"""\\Recent beside the flags of a listing, which goes out for thousands of messages at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from restante.imap.session.updates import Updates
from restante.store.model import Flags, FlagTable, System

if TYPE_CHECKING:
    from restante.imap.session.session import ImapSession
    from restante.imap.session.view import View

SETS = {1: Flags(), 2: Flags(System.SEEN), 7: Flags(System.SEEN | System.FLAGGED, frozenset({"word"}))}
ranges = st.tuples(st.integers(1, 40), st.integers(0, 12)).map(lambda one: (one[0], one[0] + one[1]))


@given(st.dictionaries(st.integers(1, 40), st.sampled_from(sorted(SETS))), st.lists(ranges, max_size=4), st.booleans())
def test_recent_is_said_once_of_each_message_that_is(
    flags: dict[int, int], recent: list[tuple[int, int]], rev2: bool
) -> None:
    table = FlagTable()
    for number, each in SETS.items():
        table.add(number, each.system, " ".join(sorted(each.keywords)))
    uids = sorted(flags)
    session = cast("ImapSession", SimpleNamespace(dialect=SimpleNamespace(rev2=rev2), place=None))
    updates = Updates(session)
    view = cast("View", SimpleNamespace(recent=recent, keywords=["Word"]))
    told = updates.flag_octets(view, uids, [flags[uid] for uid in uids], table)
    for uid, octets in zip(uids, told, strict=True):
        names = octets.split()
        is_recent = not rev2 and any(low <= uid <= high for low, high in recent)
        assert names.count(b"\\Recent") == is_recent
        assert b" ".join(name for name in names if name != b"\\Recent") == SETS[flags[uid]].wire
