"""What a command does that names more messages than one command may touch. RFC 9738.

The limit here is 3, in a mailbox with the UIDs 1, 2, 4, 5, 6, 7.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.config.load import ConfigError, parse
from restante.config.model import ImapTable
from restante.imap.commands import limit
from restante.imap.commands.search import overlap
from restante.imap.session.view import View, merged
from restante.store.model import Snapshot, UidList

from ..session.support import World, run
from ..session.test_view import mailbox
from ..session.transcript import Transcript

CASES: dict[str, str] = {
    "rfc9738-3.1 fetch goes from the highest to the lowest": """
        A> FETCH 2:6 (UID FLAGS)
        A< * 6 FETCH (UID 7 FLAGS ())
        A< * 5 FETCH (UID 6 FLAGS ())
        A< * 4 FETCH (UID 5 FLAGS ())
        A< T OK [MESSAGELIMIT 3 5] FETCH completed.
        A> FETCH 2:3 (UID FLAGS)
        A< * 2 FETCH (UID 2 FLAGS ())
        A< * 3 FETCH (UID 4 FLAGS ())
        A< T OK FETCH completed.
        A> UID FETCH 1:4 (FLAGS)
        A< * 1 FETCH (UID 1 FLAGS ())
        A< * 2 FETCH (UID 2 FLAGS ())
        A< * 3 FETCH (UID 4 FLAGS ())
        A< T OK FETCH completed.
        A> UID FETCH 1:6 (BODY[TEXT]<0.1>)
        A< * 5 FETCH (FLAGS (\\Seen) UID 6 BODY[TEXT]<0> {1}
        A< m)
        A< * 4 FETCH (FLAGS (\\Seen) UID 5 BODY[TEXT]<0> {1}
        A< m)
        A< * 3 FETCH (FLAGS (\\Seen) UID 4 BODY[TEXT]<0> {1}
        A< m)
        A< T OK [MESSAGELIMIT 3 4] ...
        A> UID SEARCH RETURN (ALL) UID 4:7 SEEN
        A< * ESEARCH (TAG "T") UID ALL 5:6
        A< T OK [MESSAGELIMIT 3 5] ...
    """,
    "rfc9738-3.1 search counts what is looked at, not what matches": """
        A> UID SEARCH UNDELETED
        A< * SEARCH 5 6 7
        A< T OK [MESSAGELIMIT 3 5] ...
        A> UID SEARCH UID 1:6 SUBJECT s1
        A< * SEARCH
        A< T OK [MESSAGELIMIT 3 4] ...
        A> UID SEARCH UID 1:4 SUBJECT s1
        A< * SEARCH 1
        A< T OK SEARCH completed.
        A> SEARCH 1:2 UNDELETED
        A< * SEARCH 1 2
        A< T OK SEARCH completed.
        A> UID SEARCH UIDBEFORE 5 UNDELETED
        A< * SEARCH 1 2 4
        A< T OK SEARCH completed.
        A> UID SEARCH UIDAFTER 7
        A< * SEARCH
        A< T OK SEARCH completed.
        A> UID SEARCH UIDBEFORE 1
        A< * SEARCH
        A< T OK SEARCH completed.
        A> UID SEARCH RETURN (COUNT) UNDELETED UIDAFTER 4294967295
        A< * ESEARCH (TAG "T") UID COUNT 0
        A< T OK SEARCH completed.
        A> UID SEARCH NOT UIDBEFORE 1
        A< * SEARCH 5 6 7
        A< T OK [MESSAGELIMIT 3 5] ...
        A> UID SEARCH 1:4 UIDAFTER 1 UIDBEFORE 6
        A< * SEARCH 2 4 5
        A< T OK SEARCH completed.
        A> UID SEARCH OR UID 1 UID 2
        A< * SEARCH
        A< T OK [MESSAGELIMIT 3 5] ...
    """,
    "rfc9738-3.4 what is saved is cut as well": """
        A> UID SEARCH RETURN (SAVE) UNDELETED
        A< T OK [MESSAGELIMIT 3 5] ...
        A> UID SEARCH $
        A< * SEARCH 5 6 7
        A< T OK SEARCH completed.
    """,
    "rfc9738-3.1 copy is all or none": """
        A> CREATE Trash
        A< T OK ...
        A> UID COPY 1:6 Trash
        A< T NO [MESSAGELIMIT 3 4] ...
        A> STATUS Trash (MESSAGES)
        A< * STATUS Trash (MESSAGES 0)
        A< T OK ...
        A> UID COPY 1:4 Trash
        A< T OK [COPYUID <n> 1:2,4 1:3] ...
    """,
    "rfc9738-3.1 move is repeated until nothing is left": """
        A> CREATE Trash
        A< T OK ...
        A> UID MOVE 1:* Trash
        A< * OK [COPYUID <n> 5:7 1:3] ...
        A< * 6 EXPUNGE
        A< * 5 EXPUNGE
        A< * 4 EXPUNGE
        A< T OK [MESSAGELIMIT 3 5] ...
        A> UID MOVE 1:* Trash
        A< * OK [COPYUID <n> 1:2,4 4:6] ...
        A< * 3 EXPUNGE
        A< * 2 EXPUNGE
        A< * 1 EXPUNGE
        A< T OK MOVE completed.
    """,
    "rfc9738-3.1 store": """
        A> UID STORE 1:6 +FLAGS (\\Seen)
        A< * 5 FETCH (UID 6 FLAGS (\\Seen))
        A< * 4 FETCH (UID 5 FLAGS (\\Seen))
        A< * 3 FETCH (UID 4 FLAGS (\\Seen))
        A< T OK [MESSAGELIMIT 3 4] ...
        A> UID STORE 1:3 +FLAGS.SILENT (\\Seen)
        A< T OK STORE completed.
        A> STORE 1:6 -FLAGS.SILENT (\\Seen)
        A< T OK [MESSAGELIMIT 3 5] ...
        A> UID SEARCH UID 5:7 SEEN
        A< * SEARCH
        A< T OK SEARCH completed.
        A> UID SEARCH UID 1:4 SEEN
        A< * SEARCH 1 2 4
        A< T OK SEARCH completed.
        # a reply that has a code already keeps it
        A> UID STORE 1:6 (UNCHANGEDSINCE 1) FLAGS.SILENT (\\Draft)
        A< * OK [HIGHESTMODSEQ <n>] ...
        A< * 5 FETCH (UID 6 FLAGS () MODSEQ (<n>))
        A< * 4 FETCH (UID 5 FLAGS () MODSEQ (<n>))
        A< * 3 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (<n>))
        A< * NO [MESSAGELIMIT 3 4] ...
        A< T OK [MODIFIED 4:6] ...
    """,
    "rfc9738-3.1 a silent store goes from the highest to the lowest too where CONDSTORE has it tell something": """
        A> SELECT INBOX (CONDSTORE)
        A< ...
        A< T OK ...
        A> STORE 1:6 +FLAGS.SILENT (\\Seen)
        A< * 6 FETCH (UID 7 MODSEQ (<n:m>))
        A< * 5 FETCH (UID 6 MODSEQ (<n:m>))
        A< * 4 FETCH (UID 5 MODSEQ (<n:m>))
        A< T OK [MESSAGELIMIT 3 5] ...
        B> STORE 5:6 +FLAGS.SILENT (\\Flagged)
        B< T OK ...
        A> UID STORE 1:7 +FLAGS.SILENT (\\Draft)
        A< * 5 FETCH (UID 6 FLAGS (\\Flagged \\Seen) MODSEQ (<n>))
        A< * 6 FETCH (UID 7 FLAGS (\\Flagged \\Seen) MODSEQ (<n>))
        A< * 4 FETCH (UID 5 MODSEQ (<n:k>))
        A< * 6 FETCH (UID 7 FLAGS (\\Flagged \\Seen \\Draft) MODSEQ (<n:k>))
        A< * 5 FETCH (UID 6 FLAGS (\\Flagged \\Seen \\Draft) MODSEQ (<n:k>))
        A< T OK [MESSAGELIMIT 3 5] ...
    """,
    "rfc9738-3.1 uid expunge counts what is deleted, expunge is not limited": """
        A> UID STORE 1:4 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> UID EXPUNGE 1:*
        A< * 3 EXPUNGE
        A< * 2 EXPUNGE
        A< * 1 EXPUNGE
        A< T OK EXPUNGE completed.
    """,
    "rfc9738-3.1 uid expunge is repeated until nothing is left": """
        A> UID STORE 4:7 +FLAGS.SILENT (\\Deleted)
        A< T OK [MESSAGELIMIT 3 5] ...
        A> UID STORE 1:4 +FLAGS.SILENT (\\Deleted)
        A< T OK STORE completed.
        A> UID EXPUNGE 2:*
        A< * 6 EXPUNGE
        A< * 5 EXPUNGE
        A< * 4 EXPUNGE
        A< T OK [MESSAGELIMIT 3 5] ...
        A> UID EXPUNGE 2:*
        A< * 3 EXPUNGE
        A< * 2 EXPUNGE
        A< T OK EXPUNGE completed.
        A> STATUS INBOX (MESSAGES DELETED UNSEEN)
        A< * STATUS INBOX (MESSAGES 1 DELETED 1 UNSEEN 1)
        A< T OK ...
    """,
    "rfc9738-3.1 expunge is never limited": """
        A> UID STORE 5:7 +FLAGS.SILENT (\\Deleted)
        A< T OK STORE completed.
        A> UID STORE 1:4 +FLAGS.SILENT (\\Deleted)
        A< T OK STORE completed.
        A> EXPUNGE
        A< * 6 EXPUNGE
        A< * 5 EXPUNGE
        A< * 4 EXPUNGE
        A< * 3 EXPUNGE
        A< * 2 EXPUNGE
        A< * 1 EXPUNGE
        A< T OK EXPUNGE completed.
    """,
    "rfc9738-3.1 close and status are never limited": """
        A> UID STORE 5:7 +FLAGS.SILENT (\\Deleted)
        A< T OK STORE completed.
        A> UID STORE 1:4 +FLAGS.SILENT (\\Deleted)
        A< T OK STORE completed.
        A> STATUS INBOX (UNSEEN DELETED)
        A< * STATUS INBOX (UNSEEN 6 DELETED 6)
        A< T OK STATUS completed.
        A> CLOSE
        A< T OK CLOSE completed.
        A> STATUS INBOX (MESSAGES)
        A< * STATUS INBOX (MESSAGES 0)
        A< T OK STATUS completed.
    """,
    "rfc9738-3.2 uidafter": """
        A> UID SEARCH UIDAFTER 4 UNDELETED
        A< * SEARCH 5 6 7
        A< T OK SEARCH completed.
        A> UID SEARCH RETURN (SAVE) UIDAFTER 4 UNDELETED
        A< T OK SEARCH completed.
        A> UID SEARCH UID $ UIDBEFORE 7
        A< * SEARCH 5 6
        A< T OK SEARCH completed.
    """,
    # The RFC's example of both codes has a FETCH, which is answered here as long as the removal was not told.
    "rfc9738-3.1 fetch of what is gone": """
        A> NOOP
        A< T OK ...
        B> UID STORE 6 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        B> EXPUNGE
        B< * 5 EXPUNGE
        B< T OK ...
        A> FETCH 2:6 (UID FLAGS)
        A< * 6 FETCH (UID 7 FLAGS ())
        A< * 5 FETCH (UID 6 FLAGS (\\Deleted))
        A< * 4 FETCH (UID 5 FLAGS ())
        A< T OK [MESSAGELIMIT 3 5] FETCH completed.
    """,
    "rfc9738-3.1 with partial": """
        A> UID FETCH 1:* (UID FLAGS) (PARTIAL -1:-4)
        A< T NO [MESSAGELIMIT 3] ...
        A> UID FETCH 1:* (UID FLAGS) (PARTIAL -1:-2)
        A< * 5 FETCH (UID 6 FLAGS ())
        A< * 6 FETCH (UID 7 FLAGS ())
        A< T OK FETCH completed.
    """,
    "rfc9738-3.1 with expungeissued": """
        A> NOOP
        A< T OK ...
        B> UID STORE 6 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        B> EXPUNGE
        B< * 5 EXPUNGE
        B< T OK ...
        A> STORE 2:6 +FLAGS (\\Seen)
        A< * 6 FETCH (FLAGS (\\Seen))
        A< * 5 FETCH (FLAGS (\\Deleted))
        A< * 4 FETCH (FLAGS (\\Seen))
        A< * NO [MESSAGELIMIT 3 5] ...
        A< T NO [EXPUNGEISSUED] ...
    """,
    "rfc7162-3.2.7 with highestmodseq": """
        A> ENABLE QRESYNC
        A< * OK [HIGHESTMODSEQ <n>] ...
        A< * ENABLED QRESYNC
        A< T OK ...
        A> UID STORE 5:7 +FLAGS.SILENT (\\Deleted)
        A< ...
        A< T OK ...
        A> UID STORE 4 +FLAGS.SILENT (\\Deleted)
        A< ...
        A< T OK ...
        A> UID EXPUNGE 1:*
        A< * VANISHED 5:7
        A< * NO [MESSAGELIMIT 3 5] ...
        A< T OK [HIGHESTMODSEQ <n>] ...
    """,
}

SAVING = """
    A> UID FETCH 1:* FLAGS
    A< ...
    A< T OK FETCH completed.
    A> UID SEARCH ALL
    A< * SEARCH 1 2 4 5 6 7
    A< T OK SEARCH completed.
    A> UID STORE 1:* +FLAGS.SILENT (\\Seen)
    A< T OK STORE completed.
    A> CREATE Trash
    A< T OK ...
    A> COPY 1:4 Trash
    A< T NO [MESSAGELIMIT 3 2] ...
    A> COPY 1:3 Trash
    A< T OK [COPYUID ...
    A> UID MOVE 1:* Trash
    A< ...
    A< T OK MOVE completed.
"""


async def _fill(world: World) -> None:
    await world.add(*[b"m%d" % n for n in range(7)])
    await world.client(b"SELECT INBOX", b"STORE 3 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await _fill(world)
        world.config = ImapTable(message_limit=3)
        await Transcript(world, (b"SELECT INBOX",)).play(CASES[name])

    run(scenario)


def test_savelimit_holds_for_copy_alone() -> None:
    async def scenario(world: World) -> None:
        await _fill(world)
        world.config = ImapTable(message_limit=3, message_limit_on="saving")
        await Transcript(world, (b"SELECT INBOX",)).play(SAVING)

    run(scenario)


@pytest.mark.parametrize(
    ("config", "announced"),
    [
        (ImapTable(), [b"MESSAGELIMIT=1000000"]),
        (ImapTable(message_limit=5000, message_limit_on="saving"), [b"SAVELIMIT=5000"]),
        (ImapTable(message_limit=0), []),
    ],
)
def test_one_of_the_two_is_announced_after_login(config: ImapTable, announced: list[bytes]) -> None:
    async def scenario(world: World) -> None:
        world.config = config
        client = world.connect()
        assert b"LIMIT" not in await client.greeting()
        assert re.findall(rb"(?:MESSAGE|SAVE)LIMIT=\d+", await client.do(b"LOGIN user pass")) == announced
        assert re.findall(rb"(?:MESSAGE|SAVE)LIMIT=\d+", await client.do(b"CAPABILITY")) == announced

    run(scenario)


def test_a_limit_below_a_thousand_is_refused() -> None:
    assert parse("[imap]\nmessage_limit = 1000\n", "x").imap.message_limit == 1000
    for text in ("message_limit = 999", 'message_limit_on = "search"'):
        with pytest.raises(ConfigError):
            parse(f"[imap]\n{text}\n", "x")


spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6).map(merged)


@given(spans, spans)
def test_overlap_is_the_intersection(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    def members(where: list[tuple[int, int]]) -> set[int]:
        return {position for start, stop in where for position in range(start, stop)}

    assert members(overlap(one, other)) == members(one) & members(other)
    assert overlap(one, other) == merged(overlap(one, other))


@given(spans, st.integers(1, 40))
def test_a_cut_keeps_the_highest_and_names_the_lowest_of_them(where: list[tuple[int, int]], most: int) -> None:
    view = View(Snapshot(mailbox(91, 1, 30), UidList.of(range(3, 93, 3))), read_only=False)
    positions = [position for start, stop in where for position in range(start, stop)]
    kept, code = limit.cut(view, where, most)
    assert [position for start, stop in kept for position in range(start, stop)] == positions[-most:]
    assert code == (b"MESSAGELIMIT %d %d" % (most, positions[-most] * 3 + 3) if len(positions) > most else b"")


def test_rfc9738_3_3_a_mailbox_over_the_limit_is_sorted_and_not_threaded() -> None:
    async def scenario(world: World) -> None:
        await _fill(world)
        world.config = ImapTable(message_limit=3)
        client = await world.client(b"SELECT INBOX")
        assert b"* SORT 7 6 5 4 2 1\r\n" in await client.ok(b"UID SORT (REVERSE SUBJECT) UTF-8 ALL")
        assert (await client.do(b"THREAD REFERENCES UTF-8 ALL")).startswith(b"T NO [MESSAGELIMIT 3] ")

    run(scenario)


@pytest.mark.parametrize("where", ["all", "saving"])
def test_rfc9738_3_1_multiappend_is_all_or_none(where: str) -> None:
    async def scenario(world: World) -> None:
        world.config = ImapTable(message_limit=3, message_limit_on=where)
        client = await world.client()
        assert b"T NO [MESSAGELIMIT 3] " in await client.do(b"APPEND INBOX" + b" {5+}\r\na:b\r\n" * 4)
        assert b"(MESSAGES 0)" in await client.ok(b"STATUS INBOX (MESSAGES)")
        assert b"[APPENDUID " in await client.ok(b"APPEND INBOX" + b" {5+}\r\na:b\r\n" * 3)

    run(scenario)
