"""SEARCH's FILTER key over a dictionary of stored filters. RFC 5466 3.1."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.imap.commands import filter_key
from restante.imap.grammar.criteria import parse_criteria
from restante.imap.grammar.key_tree import all_of
from restante.imap.grammar.limits import ReaderLimits

from ..session.support import World, run
from ..session.transcript import Transcript

FILTERS = {
    "on-the-road": b'OR SMALLER 5 SUBJECT "S2"',
    "s1-seen": b"SUBJECT s1 SEEN",
    "s1-unseen": b"SUBJECT s1 UNSEEN",
    "s1-seen-in-parentheses": b"(SUBJECT s1 SEEN)",
    "utf8": 'SUBJECT "é"'.encode(),
    "literal": b"SUBJECT {2}\r\ns3",
    "numbers": b"2:3",
    "saved": b"UID $",
    "uids": b"UID 2:3",
    "changed": b"MODSEQ 1",
    "a": b"FILTER b",
    "b": b"FILTER c UNSEEN",
    "c": b"SUBJECT s1",
    "loop": b"SEEN FILTER pool",
    "pool": b"FILTER loop",
    "short": b"OR SMALLER",
    "nonsense": b"NONSENSE",
    "empty": b"",
    "lines": b"SEEN\r\nUNSEEN",
    **{f"deep{n}": b"FILTER deep%d" % (n + 1) for n in range(20)},
    **{f"wide{n}": b" ".join([b"FILTER wide%d" % (n + 1)] * 10) for n in range(5)},
    "wide5": b"ALL",
    "nested": b"(" * 45 + b"SEEN" + b")" * 45,
    "long": b"TEXT " + b"x" * 60_000,
    "many": b"UID " + b",".join(b"%d" % (n * 2 + 1) for n in range(10_000)),
    "nots": b"OR ALL NOT (SEEN " * 20 + b"ALL" + b")" * 20,
    "nots2": b"OR ALL NOT (SEEN " * 20 + b"FILTER nots" + b")" * 20,
}

CASES: dict[str, str] = {
    "rfc5466-3.1 a filter stands for its search": """
        A> SEARCH UID 1:3 FILTER on-the-road SINCE "3-Dec-2002"
        A< * SEARCH 2
        A< T OK ...
        A> SEARCH NOT FILTER On-The-Road
        A< * SEARCH 1 3
        A< T OK ...
        A> SEARCH FILTER literal
        A< * SEARCH 3
        A< T OK ...
        A> SEARCH CHARSET UTF-8 FILTER utf8
        A< * SEARCH
        A< T OK ...
        A> SEARCH CHARSET KOI8-R FILTER utf8
        A< T BAD [BADCHARSET ...
        A> SEARCH CHARSET US-ASCII FILTER utf8
        A< * SEARCH
        A< T OK ...
        A> SEARCH FILTER a
        A< * SEARCH 1
        A< T OK ...
    """,
    "rfc5466-3.1 its text is put in verbatim": """
        # NOT SUBJECT s1 SEEN
        A> SEARCH NOT FILTER s1-seen
        A< * SEARCH
        A< T OK ...
        A> SEARCH NOT (FILTER s1-seen)
        A< * SEARCH 1 2 3
        A< T OK ...
        A> SEARCH NOT FILTER s1-seen-in-parentheses
        A< * SEARCH 1 2 3
        A< T OK ...
        # OR SUBJECT s1 UNSEEN SUBJECT s2
        A> SEARCH OR FILTER s1-unseen SUBJECT s2
        A< * SEARCH 2
        A< T OK ...
        A> SEARCH OR (FILTER s1-unseen) SUBJECT s2
        A< * SEARCH 1 2
        A< T OK ...
        A> SEARCH OR SUBJECT s2 FILTER s1-unseen
        A< * SEARCH 1 2
        A< T OK ...
        # OR SUBJECT s1 UNSEEN OR SUBJECT s2 SUBJECT s3
        A> SEARCH OR FILTER s1-unseen OR SUBJECT s2 SUBJECT s3
        A< * SEARCH 2 3
        A< T OK ...
        # OR OR SUBJECT s2 SUBJECT s1 UNSEEN SUBJECT s3
        A> SEARCH OR OR SUBJECT s2 FILTER s1-unseen SUBJECT s3
        A< * SEARCH 3
        A< T OK ...
        # OR NOT SUBJECT s1 SEEN SUBJECT s3
        A> SEARCH OR NOT FILTER s1-seen SUBJECT s3
        A< * SEARCH 3
        A< T OK ...
        A> SEARCH FUZZY FILTER s1-unseen
        A< * SEARCH 1
        A< T OK ...
        A> SEARCH NOT NOT FILTER s1-unseen
        A< * SEARCH 1
        A< T OK ...
    """,
    "rfc5466-3.1 undefined, looping, incomplete": """
        A> SEARCH RETURN (SAVE) ALL
        A< T OK ...
        A> SEARCH FILTER unknown
        A< T NO [UNDEFINED-FILTER unknown] ...
        A> SEARCH OR SEEN FILTER Loop
        A< T NO [UNDEFINED-FILTER loop] ...
        A> SEARCH FILTER deep0
        A< T NO [UNDEFINED-FILTER deep10] ...
        A> SEARCH FILTER short
        A< T NO [CANNOT] ...
        A> SEARCH FILTER nonsense
        A< T NO [CANNOT] ...
        A> SEARCH FILTER empty
        A< T NO [CANNOT] ...
        A> SEARCH FILTER lines
        A< T NO [CANNOT] ...
        A> SEARCH FILTER wide0
        A< T NO [LIMIT] ...
        A> SEARCH FILTER long FILTER many
        A< * SEARCH
        A< T OK ...
        A> SEARCH FILTER long OR FILTER long FILTER long
        A< T NO [LIMIT] ...
        A> SEARCH FILTER many OR FILTER many FILTER many
        A< T NO [LIMIT] ...
        A> SEARCH FILTER nested FILTER nots
        A< * SEARCH
        A< T OK ...
        A> SEARCH FILTER nots2
        A< T NO [LIMIT] ...
        A> SEARCH RETURN (COUNT) $
        A< * ESEARCH (TAG "T") COUNT 3
        A< T OK ...
        A> SEARCH RETURN (SAVE) FILTER unknown
        A< T NO [UNDEFINED-FILTER unknown] ...
        A> SEARCH RETURN (COUNT) $
        A< * ESEARCH (TAG "T") COUNT 0
        A< T OK ...
        A> SEARCH RETURN (SAVE) ALL
        A< T OK ...
        A> ESEARCH RETURN (SAVE) FILTER unknown
        A< T NO [UNDEFINED-FILTER unknown] ...
        A> SEARCH RETURN (COUNT) $
        A< * ESEARCH (TAG "T") COUNT 0
        A< T OK ...
    """,
    "rfc5466-3.1 what a filter holds counts as written": """
        A> UID SEARCH FILTER numbers
        A< * SEARCH 2 3
        A< T OK ...
        A> SEARCH RETURN (SAVE) 3
        A< T OK ...
        A> SEARCH FILTER saved
        A< * SEARCH 3
        A< T OK ...
        A> SEARCH RETURN (COUNT) FILTER changed
        A< * OK [HIGHESTMODSEQ <n>] ...
        A< * ESEARCH (TAG "T") COUNT 3 MODSEQ <n>
        A< T OK ...
        A> UID SORT RETURN (ALL) (REVERSE SUBJECT) UTF-8 FILTER uids
        A< * ESEARCH (TAG "T") UID ALL 3,2
        A< T OK ...
        A> THREAD REFERENCES UTF-8 FILTER c
        A< * THREAD (1)
        A< T OK ...
        A> ESEARCH IN (personal) FILTER on-the-road
        A< * ESEARCH (TAG "T" MAILBOX INBOX UIDVALIDITY <n>) UID ALL 2
        A< T OK ...
        A> ENABLE UIDONLY
        A< ...
        A< T OK ...
        A> UID SEARCH FILTER numbers
        A< T BAD [UIDREQUIRED] ...
        A> UID SEARCH FILTER saved
        A< * SEARCH 3
        A< T OK ...
    """,
    "rfc7162-3.2.10.2 a filter may hold message numbers, so removals wait": """
        A> NOOP
        A< T OK ...
        B> STORE 1 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        B> EXPUNGE
        B< * 1 EXPUNGE
        B< T OK ...
        A> UID SEARCH FILTER numbers
        A< * SEARCH 2 3
        A< T OK ...
        A> NOOP
        A< * 1 EXPUNGE
        A< T OK ...
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lookup(key: str) -> bytes | None:
        return FILTERS.get(key.lower())

    monkeypatch.setattr(filter_key, "lookup_of", lambda session: lookup)

    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        await world.client(b"SELECT INBOX")
        await Transcript(world, (b"SELECT INBOX",)).play(CASES[name])

    run(scenario)


def texts(filters: list[str], *, fewest: int = 1) -> st.SearchStrategy[str]:
    """Search criteria as text, in which these filters may stand."""
    leaves = ["ALL", "SEEN", "UID 2:3", "SUBJECT x", *(f"FILTER {name}" for name in filters)]
    key = st.recursive(
        st.sampled_from(leaves),
        lambda inner: (
            inner.map("NOT {}".format)
            | inner.map("FUZZY {}".format)
            | st.tuples(inner, inner).map(lambda two: "OR {} {}".format(*two))
            | st.lists(inner, min_size=1, max_size=3).map(lambda some: f"({' '.join(some)})")
        ),
        max_leaves=6,
    )
    return st.lists(key, min_size=fewest, max_size=3).map(" ".join)


@given(texts(["a", "b", "c"]), texts(["b", "c"]), texts(["c"], fewest=2), texts([], fewest=2))
def test_rfc5466_3_1_a_search_means_what_its_text_does(search: str, a: str, b: str, c: str) -> None:
    """ "Inserted verbatim": the same as a client that puts the texts in and sends the whole."""
    limits = ReaderLimits(search_keys=100_000, nesting=200)
    stored = {"a": a, "b": b, "c": c}

    async def lookup(name: str) -> bytes | None:
        return stored[name].encode()

    written = search
    for name, text in stored.items():
        written = written.replace(f"FILTER {name}", text)
    query = all_of(list(parse_criteria(search.encode(), limits)))
    meant = all_of(list(parse_criteria(written.encode(), limits)))
    assert asyncio.run(filter_key._Expansion(lookup, limits).of(query)) == meant


def test_filters_are_kept_as_metadata_and_found_by_search() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        client = await world.client(b"SELECT INBOX")
        assert b" FILTERS " in await client.ok(b"CAPABILITY")
        assert b"T NO [UNDEFINED-FILTER x]" in await client.do(b"SEARCH FILTER x")
        await client.ok(b'SETMETADATA "" (/shared/filters/values/x "SUBJECT s3" /private/filters/values/y "FILTER X")')
        assert await client.ok(b"SEARCH OR FILTER Y SUBJECT s1") == b"* SEARCH 1 3\r\nT OK SEARCH completed.\r\n"
        await client.ok(b'SETMETADATA "" (/private/filters/values/x "SUBJECT s2")')
        assert b"* SEARCH 2\r\n" in await client.ok(b"SEARCH FILTER y")
        await client.ok(b'SETMETADATA "" (/private/filters/values/x NIL /shared/filters/values/x NIL)')
        assert b"T NO [UNDEFINED-FILTER X]" in await client.do(b"SEARCH FILTER y")
        assert b"T NO [CANNOT]" in await client.do(b'SETMETADATA "" (/private/filters/values/z "OR SEEN")')

    run(scenario)
