"""METADATA, LIST-METADATA and stored filters in a session. RFC 5464, RFC 6154 4, RFC 9590, RFC 5466 3.2."""

from __future__ import annotations

import asyncio

import pytest

from restante.config.model import ImapTable, LimitsTable
from restante.imap.commands.filters import criteria_of
from restante.imap.commands.metadata import chosen
from restante.imap.grammar.commands import Depth
from restante.store.annotation import ACCOUNT, AnnotationLimits

from ..session.support import World, run
from ..session.transcript import Transcript

CASES: dict[str, str] = {
    "rfc5464-4.2 and 4.3 set, get, remove": """
        A> GETMETADATA "" /shared/comment
        A< * METADATA "" (/shared/comment NIL)
        A< T OK ...
        A> SETMETADATA "" (/shared/comment "Shared comment")
        A< T OK ...
        B> GETMETADATA "" /shared/comment
        B< * METADATA "" (/shared/comment "Shared comment")
        B< T OK ...
        A> SETMETADATA inbox (/private/comment "My own comment" /SHARED/Comment "Its sunny outside!")
        A< T OK ...
        A> GETMETADATA "INBOX" (/Shared/comment /private/COMMENT /private/comment)
        A< * METADATA INBOX (/Shared/comment "Its sunny outside!" /private/comment "My own comment")
        A< T OK ...
        A> SETMETADATA INBOX (/private/comment NIL)
        A< T OK ...
        A> GETMETADATA INBOX /private/comment
        A< * METADATA INBOX (/private/comment NIL)
        A< T OK ...
        """,
    "rfc5464-4.2.1 maxsize": """
        A> SETMETADATA INBOX (/private/comment "My own comment" /shared/comment "A longer comment")
        A< T OK ...
        A> GETMETADATA INBOX (MAXSIZE 14) (/shared/comment /private/comment)
        A< * METADATA INBOX (/private/comment "My own comment")
        A< T OK [METADATA LONGENTRIES 16] ...
        A> GETMETADATA (MAXSIZE 1) INBOX (/shared/comment /private/comment)
        A< T OK [METADATA LONGENTRIES 16] ...
        A> GETMETADATA (MAXSIZE 16) INBOX /shared/comment
        A< * METADATA INBOX (/shared/comment "A longer comment")
        A< T OK GETMETADATA completed.
        """,
    "rfc5464-4.2.2 depth": """
        A> SETMETADATA INBOX (/private/vendor/x/small "1" /private/vendor/x/boss "2" /private/vendor/x/boss/of "3")
        A< T OK ...
        A> GETMETADATA INBOX (DEPTH 1) (/private/vendor/x)
        A< * METADATA INBOX (/private/vendor/x/boss "2" /private/vendor/x/small "1")
        A< T OK ...
        A> GETMETADATA INBOX (DEPTH infinity) (/private)
        A< * METADATA INBOX (/private/vendor/x/boss "2" /private/vendor/x/boss/of "3" /private/vendor/x/small "1")
        A< T OK ...
        A> GETMETADATA INBOX (DEPTH 0) (/private/vendor/x)
        A< * METADATA INBOX (/private/vendor/x NIL)
        A< T OK ...
        A> GETMETADATA INBOX (DEPTH infinity) (/private/vendor/x/boss/of /shared)
        A< * METADATA INBOX (/private/vendor/x/boss/of "3" /shared NIL)
        A< T OK ...
        """,
    "rfc5464-3.3 a mailbox that is not there": """
        A> GETMETADATA Nowhere /shared/comment
        A< T NO [NONEXISTENT] ...
        A> SETMETADATA Nowhere (/shared/comment "x")
        A< T NO [NONEXISTENT] ...
        """,
    "rfc5464-3.2.1.1 admin is read-only": """
        A> SETMETADATA "" (/shared/comment "x" /shared/Admin "mailto:me@example.org")
        A< T NO [NOPERM] ...
        A> GETMETADATA "" (/shared/admin /shared/comment)
        A< * METADATA "" (/shared/admin NIL /shared/comment NIL)
        A< T OK ...
        """,
    "rfc5464-4.1 annotations follow a rename and go with a delete": """
        A> CREATE A
        A< T OK ...
        A> SETMETADATA A (/shared/comment "x")
        A< T OK ...
        A> RENAME A B
        A< T OK ...
        A> GETMETADATA B /shared/comment
        A< * METADATA B (/shared/comment "x")
        A< T OK ...
        A> DELETE B
        A< T OK ...
        A> CREATE B
        A< T OK ...
        A> GETMETADATA B /shared/comment
        A< * METADATA B (/shared/comment NIL)
        A< T OK ...
        A> SETMETADATA INBOX (/shared/comment "in")
        A< T OK ...
        A> RENAME INBOX Old
        A< T OK ...
        A> GETMETADATA Old /shared/comment
        A< * METADATA Old (/shared/comment "in")
        A< T OK ...
        """,
    "rfc7162-3.2 a change of any entry has a number": """
        A> STATUS INBOX (HIGHESTMODSEQ)
        A< * STATUS INBOX (HIGHESTMODSEQ 4)
        A< T OK ...
        A> SETMETADATA INBOX (/shared/comment "x")
        A< T OK ...
        A> STATUS INBOX (HIGHESTMODSEQ)
        A< * STATUS INBOX (HIGHESTMODSEQ 5)
        A< T OK ...
        A> SETMETADATA INBOX (/private/specialuse "\\\\Archive")
        A< T OK ...
        A> STATUS INBOX (HIGHESTMODSEQ)
        A< * STATUS INBOX (HIGHESTMODSEQ 6)
        A< T OK ...
        A> SETMETADATA INBOX (/shared/comment "x" /private/specialuse "\\\\Archive")
        A< T OK ...
        A> STATUS INBOX (HIGHESTMODSEQ)
        A< * STATUS INBOX (HIGHESTMODSEQ 6)
        A< T OK ...
        """,
    # Where a special use is taken the printed server takes it away from its mailbox; here it must be given up first, as
    # with CREATE ("MAY refuse", RFC 6154 3).
    "rfc6154-5.4 special use": """
        A> CREATE SentMail (USE (\\Sent))
        A< T OK ...
        A> CREATE MyDrafts (USE (\\Drafts))
        A< T OK ...
        A> CREATE SavedDrafts
        A< T OK ...
        A> GETMETADATA MyDrafts /private/specialuse
        A< * METADATA MyDrafts (/private/specialuse "\\\\Drafts")
        A< T OK ...
        A> SETMETADATA SavedDrafts (/private/specialuse "\\\\Drafts" /private/comment "x")
        A< T NO [USEATTR] ...
        A> GETMETADATA SavedDrafts (DEPTH infinity) (/private)
        A< * METADATA SavedDrafts (/private NIL)
        A< T OK ...
        A> SETMETADATA MyDrafts (/private/specialuse NIL)
        A< T OK ...
        A> SETMETADATA SavedDrafts (/private/specialuse "\\\\Drafts")
        A< T OK ...
        A> SETMETADATA SentMail (/private/specialuse NIL)
        A< T OK SETMETADATA completed.
        A> GETMETADATA SentMail /private/specialuse
        A< * METADATA SentMail (/private/specialuse NIL)
        A< T OK ...
        A> LIST "" % RETURN (SPECIAL-USE)
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * LIST (\\HasNoChildren) "/" MyDrafts
        A< * LIST (\\HasNoChildren \\Drafts) "/" SavedDrafts
        A< * LIST (\\HasNoChildren) "/" SentMail
        A< T OK ...
        A> LIST (SPECIAL-USE) "" * RETURN (SPECIAL-USE)
        A< * LIST (\\HasNoChildren \\Drafts) "/" SavedDrafts
        A< T OK ...
        A> SETMETADATA INBOX (/private/specialuse "\\\\Nonsense")
        A< T NO [USEATTR] ...
        """,
    "rfc9590-4 list with metadata": """
        A> CREATE foo
        A< T OK ...
        A> CREATE gone/below
        A< T OK ...
        A> DELETE gone
        A< T OK ...
        A> SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/color "#b71c1c")
        A< T OK ...
        A> LIST "" % RETURN (METADATA ("/shared/vendor/cmu/cyrus-imapd/Color"))
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * METADATA INBOX (/shared/vendor/cmu/cyrus-imapd/Color "#b71c1c")
        A< * LIST (\\HasNoChildren) "/" foo
        A< * METADATA foo (/shared/vendor/cmu/cyrus-imapd/Color NIL)
        A< * LIST (\\NonExistent \\HasChildren) "/" gone
        A< T OK ...
        A> SUBSCRIBE gone/below
        A< T OK ...
        A> LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES) METADATA (/shared/comment))
        A< * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
        A< * STATUS INBOX (MESSAGES 3)
        A< * METADATA INBOX (/shared/comment NIL)
        A< * LIST (\\NonExistent \\HasChildren) "/" gone ("CHILDINFO" ("SUBSCRIBED"))
        A< T OK ...
        """,
    "rfc5464-4.4.2 unsolicited, of others and after ENABLE alone": """
        A> ENABLE METADATA
        A< * ENABLED METADATA
        A< T OK ...
        C> NOOP
        C< T OK ...
        B> SETMETADATA "" (/shared/comment "x")
        B< T OK ...
        B> SETMETADATA INBOX (/shared/comment "x" /private/comment "y")
        B< T OK ...
        A> NOOP
        A< * METADATA "" /shared/comment
        A< * METADATA INBOX /shared/comment /private/comment
        A< T OK ...
        A> SETMETADATA INBOX (/shared/comment NIL)
        A< T OK ...
        A> NOOP
        A< T OK ...
        C> NOOP
        C< T OK ...
        A> IDLE
        A< + Listening.
        B> SETMETADATA INBOX (/shared/comment "z")
        B< T OK ...
        A! * METADATA INBOX /shared/comment
        A+ DONE
        A< T OK ...
        A> SELECT INBOX
        A< ...
        A< T OK ...
        B> SETMETADATA INBOX (/private/specialuse "\\\\Archive")
        B< T OK ...
        A> NOOP
        A< * METADATA INBOX /private/specialuse
        A< T OK ...
        A> UNSELECT
        A< T OK ...
        B> SETMETADATA INBOX (/private/comment NIL)
        B< T OK ...
        A> NOOP
        A< * METADATA INBOX /private/comment
        A< T OK ...
        """,
    "rfc5466-3.2 filters are whole criteria": """
        A> SETMETADATA "" ("/private/filters/values/on-the-road" "OR SMALLER 5000 FROM \\"boss@example.com\\"")
        A< T OK ...
        A> SETMETADATA "" (/shared/filters/values/half "OR SMALLER")
        A< T NO [CANNOT] ...
        A> SETMETADATA "" (/shared/filters/values/a/b "SEEN")
        A< T NO [CANNOT] ...
        A> SETMETADATA "" (/private/filters/descriptions/on-the-road "anything (")
        A< T OK ...
        A> SETMETADATA INBOX (/private/filters/values/half "OR SMALLER")
        A< T OK ...
        A> GETMETADATA "" (DEPTH 1) (/private/filters/values)
        A< * METADATA "" (/private/filters/values/on-the-road "OR SMALLER 5000 FROM \\"boss@example.com\\"")
        A< T OK ...
        """,
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
def test_transcripts(text: str) -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        await Transcript(world).play(text)

    run(scenario)


def test_octets_of_any_kind_come_back() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        value = bytes(range(256)) * 4
        await client.raw(b"a SETMETADATA INBOX (/shared/comment ~{1024}\r\n", b"a")
        got = await client.raw(value + b")\r\n", b"a")
        assert b"a OK" in got
        got = await client.ok(b"GETMETADATA INBOX /shared/comment")
        assert got.startswith(b"* METADATA INBOX (/shared/comment ~{1024}\r\n" + value + b")\r\n")
        await client.raw(b"b SETMETADATA INBOX (/shared/comment {9}\r\n", b"b")
        assert b"b OK" in await client.raw(b"two\r\nl\xc3\xbcs)\r\n", b"b")
        assert b"(/shared/comment {9}\r\ntwo\r\nl\xc3\xbcs)" in await client.ok(b"GETMETADATA INBOX /shared/comment")

    run(scenario)


def test_limits_have_their_codes() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(limits=LimitsTable(metadata_value=1_024))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        for n in range(10):
            await client.ok(b'SETMETADATA INBOX (/private/vendor/x/%d "")' % n)
        got = await client.do(b'SETMETADATA INBOX (/private/comment "x" /shared/comment "y")')
        assert b"T NO [METADATA TOOMANY] " in got
        assert b"(/shared/comment NIL)" in await client.ok(b"GETMETADATA INBOX /shared/comment")
        await client.ok(b'SETMETADATA INBOX (/private/vendor/x/1 NIL /private/comment "x")')
        got = await client.raw(b"a SETMETADATA INBOX (/shared/comment {1025}\r\n", b"a")
        assert got.startswith(b"a NO [METADATA MAXSIZE 1024] ")

    run(scenario, annotations=AnnotationLimits(value=1_024, entries=10, account=50_000))


def test_what_the_store_refuses_has_the_code_too() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        got = await client.do(b'SETMETADATA INBOX (/shared/comment "' + b"x" * 1_501 + b'")')
        assert got.startswith(b"T NO [METADATA MAXSIZE 1500] ")
        await client.ok(b'SETMETADATA INBOX (/shared/comment "' + b"x" * 1_500 + b'")')
        got = await client.do(b'SETMETADATA INBOX (/private/comment "' + b"x" * 1_500 + b'")')
        assert got.startswith(b"T NO [OVERQUOTA] ")

    run(scenario, annotations=AnnotationLimits(value=1_500, entries=10, account=3_000))


def test_the_administrator_is_told() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(config=ImapTable(admin="mailto:postmaster@example.org"))
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        assert b'"" (/shared/admin "mailto:postmaster@example.org")' in await client.ok(b'GETMETADATA "" /shared/admin')
        assert b"(/shared/admin NIL)" in await client.ok(b"GETMETADATA INBOX /shared/admin")
        got = await client.ok(b'GETMETADATA (MAXSIZE 5 DEPTH infinity) "" /shared')
        assert got == b"T OK [METADATA LONGENTRIES 29] GETMETADATA completed.\r\n"

    run(scenario)


def test_large_values_come_in_several_responses() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        for n in range(9):
            values = {f"/shared/vendor/x/{n}{m}": b"%d%d" % (n, m) + b"v" * 60_000 for m in range(2)}
            await world.store.annotate(ACCOUNT, values)
        got = await client.ok(b'GETMETADATA (DEPTH infinity) "" /shared/vendor')
        assert got.count(b"* METADATA") > 2
        assert got.count(b"v" * 60_000) == 18
        assert [got.count(b"/shared/vendor/x/%d%d {" % (n, m)) for n in range(9) for m in range(2)] == [1] * 18

    run(scenario)


def test_list_reads_metadata_of_many_mailboxes_in_few_steps() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        for n in range(250):
            made = await world.store.create_mailbox(f"m{n:03}")
            await world.store.annotate(made.key, {"/shared/comment": b"%d" % n})
        got = await client.ok(b'LIST "" m* RETURN (METADATA (/shared/comment))')
        lines = got.split(b"\r\n")
        for n in range(250):
            assert lines[2 * n].startswith(b'* LIST (\\HasNoChildren) "/" m%03d' % n)
            assert lines[2 * n + 1] == b'* METADATA m%03d (/shared/comment "%d")' % (n, n)

    run(scenario)


def test_a_filter_is_found_private_first() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        assert await criteria_of(world.store, "f") is None
        await client.ok(b'SETMETADATA "" (/shared/filters/values/F "SEEN")')
        assert await criteria_of(world.store, "f") == b"SEEN"
        await client.ok(b'SETMETADATA "" (/private/filters/values/f "UNSEEN")')
        assert await criteria_of(world.store, "F") == b"UNSEEN"
        await client.ok(b'SETMETADATA "" (/private/filters/values/F NIL)')
        assert await criteria_of(world.store, "F") == b"SEEN"

    run(scenario)


def test_depth_chooses() -> None:
    there = {"/private/a": 1, "/private/a/b": 1, "/private/a/b/c": 1, "/private/ab": 1}
    asked = {"/private/a": "/private/a"}
    assert chosen(asked, there, Depth.SELF) == ["/private/a"]
    assert chosen(asked, there, Depth.CHILDREN) == ["/private/a", "/private/a/b"]
    assert chosen(asked, there, Depth.ALL) == ["/private/a", "/private/a/b", "/private/a/b/c"]
    assert chosen({"/private/a/b/c/d": "x"}, there, Depth.ALL) == ["/private/a/b/c/d"]


def test_a_session_that_asks_for_nothing_watches_nothing() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        other = await world.client()
        await other.ok(b'SETMETADATA INBOX (/shared/comment "x")')
        assert client.session.watch is None
        assert client.session.notifications is None
        assert client.session.own_store.own is None
        assert await client.ok(b"NOOP") == b"T OK NOOP completed.\r\n"
        await asyncio.sleep(0)

    run(scenario)
