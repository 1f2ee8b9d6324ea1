"""What the RFCs of small extensions show, one conversation after another.

RFC 2177 3; RFC 2971 3; RFC 3691 2; RFC 4959 4; RFC 5161 3.1; RFC 7888 3; RFC 8438 3; RFC 8474 4 to 6; RFC 8514 4;
RFC 8970 3, 5.
"""

from __future__ import annotations

import base64

import pytest

from restante.accounts.login import Admitted, Peer

from ..session.support import ACCOUNT, SIMPLE, Authenticator, PlainExchange, World, run
from ..session.transcript import Transcript

DAY = 86_400
LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit.\r\n"
    "Curabitur aliquam turpis et ante dictum, et pulvinar dui congue.\r\n"
    "Maecenas hendrerit, lorem non imperdiet pellentesque, nulla\r\n"
    "ligula nullam, and so on beyond what is shown."
)

CASES: dict[str, str] = {
    "rfc8474-4 mailboxes": """
        A> create foo
        A< T OK [MAILBOXID (<id:foo>)] CREATE completed.
        A> create bar
        A< T OK [MAILBOXID (<id:bar>)] CREATE completed.
        A> create foo
        A< T NO [ALREADYEXISTS] The mailbox exists already.
        A> select "foo"
        A< ...
        A< * OK [MAILBOXID (<id:foo>)] Permanent identity.
        A< T OK [READ-WRITE] SELECT completed.
        A> examine bar
        A< ...
        A< * OK [MAILBOXID (<id:bar>)] Permanent identity.
        A< T OK [READ-ONLY] EXAMINE completed.
        A> unselect
        A< T OK ...
        A> status foo (mailboxid)
        A< * STATUS foo (MAILBOXID (<id:foo>))
        A< T OK STATUS completed.
        A> status bar (mailboxid)
        A< * STATUS bar (MAILBOXID (<id:bar>))
        A< T OK STATUS completed.
        A> rename foo renamed
        A< T OK RENAME completed.
        A> status renamed (mailboxid)
        A< * STATUS renamed (MAILBOXID (<id:foo>))
        A< T OK STATUS completed.
        A> status bar (mailboxid)
        A< * STATUS bar (MAILBOXID (<id:bar>))
        A< T OK STATUS completed.
        A> list "" "*" return (status (mailboxid))
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * STATUS INBOX (MAILBOXID (<id:inbox>))
        A< * LIST (\\HasNoChildren) "/" bar
        A< * STATUS bar (MAILBOXID (<id:bar>))
        A< * LIST (\\HasNoChildren) "/" renamed
        A< * STATUS renamed (MAILBOXID (<id:foo>))
        A< T OK LIST completed.
        # RFC 8474 4: INBOX that is renamed is a new mailbox to which its messages are moved
        A> rename inbox old
        A< T OK RENAME completed.
        A> status inbox (mailboxid messages)
        A< * STATUS INBOX (MAILBOXID (<id:inbox>) MESSAGES 0)
        A< T OK STATUS completed.
    """,
    "rfc8474-5 and 6 messages": """
        A> create foo
        A< T OK ...
        A> create box
        A< T OK ...
        A> append box "20-Mar-2018 03:07:37 +1100" {74}
        A< + Ready for the literal.
        A+ Subject: Message A
        A+ Message-ID: <fake.1521475657.54797@example.com>
        A+
        A+ a
        A+
        A< T OK [APPENDUID <n:v> 1] APPEND completed.
        A> append box "20-Mar-2018 03:07:37 +1100" {127}
        A< + Ready for the literal.
        A+ Subject: Re: Message A
        A+ Message-ID: <fake.1521475657.21213@example.org>
        A+ References: <fake.1521475657.54797@example.com>
        A+
        A+ b
        A+
        A< T OK [APPENDUID <n:v> 2] APPEND completed.
        A> append box "20-Mar-2018 03:07:37 +1100" {74}
        A< + Ready for the literal.
        A+ Subject: Message C
        A+ Message-ID: <fake.1521475657.60280@example.com>
        A+
        A+ c
        A+
        A< T OK [APPENDUID <n:v> 3] APPEND completed.
        A> select box
        A< ...
        A< T OK ...
        A> fetch 1:* (emailid threadid)
        A< * 1 FETCH (EMAILID (<id:a>) THREADID (<id:ab>))
        A< * 2 FETCH (EMAILID (<id:b>) THREADID (<id:ab>))
        A< * 3 FETCH (EMAILID (<id:c>) THREADID (<id:other>))
        A< T OK FETCH completed.
        A> search emailid <id:a>
        A< * SEARCH 1
        A< T OK SEARCH completed.
        A> search threadid <id:ab>
        A< * SEARCH 1 2
        A< T OK SEARCH completed.
        A> move 2 foo
        A< * OK [COPYUID <n> 2 1] Moved.
        A< * 2 EXPUNGE
        A< T OK MOVE completed.
        A> fetch 1:* (emailid threadid)
        A< * 1 FETCH (EMAILID (<id:a>) THREADID (<id:ab>))
        A< * 2 FETCH (EMAILID (<id:c>) THREADID (<id:other>))
        A< T OK FETCH completed.
        A> select "foo"
        A< ...
        A< T OK [READ-WRITE] SELECT completed.
        A> fetch 1:* (emailid threadid)
        A< * 1 FETCH (EMAILID (<id:b>) THREADID (<id:ab>))
        A< T OK FETCH completed.
        # RFC 8474 5.1: a copy is the same message
        A> copy 1 INBOX
        A< T OK ...
        A> select INBOX
        A< ...
        A< T OK ...
        A> search emailid <id:b>
        A< * SEARCH 5
        A< T OK SEARCH completed.
    """,
    "rfc8438-3 sizes": """
        A> STATUS INBOX (MESSAGES SIZE UIDNEXT)
        A< * STATUS INBOX (MESSAGES 4 SIZE 605 UIDNEXT 5)
        A< T OK STATUS completed.
        A> CREATE frop
        A< T OK ...
        A> LIST "" % RETURN (STATUS (MESSAGES SIZE))
        A< * LIST (\\HasNoChildren) "/" INBOX
        A< * STATUS INBOX (MESSAGES 4 SIZE 605)
        A< * LIST (\\HasNoChildren) "/" frop
        A< * STATUS frop (MESSAGES 0 SIZE 0)
        A< T OK LIST completed.
        # the same sum
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> FETCH 1:* (RFC822.SIZE)
        A< * 1 FETCH (RFC822.SIZE 93)
        A< * 2 FETCH (RFC822.SIZE 93)
        A< * 3 FETCH (RFC822.SIZE 95)
        A< * 4 FETCH (RFC822.SIZE 324)
        A< T OK FETCH completed.
    """,
    "rfc8514-4.2 and 4.3 when messages were saved": """
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> FETCH 4 (SAVEDATE)
        A< * 4 FETCH (SAVEDATE "17-Jan-2027 08:00:00 +0000")
        A< T OK FETCH completed.
        A> SEARCH SAVEDON 16-Jan-2027
        A< * SEARCH 2 3
        A< T OK SEARCH completed.
        A> SEARCH SAVEDSINCE 16-Jan-2027
        A< * SEARCH 2 3 4
        A< T OK SEARCH completed.
        A> SEARCH SAVEDBEFORE 16-Jan-2027
        A< * SEARCH 1
        A< T OK SEARCH completed.
        # RFC 8514 3: nobody says when that is
        A> APPEND INBOX "01-Jan-2015 18:50:53 +0100" {3}
        A< + Ready for the literal.
        A+ abc
        A< * 5 EXISTS
        A< * 5 RECENT
        A< T OK ...
        A> FETCH 5 (SAVEDATE INTERNALDATE)
        A< * 5 FETCH (SAVEDATE "17-Jan-2027 08:00:00 +0000" INTERNALDATE " 1-Jan-2015 17:50:53 +0000")
        A< T OK FETCH completed.
    """,
    # What is read for display stands on one line here, where the RFC's text keeps its four; every preview is there at
    # once, so that (LAZY) never gives NIL.
    "rfc8970-3.2 and 5 previews": """
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> FETCH 1 (PREVIEW)
        A< * 1 FETCH (PREVIEW "one")
        A< T OK FETCH completed.
        A> FETCH 4 (RFC822.SIZE PREVIEW)
        A< * 4 FETCH (RFC822.SIZE 324 PREVIEW "<any:lorem>")
        A< T OK FETCH completed.
        A> FETCH 1:3 (ENVELOPE PREVIEW (LAZY))
        A< * 1 FETCH (ENVELOPE ("1 Jan 2024 00:00:00 +0000" "s1" <any>) PREVIEW "one")
        A< * 2 FETCH (ENVELOPE ("1 Jan 2024 00:00:00 +0000" "s2" <any>) PREVIEW "two")
        A< * 3 FETCH (ENVELOPE ("1 Jan 2024 00:00:00 +0000" "s3" <any>) PREVIEW "three")
        A< T OK FETCH completed.
        A> FETCH 2:3 (PREVIEW)
        A< * 2 FETCH (PREVIEW "two")
        A< * 3 FETCH (PREVIEW "three")
        A< T OK FETCH completed.
    """,
    "rfc2971-3 in any state": """
        A> ID ("name" "sodr" "version" "19.34" "vendor" "Pink Floyd Music Limited")
        A< * ID ("name" "Restante" "version" "1")
        A< T OK ID completed.
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> ID NIL
        A< * ID ("name" "Restante" "version" "1")
        A< T OK ID completed.
        A> UNAUTHENTICATE
        A< T OK ...
        A> ID NIL
        A< * ID ("name" "Restante" "version" "1")
        A< T OK ID completed.
    """,
    "rfc3691-2 unselect": """
        A> UNSELECT
        A< T BAD [CLIENTBUG] Select a mailbox first.
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> UNSELECT now
        A< T BAD ...
        A> UNSELECT
        A< T OK UNSELECT completed.
        A> FETCH 1 UID
        A< T BAD [CLIENTBUG] Select a mailbox first.
    """,
    "rfc5161-3.1 enable": """
        A> CAPABILITY
        A< * CAPABILITY <any:before>
        A< T OK CAPABILITY completed.
        A> ENABLE CONDSTORE X-GOOD-IDEA
        A< * ENABLED CONDSTORE
        A< T OK ENABLE completed.
        A> CAPABILITY
        A< * CAPABILITY <any:before>
        A< T OK CAPABILITY completed.
        A> ENABLE X-GOOD-IDEA IDLE
        A< * ENABLED
        A< T OK ENABLE completed.
        A> ENABLE
        A< T BAD ...
        A> ENABLE UTF8=ACCEPT
        A< * ENABLED UTF8=ACCEPT
        A< T OK ENABLE completed.
        # it has begun
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> STORE 1 +FLAGS.SILENT (\\Seen)
        A< * 1 FETCH (UID 1 MODSEQ (<n>))
        A< T OK STORE completed.
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    async def scenario(world: World) -> None:
        await world.add(b"one")
        world.clock.advance(DAY)
        await world.file(SIMPLE % (b"s2", b"two"))
        await world.file(SIMPLE % (b"s3", b"three"))
        world.clock.advance(DAY)
        await world.file(SIMPLE % (b"lorem", LOREM.encode()))
        played = Transcript(world)
        await played.play(CASES[name])
        if "lorem" in played.names:
            assert played.names["lorem"] == LOREM.replace("\r\n", " ")[:200]

    run(scenario)


def test_rfc8970_5_previews_of_what_a_search_saved() -> None:
    """Example 3: the two commands go in one piece. Both RFCs are announced."""

    async def scenario(world: World) -> None:
        await world.add(b"one", b"Preview!", b"three")
        await world.file((SIMPLE % (b"s4", b"Another preview!")).replace(b"a@", b"foo@"))
        client = await world.client()
        assert {b"PREVIEW", b"SEARCHRES"} <= set((await client.ok(b"CAPABILITY")).split())
        await client.ok(b"SELECT INBOX")
        got = await client.raw(b'C2 SEARCH RETURN (SAVE) FROM "FOO"\r\nC3 FETCH $ (UID PREVIEW (LAZY))\r\n', b"C3")
        assert got == (
            b'C2 OK SEARCH completed.\r\n* 4 FETCH (UID 4 PREVIEW "Another preview!")\r\nC3 OK FETCH completed.\r\n'
        )
        assert await client.do(b"UID FETCH 2 (PREVIEW)") == (
            b'* 2 FETCH (UID 2 PREVIEW "Preview!")\r\nT OK FETCH completed.\r\n'
        )

    run(scenario)


def test_rfc2177_3_idle_among_other_commands() -> None:
    """The example. It tells what was waiting before the continuation, which comes first here; and with a removal how
    many messages are left, which the client knows."""

    async def scenario(world: World) -> None:
        await world.add(b"one", b"two", b"three")
        other = await world.client(b"SELECT INBOX")
        client = await world.client(b"SELECT INBOX")
        assert await client.do(b"IDLE") == b"+ Listening.\r\n"
        await world.add(b"four")
        assert (await client.pushed(b"RECENT\r\n")).startswith(b"* 4 EXISTS\r\n")
        assert await client.raw(b"DONE\r\n", b"t%d" % client._number) == b"t%d OK IDLE completed.\r\n" % client._number
        await other.ok(b"STORE 2 +FLAGS.SILENT (\\Deleted)")
        await other.ok(b"UID EXPUNGE 2")
        got = await client.do(b"FETCH 4 ALL")
        assert got.startswith(b"* 4 FETCH (FLAGS (")
        assert got.endswith(b")\r\nT OK FETCH completed.\r\n")
        assert b"EXPUNGE" not in got
        client.connection.feed(b"A004 IDLE\r\n")
        assert await client.pushed(b"EXPUNGE") == b"+ Listening.\r\n* 2 EXPUNGE\r\n"
        await other.ok(b"UID STORE 4 +FLAGS.SILENT (\\Deleted)")
        await other.ok(b"UID EXPUNGE 4")
        assert b"* 3 EXPUNGE\r\n" in await client.pushed(b"EXPUNGE")
        await world.add(b"five")
        assert b"* 3 EXISTS\r\n" in await client.pushed(b"EXISTS")
        client.connection.feed(b"DONE\r\n")
        assert (await client.pushed(b"A004")).endswith(b"A004 OK IDLE completed.\r\n")
        assert (await client.ok(b"FETCH 3 (UID)")).startswith(b"* 3 FETCH (UID 5)\r\n")

    run(scenario)


def test_rfc7888_3_a_login_in_literals_that_do_not_wait() -> None:
    class FredsHouse(Authenticator):
        async def password(self, user: bytes, password: bytes, peer: Peer) -> Admitted:
            assert (user, password) == (b"FRED FOOBAR", b"fat man")
            return Admitted(ACCOUNT)

    async def scenario(world: World) -> None:
        world.authenticator = FredsHouse()
        for command in (
            b"A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n",
            b'A001 LOGIN "FRED FOOBAR" "fat man"\r\n',
        ):
            client = world.connect()
            await client.greeting()
            assert (await client.raw(command, b"A001")).startswith(b"A001 OK [CAPABILITY ")

    run(scenario)


def test_rfc4959_4_with_and_without_an_initial_response() -> None:
    """EXTERNAL, the other two examples' mechanism, is not offered."""

    class TestExchange(PlainExchange):
        async def step(self, response: bytes | None) -> bytes | Admitted:
            assert response in (None, b"test\0test\0test")
            return b"" if response is None else Admitted(ACCOUNT)

    class TestHouse(Authenticator):
        def start(self, mechanism: str, peer: Peer) -> PlainExchange:
            return TestExchange() if mechanism == "PLAIN" else super().start(mechanism, peer)  # type: ignore[return-value]  # one with another step

    async def scenario(world: World) -> None:
        world.authenticator = TestHouse()
        proof = b"dGVzdAB0ZXN0AHRlc3Q="
        assert base64.b64decode(proof) == b"test\0test\0test"
        client = world.connect()
        await client.greeting()
        got = await client.do(b"CAPABILITY")
        assert b" SASL-IR " in got
        assert b" AUTH=PLAIN\r\n" in got
        for wrong in (b"=AAA", b"AAA=BBB", b'"%b"' % proof, b"{20+}\r\n" + proof):
            assert (await client.do(b"AUTHENTICATE PLAIN " + wrong)).startswith(b"T BAD "), wrong
        assert (await client.do(b"AUTHENTICATE EXTERNAL =")).startswith(b"T NO ")
        assert (await client.do(b"AUTHENTICATE PLAIN " + proof)).startswith(b"T OK [CAPABILITY ")
        client = world.connect()
        await client.greeting()
        assert await client.raw(b"A01 AUTHENTICATE PLAIN\r\n", b"A01") == b"+ \r\n"
        assert (await client.raw(proof + b"\r\n", b"A01")).startswith(b"A01 OK [CAPABILITY ")

    run(scenario)
