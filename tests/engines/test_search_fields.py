"""Whole values of header fields: an engine finds what `query.fields.matcher` says of a message. RFC 5228 5.1, 5.7."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.mime.analyse import analyse
from restante.mime.model import Limits
from restante.query.fields import Header, matcher
from restante.query.language import (
    And,
    Collation,
    Contains,
    Field,
    FieldMatches,
    HasFlag,
    HeaderContains,
    Match,
    Not,
    Or,
    Part,
    Query,
)
from restante.store.interface import Engine, Store
from restante.store.model import Flags, NewMessage
from restante.store.sqlite import search, texts
from restante.store.sqlite.account import SqliteStore

from .making import ALL, Installation, inbox

NAMES = ("Subject", "From", "To", "X-Other", "List-Id")
VALUES = (
    "Quarterly report", "quarterly REPORT", "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "=?utf-8?b?5pel5pys6Kqe?=",
    "Ann Bell <ann.bell+lists@example.org>", '"Bell, Ann" <ann@Example.ORG>, bob@example.com', "f: a@x.org, b@y.org;",
    "ann (the first) @ example . org", "a folded\r\n value of\r\n\tthree lines", "", "dev <dev.lists.example.org>",
    "*?\\", "Gr\xfc\xdfe \xbb8-bit\xab",
)  # fmt: skip
TEXTS = (
    "report", "Quarterly report", "*report", "Gr\u00fc\u00dfe*", "\u65e5\u672c\u8a9e", "ann", "ann@example.org", "*@*",
    "example.org", "lists", "?", "", "a folded value*", "ann.bell", "\\*\\?\\\\", "K\u00d6LN", "dev",
    "Gr\u045c\u043fe*",
)  # fmt: skip

fields = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4)
mails = st.lists(st.tuples(fields, st.booleans()), min_size=1, max_size=8)
asked = st.builds(
    FieldMatches,
    st.lists(st.sampled_from([*NAMES, "x-none", "subject"]), min_size=1, max_size=2).map(tuple),
    st.sampled_from(Match),
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=2).map(tuple),
    st.sampled_from(Collation),
    st.sampled_from([None, None, *Part]),
)
queries: st.SearchStrategy[Query] = st.recursive(
    st.one_of(asked, asked, st.just(HasFlag("\\Seen")), st.just(Contains(Field.BODY, "body 1"))),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda a, b: And((a, b)), inner, inner),
        st.builds(lambda a, b: Or((a, b)), inner, inner),
    ),
    max_leaves=4,
)


def octets_of(number: int, given: list[tuple[str, str]]) -> bytes:
    """Every other one declares a charset for its part alone: octets of the header that are not UTF-8 are in that."""
    head = "".join(f"{name}: {value}\r\n" for name, value in given)
    body = f"Subject: this is body {number}\r\n"
    if number % 2:
        head += "Content-Type: multipart/mixed; boundary=b\r\n"
        body = f"--b\r\nContent-Type: text/plain; charset=iso-8859-5\r\n\r\n{body}--b--\r\n"
    return f"{head}\r\n{body}".encode("latin-1")


def holds(data: bytes, seen: bool, number: int, query: Query) -> bool:
    match query:
        case And(operands):
            return all(holds(data, seen, number, operand) for operand in operands)
        case Or(operands):
            return any(holds(data, seen, number, operand) for operand in operands)
        case Not(operand):
            return not holds(data, seen, number, operand)
        case FieldMatches():
            return matcher(query)(Header(data))
        case HasFlag():
            return seen
        case Contains(_, text):
            return text == f"body {number}"
    raise AssertionError(query)


async def filed(store: Store, data: bytes, *flags: str) -> NewMessage:
    return NewMessage(await store.put(data), analyse(data), Flags.of(flags), 1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mails, st.lists(queries, min_size=1, max_size=6), st.integers(0, 8), st.sampled_from([1, search.FEW]))
def test_an_engine_finds_what_the_raw_header_says(
    mail: list[tuple[list[tuple[str, str]], bool]], asked: list[Query], first: int, few: int
) -> None:
    """With and without an index, and with a tail that is not indexed."""
    made = [(octets_of(number, given), seen) for number, (given, seen) in enumerate(mail)]

    async def play(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        new = [await filed(store, data, *(("\\Seen",) if seen else ())) for data, seen in made]
        for some in (new[:first], new[first:]):
            if some:
                await store.append(box, some)
            if some is not new[first:] or first % 2:
                while await store.fill_search():
                    pass
        for query in asked:
            wanted = [n for n, (data, seen) in enumerate(made, 1) if holds(data, seen, n - 1, query)]
            assert list(await store.search(box, query, ALL)) == wanted, query

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "FEW", few)
        asyncio.run(Installation("sqlite", Path(folder)).play(play, index_from=1))


@pytest.mark.parametrize("at_once", [1, texts.AT_ONCE], ids=["one by one", "together"])
def test_a_header_longer_than_a_chunk_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(texts, "AT_ONCE", at_once)
    long = b"".join(b"X-Many: %050d\r\n" % n for n in range(5_000)) + b"X-Last: found\r\n\r\nX-Last: body\r\n"
    short = b"X-Last: found\r\n\r\nx\r\n"

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, data) for data in (long, short, b"A: b\r\n\r\nX-Last: found\r\n")])
        for _ in range(2):
            for text, wanted in (("found", [1, 2]), ("body", [])):
                query = FieldMatches(("x-last",), Match.IS, (text,))
                assert list(await store.search(box, query, ALL)) == wanted
            while await store.fill_search():
                pass

    asyncio.run(Installation("sqlite", tmp_path).play(scene, index_from=1))


@pytest.mark.parametrize("name", ["Subject", "X-Other"])
@pytest.mark.parametrize("beside", [HasFlag("\\Seen"), Contains(Field.BODY, "no such")], ids=["flag", "body"])
def test_octets_of_a_header_are_in_the_charset_of_the_text(tmp_path: Path, name: str, beside: Query) -> None:
    """With and without an index, whose text was made of the whole message; where the body has no text yet, too."""

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        data = [octets_of(number, [(name, VALUES[-1])]) for number in range(4)]
        await store.append(box, [await filed(store, one) for one in data])
        for _ in range(2):
            for text, wanted in (("gr\u045c\u043fe", [2, 4]), ("gr\u00fc\u00dfe", [1, 3])):
                query = FieldMatches((name,), Match.CONTAINS, (text,), Collation.UNICODE)
                assert list(await store.search(box, Or((query, beside)), ALL)) == wanted
            while await store.fill_search():
                pass

    asyncio.run(Installation("sqlite", tmp_path).play(scene, index_from=1))


@pytest.mark.parametrize("name", ["Subject", "X-Other"])
@pytest.mark.parametrize("label", ["unknown-8bit", "us-ascii", "x-none-such"])
def test_encoded_words_without_a_charset_are_in_that_of_the_text(tmp_path: Path, name: str, label: str) -> None:
    word = "".join(f"={octet:02x}" for octet in "\u043f\u0440\u0438\u0432\u0435\u0442".encode("koi8-r"))
    head = f"{name}: =?{label}?q?{word}?=\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n".encode()

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await filed(store, head + "\u0434\u0430\r\n".encode("koi8-r"))])
        for _ in range(2):
            for text, wanted in (("\u043f\u0440\u0438\u0432\u0435\u0442", [1]), ("\u00d0\u00d2\u00c9", [])):
                for query in (FieldMatches((name,), Match.CONTAINS, (text,)), Contains(Field.TEXT, text)):
                    assert list(await store.search(box, query, ALL)) == wanted
            while await store.fill_search():
                pass

    asyncio.run(Installation("sqlite", tmp_path).play(scene, index_from=1))


@pytest.mark.parametrize("most", [4_096, 1 << 20])
def test_no_half_of_a_field_is_compared(tmp_path: Path, most: int) -> None:
    """A header longer than is read ends with a whole line, in the index and here; fields that stand beside a message
    are none of what was not read."""
    data = b"X-First: a\r\nX-Cut: " + b"b" * (most + 200_000) + b"\r\nX-Last: c\r\n\r\nx\r\n"
    limits = Limits(header=most)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [NewMessage(await store.put(data), analyse(data, limits), Flags(), 1)])
        for name, text, wanted in (("X-First", "a", [1]), ("X-Cut", "b", []), ("X-Last", "c", [])):
            query = FieldMatches((name,), Match.CONTAINS, (text,))
            assert matcher(query)(Header(data, limits)) == bool(wanted)
            assert list(await store.search(box, query, ALL)) == wanted

    asyncio.run(Installation("sqlite", tmp_path).play(scene, analysis=limits))


def test_fields_past_a_limit_are_compared_no_more_than_found(tmp_path: Path) -> None:
    limits = Limits(fields=20)
    data = b"A: b\r\n" * 20 + b"Subject: late\r\n\r\nx\r\n"

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [NewMessage(await store.put(data), analyse(data, limits), Flags(), 1)])
        for query in (FieldMatches(("Subject",), Match.IS, ("late",)), HeaderContains("Subject", "late")):
            assert not len(await store.search(box, query, ALL))
        assert list(await store.search(box, FieldMatches(("A",), Match.IS, ("b",)), ALL)) == [1]

    asyncio.run(Installation("sqlite", tmp_path).play(scene, analysis=limits))


def test_fields_that_stand_beside_a_message_and_others_are_asked_together(tmp_path: Path) -> None:
    one, other = (FieldMatches((name,), Match.IS, ("x",)) for name in ("X-Other", "Subject"))

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for head in (b"X-Other: x\r\n", b"Subject: x\r\n", b"X-Other: x\r\nSubject: x\r\n"):
            await store.append(box, [await filed(store, head + b"\r\nx\r\n")])
        assert list(await store.search(box, And((one, other)), ALL)) == [3]
        assert list(await store.search(box, And((other, one)), ALL)) == [3]

    asyncio.run(Installation("sqlite", tmp_path).play(scene))


@pytest.mark.parametrize(
    "damage", ["DELETE FROM chunk", "UPDATE chunk SET codec = 9", "UPDATE chunk SET data = x'00', codec = 1"]
)
def test_a_message_whose_octets_are_lost_matches_by_none_of_them(tmp_path: Path, damage: str) -> None:
    """The fields that stand beside it still count: they are what its listings say, too."""

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        box = await inbox(store)
        data = b"Subject: found\r\nX-Other: found\r\n\r\nx\r\n"
        await store.append(box, [await filed(store, data), await filed(store, data + b"other\r\n")])
        while await store.fill_search():
            pass
        db = apsw.Connection(str(store._path))
        db.execute(damage + " WHERE key >> 20 = 1")
        db.close()
        for name, wanted in (("Subject", [1, 2]), ("X-Other", [2])):
            query = FieldMatches((name,), Match.IS, ("found",))
            assert list(await store.search(box, query, ALL)) == wanted
            assert list(await store.search(box, Not(query), ALL)) == [uid for uid in (1, 2) if uid not in wanted]

    asyncio.run(Installation("sqlite", tmp_path).play(scene, index_from=1))
