"""METADATA, NOTIFY and stored filters: what is refused, limits and codes, and whatever a client may mean."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.imap.grammar import commands as c
from restante.imap.grammar.criteria import is_filter_name, parse_criteria
from restante.imap.grammar.errors import BadSyntax
from restante.imap.grammar.notify import MESSAGE_EVENTS, EventGroup, Notify, NotifyEvent, NotifyFilter
from restante.imap.grammar.reader import Bad, Continue, ReaderLimits
from restante.imap.grammar.response import metadata_changed, metadata_response
from restante.query import language as q

from .encode import encode_command
from .examples_watching import REFUSED
from .helpers import LIMITS, bad, drain, events_of, reader, without_continue


@pytest.mark.parametrize("arguments", REFUSED, ids=lambda raw: raw[:50].decode("latin-1"))
def test_wrong_arguments_are_bad(arguments: bytes) -> None:
    refusal = bad(b"a " + arguments + b"\r\n")
    assert (refusal.tag, refusal.no) == (b"a", False), refusal


@pytest.mark.parametrize("event", [b"AnnotationChange", b"X-Other"])
def test_events_not_supported_are_no_with_those_that_are(event: bytes) -> None:
    refusal = bad(b"a NOTIFY SET (personal (MessageNew MessageExpunge FlagChange %b)) (inboxes NONE)\r\n" % event)
    assert refusal.no
    assert refusal.code == (
        b"BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange"
        b" ServerMetadataChange)"
    )
    assert not bad(b"a NOTIFY SET (personal (%b)) x\r\n" % event).no, "what is wrong otherwise is BAD"


def test_too_much_to_watch_is_overflow() -> None:
    for data in (b" (personal NONE)" * 101, b" (mailboxes (a" + b" a" * 1_000 + b") NONE)"):
        refusal = bad(b"a NOTIFY SET%b\r\n" % data)
        assert (refusal.no, refusal.code) == (True, b"NOTIFICATIONOVERFLOW")


@pytest.mark.parametrize("start", [b"{2000", b"~{2000"])
def test_a_value_too_large_is_refused_before_it_is_sent(start: bytes) -> None:
    limits = ReaderLimits(metadata_value=1_024)
    made = reader(limits=limits)
    made.feed(b"a SETMETADATA INBOX (/shared/comment " + start + b"}\r\n")
    assert drain(made) == [Bad(b"a", "The value is too large", b"METADATA MAXSIZE 1024", True)]
    made = reader(limits=limits)
    events = events_of(made, [b"a SETMETADATA INBOX (/shared/comment " + start + b"+}\r\n", b"x" * 2_000, b")\r\n"])
    assert events == [Bad(b"a", "The value is too large", b"METADATA MAXSIZE 1024", True)]
    made.feed(b"a SETMETADATA INBOX (/shared/comment ~{1024}\r\n")
    assert drain(made) == [Continue()]
    refusal = bad(b'a SETMETADATA INBOX (/shared/comment "' + b"x" * 1_025 + b'")\r\n', limits=limits)
    assert (refusal.no, refusal.code) == (True, b"METADATA MAXSIZE 1024")
    refusal = bad(b"a SETMETADATA INBOX (/shared/comment {9999999+}\r\n" + b"x" * 9_999_999 + b")\r\n", limits=limits)
    assert (refusal.no, refusal.code) == (True, b"METADATA MAXSIZE 1024")


def test_a_command_half_read_is_known_as_such() -> None:
    made = reader()
    assert not made.midway
    for piece, midway in (
        (b"a", True),
        (b" NOOP\r\n", False),
        (b"a SETMETADATA x (/shared/a {3}\r\n", True),
        (b"ab", True),
        (b"c", True),
        (b")\r\n", False),
        (b"a SETMETADATA x (/shared/a {3+}\r\n", True),
        (b"abc)\r\n", False),
        (b"y" * 70_000, True),
        (b"\r\n", False),
        (b"a BAD\r", True),
        (b"\n", False),
    ):
        made.feed(piece)
        drain(made)
        assert made.midway is midway, piece


def test_metadata_responses() -> None:
    values = [("/shared/a", b"x\r\ny"), ("/shared/b c", None), ("/private/d", b"\0"), ("/private/e", b'"q"')]
    assert metadata_response("", values, True) == (
        b'* METADATA "" (/shared/a {4}\r\nx\r\ny "/shared/b c" NIL /private/d ~{1}\r\n\0 /private/e "\\"q\\"")\r\n'
    )
    assert metadata_changed("M\u00fc", ["/shared/a", "/shared/b c"], False) == (
        b'* METADATA M&APw- /shared/a "/shared/b c"\r\n'
    )


CRITERIA: list[tuple[str, bytes, tuple[q.Query, ...] | None]] = [
    (
        "rfc5466-3.1",
        b'OR SMALLER 5000 FROM "boss@example.com"',
        (q.Or((q.Smaller(5000), q.Contains(q.Field.FROM, "boss@example.com"))),),
    ),
    ("utf8", 'SUBJECT "gr\u00fc\u00df"'.encode(), (q.Contains(q.Field.SUBJECT, "gr\u00fc\u00df"),)),
    ("literal", b"FROM {3}\r\na b SEEN", (q.Contains(q.Field.FROM, "a b"), q.HasFlag("\\Seen"))),
    (
        "literal+",
        b"FROM {3+}\r\n\r\n) TO {0}\r\n",
        (q.Contains(q.Field.FROM, "\r\n)"), q.Contains(q.Field.TO, "")),
    ),
    ("list", b"(SEEN ALL)", (q.And((q.HasFlag("\\Seen"), q.All())),)),
    ("filter", b"NOT (FILTER a)", (q.Not(q.And((q.NamedFilter("a"),))),)),
    ("filter-in-or", b"OR FILTER a OR SEEN ALL", (q.Or((q.NamedFilter("a"), q.Or((q.HasFlag("\\Seen"), q.All())))),)),
    ("rfc5466-3.1-half", b"OR SMALLER", None),
    ("empty", b"", None),
    ("half-list", b"(SEEN", None),
    ("two-commands", b"SEEN\r\nx LOGOUT", None),
    ("mark-of-a-literal", b"FROM \r", None),
    ("nul", b"FROM a\0", None),
    ("short-literal", b"FROM {4}\r\nabc", None),
    ("no-utf8", b'SUBJECT "\xff"', None),
    ("charset", b"CHARSET UTF-8 SEEN", None),
    ("return", b"RETURN (ALL) SEEN", None),
]


@pytest.mark.parametrize(("value", "meaning"), [case[1:] for case in CRITERIA], ids=[case[0] for case in CRITERIA])
def test_stored_criteria_are_whole_or_refused(value: bytes, meaning: tuple[q.Query, ...] | None) -> None:
    if meaning is None:
        with pytest.raises(BadSyntax):
            parse_criteria(value, LIMITS)
    else:
        assert parse_criteria(value, LIMITS) == meaning


@settings(deadline=None)
@given(st.binary(max_size=60) | st.lists(st.sampled_from(
    [b"{3}\r\n", b"{1+}\r\n", b"\r", b"\n", b"\0", b"FROM ", b"OR ", b"NOT ", b"(", b")", b"SEEN", b" ", b'"', b"abc"]
), max_size=20).map(b"".join))  # fmt: skip
def test_any_octets_are_criteria_or_refused(value: bytes) -> None:
    try:
        assert all(isinstance(key, q.Query) for key in parse_criteria(value, LIMITS))
    except BadSyntax:
        pass


def test_names_of_filters() -> None:
    assert is_filter_name("on-the-road")
    assert not any(map(is_filter_name, ("", "a/b", "a b", "a]", "caf\u00e9", "a\n", "a(b")))


names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20)
parts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="*%/"), min_size=1, max_size=9)
entries = st.builds(
    lambda scope, words: "/".join(["", scope, "x", *words]),
    st.sampled_from(["private", "shared", "PRIVATE"]),
    st.lists(parts, min_size=1, max_size=3),
)
filters = st.sampled_from([one for one in NotifyFilter if not one.value.startswith(b"SELECTED")])
events = st.frozensets(st.sampled_from(NotifyEvent)).map(
    lambda some: some | MESSAGE_EVENTS if some & MESSAGE_EVENTS else some
)
named = (NotifyFilter.SUBTREE, NotifyFilter.MAILBOXES)
groups = st.builds(
    lambda kind, some, wanted: EventGroup(kind, some if kind in named else (), wanted),
    filters,
    st.lists(names, min_size=1, max_size=3).map(tuple),
    events,
)
selected = st.builds(
    lambda kind, fetch: EventGroup(kind, (), MESSAGE_EVENTS, fetch),
    st.sampled_from([NotifyFilter.SELECTED, NotifyFilter.SELECTED_DELAYED]),
    st.sampled_from([(), (c.Item.UID,), (c.Item.UID, c.Item.ENVELOPE)]),
)
commands = st.one_of(
    st.builds(
        c.GetMetadata,
        st.just(b"a"),
        names,
        st.lists(entries, min_size=1, max_size=4).map(tuple),
        st.none() | st.integers(0, 0xFFFFFFFF),
        st.sampled_from(c.Depth),
    ),
    st.builds(
        c.SetMetadata,
        st.just(b"a"),
        names,
        st.lists(st.tuples(entries, st.none() | st.binary(max_size=30)), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(
        lambda first, rest, status: Notify(b"a", (*first, *rest), status),
        st.lists(selected, max_size=1),
        st.lists(groups, min_size=1, max_size=4),
        st.booleans(),
    ),
)


@settings(deadline=None)
@given(commands, st.booleans(), st.booleans())
def test_what_is_encoded_reads_back(command: c.Command, utf8: bool, literal_plus: bool) -> None:
    pieces = encode_command(command, utf8, literal_plus)
    assert without_continue(events_of(reader(utf8), pieces)) == [command]
