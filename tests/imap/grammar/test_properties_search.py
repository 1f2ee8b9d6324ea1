"""Properties of what the extensions of SEARCH and FETCH add to the grammar."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from restante.imap.grammar import commands as c
from restante.imap.grammar.commands import SourceKind as Kind
from restante.imap.session.criteria import names_filters

from .encode import encode_command
from .helpers import events_of, reader, without_continue
from .test_properties import keys, modseqs, names, sequences, tags

positions = st.integers(1, 0xFFFFFFFF)
partials = st.builds(c.Partial, positions, positions) | st.builds(lambda a, b: c.Partial(-a, -b), positions, positions)
options = st.frozensets(st.sampled_from(["MIN", "MAX", "COUNT", "SAVE", "CONTEXT"]))
items = st.lists(st.sampled_from(c.Item), max_size=3, unique=True)


@st.composite
def searches(draw: st.DrawFn) -> c.Search:
    words, partial, update = draw(options), draw(st.none() | partials), draw(st.none() | items)
    if partial is not None:
        words |= {"PARTIAL"}
    if update is not None:
        words |= {"UPDATE"}
    return c.Search(
        draw(tags),
        draw(keys),
        draw(st.booleans()),
        (words or frozenset({"ALL"})),
        partial=partial,
        update=tuple(update or ()),
    )


fetches = st.builds(
    lambda tag, sequence, items, since, vanished, partial: c.Fetch(
        tag, sequence, tuple(items), True, since, vanished and since is not None, partial
    ),
    tags,
    sequences(True),
    st.lists(st.sampled_from(c.Item), min_size=1, unique=True),
    st.none() | modseqs,
    st.booleans(),
    st.none() | partials,
)


sources = st.one_of(
    st.sampled_from([c.Source(kind) for kind in (Kind.SELECTED, Kind.INBOXES, Kind.PERSONAL, Kind.SUBSCRIBED)]),
    st.builds(
        c.Source,
        st.sampled_from([Kind.SUBTREE, Kind.SUBTREE_ONE, Kind.MAILBOXES]),
        st.lists(names, min_size=1, max_size=3).map(tuple),
    ),
)
cancels = st.builds(c.CancelUpdate, tags, st.lists(tags, min_size=1, max_size=3).map(tuple))
multisearches = st.builds(
    lambda search, where: c.ESearch(
        search.tag, search.query, tuple(where), search.returning, False, search.partial, search.update
    ),
    searches(),
    st.lists(sources, max_size=3),
)


@settings(deadline=None)
@given(searches() | fetches | multisearches | cancels, st.booleans(), st.booleans())
def test_what_is_encoded_reads_back(command: c.Command, utf8: bool, literal_plus: bool) -> None:
    pieces = encode_command(command, utf8, literal_plus)
    (read,) = without_continue(events_of(reader(utf8), pieces))
    if isinstance(command, c.Search | c.ESearch) and names_filters(command.query):
        assert isinstance(read, c.Command)  # each OR behind a filter stays by itself (see `key_tree`)
        assert encode_command(read, utf8, literal_plus) == pieces
    else:
        assert read == command


@given(st.integers(0, 12), st.integers(1, 15), st.integers(1, 15), st.booleans())
def test_a_partial_range_names_what_counting_gives(count: int, first: int, last: int, from_end: bool) -> None:
    low, high = min(first, last), max(first, last)
    if from_end:
        wanted = [p for p in range(count) if low <= count - p <= high]
        start, stop = c.Partial(-first, -last).span(count)
    else:
        wanted = [p for p in range(count) if low <= p + 1 <= high]
        start, stop = c.Partial(first, last).span(count)
    assert list(range(start, stop)) == wanted
