"""Properties: what is encoded reads back; no octets at all bring the reader down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from restante.imap.grammar import commands as c
from restante.imap.grammar.reader import Bad, Continue, Line, ReaderLimits
from restante.imap.session.criteria import nodes
from restante.query import language as q
from restante.query.order import Criterion, SortKey
from restante.query.threads import Algorithm

from .encode import encode_command
from .examples import CASES
from .helpers import drain, events_of, reader, without_continue

tags = st.text("abcXYZ019.-_]", min_size=1, max_size=64).map(str.encode)
names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=30)
strings = st.binary(max_size=60).map(lambda raw: raw.replace(b"\0", b""))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
flags = st.sampled_from(["\\Seen", "\\Deleted", "$Junk", "work", "a-b"])
flag_tuples = st.lists(flags, max_size=4).map(tuple)
numbers = st.integers(1, 0xFFFFFFFF)
ranges = st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair))) | numbers.map(lambda n: (n, 0))
range_tuples = st.lists(ranges, min_size=1, max_size=5).map(tuple)
language_ranges = st.from_regex(r"([a-z]{1,8}|\*)(-([a-z0-9]{1,8}|\*)){0,3}", fullmatch=True)
modseqs = st.integers(1, (1 << 63) - 1)


@st.composite
def sequences(draw: st.DrawFn, uid: bool) -> q.Sequence:
    if draw(st.booleans()):
        return q.Sequence((), uid, True)
    return q.Sequence(draw(range_tuples), uid, draw(st.booleans()))


moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda moment: moment.replace(microsecond=0))
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
dates = st.builds(lambda moment, zone: moment.replace(tzinfo=zone), moments, zones) | st.just(
    datetime(2000, 2, 29, tzinfo=UTC)
)

leaf_keys = st.one_of(
    st.builds(q.Contains, st.sampled_from(q.Field), texts),
    st.builds(q.HeaderContains, st.text("abcX-", min_size=1), texts),
    st.builds(q.Dated, st.sampled_from(q.Instant), st.sampled_from(q.Order), st.dates()),
    st.builds(q.Larger, st.integers(0, (1 << 63) - 1)),
    st.builds(q.HasFlag, flags),
    st.builds(q.ModSeq, modseqs),
    st.booleans().flatmap(sequences),
    st.just(q.Recent()),
    st.builds(q.NamedFilter, st.text("ab-", min_size=1)),
)


def _flat(kind: type[q.And] | type[q.Or], operands: list[q.Query]) -> q.Query:
    """And of And (and Or of Or) is read as one, so it is built as one."""
    flat: list[q.Query] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, kind) and isinstance(operand, q.And | q.Or) else [operand])
    return kind(tuple(flat))


def _as_one(query: q.Query) -> q.Query:
    """The query with And of And and Or of Or as one."""
    match query:
        case q.And(operands) | q.Or(operands):
            return _flat(type(query), [_as_one(operand) for operand in operands])
        case q.Not(operand) | q.Fuzzy(operand):
            return type(query)(_as_one(operand))
        case _:
            return query


keys = st.recursive(
    leaf_keys,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda operands: _flat(q.And, operands)),
        st.lists(inner, min_size=2, max_size=4).map(lambda operands: _flat(q.Or, operands)),
        inner.map(lambda operand: operand.operand if isinstance(operand, q.Not) else q.Not(operand)),
        inner.map(lambda operand: operand if isinstance(operand, q.Fuzzy) else q.Fuzzy(operand)),
    ),
    max_leaves=12,
)

literals = st.one_of(
    st.builds(c.Text, st.binary(max_size=80), st.booleans()),
    st.builds(c.Text, st.binary(max_size=9), st.just(True), st.just(True)),
)
urls = st.builds(c.Url, st.binary(max_size=40).map(lambda raw: raw.replace(b"\0", b"")))
appended = st.one_of(
    st.builds(c.AppendMessage, flag_tuples, st.none() | dates, st.tuples(literals)),
    st.builds(
        c.AppendMessage,
        flag_tuples,
        st.none() | dates,
        st.lists(literals | urls, min_size=1, max_size=5).map(tuple),
        st.just(True),
    ),
)
commands = st.one_of(
    st.builds(c.Login, tags, strings, strings),
    st.builds(c.Select, tags, names, st.booleans(), st.booleans()),
    st.builds(c.Rename, tags, names, names),
    st.builds(c.Language, tags, st.lists(language_ranges, max_size=3).map(tuple)),
    st.builds(c.Lsub, tags, names, names),
    st.builds(c.Status, tags, names, st.lists(st.sampled_from(c.StatusItem), min_size=1, unique=True).map(tuple)),
    st.builds(c.Append, tags, names, st.lists(appended, min_size=1, max_size=4).map(tuple)),
    st.builds(c.SetAcl, tags, names, texts, st.sampled_from(c.AclMode), st.text("lrswipkxteacdq", max_size=20)),
    st.builds(c.DeleteAcl, tags, names, texts),
    st.builds(
        lambda tag, root, limits: c.SetQuota(tag, root, tuple(limits.items())),
        tags,
        texts,
        st.dictionaries(st.sampled_from(["STORAGE", "MESSAGE", "X-OTHER"]), st.integers(0, (1 << 63) - 1)),
    ),
    st.builds(
        lambda tag, number, uid, name, message: c.Replace(
            tag, q.Sequence(((number, number),), uid), name, message, uid
        ),
        tags,
        st.just(0) | numbers,
        st.booleans(),
        names,
        appended,
    ),
    st.builds(
        lambda tag, sequence, mode, silent, flags, since: c.Store(
            tag, sequence, mode, silent, flags, sequence.uid, since
        ),
        tags,
        st.booleans().flatmap(sequences),
        st.sampled_from(c.StoreMode),
        st.booleans(),
        flag_tuples,
        st.none() | modseqs,
    ),
    st.builds(
        lambda tag, sequence, name: c.Move(tag, sequence, name, sequence.uid),
        tags,
        st.booleans().flatmap(sequences),
        names,
    ),
    st.builds(
        c.Search, tags, keys, st.booleans(), st.none() | st.frozensets(st.sampled_from(["MIN", "ALL"]), min_size=1)
    ),
    st.builds(
        c.Sort,
        tags,
        st.lists(
            st.builds(Criterion, st.sampled_from(SortKey), st.booleans()),
            min_size=1,
            max_size=5,
        ).map(tuple),
        keys,
        st.booleans(),
        st.none() | st.frozensets(st.sampled_from(["MIN", "COUNT"]), min_size=1),
    ),
    st.builds(c.Thread, tags, st.sampled_from(Algorithm), keys, st.booleans()),
)


@settings(deadline=None)
@given(commands, st.booleans(), st.booleans())
def test_what_is_encoded_reads_back(command: c.Command, utf8: bool, literal_plus: bool) -> None:
    (read,) = without_continue(events_of(reader(utf8), encode_command(command, utf8, literal_plus)))
    if isinstance(command, c.Search | c.ESearch | c.Sort | c.Thread) and read != command:
        # Behind a stored filter keys are kept as they are written, an OR of three as two (`key_tree`).
        assert any(isinstance(node, q.NamedFilter) for node in nodes(command.query))
        assert isinstance(read, c.Search | c.ESearch | c.Sort | c.Thread)
        read = replace(read, query=_as_one(read.query))
    assert read == command


LIMITS = ReaderLimits(200, 200, 100, 100, 500, 600, 5, 20, 10)
words = st.sampled_from(
    [
        *b'ab (){}[]<>"\\*%,:.$0159+~\r\n\0\xff'.decode("latin-1"),
        "\r\n",
        "{3}\r\n",
        "{3+}\r\n",
        "~{2+}\r\n",
        "{9999+}\r\n",
    ]
).map(lambda text: text.encode("latin-1"))
starts = st.sampled_from([case.data for case in CASES])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An example with something cut out, put in or doubled."""
    data = draw(starts)
    for _ in range(draw(st.integers(1, 4))):
        low = draw(st.integers(0, len(data)))
        high = draw(st.integers(low, min(len(data), low + 8)))
        data = data[:low] + draw(words) * draw(st.integers(0, 2)) + data[high:]
    return data


anything = st.binary(max_size=300) | st.lists(words, max_size=60).map(b"".join) | damaged() | damaged()


@settings(max_examples=400, deadline=None)
@given(anything, st.lists(st.integers(1, 40), max_size=20), st.booleans(), st.booleans())
def test_any_octets_give_a_command_bad_or_wait(data: bytes, cuts: list[int], utf8: bool, authenticated: bool) -> None:
    whole = events_of(reader(utf8, authenticated, limits=LIMITS), [data])
    assert all(isinstance(event, c.Command | Bad | Continue | Line) for event in whole)
    pieces, rest = [], data
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    assert events_of(reader(utf8, authenticated, limits=LIMITS), [*pieces, rest]) == whole


@settings(deadline=None)
@given(anything)
def test_what_follows_a_whole_command_is_still_read(data: bytes) -> None:
    made = reader(limits=LIMITS)
    made.feed(data)
    made.feed(b"\r\n" * 1_000)  # fills whatever literal or line stands open
    if any(isinstance(event, Bad) and event.fatal for event in drain(made)):
        return
    made.feed(b"\r\nz NOOP\r\n")
    assert drain(made)[-1] == c.Noop(b"z")
