"""What Email/query is asked for, read: RFC 8621 4.4.1, RFC 8620 5.5."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.jmap.filters import DEPTH, MOST, PASS, PROPERTIES, BadFilter, Kind, parse_filter
from restante.query import language as q

F = q.Field


def anywhere(word: str) -> q.Query:
    fields = (F.FROM, F.TO, F.CC, F.BCC, F.SUBJECT, F.BODY)
    return q.Or(tuple(q.Contains(field, word) for field in fields))


def operator(name: str, *conditions: object) -> dict[str, object]:
    return {"operator": name, "conditions": list(conditions)}


def at(when: str) -> int:
    return int(datetime.fromisoformat(when).timestamp())


A, B, C = (q.Contains(F.SUBJECT, word) for word in "abc")
a, b, c = ({"subject": word} for word in "abc")
LONGEST_KEYWORD, LONGEST_ID = "k" * 255, "i" * 255

READ: list[tuple[str, object, q.Query]] = [
    # examples of the RFCs
    ("rfc8621-4.10-query", {"inMailbox": "fb666a55"}, q.Placed(("fb666a55",))),
    ("rfc8621-5.2", {"text": "foo"}, anywhere("foo")),
    ("rfc8620-3.7", {"inMailbox": "id_of_inbox"}, q.Placed(("id_of_inbox",))),
    (
        "rfc8620-5.7",
        operator("OR", {"hasKeyword": "music"}, {"hasKeyword": "video"}),
        q.Or((q.EmailHas("music"), q.EmailHas("video"))),
    ),
    # all emails
    ("null", None, q.All()),
    ("no-properties", {}, q.All()),
    # properties
    ("inMailbox", {"inMailbox": LONGEST_ID}, q.Placed((LONGEST_ID,))),
    ("inMailboxOtherThan", {"inMailboxOtherThan": ["T-1", "J_2"]}, q.Placed(("T-1", "J_2"), elsewhere=True)),
    ("inMailboxOtherThan-none", {"inMailboxOtherThan": []}, q.Placed((), elsewhere=True)),
    ("minSize", {"minSize": 10}, q.Larger(9)),
    ("minSize-0", {"minSize": 0}, q.All()),
    ("minSize-most", {"minSize": 2**53 - 1}, q.Larger(2**53 - 2)),
    ("maxSize", {"maxSize": 10}, q.Smaller(10)),
    ("maxSize-0", {"maxSize": 0}, q.Smaller(0)),
    ("maxSize-most", {"maxSize": 2**53 - 1}, q.Smaller(2**53 - 1)),
    ("maxSize-1e3", {"maxSize": 1e3}, q.Smaller(1000)),
    ("allInThreadHaveKeyword", {"allInThreadHaveKeyword": "$seen"}, q.ThreadHas("\\Seen", every=True)),
    ("someInThreadHaveKeyword", {"someInThreadHaveKeyword": "$flagged"}, q.ThreadHas("\\Flagged", every=False)),
    ("noneInThreadHaveKeyword", {"noneInThreadHaveKeyword": "x"}, q.Not(q.ThreadHas("x", every=False))),
    ("hasKeyword-seen", {"hasKeyword": "$SEEN"}, q.EmailHas("\\Seen")),
    ("hasKeyword-flagged", {"hasKeyword": "$Flagged"}, q.EmailHas("\\Flagged")),
    ("hasKeyword-answered", {"hasKeyword": "$answered"}, q.EmailHas("\\Answered")),
    ("hasKeyword-draft", {"hasKeyword": "$draft"}, q.EmailHas("\\Draft")),
    ("hasKeyword-other", {"hasKeyword": "$Junk"}, q.EmailHas("$Junk")),
    ("hasKeyword-without-dollar", {"hasKeyword": "seen"}, q.EmailHas("seen")),
    ("hasKeyword-characters", {"hasKeyword": "!~[}<>'"}, q.EmailHas("!~[}<>'")),
    ("hasKeyword-longest", {"hasKeyword": LONGEST_KEYWORD}, q.EmailHas(LONGEST_KEYWORD)),
    ("notKeyword", {"notKeyword": "$draft"}, q.Not(q.EmailHas("\\Draft"))),
    ("hasAttachment", {"hasAttachment": True}, q.HasAttachment()),
    ("hasAttachment-not", {"hasAttachment": False}, q.Not(q.HasAttachment())),
    ("text", {"text": "a b"}, q.And((anywhere("a"), anywhere("b")))),
    ("from", {"from": "ann"}, q.Contains(F.FROM, "ann")),
    ("to", {"to": "ann"}, q.Contains(F.TO, "ann")),
    ("cc", {"cc": "ann"}, q.Contains(F.CC, "ann")),
    ("bcc", {"bcc": "ann"}, q.Contains(F.BCC, "ann")),
    ("subject", {"subject": "ann"}, q.Contains(F.SUBJECT, "ann")),
    ("body", {"body": "ann"}, q.Contains(F.BODY, "ann")),
    ("header-is-there", {"header": ["List-Id"]}, q.HeaderContains("List-Id", "")),
    ("header", {"header": ["List-Id", "x"]}, q.HeaderContains("List-Id", "x")),
    ("header-nothing", {"header": ["List-Id", " "]}, q.HeaderContains("List-Id", "")),
    (
        "header-words",
        {"header": ["X-!~", 'x "y z"']},
        q.And((q.HeaderContains("X-!~", "x"), q.HeaderContains("X-!~", "y z"))),
    ),
    ("text-nothing", {"text": ""}, q.All()),
    ("text-white-space", {"subject": " \t\n"}, q.All()),
    ("several", {"minSize": 2, "subject": "a b", "maxSize": 9}, q.And((q.Larger(1), A, B, q.Smaller(9)))),
    # operators
    ("AND", operator("AND", a, b), q.And((A, B))),
    ("AND-one", operator("AND", a), A),
    ("AND-none", operator("AND"), q.All()),
    ("OR", operator("OR", a, b), q.Or((A, B))),
    ("OR-one", operator("OR", a), A),
    ("OR-none", operator("OR"), q.Not(q.All())),
    ("OR-all", operator("OR", {}, a), q.Or((q.All(), A))),
    ("NOT", operator("NOT", a, b), q.And((q.Not(A), q.Not(B)))),
    ("NOT-one", operator("NOT", a), q.Not(A)),
    ("NOT-none", operator("NOT"), q.All()),
    ("NOT-all", operator("NOT", {}), q.Not(q.All())),
    ("NOT-both", operator("NOT", {"subject": "a b"}), q.Not(q.And((A, B)))),
    ("NOT-NOT", operator("NOT", operator("NOT", a, b)), q.Not(q.And((q.Not(A), q.Not(B))))),
    ("AND-AND", operator("AND", a, operator("AND", b, c)), q.And((A, B, C))),
    ("AND-OR", operator("AND", a, operator("OR", b, c)), q.And((A, q.Or((B, C))))),
    ("OR-AND", operator("OR", operator("AND", a, b), c), q.Or((q.And((A, B)), C))),
]


@pytest.mark.parametrize(("value", "expected"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_a_filter_is_read(value: object, expected: q.Query) -> None:
    assert parse_filter(value) == expected
    assert parse_filter(json.loads(json.dumps(value))) == expected


def test_every_property_is_in_the_table() -> None:
    named = {name for _, value, _ in READ if isinstance(value, dict) for name in value}
    assert named - {"operator", "conditions"} | {"before", "after"} == set(PROPERTIES)


INSTANTS = [
    ("2014-10-30T06:12:00Z", at("2014-10-30T06:12:00Z")),  # RFC 8620 1.4
    ("1970-01-01T00:00:00Z", 0),
    ("1969-12-31T23:59:59Z", -1),
    ("2024-02-29T23:59:59Z", at("2024-02-29T23:59:59Z")),
    ("9999-12-31T23:59:59Z", 253_402_300_799),
    ("0001-01-01T00:00:00Z", -62_135_596_800),
    ("0000-12-31T23:59:59Z", -62_135_596_801),
    ("0000-02-29T00:00:00Z", -62_162_121_600),
    # A message of 12:00:00 was received before, one of 12:00:01 after it.
    ("2024-01-31T12:00:00.5Z", at("2024-01-31T12:00:01Z")),
    ("2024-01-31T12:00:00.000000000000001Z", at("2024-01-31T12:00:01Z")),
    ("2024-01-31T12:00:00.500Z", at("2024-01-31T12:00:01Z")),
    ("2024-12-31T23:59:59.9Z", at("2025-01-01T00:00:00Z")),
    # RFC 3339 5.8, appendix D
    ("1990-12-31T23:59:60Z", at("1991-01-01T00:00:00Z")),
    ("1990-12-31T23:59:60.5Z", at("1991-01-01T00:00:00Z")),
    ("2012-06-30T23:59:60Z", at("2012-07-01T00:00:00Z")),
]


@pytest.mark.parametrize(("written", "seconds"), INSTANTS, ids=[written for written, _ in INSTANTS])
def test_an_instant_is_the_first_second_not_before_it(written: str, seconds: int) -> None:
    assert parse_filter({"before": written}) == q.Received(q.Order.BEFORE, seconds)
    assert parse_filter({"after": written}) == q.Received(q.Order.SINCE, seconds)


NO_INSTANTS = [
    "", "2024-01-31", "2024-01-31T12:00:00", "2024-01-31t12:00:00Z", "2024-01-31T12:00:00z", "2024-01-31T12:00Z",
    "2024-01-31T12:00:00+00:00", "2024-01-31T12:00:00-00:00", "2024-01-31T14:00:00+02:00", "2024-01-31 12:00:00Z",
    "2024-01-31T12:00:00.Z", "2024-01-31T12:00:00.0Z", "2024-01-31T12:00:00.000Z", "2024-01-31T12:00:00,5Z",
    "2024-1-31T12:00:00Z", "24-01-31T12:00:00Z", "12024-01-31T12:00:00Z", "-024-01-31T12:00:00Z",
    "2023-02-29T12:00:00Z", "0001-02-29T12:00:00Z", "2024-13-01T12:00:00Z", "2024-00-01T12:00:00Z",
    "2024-01-00T12:00:00Z", "2024-01-31T24:00:00Z", "2024-01-31T12:60:00Z", "2024-01-31T12:00:61Z",
    "2024-01-31T12:00:60Z", "2024-01-30T23:59:60Z", "2024-01-31T23:59:61Z", "2024-01-31T12:00:00Z\n",
    " 2024-01-31T12:00:00Z", "２０２４-01-31T12:00:00Z",
]  # fmt: skip

QUOTED = [
    ("a", ["a"]),
    ("  a\tb\nc\u3000d ", ["a", "b", "c", "d"]),
    ('"a b"', ["a b"]),
    ("'a b'", ["a b"]),
    ('"a b" c "d e"', ["a b", "c", "d e"]),
    ('"it\'s"', ["it's"]),
    ("'say \"a b\"'", ['say "a b"']),
    (r'"a \" b"', ['a " b']),
    (r"'a \' b'", ["a ' b"]),
    (r"'a \" b'", ['a " b']),
    (r'"a \\ b"', ["a \\ b"]),
    (r'"a \\"', ["a \\"]),
    (r'"C:\temp"', ["C:\\temp"]),
    # outside of a phrase nothing is escaped
    (r"C:\temp \\x", [r"C:\temp", r"\\x"]),
    ("a\\", ["a\\"]),
    # marks without a counterpart
    ('"', ['"']),
    ("'", ["'"]),
    ('"a b', ['"a', "b"]),
    ("'a b", ["'a", "b"]),
    ("\"a b'", ['"a', "b'"]),
    (r'"a b\"', ['"a', r"b\""]),
    ('"a" "b', ["a", '"b']),
    ("\"a 'b c'", ['"a', "b c"]),
    ('6" x', ['6"', "x"]),
    # apostrophes
    ("don't can't", ["don't", "can't"]),
    ("the dogs' and cats' bowls", ["the", "dogs'", "and", "cats'", "bowls"]),
    ("'69 to '71", ["'69", "to", "'71"]),
    ("'don't stop'", ["don't stop"]),
    ("rock 'n' roll", ["rock", "n", "roll"]),
    ("l’été", ["l’été"]),
    # phrases beside words
    ('a"b c"d', ["a", "b c", "d"]),
    ('"a""b"', ["a", "b"]),
    ("('a b')", ["(", "a b", ")"]),
    # phrases that say nothing
    ('""', []),
    ("'' a \"\"", ["a"]),
    ('" "', [" "]),
]


def words(text: str) -> list[str]:
    query = parse_filter({"subject": text})
    found = query.operands if isinstance(query, q.And) else () if query == q.All() else (query,)
    return [node.text for node in found if isinstance(node, q.Contains)]


@pytest.mark.parametrize(("text", "expected"), QUOTED, ids=[text for text, _ in QUOTED])
def test_words_and_phrases(text: str, expected: list[str]) -> None:
    assert words(text) == expected


PIECE = re.compile(
    r"""
    "(?P<double> (?: \\["'\\] | \\(?!["'\\]) | [^"\\] )* )"
    | (?<![^\W_])'(?P<single> (?: \\["'\\] | \\(?!["'\\]) | '(?=[^\W_]) | [^'\\] )* )'(?![^\W_])
    | (?P<space> \s+ ) | (?P<other> . )""",
    re.VERBOSE | re.DOTALL,
)


def plain_words(text: str) -> list[str]:
    """The same by the grammar alone, each mark's counterpart looked for anew."""
    found, word = [], ""
    for piece in PIECE.finditer(text):
        if piece["other"]:
            word += piece["other"]
            continue
        phrase = re.sub(r"""\\(["'\\])""", r"\1", piece["double"] or piece["single"] or "")
        found += [word, phrase]
        word = ""
    return [said for said in [*found, word] if said]


@given(st.text(alphabet="ab_ \"'\\\té", max_size=16))
def test_any_text_is_divided_as_the_grammar_says(text: str) -> None:
    assert words(text) == plain_words(text)


FULL_OF_QUOTES = ['"', "'a ", "\\'", "\"\\'", "' \"\\", "a'\\\""]


@pytest.mark.parametrize("text", FULL_OF_QUOTES)
def test_a_text_full_of_quotes_takes_no_more_than_its_length(text: str) -> None:
    """The square of these would take hours."""
    parse_filter({"subject": text * 99_999}, most=10**6)
    parse_filter({"subject": '"' + text * 99_999}, most=10**6)


def refused(value: object, kind: Kind, *, most: int = MOST) -> str:
    with pytest.raises(BadFilter) as caught:
        parse_filter(value, most=most)
    assert caught.value.kind is kind
    sentence = str(caught.value)
    assert re.fullmatch(r"[A-Z\"][ -~]*\.", sentence), sentence
    assert len(sentence) < 400
    return sentence


NO_NUMBERS: list[object] = [
    True, False, -1, 2**53, 10**5000, 0.5, 2.0**53, -1.0, float("nan"), float("inf"), "1", None, [],
]  # fmt: skip
NO_KEYWORDS: list[object] = [
    "", "k" * 256, "a b", "\\Seen", "é", "a\n", "\x7f", "\ud800", *'(){]%*"\\', None, True, ["x"],
]  # fmt: skip
NO_TEXTS: list[object] = [None, 1, True, ["x"], {}, "a\ud83d", "\udc00"]
WRONG_VALUES: dict[str, list[object]] = {
    "inMailbox": ["", "i" * 256, "a b", "a=", "a+b", "a/b", "é", "a\n", "\ud800", None, 1, ["a"]],
    "inMailboxOtherThan": ["a", None, {"a": True}, ["a", None], [""], ["a", "b c"], ["\ud800"]],
    "before": [*NO_INSTANTS, 0, None],
    "after": ["yesterday", 0, None],
    "minSize": NO_NUMBERS,
    "maxSize": NO_NUMBERS,
    "allInThreadHaveKeyword": NO_KEYWORDS,
    "someInThreadHaveKeyword": NO_KEYWORDS,
    "noneInThreadHaveKeyword": NO_KEYWORDS,
    "hasKeyword": NO_KEYWORDS,
    "notKeyword": NO_KEYWORDS,
    "hasAttachment": [0, 1, "true", None, []],
    "text": NO_TEXTS,
    "from": NO_TEXTS,
    "to": NO_TEXTS,
    "cc": NO_TEXTS,
    "bcc": NO_TEXTS,
    "subject": NO_TEXTS,
    "body": NO_TEXTS,
    "header": [
        None, "List-Id", {"0": "a"}, [], ["a", "b", "c"], [""], ["a b"], ["a:"], ["Subject: x", "y"], ["a\n"], ["é"],
        ["\ud800"], [None], ["a", None], ["a", 1], ["a", "\ud800"],
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_value_that_a_property_cannot_have_is_an_invalid_argument(name: str) -> None:
    for value in WRONG_VALUES[name]:
        assert f'"{name}"' in refused({name: value}, Kind.INVALID)


NO_FILTERS: list[tuple[str, object, str]] = [
    ("array", [], "filter"),
    ("string", "x", "filter"),
    ("true", True, "filter"),
    ("condition-null", operator("AND", None), "condition"),
    ("condition-array", operator("AND", [a]), "condition"),
    ("operator-unknown", operator("XOR", a), '"operator" wants'),
    ("operator-lower-case", operator("and", a), '"operator" wants'),
    ("operator-null", {"operator": None, "conditions": []}, '"operator" wants'),
    ("operator-array", {"operator": ["AND"], "conditions": []}, '"operator" wants'),
    ("operator-missing", {"conditions": [a]}, '"operator" wants'),
    ("conditions-missing", {"operator": "AND"}, '"conditions" wants'),
    ("conditions-object", {"operator": "AND", "conditions": a}, '"conditions" wants'),
    ("conditions-null", {"operator": "AND", "conditions": None}, '"conditions" wants'),
    ("operator-and-property", {**operator("AND", a), "subject": "b"}, '"subject"'),
    ("operator-and-unknown", {**operator("AND", a), "\ud800": 1}, r'"\ud800"'),
]


@pytest.mark.parametrize(("value", "named"), [case[1:] for case in NO_FILTERS], ids=[case[0] for case in NO_FILTERS])
def test_what_is_no_filter_is_an_invalid_argument(value: object, named: str) -> None:
    assert named in refused(value, Kind.INVALID)


@pytest.mark.parametrize(
    "value",
    [
        {"isFancy": 1, "subject": 5},
        {"subject": 5, "isFancy": 1},
        operator("AND", {"isFancy": 1}, {"subject": 5}),
        operator("NOT", {"isFancy": 1}, 3),
    ],
)
def test_only_what_is_well_formed_is_unsupported(value: object) -> None:
    """RFC 8620 5.5, in whatever order it stands."""
    refused(value, Kind.INVALID)


@pytest.mark.parametrize("name", ["isFancy", "", "INMAILBOX", "\ud800\r\n\x1b[1m", "x" * 10_000])
def test_a_property_that_is_not_known_is_not_supported(name: str) -> None:
    sentence = refused({name: True}, Kind.UNSUPPORTED)
    assert json.dumps(name[:10])[:-1] in sentence


def nested(depth: int, inner: object) -> object:
    for _ in range(depth):
        inner = operator("NOT", inner)
    return inner


def test_operators_nest_so_deep_and_no_deeper() -> None:
    query = parse_filter(nested(DEPTH, a))
    for _ in range(DEPTH):
        assert isinstance(query, q.Not)
        query = query.operand
    assert query == A
    assert str(DEPTH) in refused(nested(DEPTH + 1, a), Kind.UNSUPPORTED)
    refused(nested(100_000, a), Kind.UNSUPPORTED)


TOO_MUCH: list[tuple[str, int, object]] = [
    ("conditions", 5, operator("AND", a, b)),
    ("conditions-of-none", 3, operator("OR", {}, {})),
    ("properties", 4, {"minSize": 1, "maxSize": 2, "hasAttachment": True}),
    ("words", 4, {"subject": "a b c"}),
    ("words-anywhere", 3, {"text": "a b"}),
    ("words-of-a-header", 3, {"header": ["x", "a b"]}),
    ("mailboxes", PASS + 4, {"inMailboxOtherThan": ["a", "b", "c"]}),
    ("keywords", 1 + 2 * PASS, {"hasKeyword": "$seen", "notKeyword": "$draft"}),
    ("threads", 1 + 2 * PASS, {"allInThreadHaveKeyword": "$seen", "noneInThreadHaveKeyword": "$draft"}),
]


@pytest.mark.parametrize(("most", "value"), [case[1:] for case in TOO_MUCH], ids=[case[0] for case in TOO_MUCH])
def test_a_filter_asks_for_so_much_and_no_more(most: int, value: object) -> None:
    parse_filter(value, most=most)
    assert str(most - 1) in refused(value, Kind.UNSUPPORTED, most=most - 1)


def test_a_huge_filter_is_refused() -> None:
    for huge in (operator("OR", *[{}] * 10**6), {"text": "a " * 10**6}, {"inMailboxOtherThan": ["a"] * 10**6}):
        refused(huge, Kind.UNSUPPORTED)


# A filter means what it says -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Email:
    thread: int
    placements: dict[str, frozenset[str]]
    """Mailbox -> IMAP's flags there."""
    received: datetime
    size: int
    attachment: bool
    header: tuple[tuple[str, str], ...]
    body: str

    @property
    def keywords(self) -> set[str]:
        """JMAP's (RFC 8621 4.1.1): read where all placements are, the others where one has them."""
        found = set[str]().union(*self.placements.values())
        if not all("\\Seen" in flags for flags in self.placements.values()):
            found -= {"\\Seen"}
        return {flag.replace("\\", "$").lower() for flag in found}

    def field(self, name: str) -> list[str]:
        return [value for field, value in self.header if field.lower() == name.lower()]


World = list[Email]
Meaning = Callable[[Email, World], bool]
"""What a filter says, in the RFC's words: whether an email of these matches."""


def holds(query: q.Query, email: Email, world: World) -> bool:
    """What the query language says, node by node as `language` describes them."""
    match query:
        case q.All():
            return True
        case q.And(operands):
            return all(holds(operand, email, world) for operand in operands)
        case q.Or(operands):
            return any(holds(operand, email, world) for operand in operands)
        case q.Not(operand):
            return not holds(operand, email, world)
        case q.Placed(mailboxes, False):
            return any(mailbox in mailboxes for mailbox in email.placements)
        case q.Placed(mailboxes, True):
            return any(mailbox not in mailboxes for mailbox in email.placements)
        case q.Received(q.Order.BEFORE, seconds):
            return email.received.timestamp() < seconds
        case q.Received(q.Order.SINCE, seconds):
            return email.received.timestamp() >= seconds
        case q.Larger(octets):
            return email.size > octets
        case q.Smaller(octets):
            return email.size < octets
        case q.EmailHas(name):
            has = [name.lower() in {flag.lower() for flag in flags} for flags in email.placements.values()]
            return all(has) if name == "\\Seen" else any(has)
        case q.ThreadHas(name, every):
            inside = [holds(q.EmailHas(name), other, world) for other in world if other.thread == email.thread]
            return all(inside) if every else any(inside)
        case q.HasAttachment():
            return email.attachment
        case q.Contains(q.Field.BODY, text):
            return text.lower() in email.body.lower()
        case q.Contains(field, text):
            return holds(q.HeaderContains(field.value, text), email, world)
        case q.HeaderContains(name, text):
            return any(text.lower() in value.lower() for value in email.field(name))
    raise AssertionError(f"not for JMAP: {query}")


BOXES, FLAGS = ("in", "junk", "old"), ("\\Seen", "\\Flagged", "\\Draft", "\\Answered", "work", "$Junk")
KEYWORDS = ("$seen", "$SEEN", "$flagged", "$draft", "$answered", "work", "Work", "$junk", "seen")
FIELDS = ("From", "To", "Cc", "Bcc", "Subject", "X-A")
START = datetime(2024, 2, 28, 23, 59, 58, tzinfo=UTC)
texts = st.text(alphabet="abAB \"'\\", max_size=6)
emails = st.builds(
    Email,
    thread=st.integers(0, 1),
    placements=st.dictionaries(st.sampled_from(BOXES), st.frozensets(st.sampled_from(FLAGS)), min_size=1),
    received=st.integers(0, 4).map(lambda seconds: START + timedelta(seconds=seconds)),
    size=st.integers(0, 4),
    attachment=st.booleans(),
    header=st.lists(st.tuples(st.sampled_from(FIELDS), texts), max_size=4).map(tuple),
    body=texts,
)

Said = tuple[object, Meaning]
Values = st.SearchStrategy[Any]


def said(name: str, values: Values, meaning: Callable[[Any, Email, World], bool]) -> st.SearchStrategy[Said]:
    return values.map(lambda value: ({name: value}, lambda email, world: meaning(value, email, world)))


def has(keyword: str, email: Email) -> bool:
    return keyword.lower() in email.keywords


def thread(email: Email, world: World) -> World:
    return [other for other in world if other.thread == email.thread]


def written(word: str, quote: str) -> str:
    """A word, or with a quote a phrase, as a client writes it."""
    return quote + re.sub(r"""(["'\\])""", r"\\\1", word) + quote if quote else word


bare = st.tuples(st.text(alphabet="abAB", min_size=1, max_size=2), st.just(""))
phrases = st.tuples(st.text(alphabet="abAB \"'\\", min_size=1, max_size=3), st.sampled_from("\"'"))
looked_for = st.lists(bare | phrases, max_size=3)


def texts_of(name: str, places: Callable[[Email], list[str]]) -> st.SearchStrategy[Said]:
    """Each word is in one of the places."""

    def make(what: list[tuple[str, str]]) -> Said:
        def meaning(email: Email, world: World) -> bool:
            return all(any(word.lower() in place.lower() for place in places(email)) for word, _ in what)

        return {name: " ".join(written(word, quote) for word, quote in what)}, meaning

    return looked_for.map(make)


def header_of(name: str, what: list[tuple[str, str]] | None) -> Said:
    def meaning(email: Email, world: World) -> bool:
        values = [value.lower() for value in email.field(name)]
        return bool(values) and all(any(word.lower() in value for value in values) for word, _ in what or [])

    return {"header": [name] if what is None else [name, " ".join(written(*one) for one in what)]}, meaning


def everywhere(email: Email) -> list[str]:
    return [value for name in ("From", "To", "Cc", "Bcc", "Subject") for value in email.field(name)] + [email.body]


@st.composite
def instants(draw: st.DrawFn) -> tuple[str, datetime]:
    when = START + timedelta(seconds=draw(st.integers(0, 4)), microseconds=draw(st.sampled_from([0, 1, 500_000])))
    return when.isoformat().replace("+00:00", "Z"), when


keywords = st.sampled_from(KEYWORDS)
conditions: dict[str, st.SearchStrategy[Said]] = {
    "inMailbox": said("inMailbox", st.sampled_from(BOXES), lambda box, email, world: box in email.placements),
    "inMailboxOtherThan": said(
        "inMailboxOtherThan",
        st.lists(st.sampled_from(BOXES), max_size=3),
        lambda boxes, email, world: bool(set(email.placements) - set(boxes)),
    ),
    "before": instants().map(lambda one: ({"before": one[0]}, lambda email, world: email.received < one[1])),
    "after": instants().map(lambda one: ({"after": one[0]}, lambda email, world: email.received >= one[1])),
    "minSize": said("minSize", st.integers(0, 5), lambda size, email, world: email.size >= size),
    "maxSize": said("maxSize", st.integers(0, 5), lambda size, email, world: email.size < size),
    "allInThreadHaveKeyword": said(
        "allInThreadHaveKeyword",
        keywords,
        lambda keyword, email, world: all(has(keyword, other) for other in thread(email, world)),
    ),
    "someInThreadHaveKeyword": said(
        "someInThreadHaveKeyword",
        keywords,
        lambda keyword, email, world: any(has(keyword, other) for other in thread(email, world)),
    ),
    "noneInThreadHaveKeyword": said(
        "noneInThreadHaveKeyword",
        keywords,
        lambda keyword, email, world: all(not has(keyword, other) for other in thread(email, world)),
    ),
    "hasKeyword": said("hasKeyword", keywords, lambda keyword, email, world: has(keyword, email)),
    "notKeyword": said("notKeyword", keywords, lambda keyword, email, world: not has(keyword, email)),
    "hasAttachment": said("hasAttachment", st.booleans(), lambda wanted, email, world: email.attachment == wanted),
    "text": texts_of("text", everywhere),
    "from": texts_of("from", lambda email: email.field("From")),
    "to": texts_of("to", lambda email: email.field("To")),
    "cc": texts_of("cc", lambda email: email.field("Cc")),
    "bcc": texts_of("bcc", lambda email: email.field("Bcc")),
    "subject": texts_of("subject", lambda email: email.field("Subject")),
    "body": texts_of("body", lambda email: [email.body]),
    "header": st.builds(header_of, st.sampled_from([*FIELDS, "x-a"]), st.none() | looked_for),
}


def together(parts: list[Said]) -> Said:
    """One condition of several properties; of one that comes twice the last counts, as in JSON."""
    by_name = {name: (value, meaning) for one, meaning in parts for name, value in properties(one)}
    meanings = [meaning for _, meaning in by_name.values()]
    return (
        {name: value for name, (value, _) in by_name.items()},
        lambda email, world: all(meaning(email, world) for meaning in meanings),
    )


def properties(condition: object) -> list[tuple[str, object]]:
    return list(condition.items()) if isinstance(condition, dict) else []


QUANTIFIERS: dict[str, Callable[[list[bool]], bool]] = {"AND": all, "OR": any, "NOT": lambda found: not any(found)}


def joined(name: str, parts: list[Said]) -> Said:
    quantifier = QUANTIFIERS[name]
    meanings = [meaning for _, meaning in parts]
    return (
        operator(name, *[one for one, _ in parts]),
        lambda email, world: quantifier([meaning(email, world) for meaning in meanings]),
    )


filters = st.recursive(
    st.lists(st.one_of(*conditions.values()), max_size=3).map(together),
    lambda inner: st.builds(joined, st.sampled_from(["AND", "OR", "NOT"]), st.lists(inner, max_size=3)),
    max_leaves=6,
)


def test_every_property_has_a_meaning_here() -> None:
    assert set(conditions) == set(PROPERTIES)


@settings(max_examples=500)
@given(filters, st.lists(emails, min_size=1, max_size=4))
def test_a_filter_finds_what_the_rfc_says(filter: Said, world: World) -> None:
    value, meaning = filter
    query = parse_filter(json.loads(json.dumps(value)))
    for email in world:
        assert holds(query, email, world) == meaning(email, world)


names = st.sampled_from([*PROPERTIES, "operator", "conditions"]) | st.text(max_size=3)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["AND", "OR", "NOT", "$seen", "2024-01-31T12:00:00Z", "2024-01-31T23:59:60Z", '"a b" c'])
    | st.text(alphabet=st.characters(), max_size=5)
    | st.text(alphabet=st.characters(categories=["Cs", "Cc"]), max_size=2)
)
jsons = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names, inner, max_size=3)
        | st.builds(lambda operands: operator("OR", *operands), st.lists(inner, max_size=3))
    ),
    max_leaves=12,
)


@settings(max_examples=500)
@given(jsons, st.integers(0, 8))
def test_anything_is_a_filter_or_refused_in_a_sentence(value: object, most: int) -> None:
    try:
        hash(parse_filter(value, most=most))
    except BadFilter as bad:
        sentence = str(bad)
    else:
        return
    assert re.fullmatch(r"[ -~]+\.", sentence)
