"""PARTIAL: a stretch of what a search found, or of what UID FETCH names. RFC 9394."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.imap.commands.fetch import within
from restante.imap.grammar.commands import Partial
from restante.imap.session import capabilities
from restante.imap.session.view import View, merged

from ..session.support import World, run
from ..session.transcript import Transcript
from .test_cost import fill

CASES: dict[str, str] = {
    "rfc9394-3.1 partial results, from either end": """
        A> UID SEARCH RETURN (PARTIAL -1:-2) ALL
        A< * ESEARCH (TAG "T") UID PARTIAL (-1:-2 6:7)
        A< T OK ...
        A> SEARCH RETURN (PARTIAL 1:2) NOT 3
        A< * ESEARCH (TAG "T") PARTIAL (1:2 1:2)
        A< T OK ...
        A> UID SEARCH RETURN (PARTIAL 3:2) NOT 3
        A< * ESEARCH (TAG "T") UID PARTIAL (3:2 2,5)
        A< T OK ...
        A> UID SEARCH RETURN (PARTIAL -3:-100) ALL
        A< * ESEARCH (TAG "T") UID PARTIAL (-3:-100 1:2,4:5)
        A< T OK ...
        A> UID SEARCH RETURN (PARTIAL 5:500) ALL
        A< * ESEARCH (TAG "T") UID PARTIAL (5:500 6:7)
        A< T OK ...
        A> UID SEARCH RETURN (PARTIAL 7:500 COUNT) ALL
        A< * ESEARCH (TAG "T") UID PARTIAL (7:500 NIL) COUNT 6
        A< T OK ...
        A> UID SEARCH RETURN (PARTIAL -7:-9) ALL
        A< * ESEARCH (TAG "T") UID PARTIAL (-7:-9 NIL)
        A< T OK ...
        A> UID SEARCH RETURN (PARTIAL 1:5 MIN MAX) SUBJECT nothing
        A< * ESEARCH (TAG "T") UID PARTIAL (1:5 NIL)
        A< T OK ...
        A> UID SEARCH RETURN (PARTIAL 1:2 ALL) ALL
        A< T BAD ...
    """,
    "rfc9394-3.2 what is saved": """
        A> UID SEARCH RETURN (SAVE PARTIAL 2:3) ALL
        A< * ESEARCH (TAG "T") UID PARTIAL (2:3 2,4)
        A< T OK ...
        A> UID SEARCH $
        A< * SEARCH 2 4
        A< T OK ...
        A> UID SEARCH RETURN (SAVE PARTIAL 2:3 MIN) ALL
        A< * ESEARCH (TAG "T") UID MIN 1 PARTIAL (2:3 2,4)
        A< T OK ...
        A> UID SEARCH $
        A< * SEARCH 1 2 4
        A< T OK ...
        A> UID SEARCH RETURN (SAVE PARTIAL 2:3 MAX) ALL
        A< * ESEARCH (TAG "T") UID MAX 7 PARTIAL (2:3 2,4)
        A< T OK ...
        A> UID SEARCH $
        A< * SEARCH 2 4 7
        A< T OK ...
        A> UID SEARCH RETURN (SAVE PARTIAL 2:3 MAX MIN) ALL
        A< * ESEARCH (TAG "T") UID MIN 1 MAX 7 PARTIAL (2:3 2,4)
        A< T OK ...
        A> UID SEARCH $
        A< * SEARCH 1 2 4 7
        A< T OK ...
        A> UID SEARCH RETURN (SAVE PARTIAL 2:3 COUNT MIN) ALL
        A< * ESEARCH (TAG "T") UID MIN 1 PARTIAL (2:3 2,4) COUNT 6
        A< T OK ...
        A> UID SEARCH $
        A< * SEARCH 1 2 4 5 6 7
        A< T OK ...
    """,
    "rfc5267-4.4 of sorted results": """
        A> UID SORT RETURN (PARTIAL -1:-2 SAVE) (REVERSE SUBJECT) UTF-8 ALL
        A< * ESEARCH (TAG "T") UID PARTIAL (-1:-2 2,1)
        A< T OK ...
        A> UID SEARCH $
        A< * SEARCH 1 2
        A< T OK ...
        A> SORT RETURN (PARTIAL 2:3 MIN COUNT) (REVERSE SUBJECT) UTF-8 NOT UID 6
        A< * ESEARCH (TAG "T") MIN 6 PARTIAL (2:3 4,3) COUNT 5
        A< T OK ...
        A> UID SORT RETURN (PARTIAL 7:9) (REVERSE SUBJECT) UTF-8 ALL
        A< * ESEARCH (TAG "T") UID PARTIAL (7:9 NIL)
        A< T OK ...
    """,
    "rfc9394-3.3 fetch": """
        A> UID FETCH 1:6 (UID FLAGS) (PARTIAL -1:-3)
        A< * 3 FETCH (UID 4 FLAGS ())
        A< * 4 FETCH (UID 5 FLAGS ())
        A< * 5 FETCH (UID 6 FLAGS ())
        A< T OK ...
        A> UID FETCH 2:7 (UID FLAGS) (PARTIAL 1:2)
        A< * 2 FETCH (UID 2 FLAGS ())
        A< * 3 FETCH (UID 4 FLAGS ())
        A< T OK ...
        A> UID FETCH 2:4,6:* (FLAGS) (PARTIAL 2:3)
        A< * 3 FETCH (UID 4 FLAGS ())
        A< * 5 FETCH (UID 6 FLAGS ())
        A< T OK ...
        A> UID FETCH 2:4 (FLAGS) (PARTIAL 3:9)
        A< T OK ...
        A> FETCH 2:4 (FLAGS) (PARTIAL 1:2)
        A< T BAD ...
    """,
    "rfc9394-3.4 the range counts before changedsince does": """
        A> UID STORE 4,6 (UNCHANGEDSINCE 999) +FLAGS.SILENT (\\Flagged)
        A< ...
        A< * 3 FETCH (UID 4 MODSEQ (<n:m>))
        A< * 5 FETCH (UID 6 MODSEQ (<n:m>))
        A< T OK ...
        A> UID STORE 7 +FLAGS.SILENT (\\Flagged)
        A< * 6 FETCH (UID 7 MODSEQ (<n:later>))
        A< T OK ...
        A> UID FETCH 1:* (FLAGS) (PARTIAL -1:-2 CHANGEDSINCE <n:m>)
        A< * 6 FETCH (UID 7 FLAGS (\\Flagged) MODSEQ (<n:later>))
        A< T OK ...
        A> UID FETCH 1:6 (FLAGS) (CHANGEDSINCE 1 PARTIAL -1:-1)
        A< * 5 FETCH (UID 6 FLAGS (\\Flagged) MODSEQ (<n:m>))
        A< T OK ...
        A> UID SEARCH RETURN (PARTIAL 1:1) MODSEQ <n:m>
        A< * ESEARCH (TAG "T") UID PARTIAL (1:1 4) MODSEQ <n:m>
        A< T OK ...
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await world.add(*[b"m%d" % n for n in range(7)])
        await world.client(b"SELECT INBOX", b"STORE 3 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
        await Transcript(world, (b"SELECT INBOX",)).play(CASES[name])

    run(scenario)


OF_MANY = [
    (b"UID SORT RETURN (PARTIAL -1:-50) (DATE) UTF-8 ALL", b"UID PARTIAL (-1:-50 1151:1200)"),
    (b"SORT RETURN (PARTIAL 1:50) (REVERSE DATE) UTF-8 UNDELETED", b" PARTIAL (1:50 1:50)"),
    (b"SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 UNSEEN", b" MIN 1 MAX 1200 COUNT 1200"),
    (b"UID SEARCH RETURN (PARTIAL -1:-50) UNSEEN", b"UID PARTIAL (-1:-50 1151:1200)"),
    (b"SEARCH RETURN (PARTIAL 1:50 COUNT) 1:* UNDELETED", b" PARTIAL (1:50 1:50) COUNT 1200"),
    (b"SEARCH RETURN (MIN MAX COUNT) UNSEEN", b" MIN 1 MAX 1200 COUNT 1200"),
    (b"SEARCH RETURN (COUNT) ALL", b" COUNT 1200"),
    (b"SEARCH RETURN (ALL) UNSEEN", b" ALL 1:1200"),
    (b"UID SEARCH RETURN (SAVE) UNDELETED", b""),
    (b"SEARCH RETURN (ALL) $", b" ALL 1:1200"),
]


def test_what_is_not_told_is_not_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,200 messages found, those are looked up that are named: 50 as a rule, the ends, or none."""
    most: list[int] = []

    def counted(name: str) -> None:
        method = getattr(View, name)

        def noted(self: View, uids: array[int]) -> Any:
            most.append(len(uids))
            return method(self, uids)

        monkeypatch.setattr(View, name, noted)

    async def scenario(world: World) -> None:
        await fill(world, 1_200)
        client = await world.client(b"SELECT INBOX")
        counted("numbers")
        counted("numbers_in_order")
        for command, expected in OF_MANY:
            most.clear()
            got = await client.ok(command)
            if expected:
                assert got.startswith(b'* ESEARCH (TAG "T")'), got
                assert expected + b"\r\n" in got
            assert max(most, default=0) <= 50, command

    run(scenario)


def test_the_newest_follow_what_happens() -> None:
    """Of a mailbox large enough for its orders to be kept: mail that comes, goes and is read in another session."""

    async def scenario(world: World) -> None:
        await fill(world, 1_200)
        client = await world.client(b"SELECT INBOX")
        other = await world.client(b"SELECT INBOX")
        newest = b"UID SORT RETURN (PARTIAL -1:-3 COUNT) (ARRIVAL) UTF-8 "
        assert b"UID PARTIAL (-1:-3 1198:1200) COUNT 1200\r\n" in await client.ok(newest + b"ALL")
        assert b"UID PARTIAL (-1:-3 1198:1200) COUNT 1200\r\n" in await client.ok(newest + b"UNSEEN")
        await world.add(b"late")
        got = await client.ok(newest + b"ALL")
        assert b"UID PARTIAL (-1:-3 1198:1200) COUNT 1200\r\n" in got, "it was not told before"
        assert b" 1201 EXISTS" in got + await client.ok(b"NOOP")
        assert b"UID PARTIAL (-1:-3 1199:1201) COUNT 1201\r\n" in await client.ok(newest + b"ALL")
        await other.ok(b"UID STORE 1200 +FLAGS.SILENT (\\Seen)")
        assert b"UID PARTIAL (-1:-3 1198:1199,1201) COUNT 1200\r\n" in await client.ok(newest + b"UNSEEN")
        await other.ok(b"UID STORE 5,1199 +FLAGS.SILENT (\\Deleted)")
        await other.ok(b"UID EXPUNGE 5,1199")
        assert b"UID PARTIAL (-1:-3 1198,1200:1201) COUNT 1199\r\n" in await client.ok(newest + b"ALL")
        assert b"UID PARTIAL (-1:-3 1197:1198,1201) COUNT 1198\r\n" in await client.ok(newest + b"UNSEEN")

    run(scenario)


def test_the_capability_is_announced() -> None:
    assert b"PARTIAL" in capabilities.AFTER


spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=5).map(merged)
ends = st.integers(1, 35)


@given(spans, ends, ends, st.sampled_from([1, -1]))
def test_a_range_of_messages_is_what_counting_gives(
    where: list[tuple[int, int]], first: int, last: int, sign: int
) -> None:
    messages = [position for start, stop in where for position in range(start, stop)]
    partial = Partial(sign * first, sign * last)
    start, stop = partial.span(len(messages))
    got = [position for low, high in within(where, partial) for position in range(low, high)]
    assert got == messages[start:stop]
