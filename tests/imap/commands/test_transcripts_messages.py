"""RFC 9051's examples of commands about messages, with all their answers, and its sample connection; RFC 4315 3;
RFC 2180 (ids are their sections). Numbers are those of a smaller mailbox than the printed one.

In IMAP4rev2 UID is told with flags that are told unasked (RFC 9051 7.5.2).
"""

from __future__ import annotations

import re

import pytest

from ..session.support import SIMPLE, Client, World, run
from ..session.transcript import Transcript

REV1 = (b"SELECT INBOX",)
REV2 = (b"ENABLE IMAP4rev2", b"SELECT INBOX")

CASES: dict[str, tuple[tuple[bytes, ...], str]] = {
    "rfc9051-6.1.2 noop": (
        REV2,
        """
        A> NOOP
        A< T OK NOOP completed.
        B> UID STORE 3 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        B> EXPUNGE
        B< * 3 EXPUNGE
        B< T OK ...
        B> COPY 1 INBOX
        B< * 11 EXISTS
        B< T OK ...
        B> UID STORE 5 +FLAGS.SILENT (\\Seen \\Deleted)
        B< T OK ...
        A> NOOP
        A< * 3 EXPUNGE
        A< * 11 EXISTS
        A< * 4 FETCH (UID 5 FLAGS (\\Deleted \\Seen))
        A< T OK NOOP completed.
        """,
    ),
    "rfc9051-6.3.1 enable": (
        (),
        """
        A> ENABLE CONDSTORE X-GOOD-IDEA
        A< * ENABLED CONDSTORE
        A< T OK ENABLE completed.
        A> ENABLE X-GOOD-IDEA
        A< * ENABLED
        A< T OK ENABLE completed.
        """,
    ),
    "rfc9051-6.3.2 select, one mailbox after the other": (
        (b"CREATE Drafts", *REV2),
        """
        A> SELECT Drafts
        A< * OK [CLOSED] The mailbox is closed.
        A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        A< * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] ...
        A< * 0 EXISTS
        A< * LIST (\\HasNoChildren) "/" Drafts
        A< * OK [UIDVALIDITY <n>] ...
        A< * OK [UIDNEXT 1] ...
        A< * OK [HIGHESTMODSEQ <n>] ...
        A< * OK [MAILBOXID (<id>)] ...
        A< T OK [READ-WRITE] SELECT completed.
        A> EXAMINE inbox
        A< * OK [CLOSED] The mailbox is closed.
        A< * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
        A< * OK [PERMANENTFLAGS ()] Nothing can be changed.
        A< * 11 EXISTS
        A< * LIST (\\HasNoChildren \\Subscribed) "/" INBOX ("OLDNAME" (inbox))
        A< * OK [UIDVALIDITY <n>] ...
        A< * OK [UIDNEXT 12] ...
        A< * OK [HIGHESTMODSEQ <n>] ...
        A< * OK [MAILBOXID (<id>)] ...
        A< T OK [READ-ONLY] EXAMINE completed.
        """,
    ),
    "rfc9051-6.3.11 status": (
        (),
        """
        A> STATUS INBOX (UIDNEXT MESSAGES)
        A< * STATUS INBOX (UIDNEXT 12 MESSAGES 11)
        A< T OK STATUS completed.
        """,
    ),
    "rfc9051-6.3.13 idle": (
        REV2,
        """
        A> IDLE
        A< + Listening.
        B> COPY 1 INBOX
        B< * 12 EXISTS
        B< T OK ...
        A! * 12 EXISTS
        A+ DONE
        A< T OK IDLE completed.
        B> UID STORE 2 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        B> EXPUNGE
        B< * 2 EXPUNGE
        B< T OK ...
        # what stands behind the removal has its number still
        A> FETCH 12 (UID FLAGS)
        A< * 12 FETCH (UID 12 FLAGS ())
        A< T OK FETCH completed.
        A> NOOP
        A< * 2 EXPUNGE
        A< T OK NOOP completed.
        A> IDLE
        A< + Listening.
        B> UID STORE 4 +FLAGS.SILENT (\\Deleted)
        B< T OK ...
        B> EXPUNGE
        B< * 3 EXPUNGE
        B< T OK ...
        A! * 3 EXPUNGE
        B> COPY 1 INBOX
        B< * 11 EXISTS
        B< T OK ...
        A! * 11 EXISTS
        A+ DONE
        A< T OK IDLE completed.
        A> FETCH 11 UID
        A< * 11 FETCH (UID 13)
        A< T OK FETCH completed.
        """,
    ),
    "rfc9051-6.4.1 to 6.4.3 expunge, close, unselect": (
        REV2,
        """
        A> STORE 3,4,7,11 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        # from the end, so that no number moves before it is told
        A> EXPUNGE
        A< * 11 EXPUNGE
        A< * 7 EXPUNGE
        A< * 4 EXPUNGE
        A< * 3 EXPUNGE
        A< T OK EXPUNGE completed.
        A> CLOSE
        A< T OK CLOSE completed.
        A> SELECT INBOX
        A< ...
        A< T OK ...
        A> UNSELECT
        A< T OK UNSELECT completed.
        """,
    ),
    "rfc9051-6.4.5 fetch": (
        REV2,
        """
        A> FETCH 2:4 (FLAGS BODY.PEEK[HEADER.FIELDS (DATE FROM)])
        A< * 2 FETCH (FLAGS () BODY[HEADER.FIELDS (DATE FROM)] {56}
        A< From: a@example.org
        A< Date: 1 Jan 2024 00:00:00 +0000
        A<
        A< )
        A< * 3 FETCH (FLAGS () BODY[HEADER.FIELDS (DATE FROM)] {56}
        A< From: a@example.org
        A< Date: 1 Jan 2024 00:00:00 +0000
        A<
        A< )
        A< * 4 FETCH (FLAGS () BODY[HEADER.FIELDS (DATE FROM)] {56}
        A< From: a@example.org
        A< Date: 1 Jan 2024 00:00:00 +0000
        A<
        A< )
        A< T OK FETCH completed.
        """,
    ),
    "rfc9051-6.4.6 store": (
        REV1,
        """
        A> STORE 2,4 +FLAGS.SILENT (\\Seen)
        A< T OK ...
        A> STORE 4 +FLAGS.SILENT (\\Flagged)
        A< T OK ...
        A> STORE 2:4 +FLAGS (\\Deleted)
        A< * 2 FETCH (FLAGS (\\Deleted \\Seen))
        A< * 3 FETCH (FLAGS (\\Deleted))
        A< * 4 FETCH (FLAGS (\\Flagged \\Deleted \\Seen))
        A< T OK STORE completed.
        """,
    ),
    "rfc4315-3 and rfc9051-6.4.7 to 6.4.9 copy, move, expunge by UID": (
        (b"CREATE MEETING", b"CREATE foo", *REV2),
        """
        A> STORE 3 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< * 3 EXPUNGE
        A< T OK ...
        A> COPY 2:4 MEETING
        A< T OK [COPYUID <n:meeting> 2,4:5 1:3] COPY completed.
        A> UID COPY 305:310 MEETING
        A< T OK COPY completed: there was nothing to copy.
        A> UID MOVE 4:6 foo
        A< * OK [COPYUID <n:foo> 4:6 1:3] ...
        A< * 5 EXPUNGE
        A< * 4 EXPUNGE
        A< * 3 EXPUNGE
        A< T OK MOVE completed.
        A> UID STORE 7:9,11 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> UID EXPUNGE 7:10
        A< * 5 EXPUNGE
        A< * 4 EXPUNGE
        A< * 3 EXPUNGE
        A< T OK EXPUNGE completed.
        A> SELECT MEETING
        A< ...
        A< * 3 EXISTS
        A< ...
        A< * OK [UIDVALIDITY <n:meeting>] ...
        A< * OK [UIDNEXT 4] ...
        A< ...
        A< T OK [READ-WRITE] SELECT completed.
        """,
    ),
    "rfc2180-3.4 a selected mailbox is renamed": (
        (),
        """
        A> CREATE FOO
        A< T OK ...
        B> SELECT INBOX
        B< ...
        B< T OK ...
        B> COPY 1:4 FOO
        B< T OK ...
        B> SELECT FOO
        B< ...
        B< T OK ...
        A> RENAME FOO BAR
        A< T OK RENAME completed.
        B> FETCH 2:4 (FLAGS)
        B< * 2 FETCH (FLAGS (\\Recent))
        B< * 3 FETCH (FLAGS (\\Recent))
        B< * 4 FETCH (FLAGS (\\Recent))
        B< T OK FETCH completed.
        # NEWNAME, which is printed, was taken out of IMAP (RFC 2180 itself calls it RFC 2060's)
        B> COPY 1 FOO
        B< T NO [TRYCREATE] ...
        B> STATUS BAR (MESSAGES)
        B< * STATUS BAR (MESSAGES 4)
        B< T OK STATUS completed.
        """,
    ),
    "rfc2180-4.1.1 messages that are gone are there until that is told": (
        REV1,
        """
        B> NOOP
        B< T OK ...
        A> STORE 8:11 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< ...
        A< T OK ...
        B> FETCH 8:11 BODY.PEEK[TEXT]
        B< * 8 FETCH (BODY[TEXT] {5}
        B< m08
        B< )
        B< * 9 FETCH (BODY[TEXT] {5}
        B< m09
        B< )
        B< * 10 FETCH (BODY[TEXT] {5}
        B< m10
        B< )
        B< * 11 FETCH (BODY[TEXT] {5}
        B< m11
        B< )
        B< T OK FETCH completed.
        B> NOOP
        B< * 11 EXPUNGE
        B< * 10 EXPUNGE
        B< * 9 EXPUNGE
        B< * 8 EXPUNGE
        B< T OK NOOP completed.
        # BAD: such numbers are beyond EXISTS now (RFC 9051 9, seq-number)
        B> FETCH 8:11 BODY.PEEK[TEXT]
        B< T BAD ...
        """,
    ),
    "rfc2180-4.2 store on messages that are gone, with .SILENT, and on these alone": (
        REV1,
        """
        B> NOOP
        B< T OK ...
        A> STORE 8:11 +FLAGS.SILENT (\\Deleted)
        A< T OK ...
        A> EXPUNGE
        A< ...
        A< T OK ...
        # 4.2.1
        B> STORE 6:11 +FLAGS.SILENT (\\Seen)
        B< T OK STORE completed.
        # 4.2.2
        B> STORE 9:11 +FLAGS (\\Seen)
        B< * 9 FETCH (FLAGS (\\Deleted))
        B< * 10 FETCH (FLAGS (\\Deleted))
        B< * 11 FETCH (FLAGS (\\Deleted))
        B< T NO [EXPUNGEISSUED] ...
        # 4.2.3
        B> STORE 5:8 +FLAGS (\\Seen)
        B< * 5 FETCH (FLAGS (\\Seen))
        B< * 6 FETCH (FLAGS (\\Seen))
        B< * 7 FETCH (FLAGS (\\Seen))
        B< * 8 FETCH (FLAGS (\\Deleted))
        B< T NO [EXPUNGEISSUED] ...
        B> NOOP
        B< * 11 EXPUNGE
        B< * 10 EXPUNGE
        B< * 9 EXPUNGE
        B< * 8 EXPUNGE
        B< T OK NOOP completed.
        """,
    ),
    "rfc5267-4.2 context is a hint": (
        REV1,
        """
        A> SEARCH RETURN (CONTEXT COUNT) UNDELETED UNKEYWORD $Junk
        A< * ESEARCH (TAG "T") COUNT 11
        A< T OK SEARCH completed.
        A> SEARCH RETURN (CONTEXT) 1:3
        A< * ESEARCH (TAG "T")
        A< T OK SEARCH completed.
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_transcript(name: str) -> None:
    setup, text = CASES[name]

    async def scenario(world: World) -> None:
        for number in range(1, 12):
            await world.file(SIMPLE % (b"s", b"m%02d" % number))
        await world.client(b"SELECT INBOX")  # takes \Recent
        await Transcript(world, setup).play(text)

    run(scenario)


MEETING = b"""Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r
From: Fred Foobar <foobar@example.com>\r
Subject: afternoon meeting\r
To: mooch@example.com\r
Message-Id: <B27397-0100000@example.com>\r
MIME-Version: 1.0\r
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r
\r
Hello Joe, do you think we can meet at 3:30 tomorrow?\r
"""

SUMMARY = b"""Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r
From: Terry Gray <gray@cac.washington.edu>\r
Subject: IMAP4rev2 WG mtg summary and minutes\r
To: imap@cac.washington.edu\r
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r
Message-Id: <B27397-0100000@cac.washington.edu>\r
MIME-Version: 1.0\r
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r
\r
"""


async def uidvalidity(client: Client, name: bytes) -> bytes:
    found = re.search(rb"UIDVALIDITY (\d+)", await client.ok(b"STATUS %b (UIDVALIDITY)" % name))
    assert found is not None
    return found[1]


def test_rfc9051_6_3_12_append_with_literals_of_both_kinds() -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"CREATE saved-messages")
        validity = await uidvalidity(client, b"saved-messages")
        command = b"A003 APPEND saved-messages (\\Seen) {%d" % len(MEETING)
        assert await client.raw(command + b"}\r\n", b"A003") == b"+ Ready for the literal.\r\n"
        for uid, sent in enumerate((MEETING + b"\r\n", command + b"+}\r\n" + MEETING + b"\r\n"), 1):
            got = await client.raw(sent, b"A003")
            assert got == b"A003 OK [APPENDUID %b %d] APPEND completed.\r\n" % (validity, uid)
        await client.ok(b"EXAMINE saved-messages")
        got = await client.ok(b"FETCH 1:2 (FLAGS BODY[])")
        for number in (b"1", b"2"):
            line = b"* %b FETCH (FLAGS (\\Seen%b) BODY[] {%d}\r\n%b)\r\n"
            assert line % (number, b" \\Recent", len(MEETING), MEETING) in got

    run(scenario)


def test_rfc9051_7_6_a_command_with_two_literals_and_one_that_is_none() -> None:
    async def scenario(world: World) -> None:
        client = world.connect()
        await client.greeting()
        assert await client.raw(b"A001 LOGIN {4}\r\n", b"A001") == b"+ Ready for the literal.\r\n"
        assert await client.raw(b"user {4}\r\n", b"A001") == b"+ Ready for the literal.\r\n"
        assert (await client.raw(b"pass\r\n", b"A001")).startswith(b"A001 OK [CAPABILITY ")
        # its literal is not asked for, and what follows is a command
        assert await client.raw(b"A044 BLURDYBLOOP {102856}\r\n", b"A044") == b"A044 BAD Unknown command\r\n"
        assert await client.raw(b"A045 NOOP\r\n", b"A045") == b"A045 OK NOOP completed.\r\n"
        # 7.1.3
        assert await client.raw(b"\r\n", b"*") == b"* BAD Empty command\r\n"

    run(scenario)


@pytest.mark.parametrize("dialect", [b"NOOP", b"ENABLE IMAP4rev2"], ids=["rfc3501-8", "rfc9051-8"])
def test_sample_connection(dialect: bytes) -> None:
    """Without STARTTLS, whose negotiation memory has none of. The printed envelope of RFC 9051 lacks the address lists
    that RFC 3501's has; an INTERNALDATE is told in UTC, and the types of a body in small letters."""

    async def scenario(world: World) -> None:
        client = await world.client(dialect)
        text = (b"The minutes are to follow here.\r\n" * 100)[:3026] + b"\r\n"
        data = SUMMARY + text
        command = b'APPEND INBOX (\\Seen) "17-Jul-1996 02:44:25 -0700" {%d+}\r\n%b'
        await client.ok(command % (len(data), data))
        opened = await client.ok(b"select inbox")
        rev2 = dialect != b"NOOP"
        assert b"* 1 EXISTS\r\n" in opened
        assert b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n" in opened
        assert (b'* LIST (\\HasNoChildren \\Subscribed) "/" INBOX ("OLDNAME" (inbox))\r\n' in opened) is rev2
        assert (b"* 1 RECENT\r\n" in opened) is not rev2
        assert opened.endswith(b"T OK [READ-WRITE] SELECT completed.\r\n")
        recent = b"" if rev2 else b" \\Recent"
        gray = b'(("Terry Gray" NIL "gray" "cac.washington.edu"))'
        assert await client.ok(b"fetch 1 full") == (
            b'* 1 FETCH (FLAGS (\\Seen%b) INTERNALDATE "17-Jul-1996 09:44:25 +0000" RFC822.SIZE %d ENVELOPE ('
            b'"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" %b %b %b '
            b'((NIL NIL "imap" "cac.washington.edu")) '
            b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
            b'"<B27397-0100000@cac.washington.edu>") '
            b'BODY ("text" "plain" ("CHARSET" "US-ASCII") NIL NIL "7bit" 3028 92))\r\nT OK FETCH completed.\r\n'
            % (recent, len(data), gray, gray, gray)
        )
        assert await client.ok(b"fetch 1 body[header]") == (
            b"* 1 FETCH (BODY[HEADER] {342}\r\n%b)\r\nT OK FETCH completed.\r\n" % SUMMARY
        )
        uid = b"UID 1 " if rev2 else b""
        assert await client.ok(b"store 1 +flags \\deleted") == (
            b"* 1 FETCH (%bFLAGS (\\Deleted \\Seen%b))\r\nT OK STORE completed.\r\n" % (uid, recent)
        )
        assert await client.do(b"logout") == b"* BYE Logging out.\r\nT OK LOGOUT completed.\r\n"

    run(scenario)


def test_rfc2180_3_2_and_3_3_a_selected_mailbox_is_deleted() -> None:
    """Whoever has it selected is disconnected, as in 3.3; its name is free at once. (A session that deletes the mailbox
    it has selected leaves it.)"""

    async def scenario(world: World) -> None:
        one = await world.client(b"CREATE FOO")
        two = await world.client(b"SELECT FOO")
        assert await one.do(b"DELETE FOO") == b"T OK DELETE completed.\r\n"
        assert (await two.do(b"NOOP")).endswith(b"* BYE [NONEXISTENT] The selected mailbox has been deleted.\r\n")
        three = await world.client()
        assert b"T NO [NONEXISTENT] " in await three.do(b"STATUS FOO (MESSAGES)")
        assert b"T OK [MAILBOXID " in await three.do(b"CREATE FOO")

    run(scenario)
