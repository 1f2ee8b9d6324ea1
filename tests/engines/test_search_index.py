"""SEARCH is the same with and without its index, and both are what the standard's words mean. RFC 9051 6.4.4."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.mime.analyse import analyse
from restante.mime.fold import fold
from restante.mime.model import DEFAULT_LIMITS, SearchText
from restante.mime.text import PART_HEADERS, body_text
from restante.query.language import And, Contains, Field, Fuzzy, HasAttachment, HasFlag, HeaderContains, Not, Or, Query
from restante.store.interface import Engine, Store
from restante.store.model import Flags, NewMessage

from .making import ACCOUNT, ALL, Installation, inbox, new

Message = tuple[str, str, str, bool]  # from, subject, body, seen

COLUMNS = (Field.FROM, Field.SUBJECT)
CHARACTERS = (
    "abA@ \t.-\"'*%_()\\\n\0\u00df\ufb01\ufb03\uff21\uff42\u00e9e\u0301\ufffd\ufffe\U0001f600"
    "\u65e5\u672c\u8a9e\u304b\u304c\u30ab\uff76\ud55c\uad6d\u314b\U00020000"
)
texts = st.text(CHARACTERS, max_size=12)
messages = st.lists(st.tuples(texts, texts, texts, st.booleans()), min_size=1, max_size=8)


def octets_of(message: Message) -> bytes:
    """One that has been seen has a part, whose header says the text backwards."""
    plain = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n" % (
        base64.b64encode(message[2].encode())
    )
    if not message[3]:
        return plain
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: =?utf-8?b?%b?=\r\n"
    return head % base64.b64encode(message[2][::-1].encode()) + plain + b"--b--\r\n"


def text_of(message: Message) -> tuple[SearchText, str]:
    """What a store keeps of the header, and the text of the body."""
    sender, subject, *_ = message
    header = fold(f"From: {sender}\nSubject: {subject}")
    return SearchText(fold(sender), "", "", "", fold(subject), header), body_text(octets_of(message), DEFAULT_LIMITS)


async def filed(store: Store, message: Message) -> NewMessage:
    made = await new(store, octets_of(message), *(("\\Seen",) if message[3] else ()))
    return replace(made, analysis=replace(made.analysis, text=text_of(message)[0]))


def in_envelope(needle: str, field: str) -> bool:
    """Whether it is in what an ENVELOPE makes of an address field: quotes that are none of the text are gone, and
    blanks are one between words."""
    if needle.replace("\\", "\\\\").replace('"', '\\"') in field:
        return True
    one_blank = re.sub(r"[ \t]+", " ", field)
    if ('"' in needle or "\\" in needle) and needle in one_blank:
        return True
    plain = one_blank.replace("\\\\", "\1").replace('\\"', "\2") if '"' in needle or "\\" in needle else one_blank
    plain = plain.replace('" ', " ").replace(' "', " ").replace('"@', "@")
    return needle in re.sub(" +", " ", plain).replace("\2", '"').replace("\1", "\\")


def in_field(needle: str, field: str) -> bool:
    """Whether a header field holds it as it was written, or as it is shown, with one blank between words."""
    return needle in field or needle in re.sub(r"[ \t]+", " ", field)


def holds(message: Message, query: Query) -> bool:
    """What the words mean, without any store."""
    text, body = text_of(message)
    match query:
        case And(operands):
            return all(holds(message, operand) for operand in operands)
        case Or(operands):
            return any(holds(message, operand) for operand in operands)
        case Not(operand):
            return not holds(message, operand)
        case HasFlag():
            return message[3]
        case Contains(Field.FROM, needle):
            return fold(needle) in text.sender or in_envelope(fold(needle), text.sender)
        case Contains(Field.SUBJECT, needle):
            return in_field(fold(needle), text.subject)
        case Contains(Field.BODY, needle):
            return fold(needle) in body.partition(PART_HEADERS)[0]
        case Contains(Field.TEXT, needle):
            return fold(needle) in body or in_field(fold(needle), text.header)
        case HeaderContains("subject", needle):
            return in_field(fold(needle), text.subject)
        case HeaderContains(name, needle):
            lines = [line.partition(":") for line in text.header.split("\n")]
            return any(head == fold(name) and in_field(fold(needle), value) for head, _, value in lines)
    raise TypeError(query)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Message], list[Query], int]:
    """Messages, questions of which many have an answer, and how many messages are there before the index is filled."""
    mail = draw(messages)
    parts = [part for message in mail for part in (*message[:3], message[2][::-1]) if part]

    def needle() -> str:
        taken: bool = draw(st.booleans())
        if not parts or not taken:
            random: str = draw(st.text(CHARACTERS, min_size=1, max_size=4))
            return random
        part: str = draw(st.sampled_from(parts))
        start: int = draw(st.integers(0, len(part) - 1))
        length: int = draw(st.integers(1, 6))
        return part[start : start + length]

    def leaf() -> Query:
        kind: int = draw(st.integers(0, 5))
        if kind == 0:
            return HasFlag("\\Seen")
        if kind == 1:
            return HeaderContains("subject", needle()) if draw(st.booleans()) else HeaderContains("X-None", needle())
        return Contains((Field.FROM, Field.SUBJECT, Field.BODY, Field.TEXT)[kind - 2], needle())

    def query(depth: int) -> Query:
        kind: int = draw(st.integers(0, 5)) if depth else 0
        if kind <= 2:
            return leaf()
        if kind == 3:
            return Not(query(depth - 1))
        operands = (query(depth - 1), query(depth - 1))
        return And(operands) if kind == 4 else Or(operands)

    return mail, [query(2) for _ in range(6)], draw(st.integers(0, len(mail)))


PLAIN = b'("text" "plain" NIL NIL NIL "7bit" 1 1 NIL NIL NIL NIL)'
ATTACHED = b'("text" "plain" NIL NIL NIL "7bit" 1 1 NIL ("attachment" NIL) NIL NIL)'


def test_attachments_are_found_beside_texts_and_flags(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        mail: list[Message] = [
            ("ann", f"s{uid}", "report" if uid % 2 else "lunch", uid % 3 == 0) for uid in range(1, 13)
        ]
        made = []
        for uid, message in enumerate(mail, 1):
            one = await filed(store, message)
            structure = ATTACHED if 5 <= uid <= 8 else PLAIN
            made.append(replace(one, analysis=replace(one.analysis, bodystructure=structure)))
        await store.append(box, made)
        for filled in (False, True):
            while filled and await store.fill_search():
                pass
            for query, wanted in (
                (HasAttachment(), [5, 6, 7, 8]),
                (Not(HasAttachment()), [1, 2, 3, 4, 9, 10, 11, 12]),
                (And((HasAttachment(), Contains(Field.BODY, "report"))), [5, 7]),
                (Or((HasAttachment(), HasFlag("\\Seen"))), [3, 5, 6, 7, 8, 9, 12]),
                (And((HasFlag("\\Seen"), Not(HasAttachment()), Contains(Field.FROM, "ann"))), [3, 9, 12]),
                (Fuzzy(And((HasAttachment(), Contains(Field.SUBJECT, "s7")))), [7]),
            ):
                assert list(await store.search(box, query, ALL)) == wanted, (query, filled)

    asyncio.run(installation.play(scene, index_from=1))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenes())
def test_an_index_changes_no_answer(scene: tuple[list[Message], list[Query], int]) -> None:
    mail, queries, first = scene

    async def play(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, message) for message in mail[:first]])
        while await store.fill_search():
            pass
        await store.append(box, [await filed(store, message) for message in mail[first:]])
        for filled in (False, True):  # first with a tail that is not indexed
            if filled:
                while await store.fill_search():
                    pass
            for query in queries:
                wanted = [uid for uid, message in enumerate(mail, 1) if holds(message, query)]
                assert list(await store.search(box, query, ALL)) == wanted, (query, filled)

    with TemporaryDirectory() as folder:
        asyncio.run(Installation("sqlite", Path(folder)).play(play, index_from=1))


ENGLISH: list[Message] = [
    (f"p{n}@example.org", f"report {n}", f"the quick brown fox number {n}", False) for n in range(1, 30)
]


async def fill(store: Store, mail: Sequence[Message] = ENGLISH) -> int:
    box = await inbox(store)
    await store.append(box, [await filed(store, message) for message in mail])
    while await store.fill_search():
        pass
    return box


def body(text: str) -> Query:
    return Contains(Field.BODY, text)


CJK = [
    ("", "", "日本語の手紙", False),
    ("", "", "本日は晴天", False),
    ("", "", "ガク ｶﾞｸ がく", False),
    ("", "", "한국 편지", False),
    ("", "手紙", "x", False),
]
SHORT = [
    ("日", [1, 2]), ("日本", [1]),
    ("本日", [2]), ("日本語", [1]), ("手紙", [1, 5]), ("ガク", [3]), ("ｶﾞｸ", [3]), ("がく", [3]),
    ("の手", [1]), ("한국", [4]), ("국 편", [4]), ("は", [2]), ("語日", []), ("x", [5]), ("カク", []),
]  # fmt: skip


NAMES = (
    'John "Johnny" Smith <j@example.org>',
    '"pub.lic"@example.org, "John" "Q." Public <p@example.org>',
    "John Smith <s@example.org>",
    '"John Johnny Smith" <t@example.org>',
    '"Lucy\r\n\tde  la" \t "Mer" <l@example.org>',
    '"Ann " Mary " Lee" " " Kim <k@example.org>',
)


def test_rfc9051_6_4_4_quotes_around_a_word_are_none_of_the_envelope(installation: Installation) -> None:
    """ENVELOPE says John Johnny Smith, pub.lic at example.org, John Q. Public, Lucy de la Mer and Ann Mary Lee Kim."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for name in NAMES:
            data = f"From: {name}\r\nTo: {name}\r\n\r\nx\r\n".encode()
            await store.append(box, [NewMessage(await store.put(data), analyse(data), Flags(), 1)])
        await store.append(box, [await filed(store, ("Ann", "", "", False)) for _ in range(3)])
        for indexed in (False, True):
            while indexed and await store.fill_search():
                pass
            for needle, wanted in (
                ("Johnny Smith", [1, 4]), ("John Johnny", [1, 4]), ("john johnny smith", [1, 4]), ('"johnny" s', [1]),
                ("pub.lic@example", [2]), ("john q. public", [2]), ("q. pub", [2]), ("n Q", [2]),
                ("hn smith", [3]), ("John Smith <s@", [3]), ("@example.org", [1, 2, 3, 4, 5, 6]), ("johnny  smith", []),
                ("lucy de la mer", [5]), ("cy de", [5]), ("e l", [5]), ("la mer", [5]),
                ("ann mary lee kim", [6]), ("n m", [6]), ("y l", [6]), ("lee k", [6]),
            ):  # fmt: skip
                for where in (Field.FROM, Field.TO):
                    assert list(await store.search(box, Contains(where, needle), ALL)) == wanted, (needle, indexed)
            assert list(await store.search(box, HeaderContains("from", "Johnny Smith"), ALL)) == [4]

    asyncio.run(installation.play(scene, index_from=1))


QUOTED = 'From: "Joe \\\\ \\"X\\" Doe" <joe@example.org>\r\nTo: "\\"Q\\"" <q@example.org>\r\n\r\nx\r\n'


def test_rfc9051_6_4_4_a_quoted_name_is_found_as_the_envelope_has_it(installation: Installation) -> None:
    """ENVELOPE says Joe \\ "X" Doe; HEADER is about the field as it was written."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, ("Ann", "", "", False)) for _ in range(3)])
        data = QUOTED.encode()
        await store.append(box, [NewMessage(await store.put(data), analyse(data), Flags(), 1)])
        for indexed in (False, True):
            while indexed and await store.fill_search():
                pass
            for where, needle in (
                (Field.FROM, 'Joe \\ "X" Doe'), (Field.FROM, '"X"'), (Field.FROM, 'E \\ "x'), (Field.TO, '"q"'),
                (Field.FROM, '\\"X\\" Doe'),
            ):  # fmt: skip
                assert list(await store.search(box, Contains(where, needle), ALL)) == [4], needle
                assert list(await store.search(box, Not(Contains(where, needle)), ALL)) == [1, 2, 3], needle
            assert not len(await store.search(box, HeaderContains("from", '"X" Doe'), ALL))
            assert list(await store.search(box, HeaderContains("from", '"X\\" Doe'), ALL)) == [4]
            assert not len(await store.search(box, Contains(Field.SUBJECT, '"X"'), ALL))

    asyncio.run(installation.play(scene, index_from=1))


BLANKS = (*range(1, 70), 131, 460, 461, 996)


def test_rfc5322_2_1_1_words_are_found_across_as_many_blanks_as_a_line_may_have(installation: Installation) -> None:
    """ENVELOPE says Ann Lee of all; a subject is shown with one blank, too."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for blanks in BLANKS:
            space = " " * blanks
            data = f"From: Ann\r\n{space}Lee <ann@example.org>\r\nSubject: a\r\n{space}word\r\n\r\nx\r\n".encode()
            await store.append(box, [NewMessage(await store.put(data), analyse(data), Flags(), 1)])
        every = list(range(1, len(BLANKS) + 1))
        for query in (Contains(Field.FROM, "ann lee"), Contains(Field.SUBJECT, "a w"), Contains(Field.TEXT, "ann lee")):
            assert list(await store.search(box, query, ALL)) == every, query
            assert not len(await store.search(box, Not(query), ALL)), query

    asyncio.run(installation.play(scene, index_from=1))


FOLDED = (
    '"Joe\r\n\t\\"X\\" Doe" <joe@example.org>',
    '"Joe  \\"X\\"" Doe <d@example.org>',
    'Joe\t"\\"X\\" Doe" <e@example.org>',
    '=?utf-8?q?Joe?= \r\n "X" Doe <f@example.org>',
    '"A \\\\" "\\"B" <"c\\\\"@example.org>',
    "Ann <ann@example.org>",
)


def test_rfc9051_6_4_4_a_quote_within_a_name_is_found_beside_a_fold_and_beside_other_words(
    installation: Installation,
) -> None:
    """ENVELOPE says Joe "X" Doe three times, Joe X Doe, and A \\ "B with c\\ at example.org."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for name in FOLDED:
            data = f"From: {name}\r\n\r\nx\r\n".encode()
            await store.append(box, [NewMessage(await store.put(data), analyse(data), Flags(), 1)])
        for indexed in (False, True):
            while indexed and await store.fill_search():
                pass
            for needle, wanted in (
                ('joe "x" doe', [1, 2, 3, 4]), ('e "X"', [1, 2, 3, 4]), ('"x" d', [1, 2, 3, 4]), ("joe x", [4]),
                ('\\ "b', [5]), ("c\\@example", [5]), ("A \\", [5]), ('x" ann', []), ('joe"', []),
            ):  # fmt: skip
                assert list(await store.search(box, Contains(Field.FROM, needle), ALL)) == wanted, (needle, indexed)

    asyncio.run(installation.play(scene, index_from=1))


@pytest.mark.parametrize(("needle", "expected"), SHORT, ids=[needle for needle, _ in SHORT])
def test_two_characters_are_enough_in_chinese_japanese_and_korean(
    installation: Installation, needle: str, expected: list[int]
) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, message) for message in CJK])
        for _ in range(2):  # without and with an index
            assert list(await store.search(box, Contains(Field.TEXT, needle), ALL)) == expected
            while await store.fill_search():
                pass

    asyncio.run(installation.play(scene, index_from=1))


def test_an_index_has_no_holes(tmp_path: Path) -> None:
    """Should a text be missing below others, the index ends before it, and the rest is scanned."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, message) for message in ENGLISH[:5]])
        assert await store.fill_search() == 5
        db = apsw.Connection(str(tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"))
        db.execute("DELETE FROM body_text WHERE email = 3")
        db.close()
        assert await store.fill_search() == 2
        assert await store.fill_search() == 0
        for number in range(1, 6):
            assert list(await store.search(box, body(f"number {number}"), ALL)) == [number]

    asyncio.run(installation.play(scene, index_from=1))


def test_a_message_in_several_mailboxes_is_found_in_each(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await fill(store)
        other = (await store.create_mailbox("Other")).key
        await store.copy(box, ((7, 8),), other)
        await store.copy(box, ((7, 7),), box)
        assert list(await store.search(other, body("number 7"), ALL)) == [1]
        assert list(await store.search(box, body("number 7"), ALL)) == [7, 30]
        assert list(await store.search(box, body("number 7"), ((8, 99),))) == [30]
        await store.expunge(box, ((7, 7),), deleted_only=False)
        assert list(await store.search(box, body("number 7"), ALL)) == [30]

    asyncio.run(installation.play(scene, index_from=1))


async def findings(store: Store, *, repair: bool) -> list[str]:
    """What the doctor says of the index (the messages here are made by hand, which it finds too)."""
    found = [finding async for finding in store.doctor(repair=repair)]
    return [finding.code for finding in found if finding.code == "search-index"]


def test_what_is_reclaimed_leaves_the_index(installation: Installation) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await fill(store)
        await store.expunge(box, ((1, 28),), deleted_only=False)
        installation.clock.advance(400 * 86_400)
        while await store.reclaim(100):
            pass
        while await store.fill_search():
            pass
        assert list(await store.search(box, body("quick"), ALL)) == [29]
        assert await findings(store, repair=False) == []

    asyncio.run(installation.play(scene, index_from=1))


def test_fuzzy_finds_what_is_close_and_scores_it(installation: Installation) -> None:
    """RFC 6203 3 and 4: "Helo" finds "hello"; a subject counts more than a body; the best has 100."""
    mail = [
        ("a@x", "something else", "and hello in the text", False),
        ("b@x", "hello", "nothing", False),
        ("c@x", "unlike", "far away", False),
    ]

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, message) for message in mail])
        for _ in range(2):  # without and with an index
            query = Fuzzy(Contains(Field.TEXT, "Helo"))
            assert list(await store.search(box, query, ALL)) == [1, 2]
            found = await store.scored(box, query, ALL)
            assert list(found.uids) == [1, 2]
            assert found.scores[1] == 100 > found.scores[0] >= 1
            assert list(await store.search(box, Fuzzy(Contains(Field.SUBJECT, "helo")), ALL)) == [2]
            assert list(await store.search(box, Fuzzy(And((body("helo"), Not(HasFlag("\\Seen"))))), ALL)) == [1]
            for swapped in ("ehllo", "hlelo", "helol", "zzzzz hlelo"):  # of the second no piece is in "hello"
                assert list(await store.search(box, Fuzzy(Contains(Field.TEXT, swapped)), ALL)) == [1, 2], swapped
            assert list((await store.scored(box, HasFlag("\\Seen"), ALL)).scores) == []
            while await store.fill_search():
                pass

    asyncio.run(installation.play(scene, index_from=1))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages, st.lists(st.text("abc \u65e5\u672c\u0301", min_size=1, max_size=10), min_size=1, max_size=5))
def test_an_index_changes_no_fuzzy_answer(mail: list[Message], needles: list[str]) -> None:
    async def play(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, message) for message in mail])
        queries = [Fuzzy(Contains(where, needle)) for needle in needles for where in (Field.TEXT, Field.SUBJECT)]
        before = [await store.scored(box, query, ALL) for query in queries]
        while await store.fill_search():
            pass
        assert [await store.scored(box, query, ALL) for query in queries] == before

    with TemporaryDirectory() as folder:
        asyncio.run(Installation("sqlite", Path(folder)).play(play, index_from=1))
