"""Answers of servers: examples of the RFCs as tables, read whole, split at every octet, octet by octet, with a tail."""

from __future__ import annotations

from array import array
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from restante.imap.grammar.answers import (
    Answer,
    AnswerLimits,
    AnswerReader,
    BadAnswer,
    Continue,
    Data,
    Status,
)
from restante.imap.grammar.answers_fetch import Passed, Rows, parse_fetch, parse_internaldate
from restante.imap.grammar.answers_mailbox import Listed, Namespaces, parse_list, parse_namespace, parse_status
from restante.imap.grammar.answers_search import (
    Found,
    clip,
    expand,
    gaps,
    parse_appenduid,
    parse_copyuid,
    parse_esearch,
    parse_search,
    parse_vanished,
)
from restante.imap.grammar.response import format_internaldate


class Case(NamedTuple):
    id: str
    octets: bytes
    answer: Answer


def ok(tag: bytes, word: bytes, code: bytes, data: bytes, text: bytes) -> Status:
    return Status(tag, word, code, data, text)


CASES = [
    Case("rfc3501-7.1.1", b"* OK IMAP4rev1 server ready\r\n", ok(b"*", b"OK", b"", b"", b"IMAP4rev1 server ready")),
    Case(
        "rfc3501-7.1.2",
        b"A222 NO COPY failed: disk is full\r\n",
        ok(b"A222", b"NO", b"", b"", b"COPY failed: disk is full"),
    ),
    Case(
        "rfc3501-7.1.5",
        b"* BYE Autologout; idle for too long\r\n",
        ok(b"*", b"BYE", b"", b"", b"Autologout; idle for too long"),
    ),
    Case(
        "rfc3501-7.1.4",
        b"* PREAUTH IMAP4rev1 server logged in as Smith\r\n",
        ok(b"*", b"PREAUTH", b"", b"", b"IMAP4rev1 server logged in as Smith"),
    ),
    Case(
        "rfc3501-6.3.1-permanentflags",
        b"* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] Limited\r\n",
        ok(b"*", b"OK", b"PERMANENTFLAGS", b"(\\Deleted \\Seen \\*)", b"Limited"),
    ),
    Case("rfc3501-7-no-text", b"a1 OK [READ-ONLY]\r\n", ok(b"a1", b"OK", b"READ-ONLY", b"", b"")),
    Case("lower-case", b"a1 ok [uidnext 5] x\r\n", ok(b"a1", b"OK", b"UIDNEXT", b"5", b"x")),
    Case("braces-in-a-text", b"a1 BAD unexpected {5}\r\n", ok(b"a1", b"BAD", b"", b"", b"unexpected {5}")),
    Case("braces-in-a-continuation", b"+ send {5}\r\n", Continue(b"send {5}")),
    Case(
        "rfc3501-7.1-badcharset",
        b"a NO [BADCHARSET ({5}\r\nUTF-7 UTF-8)] Only these\r\n",
        ok(b"a", b"NO", b"BADCHARSET", b"(UTF-7 UTF-8)", b"Only these"),
    ),
    Case("rfc3501-7.5", b"+ Ready for additional command text\r\n", Continue(b"Ready for additional command text")),
    Case("bare-plus", b"+\r\n", Continue(b"")),
    Case("bare-lf", b"* 23 EXISTS\n", Data(b"EXISTS", 23, b"")),
    Case("empty-line-before", b"\r\n* 23 EXISTS\r\n", Data(b"EXISTS", 23, b"")),
    Case("rfc3501-7.4.1", b"* 44 EXPUNGE\r\n", Data(b"EXPUNGE", 44, b"")),
    Case("rfc3501-7.2.5", b"* SEARCH 2 3 6\r\n", Data(b"SEARCH", 0, b"2 3 6")),
    Case(
        "rfc3501-7.4.2-literal",
        b"* 12 FETCH (BODY[HEADER] {12}\r\nDate: x)\r\n\r\n UID 5)\r\n",
        Data(b"FETCH", 12, b"(BODY[HEADER] \r UID 5)", (b"Date: x)\r\n\r\n",)),
    ),
    Case(
        "rfc3516-4.2-literal8",
        b"* 1 FETCH (BINARY[1] ~{3}\r\n\0\r\n)\r\n",
        Data(b"FETCH", 1, b"(BINARY[1] \r)", (b"\0\r\n",)),
    ),
    Case("empty-literal", b"* 1 FETCH (BODY[] {0}\r\n)\r\n", Data(b"FETCH", 1, b"(BODY[] \r)", (b"",))),
    Case(
        "forged-answer-in-a-literal",
        b"* 1 FETCH (BODY[] {21}\r\n* 2 EXISTS\r\na1 OK x\r\n UID 1)\r\n",
        Data(b"FETCH", 1, b"(BODY[] \r UID 1)", (b"* 2 EXISTS\r\na1 OK x\r\n",)),
    ),
    Case(
        "rfc3501-7.2.2-literal-name",
        b'* LIST () "/" {4}\r\na"{b\r\n',
        Data(b"LIST", 0, b'() "/" \r', (b'a"{b',)),
    ),
]


def drain(reader: AnswerReader) -> list[Answer]:
    found = []
    while (answer := reader.next()) is not None:
        found.append(answer)
    return found


def read(*pieces: bytes, limits: AnswerLimits | None = None) -> list[Answer]:
    reader, found = AnswerReader(limits), []
    for piece in pieces:
        reader.feed(piece)
        found += drain(reader)
    assert not reader.midway
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_examples_whole_split_and_with_a_tail(case: Case) -> None:
    assert read(case.octets) == [case.answer]
    for cut in range(1, len(case.octets)):
        assert read(case.octets[:cut], case.octets[cut:]) == [case.answer], cut
    assert read(*[case.octets[at : at + 1] for at in range(len(case.octets))]) == [case.answer]
    tail = b"* 7 EXISTS\r\n"
    assert read(case.octets + tail) == [case.answer, Data(b"EXISTS", 7, b"")]


@pytest.mark.parametrize(
    "octets",
    [b"220 smtp.example ESMTP\r\n", b"* \r\n", b"a1\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"*\r\n", b"a1 MAYBE x\r\n"],
)
def test_what_is_no_imap_is_refused(octets: bytes) -> None:
    with pytest.raises(BadAnswer):
        read(octets)


@pytest.mark.parametrize(
    "octets",
    [b"* " + b"x" * 2_000 + b"\r\n", b"* SEARCH" + b" 1" * 1_000, b"* 1 FETCH (BODY[] {5001}\r\n",
     b"* 1 FETCH (A {9}\r\n123456789" * 9, b"* 1 FETCH (A {9}\r\n123456789" + b" B {9}\r\n123456789" * 9],
)  # fmt: skip
def test_bounds(octets: bytes) -> None:
    limits = AnswerLimits(line=1_500, literal=5_000, literals=5)
    for step in (1, 7, len(octets)):
        with pytest.raises(BadAnswer):
            read(*[octets[at : at + step] for at in range(0, len(octets), step)], limits=limits)


def fetch(text: bytes, *literals: bytes) -> dict[bytes, bytes | int | None]:
    return parse_fetch(Data(b"FETCH", 1, text, literals))


def test_fetch_items() -> None:
    assert fetch(b"(FLAGS (\\Seen) UID 4827313 RFC822.SIZE 44827)") == {
        b"FLAGS": b"\\Seen",
        b"UID": 4827313,
        b"RFC822.SIZE": 44827,
    }
    assert fetch(b'(INTERNALDATE "17-Jul-1996 02:44:25 -0700" body[]<0> \r uid 3)', b"x") == {
        b"INTERNALDATE": b"17-Jul-1996 02:44:25 -0700",
        b"BODY[]<0>": b"x",
        b"UID": 3,
    }
    assert fetch(
        b'(BODY[HEADER.FIELDS ("DATE" FROM)] "a\\"b\\\\" EMAILID (M1) THREADID NIL BODY[1] NIL X-GM-MSGID 9)'
    ) == {
        b'BODY[HEADER.FIELDS ("DATE" FROM)]': b'a"b\\',
        b"EMAILID": b"M1",
        b"THREADID": None,
        b"BODY[1]": None,
        b"X-GM-MSGID": 9,
    }
    envelope = fetch(b'(ENVELOPE ("d" "s)" ((NIL NIL "a" "b")) \r) BODY[] \r UID 7)', b"in the envelope", b"the body")
    assert envelope[b"BODY[]"] == b"the body"
    assert envelope[b"UID"] == 7
    assert fetch(b"()") == {}


@pytest.mark.parametrize(
    "text", [b"UID 5", b"(UID)", b"(UID 5", b"(FLAGS (\\Seen)", b'(A "b)', b"(" + b"A (" * 300 + b")"]
)
def test_fetch_that_is_none(text: bytes) -> None:
    with pytest.raises(BadAnswer):
        fetch(text)


def test_rows_are_taken_out_of_the_stream() -> None:
    body = b"\r\n* 7 FETCH (UID 9 FLAGS (x))\r\n"
    stream = (
        b"* 1 FETCH (UID 1 FLAGS ())\r\n* 2 FETCH (FLAGS (\\Seen x) UID 5 MODSEQ (12))\r\n"
        b"* 3 FETCH (UID 6 MODSEQ (13))\r\n* 9 EXISTS\r\n* 4 FETCH (MODSEQ (9) UID 7 FLAGS (\\Seen x))\r\n"
        b'* LIST () "/" "* 8 FETCH (UID 8 FLAGS ())"\r\n* OK * 8 FETCH (UID 8 FLAGS (no))\r\n'
        b"* 5 FETCH (UID 9 BODY[] {%d}\r\n%b)\r\na1 OK done\r\n" % (len(body), body)
    )
    for step in (1, 2, 3, 50, len(stream)):
        reader, rows = AnswerReader(), Rows()
        reader.rows, answers = rows, []
        for at in range(0, len(stream), step):
            reader.feed(stream[at : at + step])
            answers += drain(reader)
        for answer in answers:  # what came in pieces is not plain
            if isinstance(answer, Data) and answer.word == b"FETCH" and b"\r" not in answer.text:
                items = parse_fetch(answer)
                uid, flags = items.get(b"UID"), items.get(b"FLAGS")
                if isinstance(uid, int) and isinstance(flags, bytes):
                    rows.add(uid, b"(" + flags + b")")
        seen = {uid: rows.sets[kind] for uid, kind in zip(rows.uids, rows.kinds, strict=True)}
        assert seen == {1: b"()", 5: b"(\\Seen x)", 7: b"(\\Seen x)"}
        assert [type(answer) for answer in answers[-1:]] == [Status]
        assert sum(isinstance(answer, Data) and bool(answer.literals) for answer in answers) == 1


WHOLE = b"From: a\r\n\r\n* 1 FETCH (UID 1)\r\n"
BODIES = [
    b'* 1 FETCH (UID 3 FLAGS (\\Seen $x) INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[]<0> {%d}\r\n%b)\r\n',
    b'* 2 FETCH (FLAGS () INTERNALDATE " 1-Jan-2020 00:00:00 +0000" UID 4 BODY[] {%d}\r\n%b)\r\n',
    b'* 3 FETCH (UID 5 EMAILID (M1) THREADID (T1) FLAGS () INTERNALDATE "x" BODY[]<0> {%d}\r\n%b)\r\n',
    b'* 3 FETCH (UID 5 UID 6 EMAILID (M1) FLAGS () INTERNALDATE "x" BODY[]<0> {%d}\r\n%b)\r\n',
]


@pytest.mark.parametrize("octets", BODIES)
def test_a_message_in_the_plainest_form_is_read_at_once(octets: bytes) -> None:
    stream = octets % (len(WHOLE), WHOLE)
    reader = AnswerReader()
    reader.bodies = True
    reader.feed(stream + b"a1 OK done\r\n")
    answer, end = drain(reader)
    assert isinstance(answer, Data)
    assert answer.items is not None
    (plain,) = read(stream)
    assert isinstance(plain, Data)
    assert parse_fetch(answer) == parse_fetch(plain)
    assert isinstance(end, Status)


streams = st.lists(
    st.builds(lambda form, body: form % (len(body), body), st.sampled_from(BODIES), st.sampled_from([b"", b"a", WHOLE]))
    | st.sampled_from(
        [
            b"* 9 EXISTS\r\n", b"a1 OK done\r\n", b"\r\n", b"* 4 FETCH (UID 9 BODY[]<0> {1}\r\na)\r\n",
            b'* 4 FETCH (UID 9 FLAGS () INTERNALDATE "x" BODY[]<0> {2}\r\nab FLAGS (\\Seen))\r\n',
            b'* 4 FETCH (UID 9FLAGS () INTERNALDATE "x" BODY[]<0> {1}\r\na)\r\n',
            b'* 4 FETCH (UID 9 FLAGS () INTERNALDATE "x\\"" BODY[]<0> {1}\r\na)\r\n',
            b'* 4 fetch (UID 9 FLAGS () INTERNALDATE "x" BODY[]<0> {1}\na)\n',
            b'* 4 FETCH (UID 9 FLAGS () INTERNALDATE "x" BODY[]<0> NIL)\r\n',
            b'* 4 FETCH (UID 9 FLAGS ("a") INTERNALDATE "x" BODY[] {90}\r\n%b)\r\n' % (b"y" * 90),
        ]
    ),
    max_size=6,
).map(b"".join)  # fmt: skip


@given(streams | st.builds(lambda data, cut: data[:cut], streams, st.integers(0, 300)), st.integers(1, 60))
def test_messages_are_read_as_any_other_answer(stream: bytes, step: int) -> None:
    """However they come in pieces, beside whatever else, and past limits."""

    def told(bodies: bool) -> list[object]:
        reader = AnswerReader(AnswerLimits(literal=80))
        reader.bodies = bodies
        found: list[object] = []
        try:
            for at in range(0, len(stream), step):
                reader.feed(stream[at : at + step])
                for answer in drain(reader):
                    if isinstance(answer, Data) and answer.word == b"FETCH":
                        found.append((answer.number, parse_fetch(answer)))
                    else:
                        found.append(answer)
        except BadAnswer as error:
            found.append(error.text)
        return found

    assert told(True) == told(False)


def test_passed_lines_leave_nothing() -> None:
    reader = AnswerReader()
    reader.rows = Passed()
    reader.feed(b"* 1 FETCH (UID 1 MODSEQ (5))\r\n* 2 FETCH (FLAGS (\\Seen))\r\n* 1 EXPUNGE\r\n")
    assert drain(reader) == [Data(b"EXPUNGE", 1, b"")]


def test_a_long_line_in_many_chunks() -> None:
    numbers = range(1, 200_001)
    line = b"* SEARCH " + " ".join(map(str, numbers)).encode() + b"\r\n"
    (answer,) = read(*[line[at : at + 65_536] for at in range(0, len(line), 65_536)])
    assert isinstance(answer, Data)
    assert parse_search(answer) == array("Q", numbers)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"17-Jul-1996 02:44:25 -0700", 837_596_665),
        (b" 1-Jan-1970 00:00:00 +0000", 0),
        (b"01-Jan-1970 01:00:00 +0100", 0),
    ],
)
def test_internaldate(text: bytes, seconds: int) -> None:
    assert parse_internaldate(text) == seconds


@given(st.integers(-(10**10), 10**11))
def test_internaldate_and_back(seconds: int) -> None:
    assert parse_internaldate(format_internaldate(seconds)) == seconds


@pytest.mark.parametrize("text", [b"", b"31-Feb-2020 00:00:00 +0000", b"1-Foo-2020 00:00:00 +0000", b"x"])
def test_internaldate_that_is_none(text: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_internaldate(text)


def test_list() -> None:
    def listed(text: bytes, *literals: bytes) -> Listed:
        return parse_list(Data(b"LIST", 0, text, literals))

    assert listed(b'(\\Noselect) "/" ~/Mail/foo') == Listed(frozenset({"\\noselect"}), "/", b"~/Mail/foo")
    assert listed(b'() "\\\\" "a b"') == Listed(frozenset(), "\\", b"a b")
    assert listed(b"() NIL INBOX") == Listed(frozenset(), None, b"INBOX")
    assert listed(b'() "." \r', b"x") == Listed(frozenset(), ".", b"x")
    assert listed(b'() "." ""') == Listed(frozenset(), ".", b"")
    assert listed(b'(\\Subscribed) "/" new ("OLDNAME" ("old \\"x"))').old == b'old "x'
    assert listed(b'() "/" foo ("CHILDINFO" ("SUBSCRIBED"))').old is None
    for text in (b"", b"() x", b"INBOX", b'() "/"'):
        with pytest.raises(BadAnswer):
            listed(text)


def test_status() -> None:
    def status(text: bytes, *literals: bytes) -> tuple[bytes, dict[bytes, int | bytes | None]]:
        return parse_status(Data(b"STATUS", 0, text, literals))

    assert status(b"blurdybloop (MESSAGES 231 UIDNEXT 44292)") == (
        b"blurdybloop",
        {b"MESSAGES": 231, b"UIDNEXT": 44292},
    )
    assert status(b"foo (MAILBOXID (F2212ea87-6097-4256-9d51-71338625))")[1] == {
        b"MAILBOXID": b"F2212ea87-6097-4256-9d51-71338625"
    }
    assert status(b"\r (appendlimit NIL HIGHESTMODSEQ 9223372036854775807)", b"a)(b") == (
        b"a)(b",
        {b"APPENDLIMIT": None, b"HIGHESTMODSEQ": 2**63 - 1},
    )
    assert status(b'"" ()') == (b"", {})
    for text in (b"foo", b"foo (MESSAGES)", b"foo MESSAGES 1", b"foo (MESSAGES x)"):
        with pytest.raises(BadAnswer):
            status(text)


def test_namespace() -> None:
    def spaces(text: bytes) -> Namespaces:
        return parse_namespace(Data(b"NAMESPACE", 0, text))

    assert spaces(b'(("" "/")) NIL NIL') == Namespaces(((b"", "/"),), (), ())
    assert spaces(b'(("INBOX." ".")) (("~" "/")) (("#shared/" "/" "X-PARAM" ("F1" "F2"))("#news." "."))') == Namespaces(
        ((b"INBOX.", "."),), ((b"~", "/"),), ((b"#shared/", "/"), (b"#news.", "."))
    )
    for text in (b"", b"NIL NIL", b'(("" "/") NIL NIL', b"(x) NIL NIL"):
        with pytest.raises(BadAnswer):
            spaces(text)


def test_numbers() -> None:
    assert parse_search(Data(b"SEARCH", 0, b"2 84 882 (MODSEQ 917162500)")) == array("Q", [2, 84, 882])
    assert parse_search(Data(b"SEARCH", 0, b"")) == array("Q")
    assert parse_esearch(Data(b"ESEARCH", 0, b'(TAG "A285") UID MIN 7 MAX 3800 COUNT 3')) == Found(
        b"A285", True, None, 3
    )
    assert parse_esearch(Data(b"ESEARCH", 0, b'(TAG "a") ALL 43,117:115 MODSEQ 9')) == Found(
        b"a", False, [(43, 43), (115, 117)], None
    )
    assert parse_esearch(Data(b"ESEARCH", 0, b'(TAG "a") UID PARTIAL (-1:-100 5:6)')).ranges == [(5, 6)]
    assert parse_esearch(Data(b"ESEARCH", 0, b'(TAG "a") UID PARTIAL (1:2 NIL)')).ranges == []
    assert parse_esearch(Data(b"ESEARCH", 0, b'(TAG "a") UID')) == Found(b"a", True, None, None)
    assert parse_vanished(Data(b"VANISHED", 0, b"(EARLIER) 300:310,405")) == (True, [(300, 310), (405, 405)])
    assert parse_vanished(Data(b"VANISHED", 0, b"405")) == (False, [(405, 405)])
    for text in (b"*", b"1:*", b"0", b"x"):
        with pytest.raises(BadAnswer):
            parse_vanished(Data(b"VANISHED", 0, text))


def test_appenduid_and_copyuid() -> None:
    assert parse_appenduid(ok(b"a", b"OK", b"APPENDUID", b"38505 3955", b""), 1) == (38505, array("Q", [3955]))
    assert parse_appenduid(ok(b"a", b"OK", b"APPENDUID", b"38505 3955:3957", b""), 3) == (
        38505,
        array("Q", [3955, 3956, 3957]),
    )
    assert parse_appenduid(ok(b"a", b"OK", b"APPENDUID", b"1 1:4294967295", b""), 2) is None
    assert parse_appenduid(ok(b"a", b"OK", b"APPENDUID", b"1 1:2", b""), 1) is None
    copied = ok(b"a", b"OK", b"COPYUID", b"38505 304,319:320 3956:3958", b"")
    assert parse_copyuid(copied, 3) == (38505, {304: 3956, 319: 3957, 320: 3958})
    assert parse_copyuid(ok(b"a", b"OK", b"COPYUID", b"1 1:4294967295 1:4294967295", b""), 9) is None
    assert parse_copyuid(ok(b"a", b"OK", b"READ-ONLY", b"", b""), 9) is None


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9))), st.integers(1, 60), st.integers(1, 60))
@example([(1, 2), (1, 2)], 3, 1)
def test_clip_and_gaps_share_a_range_out(written: list[tuple[int, int]], low: int, high: int) -> None:
    ranges = [(first, first + more) for first, more in written]
    inside = {number for first, last in ranges for number in range(first, last + 1)} & set(range(low, high + 1))
    kept, missing = expand(clip(ranges, low, high), 1_000), expand(gaps(ranges, low, high), 1_000)
    assert kept is not None
    assert missing is not None
    assert list(kept) == sorted(inside)
    assert list(missing) == sorted(set(range(low, high + 1)) - inside)


def test_a_set_is_expanded_within_bounds_only() -> None:
    assert expand([(1, 4_294_967_295)], 1_000_000) is None


@given(st.binary(max_size=60), st.integers(1, 9))
def test_any_octets_give_answers_or_are_refused(octets: bytes, step: int) -> None:
    def outcome(size: int) -> tuple[list[Answer], bool]:
        reader, found = AnswerReader(), []
        for at in range(0, len(octets), size):
            reader.feed(octets[at : at + size])
            try:
                found += drain(reader)
            except BadAnswer:
                return found, True
        return found, False

    assert outcome(step) == outcome(len(octets) or 1)


def test_no_pattern_goes_back_and_forth() -> None:
    """A line of half a megabyte is refused or read at once, whatever it is."""
    long = b"a" * 250_000
    for text in (b"(" + long, b"(FLAGS (" + long, b'(A "' + b"\\" * 250_001, b"(BODY[" + long, b"(" * 250_000):
        with pytest.raises(BadAnswer):
            fetch(text + b")")
